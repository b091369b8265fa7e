//! Where alerts are sent: webhook, mail, syslog.

use askama::Template;
use axum::extract::State;
use covigil_model::Severity;
use secrecy::SecretString;

use super::{Tab, tabs};
use crate::{
    app::Shared,
    backend::{Output, OutputKind, SmtpSecurity, SyslogTransport},
    html,
    page::{PageError, PageResult, Visitor, redirect},
    params::{FormParams, Params},
};

struct OutputRow {
    output: Output,
    target: String,
    state: &'static str,
    detail: String,
}

#[derive(Template)]
#[template(path = "settings_outputs.html")]
struct OutputsPage {
    csrf: String,
    tabs: Vec<Tab>,
    outputs: Vec<OutputRow>,
    severities: [Severity; 5],
    /// What came of a test.
    tested: Option<(String, String)>,
}

/// Where an output sends, in a few words.
fn target(output: &Output) -> String {
    match &output.kind {
        OutputKind::Webhook { url, .. } => url.clone(),
        OutputKind::Smtp { host, port, to, .. } => format!("{} through {host}:{port}", to.join(", ")),
        OutputKind::Syslog { address, transport } => format!("{address} ({})", transport.as_str()),
    }
}

async fn outputs_page(app: &Shared, visitor: &Visitor, tested: Option<(String, String)>) -> PageResult {
    let health = app.backend.system(&visitor.ctx).await?.outputs;
    let outputs = app.backend.outputs(&visitor.ctx).await?;
    let body = OutputsPage {
        csrf: visitor.csrf.clone(),
        tabs: tabs(visitor, "/settings/outputs"),
        outputs: outputs
            .into_iter()
            .map(|output| {
                let found = health.iter().find(|h| h.name == output.name);
                let detail = found.map_or_else(String::new, |h| h.detail.clone());
                let state = match (output.enabled, detail.is_empty()) {
                    (false, _) => "off",
                    (true, true) => "live",
                    (true, false) => "unreadable",
                };
                OutputRow { target: target(&output), state, detail, output }
            })
            .collect(),
        severities: Severity::ALL,
        tested,
    };
    visitor.frame(app, "Outputs", "settings").around(&body, &[])
}

pub(crate) async fn outputs(State(app): State<Shared>, visitor: Visitor) -> PageResult {
    outputs_page(&app, &visitor, None).await
}

fn secret(form: &Params, name: &str) -> Option<SecretString> {
    Some(form.exact(name)).filter(|text| !text.is_empty()).map(|text| SecretString::from(text.to_owned()))
}

fn kind_of(form: &Params) -> Result<OutputKind, PageError> {
    Ok(match form.need("kind", "The kind")? {
        "webhook" => {
            let text = form.need("url", "The webhook's address")?;
            let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let url = url.ok_or_else(|| {
                PageError::refused("Write the webhook's address like https://example.org/hook.")
            })?;
            OutputKind::Webhook { url: url.to_string(), authorization: secret(form, "authorization") }
        }
        "smtp" => OutputKind::Smtp {
            host: form.need("host", "The mail server")?.to_owned(),
            port: form
                .need("port", "The mail server's port")?
                .parse()
                .map_err(|_| PageError::refused("The port is a number from 1 to 65535."))?,
            security: form
                .get("security")
                .and_then(SmtpSecurity::from_word)
                .unwrap_or(SmtpSecurity::StartTls),
            from: form.need("from", "The sender")?.to_owned(),
            to: form
                .need("to", "The recipient")?
                .split([',', ' ', ';'])
                .filter(|to| !to.is_empty())
                .map(str::to_owned)
                .collect(),
            username: form.get("username").unwrap_or("").to_owned(),
            password: secret(form, "password"),
        },
        "syslog" => OutputKind::Syslog {
            address: form.need("address", "The syslog server (host:port)")?.to_owned(),
            transport: form
                .get("transport")
                .and_then(SyslogTransport::from_word)
                .unwrap_or(SyslogTransport::Tcp),
        },
        _ => return Err(PageError::refused("An output is a webhook, smtp or syslog.")),
    })
}

pub(crate) async fn save_output(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let name = html::cut(form.need("name", "The name")?, 64);
    let output = Output {
        kind: kind_of(&form)?,
        least: form.get("least").and_then(Severity::from_word).unwrap_or(Severity::High),
        enabled: form.has("enabled", "yes"),
        name: name.clone(),
    };
    let kind = output.kind.as_str();
    app.backend.put_output(&visitor.ctx, output).await?;
    visitor.note(name, kind);
    Ok(redirect("/settings/outputs"))
}

pub(crate) async fn remove_output(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let name = form.need("name", "The name")?;
    app.backend.remove_output(&visitor.ctx, name).await?;
    visitor.note(name, "");
    Ok(redirect("/settings/outputs"))
}

pub(crate) async fn test_output(
    State(app): State<Shared>,
    visitor: Visitor,
    FormParams(form): FormParams,
) -> PageResult {
    let name = form.need("name", "The name")?.to_owned();
    let answer = app.backend.test_output(&visitor.ctx, &name).await?;
    visitor.note(name.clone(), answer.clone());
    outputs_page(&app, &visitor, Some((name, answer))).await
}

//! Mail through an SMTP server. Plain text; nothing from an event reaches a header but the rule's title,
//! on one line.

use covigil_console::backend::SmtpSecurity;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{authentication::Credentials, client::Tls, client::TlsParameters},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{DeliveryError, Message, entities, one_line};

/// How to reach the server.
pub struct Server<'a> {
    pub host: &'a str,
    pub port: u16,
    pub security: SmtpSecurity,
    pub username: &'a str,
    pub password: Option<&'a SecretString>,
}

pub async fn send(
    server: Server<'_>,
    from: &str,
    to: &[String],
    message: Message<'_>,
) -> Result<(), DeliveryError> {
    let mut mail =
        Mail::builder().from(mailbox(from)?).subject(subject(message)).header(ContentType::TEXT_PLAIN);
    for recipient in to {
        mail = mail.to(mailbox(recipient)?);
    }
    let mail =
        mail.body(body(message)).map_err(|e| DeliveryError(format!("could not write the mail: {e}")))?;
    let parameters = || {
        TlsParameters::new(server.host.to_owned())
            .map_err(|e| DeliveryError(format!("could not set up TLS for {}: {e}", server.host)))
    };
    let tls = match server.security {
        SmtpSecurity::Tls => Tls::Wrapper(parameters()?),
        SmtpSecurity::StartTls => Tls::Required(parameters()?),
        SmtpSecurity::None => Tls::None,
    };
    let mut transport =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host).port(server.port).tls(tls);
    if let Some(password) = server.password
        && !server.username.is_empty()
    {
        transport = transport
            .credentials(Credentials::new(server.username.to_owned(), password.expose_secret().to_owned()));
    }
    transport
        .build()
        .send(mail)
        .await
        .map(drop)
        .map_err(|e| DeliveryError(format!("the mail server {}:{}: {e}", server.host, server.port)))
}

fn mailbox(text: &str) -> Result<Mailbox, DeliveryError> {
    text.parse().map_err(|e| DeliveryError(format!("{text} is not a mail address: {e}")))
}

fn subject(message: Message<'_>) -> String {
    let alert = message.alert;
    format!("[{}] {}", alert.severity, one_line(&alert.rule.title, 120))
}

fn body(message: Message<'_>) -> String {
    let alert = message.alert;
    let mut text = format!(
        "{title}\n\nSeverity:  {severity}\nRisk:      {risk} of 100\nConcerns:  {entities}\nFindings:  {count}\nFirst:     {first}\nLast:      {last}\n",
        title = one_line(&alert.rule.title, 300),
        severity = alert.severity,
        risk = alert.risk,
        entities = entities(alert),
        count = alert.count,
        first = alert.first_seen,
        last = alert.last_seen,
    );
    if let Some(summary) = &alert.summary {
        text.push_str(&format!("Counted:   {}\n", one_line(summary, 300)));
    }
    if !alert.rule.techniques.is_empty() {
        text.push_str(&format!("ATT&CK:    {}\n", alert.rule.techniques.join(", ")));
    }
    text.push_str(&format!("\n{}\n\n{}, {}\n", message.link(), message.tenant, message.node));
    text
}

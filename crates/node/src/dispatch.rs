//! Alerts to outputs, from a queue that survives a restart. What an output does not take is tried again with
//! growing pauses for a day, then given up and said so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use covigil_console::backend::{Output, OutputKind, SmtpSecurity, SyslogTransport};
use covigil_model::{Alert, OpContext, Severity, TenantId, Time};
use covigil_store::state::{Delivery, NewDelivery, State, StateError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    outputs::{Message, deliver},
    seal::Sealer,
};

/// The document that lists the outputs.
const DOCUMENT: &str = "outputs";
/// Deliveries tried at the same time.
const AT_ONCE: usize = 8;
/// How often the queue is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The first pause after a failure, in seconds; it doubles up to the last.
const FIRST_PAUSE: i64 = 10;
const LONGEST_PAUSE: i64 = 3_600;
/// Attempts at one delivery: with these pauses, about a day.
const ATTEMPTS: u64 = 32;

/// Sends alerts out.
pub struct Dispatcher {
    state: State,
    sealer: Arc<Sealer>,
    tenant: TenantId,
    tenant_name: String,
    node_name: String,
    console: String,
    last: Mutex<HashMap<String, (Option<Time>, String)>>,
}

/// An output as it is stored: secrets sealed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredOutput {
    name: String,
    least: Severity,
    enabled: bool,
    #[serde(flatten)]
    kind: StoredKind,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum StoredKind {
    Webhook {
        url: String,
        authorization: Option<String>,
    },
    Smtp {
        host: String,
        port: u16,
        security: String,
        from: String,
        to: Vec<String>,
        username: String,
        password: Option<String>,
    },
    Syslog {
        address: String,
        transport: String,
    },
}

impl Dispatcher {
    /// A dispatcher of this node's alerts. `console` is the address that messages link to.
    pub fn new(
        state: State,
        sealer: Arc<Sealer>,
        tenant: TenantId,
        tenant_name: &str,
        node_name: &str,
        console: &str,
    ) -> Self {
        Self {
            state,
            sealer,
            tenant,
            tenant_name: tenant_name.to_owned(),
            node_name: node_name.to_owned(),
            console: console.to_owned(),
            last: Mutex::default(),
        }
    }

    /// What is sent of an alert.
    pub fn message<'a>(&'a self, alert: &'a Alert) -> Message<'a> {
        Message { alert, tenant: &self.tenant_name, console: &self.console, node: &self.node_name }
    }

    /// When an output last took an alert, and its last failure since.
    pub fn last(&self, output: &str) -> (Option<Time>, String) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(output).cloned().unwrap_or_default()
    }

    /// All outputs, with their secrets.
    pub async fn outputs(&self, ctx: &OpContext) -> Result<Vec<Output>, StateError> {
        let (_, stored) = self.stored(ctx).await?;
        stored.into_iter().map(|output| self.open(output)).collect()
    }

    async fn stored(&self, ctx: &OpContext) -> Result<(u64, Vec<StoredOutput>), StateError> {
        let Some(document) = self.state.document(ctx, DOCUMENT).await? else { return Ok((0, Vec::new())) };
        let outputs =
            serde_json::from_str(&document.body).map_err(|_| StateError::Unreadable("list of outputs"))?;
        Ok((document.version, outputs))
    }

    async fn store(
        &self,
        ctx: &OpContext,
        based_on: u64,
        outputs: &[StoredOutput],
    ) -> Result<(), StateError> {
        let body = serde_json::to_string(outputs).map_err(|e| StateError::Invalid(e.to_string()))?;
        self.state.put_document(ctx, DOCUMENT, based_on, &body).await.map(drop)
    }

    /// Adds an output or replaces the one of that name; a secret that is not given stays.
    pub async fn put_output(&self, ctx: &OpContext, output: Output) -> Result<(), StateError> {
        if output.name.is_empty()
            || output.name.chars().count() > 64
            || output.name.chars().any(char::is_control)
        {
            return Err(StateError::Invalid("an output's name has 1 to 64 characters".to_owned()));
        }
        let (version, mut outputs) = self.stored(ctx).await?;
        let before = outputs.iter().position(|have| have.name == output.name).map(|at| outputs.remove(at));
        outputs.push(self.seal(output, before)?);
        outputs.sort_by(|a, b| a.name.cmp(&b.name));
        self.store(ctx, version, &outputs).await
    }

    /// Removes an output; what waits for it is given up.
    pub async fn remove_output(&self, ctx: &OpContext, name: &str) -> Result<(), StateError> {
        let (version, mut outputs) = self.stored(ctx).await?;
        let count = outputs.len();
        outputs.retain(|output| output.name != name);
        if outputs.len() == count {
            return Err(StateError::NotFound("the output"));
        }
        self.store(ctx, version, &outputs).await
    }

    fn seal_text(&self, name: &str, secret: &SecretString) -> Result<String, StateError> {
        let sealed = self.sealer.seal(&format!("output/{name}"), secret.expose_secret());
        sealed.map(|bytes| BASE64_STANDARD.encode(bytes)).map_err(|e| StateError::Invalid(e.to_string()))
    }

    fn open_text(&self, name: &str, sealed: &str) -> Result<SecretString, StateError> {
        let bytes = BASE64_STANDARD.decode(sealed).map_err(|_| StateError::Unreadable("sealed secret"))?;
        let opened = self.sealer.unseal(&format!("output/{name}"), &bytes);
        opened.map(SecretString::from).map_err(|e| StateError::Invalid(e.to_string()))
    }

    fn seal(&self, output: Output, before: Option<StoredOutput>) -> Result<StoredOutput, StateError> {
        let name = output.name;
        let kept = match before.map(|b| b.kind) {
            Some(StoredKind::Webhook { authorization, .. }) => authorization,
            Some(StoredKind::Smtp { password, .. }) => password,
            _ => None,
        };
        let sealed = |secret: Option<SecretString>| match secret {
            Some(secret) => self.seal_text(&name, &secret).map(Some),
            None => Ok(kept.clone()),
        };
        let kind = match output.kind {
            OutputKind::Webhook { url, authorization } => {
                StoredKind::Webhook { url, authorization: sealed(authorization)? }
            }
            OutputKind::Smtp { host, port, security, from, to, username, password } => StoredKind::Smtp {
                host,
                port,
                security: security.as_str().to_owned(),
                from,
                to,
                username,
                password: sealed(password)?,
            },
            OutputKind::Syslog { address, transport } => {
                StoredKind::Syslog { address, transport: transport.as_str().to_owned() }
            }
        };
        Ok(StoredOutput { name, least: output.least, enabled: output.enabled, kind })
    }

    fn open(&self, stored: StoredOutput) -> Result<Output, StateError> {
        let name = stored.name;
        let opened = |sealed: Option<String>| sealed.map(|text| self.open_text(&name, &text)).transpose();
        let kind = match stored.kind {
            StoredKind::Webhook { url, authorization } => {
                OutputKind::Webhook { url, authorization: opened(authorization)? }
            }
            StoredKind::Smtp { host, port, security, from, to, username, password } => OutputKind::Smtp {
                host,
                port,
                security: SmtpSecurity::from_word(&security).ok_or(StateError::Unreadable("mail output"))?,
                from,
                to,
                username,
                password: opened(password)?,
            },
            StoredKind::Syslog { address, transport } => OutputKind::Syslog {
                address,
                transport: SyslogTransport::from_word(&transport)
                    .ok_or(StateError::Unreadable("syslog output"))?,
            },
        };
        Ok(Output { name, kind, least: stored.least, enabled: stored.enabled })
    }

    /// Puts new alerts into the queue of every output that wants them.
    pub async fn enqueue(&self, ctx: &OpContext, alerts: &[&Alert]) -> Result<(), StateError> {
        if alerts.is_empty() {
            return Ok(());
        }
        let (_, outputs) = self.stored(ctx).await?;
        let mut deliveries = Vec::new();
        for output in outputs.iter().filter(|output| output.enabled) {
            for alert in alerts.iter().filter(|alert| alert.severity >= output.least) {
                deliveries.push(NewDelivery {
                    name: format!("{}/{}", output.name, alert.id),
                    output: output.name.clone(),
                    alert: Some(alert.id),
                    payload: serde_json::to_vec(alert).map_err(|e| StateError::Invalid(e.to_string()))?,
                });
            }
        }
        if deliveries.is_empty() {
            return Ok(());
        }
        match self.state.enqueue_deliveries(ctx, deliveries).await {
            // A queue that is full must not hold up detection.
            Err(StateError::Conflict(message)) => {
                tracing::error!(message, "alerts are not queued for outputs");
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Works the queue until stopped.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
            let ctx = OpContext::system(self.tenant, "outputs", Time::now());
            if let Err(error) = self.work(&ctx).await {
                tracing::error!(%error, "outputs wait");
            }
        }
    }

    /// Remembers how the last attempt at an output went.
    fn note(&self, output: &str, failure: Option<String>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = last.entry(output.to_owned()).or_default();
        match failure {
            None => *entry = (Some(Time::now()), String::new()),
            Some(failure) => entry.1 = failure,
        }
    }

    async fn work(&self, ctx: &OpContext) -> Result<(), StateError> {
        // A claim is for longer than an attempt can take; a crash in between makes it due again.
        let due = self.state.claim_deliveries(ctx, ctx.at().plus_secs(120), AT_ONCE).await?;
        if due.is_empty() {
            return Ok(());
        }
        let outputs = self.outputs(ctx).await?;
        let attempts = due.into_iter().map(|delivery| self.attempt(ctx, &outputs, delivery));
        futures::future::join_all(attempts).await.into_iter().collect()
    }

    async fn attempt(
        &self,
        ctx: &OpContext,
        outputs: &[Output],
        delivery: Delivery,
    ) -> Result<(), StateError> {
        let output = outputs.iter().find(|output| output.name == delivery.output && output.enabled);
        let (Some(output), Ok(alert)) = (output, serde_json::from_slice::<Alert>(&delivery.payload)) else {
            let why = "the output was removed or turned off";
            return self.state.delivery_failed(ctx, delivery.sequence, why, None).await;
        };
        let result = deliver(output, self.message(&alert)).await;
        self.note(&output.name, result.as_ref().err().map(ToString::to_string));
        match result {
            Ok(()) => self.state.delivered(ctx, delivery.sequence).await,
            Err(error) => {
                let doublings = delivery.attempts.saturating_sub(1).min(16) as u32;
                let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
                let retry = (delivery.attempts < ATTEMPTS).then(|| Time::now().plus_secs(pause));
                self.state.delivery_failed(ctx, delivery.sequence, &error.to_string(), retry).await
            }
        }
    }
}

/// The output as pages may see it.
pub fn without_secrets(output: &mut Output) {
    match &mut output.kind {
        OutputKind::Webhook { authorization, .. } => *authorization = None,
        OutputKind::Smtp { password, .. } => *password = None,
        OutputKind::Syslog { .. } => {}
    }
}

//! Alerts to the outside: what an output is, and one attempt to deliver one alert to it.
//!
//! When to try, and what to try again, is the dispatcher's business.

mod mail;
mod syslog;
mod webhook;

use std::time::Duration;

use covigil_console::backend::{Output, OutputKind};
use covigil_model::Alert;

/// One attempt takes at most this long.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// Why an attempt failed, for the person who set the output up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeliveryError(pub String);

/// What is delivered: an alert, and where to read more.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// The tenant's name.
    pub tenant: &'a str,
    /// The console's address.
    pub console: &'a str,
    /// This machine's name.
    pub node: &'a str,
}

impl Message<'_> {
    /// The address of the alert in the console.
    pub fn link(&self) -> String {
        format!("{}/alerts/{}", self.console.trim_end_matches('/'), self.alert.id)
    }
}

/// Delivers one alert once.
pub async fn deliver(output: &Output, message: Message<'_>) -> Result<(), DeliveryError> {
    let attempt = async {
        match &output.kind {
            OutputKind::Webhook { url, authorization } => {
                webhook::send(url, authorization.as_ref(), message).await
            }
            OutputKind::Smtp { host, port, security, from, to, username, password } => {
                let server = mail::Server {
                    host,
                    port: *port,
                    security: *security,
                    username,
                    password: password.as_ref(),
                };
                mail::send(server, from, to, message).await
            }
            OutputKind::Syslog { address, transport } => syslog::send(address, *transport, message).await,
        }
    };
    tokio::time::timeout(ATTEMPT_TIMEOUT, attempt)
        .await
        .unwrap_or_else(|_| Err(DeliveryError(format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs()))))
}

/// Text from events in a message for people: on one line, with control and bidirectional characters
/// made visible, at most `limit` characters.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(limit) {
        match c {
            c if c.is_control()
                || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.extend(c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    out
}

/// The alert's entities, as `host web-1, user bob`.
pub(crate) fn entities(alert: &Alert) -> String {
    let named: Vec<String> = alert
        .entities
        .iter()
        .take(8)
        .map(|e| format!("{} {}", e.kind.as_str(), one_line(&e.name, 120)))
        .collect();
    named.join(", ")
}

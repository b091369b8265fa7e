//! Settings that are changed from the console: where alerts are sent.

use async_trait::async_trait;
use covigil_model::{OpContext, Severity};
use secrecy::SecretString;

use super::BackendError;

/// How an SMTP connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS, required.
    StartTls,
    /// None; for a relay on this machine.
    None,
}

impl SmtpSecurity {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::StartTls => "starttls",
            Self::None => "none",
        }
    }

    /// The protection a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Tls, Self::StartTls, Self::None].into_iter().find(|s| s.as_str() == word)
    }
}

/// How syslog is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyslogTransport {
    /// RFC 5426.
    Udp,
    /// RFC 6587, octet counting.
    Tcp,
}

impl SyslogTransport {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// The transport a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp].into_iter().find(|t| t.as_str() == word)
    }
}

/// Where and how.
#[derive(Debug, Clone)]
pub enum OutputKind {
    /// JSON by HTTP POST.
    Webhook {
        /// The address.
        url: String,
        /// Value of the `Authorization` header. `None` keeps the stored one when saving, and is
        /// all that listing returns.
        authorization: Option<SecretString>,
    },
    /// Mail.
    Smtp {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// How the connection is protected.
        security: SmtpSecurity,
        /// Sender.
        from: String,
        /// Recipients.
        to: Vec<String>,
        /// User name, empty for none.
        username: String,
        /// Password. `None` as above.
        password: Option<SecretString>,
    },
    /// RFC 5424.
    Syslog {
        /// `host:port`.
        address: String,
        /// How it is carried.
        transport: SyslogTransport,
    },
}

impl OutputKind {
    /// `webhook`, `smtp` or `syslog`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Smtp { .. } => "smtp",
            Self::Syslog { .. } => "syslog",
        }
    }
}

/// One place where alerts are sent.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its name: unique, 1 to 64 characters.
    pub name: String,
    /// Where and how.
    pub kind: OutputKind,
    /// Only alerts at least that bad.
    pub least: Severity,
    /// Whether it is on.
    pub enabled: bool,
}

/// Settings.
#[async_trait]
pub trait Configuration: Send + Sync {
    /// All outputs, by name, without their secrets.
    async fn outputs(&self, ctx: &OpContext) -> Result<Vec<Output>, BackendError>;
    /// Adds an output, or replaces the one of that name.
    async fn put_output(&self, ctx: &OpContext, output: Output) -> Result<(), BackendError>;
    /// Removes an output.
    async fn remove_output(&self, ctx: &OpContext, name: &str) -> Result<(), BackendError>;
    /// Sends a test alert now, and says what came of it.
    async fn test_output(&self, ctx: &OpContext, name: &str) -> Result<String, BackendError>;
}

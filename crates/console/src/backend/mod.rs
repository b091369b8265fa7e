//! What the pages ask of the program behind them.
//!
//! The port is cut by subject into traits that one type implements together. Every method takes
//! the [`OpContext`](covigil_model::OpContext) of the request: the implementation refuses to touch
//! another tenant's data. Types here are what a page shows, not how anything is stored.

mod alerts;
mod configuration;
mod content;
mod identity;
mod searches;
mod vitals;

use covigil_model::{Party, TenantId};
use futures::stream::BoxStream;

pub use alerts::{
    AlertChange, AlertDetail, AlertFacet, AlertField, AlertFilter, AlertPage, AlertQuery, AlertSort,
    AlertTarget, Alerts, Assigned, Changed, Criticality, EntityChange, EntityContext, FacetCount,
    HistoryEntry, Note,
};
pub use configuration::{Configuration, Output, OutputKind, SmtpSecurity, SyslogTransport};
pub use content::{Content, RuleDetail, RulePage, RuleQuery, RuleState, RuleSummary};
pub use identity::{
    ApiScope, ApiToken, AuditEntry, AuditRecord, Identity, NewApiToken, NewUser, PasskeyRecord,
    PasswordRecord, Session, SignInLink, TokenHash, User, UserChange,
};
pub use searches::{
    Bucket, Completion, EventField, EventView, FieldFacet, SearchItem, SearchLanguage, SearchRequest,
    Searches,
};
pub use vitals::{
    DiskHealth, Live, OutputHealth, RuleFailure, RulesHealth, StoreHealth, SystemHealth, Vitals, WalHealth,
};

/// Whose seat the console is, as shown on every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The tenant whose data the pages show.
    pub tenant: TenantId,
    /// The tenant's name for people.
    pub tenant_name: String,
    /// Whose people sign in here.
    pub party: Party,
    /// The name of the machine or cluster that answers.
    pub node_name: String,
    /// The program's version.
    pub version: String,
}

/// All that the pages ask. Implemented by implementing its parts.
pub trait Backend: Identity + Alerts + Searches + Vitals + Content + Configuration {
    /// Whose seat this is.
    fn seat(&self) -> Seat;
}

/// A stream of answers; dropping it cancels the work behind it.
pub type Answers<T> = BoxStream<'static, Result<T, BackendError>>;

/// Why the backend did not do as asked. Texts are for the person at the screen; the cause behind
/// an [`Unavailable`](BackendError::Unavailable) goes to the log.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// What was named does not exist for this tenant.
    #[error("{0} does not exist (any more)")]
    NotFound(String),
    /// The request makes no sense; the text says what would.
    #[error("{0}")]
    Refused(String),
    /// A search that cannot be read.
    #[error("{message}")]
    Query {
        /// What is wrong, and what would be right.
        message: String,
        /// Byte offset in the query where it goes wrong.
        position: usize,
    },
    /// The number of alerts that a bulk action would touch is not the number that the person saw.
    #[error("{now} alerts match now, not {expected}: look again before you act")]
    CountChanged {
        /// The number that the person agreed to.
        expected: u64,
        /// The number now.
        now: u64,
    },
    /// Something that should work does not.
    #[error("{message}")]
    Unavailable {
        /// What does not work, and the mend.
        message: String,
        /// For the log.
        cause: String,
    },
}

impl BackendError {
    /// An [`Unavailable`](Self::Unavailable) for a failure of `what`.
    pub fn unavailable(what: &str, cause: impl std::fmt::Display) -> Self {
        Self::Unavailable {
            message: format!("{what} did not answer; the log says why"),
            cause: cause.to_string(),
        }
    }
}

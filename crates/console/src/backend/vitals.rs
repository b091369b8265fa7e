//! How the node and its parts fare, and what happens right now.

use async_trait::async_trait;
use covigil_model::{Alert, OpContext, Time, health::SourceHealth};
use futures::stream::BoxStream;
use serde::Serialize;

use super::BackendError;

/// The events at rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct StoreHealth {
    /// Events stored.
    pub events: u64,
    /// Bytes on disk, indexes included.
    pub bytes: u64,
    /// Data files.
    pub files: u64,
    /// Events found by search that are not in a file yet.
    pub unflushed: u64,
    /// Time of the oldest event.
    pub oldest: Option<Time>,
    /// Time of the newest event.
    pub newest: Option<Time>,
    /// The last commit.
    pub last_commit: Option<Time>,
    /// What is wrong and the mend; empty while all is well.
    pub detail: String,
}

/// The write-ahead log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct WalHealth {
    /// Bytes on disk.
    pub bytes: u64,
    /// Segments on disk.
    pub segments: u64,
    /// Records acknowledged, and not yet searchable.
    pub pending: u64,
    /// Records lost in quarantined segments.
    pub quarantined: u64,
    /// What is wrong and the mend; empty while all is well.
    pub detail: String,
}

/// A rule that does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleFailure {
    /// The rule's title, where it could be read.
    pub title: String,
    /// The file.
    pub path: String,
    /// The line, from 1; 0 where it cannot be told.
    pub line: u32,
    /// Why.
    pub reason: String,
}

/// The rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct RulesHealth {
    /// Rules that run.
    pub loaded: u64,
    /// Rules that do not.
    pub failed: Vec<RuleFailure>,
    /// When they were last loaded.
    pub loaded_at: Option<Time>,
}

/// A file system that the node writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskHealth {
    /// The directory.
    pub path: String,
    /// Size in bytes.
    pub total: u64,
    /// Bytes free to the node.
    pub free: u64,
    /// What is wrong and the mend; empty while all is well.
    pub detail: String,
}

impl DiskHealth {
    /// Percent in use.
    pub fn used_share(&self) -> u64 {
        self.total.saturating_sub(self.free).saturating_mul(100).checked_div(self.total).unwrap_or(0)
    }
}

/// Where alerts are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputHealth {
    /// The output's name.
    pub name: String,
    /// `webhook`, `smtp` or `syslog`.
    pub kind: String,
    /// Alerts that wait to be sent.
    pub queued: u64,
    /// The last that was sent.
    pub last_sent: Option<Time>,
    /// The last failure; empty while all is well.
    pub detail: String,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SystemHealth {
    /// When the node started.
    pub started: Time,
    /// Events per second over the last minute.
    pub rate: f64,
    /// Resident memory in bytes.
    pub memory: u64,
    /// The events at rest.
    pub store: StoreHealth,
    /// The write-ahead log.
    pub wal: WalHealth,
    /// The rules.
    pub rules: RulesHealth,
    /// Disks.
    pub disks: Vec<DiskHealth>,
    /// Outputs.
    pub outputs: Vec<OutputHealth>,
}

/// Something that just happened.
#[derive(Debug, Clone)]
pub enum Live {
    /// An alert was raised.
    Raised(Box<Alert>),
    /// An alert has other findings, state or assignee than before.
    Changed(Box<Alert>),
    /// A source's or part's state changed.
    Health,
}

/// Health and what is live.
#[async_trait]
pub trait Vitals: Send + Sync {
    /// All sources, by name, unreadable ones too.
    async fn sources(&self, ctx: &OpContext) -> Result<Vec<SourceHealth>, BackendError>;
    /// The parts.
    async fn system(&self, ctx: &OpContext) -> Result<SystemHealth, BackendError>;
    /// What happens from now on, without end. A consumer that is too slow misses items rather
    /// than holding anything up.
    fn live(&self, ctx: &OpContext) -> BoxStream<'static, Live>;
}

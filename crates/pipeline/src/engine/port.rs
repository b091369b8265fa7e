//! What the engine asks of the program that runs it.

use async_trait::async_trait;
use covigil_model::{Finding, Time};
use covigil_store::wal::Position;

/// Why something could not be kept. The engine waits and tries again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PortError(pub String);

/// A change of the node's own health that people should know of.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "changes are rare and never kept in numbers")]
pub enum HealthChange {
    /// Something is wrong from now on.
    Began(Finding),
    /// What the group's findings told of is over.
    Ended {
        /// The findings' group.
        group: String,
        /// When it ended.
        at: Time,
    },
}

/// Keeps findings.
#[async_trait]
pub trait FindingSink: Send + Sync {
    /// Keeps findings durably. One whose id is kept already changes nothing. Called before the
    /// events of the findings are stored, batch by batch, in order; only a finding that has been
    /// kept is let go.
    async fn findings(&self, findings: &[Finding]) -> Result<(), PortError>;

    /// Keeps a change of health.
    async fn health(&self, change: &HealthChange) -> Result<(), PortError>;
}

/// Keeps the state of correlations.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// The state that was kept last, and the position of the last event in it.
    async fn load(&self) -> Result<Option<(Position, Vec<u8>)>, PortError>;

    /// Keeps state in place of what was kept before, both parts or neither.
    async fn save(&self, position: Position, state: &[u8]) -> Result<(), PortError>;
}

//! The rules that run, and those that do not.

use async_trait::async_trait;
use covigil_model::{OpContext, RuleRef, Severity, Time};

use super::BackendError;

/// Whether a rule runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleState {
    /// It runs.
    On,
    /// It was turned off.
    Off,
    /// It cannot run; why.
    Failed(String),
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSummary {
    /// Id, or the path where it has none.
    pub id: String,
    /// Title.
    pub title: String,
    /// Level.
    pub level: Severity,
    /// `detection`, `correlation` or `filter`.
    pub kind: String,
    /// The log source it looks at, such as `windows / process_creation`.
    pub log_source: String,
    /// Whether it runs.
    pub state: RuleState,
    /// Findings since the node started.
    pub findings: u64,
}

/// Which rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleQuery {
    /// A substring of title, id, log source or technique.
    pub text: String,
    /// That level only.
    pub level: Option<Severity>,
    /// Only those that do not run.
    pub failed_only: bool,
    /// Skip so many.
    pub offset: usize,
    /// At most so many.
    pub limit: usize,
}

/// A page of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RulePage {
    /// The rules, by title.
    pub rules: Vec<RuleSummary>,
    /// How many there are.
    pub total: u64,
}

/// One rule to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDetail {
    /// What findings carry of it.
    pub rule: RuleRef,
    /// Its text.
    pub text: String,
    /// Where it comes from.
    pub path: String,
    /// The log source it looks at.
    pub log_source: String,
    /// Who wrote it.
    pub author: String,
    /// Whether it runs.
    pub state: RuleState,
    /// Findings since the node started.
    pub findings: u64,
    /// The last of them.
    pub last_finding: Option<Time>,
}

/// The content.
#[async_trait]
pub trait Content: Send + Sync {
    /// A page of rules.
    async fn rules(&self, ctx: &OpContext, query: &RuleQuery) -> Result<RulePage, BackendError>;
    /// One rule.
    async fn rule(&self, ctx: &OpContext, id: &str) -> Result<Option<RuleDetail>, BackendError>;
}

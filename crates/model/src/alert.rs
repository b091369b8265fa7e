//! A deduplicated group of findings that asks for attention.

use serde::{Deserialize, Serialize};

use crate::{
    entity::EntityRef,
    finding::RuleRef,
    id::{AlertId, TenantId, UserId},
    severity::Severity,
    time::Time,
};

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nobody has taken it.
    New,
    /// Someone works on it.
    InProgress,
    /// Finished, with a [`Disposition`].
    Closed,
}

impl AlertState {
    /// The state's word, as in queries and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InProgress => "in_progress",
            Self::Closed => "closed",
        }
    }

    /// The state a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "new" => Self::New,
            "in_progress" => Self::InProgress,
            "closed" => Self::Closed,
            _ => return None,
        })
    }
}

/// How an alert was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// It was what the rule says it is, and it was bad.
    TruePositive,
    /// It was what the rule says it is, and it was allowed.
    Benign,
    /// The rule was wrong.
    FalsePositive,
    /// The same as another alert.
    Duplicate,
}

impl Disposition {
    /// All dispositions, in the order in which the console offers them.
    pub const ALL: [Self; 4] = [Self::TruePositive, Self::Benign, Self::FalsePositive, Self::Duplicate];

    /// The disposition's word, as in queries and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "true_positive",
            Self::Benign => "benign",
            Self::FalsePositive => "false_positive",
            Self::Duplicate => "duplicate",
        }
    }

    /// The disposition a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.as_str() == word)
    }
}

/// One row of the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Derived from tenant, group and the first finding.
    pub id: AlertId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The rule of its findings.
    pub rule: RuleRef,
    /// The family that raised it.
    pub solution: String,
    /// Severity, from the rule.
    pub severity: Severity,
    /// 0 to 100: the severity, raised or lowered by what is known of its entities.
    pub risk: u8,
    /// Findings with this key join the alert while it is open.
    pub group: String,
    /// What was counted, for correlations.
    pub summary: Option<String>,
    /// Whom and what it concerns.
    pub entities: Vec<EntityRef>,
    /// Number of findings in it.
    pub count: u64,
    /// Event time of its first finding.
    pub first_seen: Time,
    /// Event time of its last finding.
    pub last_seen: Time,
    /// When the node raised it.
    pub raised: Time,
    /// Where it stands.
    pub state: AlertState,
    /// How it was closed; only when closed.
    pub disposition: Option<Disposition>,
    /// Who works on it.
    pub assignee: Option<UserId>,
    /// The assignee's name.
    pub assignee_name: Option<String>,
    /// When it last changed.
    pub changed: Time,
}

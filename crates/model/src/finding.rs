//! What a solution concludes from events or state (OCSF category 2).

use serde::{Deserialize, Serialize};

use crate::{entity::EntityRef, event::EventId, id::FindingId, severity::Severity, time::Time};

/// The rule that a finding comes from, with what people need to read beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    /// The rule's id: a UUID in Sigma, or a family's own stable name.
    pub id: String,
    /// The rule's title.
    pub title: String,
    /// How bad a match is.
    pub level: Severity,
    /// ATT&CK technique ids, upper case, such as `T1110.001`.
    pub techniques: Vec<String>,
    /// ATT&CK tactic names, lower case with dashes, such as `credential-access`.
    pub tactics: Vec<String>,
    /// What the rule looks for, from its description.
    pub description: String,
    /// Known reasons for false positives, from the rule.
    pub false_positives: Vec<String>,
    /// Where to read more.
    pub references: Vec<String>,
}

/// A field and the value in it that a rule matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// The field under the source's own name; empty for a keyword match anywhere in the event.
    pub field: String,
    /// The whole value of the field.
    pub value: String,
}

/// One conclusion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Derived from rule and events, so that the same conclusion drawn twice is one.
    pub id: FindingId,
    /// The family that drew it, such as `siem`.
    pub solution: String,
    /// The rule.
    pub rule: RuleRef,
    /// Event time of the (last) event.
    pub time: Time,
    /// The events it rests on; the last is the one that completed it.
    pub events: Vec<EventId>,
    /// What matched in the last event.
    pub matched: Vec<Matched>,
    /// Whom and what it concerns.
    pub entities: Vec<EntityRef>,
    /// Findings with the same key are one alert. Rule id plus the grouping values.
    pub group: String,
    /// For a correlation: what was counted, such as `5 events in 60 s`.
    pub summary: Option<String>,
}

impl Finding {
    /// The id of the finding that `rule_id` draws from `events` grouped by `group`.
    pub fn derive_id(rule_id: &str, events: &[EventId], group: &str) -> FindingId {
        let mut text = String::new();
        for event in events {
            use std::fmt::Write as _;
            let _ = write!(text, "{event}\n");
        }
        FindingId::derived(&[rule_id.as_bytes(), text.as_bytes(), group.as_bytes()])
    }
}

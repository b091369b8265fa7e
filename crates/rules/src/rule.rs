//! A rule as people see it: what stands in its YAML besides the detection.

use std::{fmt, sync::Arc};

use covigil_model::{RuleRef, Severity};
use serde::{Deserialize, Serialize};

use crate::{expr::Expr, yaml::Node};

/// A rule's place in its [`crate::RuleSet`]; has no meaning in another set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleIndex(pub u32);

impl RuleIndex {
    /// The place as a number from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The labels of a rule's `logsource`; a label that is absent applies to every event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
pub struct RuleLogSource {
    /// For example `windows`.
    pub product: Option<String>,
    /// For example `sysmon`.
    pub service: Option<String>,
    /// For example `process_creation`.
    pub category: Option<String>,
}

impl RuleLogSource {
    /// Whether a rule with these labels applies to events of the log source.
    pub fn covers(&self, events: &covigil_model::LogSource) -> bool {
        events.covers(self.product.as_deref(), self.service.as_deref(), self.category.as_deref())
    }

    /// Whether every label that is named here is named alike by `rule`.
    pub fn includes(&self, rule: &Self) -> bool {
        let fits = |filter: &Option<String>, rule: &Option<String>| filter.is_none() || filter == rule;
        fits(&self.product, &rule.product)
            && fits(&self.service, &rule.service)
            && fits(&self.category, &rule.category)
    }

    pub(crate) fn read(node: Option<&Node>) -> Self {
        let label = |key| {
            let text = node?.get(key)?.scalar()?.trim().to_lowercase();
            (!text.is_empty()).then_some(text)
        };
        Self { product: label("product"), service: label("service"), category: label("category") }
    }
}

impl fmt::Display for RuleLogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [("product", &self.product), ("service", &self.service), ("category", &self.category)];
        let mut first = true;
        for (label, value) in named {
            if let Some(value) = value {
                write!(f, "{}{label}={value}", if first { "" } else { " " })?;
                first = false;
            }
        }
        if first { f.write_str("every event") } else { Ok(()) }
    }
}

/// One detection or correlation rule that is in use.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The rule's `id`; where it has none its `name`, else its title.
    pub id: String,
    /// The `name` by which correlations may refer to it.
    pub name: Option<String>,
    /// The title.
    pub title: String,
    /// How bad a match is; `medium` where the rule does not say.
    pub level: Severity,
    /// `stable`, `test`, `experimental`, …
    pub status: Option<String>,
    /// Which events it applies to.
    pub log_source: RuleLogSource,
    /// Fields that help in judging a match.
    pub fields: Vec<String>,
    /// All tags, as written.
    pub tags: Vec<String>,
    /// ATT&CK techniques among the tags, as `T1110.001`.
    pub techniques: Vec<String>,
    /// ATT&CK tactics among the tags, as `credential-access`.
    pub tactics: Vec<String>,
    /// What it looks for.
    pub description: String,
    /// Known reasons for false positives.
    pub false_positives: Vec<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// When it was last changed, or else made; as written.
    pub date: Option<String>,
    /// The file it comes from.
    pub path: Arc<str>,
    /// The line in that file where it begins, from 1.
    pub line: u32,
    /// Its YAML.
    pub source: Arc<str>,
    /// Whether it is a correlation over other rules; then it matches no event by itself.
    pub is_correlation: bool,
    /// The conditions as written; more than one are alternatives.
    pub conditions: Vec<String>,
    /// Titles of the filters that apply to it.
    pub filters: Vec<String>,
    /// What it asks of one event, filters included; `None` for correlations.
    pub(crate) expr: Option<Expr>,
}

impl Rule {
    /// What a finding carries of the rule.
    pub fn reference(&self) -> RuleRef {
        RuleRef {
            id: self.id.clone(),
            title: self.title.clone(),
            level: self.level,
            techniques: self.techniques.clone(),
            tactics: self.tactics.clone(),
            description: self.description.clone(),
            false_positives: self.false_positives.clone(),
            references: self.references.clone(),
        }
    }

    /// What it asks of one event, filters included; `None` for correlations.
    pub const fn expr(&self) -> Option<&Expr> {
        self.expr.as_ref()
    }

    /// Reads what stands beside the detection. The error is the reason for people.
    pub(crate) fn read(node: &Node, path: &Arc<str>, line: u32, source: Arc<str>) -> Result<Self, String> {
        let text = |key: &str| node.get(key).and_then(Node::scalar).map(|t| t.trim().to_owned());
        let filled = |key: &str| text(key).filter(|t| !t.is_empty());
        let texts = |key: &str| node.get(key).map(Node::texts).unwrap_or_default();
        let title = filled("title").ok_or("the rule has no title")?;
        let level = match filled("level") {
            None => Severity::Medium,
            Some(word) => Severity::from_word(&word.to_lowercase()).ok_or_else(|| {
                format!("unknown level `{word}`: use informational, low, medium, high or critical")
            })?,
        };
        let name = filled("name");
        let tags = texts("tags");
        let (techniques, tactics) = attack(&tags);
        Ok(Self {
            id: filled("id").or_else(|| name.clone()).unwrap_or_else(|| title.clone()),
            name,
            level,
            status: filled("status"),
            log_source: RuleLogSource::read(node.get("logsource")),
            fields: texts("fields"),
            techniques,
            tactics,
            tags,
            description: text("description").unwrap_or_default(),
            false_positives: texts("falsepositives"),
            references: texts("references"),
            author: filled("author"),
            date: filled("modified").or_else(|| filled("date")),
            path: Arc::clone(path),
            line,
            source,
            is_correlation: false,
            conditions: Vec::new(),
            filters: Vec::new(),
            expr: None,
            title,
        })
    }
}

/// Techniques and tactics among tags of the `attack` namespace.
fn attack(tags: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut techniques, mut tactics) = (Vec::new(), Vec::new());
    for tag in tags {
        let tag = tag.to_lowercase();
        let Some(name) = tag.strip_prefix("attack.") else { continue };
        let is_technique = name
            .strip_prefix('t')
            .is_some_and(|n| n.len() >= 4 && n.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        if is_technique {
            techniques.push(name.to_uppercase());
        } else if !name.bytes().any(|b| b.is_ascii_digit()) {
            tactics.push(name.replace('_', "-"));
        }
    }
    (techniques, tactics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_tags_are_techniques_or_tactics() {
        let tags: Vec<String> = [
            "attack.t1059.001",
            "attack.Credential_Access",
            "attack.g0049",
            "attack.s0002",
            "cve.2021-44228",
            "tlp.red",
        ]
        .map(String::from)
        .to_vec();
        assert_eq!(attack(&tags), (vec!["T1059.001".into()], vec!["credential-access".into()]));
    }
}

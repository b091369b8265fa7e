//! Filters (Sigma Filters Specification): one condition added to many rules.
//!
//! A filter names rules by id or name, or says `any`, and applies to those of them whose log source
//! has every label of its own. Its condition is joined by *and*: to leave events out, the filter
//! says `condition: not selection`.

use crate::{
    detection::{self, Detection, Fault, Placeholders},
    rule::{Rule, RuleLogSource},
    yaml::Node,
};

/// A filter, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub title: String,
    pub log_source: RuleLogSource,
    /// Ids and names of rules; `None` for any.
    pub rules: Option<Vec<String>>,
    pub detection: Detection,
}

impl Filter {
    /// Whether the filter applies to the rule.
    pub fn applies_to(&self, rule: &Rule) -> bool {
        let named = match &self.rules {
            None => true,
            Some(names) => names.iter().any(|name| *name == rule.id || Some(name) == rule.name.as_ref()),
        };
        named && self.log_source.includes(&rule.log_source)
    }
}

pub(crate) fn read(node: &Node, line: u32, placeholders: &Placeholders) -> Result<Filter, Fault> {
    let title = node
        .get("title")
        .and_then(Node::scalar)
        .map(str::trim)
        .filter(|title| !title.is_empty())
        .ok_or_else(|| Fault::at(line, "the filter has no title"))?;
    let Some(section) = node.get("filter") else {
        return Err(Fault::at(line, "the filter has no `filter` section"));
    };
    let Some(logsource) = node.get("logsource") else {
        return Err(Fault::at(line, "the filter has no `logsource`"));
    };
    let Some(rules) = section.get("rules") else {
        return Err(Fault::at(
            section.line,
            "the filter does not say which `rules` it applies to; name their ids, or `any`",
        ));
    };
    let names = rules.texts();
    if names.is_empty() {
        return Err(Fault::at(
            rules.line,
            "the filter's list of `rules` is empty; name their ids, or write `any`",
        ));
    }
    let any = names.len() == 1 && names[0].eq_ignore_ascii_case("any");
    Ok(Filter {
        title: title.to_owned(),
        log_source: RuleLogSource::read(Some(logsource)),
        rules: (!any).then_some(names),
        detection: detection::read(section, placeholders, &["rules"])?,
    })
}

//! What `covigil rules check` says of a set of rules: totals, each failure, and remarks on rules
//! that run but deserve a second look.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{load::LoadFailure, rule::Rule, set::RuleSet};

/// The result of checking rules; its JSON form is part of the command's contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Rules, correlations and filters found.
    pub total: usize,
    /// Those that run.
    pub loaded: usize,
    /// Those that do not.
    pub failed: usize,
    /// Of those that run, correlations.
    pub correlations: usize,
    /// Of those that run, filters.
    pub filters: usize,
    /// Rules that run, by level.
    pub levels: BTreeMap<&'static str, usize>,
    /// Rules that run, by log source.
    pub log_sources: BTreeMap<String, usize>,
    /// Each that does not run, in the order of the files.
    pub failures: Vec<LoadFailure>,
    /// Remarks on rules that run.
    pub remarks: Vec<Remark>,
}

/// Something to know about a rule that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The file.
    pub path: String,
    /// The line in it, from 1.
    pub line: u32,
    /// The rule's title.
    pub title: String,
    /// The rule's id.
    pub id: String,
    /// The remark.
    pub text: String,
}

impl Check {
    /// Checks a compiled set.
    pub fn of(set: &RuleSet) -> Self {
        let report = set.report();
        let mut failures = report.failed.clone();
        failures.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        let mut levels = BTreeMap::new();
        let mut log_sources = BTreeMap::new();
        for rule in set.rules() {
            *levels.entry(rule.level.as_str()).or_insert(0) += 1;
            if !rule.is_correlation {
                *log_sources.entry(rule.log_source.to_string()).or_insert(0) += 1;
            }
        }
        let unwakeable =
            set.program().partitions.iter().flat_map(|partition| {
                partition.always.iter().map(|rule| partition.rules[*rule as usize].index)
            });
        let mut remarks: Vec<Remark> = unwakeable
            .filter_map(|index| set.rule(index))
            .map(|rule| {
                remark(
                    rule,
                    "it is evaluated for every event of its log source, as it asks only for what is absent; \
                     a search for something present makes it cheaper",
                )
            })
            .collect();
        remarks.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        Self {
            total: report.total,
            loaded: report.loaded,
            failed: failures.len(),
            correlations: report.correlations,
            filters: report.filters,
            levels,
            log_sources,
            failures,
            remarks,
        }
    }
}

fn remark(rule: &Rule, text: &str) -> Remark {
    Remark {
        path: rule.path.to_string(),
        line: rule.line,
        title: rule.title.clone(),
        id: rule.id.clone(),
        text: text.to_owned(),
    }
}

/// Failures and remarks, one a line, then the totals.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        for Remark { path, line, title, text, .. } in &self.remarks {
            writeln!(f, "{path}:{line}: remark: {text} ({title})")?;
        }
        write!(f, "{} found, {} loaded, {} failed", self.total, self.loaded, self.failed)
    }
}

//! The rules that run now: compiled from what is brought along and what was added, and compiled anew when a
//! set changes.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use covigil_model::{Finding, Time};
use covigil_rules::{Options, RuleSet, RuleText};

use super::{read_rules, sets};

/// Rules that findings are counted for.
const MOST_COUNTED: usize = 100_000;

/// The rules that run now.
pub struct LiveRules {
    data: PathBuf,
    options: Options,
    current: RwLock<(Arc<RuleSet>, Time)>,
    state: Mutex<Option<Fingerprint>>,
    findings: Mutex<HashMap<String, (u64, Time)>>,
}

/// Tells whether the added sets changed: when each was put in place.
type Fingerprint = Vec<(String, Option<SystemTime>)>;

impl LiveRules {
    /// Compiles the rules of a data folder.
    pub fn load(data: &Path, options: Options) -> Self {
        let rules = compile(data, &options);
        Self {
            data: data.to_owned(),
            options,
            current: RwLock::new((Arc::new(rules), Time::now())),
            state: Mutex::new(fingerprint(data)),
            findings: Mutex::default(),
        }
    }

    /// The rules.
    pub fn current(&self) -> Arc<RuleSet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// When they were compiled.
    pub fn loaded_at(&self) -> Time {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Compiles the rules anew if a set was added or updated since; yields them if so.
    pub fn reload_if_changed(&self) -> Option<Arc<RuleSet>> {
        let now = fingerprint(&self.data);
        let mut seen = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.is_none() || *seen == now {
            return None;
        }
        *seen = now;
        let rules = Arc::new(compile(&self.data, &self.options));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (Arc::clone(&rules), Time::now());
        Some(rules)
    }

    /// Counts findings for the rules' pages.
    pub fn count(&self, findings: &[Finding]) {
        let mut counts = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        for finding in findings {
            if counts.len() >= MOST_COUNTED && !counts.contains_key(&finding.rule.id) {
                continue;
            }
            let count = counts.entry(finding.rule.id.clone()).or_insert((0, finding.time));
            count.0 += 1;
            count.1 = count.1.max(finding.time);
        }
    }

    /// Findings of a rule since the start, and the time of the last.
    pub fn findings_of(&self, rule: &str) -> (u64, Option<Time>) {
        let counts = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(rule).map_or((0, None), |(count, last)| (*count, Some(*last)))
    }
}

fn fingerprint(data: &Path) -> Option<Fingerprint> {
    let sets = sets::list(data).ok()?;
    Some(
        sets.into_iter()
            .map(|set| {
                let changed = set.files.parent().and_then(|d| std::fs::metadata(d.join("origin.toml")).ok());
                (set.name, changed.and_then(|m| m.modified().ok()))
            })
            .collect(),
    )
}

/// What families bring comes first, so that an added copy of one of its rules is reported, not preferred.
fn compile(data: &Path, options: &Options) -> RuleSet {
    let mut texts: Vec<RuleText> = Vec::new();
    for solution in covigil_catalog::solutions() {
        texts.extend(
            solution
                .rules
                .iter()
                .map(|(path, text)| RuleText { path: (*path).to_owned(), text: (*text).to_owned() }),
        );
    }
    match sets::list(data) {
        Ok(sets) => {
            for set in sets {
                let (found, unread) = read_rules(&set.files);
                texts.extend(found);
                for file in unread {
                    tracing::warn!(path = %file.path.display(), reason = file.reason, "a rule file cannot be read");
                }
            }
        }
        Err(error) => tracing::error!(%error, "the added rule sets cannot be listed"),
    }
    RuleSet::compile(&texts, options)
}

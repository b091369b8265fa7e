//! Correlation over files: events are kept while files are read, and correlated at the end in the order of
//! their own times, so that the order of files and lines does not matter.

use std::sync::Arc;

use covigil_model::{Event, Finding};
use covigil_rules::{
    Detector, RuleIndex, RuleSet,
    correlation::{Correlator, Limits},
};

use super::output::Located;

/// Events kept at most; about 2 KB each.
pub const MAX_KEPT: usize = 1_000_000;

/// An event that correlations count, and the rules it matched.
pub struct Counted {
    /// The event.
    pub event: Event,
    /// The rules.
    pub rules: Vec<RuleIndex>,
}

/// The correlations of a rule set, and what they will count.
pub struct Correlations {
    plan: Arc<Correlator>,
    kept: Vec<Counted>,
    dropped: u64,
}

impl Correlations {
    /// Those of a rule set.
    pub fn of(rules: &RuleSet) -> Self {
        Self { plan: Arc::new(rules.correlator(Limits::default())), kept: Vec::new(), dropped: 0 }
    }

    /// Which rules they count, for the workers.
    pub fn plan(&self) -> Arc<Correlator> {
        Arc::clone(&self.plan)
    }

    /// Keeps events until all files are read.
    pub fn keep(&mut self, events: Vec<Counted>) {
        let room = MAX_KEPT.saturating_sub(self.kept.len());
        self.dropped += events.len().saturating_sub(room) as u64;
        self.kept.extend(events.into_iter().take(room));
    }

    /// Events that did not find room.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What the correlations conclude; each finding at its last event.
    pub fn conclude(mut self, rules: &Arc<RuleSet>) -> Vec<Located> {
        self.kept.sort_by(|a, b| (a.event.time, &a.event.id).cmp(&(b.event.time, &b.event.id)));
        let mut detector = Detector::new(Arc::clone(rules), Limits::default());
        let mut findings: Vec<Finding> = Vec::new();
        for counted in &self.kept {
            detector.observe(&counted.event, &counted.rules, &mut findings);
        }
        let concluded = findings.into_iter().filter(|finding| finding.summary.is_some());
        concluded
            .map(|finding| {
                let last = finding.events.last();
                let path = last.map(|id| id.source.to_string()).unwrap_or_default();
                let record = last.map_or(0, |id| id.sequence);
                Located { finding, path, record }
            })
            .collect()
    }
}

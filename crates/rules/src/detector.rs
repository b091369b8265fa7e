//! Events and the rules they match, in order, to findings.
//!
//! Matching has no state and runs in parallel ([`crate::Matcher`]); a detector sees the results in
//! one order, that of the log, and keeps the correlations' state. Its findings are derived from
//! rules and events alone, so that a replay yields the same ones.

use std::sync::Arc;

use covigil_model::{EntityRef, Event, Finding, Matched};

use crate::{
    correlation::{CorrelationHit, Correlator, Counters, Limits, Restored, SnapshotError},
    rule::RuleIndex,
    set::RuleSet,
};

/// Joins matches and correlations into findings.
#[derive(Debug, Clone)]
pub struct Detector {
    rules: Arc<RuleSet>,
    limits: Limits,
    correlator: Correlator,
    matched: Vec<u32>,
    hits: Vec<CorrelationHit>,
}

impl Detector {
    /// A detector of these rules, without state.
    pub fn new(rules: Arc<RuleSet>, limits: Limits) -> Self {
        let correlator = rules.correlator(limits.clone());
        Self { rules, limits, correlator, matched: Vec::new(), hits: Vec::new() }
    }

    /// The rules.
    pub const fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Takes the next event and the rules it matches, and appends the findings: one for each rule
    /// that raises findings of its own, and one for each correlation that this event completes.
    pub fn observe(&mut self, event: &Event, matched: &[RuleIndex], out: &mut Vec<Finding>) {
        if matched.is_empty() {
            return;
        }
        for rule in matched {
            if !self.correlator.is_silenced(rule.0) {
                out.extend(self.rules.finding(*rule, event));
            }
        }
        if self.correlator.is_empty() {
            return;
        }
        self.matched.clear();
        self.matched.extend(matched.iter().map(|rule| rule.0));
        self.correlator.observe(event, &self.matched, &mut self.hits);
        for hit in self.hits.drain(..) {
            out.extend(finding(&self.rules, &hit, event));
        }
    }

    /// Exchanges the rules. Correlations that did not change keep their state.
    pub fn reload(&mut self, rules: Arc<RuleSet>) -> Result<Restored, SnapshotError> {
        let state = self.snapshot();
        *self = Self::new(rules, self.limits.clone());
        self.restore(&state)
    }

    /// The correlations' state as bytes, to survive a restart.
    pub fn snapshot(&self) -> Vec<u8> {
        self.correlator.snapshot()
    }

    /// Takes over the state in a snapshot of correlations that did not change since.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<Restored, SnapshotError> {
        self.correlator.restore(snapshot)
    }

    /// What the correlations did and hold.
    pub fn counters(&self) -> &Counters {
        self.correlator.counters()
    }
}

/// The finding of a correlation that `event` completed. It shows the values by which it groups.
fn finding(rules: &RuleSet, hit: &CorrelationHit, event: &Event) -> Option<Finding> {
    let correlation = rules.correlations().get(hit.rule as usize)?;
    let rule = rules.rule(correlation.rule)?;
    let matched =
        hit.group.iter().map(|(field, value)| Matched { field: field.clone(), value: value.clone() });
    Some(Finding {
        id: Finding::derive_id(&rule.id, &hit.events, &hit.key),
        solution: "siem".into(),
        rule: rule.reference(),
        time: hit.time,
        events: hit.events.clone(),
        matched: matched.collect(),
        entities: EntityRef::of_event(event),
        group: hit.key.clone(),
        summary: Some(hit.summary.clone()),
    })
}

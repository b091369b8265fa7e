//! Which rules an event matches.

use std::sync::Arc;

use covigil_model::Event;

use crate::{evaluate, rule::RuleIndex, set::RuleSet};

/// Matches events against a rule set; one per worker.
#[derive(Debug)]
pub struct Matcher {
    rules: Arc<RuleSet>,
}

impl Matcher {
    /// A matcher of these rules.
    pub const fn new(rules: Arc<RuleSet>) -> Self {
        Self { rules }
    }

    /// Appends the rules that the event matches, ascending.
    pub fn matches(&mut self, event: &Event, out: &mut Vec<RuleIndex>) {
        for (index, rule) in self.rules.rules().iter().enumerate() {
            let Some(expr) = rule.expr() else { continue };
            if rule.log_source.covers(&event.log_source) && evaluate::holds(expr, event) {
                out.push(RuleIndex(index as u32));
            }
        }
    }
}

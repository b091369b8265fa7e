//! Rules compiled for speed: what is worked out once, so that an event costs little.
//!
//! Walking thousands of rules for each event is slow even when each is cheap. The compiled form
//! turns the question around: not "does this rule match?" but "which literals stand in this value?"
//!
//! 1. Rules are **partitioned** by log source ([`partition`]). An event looks only at the
//!    partitions that cover its own labels; what rules of other log sources exist costs nothing.
//! 2. Each field of a partition has one [`scanner`] over the literals of all rules: a trie from the
//!    front for whole values and prefixes, a trie from the back for suffixes, and
//!    [`fingerprint`]s for what may stand anywhere. A value is lowered once and read once.
//! 3. A found literal sets **predicates**. A predicate is one field's list of alternatives, such as
//!    `Image|endswith: [a, b]`; equal lists of different rules are one predicate. What no literal
//!    decides (regular expressions, wildcards inside, networks, numbers) is *lazy*: it runs when
//!    a rule asks, at most once per event. Where a regular expression or a wildcard pattern implies
//!    a literal ([`anchor`]), the literal gates it: no literal, no run.
//! 4. A rule is evaluated only when one of its **triggers** fired: a set of predicates of which at
//!    least one holds whenever the rule matches. Of the possible sets the rarest is chosen
//!    ([`trigger`]), so that `EventID: 1` or `endswith: .exe` do not wake hundreds of rules. A rule
//!    without such a set (only negations, or `null`) is evaluated for each event of its partition.
//!
//! Everything here is immutable and shared by all workers; what changes per event is in
//! [`crate::matcher`].

pub(crate) mod anchor;
pub(crate) mod fingerprint;
pub(crate) mod partition;
pub(crate) mod scanner;
pub(crate) mod trie;
pub(crate) mod trigger;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::{
    expr::{Expr, FieldTest, Test},
    rule::{Rule, RuleIndex, RuleLogSource},
};

use partition::Partition;

/// A field's number, the same in all partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FieldId(pub u32);

/// The compiled form of all detection rules.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// Every field name that a rule asks for.
    pub fields: FxHashMap<Box<str>, FieldId>,
    /// The rules, by log source.
    pub partitions: Vec<Partition>,
}

impl Program {
    /// Compiles the rules; correlations are left out.
    pub fn new(rules: &[Rule]) -> Self {
        let mut fields = FxHashMap::default();
        let mut by_source: BTreeMap<&RuleLogSource, Vec<(RuleIndex, &Expr)>> = BTreeMap::new();
        for (index, rule) in rules.iter().enumerate() {
            let Some(expr) = &rule.expr else { continue };
            name_fields(expr, &mut fields);
            by_source.entry(&rule.log_source).or_default().push((RuleIndex(index as u32), expr));
        }
        let partitions =
            by_source.into_iter().map(|(source, rules)| Partition::new(source, &rules, &fields)).collect();
        Self { fields, partitions }
    }

    /// Numbers of the partitions whose rules apply to events of the log source.
    pub fn covering(&self, events: &covigil_model::LogSource) -> Vec<u32> {
        let covers = |(_, partition): &(usize, &Partition)| partition.log_source.covers(events);
        self.partitions.iter().enumerate().filter(covers).map(|(number, _)| number as u32).collect()
    }
}

/// Gives a number to each field that the tree asks for.
fn name_fields(expr: &Expr, fields: &mut FxHashMap<Box<str>, FieldId>) {
    let mut name = |field: &str| {
        if !fields.contains_key(field) {
            let id = FieldId(fields.len() as u32);
            fields.insert(field.into(), id);
        }
    };
    match expr {
        Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            for part in parts {
                name_fields(part, fields);
            }
        }
        Expr::Not(inner) => name_fields(inner, fields),
        Expr::Test(FieldTest { field, tests }) => {
            if let Some(field) = field {
                name(field);
            }
            for test in tests {
                if let Test::Reference { field, .. } = test {
                    name(field);
                }
            }
        }
    }
}

//! The compiled matcher against the reference, which reads the specification straight.

use std::sync::Arc;

use covigil_model::Event;
use covigil_rules::{Matcher, Options, RuleIndex, RuleSet, RuleText};
use covigil_testkit::{
    event::PlainEvent,
    generate::detections::{placeholders, rules_and_events},
    sigma::{Prepared, Rule},
};
use proptest::prelude::*;
use serde_json::Value;

/// JSON is YAML.
fn compiled(documents: &[Value]) -> Arc<RuleSet> {
    let texts: Vec<RuleText> = documents
        .iter()
        .enumerate()
        .map(|(n, document)| RuleText { path: format!("{n}.yml"), text: document.to_string() })
        .collect();
    let options = Options { placeholders: placeholders().into_iter().collect() };
    let rules = RuleSet::compile(&texts, &options);
    assert_eq!(rules.report().failed, [], "{}", serde_json::to_string_pretty(documents).unwrap());
    Arc::new(rules)
}

fn by_engine(rules: &RuleSet, matcher: &mut Matcher, event: &Event) -> Vec<String> {
    let mut found = Vec::new();
    matcher.matches(event, &mut found);
    found.into_iter().filter_map(|index: RuleIndex| rules.rule(index)).map(|rule| rule.id.clone()).collect()
}

fn by_reference(rules: &[Rule], event: &PlainEvent) -> Vec<String> {
    let event = Prepared::new(event.clone());
    rules.iter().filter(|r| r.applies(event.event()) && r.holds(&event)).map(|r| r.id.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::cases(4_000), max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// One matcher sees all events, so that nothing of one may show in the next.
    #[test]
    fn compiled_rules_match_what_the_specification_says((documents, events) in rules_and_events()) {
        let rules = compiled(&documents);
        let reference: Vec<Rule> = documents.iter().map(|d| Rule::read(d, &placeholders()).unwrap()).collect();
        let mut matcher = Matcher::new(Arc::clone(&rules));
        for event in events.iter().chain(events.iter().rev()) {
            let found = by_engine(&rules, &mut matcher, &event.to_event());
            prop_assert_eq!(found, by_reference(&reference, event), "{:#?}", event);
        }
    }
}

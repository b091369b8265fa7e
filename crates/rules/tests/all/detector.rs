//! From events to findings, correlations included.

use std::sync::Arc;

use covigil_model::{EventId, Finding, Time};
use covigil_rules::{Detector, Matcher, RuleSet, correlation::Limits};

use crate::{compile, event};

const RULES: &str = "title: failed\nid: failed\nlogsource: {product: windows}\ndetection: {s: {id: 4625}, condition: s}\n---\n\
    title: other\nid: other\nlevel: low\nlogsource: {product: windows}\ndetection: {s: {id|exists: true}, condition: s}\n---\n\
    title: brute force\nid: brute\nlevel: high\n\
    correlation: {type: event_count, rules: [failed], group-by: [user], timespan: 1m, condition: {gte: 3}}\n";

/// Findings of events `(second, JSON)`, in order.
fn run(detector: &mut Detector, events: &[(i64, &str)]) -> Vec<Finding> {
    let mut matcher = Matcher::new(Arc::clone(detector.rules()));
    let mut found = Vec::new();
    for (at, json) in events {
        let mut event = event(json);
        event.id = EventId { source: "test".into(), sequence: *at as u64 };
        event.time = Time::from_secs(*at);
        let mut matched = Vec::new();
        matcher.matches(&event, &mut matched);
        detector.observe(&event, &matched, &mut found);
    }
    found
}

fn titles(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|f| f.rule.title.as_str()).collect()
}

const BOB: &str = r#"{"id":4625,"user":"bob"}"#;

#[test]
fn a_rule_that_a_correlation_refers_to_is_silent_by_itself() {
    let rules = Arc::new(compile(RULES));
    let found = run(&mut Detector::new(rules, Limits::default()), &[(1, BOB), (2, BOB), (3, BOB)]);
    assert_eq!(titles(&found), ["other", "other", "other", "brute force"]);
    let brute = &found[3];
    assert_eq!(brute.events.len(), 3);
    assert_eq!((brute.matched[0].field.as_str(), brute.matched[0].value.as_str()), ("user", "bob"));
    assert_eq!(brute.rule.level.as_str(), "high");
    assert!(brute.summary.as_deref().is_some_and(|s| s.contains('3')));
    let loud = Arc::new(compile(&RULES.replace("gte: 3}}", "gte: 3}, generate: true}")));
    let found = run(&mut Detector::new(loud, Limits::default()), &[(1, BOB)]);
    assert_eq!(titles(&found), ["failed", "other"]);
}

#[test]
fn state_survives_a_restart_and_a_reload() {
    let rules: Arc<RuleSet> = Arc::new(compile(RULES));
    let mut before = Detector::new(Arc::clone(&rules), Limits::default());
    run(&mut before, &[(1, BOB), (2, BOB)]);
    let mut after = Detector::new(rules, Limits::default());
    after.restore(&before.snapshot()).unwrap();
    assert_eq!(titles(&run(&mut after, &[(3, BOB)])), ["other", "brute force"]);
    let more = format!(
        "{RULES}---\ntitle: third\nlogsource: {{product: windows}}\ndetection: {{s: {{id: 1}}, condition: s}}\n"
    );
    before.reload(Arc::new(compile(&more))).unwrap();
    assert_eq!(titles(&run(&mut before, &[(3, BOB)])), ["other", "brute force"]);
}

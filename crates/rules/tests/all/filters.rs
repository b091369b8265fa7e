//! Filters are added to the rules they name.

use crate::{compile, event, matching, reason};

const RULES: &str = "title: a\nid: id-a\nname: a\nlogsource: {product: windows, category: process_creation}\n\
    detection: {s: {x: 1}, condition: s}\n---\n\
    title: b\nid: id-b\nlogsource: {product: windows, service: sysmon}\ndetection: {s: {x: 1}, condition: s}\n---\n";

fn filter(logsource: &str, rules: &str) -> String {
    format!(
        "{RULES}title: f\nlogsource: {logsource}\nfilter:\n  rules: {rules}\n  s: {{user: bob}}\n  condition: not s\n"
    )
}

#[test]
fn a_filter_silences_the_rules_it_names_by_id_or_name() {
    let bob = event(r#"{"x":1,"user":"BOB"}"#);
    let eve = event(r#"{"x":1,"user":"eve"}"#);
    for (rules, left) in
        [("[id-a]", vec!["id-b"]), ("[a, id-b]", vec![]), ("any", vec![]), ("id-b", vec!["id-a"])]
    {
        assert_eq!(matching(compile(&filter("{product: windows}", rules)), &bob), left, "{rules}");
        assert_eq!(
            matching(compile(&filter("{product: windows}", rules)), &eve),
            ["id-a", "id-b"],
            "{rules}"
        );
    }
}

#[test]
fn a_filter_applies_only_within_its_log_source() {
    let bob = event(r#"{"x":1,"user":"bob"}"#);
    let set = compile(&filter("{product: windows, service: sysmon}", "any"));
    assert_eq!(set.rules()[1].filters, ["f"]);
    assert_eq!(matching(set, &bob), ["id-a"]);
}

#[test]
fn a_filter_that_names_an_unknown_rule_says_so() {
    assert!(reason(&filter("{product: windows}", "[id-a, nobody]")).contains("nobody"));
    assert!(reason(&filter("{product: windows}", "[]")).contains("empty"));
}

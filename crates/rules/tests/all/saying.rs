//! What is said about rules to people.

use covigil_rules::{Check, Options, RuleSet, RuleText, explain};

use crate::{compile, rule};

#[test]
fn a_check_has_totals_and_each_failure() {
    let good = rule("  s: {f: 1}\n  condition: s\n");
    let absent = "title: absent\nlogsource: {product: windows}\ndetection: {s: {f: null}, condition: s}\n";
    let bad = "title: bad\nlogsource: {product: x}\ndetection: {s: {f|no: 1}, condition: s}\n";
    let text = format!("{good}---\n{absent}---\n{bad}");
    let set = RuleSet::compile(&[RuleText { path: "x.yml".into(), text }], &Options::default());
    let check = Check::of(&set);
    let json = serde_json::to_value(&check).unwrap();
    assert_eq!((&json["total"], &json["loaded"], &json["failed"]), (&3.into(), &2.into(), &1.into()));
    assert_eq!(json["failures"][0]["title"], "bad");
    assert_eq!(json["levels"]["medium"], 2);
    assert_eq!(json["remarks"][0]["title"], "absent");
    let said = check.to_string();
    assert!(said.contains("x.yml:") && said.ends_with("3 found, 2 loaded, 1 failed"), "{said}");
}

#[test]
fn a_rule_is_explained_as_it_runs() {
    let set = compile(&rule(
        "  s:\n    Image|endswith: ['\\A.exe', '\\b.exe']\n    n|gte: 5\n  t: ['evil']\n  f: {u|cased: Bob}\n  condition: (s or t) and not f\n",
    ));
    let lines: Vec<String> = explain(&set.rules()[0])
        .iter()
        .map(|line| format!("{}{}", "  ".repeat(line.depth), line.text))
        .collect();
    assert_eq!(
        lines,
        [
            "Among events of product=windows:",
            "all of:",
            "  any of:",
            "    all of:",
            r"      Image ends with “\a.exe”, or ends with “\b.exe”",
            "      n ≥ 5",
            "    any part of the event contains “evil”",
            "  not u is “Bob” in this case",
        ]
    );
}

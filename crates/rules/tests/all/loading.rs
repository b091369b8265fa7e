//! What is wrong with a rule is said, with its place.

use covigil_rules::{Options, RuleSet, RuleText};

use crate::{compile, reason, rule};

#[test]
fn a_rule_that_cannot_run_is_refused_with_the_reason() {
    for (detection, part) in [
        ("  s: {f|frob: x}\n  condition: s\n", "unknown modifier `frob`"),
        ("  s: {f|re: 'a(?!b)'}\n  condition: s\n", "look-around"),
        ("  s: {f|re: '('}\n  condition: s\n", "not usable"),
        ("  s: {f|cidr: x}\n  condition: s\n", "not a network"),
        ("  s: {f|gt: x}\n  condition: s\n", "not a number"),
        ("  s: {f|exists: x}\n  condition: s\n", "true or false"),
        ("  s: {f|expand: '%admins%'}\n  condition: s\n", "%admins%"),
        ("  s: {f|base64: 'a*'}\n  condition: s\n", "wildcards"),
        ("  s: {f|wide: 'é'}\n  condition: s\n", "not text"),
        ("  s: {f: {g: 1}}\n  condition: s\n", "a value must be"),
        ("  s: {f: []}\n  condition: s\n", "empty"),
        ("  s: {}\n  condition: s\n", "empty"),
        ("  s:\n  condition: s\n", "empty"),
        ("  s: {f: 1}\n", "no condition"),
        ("  s: {f: 1}\n  condition: s | count() by f > 5\n", "correlation rule"),
        ("  s: {f: 1}\n  condition: t\n", "lacks"),
    ] {
        let reason = reason(&rule(detection));
        assert!(reason.contains(part), "{detection}: {reason}");
    }
    assert!(reason("title: t\nlogsource: {product: x}\n").contains("no `detection`"));
    assert!(reason("title: t\ndetection: {s: {f: 1}, condition: s}\n").contains("no `logsource`"));
    assert!(reason("logsource: {product: x}\ndetection: {s: {f: 1}, condition: s}\n").contains("no title"));
    let levelled = format!("{}level: urgent\n", rule("  s: {f: 1}\n  condition: s\n"));
    assert!(reason(&levelled).contains("unknown level"));
}

#[test]
fn failures_have_file_line_title_and_id() {
    let text = "title: first\nid: one\nlogsource: {product: x}\ndetection:\n  s:\n    ok: 1\n    f|frob: x\n  condition: s\n";
    let set =
        RuleSet::compile(&[RuleText { path: "a/b.yml".into(), text: text.into() }], &Options::default());
    let failure = &set.report().failed[0];
    assert_eq!((failure.path.as_str(), failure.line), ("a/b.yml", 7));
    assert_eq!((failure.title.as_deref(), failure.id.as_deref()), (Some("first"), Some("one")));
    assert_eq!((set.report().total, set.report().loaded), (1, 0));
}

#[test]
fn a_second_rule_of_the_same_id_is_refused() {
    let one = "title: t\nid: same\nlogsource: {product: x}\ndetection: {s: {f: 1}, condition: s}\n";
    assert!(reason(&format!("{one}---\n{one}")).contains("already used"));
}

#[test]
fn a_rule_shows_what_its_author_wrote() {
    let set = compile(
        "---\ntitle: T\nid: 7\nname: n\nlevel: High\ndescription: |\n  what\n  for\ntags: [attack.t1059, attack.execution]\n\
         falsepositives: [none]\nreferences: [r]\nfields: [f]\nlogsource: {product: Windows, definition: x}\n\
         detection: {s: {f: 1}, condition: s}\n---\ntitle: U\nlogsource: {category: c}\ndetection: {s: {f: 1}, condition: [s, not s]}\n",
    );
    let [first, second] = set.rules() else { panic!("two rules") };
    assert_eq!((first.id.as_str(), first.line, first.level.as_str()), ("7", 2, "high"));
    assert_eq!(first.techniques, ["T1059"]);
    assert_eq!(first.tactics, ["execution"]);
    assert_eq!(first.log_source.to_string(), "product=windows");
    assert!(first.source.starts_with("title: T") && first.source.ends_with("condition: s}"));
    assert_eq!((second.id.as_str(), second.line), ("U", 16));
    assert_eq!(second.conditions, ["s", "not s"]);
    assert_eq!(set.resolve("n"), set.resolve("7"));
}

#[test]
fn a_correlation_that_cannot_run_is_refused() {
    let correlation = |rules: &str| {
        format!(
            "title: c\nid: c\ncorrelation: {{type: event_count, rules: [{rules}], timespan: 1m, condition: {{gte: 5}}}}\n"
        )
    };
    let base = "title: b\nid: b\nlogsource: {product: x}\ndetection: {s: {f: 1}, condition: s}\n---\n";
    let set = compile(&format!("{base}{}", correlation("b")));
    assert_eq!((set.report().correlations, set.report().loaded), (1, 2));
    assert!(set.rules()[1].is_correlation);
    assert!(reason(&correlation("nobody")).contains("nobody"));
    assert!(reason("title: c\ncorrelation: {type: event_count}\n").contains("lacks"));
}

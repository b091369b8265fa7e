//! The compiled matcher and the evaluator agree on rules and events of any form.

use std::sync::Arc;

use covigil_rules::{Matcher, Options, RuleIndex, RuleSet, RuleText, evaluate};
use proptest::prelude::*;

use crate::event;

/// A value of a search, small enough to hit and to miss.
fn value() -> impl Strategy<Value = String> {
    prop_oneof!["'[aBc*?]{0,4}'", Just("null".to_owned()), "[0-3]", Just("'%'".to_owned())]
}

fn item() -> impl Strategy<Value = String> {
    let text = (
        "[fgh]",
        "(|\\|contains|\\|startswith|\\|endswith)(|\\|cased)(|\\|all)(|\\|neq)",
        proptest::collection::vec(value(), 1..4),
    )
        .prop_map(|(field, modifiers, values)| format!("'{field}{modifiers}': [{}]", values.join(", ")));
    let regex = ("[fgh]", "(|\\|i)", "[ab.]{1,3}(\\+|\\[bC\\])?")
        .prop_map(|(f, i, re)| format!("'{f}|re{i}': '{re}'"));
    let other = prop_oneof![
        ("[fgh]", "(gt|gte|lt|lte)", "[0-3]").prop_map(|(f, op, n)| format!("'{f}|{op}': {n}")),
        ("[fgh]", any::<bool>()).prop_map(|(f, yes)| format!("'{f}|exists': {yes}")),
        ("[fgh]", "[fgh]", "(|\\|contains|\\|endswith)")
            .prop_map(|(f, g, m)| format!("'{f}|fieldref{m}': {g}")),
        "'\\|all': \\[a, [bc]\\]",
    ];
    prop_oneof![4 => text, 1 => regex, 2 => other]
}

fn search() -> impl Strategy<Value = String> {
    let map = proptest::collection::btree_map("[a-z]{6}", item(), 1..3)
        .prop_map(|items| {
            let mut seen = std::collections::BTreeSet::new();
            let unique =
                items.into_values().filter(|i| seen.insert(i.split(':').next().unwrap_or("").to_owned()));
            format!("{{{}}}", unique.collect::<Vec<_>>().join(", "))
        })
        .boxed();
    prop_oneof![
        3 => map.clone(),
        1 => proptest::collection::vec(map, 1..3).prop_map(|maps| format!("[{}]", maps.join(", "))),
        1 => proptest::collection::vec("[abc*]{1,3}", 1..3).prop_map(|words| format!("['{}']", words.join("', '"))),
    ]
}

const CONDITIONS: [&str; 12] = [
    "s1",
    "not s1",
    "s1 and s2",
    "s1 or s2",
    "s1 and not s2",
    "not (s1 or s2)",
    "1 of s*",
    "all of s*",
    "2 of s*",
    "s1 and 1 of s*",
    "not 2 of s*",
    "not not (s1 and (s2 or not s3))",
];

fn rules() -> impl Strategy<Value = String> {
    let rule = (search(), search(), search(), 0..CONDITIONS.len()).prop_map(|(a, b, c, condition)| {
        format!(
            "title: t\nlogsource: {{product: windows}}\ndetection:\n  s1: {a}\n  s2: {b}\n  s3: {c}\n  condition: {}\n",
            CONDITIONS[condition]
        )
    });
    proptest::collection::vec(rule, 1..6).prop_map(|rules| {
        let numbered = rules.iter().enumerate().map(|(n, rule)| format!("id: r{n}\n{rule}"));
        numbered.collect::<Vec<_>>().join("---\n")
    })
}

fn json() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        4 => "\"[aAbBc*?1-3]{0,6}\"",
        1 => Just("null".to_owned()),
        1 => "[0-3]",
        1 => "\\[(\"[abc]{0,3}\"|null|[12]),(\"[abC]{0,3}\"|null)\\]",
    ];
    proptest::collection::vec(("[fghx]", value), 0..5).prop_map(|fields| {
        let members: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn compiled_and_evaluated_rules_agree(rules in rules(), events in proptest::collection::vec(json(), 1..6)) {
        let text = RuleText { path: "p.yml".into(), text: rules.clone() };
        let set = Arc::new(RuleSet::compile(&[text], &Options::default()));
        let mut matcher = Matcher::new(Arc::clone(&set));
        for json in events {
            let event = event(&json);
            let mut found = Vec::new();
            matcher.matches(&event, &mut found);
            let expected: Vec<RuleIndex> = (0..set.rules().len() as u32)
                .map(RuleIndex)
                .filter(|index| evaluate::holds(set.rule(*index).unwrap().expr().unwrap(), &event))
                .collect();
            prop_assert_eq!(found, expected, "{}\n{}", json, rules);
        }
    }
}

//! Golden cases: the records of each folder of `tests/cases`, and how many findings they make.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::{path::Path, sync::Arc};

use covigil_model::{Event, Time};
use covigil_rules::{Matcher, RuleSet, RuleText};
use covigil_solution::ParseContext;
use covigil_template::SOLUTION;

#[test]
fn all_cases_turn_out_as_expected() {
    let texts: Vec<RuleText> = SOLUTION
        .rules
        .iter()
        .map(|(path, text)| RuleText { path: (*path).into(), text: (*text).into() })
        .collect();
    let rules = Arc::new(RuleSet::compile(&texts, &Default::default()));
    assert_eq!(rules.report().failed, []);
    let context = ParseContext {
        received: Time::from_secs(1_770_000_000),
        utc_offset: 0,
        peer: None,
        hostname: "h".into(),
    };
    let mut cases = 0;
    for case in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")).unwrap() {
        let case = case.unwrap().path();
        let expect = std::fs::read_to_string(case.join("expect.json")).unwrap();
        let expect: serde_json::Value = serde_json::from_str(&expect).unwrap();
        let mut matcher = Matcher::new(rules.clone());
        let mut findings = Vec::new();
        for record in std::fs::read_to_string(case.join("input.log")).unwrap().lines() {
            let mut event = Event::from_original(record);
            SOLUTION.parsers[0].parse(&context, &mut event).unwrap();
            matcher.matches(&event, &mut findings);
        }
        assert_eq!(serde_json::Value::from(findings.len()), expect["findings"], "{}", case.display());
        cases += 1;
    }
    assert!(cases >= 2, "only {cases} cases");
}

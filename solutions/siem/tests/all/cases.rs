//! Golden cases: each folder of `tests/cases` has records, and what becomes of them.
//!
//! `expect.json` names the parser, and has one or both of: `events`, a list with one entry per
//! record whose members must hold (`time`, `class`, `activity`, `status`, `severity`, `product`,
//! `services`, `categories`, `fields`, `attrs`, `failure`); and `findings`, the starter rules that
//! fire (by path within `content/rules`, without `.yml`) and how often, which must be all.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use covigil_model::{Attr, Event, EventId};
use covigil_rules::{Detector, Matcher, RuleSet, RuleText, correlation::Limits};
use covigil_siem::SOLUTION;
use serde_json::Value;

use crate::{context, files, read};

fn starter_rules() -> Arc<RuleSet> {
    let texts: Vec<RuleText> = SOLUTION
        .rules
        .iter()
        .map(|(path, text)| RuleText { path: (*path).to_owned(), text: (*text).to_owned() })
        .collect();
    Arc::new(RuleSet::compile(&texts, &Default::default()))
}

/// The file (without `.yml`) that each rule id stands in.
fn files_of_rules() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (path, text) in SOLUTION.rules {
        for line in text.lines() {
            if let Some(id) = line.strip_prefix("id: ") {
                let other = files.insert(id.trim().to_owned(), path.trim_end_matches(".yml").to_owned());
                assert_eq!(other, None, "{id} is given twice");
            }
        }
    }
    files
}

fn cases() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    files(&root, "json").iter().map(|f| f.parent().unwrap().to_owned()).collect()
}

fn name(case: &Path) -> String {
    case.file_name().unwrap().to_string_lossy().into_owned()
}

/// The case's records and expectation.
fn load(case: &Path) -> (Vec<String>, Value) {
    let input = ["input.log", "input.jsonl"].iter().map(|n| case.join(n)).find(|p| p.exists());
    let input =
        std::fs::read_to_string(input.unwrap_or_else(|| panic!("{} lacks its input", case.display())));
    let expect = std::fs::read_to_string(case.join("expect.json")).unwrap();
    assert!(case.join("README.md").exists(), "{} lacks its README.md", case.display());
    (input.unwrap().lines().map(str::to_owned).collect(), serde_json::from_str(&expect).unwrap())
}

/// What differs between an event and its expectation.
fn differences(event: &Event, failure: Option<&str>, expected: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, have: Value, want: &Value| {
        if have != *want {
            wrong.push(format!("{what} is {have}, not {want}"));
        }
    };
    for (key, want) in expected.as_object().unwrap() {
        match key.as_str() {
            "time" => same(key, event.time.to_string().into(), want),
            "class" => same(key, event.class.0.into(), want),
            "activity" => same(key, event.activity.into(), want),
            "status" => same(key, event.status.as_str().into(), want),
            "severity" => same(key, event.severity.as_str().into(), want),
            "product" => same(key, event.log_source.product.as_ref().into(), want),
            "services" => same(key, serde_json::to_value(&event.log_source.services).unwrap(), want),
            "categories" => same(key, serde_json::to_value(&event.log_source.categories).unwrap(), want),
            "failure" => same(key, failure.into(), want),
            "fields" => {
                for (name, want) in want.as_object().unwrap() {
                    same(name, event.field(name).map(|v| v.text).into(), want);
                }
            }
            "attrs" => {
                for (path, want) in want.as_object().unwrap() {
                    let attr = Attr::from_path(path).unwrap_or_else(|| panic!("{path} is no column"));
                    same(path, event.attr(attr).into(), want);
                }
            }
            other => panic!("expect.json has the unknown member {other}"),
        }
    }
    wrong
}

#[test]
fn all_cases_turn_out_as_expected() {
    let rules = starter_rules();
    let files_of_rules = files_of_rules();
    let mut wrong = Vec::new();
    for case in cases() {
        let (records, expect) = load(&case);
        let mut matcher = Matcher::new(rules.clone());
        let mut detector = Detector::new(rules.clone(), Limits::default());
        let mut findings = Vec::new();
        let expected_events = expect.get("events").and_then(Value::as_array);
        for (index, record) in records.iter().enumerate() {
            let (mut event, failure) = read(expect["parser"].as_str().unwrap(), record);
            event.id = EventId { source: "case".into(), sequence: index as u64 + 1 };
            event.received = context().received;
            if let Some(expected) = expected_events {
                let differences = match expected.get(index) {
                    Some(expected) => differences(&event, failure.as_deref(), expected),
                    None => vec!["there is no expectation for this record".to_owned()],
                };
                wrong
                    .extend(differences.iter().map(|d| format!("{} record {}: {d}", name(&case), index + 1)));
            } else if let Some(failure) = failure {
                wrong.push(format!("{} record {}: {failure}", name(&case), index + 1));
            }
            let mut matches = Vec::new();
            matcher.matches(&event, &mut matches);
            detector.observe(&event, &matches, &mut findings);
        }
        let Some(expected) = expect.get("findings") else { continue };
        let mut found: BTreeMap<&str, u64> = BTreeMap::new();
        for finding in &findings {
            let file = files_of_rules.get(&*finding.rule.id).map_or("?", String::as_str);
            *found.entry(file).or_default() += 1;
        }
        let found = serde_json::to_value(&found).unwrap();
        if found != *expected {
            wrong.push(format!("{}: findings are {found}, not {expected}", name(&case)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_starter_rule_has_a_case_where_it_fires_and_one_where_it_does_not() {
    let names: BTreeSet<String> = cases().iter().map(|c| name(c)).collect();
    for (path, _) in SOLUTION.rules {
        let stem = path.trim_end_matches(".yml");
        for end in ["fires", "quiet"] {
            let case = format!("{}_{end}", stem.replace('/', "_"));
            assert!(names.contains(&case), "{path} lacks tests/cases/{case}");
        }
        let case = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/cases/{}_", stem.replace('/', "_")));
        let fires = load(Path::new(&format!("{}fires", case.display()))).1;
        assert!(fires["findings"].get(stem).is_some(), "{path} does not fire in its own case");
        let quiet = load(Path::new(&format!("{}quiet", case.display()))).1;
        assert!(quiet["findings"].get(stem).is_none(), "{path} fires in its quiet case");
    }
}

#[test]
fn all_starter_rules_load_and_the_list_is_the_folder() {
    let rules = starter_rules();
    let failed: Vec<String> = rules.report().failed.iter().map(ToString::to_string).collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../content/rules");
    let listed: Vec<String> = SOLUTION.rules.iter().map(|(path, _)| (*path).to_owned()).collect();
    let mut there: Vec<String> = files(&root, "yml")
        .iter()
        .map(|f| f.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/"))
        .collect();
    there.sort();
    assert_eq!(listed, there, "src/starter.rs lists other rules than content/rules holds");
}

//! SigmaHQ's rules over the real Windows events: the engine finds what the reference finds.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    thread,
};

use covigil_model::Event;
use covigil_rules::{Matcher, RuleSet, RuleText};
use covigil_testkit::{
    event::PlainEvent,
    sigma::{Placeholders, Prepared, Rule},
};
use serde_json::Value;

use crate::corpus::{files, shared_data, windows_events};

const FOLDERS: [&str; 4] = ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance"];

/// Rules as the engine has them, and as the reference has those.
fn rules(data: &Path) -> (Arc<RuleSet>, Vec<Rule>) {
    let mut texts = Vec::new();
    for folder in FOLDERS {
        for path in files(&data.join("sigma").join(folder), "yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            texts.push(RuleText { path: path.display().to_string(), text });
        }
    }
    let engine = RuleSet::compile(&texts, &Default::default());
    let report = engine.report();
    for failure in &report.failed {
        println!("not loaded: {failure}");
    }
    assert!(report.loaded * 100 >= report.total * 99, "{} of {} rules load", report.loaded, report.total);
    let loaded: BTreeSet<&str> = engine.rules().iter().map(|rule| rule.id.as_str()).collect();
    let mut reference = Vec::new();
    let mut unread = Vec::new();
    for text in &texts {
        for document in serde_saphyr::from_multiple::<Value>(&text.text).unwrap_or_default() {
            let id = document["id"].as_str().unwrap_or_default();
            if !loaded.contains(id) || document.get("detection").is_none() {
                continue;
            }
            match Rule::read(&document, &Placeholders::new()) {
                Ok(rule) => reference.push(rule),
                Err(why) => unread.push(format!("{}: {why}", text.path)),
            }
        }
    }
    println!("{} rules in the engine, {} in the reference", loaded.len(), reference.len());
    for why in &unread {
        println!("not read by the reference: {why}");
    }
    assert!(unread.len() <= 5, "the reference does not read {} rules that the engine does", unread.len());
    assert!(reference.len() + unread.len() + 20 >= loaded.len());
    (Arc::new(engine), reference)
}

/// What one of the two finds and the other does not: rule to number of events, with an example.
type Differences = BTreeMap<String, (usize, String)>;

/// Compares both on these events; also counts the matches.
fn compare(engine: &Arc<RuleSet>, reference: &[Rule], events: &[Event]) -> (Differences, usize) {
    let known: BTreeSet<&str> = reference.iter().map(|rule| rule.id.as_str()).collect();
    let mut matcher = Matcher::new(Arc::clone(engine));
    let mut differences = Differences::new();
    let mut matches = 0;
    for event in events {
        let mut found = Vec::new();
        matcher.matches(event, &mut found);
        let found: BTreeSet<&str> = found
            .iter()
            .filter_map(|index| engine.rule(*index))
            .map(|rule| rule.id.as_str())
            .filter(|id| known.contains(id))
            .collect();
        let prepared = Prepared::new(PlainEvent::from_event(event));
        let wanted: BTreeSet<&str> = reference
            .iter()
            .filter(|rule| rule.applies(prepared.event()) && rule.holds(&prepared))
            .map(|rule| rule.id.as_str())
            .collect();
        matches += wanted.len();
        for id in found.symmetric_difference(&wanted) {
            let who = if found.contains(id) { "only the engine" } else { "only the reference" };
            let entry =
                differences.entry(format!("{id}: {who}")).or_insert_with(|| (0, event.original().to_owned()));
            entry.0 += 1;
        }
    }
    (differences, matches)
}

fn engine_agrees(per_kind: usize, least_events: usize) {
    let Some(data) = shared_data() else { return };
    let events = windows_events(&data, per_kind);
    let (engine, reference) = rules(&data);
    let halves = events.split_at(events.len() / 2);
    let ((mut differences, first), (more, second)) = thread::scope(|scope| {
        let other = scope.spawn(|| compare(&engine, &reference, halves.1));
        (compare(&engine, &reference, halves.0), other.join().unwrap())
    });
    differences.extend(more);
    println!("{} events, {} matches", events.len(), first + second);
    for (rule, (count, example)) in &differences {
        println!("{rule} on {count} events, such as {example}");
    }
    assert!(differences.is_empty(), "{} rules are matched differently", differences.len());
    assert!(events.len() >= least_events && first + second > 200, "too little was compared");
}

#[test]
fn sigmahq_rules_match_as_the_reference_says_on_a_choice_of_events() {
    engine_agrees(100, 8_000);
}

/// All events take minutes: `cargo xtask soak` runs this.
#[test]
#[ignore = "takes minutes; cargo xtask soak runs it"]
fn soak_sigmahq_rules_match_as_the_reference_says_on_all_events() {
    engine_agrees(usize::MAX, 20_000);
}

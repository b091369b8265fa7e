//! What rules mean, shown on events; and that SigmaHQ's rules are understood.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what is wrong by failing"
)]

mod agreement;
mod corpus;
mod correlation;
mod detector;
mod filters;
mod loading;
mod matching;
mod meaning;
mod saying;

use std::{path::PathBuf, sync::Arc};

use covigil_model::{Event, LogSource};
use covigil_rules::{Matcher, Options, RuleSet, RuleText};

/// An event of flat or nested JSON, of a Windows process.
fn event(json: &str) -> Event {
    let mut event = Event::from_original(json);
    covigil_model::json::flatten(&mut event, 0, json.len()).unwrap();
    event.log_source = LogSource::of("windows", &["sysmon"], &["process_creation"]);
    event
}

/// Compiles one text; panics where anything failed.
fn compile(text: &str) -> RuleSet {
    let set =
        RuleSet::compile(&[RuleText { path: "test.yml".into(), text: text.into() }], &Options::default());
    assert_eq!(set.report().failed, [], "{text}");
    set
}

/// The only failure's reason.
fn reason(text: &str) -> String {
    let set =
        RuleSet::compile(&[RuleText { path: "test.yml".into(), text: text.into() }], &Options::default());
    assert_eq!(set.report().failed.len(), 1, "{text}: {:?}", set.report().failed);
    set.report().failed[0].reason.clone()
}

/// A rule around a detection, which is indented by two.
fn rule(detection: &str) -> String {
    format!("title: t\nlogsource:\n  product: windows\ndetection:\n{detection}")
}

/// Ids of the rules that match.
fn matching(set: RuleSet, event: &Event) -> Vec<String> {
    let set = Arc::new(set);
    let mut matcher = Matcher::new(Arc::clone(&set));
    let mut found = Vec::new();
    // Twice, so that nothing of one event is left over for the next.
    matcher.matches(event, &mut found);
    found.clear();
    matcher.matches(event, &mut found);
    found.iter().map(|index| set.rule(*index).unwrap().id.clone()).collect()
}

/// Whether a rule of this detection matches the JSON event; the evaluator must agree.
fn matches(detection: &str, json: &str) -> bool {
    let set = compile(&rule(detection));
    let event = event(json);
    let slow = covigil_rules::evaluate::holds(set.rules()[0].expr().unwrap(), &event);
    let fast = !matching(set, &event).is_empty();
    assert_eq!(fast, slow, "matcher and evaluator disagree on {json}\n{detection}");
    fast
}

/// The shared data, or `None` where this checkout has none beside it.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COVIGIL_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join("data").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there; set COVIGIL_SHARED to the folder that holds data/", path.display());
    None
}

/// All YAML files below a folder.
fn yaml_files(folder: &std::path::Path, out: &mut Vec<RuleText>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            yaml_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "yml" || e == "yaml") {
            out.push(RuleText {
                path: path.display().to_string(),
                text: std::fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

/// How many cases a property is tried on: 25 times as many under `cargo xtask soak`.
fn cases(usual: u32) -> u32 {
    if std::env::var_os("COVIGIL_SOAK").is_some() { usual * 25 } else { usual }
}

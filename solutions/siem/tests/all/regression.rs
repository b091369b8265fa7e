//! SigmaHQ's own regression samples: the rule that each names fires on the sample's events.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use covigil_rules::{Matcher, RuleSet, RuleText};

use crate::{files, read, real::evtx_records, shared_data};

/// SigmaHQ's rules, compiled.
fn sigma_rules(sigma: &Path) -> Arc<RuleSet> {
    let mut texts = Vec::new();
    for folder in ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance"] {
        for path in files(&sigma.join(folder), "yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            texts.push(RuleText { path: path.display().to_string(), text });
        }
    }
    Arc::new(RuleSet::compile(&texts, &Default::default()))
}

/// The rule ids that a sample's description names.
fn expected(info: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut inside = false;
    for line in info.lines() {
        if !line.starts_with([' ', '-']) {
            inside = line.starts_with("rule_metadata:");
        } else if inside && let Some(id) = line.trim_start_matches([' ', '-']).strip_prefix("id:") {
            ids.push(id.trim().trim_matches(['"', '\'']).to_owned());
        }
    }
    ids
}

#[test]
fn each_samples_own_rule_fires() {
    let Some(data) = shared_data() else { return };
    let sigma = data.join("sigma");
    let rules = sigma_rules(&sigma);
    let mut matcher = Matcher::new(rules.clone());
    let (mut samples, mut missed) = (0, BTreeMap::new());
    for path in files(&sigma.join("regression_data"), "evtx") {
        let info = std::fs::read_to_string(path.with_file_name("info.yml")).unwrap();
        let wanted = expected(&info);
        assert!(!wanted.is_empty(), "{}", path.display());
        let mut fired = BTreeSet::new();
        for record in evtx_records(&path) {
            let (event, failure) = read("windows", &record);
            assert_eq!(failure, None, "{record}");
            let mut matches = Vec::new();
            matcher.matches(&event, &mut matches);
            fired.extend(matches.iter().filter_map(|rule| Some(rules.rule(*rule)?.id.to_string())));
        }
        samples += 1;
        if !wanted.iter().all(|id| fired.contains(id)) {
            missed.insert(path.display().to_string(), (wanted, fired));
        }
    }
    for (path, (wanted, fired)) in &missed {
        println!("{path}: wanted {wanted:?}, fired {fired:?}");
    }
    assert!(missed.is_empty(), "{} of {samples} samples did not make their rule fire", missed.len());
    assert!(samples >= 94, "only {samples} samples");
}

//! SigmaHQ's rules: nearly all load, and the rest say why not.

use covigil_rules::{Options, RuleSet, RuleText};

use crate::{shared, yaml_files};

fn sigma_hq(folders: &[&str]) -> Option<Vec<RuleText>> {
    let root = shared("sigma")?;
    let mut texts = Vec::new();
    for folder in folders {
        yaml_files(&root.join(folder), &mut texts);
    }
    Some(texts)
}

#[test]
fn sigma_hq_rules_load() {
    let folders =
        ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance", "rules-placeholder"];
    let Some(texts) = sigma_hq(&folders) else { return };
    let set = RuleSet::compile(&texts, &Options::default());
    let report = set.report();
    for failure in &report.failed {
        eprintln!("{failure}");
    }
    eprintln!("{} of {} loaded", report.loaded, report.total);
    assert!(report.total > 3_000);
    assert!(report.loaded * 100 >= report.total * 99, "{} of {}", report.loaded, report.total);
    // Whatever fails needs placeholders that only the site can give.
    for failure in &report.failed {
        assert!(failure.reason.contains("placeholder"), "{failure}");
    }
}

#[test]
fn placeholders_with_values_load() {
    let Some(texts) = sigma_hq(&["rules-placeholder"]) else { return };
    let before = RuleSet::compile(&texts, &Options::default());
    let mut options = Options::default();
    for failure in &before.report().failed {
        let name = failure.reason.split('%').nth(1).unwrap();
        options.placeholders.insert(name.to_owned(), vec!["one*".into(), "two".into()]);
    }
    assert!(!options.placeholders.is_empty());
    let set = RuleSet::compile(&texts, &options);
    assert!(set.report().failed.len() < before.report().failed.len());
}

#[test]
fn what_cannot_run_says_why() {
    let Some(texts) = sigma_hq(&["unsupported"]) else { return };
    let set = RuleSet::compile(&texts, &Options::default());
    assert!(!set.report().failed.is_empty());
    for failure in &set.report().failed {
        assert!(!failure.reason.is_empty() && failure.line > 0, "{failure}");
    }
    assert!(set.report().failed.iter().any(|f| f.reason.contains("write a correlation rule")));
}

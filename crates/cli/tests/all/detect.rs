//! `covigil detect` and `covigil rules` against the published samples.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use crate::shared::{covigil, shared_data};

/// Rule id and sample file of every `info.yml` below a folder.
fn samples(dir: &Path, out: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            samples(&path, out);
        } else if path.file_name().is_some_and(|n| n == "info.yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            // The first `- id:` is the rule's; the first `id:` is the sample's own.
            let rule = text.lines().find_map(|l| l.trim().strip_prefix("- id:")).unwrap().trim().to_owned();
            let sample = text.lines().find_map(|l| l.trim().strip_prefix("path:")).unwrap().trim();
            let file = sample.rsplit('/').next().unwrap();
            out.push((rule, path.with_file_name(file).display().to_string()));
        }
    }
}

#[test]
fn every_sample_fires_its_own_rule() {
    let Some(sigma) = shared_data("sigma") else { return };
    let mut expected = Vec::new();
    samples(&sigma.join("regression_data"), &mut expected);
    assert_eq!(expected.len(), 94, "samples in the shared data");
    let output = covigil()
        .arg("detect")
        .args(
            ["rules", "rules-emerging-threats", "rules-threat-hunting"]
                .iter()
                .flat_map(|d| ["--rules".into(), sigma.join(d).display().to_string()]),
        )
        .arg(sigma.join("regression_data"))
        .output()
        .unwrap();
    let mut fired = BTreeSet::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        for key in ["rule_id", "rule_title", "level", "time", "path", "record", "matched"] {
            assert!(!finding[key].is_null(), "{key} is missing in {line}");
        }
        assert!(finding["record"].as_u64().unwrap() > 0);
        fired.insert((
            finding["rule_id"].as_str().unwrap().to_owned(),
            finding["path"].as_str().unwrap().to_owned(),
        ));
    }
    let silent: Vec<_> = expected.iter().filter(|pair| !fired.contains(*pair)).collect();
    assert!(silent.is_empty(), "{} of 94 do not fire: {silent:#?}", silent.len());
    let summary = String::from_utf8(output.stderr).unwrap();
    assert!(summary.contains("events/s") && summary.contains("rules loaded"), "{summary}");
}

#[test]
fn published_rules_load_and_the_rest_is_explained() {
    let Some(sigma) = shared_data("sigma") else { return };
    for set in ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance"] {
        let output = covigil().args(["rules", "check", "--json"]).arg(sigma.join(set)).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (total, loaded) = (report["total"].as_u64().unwrap(), report["loaded"].as_u64().unwrap());
        println!("{set}: {loaded} of {total}");
        assert!(total > 0 && loaded * 100 >= total * 99, "{set}: {loaded} of {total}");
        assert_eq!(report["failed"].as_u64().unwrap(), total - loaded);
        for failure in report["failures"].as_array().unwrap() {
            println!("{failure}");
            assert!(failure["line"].as_u64().unwrap() > 0, "{failure}");
            assert!(failure["reason"].as_str().unwrap().len() > 10, "{failure}");
        }
        assert_eq!(output.status.code(), Some(if total == loaded { 0 } else { 2 }));
    }
}

#[test]
fn unusable_input_is_said_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let rule = "title: T\nid: 5c1ff5ba-0000-4000-8000-000000000001\nlogsource:\n  product: windows\ndetection:\n  s:\n    CommandLine|contains: evil\n  condition: s\nlevel: high\n";
    std::fs::write(dir.path().join("rule.yml"), rule).unwrap();
    std::fs::write(dir.path().join("broken.yml"), "title: [").unwrap();
    let event = "{\"EventID\":1,\"Channel\":\"Microsoft-Windows-Sysmon/Operational\",\"CommandLine\":\"run EVIL now\"}\n";
    std::fs::write(dir.path().join("events.jsonl"), format!("{event}not json at all\n{event}")).unwrap();
    let output = covigil()
        .args(["detect", "--rules"])
        .arg(dir.path())
        .arg(dir.path().join("events.jsonl"))
        .arg(dir.path().join("absent.evtx"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let findings: Vec<Value> = output
        .stdout
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    assert_eq!(findings.iter().map(|f| f["record"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(findings[0]["matched"]["CommandLine"], "run EVIL now");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("absent.evtx") && said.contains("broken.yml"), "{said}");
}

#[test]
fn events_that_are_correlated_offline_raise_one_finding_a_burst() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "title: Failed\nname: failed\nid: 5c1ff5ba-0000-4000-8000-000000000002\nlogsource:\n  product: windows\n  service: security\ndetection:\n  s:\n    EventID: 4625\n  condition: s\n---\ntitle: Burst\nid: 5c1ff5ba-0000-4000-8000-000000000003\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [TargetUserName]\n  timespan: 1m\n  condition:\n    gte: 5\nlevel: high\n";
    std::fs::write(dir.path().join("rules.yml"), rules).unwrap();
    let events: String = (0..7)
        .map(|n| format!("{{\"EventID\":4625,\"Channel\":\"Security\",\"TimeCreated\":\"2026-01-01T00:00:0{n}.5Z\",\"TargetUserName\":\"bob\"}}\n"))
        .collect();
    std::fs::write(dir.path().join("events.jsonl"), events).unwrap();
    let output = covigil()
        .args(["detect", "--rules"])
        .arg(dir.path())
        .arg(dir.path().join("events.jsonl"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let finding: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!((finding["rule_title"].as_str(), finding["record"].as_u64()), (Some("Burst"), Some(5)));
}

//! `covigil rules`.

use std::{
    collections::BTreeMap,
    io::{Write as _, stdout},
    path::Path,
    process::ExitCode,
};

use anyhow::{Result, bail};
use covigil_node::rules::{Unread, read_rules, sets};
use covigil_rules::{Options, RuleSet, RuleText};
use serde_json::json;

use crate::{
    args::{Format, Rules},
    show::{columns, csv_cell, harmless},
};

/// Runs `covigil rules …`.
pub fn run(command: Rules) -> Result<ExitCode> {
    match command {
        Rules::Check { json, placeholder, dir } => check(&dir, &placeholders(&placeholder)?, json),
        Rules::Add { source, name, within, data } => {
            let set = sets::add(&data.path(), &source, name.as_deref(), within.as_deref())?;
            let (texts, _) = read_rules(&set.files);
            let report = RuleSet::compile(&texts, &Options::default()).report().clone();
            println!(
                "Added {}: {} of {} rules load. A running node takes them over within seconds.",
                set.name, report.loaded, report.total
            );
            if !report.failed.is_empty() {
                println!("`covigil rules check {}` says why the others do not.", set.files.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Rules::List { format, data } => list(&data.path(), format),
    }
}

/// Values of placeholders from `NAME=A,B` words.
pub fn placeholders(words: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut all = BTreeMap::new();
    for word in words {
        let Some((name, values)) = word.split_once('=') else {
            bail!("{word}: write a placeholder as NAME=VALUE,VALUE");
        };
        all.insert(name.trim_matches('%').to_owned(), values.split(',').map(str::to_owned).collect());
    }
    Ok(all)
}

fn check(dir: &Path, placeholders: &BTreeMap<String, Vec<String>>, json: bool) -> Result<ExitCode> {
    let (texts, unread) = read_rules(dir);
    if texts.is_empty() && unread.is_empty() {
        bail!("{}: no rule files (.yml) here", dir.display());
    }
    let options = Options { placeholders: placeholders.clone(), ..Options::default() };
    let set = RuleSet::compile(&texts, &options);
    let report = set.report();
    let total = report.total + unread.len();
    let failed = report.failed.len() + unread.len();
    if json {
        let mut failures: Vec<_> = report
            .failed
            .iter()
            .map(|f| json!({ "path": f.path, "line": f.line, "id": f.id, "title": f.title, "reason": f.reason }))
            .collect();
        failures.extend(unread.iter().map(|u| json!({ "path": u.path, "line": 0, "reason": u.reason })));
        println!(
            "{}",
            json!({ "total": total, "loaded": report.loaded, "failed": failed, "failures": failures })
        );
    } else {
        for failure in &report.failed {
            println!("{}:{}: {}", harmless(&failure.path), failure.line, harmless(&failure.reason));
        }
        for Unread { path, reason } in &unread {
            println!("{}: {}", harmless(&path.display().to_string()), harmless(reason));
        }
        println!("{total} rules: {} load, {failed} do not", report.loaded);
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn list(data: &Path, format: Format) -> Result<ExitCode> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |set: &str, texts: &[RuleText]| {
        let compiled = RuleSet::compile(texts, &Options::default());
        for rule in compiled.rules() {
            let reference = rule.reference();
            rows.push(vec![
                reference.level.to_string(),
                reference.id,
                set.to_owned(),
                reference.techniques.join(" "),
                reference.title,
            ]);
        }
    };
    for solution in covigil_catalog::solutions() {
        let texts: Vec<RuleText> = solution
            .rules
            .iter()
            .map(|(path, text)| RuleText { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        add(solution.name, &texts);
    }
    for set in sets::list(data)? {
        add(&set.name, &read_rules(&set.files).0);
    }
    let header = ["level", "id", "set", "techniques", "title"];
    let mut out = stdout().lock();
    match format {
        Format::Table => {
            for cell in rows.iter_mut().flatten() {
                *cell = harmless(cell);
            }
            columns(&mut out, &header, &rows, 40)?;
        }
        Format::Jsonl => {
            for row in &rows {
                let object: serde_json::Map<String, serde_json::Value> =
                    header.iter().zip(row).map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
                writeln!(out, "{}", serde_json::Value::Object(object))?;
            }
        }
        Format::Csv => {
            writeln!(out, "{}", header.join(","))?;
            for row in &rows {
                writeln!(out, "{}", row.iter().map(|c| csv_cell(c)).collect::<Vec<_>>().join(","))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

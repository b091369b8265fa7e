//! What is measured, in one command. Release builds; one thing after the other, so that nothing else of ours
//! runs beside it. `benches/RESULTS.md` says what the figures were, when, and on which machine.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

/// What can be measured.
const ALL: [&str; 3] = ["detect", "storage", "pipeline"];

/// Measures what is named, or everything.
pub fn run(root: &Path, what: &[&str]) -> Result<()> {
    for name in if what.is_empty() { &ALL } else { what } {
        println!("== {name}");
        match *name {
            "detect" => detect(root)?,
            "storage" => cargo(root, &["bench", "--package", "covigil-store", "--bench", "events"])?,
            "pipeline" => cargo(root, &["bench", "--package", "covigil-pipeline", "--bench", "whole_way"])?,
            other => bail!("bench: `{other}` is not measured; name {}", ALL.join(", ")),
        }
    }
    Ok(())
}

/// Rules over every Windows event of the shared data, again and again, in one process on one core.
fn detect(root: &Path) -> Result<()> {
    let shared =
        std::env::var_os("COVIGIL_SHARED").map_or_else(|| root.join("../shared"), Into::into).join("data");
    if !shared.exists() {
        bail!("bench: {} is not here; set COVIGIL_SHARED to the folder that holds data/", shared.display());
    }
    let events = std::env::temp_dir().join(format!("covigil-bench-{}.jsonl", std::process::id()));
    let (shared, events) = (shared.display().to_string(), events.display().to_string());
    let bench = |args: &[&str]| {
        let mut all = vec!["run", "--release", "--package", "covigil-benches", "--"];
        all.extend(args);
        cargo(root, &all)
    };
    let measured =
        bench(&["write-events", &shared, &events]).and_then(|()| bench(&["detect", &shared, &events]));
    let _ = std::fs::remove_file(&events);
    measured
}

fn cargo(root: &Path, args: &[&str]) -> Result<()> {
    let status = Command::new("cargo").args(args).current_dir(root).status().context("running cargo")?;
    if !status.success() {
        bail!("bench: cargo {} failed", args.join(" "));
    }
    Ok(())
}

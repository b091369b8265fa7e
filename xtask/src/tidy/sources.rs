//! Source files: size, first paragraph, marks of unfinished work, and what must not be named.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

/// Lines above which a source file is too long.
const MAX_LINES: usize = 1_000;

/// Folder and crate names that say nothing.
const EMPTY_NAMES: [&str; 4] = ["common", "utils", "core", "helpers"];

/// Files that every family has.
const FAMILY_FILES: [&str; 3] = ["README.md", "Cargo.toml", "src/lib.rs"];

/// Checks every file that git knows or would add.
pub fn check(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("running git ls-files")?;
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    for path in listing.lines() {
        for part in path.split(['/', '.']) {
            if EMPTY_NAMES.contains(&part) && path.ends_with(".rs") {
                problems.push(format!("{path}: `{part}` says nothing about what is in it"));
            }
        }
        let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
        check_text(path, &text, problems);
    }
    for entry in std::fs::read_dir(root.join("solutions"))?.flatten() {
        for file in FAMILY_FILES {
            if !entry.path().join(file).exists() {
                problems.push(format!("solutions/{} lacks {file}", entry.file_name().to_string_lossy()));
            }
        }
    }
    Ok(())
}

fn check_text(path: &str, text: &str, problems: &mut Vec<String>) {
    let code = [".rs", ".html", ".css", ".mjs", ".js", ".sh"].iter().any(|end| path.ends_with(end));
    if code && text.lines().count() > MAX_LINES {
        problems.push(format!("{path}: more than {MAX_LINES} lines; split it by subject"));
    }
    if path.ends_with(".rs") && !text.starts_with("//!") && !path.contains("/tests/cases/") {
        problems.push(format!("{path}: begin with `//!`: what lives here, and what must not"));
    }
    if path.starts_with("xtask/src/tidy/") {
        return;
    }
    let marks = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "XX".to_owned() + "X:"];
    for (number, line) in text.lines().enumerate() {
        if code && marks.iter().any(|mark| line.contains(mark.as_str())) {
            problems.push(format!("{path}:{}: unfinished work is an issue, not a comment", number + 1));
        }
        if path.ends_with("package-lock.json") && line.contains("\"resolved\"") {
            problems.push(format!("{path}:{}: a lock file names no registry", number + 1));
            break;
        }
    }
}

//! House rules as a check: what reviewers would otherwise have to remember.

mod arrows;
mod licences;
mod sources;

use std::path::Path;

use anyhow::{Result, bail};

/// Runs every check, prints each violation with its place and mend, and fails if there was one.
pub fn run(root: &Path) -> Result<()> {
    let metadata = arrows::metadata(root)?;
    let mut problems = Vec::new();
    arrows::check(&metadata, &mut problems)?;
    licences::check(root, &metadata, &mut problems)?;
    sources::check(root, &mut problems)?;
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    if problems.is_empty() {
        println!("tidy: all house rules hold");
        return Ok(());
    }
    bail!("tidy: {} problems", problems.len())
}

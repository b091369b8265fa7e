//! The long tests: what `make test` does in small, until one would bet on it.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

/// Kills a node `kills` times under load, and compares the compiled rules with the reference on all
/// sample events instead of a choice of them.
pub fn run(root: &Path, kills: u32) -> Result<()> {
    let status = Command::new("cargo")
        .args(["nextest", "run", "--workspace", "--run-ignored", "all", "-E", "test(soak) | test(kill)"])
        .env("COVIGIL_KILLS", kills.to_string())
        .env("COVIGIL_SOAK", "1")
        .current_dir(root)
        .status()
        .context("running cargo nextest (install it with `cargo install cargo-nextest --locked`)")?;
    if !status.success() {
        bail!("soak: a test failed; its seed is in the output above");
    }
    Ok(())
}

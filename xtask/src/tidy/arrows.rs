//! The arrows between rooms: which crate may know which.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A room, and the rooms that it may know. `model` is at the bottom; nothing knows a program but the
/// command line.
const ALLOWED: &[(&str, &[&str])] = &[
    ("benches", &["model", "pipeline", "rules", "solution", "solutions/*", "store"]),
    ("catalog", &["solution", "solutions/*"]),
    ("cli", &["model", "catalog", "node", "pipeline", "rules", "solution", "store"]),
    ("console", &["model"]),
    ("model", &[]),
    ("node", &["model", "catalog", "console", "pipeline", "rules", "solution", "store"]),
    ("pipeline", &["model", "rules", "solution", "store"]),
    ("rules", &["model"]),
    ("solution", &["model"]),
    ("store", &["model"]),
    ("testkit", &["model"]),
    ("xtask", &[]),
];

/// What every solution family may know.
const FAMILY: &[&str] = &["model", "rules", "solution"];

/// The workspace as `cargo metadata` describes it, dependencies included.
pub fn metadata(root: &Path) -> Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The packages of the workspace itself.
fn own<'a>(metadata: &'a Value) -> impl Iterator<Item = &'a Value> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages.iter().filter(|package| package["source"].is_null())
}

/// The room of a package: its name without the prefix; families as `solutions/NAME`.
fn room(package: &Value) -> String {
    let name = package["name"].as_str().unwrap_or("");
    let short = name.strip_prefix("covigil-").unwrap_or(name);
    let manifest = package["manifest_path"].as_str().unwrap_or("");
    if manifest.contains("/solutions/") { format!("solutions/{short}") } else { short.to_owned() }
}

/// Reports each dependency between rooms that the table does not allow. Development dependencies are
/// free, except that a product crate's tests may not pull in a program.
pub fn check(metadata: &Value, problems: &mut Vec<String>) -> Result<()> {
    let rooms: Vec<(String, String)> =
        own(metadata).map(|p| (p["name"].as_str().unwrap_or("").to_owned(), room(p))).collect();
    for package in own(metadata) {
        let from = room(package);
        let allowed = if from.starts_with("solutions/") {
            FAMILY
        } else {
            match ALLOWED.iter().find(|(name, _)| *name == from) {
                Some((_, allowed)) => allowed,
                None => {
                    problems.push(format!(
                        "the room `{from}` is not in the table of xtask/src/tidy/arrows.rs: say there what it may know"
                    ));
                    continue;
                }
            }
        };
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        for dependency in dependencies {
            if dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            let name = dependency["name"].as_str().unwrap_or("");
            let Some((_, to)) = rooms.iter().find(|(package, _)| package == name) else { continue };
            let fits = |pattern: &&str| {
                *pattern == to || (*pattern == "solutions/*" && to.starts_with("solutions/"))
            };
            if !allowed.iter().any(fits) {
                problems.push(format!("`{from}` may not know `{to}`: see the arrows in ARCHITECTURE.md"));
            }
        }
    }
    Ok(())
}

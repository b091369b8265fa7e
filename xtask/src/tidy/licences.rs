//! Licences of everything that is linked in, against the list in `deny.toml`.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Reports each package none of whose licence choices is allowed.
pub fn check(root: &Path, metadata: &Value, problems: &mut Vec<String>) -> Result<()> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("reading deny.toml")?;
    let deny: toml::Value = toml::from_str(&text).context("reading deny.toml")?;
    let allowed: Vec<&str> = deny
        .get("licenses")
        .and_then(|l| l.get("allow"))
        .and_then(toml::Value::as_array)
        .map(|list| list.iter().filter_map(toml::Value::as_str).collect())
        .unwrap_or_default();
    for package in metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let (name, version) =
            (package["name"].as_str().unwrap_or(""), package["version"].as_str().unwrap_or(""));
        match package["license"].as_str() {
            Some(expression) if fits(expression, &allowed) => {}
            Some(expression) => {
                problems.push(format!("{name} {version}: licence {expression} is not in deny.toml"))
            }
            None => problems.push(format!("{name} {version} names no licence")),
        }
    }
    Ok(())
}

/// Whether an SPDX expression can be met with the allowed licences: any choice of each `OR` suffices,
/// every part of each `AND` is needed.
fn fits(expression: &str, allowed: &[&str]) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    flat.split(" AND ").all(|part| part.split(" OR ").any(|choice| allowed.contains(&choice.trim())))
}

//! A new family from the template: copies `solutions/_template`, and registers it in the workspace and
//! in the catalogue. A family that needs any other edit shows a defect of the contract.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

/// Makes `solutions/NAME` and registers it.
pub fn run(root: &Path, name: &str) -> Result<()> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase()) {
        bail!("a family's name is one lower-case word, such as `fim`; `{name}` is not");
    }
    let target = root.join("solutions").join(name);
    if target.exists() {
        bail!("solutions/{name} exists already");
    }
    copy(&root.join("solutions/_template"), &target, name)?;
    register(root, name)?;
    println!("Made solutions/{name} and registered it. Next: cargo nextest run -p covigil-{name}");
    Ok(())
}

fn copy(from: &Path, to: &Path, name: &str) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, name)?;
        } else {
            let text = fs::read_to_string(entry.path())?;
            fs::write(&target, text.replace("template", name))?;
        }
    }
    Ok(())
}

/// Adds the family to the workspace's dependencies and to the catalogue, keeping both in order.
fn register(root: &Path, name: &str) -> Result<()> {
    let line = format!("covigil-{name} = {{ path = \"solutions/{name}\" }}");
    insert_sorted(&root.join("Cargo.toml"), "= { path = \"solutions/", &line)?;
    insert_sorted(
        &root.join("crates/catalog/Cargo.toml"),
        "covigil-",
        &format!("covigil-{name}.workspace = true"),
    )?;
    let list = root.join("crates/catalog/src/lib.rs");
    insert_sorted(&list, "    &covigil_", &format!("    &covigil_{name}::SOLUTION,"))
}

/// Inserts `line` among the lines that contain `like`, in alphabetical order.
fn insert_sorted(path: &Path, like: &str, line: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut lines: Vec<&str> = text.lines().collect();
    let among: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].contains(like)).collect();
    let Some(&last) = among.last() else { bail!("{}: no line like `{like}` to add to", path.display()) };
    let at = among.iter().copied().find(|i| lines[*i] > line).unwrap_or(last + 1);
    lines.insert(at, line);
    fs::write(path, lines.join("\n") + "\n")?;
    Ok(())
}

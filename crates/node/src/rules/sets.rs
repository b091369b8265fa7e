//! Added rule sets: each a folder `rules/NAME` in the data folder, with the files and where they came from.
//!
//! A set comes from a folder, or from a git repository. Adding it again updates it. The new files are put
//! beside the old ones and take their place by one rename, so a running node never reads half a set.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

/// Where a set came from; kept in it as `origin.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Format version.
    pub version: u32,
    /// The folder or the repository.
    pub source: String,
    /// The folder within it that holds the rules; empty: all of it.
    pub within: String,
    /// The repository's commit; empty for a folder.
    pub commit: String,
}

/// A set that the node has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSetDir {
    /// Its name.
    pub name: String,
    /// Its rule files.
    pub files: PathBuf,
    /// Where it came from.
    pub origin: Origin,
}

/// Why a set was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The name cannot be a folder's.
    #[error("`{0}` cannot be a set's name: use letters, digits, dots, dashes and underscores")]
    Name(String),
    /// `--within` leads out of the source.
    #[error("`{0}` leads out of the source; name a folder inside it")]
    Within(String),
    /// There is no such folder.
    #[error("{0} is not a folder, and not the URL of a git repository")]
    Source(String),
    /// Git failed.
    #[error("git could not fetch {url}: {message}")]
    Git {
        /// The repository.
        url: String,
        /// What git said.
        message: String,
    },
    /// The source has no rules.
    #[error("{0} holds no rule files (.yml); name the folder that does with --within")]
    Empty(String),
    /// A file could not be read or written.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// All sets of a data folder, by name.
pub fn list(data: &Path) -> io::Result<Vec<RuleSetDir>> {
    let mut sets = Vec::new();
    let entries = match fs::read_dir(data.join("rules")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(sets),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let dir = entry?.path();
        let name = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        let Ok(text) = fs::read_to_string(dir.join("origin.toml")) else { continue };
        let Ok(origin) = toml::from_str::<Origin>(&text) else { continue };
        sets.push(RuleSetDir { name, files: dir.join("files"), origin });
    }
    sets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sets)
}

/// Adds a set, or updates the one of that name.
pub fn add(
    data: &Path,
    source: &str,
    name: Option<&str>,
    within: Option<&Path>,
) -> Result<RuleSetDir, AddError> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => default_name(source),
    };
    let sound = !name.is_empty()
        && !name.starts_with('.')
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !sound {
        return Err(AddError::Name(name));
    }
    if let Some(within) = within
        && !within.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
    {
        return Err(AddError::Within(within.display().to_string()));
    }
    let sets = data.join("rules");
    let fresh = sets.join(format!(".{name}.new"));
    let file = |path: &Path| {
        let path = path.to_owned();
        move |cause| AddError::File { path, cause }
    };
    fs::create_dir_all(&sets).map_err(file(&sets))?;
    remove(&fresh).map_err(file(&fresh))?;
    fs::create_dir_all(&fresh).map_err(file(&fresh))?;

    let (root, commit) = if is_url(source) {
        let checkout = fresh.join("checkout");
        let commit = clone(source, &checkout)?;
        (checkout, commit)
    } else {
        let folder = PathBuf::from(source);
        if !folder.is_dir() {
            return Err(AddError::Source(source.to_owned()));
        }
        (folder, String::new())
    };
    let within = match within {
        Some(within) => within.to_owned(),
        None if root.join("rules").is_dir() => PathBuf::from("rules"),
        None => PathBuf::new(),
    };
    let from = root.join(&within);
    let files = fresh.join("files");
    if copy_rules(&from, &files).map_err(file(&from))? == 0 {
        let _ = remove(&fresh);
        return Err(AddError::Empty(format!("{source} {}", within.display()).trim().to_owned()));
    }
    copy_notices(&root, &files).map_err(file(&root))?;
    remove(&fresh.join("checkout")).map_err(file(&fresh))?;

    let source = if commit.is_empty() {
        fs::canonicalize(source).map_err(file(Path::new(source)))?.display().to_string()
    } else {
        source.to_owned()
    };
    let origin = Origin { version: 1, source, within: within.display().to_string(), commit };
    let text = toml::to_string(&origin).unwrap_or_default();
    fs::write(fresh.join("origin.toml"), text).map_err(file(&fresh))?;
    let target = sets.join(&name);
    let old = sets.join(format!(".{name}.old"));
    remove(&old).map_err(file(&old))?;
    if target.exists() {
        fs::rename(&target, &old).map_err(file(&target))?;
    }
    fs::rename(&fresh, &target).map_err(file(&target))?;
    remove(&old).map_err(file(&old))?;
    Ok(RuleSetDir { name, files: target.join("files"), origin })
}

fn is_url(source: &str) -> bool {
    source.contains("://") || source.starts_with("git@")
}

/// The last part of a path or URL, without `.git`.
fn default_name(source: &str) -> String {
    let trimmed = source.trim_end_matches('/');
    let last = trimmed.rsplit(['/', ':']).next().unwrap_or(trimmed);
    last.strip_suffix(".git").unwrap_or(last).to_owned()
}

/// Fetches the newest commit of a repository, and nothing of its history; yields the commit.
fn clone(url: &str, into: &Path) -> Result<String, AddError> {
    let failed = |message: String| AddError::Git { url: url.to_owned(), message };
    let run = |args: &[&str]| -> Result<String, AddError> {
        let output = Command::new("git")
            .args(args)
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .map_err(|e| failed(format!("{e} (is git installed?)")))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
        }
    };
    let folder = into.display().to_string();
    run(&["clone", "--quiet", "--depth", "1", "--no-tags", "--", url, &folder])?;
    run(&["-C", &folder, "rev-parse", "HEAD"])
}

/// Copies the licences and notices of the source's own folder, which cover the rules below it.
fn copy_notices(root: &Path, files: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let shown = entry.file_name().to_string_lossy().into_owned();
        if is_notice(&shown) && entry.file_type()?.is_file() {
            fs::copy(entry.path(), files.join(shown))?;
        }
    }
    Ok(())
}

fn is_notice(name: &str) -> bool {
    name.starts_with("LICENSE") || name.starts_with("NOTICE")
}

/// Copies rule files, keeping folders; licences and notices go with them. Yields the number of rule files.
fn copy_rules(from: &Path, to: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        if shown.starts_with('.') {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            count += copy_rules(&entry.path(), &to.join(&name))?;
        } else if kind.is_file() {
            let rule = shown.ends_with(".yml") || shown.ends_with(".yaml");
            if rule || is_notice(&shown) {
                fs::create_dir_all(to)?;
                fs::copy(entry.path(), to.join(&name))?;
                count += usize::from(rule);
            }
        }
    }
    Ok(count)
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, args: &[&str]) {
        let status = Command::new("git")
            .current_dir(dir)
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"])
            .args(args)
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[test]
    fn a_folder_is_copied_and_adding_it_again_updates_it() {
        let data = tempfile::tempdir().unwrap();
        let source = tempfile::tempdir().unwrap();
        fs::create_dir(source.path().join("rules")).unwrap();
        fs::write(source.path().join("rules/a.yml"), "1").unwrap();
        fs::write(source.path().join("other.yml"), "not in rules/").unwrap();
        fs::write(source.path().join("LICENSE"), "terms").unwrap();
        let path = source.path().display().to_string();
        let set = add(data.path(), &path, Some("mine"), None).unwrap();
        assert_eq!(fs::read_to_string(set.files.join("a.yml")).unwrap(), "1");
        assert!(!set.files.join("other.yml").exists());
        assert!(set.files.join("LICENSE").exists());
        fs::remove_file(source.path().join("rules/a.yml")).unwrap();
        fs::write(source.path().join("rules/b.yml"), "2").unwrap();
        add(data.path(), &path, Some("mine"), None).unwrap();
        assert!(!set.files.join("a.yml").exists() && set.files.join("b.yml").exists());
        assert_eq!(list(data.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_repository_is_fetched_and_its_commit_noted() {
        let data = tempfile::tempdir().unwrap();
        let source = tempfile::tempdir().unwrap();
        git(source.path(), &["init", "--quiet"]);
        fs::write(source.path().join("a.yml"), "1").unwrap();
        git(source.path(), &["add", "."]);
        git(source.path(), &["commit", "--quiet", "-m", "one"]);
        let url = format!("file://{}", source.path().display());
        let set = add(data.path(), &url, Some("repo"), None).unwrap();
        assert_eq!(set.origin.commit.len(), 40);
        assert!(set.files.join("a.yml").exists());
    }

    #[test]
    fn names_and_folders_that_lead_elsewhere_are_refused() {
        let data = tempfile::tempdir().unwrap();
        for name in ["", "..", ".x", "a/b", "a b"] {
            assert!(matches!(add(data.path(), "/tmp", Some(name), None), Err(AddError::Name(_))), "{name}");
        }
        let out = add(data.path(), "/tmp", Some("x"), Some(Path::new("../etc")));
        assert!(matches!(out, Err(AddError::Within(_))));
        let option = add(data.path(), "--upload-pack=touch /tmp/pwned://", Some("x"), None);
        assert!(matches!(option, Err(AddError::Git { .. })));
    }
}

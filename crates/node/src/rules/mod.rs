//! The rules that the node runs: those it brings, and the rule sets that were added.

pub mod live;
pub mod sets;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use covigil_rules::RuleText;

/// A rule file may be this long, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Rule files read of one folder at most.
const MAX_FILES: usize = 100_000;
/// Folders deep.
const MAX_DEPTH: usize = 32;

/// A rule file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// The texts of all rule files (`.yml`, `.yaml`) of a folder and those below, or of one file, in order of
/// path. Links are not followed.
pub fn read_rules(from: &Path) -> (Vec<RuleText>, Vec<Unread>) {
    let mut texts = Vec::new();
    let mut unread = Vec::new();
    collect(from, 0, &mut texts, &mut unread);
    (texts, unread)
}

fn collect(path: &Path, depth: usize, texts: &mut Vec<RuleText>, unread: &mut Vec<Unread>) {
    let mut refuse = |reason: String| unread.push(Unread { path: path.to_owned(), reason });
    let kind = match std::fs::symlink_metadata(path) {
        Ok(meta) if depth == 0 && meta.is_symlink() => std::fs::metadata(path).map(|m| m.file_type()),
        Ok(meta) => Ok(meta.file_type()),
        Err(error) => Err(error),
    };
    match kind {
        Err(error) => refuse(error.to_string()),
        Ok(kind) if kind.is_dir() => {
            if depth > MAX_DEPTH {
                return refuse(format!("folders nest deeper than {MAX_DEPTH}"));
            }
            match std::fs::read_dir(path) {
                Err(error) => refuse(error.to_string()),
                Ok(entries) => {
                    let mut entries: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
                    entries.sort();
                    for entry in entries {
                        let hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
                        if !hidden {
                            collect(&entry, depth + 1, texts, unread);
                        }
                    }
                }
            }
        }
        Ok(kind) if kind.is_file() && (depth == 0 || is_rule(path)) => {
            if texts.len() >= MAX_FILES {
                return refuse(format!("more than {MAX_FILES} rule files"));
            }
            match read_text(path) {
                Ok(text) => texts.push(RuleText { path: path.display().to_string(), text }),
                Err(reason) => refuse(reason),
            }
        }
        Ok(_) => {}
    }
}

fn is_rule(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yml" || e == "yaml")
}

fn read_text(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("larger than 1 MiB; no rule is".to_owned());
    }
    String::from_utf8(bytes).map_err(|e| format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_files_are_read_in_order_and_links_and_hidden_folders_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("b/.git")).unwrap();
        for (name, text) in
            [("b/2.yml", "two"), ("a.yaml", "one"), ("b/.git/x.yml", "no"), ("readme.md", "no")]
        {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("/etc", dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("bad.yml"), [0xff]).unwrap();
        let (texts, unread) = read_rules(dir.path());
        assert_eq!(texts.iter().map(|t| t.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(unread.len(), 1);
        assert!(unread[0].reason.contains("UTF-8"));
    }
}

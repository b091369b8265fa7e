//! Which files a list of paths stands for, in an order that is the same on every run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{FileIssue, IssueKind, unreadable};

/// Folders are entered this deep.
const MAX_DEPTH: usize = 64;

/// What a walk found.
#[derive(Debug, Default)]
pub struct Found {
    /// The files, as given for named files, and in byte order within each named folder.
    pub files: Vec<PathBuf>,
    /// What could not be looked into.
    pub issues: Vec<FileIssue>,
    /// Files in folders that were left out because their name says they are no logs.
    pub left_out: u64,
}

/// Lists the files that `paths` stand for. A named file is always listed. Inside a folder,
/// symbolic links and special files are passed over, as are documents and rules by their name
/// (`.md`, `.yml`, `.yaml`), which commonly lie beside samples.
pub fn walk(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for path in paths {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => folder(path, 0, &mut found),
            Ok(_) => found.files.push(path.clone()),
            Err(error) => found.issues.push(unreadable(&path.display().to_string(), &error)),
        }
    }
    found
}

fn folder(dir: &Path, depth: usize, found: &mut Found) {
    if depth > MAX_DEPTH {
        found.issues.push(FileIssue {
            path: dir.display().to_string(),
            number: None,
            kind: IssueKind::TooLarge,
            message: format!("folders nested deeper than {MAX_DEPTH} are not entered; name it directly"),
        });
        return;
    }
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            found.issues.push(unreadable(&dir.display().to_string(), &error));
            return;
        }
    };
    let mut inside = Vec::new();
    for entry in entries {
        match entry.and_then(|e| e.file_type().map(|kind| (e.path(), kind))) {
            Ok(entry) => inside.push(entry),
            Err(error) => found.issues.push(unreadable(&dir.display().to_string(), &error)),
        }
    }
    inside.sort_by(|(a, _), (b, _)| a.as_os_str().cmp(b.as_os_str()));
    for (path, kind) in inside {
        if kind.is_dir() {
            folder(&path, depth + 1, found);
        } else if kind.is_file() {
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            if ["md", "yml", "yaml"].iter().any(|e| extension.eq_ignore_ascii_case(e)) {
                found.left_out += 1;
            } else {
                found.files.push(path);
            }
        }
    }
}

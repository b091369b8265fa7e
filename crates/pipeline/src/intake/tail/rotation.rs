//! Finding what became of a file that was rotated, among its neighbours `NAME.1`, `NAME-20261124`
//! and the like. Compressed ones are not looked into: rotation that compresses at once is seen
//! through the open file.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::position::Position;

/// Neighbours are looked at up to this number.
const MOST: usize = 4_096;

/// A rotated file.
#[derive(Debug, Clone)]
pub(super) struct Rotated {
    pub path: PathBuf,
    pub id: (u64, u64),
    /// Seconds and nanoseconds of its last change.
    changed: (i64, i64),
    len: u64,
}

/// The rotated neighbours of a file, the one changed longest ago first.
fn neighbours(path: &Path) -> Vec<Rotated> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return Vec::new();
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    // `app.log` may become `app.log.1`, `app.log-2026`, `app-2026.log` or `app.1.log`.
    let stem = Path::new(name).file_stem().and_then(|s| s.to_str()).unwrap_or(name);
    let mut found = Vec::new();
    for entry in entries.flatten().take(MOST) {
        let other = entry.file_name();
        let Some(other) = other.to_str() else { continue };
        let related = other != name
            && other.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['.', '-', '_']))
            && ![".gz", ".xz", ".bz2", ".zst"].iter().any(|end| other.ends_with(end));
        if !related {
            continue;
        }
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_file() {
            found.push(Rotated {
                path: entry.path(),
                id: (meta.dev(), meta.ino()),
                changed: (meta.mtime(), meta.mtime_nsec()),
                len: meta.len(),
            });
        }
    }
    found.sort_by_key(|file| file.changed);
    found
}

fn begins_as(file: &Rotated, position: &Position) -> bool {
    File::open(&file.path).and_then(|open| position.marks(&open)).unwrap_or(false)
}

/// Where the file is now that the position is in, given that another (`current`) has its path. If
/// the same file has it, and begins otherwise than it did, it was copied and cut.
pub(super) fn moved(path: &Path, position: &Position, current: (u64, u64)) -> Option<Rotated> {
    let by_copy = || copy_of(path, position);
    if position.file == current {
        return by_copy();
    }
    let renamed =
        |file: &Rotated| file.id == position.file && file.len >= position.offset && begins_as(file, position);
    neighbours(path).into_iter().find(renamed).or_else(by_copy)
}

/// The files that were at the path after `old` and before `current`, oldest first.
pub(super) fn between(path: &Path, old: &Rotated, current: (u64, u64)) -> Vec<Rotated> {
    neighbours(path)
        .into_iter()
        .filter(|file| file.changed > old.changed && file.id != old.id && file.id != current)
        .collect()
}

/// The copy that a rotation by truncation made: it begins as the file did, and goes at least as
/// far as was read.
pub(super) fn copy_of(path: &Path, position: &Position) -> Option<Rotated> {
    if position.mark.is_empty() {
        return None;
    }
    neighbours(path)
        .into_iter()
        .rev()
        .find(|file| file.id != position.file && file.len >= position.offset && begins_as(file, position))
}

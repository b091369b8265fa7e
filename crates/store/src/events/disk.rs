//! Durable writing on the local disk.

use std::{fs::File, path::Path};

use super::error::EventsError;

/// Makes a directory's entries durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), EventsError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(EventsError::io("syncing", dir))
}

/// Makes the entry of a file in its directory durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), EventsError> {
    path.parent().map_or(Ok(()), sync_dir)
}

/// Creates a directory and those above it, durably.
pub(crate) fn create_dir(dir: &Path) -> Result<(), EventsError> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_dir(parent)?;
    }
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(EventsError::io("creating", dir)(error));
        }
        _ => {}
    }
    sync_parent(dir)
}

/// Deletes a file; one that is not there is no error.
pub(crate) fn remove_file(path: &Path) -> Result<(), EventsError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EventsError::io("deleting", path)(error))
        }
        _ => Ok(()),
    }
}

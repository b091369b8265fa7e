//! What several tests need.

use std::path::PathBuf;

/// A folder of the shared test data, or `None` (said on stderr) where this machine has none.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COVIGIL_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join("data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!(
        "skipped: no test data at {}; set COVIGIL_SHARED to the folder that holds data/",
        path.display()
    );
    None
}

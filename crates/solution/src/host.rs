//! The machine, as a family sees it: a port, so that tests put a made-up machine behind it.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What a family may ask of the machine it watches. All answers are bounded.
pub trait Host: Send + Sync {
    /// The machine's name.
    fn hostname(&self) -> String;

    /// The first `limit` bytes of a file.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Whether a file or directory can be opened for reading, without reading it.
    fn check_readable(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, sorted, at most 100,000.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Where a symbolic link points.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;

    /// The full path of a program on the search path.
    fn program(&self, name: &str) -> Option<PathBuf>;
}

//! This machine, behind the port that families look through.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use covigil_solution::Host;

/// Entries listed of one directory at most.
const MAX_ENTRIES: usize = 100_000;

/// The machine that the node runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalHost;

impl Host for LocalHost {
    fn hostname(&self) -> String {
        let name = rustix::system::uname();
        let name = name.nodename().to_string_lossy().into_owned();
        if name.is_empty() { "localhost".to_owned() } else { name }
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        File::open(path)?.take(limit as u64).read_to_end(&mut data)?;
        Ok(data)
    }

    fn check_readable(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() { std::fs::read_dir(path).map(drop) } else { File::open(path).map(drop) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)?.take(MAX_ENTRIES) {
            entries.push(entry?.path());
        }
        entries.sort();
        Ok(entries)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(path)
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
    }
}

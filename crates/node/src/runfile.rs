//! How the command line finds a running node: `node.json` in the data folder, readable by its owner only.

use std::{
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::{Deserialize, Serialize};

/// What a running node tells the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Address of console and API, such as `http://localhost:8447`.
    pub url: String,
    /// API token that may read alerts, search and status.
    pub read_token: String,
    /// API token that may send events.
    pub intake_token: String,
    /// The node's process.
    pub pid: u32,
}

impl RunFile {
    const NAME: &'static str = "node.json";

    /// The run file of a data folder; `None` where no node has left one.
    pub fn read(data: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(data.join(Self::NAME)) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the run file, replacing the one before as a whole.
    pub fn write(&self, data: &Path) -> io::Result<()> {
        let fresh = data.join("node.json.new");
        let _ = std::fs::remove_file(&fresh);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        std::fs::rename(&fresh, data.join(Self::NAME))
    }

    /// Removes the run file when the node ends.
    pub fn remove(data: &Path) {
        let _ = std::fs::remove_file(data.join(Self::NAME));
    }
}

//! The node's configuration: `config.toml` in the data folder, versioned, unknown keys refused.
//!
//! A missing file means the defaults. Settings that people change in the console (outputs, users,
//! tokens) are in the state, not here; here is what must be known before the state is opened.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The version of the format that this build writes; it reads this one and those before it.
pub const VERSION: u32 = 1;

/// What the node is told at start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// Format version.
    pub version: u32,
    /// The console.
    pub console: Console,
    /// Network intake.
    pub intake: Intake,
    /// How long events are kept.
    pub retention: Retention,
    /// Limits on memory and disk.
    pub limits: Limits,
    /// Detection.
    pub detection: Detection,
    /// Whether this machine's own logs and state are sources.
    pub watch_this_machine: bool,
    /// Sources of this machine by name that are not to be read.
    pub disabled_sources: Vec<String>,
    /// Further log files to read, beside those found.
    pub files: Vec<ExtraFile>,
}

/// Where the console listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Console {
    /// Address and port.
    pub listen: SocketAddr,
    /// The address that people type, where a proxy with TLS stands in front: `https://soc.example.org`.
    pub public_url: Option<String>,
}

/// Where logs may be sent to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intake {
    /// Syslog over UDP: an address and port, or `off`.
    #[serde(with = "listen")]
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP: an address and port, or `off`.
    #[serde(with = "listen")]
    pub syslog_tcp: Option<SocketAddr>,
}

/// How long events are kept. What comes first ends them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Days.
    pub days: u32,
    /// Gigabytes (10⁹ bytes) of stored events.
    pub gigabytes: u64,
}

/// Limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Megabytes (10⁶ bytes) of events held in memory until they are flushed.
    pub memory_megabytes: u64,
    /// Megabytes of the write-ahead log at which sources are held back.
    pub log_megabytes: u64,
    /// Threads that parse and match; 0: one per core.
    pub workers: usize,
}

/// Detection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detection {
    /// Seconds by which an event may come late and still take its place in a correlation.
    pub lateness_seconds: u64,
    /// Seconds after which a source that usually talks counts as silent.
    pub silence_seconds: u64,
    /// Values of placeholders for rules that use `expand`.
    pub placeholders: std::collections::BTreeMap<String, Vec<String>>,
}

/// A log file to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraFile {
    /// Its path.
    pub path: PathBuf,
    /// The parser; `auto` tells the format from the content.
    #[serde(default = "auto")]
    pub parser: String,
}

/// An address to listen on, or `off`.
mod listen {
    use std::net::SocketAddr;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(listen: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        match listen {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str("off"),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            D::Error::custom(format!("`{text}` is not an address to listen on; write 0.0.0.0:5514, or off"))
        })
    }
}

fn auto() -> String {
    "auto".to_owned()
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            version: VERSION,
            console: Console::default(),
            intake: Intake::default(),
            retention: Retention::default(),
            limits: Limits::default(),
            detection: Detection::default(),
            watch_this_machine: true,
            disabled_sources: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8447)), public_url: None }
    }
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            syslog_udp: Some(SocketAddr::from(([127, 0, 0, 1], 5514))),
            syslog_tcp: Some(SocketAddr::from(([127, 0, 0, 1], 5514))),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: 90, gigabytes: 50 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_megabytes: 128, log_megabytes: 1_024, workers: 0 }
    }
}

impl Default for Detection {
    fn default() -> Self {
        Self { lateness_seconds: 60, silence_seconds: 300, placeholders: std::collections::BTreeMap::new() }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {cause}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The text is not a configuration.
    #[error("{path}: {cause}\nUnknown keys are refused so that a misspelt one is noticed; docs/configure.md lists all.", path = path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Line, column and what was wrong.
        cause: Box<toml::de::Error>,
    },
    /// Written by a newer build.
    #[error("{path}: version {version} was written by a newer Covigil; this one reads up to {VERSION}. Upgrade this program.", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

impl NodeConfig {
    /// The configuration of a data folder; the defaults where it has no `config.toml`.
    pub fn load(data: &Path) -> Result<Self, ConfigError> {
        let path = data.join("config.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(ConfigError::Read { path, cause }),
        };
        let config: Self = toml::from_str(&text)
            .map_err(|cause| ConfigError::Text { path: path.clone(), cause: Box::new(cause) })?;
        if config.version > VERSION {
            return Err(ConfigError::Newer { path, version: config.version });
        }
        Ok(config)
    }
}

/// The data folder where none is named: the system's for root, the person's own otherwise.
pub fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/covigil");
    }
    match std::env::var_os("HOME") {
        Some(home) => Path::new(&home).join(".local/share/covigil"),
        None => PathBuf::from("covigil-data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<NodeConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
        NodeConfig::load(dir.path())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let config = load("version = 1\n[retention]\ndays = 7\n").unwrap();
        assert_eq!(config.retention, Retention { days: 7, gigabytes: 50 });
        assert_eq!(config.console, Console::default());
    }

    #[test]
    fn listening_can_be_turned_off() {
        let config = load("[intake]\nsyslog_udp = \"off\"\nsyslog_tcp = \"0.0.0.0:514\"\n").unwrap();
        assert_eq!(config.intake.syslog_udp, None);
        assert_eq!(config.intake.syslog_tcp, Some(SocketAddr::from(([0, 0, 0, 0], 514))));
        assert!(load("[intake]\nsyslog_udp = \"everywhere\"\n").is_err());
    }

    #[test]
    fn misspelt_keys_and_newer_versions_are_refused_with_the_place() {
        let error = load("[retention]\ndaze = 7\n").unwrap_err().to_string();
        assert!(
            error.contains("config.toml") && error.contains("line 2") && error.contains("daze"),
            "{error}"
        );
        assert!(load("version = 99\n").unwrap_err().to_string().contains("newer"));
    }
}

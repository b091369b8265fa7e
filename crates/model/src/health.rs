//! What a source or a part of the program says about its own life.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// How a source fares. Counters count from the node's start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceHealth {
    /// The source's name, as in [`EventId`](crate::EventId).
    pub source: String,
    /// What it is, for people: `file /var/log/auth.log`, `syslog udp 127.0.0.1:5514`, ….
    pub description: String,
    /// Its state.
    pub state: SourceState,
    /// Why it is in that state and what mends it; empty while all is well.
    pub detail: String,
    /// Records acknowledged.
    pub records: u64,
    /// Bytes acknowledged.
    pub bytes: u64,
    /// Records per second over the last minute.
    pub rate: f64,
    /// When the last record came.
    pub last_seen: Option<Time>,
    /// Records that no parser understood; their originals are stored.
    pub parse_failures: u64,
    /// Records known to be lost before they could be stored (UDP, rotated away, over the limit).
    pub lost: u64,
    /// Milliseconds between an event's own time and its being searchable, last seen.
    pub lag_ms: u64,
}

/// The states of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// Records come, or may come at any time.
    Live,
    /// Nothing came for longer than is usual for this source.
    Silent,
    /// It cannot be read; the detail says why.
    Unreadable,
    /// Turned off by configuration, or not present on this machine.
    Off,
}

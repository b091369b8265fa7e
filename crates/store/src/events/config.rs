//! How an event store is set up.

use std::{path::PathBuf, time::Duration};

use covigil_model::TenantId;

/// How an event store is set up. Sizes are in bytes.
#[derive(Debug, Clone)]
pub struct EventStoreConfig {
    /// The table's directory; created where missing.
    pub dir: PathBuf,
    /// Whose events they are.
    pub tenant: TenantId,
    /// Memory for events not yet in files. When it is used up, appending waits for the disk.
    pub memory: usize,
    /// Flush when so many events wait in memory.
    pub flush_rows: usize,
    /// Flush when the events that wait in memory take so much of it.
    pub flush_bytes: usize,
    /// Flush at the latest so long after an event was appended.
    pub flush_interval: Duration,
    /// How often background work looks whether there is something to do.
    pub maintain_interval: Duration,
    /// Compaction makes files of at most so many rows.
    pub target_rows: u64,
    /// Compaction makes files of about at most so many bytes.
    pub target_bytes: u64,
    /// Commits between two checkpoints of the Delta log.
    pub checkpoint_commits: u64,
    /// Files that are no longer part of the table are deleted so long after they were replaced, for
    /// the sake of other programs that read the table. Searches of this program hold their files
    /// by themselves.
    pub grace: Duration,
    /// Drop events received longer ago than so many days; whole days at a time.
    pub keep_days: Option<u32>,
    /// Drop the oldest days, and within the last day the oldest files, when files and sidecars take
    /// more than this.
    pub keep_bytes: Option<u64>,
}

impl EventStoreConfig {
    /// The defaults: 192 MiB of memory, a flush a minute, everything kept.
    pub fn new(dir: impl Into<PathBuf>, tenant: TenantId) -> Self {
        Self {
            dir: dir.into(),
            tenant,
            memory: 192 << 20,
            flush_rows: 262_144,
            flush_bytes: 96 << 20,
            flush_interval: Duration::from_secs(60),
            maintain_interval: Duration::from_secs(20),
            target_rows: 2 << 20,
            target_bytes: 256 << 20,
            checkpoint_commits: 50,
            grace: Duration::from_secs(600),
            keep_days: None,
            keep_bytes: None,
        }
    }
}

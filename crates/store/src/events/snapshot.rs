//! A consistent view of all events: those in memory and those in files, each event in exactly one.
//!
//! A snapshot is cheap to take and may be kept as long as a search runs: the files it names are not
//! deleted before it is dropped, whatever compaction and retention do meanwhile.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use covigil_model::Time;

use super::{
    error::EventsError,
    field_names::FieldNames,
    schema,
    signature::{ChunkSet, Sidecar},
};
use crate::wal::Position;

/// One Parquet file of the table. Its rows are sorted by `time`, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRef {
    /// Path relative to the table, with `/`: `day=2026-11-24/….parquet`.
    pub path: Arc<str>,
    /// The table's directory.
    pub root: Arc<Path>,
    /// Day of receipt of its events, as `2026-11-24`.
    pub day: Arc<str>,
    /// Number of rows.
    pub rows: u64,
    /// Size of the Parquet file in bytes.
    pub bytes: u64,
    /// Size of the signature sidecar in bytes; 0 where there is none.
    pub sidecar_bytes: u64,
    /// Least `time` in it, rounded down to the microsecond.
    pub min_time: Time,
    /// Greatest `time` in it, rounded up to the microsecond.
    pub max_time: Time,
}

impl FileRef {
    /// Where the Parquet file is.
    pub fn location(&self) -> PathBuf {
        self.root.join(&*self.path)
    }

    /// Where the signature sidecar is: below `_index`, a directory that other tools leave alone.
    pub fn sidecar_location(&self) -> PathBuf {
        self.root.join("_index").join(&*self.path).with_extension("sig")
    }

    /// Whether any of its events may be in `from..=to`.
    pub fn may_contain(&self, from: Time, to: Time) -> bool {
        self.min_time <= to && self.max_time >= from
    }

    /// Opens the sidecar. Reads its header only. `None` where the file has none: then nothing can be
    /// skipped. Keep it: the header of a large file takes some kilobytes.
    pub fn sidecar(&self) -> Result<Option<Sidecar>, EventsError> {
        if self.sidecar_bytes == 0 {
            return Ok(None);
        }
        Sidecar::open(&self.sidecar_location(), self.rows)
    }

    /// The chunks of rows that may contain all the needles, each as a substring of any text of the
    /// event regardless of case. All chunks where the sidecar is missing or damaged.
    pub fn candidate_chunks(&self, needles: &[&str]) -> ChunkSet {
        match self.sidecar() {
            Ok(Some(sidecar)) => sidecar.candidate_chunks(needles),
            _ => ChunkSet::all(self.rows),
        }
    }
}

/// All events at one moment.
#[derive(Debug, Clone)]
pub struct EventSnapshot {
    /// The columns, in memory and, with text as plain UTF-8, in the files.
    pub schema: SchemaRef,
    /// Parquet files, newest `max_time` first. Files may overlap in time.
    pub files: Vec<Arc<FileRef>>,
    /// Events not yet in files, in order of arrival. Rows are not sorted by time.
    pub memory: Vec<RecordBatch>,
    /// Which columns hold the values of which source fields, over all events.
    pub fields: Arc<FieldNames>,
    /// The snapshot holds every event up to this position of the write-ahead log.
    pub up_to: Position,
}

impl EventSnapshot {
    /// A snapshot of nothing.
    pub fn empty() -> Self {
        Self {
            schema: schema::schema(),
            files: Vec::new(),
            memory: Vec::new(),
            fields: Arc::default(),
            up_to: Position::default(),
        }
    }

    /// Number of events in it.
    pub fn rows(&self) -> u64 {
        let stored: u64 = self.files.iter().map(|f| f.rows).sum();
        stored + self.memory.iter().map(|b| b.num_rows() as u64).sum::<u64>()
    }
}

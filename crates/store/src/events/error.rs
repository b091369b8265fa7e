//! What can go wrong with the events at rest, in words for the person who mends it.

use std::path::PathBuf;

/// Why events could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The disk or the file system refused.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was attempted, such as `writing`.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Parquet could not be written or read.
    #[error("{doing} {}: {source}", path.display())]
    Parquet {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The library's reason.
        source: parquet::errors::ParquetError,
    },
    /// Arrow refused a batch: a defect of this crate or a damaged file.
    #[error("a batch of events does not fit the table's columns: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The Delta log could not be read or extended.
    #[error("the events table's log in {}: {source}", path.display())]
    Delta {
        /// The table's directory.
        path: PathBuf,
        /// The library's reason.
        source: Box<deltalake_core::DeltaTableError>,
    },
    /// The directory holds a table that this version does not know.
    #[error("{} holds a table with other columns ({found}); choose another directory, or the program that wrote it", path.display())]
    Schema {
        /// The table's directory.
        path: PathBuf,
        /// What differs.
        found: String,
    },
    /// A file of the table is damaged.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Someone asked for another tenant's events.
    #[error("these events belong to another tenant")]
    Tenant,
    /// The store is closed, or its worker died.
    #[error("the event store is closed")]
    Closed,
}

impl EventsError {
    /// Wraps an input or output error with what was attempted and where.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// Wraps a Parquet error with what was attempted and where.
    pub(crate) fn parquet(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Parquet { doing, path, source }
    }
}

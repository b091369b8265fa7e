//! Why a search gave no answer, in words for the person who asked.

use super::language::QueryError;
use crate::events::EventsError;

/// Why a search gave no answer, or not the whole one.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The query cannot be understood.
    #[error("{0}")]
    Query(#[from] QueryError),
    /// The SQL cannot be understood, or asks for what it may not.
    #[error("{message}")]
    Sql {
        /// What is wrong and the mend.
        message: String,
    },
    /// Too many searches at once.
    #[error("{running} searches are running and {waiting} more are waiting; try again when one is done")]
    Busy {
        /// Searches that run.
        running: usize,
        /// Searches that wait.
        waiting: usize,
    },
    /// It took too long.
    #[error("the search was stopped after {seconds} s; search a shorter time, or a more particular text")]
    Time {
        /// The limit.
        seconds: u64,
    },
    /// It needed too much memory.
    #[error(
        "the search needs more than the {mebibytes} MiB that one search may use; group by fewer values, or search a shorter time"
    )]
    Memory {
        /// The limit.
        mebibytes: usize,
    },
    /// Nobody waits for the answer any more.
    #[error("the search was cancelled")]
    Cancelled,
    /// The events could not be had.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// A file could not be read.
    #[error("{path} of the events cannot be read: {reason}")]
    Unreadable {
        /// The file, within the table.
        path: String,
        /// Why.
        reason: String,
    },
    /// A defect of the search.
    #[error("the search failed: {0}")]
    Failed(String),
}

impl From<arrow::error::ArrowError> for SearchError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Failed(error.to_string())
    }
}

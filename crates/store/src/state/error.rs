//! What can go wrong with the state, said for the person who has to mend it.

/// Why the state could not be read or changed. Nothing of a failed change is kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database refused or cannot be reached.
    #[error("the state database failed: {0}; look at the disk's free space and the file's owner")]
    Database(#[source] sqlx::Error),
    /// The database's tables cannot be brought to this version's form.
    #[error(
        "the state database cannot be brought up to date: {0}; restore it, or use the version that wrote it"
    )]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database file cannot be made.
    #[error("cannot create {path}: {message}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The system's words.
        message: String,
    },
    /// What was asked for is not there.
    #[error("{0} does not exist")]
    NotFound(&'static str),
    /// Somebody else changed it in between, or the number of alerts is no longer the agreed one.
    #[error("{0}")]
    Conflict(String),
    /// The request makes no sense; the text says what would.
    #[error("{0}")]
    Invalid(String),
    /// A stored value cannot be read back.
    #[error("the state database holds an unreadable {0}; restore it from a backup")]
    Unreadable(&'static str),
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl StateError {
    /// Whether a rule of the database against doubles stood in the way.
    pub(super) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}

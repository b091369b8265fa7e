//! What can go wrong, said for the person who has to mend it.

use std::{io, path::Path, path::PathBuf};

/// Why a batch was not stored, or the log not opened. A batch that gets an error is not in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// The log has reached its size limit: what reads it does not keep up. Hold the source back and
    /// try again.
    #[error(
        "the write-ahead log is full ({used} of {limit} bytes): events arrive faster than they are stored; \
         sources are held back until there is room, or raise the log's size limit"
    )]
    Full {
        /// Bytes in use.
        used: u64,
        /// The configured limit.
        limit: u64,
    },
    /// The disk refused. Nothing of the batch was acknowledged; hold the source back and try again.
    #[error("cannot {action} {path}: {message}; sources are held back until the disk takes writes again")]
    Disk {
        /// What was tried, such as `write to`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The kind of failure.
        kind: io::ErrorKind,
        /// The system's words for it.
        message: String,
    },
    /// One record is larger than the log takes.
    #[error("a record of {bytes} bytes is over the limit of {limit}; split or shorten it at its source")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// The configured limit.
        limit: usize,
    },
    /// The batch is larger than the log takes in one entry.
    #[error("a batch over the limit ({what}); send smaller batches")]
    BatchTooLarge {
        /// What there is too much of, and the limit.
        what: String,
    },
    /// A name is empty, too long, or has characters that it must not have.
    #[error("{what} is not usable as a name in the log: {why}")]
    BadName {
        /// Which name.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The log keeps books per source and per checkpoint, and bounds their number.
    #[error("too many {what} (limit {limit}); remove those that are no longer used")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Another process has the log open.
    #[error("{path} is in use by another process; stop it first, or give this one its own data directory")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The log was written by a newer version of the program.
    #[error("{path} has format version {version}, which this version cannot read; upgrade Covigil")]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The log is closed; the program is stopping.
    #[error("the write-ahead log is closed because the program is stopping")]
    Closed,
}

impl WalError {
    /// Whether trying again later can help: the source is to be held back meanwhile.
    pub const fn is_back_pressure(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Disk { .. })
    }

    pub(super) fn disk<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::Disk {
            action,
            path: path.to_owned(),
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

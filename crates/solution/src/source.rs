//! What a family can read on a host.

use std::{io, path::PathBuf};

use crate::host::Host;

/// Looks at a host and says what can be read there, and what cannot and why.
pub type Discover = fn(&dyn Host) -> Vec<SourcePlan>;

/// Takes a picture of some state of the host, as JSON objects, one per thing that exists now.
/// Each has a `key` that names the thing; what is new, changed or gone since the last picture
/// becomes a record.
pub type TakeSnapshot = fn(&dyn Host) -> io::Result<Vec<String>>;

/// One thing to read.
pub struct SourcePlan {
    /// The source's name in event ids: unique on the node, without spaces or `#`.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// The parser of its records.
    pub parser: &'static str,
    /// How it is read.
    pub kind: SourceKind,
    /// Whether it can be.
    pub access: Access,
}

/// How a source is read.
pub enum SourceKind {
    /// A text file that grows and is rotated.
    File {
        /// Where it is.
        path: PathBuf,
    },
    /// The systemd journal.
    Journal,
    /// A file of login records (utmp(5)), such as `/var/log/wtmp`.
    Logins {
        /// Where it is.
        path: PathBuf,
    },
    /// State that is looked at again and again.
    Snapshot {
        /// Seconds between looks.
        every: u64,
        /// Takes the picture.
        take: TakeSnapshot,
    },
}

/// Whether a source can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// It can.
    Ready,
    /// It is there, and cannot be read.
    Denied {
        /// What went wrong.
        reason: String,
        /// What the reader of this text can do about it.
        mend: String,
    },
    /// It is not on this machine. Said only where people would expect it.
    Absent {
        /// What would bring it.
        mend: String,
    },
}

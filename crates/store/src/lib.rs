//! Everything that is kept: the write-ahead log in front, the events at rest behind it, the search
//! over both, and the state (alerts, users, settings).

pub mod events;
pub mod search;
pub mod state;
pub mod wal;

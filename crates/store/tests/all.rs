//! The store as its users see it.

mod events;
mod search;
mod state;
mod wal;

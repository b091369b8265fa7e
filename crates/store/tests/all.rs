//! The store as its users see it.

mod events;
mod state;
mod wal;

//! Events at rest: Parquet in a Delta Lake table on the local disk, with a memory table in front.
//!
//! Events are searchable from memory at once, and are flushed to sorted Parquet files with signature
//! sidecars about once a minute; a Delta commit makes a flush visible in one step and carries the
//! position of the write-ahead log, so that each event is stored exactly once. Background work
//! compacts small files, writes checkpoints, applies retention and deletes what is no longer read.
//!
//! The search over events lives in [`search`](super::search), which plans on an [`EventSnapshot`].

mod batch;
mod compact;
mod config;
mod disk;
mod encode;
mod error;
mod field_names;
mod maintain;
pub(crate) mod original;
mod rows;
pub mod schema;
pub mod signature;
mod snapshot;
mod store;
mod table;
mod vacuum;

pub use config::EventStoreConfig;
pub use error::EventsError;
pub use field_names::FieldNames;
pub use maintain::Maintained;
pub use rows::{Rows, StoredEvent};
pub use schema::{column, is_indexed_value, is_searched_text, schema as event_schema};
pub use signature::{CHUNK_ROWS, ChunkSet, Sidecar};
pub use snapshot::{EventSnapshot, FileRef};
pub use store::{EventStats, EventStore};

//! Events at rest: Parquet in a Delta Lake table on the local disk, with a memory table in front.
//!
//! Events are searchable from memory at once, and are flushed to sorted Parquet files with signature
//! sidecars about once a minute; a Delta commit makes a flush visible in one step and carries the
//! position of the write-ahead log, so that each event is stored exactly once. Background work
//! compacts small files, writes checkpoints, applies retention and deletes what is no longer read.
//!
//! The search over events lives in [`search`](super::search), which plans on an [`EventSnapshot`].

mod disk;
mod error;
mod field_names;
pub mod schema;
pub mod signature;
mod snapshot;

pub use error::EventsError;
pub use field_names::FieldNames;
pub use schema::{column, is_indexed_value, is_searched_text, schema as event_schema};
pub use signature::{CHUNK_ROWS, ChunkSet, Sidecar};
pub use snapshot::{EventSnapshot, FileRef};

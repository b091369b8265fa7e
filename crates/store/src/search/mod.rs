//! The search over events: the language, what a query means over a batch, and its execution over
//! files and memory.
//!
//! A search for events reads units newest first and stops reading whole rows as soon as no unread
//! unit can have a newer one; counts over time and of values go on from there. A search with stages,
//! or in SQL, hands the same filtered units to DataFusion as a table. Both evaluate filters with
//! [`predicate`], skip chunks of files by their signature sidecars, and see what is in memory and
//! what is in files as one.
//!
//! What belongs elsewhere: how events are stored and when ([`events`](crate::events)).

mod error;
mod events_search;
mod files;
mod gather;
pub mod language;
mod member;
mod output;
mod pipe;
mod predicate;
mod row;
mod scan;
mod searcher;
mod sql;
mod table;
mod text;

pub use error::SearchError;
pub use gather::{Facet, Histogram};
pub use row::{ResultRow, StoredRow, Table, rows_to_csv, rows_to_jsonl};
pub use searcher::{
    FieldInfo, Limits, Progress, QueryText, SearchRequest, SearchStream, Searcher, Snapshots, Summary,
    Update, Want,
};

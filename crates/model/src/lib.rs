//! The words of the product as types: what an event, a finding, an alert, an entity is, and the
//! ids, times and severities they share.
//!
//! This crate does no I/O and knows no other crate of the workspace. What belongs here is a type
//! that two rooms must agree on; behaviour belongs to the room that has it.

pub mod alert;
pub mod context;
pub mod entity;
pub mod event;
pub mod finding;
pub mod health;
pub mod id;
pub mod json;
pub mod log_source;
pub mod ocsf;
pub mod record;
pub mod severity;
pub mod time;

pub use alert::{Alert, AlertState, Disposition};
pub use context::{Actor, OpContext, Party, Role};
pub use entity::{EntityKind, EntityRef};
pub use event::{Event, EventId, Field, Kind, Span, Value};
pub use finding::{Finding, Matched, RuleRef};
pub use id::{AlertId, FindingId, NoteId, SessionId, TenantId, UserId};
pub use log_source::LogSource;
pub use ocsf::{Attr, Class, Status};
pub use record::Record;
pub use severity::Severity;
pub use time::Time;

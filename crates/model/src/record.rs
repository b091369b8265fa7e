//! What intake hands over: framed bytes of one source, not yet understood.

use std::sync::Arc;

use crate::{event::EventId, time::Time};

/// One framed record as it arrived. The bytes are hostile and need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's source and place in it: the node counts from 1 per source, without gaps.
    pub id: EventId,
    /// When the node received it.
    pub received: Time,
    /// Name of the parser that reads it (`syslog`, `json`, `windows`, `journald`, …), or `auto`.
    pub parser: Arc<str>,
    /// Who sent it, where known: an address for network sources, a path for files.
    pub peer: Option<Arc<str>>,
    /// The original, without framing.
    pub data: Vec<u8>,
}

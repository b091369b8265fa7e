//! Raw record to event.

use std::sync::Arc;

use covigil_model::{Event, Time};

/// What is known of a record besides its bytes.
#[derive(Debug, Clone)]
pub struct ParseContext {
    /// When the node received it; stands in where the record has no time, and gives the year to
    /// times that lack one.
    pub received: Time,
    /// Seconds east of UTC of times written without a zone.
    pub utc_offset: i32,
    /// Who sent it: an address for network sources, a path for files.
    pub peer: Option<Arc<str>>,
    /// This machine's name, for logs that do not say where they were written.
    pub hostname: Arc<str>,
}

/// How sure a parser is that a record is in its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It is not.
    No,
    /// It can be read so, but so could many others.
    Weak,
    /// It has the format's marks.
    Strong,
}

/// Why a record was not understood. The event keeps the original, and this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseFailure(pub String);

/// Reads one format. Parsers have no state: each record is read by itself.
pub trait Parser: Send + Sync {
    /// The name by which configuration and records refer to it.
    fn name(&self) -> &'static str;

    /// Looks at the first bytes of a record of unknown format.
    fn sniff(&self, original: &str) -> Confidence;

    /// Fills the event, which has been reset with the record's original.
    ///
    /// Sets at least time and log source. Takes time linear in the original's length, keeps
    /// whatever it understood before a failure, and does not panic on any text.
    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure>;
}

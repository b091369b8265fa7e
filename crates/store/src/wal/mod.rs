//! The write-ahead log: what makes an acknowledged record durable.

/// A place in the log: the number of the record, counted from 1 over all sources, without gaps.
/// Everything up to and including a position can be committed downstream as one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

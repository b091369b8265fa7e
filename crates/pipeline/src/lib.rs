//! The way of an event: intake, parsing, matching, correlation, storing; and the reading of files
//! where they lie.
//!
//! Intake frames hostile bytes and acknowledges what the write-ahead log has made durable. The
//! engine reads the log, fills events, runs the rules, and hands findings and events on. What an
//! event means is a parser's matter, what is bad a rule's, how it is kept the store's.

pub mod engine;
pub mod files;
pub mod intake;
pub mod parse;
pub mod sources;

//! The search over events: the language, what a query means over a batch, and its execution over
//! files and memory.

pub mod language;

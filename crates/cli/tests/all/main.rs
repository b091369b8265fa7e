//! The `covigil` command as a user meets it: the built binary, real files, a real node.

mod detect;
mod docs;
mod kill;
mod node;
mod shared;
mod sync_trace;

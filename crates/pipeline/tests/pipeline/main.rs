//! What the pipeline does, seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what is wrong by failing"
)]

mod engine;
mod files;
mod http;
mod journal;
mod snapshot;
mod support;
mod syslog;
mod tail;

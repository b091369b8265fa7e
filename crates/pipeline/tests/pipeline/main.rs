//! What the pipeline does, seen from outside.

mod engine;
mod files;
mod http;
mod journal;
mod snapshot;
mod support;
mod syslog;
mod tail;

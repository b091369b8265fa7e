//! The console as a whole, over a backend in memory: every route for every role, changes only from
//! our own pages, sessions that end, links that work once, and hostile text on every page.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod hostile;
mod memory;
mod pages;
mod routes;
mod sign_in;

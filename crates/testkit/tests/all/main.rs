//! The rule engine against the reference, on real rules and real events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what is wrong by failing"
)]

mod corpus;
mod sigmahq;

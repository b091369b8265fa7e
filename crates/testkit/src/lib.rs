//! What tests of several crates share. Development only: no shipped crate depends on it.
//!
//! [`sigma`] and [`correlation`] say what Sigma's specifications mean, as plainly as possible and
//! without regard to speed. They share nothing with the engine in `covigil-rules`, so that an error
//! would have to be made twice to go unnoticed. [`generate`] makes rules and events that hit the
//! places where engines go wrong.

pub mod correlation;
pub mod event;
pub mod generate;
pub mod sigma;
pub mod sync_trace;

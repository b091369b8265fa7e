//! rules

pub mod correlation;

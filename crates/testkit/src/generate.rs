//! Strategies that make rules and events which hit the places where engines go wrong.

pub mod correlations;
pub mod detections;

//! Tests of this crate through its public face.

mod correlation;

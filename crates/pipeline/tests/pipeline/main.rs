//! What the pipeline does, seen from outside.

mod files;
mod support;

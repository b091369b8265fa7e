//! The contract that a solution family implements.
//!
//! A family is one [`Solution`]: a static description whose parts are plain functions and small
//! traits. It knows `model`, `rules` and this crate; never another family, a program, a store or a
//! runtime. It asks the outside world through [`Host`], so that its logic runs in tests as it runs
//! in the product. A part that a family lacks is an empty list.

pub mod host;
pub mod parser;
pub mod source;

use covigil_model::Class;

pub use host::Host;
pub use parser::{Confidence, ParseContext, ParseFailure, Parser};
pub use source::{Access, Discover, SourceKind, SourcePlan};

/// One family, described.
pub struct Solution {
    /// The short name used in paths, configuration and findings, such as `siem`.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// One sentence: what it does for a customer.
    pub summary: &'static str,
    /// The OCSF classes that it produces.
    pub classes: &'static [Class],
    /// The parsers that it brings, most specific first.
    pub parsers: &'static [&'static dyn Parser],
    /// What it can read on a host; called at start and when asked to look again.
    pub discover: Discover,
    /// The starter rules that it brings, as `(path, YAML)` within `content/rules`.
    pub rules: &'static [(&'static str, &'static str)],
}

/// A family without sources of its own.
pub fn no_sources(_: &dyn Host) -> Vec<SourcePlan> {
    Vec::new()
}

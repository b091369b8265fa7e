//! The rule engine: Sigma 2.x detection, correlation and filters, compiled. Pure: no files, no
//! clock, no network; knows `covigil_model` only.
//!
//! # The way of a rule
//!
//! [`load`] splits files into documents ([`yaml`] reads them with their lines). [`detection`] turns
//! a rule's searches and its [`condition`] into one tree of tests, an [`expr::Expr`], with all
//! modifiers applied ([`modifier`], [`pattern`], [`regexp`]). [`filter`]s are joined to the trees.
//! A [`RuleSet`] holds all rules and a [`LoadReport`] on those that cannot run, with file, line,
//! reason and, where there is one, the mend: nothing is skipped in silence. A [`Matcher`] then says
//! which rules an event matches (in parallel, one matcher per worker), and the [`Detector`] takes
//! events with their matches in order, runs the [`correlation`]s and makes findings.
//!
//! # How the specification is read where it leaves a choice
//!
//! - Case: ignored unless `cased`, by Unicode's simple lower-case mapping (see [`pattern`]).
//!   Field names are exact. Regular expressions heed case unless `i`.
//! - Numbers: a plain number in a rule is matched by its text as written (`1` is `1`, not `1.0`);
//!   hexadecimal is turned into decimal. Whether the event holds text or a number does not matter.
//! - Presence: `exists` is about the field alone. `null` holds where the field is absent or has no
//!   value (JSON's null). A value that is null passes no other test, not even `*` or `''`.
//!   `''` is a field that is there with an empty text.
//! - A field that occurs several times holds a test when any of its values passes; with `all`,
//!   different values may pass different tests.
//! - `neq` is the negation of the whole test, and so true where the field is absent.
//! - Keywords are looked for anywhere in each value, and in the original text unless that is JSON
//!   or XML, whose escapes and names are not content.
//! - `cidr` takes an IPv4 address written as IPv6 (`::ffff:10.0.0.1`) for the IPv4 address too.
//! - Time parts are those of UTC; weeks are ISO 8601's.
//! - `fieldref` ignores case unless `cased`, and is false where either field is absent or null.
//! - `base64` and its kin ignore case as every text does, unless `cased`.
//! - Identifiers beginning with `_` are left out of `them`, and of patterns that do not begin so.

pub mod check;
mod compiled;
pub mod condition;
pub mod correlation;
pub mod detection;
pub mod detector;
pub mod evaluate;
pub mod explain;
pub mod expr;
mod filter;
pub mod load;
pub mod matcher;
pub mod modifier;
pub mod pattern;
pub mod regexp;
pub mod rule;
pub mod set;
pub mod yaml;

pub use check::Check;
pub use detector::Detector;
pub use explain::explain;
pub use load::{LoadFailure, LoadReport, RuleText};
pub use matcher::Matcher;
pub use rule::{Rule, RuleIndex, RuleLogSource};
pub use set::{Correlation, Options, RuleSet};

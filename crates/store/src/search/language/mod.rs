//! The search language: what a person types, as a tree.
//!
//! A query is an expression that selects events, then stages behind `|` that turn them into a
//! table. This module is pure: text to tree ([`parse`]), tree to text (`Display`), the names of
//! fields ([`fields`]), and help while typing ([`completions`]). It knows nothing of files, batches
//! or DataFusion; what a tree means over data is decided in [`super::predicate`] and
//! [`super::pipe`].
//!
//! Rules that are not obvious:
//! - Letters compare without regard to ASCII case, everywhere.
//! - `\` is an ordinary character, so that Windows paths can be pasted. Inside quotes, a run of
//!   `\` before `"` halves, and an odd one makes the quote part of the text.
//! - `*` and `?` are wildcards outside quotes and ordinary inside: `cmd:*"net user"*`.
//! - `field:value` compares the whole value; in fields that hold prose it finds the value anywhere
//!   in it, in fields that hold paths it may also be the last component. `field:=value` always
//!   compares the whole value.

mod complete;
mod edit;
mod error;
pub mod fields;
mod parse;
mod print;
mod stage;

use std::fmt;

use ipnet::IpNet;

pub use complete::{Completion, CompletionKind, completions};
pub use edit::with_filter;
pub use error::QueryError;
pub(crate) use error::nearest;
pub(crate) use parse::REGEX_LIMIT;
pub use parse::parse;

/// The longest query that is read, in bytes.
pub const MAX_QUERY: usize = 16 << 10;

/// A whole query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which events.
    pub filter: Expr,
    /// What becomes of them; none means the events themselves.
    pub stages: Vec<Stage>,
}

/// Selects events.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Every event.
    All,
    /// All of them hold; at least two.
    And(Vec<Self>),
    /// One of them holds; at least two.
    Or(Vec<Self>),
    /// It does not hold. An event without the field does not hold a test of it.
    Not(Box<Self>),
    /// The text stands anywhere in the event, its original included.
    Text(Pattern),
    /// A field of the event passes a test.
    Field(FieldName, Test),
}

/// A field as the person named it, and where. Equality disregards where.
#[derive(Debug, Clone, Eq)]
pub struct FieldName {
    /// The name as written: an OCSF path, an alias, or the source's own name.
    pub name: String,
    /// Byte offset in the query.
    pub at: usize,
}

impl FieldName {
    /// A name that stands nowhere in particular.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), at: 0 }
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a field is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is there, and not empty.
    Exists,
    /// It matches, in the way of its kind (see the module's rules).
    Match(Pattern),
    /// Its whole value matches.
    Exact(Pattern),
    /// It matches one of them.
    OneOf(Vec<Pattern>),
    /// It lies between the bounds: as numbers where all are numbers, else as text.
    Range(Bound, Bound),
    /// It is an address of the network.
    Network(IpNet),
    /// The regular expression finds something in it.
    Regex(String),
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// No bound.
    Open,
    /// The value itself is within.
    Including(String),
    /// The value itself is without.
    Excluding(String),
}

/// Text with wildcards. Two literals never stand side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub Vec<Piece>);

impl Pattern {
    /// A pattern without wildcards.
    pub fn literal(text: &str) -> Self {
        Self(vec![Piece::Literal(text.to_owned())])
    }

    /// The text, where there is no wildcard in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

/// A part of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Literal(String),
    /// `*`: any text, also none.
    Any,
    /// `?`: any one character.
    One,
}

/// What is done with the selected events, or with the table that the stage before made.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// `stats AGG, … by FIELD, …`
    Stats(Vec<Aggregate>, Vec<FieldName>),
    /// `top N FIELD by …` and `rare N FIELD by …`: the most, or least, frequent values.
    Top {
        /// How many values, per group.
        count: usize,
        /// Of which field.
        field: FieldName,
        /// Grouped by these.
        by: Vec<FieldName>,
        /// The least frequent instead.
        rare: bool,
    },
    /// `timechart span=5m AGG by FIELD`: one row per stretch of time.
    Timechart {
        /// Length of a stretch in seconds; chosen to fit the searched time where absent.
        span: Option<u64>,
        /// What is computed for each.
        aggregate: Aggregate,
        /// One series for each value.
        by: Option<FieldName>,
    },
    /// `sort -FIELD, FIELD`: true means descending.
    Sort(Vec<(FieldName, bool)>),
    /// `fields a, b`, or `fields - a, b` to drop them (true).
    Fields(Vec<FieldName>, bool),
    /// `dedup a, b`: the first row of each combination.
    Dedup(Vec<FieldName>),
    /// `where count > 5 and host = "a"`
    Where(Condition),
    /// `head N`
    Head(usize),
    /// `rename a as b, …`
    Rename(Vec<(FieldName, String)>),
}

/// One computed column.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// How it is computed.
    pub function: Function,
    /// From which field; absent only for `count`.
    pub field: Option<FieldName>,
    /// What it is called; absent means as it is written.
    pub name: Option<String>,
}

impl Aggregate {
    /// The name of the computed column.
    pub fn column(&self) -> String {
        match (&self.name, &self.field) {
            (Some(name), _) => name.clone(),
            (None, None) => self.function.to_string(),
            (None, Some(field)) => format!("{}({})", self.function, field.name),
        }
    }
}

/// How a column is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Rows, or rows that have the field.
    Count,
    /// Distinct values (`dc`).
    Distinct,
    /// Sum.
    Sum,
    /// Mean.
    Avg,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// The value below which that percentage lies (`p95`), approximately.
    Percentile(u8),
    /// The distinct values, at most a hundred, as one text.
    Values,
}

impl Function {
    /// The function a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "count" | "c" => Self::Count,
            "dc" | "distinct" | "distinct_count" => Self::Distinct,
            "sum" => Self::Sum,
            "avg" | "mean" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "median" => Self::Percentile(50),
            "values" => Self::Values,
            other => {
                let percent: u8 =
                    other.strip_prefix("perc").or_else(|| other.strip_prefix('p'))?.parse().ok()?;
                if !(1..=99).contains(&percent) {
                    return None;
                }
                Self::Percentile(percent)
            }
        })
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Distinct => "dc",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Values => "values",
            Self::Percentile(percent) => return write!(f, "p{percent}"),
        })
    }
}

/// What `where` asks of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All hold; at least two.
    And(Vec<Self>),
    /// One holds; at least two.
    Or(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A column compares so with a value.
    Compare(FieldName, Comparison, String),
}

/// How `where` compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

#[cfg(test)]
mod tests;

//! What a rule asks of an event, as a tree of tests.
//!
//! This is the meaning of a rule's `detection` after all modifiers and conditions were resolved,
//! and the common ground of the compiler (which makes it fast) and [`crate::evaluate`] (which says
//! why an event matched). Nothing here reads YAML.

use ipnet::IpNet;

use crate::{pattern::Pattern, regexp::Expression};

/// A condition over one event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expr {
    /// All of them hold; true where there is none.
    All(Vec<Self>),
    /// At least one holds; false where there is none.
    Any(Vec<Self>),
    /// At least so many of them hold.
    AtLeast(usize, Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// One field has one of several properties.
    Test(FieldTest),
}

/// Holds when any value of the field passes any of the tests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldTest {
    /// The field's name; `None` for keywords, which are looked for in the whole event.
    pub field: Option<String>,
    /// The alternatives.
    pub tests: Vec<Test>,
}

/// One property of a field or of one of its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Test {
    /// A value's text matches.
    Text(Pattern),
    /// A value's text contains a match of the regular expression.
    Regex(Expression),
    /// A value is an address in the network.
    Cidr(IpNet),
    /// A value is a number, or a time with such a part, that compares so.
    Compare {
        /// The part of a time to compare; the number itself where `None`.
        part: Option<TimePart>,
        /// How the value stands to the number.
        op: Op,
        /// The rule's number.
        number: Number,
    },
    /// The field is present, with whatever value.
    Exists,
    /// The field is absent, or present without a value (JSON's null).
    Null,
    /// A value equals a value of another field, or contains it, begins or ends with it.
    Reference {
        /// The other field.
        field: String,
        /// How they are compared.
        place: Place,
        /// Whether case counts.
        cased: bool,
    },
}

/// Where in a value a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The whole value.
    Whole,
    /// Its beginning.
    Start,
    /// Its end.
    End,
    /// Anywhere.
    Anywhere,
}

/// A numeric comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Equal.
    Equal,
    /// Less than.
    Less,
    /// At most.
    AtMost,
    /// Greater than.
    Greater,
    /// At least.
    AtLeast,
}

/// A part of a time, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimePart {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// Day of the month, 1 to 31.
    Day,
    /// ISO 8601 week, 1 to 53.
    Week,
    /// 1 to 12.
    Month,
    /// The year.
    Year,
}

/// A number as rules and events write them: whole numbers compare exactly.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// A whole number.
    Whole(i128),
    /// Any other finite number.
    Real(f64),
}

impl Number {
    /// Reads a decimal number; space around it is allowed.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
            return None;
        }
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        text.parse().ok().filter(|real: &f64| real.is_finite()).map(Self::Real)
    }

    fn compare(self, other: Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            (a, b) => a.real().total_cmp(&b.real()),
        }
    }

    /// The nearest floating-point number; zero has one sign only.
    fn real(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real + 0.0,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other).is_eq()
    }
}
impl Eq for Number {}
impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.real().to_bits().hash(state);
    }
}
impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(whole) => write!(f, "{whole}"),
            Self::Real(real) => write!(f, "{real}"),
        }
    }
}

impl Op {
    /// Whether `left` stands so to `right`.
    pub fn holds(self, left: Number, right: Number) -> bool {
        let order = left.compare(right);
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

impl Expr {
    /// Both hold. Used to add a filter to a rule.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All(mut parts) => {
                parts.push(other);
                Self::All(parts)
            }
            one => Self::All(vec![one, other]),
        }
    }
}

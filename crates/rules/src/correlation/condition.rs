//! A correlation's condition: bounds on a number, or a boolean expression over rule names.

use super::definition::CorrelationError;

/// How a value is compared with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Gte,
    /// Less than.
    Lt,
    /// Less than or equal.
    Lte,
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
}

impl Comparison {
    /// The comparison that a condition's key names.
    pub fn from_key(key: &str) -> Option<Self> {
        Some(match key {
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "eq" => Self::Eq,
            "neq" => Self::Neq,
            _ => return None,
        })
    }

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Gt => value > bound,
            Self::Gte => value >= bound,
            Self::Lt => value < bound,
            Self::Lte => value <= bound,
            Self::Eq => value == bound,
            Self::Neq => value != bound,
        }
    }
}

/// Bounds on a value, all of which must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds(pub Vec<(Comparison, f64)>);

impl Bounds {
    /// Whether the value is within all bounds.
    pub fn hold(&self, value: f64) -> bool {
        self.0.iter().all(|(comparison, bound)| comparison.holds(value, *bound))
    }
}

/// When a correlation fires.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The counted or computed value is within bounds.
    Bounds(Bounds),
    /// Rules occur, or do not, as the expression says. Only for the temporal types.
    Expression(Expression),
}

/// A boolean expression over rule names (Sigma's extended temporal condition).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// The named rule occurs.
    Rule(String),
    /// The inner one is false.
    Not(Box<Self>),
    /// Both hold.
    And(Box<Self>, Box<Self>),
    /// One holds.
    Or(Box<Self>, Box<Self>),
}

/// Deepest nesting of an expression.
const MAX_DEPTH: usize = 64;
/// Most alternatives of an expression when written as a disjunction of conjunctions.
const MAX_TERMS: usize = 256;

/// One alternative of an expression: positions of rules that must occur, ascending, and those that
/// must not, as bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Term {
    pub all: u64,
    pub none: u64,
}

impl Expression {
    /// Reads `a and (b or not c)`. Precedence from least to most binding: or, and, not.
    pub fn parse(text: &str) -> Result<Self, CorrelationError> {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        let expression = parser.alternatives(0).map_err(|why| wrong(text, why))?;
        match parser.tokens.get(parser.at) {
            None => Ok(expression),
            Some(token) => Err(wrong(text, format!("“{token}” is not expected there"))),
        }
    }

    /// The expression as alternatives, with names turned into positions by `position`.
    pub(super) fn terms(
        &self,
        position: &dyn Fn(&str) -> Option<usize>,
    ) -> Result<Vec<Term>, CorrelationError> {
        let mut terms = self.expand(position, false)?;
        // An alternative that wants and forbids the same rule can never be met.
        terms.retain(|t| t.all & t.none == 0);
        Ok(terms)
    }

    fn expand(
        &self,
        position: &dyn Fn(&str) -> Option<usize>,
        negated: bool,
    ) -> Result<Vec<Term>, CorrelationError> {
        let (left, right, conjunction) = match self {
            Self::Rule(name) => {
                let at = position(name)
                    .ok_or_else(|| CorrelationError::UnknownInCondition { name: name.clone() })?;
                let bit = 1u64 << (at & 63);
                let term = if negated { Term { all: 0, none: bit } } else { Term { all: bit, none: 0 } };
                return Ok(vec![term]);
            }
            Self::Not(inner) => return inner.expand(position, !negated),
            Self::And(left, right) => (left, right, !negated),
            Self::Or(left, right) => (left, right, negated),
        };
        let left = left.expand(position, negated)?;
        let right = right.expand(position, negated)?;
        let terms: Vec<Term> = if conjunction {
            if left.len() * right.len() > MAX_TERMS {
                return Err(CorrelationError::ConditionTooLarge);
            }
            let both = |a: &Term, b: &Term| Term { all: a.all | b.all, none: a.none | b.none };
            left.iter().flat_map(|a| right.iter().map(move |b| both(a, b))).collect()
        } else {
            left.into_iter().chain(right).collect()
        };
        if terms.len() > MAX_TERMS {
            return Err(CorrelationError::ConditionTooLarge);
        }
        Ok(terms)
    }
}

fn wrong(text: &str, why: String) -> CorrelationError {
    CorrelationError::Condition { text: text.to_owned(), why }
}

fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        while let Some(at) = rest.find(['(', ')']) {
            if at > 0 {
                found.push(&rest[..at]);
            }
            found.push(&rest[at..=at]);
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            found.push(rest);
        }
    }
    found
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
}

impl Parser<'_> {
    fn takes(&mut self, word: &str) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|t| t.eq_ignore_ascii_case(word));
        self.at += usize::from(is);
        is
    }

    fn alternatives(&mut self, depth: usize) -> Result<Expression, String> {
        let mut left = self.conjunction(depth)?;
        while self.takes("or") {
            left = Expression::Or(Box::new(left), Box::new(self.conjunction(depth)?));
        }
        Ok(left)
    }

    fn conjunction(&mut self, depth: usize) -> Result<Expression, String> {
        let mut left = self.negation(depth)?;
        while self.takes("and") {
            left = Expression::And(Box::new(left), Box::new(self.negation(depth)?));
        }
        Ok(left)
    }

    fn negation(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > MAX_DEPTH || self.tokens.len() > 4 * MAX_TERMS {
            return Err("it is nested too deeply or too long".to_owned());
        }
        if self.takes("not") {
            return Ok(Expression::Not(Box::new(self.negation(depth + 1)?)));
        }
        if self.takes("(") {
            let inner = self.alternatives(depth + 1)?;
            if !self.takes(")") {
                return Err("a closing bracket is missing".to_owned());
            }
            return Ok(inner);
        }
        match self.tokens.get(self.at) {
            None => Err("a rule's name is missing at its end".to_owned()),
            Some(word) if [")", "and", "or"].iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) => {
                Err(format!("“{word}” stands where a rule's name is expected"))
            }
            Some(name) => {
                self.at += 1;
                Ok(Expression::Rule((*name).to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<(u64, u64)> {
        let names = ["a", "b", "c"];
        let position = |name: &str| names.iter().position(|n| *n == name);
        Expression::parse(text).unwrap().terms(&position).unwrap().iter().map(|t| (t.all, t.none)).collect()
    }

    #[test]
    fn precedence_is_or_and_not() {
        assert_eq!(terms("a or b and not c"), [(1, 0), (2, 4)]);
        assert_eq!(terms("(a OR b) AND NOT c"), [(1, 4), (2, 4)]);
        assert_eq!(terms("not (a or b)"), [(0, 3)]);
        assert_eq!(terms("not (a and b)"), [(0, 1), (0, 2)]);
        assert_eq!(terms("a and not a or b"), [(2, 0)]);
    }

    #[test]
    fn broken_expressions_are_refused_with_the_reason() {
        for text in ["", "a and", "(a", "a)", "a b", "and", "not", "a or or b"] {
            assert!(matches!(Expression::parse(text), Err(CorrelationError::Condition { .. })), "{text}");
        }
        let deep = format!("{}a", "not ".repeat(100_000));
        assert!(Expression::parse(&deep).is_err());
        let deep = format!("{}a{}", "(".repeat(200), ")".repeat(200));
        assert!(Expression::parse(&deep).is_err());
    }

    #[test]
    fn alternatives_are_bounded() {
        let text = ["(a or b or c)"; 8].join(" and ");
        let position = |_: &str| Some(0);
        assert_eq!(
            Expression::parse(&text).unwrap().terms(&position),
            Err(CorrelationError::ConditionTooLarge)
        );
    }
}

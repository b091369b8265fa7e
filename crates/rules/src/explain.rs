//! A rule in words: what it asks of an event, as indented lines for the console and the terminal.
//!
//! The lines show the rule as it runs, after modifiers, placeholders and filters, so that a reader
//! sees what the YAML came to.

use serde::Serialize;

use crate::{
    expr::{Expr, FieldTest, Op, Place, Test, TimePart},
    pattern::{Pattern, Shape},
    rule::Rule,
};

/// Alternatives shown of one field; the line says how many more there are.
const MAX_SHOWN: usize = 40;

/// One line of an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How far it is indented, from 0.
    pub depth: usize,
    /// The words.
    pub text: String,
}

/// What the rule asks of one event; nothing for a correlation.
pub fn explain(rule: &Rule) -> Vec<Line> {
    let Some(expr) = rule.expr() else { return Vec::new() };
    let mut lines = vec![Line { depth: 0, text: format!("Among events of {}:", rule.log_source) }];
    describe(expr, 0, "", &mut lines);
    lines
}

fn describe(expr: &Expr, depth: usize, before: &str, lines: &mut Vec<Line>) {
    let mut head = |text: String| lines.push(Line { depth, text: format!("{before}{text}") });
    let parts = match expr {
        Expr::All(parts) if parts.len() == 1 => return describe(&parts[0], depth, before, lines),
        Expr::Any(parts) if parts.len() == 1 => return describe(&parts[0], depth, before, lines),
        Expr::Not(inner) => return describe(inner, depth, &format!("{before}not "), lines),
        Expr::Test(test) => return head(in_words(test)),
        Expr::All(parts) => {
            head("all of:".into());
            parts
        }
        Expr::Any(parts) => {
            head("any of:".into());
            parts
        }
        Expr::AtLeast(n, parts) => {
            head(format!("at least {n} of:"));
            parts
        }
    };
    for part in parts {
        describe(part, depth + 1, "", lines);
    }
}

fn in_words(test: &FieldTest) -> String {
    let subject = test.field.as_deref().unwrap_or("any part of the event");
    let mut shown: Vec<String> = test.tests.iter().take(MAX_SHOWN).map(test_in_words).collect();
    if test.tests.len() > MAX_SHOWN {
        shown.push(format!("one of {} more", test.tests.len() - MAX_SHOWN));
    }
    format!("{subject} {}", shown.join(", or "))
}

fn test_in_words(test: &Test) -> String {
    match test {
        Test::Text(pattern) => pattern_in_words(pattern),
        Test::Regex(expression) => {
            let flags = expression.flags();
            let set = [(flags.insensitive, 'i'), (flags.multi_line, 'm'), (flags.dot_all, 's')];
            let flags: String = set.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect();
            format!("matches /{}/{flags}", expression.source())
        }
        Test::Cidr(net) => format!("is an address in {net}"),
        Test::Compare { part: None, op, number } => format!("{} {number}", sign(*op)),
        Test::Compare { part: Some(part), op, number } => {
            format!("has {} {} {number}", part_name(*part), sign(*op))
        }
        Test::Exists => "is present".into(),
        Test::Null => "is absent or null".into(),
        Test::Reference { field, place, cased } => {
            let how = match place {
                Place::Whole => "equals the field",
                Place::Start => "begins with the field",
                Place::End => "ends with the field",
                Place::Anywhere => "contains the field",
            };
            format!("{how} {field}{}", case(*cased))
        }
    }
}

fn pattern_in_words(pattern: &Pattern) -> String {
    let words = match pattern.shape() {
        Shape::Exact("") => "is empty".into(),
        Shape::Exact(text) => format!("is “{text}”"),
        Shape::Prefix(text) => format!("begins with “{text}”"),
        Shape::Suffix(text) => format!("ends with “{text}”"),
        Shape::Contains(text) => format!("contains “{text}”"),
        Shape::Any => "has any value".into(),
        Shape::General => format!("is like “{pattern}”"),
    };
    words + case(pattern.cased())
}

const fn case(cased: bool) -> &'static str {
    if cased { " in this case" } else { "" }
}

const fn sign(op: Op) -> &'static str {
    match op {
        Op::Equal => "=",
        Op::Less => "<",
        Op::AtMost => "≤",
        Op::Greater => ">",
        Op::AtLeast => "≥",
    }
}

const fn part_name(part: TimePart) -> &'static str {
    match part {
        TimePart::Minute => "minute",
        TimePart::Hour => "hour",
        TimePart::Day => "day of the month",
        TimePart::Week => "week",
        TimePart::Month => "month",
        TimePart::Year => "year",
    }
}

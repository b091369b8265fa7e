//! Expression to nodes: what names mean, and values as tests.

use covigil_model::{Time, json::escape_into};

use super::{Anywhere, Member, Node, NumberTest};
use crate::{
    events::{EventSnapshot, schema},
    search::{
        language::{
            Bound, Expr, FieldName, Pattern, QueryError, REGEX_LIMIT, Test,
            fields::{self, Column, Meaning, Way},
        },
        text::{Limit, Needle, TextTest},
    },
};

pub(super) fn compile(expr: &Expr, snapshot: &EventSnapshot) -> Result<Node, QueryError> {
    let list = |exprs: &[Expr]| -> Result<Vec<Node>, QueryError> {
        exprs.iter().map(|expr| compile(expr, snapshot)).collect()
    };
    Ok(match expr {
        Expr::All => Node::All,
        Expr::And(exprs) => Node::And(list(exprs)?),
        Expr::Or(exprs) => Node::Or(list(exprs)?),
        Expr::Not(inner) => Node::Not(Box::new(compile(inner, snapshot)?)),
        Expr::Text(pattern) => Node::Anywhere(anywhere(pattern)),
        Expr::Field(name, test) => match fields::meaning(&name.name) {
            Meaning::Columns(columns) => any_of(columns, name, test)?,
            Meaning::Source(source) => Node::Member(member(source, name, test, snapshot)?),
        },
    })
}

fn anywhere(pattern: &Pattern) -> Anywhere {
    let test = TextTest::pattern(pattern, false);
    let escaped = test.required().into_iter().max_by_key(|text| text.len()).map(|text| {
        let mut escaped = String::new();
        escape_into(&mut escaped, text);
        Needle::new(&escaped)
    });
    Anywhere { test, escaped }
}

fn any_of(columns: &[Column], name: &FieldName, test: &Test) -> Result<Node, QueryError> {
    let several = columns.len() > 1;
    let mut nodes = Vec::new();
    let mut refused = None;
    for column in columns {
        match of_column(*column, name, test) {
            Ok(node) => nodes.push(node),
            // An alias may look into a column that such a value does not suit.
            Err(error) if several => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (nodes.len(), refused) {
        (0, Some(error)) => Err(error),
        (1, _) => Ok(nodes.remove(0)),
        _ => Ok(Node::Or(nodes)),
    }
}

fn of_column(column: Column, name: &FieldName, test: &Test) -> Result<Node, QueryError> {
    if column == Column::Original {
        return Ok(Node::Original(text_test(Way::Prose, test, name)?));
    }
    let Some(place) = schema::place(column.name()) else { return Ok(Node::Nothing) };
    Ok(match column.way() {
        way @ (Way::Word | Way::Path | Way::Prose | Way::List) => {
            Node::Text(place, text_test(way, test, name)?)
        }
        Way::Number | Way::Named => Node::Number(place, number_test(column, test, name)?),
        Way::Time => Node::Number(place, time_test(test, name)?),
    })
}

fn member(
    source: String,
    name: &FieldName,
    test: &Test,
    snapshot: &EventSnapshot,
) -> Result<Member, QueryError> {
    let mut columns: Vec<usize> = snapshot
        .fields
        .iter()
        .filter(|(field, _)| field.eq_ignore_ascii_case(&source))
        .flat_map(|(_, columns)| columns)
        .filter_map(|column| schema::place(column.split('|').next().unwrap_or(column)))
        .collect();
    columns.sort_unstable();
    columns.dedup();
    // A source's own field compares as the columns that hold it do.
    let ways: Vec<Way> = Column::all()
        .filter(|column| schema::place(column.name()).is_some_and(|place| columns.contains(&place)))
        .map(Column::way)
        .collect();
    let way = [Way::Prose, Way::Path].into_iter().find(|way| ways.contains(way)).unwrap_or(Way::Word);
    Ok(Member { test: text_test(way, test, name)?, name: source, columns })
}

fn text_test(way: Way, test: &Test, name: &FieldName) -> Result<TextTest, QueryError> {
    let whole = way != Way::Prose;
    let kind = |test: TextTest| match way {
        Way::Path => TextTest::Component(Box::new(test)),
        Way::List => TextTest::Item(Box::new(test)),
        _ => test,
    };
    Ok(match test {
        Test::Exists => TextTest::Exists,
        Test::Match(pattern) => kind(TextTest::pattern(pattern, whole)),
        Test::Exact(pattern) => TextTest::pattern(pattern, true),
        Test::OneOf(patterns) => {
            kind(TextTest::Any(patterns.iter().map(|pattern| TextTest::pattern(pattern, whole)).collect()))
        }
        Test::Range(low, high) => {
            let (mut low, mut high) = (limit(low), limit(high));
            // One bound that is no number makes both text.
            if [&low, &high].iter().any(|limit| limit.value.is_some() && limit.number.is_none()) {
                (low.number, high.number) = (None, None);
            }
            TextTest::Range(low, high)
        }
        Test::Network(network) => TextTest::Network(*network),
        Test::Regex(pattern) => TextTest::Regex(Box::new(
            regex::RegexBuilder::new(pattern)
                .case_insensitive(true)
                .size_limit(REGEX_LIMIT)
                .build()
                .map_err(|_| {
                    QueryError::new(name.at, format!("the regular expression of {} is too large", name.name))
                })?,
        )),
    })
}

fn limit(bound: &Bound) -> Limit {
    let (value, including) = match bound {
        Bound::Open => (None, true),
        Bound::Including(value) => (Some(value.clone()), true),
        Bound::Excluding(value) => (Some(value.clone()), false),
    };
    let number =
        value.as_deref().and_then(|value| value.parse().ok()).filter(|number: &f64| number.is_finite());
    Limit { value, number, including }
}

fn number_test(column: Column, test: &Test, name: &FieldName) -> Result<NumberTest, QueryError> {
    let number = |text: &str| text.parse::<i64>().ok().or_else(|| fields::number_of_word(column, text));
    let wanted = |text: &str| {
        let error = QueryError::new(name.at, format!("{} is a number, and {text} is none", name.name));
        match (column, column.way()) {
            (Column::Severity, _) => error.suggest("one of informational, low, medium, high, critical"),
            (Column::Status, _) => error.suggest("one of success, failure, unknown"),
            (Column::Class, _) => {
                error.suggest("a class such as authentication, process, file, network, dns")
            }
            _ => error,
        }
    };
    let pattern = |pattern: &Pattern| match pattern.as_literal() {
        Some(text) => number(text).map(|n| NumberTest::OneOf(vec![n])).ok_or_else(|| wanted(text)),
        None => Ok(NumberTest::AsText(TextTest::pattern(pattern, true))),
    };
    Ok(match test {
        Test::Exists => NumberTest::Exists,
        Test::Match(one) | Test::Exact(one) => pattern(one)?,
        Test::OneOf(patterns) => {
            let mut list = Vec::new();
            for one in patterns {
                match one.as_literal() {
                    Some(text) => list.push(number(text).ok_or_else(|| wanted(text))?),
                    None => {
                        return Err(QueryError::new(
                            name.at,
                            format!("{} takes numbers without wildcards in a list", name.name),
                        ));
                    }
                }
            }
            list.sort_unstable();
            NumberTest::OneOf(list)
        }
        Test::Range(low, high) => {
            let bound = |bound: &Bound| -> Result<Limit, QueryError> {
                let mut limit = limit(bound);
                if let (Some(value), None) = (&limit.value, limit.number) {
                    limit.number = Some(number(value).ok_or_else(|| wanted(value))? as f64);
                }
                Ok(limit)
            };
            NumberTest::Range(bound(low)?, bound(high)?)
        }
        Test::Network(network) => return Err(wanted(&network.to_string())),
        Test::Regex(_) => NumberTest::AsText(text_test(Way::Word, test, name)?),
    })
}

/// A test of a moment, as microseconds since the epoch: a day or a second, or a range of moments.
fn time_test(test: &Test, name: &FieldName) -> Result<NumberTest, QueryError> {
    let bad = |text: &str| {
        QueryError::new(name.at, format!("{text} is not a time"))
            .suggest("write it as 2026-11-24 or \"2026-11-24T15:04:05Z\"")
    };
    match test {
        Test::Exists => Ok(NumberTest::Exists),
        Test::Match(pattern) | Test::Exact(pattern) => {
            let text = pattern.as_literal().ok_or_else(|| bad("a text with wildcards"))?;
            let (from, to) = stretch(text).ok_or_else(|| bad(text))?;
            Ok(NumberTest::Within(from, to))
        }
        Test::Range(low, high) => {
            let from = match low {
                Bound::Open => i64::MIN,
                Bound::Including(text) => stretch(text).ok_or_else(|| bad(text))?.0,
                Bound::Excluding(text) => stretch(text).ok_or_else(|| bad(text))?.1,
            };
            let to = match high {
                Bound::Open => i64::MAX,
                Bound::Including(text) => stretch(text).ok_or_else(|| bad(text))?.1,
                Bound::Excluding(text) => stretch(text).ok_or_else(|| bad(text))?.0,
            };
            Ok(NumberTest::Within(from, to))
        }
        Test::OneOf(_) | Test::Network(_) | Test::Regex(_) => Err(bad("this")),
    }
}

/// The stretch of time that a text means, in microseconds, its end not included: a whole day, a
/// whole second, or the microsecond of a finer time.
fn stretch(text: &str) -> Option<(i64, i64)> {
    if text.len() == 10 {
        let day = Time::parse(&format!("{text}T00:00:00Z"))?;
        return Some((day.micros(), day.plus_secs(86_400).micros()));
    }
    let time = Time::parse(text)?;
    let fine = text.as_bytes().get(19).is_some_and(|b| matches!(b, b'.' | b','));
    Some((time.micros(), if fine { time.micros().saturating_add(1) } else { time.plus_secs(1).micros() }))
}

/// The part of `from..to`, in microseconds, that the expression leaves of `time`: what all of its
/// top-level tests of `time` allow.
pub(crate) fn time_range(expr: &Expr, (mut from, mut to): (i64, i64)) -> (i64, i64) {
    match expr {
        Expr::And(list) => {
            for part in list {
                (from, to) = time_range(part, (from, to));
            }
        }
        Expr::Field(name, test) if fields::meaning(&name.name) == fields::meaning("time") => {
            if let Ok(NumberTest::Within(least, end)) = time_test(test, name) {
                (from, to) = (from.max(least), to.min(end));
            }
        }
        _ => {}
    }
    (from, to)
}

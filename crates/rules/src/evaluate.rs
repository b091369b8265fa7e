//! Evaluates a tree on one event, straight from its meaning, and says which values made it hold.
//!
//! This is what a finding shows ([`matched`]); it is slow and runs once per finding. The compiled
//! [`crate::matcher`] decides whether there is a finding. Both share [`test_value`].

use std::net::IpAddr;

use covigil_model::{Event, Kind, Matched, Time, Value};

use crate::{
    expr::{Expr, FieldTest, Number, Place, Test, TimePart},
    pattern::lower,
};

/// Values and matches shown in one finding.
const MAX_MATCHED: usize = 64;

/// Whether the tree holds for the event.
pub fn holds(expr: &Expr, event: &Event) -> bool {
    match expr {
        Expr::All(parts) => parts.iter().all(|part| holds(part, event)),
        Expr::Any(parts) => parts.iter().any(|part| holds(part, event)),
        Expr::AtLeast(n, parts) => parts.iter().filter(|part| holds(part, event)).take(*n).count() == *n,
        Expr::Not(inner) => !holds(inner, event),
        Expr::Test(test) => field_holds(test, event),
    }
}

/// The fields and values that made the tree hold: of every positive test that holds, the values
/// that passed it. Nothing of what stands under `not`.
pub fn matched(expr: &Expr, event: &Event) -> Vec<Matched> {
    let mut found = Vec::new();
    collect(expr, event, &mut found);
    found
}

fn collect(expr: &Expr, event: &Event, found: &mut Vec<Matched>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            for part in parts {
                if holds(part, event) {
                    collect(part, event, found);
                }
            }
        }
        Expr::Not(_) => {}
        Expr::Test(test) => {
            for_each_value(test.field.as_deref(), event, |name, value| {
                let passes = test.tests.iter().any(|t| passes(t, value, event));
                if !passes || found.len() >= MAX_MATCHED {
                    return;
                }
                let one = Matched { field: name.to_owned(), value: value.text.to_owned() };
                if !found.contains(&one) {
                    found.push(one);
                }
            });
        }
    }
}

fn field_holds(test: &FieldTest, event: &Event) -> bool {
    let field = test.field.as_deref();
    let mut holds =
        test.tests.contains(&Test::Null) && field.is_some_and(|field| event.field(field).is_none());
    for_each_value(field, event, |_, value| {
        holds = holds || test.tests.iter().any(|t| passes(t, value, event));
    });
    holds
}

/// Calls back for each value of the field, or for each text in which keywords are looked for.
fn for_each_value<'a>(field: Option<&str>, event: &'a Event, mut call: impl FnMut(&str, Value<'a>)) {
    match field {
        Some(field) => {
            for (_, value) in event.iter().filter(|(name, _)| *name == field) {
                call(field, value);
            }
        }
        None => {
            for (_, value) in event.iter() {
                call("", value);
            }
            if let Some(text) = keyword_original(event) {
                call("", Value { text, kind: Kind::Text });
            }
        }
    }
}

/// The original, where keywords are also looked for in it: not in JSON or XML, whose escapes and
/// names are not the event's content.
pub fn keyword_original(event: &Event) -> Option<&str> {
    let original = event.original();
    let begin = original.trim_start();
    (!begin.starts_with('{') && !begin.starts_with("<Event") && !begin.starts_with("<?xml"))
        .then_some(original)
}

/// Whether one value passes one test; for tests of absence, whether its presence does.
fn passes(test: &Test, value: Value<'_>, event: &Event) -> bool {
    match test {
        Test::Exists => true,
        Test::Null => value.kind == Kind::Null,
        Test::Reference { field, place, cased } => {
            value.kind != Kind::Null
                && event.iter().any(|(name, other)| {
                    name == field
                        && other.kind != Kind::Null
                        && refers(value.text, other.text, *place, *cased)
                })
        }
        Test::Text(pattern) if pattern.cased() => value.kind != Kind::Null && pattern.matches(value.text),
        Test::Text(pattern) => value.kind != Kind::Null && pattern.matches(&lower(value.text)),
        _ => test_value(test, value),
    }
}

/// Whether a value passes a test that looks at the value alone and not at its text: regular
/// expressions, networks, comparisons. Others do not pass.
pub fn test_value(test: &Test, value: Value<'_>) -> bool {
    if value.kind == Kind::Null {
        return false;
    }
    match test {
        Test::Regex(expression) => expression.is_match(value.text),
        Test::Cidr(net) => value.text.trim().parse::<IpAddr>().is_ok_and(|address| {
            // An IPv4 address that an IPv6 socket reports (`::ffff:10.0.0.1`) is that address.
            net.contains(&address) || net.contains(&address.to_canonical())
        }),
        Test::Compare { part: None, op, number } => {
            Number::parse(value.text).is_some_and(|have| op.holds(have, *number))
        }
        Test::Compare { part: Some(part), op, number } => {
            time_of(value).is_some_and(|time| op.holds(time_part(time, *part), *number))
        }
        Test::Text(_) | Test::Exists | Test::Null | Test::Reference { .. } => false,
    }
}

/// Whether `text` stands so to `other`.
pub fn refers(text: &str, other: &str, place: Place, cased: bool) -> bool {
    let (text, other) = if cased { (text.into(), other.into()) } else { (lower(text), lower(other)) };
    match place {
        Place::Whole => text == other,
        Place::Start => text.starts_with(&*other),
        Place::End => text.ends_with(&*other),
        Place::Anywhere => text.contains(&*other),
    }
}

/// The time that a value means: RFC 3339 and its looser forms, or a number since the epoch.
fn time_of(value: Value<'_>) -> Option<Time> {
    Time::parse(value.text.trim())
        .or_else(|| value.text.trim().parse::<f64>().ok().and_then(Time::from_epoch_number))
}

fn time_part(time: Time, part: TimePart) -> Number {
    let (year, month, day) = time.date();
    let secs = time.secs();
    Number::Whole(match part {
        TimePart::Minute => i128::from(secs.div_euclid(60).rem_euclid(60)),
        TimePart::Hour => i128::from(secs.div_euclid(3_600).rem_euclid(24)),
        TimePart::Day => i128::from(day),
        TimePart::Week => i128::from(iso_week(secs.div_euclid(86_400))),
        TimePart::Month => i128::from(month),
        TimePart::Year => i128::from(year),
    })
}

/// ISO 8601 week of a day given in days since the epoch: the week belongs to the year of its
/// Thursday.
fn iso_week(days: i64) -> i64 {
    let weekday = (days + 3).rem_euclid(7);
    let thursday = days - weekday + 3;
    let year = Time::from_secs(thursday * 86_400).date().0;
    let january = Time::from_civil((year, 1, 1), (0, 0, 0), 0).map_or(0, |t| t.secs().div_euclid(86_400));
    (thursday - january) / 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_those_of_iso_8601() {
        for (date, week) in [
            ("2021-01-03", 53),
            ("2021-01-04", 1),
            ("2024-12-30", 1),
            ("2026-11-24", 48),
            ("2005-01-01", 53),
            ("1969-12-29", 1),
        ] {
            let time = Time::parse(&format!("{date}T12:00:00Z")).unwrap();
            assert_eq!(time_part(time, TimePart::Week), Number::Whole(week), "{date}");
        }
    }
}

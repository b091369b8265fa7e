//! Correlation rules, and events that come close to meeting them.

use std::collections::BTreeSet;

use covigil_model::Kind;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{
    correlation::Seen,
    event::{PlainEvent, PlainField},
};

/// Names of the detection rules that [`arrivals`] match and [`rules`] refer to.
pub const DETECTIONS: [&str; 4] = ["a", "b", "c", "d"];

const SECOND: i64 = 1_000_000_000;
/// 2026-11-24, in nanoseconds since the epoch.
const BEGIN: i64 = 1_795_478_400 * SECOND;

/// A correlation rule document over detections only, named `name`.
pub fn rule(name: &'static str) -> impl Strategy<Value = Value> {
    over(name, DETECTIONS.iter().map(|d| (*d).to_owned()).collect())
}

/// Between one and three rules; the last may refer to those before it.
pub fn rules() -> impl Strategy<Value = Vec<Value>> {
    let chained = || {
        let with = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        (rule("one"), over("two", with(&["a", "b", "one"])), over("three", with(&["c", "one", "two"])))
            .prop_map(|(one, two, three)| vec![one, two, three])
    };
    prop_oneof![3 => rule("one").prop_map(|r| vec![r]), 1 => (rule("one"), rule("two")).prop_map(|(a, b)| vec![a, b]), 1 => chained()]
}

/// A rule whose condition can only become true by further events, never false.
pub fn monotone_rule() -> impl Strategy<Value = Value> {
    let kind = select(vec!["event_count", "value_count", "temporal", "temporal_ordered"]);
    (kind, select(vec!["1s", "3s", "7s"]), 2..5u32, any::<bool>()).prop_map(|(kind, span, n, grouped)| {
        let mut correlation = json!({"type": kind, "rules": ["a", "b"], "timespan": span});
        if grouped {
            correlation["group-by"] = json!(["User"]);
        }
        match kind {
            "event_count" => correlation["condition"] = json!({"gte": n}),
            "value_count" => correlation["condition"] = json!({"gte": n.min(3), "field": "Host"}),
            _ => {}
        }
        json!({"title": "monotone", "name": "one", "correlation": correlation})
    })
}

fn over(name: &'static str, from: Vec<String>) -> impl Strategy<Value = Value> {
    let kinds = select(vec![
        "event_count",
        "value_count",
        "temporal",
        "temporal_ordered",
        "value_sum",
        "value_avg",
        "value_percentile",
        "value_median",
    ]);
    let refs = Just(from).prop_shuffle();
    let group = select(vec![json!(null), json!(["User"]), json!(["User", "Host"]), json!("who")]);
    let span = select(vec!["1s", "2s", "5s", "1m"]);
    (kinds, refs, 1..4usize, group, span, bounds(), any::<u16>(), any::<bool>()).prop_map(
        move |(kind, mut refs, count, group, span, bounds, seed, generate)| {
            refs.truncate(count);
            let mut correlation = json!({"type": kind, "rules": refs, "timespan": span, "group-by": group});
            if group == json!("who") || seed % 5 == 0 {
                correlation["aliases"] =
                    json!({"who": {refs[0].clone(): "User", refs[refs.len() - 1].clone(): "Host"}});
            }
            if generate {
                correlation["generate"] = json!(true);
            }
            if kind.starts_with("temporal") {
                match seed % 4 {
                    0 => {}
                    1 => correlation["condition"] = json!({"gte": 1 + usize::from(seed / 4) % count}),
                    _ => correlation["condition"] = json!(expression(&refs, usize::from(seed / 4))),
                }
            } else {
                let mut condition = bounds;
                match kind {
                    "event_count" => {}
                    "value_count" if seed % 2 == 0 => condition["field"] = json!(["Host", "Bytes"]),
                    "value_count" => condition["field"] = json!("Host"),
                    _ => condition["field"] = json!("Bytes"),
                }
                if kind == "value_percentile" {
                    condition["percentile"] = json!([0, 10, 50, 75, 95, 100][usize::from(seed) % 6]);
                }
                correlation["condition"] = condition;
            }
            json!({"title": name, "name": name, "correlation": correlation})
        },
    )
}

fn bounds() -> impl Strategy<Value = Value> {
    let one = (select(vec!["gt", "gte", "gte", "lt", "lte", "eq", "neq"]), -2..8i32)
        .prop_map(|(key, bound)| json!({key: bound}));
    prop_oneof![3 => one, 1 => (1..4i32, 3..9i32).prop_map(|(low, high)| json!({"gte": low, "lt": high}))]
}

fn expression(refs: &[String], seed: usize) -> String {
    let at = |n: usize| refs[n % refs.len()].as_str();
    let (x, y, z) = (at(seed), at(seed + 1), at(seed + 2));
    match seed % 7 {
        0 => format!("{x} and {y}"),
        1 => format!("{x} or {y} and {z}"),
        2 => format!("({x} or {y}) and {z}"),
        3 => format!("{x} and not {y}"),
        4 => format!("not ({x} or {y}) or {z}"),
        5 => format!("{x} and not ({y} and {z})"),
        _ => x.to_owned(),
    }
}

/// Events in the order of their arrival, which is the order of their times except that each may be
/// late by at most `lateness` nanoseconds. Times are dense around the windows of [`rules`], with
/// equal ones, fractions of a second, and gaps that are exactly a time span.
pub fn arrivals(lateness: i64) -> impl Strategy<Value = Vec<Seen>> {
    let step = prop_oneof![
        Just(0),
        Just(1),
        Just(SECOND / 1_000),
        Just(SECOND),
        Just(2 * SECOND),
        Just(2 * SECOND - 1),
        Just(61 * SECOND),
        0..SECOND,
        0..3 * SECOND,
    ];
    let delay = prop_oneof![3 => Just(0), 1 => 0..=lateness];
    vec((step, delay, fields(), select(vec![1u8, 1, 2, 4, 8, 3, 5, 0])), 1..40).prop_map(|rows| {
        let mut time = BEGIN;
        let mut timed = Vec::new();
        for (step, delay, fields, matched) in rows {
            time += step;
            timed.push((time + delay, time, fields, matched));
        }
        timed.sort_by_key(|(arrival, ..)| *arrival);
        let seen = timed.into_iter().enumerate().map(|(n, (_, time, fields, matched))| Seen {
            event: PlainEvent { sequence: n as u64 + 1, time, fields, ..PlainEvent::default() },
            matched: names(matched),
        });
        seen.collect()
    })
}

fn names(mask: u8) -> BTreeSet<String> {
    DETECTIONS.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, d)| (*d).to_owned()).collect()
}

fn fields() -> impl Strategy<Value = Vec<PlainField>> {
    let user = select(vec!["u", "u", "v", "V"]);
    let bytes = select(vec!["1", "2.25", " 3 ", "-4", "7.5e0", "x", "", "1e999", "0.25"]);
    (user, select(vec!["u", "h", "v"]), bytes, 0..12u8).prop_map(|(user, host, bytes, odd)| {
        let field = |name: &str, value: &str| PlainField {
            name: name.to_owned(),
            value: value.to_owned(),
            kind: Kind::Text,
        };
        let mut fields = vec![field("User", user), field("Host", host), field("Bytes", bytes)];
        match odd {
            0 => drop(fields.remove(0)),
            1 => fields[0] = PlainField { kind: Kind::Null, ..field("User", "") },
            2 => fields.push(field("User", "later")),
            _ => {}
        }
        fields
    })
}

//! Every query finds what an obvious evaluator finds, in memory and in files, with sidecars and
//! without.

use covigil_model::Event;
use covigil_store::search::{
    Searcher,
    language::{
        self, Bound, Expr, FieldName, Pattern, Piece, Test,
        fields::{Column, Meaning, Way, meaning, number_of_word},
    },
};
use proptest::{prelude::*, test_runner::TestRunner};

use super::*;

fn glob(pattern: &[Piece], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((Piece::Any, rest)) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        Some((Piece::One, rest)) => !text.is_empty() && glob(rest, &text[1..]),
        Some((Piece::Literal(literal), rest)) => {
            let literal: Vec<char> = literal.chars().collect();
            text.len() >= literal.len()
                && literal.iter().zip(text).all(|(a, b)| a.eq_ignore_ascii_case(b))
                && glob(rest, &text[literal.len()..])
        }
    }
}

fn whole(pattern: &Pattern, text: &str) -> bool {
    glob(&pattern.0, &text.chars().collect::<Vec<_>>())
}

fn inside(pattern: &Pattern, text: &str) -> bool {
    let mut pieces = vec![Piece::Any];
    pieces.extend(pattern.0.clone());
    pieces.push(Piece::Any);
    glob(&pieces, &text.chars().collect::<Vec<_>>())
}

fn within(low: &Bound, high: &Bound, text: &str) -> bool {
    let bounds = [(low, true), (high, false)];
    let value = |bound: &Bound| match bound {
        Bound::Open => None,
        Bound::Including(value) | Bound::Excluding(value) => Some(value.clone()),
    };
    let numbers = bounds.iter().all(|(bound, _)| value(bound).is_none_or(|v| v.parse::<f64>().is_ok()));
    bounds.iter().all(|(bound, low)| {
        let Some(limit) = value(bound) else { return true };
        let order = if numbers {
            let Ok(number) = text.parse::<f64>() else { return false };
            number.partial_cmp(&limit.parse::<f64>().unwrap()).unwrap()
        } else {
            text.to_ascii_lowercase().cmp(&limit.to_ascii_lowercase())
        };
        match order {
            std::cmp::Ordering::Equal => matches!(bound, Bound::Including(_)),
            std::cmp::Ordering::Greater => *low,
            std::cmp::Ordering::Less => !*low,
        }
    })
}

fn passes(way: Way, test: &Test, text: &str) -> bool {
    let one = |pattern: &Pattern| match way {
        Way::Prose => inside(pattern, text),
        Way::Path => {
            whole(pattern, text) || text.rsplit(['/', '\\']).next().is_some_and(|last| whole(pattern, last))
        }
        Way::List => text.split(',').any(|item| whole(pattern, item)) || whole(pattern, text),
        _ => whole(pattern, text),
    };
    match test {
        Test::Exists => !text.is_empty(),
        Test::Match(pattern) => one(pattern),
        Test::Exact(pattern) => whole(pattern, text),
        Test::OneOf(patterns) => patterns.iter().any(one),
        Test::Range(low, high) => within(low, high, text),
        Test::Network(network) => text.parse().is_ok_and(|ip: std::net::IpAddr| network.contains(&ip)),
        Test::Regex(regex) => {
            regex::RegexBuilder::new(regex).case_insensitive(true).build().unwrap().is_match(text)
        }
    }
}

/// Values of a column in an event.
fn value(event: &Event, column: Column) -> Option<String> {
    match column {
        Column::Source => Some(event.id.source.to_string()),
        Column::Sequence => Some(event.id.sequence.to_string()),
        Column::Parser => Some(event.parser.to_string()),
        Column::Class => Some(event.class.0.to_string()),
        Column::Severity => Some(event.severity.ocsf_id().to_string()),
        Column::Status => Some(event.status.ocsf_id().to_string()),
        Column::LogProduct => Some(event.log_source.product.to_string()).filter(|text| !text.is_empty()),
        Column::LogService => Some(event.log_source.services.join(",")).filter(|text| !text.is_empty()),
        Column::LogCategory => Some(event.log_source.categories.join(",")).filter(|text| !text.is_empty()),
        Column::Original => Some(event.original().to_owned()),
        Column::Attr(attr) => event.attr(attr).map(str::to_owned),
        Column::Time | Column::Received | Column::Activity | Column::Failure => None,
    }
}

/// The way in which a source's own field compares: that of the column which holds it.
fn way_of(name: &str) -> Way {
    match name.to_ascii_lowercase().as_str() {
        "image" => Way::Path,
        "commandline" => Way::Prose,
        _ => Way::Word,
    }
}

fn holds(expr: &Expr, event: &Event) -> bool {
    match expr {
        Expr::All => true,
        Expr::And(list) => list.iter().all(|inner| holds(inner, event)),
        Expr::Or(list) => list.iter().any(|inner| holds(inner, event)),
        Expr::Not(inner) => !holds(inner, event),
        Expr::Text(pattern) => {
            let texts = Column::all().filter(|column| !matches!(column.way(), Way::Number | Way::Named));
            texts.filter_map(|column| value(event, column)).any(|text| inside(pattern, &text))
                || event.iter().any(|(_, value)| inside(pattern, value.text))
        }
        Expr::Field(FieldName { name, .. }, test) => match meaning(name) {
            Meaning::Columns(columns) => columns.iter().any(|column| {
                let Some(text) = value(event, *column) else { return false };
                match (column.way(), test) {
                    (Way::Named, Test::Match(pattern) | Test::Exact(pattern))
                        if pattern.as_literal().is_some() =>
                    {
                        let word = pattern.as_literal().unwrap();
                        word.parse::<i64>()
                            .ok()
                            .or_else(|| number_of_word(*column, word))
                            .map(|n| n.to_string())
                            == Some(text)
                    }
                    (way, test) => passes(way, test, &text),
                }
            }),
            Meaning::Source(source) => event.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case(&source) && passes(way_of(&source), test, value.text)
            }),
        },
    }
}

fn literal() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "alice",
        "bob",
        "corp\\eve",
        "jörg",
        "root",
        "WEB1",
        "web",
        "mimikatz",
        "MimiKatz.exe",
        "cmd.exe",
        "C:\\Windows\\System32\\cmd.exe",
        "/usr/bin/cat",
        "whoami /all",
        "\"x\"",
        "Failed password",
        "10.0.1.4",
        "10.0.",
        "b2",
        "n17",
        "sshd",
        "passwd",
        "sysmon",
        "process_creation",
        "zzzz-nowhere",
        "e",
        "-enc",
        "3",
        "17",
        "user\":\"",
        "eve\",\"Image",
        "sshd[",
        "2026-11-24",
    ])
    .prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        3 => literal().prop_map(|text| Pattern::literal(&text)),
        1 => literal().prop_map(|text| Pattern(vec![Piece::Any, Piece::Literal(text)])),
        1 => literal().prop_map(|text| Pattern(vec![Piece::Literal(text), Piece::Any])),
        1 => literal().prop_map(|text| Pattern(vec![Piece::Any, Piece::Literal(text), Piece::Any])),
        1 => literal().prop_map(|text| Pattern(vec![Piece::One, Piece::Literal(text), Piece::Any])),
    ]
}

fn texts() -> impl Strategy<Value = Expr> {
    let names = prop::sample::select(vec![
        "host",
        "user",
        "process",
        "cmd",
        "message",
        "src_endpoint.ip",
        "device.hostname",
        "user.name",
        "source",
        "log_service",
        "category",
        "original",
        "CommandLine",
        "targetusername",
        "Image",
        "note",
        "tags",
        "program",
        "nothing",
        "LogonType",
        "ip",
        "pid_text",
        "TS",
    ]);
    let bound = prop_oneof![
        Just(Bound::Open),
        prop::sample::select(vec!["3", "17", "b", "web2"]).prop_map(|v| Bound::Including(v.to_owned())),
        prop::sample::select(vec!["10", "root", "9"]).prop_map(|v| Bound::Excluding(v.to_owned())),
    ];
    let test = prop_oneof![
        1 => Just(Test::Exists),
        4 => pattern().prop_map(Test::Match),
        2 => pattern().prop_map(Test::Exact),
        1 => prop::collection::vec(pattern(), 1..4).prop_map(Test::OneOf),
        1 => (bound.clone(), bound).prop_map(|(low, high)| Test::Range(low, high)),
        1 => prop::sample::select(vec!["10.0.1.0/24", "10.0.0.0/8", "10.0.2.77/32"])
            .prop_map(|network| Test::Network(network.parse().unwrap())),
        1 => prop::sample::select(vec!["^web[13]$", "mimi.atz", "pass(wd|word)", "^$"])
            .prop_map(|regex| Test::Regex(regex.to_owned())),
    ];
    (names, test).prop_map(|(name, test)| Expr::Field(FieldName::new(name), test))
}

fn numbers() -> impl Strategy<Value = Expr> {
    let number = || prop::sample::select(vec!["3", "17", "120", "399", "9999"]);
    let test = prop_oneof![
        number().prop_map(|n| Test::Match(Pattern::literal(n))),
        (number(), number())
            .prop_map(|(low, high)| Test::Range(Bound::Including(low.into()), Bound::Excluding(high.into()))),
        number().prop_map(|n| Test::Range(Bound::Excluding(n.into()), Bound::Open)),
        Just(Test::Exists),
    ];
    let named = prop::sample::select(vec![
        ("severity", "high"),
        ("severity", "medium"),
        ("status", "failure"),
        ("class", "process"),
        ("class", "3002"),
    ]);
    prop_oneof![
        (prop::sample::select(vec!["process.pid", "sequence"]), test)
            .prop_map(|(name, test)| Expr::Field(FieldName::new(name), test)),
        named.prop_map(|(name, word)| Expr::Field(FieldName::new(name), Test::Match(Pattern::literal(word)))),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![3 => pattern().prop_map(Expr::Text), 5 => texts(), 2 => numbers()];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

#[test]
fn every_query_finds_what_the_obvious_evaluator_finds() {
    const ALL: u64 = 300;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mixed = runtime.block_on(stored(&[60, 61, 200], ALL));
    let memory = runtime.block_on(stored(&[], ALL));
    let searchers = [
        ("mixed", Searcher::with_limits(mixed.store.clone(), limits()).unwrap()),
        ("memory", Searcher::with_limits(memory.store.clone(), limits()).unwrap()),
        ("no sidecars", {
            Searcher::with_limits(Arc::new(WithoutSidecars(mixed.store.clone())), limits()).unwrap()
        }),
    ];
    let all = events(1..=ALL);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() });
    // Answers that are neither nothing nor everything: those that show something.
    let telling = std::cell::Cell::new(0);
    runner
        .run(&expr(), |expr| {
            let text = expr.to_string();
            prop_assert_eq!(&language::parse(&text).map(|query| query.filter), &Ok(expr.clone()), "{}", text);
            let mut expected: Vec<u64> =
                all.iter().filter(|event| holds(&expr, event)).map(|event| event.id.sequence).collect();
            expected.reverse();
            telling.set(telling.get() + usize::from(!expected.is_empty() && expected.len() < ALL as usize));
            for (name, searcher) in &searchers {
                let found = runtime.block_on(found(searcher, &text));
                prop_assert_eq!(&found, &expected, "{}: {}", name, text);
            }
            Ok(())
        })
        .unwrap();
    assert!(telling.get() > 20, "only {} queries had a telling answer", telling.get());
}

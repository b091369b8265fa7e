//! The language from the outside: what is understood, what is refused, and that printing reads back.

use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Expr {
    Expr::Text(Pattern::literal(text))
}

fn field(name: &str, test: Test) -> Expr {
    Expr::Field(FieldName::new(name), test)
}

fn is(value: &str) -> Test {
    Test::Match(Pattern::literal(value))
}

fn filter(query: &str) -> Expr {
    let query = parse(query).unwrap_or_else(|e| panic!("{query}: {e}"));
    assert!(query.stages.is_empty());
    query.filter
}

#[test]
fn terms_stand_side_by_side_and_or_binds_weaker() {
    assert_eq!(filter(""), Expr::All);
    assert_eq!(filter("*"), Expr::All);
    assert_eq!(filter("a b"), Expr::And(vec![text("a"), text("b")]));
    assert_eq!(filter("a and b"), filter("a b"));
    assert_eq!(filter("a b OR c"), Expr::Or(vec![Expr::And(vec![text("a"), text("b")]), text("c")]));
    assert_eq!(filter("a (b or c)"), Expr::And(vec![text("a"), Expr::Or(vec![text("b"), text("c")])]));
    assert_eq!(filter("-a !b NOT(c d)"), filter("NOT a NOT b NOT (c d)"));
    assert_eq!(filter("\"and\""), text("and"));
    assert_eq!(filter("android"), text("android"));
}

#[test]
fn fields_and_their_tests() {
    assert_eq!(filter("user:bob"), field("user", is("bob")));
    assert_eq!(filter("user:\"bob smith\""), field("user", is("bob smith")));
    assert_eq!(filter("\"Logon Type\":3"), field("Logon Type", is("3")));
    assert_eq!(filter("user:*"), field("user", Test::Exists));
    assert_eq!(filter("user:=Bob"), field("user", Test::Exact(Pattern::literal("Bob"))));
    let pattern = Pattern(vec![Piece::Any, Piece::Literal("net user".into()), Piece::One]);
    assert_eq!(filter("cmd:*\"net user\"?"), field("cmd", Test::Match(pattern)));
    assert_eq!(filter("src:10.0.0.9/8"), field("src", Test::Network("10.0.0.0/8".parse().expect("network"))));
    assert_eq!(filter("src:\"10.0.0.0/8\""), field("src", is("10.0.0.0/8")));
    assert_eq!(filter("x:(a OR b, \"c d\")"), {
        field("x", Test::OneOf(vec![Pattern::literal("a"), Pattern::literal("b"), Pattern::literal("c d")]))
    });
    assert_eq!(filter("p:[1 TO 5}"), {
        field("p", Test::Range(Bound::Including("1".into()), Bound::Excluding("5".into())))
    });
    assert_eq!(filter("p:>=5"), filter("p:[5 TO *]"));
    assert_eq!(filter("p:< 5"), filter("p:[* TO 5}"));
    assert_eq!(filter("user:/ad.*n\\/x/"), field("user", Test::Regex("ad.*n/x".into())));
}

#[test]
fn paths_addresses_and_urls_can_be_pasted() {
    assert_eq!(filter("file:/etc/passwd"), field("file", is("/etc/passwd")));
    assert_eq!(
        filter(r"process:C:\Windows\System32\cmd.exe"),
        field("process", is(r"C:\Windows\System32\cmd.exe"))
    );
    assert_eq!(filter(r"C:\Windows"), text(r"C:\Windows"));
    assert_eq!(filter(r"\\server\share"), text(r"\\server\share"));
    assert_eq!(filter(r#""C:\Program Files\\""#), text(r"C:\Program Files\"));
    assert_eq!(filter(r#""say \"x\"""#), text("say \"x\""));
    assert_eq!(filter("https://example.com/a?b"), {
        Expr::Text(Pattern(vec![
            Piece::Literal("https://example.com/a".into()),
            Piece::One,
            Piece::Literal("b".into()),
        ]))
    });
    assert_eq!(filter("fe80::1"), text("fe80::1"));
    assert_eq!(filter("00:1a:2b:3c:4d:5e"), text("00:1a:2b:3c:4d:5e"));
    assert_eq!(filter("aa:bb:cc:dd:ee:ff"), text("aa:bb:cc:dd:ee:ff"));
    assert_eq!(filter("12:30:05"), text("12:30:05"));
    assert_eq!(filter("src:2001:db8::1"), field("src", is("2001:db8::1")));
}

#[test]
fn stages() {
    let query = parse("failed | stats count, dc(user) as users, p95(dst_port) by src, host | where users > 3 and not host = x | sort -count | head 5")
        .expect("query");
    assert_eq!(query.stages.len(), 4);
    let Stage::Stats(aggregates, by) = &query.stages[0] else { panic!("stats") };
    assert_eq!(
        aggregates.iter().map(Aggregate::column).collect::<Vec<_>>(),
        ["count", "users", "p95(dst_port)"]
    );
    assert_eq!(by.len(), 2);
    assert_eq!(query.stages[3], Stage::Head(5));
    assert_eq!(
        parse("| top 5 user by host").expect("top").stages[0],
        Stage::Top { count: 5, field: FieldName::new("user"), by: vec![FieldName::new("host")], rare: false }
    );
    assert_eq!(
        parse("* | timechart span=5m count by host").expect("timechart").stages[0],
        Stage::Timechart {
            span: Some(300),
            aggregate: Aggregate { function: Function::Count, field: None, name: None },
            by: Some(FieldName::new("host"))
        }
    );
    assert_eq!(
        parse("|fields - a b").expect("fields").stages[0],
        parse("|fields -a,b").expect("fields").stages[0]
    );
    assert_eq!(
        parse("|sort count(x) desc").expect("sort").stages[0],
        parse("|sort -count(x)").expect("sort").stages[0]
    );
}

#[test]
fn errors_say_where_what_and_the_mend() {
    for (query, at, message, suggestion) in [
        ("user:", 5, "expected a value after user:", "to ask whether the field is there, write user:*"),
        ("a OR", 4, "expected a term after OR", "to search for the word itself, put it in quotes: \"or\""),
        (
            "AND a",
            0,
            "expected a term before AND",
            "to search for the word itself, put it in quotes: \"and\"",
        ),
        ("(a", 2, "expected ) for the ( at byte 0", "add a )"),
        ("a)", 1, "this ) closes nothing", "remove it, or open a ( before"),
        ("a | stat count", 4, "there is no stage stat", "did you mean stats?"),
        ("| stats coutn by x", 8, "there is no function coutn", "did you mean count?"),
        ("| stats sum by x", 11, "sum needs a field", "write it as sum(field)"),
        ("\"abc", 0, "this quote is not closed", "add a \" at the end"),
        ("\"C:\\x\\\"", 0, "this quote is not closed", "to end a text with a backslash, double it: \\\\\""),
        (
            "user:/a(?=b)/",
            5,
            "this regular expression cannot be used: look-around, including look-ahead and look-behind, is not supported",
            "look-around and back-references cannot be matched in linear time; use AND and NOT instead",
        ),
    ] {
        let error = parse(query).expect_err(query);
        assert_eq!(
            (error.at, error.message.as_str(), error.suggestion.as_deref()),
            (at, message, Some(suggestion)),
            "{query}"
        );
    }
    assert!(parse(&"(".repeat(9_000)).is_err());
    assert!(parse(&"-".repeat(9_000)).is_err());
    assert!(parse(&format!("| where {}", "not ".repeat(3_000))).is_err());
}

#[test]
fn a_click_adds_a_filter_before_the_stages() {
    assert_eq!(with_filter("", "user", "bob", true).as_deref(), Ok("user:=bob"));
    let excluded = with_filter("a OR b | stats count", "user", "x y", false).expect("query");
    assert_eq!(excluded, "(a OR b) NOT user:=\"x y\" | stats count");
    assert_eq!(
        with_filter(&excluded, "user", "x y", true).as_deref(),
        Ok("(a OR b) user:=\"x y\" | stats count")
    );
}

#[test]
fn completion_knows_where_the_cursor_is() {
    let offered = |text: &str| -> Vec<String> {
        completions(text, text.len(), ["CommandLine"], |_| vec!["web 1".into()])
            .into_iter()
            .map(|c| c.text)
            .collect()
    };
    assert_eq!(offered("a hos"), ["host:"]);
    assert_eq!(offered("Comm"), ["CommandLine:"]);
    assert_eq!(offered("severity:h"), ["high"]);
    assert_eq!(offered("host:w"), ["\"web 1\""]);
    assert_eq!(offered("x | ti"), ["timechart"]);
    assert_eq!(offered("x | stats cou"), ["count"]);
    assert_eq!(offered("x | stats count by hos"), ["host"]);
}

fn literal_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "[ -~]{1,12}", "\\PC{1,6}", Just("and".to_owned()), Just("\\\\x\\".to_owned())]
}

fn pattern() -> impl Strategy<Value = Pattern> {
    proptest::collection::vec((prop_oneof![Just(Piece::Any), Just(Piece::One)], literal_text()), 0..3)
        .prop_flat_map(|parts| {
            literal_text().prop_map(move |first| {
                let mut pieces = vec![Piece::Literal(first)];
                for (wildcard, literal) in &parts {
                    pieces.push(wildcard.clone());
                    pieces.push(Piece::Literal(literal.clone()));
                }
                Pattern(pieces)
            })
        })
}

fn name() -> impl Strategy<Value = FieldName> {
    prop_oneof!["[a-z_.]{1,10}", "[ -~]{1,8}"].prop_map(|name| FieldName::new(&name))
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![Just(Bound::Open), literal_text().prop_map(Bound::Including)]
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        Just(Test::Exists),
        pattern().prop_map(Test::Match),
        pattern().prop_map(Test::Exact),
        proptest::collection::vec(pattern(), 1..3).prop_map(Test::OneOf),
        (bound(), bound()).prop_map(|(low, high)| Test::Range(low, high)),
        literal_text().prop_map(|low| Test::Range(Bound::Excluding(low), Bound::Open)),
        "[a-z/.]{1,8}".prop_map(Test::Regex),
        Just(Test::Network("10.1.0.0/16".parse().expect("network"))),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        Just(Expr::All),
        pattern().prop_map(Expr::Text),
        (name(), test()).prop_map(|(name, test)| Expr::Field(name, test)),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

fn function() -> impl Strategy<Value = Function> {
    prop_oneof![
        Just(Function::Distinct),
        Just(Function::Sum),
        Just(Function::Percentile(95)),
        Just(Function::Values)
    ]
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    prop_oneof![
        Just(Aggregate { function: Function::Count, field: None, name: None }),
        (function(), name(), proptest::option::of(literal_text()))
            .prop_map(|(function, field, name)| Aggregate { function, field: Some(field), name }),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = (name(), prop_oneof![Just(Comparison::Equal), Just(Comparison::LessOrEqual)], literal_text())
        .prop_map(|(name, comparison, value)| Condition::Compare(name, comparison, value));
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Condition::Or),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    let names = || proptest::collection::vec(name(), 1..3);
    prop_oneof![
        (proptest::collection::vec(aggregate(), 1..3), proptest::collection::vec(name(), 0..3))
            .prop_map(|(aggregates, by)| Stage::Stats(aggregates, by)),
        (1usize..50, name(), proptest::collection::vec(name(), 0..2), any::<bool>())
            .prop_map(|(count, field, by, rare)| Stage::Top { count, field, by, rare }),
        (proptest::option::of(1u64..9_000), aggregate(), proptest::option::of(name()))
            .prop_map(|(span, aggregate, by)| Stage::Timechart { span, aggregate, by }),
        proptest::collection::vec((name(), any::<bool>()), 1..3).prop_map(Stage::Sort),
        (names(), any::<bool>()).prop_map(|(names, drop)| Stage::Fields(names, drop)),
        names().prop_map(Stage::Dedup),
        condition().prop_map(Stage::Where),
        (1usize..500).prop_map(Stage::Head),
        proptest::collection::vec((name(), literal_text()), 1..3).prop_map(Stage::Rename),
    ]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_within_it(text in "\\PC{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at), "{} in {:?}", error, text);
        }
    }

    #[test]
    fn text_of_the_languages_own_signs_is_read_or_refused(
        parts in proptest::collection::vec(prop_oneof![
            Just("("), Just(")"), Just("\""), Just("|"), Just(":"), Just("*"), Just("-"), Just("\\"), Just("/"),
            Just(" "), Just("a"), Just("NOT"), Just(" OR "), Just("["), Just(" TO "), Just("]"), Just(">"), Just("="),
            Just("stats "), Just("count"), Just(" by "), Just("é"), Just(","),
        ], 0..24)
    ) {
        let text = parts.concat();
        if let Ok(query) = parse(&text) {
            let printed = query.to_string();
            prop_assert_eq!(parse(&printed), Ok(query), "{} from {:?}", printed, text);
        }
    }

    #[test]
    fn a_printed_query_reads_as_itself(filter in expr(), stages in proptest::collection::vec(stage(), 0..3)) {
        let query = Query { filter, stages };
        let printed = query.to_string();
        prop_assert_eq!(parse(&printed), Ok(query), "{}", printed);
    }

    #[test]
    fn completion_never_panics(text in "\\PC{0,40}", cursor in 0usize..60) {
        let _ = completions(&text, cursor, ["CommandLine"], |_| vec!["é".into()]);
    }
}

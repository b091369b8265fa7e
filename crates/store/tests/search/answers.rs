//! What comes back of a search for events, and in what order.

use covigil_model::{EventId, Time};
use covigil_store::search::{Searcher, rows_to_csv, rows_to_jsonl};

use super::*;

#[tokio::test]
async fn the_newest_come_first_from_memory_and_files_and_none_twice() {
    let stored = stored(&[400, 900], 1_000).await;
    let one = Limits { threads: 1, ..limits() };
    let searcher = Searcher::with_limits(stored.store.clone(), one).unwrap();
    let mut newest = request("");
    newest.limit = 150;
    let answer = answer(&searcher, newest).await.unwrap();
    let numbers: Vec<u64> = answer.rows.unwrap().iter().map(|row| row.id.sequence).collect();
    assert_eq!(numbers, (851..=1_000).rev().collect::<Vec<_>>());
    assert!(!answer.done.unwrap().complete, "it stopped before the oldest file");
    assert_eq!(found(&searcher, "*").await, (1..=1_000).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_row_has_columns_source_fields_and_the_exact_original() {
    let stored = stored(&[20], 30).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    for number in [5, 25] {
        let rows = answer(&searcher, request(&format!("note:n{number}"))).await.unwrap().rows.unwrap();
        let expected = event(number);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].original, expected.original());
        assert_eq!((&rows[0].id, rows[0].time), (&expected.id, expected.time));
        let column = |name: &str| {
            rows[0].columns.iter().find(|(have, _)| have == name).map(|(_, value)| value.clone())
        };
        assert_eq!(column("device.hostname"), Some("web0".into()));
        assert_eq!(column("process.pid"), Some(number.into()));
        let json: serde_json::Value = serde_json::from_str(&rows_to_jsonl(&rows)).unwrap();
        assert_eq!(json["fields"]["tags"], serde_json::json!(["a", format!("b{}", number % 4)]));
        assert_eq!(json["fields"]["LogonType"], number % 11);
        assert_eq!(json["columns"]["class_uid"], 1007);
        assert_eq!(json["original"], expected.original());
        assert!(rows_to_csv(&rows).starts_with("id,time,"));
    }
}

#[tokio::test]
async fn an_event_is_fetched_by_its_id() {
    let stored = stored(&[300], 400).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    for number in [1, 300, 301, 400] {
        let expected = event(number);
        for near in [None, Some(expected.time), Some(Time::from_secs(1))] {
            let row = searcher.event(&context(), &expected.id, near).await.unwrap().unwrap();
            assert_eq!((row.id, row.original.as_str()), (expected.id.clone(), expected.original()));
        }
    }
    let missing = EventId { source: Arc::from("odd"), sequence: 400 };
    assert_eq!(searcher.event(&context(), &missing, None).await.unwrap(), None);
}

#[tokio::test]
async fn counts_follow_the_rows_and_add_up() {
    let stored = stored(&[400, 900], 1_000).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    for (query, expected) in [("", 1_000), ("\"Failed password\"", 142)] {
        let mut request = request(query);
        request.limit = 10;
        request.want = Want {
            histogram: Some(50),
            facets: vec!["severity".into(), "host".into(), "LogonType".into()],
            facet_values: 3,
            count: false,
        };
        let answer = answer(&searcher, request).await.unwrap();
        assert_eq!(answer.order.first(), Some(&"rows"), "{query}");
        assert_eq!(answer.rows.unwrap().len(), 10);
        let histogram = answer.histogram.unwrap();
        assert_eq!(histogram.counts.iter().sum::<u64>(), expected, "{query}");
        assert!(histogram.counts.len() <= 52 && histogram.counts.len() > 20);
        assert_eq!(answer.done.unwrap().progress.matched, expected);
        assert!(answer.done.unwrap().complete);
        for facet in &answer.facets {
            let total =
                facet.values.iter().map(|(_, count)| count).sum::<u64>() + facet.other + facet.missing;
            assert_eq!(total, expected, "{facet:?}");
            assert!(facet.values.len() <= 3);
        }
    }
}

#[tokio::test]
async fn the_searched_time_is_kept_to() {
    let stored = stored(&[400, 900], 1_000).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    let mut some = request("");
    (some.from, some.to) = (event(390).time, event(910).time);
    let numbers: Vec<u64> =
        answer(&searcher, some).await.unwrap().rows.unwrap().iter().map(|row| row.id.sequence).collect();
    assert_eq!(
        numbers,
        (390..=910).rev().filter(|n| *n < 910 || event(910).time.nanos() % 1_000 != 0).collect::<Vec<_>>()
    );
    let inside = found(&searcher, "time:>\"2026-11-24T12:16:00Z\"").await;
    assert!(!inside.is_empty() && inside.iter().all(|n| event(*n).time >= begin().plus_secs(961)));
}

#[tokio::test]
async fn fields_are_known_with_frequent_values() {
    let stored = stored(&[50], 80).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    let fields = searcher.fields(&context()).await.unwrap();
    let host = fields.iter().find(|field| field.name == "host" && !field.source).unwrap();
    assert!(host.values.contains(&"web1".to_owned()));
    assert!(fields.iter().any(|field| field.source && field.name == "CommandLine"));
}

#[tokio::test]
async fn searches_end_when_nobody_listens_and_wait_their_turn() {
    let stored = stored(&[100], 200).await;
    let narrow = Limits { running: 1, waiting: 2, threads: 1, rows: 10_000_000, ..Limits::default() };
    let searcher = Searcher::with_limits(stored.store.clone(), narrow).unwrap();
    for _ in 0..20 {
        drop(searcher.search(&context(), request("mimikatz | stats count by user")).unwrap());
    }
    // An answer of more parts than may wait for its reader holds its search's place.
    let mut large = sql("SELECT a.original FROM events a, events b, events c");
    large.limit = 10_000_000;
    let mut held = loop {
        match searcher.search(&context(), large.clone()) {
            Err(SearchError::Busy { .. }) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            other => break other.unwrap(),
        }
    };
    assert!(matches!(held.next().await, Some(Ok(Update::Table(_)))));
    let waiting: Vec<_> = (0..2).map(|_| searcher.search(&context(), request("*")).unwrap()).collect();
    let refused = searcher.search(&context(), request("*"));
    assert!(matches!(refused, Err(SearchError::Busy { running: 1, waiting: 2 })), "{refused:?}");
    drop(waiting);
    drop(held);
    let counted = loop {
        match answer(&searcher, request("* | stats count")).await {
            Err(SearchError::Busy { .. }) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            other => break other.unwrap(),
        }
    };
    assert_eq!(counted.table.unwrap().rows, [[200]]);
}

#[tokio::test]
async fn a_search_stops_when_its_time_or_memory_is_used_up() {
    let stored = stored(&[500], 1_000).await;
    let none = Limits { time: std::time::Duration::ZERO, ..limits() };
    let searcher = Searcher::with_limits(stored.store.clone(), none).unwrap();
    for query in ["mimikatz", "* | stats count by user"] {
        let error = answer(&searcher, request(query)).await.unwrap_err();
        assert!(matches!(error, SearchError::Time { .. }), "{error}");
    }
    let little = Limits { mebibytes: 0, ..limits() };
    let searcher = Searcher::with_limits(stored.store.clone(), little).unwrap();
    let error = answer(&searcher, request("* | stats values(original) by note")).await.unwrap_err();
    assert!(matches!(error, SearchError::Memory { .. }), "{error}");
}

/// More rows than one chunk of a sidecar, or one part of a row group, has.
#[tokio::test]
async fn long_files_are_searched_chunk_by_chunk() {
    const ALL: u64 = 40_000;
    let stored = stored(&[39_000], ALL).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    let plain: Vec<u64> = (1..=ALL).rev().filter(|n| n % 7 == 0).collect();
    for (query, expected) in [
        ("sshd[31437]", vec![31_437]),
        ("note:n9001 OR note:n38001", vec![38_001, 9_001]),
        ("program:sshd sequence:[100 TO 120]", vec![119, 112, 105]),
        ("\"Failed password\"", plain),
    ] {
        assert_eq!(found(&searcher, query).await, expected, "{query}");
        for limit in [1, 3, 2_000] {
            let mut some = request(query);
            some.limit = limit;
            some.want.count = limit == 3;
            let answer = answer(&searcher, some).await.unwrap();
            let numbers: Vec<u64> = answer.rows.unwrap().iter().map(|row| row.id.sequence).collect();
            assert_eq!(numbers, expected[..limit.min(expected.len())], "{query} {limit}");
            if limit == 3 {
                let done = answer.done.unwrap();
                assert_eq!((done.progress.matched, done.complete), (expected.len() as u64, true), "{query}");
            }
        }
    }
}

//! Stages, and SQL.

use std::collections::BTreeMap;

use covigil_model::Attr;
use covigil_store::search::Searcher;
use serde_json::{Value, json};

use super::*;

async fn table(searcher: &Searcher, request: SearchRequest) -> Table {
    let query = format!("{:?}", request.query);
    answer(searcher, request).await.unwrap_or_else(|error| panic!("{query}: {error}")).table.unwrap()
}

async fn rows(searcher: &Searcher, query: &str) -> Vec<Vec<Value>> {
    table(searcher, request(query)).await.rows
}

#[tokio::test]
async fn stages_compute_what_counting_by_hand_computes() {
    const ALL: u64 = 1_000;
    let stored = stored(&[400, 900], ALL).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    let all = events(1..=ALL);
    let mut by_host: BTreeMap<&str, u64> = BTreeMap::new();
    for event in &all {
        *by_host.entry(event.attr(Attr::DeviceHostname).unwrap()).or_default() += 1;
    }
    let expected: Vec<Vec<Value>> =
        by_host.iter().map(|(host, count)| vec![json!(host), json!(count)]).collect();
    assert_eq!(rows(&searcher, "* | stats count by host").await, expected);
    assert_eq!(rows(&searcher, "* | stats count").await, [[json!(ALL)]]);

    let top = table(&searcher, request("| top 2 host")).await;
    assert_eq!(top.columns, ["host", "count", "percent"]);
    let mut most: Vec<(&&str, &u64)> = by_host.iter().collect();
    most.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    assert_eq!(top.rows.len(), 2);
    assert_eq!(top.rows[0][..2], [json!(most[0].0), json!(most[0].1)]);
    assert_eq!(
        top.rows[0][2].as_f64().unwrap(),
        (*most[0].1 as f64 * 10_000.0 / ALL as f64 + 0.5).floor() / 100.0
    );
    let rare = rows(&searcher, "| rare 1 host by severity | sort severity").await;
    assert_eq!(rare.len(), 5);

    let pids: Vec<i64> =
        all.iter().filter_map(|e| e.attr(Attr::ProcessPid)).map(|p| p.parse().unwrap()).collect();
    let sums = rows(&searcher, "| stats sum(process.pid) as s, min(process.pid), max(process.pid), avg(process.pid), dc(process.pid), count(process.pid)").await;
    let distinct: std::collections::BTreeSet<i64> = pids.iter().copied().collect();
    assert_eq!(sums[0][0], json!(pids.iter().sum::<i64>()));
    assert_eq!(sums[0][1..3], [json!(pids.iter().min().unwrap()), json!(pids.iter().max().unwrap())]);
    let mean = pids.iter().sum::<i64>() as f64 / pids.len() as f64;
    assert!((sums[0][3].as_f64().unwrap() - mean).abs() < 1e-6);
    assert_eq!(sums[0][4..], [json!(distinct.len()), json!(pids.len())]);

    let p95 = rows(&searcher, "| stats p95(process.pid)").await[0][0].as_f64().unwrap();
    assert!((370.0..=395.0).contains(&p95), "{p95}");
    assert_eq!(
        rows(&searcher, "note:n4* | stats max(LogonType), values(severity) by host | head 1").await.len(),
        1
    );
    assert_eq!(rows(&searcher, "sshd | stats values(host) as hosts").await, [[json!("web0, web1, web2")]],);

    let chart = rows(&searcher, "| timechart span=1m count").await;
    assert_eq!(chart.iter().map(|row| row[1].as_u64().unwrap()).sum::<u64>(), ALL);
    assert_eq!(chart[0][0], json!("2026-11-24T12:00:00Z"));
    let split = rows(&searcher, "| timechart span=10m count by severity").await;
    assert_eq!(split.iter().map(|row| row[2].as_u64().unwrap()).sum::<u64>(), ALL);
}

#[tokio::test]
async fn stages_of_events_keep_their_order_and_columns() {
    let stored = stored(&[60], 100).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    let newest = table(&searcher, request("| fields sequence, host | head 3")).await;
    assert_eq!(newest.columns, ["sequence", "host"]);
    assert_eq!(
        newest.rows,
        [[json!(100), json!("web0")], [json!(99), json!("web4")], [json!(98), json!("web2")]]
    );
    assert_eq!(rows(&searcher, "| sort sequence | head 2 | fields sequence").await, [[json!(1)], [json!(2)]]);
    let first = rows(&searcher, "| dedup source | fields source, sequence").await;
    assert_eq!(first, [[json!("even"), json!(100)], [json!("odd"), json!(99)]]);
    assert_eq!(
        rows(&searcher, "| where sequence > 97 and not source = EVEN | rename sequence as n | fields n")
            .await,
        [[json!(99)]],
    );
    let shown = table(&searcher, request("| head 1")).await;
    assert_eq!(shown.columns, ["time", "host", "user", "src", "process", "message"]);
    assert_eq!(
        rows(
            &searcher,
            "| stats count as c by severity | where c >= 10 | sort -c, severity | head 1 | fields severity"
        )
        .await,
        [[json!("medium")]],
    );
    assert_eq!(rows(&searcher, "nowhere-to-be-found | stats count by user").await.len(), 0);
}

#[tokio::test]
async fn sql_sees_columns_and_the_original() {
    let stored = stored(&[60], 100).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    for (query, expected) in [
        ("SELECT count(*) FROM events", json!([[100]])),
        ("SELECT count(*) FROM events WHERE \"process.cmd_line\" LIKE '%MimiKatz%'", {
            json!([[events(1..=100)
                .iter()
                .filter(|e| e.attr(Attr::ProcessCmdLine).is_some_and(|c| c.contains("MimiKatz")))
                .count()]])
        }),
        ("SELECT count(*) FROM events WHERE \"process.cmd_line\" LIKE '%mimikatz%'", json!([[0]])),
        ("SELECT sequence FROM events WHERE sequence BETWEEN 59 AND 62 ORDER BY sequence DESC", {
            json!([[62], [61], [60], [59]])
        }),
        ("SELECT sequence FROM events WHERE original LIKE '%\"note\":\"n61\"%'", json!([[61]])),
        ("SELECT sequence FROM events WHERE time >= '2026-11-24T12:01:40Z'", json!([[100]])),
        ("SELECT source, count(*) AS n FROM events GROUP BY source ORDER BY source", {
            json!([["even", 50], ["odd", 50]])
        }),
        ("SELECT a.sequence FROM events a JOIN events b ON a.sequence = b.sequence + 99", json!([[100]])),
        ("SELECT count(*) FROM events WHERE \"user.name\" = 'bob'", json!([[0]])),
        (
            "SELECT count(*) > 0 FROM events WHERE \"user.name\" IN ('Bob', 'root') AND severity_id = 3",
            json!([[true]]),
        ),
    ] {
        let rows = table(&searcher, sql(query)).await.rows;
        assert_eq!(json!(rows), expected, "{query}");
    }
}

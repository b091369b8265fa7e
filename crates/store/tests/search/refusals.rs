//! What may not be asked.

use covigil_model::{OpContext, TenantId};
use covigil_store::search::Searcher;

use super::*;

#[tokio::test]
async fn sql_reads_the_events_and_nothing_else() {
    let stored = stored(&[50], 70).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.csv");
    let path = file.display().to_string();
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    for attack in [
        format!("COPY (SELECT * FROM events) TO '{path}'"),
        format!("COPY events TO '{path}' STORED AS CSV"),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{path}'"),
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'".into(),
        "CREATE TABLE t AS SELECT * FROM events".into(),
        "CREATE VIEW v AS SELECT * FROM events".into(),
        "CREATE DATABASE d".into(),
        "CREATE FUNCTION f() RETURNS INT RETURN 1".into(),
        "DROP TABLE events".into(),
        "INSERT INTO events (\"source\") VALUES ('x')".into(),
        "UPDATE events SET source = 'x'".into(),
        "DELETE FROM events".into(),
        "TRUNCATE TABLE events".into(),
        "SET datafusion.execution.batch_size = 1".into(),
        "RESET datafusion.execution.batch_size".into(),
        "SHOW TABLES".into(),
        "SHOW ALL".into(),
        "PREPARE p AS SELECT 1".into(),
        "BEGIN".into(),
        "SELECT * FROM events; SELECT 1".into(),
        "SELECT 1; DROP TABLE events".into(),
        "SELECT * FROM '/etc/passwd'".into(),
        "SELECT * FROM \"/etc/passwd\"".into(),
        "SELECT * FROM read_parquet('/etc/passwd')".into(),
        "SELECT * FROM read_csv('/etc/passwd')".into(),
        "SELECT * FROM parquet_metadata('/etc/passwd')".into(),
        "SELECT * FROM information_schema.tables".into(),
        "SELECT * FROM events WHERE source IN (SELECT x FROM other)".into(),
        "SELECT * FROM generate_series(1, 1000000000000)".into(),
        "SELECT * FROM range(1, 1000000000000)".into(),
        "SELECT repeat('x', 1000000000) FROM events".into(),
        "SELECT lpad('x', 1000000000) FROM events".into(),
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r".into(),
        "EXPLAIN ANALYZE SELECT * FROM events".into(),
        "DESCRIBE events".into(),
        String::new(),
        "SELECT".into(),
        "SELECT nothing FROM events".into(),
    ] {
        let error = answer(&searcher, sql(&attack)).await.expect_err(&attack);
        assert!(matches!(error, SearchError::Sql { .. }), "{attack}: {error:?}");
        assert!(!error.to_string().is_empty());
    }
    assert!(!file.exists());
    assert_eq!(found(&searcher, "").await.len(), 70);
}

#[tokio::test]
async fn another_tenants_events_are_not_searched() {
    let stored = stored(&[], 10).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    let other = OpContext::system(TenantId::derived(&[b"other"]), "test", begin());
    assert!(matches!(searcher.search(&other, request("")), Err(SearchError::Events(EventsError::Tenant))));
    assert!(searcher.search(&other, sql("SELECT * FROM events")).is_err());
    assert!(searcher.event(&other, &event(1).id, None).await.is_err());
    assert!(searcher.fields(&other).await.is_err());
}

#[tokio::test]
async fn a_bad_query_says_where_and_what() {
    let stored = stored(&[], 10).await;
    let searcher = Searcher::with_limits(stored.store.clone(), limits()).unwrap();
    for (query, at, part) in [
        ("user:", 5, "expected a value"),
        ("a severity:hihg", 2, "severity is a number"),
        ("process.pid:abc", 0, "process.pid is a number"),
        ("time:yesterday", 0, "is not a time"),
    ] {
        match searcher.search(&context(), request(query)) {
            Err(SearchError::Query(error)) => {
                assert_eq!(error.at, at, "{query}");
                assert!(error.message.contains(part), "{query}: {error}");
            }
            other => panic!("{query}: {other:?}"),
        }
    }
    let error = answer(&searcher, request("* | stats count by user | sort cuont")).await.unwrap_err();
    assert!(error.to_string().contains("did you mean count?"), "{error}");
}

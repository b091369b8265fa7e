//! Appending, seeing, flushing, opening again.

use covigil_model::{OpContext, TenantId, Time};
use covigil_store::{
    events::{EventStore, EventsError, Rows},
    wal::Position,
};

use super::{config, contents, context, events, expected, open};

#[tokio::test]
async fn events_are_seen_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, position) = open(dir.path()).await;
    assert_eq!(position, Position(0));
    let all = events(1..=3_000);
    store.append(&all[..1_000], Position(1_000)).await.unwrap();
    store.append(&all[1_000..1_001], Position(1_001)).await.unwrap();
    assert_eq!(contents(&store.snapshot(&context()).unwrap()), expected(&all[..1_001]));
    assert_eq!(store.flush().await.unwrap(), Position(1_001));
    store.append(&all[1_001..], Position(3_000)).await.unwrap();
    let snapshot = store.snapshot(&context()).unwrap();
    assert_eq!((snapshot.files.len(), snapshot.rows(), snapshot.up_to), (1, 3_000, Position(3_000)));
    assert_eq!(contents(&snapshot), expected(&all));
    let stats = store.stats();
    assert_eq!((stats.rows, stats.files, stats.memory_rows), (3_000, 1, 1_999));
    assert_eq!((stats.committed, stats.appended), (Position(1_001), Position(3_000)));
    drop((store, snapshot));

    let (store, position) = open(dir.path()).await;
    assert_eq!(position, Position(1_001));
    assert_eq!(contents(&store.snapshot(&context()).unwrap()), expected(&all[..1_001]));
    // What the write-ahead log brings again is stored once.
    store.append(&all[..1_001], Position(1_001)).await.unwrap();
    store.append(&all[1_001..], Position(3_000)).await.unwrap();
    store.append(&all[1_001..], Position(3_000)).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(contents(&store.snapshot(&context()).unwrap()), expected(&all));
}

#[tokio::test]
async fn files_know_their_times_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let all = events(1..=100);
    store.append(&all, Position(100)).await.unwrap();
    store.flush().await.unwrap();
    let before = store.snapshot(&context()).unwrap();
    drop(store);
    let (store, _) = open(dir.path()).await;
    let after = store.snapshot(&context()).unwrap();
    let (b, a) = (&before.files[0], &after.files[0]);
    assert_eq!((&b.path, &b.day, b.rows, b.bytes), (&a.path, &a.day, a.rows, a.bytes));
    assert_eq!((b.sidecar_bytes, &*b.day), (a.sidecar_bytes, "2026-11-24"));
    let (least, greatest) =
        (all.iter().map(|e| e.time).min().unwrap(), all.iter().map(|e| e.time).max().unwrap());
    for file in [a, b] {
        assert!(file.min_time <= least && greatest <= file.max_time);
        assert!(least.since(file.min_time) < 2_000_000 && file.max_time.since(greatest) < 2_000_000);
    }
    assert!(a.may_contain(least, least) && !a.may_contain(Time::MIN, least.plus_secs(-1)));
}

#[tokio::test]
async fn source_fields_come_back_without_the_parser() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let all = events(1..=10);
    store.append(&all, Position(10)).await.unwrap();
    let snapshot = store.snapshot(&context()).unwrap();
    assert_eq!(snapshot.fields.columns("Image"), ["process.file.path"]);
    assert_eq!(snapshot.fields.columns("ts"), ["time"]);
    assert!(snapshot.fields.columns("note").is_empty());
    let mut rows = Rows::new(&snapshot.memory[0]).unwrap();
    for (row, event) in all.iter().enumerate() {
        let mut have: Vec<(String, String)> =
            rows.source_fields(row).into_iter().map(|(name, value, _)| (name, value)).collect();
        let mut want: Vec<(String, String)> =
            event.iter().map(|(name, value)| (name.to_owned(), value.text.to_owned())).collect();
        have.sort();
        want.sort();
        assert_eq!(have, want);
        assert_eq!((rows.time(row), rows.received(row)), (event.time, event.received));
        let stored = rows.stored(row).unwrap();
        assert_eq!((&stored.id, &stored.parser), (&event.id, &event.parser));
    }
    store.flush().await.unwrap();
    drop(store);
    // The names survive, even the loss of their file.
    std::fs::remove_file(dir.path().join("events/_index/fields.json")).unwrap();
    let (store, _) = open(dir.path()).await;
    assert_eq!(store.snapshot(&context()).unwrap().fields, snapshot.fields);
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let other = OpContext::system(TenantId::derived(&[b"other"]), "test", Time::default());
    assert!(matches!(store.snapshot(&other), Err(EventsError::Tenant)));
}

#[tokio::test]
async fn far_off_times_do_not_widen_the_others_file_nor_make_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let mut all = events(1..=500);
    for (n, event) in all.iter_mut().enumerate().filter(|(n, _)| n % 10 == 0) {
        event.time = Time::from_secs(n as i64 * 40_000_000 - 9_000_000_000);
    }
    (all[0].time, all[1].time) = (Time::MIN, Time::MAX);
    store.append(&all, Position(500)).await.unwrap();
    store.flush().await.unwrap();
    let snapshot = store.snapshot(&context()).unwrap();
    assert_eq!(snapshot.files.len(), 2);
    assert!(snapshot.files.iter().any(|f| f.max_time.since(f.min_time) < 3_600_000_000_000));
    assert!(snapshot.files.iter().all(|f| &*f.day == "2026-11-24"));
    assert_eq!(contents(&snapshot), expected(&all));
    drop((store, snapshot));
    let (store, _) = open(dir.path()).await;
    let snapshot = store.snapshot(&context()).unwrap();
    let least = all.iter().map(|e| e.time).min().unwrap();
    assert!(snapshot.files.iter().any(|f| f.may_contain(least, least)));
    assert_eq!(contents(&snapshot), expected(&all));
}

#[tokio::test]
async fn the_sidecar_finds_what_is_there_and_skips_what_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let all = events(1..=20_000);
    for (n, part) in all.chunks(4_000).enumerate() {
        store.append(part, Position(4_000 * (n as u64 + 1))).await.unwrap();
    }
    store.flush().await.unwrap();
    let snapshot = store.snapshot(&context()).unwrap();
    let file = &snapshot.files[0];
    // In the original escaped, in the column not; and across fields of the original.
    for needle in
        ["C:\\Windows\\P7.EXE", "C:\\\\Windows", "not in the original", r#"","Image":"C:"#, "sysmon"]
    {
        assert_eq!(file.candidate_chunks(&[needle]).len(), 3, "{needle}");
    }
    assert!(file.candidate_chunks(&["mimikatz"]).is_empty());
    let sidecar = file.sidecar().unwrap().unwrap();
    assert_eq!(sidecar.value_chunks("src_endpoint.ip", "10.0.1.0").len(), 1);
    assert!(sidecar.value_chunks("user.name", "nobody").len() < 3);
    assert!(sidecar.value_chunks("USER.NAME", "nobody").is_all());
    std::fs::remove_file(file.sidecar_location()).unwrap();
    assert!(file.candidate_chunks(&["mimikatz"]).is_all());
    drop(store);
    let store = EventStore::open(config(dir.path())).await.unwrap().0;
    assert_eq!(store.snapshot(&context()).unwrap().files[0].sidecar_bytes, 0);
}

//! Compaction, retention, checkpoints and deletion, beside readers.

use std::time::Duration;

use covigil_model::Time;
use covigil_store::{events::EventStore, wal::Position};

use super::{config, contents, context, event, events, expected, open};

#[tokio::test]
async fn compaction_keeps_the_content_and_readers_keep_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let all = events(1..=4_000);
    for (n, part) in all.chunks(250).enumerate() {
        store.append(part, Position((n as u64 + 1) * 250)).await.unwrap();
        store.flush().await.unwrap();
    }
    let before = store.snapshot(&context()).unwrap();
    assert_eq!(before.files.len(), 16);
    let done = store.maintain().await.unwrap();
    assert!(done.compacted >= 16 && done.deleted == 0, "{done:?}");
    let after = store.snapshot(&context()).unwrap();
    assert!(after.files.len() <= 2);
    assert_eq!(contents(&after), expected(&all));
    assert_eq!(contents(&before), expected(&all), "an earlier snapshot still reads its files");
    for file in &after.files {
        let sidecar = file.sidecar().unwrap().unwrap();
        assert!(!sidecar.candidate_chunks(&["p.exe -n "]).is_empty());
        assert!(sidecar.candidate_chunks(&["mimikatz"]).is_empty());
    }
    drop(before);
    assert!(store.maintain().await.unwrap().deleted >= 16);
    drop((store, after));
    let (store, position) = open(dir.path()).await;
    assert_eq!(position, Position(4_000));
    assert_eq!(contents(&store.snapshot(&context()).unwrap()), expected(&all));
}

#[tokio::test]
async fn compacted_rows_are_sorted_by_time() {
    use arrow::{array::AsArray as _, datatypes::TimestampMicrosecondType};
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let mut all = events(1..=1_600);
    // Sources interleave, and some lag.
    for event in all.iter_mut() {
        event.time = event.time.plus_nanos(-((event.id.sequence as i64 * 7_919) % 1_000) * 1_000_000);
    }
    for (n, part) in all.chunks(200).enumerate() {
        store.append(part, Position(n as u64 + 1)).await.unwrap();
        store.flush().await.unwrap();
    }
    store.maintain().await.unwrap();
    let snapshot = store.snapshot(&context()).unwrap();
    assert_eq!(snapshot.files.len(), 1);
    let input = std::fs::File::open(snapshot.files[0].location()).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(input).unwrap();
    let mut last = i64::MIN;
    for batch in reader.build().unwrap() {
        for time in batch.unwrap().column(0).as_primitive::<TimestampMicrosecondType>().values() {
            assert!(*time >= last);
            last = *time;
        }
    }
    assert_eq!(contents(&snapshot), expected(&all));
}

#[tokio::test]
async fn retention_drops_whole_days_and_then_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let now = Time::now();
    for day in 0..6u64 {
        let received = now.plus_secs(-86_400 * day as i64);
        // A source with a wrong clock can neither escape retention nor bring it about.
        let mut part: Vec<_> = (1..=100).map(|n| event(day * 100 + n, received)).collect();
        part[0].time = Time::from_secs(9_000_000_000);
        part[1].time = Time::from_secs(0);
        store.append(&part, Position(day + 1)).await.unwrap();
        store.flush().await.unwrap();
    }
    drop(store);
    let mut aged = config(dir.path());
    aged.keep_days = Some(3);
    let (store, _) = EventStore::open(aged).await.unwrap();
    store.maintain().await.unwrap();
    assert_eq!(store.snapshot(&context()).unwrap().rows(), 400);
    let stats = store.stats();
    drop(store);
    let mut sized = config(dir.path());
    sized.keep_bytes = Some(stats.bytes / 2);
    let (store, position) = EventStore::open(sized).await.unwrap();
    assert_eq!(position, Position(6));
    store.maintain().await.unwrap();
    let after = store.stats();
    assert!(after.bytes <= stats.bytes / 2 && after.rows > 0, "{after:?}");
    assert!(after.oldest_day > stats.oldest_day, "the oldest day went first");
}

#[tokio::test]
async fn a_checkpointed_log_opens_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut often = config(dir.path());
    often.checkpoint_commits = 5;
    let (store, _) = EventStore::open(often.clone()).await.unwrap();
    let all = events(1..=120);
    for (n, part) in all.chunks(10).enumerate() {
        store.append(part, Position((n as u64 + 1) * 10)).await.unwrap();
        store.flush().await.unwrap();
        if n == 6 {
            assert!(store.maintain().await.unwrap().checkpoint);
        }
    }
    let before = store.snapshot(&context()).unwrap();
    drop(store);
    assert!(dir.path().join("events/_delta_log/_last_checkpoint").exists());
    let (store, position) = EventStore::open(often).await.unwrap();
    assert_eq!(position, Position(120));
    let after = store.snapshot(&context()).unwrap();
    let paths = |s: &covigil_store::events::EventSnapshot| {
        let mut paths: Vec<_> = s.files.iter().map(|f| (f.path.clone(), f.rows, f.day.clone())).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths(&before), paths(&after));
    assert_eq!(contents(&after), expected(&all));
}

#[tokio::test]
async fn snapshots_taken_while_flushing_and_compacting_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let all = events(1..=3_000);
    let writer = tokio::spawn({
        let (store, all) = (store.clone(), all.clone());
        async move {
            for (n, part) in all.chunks(50).enumerate() {
                store.append(part, Position((n as u64 + 1) * 50)).await.unwrap();
                if n % 3 == 0 {
                    store.flush().await.unwrap();
                }
                if n % 20 == 0 {
                    store.maintain().await.unwrap();
                }
                tokio::task::yield_now().await;
            }
        }
    });
    let mut seen = 0;
    while !writer.is_finished() {
        let snapshot = store.snapshot(&context()).unwrap();
        let up_to = usize::try_from(snapshot.up_to.0).unwrap();
        assert_eq!(contents(&snapshot), expected(&all[..up_to]));
        seen += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    writer.await.unwrap();
    assert!(seen > 3);
    assert_eq!(contents(&store.snapshot(&context()).unwrap()), expected(&all));
}

#[tokio::test]
async fn running_flushes_by_time_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut quick = config(dir.path());
    quick.flush_interval = Duration::from_millis(50);
    let (store, _) = EventStore::open(quick).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let store = store.clone();
        async move { store.run(async { drop(stopped.await) }).await }
    });
    let all = events(1..=30);
    store.append(&all[..20], Position(20)).await.unwrap();
    while store.stats().committed < Position(20) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    store.append(&all[20..], Position(30)).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(store.stats().committed, Position(30));
}

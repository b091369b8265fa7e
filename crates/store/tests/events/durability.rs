//! Crashes and refusing disks: every event is stored exactly once.

use covigil_store::{events::EventStore, wal::Position};

use super::{config, contents, context, events, expected, open};

#[tokio::test]
async fn what_a_crash_left_behind_is_cleaned_up() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let all = events(1..=50);
    store.append(&all, Position(50)).await.unwrap();
    store.flush().await.unwrap();
    let file = store.snapshot(&context()).unwrap().files[0].clone();
    drop(store);
    let root = dir.path().join("events");
    let stray = root.join("day=2026-11-24/stray.parquet");
    let stray_sidecar = root.join("_index/day=2026-11-24/stray.sig");
    std::fs::copy(file.location(), &stray).unwrap();
    std::fs::copy(file.sidecar_location(), &stray_sidecar).unwrap();
    // An entry and a checkpoint that a power cut left incomplete.
    std::fs::write(root.join("_delta_log/00000000000000000002.json"), "{\"add\":{\"pa").unwrap();
    std::fs::write(root.join("_delta_log/00000000000000000001.checkpoint.parquet"), "PAR1").unwrap();
    std::fs::write(root.join("_delta_log/_last_checkpoint"), "{\"version\":1,\"size\":4}").unwrap();
    let (store, position) = open(dir.path()).await;
    assert_eq!(position, Position(50));
    assert_eq!(contents(&store.snapshot(&context()).unwrap()), expected(&all));
    assert!(!stray.exists() && !stray_sidecar.exists() && file.location().exists());
    let more = events(51..=60);
    store.append(&more, Position(60)).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    let (store, position) = open(dir.path()).await;
    assert_eq!(position, Position(60));
    assert_eq!(store.snapshot(&context()).unwrap().rows(), 60);
}

#[tokio::test]
async fn a_disk_that_refuses_holds_back_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    let all = events(1..=4_000);
    store.append(&all[..100], Position(100)).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    let mut small = config(dir.path());
    small.memory = 1 << 20;
    let (store, _) = EventStore::open(small).await.unwrap();
    // A file stands where the next day's folder would be.
    let root = dir.path().join("events");
    std::fs::rename(root.join("_index/day=2026-11-24"), root.join("moved")).unwrap();
    std::fs::write(root.join("_index/day=2026-11-24"), "").unwrap();
    store.append(&all[100..3_000], Position(3_000)).await.unwrap();
    assert!(store.flush().await.is_err());
    assert!(store.stats().last_error.is_some());
    assert_eq!(contents(&store.snapshot(&context()).unwrap()).len(), 3_000 - 100 + 100);
    let waiting = tokio::spawn({
        let (store, rest) = (store.clone(), all[3_000..].to_vec());
        async move { store.append(&rest, Position(4_000)).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "memory is full, so the source must wait");
    std::fs::remove_file(root.join("_index/day=2026-11-24")).unwrap();
    std::fs::rename(root.join("moved"), root.join("_index/day=2026-11-24")).unwrap();
    store.flush().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(store.stats().last_error, None);
    assert_eq!(store.flush().await.unwrap(), Position(4_000));
    assert_eq!(contents(&store.snapshot(&context()).unwrap()), expected(&all));
}

//! The process dies at every step of a flush, a compaction, a checkpoint; what it comes back to is
//! every event exactly once.
//!
//! A child process, this very test binary, appends numbered events from where the table says it
//! stopped, as the write-ahead log would bring them again, and aborts at a failpoint. The parent
//! starts it again and again, at another point each time.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use covigil_store::{events::EventStore, wal::Position};

use super::{config, contents, context, events, expected, open};

const TOTAL: u64 = 3_000;
const POINTS: [&str; 9] = [
    "events::after_parquet",
    "events::before_sidecar",
    "events::before_commit",
    "events::after_commit",
    "events::compacting",
    "events::before_compaction_commit",
    "events::before_checkpoint",
    "events::before_vacuum",
    "events::vacuuming",
];

/// The child: not a test by itself.
#[tokio::test]
#[ignore = "started by the test below, as a process of its own"]
async fn child() {
    let (Some(dir), Some(point), Some(hit)) = (
        std::env::var_os("EVENTS_DIR"),
        std::env::var("EVENTS_POINT").ok(),
        std::env::var("EVENTS_HIT").ok(),
    ) else {
        return;
    };
    let hits_left = AtomicU32::new(hit.parse().unwrap());
    fail::cfg_callback(point, move || {
        if hits_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // As sudden as a kill: nothing is flushed, dropped or unwound.
            std::process::abort();
        }
    })
    .unwrap();
    let mut often = config(&PathBuf::from(dir));
    often.checkpoint_commits = 3;
    let (store, mut position) = EventStore::open(often).await.unwrap();
    while position.0 < TOTAL {
        let next = (position.0 + 20).min(TOTAL);
        store.append(&events(position.0 + 1..=next), Position(next)).await.unwrap();
        position = store.flush().await.unwrap();
        if next % 200 == 0 || next == TOTAL {
            store.maintain().await.unwrap();
        }
    }
}

fn start(dir: &Path, point: &str, hit: u32) -> bool {
    let name = "events::crashes::child";
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored"])
        .envs([("EVENTS_POINT", point), ("EVENTS_HIT", &hit.to_string())])
        .env("EVENTS_DIR", dir)
        .output()
        .unwrap()
        .status
        .success()
}

#[tokio::test]
async fn after_a_death_at_any_point_each_event_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let all = events(1..=TOTAL);
    let mut deaths = 0;
    for hit in 1..=3 {
        for point in POINTS {
            deaths += u32::from(!start(dir.path(), point, hit));
            let (store, position) = open(dir.path()).await;
            let stored = usize::try_from(position.0).unwrap();
            let snapshot = store.snapshot(&context()).unwrap();
            assert_eq!(contents(&snapshot), expected(&all[..stored]), "after a death at {point}");
            // Nothing is left behind that the table does not know.
            let files = std::fs::read_dir(dir.path().join("events/day=2026-11-24")).map_or(0, |d| d.count());
            assert_eq!(files, snapshot.files.len(), "after a death at {point}");
        }
    }
    assert!(deaths > 15, "the child died {deaths} times only");
    assert!(start(dir.path(), "events::none", 1));
    let (store, position) = open(dir.path()).await;
    assert_eq!(position, Position(TOTAL));
    assert_eq!(contents(&store.snapshot(&context()).unwrap()), expected(&all));
}

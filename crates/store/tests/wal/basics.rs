//! Appending, reading, releasing, opening again.

use std::{collections::HashMap, time::Duration};

use covigil_store::wal::{Batch, Position, Recovery, Wal, WalConfig, WalError};

use super::{batch, content, drain, keyed, open, record};

fn row(position: u64, id: &str, data: &str) -> (u64, String, String) {
    (position, id.to_owned(), data.to_owned())
}

#[tokio::test]
async fn records_come_back_in_order_with_gapless_numbers_per_source_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, found) = open(dir.path());
    assert_eq!(found, Recovery::default());
    let first = wal.append(batch("a", &["1", "2"])).await.unwrap();
    assert_eq!((first.first, first.last, first.duplicate), (Position(1), Position(2), false));
    let mixed = Batch::of(vec![record("b", "3"), record("a", "4"), record("b", "5")]);
    assert_eq!(wal.append(mixed).await.unwrap().last, Position(5));
    drop(wal);
    let (wal, found) = open(dir.path());
    assert_eq!(found.last, Position(5));
    wal.append(batch("a", &["6"])).await.unwrap();
    let expected = vec![
        row(1, "a#1", "1"),
        row(2, "a#2", "2"),
        row(3, "b#1", "3"),
        row(4, "a#3", "4"),
        row(5, "b#2", "5"),
        row(6, "a#4", "6"),
    ];
    assert_eq!(content(&wal), expected);
    let mut reader = wal.reader(Position(5));
    let rest = drain(&mut reader);
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[0].0, Position(5));
    assert_eq!(rest[0].1.peer.as_deref(), Some("192.0.2.7"));
    assert_eq!(&*rest[0].1.parser, "auto");
}

#[tokio::test]
async fn a_batch_with_a_known_key_is_stored_once_also_after_restart_and_release() {
    let dir = tempfile::tempdir().unwrap();
    let config = WalConfig { segment_bytes: 100, ..WalConfig::new(dir.path()) };
    let (wal, _) = Wal::open(config.clone()).unwrap();
    let first = wal.append(keyed("k", batch("a", &["1", "2"]))).await.unwrap();
    let again = wal.append(keyed("k", batch("a", &["1", "2"]))).await.unwrap();
    assert_eq!((again.first, again.last, again.duplicate), (first.first, first.last, true));
    // Another source's key of the same bytes is another key.
    assert!(!wal.append(keyed("k", batch("b", &["3"]))).await.unwrap().duplicate);
    drop(wal);
    let (wal, _) = Wal::open(config.clone()).unwrap();
    assert!(wal.append(keyed("k", batch("a", &["1", "2"]))).await.unwrap().duplicate);
    for n in 0..10 {
        wal.append(batch("c", &[&n.to_string()])).await.unwrap();
    }
    wal.release(Position(12)).unwrap();
    assert!(wal.stats().oldest > Position(3), "{:?}", wal.stats());
    drop(wal);
    let (wal, _) = Wal::open(config).unwrap();
    assert!(wal.append(keyed("k", batch("a", &["1", "2"]))).await.unwrap().duplicate);
    assert_eq!(wal.append(batch("a", &["x"])).await.unwrap().first, Position(14));
    assert_eq!(content(&wal).last(), Some(&row(14, "a#3", "x")));
}

#[tokio::test]
async fn read_positions_are_stored_with_their_batch() {
    let dir = tempfile::tempdir().unwrap();
    let config = WalConfig { segment_bytes: 100, ..WalConfig::new(dir.path()) };
    let (wal, _) = Wal::open(config.clone()).unwrap();
    for n in 0..5u8 {
        let mut batch = batch("file", &["line"]);
        batch.checkpoints = vec![("file:a".into(), vec![n, 1]), (format!("gone:{n}"), vec![n])];
        wal.append(batch).await.unwrap();
    }
    let only = Batch {
        checkpoints: (0..5).map(|n| (format!("gone:{n}"), Vec::new())).collect(),
        ..Batch::default()
    };
    let appended = wal.append(only).await.unwrap();
    assert_eq!((appended.first, appended.last), (Position(6), Position(5)));
    wal.release(Position(5)).unwrap();
    drop(wal);
    let (_, found) = Wal::open(config).unwrap();
    assert_eq!(found.checkpoints, HashMap::from([("file:a".to_owned(), vec![4, 1])]));
}

#[tokio::test]
async fn a_reader_waits_for_what_becomes_durable_and_ends_when_the_log_closes() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    let mut reader = wal.reader(Position(1));
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        loop {
            let batch = reader.next_batch(2, 1 << 20).await.unwrap();
            if batch.is_empty() {
                return seen;
            }
            assert!(batch.len() <= 2);
            seen.extend(batch.into_iter().map(|(position, _)| position.0));
        }
    });
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        wal.append(batch("a", &["1", "2", "3"])).await.unwrap();
    }
    drop(wal);
    assert_eq!(reading.await.unwrap(), (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_log_holds_back_and_takes_more_after_release() {
    let dir = tempfile::tempdir().unwrap();
    let config = WalConfig { max_bytes: 4_000, ..WalConfig::new(dir.path()) };
    let (wal, _) = Wal::open(config).unwrap();
    let text = "x".repeat(300);
    let mut stored = 0;
    let error = loop {
        match wal.append(keyed(&format!("{stored}"), batch("a", &[&text]))).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_back_pressure() && matches!(error, WalError::Full { .. }), "{error}");
    assert!(wal.stats().bytes <= 4_000 && wal.stats().trouble.is_some());
    // A retry of what is stored is still answered.
    assert!(wal.append(keyed("0", batch("a", &[&text]))).await.unwrap().duplicate);
    wal.release(Position(stored)).unwrap();
    assert_eq!(wal.append(batch("a", &[&text])).await.unwrap().first, Position(stored + 1));
    assert_eq!(wal.stats().trouble, None);
}

#[tokio::test]
async fn a_log_that_one_batch_fills_is_free_again_after_release() {
    let dir = tempfile::tempdir().unwrap();
    let config = WalConfig { max_bytes: 4_000, ..WalConfig::new(dir.path()) };
    let (wal, _) = Wal::open(config.clone()).unwrap();
    let large = "x".repeat(3_000);
    for round in 1..4 {
        assert_eq!(wal.append(batch("a", &[&large])).await.unwrap().first, Position(round));
        let full = wal.append(batch("a", &[&large])).await.unwrap_err();
        assert!(matches!(full, WalError::Full { .. }), "{full}");
        wal.release(Position(round)).unwrap();
    }
    wal.append(batch("a", &[&large])).await.unwrap();
    drop(wal);
    let (wal, _) = Wal::open(config).unwrap();
    assert!(wal.append(batch("a", &[&large])).await.is_err());
    wal.release(Position(4)).unwrap();
    assert_eq!(wal.append(batch("a", &[&large])).await.unwrap().first, Position(5));
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused_with_a_reason_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = WalConfig { max_record: 10, max_batch: 4_096, ..WalConfig::new(dir.path()) };
    let (wal, _) = Wal::open(config).unwrap();
    let too_large = wal.append(batch("a", &["12345678901"])).await.unwrap_err();
    assert!(matches!(too_large, WalError::RecordTooLarge { bytes: 11, limit: 10 }));
    for source in ["", "a b", "a#b", "a\n", "\u{85}"] {
        let refused = wal.append(batch(source, &["1"])).await.unwrap_err();
        assert!(matches!(refused, WalError::BadName { .. }) && !refused.is_back_pressure(), "{source:?}");
    }
    let many = wal.append(batch("a", &["1"; 100])).await.unwrap_err();
    assert!(matches!(many, WalError::BatchTooLarge { .. }));
    assert_eq!(wal.append(batch("a", &["1234567890"])).await.unwrap().first, Position(1));
}

#[test]
fn a_log_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    let second = Wal::open(WalConfig::new(dir.path()));
    assert!(matches!(second, Err(WalError::Locked { .. })));
    drop(wal);
    open(dir.path());
}

#[tokio::test]
async fn positions_and_numbers_already_in_use_downstream_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    wal.append(batch("a", &["1"])).await.unwrap();
    drop(wal);
    let config = WalConfig { after: Position(10), ..WalConfig::new(dir.path()) };
    for _ in 0..2 {
        let (wal, found) = Wal::open(config.clone()).unwrap();
        assert_eq!((found.last, found.quarantined.len()), (Position(10), 0));
        drop(wal);
    }
    let (wal, _) = Wal::open(config).unwrap();
    wal.append(Batch::of(vec![record("a", "2"), record("b", "3")])).await.unwrap();
    assert_eq!(content(&wal), vec![row(1, "a#1", "1"), row(11, "a#11", "2"), row(12, "b#10", "3")]);
    drop(wal);
    assert_eq!(open(dir.path()).1.quarantined, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_share_few_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _) = open(dir.path());
    let senders: Vec<_> = (0..200)
        .map(|sender| {
            let wal = wal.clone();
            tokio::spawn(async move {
                for n in 0..5 {
                    wal.append(batch("a", &[&format!("{sender}-{n}")])).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    assert!(wal.stats().syncs < 500, "{:?}", wal.stats());
    let mut all = content(&wal);
    assert_eq!(all.len(), 1_000);
    assert!(
        all.iter()
            .enumerate()
            .all(|(at, (position, id, _))| { *position == at as u64 + 1 && *id == format!("a#{position}") })
    );
    all.sort_by(|a, b| a.2.cmp(&b.2));
    all.dedup_by(|a, b| a.2 == b.2);
    assert_eq!(all.len(), 1_000);
}

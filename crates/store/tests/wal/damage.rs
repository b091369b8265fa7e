//! Damage to the files: counted exactly, set aside, and everything intact stays readable.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use covigil_store::wal::{Batch, Position, Recovery, Wal, WalConfig};
use proptest::prelude::*;

use super::{content, keyed, record, sim::SimDisk};

type Files = Vec<(PathBuf, Vec<u8>)>;

fn config(disk: &SimDisk) -> WalConfig {
    WalConfig { segment_bytes: 350, disk: Arc::new(disk.clone()), ..WalConfig::new("/wal") }
}

/// A small log of several segments, and its records by position. Some records contain bytes that
/// look like the log's own.
fn log() -> (Files, Vec<(u64, String, String)>) {
    let disk = SimDisk::with_files(&[]);
    let (wal, _) = Wal::open(config(&disk)).unwrap();
    for n in 0..8 {
        let own: Vec<u8> =
            disk.files().iter().flat_map(|(_, bytes)| bytes.iter().rev().take(60).rev().copied()).collect();
        let mut records = vec![record("a", format!("{n}")), record("b", own)];
        records.truncate(1 + n % 2);
        let mut batch = keyed(&format!("{n}"), Batch::of(records));
        batch.checkpoints = vec![("at".into(), vec![n as u8])];
        wal.append_blocking(batch).unwrap();
    }
    let all = content(&wal);
    drop(wal);
    let files = disk.files();
    assert!(files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "wal")).count() >= 3);
    (files, all)
}

fn lost_positions(found: &Recovery) -> BTreeSet<u64> {
    found.quarantined.iter().flat_map(|q| q.positions.iter().flat_map(|(a, b)| a.0..=b.0)).collect()
}

/// Opens a damaged log: what is there is right, the counts add up, a second opening has nothing to
/// tell, and new records get new numbers. Answers with the lost positions.
fn check(files: &Files, whole: &[(u64, String, String)], case: &str) -> BTreeSet<u64> {
    let disk = SimDisk::with_files(files);
    let (wal, found) = Wal::open(config(&disk)).unwrap();
    let lost = lost_positions(&found);
    let counted: u64 = found.quarantined.iter().map(|q| q.records).sum();
    assert_eq!(counted, lost.len() as u64, "{case}");
    let left = content(&wal);
    for row in &left {
        assert!(whole.contains(row), "{case}: {row:?} was never written");
        assert!(!lost.contains(&row.0), "{case}: {row:?} is counted as lost");
    }
    let there: BTreeSet<u64> = left.iter().map(|row| row.0).collect();
    assert_eq!(there.len(), left.len(), "{case}");
    // Up to the last position, each is there or counted.
    for position in 1..=found.last.0 {
        assert!(there.contains(&position) ^ lost.contains(&position), "{case}: {position}");
    }
    if found.quarantined.iter().any(|q| q.kept.is_none()) {
        panic!("{case}: no copy was kept though there was room");
    }
    drop(wal);
    let (wal, again) = Wal::open(config(&disk)).unwrap();
    assert_eq!((&again.quarantined, again.last), (&Vec::new(), found.last), "{case}");
    assert_eq!(content(&wal), left, "{case}");
    let appended = wal.append_blocking(Batch::of(vec![record("a", "new"), record("b", "new")])).unwrap();
    assert_eq!(appended.first, Position(found.last.0 + 1), "{case}");
    let ids: BTreeSet<String> = content(&wal).into_iter().map(|row| row.1).collect();
    assert_eq!(ids.len(), left.len() + 2, "{case}: an event id was given twice");
    for (_, id, _) in whole.iter().filter(|row| lost.contains(&row.0)) {
        assert!(!ids.contains(id), "{case}: {id} of a lost record was given again");
    }
    lost
}

#[test]
fn any_one_damaged_byte_is_counted_exactly() {
    let (files, whole) = log();
    check(&files, &whole, "intact");
    let mut worst = 0;
    for file in 0..files.len() {
        for at in 0..files[file].1.len() {
            for flip in [0x01, 0xff] {
                let mut damaged = files.clone();
                damaged[file].1[at] ^= flip;
                let case = format!("{} byte {at} ^ {flip:#x}", files[file].0.display());
                let lost = check(&damaged, &whole, &case);
                // One byte costs one entry at most, and each lost record is counted.
                assert!(lost.len() <= 2, "{case}: {lost:?}");
                let left = content(&Wal::open(config(&SimDisk::with_files(&damaged))).unwrap().0);
                assert_eq!(left.len() + lost.len(), whole.len(), "{case}");
                worst = worst.max(lost.len());
            }
        }
    }
    assert_eq!(worst, 2);
}

#[test]
fn a_segment_cut_short_anywhere_loses_only_its_rest() {
    let (files, whole) = log();
    let segments: Vec<usize> =
        (0..files.len()).filter(|at| files[*at].0.extension().is_some_and(|e| e == "wal")).collect();
    for &file in &segments {
        for len in 0..files[file].1.len() {
            let mut damaged = files.clone();
            damaged[file].1.truncate(len);
            let case = format!("{} cut to {len}", files[file].0.display());
            let disk = SimDisk::with_files(&damaged);
            let (wal, found) = Wal::open(config(&disk)).unwrap();
            let lost = lost_positions(&found);
            let left = content(&wal);
            if Some(&file) == segments.last() {
                // A torn end: whether it had been acknowledged cannot be known.
                assert_eq!(left.len() as u64, found.last.0, "{case}");
            } else {
                assert_eq!(left.len() + lost.len(), whole.len(), "{case}");
            }
            assert!(left.iter().all(|row| whole.contains(row)), "{case}");
        }
    }
}

#[test]
fn bytes_missing_anywhere_are_counted_exactly() {
    let (files, whole) = log();
    for file in 0..files.len() - 1 {
        for at in 0..files[file].1.len() {
            let mut damaged = files.clone();
            let to = (at + 133).min(files[file].1.len());
            drop(damaged[file].1.drain(at..to));
            if Some(file) != files.iter().rposition(|(path, _)| path.extension().is_some_and(|e| e == "wal"))
            {
                check(&damaged, &whole, &format!("{} without {at}..{to}", files[file].0.display()));
            }
        }
    }
}

#[test]
fn a_record_that_holds_an_entry_of_another_log_is_not_taken_for_one() {
    // Another log, whose last entry has the position that the damaged log expects next.
    let foreign = SimDisk::with_files(&[]);
    let (wal, _) = Wal::open(WalConfig { segment_bytes: 1 << 20, ..config(&foreign) }).unwrap();
    wal.append_blocking(Batch::of(vec![record("a", "1"), record("evil", "forged")])).unwrap();
    wal.append_blocking(Batch::of(vec![record("evil", "forged")])).unwrap();
    drop(wal);
    let forged = foreign.files().into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "wal"));
    let disk = SimDisk::with_files(&[]);
    let (wal, _) = Wal::open(WalConfig { segment_bytes: 1 << 20, ..config(&disk) }).unwrap();
    wal.append_blocking(Batch::of(vec![record("a", "1")])).unwrap();
    let at = disk.files().iter().map(|(_, bytes)| bytes.len()).max().unwrap();
    wal.append_blocking(Batch::of(vec![record("a", forged.unwrap().1)])).unwrap();
    wal.append_blocking(Batch::of(vec![record("a", "3")])).unwrap();
    drop(wal);
    let mut files = disk.files();
    let segment = files.iter_mut().find(|(path, _)| path.extension().is_some_and(|e| e == "wal")).unwrap();
    segment.1[at + 1] ^= 0xff;
    let disk = SimDisk::with_files(&files);
    let (wal, found) = Wal::open(config(&disk)).unwrap();
    let left: Vec<_> = content(&wal).into_iter().map(|(position, _, data)| (position, data)).collect();
    assert_eq!(left, [(1, "1".to_owned()), (3, "3".to_owned())]);
    assert_eq!(found.quarantined[0].positions, [(Position(2), Position(2))]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_is_survived(
        wounds in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1usize..200, 0u8..4), 1..6)
    ) {
        let (mut files, whole) = log();
        for (file, at, len, how) in wounds {
            let bytes = &mut file.get_mut(&mut files).1;
            if bytes.is_empty() {
                continue;
            }
            let at = at.index(bytes.len());
            let to = (at + len).min(bytes.len());
            match how {
                0 => bytes[at..to].fill(0),
                1 => bytes[at..to].iter_mut().for_each(|b| *b = !*b),
                2 => drop(bytes.drain(at..to)),
                _ => bytes.truncate(at),
            }
        }
        let disk = SimDisk::with_files(&files);
        let (wal, found) = Wal::open(config(&disk)).unwrap();
        let lost = lost_positions(&found);
        let left = content(&wal);
        for row in &left {
            prop_assert!(whole.contains(row));
            prop_assert!(!lost.contains(&row.0));
        }
        prop_assert_eq!(found.last.0 as usize, left.len() + lost.len());
        wal.append_blocking(Batch::of(vec![record("a", "new")])).unwrap();
        drop(wal);
        let (wal, again) = Wal::open(config(&disk)).unwrap();
        prop_assert_eq!(again.quarantined, vec![]);
        prop_assert_eq!(content(&wal).len(), left.len() + 1);
    }
}

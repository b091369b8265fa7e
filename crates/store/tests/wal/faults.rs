//! Loss of power at every operation, and failures of every operation: what was acknowledged is there
//! once, whatever the disk does.

use std::{collections::BTreeMap, io::ErrorKind, sync::Arc};

use covigil_store::wal::{Batch, Position, Recovery, Wal, WalConfig, WalError};

use super::{
    batch, content, drain, keyed,
    sim::{AfterCut, Fault, SimDisk},
};

const BATCHES: usize = 9;

/// The script's batches: two sources, keys, read positions, sizes that make several segments.
fn script(n: usize) -> Batch {
    let source = if n % 3 == 2 { "b" } else { "a" };
    let text: Vec<String> = (0..1 + n % 3).map(|i| format!("{n}.{i} {}", "x".repeat(40 * (n % 4)))).collect();
    let text: Vec<&str> = text.iter().map(String::as_str).collect();
    let mut batch = keyed(&format!("key{n}"), batch(source, &text));
    batch.checkpoints = vec![("place".into(), vec![n as u8 + 1])];
    batch
}

/// What a consumer downstream has committed: positions with the data they held.
type Downstream = BTreeMap<u64, (String, String)>;

fn config(disk: &SimDisk) -> WalConfig {
    WalConfig { segment_bytes: 400, disk: Arc::new(disk.clone()), ..WalConfig::new("/wal") }
}

fn consume(wal: &Wal, downstream: &mut Downstream) -> Position {
    let last = downstream.keys().last().copied().unwrap_or(0);
    for (position, record) in drain(&mut wal.reader(Position(last + 1))) {
        let data = String::from_utf8(record.data).unwrap();
        let before = downstream.insert(position.0, (record.id.to_string(), data));
        assert_eq!(before, None, "position {position:?} was read twice");
    }
    Position(downstream.keys().last().copied().unwrap_or(0))
}

/// Appends the script's batches from `from` on, in two sessions, with consumption and release
/// between. Answers with how many were acknowledged; stops when the disk has no power.
fn run(disk: &SimDisk, from: usize, patience: usize, downstream: &mut Downstream) -> usize {
    let mut acknowledged = from;
    for session in 0..2 {
        let mut opened = Wal::open(config(disk));
        for _ in 0..patience {
            if opened.is_err() {
                opened = Wal::open(config(disk));
            }
        }
        let Ok((wal, found)) = opened else { return acknowledged };
        assert_eq!(found.quarantined, vec![]);
        let until = if session == 0 { BATCHES / 2 } else { BATCHES };
        while acknowledged < until {
            let mut answer = wal.append_blocking(script(acknowledged));
            for _ in 0..patience {
                if let Err(error) = &answer {
                    assert!(error.is_back_pressure(), "{error}");
                    answer = wal.append_blocking(script(acknowledged));
                }
            }
            if answer.is_err() {
                assert!(disk.is_off());
                return acknowledged;
            }
            acknowledged += 1;
            if acknowledged % 2 == 0 {
                let up_to = consume(&wal, downstream);
                let _ = wal.release(up_to);
            }
        }
    }
    acknowledged
}

/// Sends everything again, as a source would that knows nothing of what was acknowledged, and
/// checks that each record is there once, numbered without gaps.
fn check(disk: &SimDisk, acknowledged: usize, mut downstream: Downstream, case: &str) {
    let (wal, found): (Wal, Recovery) = Wal::open(config(disk)).unwrap();
    assert_eq!(found.quarantined, vec![], "{case}");
    let place = found.checkpoints.get("place").map_or(0, |value| value[0] as usize);
    // The batch in flight may be stored without having been acknowledged.
    assert!((acknowledged..=acknowledged + 1).contains(&place), "{case}: {place} of {acknowledged}");
    for n in 0..BATCHES {
        let answer = wal.append_blocking(script(n)).unwrap();
        assert_eq!(answer.duplicate, n < place, "{case}: batch {n} of {acknowledged}");
    }
    drop(wal);
    let (wal, _) = Wal::open(config(disk)).unwrap();
    consume(&wal, &mut downstream);
    let mut expected = Vec::new();
    for n in 0..BATCHES {
        for record in script(n).records {
            expected.push(String::from_utf8(record.data.to_vec()).unwrap());
        }
    }
    let got: Vec<_> = downstream.values().map(|(_, data)| data.clone()).collect();
    assert_eq!(got, expected, "{case}");
    let positions: Vec<_> = downstream.keys().copied().collect();
    assert_eq!(positions, (1..=expected.len() as u64).collect::<Vec<_>>(), "{case}");
    for source in ["a#", "b#"] {
        let numbers: Vec<u64> = downstream
            .values()
            .filter_map(|(id, _)| id.strip_prefix(source).map(|number| number.parse().unwrap()))
            .collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{case}");
    }
}

#[test]
fn power_lost_at_any_operation_loses_and_doubles_nothing() {
    let dry = SimDisk::new(0, Fault::None);
    assert_eq!(run(&dry, 0, 0, &mut Downstream::new()), BATCHES);
    let operations = dry.operations();
    assert!(operations > 40, "the script is too small to mean something: {operations}");
    let mut cases = 0;
    for at in 0..=operations {
        for after in AfterCut::ALL {
            let disk = SimDisk::new(at, Fault::PowerCut);
            let mut downstream = Downstream::new();
            let acknowledged = run(&disk, 0, 0, &mut downstream);
            disk.power_on(after);
            check(&disk, acknowledged, downstream, &format!("cut at {at}, {after:?}"));
            cases += 1;
        }
    }
    println!("{cases} power cuts over {operations} operations");
}

#[test]
fn power_lost_while_recovering_from_a_loss_of_power_does_no_harm_either() {
    for at in (0..60).step_by(3) {
        for first in [AfterCut::HalfOfEachWrite, AfterCut::ZerosForData, AfterCut::Nothing] {
            for second_at in 0..6 {
                let disk = SimDisk::new(at, Fault::PowerCut);
                let mut downstream = Downstream::new();
                let acknowledged = run(&disk, 0, 0, &mut downstream);
                disk.power_on(first);
                let files = disk.files();
                let disk = SimDisk::with_files(&files);
                disk.fault_at(second_at, Fault::PowerCut);
                let opened = Wal::open(config(&disk));
                drop(opened);
                disk.power_on(AfterCut::Nothing);
                check(&disk, acknowledged, downstream, &format!("cut at {at}, {first:?}, then {second_at}"));
            }
        }
    }
}

#[test]
fn every_operation_may_fail_for_a_while_and_what_is_acknowledged_stays() {
    let dry = SimDisk::new(0, Fault::None);
    run(&dry, 0, 0, &mut Downstream::new());
    for at in 0..dry.operations() {
        for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
            for times in [1, 2, 5] {
                for after in [AfterCut::Nothing, AfterCut::Everything] {
                    let disk = SimDisk::new(at, Fault::Fails(kind, times));
                    let mut downstream = Downstream::new();
                    let acknowledged = run(&disk, 0, times, &mut downstream);
                    let case = format!("{kind:?} at {at}, {times} times, then {after:?}");
                    assert_eq!(acknowledged, BATCHES, "{case}");
                    // What was acknowledged must not depend on what the system still holds.
                    disk.power_on(after);
                    check(&disk, acknowledged, downstream, &case);
                }
            }
        }
    }
}

#[test]
fn a_full_disk_says_so_holds_back_and_recovers_when_there_is_room() {
    let disk = SimDisk::new(0, Fault::None);
    let (wal, _) = Wal::open(config(&disk)).unwrap();
    wal.append_blocking(script(0)).unwrap();
    disk.fault_at(disk.operations(), Fault::Fails(ErrorKind::StorageFull, usize::MAX / 2));
    for _ in 0..20 {
        let error = wal.append_blocking(script(1)).unwrap_err();
        assert!(error.is_back_pressure());
        assert!(matches!(error, WalError::Disk { kind: ErrorKind::StorageFull, .. }), "{error}");
    }
    assert!(wal.stats().trouble.is_some());
    assert_eq!(wal.stats().failures, 20);
    disk.fault_at(0, Fault::None);
    for n in 1..BATCHES {
        assert!(!wal.append_blocking(script(n)).unwrap().duplicate);
    }
    assert_eq!(wal.stats().trouble, None);
    drop(wal);
    disk.power_on(AfterCut::Nothing);
    check(&disk, BATCHES, Downstream::new(), "after a full disk");
}

/// A group of three batches whose write or sync fails, and other batches after it.
fn failing_group(plan: impl Fn(&SimDisk)) {
    let text = |n: usize| "z".repeat(n);
    for after in [AfterCut::Nothing, AfterCut::Everything] {
        let disk = SimDisk::new(0, Fault::None);
        let config = WalConfig { segment_bytes: 64 << 10, ..config(&disk) };
        let (wal, _) = Wal::open(config.clone()).unwrap();
        wal.append_blocking(batch("a", &["first"])).unwrap();
        std::thread::scope(|scope| {
            // While a sync waits, three batches gather behind it and become one group.
            disk.hold(true);
            scope.spawn(|| wal.append_blocking(batch("a", &["second"])).unwrap());
            for (place, len) in [(1, 300), (2, 50), (3, 900)] {
                while wal.stats().queued + 1 < place {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                if place == 1 {
                    // The writer has taken the first and waits in its sync.
                    std::thread::sleep(std::time::Duration::from_millis(30));
                }
                let wal = &wal;
                scope.spawn(move || wal.append_blocking(batch("b", &[&text(len)])).unwrap_err());
            }
            while wal.stats().queued < 3 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            plan(&disk);
            disk.hold(false);
        });
        disk.fault_at(0, Fault::None);
        assert_eq!(wal.append_blocking(batch("c", &["third"])).unwrap().first, Position(3));
        let expected = [(1, "a#1", "first"), (2, "a#2", "second"), (3, "c#1", "third")];
        let expected: Vec<_> = expected.map(|(at, id, text)| (at, id.to_owned(), text.to_owned())).to_vec();
        assert_eq!(content(&wal), expected);
        drop(wal);
        disk.power_on(after);
        let (wal, found) = Wal::open(config).unwrap();
        assert_eq!((found.quarantined, content(&wal)), (vec![], expected), "{after:?}");
    }
}

#[test]
fn what_was_refused_does_not_come_back_in_place_of_what_was_acknowledged() {
    let fails = |times| Fault::Fails(ErrorKind::Other, times);
    // The sync of "second" is the next operation; then come the group's write and its sync.
    failing_group(|disk| disk.fault_at(disk.operations() + 1, fails(1)));
    failing_group(|disk| disk.fault_at(disk.operations() + 1, fails(2)));
    failing_group(|disk| disk.fault_at(disk.operations() + 2, fails(1)));
    // Here the attempt to cut the group off fails as well.
    failing_group(|disk| disk.fault_at(disk.operations() + 2, fails(2)));
}

#[test]
fn what_a_killed_process_had_written_is_synced_before_it_is_read() {
    let dry = SimDisk::new(0, Fault::None);
    run(&dry, 0, 0, &mut Downstream::new());
    for at in 0..dry.operations() {
        let disk = SimDisk::new(at, Fault::PowerCut);
        let mut downstream = Downstream::new();
        let acknowledged = run(&disk, 0, 0, &mut downstream);
        disk.restart();
        let (wal, _) = Wal::open(config(&disk)).unwrap();
        consume(&wal, &mut downstream);
        drop(wal);
        disk.power_on(AfterCut::Nothing);
        check(&disk, acknowledged, downstream, &format!("killed at {at}"));
    }
}

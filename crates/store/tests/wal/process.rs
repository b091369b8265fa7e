//! The log in a process of its own: killed at random moments, and watched by `strace`.
//!
//! The child is this test binary again, told by the environment to be one.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use covigil_store::wal::{Batch, Wal, WalConfig};
use covigil_testkit::sync_trace::{TRACED, sync_before_ack};

use super::{batch, content, keyed, open};

/// Where the child has its log; the mark of being the child.
const CHILD_DIR: &str = "COVIGIL_TEST_WAL_DIR";
/// The first batch that the child sends.
const CHILD_FIRST: &str = "COVIGIL_TEST_WAL_FIRST";
/// How many batches it sends, by how many threads.
const CHILD_COUNT: &str = "COVIGIL_TEST_WAL_COUNT";
const CHILD_THREADS: &str = "COVIGIL_TEST_WAL_THREADS";

/// Batch number `n`: 1 to 4 records of up to 4 KiB, from one of three sources.
fn numbered(n: u64) -> Batch {
    let records: Vec<String> =
        (0..1 + n % 4).map(|i| format!("{n}.{i} {}", "y".repeat((n * 37 % 4_096) as usize))).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    keyed(&n.to_string(), batch(["a", "b", "c"][n as usize % 3], &records))
}

fn number(name: &str) -> u64 {
    std::env::var(name).unwrap().parse().unwrap()
}

/// Not a test by itself: the child of the tests below.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let config = WalConfig { segment_bytes: 256 << 10, ..WalConfig::new(dir) };
    let (wal, found) = Wal::open(config).unwrap();
    assert_eq!(found.quarantined, vec![]);
    let next = AtomicU64::new(number(CHILD_FIRST));
    let end = next.load(Ordering::Relaxed) + number(CHILD_COUNT);
    std::thread::scope(|scope| {
        for _ in 0..number(CHILD_THREADS) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= end {
                        return;
                    }
                    wal.append_blocking(numbered(n)).unwrap();
                    // One write per line, at once.
                    std::io::stdout().lock().write_all(format!("ack {n}\n").as_bytes()).unwrap();
                }
            });
        }
    });
}

fn command(program: &str, arguments: &[&str], dir: &Path, first: u64, count: u64, threads: u64) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["--exact", "wal::process::child", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .env(CHILD_FIRST, first.to_string())
        .env(CHILD_COUNT, count.to_string())
        .env(CHILD_THREADS, threads.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn this_binary() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

/// The batches that the child says are acknowledged, up to its end.
fn acknowledged(output: ChildStdout, seen: impl Fn()) -> Vec<u64> {
    let mut acks = Vec::new();
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { break };
        if let Some(n) = line.split_once("ack ").and_then(|(_, n)| n.parse().ok()) {
            acks.push(n);
            seen();
        }
    }
    acks
}

#[test]
fn killed_at_random_moments_it_keeps_what_was_acknowledged_exactly_once() {
    let seed: u64 = std::env::var("COVIGIL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let kills: u64 = std::env::var("COVIGIL_KILLS").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    println!("seed {seed} (COVIGIL_SEED), {kills} kills (COVIGIL_KILLS)");
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut dice = move |sides: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % sides
    };
    let dir = tempfile::tempdir().unwrap();
    let mut acks: BTreeSet<u64> = BTreeSet::new();
    let mut sent_to = 0u64;
    for _ in 0..kills {
        // What was in flight is sent again, and some of what was acknowledged.
        let first = sent_to.saturating_sub(dice(60) + 8);
        let mut child = command(&this_binary(), &[], dir.path(), first, u64::MAX / 2, 6).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let after = Duration::from_millis(dice(120));
        let (begin, begun) = std::sync::mpsc::channel();
        let killer = std::thread::spawn(move || {
            // The time counts from the first acknowledgement; a child that dies by itself has none.
            let began = begun.recv().is_ok();
            std::thread::sleep(after);
            child.kill().unwrap();
            began && !child.wait().unwrap().success()
        });
        let new = acknowledged(output, || {
            let _ = begin.send(());
        });
        drop(begin);
        assert!(killer.join().unwrap(), "the child ended before it was killed");
        sent_to = new.iter().max().map_or(sent_to, |max| sent_to.max(max + 1));
        acks.extend(new);
    }
    let (wal, found) = open(dir.path());
    assert_eq!(found.quarantined, vec![]);
    let mut seen: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
    for (at, (position, id, data)) in content(&wal).into_iter().enumerate() {
        assert_eq!(position, at as u64 + 1);
        let (source, sequence) = id.split_once('#').unwrap();
        let last = sequences.entry(source.to_owned()).or_default();
        *last += 1;
        assert_eq!(sequence.parse(), Ok(*last));
        let n = data.split_once('.').unwrap().0.parse().unwrap();
        seen.entry(n).or_default().push(data);
    }
    for n in &acks {
        assert!(seen.contains_key(n), "batch {n} was acknowledged and is lost");
    }
    for (n, data) in &seen {
        let expected: Vec<String> =
            numbered(*n).records.iter().map(|r| String::from_utf8(r.data.to_vec()).unwrap()).collect();
        assert_eq!(*data, expected, "batch {n} is there in part or twice");
    }
    println!("{} batches acknowledged, {} stored", acks.len(), seen.len());
    assert!(acks.len() as u64 > kills);
}

#[test]
fn a_trace_of_system_calls_shows_the_sync_before_the_acknowledgement() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("skipped: strace is not installed (package strace)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let arguments = ["-f", "-s", "64", "-e", TRACED, "-o", trace.to_str().unwrap(), &this_binary()];
    let mut child = command("strace", &arguments, &dir.path().join("wal"), 0, 25, 1).spawn().unwrap();
    let acks = acknowledged(child.stdout.take().unwrap(), || {});
    let ended = child.wait().unwrap();
    let trace = std::fs::read_to_string(&trace).unwrap_or_default();
    if !trace.contains("pwrite64(") {
        println!("skipped: strace may not trace here (ptrace is forbidden)");
        return;
    }
    assert!(ended.success());
    assert_eq!(acks, (0..25).collect::<Vec<_>>());
    assert_eq!(sync_before_ack(&trace, "ack "), Ok(25), "{trace}");
}

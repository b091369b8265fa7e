//! Durability: a node killed at random moments under load. Every acknowledged event is found exactly once,
//! and a batch that was sent again because its answer was lost is stored once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use covigil_model::Time;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::shared::Node;

/// Events asked for at a time; twice as many are let through, so that doubled ones would show.
const STRETCH: u64 = 40_000;
/// Senders at the same time.
const SENDERS: u64 = 4;

/// SplitMix64: seeded, so that a failing run can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A batch whose answer has not come; it is sent again under the same key until it has.
#[derive(Default)]
struct Sender {
    key: String,
    lines: String,
    numbers: Vec<u64>,
}

/// The time of the event of that number: one a millisecond.
fn time_of(number: u64) -> Time {
    Time::from_secs(1_767_225_600).plus_nanos(number as i64 * 1_000_000)
}

/// Every stored event, asked for stretch by stretch since one answer is bounded; waits until there are as many
/// as were acknowledged.
async fn all_events(node: &Node, numbers: u64, acknowledged: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let mut found = Vec::new();
        for first in (0..=numbers).step_by(STRETCH as usize) {
            let stretch = Some((time_of(first), time_of(first + STRETCH)));
            found.extend(node.search_between("", stretch, 2 * STRETCH as usize).await);
        }
        if found.len() >= acknowledged || begun.elapsed() > Duration::from_secs(60) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_at_random_moments_loses_and_doubles_nothing() {
    let (kills, seed) = (setting("COVIGIL_KILLS", 100), setting("COVIGIL_SEED", 1));
    println!("{kills} kills, COVIGIL_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let next = Arc::new(AtomicU64::new(1));
    let acknowledged = Arc::new(Mutex::new(Vec::<u64>::new()));
    let senders: Vec<Arc<Mutex<Sender>>> = (0..SENDERS).map(|_| Arc::default()).collect();
    let mut dice = Dice(seed);
    let mut started = 0;
    for kill in 0..kills {
        let node = Arc::new(Node::start(dir.path()).await);
        let mut tasks = Vec::new();
        for sender in &senders {
            let (node, sender, next, acknowledged) =
                (Arc::clone(&node), Arc::clone(sender), Arc::clone(&next), Arc::clone(&acknowledged));
            let size = 1 + dice.below(50);
            tasks.push(tokio::spawn(async move {
                let mut sender = sender.lock().await;
                loop {
                    if sender.numbers.is_empty() {
                        let first = next.fetch_add(size, Ordering::Relaxed);
                        sender.key = format!("batch-{first}");
                        sender.numbers = (first..first + size).collect();
                        sender.lines = sender
                            .numbers
                            .iter()
                            .map(|n| format!("{{\"time\":\"{}\",\"number\":\"n{n}\"}}\n", time_of(*n)))
                            .collect();
                    }
                    if !node.send(&sender.key, &sender.lines).await {
                        return;
                    }
                    acknowledged.lock().await.append(&mut sender.numbers);
                }
            }));
        }
        tokio::time::sleep(Duration::from_millis(5 + dice.below(400))).await;
        // Each sender holds its own lock; ending the process ends them all.
        let pid = rustix::process::Pid::from_raw(node.pid() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        for task in tasks {
            task.await.unwrap();
        }
        started += 1;
        drop(Arc::try_unwrap(node).ok().map(Node::kill));
        if kill % 20 == 19 {
            println!("{} kills, {} events acknowledged", kill + 1, acknowledged.lock().await.len());
        }
    }
    assert_eq!(started, kills);

    let node = Node::start(dir.path()).await;
    for sender in &senders {
        let mut sender = sender.lock().await;
        if !sender.numbers.is_empty() {
            assert!(node.send(&sender.key, &sender.lines).await, "the last batch is acknowledged");
            acknowledged.lock().await.append(&mut sender.numbers);
        }
    }
    let acknowledged = acknowledged.lock().await;
    assert!(acknowledged.len() as u64 > kills, "the load was too small to show anything");
    let found = all_events(&node, next.load(Ordering::Relaxed), acknowledged.len()).await;
    let mut times: HashMap<u64, u32> = HashMap::new();
    for event in &found {
        let original = event["original"].as_str().unwrap();
        let number =
            original.split("\"n").last().and_then(|t| t.split('"').next()).and_then(|t| t.parse().ok());
        *times.entry(number.unwrap_or_else(|| panic!("not ours: {original}"))).or_default() += 1;
    }
    let lost: Vec<u64> = acknowledged.iter().copied().filter(|n| !times.contains_key(n)).collect();
    let doubled: Vec<u64> = times.iter().filter(|(_, times)| **times > 1).map(|(n, _)| *n).collect();
    println!("{} events acknowledged, {} found", acknowledged.len(), found.len());
    assert!(
        lost.is_empty(),
        "lost with COVIGIL_SEED={seed}: {} of {}: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert!(doubled.is_empty(), "doubled with COVIGIL_SEED={seed}: {doubled:?}");
}

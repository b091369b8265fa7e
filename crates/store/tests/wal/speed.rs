//! Acknowledged appends per second, on this disk. Printed, not judged; the figures of record are
//! measured with a release build and `COVIGIL_APPENDS=2000000`.

use std::{sync::Arc, time::Instant};

use covigil_store::wal::{Batch, Position};

use super::{open, record};

fn appends() -> usize {
    std::env::var("COVIGIL_APPENDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000)
}

/// Some bytes of a log line, 300 in all.
fn line(n: usize) -> bytes::Bytes {
    format!("<34>1 2026-11-24T15:04:05.{n:09}Z host{} sshd {n} - - {}", n % 100, "x".repeat(240)).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_per_second() {
    for (senders, size) in [(8, 256), (4, 1_024), (200, 1), (1, 1)] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (wal, _) = open(dir.path());
        let each = appends() / senders / if size == 1 { 20 } else { 1 };
        let begun = Instant::now();
        let tasks: Vec<_> = (0..senders)
            .map(|sender| {
                let wal = wal.clone();
                tokio::spawn(async move {
                    let source: Arc<str> = format!("source{sender}").into();
                    let mut sent = 0;
                    while sent < each {
                        let mut records = Vec::with_capacity(size);
                        for n in 0..size {
                            let mut one = record("", line(sent + n));
                            one.source = Arc::clone(&source);
                            records.push(one);
                        }
                        wal.append(Batch::of(records)).await.unwrap();
                        sent += size;
                    }
                    sent
                })
            })
            .collect();
        let mut sent = 0;
        for task in tasks {
            sent += task.await.unwrap();
        }
        let took = begun.elapsed();
        let rate = sent as f64 / took.as_secs_f64();
        let syncs = wal.stats().syncs;
        println!("{senders} senders, batches of {size}: {rate:.0} appends/s, {syncs} syncs in {took:?}");
        let begun = Instant::now();
        let mut reader = wal.reader(Position(0));
        let mut read = 0;
        while read < sent {
            let batch = reader.next_batch(4_096, 4 << 20).await.unwrap();
            assert_eq!(batch[0].0, Position(read as u64 + 1));
            read += batch.len();
        }
        println!("    read back: {:.0} records/s", read as f64 / begun.elapsed().as_secs_f64());
    }
}

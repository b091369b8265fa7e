//! The write-ahead log.

mod basics;
mod damage;
mod faults;
mod process;
mod sim;
mod speed;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use covigil_model::{Record, Time};
use covigil_store::wal::{Batch, BatchKey, NewRecord, Position, Recovery, Wal, WalConfig, WalReader};

/// A record whose data names it.
pub fn record(source: &str, data: impl Into<Bytes>) -> NewRecord {
    NewRecord {
        source: source.into(),
        received: Time::from_secs(1_700_000_000),
        parser: "auto".into(),
        peer: Some(Arc::from("192.0.2.7")),
        data: data.into(),
    }
}

/// A batch of records of one source.
pub fn batch(source: &str, data: &[&str]) -> Batch {
    Batch::of(data.iter().map(|data| record(source, data.to_string())).collect())
}

/// The same batch with a key.
pub fn keyed(key: &str, mut batch: Batch) -> Batch {
    batch.key = Some(BatchKey::new(key.as_bytes()).unwrap());
    batch
}

pub fn open(dir: &Path) -> (Wal, Recovery) {
    Wal::open(WalConfig::new(dir)).unwrap()
}

/// All that is durable from the reader on.
pub fn drain(reader: &mut WalReader) -> Vec<(Position, Record)> {
    let mut all = Vec::new();
    loop {
        let batch = reader.try_batch(7, 1_000).unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

/// Position, event id and data of all records in the log.
pub fn content(wal: &Wal) -> Vec<(u64, String, String)> {
    let mut reader = wal.reader(Position(0));
    let all = drain(&mut reader);
    all.into_iter()
        .map(|(position, record)| {
            (position.0, record.id.to_string(), String::from_utf8_lossy(&record.data).into_owned())
        })
        .collect()
}

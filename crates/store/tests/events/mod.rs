//! The events at rest, through the store's public face.

mod basics;
#[cfg(feature = "failpoints")]
mod crashes;
mod durability;
mod originals;
mod real;
mod upkeep;

use std::{sync::Arc, time::Duration};

use covigil_model::{
    Attr, Class, Event, EventId, Kind, OpContext, Severity, Status, TenantId, Time, json::flatten,
};
use covigil_store::{
    events::{EventSnapshot, EventStore, EventStoreConfig, Rows},
    wal::Position,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub fn tenant() -> TenantId {
    TenantId::derived(&[b"test"])
}

pub fn context() -> OpContext {
    OpContext::system(tenant(), "test", Time::from_secs(1))
}

pub fn config(dir: &std::path::Path) -> EventStoreConfig {
    EventStoreConfig { grace: Duration::ZERO, ..EventStoreConfig::new(dir.join("events"), tenant()) }
}

pub async fn open(dir: &std::path::Path) -> (EventStore, Position) {
    EventStore::open(config(dir)).await.unwrap()
}

/// An event as a JSON parser would make it, with the number in it.
pub fn event(number: u64, received: Time) -> Event {
    let time = received.plus_nanos(-i64::try_from(number % 7).unwrap() * 1_234_567);
    let original = format!(
        r#"{{"ts":"{time}","host":"web{}","user":"user{}","Image":"C:\\Windows\\p{}.exe","CommandLine":"p.exe -n {number}","pid":{},"src":"10.0.{}.{}","note":"n{number}","tags":["a","b{number}"]}}"#,
        number % 5,
        number % 11,
        number % 13,
        number % 4_000,
        number % 256,
        number / 256 % 256,
    );
    let mut event = Event::from_original(&original);
    event.id = EventId { source: Arc::from("test"), sequence: number };
    event.time = time;
    event.received = received;
    event.parser = Arc::from("json");
    event.class = Class::PROCESS;
    event.severity = Severity::Low;
    event.status = Status::Success;
    event.log_source.set("windows", &["sysmon"], &["process_creation"]);
    flatten(&mut event, 0, original.len()).unwrap();
    for (name, attr) in [
        ("host", Attr::DeviceHostname),
        ("user", Attr::UserName),
        ("Image", Attr::ProcessPath),
        ("CommandLine", Attr::ProcessCmdLine),
        ("pid", Attr::ProcessPid),
        ("src", Attr::SrcIp),
    ] {
        let value = event.find(name).unwrap().value;
        event.set_attr(attr, value);
    }
    event.add_field("extra", "not in the original", Kind::Text);
    event
}

/// Events of these numbers.
pub fn events(numbers: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    let received = Time::parse("2026-11-24T12:00:00Z").unwrap();
    numbers.map(|n| event(n, received.plus_nanos(i64::try_from(n).unwrap() * 1_000_000))).collect()
}

/// Every row of a snapshot, from memory and files: sequence and original.
pub fn contents(snapshot: &EventSnapshot) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    let mut take = |batch: &arrow::array::RecordBatch| {
        let mut rows = Rows::new(batch).unwrap();
        for row in 0..batch.num_rows() {
            all.push((rows.id(row).sequence, rows.original(row).unwrap()));
        }
    };
    for file in &snapshot.files {
        let input = std::fs::File::open(file.location()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(input).unwrap().build().unwrap();
        let mut rows = 0;
        for batch in reader {
            let batch = batch.unwrap();
            rows += batch.num_rows() as u64;
            take(&batch);
        }
        assert_eq!(rows, file.rows);
    }
    snapshot.memory.iter().for_each(take);
    all.sort();
    all
}

/// What `contents` should be for these events.
pub fn expected(events: &[Event]) -> Vec<(u64, String)> {
    let mut all: Vec<(u64, String)> =
        events.iter().map(|e| (e.id.sequence, e.original().to_owned())).collect();
    all.sort();
    all
}

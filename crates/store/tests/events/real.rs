//! Real records through the real parsers: originals and source fields come back exactly.

use std::{
    collections::{BTreeMap, HashSet},
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use covigil_model::{Event, EventId, Time};
use covigil_siem::parse;
use covigil_solution::parser::ParseContext;
use covigil_store::{events::Rows, wal::Position};

use super::{contents, context, expected, open};

fn shared_data() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("COVIGIL_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let data = shared.join("data");
    if data.is_dir() {
        return Some(data);
    }
    eprintln!("skipped: {} does not exist; set COVIGIL_SHARED to the folder that holds data", data.display());
    None
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Windows records as JSON lines, and log lines of many products.
fn records(data: &Path) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for path in files(&data.join("windows-json"), "zip") {
        let Ok(mut archive) = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()) else { continue };
        for at in 0..archive.len() {
            let mut member = archive.by_index(at).unwrap();
            let mut text = String::new();
            if member.name().ends_with(".json") && member.read_to_string(&mut text).is_ok() {
                all.extend(text.lines().take(400).map(|line| ("windows", line.to_owned())));
            }
        }
    }
    for path in files(&data.join("wazuh/log-tests"), "ini") {
        let text = std::fs::read(&path).unwrap();
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some((_, record)) = line.split_once(" pass = ") {
                all.push(("auto", record.trim().to_owned()));
            }
        }
    }
    all
}

fn event(number: usize, parser: &str, record: &str) -> Event {
    let context = ParseContext {
        received: Time::parse("2026-03-01T12:00:00Z").unwrap(),
        utc_offset: 0,
        peer: None,
        hostname: "here".into(),
    };
    let mut event = Event::from_original(record);
    event.received = context.received;
    event.id = EventId { source: Arc::from(parser), sequence: number as u64 + 1 };
    event.failure = parse::parser(parser).unwrap().parse(&context, &mut event).err().map(|f| f.0);
    event.parser = Arc::from(parser);
    event
}

#[tokio::test]
async fn real_records_come_back_exactly() {
    let Some(data) = shared_data() else { return };
    let events: Vec<Event> =
        records(&data).iter().enumerate().map(|(n, (parser, record))| event(n, parser, record)).collect();
    assert!(events.len() > 5_000, "only {} records", events.len());
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    for (n, part) in events.chunks(4_096).enumerate() {
        store.append(part, Position(n as u64 + 1)).await.unwrap();
    }
    let snapshot = store.snapshot(&context()).unwrap();
    let mut whole: BTreeMap<String, usize> = BTreeMap::new();
    for batch in &snapshot.memory {
        let rows = Rows::new(batch).unwrap();
        for row in 0..batch.num_rows() {
            let event = &events[usize::try_from(rows.id(row).sequence).unwrap() - 1];
            let fields = rows.source_fields(row);
            let have: HashSet<(&str, &str)> =
                fields.iter().map(|(n, v, _)| (n.as_str(), v.as_str())).collect();
            for (name, value) in event.iter() {
                assert!(have.contains(&(name, value.text)), "{name}={} of {}", value.text, event.original());
            }
            if rows.column_text("raw", row).is_some() {
                *whole.entry(event.parser.to_string()).or_default() += 1;
            }
        }
    }
    assert_eq!(contents(&snapshot), expected(&events));
    store.flush().await.unwrap();
    let snapshot = store.snapshot(&context()).unwrap();
    assert_eq!(contents(&snapshot), expected(&events));
    let stats = store.stats();
    let text: usize = events.iter().map(|e| e.original().len()).sum();
    println!(
        "{} records of {} bytes take {} bytes each, {} of it in the sidecar; stored whole: {whole:?}",
        events.len(),
        text / events.len(),
        stats.bytes / stats.rows,
        snapshot.files.iter().map(|f| f.sidecar_bytes).sum::<u64>() / stats.rows,
    );
}

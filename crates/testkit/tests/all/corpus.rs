//! The real Windows events, read by the parsers of the product.

use std::{
    collections::BTreeMap,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    path::{Path, PathBuf},
};

use covigil_model::{Event, Time};
use covigil_siem::parse::parser;
use covigil_solution::ParseContext;

/// The folder of real data, where there is one; says why a test passes without it.
pub fn shared_data() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("COVIGIL_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let data = shared.join("data");
    if data.is_dir() {
        return Some(data);
    }
    eprintln!("skipped: {} does not exist; set COVIGIL_SHARED to the folder that holds data", data.display());
    None
}

/// All files below a folder with that extension, sorted.
pub fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
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

/// Windows events: of each file the records, of each kind of event (channel and id) at most
/// `per_kind`, chosen by a digest of the record.
pub fn windows_events(data: &Path, per_kind: usize) -> Vec<Event> {
    let mut kinds: BTreeMap<(String, String), BTreeMap<u64, Event>> = BTreeMap::new();
    let mut take = |record: &str| {
        let context = ParseContext {
            received: Time::parse("2026-03-01T12:00:00Z").unwrap(),
            utc_offset: 0,
            peer: None,
            hostname: "here".into(),
        };
        let mut event = Event::from_original(record);
        // A record that is not understood has fields all the same, and is matched all the same.
        let _ = parser("windows").unwrap().parse(&context, &mut event);
        let text = |name: &str| event.field(name).map_or("", |value| value.text).to_owned();
        let kind = kinds.entry((text("Channel"), text("EventID"))).or_default();
        let mut hasher = DefaultHasher::new();
        record.hash(&mut hasher);
        kind.insert(hasher.finish(), event);
        if kind.len() > per_kind {
            kind.pop_last();
        }
    };
    for folder in ["evtx", "sigma/regression_data"] {
        for path in files(&data.join(folder), "evtx") {
            let mut records = evtx::EvtxParser::from_path(path).unwrap();
            for record in records.records_json().filter_map(Result::ok) {
                take(&record.data);
            }
        }
    }
    for path in files(&data.join("windows-json"), "zip") {
        let Ok(mut archive) = zip::ZipArchive::new(File::open(&path).unwrap()) else { continue };
        for index in 0..archive.len() {
            let mut member = archive.by_index(index).unwrap();
            if !member.name().ends_with(".json") {
                continue;
            }
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            for line in String::from_utf8_lossy(&bytes).lines().filter(|line| line.contains("\"EventID\"")) {
                take(line);
            }
        }
    }
    kinds.into_values().flat_map(BTreeMap::into_values).collect()
}

//! The family's tests, in one binary: golden cases, real records, hostile records, this machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

mod cases;
mod hostile;
mod machine;
mod real;
mod regression;

use std::path::PathBuf;

use covigil_model::{Event, Time};
use covigil_siem::parse;
use covigil_solution::ParseContext;

/// The folder of real data, where there is one; says why a test passes without it.
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

/// A fixed context, so that results do not depend on the day.
fn context() -> ParseContext {
    ParseContext {
        received: Time::parse("2026-03-01T12:00:00Z").unwrap(),
        utc_offset: 0,
        peer: None,
        hostname: "here".into(),
    }
}

/// Reads one record by the parser of that name, and says what it did not understand.
fn read(parser: &str, record: &str) -> (Event, Option<String>) {
    let mut event = Event::from_original(record);
    let failure = parse::parser(parser).unwrap().parse(&context(), &mut event).err();
    (event, failure.map(|f| f.0))
}

/// All files below a folder with that extension, sorted.
fn files(dir: &std::path::Path, extension: &str) -> Vec<PathBuf> {
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

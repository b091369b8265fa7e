//! The search, through the store's public face, over real stores on disk.

mod answers;
mod naive;
mod refusals;
mod tables;

use std::sync::Arc;

use covigil_model::{
    Attr, Class, Event, EventId, Kind, OpContext, Severity, Status, TenantId, Time, json::flatten,
};
use covigil_store::{
    events::{EventSnapshot, EventStore, EventStoreConfig, EventsError, FileRef},
    search::{
        Limits, QueryText, ResultRow, SearchError, SearchRequest, Searcher, Snapshots, Summary, Table,
        Update, Want,
    },
    wal::Position,
};
use futures::StreamExt as _;

pub fn tenant() -> TenantId {
    TenantId::derived(&[b"search"])
}

pub fn context() -> OpContext {
    OpContext::system(tenant(), "test", Time::from_secs(1))
}

/// The begin of the generated events.
pub fn begin() -> Time {
    Time::parse("2026-11-24T12:00:00Z").unwrap()
}

const USERS: [&str; 5] = ["alice", "Bob", "CORP\\eve", "root", "jörg"];
const COMMANDS: [&str; 6] = [
    "whoami /all",
    "powershell -enc SQBFAFgA \"x\"",
    "net user /add",
    "C:\\Tools\\MimiKatz.exe sekurlsa::logonpasswords",
    "cat /etc/passwd",
    "",
];
const IMAGES: [&str; 4] =
    ["C:\\Windows\\System32\\cmd.exe", "C:\\Tools\\MimiKatz.exe", "/usr/bin/cat", "powershell.exe"];

/// The event of a number: every 7th is plain text, the others are JSON with fields that vary.
pub fn event(number: u64) -> Event {
    let pick = |list: &[&'static str], factor: u64| list[(number * factor / 3 % list.len() as u64) as usize];
    let time = begin().plus_nanos(number as i64 * 1_000_500_001);
    let mut event;
    if number.is_multiple_of(7) {
        event = Event::from_original(&format!(
            "{time} web{} sshd[{number}]: Failed password for root",
            number % 3
        ));
        event.add_field("program", "sshd", Kind::Text);
        event.set_attr_text(Attr::DeviceHostname, &format!("web{}", number % 3));
        event.set_attr_text(Attr::Message, "Failed password for root");
        event.status = Status::Failure;
        event.class = Class::AUTHENTICATION;
        event.severity = Severity::Medium;
    } else {
        let text = |value: &str| serde_json::to_string(value).unwrap();
        let original = format!(
            r#"{{"ts":"{time}","host":"web{}","TargetUserName":{},"Image":{},"CommandLine":{},"pid":{},"src":"10.0.{}.{}","LogonType":{},"note":"n{number}","tags":["a","b{}"]}}"#,
            number % 5,
            text(pick(&USERS, 2)),
            text(pick(&IMAGES, 5)),
            text(pick(&COMMANDS, 7)),
            number % 400,
            number % 3,
            number % 256,
            number % 11,
            number % 4,
        );
        event = Event::from_original(&original);
        flatten(&mut event, 0, original.len()).unwrap();
        for (name, attr) in [
            ("host", Attr::DeviceHostname),
            ("TargetUserName", Attr::UserName),
            ("Image", Attr::ProcessPath),
            ("CommandLine", Attr::ProcessCmdLine),
            ("pid", Attr::ProcessPid),
            ("src", Attr::SrcIp),
        ] {
            // Some records say it elsewhere than in the column.
            let value = event.find(name).unwrap().value;
            let elsewhere = attr == Attr::UserName && number % 10 == 3;
            if !elsewhere && !value.is_empty() {
                event.set_attr(attr, value);
            }
        }
        event.class = Class::PROCESS;
        event.severity = Severity::ALL[(number % 5) as usize];
        event.status = Status::Success;
        event.log_source.set("windows", &["sysmon", "security"], &["process_creation"]);
    }
    event.id = EventId {
        source: Arc::from(if number.is_multiple_of(2) { "even" } else { "odd" }),
        sequence: number,
    };
    event.time = time;
    event.received = begin().plus_secs(number as i64);
    event.parser = Arc::from("json");
    event
}

pub fn events(numbers: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    numbers.map(event).collect()
}

/// A store on disk whose first events are in files and whose last are in memory.
pub struct Stored {
    pub store: Arc<EventStore>,
    _dir: tempfile::TempDir,
}

pub async fn stored(files: &[u64], all: u64) -> Stored {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) =
        EventStore::open(EventStoreConfig::new(dir.path().join("events"), tenant())).await.unwrap();
    let mut next = 1;
    for last in files {
        store.append(&events(next..=*last), Position(*last)).await.unwrap();
        store.flush().await.unwrap();
        next = last + 1;
    }
    if next <= all {
        store.append(&events(next..=all), Position(all)).await.unwrap();
    }
    Stored { store: Arc::new(store), _dir: dir }
}

/// The same events, as if no file had a sidecar.
pub struct WithoutSidecars(pub Arc<EventStore>);

impl Snapshots for WithoutSidecars {
    fn snapshot(&self, ctx: &OpContext) -> Result<EventSnapshot, EventsError> {
        let mut snapshot = self.0.snapshot(ctx)?;
        for file in &mut snapshot.files {
            *file = Arc::new(FileRef { sidecar_bytes: 0, ..FileRef::clone(file) });
        }
        Ok(snapshot)
    }
}

pub fn request(query: &str) -> SearchRequest {
    SearchRequest {
        query: QueryText::Language(query.to_owned()),
        from: Time::from_nanos(0),
        to: Time::parse("2100-01-01T00:00:00Z").unwrap(),
        limit: 100_000,
        want: Want::default(),
    }
}

pub fn sql(query: &str) -> SearchRequest {
    SearchRequest { query: QueryText::Sql(query.to_owned()), ..request("") }
}

pub fn limits() -> Limits {
    Limits { threads: 2, ..Limits::default() }
}

/// An answer, put together.
#[derive(Default, Debug)]
pub struct Answer {
    pub rows: Option<Vec<ResultRow>>,
    pub table: Option<Table>,
    pub histogram: Option<covigil_store::search::Histogram>,
    pub facets: Vec<covigil_store::search::Facet>,
    pub done: Option<Summary>,
    /// Kinds of updates in the order in which they came.
    pub order: Vec<&'static str>,
}

pub async fn answer(searcher: &Searcher, request: SearchRequest) -> Result<Answer, SearchError> {
    let mut stream = searcher.search(&context(), request)?;
    let mut answer = Answer::default();
    while let Some(update) = stream.next().await {
        match update? {
            Update::Rows(rows) => {
                answer.order.push("rows");
                assert!(answer.rows.replace(rows).is_none(), "rows come once");
            }
            Update::Table(table) => match &mut answer.table {
                Some(have) => have.rows.extend(table.rows),
                None => answer.table = Some(table),
            },
            Update::Histogram(histogram) => {
                answer.order.push("histogram");
                answer.histogram = Some(histogram);
            }
            Update::Facets(facets) => answer.facets = facets,
            Update::Progress(_) => {}
            Update::Done(summary) => answer.done = Some(summary),
        }
    }
    Ok(answer)
}

/// The numbers of the events found, newest first.
pub async fn found(searcher: &Searcher, query: &str) -> Vec<u64> {
    let answer = answer(searcher, request(query)).await.unwrap_or_else(|error| panic!("{query}: {error}"));
    answer.rows.unwrap().iter().map(|row| row.id.sequence).collect()
}

//! The threads of `covigil detect`: readers take files, workers take chunks of records, and this thread
//! prints the findings in order. All queues are bounded.

use std::{
    collections::BTreeMap,
    ops::{ControlFlow, Range},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use anyhow::Result;
use covigil_model::{Event, EventId, Time};
use covigil_pipeline::files::{FileIssue, FileRecord, IssueKind, RecordSink, read_file, walk};
use covigil_rules::{Matcher, RuleIndex, RuleSet, correlation::Correlator};
use covigil_solution::ParseContext;

use super::{
    correlate::{Correlations, Counted},
    output::{Located, Output},
};

/// A chunk is handed on when it has this many records, or this many bytes.
const CHUNK_RECORDS: usize = 1_024;
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that may wait between readers and workers, and between workers and printing.
const WAITING: usize = 32;
/// Issues reported one by one; more are counted.
const MAX_ISSUES: usize = 1_000;

/// What the run came to.
#[derive(Debug, Default)]
pub struct Counts {
    /// Records read.
    pub events: u64,
    /// Records that no parser understood.
    pub unparsed: u64,
    /// Findings printed.
    pub findings: u64,
    /// Files and parts that could not be used.
    pub unusable: u64,
    /// What could not be used, for people.
    pub issues: Vec<String>,
}

/// Records of one file, in order.
struct Chunk {
    file: usize,
    place: usize,
    path: Arc<str>,
    parser: &'static str,
    data: Vec<u8>,
    records: Vec<(u64, Range<usize>)>,
}

/// What came of a chunk, or that a file has ended after so many chunks.
enum Outcome {
    Chunk {
        file: usize,
        place: usize,
        events: u64,
        unparsed: u64,
        found: Vec<Located>,
        counted: Vec<Counted>,
    },
    End {
        file: usize,
        chunks: usize,
        issues: Vec<FileIssue>,
    },
}

/// Reads all paths and prints every finding.
pub fn run(rules: &Arc<RuleSet>, paths: &[PathBuf], threads: usize, out: &mut Output) -> Result<Counts> {
    let mut counts = Counts::default();
    let walked = walk(paths);
    for issue in &walked.issues {
        note(&mut counts, issue);
    }
    let files = walked.files;
    let correlations = Correlations::of(rules);
    let plan = correlations.plan();
    let next = AtomicUsize::new(0);
    let (to_workers, from_readers) = sync_channel::<Chunk>(WAITING);
    let from_readers = Mutex::new(from_readers);
    let (to_printer, outcomes) = sync_channel::<Outcome>(WAITING);

    thread::scope(|scope| -> Result<()> {
        for _ in 0..threads.min(files.len()) {
            let (to_workers, to_printer) = (to_workers.clone(), to_printer.clone());
            let (files, next) = (&files, &next);
            scope.spawn(move || {
                loop {
                    let file = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = files.get(file) else { return };
                    let mut reader = Reader::new(file, &to_workers);
                    let _ = read_file(path, &mut reader);
                    let (chunks, issues) = reader.finish();
                    if to_printer.send(Outcome::End { file, chunks, issues }).is_err() {
                        return;
                    }
                }
            });
        }
        drop(to_workers);
        for _ in 0..threads {
            let to_printer = to_printer.clone();
            let (from_readers, plan) = (&from_readers, &*plan);
            scope.spawn(move || work(rules, plan, from_readers, &to_printer));
        }
        drop(to_printer);
        print(rules, correlations, outcomes, out, &mut counts)
    })?;
    Ok(counts)
}

fn note(counts: &mut Counts, issue: &FileIssue) {
    if issue.kind != IssueKind::NotALog {
        counts.unusable += 1;
    }
    if counts.issues.len() < MAX_ISSUES {
        counts.issues.push(issue.to_string());
    }
}

/// Gathers a file's records into chunks.
struct Reader<'a> {
    file: usize,
    place: usize,
    chunk: Option<Chunk>,
    to_workers: &'a SyncSender<Chunk>,
    issues: Vec<FileIssue>,
}

impl<'a> Reader<'a> {
    const fn new(file: usize, to_workers: &'a SyncSender<Chunk>) -> Self {
        Self { file, place: 0, chunk: None, to_workers, issues: Vec::new() }
    }

    fn hand_on(&mut self) -> ControlFlow<()> {
        let Some(chunk) = self.chunk.take() else { return ControlFlow::Continue(()) };
        match self.to_workers.send(chunk) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn finish(mut self) -> (usize, Vec<FileIssue>) {
        let _ = self.hand_on();
        (self.place, self.issues)
    }
}

impl RecordSink for Reader<'_> {
    fn record(&mut self, record: FileRecord<'_>) -> ControlFlow<()> {
        let same = self.chunk.as_ref().is_some_and(|c| {
            &*c.path == record.path
                && c.parser == record.parser
                && c.records.len() < CHUNK_RECORDS
                && c.data.len() < CHUNK_BYTES
        });
        if !same {
            self.hand_on()?;
            let (file, place) = (self.file, self.place);
            self.place += 1;
            self.chunk = Some(Chunk {
                file,
                place,
                path: record.path.into(),
                parser: record.parser,
                data: Vec::with_capacity(record.data.len().max(CHUNK_BYTES / 4)),
                records: Vec::with_capacity(64),
            });
        }
        if let Some(chunk) = &mut self.chunk {
            let start = chunk.data.len();
            chunk.data.extend_from_slice(record.data);
            chunk.records.push((record.number, start..chunk.data.len()));
        }
        ControlFlow::Continue(())
    }

    fn issue(&mut self, issue: FileIssue) {
        if self.issues.len() < MAX_ISSUES {
            self.issues.push(issue);
        }
    }
}

fn work(
    rules: &Arc<RuleSet>,
    plan: &Correlator,
    chunks: &Mutex<Receiver<Chunk>>,
    to_printer: &SyncSender<Outcome>,
) {
    let mut matcher = Matcher::new(Arc::clone(rules));
    let mut event = Event::new();
    let mut hits: Vec<RuleIndex> = Vec::new();
    let context = ParseContext { received: Time::now(), utc_offset: 0, peer: None, hostname: "".into() };
    loop {
        let chunk = match chunks.lock().unwrap_or_else(PoisonError::into_inner).recv() {
            Ok(chunk) => chunk,
            Err(_) => return,
        };
        let parser = covigil_catalog::parser(chunk.parser);
        let mut context = context.clone();
        context.peer = Some(Arc::clone(&chunk.path));
        let (mut found, mut counted, mut unparsed) = (Vec::new(), Vec::new(), 0);
        for (number, range) in &chunk.records {
            let text = String::from_utf8_lossy(&chunk.data[range.clone()]);
            event.reset(&text);
            event.id = EventId { source: Arc::clone(&chunk.path), sequence: *number };
            event.received = context.received;
            let understood = parser.is_some_and(|p| p.parse(&context, &mut event).is_ok());
            if !understood {
                unparsed += 1;
            }
            hits.clear();
            matcher.matches(&event, &mut hits);
            if hits.is_empty() {
                continue;
            }
            for &rule in &hits {
                if !plan.is_silenced(rule.0)
                    && let Some(finding) = rules.finding(rule, &event)
                {
                    found.push(Located { finding, path: chunk.path.to_string(), record: *number });
                }
            }
            if hits.iter().any(|&rule| plan.counts(rule.0)) {
                counted.push(Counted { event: event.clone(), rules: hits.clone() });
            }
        }
        let outcome = Outcome::Chunk {
            file: chunk.file,
            place: chunk.place,
            events: chunk.records.len() as u64,
            unparsed,
            found,
            counted,
        };
        if to_printer.send(outcome).is_err() {
            return;
        }
    }
}

/// Prints outcomes in the order of files and chunks, then what the correlations conclude.
fn print(
    rules: &Arc<RuleSet>,
    mut correlations: Correlations,
    outcomes: Receiver<Outcome>,
    out: &mut Output,
    counts: &mut Counts,
) -> Result<()> {
    let mut waiting: BTreeMap<(usize, usize), Vec<Located>> = BTreeMap::new();
    let mut ends: BTreeMap<usize, (usize, Vec<FileIssue>)> = BTreeMap::new();
    let mut at = (0, 0);
    for outcome in outcomes {
        match outcome {
            Outcome::Chunk { file, place, events, unparsed, found, counted } => {
                counts.events += events;
                counts.unparsed += unparsed;
                correlations.keep(counted);
                waiting.insert((file, place), found);
            }
            Outcome::End { file, chunks, issues } => {
                ends.insert(file, (chunks, issues));
            }
        }
        loop {
            if let Some(found) = waiting.remove(&at) {
                for located in &found {
                    out.print(located)?;
                    counts.findings += 1;
                }
                at.1 += 1;
            } else if ends.get(&at.0).is_some_and(|(chunks, _)| *chunks == at.1) {
                let (_, issues) = ends.remove(&at.0).unwrap_or_default();
                for issue in &issues {
                    note(counts, issue);
                }
                at = (at.0 + 1, 0);
            } else {
                break;
            }
        }
    }
    let dropped = correlations.dropped();
    for located in correlations.conclude(rules) {
        out.print(&located)?;
        counts.findings += 1;
    }
    if dropped > 0 {
        counts.unusable += 1;
        counts.issues.push(format!(
            "{dropped} events that correlations count were left out: more than {} in one run. Run over fewer files at a time.",
            super::correlate::MAX_KEPT
        ));
    }
    Ok(())
}

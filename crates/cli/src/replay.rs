//! `covigil replay`: files as live input of a running node.
//!
//! Records go out in batches with a key each, so that a batch sent again after a lost answer is stored
//! once. Reading waits for the node: nothing is dropped, and memory stays small.

use std::{
    ops::ControlFlow,
    process::ExitCode,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use covigil_model::{Event, Time};
use covigil_pipeline::files::{FileIssue, FileRecord, RecordSink, read_file, walk};
use covigil_solution::ParseContext;
use serde_json::Value;

use crate::{args::Replay, client::Client, show::harmless};

/// Records in one request at most.
const BATCH_RECORDS: usize = 1_000;
/// Bytes in one request at most.
const BATCH_BYTES: usize = 4 << 20;
/// Attempts at one batch, with growing pauses between them.
const ATTEMPTS: u32 = 8;

/// One record on its way.
struct Line {
    parser: &'static str,
    time: Option<Time>,
    data: Vec<u8>,
}

/// Runs `covigil replay`.
pub async fn run(args: Replay) -> Result<ExitCode> {
    let client = match &args.to {
        None => Client::of(&args.data)?,
        Some(url) => match &args.token {
            Some(token) => Client::at(url, token),
            None => match Client::of(&args.data) {
                Ok(local) if local.url() == url.trim_end_matches('/') => local,
                _ => bail!("--to needs an API token of that node: give it in COVIGIL_TOKEN or with --token"),
            },
        },
    };
    if args.rate.is_some_and(|rate| rate <= 0.0 || !rate.is_finite()) {
        bail!("--rate must be more than 0");
    }
    let (sender, lines) = sync_channel::<Line>(2 * BATCH_RECORDS);
    let (paths, timing) = (args.paths.clone(), args.original_timing);
    let reader = thread::spawn(move || read(&paths, timing, sender));

    let run = format!("replay-{}-{}", std::process::id(), Time::now().nanos());
    let begun = Instant::now();
    let mut clock = Pace { begun, rate: args.rate, first: None, sent: 0 };
    let (mut batch, mut bytes, mut parser, mut number) = (Vec::<Line>::new(), 0, "", 0u64);
    let batch_records =
        args.rate.map_or(BATCH_RECORDS, |rate| (rate / 4.0).clamp(1.0, BATCH_RECORDS as f64) as usize);
    let mut totals = Totals::default();
    let lines = std::sync::Arc::new(std::sync::Mutex::new(lines));
    loop {
        let from = std::sync::Arc::clone(&lines);
        let next = tokio::task::spawn_blocking(move || {
            from.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().ok()
        })
        .await?;
        let wait = next.as_ref().and_then(|line| clock.wait(line));
        let full = batch.len() >= batch_records || bytes >= BATCH_BYTES;
        let other = next.as_ref().is_none_or(|line| line.parser != parser);
        if !batch.is_empty() && (full || other || wait.is_some()) {
            number += 1;
            send(&client, parser, &format!("{run}-{number}"), &batch, &mut totals).await?;
            batch.clear();
            bytes = 0;
        }
        let Some(line) = next else { break };
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        parser = line.parser;
        bytes += line.data.len();
        batch.push(line);
    }
    let unusable = reader.join().map_err(|_| anyhow::anyhow!("the reader stopped unexpectedly"))?;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!(
        "{} events sent in {seconds:.1} s ({:.0}/s), {} refused",
        totals.accepted,
        totals.accepted as f64 / seconds.max(1e-9),
        totals.rejected
    );
    Ok(if unusable + totals.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

#[derive(Default)]
struct Totals {
    accepted: u64,
    rejected: u64,
}

/// When the next record may go.
struct Pace {
    begun: Instant,
    rate: Option<f64>,
    first: Option<Time>,
    sent: u64,
}

impl Pace {
    /// How long to wait before `line`; `None` where it may go now.
    fn wait(&mut self, line: &Line) -> Option<Duration> {
        let due = if let Some(rate) = self.rate {
            self.sent as f64 / rate
        } else {
            let time = line.time?;
            let first = *self.first.get_or_insert(time);
            time.since(first).max(0) as f64 / 1e9
        };
        self.sent += 1;
        let due = Duration::try_from_secs_f64(due).ok()?;
        due.checked_sub(self.begun.elapsed()).filter(|wait| *wait > Duration::from_millis(2))
    }
}

/// Sends one batch, again and again while the node is busy or away, up to a limit.
async fn send(client: &Client, parser: &str, key: &str, batch: &[Line], totals: &mut Totals) -> Result<()> {
    let mut body = Vec::new();
    for line in batch {
        // Inside JSON a line end is only space, and intake takes one record a line.
        body.extend(line.data.iter().map(|b| if *b == b'\n' || *b == b'\r' { b' ' } else { *b }));
        body.push(b'\n');
    }
    let mut pause = Duration::from_millis(200);
    for attempt in 1..=ATTEMPTS {
        match client.post_events("replay", parser, key, body.clone()).send().await {
            Ok(answer) if answer.status().is_success() => {
                let answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
                totals.accepted += answer["accepted"].as_u64().unwrap_or(0);
                for refused in answer["rejected"].as_array().into_iter().flatten() {
                    totals.rejected += 1;
                    eprintln!("refused: {}", harmless(&refused.to_string()));
                }
                return Ok(());
            }
            Ok(answer) if !matches!(answer.status().as_u16(), 429 | 500..=599) => {
                let status = answer.status();
                bail!("the node answered {status}: {}", harmless(&answer.text().await.unwrap_or_default()));
            }
            Ok(answer) if attempt == ATTEMPTS => bail!("the node keeps answering {}", answer.status()),
            Err(error) if attempt == ATTEMPTS => {
                return Err(error).with_context(|| format!("the node at {} does not answer", client.url()));
            }
            _ => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
    Ok(())
}

/// Reads all files into the queue; yields how many parts could not be used.
fn read(paths: &[std::path::PathBuf], timing: bool, sender: SyncSender<Line>) -> u64 {
    let walked = walk(paths);
    let mut feed = Feed {
        sender,
        timing,
        unusable: 0,
        event: Event::new(),
        context: ParseContext { received: Time::now(), utc_offset: 0, peer: None, hostname: "".into() },
    };
    for issue in walked.issues {
        feed.issue(issue);
    }
    for path in walked.files {
        if read_file(&path, &mut feed).is_break() {
            break;
        }
    }
    feed.unusable
}

struct Feed {
    sender: SyncSender<Line>,
    timing: bool,
    unusable: u64,
    event: Event,
    context: ParseContext,
}

impl Feed {
    /// The record's own time, for the original timing.
    fn time_of(&mut self, record: &FileRecord<'_>) -> Option<Time> {
        let parser = covigil_catalog::parser(record.parser)?;
        self.event.reset(&String::from_utf8_lossy(record.data));
        parser.parse(&self.context, &mut self.event).ok()?;
        Some(self.event.time)
    }
}

impl RecordSink for Feed {
    fn record(&mut self, record: FileRecord<'_>) -> ControlFlow<()> {
        let time = if self.timing { self.time_of(&record) } else { None };
        let line = Line { parser: record.parser, time, data: record.data.to_vec() };
        match self.sender.send(line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn issue(&mut self, issue: FileIssue) {
        self.unusable += 1;
        eprintln!("{}", harmless(&issue.to_string()));
    }
}

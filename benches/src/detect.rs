//! Detection: JSON text in, rules matched, out. One thread, so that events per second are per core.

use std::{
    fs,
    io::{BufWriter, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use covigil_model::{Event, Kind, Time, json::escape_into};
use covigil_pipeline::files::{FileIssue, FileRecord, RecordSink, read_file, walk};
use covigil_rules::{Matcher, Options, RuleSet, RuleText};
use covigil_solution::{ParseContext, Parser};

use crate::usage::{measure, peak_megabytes};

/// Lines that the measured file has at least.
const LINES: usize = 250_000;

/// The folders of the shared data that hold Windows events.
const SOURCES: [&str; 3] = ["evtx/EVTX-ATTACK-SAMPLES", "windows-json", "sigma/regression_data"];

/// Writes every Windows event of the shared data once, then all of them again and again up to [`LINES`]: one
/// event a line, flat, with Sigma's field names, as every peer reads it. Yields the number of different events.
pub fn write_events(shared: &Path, to: &Path) -> Result<usize> {
    let mut flat =
        Flatten { parser: parser("windows")?, context: context(), event: Event::new(), lines: Vec::new() };
    let sources: Vec<PathBuf> = SOURCES.iter().map(|s| shared.join(s)).collect();
    for file in walk(&sources).files {
        let _ = read_file(&file, &mut flat);
    }
    flat.lines.sort_unstable();
    flat.lines.dedup();
    let mut out = BufWriter::new(fs::File::create(to)?);
    let mut written = 0;
    while written < LINES && !flat.lines.is_empty() {
        for line in &flat.lines {
            out.write_all(line.as_bytes())?;
        }
        written += flat.lines.len();
    }
    out.flush()?;
    Ok(flat.lines.len())
}

struct Flatten {
    parser: &'static dyn Parser,
    context: ParseContext,
    event: Event,
    lines: Vec<String>,
}

impl RecordSink for Flatten {
    fn record(&mut self, record: FileRecord<'_>) -> ControlFlow<()> {
        self.event.reset(&String::from_utf8_lossy(record.data));
        if self.parser.parse(&self.context, &mut self.event).is_ok()
            && self.event.field("Channel").is_some()
            && self.event.field("EventID").is_some()
        {
            self.lines.push(flat_line(&self.event));
        }
        ControlFlow::Continue(())
    }

    fn issue(&mut self, _: FileIssue) {}
}

/// One line of JSON with the event's fields; of a repeated name the first, as peers expect.
fn flat_line(event: &Event) -> String {
    let mut line = String::from("{");
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in event.iter() {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        if line.len() > 1 {
            line.push(',');
        }
        line.push('"');
        escape_into(&mut line, name);
        line.push_str("\":");
        match value.kind {
            Kind::Number | Kind::Bool => line.push_str(value.text),
            Kind::Null => line.push_str("null"),
            Kind::Text => {
                line.push('"');
                escape_into(&mut line, value.text);
                line.push('"');
            }
        }
    }
    line.push_str("}\n");
    line
}

/// SigmaHQ's Windows rules in the shared data.
pub fn rule_folders(shared: &Path) -> Vec<PathBuf> {
    ["rules/windows", "rules-emerging-threats", "rules-threat-hunting/windows"]
        .iter()
        .map(|folder| shared.join("sigma").join(folder))
        .collect()
}

fn rule_texts(folder: &Path, out: &mut Vec<RuleText>) -> Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?.flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rule_texts(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "yml") {
            out.push(RuleText { path: path.display().to_string(), text: fs::read_to_string(&path)? });
        }
    }
    Ok(())
}

/// Measures compiling the rules and matching the file, and prints what it came to.
pub fn run(shared: &Path, events: &Path) -> Result<()> {
    let mut texts = Vec::new();
    for folder in rule_folders(shared) {
        rule_texts(&folder, &mut texts)?;
    }
    let (rules, compile) = measure(|| Arc::new(RuleSet::compile(&texts, &Options::default())));
    drop(texts);
    let text = fs::read_to_string(events).with_context(|| format!("reading {}", events.display()))?;
    let lines = text.lines().count() as f64;
    let parser = parser("windows")?;
    let context = context();
    let mut event = Event::new();

    let (_, parse) = measure(|| {
        for line in text.lines() {
            event.reset(line);
            let _ = parser.parse(&context, &mut event);
        }
    });
    let mut matcher = Matcher::new(Arc::clone(&rules));
    let mut hits = Vec::new();
    let (pairs, whole) = measure(|| {
        let mut pairs = 0;
        for line in text.lines() {
            event.reset(line);
            let _ = parser.parse(&context, &mut event);
            hits.clear();
            matcher.matches(&event, &mut hits);
            pairs += hits.len();
        }
        pairs
    });
    // The same events under a log source that no rule has.
    let mut other = Matcher::new(rules.clone());
    let (_, foreign) = measure(|| {
        for line in text.lines() {
            event.reset(line);
            let _ = parser.parse(&context, &mut event);
            event.log_source.set("none", &[], &[]);
            hits.clear();
            other.matches(&event, &mut hits);
        }
    });
    let micros = |seconds: f64| seconds / lines * 1e6;
    let report = rules.report();
    println!(
        "rules {} of {} compiled in {:.2} s; {} events, {:.0} bytes each",
        report.loaded,
        report.total,
        compile.wall,
        lines,
        text.len() as f64 / lines
    );
    println!(
        "parse {:.2} µs/event; parse and match {:.2} µs/event = {:.0} events/s/core; match alone {:.2} µs",
        micros(parse.user),
        micros(whole.user),
        lines / whole.user,
        micros(whole.user - parse.user)
    );
    println!(
        "no rule's log source: match alone {:.3} µs/event; {pairs} rule-event pairs; peak memory {:.0} MB (input {:.0} MB)",
        micros((foreign.user - parse.user).max(0.0)),
        peak_megabytes(),
        text.len() as f64 / 1e6
    );
    Ok(())
}

fn parser(name: &str) -> Result<&'static dyn Parser> {
    match covigil_siem::SOLUTION.parsers.iter().copied().find(|p| p.name() == name) {
        Some(parser) => Ok(parser),
        None => bail!("no parser is called {name}"),
    }
}

fn context() -> ParseContext {
    ParseContext {
        received: Time::from_secs(1_760_000_000),
        utc_offset: 0,
        peer: None,
        hostname: "bench".into(),
    }
}

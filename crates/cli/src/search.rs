//! `covigil search`: a query to the running node, its answer as it streams in.

use std::{
    io::{BufWriter, Stdout, Write as _, stdout},
    process::ExitCode,
};

use anyhow::{Result, bail};
use covigil_model::Time;
use serde_json::{Value, json};

use crate::{
    args::{Format, Search},
    client::Client,
    show::{columns, csv_cell, harmless},
    when,
};

/// The longest line of an answer that is read, in bytes.
const MAX_LINE: usize = 64 << 20;

/// The columns of events in tables and CSV.
const EVENT_COLUMNS: [&str; 5] = ["time", "host", "source", "severity", "message"];

/// Runs `covigil search`.
pub async fn run(args: &Search) -> Result<ExitCode> {
    let now = Time::now();
    let (from, to) = (when::parse(&args.from, now)?, when::parse(&args.to, now)?);
    if from >= to {
        bail!("--from {} is not before --to {}", args.from, args.to);
    }
    let client = Client::of(&args.data)?;
    let request = json!({
        "query": args.query,
        "language": if args.sql { "sql" } else { "search" },
        "from": from,
        "to": to.plus_secs(i64::from(args.to == "now")),
        "limit": args.limit,
    });
    let mut answer = client.post_json("/api/v1/search", &request).await?;
    let mut printer = Printer::new(args.format);
    let mut rest: Vec<u8> = Vec::new();
    while let Some(bytes) = answer.chunk().await? {
        rest.extend_from_slice(&bytes);
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            printer.item(&serde_json::from_slice(&line)?)?;
        }
        if rest.len() > MAX_LINE {
            bail!("the node sent a line longer than {MAX_LINE} bytes");
        }
    }
    printer.finish()
}

/// Prints the pieces of an answer.
struct Printer {
    format: Format,
    out: BufWriter<Stdout>,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    done: bool,
}

impl Printer {
    fn new(format: Format) -> Self {
        Self { format, out: BufWriter::new(stdout()), header: Vec::new(), rows: Vec::new(), done: false }
    }

    fn item(&mut self, item: &Value) -> Result<()> {
        let value = &item["value"];
        match item["kind"].as_str().unwrap_or("") {
            "event" => self.event(value),
            "columns" => self.header(value.as_array().into_iter().flatten().map(text_of).collect()),
            "row" => self.row(value.as_array().into_iter().flatten().map(text_of).collect()),
            "error" => bail!("the search failed: {}", harmless(&text_of(value))),
            "done" => {
                self.done = true;
                let more = if value["more"].as_bool() == Some(true) {
                    "; there are more, raise --limit"
                } else {
                    ""
                };
                eprintln!("{} found, {} scanned{more}", value["found"], value["scanned"]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn event(&mut self, event: &Value) -> Result<()> {
        if self.format == Format::Jsonl {
            writeln!(self.out, "{event}")?;
            return Ok(());
        }
        if self.header.is_empty() {
            self.header(EVENT_COLUMNS.iter().map(|c| (*c).to_owned()).collect())?;
        }
        let column = |path: &str| text_of(&event["columns"][path]);
        let message = [column("message"), column("process.cmd_line"), text_of(&event["original"])]
            .into_iter()
            .find(|m| !m.is_empty())
            .unwrap_or_default();
        let id = text_of(&event["id"]);
        let source = id.rsplit_once('#').map_or(id.as_str(), |(source, _)| source).to_owned();
        self.row(vec![
            text_of(&event["time"]),
            column("device.hostname"),
            source,
            text_of(&event["severity"]),
            message,
        ])
    }

    fn header(&mut self, header: Vec<String>) -> Result<()> {
        if self.format == Format::Csv {
            writeln!(self.out, "{}", header.iter().map(|c| csv_cell(c)).collect::<Vec<_>>().join(","))?;
        }
        self.header = header;
        Ok(())
    }

    fn row(&mut self, row: Vec<String>) -> Result<()> {
        match self.format {
            Format::Table => self.rows.push(row.iter().map(|c| harmless(c)).collect()),
            Format::Csv => {
                writeln!(self.out, "{}", row.iter().map(|c| csv_cell(c)).collect::<Vec<_>>().join(","))?
            }
            Format::Jsonl => {
                let object: serde_json::Map<String, Value> =
                    self.header.iter().cloned().zip(row.into_iter().map(Value::String)).collect();
                writeln!(self.out, "{}", Value::Object(object))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ExitCode> {
        if self.format == Format::Table && !self.header.is_empty() {
            let header: Vec<&str> = self.header.iter().map(String::as_str).collect();
            columns(&mut self.out, &header, &self.rows, 60)?;
        }
        self.out.flush()?;
        if !self.done {
            bail!("the node ended the answer before it was complete");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A value's text without quotes; null is empty.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

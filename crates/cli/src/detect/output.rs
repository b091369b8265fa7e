//! How findings are printed.

use std::io::{self, BufWriter, Stdout, Write as _, stdout};

use covigil_model::Finding;
use serde_json::{Map, Value, json};

use crate::{
    args::DetectFormat,
    show::{columns, harmless},
};

/// One finding with its place.
pub struct Located {
    /// What was found.
    pub finding: Finding,
    /// The file.
    pub path: String,
    /// Its line or EVTX record id.
    pub record: u64,
}

/// Standard output, in the format that was asked for.
pub struct Output {
    format: DetectFormat,
    out: BufWriter<Stdout>,
    rows: Vec<Vec<String>>,
}

impl Output {
    /// Prints in `format`.
    pub fn new(format: DetectFormat) -> Self {
        Self { format, out: BufWriter::with_capacity(1 << 16, stdout()), rows: Vec::new() }
    }

    /// Prints one finding.
    pub fn print(&mut self, located: &Located) -> io::Result<()> {
        match self.format {
            DetectFormat::Jsonl => {
                serde_json::to_writer(&mut self.out, &line(located))?;
                self.out.write_all(b"\n")
            }
            DetectFormat::Table => {
                let Located { finding, path, record } = located;
                self.rows.push(vec![
                    finding.time.to_string(),
                    finding.rule.level.to_string(),
                    harmless(&finding.rule.title),
                    harmless(&format!("{path}:{record}")),
                ]);
                Ok(())
            }
        }
    }

    /// Prints what is held back.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.format == DetectFormat::Table {
            columns(&mut self.out, &["time", "level", "rule", "where"], &self.rows, 60)?;
        }
        self.out.flush()
    }
}

/// The documented line of a finding.
fn line(located: &Located) -> Value {
    let Located { finding, path, record } = located;
    let mut matched = Map::new();
    for pair in &finding.matched {
        let name = if pair.field.is_empty() { "keywords" } else { &pair.field };
        match matched.get_mut(name) {
            None => {
                matched.insert(name.to_owned(), json!(pair.value));
            }
            Some(Value::Array(values)) => values.push(json!(pair.value)),
            Some(one) => *one = json!([one.take(), pair.value]),
        }
    }
    let mut object = json!({
        "rule_id": finding.rule.id,
        "rule_title": finding.rule.title,
        "level": finding.rule.level,
        "time": finding.time,
        "path": path,
        "record": record,
        "matched": matched,
        "techniques": finding.rule.techniques,
    });
    if let Some(summary) = &finding.summary {
        object["summary"] = json!(summary);
        object["group"] = json!(finding.group);
    }
    object
}

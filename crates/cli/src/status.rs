//! `covigil status`.

use std::{io::stdout, process::ExitCode};

use anyhow::Result;
use serde_json::Value;

use crate::{
    args::Status,
    client::Client,
    show::{columns, harmless},
};

/// Runs `covigil status`.
pub async fn run(args: &Status) -> Result<ExitCode> {
    let client = Client::of(&args.data)?;
    let status = client.get("/api/v1/status").await?;
    if args.json {
        println!("{status}");
        return Ok(ExitCode::SUCCESS);
    }
    let system = &status["system"];
    let megabytes = |value: &Value| value.as_f64().unwrap_or(0.0) / 1e6;
    println!("{} on {}, {}", text(&status["version"]), text(&status["node"]), client.url());
    println!(
        "{} open alerts, {:.0} events/s, {:.0} MB of memory",
        status["open_alerts"],
        system["rate"].as_f64().unwrap_or(0.0),
        megabytes(&system["memory"]),
    );
    println!(
        "{} events stored in {:.1} MB, {} more in memory; {} records wait in the log",
        system["store"]["events"],
        megabytes(&system["store"]["bytes"]),
        system["store"]["unflushed"],
        system["wal"]["pending"],
    );
    let failed = system["rules"]["failed"].as_array().map_or(0, Vec::len);
    println!("{} rules run, {failed} do not\n", system["rules"]["loaded"]);
    let mut rows = Vec::new();
    for source in status["sources"].as_array().into_iter().flatten() {
        rows.push(vec![
            text(&source["source"]),
            text(&source["state"]),
            text(&source["records"]),
            text(&source["parse_failures"]),
            text(&source["lost"]),
            text(&source["last_seen"]),
            text(&source["detail"]),
        ]);
    }
    let header =
        ["source", "state", "records", "not parsed", "lost", "last seen", "what is wrong, and the mend"];
    columns(&mut stdout().lock(), &header, &rows, 40)?;
    Ok(ExitCode::SUCCESS)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

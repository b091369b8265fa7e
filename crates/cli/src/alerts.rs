//! `covigil alerts`.

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::{
    args::{Alerts, Format},
    client::Client,
    show::{columns, csv_cell, harmless},
};

/// Runs `covigil alerts`.
pub async fn run(args: &Alerts) -> Result<ExitCode> {
    let client = Client::of(&args.data)?;
    let filter = match args.state.as_str() {
        "open" => "lane=open",
        "new" => "state=new",
        "in_progress" => "state=in_progress",
        "closed" => "lane=closed",
        "all" => "lane=all",
        other => bail!("--state {other}: write open, new, in_progress, closed or all"),
    };
    let mut alerts: Vec<Value> = Vec::new();
    let mut after = String::new();
    while alerts.len() < args.limit {
        let limit = (args.limit - alerts.len()).min(500);
        let page = client.get(&format!("/api/v1/alerts?{filter}&limit={limit}{after}")).await?;
        let rows = page["alerts"].as_array().cloned().unwrap_or_default();
        let ended = rows.is_empty();
        alerts.extend(rows);
        match page["next"].as_str() {
            Some(next) if !ended => {
                after = format!(
                    "&after={}",
                    url::form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>()
                );
            }
            _ => break,
        }
    }
    let mut out = stdout().lock();
    if args.format == Format::Jsonl {
        for alert in &alerts {
            writeln!(out, "{alert}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let header = ["raised", "severity", "risk", "count", "state", "id", "title", "concerns"];
    let rows = alerts.iter().map(row);
    if args.format == Format::Csv {
        writeln!(out, "{}", header.join(","))?;
        for row in rows {
            writeln!(out, "{}", row.iter().map(|c| csv_cell(c)).collect::<Vec<_>>().join(","))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(|c| harmless(c)).collect()).collect();
    columns(&mut out, &header, &rows, 60)?;
    Ok(ExitCode::SUCCESS)
}

fn row(alert: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let concerns = alert["entities"].as_array().into_iter().flatten().map(|entity| {
        format!("{} {}", entity["kind"].as_str().unwrap_or(""), entity["name"].as_str().unwrap_or(""))
    });
    vec![
        text(&alert["raised"]),
        text(&alert["severity"]),
        text(&alert["risk"]),
        text(&alert["count"]),
        text(&alert["state"]),
        text(&alert["id"]),
        text(&alert["rule"]["title"]),
        concerns.collect::<Vec<_>>().join(", "),
    ]
}

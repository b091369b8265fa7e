//! Search: the query with its time range, rows that come first, then histogram and facets; pivots;
//! live tail; export.

use std::convert::Infallible;

use askama::Template;
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{
        IntoResponse, Sse,
        sse::{Event as SseEvent, KeepAlive},
    },
};
use bytes::Bytes;
use covigil_model::Time;
use futures::{StreamExt as _, stream};

use super::event;
use crate::{
    app::Shared,
    backend::{Bucket, EventView, FieldFacet, SearchItem, SearchLanguage, SearchRequest},
    html, live,
    page::{PageError, PageResult, Visitor, redirect, render},
    params::Params,
};

/// The ranges on offer: word, label, seconds.
const RANGES: [(&str, &str, i64); 7] = [
    ("15m", "Last 15 minutes", 900),
    ("1h", "Last hour", 3_600),
    ("24h", "Last 24 hours", 86_400),
    ("7d", "Last 7 days", 604_800),
    ("30d", "Last 30 days", 2_592_000),
    ("all", "All time", 0),
    ("custom", "From … to …", 0),
];

const SHOWN: usize = 200;

struct RangeChoice {
    word: &'static str,
    label: &'static str,
    on: bool,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    query: String,
    sql: bool,
    ranges: Vec<RangeChoice>,
    custom: bool,
    from: String,
    to: String,
    asked: bool,
    /// The address's query string with an absolute range, for the parts that scripts load.
    parts: String,
    exports: String,
    tail: String,
}

/// The search that an address means. Ranges relative to now are made absolute, so that all parts
/// of one page mean the same.
fn request_of(params: &Params, now: Time, limit: usize) -> SearchRequest {
    let mut from = params.time("from");
    let to = params.time("to");
    if from.is_none() && to.is_none() {
        let range = params.get("range").unwrap_or("24h");
        if let Some((_, _, secs)) = RANGES.iter().find(|(word, _, secs)| *word == range && *secs > 0) {
            from = Some(now.plus_secs(-secs));
        }
    }
    SearchRequest {
        query: params.exact("q").trim().to_owned(),
        language: if params.get("lang") == Some("sql") {
            SearchLanguage::Sql
        } else {
            SearchLanguage::Search
        },
        from,
        to,
        limit,
    }
}

/// An address's parameters for a request: everything absolute.
fn absolute(params: &Params, request: &SearchRequest) -> Params {
    let mut out = params.without("range").without("from").without("to");
    if let Some(from) = request.from {
        out = out.with("from", &from.to_string());
    }
    if let Some(to) = request.to {
        out = out.with("to", &to.to_string());
    }
    if request.from.is_none() && request.to.is_none() {
        out = out.with("range", "all");
    }
    out
}

pub(crate) async fn page(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let request = request_of(&params, visitor.request.at, SHOWN);
    let custom = params.time("from").is_some() || params.time("to").is_some();
    let range = if custom { "custom" } else { params.get("range").unwrap_or("24h") };
    let parts = absolute(&params, &request);
    let body = SearchPage {
        query: request.query.clone(),
        sql: request.language == SearchLanguage::Sql,
        ranges: RANGES
            .iter()
            .map(|(word, label, _)| RangeChoice { word, label, on: *word == range })
            .collect(),
        custom,
        from: params.time("from").map(|t| t.to_string()).unwrap_or_default(),
        to: params.time("to").map(|t| t.to_string()).unwrap_or_default(),
        asked: !params.pairs().is_empty(),
        exports: parts.encode(),
        tail: Params::default().with("q", &request.query).encode(),
        parts: parts.encode(),
    };
    visitor.frame(&app, "Search", "search").around(&body, &["search"])
}

#[derive(Template)]
#[template(path = "search_row.html")]
struct EventRow<'a> {
    event: &'a EventView,
    address: String,
    host: &'a str,
    summary: String,
}

fn event_row(event: &EventView) -> Result<String, askama::Error> {
    EventRow {
        address: event::address(&event.id),
        host: event.column("device.hostname").unwrap_or(""),
        summary: event::summary(event),
        event,
    }
    .render()
}

#[derive(Template)]
#[template(path = "search_cells.html")]
struct TableRow<'a> {
    cells: &'a [String],
    header: bool,
}

/// One line of the answer to the script: a kind, and markup or numbers.
fn line(kind: &str, value: impl serde::Serialize) -> Bytes {
    let mut text = serde_json::json!({ "kind": kind, "value": value }).to_string();
    text.push('\n');
    text.into()
}

fn piece(item: Result<SearchItem, crate::BackendError>) -> Bytes {
    let made = match item {
        Ok(SearchItem::Event(event)) => event_row(&event).map(|row| line("row", row)),
        Ok(SearchItem::Columns(cells)) => {
            TableRow { cells: &cells, header: true }.render().map(|row| line("columns", row))
        }
        Ok(SearchItem::Row(cells)) => {
            TableRow { cells: &cells, header: false }.render().map(|row| line("cells", row))
        }
        Ok(SearchItem::Progress(share)) => Ok(line("progress", share)),
        Ok(SearchItem::Done { scanned, found, more }) => {
            Ok(line("done", serde_json::json!({ "scanned": scanned, "found": found, "more": more })))
        }
        Err(error) => Ok(line("error", PageError::from(error).message)),
    };
    made.unwrap_or_else(|error| line("error", PageError::from(error).message))
}

/// The rows, as they are found: JSON lines with markup made here, where everything is escaped.
/// Closing the connection cancels the search.
pub(crate) async fn rows(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let request = request_of(&params, visitor.request.at, SHOWN);
    let answer = app.backend.search(&visitor.ctx, request).await?;
    let body = Body::from_stream(answer.map(|item| Ok::<_, Infallible>(piece(item))));
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], body).into_response())
}

struct Bar {
    bucket: Bucket,
    /// Position and size on a canvas of 1000 by 100.
    x: f64,
    width: f64,
    y: f64,
    height: f64,
    label: String,
}

#[derive(Template)]
#[template(path = "search_histogram.html")]
struct Histogram {
    bars: Vec<Bar>,
    total: u64,
    most: u64,
    start: Option<Time>,
    middle: Option<Time>,
    end: Option<Time>,
    each: String,
}

pub(crate) async fn histogram(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let request = request_of(&params, visitor.request.at, SHOWN);
    let buckets = app.backend.histogram(&visitor.ctx, &request, 60).await?;
    let most = buckets.iter().map(|b| b.count).max().unwrap_or(0);
    let width = 1_000.0 / buckets.len().max(1) as f64;
    let bars = buckets
        .iter()
        .enumerate()
        .map(|(at, bucket)| {
            let share = if most == 0 { 0.0 } else { bucket.count as f64 / most as f64 };
            let height = if bucket.count == 0 { 0.0 } else { (share * 100.0).max(2.0) };
            Bar {
                bucket: *bucket,
                x: at as f64 * width,
                width: width * 0.86,
                y: 100.0 - height,
                height,
                label: format!(
                    "{}: {}",
                    html::utc(&bucket.start),
                    html::counted(&bucket.count, "event", "events")
                ),
            }
        })
        .collect();
    let each = buckets.first().map_or_else(String::new, |b| {
        html::duration_ms(&u64::try_from(b.end.since(b.start) / 1_000_000).unwrap_or(0))
    });
    render(&Histogram {
        bars,
        total: buckets.iter().map(|b| b.count).sum(),
        most,
        start: buckets.first().map(|b| b.start),
        middle: buckets.get(buckets.len() / 2).map(|b| b.start),
        end: buckets.last().map(|b| b.end),
        each,
    })
}

#[derive(Template)]
#[template(path = "search_facets.html")]
struct Facets {
    facets: Vec<FieldFacet>,
}

pub(crate) async fn facets(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let request = request_of(&params, visitor.request.at, SHOWN);
    render(&Facets { facets: app.backend.field_facets(&visitor.ctx, &request).await? })
}

pub(crate) async fn complete(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let query = params.exact("q");
    let mut cursor =
        params.get("cursor").and_then(|c| c.parse().ok()).unwrap_or(query.len()).min(query.len());
    while !query.is_char_boundary(cursor) {
        cursor -= 1;
    }
    Ok(Json(app.backend.complete(&visitor.ctx, query, cursor).await?).into_response())
}

/// Goes on from a value: only it, with it, or without it.
pub(crate) async fn pivot(State(app): State<Shared>, params: Params) -> PageResult {
    let query = params.exact("q").trim();
    let value = params.exact("value");
    let field = params.exact("field");
    let term = if value.is_empty() { String::new() } else { app.backend.term(field, value) };
    // What stands before the pipe finds events; the rest works on them.
    let (search, pipe) = match query.split_once(" | ") {
        Some((search, pipe)) => (search.trim(), format!(" | {pipe}")),
        None => (query, String::new()),
    };
    let grouped = if search.contains(" OR ") { format!("({search})") } else { search.to_owned() };
    let next = match params.get("mode").unwrap_or("only") {
        "include" if !search.is_empty() => format!("{grouped} {term}{pipe}"),
        "include" => format!("{term}{pipe}"),
        "exclude" if !search.is_empty() => format!("{grouped} NOT {term}{pipe}"),
        "exclude" => format!("NOT {term}{pipe}"),
        _ => term,
    };
    let mut out = Params::default().with("q", &next);
    for name in ["range", "from", "to"] {
        if let Some(value) = params.get(name) {
            out = out.with(name, value);
        }
    }
    Ok(redirect(&format!("/search?{}", out.encode())))
}

/// Rows as they become searchable, until the page or the session ends.
pub(crate) async fn tail(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let request = request_of(&params.with("range", "all"), visitor.request.at, SHOWN);
    let events = app.backend.tail(&visitor.ctx, request).await?;
    let rows = events.filter_map(|event| async {
        let row = event_row(&event.ok()?).ok()?;
        Some(SseEvent::default().event("row").data(row.replace(['\r', '\n'], " ")))
    });
    let rows = live::while_signed_in(app, visitor.session.hash, rows).map(Ok::<_, Infallible>);
    Ok(Sse::new(rows).keep_alive(KeepAlive::default()).into_response())
}

/// A cell that a spreadsheet will not take for a formula. Negative numbers stay numbers.
fn csv_cell(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if risky { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn csv_line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut out = cells.map(csv_cell).collect::<Vec<_>>().join(",");
    out.push_str("\r\n");
    out
}

const CSV_COLUMNS: [&str; 8] =
    ["time", "id", "class", "device.hostname", "user.name", "src_endpoint.ip", "message", "original"];

fn csv_event(event: &EventView) -> String {
    let (time, id) = (event.time.to_string(), event.id.to_string());
    let cells = CSV_COLUMNS.map(|column| match column {
        "time" => time.as_str(),
        "id" => id.as_str(),
        "class" => event.class.caption(),
        "original" => event.original.as_str(),
        path => event.column(path).unwrap_or(""),
    });
    csv_line(cells.into_iter())
}

/// Up to 100,000 events of the search, as a file.
pub(crate) async fn export(State(app): State<Shared>, visitor: Visitor, params: Params) -> PageResult {
    let csv = match params.get("format") {
        Some("csv") => true,
        Some("jsonl") | None => false,
        Some(_) => return Err(PageError::refused("Export knows csv and jsonl.")),
    };
    let request = request_of(&params, visitor.request.at, 100_000);
    let answer = app.backend.search(&visitor.ctx, request).await?;
    let mut headed = false;
    let lines = answer.filter_map(move |item| {
        let text = match (item, csv) {
            (Ok(SearchItem::Event(event)), true) => {
                let head = if headed { String::new() } else { csv_line(CSV_COLUMNS.into_iter()) };
                Some(head + &csv_event(&event))
            }
            (Ok(SearchItem::Event(event)), false) => {
                serde_json::to_string(&event).ok().map(|line| line + "\n")
            }
            (Ok(SearchItem::Columns(cells) | SearchItem::Row(cells)), true) => {
                Some(csv_line(cells.iter().map(String::as_str)))
            }
            (Ok(SearchItem::Columns(cells) | SearchItem::Row(cells)), false) => {
                serde_json::to_string(&cells).ok().map(|line| line + "\n")
            }
            _ => None,
        };
        headed |= text.is_some();
        let piece = text.map(|text| Ok::<_, Infallible>(Bytes::from(text)));
        async move { piece }
    });
    // Spreadsheets take CSV for Latin-1 unless a byte order mark says otherwise.
    let mark = if csv { "\u{feff}" } else { "" };
    let body = Body::from_stream(stream::once(async move { Ok(Bytes::from(mark)) }).chain(lines));
    let (media, name) = if csv {
        ("text/csv; charset=utf-8", "attachment; filename=\"covigil-search.csv\"")
    } else {
        ("application/x-ndjson", "attachment; filename=\"covigil-search.jsonl\"")
    };
    Ok(([(header::CONTENT_TYPE, media), (header::CONTENT_DISPOSITION, name)], body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_defused_and_numbers_survive() {
        for (text, cell) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("-2+3+cmd", "'-2+3+cmd"),
            ("-12.5", "-12.5"),
            ("+49", "+49"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("a \"b\", c", "\"a \"\"b\"\", c\""),
            ("two\nlines", "\"two\nlines\""),
            ("", ""),
        ] {
            assert_eq!(csv_cell(text), cell, "{text}");
        }
    }
}

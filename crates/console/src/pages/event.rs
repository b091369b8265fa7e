//! One event, and how pages show events: a line that tells what happened, all fields, and the
//! original with what matters marked.

use std::ops::Range;

use askama::Template;
use axum::extract::{Path, State};
use covigil_model::{EventId, Matched};

use crate::{
    app::Shared,
    backend::{EventField, EventView},
    html,
    page::{PageError, PageResult, Visitor, render},
};

/// A stretch of the original.
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) marked: bool,
}

/// A field with whether a rule matched it.
pub(crate) struct FieldRow {
    pub(crate) field: EventField,
    pub(crate) matched: bool,
}

/// One event, shown in full.
#[derive(Template)]
#[template(path = "event_body.html")]
pub(crate) struct EventBody {
    pub(crate) event: EventView,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) fields: Vec<FieldRow>,
    /// The original was cut for the page.
    pub(crate) cut: bool,
    pub(crate) address: String,
    pub(crate) around: String,
}

/// The most of an original that a page shows, in bytes.
const MOST_SHOWN: usize = 64 << 10;

impl EventBody {
    /// Prepares an event; fields and stretches that `matched` names are marked.
    pub(crate) fn new(event: EventView, matched: &[Matched]) -> Self {
        let is_matched = |field: &EventField| {
            matched.iter().any(|m| m.field.eq_ignore_ascii_case(&field.name) && m.value == field.value)
        };
        let fields: Vec<FieldRow> = event
            .fields
            .iter()
            .map(|field| FieldRow { matched: is_matched(field), field: field.clone() })
            .collect();
        let mut marks: Vec<Range<usize>> =
            fields.iter().filter(|row| row.matched).filter_map(|row| row.field.span.clone()).collect();
        for m in matched {
            let placed = fields
                .iter()
                .any(|row| row.matched && row.field.span.is_some() && row.field.value == m.value);
            if !placed
                && !m.value.is_empty()
                && let Some(start) = event.original.find(&m.value)
            {
                marks.push(start..start + m.value.len());
            }
        }
        let mut end = event.original.len().min(MOST_SHOWN);
        while !event.original.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            pieces: pieces(&event.original[..end], marks),
            cut: end < event.original.len(),
            fields,
            address: address(&event.id),
            around: around(&event),
            event,
        }
    }
}

/// Where an event is shown.
pub(crate) fn address(id: &EventId) -> String {
    format!("/events/{}/{}", html::url_encode(&id.source), id.sequence)
}

/// A search for what the same host did a minute before and after.
fn around(event: &EventView) -> String {
    let (from, to) = (event.time.plus_secs(-60), event.time.plus_secs(60));
    let field = event
        .column("device.hostname")
        .map_or_else(String::new, |host| format!("&field=device.hostname&value={}", html::url_encode(host)));
    format!(
        "/search/pivot?mode=only{field}&from={}&to={}",
        html::url_encode(&from.to_string()),
        html::url_encode(&to.to_string())
    )
}

/// Cuts text into marked and unmarked stretches. Ranges may overlap and lie anywhere; those that
/// do not fall on characters of the text are left out.
fn pieces(text: &str, mut marks: Vec<Range<usize>>) -> Vec<Piece> {
    marks.retain(|range| text.get(range.clone()).is_some_and(|part| !part.is_empty()));
    marks.sort_by_key(|range| range.start);
    let mut out = Vec::new();
    let mut at = 0;
    let mut push = |part: &str, marked: bool| {
        if !part.is_empty() {
            out.push(Piece { text: part.to_owned(), marked });
        }
    };
    for mark in marks {
        if mark.end <= at {
            continue;
        }
        let start = mark.start.max(at);
        push(&text[at..start], false);
        push(&text[start..mark.end], true);
        at = mark.end;
    }
    push(&text[at..], false);
    out
}

/// One line that tells what happened.
pub(crate) fn summary(event: &EventView) -> String {
    let message = event.column("message").filter(|m| !m.trim().is_empty());
    if let Some(message) = message {
        return one_line(message);
    }
    let mut parts = Vec::new();
    for path in [
        "process.cmd_line",
        "process.file.path",
        "http_request.url.url_string",
        "query.hostname",
        "file.path",
        "reg_key.path",
        "service.name",
        "script.script_content",
    ] {
        if let Some(value) = event.column(path).filter(|v| !v.is_empty()) {
            parts.push(one_line(value));
            break;
        }
    }
    if parts.is_empty() {
        return one_line(&event.original);
    }
    if let Some(user) = event.column("user.name").or_else(|| event.column("actor.user.name")) {
        parts.push(format!("({})", one_line(user)));
    }
    parts.join(" ")
}

fn one_line(text: &str) -> String {
    html::cut(text.trim(), 400).replace(['\n', '\t'], " ")
}

pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path((source, sequence)): Path<(String, u64)>,
) -> PageResult {
    let id = EventId { source: source.into(), sequence };
    let event = app.backend.event(&visitor.ctx, &id).await?;
    let event = event.ok_or_else(|| {
        PageError::not_found("This event is not stored (any more). Retention may have dropped its day.")
    })?;
    let body = EventBody::new(event, &[]);
    if visitor.request.fragment {
        return render(&body);
    }
    visitor
        .frame(&app, "Event", "search")
        .around(&EventPage { body: body.render()?, id: id.to_string() }, &["search"])
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    /// Rendered, and so escaped.
    body: String,
    id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_put_together_are_the_text() {
        let text = "Failed password für root from 10.0.0.1";
        let whole = std::iter::once(0..6).collect();
        let cases = [vec![], whole, vec![20..25, 0..6], vec![3..9, 6..15, 6..7], vec![17..18, 0..900, 5..5]];
        for marks in cases {
            let joined: String = pieces(text, marks.clone()).iter().map(|p| p.text.as_str()).collect();
            assert_eq!(joined, text, "{marks:?}");
        }
        let marked: Vec<_> =
            pieces(text, vec![7..15, 0..6]).into_iter().filter(|p| p.marked).map(|p| p.text).collect();
        assert_eq!(marked, ["Failed", "password"]);
    }
}

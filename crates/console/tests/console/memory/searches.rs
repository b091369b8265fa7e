//! Search over a few thousand events, in memory: words and `field:value`, with `NOT`.

use std::collections::HashMap;

use async_trait::async_trait;
use covigil_console::backend::{
    Answers, BackendError, Bucket, Completion, EventView, FacetCount, FieldFacet, SearchItem, SearchLanguage,
    SearchRequest, Searches,
};
use covigil_model::{EventId, OpContext, Time};
use futures::{StreamExt as _, stream};

use super::Memory;

struct Term {
    negated: bool,
    field: Option<String>,
    value: String,
}

fn terms(query: &str) -> Result<(Vec<Term>, Option<String>), BackendError> {
    let (search, pipe) = match query.split_once('|') {
        Some((search, pipe)) => (search, Some(pipe.trim().to_owned())),
        None => (query, None),
    };
    let mut out = Vec::new();
    let mut negated = false;
    let mut rest = search.trim_start();
    while !rest.is_empty() {
        let mut word = String::new();
        let mut quoted = false;
        let mut end = rest.len();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if quoted => word.extend(chars.next().map(|(_, c)| c)),
                '"' => quoted = !quoted,
                c if c.is_whitespace() && !quoted => {
                    end = at;
                    break;
                }
                c => word.push(c),
            }
        }
        if quoted {
            let message = "A quotation mark is not closed.".to_owned();
            return Err(BackendError::Query { message, position: query.len() });
        }
        rest = rest[end..].trim_start();
        if word == "NOT" {
            negated = true;
            continue;
        }
        let (field, value) = match word.split_once(':') {
            Some((field, value)) if field.chars().all(|c| c.is_alphanumeric() || "._".contains(c)) => {
                (Some(field.to_owned()), value.to_owned())
            }
            _ => (None, word),
        };
        out.push(Term { negated, field, value: value.to_lowercase() });
        negated = false;
    }
    Ok((out, pipe))
}

fn value_of<'a>(event: &'a EventView, field: &str) -> Option<&'a str> {
    event.column(field).or_else(|| {
        event.fields.iter().find(|f| f.name.eq_ignore_ascii_case(field)).map(|f| f.value.as_str())
    })
}

fn matches(terms: &[Term], event: &EventView) -> bool {
    terms.iter().all(|term| {
        let hit = match &term.field {
            Some(field) => value_of(event, field).is_some_and(|v| v.to_lowercase() == term.value),
            None => event.original.to_lowercase().contains(&term.value),
        };
        hit != term.negated
    })
}

impl Memory {
    fn found(&self, request: &SearchRequest) -> Result<(Vec<EventView>, Option<String>, u64), BackendError> {
        if request.language == SearchLanguage::Sql {
            return Err(BackendError::Refused("This example knows no SQL.".to_owned()));
        }
        let (terms, pipe) = terms(&request.query)?;
        let state = self.lock();
        let mut found: Vec<EventView> = state
            .events
            .iter()
            .filter(|e| {
                request.from.is_none_or(|from| e.time >= from) && request.to.is_none_or(|to| e.time < to)
            })
            .filter(|e| matches(&terms, e))
            .cloned()
            .collect();
        found.sort_by_key(|event| std::cmp::Reverse(event.time));
        Ok((found, pipe, state.events.len() as u64))
    }
}

fn top(events: &[EventView], field: &str) -> Vec<(String, u64)> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for value in events.iter().filter_map(|event| value_of(event, field)) {
        *counts.entry(value).or_default() += 1;
    }
    let mut values: Vec<_> = counts.into_iter().map(|(value, count)| (value.to_owned(), count)).collect();
    values.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    values.truncate(10);
    values
}

const FACETS: [(&str, &str); 6] = [
    ("device.hostname", "Host"),
    ("user.name", "User"),
    ("src_endpoint.ip", "Source address"),
    ("metadata.log_name", "Log"),
    ("process.file.path", "Process"),
    ("metadata.product.name", "Product"),
];

#[async_trait]
impl Searches for Memory {
    async fn search(
        &self,
        ctx: &OpContext,
        request: SearchRequest,
    ) -> Result<Answers<SearchItem>, BackendError> {
        self.check(ctx);
        let (events, pipe, scanned) = self.found(&request)?;
        let mut items = vec![SearchItem::Progress(0.3)];
        let found;
        let more;
        if let Some(field) = pipe.as_deref().and_then(|p| p.strip_prefix("top ")) {
            let rows = top(&events, field.trim());
            items.push(SearchItem::Columns(vec![field.trim().to_owned(), "count".to_owned()]));
            found = rows.len() as u64;
            more = false;
            items.extend(
                rows.into_iter().map(|(value, count)| SearchItem::Row(vec![value, count.to_string()])),
            );
        } else {
            found = events.len().min(request.limit) as u64;
            more = events.len() > request.limit;
            items.extend(events.into_iter().take(request.limit).map(|e| SearchItem::Event(Box::new(e))));
        }
        items.push(SearchItem::Done { scanned, found, more });
        Ok(stream::iter(items.into_iter().map(Ok)).boxed())
    }

    async fn histogram(
        &self,
        ctx: &OpContext,
        request: &SearchRequest,
        buckets: usize,
    ) -> Result<Vec<Bucket>, BackendError> {
        self.check(ctx);
        let (events, _, _) = self.found(request)?;
        let Some((newest, oldest)) = events.first().zip(events.last()) else { return Ok(Vec::new()) };
        let from = request.from.unwrap_or(oldest.time);
        let to = request.to.unwrap_or_else(|| ctx.at().max(newest.time.plus_nanos(1)));
        let width = (to.since(from) / buckets as i64).max(1);
        let mut bars: Vec<Bucket> = (0..buckets as i64)
            .map(|i| Bucket {
                start: from.plus_nanos(i * width),
                end: from.plus_nanos((i + 1) * width),
                count: 0,
            })
            .collect();
        for event in &events {
            let at = (event.time.since(from) / width).clamp(0, buckets as i64 - 1);
            bars[at as usize].count += 1;
        }
        Ok(bars)
    }

    async fn field_facets(
        &self,
        ctx: &OpContext,
        request: &SearchRequest,
    ) -> Result<Vec<FieldFacet>, BackendError> {
        self.check(ctx);
        let (events, _, _) = self.found(request)?;
        let facet = |(field, label): (&str, &str)| FieldFacet {
            field: field.to_owned(),
            label: label.to_owned(),
            values: top(&events, field)
                .into_iter()
                .map(|(value, count)| FacetCount { label: value.clone(), value, count })
                .collect(),
        };
        Ok(FACETS.into_iter().map(facet).filter(|facet| !facet.values.is_empty()).collect())
    }

    async fn complete(
        &self,
        ctx: &OpContext,
        query: &str,
        cursor: usize,
    ) -> Result<Vec<Completion>, BackendError> {
        self.check(ctx);
        let before = &query[..cursor];
        let from = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let word = &before[from..];
        Ok(FACETS
            .into_iter()
            .filter(|(field, _)| !word.is_empty() && field.starts_with(word))
            .map(|(field, label)| Completion {
                insert: format!("{field}:"),
                from,
                kind: "field".to_owned(),
                help: label.to_owned(),
            })
            .collect())
    }

    async fn tail(
        &self,
        ctx: &OpContext,
        request: SearchRequest,
    ) -> Result<Answers<EventView>, BackendError> {
        self.check(ctx);
        let (terms, _) = terms(&request.query)?;
        let heard = tokio_stream::wrappers::BroadcastStream::new(self.fresh.subscribe());
        let fits = heard.filter_map(move |event| {
            let event = event.ok().filter(|event| matches(&terms, event));
            async move { event.map(Ok) }
        });
        Ok(fits.boxed())
    }

    async fn event(&self, ctx: &OpContext, id: &EventId) -> Result<Option<EventView>, BackendError> {
        self.check(ctx);
        Ok(self.lock().events.iter().find(|event| &event.id == id).cloned())
    }

    fn term(&self, field: &str, value: &str) -> String {
        let value = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        if field.is_empty() { value } else { format!("{field}:{value}") }
    }
}

/// An event's time for the sample.
pub(super) fn later(time: Time, secs: i64, nanos: i64) -> Time {
    time.plus_secs(secs).plus_nanos(nanos)
}

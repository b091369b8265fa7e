//! Search over stored events.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use covigil_console::{
    BackendError,
    backend::{
        Answers, Bucket, Completion, EventView, FacetCount, FieldFacet, SearchItem, SearchLanguage,
        SearchRequest, Searches,
    },
};
use covigil_model::{Event, EventId, OpContext, Time};
use covigil_pipeline::parse::Parsers;
use covigil_solution::ParseContext;
use covigil_store::search::{
    FieldInfo, QueryText, ResultRow, SearchRequest as StoreRequest, Update, Want, language,
};
use futures::{StreamExt as _, stream};

use super::{NodeBackend, search_error};

/// The fields whose commonest values are shown beside results, with their names for people.
const FACETS: [(&str, &str); 8] = [
    ("host", "Host"),
    ("user", "User"),
    ("src", "Source address"),
    ("product", "Product"),
    ("class", "Class"),
    ("severity", "Severity"),
    ("process", "Process"),
    ("event_id", "Event id"),
];
/// Values of one facet.
const FACET_VALUES: usize = 10;
/// Rows of one look of a live tail.
const TAIL_ROWS: usize = 200;
/// A live tail looks at most this often.
const TAIL_PAUSE: Duration = Duration::from_millis(250);
/// Field names and values for completion are as old as this at most.
const FIELDS_AGE: Duration = Duration::from_secs(60);
/// Where a search that names no begin begins, if nothing is stored yet.
const USUAL_RANGE_SECS: i64 = 86_400;

/// What is known of fields, for completion.
#[derive(Default)]
pub struct FieldCache(Mutex<Option<(Instant, Arc<Vec<FieldInfo>>)>>);

/// Makes events of stored rows: the parser reads the original again, so a page sees what the rules saw.
#[derive(Clone)]
struct Viewer {
    parsers: Parsers,
    hostname: Arc<str>,
}

impl Viewer {
    fn view(&self, row: &ResultRow) -> EventView {
        let text = |name: &str| {
            row.columns
                .iter()
                .find(|(have, _)| have == name)
                .and_then(|(_, v)| v.as_str())
                .unwrap_or("")
                .to_owned()
        };
        let peer = text("peer");
        let context = ParseContext {
            received: row.received,
            utc_offset: 0,
            peer: (!peer.is_empty()).then(|| peer.into()),
            hostname: Arc::clone(&self.hostname),
        };
        let mut event = Event::new();
        self.parsers.parse(&text("parser"), &context, row.original.as_bytes(), &mut event);
        event.id = row.id.clone();
        event.time = row.time;
        EventView::from(&event)
    }
}

impl NodeBackend {
    fn viewer(&self) -> Viewer {
        Viewer { parsers: self.parsers.clone(), hostname: self.seat.node_name.as_str().into() }
    }

    fn request(&self, ctx: &OpContext, request: &SearchRequest, want: Want) -> StoreRequest {
        let from = request.from.unwrap_or_else(|| {
            self.store.stats().oldest.unwrap_or_else(|| ctx.at().plus_secs(-USUAL_RANGE_SECS))
        });
        // Without an end everything counts, also what is dated in the future by a wrong clock.
        let to = request.to.unwrap_or(Time::MAX);
        let query = match request.language {
            SearchLanguage::Search => QueryText::Language(request.query.clone()),
            SearchLanguage::Sql => QueryText::Sql(request.query.clone()),
        };
        let from = if request.from.is_none() && want.histogram.is_none() { Time::MIN } else { from };
        StoreRequest { query, from, to, limit: request.limit, want }
    }

    /// One event, looked for around a time first.
    pub(super) async fn event_near(
        &self,
        ctx: &OpContext,
        id: &EventId,
        near: Option<Time>,
    ) -> Result<Option<EventView>, BackendError> {
        let row = self.searcher.event(ctx, id, near).await.map_err(search_error)?;
        Ok(row.map(|row| self.viewer().view(&row)))
    }

    async fn field_infos(&self, ctx: &OpContext) -> Result<Arc<Vec<FieldInfo>>, BackendError> {
        let cached = self.fields.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((made, infos)) = cached
            && made.elapsed() < FIELDS_AGE
        {
            return Ok(infos);
        }
        let infos = Arc::new(self.searcher.fields(ctx).await.map_err(search_error)?);
        *self.fields.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&infos)));
        Ok(infos)
    }
}

/// The pieces that an update of the store's search is for a page.
fn items(update: Update, viewer: &Viewer, shown: &mut u64, header_sent: &mut bool) -> Vec<SearchItem> {
    match update {
        Update::Rows(rows) => {
            *shown += rows.len() as u64;
            rows.iter().map(|row| SearchItem::Event(Box::new(viewer.view(row)))).collect()
        }
        Update::Table(table) => {
            let mut out = Vec::with_capacity(table.rows.len() + 1);
            if !std::mem::replace(header_sent, true) {
                out.push(SearchItem::Columns(table.columns));
            }
            *shown += table.rows.len() as u64;
            out.extend(
                table.rows.into_iter().map(|row| SearchItem::Row(row.into_iter().map(text_of).collect())),
            );
            out
        }
        Update::Progress(progress) => {
            let share = progress.rows_done as f64 / (progress.rows_total.max(1)) as f64;
            vec![SearchItem::Progress(share.min(1.0))]
        }
        Update::Done(summary) => {
            let found = summary.progress.matched.max(*shown);
            vec![SearchItem::Done {
                scanned: summary.progress.rows_done,
                found,
                more: found > *shown || !summary.complete,
            }]
        }
        Update::Histogram(_) | Update::Facets(_) => Vec::new(),
    }
}

fn text_of(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[async_trait]
impl Searches for NodeBackend {
    async fn search(
        &self,
        ctx: &OpContext,
        request: SearchRequest,
    ) -> Result<Answers<SearchItem>, BackendError> {
        let request = self.request(ctx, &request, Want { count: true, ..Want::default() });
        let updates = self.searcher.search(ctx, request).map_err(search_error)?;
        let viewer = self.viewer();
        let (mut shown, mut header_sent) = (0, false);
        let answers = updates.flat_map(move |update| {
            let pieces = match update {
                Ok(update) => {
                    items(update, &viewer, &mut shown, &mut header_sent).into_iter().map(Ok).collect()
                }
                Err(error) => vec![Err(search_error(error))],
            };
            stream::iter(pieces)
        });
        Ok(answers.boxed())
    }

    async fn histogram(
        &self,
        ctx: &OpContext,
        request: &SearchRequest,
        buckets: usize,
    ) -> Result<Vec<Bucket>, BackendError> {
        let mut request = self.request(ctx, request, Want { histogram: Some(buckets), ..Want::default() });
        if request.to == Time::MAX {
            request.to = ctx.at().plus_secs(1);
        }
        request.limit = 0;
        let mut updates = self.searcher.search(ctx, request).map_err(search_error)?;
        let mut last = None;
        while let Some(update) = updates.next().await {
            if let Update::Histogram(histogram) = update.map_err(search_error)? {
                last = Some(histogram);
            }
        }
        let Some(histogram) = last else { return Ok(Vec::new()) };
        let step = i64::try_from(histogram.step_seconds).unwrap_or(i64::MAX);
        let bars = histogram.counts.iter().enumerate().map(|(place, count)| {
            let start = histogram.from.plus_secs(step.saturating_mul(place as i64));
            Bucket { start, end: start.plus_secs(step), count: *count }
        });
        Ok(bars.collect())
    }

    async fn field_facets(
        &self,
        ctx: &OpContext,
        request: &SearchRequest,
    ) -> Result<Vec<FieldFacet>, BackendError> {
        let want = Want {
            facets: FACETS.iter().map(|(field, _)| (*field).to_owned()).collect(),
            facet_values: FACET_VALUES,
            ..Want::default()
        };
        let mut request = self.request(ctx, request, want);
        request.limit = 0;
        let mut updates = self.searcher.search(ctx, request).map_err(search_error)?;
        let mut last = Vec::new();
        while let Some(update) = updates.next().await {
            if let Update::Facets(facets) = update.map_err(search_error)? {
                last = facets;
            }
        }
        let facets = last.into_iter().filter(|facet| !facet.values.is_empty()).map(|facet| {
            let label = FACETS.iter().find(|(field, _)| *field == facet.field).map_or("", |(_, label)| label);
            FieldFacet {
                label: if label.is_empty() { facet.field.clone() } else { label.to_owned() },
                field: facet.field,
                values: facet
                    .values
                    .into_iter()
                    .map(|(value, count)| FacetCount { label: value.clone(), value, count })
                    .collect(),
            }
        });
        Ok(facets.collect())
    }

    async fn complete(
        &self,
        ctx: &OpContext,
        query: &str,
        cursor: usize,
    ) -> Result<Vec<Completion>, BackendError> {
        let infos = self.field_infos(ctx).await?;
        let own = infos.iter().filter(|info| info.source).map(|info| info.name.as_str());
        let values = |field: &str| {
            infos
                .iter()
                .find(|info| info.name.eq_ignore_ascii_case(field))
                .map(|info| info.values.clone())
                .unwrap_or_default()
        };
        let found = language::completions(query, cursor, own, values);
        Ok(found
            .into_iter()
            .take(12)
            .map(|completion| Completion {
                insert: completion.text,
                from: completion.from,
                kind: match completion.kind {
                    language::CompletionKind::Field => "field",
                    language::CompletionKind::Value => "value",
                    language::CompletionKind::Stage | language::CompletionKind::Function => "command",
                    _ => "operator",
                }
                .to_owned(),
                help: completion.detail,
            })
            .collect())
    }

    async fn tail(
        &self,
        ctx: &OpContext,
        request: SearchRequest,
    ) -> Result<Answers<EventView>, BackendError> {
        // A query that cannot be read is refused now, not in the stream.
        let mut first = request.clone();
        first.limit = 0;
        drop(self.searcher.search(ctx, self.request(ctx, &first, Want::default())).map_err(search_error)?);
        let begin = ctx.at();
        let (updates, sender_side) = tokio::sync::mpsc::channel(TAIL_ROWS);
        let mut appended = self.appended.clone();
        let viewer = self.viewer();
        let searcher = self.searcher.clone();
        let ctx = ctx.clone();
        let request = StoreRequest {
            query: match request.language {
                SearchLanguage::Search => QueryText::Language(request.query),
                SearchLanguage::Sql => {
                    return Err(BackendError::Refused(
                        "a live tail takes the search language, not SQL".to_owned(),
                    ));
                }
            },
            from: Time::MIN,
            to: Time::MAX,
            limit: TAIL_ROWS,
            want: Want::default(),
        };
        tokio::spawn(async move {
            let mut seen: HashSet<EventId> = HashSet::new();
            let mut since = begin;
            loop {
                tokio::select! {
                    changed = appended.changed() => if changed.is_err() { return },
                    () = updates.closed() => return,
                }
                tokio::time::sleep(TAIL_PAUSE).await;
                let _ = appended.borrow_and_update();
                let Ok(mut found) = searcher.search(&ctx, request.clone()) else { continue };
                let mut fresh: Vec<ResultRow> = Vec::new();
                while let Some(update) = found.next().await {
                    if let Ok(Update::Rows(rows)) = update {
                        fresh.extend(
                            rows.into_iter().filter(|row| row.received >= since && !seen.contains(&row.id)),
                        );
                    }
                }
                fresh.sort_by(|a, b| (a.received, a.time).cmp(&(b.received, b.time)));
                if let Some(last) = fresh.last() {
                    if last.received > since {
                        since = last.received;
                        seen.clear();
                    }
                    seen.extend(fresh.iter().filter(|row| row.received >= since).map(|row| row.id.clone()));
                }
                for row in &fresh {
                    if updates.send(Ok(viewer.view(row))).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(tokio_stream::wrappers::ReceiverStream::new(sender_side).boxed())
    }

    async fn event(&self, ctx: &OpContext, id: &EventId) -> Result<Option<EventView>, BackendError> {
        self.event_near(ctx, id, None).await
    }

    fn term(&self, field: &str, value: &str) -> String {
        language::with_filter("", field, value, true).unwrap_or_default()
    }
}

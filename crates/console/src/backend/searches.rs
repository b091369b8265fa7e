//! Search over stored events, and events as pages show them.

use std::ops::Range;

use async_trait::async_trait;
use covigil_model::{Class, Event, EventId, Kind, OpContext, Severity, Status, Time};
use serde::{Deserialize, Serialize, Serializer};

use super::{Answers, BackendError, FacetCount};

/// In what a query is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchLanguage {
    /// The search language: terms, `field:value`, pipes.
    #[default]
    Search,
    /// SQL.
    Sql,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchRequest {
    /// The query; empty means all events.
    #[serde(default)]
    pub query: String,
    /// Its language.
    #[serde(default)]
    pub language: SearchLanguage,
    /// Events at or after.
    #[serde(default)]
    pub from: Option<Time>,
    /// Events before.
    #[serde(default)]
    pub to: Option<Time>,
    /// At most so many events; newest first.
    #[serde(default = "default_limit")]
    pub limit: usize,
}

const fn default_limit() -> usize {
    100
}

/// One field of an event under the source's own name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventField {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// Where the value stands in the original, in bytes, if it stands there as it is.
    #[serde(skip)]
    pub span: Option<Range<usize>>,
}

/// An event as pages and the JSON interface show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// Its id.
    pub id: EventId,
    /// When it happened.
    pub time: Time,
    /// When the node received it.
    pub received: Time,
    /// OCSF class.
    #[serde(serialize_with = "class_name")]
    pub class: Class,
    /// OCSF severity.
    pub severity: Severity,
    /// OCSF status.
    pub status: Status,
    /// The parser that read it.
    pub parser: String,
    /// Why it was not understood, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// OCSF columns, as path and value.
    #[serde(serialize_with = "as_map")]
    pub columns: Vec<(String, String)>,
    /// The source's own fields.
    pub fields: Vec<EventField>,
    /// The original.
    pub original: String,
}

fn class_name<S: Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(class.caption())
}

fn as_map<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

impl EventView {
    /// The value of an OCSF column by path.
    pub fn column(&self, path: &str) -> Option<&str> {
        self.columns.iter().find(|(name, _)| name == path).map(|(_, value)| value.as_str())
    }
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        let original_len = event.original().len();
        let fields = event
            .fields()
            .iter()
            .filter(|field| field.kind != Kind::Null)
            .map(|field| EventField {
                name: event.name(field).to_owned(),
                value: event.value(field).text.to_owned(),
                span: (!field.value.is_empty() && field.value.end() <= original_len)
                    .then(|| field.value.start()..field.value.end()),
            })
            .collect();
        Self {
            id: event.id.clone(),
            time: event.time,
            received: event.received,
            class: event.class,
            severity: event.severity,
            status: event.status,
            parser: event.parser.to_string(),
            failure: event.failure.clone(),
            columns: event
                .attrs()
                .iter()
                .map(|(attr, span)| (attr.path().to_owned(), event.slice(*span).to_owned()))
                .collect(),
            fields,
            original: event.original().to_owned(),
        }
    }
}

/// A piece of a search's answer, in the order in which they come.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "value")]
pub enum SearchItem {
    /// One event. Events come newest first.
    Event(Box<EventView>),
    /// The columns of the rows that follow, for a query that makes a table.
    Columns(Vec<String>),
    /// One row of a table.
    Row(Vec<String>),
    /// How far the search is, from 0 to 1.
    Progress(f64),
    /// The search is over.
    Done {
        /// Events looked at or ruled out by statistics.
        scanned: u64,
        /// Events or rows in the answer.
        found: u64,
        /// Whether more events match than the limit let through.
        more: bool,
    },
}

/// One bar of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Its begin.
    pub start: Time,
    /// Its end, where the next begins.
    pub end: Time,
    /// Events in it.
    pub count: u64,
}

/// The commonest values of a field among a search's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldFacet {
    /// The field as the query language names it.
    pub field: String,
    /// Its name for people.
    pub label: String,
    /// At most 10 values, most frequent first.
    pub values: Vec<FacetCount>,
}

/// Something that could stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// What to write, from byte `from` of the query to the cursor.
    pub insert: String,
    /// Byte offset of the text that it replaces.
    pub from: usize,
    /// What it is: `field`, `value`, `command`, `operator`.
    pub kind: String,
    /// A word of help.
    pub help: String,
}

/// Search.
#[async_trait]
pub trait Searches: Send + Sync {
    /// Runs a search. A query that cannot be read is refused here, before the stream.
    async fn search(
        &self,
        ctx: &OpContext,
        request: SearchRequest,
    ) -> Result<Answers<SearchItem>, BackendError>;
    /// About `buckets` bars over the request's time range, or over the range of its events.
    async fn histogram(
        &self,
        ctx: &OpContext,
        request: &SearchRequest,
        buckets: usize,
    ) -> Result<Vec<Bucket>, BackendError>;
    /// The commonest values of the fields that tell most.
    async fn field_facets(
        &self,
        ctx: &OpContext,
        request: &SearchRequest,
    ) -> Result<Vec<FieldFacet>, BackendError>;
    /// What could stand at byte `cursor` of a query; at most 12.
    async fn complete(
        &self,
        ctx: &OpContext,
        query: &str,
        cursor: usize,
    ) -> Result<Vec<Completion>, BackendError>;
    /// Events that match as they become searchable, without end. A consumer that is too slow
    /// misses events rather than holding anything up.
    async fn tail(&self, ctx: &OpContext, request: SearchRequest)
    -> Result<Answers<EventView>, BackendError>;
    /// One event.
    async fn event(&self, ctx: &OpContext, id: &EventId) -> Result<Option<EventView>, BackendError>;
    /// The query that finds `field` with exactly `value`, quoted as the language wants it.
    fn term(&self, field: &str, value: &str) -> String;
}

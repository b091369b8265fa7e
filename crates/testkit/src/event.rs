//! An event as the reference evaluators see it: names, values and kinds, nothing compiled.

use std::sync::Arc;

use covigil_model::{Event, EventId, Kind, LogSource, Time};

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainField {
    /// The name.
    pub name: String,
    /// The value's text; empty for null.
    pub value: String,
    /// The value's type.
    pub kind: Kind,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlainEvent {
    /// Place in its source.
    pub sequence: u64,
    /// When it happened, in nanoseconds since the epoch.
    pub time: i64,
    /// The original record.
    pub original: String,
    /// What kind of log it came from.
    pub log_source: LogSource,
    /// The fields; a name may occur more than once.
    pub fields: Vec<PlainField>,
}

impl PlainEvent {
    /// An event of text fields.
    pub fn of(time: i64, fields: &[(&str, &str)]) -> Self {
        let field = |(name, value): &(&str, &str)| PlainField {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            kind: Kind::Text,
        };
        Self { time, fields: fields.iter().map(field).collect(), ..Self::default() }
    }

    /// What a parser made, made plain.
    pub fn from_event(event: &Event) -> Self {
        Self {
            sequence: event.id.sequence,
            time: event.time.nanos(),
            original: event.original().to_owned(),
            log_source: event.log_source.clone(),
            fields: event
                .iter()
                .map(|(name, value)| PlainField {
                    name: name.to_owned(),
                    value: value.text.to_owned(),
                    kind: value.kind,
                })
                .collect(),
        }
    }

    /// The event as the engine takes it.
    pub fn to_event(&self) -> Event {
        let mut event = Event::from_original(&self.original);
        event.id = self.id();
        event.time = Time::from_nanos(self.time);
        event.log_source = self.log_source.clone();
        for field in &self.fields {
            event.add_field(&field.name, &field.value, field.kind);
        }
        event
    }

    /// The event's id.
    pub fn id(&self) -> EventId {
        EventId { source: Arc::from("test"), sequence: self.sequence }
    }

    /// All values of the fields of that name, nulls included.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a PlainField> {
        self.fields.iter().filter(move |field| field.name == name)
    }

    /// The first value of that name, unless it is null.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|field| field.name == name)
            .filter(|field| field.kind != Kind::Null)
            .map(|field| field.value.as_str())
    }
}

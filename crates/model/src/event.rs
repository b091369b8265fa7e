//! One normalised record that keeps its original.
//!
//! An [`Event`] is one block of text that begins with the original, and lists of spans into it:
//! the source's own fields, and the OCSF columns. A value that stands in the original unescaped is
//! not copied, and a column that repeats a field's value costs eight bytes. Events are made to be
//! reused: [`Event::reset`] keeps the allocations.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{
    log_source::LogSource,
    ocsf::{Attr, Class, Status},
    severity::Severity,
    time::Time,
};

/// Names one event: its source, and its place among that source's records, from 1, without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    /// The source's name on this node, without spaces or `#`.
    pub source: Arc<str>,
    /// The record's place.
    pub sequence: u64,
}

/// `source#sequence`.
impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.source, self.sequence)
    }
}

/// The text is not `source#sequence`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event id is written source#sequence")]
pub struct InvalidEventId;

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let (source, sequence) = text.rsplit_once('#').ok_or(InvalidEventId)?;
        if source.is_empty() {
            return Err(InvalidEventId);
        }
        Ok(Self { source: source.into(), sequence: sequence.parse().map_err(|_| InvalidEventId)? })
    }
}

impl serde::Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A stretch of an event's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The span of nothing.
    pub(crate) const EMPTY: Self = Self { start: 0, len: 0 };

    /// The span `start..end`; both are at most [`MAX_TEXT`] times a small factor, so they fit.
    pub(crate) const fn of(start: usize, end: usize) -> Self {
        Self { start: start as u32, len: (end - start) as u32 }
    }

    /// Byte offset of the span's begin in [`Event::text`].
    pub const fn start(self) -> usize {
        self.start as usize
    }

    /// Length in bytes.
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether the span is empty.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Byte offset of the span's end in [`Event::text`].
    pub const fn end(self) -> usize {
        self.start as usize + self.len as usize
    }
}

/// The type that a value had at its source. Its text is the same in each case: numbers as written,
/// `true` or `false`, and for null the empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text.
    Text,
    /// A number, as the source wrote it.
    Number,
    /// `true` or `false`.
    Bool,
    /// JSON's null: the field exists and has no value.
    Null,
}

/// A field's value: its text and its type at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// The text.
    pub text: &'a str,
    /// The type.
    pub kind: Kind,
}

/// One field under the source's own name. Nested names are joined by dots. A name may occur more
/// than once: each element of a list is one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name.
    pub name: Span,
    /// The value.
    pub value: Span,
    /// The value's type.
    pub kind: Kind,
}

/// The text of one event is at most this long; what would exceed it is cut.
pub const MAX_TEXT: usize = 32 << 20;

/// One normalised record. See the module's first paragraph for its form.
#[derive(Debug, Clone)]
pub struct Event {
    /// The event's name.
    pub id: EventId,
    /// When it happened, by its source's account; when it was received where the source is silent.
    pub time: Time,
    /// When the node received it.
    pub received: Time,
    /// The parser that read it.
    pub parser: Arc<str>,
    /// OCSF class.
    pub class: Class,
    /// OCSF `activity_id` within the class; 0 where unknown.
    pub activity: u8,
    /// OCSF `severity_id`.
    pub severity: Severity,
    /// OCSF `status_id`.
    pub status: Status,
    /// What kind of log it came from.
    pub log_source: LogSource,
    /// Why the parser did not understand the record; the original is kept all the same.
    pub failure: Option<String>,
    text: String,
    original_len: u32,
    fields: Vec<Field>,
    attrs: Vec<(Attr, Span)>,
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// An event of nothing, to be [`reset`](Self::reset).
    pub fn new() -> Self {
        Self {
            id: EventId { source: Arc::from(""), sequence: 0 },
            time: Time::default(),
            received: Time::default(),
            parser: Arc::from(""),
            class: Class::BASE,
            activity: 0,
            severity: Severity::Informational,
            status: Status::Unknown,
            log_source: LogSource::default(),
            failure: None,
            text: String::new(),
            original_len: 0,
            fields: Vec::new(),
            attrs: Vec::new(),
        }
    }

    /// An event whose original is `original`, without fields yet.
    pub fn from_original(original: &str) -> Self {
        let mut event = Self::new();
        event.reset(original);
        event
    }

    /// Forgets everything and begins anew with `original`, keeping the allocations. An original
    /// longer than [`MAX_TEXT`] is cut at a character boundary.
    pub fn reset(&mut self, original: &str) {
        let mut end = original.len().min(MAX_TEXT);
        while !original.is_char_boundary(end) {
            end -= 1;
        }
        self.time = Time::default();
        self.received = Time::default();
        self.class = Class::BASE;
        self.activity = 0;
        self.severity = Severity::Informational;
        self.status = Status::Unknown;
        self.log_source.clear();
        self.failure = None;
        self.text.clear();
        self.text.push_str(&original[..end]);
        self.original_len = end as u32;
        self.fields.clear();
        self.attrs.clear();
    }

    /// The original, as it came.
    pub fn original(&self) -> &str {
        &self.text[..self.original_len as usize]
    }

    /// The text that all spans refer to: the original, then what parsers appended.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a span of this event.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start()..span.end()).unwrap_or("")
    }

    /// The span of bytes `start..end` of [`text`](Self::text). Empty where the range is outside
    /// the text, or not at character boundaries.
    pub fn span(&self, start: usize, end: usize) -> Span {
        if self.text.get(start..end).is_none() {
            return Span::EMPTY;
        }
        Span { start: start as u32, len: (end - start) as u32 }
    }

    /// Appends text that does not stand in the original, and yields its span. Past [`MAX_TEXT`]
    /// nothing is appended, and the span is empty.
    pub fn append(&mut self, part: &str) -> Span {
        if self.text.len() + part.len() > MAX_TEXT {
            return Span::EMPTY;
        }
        let start = self.text.len() as u32;
        self.text.push_str(part);
        Span { start, len: part.len() as u32 }
    }

    /// Appends formatted text, as [`append`](Self::append).
    pub fn append_fmt(&mut self, part: fmt::Arguments<'_>) -> Span {
        let start = self.text.len();
        let _ = fmt::Write::write_fmt(&mut self.text, part);
        if self.text.len() > MAX_TEXT {
            self.text.truncate(start);
            return Span::EMPTY;
        }
        Span { start: start as u32, len: (self.text.len() - start) as u32 }
    }

    /// Adds a field by spans.
    pub fn push_field(&mut self, name: Span, value: Span, kind: Kind) {
        self.fields.push(Field { name, value, kind });
    }

    /// Adds a field by text, appending both.
    pub fn add_field(&mut self, name: &str, value: &str, kind: Kind) {
        let name = self.append(name);
        let value = self.append(value);
        self.push_field(name, value, kind);
    }

    /// Adds a text field whose value is a span of this event.
    pub fn add_span_field(&mut self, name: &str, value: Span) {
        let name = self.append(name);
        self.push_field(name, value, Kind::Text);
    }

    /// All fields, in the order of the source.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Changes the fields in place: renaming, dropping, reordering.
    pub fn fields_mut(&mut self) -> &mut Vec<Field> {
        &mut self.fields
    }

    /// The name of a field of this event.
    pub fn name(&self, field: &Field) -> &str {
        self.slice(field.name)
    }

    /// The value of a field of this event.
    pub fn value(&self, field: &Field) -> Value<'_> {
        Value { text: self.slice(field.value), kind: field.kind }
    }

    /// The first field of that exact name.
    pub fn field(&self, name: &str) -> Option<Value<'_>> {
        self.find(name).map(|f| self.value(&f))
    }

    /// The first field of that exact name, by spans.
    pub fn find(&self, name: &str) -> Option<Field> {
        self.fields.iter().find(|f| self.slice(f.name) == name).copied()
    }

    /// The text and the fields, for parsers of this crate that write both.
    pub(crate) fn parts_mut(&mut self) -> (&mut String, &mut Vec<Field>) {
        (&mut self.text, &mut self.fields)
    }

    /// All fields as names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.fields.iter().map(|f| (self.name(f), self.value(f)))
    }

    /// Sets an OCSF column to a span. A column is set once; the first value stays.
    pub fn set_attr(&mut self, attr: Attr, value: Span) {
        if !self.attrs.iter().any(|(have, _)| *have == attr) {
            self.attrs.push((attr, value));
        }
    }

    /// Sets an OCSF column to text, appending it.
    pub fn set_attr_text(&mut self, attr: Attr, value: &str) {
        let value = self.append(value);
        self.set_attr(attr, value);
    }

    /// The text of an OCSF column.
    pub fn attr(&self, attr: Attr) -> Option<&str> {
        self.attrs.iter().find(|(have, _)| *have == attr).map(|(_, span)| self.slice(*span))
    }

    /// All OCSF columns that are set, in no particular order.
    pub fn attrs(&self) -> &[(Attr, Span)] {
        &self.attrs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_refer_to_the_original_and_to_what_was_appended() {
        let mut event = Event::from_original("user=bob");
        let value = event.span(5, 8);
        event.add_span_field("user", value);
        event.set_attr(Attr::UserName, value);
        event.add_field("n", "7", Kind::Number);
        assert_eq!(event.original(), "user=bob");
        assert_eq!(event.field("user").map(|v| v.text), Some("bob"));
        assert_eq!(event.attr(Attr::UserName), Some("bob"));
        assert_eq!(event.field("n"), Some(Value { text: "7", kind: Kind::Number }));
        event.reset("x");
        assert!(event.fields().is_empty() && event.attrs().is_empty());
    }

    #[test]
    fn bad_spans_are_empty() {
        let event = Event::from_original("é");
        assert!(event.span(0, 1).is_empty());
        assert!(event.span(0, 99).is_empty());
        assert!(event.span(5, 2).is_empty());
    }

    #[test]
    fn event_ids_round_trip() {
        let id = EventId { source: "file:a#b".into(), sequence: 7 };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("nothing".parse::<EventId>().is_err());
    }
}

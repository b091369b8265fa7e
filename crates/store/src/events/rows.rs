//! Reading events back from batches, whether from memory or from files.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{
        Array, AsArray as _, Int32Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType},
};
use covigil_model::{EventId, Kind, Time};
use rustc_hash::FxHashMap;

use super::{
    error::EventsError,
    original::{
        template::{Template, Values},
        timestamp::Format,
        unmapped::ObjectReader,
    },
    schema::{self, column, index},
    signature::SignatureBuilder,
};

/// One event as it was stored: what a parser needs to read it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The event's name.
    pub id: EventId,
    /// When it happened, by its source's account.
    pub time: Time,
    /// When the node received it, to the microsecond.
    pub received: Time,
    /// The parser that read it.
    pub parser: Arc<str>,
    /// The original, as it came.
    pub original: String,
}

/// The rows of a batch as events.
///
/// The batch needs the columns that are asked for: all of the schema for [`original`](Self::original)
/// and [`source_fields`](Self::source_fields). Columns are found by name; text may be of any of
/// Arrow's text types.
pub struct Rows {
    texts: Vec<Option<StringViewArray>>,
    longs: Vec<Option<Int64Array>>,
    nanos: Option<Int32Array>,
    time: Option<TimestampMicrosecondArray>,
    received: Option<TimestampMicrosecondArray>,
    templates: FxHashMap<Box<str>, Option<Arc<Template>>>,
    last: Option<(Box<str>, Option<Arc<Template>>)>,
    unmapped: Vec<Box<str>>,
}

/// Templates kept apart at a time.
const MAX_TEMPLATES: usize = 4_096;

impl Rows {
    /// The rows of `batch`.
    pub fn new(batch: &RecordBatch) -> Result<Self, EventsError> {
        let mut rows = Self {
            texts: vec![None; index::COUNT],
            longs: vec![None; index::COUNT],
            nanos: None,
            time: None,
            received: None,
            templates: FxHashMap::default(),
            last: None,
            unmapped: Vec::new(),
        };
        rows.load(batch)?;
        Ok(rows)
    }

    /// Goes on with another batch, keeping what was learned about templates.
    pub fn load(&mut self, batch: &RecordBatch) -> Result<(), EventsError> {
        let schema = schema::schema();
        self.texts.fill(None);
        self.longs.fill(None);
        (self.nanos, self.time, self.received) = (None, None, None);
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let Some(place) = schema::place(field.name()) else { continue };
            let kind = schema.field(place).data_type();
            let array = if array.data_type() == kind { array.clone() } else { cast(array, kind)? };
            match kind {
                DataType::Utf8View => self.texts[place] = Some(array.as_string_view().clone()),
                DataType::Int64 => self.longs[place] = Some(array.as_primitive::<Int64Type>().clone()),
                DataType::Int32 if place == index::TIME_NANOS => {
                    self.nanos = Some(array.as_primitive::<Int32Type>().clone());
                }
                DataType::Timestamp(..) => {
                    let times = array.as_primitive::<TimestampMicrosecondType>().clone();
                    *(if place == index::TIME { &mut self.time } else { &mut self.received }) = Some(times);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The text of a text column; `None` where it is null or not in the batch.
    pub(crate) fn text(&self, place: usize, row: usize) -> Option<&str> {
        let array = self.texts.get(place)?.as_ref()?;
        array.is_valid(row).then(|| array.value(row))
    }

    fn long(&self, place: usize, row: usize) -> Option<i64> {
        let array = self.longs.get(place)?.as_ref()?;
        array.is_valid(row).then(|| array.value(row))
    }

    /// When it happened.
    pub fn time(&self, row: usize) -> Time {
        let Some(times) = &self.time else { return Time::default() };
        let nanos = self.nanos.as_ref().filter(|n| n.is_valid(row)).map_or(0, |n| i64::from(n.value(row)));
        Time::from_micros(times.value(row)).plus_nanos(nanos)
    }

    /// When the node received it.
    pub fn received(&self, row: usize) -> Time {
        self.received.as_ref().map_or(Time::default(), |times| Time::from_micros(times.value(row)))
    }

    /// The event's name.
    pub fn id(&self, row: usize) -> EventId {
        let source = self.text(index::SOURCE, row).unwrap_or("").into();
        EventId { source, sequence: self.long(index::SEQUENCE, row).unwrap_or(0).unsigned_abs() }
    }

    /// Appends the original to `out`; false where the row is damaged or lacks a column it needs.
    pub fn original_into(&mut self, row: usize, out: &mut String) -> bool {
        if let Some(raw) = self.text(index::RAW, row) {
            out.push_str(raw);
            return true;
        }
        let Some(template) = self.template(row) else { return false };
        if template.uses_unmapped {
            self.load_unmapped(row);
        }
        template.expand(&Row { rows: self, row }, out)
    }

    /// The original, as it came. `None` where the row is damaged or lacks a column it needs.
    pub fn original(&mut self, row: usize) -> Option<String> {
        let mut out = String::new();
        self.original_into(row, &mut out).then_some(out)
    }

    /// The whole event, to be read again by its parser.
    pub fn stored(&mut self, row: usize) -> Option<StoredEvent> {
        let original = self.original(row)?;
        Some(StoredEvent {
            id: self.id(row),
            time: self.time(row),
            received: self.received(row),
            parser: self.text(index::PARSER, row).unwrap_or("").into(),
            original,
        })
    }

    /// The source's own fields by name, value and type, without the parser: those in columns first,
    /// then the unmapped. A number in a column is said to be text.
    pub fn source_fields(&self, row: usize) -> Vec<(String, String, Kind)> {
        let mut fields = Vec::new();
        for (name, place, _) in ObjectReader::new(self.text(index::FIELD_MAP, row).unwrap_or("")) {
            let value = match place.strip_prefix("time|") {
                Some(code) => Format::decode(code).map(|format| {
                    let mut out = String::new();
                    format.write(self.time(row), &mut out);
                    out
                }),
                None => self.column_text(&place, row).map(Cow::into_owned),
            };
            fields.extend(value.map(|value| (name.into_owned(), value, Kind::Text)));
        }
        let rest = ObjectReader::new(self.text(index::UNMAPPED, row).unwrap_or(""));
        fields.extend(rest.map(|(name, value, kind)| (name.into_owned(), value.into_owned(), kind)));
        fields
    }

    /// All values of one source field: what [`source_fields`](Self::source_fields) has under that
    /// name.
    pub fn source_field(&self, row: usize, name: &str) -> Vec<String> {
        self.source_fields(row).into_iter().filter(|(n, ..)| n == name).map(|(_, value, _)| value).collect()
    }

    /// The text of any text or integer column of the batch.
    pub fn column_text(&self, name: &str, row: usize) -> Option<Cow<'_, str>> {
        let place = schema::place(name)?;
        match self.text(place, row) {
            Some(text) => Some(Cow::Borrowed(text)),
            None => self.long(place, row).map(|n| Cow::Owned(n.to_string())),
        }
    }

    fn template(&mut self, row: usize) -> Option<Arc<Template>> {
        let text = self.texts[index::RAW_TEMPLATE].as_ref().filter(|a| a.is_valid(row))?.value(row);
        if let Some((last, template)) = &self.last
            && **last == *text
        {
            return template.clone();
        }
        let template = match self.templates.get(text) {
            Some(template) => template.clone(),
            None => {
                let template = Template::parse(text).map(Arc::new);
                if self.templates.len() >= MAX_TEMPLATES {
                    self.templates.clear();
                }
                self.templates.insert(text.into(), template.clone());
                template
            }
        };
        self.last = Some((text.into(), template.clone()));
        template
    }

    fn load_unmapped(&mut self, row: usize) {
        let mut unmapped = std::mem::take(&mut self.unmapped);
        unmapped.clear();
        let object = self.text(index::UNMAPPED, row).unwrap_or("");
        unmapped.extend(ObjectReader::new(object).map(|(_, value, _)| Box::from(value)));
        self.unmapped = unmapped;
    }

    /// Adds the row to a signature: its original, every text column that a search looks into, the
    /// unmapped values as they were before escaping, and the whole values of some columns.
    pub(crate) fn sign(&mut self, row: usize, original: &mut String, signature: &mut SignatureBuilder) {
        original.clear();
        let template = if self.text(index::RAW, row).is_none() { self.template(row) } else { None };
        if self.original_into(row, original) {
            signature.text(original);
        }
        let verbatim = template.map_or(0, |t| t.verbatim);
        for place in searched_columns() {
            if verbatim & (1 << place) == 0
                && let Some(text) = self.text(*place, row)
            {
                signature.text_again(*place, text);
            }
        }
        if let Some(object) = self.text(index::UNMAPPED, row) {
            signature.text(object);
            if memchr::memchr(b'\\', object.as_bytes()).is_some() {
                for (_, value, _) in ObjectReader::new(object) {
                    if let Cow::Owned(value) = value {
                        signature.text(&value);
                    }
                }
            }
        }
        for place in schema::value_columns() {
            if let Some(value) = self.text(place, row) {
                signature.value(place, value);
            }
        }
        signature.end_row();
    }
}

/// Text columns to be signed besides the original and `unmapped`.
fn searched_columns() -> &'static [usize] {
    static PLACES: std::sync::LazyLock<Vec<usize>> = std::sync::LazyLock::new(|| {
        (0..index::COUNT)
            .filter(|place| {
                let name = schema::name(*place);
                schema::is_searched_text(name) && !matches!(name, column::RAW | column::UNMAPPED)
            })
            .collect()
    });
    &PLACES
}

/// One row, for filling templates.
struct Row<'a> {
    rows: &'a Rows,
    row: usize,
}

impl Values for Row<'_> {
    fn column(&self, place: usize, append: &mut dyn FnMut(&str)) -> bool {
        if let Some(text) = self.rows.text(place, self.row) {
            append(text);
            return true;
        }
        let Some(number) = self.rows.long(place, self.row) else { return false };
        append(&number.to_string());
        true
    }

    fn unmapped(&self, place: u32, append: &mut dyn FnMut(&str)) -> bool {
        let Some(value) = self.rows.unmapped.get(place as usize) else { return false };
        append(value);
        true
    }

    fn time(&self) -> Time {
        self.rows.time(self.row)
    }
}

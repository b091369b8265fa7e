//! Events to Arrow batches.
//!
//! All text of a batch lies in one block of memory, and the columns are views into it: equal
//! successive values and repeated shapes are stored once, and columns that no event of the batch
//! uses share one array of nulls.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, Int32Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray, make_view,
        new_null_array,
    },
    buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer},
    datatypes::DataType,
};
use covigil_model::{Event, Time, ocsf::AttrType};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    error::EventsError,
    field_names::FieldNames,
    original::cut::{Cut, integer},
    rows::Rows,
    schema::{self, index},
};

/// A batch is closed when its text exceeds this many bytes.
const MAX_TEXT: usize = 64 << 20;
/// Templates with more own text than this are not worth keeping apart.
const MAX_LITERAL: usize = 4_096;
/// Shapes of records remembered as seen.
const MAX_SEEN: usize = 1 << 16;

/// A batch and what it occupies.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) rows: RecordBatch,
    /// Bytes of memory, shared parts counted once.
    pub(crate) bytes: usize,
}

/// Makes batches; remembers the shapes of records between them.
#[derive(Default)]
pub(crate) struct Batcher {
    cut: Cut,
    /// Hashes of templates that occurred. A template is used from its second occurrence on, so that
    /// records of which no two are alike do not fill the dictionary.
    seen: FxHashSet<u64>,
    /// Source field names and their columns, as far as known to this batcher.
    pub(crate) names: FieldNames,
    /// Whether `names` has grown since it was last taken.
    pub(crate) grown: bool,
}

impl Batcher {
    /// A batcher that knows these field names.
    pub(crate) fn new(names: FieldNames) -> Self {
        Self { names, ..Self::default() }
    }

    /// Makes batches of the events, in their order. Most often it is one.
    pub(crate) fn batches(&mut self, events: &[Event]) -> Result<Vec<Batch>, EventsError> {
        let mut batches = Vec::new();
        let mut rest = events;
        while !rest.is_empty() {
            let (batch, taken) = self.one(rest, &FxHashSet::default())?;
            let (now, later) = rest.split_at(taken);
            let wrong = mismatches(&batch.rows, now);
            // Never seen; but an original must come back as it was, so it is checked, not assumed.
            let batch = if wrong.is_empty() {
                batch
            } else {
                tracing::error!(
                    events = wrong.len(),
                    "a template did not yield the original; it is stored whole"
                );
                self.one(now, &wrong)?.0
            };
            batches.push(batch);
            rest = later;
        }
        Ok(batches)
    }

    fn one(&mut self, events: &[Event], whole: &FxHashSet<usize>) -> Result<(Batch, usize), EventsError> {
        let mut columns = Columns::new(events.len());
        let mut taken = 0;
        for (row, event) in events.iter().enumerate() {
            if columns.text.len() > MAX_TEXT {
                break;
            }
            self.push(event, row, whole.contains(&row), &mut columns);
            taken += 1;
        }
        Ok((columns.finish(taken)?, taken))
    }

    fn push(&mut self, event: &Event, row: usize, whole: bool, columns: &mut Columns) {
        columns.time.push(event.time.micros());
        columns.received.push(event.received.micros());
        columns.sequence.push(event.id.sequence.min(i64::MAX as u64) as i64);
        columns.class.push(event.class.0.min(i32::MAX as u32) as i32);
        columns.activity.push(i32::from(event.activity));
        columns.severity.push(i32::from(event.severity.ocsf_id()));
        columns.status.push(i32::from(event.status.ocsf_id()));
        let nanos = event.time.nanos().rem_euclid(1_000);
        if nanos != 0 {
            columns.long(index::TIME_NANOS, row, nanos);
        }
        columns.text(index::SOURCE, row, &event.id.source);
        columns.text(index::PARSER, row, &event.parser);
        if !event.log_source.product.is_empty() {
            columns.text(index::LOG_PRODUCT, row, &event.log_source.product);
        }
        for (place, labels) in [
            (index::LOG_SERVICE, &event.log_source.services),
            (index::LOG_CATEGORY, &event.log_source.categories),
        ] {
            match labels.as_slice() {
                [] => {}
                [one] => columns.text(place, row, one),
                more => columns.text(place, row, &more.join(",")),
            }
        }
        if let Some(failure) = &event.failure {
            columns.text(index::FAILURE, row, failure);
        }
        for (attr, span) in event.attrs() {
            let text = event.slice(*span);
            match attr.kind() {
                AttrType::Text => columns.text(index::of(*attr), row, text),
                AttrType::Integer => {
                    if let Some(number) = integer(text) {
                        columns.long(index::of(*attr), row, number);
                    }
                }
            }
        }
        self.cut.divide(event, event.time, &self.names);
        if !self.cut.unmapped.is_empty() {
            columns.text(index::UNMAPPED, row, &self.cut.unmapped);
        }
        if !self.cut.field_map.is_empty() && columns.shape(index::FIELD_MAP, row, &self.cut.field_map) {
            self.grown |= self.names.add_map(&self.cut.field_map);
        }
        if !whole && self.worth(columns) {
            columns.shape(index::RAW_TEMPLATE, row, &self.cut.template);
        } else {
            columns.text(index::RAW, row, event.original());
        }
    }

    /// Whether the template of the event just divided pays.
    fn worth(&mut self, columns: &Columns) -> bool {
        let template = &self.cut.template;
        if template.is_empty() {
            return false;
        }
        if columns.shapes.contains_key(template.as_str()) {
            return true;
        }
        if self.cut.literal > MAX_LITERAL {
            return false;
        }
        if self.seen.len() >= MAX_SEEN {
            self.seen.clear();
        }
        use std::hash::BuildHasher as _;
        !self.seen.insert(rustc_hash::FxBuildHasher.hash_one(template))
    }
}

/// The rows whose original does not come back.
fn mismatches(batch: &RecordBatch, events: &[Event]) -> FxHashSet<usize> {
    let Ok(rows) = Rows::new(batch) else { return (0..events.len()).collect() };
    let mut rows = rows;
    let mut original = String::new();
    let mut wrong = FxHashSet::default();
    for (row, event) in events.iter().enumerate() {
        original.clear();
        if !rows.original_into(row, &mut original) || original != event.original() {
            wrong.insert(row);
        }
    }
    wrong
}

/// A batch in the making.
struct Columns {
    text: Vec<u8>,
    time: Vec<i64>,
    received: Vec<i64>,
    sequence: Vec<i64>,
    class: Vec<i32>,
    activity: Vec<i32>,
    severity: Vec<i32>,
    status: Vec<i32>,
    texts: Vec<Option<Sparse<u128>>>,
    longs: Vec<Option<Sparse<i64>>>,
    shapes: FxHashMap<Box<str>, u128>,
    capacity: usize,
}

/// A column of which not every row has a value.
struct Sparse<T> {
    values: Vec<T>,
    valid: Vec<u8>,
}

impl<T: Copy + Default> Sparse<T> {
    fn new(rows: usize) -> Self {
        Self { values: vec![T::default(); rows], valid: vec![0; rows.div_ceil(8)] }
    }

    fn set(&mut self, row: usize, value: T) {
        self.values[row] = value;
        self.valid[row / 8] |= 1 << (row % 8);
    }

    fn has(&self, row: usize) -> bool {
        self.valid[row / 8] & (1 << (row % 8)) != 0
    }

    fn nulls(valid: Vec<u8>, rows: usize) -> NullBuffer {
        NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(valid), 0, rows))
    }
}

impl Columns {
    fn new(capacity: usize) -> Self {
        Self {
            text: Vec::new(),
            time: Vec::with_capacity(capacity),
            received: Vec::with_capacity(capacity),
            sequence: Vec::with_capacity(capacity),
            class: Vec::with_capacity(capacity),
            activity: Vec::with_capacity(capacity),
            severity: Vec::with_capacity(capacity),
            status: Vec::with_capacity(capacity),
            texts: (0..index::COUNT).map(|_| None).collect(),
            longs: (0..index::COUNT).map(|_| None).collect(),
            shapes: FxHashMap::default(),
            capacity,
        }
    }

    /// Stores a text in the block and yields its view.
    fn view(text: &mut Vec<u8>, value: &str) -> u128 {
        let offset = text.len() as u32;
        if value.len() > 12 {
            text.extend_from_slice(value.as_bytes());
        }
        make_view(value.as_bytes(), 0, offset)
    }

    fn text(&mut self, place: usize, row: usize, value: &str) {
        let column = self.texts[place].get_or_insert_with(|| Sparse::new(self.capacity));
        let previous = row.checked_sub(1).filter(|r| column.has(*r)).map(|r| column.values[r]);
        let view = match previous {
            Some(view) if equal(&self.text, view, value) => view,
            _ => Self::view(&mut self.text, value),
        };
        column.set(row, view);
    }

    /// Sets a text of which there are few. Whether it is the first of its kind in the batch.
    fn shape(&mut self, place: usize, row: usize, value: &str) -> bool {
        let known = self.shapes.get(value).copied();
        let view = known.unwrap_or_else(|| {
            let view = Self::view(&mut self.text, value);
            self.shapes.insert(value.into(), view);
            view
        });
        self.texts[place].get_or_insert_with(|| Sparse::new(self.capacity)).set(row, view);
        known.is_none()
    }

    fn long(&mut self, place: usize, row: usize, value: i64) {
        self.longs[place].get_or_insert_with(|| Sparse::new(self.capacity)).set(row, value);
    }

    fn finish(self, rows: usize) -> Result<Batch, EventsError> {
        let mut bytes = self.text.len() + rows * (3 * 8 + 4 * 4);
        let block = Buffer::from_vec(self.text);
        let schema = schema::schema();
        let no_text = new_null_array(&DataType::Utf8View, rows);
        let no_long = new_null_array(&DataType::Int64, rows);
        let no_int = new_null_array(&DataType::Int32, rows);
        bytes += rows * (16 + 8 + 4);
        let time = |values: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(index::COUNT);
        let mut required: FxHashMap<usize, ArrayRef> = FxHashMap::default();
        required.insert(index::TIME, time(self.time));
        required.insert(index::RECEIVED, time(self.received));
        required.insert(index::SEQUENCE, Arc::new(Int64Array::from(self.sequence)));
        required.insert(index::CLASS, Arc::new(Int32Array::from(self.class)));
        required.insert(index::ACTIVITY, Arc::new(Int32Array::from(self.activity)));
        required.insert(index::SEVERITY, Arc::new(Int32Array::from(self.severity)));
        required.insert(index::STATUS, Arc::new(Int32Array::from(self.status)));
        let cells = self.texts.into_iter().zip(self.longs);
        for (place, (text, long)) in cells.enumerate() {
            if let Some(array) = required.remove(&place) {
                columns.push(array);
                continue;
            }
            let array: ArrayRef = match (schema.field(place).data_type(), text, long) {
                (DataType::Utf8View, Some(mut column), _) => {
                    bytes += rows * 16 + rows / 8;
                    column.values.truncate(rows);
                    Arc::new(StringViewArray::try_new(
                        ScalarBuffer::from(column.values),
                        vec![block.clone()],
                        Some(Sparse::<u128>::nulls(column.valid, rows)),
                    )?)
                }
                (DataType::Int64, _, Some(mut column)) => {
                    bytes += rows * 8 + rows / 8;
                    column.values.truncate(rows);
                    Arc::new(Int64Array::new(
                        column.values.into(),
                        Some(Sparse::<i64>::nulls(column.valid, rows)),
                    ))
                }
                (DataType::Int32, _, Some(column)) => {
                    bytes += rows * 4 + rows / 8;
                    let values: Vec<i32> = column.values[..rows].iter().map(|n| *n as i32).collect();
                    Arc::new(Int32Array::new(values.into(), Some(Sparse::<i64>::nulls(column.valid, rows))))
                }
                (DataType::Utf8View, None, _) => no_text.clone(),
                (DataType::Int32, ..) => no_int.clone(),
                _ => no_long.clone(),
            };
            columns.push(array);
        }
        Ok(Batch { rows: RecordBatch::try_new(schema, columns)?, bytes })
    }
}

/// Whether a view's text is `value`.
fn equal(block: &[u8], view: u128, value: &str) -> bool {
    let len = view as u32 as usize;
    if len != value.len() {
        return false;
    }
    if len <= 12 {
        return view == make_view(value.as_bytes(), 0, 0);
    }
    let offset = (view >> 96) as usize;
    block.get(offset..offset + len) == Some(value.as_bytes())
}

/// Joins batches into one, leaving unused columns unused.
pub(crate) fn concat(batches: &[Batch]) -> Result<Batch, EventsError> {
    if let [one] = batches {
        return Ok(one.clone());
    }
    let schema = schema::schema();
    let rows: usize = batches.iter().map(|b| b.rows.num_rows()).sum();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(index::COUNT);
    let mut nulls: FxHashMap<DataType, ArrayRef> = FxHashMap::default();
    for place in 0..index::COUNT {
        let parts: Vec<&dyn arrow::array::Array> =
            batches.iter().map(|b| b.rows.column(place).as_ref()).collect();
        if parts.iter().all(|p| p.null_count() == p.len()) {
            let kind = schema.field(place).data_type();
            columns.push(nulls.entry(kind.clone()).or_insert_with(|| new_null_array(kind, rows)).clone());
        } else {
            columns.push(arrow::compute::concat(&parts)?);
        }
    }
    let bytes = batches.iter().map(|b| b.bytes).sum();
    Ok(Batch { rows: RecordBatch::try_new(schema, columns)?, bytes })
}

/// The least and the greatest of a batch's times, as microseconds.
pub(crate) fn time_range(batch: &RecordBatch) -> Option<(Time, Time)> {
    let times = batch.column(index::TIME).as_any().downcast_ref::<TimestampMicrosecondArray>()?;
    let (least, greatest) = (arrow::compute::min(times)?, arrow::compute::max(times)?);
    Some((Time::from_micros(least), Time::from_micros(greatest).plus_nanos(999)))
}

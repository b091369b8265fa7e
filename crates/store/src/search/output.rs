//! One value per event under the name that a person asked for: what facets count and tables hold.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray, StringViewBuilder,
        TimestampMicrosecondArray, new_null_array,
    },
    compute::cast,
    datatypes::{DataType, Field, Int64Type, TimeUnit, TimestampMicrosecondType},
};

use super::{
    SearchError,
    language::fields::{self, Column, Meaning, Way},
    predicate::Originals,
};
use crate::events::{
    EventSnapshot, Rows, event_schema,
    schema::{self, index},
};

/// A value to be had from every event.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// What it is called.
    pub(super) name: String,
    from: Origin,
}

#[derive(Debug, Clone)]
enum Origin {
    /// A column as it is stored, by its place.
    Stored(usize),
    /// The first of these columns that is set, for a person: words instead of ids.
    Columns(Vec<Column>),
    /// The source's own field.
    Source(String),
    /// The original.
    Original,
    /// The begin of the stretch of time, of so many microseconds, that the event is in.
    Stretch(i64),
}

impl Output {
    /// What a person means by a field's name.
    pub(super) fn named(name: &str) -> Self {
        let from = match fields::meaning(name) {
            Meaning::Columns([Column::Original]) => Origin::Original,
            Meaning::Columns(columns) => Origin::Columns(columns.to_vec()),
            Meaning::Source(source) => Origin::Source(source),
        };
        Self { name: name.to_owned(), from }
    }

    /// The begin of the stretch of time, of so many seconds, that the event is in.
    pub(super) fn stretch(name: &str, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000).max(1);
        Self { name: name.to_owned(), from: Origin::Stretch(micros) }
    }

    /// The event's time under another name.
    pub(super) fn time(name: &str) -> Self {
        Self { name: name.to_owned(), from: Origin::Columns(vec![Column::Time]) }
    }

    /// Whether it is a field of the source's own, whose text may be a number.
    pub(super) fn is_source(&self) -> bool {
        matches!(self.from, Origin::Source(_))
    }

    /// Every stored column as it is, and the original: the columns of the table `events` in SQL.
    pub(super) fn table() -> Vec<Self> {
        let stored = (0..index::COUNT)
            .filter(|place| !matches!(*place, index::RAW | index::RAW_TEMPLATE | index::FIELD_MAP))
            .map(|place| Self { name: schema::name(place).to_owned(), from: Origin::Stored(place) });
        stored.chain([Self { name: Column::Original.name().to_owned(), from: Origin::Original }]).collect()
    }

    /// The stored column that it is, by its place.
    pub(super) fn stored(&self) -> Option<usize> {
        match self.from {
            Origin::Stored(place) => Some(place),
            _ => None,
        }
    }

    /// Whether it is the original.
    pub(super) fn is_original(&self) -> bool {
        matches!(self.from, Origin::Original)
    }

    /// Places of the columns that it is made of.
    pub(super) fn places(&self, snapshot: &EventSnapshot) -> BTreeSet<usize> {
        match &self.from {
            Origin::Stored(place) => BTreeSet::from([*place]),
            Origin::Stretch(_) => BTreeSet::from([index::TIME]),
            Origin::Columns(columns) => {
                columns.iter().filter_map(|column| schema::place(column.name())).collect()
            }
            Origin::Original => (0..index::COUNT).collect(),
            Origin::Source(source) => {
                let held = snapshot
                    .fields
                    .iter()
                    .filter(|(field, _)| field.eq_ignore_ascii_case(source))
                    .flat_map(|(_, columns)| columns)
                    .filter_map(|column| schema::place(column.split('|').next().unwrap_or(column)));
                let mut places: BTreeSet<usize> = held.collect();
                if places.contains(&index::TIME) {
                    places.insert(index::TIME_NANOS);
                }
                places.extend([index::FIELD_MAP, index::UNMAPPED]);
                places
            }
        }
    }

    /// Its type.
    pub(super) fn data_type(&self) -> DataType {
        match &self.from {
            Origin::Stored(place) => event_schema().field(*place).data_type().clone(),
            Origin::Original | Origin::Source(_) => DataType::Utf8View,
            Origin::Stretch(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Origin::Columns(columns) => match columns.first().map(|column| column.way()) {
                Some(Way::Time) if columns.len() == 1 => {
                    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
                }
                Some(Way::Number) if columns.iter().all(|column| column.way() == Way::Number) => {
                    DataType::Int64
                }
                _ => DataType::Utf8View,
            },
        }
    }

    /// As a field of a schema.
    pub(super) fn field(&self) -> Field {
        Field::new(&self.name, self.data_type(), true)
    }

    /// Its values for a batch that has the columns at [`places`](Self::places).
    pub(super) fn array(&self, batch: &RecordBatch) -> Result<ArrayRef, SearchError> {
        let len = batch.num_rows();
        let data_type = self.data_type();
        let column = |place: usize| batch.column_by_name(schema::name(place)).cloned();
        Ok(match &self.from {
            Origin::Stored(place) => column(*place).unwrap_or_else(|| new_null_array(&data_type, len)),
            Origin::Original => {
                let mut originals = Originals::default();
                let mut out = StringViewBuilder::with_capacity(len);
                let loaded = originals.load(batch);
                for row in 0..len {
                    out.append_option(if loaded { originals.get(row) } else { None });
                }
                Arc::new(out.finish())
            }
            Origin::Source(source) => source_values(batch, source)?,
            Origin::Stretch(micros) => match column(index::TIME) {
                Some(times) => {
                    let begins: TimestampMicrosecondArray = times
                        .as_primitive::<TimestampMicrosecondType>()
                        .unary(|time| time.div_euclid(*micros) * micros);
                    Arc::new(begins.with_timezone("UTC"))
                }
                None => new_null_array(&data_type, len),
            },
            Origin::Columns(columns) => {
                let mut merged: Option<ArrayRef> = None;
                for one in columns {
                    let Some(array) = schema::place(one.name()).and_then(column) else { continue };
                    if array.null_count() == len && len > 0 {
                        continue;
                    }
                    let array = for_person(*one, &array, &data_type)?;
                    merged = Some(match merged {
                        None => array,
                        Some(first) if first.null_count() == 0 => first,
                        Some(first) => first_set(&first, &array)?,
                    });
                }
                merged.unwrap_or_else(|| new_null_array(&data_type, len))
            }
        })
    }
}

/// A column's values in the wanted type, ids as words.
fn for_person(column: Column, array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, SearchError> {
    if column.way() == Way::Named {
        let numbers = cast(array, &DataType::Int64)?;
        let numbers: &Int64Array = numbers.as_primitive::<Int64Type>();
        let words: StringViewArray = numbers
            .iter()
            .map(|number| {
                number.map(|n| fields::word_of_number(column, n).map_or_else(|| n.to_string(), str::to_owned))
            })
            .collect();
        return Ok(Arc::new(words));
    }
    if array.data_type() == wanted { Ok(array.clone()) } else { Ok(cast(array, wanted)?) }
}

/// Of each row the first array's value, or the second's where that is null.
fn first_set(first: &ArrayRef, second: &ArrayRef) -> Result<ArrayRef, SearchError> {
    let choice: Vec<(usize, usize)> =
        (0..first.len()).map(|row| (usize::from(first.is_null(row)), row)).collect();
    Ok(arrow::compute::interleave(&[first, second], &choice)?)
}

fn source_values(batch: &RecordBatch, source: &str) -> Result<ArrayRef, SearchError> {
    let rows = Rows::new(batch)?;
    let mut out = StringViewBuilder::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let fields = rows.source_fields(row);
        out.append_option(
            fields.iter().find(|(name, ..)| name.eq_ignore_ascii_case(source)).map(|(_, value, _)| value),
        );
    }
    Ok(Arc::new(out.finish()))
}

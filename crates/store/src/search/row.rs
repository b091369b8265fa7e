//! An event as a search's result, and results as JSON lines and CSV.

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt64Type},
};
use covigil_model::{EventId, Kind, Time};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::SearchError;
use crate::events::{
    Rows,
    schema::{self, index},
};

/// One event with everything that is stored of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResultRow {
    /// The event's name.
    pub id: EventId,
    /// When it happened.
    pub time: Time,
    /// When the node received it.
    pub received: Time,
    /// OCSF paths and the other columns that are set, in the table's order.
    #[serde(serialize_with = "as_object")]
    pub columns: Vec<(String, Value)>,
    /// The source's own fields.
    #[serde(serialize_with = "as_object")]
    pub fields: Vec<(String, Value)>,
    /// The original, exactly as it came.
    pub original: String,
}

/// What an event is that was asked for by its id: the same as a search's result.
pub type StoredRow = ResultRow;

/// A table that stages or SQL made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows; each has a value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// A name that repeats has a list.
fn as_object<S: Serializer>(pairs: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (at, (name, value)) in pairs.iter().enumerate() {
        if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
            continue;
        }
        let all: Vec<&Value> =
            pairs[at..].iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect();
        match all.as_slice() {
            [_] => map.serialize_entry(name, value)?,
            several => map.serialize_entry(name, several)?,
        }
    }
    map.end()
}

/// Columns that a result says elsewhere.
const ELSEWHERE: [usize; 9] = [
    index::TIME,
    index::TIME_NANOS,
    index::RECEIVED,
    index::SOURCE,
    index::SEQUENCE,
    index::FIELD_MAP,
    index::UNMAPPED,
    index::RAW,
    index::RAW_TEMPLATE,
];

/// The rows of a batch that has all columns.
pub(super) fn rows_of(batch: &RecordBatch) -> Result<Vec<ResultRow>, SearchError> {
    let mut rows = Rows::new(batch)?;
    let schema = batch.schema();
    let shown: Vec<(&str, &ArrayRef)> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| schema::place(field.name()).is_some_and(|place| !ELSEWHERE.contains(&place)))
        .map(|(field, array)| (field.name().as_str(), array))
        .collect();
    let mut list = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let columns = shown
            .iter()
            .filter(|(_, array)| array.is_valid(row))
            .map(|(name, array)| ((*name).to_owned(), value(array, row)))
            .collect();
        let fields =
            rows.source_fields(row).into_iter().map(|(name, text, kind)| (name, of_kind(text, kind)));
        list.push(ResultRow {
            id: rows.id(row),
            time: rows.time(row),
            received: rows.received(row),
            columns,
            fields: fields.collect(),
            original: rows.original(row).unwrap_or_default(),
        });
    }
    Ok(list)
}

/// The text as JSON of that kind, where its text stays the same.
fn of_kind(text: String, kind: Kind) -> Value {
    match kind {
        Kind::Number => match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => Value::from(number),
            _ => Value::String(text),
        },
        Kind::Bool => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::String(text),
        },
        Kind::Null if text.is_empty() => Value::Null,
        Kind::Text | Kind::Null => Value::String(text),
    }
}

/// One value of an array as JSON; times in RFC 3339.
pub(super) fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Float64 => {
            let number = array.as_primitive::<Float64Type>().value(row);
            // A whole number is written as one.
            if number.fract() == 0.0 && number.abs() < 9e15 {
                Value::from(number as i64)
            } else {
                Value::from(number)
            }
        }
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            Time::from_micros(micros).to_string().into()
        }
        _ => match arrow::util::display::array_value_to_string(array, row) {
            Ok(text) => text.into(),
            Err(_) => Value::Null,
        },
    }
}

/// The events as JSON, one to a line.
pub fn rows_to_jsonl(rows: &[ResultRow]) -> String {
    let mut out = String::new();
    for row in rows {
        // What can fail in writing JSON to memory is a map with keys that are no text; there is none.
        if let Ok(line) = serde_json::to_string(row) {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

/// The events as CSV with a header: id, time, then every column that any of them has, then the
/// original.
pub fn rows_to_csv(rows: &[ResultRow]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.columns) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| schema::place(name));
    let mut out = String::new();
    line(
        ["id", "time"].into_iter().chain(names.iter().copied()).chain(["original"]).map(str::to_owned),
        &mut out,
    );
    for row in rows {
        let cells = names.iter().map(|name| {
            row.columns.iter().find(|(have, _)| have == name).map_or_else(String::new, |(_, v)| text(v))
        });
        line(
            [row.id.to_string(), row.time.to_string()].into_iter().chain(cells).chain([row.original.clone()]),
            &mut out,
        );
    }
    out
}

impl Table {
    /// The rows as JSON objects, one to a line.
    pub fn to_jsonl(&self) -> String {
        let mut out = String::new();
        for row in &self.rows {
            let object: serde_json::Map<String, Value> =
                self.columns.iter().cloned().zip(row.iter().cloned()).collect();
            out.push_str(&Value::Object(object).to_string());
            out.push('\n');
        }
        out
    }

    /// The rows as CSV with a header.
    pub fn to_csv(&self) -> String {
        let mut out = String::new();
        line(self.columns.iter().cloned(), &mut out);
        for row in &self.rows {
            line(row.iter().map(text), &mut out);
        }
        out
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn line(cells: impl Iterator<Item = String>, out: &mut String) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_cell(&cell, out);
    }
    out.push_str("\r\n");
}

/// A cell as RFC 4180 writes it. Text that a spreadsheet would take for a formula gets a `'` in
/// front; numbers, also negative ones, stay as they are.
fn push_cell(cell: &str, out: &mut String) {
    let formula = cell
        .trim_start_matches(' ')
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let number = cell.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
        && cell.parse::<f64>().is_ok();
    let guarded = formula && !number;
    if !guarded && !cell.contains(['"', ',', '\n', '\r', ';', '\t']) {
        out.push_str(cell);
        return;
    }
    out.push('"');
    if guarded {
        out.push('\'');
    }
    for c in cell.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreadsheets_do_not_run_what_an_attacker_logged() {
        let cell = |text: &str| {
            let mut out = String::new();
            push_cell(text, &mut out);
            out
        };
        for (text, expected) in [
            ("-5", "-5"),
            ("-1.5e3", "-1.5e3"),
            ("+7", "+7"),
            ("=1+1", "\"'=1+1\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("+cmd|x", "\"'+cmd|x\""),
            ("-2+3+cmd|x", "\"'-2+3+cmd|x\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            (" =1", "\"' =1\""),
            ("-", "\"'-\""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("plain", "plain"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tables_are_written_as_lines() {
        let table = Table {
            columns: vec!["user".into(), "count".into()],
            rows: vec![vec!["=x".into(), (-3).into()], vec![Value::Null, 4.into()]],
        };
        assert_eq!(table.to_csv(), "user,count\r\n\"'=x\",-3\r\n,4\r\n");
        assert_eq!(table.to_jsonl(), "{\"user\":\"=x\",\"count\":-3}\n{\"user\":null,\"count\":4}\n");
    }
}

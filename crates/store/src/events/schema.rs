//! The columns of the events table: names, types, order, and what each holds.
//!
//! One schema serves the Parquet files, the Delta table and the batches in memory. Only the text
//! type differs: in memory it is Arrow's `Utf8View`, which readers of the files should ask for too;
//! in the files it is plain UTF-8. How the columns are encoded is in `encode`, how they are filled
//! in `batch`.
//!
//! | column | type | holds |
//! | --- | --- | --- |
//! | `time` | timestamp, µs, UTC | when it happened, rounded down to the microsecond |
//! | `time_nanos` | int 32 | the nanoseconds that `time` lacks, 1 to 999; null where none |
//! | `received` | timestamp, µs, UTC | when the node received it |
//! | `source`, `sequence` | text, int 64 | the event's id |
//! | `parser` | text | the parser that read it |
//! | `class_uid`, `activity_id`, `severity_id`, `status_id` | int 32 | as in OCSF |
//! | `log_product`, `log_service`, `log_category` | text | Sigma's log source; several joined by `,`; null where none |
//! | `failure` | text | why the parser did not understand it |
//! | OCSF paths, such as `process.cmd_line` | text or int 64 | [`Attr`] |
//! | `field_map` | text | JSON object: source field name → the column that holds its value |
//! | `unmapped` | text | JSON object: the source fields whose value is in no column |
//! | `raw_template` | text | the original, with references where a column holds the text |
//! | `raw` | text | the original itself, where a template does not pay |
//!
//! Exactly one of `raw_template` and `raw` is set. `field_map` and `raw_template` take few distinct
//! values, one per shape of record, so they cost next to nothing.
//!
//! The table is partitioned by `day`, the day on which the node received the event, in UTC. Not by
//! the day of the event's own time: that is the source's account, and a source with a wrong or
//! hostile clock could spread one minute's events over thousands of partitions, escape retention or
//! bring it about. For live sources both are the same day; files carry the least and greatest `time`
//! in any case, and readers skip by those. Not by class: every flush would write one file per class
//! and day, and newest-first reading would have to merge them, while a column that a class does not
//! use costs a few bytes per row group.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use covigil_model::{Attr, ocsf::AttrType};
use rustc_hash::FxHashMap;

/// Names of the columns that are not OCSF attributes with an [`Attr`].
pub mod column {
    /// When it happened.
    pub const TIME: &str = "time";
    /// The nanoseconds that `time` lacks.
    pub const TIME_NANOS: &str = "time_nanos";
    /// When the node received it.
    pub const RECEIVED: &str = "received";
    /// The source's name; with `sequence` the event's id.
    pub const SOURCE: &str = "source";
    /// The place among the source's records.
    pub const SEQUENCE: &str = "sequence";
    /// The parser that read it.
    pub const PARSER: &str = "parser";
    /// OCSF class.
    pub const CLASS: &str = "class_uid";
    /// OCSF activity.
    pub const ACTIVITY: &str = "activity_id";
    /// OCSF severity.
    pub const SEVERITY: &str = "severity_id";
    /// OCSF status.
    pub const STATUS: &str = "status_id";
    /// Sigma's product.
    pub const LOG_PRODUCT: &str = "log_product";
    /// Sigma's services, joined by commas.
    pub const LOG_SERVICE: &str = "log_service";
    /// Sigma's categories, joined by commas.
    pub const LOG_CATEGORY: &str = "log_category";
    /// Why the parser did not understand it.
    pub const FAILURE: &str = "failure";
    /// Source field name → column, as a JSON object.
    pub const FIELD_MAP: &str = "field_map";
    /// Source fields without a column, as a JSON object.
    pub const UNMAPPED: &str = "unmapped";
    /// The original with references to columns.
    pub const RAW_TEMPLATE: &str = "raw_template";
    /// The original itself.
    pub const RAW: &str = "raw";
    /// The partition: day of receipt. In no file and no batch; see [`FileRef`](super::super::FileRef).
    pub const DAY: &str = "day";
}

/// Place of each column in the schema.
pub(crate) mod index {
    use covigil_model::Attr;

    pub(crate) const TIME: usize = 0;
    pub(crate) const TIME_NANOS: usize = 1;
    pub(crate) const RECEIVED: usize = 2;
    pub(crate) const SOURCE: usize = 3;
    pub(crate) const SEQUENCE: usize = 4;
    pub(crate) const PARSER: usize = 5;
    pub(crate) const CLASS: usize = 6;
    pub(crate) const ACTIVITY: usize = 7;
    pub(crate) const SEVERITY: usize = 8;
    pub(crate) const STATUS: usize = 9;
    pub(crate) const LOG_PRODUCT: usize = 10;
    pub(crate) const LOG_SERVICE: usize = 11;
    pub(crate) const LOG_CATEGORY: usize = 12;
    pub(crate) const FAILURE: usize = 13;
    pub(crate) const FIRST_ATTR: usize = 14;
    pub(crate) const FIELD_MAP: usize = FIRST_ATTR + Attr::ALL.len();
    pub(crate) const UNMAPPED: usize = FIELD_MAP + 1;
    pub(crate) const RAW_TEMPLATE: usize = FIELD_MAP + 2;
    pub(crate) const RAW: usize = FIELD_MAP + 3;
    pub(crate) const COUNT: usize = FIELD_MAP + 4;

    /// The column of an attribute.
    pub(crate) const fn of(attr: Attr) -> usize {
        FIRST_ATTR + attr as usize
    }
}

/// A column that is not an attribute.
struct Plain(&'static str, Type, Nullable);

#[derive(Clone, Copy)]
enum Type {
    Text,
    Int,
    Long,
    Time,
}

type Nullable = bool;

const BEFORE: [Plain; index::FIRST_ATTR] = [
    Plain(column::TIME, Type::Time, false),
    Plain(column::TIME_NANOS, Type::Int, true),
    Plain(column::RECEIVED, Type::Time, false),
    Plain(column::SOURCE, Type::Text, false),
    Plain(column::SEQUENCE, Type::Long, false),
    Plain(column::PARSER, Type::Text, false),
    Plain(column::CLASS, Type::Int, false),
    Plain(column::ACTIVITY, Type::Int, false),
    Plain(column::SEVERITY, Type::Int, false),
    Plain(column::STATUS, Type::Int, false),
    Plain(column::LOG_PRODUCT, Type::Text, true),
    Plain(column::LOG_SERVICE, Type::Text, true),
    Plain(column::LOG_CATEGORY, Type::Text, true),
    Plain(column::FAILURE, Type::Text, true),
];

const AFTER: [Plain; 4] = [
    Plain(column::FIELD_MAP, Type::Text, true),
    Plain(column::UNMAPPED, Type::Text, true),
    Plain(column::RAW_TEMPLATE, Type::Text, true),
    Plain(column::RAW, Type::Text, true),
];

fn fields(text: &DataType) -> Vec<Field> {
    let plain = |Plain(name, kind, nullable): &Plain| {
        let data_type = match kind {
            Type::Text => text.clone(),
            Type::Int => DataType::Int32,
            Type::Long => DataType::Int64,
            Type::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        Field::new(*name, data_type, *nullable)
    };
    let attr = |attr: &Attr| {
        let data_type = match attr.kind() {
            AttrType::Text => text.clone(),
            AttrType::Integer => DataType::Int64,
        };
        Field::new(attr.path(), data_type, true)
    };
    BEFORE.iter().map(plain).chain(Attr::ALL.iter().map(attr)).chain(AFTER.iter().map(plain)).collect()
}

/// The schema of batches in memory, and the one to read files with: text is `Utf8View`.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(fields(&DataType::Utf8View))));
    SCHEMA.clone()
}

/// The schema as the Delta table declares it, without the partition column: text is `Utf8`.
pub(crate) fn table_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(fields(&DataType::Utf8))));
    SCHEMA.clone()
}

/// Whether the signature sidecars cover a column: the text columns whose content a search for a
/// piece of text looks into. `raw_template` is covered through the original that it stands for.
pub fn is_searched_text(name: &str) -> bool {
    let bookkeeping = matches!(name, column::FIELD_MAP | column::RAW_TEMPLATE);
    !bookkeeping && schema().field_with_name(name).is_ok_and(|f| *f.data_type() == DataType::Utf8View)
}

/// Name of the column at a place; empty for places outside the schema.
pub(crate) fn name(place: usize) -> &'static str {
    static NAMES: LazyLock<Vec<String>> =
        LazyLock::new(|| schema().fields().iter().map(|f| f.name().clone()).collect());
    NAMES.get(place).map_or("", String::as_str)
}

/// Place of the column of that name.
pub(crate) fn place(name: &str) -> Option<usize> {
    static PLACES: LazyLock<FxHashMap<&'static str, usize>> =
        LazyLock::new(|| (0..index::COUNT).map(|place| (self::name(place), place)).collect());
    PLACES.get(name).copied()
}

/// The columns whose whole values the sidecars index: addresses, names and ids that are searched for
/// by equality and of which a chunk has few occurrences.
const VALUE_ATTRS: [Attr; 14] = [
    Attr::DeviceHostname,
    Attr::DeviceIp,
    Attr::ActorUserName,
    Attr::ActorUserUid,
    Attr::UserName,
    Attr::UserUid,
    Attr::ProcessUid,
    Attr::SrcIp,
    Attr::SrcHostname,
    Attr::DstIp,
    Attr::DstHostname,
    Attr::FileHashes,
    Attr::QueryHostname,
    Attr::SessionUid,
];

/// Places of the columns whose whole values the sidecars index.
pub(crate) fn value_columns() -> impl Iterator<Item = usize> {
    std::iter::once(index::SOURCE).chain(VALUE_ATTRS.iter().map(|a| index::of(*a)))
}

/// Place of a column whose whole values the sidecars index; `None` for others.
pub(crate) fn value_column(name: &str) -> Option<usize> {
    let place = place(name)?;
    value_columns().find(|column| *column == place)
}

/// Whether the sidecars index a column's whole values, so that
/// [`Sidecar::value_chunks`](super::Sidecar::value_chunks) can rule chunks out.
pub fn is_indexed_value(name: &str) -> bool {
    value_column(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_names_agree() {
        let schema = schema();
        assert_eq!(schema.fields().len(), index::COUNT);
        for (at, name) in [
            (index::TIME, column::TIME),
            (index::SEQUENCE, column::SEQUENCE),
            (index::FAILURE, column::FAILURE),
            (index::of(Attr::Product), "metadata.product.name"),
            (index::of(Attr::Message), "message"),
            (index::FIELD_MAP, column::FIELD_MAP),
            (index::RAW, column::RAW),
        ] {
            assert_eq!(schema.field(at).name(), name);
        }
    }

    #[test]
    fn searched_text_is_the_text_that_people_look_for() {
        assert!(is_searched_text("process.cmd_line") && is_searched_text(column::UNMAPPED));
        assert!(!is_searched_text(column::RAW_TEMPLATE) && !is_searched_text("process.pid"));
    }
}

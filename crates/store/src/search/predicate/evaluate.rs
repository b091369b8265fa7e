//! Nodes over the rows of one batch.
//!
//! A null fails every test, so that logic has two values. Each node is asked only of the rows that
//! can still matter.

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, RecordBatch, StringViewArray},
    buffer::BooleanBuffer,
    datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType},
};
use rustc_hash::FxHashMap;

use super::{Anywhere, Member, Node, NumberTest};
use crate::{
    events::{
        Rows, event_schema, is_searched_text,
        schema::{self, index},
    },
    search::{member, text::TextTest},
};

/// A batch's columns by their places in the schema.
pub(super) struct View<'a> {
    batch: &'a RecordBatch,
    columns: Vec<Option<&'a ArrayRef>>,
}

impl<'a> View<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        let mut columns = vec![None; index::COUNT];
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if let Some(place) = schema::place(field.name())
                && array.data_type() == event_schema().field(place).data_type()
            {
                columns[place] = Some(array);
            }
        }
        Self { batch, columns }
    }

    fn text(&self, place: usize) -> Option<&'a StringViewArray> {
        let array = self.columns.get(place).copied().flatten()?;
        if array.null_count() == array.len() {
            return None;
        }
        array.as_string_view_opt()
    }

    fn len(&self) -> usize {
        self.batch.num_rows()
    }
}

fn nothing(len: usize) -> BooleanBuffer {
    BooleanBuffer::new_unset(len)
}

pub(super) fn evaluate(node: &Node, view: &View<'_>, on: &BooleanBuffer) -> BooleanBuffer {
    match node {
        Node::All => on.clone(),
        Node::Nothing => nothing(view.len()),
        Node::And(nodes) => {
            let mut left = on.clone();
            for node in nodes {
                if left.count_set_bits() == 0 {
                    break;
                }
                left = evaluate(node, view, &left);
            }
            left
        }
        Node::Or(nodes) => {
            let mut held = nothing(view.len());
            for node in nodes {
                let rest = on & &!&held;
                if rest.count_set_bits() == 0 {
                    break;
                }
                held = &held | &evaluate(node, view, &rest);
            }
            held
        }
        Node::Not(inner) => on & &!&evaluate(inner, view, on),
        Node::Text(place, test) => match view.text(*place) {
            Some(array) => texts(array, test, on),
            None => nothing(view.len()),
        },
        Node::Number(place, test) => match view.columns.get(*place).copied().flatten() {
            Some(array) => numbers(array, test, on),
            None => nothing(view.len()),
        },
        Node::Original(test) => {
            let mut found = Found::new(view.len());
            originals(view, test, on, &mut found);
            found.finish()
        }
        Node::Member(member) => members(view, member, on),
        Node::Anywhere(anywhere) => anywhere_in(view, anywhere, on),
    }
}

/// The rows found so far.
struct Found(BooleanBufferBuilder);

impl Found {
    fn new(len: usize) -> Self {
        let mut bits = BooleanBufferBuilder::new(len);
        bits.append_n(len, false);
        Self(bits)
    }

    fn add(&mut self, row: usize) {
        self.0.set_bit(row, true);
    }

    fn has(&self, row: usize) -> bool {
        self.0.get_bit(row)
    }

    fn finish(mut self) -> BooleanBuffer {
        self.0.finish()
    }
}

/// Answers remembered for values of which a column repeats few: a file's dictionary yields the
/// same view for the same value.
struct Memory([(u128, bool); 64]);

impl Memory {
    fn new() -> Self {
        Self([(0, false); 64])
    }

    #[inline]
    fn ask(&mut self, array: &StringViewArray, row: usize, test: &TextTest) -> bool {
        let view = array.views()[row];
        // Texts of up to 12 bytes stand in the view itself and are tested as fast as remembered;
        // the view of an empty text is 0.
        if view as u32 <= 12 {
            return test.test(array.value(row));
        }
        let slot = ((view >> 64) as u64 ^ (view >> 32) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
        let slot = &mut self.0[slot as usize];
        if slot.0 != view {
            *slot = (view, test.test(array.value(row)));
        }
        slot.1
    }
}

fn texts(array: &StringViewArray, test: &TextTest, on: &BooleanBuffer) -> BooleanBuffer {
    let mut memory = Memory::new();
    select(array.nulls().map(|nulls| nulls.inner()), on, |row| memory.ask(array, row, test))
}

/// The rows of `on` that are valid and pass.
fn select(
    valid: Option<&BooleanBuffer>,
    on: &BooleanBuffer,
    mut test: impl FnMut(usize) -> bool,
) -> BooleanBuffer {
    let on = match valid {
        Some(valid) => on & valid,
        None => on.clone(),
    };
    if on.count_set_bits() == on.len() {
        return BooleanBuffer::collect_bool(on.len(), test);
    }
    let mut found = Found::new(on.len());
    for row in on.set_indices() {
        if test(row) {
            found.add(row);
        }
    }
    found.finish()
}

fn numbers(array: &ArrayRef, test: &NumberTest, on: &BooleanBuffer) -> BooleanBuffer {
    let valid = array.nulls().map(|nulls| nulls.inner());
    match array.data_type() {
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().values();
            select(valid, on, |row| test.test(i64::from(values[row])))
        }
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().values();
            select(valid, on, |row| test.test(values[row]))
        }
        DataType::Timestamp(..) => match array.as_primitive_opt::<TimestampMicrosecondType>() {
            Some(times) => select(valid, on, |row| test.test(times.value(row))),
            None => nothing(array.len()),
        },
        _ => nothing(array.len()),
    }
}

/// Rebuilds originals, keeping what was learned about their templates.
#[derive(Default)]
pub(crate) struct Originals {
    rows: Option<Rows>,
    text: String,
}

impl Originals {
    /// Goes on with a batch; false where its columns do not fit.
    pub(crate) fn load(&mut self, batch: &RecordBatch) -> bool {
        match &mut self.rows {
            Some(rows) => rows.load(batch).is_ok(),
            None => {
                self.rows = Rows::new(batch).ok();
                self.rows.is_some()
            }
        }
    }

    /// The row's original.
    pub(crate) fn get(&mut self, row: usize) -> Option<&str> {
        self.text.clear();
        self.rows.as_mut()?.original_into(row, &mut self.text).then_some(self.text.as_str())
    }
}

fn originals(view: &View<'_>, test: &TextTest, on: &BooleanBuffer, found: &mut Found) {
    let mut originals = Originals::default();
    if !originals.load(view.batch) {
        return;
    }
    for row in on.set_indices() {
        if originals.get(row).is_some_and(|text| test.test(text)) {
            found.add(row);
        }
    }
}

fn anywhere_in(view: &View<'_>, anywhere: &Anywhere, on: &BooleanBuffer) -> BooleanBuffer {
    let mut found = Found::new(view.len());
    let mut rest = on.clone();
    for place in searched() {
        let Some(array) = view.text(*place) else { continue };
        let here = texts(array, &anywhere.test, &rest);
        if here.count_set_bits() > 0 {
            here.set_indices().for_each(|row| found.add(row));
            rest = &rest & &!&here;
        }
    }
    if let Some(array) = view.text(index::UNMAPPED) {
        for row in rest.set_indices().filter(|row| array.is_valid(*row)) {
            let object = array.value(row);
            let may = anywhere.escaped.as_ref().is_none_or(|needle| needle.is_in(object.as_bytes()));
            if may && member::any(object, &mut |_, text| anywhere.test.test(text)) {
                found.add(row);
            }
        }
    }
    let mut last = BooleanBufferBuilder::new(view.len());
    last.append_buffer(&rest);
    for row in rest.set_indices() {
        if found.has(row) {
            last.set_bit(row, false);
        }
    }
    let last = last.finish();
    if last.count_set_bits() > 0 {
        originals(view, &anywhere.test, &last, &mut found);
    }
    found.finish()
}

/// Text columns whose own text a free term looks into; the original and `unmapped` come after.
fn searched() -> &'static [usize] {
    static PLACES: std::sync::LazyLock<Vec<usize>> = std::sync::LazyLock::new(|| {
        (0..index::COUNT)
            .filter(|place| {
                is_searched_text(schema::name(*place)) && !matches!(*place, index::UNMAPPED | index::RAW)
            })
            .collect()
    });
    &PLACES
}

/// Where a shape of record keeps the field, as its `field_map` says.
#[derive(Default)]
struct Kept {
    columns: Vec<usize>,
    /// Written from the event's time.
    in_time: bool,
}

fn members(view: &View<'_>, member: &Member, on: &BooleanBuffer) -> BooleanBuffer {
    let mut found = Found::new(view.len());
    if let (Some(maps), false) = (view.text(index::FIELD_MAP), member.columns.is_empty()) {
        let mut shapes: FxHashMap<&str, Kept> = FxHashMap::default();
        let mut memories: FxHashMap<usize, Memory> = FxHashMap::default();
        let mut rows = None;
        for row in on.set_indices().filter(|row| maps.is_valid(*row)) {
            let kept = shapes.entry(maps.value(row)).or_insert_with_key(|map| kept(map, &member.name));
            let mut holds = kept.columns.iter().any(|place| {
                let Some(array) = view.columns[*place].filter(|array| array.is_valid(row)) else {
                    return false;
                };
                match array.as_string_view_opt() {
                    Some(texts) => {
                        memories.entry(*place).or_insert_with(Memory::new).ask(texts, row, &member.test)
                    }
                    None => integer(array, row).is_some_and(|number| member.test.test(&number.to_string())),
                }
            });
            if !holds && kept.in_time {
                let rows = rows.get_or_insert_with(|| Rows::new(view.batch).ok());
                holds = rows.as_ref().is_some_and(|rows: &Rows| {
                    let fields = rows.source_fields(row);
                    fields.iter().any(|(name, value, _)| {
                        name.eq_ignore_ascii_case(&member.name) && member.test.test(value)
                    })
                });
            }
            if holds {
                found.add(row);
            }
        }
    }
    if let Some(objects) = view.text(index::UNMAPPED) {
        for row in on.set_indices().filter(|row| objects.is_valid(*row)) {
            if !found.has(row)
                && member::any(objects.value(row), &mut |name, text| {
                    name.eq_ignore_ascii_case(&member.name) && member.test.test(text)
                })
            {
                found.add(row);
            }
        }
    }
    found.finish()
}

fn kept(map: &str, name: &str) -> Kept {
    let mut kept = Kept::default();
    member::any(map, &mut |field, place| {
        if field.eq_ignore_ascii_case(name) {
            if place.starts_with("time|") {
                kept.in_time = true;
            } else {
                kept.columns.extend(schema::place(place));
            }
        }
        false
    });
    kept
}

fn integer(array: &ArrayRef, row: usize) -> Option<i64> {
    match array.data_type() {
        DataType::Int32 => Some(i64::from(array.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row)),
        _ => None,
    }
}

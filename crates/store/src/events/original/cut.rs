//! Dividing an event: which source fields go to `unmapped`, which are in a column already, and which
//! stretches of the original need not be stored again.
//!
//! A source field counts as being in a column only if it is the very text that the parser made the
//! column from, not by having an equal value: so the field can be searched through the column.

use std::{fmt::Write as _, ops::Range};

use covigil_model::{Event, Kind, Span, Time, json::escape_into, ocsf::AttrType};

use super::{
    super::{field_names::FieldNames, schema},
    template::{MARK, Reference, Stored},
    timestamp::{self, Format},
    unmapped::{Member, ObjectWriter},
};

/// Originals longer than this are stored as they are.
const MAX_CUT: usize = 256 << 10;
/// Values that stand escaped in the original are looked for this far after the previous value.
const WINDOW: usize = 16 << 10;

/// The division of one event. Made to be reused.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// The `unmapped` object; empty where the event has no such fields.
    pub(crate) unmapped: String,
    /// The `field_map` object; empty where no field is in a column.
    pub(crate) field_map: String,
    /// The template; empty where the original must be stored as it is.
    pub(crate) template: String,
    /// Bytes of the template that are text of the original.
    pub(crate) literal: usize,
    columns: Vec<(Span, usize)>,
    times: Vec<(Range<usize>, Format)>,
    mapped: Vec<(u32, Place)>,
    rest: Vec<Unmapped>,
    order: Vec<u32>,
    map_order: Vec<u32>,
    finds: Vec<(Range<usize>, Reference)>,
    objects: ObjectWriter,
    scratch: String,
    map_texts: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Column(usize),
    Time(Format),
}

/// A member of `unmapped`.
#[derive(Debug, Clone, Copy)]
enum Unmapped {
    /// A source field, by its number.
    Field(u32),
    /// The text of an integer column that is no integer, by the attribute's number.
    Attr(usize),
}

impl Cut {
    /// Divides an event. `names` limits which field names may be mapped to columns.
    pub(crate) fn divide(&mut self, event: &Event, time: Time, names: &FieldNames) {
        self.unmapped.clear();
        self.field_map.clear();
        self.template.clear();
        self.columns.clear();
        self.times.clear();
        self.mapped.clear();
        self.rest.clear();
        self.finds.clear();
        let original = event.original();
        let cuts = original.len() <= MAX_CUT && !original.is_empty();
        for (at, (attr, span)) in event.attrs().iter().enumerate() {
            let text = event.slice(*span);
            match attr.kind() {
                AttrType::Text => self.columns.push((*span, schema::index::of(*attr))),
                AttrType::Integer if integer(text).is_none() => self.rest.push(Unmapped::Attr(at)),
                AttrType::Integer if is_canonical(text, &mut self.scratch) => {
                    self.columns.push((*span, schema::index::of(*attr)));
                }
                AttrType::Integer => {}
            }
        }
        if cuts {
            timestamp::find(original, time, &mut self.scratch, &mut self.times);
        }
        self.sort_fields(event, names);
        self.write_objects(event);
        if cuts && memchr::memchr(MARK as u8, original.as_bytes()).is_none() {
            self.find(event);
            self.write_template(original);
        }
    }

    /// Decides for each source field where it is stored.
    fn sort_fields(&mut self, event: &Event, names: &FieldNames) {
        for (at, field) in event.fields().iter().enumerate() {
            let span = field.value;
            let place = if span.is_empty() {
                None
            } else if let Some((_, place)) = self.columns.iter().find(|(have, _)| *have == span) {
                Some(Place::Column(*place))
            } else {
                let whole = span.start()..span.end();
                self.times.iter().find(|(range, _)| *range == whole).map(|(_, format)| Place::Time(*format))
            };
            match place {
                // The kind is lost in a column, and a number or text is what columns hold.
                Some(place)
                    if matches!(field.kind, Kind::Text | Kind::Number)
                        && names.accepts(event.name(field)) =>
                {
                    self.mapped.push((at as u32, place));
                }
                _ => self.rest.push(Unmapped::Field(at as u32)),
            }
        }
    }

    fn write_objects(&mut self, event: &Event) {
        let fields = event.fields();
        if !self.rest.is_empty() {
            let rest = &self.rest;
            let member = |n: usize| match rest[n] {
                Unmapped::Field(at) => {
                    let field = &fields[at as usize];
                    Member { name: event.name(field), value: event.slice(field.value), kind: field.kind }
                }
                Unmapped::Attr(at) => {
                    let (attr, span) = event.attrs()[at];
                    Member { name: attr.path(), value: event.slice(span), kind: Kind::Text }
                }
            };
            self.objects.write(rest.len(), member, &mut self.unmapped, &mut self.order);
        } else {
            self.order.clear();
        }
        if !self.mapped.is_empty() {
            let times = self.mapped.iter().filter(|(_, place)| matches!(place, Place::Time(_)));
            self.map_texts.clear();
            for (_, place) in times {
                if let Place::Time(format) = place {
                    let mut text = String::from("time|");
                    format.encode(&mut text);
                    self.map_texts.push(text);
                }
            }
            let (mapped, texts) = (&self.mapped, &self.map_texts);
            let member = |n: usize| {
                let (at, place) = mapped[n];
                let value = match place {
                    Place::Column(place) => schema::name(place),
                    Place::Time(_) => {
                        let nth = mapped[..n].iter().filter(|(_, p)| matches!(p, Place::Time(_))).count();
                        texts.get(nth).map_or("time", String::as_str)
                    }
                };
                Member { name: event.name(&fields[at as usize]), value, kind: Kind::Text }
            };
            self.objects.write(mapped.len(), member, &mut self.field_map, &mut self.map_order);
        }
    }

    /// Finds what of the original is stored elsewhere.
    fn find(&mut self, event: &Event) {
        let original = event.original();
        let inside = |span: Span| !span.is_empty() && span.end() <= original.len();
        for (span, place) in &self.columns {
            if inside(*span) {
                let reference = Reference { stored: Stored::Column(*place), json: false };
                self.finds.push((span.start()..span.end(), reference));
            }
        }
        for (range, format) in &self.times {
            self.finds.push((range.clone(), Reference { stored: Stored::Time(*format), json: false }));
        }
        for (place, member) in self.order.iter().enumerate() {
            if let Unmapped::Field(at) = self.rest[*member as usize] {
                let span = event.fields()[at as usize].value;
                if inside(span) {
                    let reference = Reference { stored: Stored::Unmapped(place as u32), json: false };
                    self.finds.push((span.start()..span.end(), reference));
                }
            }
        }
        self.find_escaped(event);
    }

    /// Finds values that the parser unescaped from JSON strings. They stand in the original in the
    /// order of the fields.
    fn find_escaped(&mut self, event: &Event) {
        let original = event.original();
        if !original.contains('\\') {
            return;
        }
        let mut cursor = 0;
        for (at, field) in event.fields().iter().enumerate() {
            let span = field.value;
            if span.end() <= original.len() {
                cursor = cursor.max(span.end());
                continue;
            }
            let value = event.slice(span);
            if !value.bytes().any(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)) {
                continue;
            }
            self.scratch.clear();
            escape_into(&mut self.scratch, value);
            let window =
                &original.as_bytes()[cursor..original.len().min(cursor + WINDOW + self.scratch.len())];
            let Some(found) = memchr::memmem::find(window, self.scratch.as_bytes()) else { continue };
            let stored = if let Some((_, place)) = self.mapped.iter().find(|(n, _)| *n == at as u32) {
                match place {
                    Place::Column(place) => Stored::Column(*place),
                    Place::Time(_) => continue,
                }
            } else {
                let place = self
                    .order
                    .iter()
                    .position(|n| matches!(self.rest[*n as usize], Unmapped::Field(f) if f == at as u32));
                let Some(place) = place else { continue };
                Stored::Unmapped(place as u32)
            };
            let start = cursor + found;
            cursor = start + self.scratch.len();
            self.finds.push((start..cursor, Reference { stored, json: true }));
        }
    }

    /// Writes the template from what was found; the longest of overlapping finds is taken.
    fn write_template(&mut self, original: &str) {
        self.finds.sort_unstable_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut at = 0;
        self.literal = 0;
        for (range, reference) in &self.finds {
            if range.start < at {
                continue;
            }
            self.template.push_str(&original[at..range.start]);
            self.literal += range.start - at;
            reference.encode(&mut self.template);
            at = range.end;
        }
        if at == 0 {
            self.template.clear();
            return;
        }
        self.template.push_str(&original[at..]);
        self.literal += original.len() - at;
    }
}

/// The integer that a text is.
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Whether an integer's text is how it would be written anew.
fn is_canonical(text: &str, scratch: &mut String) -> bool {
    scratch.clear();
    integer(text).is_some_and(|n| write!(scratch, "{n}").is_ok() && *scratch == text)
}

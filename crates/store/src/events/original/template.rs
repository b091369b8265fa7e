//! The `raw_template` column: an original as text with references to where the rest is stored.
//!
//! A reference is written between two U+0001 characters; originals that contain that character are
//! stored as they are. It is one of
//!
//! - a column's name: the column's text, or its number in decimal;
//! - `#` and a number: that value of `unmapped`, counted from 0 in the order in which they stand;
//! - `time|` and a [`Format`]'s code: the event's time, written so.
//!
//! After the first two, `|json` means: escaped as in a JSON string. Names, not numbers, so that a
//! template stays right when columns are added.

use std::fmt::Write as _;

use covigil_model::{Time, json::escape_into};

use super::{super::schema, timestamp::Format};

/// What encloses a reference.
pub(crate) const MARK: char = '\u{1}';

/// Where a stretch of the original is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// In the column at this place of the schema.
    Column(usize),
    /// The value of `unmapped` at this place.
    Unmapped(u32),
    /// In `time`.
    Time(Format),
}

/// A reference: where, and whether the original has it escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) stored: Stored,
    pub(crate) json: bool,
}

impl Reference {
    /// Appends the reference's text, marks included.
    pub(crate) fn encode(self, out: &mut String) {
        out.push(MARK);
        match self.stored {
            Stored::Column(place) => out.push_str(schema::name(place)),
            Stored::Unmapped(place) => drop(write!(out, "#{place}")),
            Stored::Time(format) => {
                out.push_str("time|");
                format.encode(out);
            }
        }
        if self.json {
            out.push_str("|json");
        }
        out.push(MARK);
    }

    fn decode(text: &str) -> Option<Self> {
        if let Some(code) = text.strip_prefix("time|") {
            return Some(Self { stored: Stored::Time(Format::decode(code)?), json: false });
        }
        let (name, json) = text.strip_suffix("|json").map_or((text, false), |name| (name, true));
        let stored = match name.strip_prefix('#') {
            Some(place) => Stored::Unmapped(place.parse().ok()?),
            None => Stored::Column(schema::place(name)?),
        };
        Some(Self { stored, json })
    }
}

/// A template taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    /// Whether any reference is to `unmapped`.
    pub(crate) uses_unmapped: bool,
    /// The columns whose text stands in the original as it is, by their place in the schema.
    pub(crate) verbatim: u128,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Reference(Reference),
}

/// What a template's references are filled from: one stored event.
pub(crate) trait Values {
    /// Appends the text of the column at that place, escaped as told; false where it is null.
    fn column(&self, place: usize, append: &mut dyn FnMut(&str)) -> bool;
    /// Appends the value of `unmapped` at that place; false where there is none.
    fn unmapped(&self, place: u32, append: &mut dyn FnMut(&str)) -> bool;
    /// The event's time.
    fn time(&self) -> Time;
}

impl Template {
    /// Takes a template apart; `None` where it is not one.
    pub(crate) fn parse(template: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let (mut uses_unmapped, mut verbatim) = (false, 0u128);
        let mut parts = template.split(MARK);
        let first = parts.next()?;
        let text = |text: &str, pieces: &mut Vec<Piece>| {
            if !text.is_empty() {
                pieces.push(Piece::Text(text.into()));
            }
        };
        text(first, &mut pieces);
        while let Some(reference) = parts.next() {
            let reference = Reference::decode(reference)?;
            match reference.stored {
                Stored::Unmapped(_) => uses_unmapped = true,
                Stored::Column(place) if !reference.json && place < 128 => verbatim |= 1 << place,
                _ => {}
            }
            pieces.push(Piece::Reference(reference));
            text(parts.next()?, &mut pieces);
        }
        Some(Self { pieces, uses_unmapped, verbatim })
    }

    /// Appends the original; false where a value it refers to is missing.
    pub(crate) fn expand(&self, values: &dyn Values, out: &mut String) -> bool {
        self.pieces.iter().all(|piece| match piece {
            Piece::Text(text) => {
                out.push_str(text);
                true
            }
            Piece::Reference(Reference { stored, json }) => {
                let mut append = |text: &str| if *json { escape_into(out, text) } else { out.push_str(text) };
                match stored {
                    Stored::Column(place) => values.column(*place, &mut append),
                    Stored::Unmapped(place) => values.unmapped(*place, &mut append),
                    Stored::Time(format) => {
                        format.write(values.time(), out);
                        true
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip_and_nonsense_is_refused() {
        for reference in [
            Reference { stored: Stored::Column(3), json: true },
            Reference { stored: Stored::Unmapped(17), json: false },
        ] {
            let mut text = String::from("a");
            reference.encode(&mut text);
            let template = Template::parse(&text).unwrap();
            assert_eq!(template.pieces[1], Piece::Reference(reference));
        }
        for bad in ["\u{1}", "\u{1}nothing\u{1}", "\u{1}#x\u{1}", "\u{1}time|\u{1}", "a\u{1}source"] {
            assert_eq!(Template::parse(bad), None, "{bad:?}");
        }
    }
}

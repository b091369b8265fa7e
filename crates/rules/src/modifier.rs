//! Field names with modifiers, `Field|modifier|modifier` (Sigma Modifiers Appendix 2.1), read into a
//! plan of what to do with the values. An unknown modifier, or one that has no meaning beside the
//! others, is an error: a rule is never run with a modifier left out.

use crate::{
    expr::{Op, Place, TimePart},
    regexp::Flags,
};

/// A field's name and what its modifiers ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The field; `None` for keywords.
    pub field: Option<String>,
    /// Changes to the value, in the order of the rule.
    pub changes: Vec<Change>,
    /// Where in the field the value is expected.
    pub place: Place,
    /// What the value is.
    pub kind: ValueKind,
    /// Every value of the list must match, not only one.
    pub all: bool,
    /// The field must not match.
    pub negated: bool,
    /// Case counts.
    pub cased: bool,
}

/// A change to a value before it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Base64 of the value.
    Base64,
    /// Base64 of the value at each of three offsets.
    Base64Offset,
    /// UTF-16, little endian.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
    /// UTF-16, little endian after a byte order mark.
    Utf16,
    /// Every spelling of a Windows flag's dash.
    Windash,
    /// Placeholders replaced by configured values.
    Expand,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Text with wildcards, a number, or null.
    Plain,
    /// A regular expression.
    Regex(Flags),
    /// A network.
    Cidr,
    /// A number to compare the field, or a part of the time in it, with.
    Compare(Option<TimePart>, Op),
    /// Whether the field is there.
    Exists,
    /// The name of another field.
    Reference,
}

impl Key {
    /// Reads a key; the error is the reason for people.
    pub fn parse(key: &str) -> Result<Self, String> {
        let mut words = key.split('|');
        let name = words.next().unwrap_or("").trim();
        let mut parsed = Self {
            field: (!name.is_empty()).then(|| name.to_owned()),
            changes: Vec::new(),
            place: Place::Whole,
            kind: ValueKind::Plain,
            all: false,
            negated: false,
            cased: false,
        };
        for word in words {
            parsed.apply(word.trim()).map_err(|why| format!("in `{key}`: {why}"))?;
        }
        parsed.check().map_err(|why| format!("in `{key}`: {why}"))?;
        Ok(parsed)
    }

    fn apply(&mut self, word: &str) -> Result<(), String> {
        match word {
            "contains" => self.set_place(Place::Anywhere)?,
            "startswith" => self.set_place(Place::Start)?,
            "endswith" => self.set_place(Place::End)?,
            "all" => self.all = true,
            "neq" => self.negated = true,
            "cased" => self.cased = true,
            "base64" => self.change(Change::Base64)?,
            "base64offset" => self.change(Change::Base64Offset)?,
            "wide" | "utf16le" => self.change(Change::Utf16Le)?,
            "utf16be" => self.change(Change::Utf16Be)?,
            "utf16" => self.change(Change::Utf16)?,
            "windash" => self.changes.insert(self.before_encoding(), Change::Windash),
            "expand" => self.changes.insert(0, Change::Expand),
            "re" => self.set_kind(ValueKind::Regex(Flags::default()))?,
            "i" | "m" | "s" => {
                let ValueKind::Regex(flags) = &mut self.kind else {
                    return Err(format!("the modifier `{word}` belongs behind `re`"));
                };
                match word {
                    "i" => flags.insensitive = true,
                    "m" => flags.multi_line = true,
                    _ => flags.dot_all = true,
                }
            }
            "cidr" => self.set_kind(ValueKind::Cidr)?,
            "exists" => self.set_kind(ValueKind::Exists)?,
            "fieldref" => self.set_kind(ValueKind::Reference)?,
            "lt" => self.compare(Op::Less)?,
            "lte" => self.compare(Op::AtMost)?,
            "gt" => self.compare(Op::Greater)?,
            "gte" => self.compare(Op::AtLeast)?,
            "minute" => self.time_part(TimePart::Minute)?,
            "hour" => self.time_part(TimePart::Hour)?,
            "day" => self.time_part(TimePart::Day)?,
            "week" => self.time_part(TimePart::Week)?,
            "month" => self.time_part(TimePart::Month)?,
            "year" => self.time_part(TimePart::Year)?,
            _ => return Err(format!("unknown modifier `{word}`")),
        }
        Ok(())
    }

    fn set_place(&mut self, place: Place) -> Result<(), String> {
        if self.place != Place::Whole && self.place != place {
            return Err("only one of `contains`, `startswith` and `endswith` can apply".into());
        }
        self.place = place;
        Ok(())
    }

    fn set_kind(&mut self, kind: ValueKind) -> Result<(), String> {
        if self.kind != ValueKind::Plain {
            return Err("`re`, `cidr`, `exists`, `fieldref` and the comparisons exclude each other".into());
        }
        self.kind = kind;
        Ok(())
    }

    fn compare(&mut self, op: Op) -> Result<(), String> {
        if let ValueKind::Compare(Some(part), Op::Equal) = self.kind {
            self.kind = ValueKind::Compare(Some(part), op);
            return Ok(());
        }
        self.set_kind(ValueKind::Compare(None, op))
    }

    fn time_part(&mut self, part: TimePart) -> Result<(), String> {
        if let ValueKind::Compare(None, op) = self.kind {
            self.kind = ValueKind::Compare(Some(part), op);
            return Ok(());
        }
        self.set_kind(ValueKind::Compare(Some(part), Op::Equal))
    }

    fn change(&mut self, change: Change) -> Result<(), String> {
        if self.place != Place::Whole {
            return Err("an encoding must come before `contains`, `startswith` and `endswith`".into());
        }
        self.changes.push(change);
        Ok(())
    }

    /// Dashes are respelled before anything is encoded, wherever `windash` stands.
    fn before_encoding(&self) -> usize {
        self.changes.iter().take_while(|change| **change == Change::Expand).count()
    }

    fn check(&self) -> Result<(), String> {
        let plain = self.kind == ValueKind::Plain;
        if self.place != Place::Whole && !plain && self.kind != ValueKind::Reference {
            return Err("`contains`, `startswith` and `endswith` apply to text only".into());
        }
        let only_expand = self.changes.iter().all(|change| *change == Change::Expand);
        if !plain && !only_expand {
            return Err("encodings and `windash` apply to text only".into());
        }
        if self.cased && !plain && self.kind != ValueKind::Reference {
            return Err("`cased` applies to text only".into());
        }
        if self.field.is_none() && !plain && !matches!(self.kind, ValueKind::Regex(_)) {
            return Err("keywords are text or regular expressions; name a field for anything else".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_read_in_any_sensible_order() {
        let key = Key::parse("Process Command|wide|base64offset|contains|all").unwrap();
        assert_eq!(key.field.as_deref(), Some("Process Command"));
        assert_eq!(key.changes, [Change::Utf16Le, Change::Base64Offset]);
        assert_eq!(key.place, Place::Anywhere);
        assert!(key.all);
        let key = Key::parse("t|gte|hour").unwrap();
        assert_eq!(key.kind, ValueKind::Compare(Some(TimePart::Hour), Op::AtLeast));
        assert_eq!(Key::parse("t|hour|gte").unwrap().kind, key.kind);
        let Key { kind: ValueKind::Regex(flags), .. } = Key::parse("f|re|i|s").unwrap() else { panic!() };
        assert_eq!(flags, Flags { insensitive: true, multi_line: false, dot_all: true });
        assert_eq!(Key::parse("|all").unwrap().field, None);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for key in [
            "f|frobnicate",
            "f|Contains",
            "f|",
            "f|i",
            "f|re|cidr",
            "f|re|base64",
            "f|contains|base64",
            "f|contains|endswith",
            "f|cidr|contains",
            "f|re|cased",
            "f|gt|lt",
            "|exists",
            "|cidr",
        ] {
            assert!(Key::parse(key).is_err(), "{key}");
        }
    }
}

//! The `unmapped` and `field_map` columns: flat JSON objects, written and read here.
//!
//! A name that a record repeats has a list. A number is written as a number where any JSON reader
//! keeps it exactly, as text otherwise; its text is the same either way. Reading accepts what the
//! writer writes, and stops at anything else.

use std::borrow::Cow;

use covigil_model::{Kind, json::escape_into};

/// Writes one flat object.
#[derive(Debug, Default)]
pub(crate) struct ObjectWriter {
    names: Vec<(u64, usize)>,
    seen: u64,
}

/// One member to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    pub(crate) kind: Kind,
}

impl ObjectWriter {
    /// Appends the object of the members to `out`. Members that repeat a name are moved to its first
    /// occurrence; `order` receives the members' places in the order in which they were written.
    pub(crate) fn write<'a>(
        &mut self,
        count: usize,
        member: impl Fn(usize) -> Member<'a>,
        out: &mut String,
        order: &mut Vec<u32>,
    ) {
        order.clear();
        if self.has_repeats(count, &member) {
            // Stable, so that the values of one name stay in the record's order.
            let mut first: rustc_hash::FxHashMap<&str, usize> = rustc_hash::FxHashMap::default();
            for at in 0..count {
                first.entry(member(at).name).or_insert(at);
            }
            order.extend(0..count as u32);
            order.sort_by_key(|at| first.get(member(*at as usize).name).copied());
        } else {
            order.extend(0..count as u32);
        }
        out.push('{');
        let mut at = 0;
        while at < count {
            let one = member(order[at] as usize);
            let same = order[at..].iter().take_while(|n| member(**n as usize).name == one.name).count();
            if at > 0 {
                out.push(',');
            }
            out.push('"');
            escape_into(out, one.name);
            out.push_str("\":");
            if same > 1 {
                out.push('[');
            }
            for (nth, place) in order[at..at + same].iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                let Member { value, kind, .. } = member(*place as usize);
                match kind {
                    Kind::Number if is_exact_number(value) => out.push_str(value),
                    Kind::Bool if matches!(value, "true" | "false") => out.push_str(value),
                    Kind::Null if value.is_empty() => out.push_str("null"),
                    _ => {
                        out.push('"');
                        escape_into(out, value);
                        out.push('"');
                    }
                }
            }
            if same > 1 {
                out.push(']');
            }
            at += same;
        }
        out.push('}');
    }

    fn has_repeats<'a>(&mut self, count: usize, member: impl Fn(usize) -> Member<'a>) -> bool {
        self.names.clear();
        self.seen = 0;
        for at in 0..count {
            let name = member(at).name;
            let hash = hash(name);
            let bit = 1u64 << (hash >> 58);
            if self.seen & bit != 0
                && self.names.iter().any(|(have, n)| *have == hash && member(*n).name == name)
            {
                return true;
            }
            if self.names.len() > 256 {
                // Too many to compare pairwise; the general way is right for any members.
                return true;
            }
            self.seen |= bit;
            self.names.push((hash, at));
        }
        false
    }
}

fn hash(text: &str) -> u64 {
    use std::hash::BuildHasher as _;
    rustc_hash::FxBuildHasher.hash_one(text).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Whether a text is a JSON number that any reader keeps exactly.
fn is_exact_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let all_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
        && digits.len() <= if fraction.is_some() { 15 } else { 18 }
}

/// Reads a flat object's values in the order in which they stand: name, text, and type.
#[derive(Debug, Clone)]
pub(crate) struct ObjectReader<'a> {
    rest: &'a str,
    name: Cow<'a, str>,
    list: bool,
}

impl<'a> ObjectReader<'a> {
    pub(crate) fn new(object: &'a str) -> Self {
        Self { rest: object.strip_prefix('{').unwrap_or(""), name: Cow::Borrowed(""), list: false }
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let bytes = self.rest.as_bytes();
        let stop = memchr::memchr2(b'"', b'\\', bytes)?;
        if bytes[stop] == b'"' {
            let text = &self.rest[..stop];
            self.rest = &self.rest[stop + 1..];
            return Some(Cow::Borrowed(text));
        }
        let mut out = String::from(&self.rest[..stop]);
        let mut rest = &self.rest[stop..];
        loop {
            let stop = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
            out.push_str(&rest[..stop]);
            if rest.as_bytes()[stop] == b'"' {
                self.rest = &rest[stop + 1..];
                return Some(Cow::Owned(out));
            }
            let code = *rest.as_bytes().get(stop + 1)?;
            let mut taken = 2;
            match code {
                b'n' => out.push('\n'),
                b'r' => out.push('\r'),
                b't' => out.push('\t'),
                b'u' => {
                    let unit = rest.get(stop + 2..stop + 6)?;
                    out.push(char::from_u32(u32::from_str_radix(unit, 16).ok()?)?);
                    taken = 6;
                }
                b'"' | b'\\' => out.push(char::from(code)),
                _ => return None,
            }
            rest = rest.get(stop + taken..)?;
        }
    }

    fn scalar(&mut self) -> Option<(Cow<'a, str>, Kind)> {
        if self.eat('"') {
            return Some((self.string()?, Kind::Text));
        }
        let len = self.rest.bytes().take_while(|b| !matches!(b, b',' | b'}' | b']')).count();
        let word = &self.rest[..len];
        self.rest = &self.rest[len..];
        match word {
            "" => None,
            "null" => Some((Cow::Borrowed(""), Kind::Null)),
            "true" | "false" => Some((Cow::Borrowed(word), Kind::Bool)),
            number => Some((Cow::Borrowed(number), Kind::Number)),
        }
    }
}

impl<'a> Iterator for ObjectReader<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>, Kind);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.list {
            if !self.eat('"') {
                return None;
            }
            self.name = self.string()?;
            if !self.eat(':') {
                return None;
            }
            self.list = self.eat('[');
        }
        let (value, kind) = self.scalar()?;
        if self.list && self.eat(']') {
            self.list = false;
        }
        self.eat(',');
        Some((self.name.clone(), value, kind))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(members: &[(&str, &str, Kind)]) -> (String, Vec<u32>) {
        let (mut out, mut order) = (String::new(), Vec::new());
        let member = |n: usize| Member { name: members[n].0, value: members[n].1, kind: members[n].2 };
        ObjectWriter::default().write(members.len(), member, &mut out, &mut order);
        (out, order)
    }

    #[test]
    fn repeated_names_become_lists_and_numbers_stay_exact() {
        let (text, order) = write(&[
            ("a", "1", Kind::Number),
            ("b", "1e999", Kind::Number),
            ("a", "x\"", Kind::Text),
            ("c", "", Kind::Null),
            ("d", "true", Kind::Bool),
            ("e", "0123", Kind::Number),
        ]);
        assert_eq!(text, r#"{"a":[1,"x\""],"b":"1e999","c":null,"d":true,"e":"0123"}"#);
        assert_eq!(order, [0, 2, 1, 3, 4, 5]);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(members in proptest::collection::vec(("(a|b|.{0,6})", "(-?[0-9.]{1,20}|.{0,12})", 0u8..4), 0..12)) {
            let kinds = [Kind::Text, Kind::Number, Kind::Bool, Kind::Null];
            let members: Vec<(&str, &str, Kind)> =
                members.iter().map(|(n, v, k)| (n.as_str(), v.as_str(), kinds[usize::from(*k)])).collect();
            let (text, order) = write(&members);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            let read: Vec<(String, String)> =
                ObjectReader::new(&text).map(|(n, v, _)| (n.into_owned(), v.into_owned())).collect();
            let expected: Vec<(String, String)> = order
                .iter()
                .map(|n| (members[*n as usize].0.to_owned(), members[*n as usize].1.to_owned()))
                .collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_text_is_read_or_not(text in "[{}\\[\\]\",:\\\\a-f0-9un]{0,40}") {
            prop_assert!(ObjectReader::new(&text).count() <= text.len());
        }
    }
}

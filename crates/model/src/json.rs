//! JSON text to fields, in one pass and without a tree.
//!
//! Objects nest into dotted names, each element of a list becomes one field of the list's name, and
//! values keep their text: numbers as written (so `1e999` and 20-digit ids survive), strings
//! unescaped. Depth and number of fields are bounded; a text over the bounds, or one that is not
//! JSON, is refused with the byte offset. Lone surrogates become U+FFFD. Control characters inside
//! strings are let through, since logs contain them.

use crate::event::{Event, Field, Kind, Span};

/// Nesting allowed.
pub const MAX_DEPTH: usize = 64;
/// Fields allowed in one event.
pub const MAX_FIELDS: usize = 4_096;

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON.
    #[error("not JSON at byte {at}: expected {expected}")]
    Syntax {
        /// Byte offset in the text.
        at: usize,
        /// What would have been right there.
        expected: &'static str,
    },
    /// Nested too deeply.
    #[error("nested deeper than {MAX_DEPTH} levels at byte {at}")]
    Depth {
        /// Byte offset in the text.
        at: usize,
    },
    /// Too many fields.
    #[error("more than {MAX_FIELDS} fields")]
    Fields,
}

/// Adds the fields of the JSON object that stands at bytes `start..end` of the event's text.
///
/// On refusal the event has the fields that were read before; callers that want none call
/// [`Event::reset`].
pub fn flatten(event: &mut Event, start: usize, end: usize) -> Result<(), JsonError> {
    let (text, fields) = event.parts_mut();
    let taken = std::mem::take(text);
    let end = end.min(taken.len());
    let mut reader = Reader { text: taken, at: start, base: start, end, fields };
    let result = reader.document();
    *text = std::mem::take(&mut reader.text);
    result
}

struct Reader<'a> {
    text: String,
    at: usize,
    base: usize,
    end: usize,
    fields: &'a mut Vec<Field>,
}

/// One open container: the name its members' names begin with, and whether it is a list.
struct Open {
    name: Span,
    list: bool,
    members: u32,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.peek() != Some(b'{') {
            return Err(self.expected("an object"));
        }
        self.at += 1;
        let mut open = Vec::with_capacity(8);
        open.push(Open { name: Span::EMPTY, list: false, members: 0 });
        while let Some(top) = open.last_mut() {
            self.space();
            let close = if top.list { b']' } else { b'}' };
            if self.peek() == Some(close) && !(top.members > 0 && self.after_comma()) {
                self.at += 1;
                let closed = open.pop();
                if let Some(Open { name, members: 0, .. }) = closed
                    && !name.is_empty()
                {
                    self.push(name, Span::EMPTY, Kind::Null)?;
                }
                if !open.is_empty() {
                    self.separator(open.last().is_some_and(|o| o.list))?;
                }
                continue;
            }
            top.members += 1;
            let (list, parent) = (top.list, top.name);
            let name = if list {
                parent
            } else {
                if self.peek() != Some(b'"') {
                    return Err(self.expected("a name in quotes"));
                }
                let own = self.string()?;
                self.space();
                if self.peek() != Some(b':') {
                    return Err(self.expected("a colon"));
                }
                self.at += 1;
                self.space();
                self.join(parent, own)
            };
            match self.peek() {
                Some(b'"') => {
                    let value = self.string()?;
                    self.push(name, value, Kind::Text)?;
                }
                Some(opening @ (b'{' | b'[')) => {
                    if open.len() >= MAX_DEPTH {
                        return Err(JsonError::Depth { at: self.at - self.base });
                    }
                    self.at += 1;
                    open.push(Open { name, list: opening == b'[', members: 0 });
                    continue;
                }
                Some(b't') => self.word("true", name, Kind::Bool)?,
                Some(b'f') => self.word("false", name, Kind::Bool)?,
                Some(b'n') => self.word("null", name, Kind::Null)?,
                Some(b'-' | b'0'..=b'9') => {
                    let value = self.number()?;
                    self.push(name, value, Kind::Number)?;
                }
                _ => return Err(self.expected("a value")),
            }
            self.separator(list)?;
        }
        self.space();
        if self.at < self.end {
            return Err(self.expected("nothing after the object"));
        }
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    fn peek(&self) -> Option<u8> {
        if self.at < self.end { self.bytes().get(self.at).copied() } else { None }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax { at: self.at - self.base, expected }
    }

    /// After a member: a comma, or the container's end.
    fn separator(&mut self, list: bool) -> Result<(), JsonError> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(())
            }
            Some(b'}') if !list => Ok(()),
            Some(b']') if list => Ok(()),
            _ => Err(self.expected(if list { "a comma or ]" } else { "a comma or }" })),
        }
    }

    /// Whether the last thing before the cursor, space aside, is a comma.
    fn after_comma(&self) -> bool {
        self.bytes()[self.base..self.at].iter().rev().find(|b| !b.is_ascii_whitespace()) == Some(&b',')
    }

    fn push(&mut self, name: Span, value: Span, kind: Kind) -> Result<(), JsonError> {
        if self.fields.len() >= MAX_FIELDS {
            return Err(JsonError::Fields);
        }
        self.fields.push(Field { name, value, kind });
        Ok(())
    }

    fn join(&mut self, parent: Span, own: Span) -> Span {
        if parent.is_empty() {
            return own;
        }
        let start = self.text.len();
        self.text.extend_from_within(parent.start()..parent.end());
        self.text.push('.');
        self.text.extend_from_within(own.start()..own.end());
        Span::of(start, self.text.len())
    }

    fn word(&mut self, word: &'static str, name: Span, kind: Kind) -> Result<(), JsonError> {
        let stop = self.at + word.len();
        if stop > self.end || self.bytes()[self.at..stop] != *word.as_bytes() {
            return Err(self.expected("true, false or null"));
        }
        let value = if kind == Kind::Null { Span::EMPTY } else { Span::of(self.at, stop) };
        self.at = stop;
        self.push(name, value, kind)
    }

    fn number(&mut self) -> Result<Span, JsonError> {
        let start = self.at;
        while let Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        let text = &self.bytes()[start..self.at];
        if is_number(text) {
            Ok(Span::of(start, self.at))
        } else {
            self.at = start;
            Err(self.expected("a number"))
        }
    }

    /// Reads a string whose opening quote is at the cursor.
    fn string(&mut self) -> Result<Span, JsonError> {
        self.at += 1;
        let start = self.at;
        match memchr::memchr2(b'"', b'\\', &self.bytes()[start..self.end]) {
            None => Err(self.expected("a closing quote")),
            Some(found) if self.bytes()[start + found] == b'"' => {
                self.at = start + found + 1;
                Ok(Span::of(start, start + found))
            }
            Some(found) => self.escaped(start, start + found),
        }
    }

    /// Unescapes the string that begins at `start` and has its first backslash at `slash`.
    fn escaped(&mut self, start: usize, slash: usize) -> Result<Span, JsonError> {
        let out = self.text.len();
        self.text.extend_from_within(start..slash);
        self.at = slash;
        loop {
            // The cursor is at a backslash.
            let Some(&code) = self.bytes()[..self.end].get(self.at + 1) else {
                return Err(self.expected("a closing quote"));
            };
            self.at += 2;
            match code {
                b'"' | b'\\' | b'/' => self.text.push(char::from(code)),
                b'n' => self.text.push('\n'),
                b't' => self.text.push('\t'),
                b'r' => self.text.push('\r'),
                b'b' => self.text.push('\u{8}'),
                b'f' => self.text.push('\u{c}'),
                b'u' => {
                    let unit = self.unit()?;
                    let decoded = self.surrogate_pair(unit);
                    self.text.push(decoded);
                }
                _ => {
                    self.at -= 1;
                    return Err(self.expected("an escape"));
                }
            }
            let next = match memchr::memchr2(b'"', b'\\', &self.bytes()[self.at..self.end]) {
                None => return Err(self.expected("a closing quote")),
                Some(found) => self.at + found,
            };
            self.text.extend_from_within(self.at..next);
            self.at = next;
            if self.bytes()[next] == b'"' {
                self.at += 1;
                return Ok(Span::of(out, self.text.len()));
            }
        }
    }

    /// Four hexadecimal digits at the cursor.
    fn unit(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            let Some(digit) = digit else { return Err(self.expected("four hexadecimal digits")) };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    fn surrogate_pair(&mut self, unit: u32) -> char {
        if !(0xd800..0xdc00).contains(&unit) {
            return char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
        let begin = self.at;
        if self.peek() == Some(b'\\')
            && self.bytes().get(self.at + 1) == Some(&b'u')
            && self.at + 6 <= self.end
        {
            self.at += 2;
            if let Ok(low) = self.unit()
                && (0xdc00..0xe000).contains(&low)
            {
                let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
        }
        self.at = begin;
        char::REPLACEMENT_CHARACTER
    }
}

/// Whether the text is a number in JSON's grammar (RFC 8259 section 6).
fn is_number(text: &[u8]) -> bool {
    let digits = |t: &[u8]| t.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let [b'.', tail @ ..] = rest {
        let fraction = digits(tail);
        if fraction == 0 {
            return false;
        }
        rest = &tail[fraction..];
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        let tail = match tail {
            [b'+' | b'-', after @ ..] => after,
            _ => tail,
        };
        let exponent = digits(tail);
        if exponent == 0 {
            return false;
        }
        rest = &tail[exponent..];
    }
    rest.is_empty()
}

/// Appends `text` to `out` as the inside of a JSON string.
pub fn escape_into(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        if escaped.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escaped);
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String, Kind)>, JsonError> {
        let mut event = Event::from_original(text);
        flatten(&mut event, 0, text.len())?;
        Ok(event.iter().map(|(n, v)| (n.to_owned(), v.text.to_owned(), v.kind)).collect())
    }

    #[test]
    fn nesting_becomes_dotted_names_and_lists_repeat_their_name() {
        let fields = read(r#" {"a":{"b":[1,"x",{"c":true}],"e":{}},"d":null,"l":[]} "#).unwrap();
        let expected: &[(&str, &str, Kind)] = &[
            ("a.b", "1", Kind::Number),
            ("a.b", "x", Kind::Text),
            ("a.b.c", "true", Kind::Bool),
            ("a.e", "", Kind::Null),
            ("d", "", Kind::Null),
            ("l", "", Kind::Null),
        ];
        let got: Vec<_> = fields.iter().map(|(n, v, k)| (n.as_str(), v.as_str(), *k)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn strings_are_unescaped_and_numbers_keep_their_text() {
        let fields = read(r#"{"k\n":"a\"\\\/\u00e9\ud83d\ude00\ud800x","n":-1.50e+999}"#).unwrap();
        assert_eq!(fields[0].0, "k\n");
        assert_eq!(fields[0].1, "a\"\\/é😀\u{fffd}x");
        assert_eq!(fields[1].1, "-1.50e+999");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for bad in [
            "",
            "[]",
            "1",
            "{",
            "{}x",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":tru}"#,
            r#"{"a":"x}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":[1}"#,
            r#"{,}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_and_fields_are_bounded() {
        let deep = format!("{}{}", r#"{"a":"#.repeat(100_000), "1");
        assert!(matches!(read(&deep), Err(JsonError::Depth { .. })));
        let wide = format!("{{\"a\":[{}1]}}", "1,".repeat(5_000));
        assert_eq!(read(&wide), Err(JsonError::Fields));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn agrees_with_serde_json(text in r#"\{("[ab]":(1|-0|0\.5|01|"x\\n"|"\\u00e9"|true|null|\[\]|\[1,2\]|\{"c":1\}),?){0,3}\}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(read(&text).is_ok(), theirs, "{}", text);
        }

        #[test]
        fn strings_survive_escaping(text in ".{0,40}") {
            let mut json = String::from("{\"k\":\"");
            escape_into(&mut json, &text);
            json.push_str("\"}");
            let fields = read(&json).unwrap();
            prop_assert_eq!(&fields[0].1, &text);
        }
    }
}

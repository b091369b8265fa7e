//! `name=value` texts, as firewalls, PAM and the audit system write them.

/// One pair, and where the next begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    /// Before the `=`.
    pub name: &'a str,
    /// After it, without the quotes around it.
    pub value: &'a str,
    /// Whether quotes stood around it.
    pub quoted: bool,
}

/// The pairs of a text, separated by spaces, commas or semicolons; words without `=` are passed
/// over. A value in quotes reaches to the closing one of the same kind that is not escaped. After
/// [`MOST`] pairs the rest is passed over, so that a record made of pairs costs no more than others.
pub(crate) fn pairs(text: &str) -> Pairs<'_> {
    Pairs { rest: text, left: MOST }
}

/// More pairs than any real record has.
const MOST: usize = 1_024;

/// The iterator of [`pairs`].
pub(crate) struct Pairs<'a> {
    rest: &'a str,
    left: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        self.left = self.left.checked_sub(1)?;
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', ',', ';', '\n', '\r']);
            if self.rest.is_empty() {
                return None;
            }
            let stop = self
                .rest
                .find(|c: char| c == '=' || c.is_ascii_whitespace() || c == ',' || c == ';')
                .unwrap_or(self.rest.len());
            if self.rest.as_bytes().get(stop) != Some(&b'=') || stop == 0 {
                self.rest = self.rest.get(stop + 1..).unwrap_or("");
                continue;
            }
            let name = &self.rest[..stop];
            let after = &self.rest[stop + 1..];
            let (value, rest, quoted) = value(after);
            self.rest = rest;
            return Some(Pair { name, value, quoted });
        }
    }
}

fn value(text: &str) -> (&str, &str, bool) {
    let quote = match text.as_bytes().first() {
        Some(&quote @ (b'"' | b'\'')) => quote,
        _ => {
            let end =
                text.find(|c: char| c.is_ascii_whitespace() || c == ',' || c == ';').unwrap_or(text.len());
            return (&text[..end], &text[end..], false);
        }
    };
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' {
            at += 2;
        } else if byte == quote {
            return (&text[1..at], &text[at + 1..], true);
        } else {
            at += 1;
        }
    }
    (&text[1..], "", true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(&str, &str)> {
        pairs(text).map(|p| (p.name, p.value)).collect()
    }

    #[test]
    fn forms() {
        assert_eq!(
            read(r#"IN=eth0 OUT= word SRC=10.0.0.1,x="a b\" c" y='é';z=1"#),
            [("IN", "eth0"), ("OUT", ""), ("SRC", "10.0.0.1"), ("x", r#"a b\" c"#), ("y", "é"), ("z", "1")]
        );
        assert_eq!(read("=x a=\"open"), [("a", "open")]);
        assert_eq!(read("a=\"x\\"), [("a", "x\\")]);
    }
}

//! Text patterns: Sigma's strings with their wildcards and escapes, and how they match.
//!
//! `*` stands for any number of characters, line breaks included, and `?` for exactly one. A
//! backslash before `*`, `?` or a backslash takes away its meaning; any other backslash is itself
//! (Sigma Rules Specification, "Escaping").
//!
//! Matching ignores case unless the rule says `cased`. Both sides are lowered by Unicode's simple
//! mapping, character by character ([`lower_into`]): the number of characters stays the same, which
//! `?` relies on. Where lowering would yield two characters (only `İ`), the character stays. No
//! further folding takes place: `ß` is not `ss`, and `σ` is not `ς`.

use std::borrow::Cow;

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Token {
    /// These characters.
    Literal(String),
    /// Exactly one character.
    One,
    /// Any number of characters.
    Many,
}

/// A pattern that a whole text matches or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    tokens: Vec<Token>,
    cased: bool,
}

/// The form of a pattern, cheapest test first. The literal is lowered unless the pattern is cased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape<'a> {
    /// The text is the literal.
    Exact(&'a str),
    /// The text begins with the literal.
    Prefix(&'a str),
    /// The text ends with the literal.
    Suffix(&'a str),
    /// The text contains the literal.
    Contains(&'a str),
    /// Every text matches.
    Any,
    /// Anything else.
    General,
}

impl Pattern {
    /// Reads a Sigma string.
    pub fn parse(text: &str) -> Self {
        let mut pattern = Self { tokens: Vec::new(), cased: true };
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' => pattern.push(Token::Many),
                '?' => pattern.push(Token::One),
                '\\' => match chars.peek() {
                    Some(&next @ ('*' | '?' | '\\')) => {
                        chars.next();
                        pattern.push_char(next);
                    }
                    _ => pattern.push_char('\\'),
                },
                _ => pattern.push_char(c),
            }
        }
        pattern
    }

    /// The pattern that only this text matches.
    pub fn literal(text: &str) -> Self {
        let tokens = if text.is_empty() { Vec::new() } else { vec![Token::Literal(text.to_owned())] };
        Self { tokens, cased: true }
    }

    /// Its parts, in order.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Whether case counts.
    pub const fn cased(&self) -> bool {
        self.cased
    }

    /// Its text, where it has no wildcard.
    pub fn as_literal(&self) -> Option<&str> {
        match self.tokens.as_slice() {
            [] => Some(""),
            [Token::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The same pattern, matching whatever stands before it.
    #[must_use]
    pub fn open_start(mut self) -> Self {
        if self.tokens.first() != Some(&Token::Many) {
            self.tokens.insert(0, Token::Many);
        }
        self
    }

    /// The same pattern, matching whatever stands behind it.
    #[must_use]
    pub fn open_end(mut self) -> Self {
        if self.tokens.last() != Some(&Token::Many) {
            self.tokens.push(Token::Many);
        }
        self
    }

    /// The same pattern, ignoring case.
    #[must_use]
    pub fn caseless(mut self) -> Self {
        for token in &mut self.tokens {
            if let Token::Literal(text) = token {
                *text = lower(text).into_owned();
            }
        }
        self.cased = false;
        self
    }

    /// Its form.
    pub fn shape(&self) -> Shape<'_> {
        match self.tokens.as_slice() {
            [] => Shape::Exact(""),
            [Token::Literal(text)] => Shape::Exact(text),
            [Token::Many] => Shape::Any,
            [Token::Literal(text), Token::Many] => Shape::Prefix(text),
            [Token::Many, Token::Literal(text)] => Shape::Suffix(text),
            [Token::Many, Token::Literal(text), Token::Many] => Shape::Contains(text),
            _ => Shape::General,
        }
    }

    /// The longest literal in it; every text that matches contains it.
    pub fn longest_literal(&self) -> Option<&str> {
        self.tokens
            .iter()
            .filter_map(|token| if let Token::Literal(text) = token { Some(text.as_str()) } else { None })
            .max_by_key(|text| text.len())
    }

    /// Whether `text` matches. A pattern that ignores case wants a text that was lowered.
    ///
    /// Takes time proportional to text and pattern lengths multiplied, at worst; never more.
    pub fn matches(&self, text: &str) -> bool {
        match self.shape() {
            Shape::Exact(literal) => text == literal,
            Shape::Prefix(literal) => text.starts_with(literal),
            Shape::Suffix(literal) => text.ends_with(literal),
            Shape::Contains(literal) => memchr::memmem::find(text.as_bytes(), literal.as_bytes()).is_some(),
            Shape::Any => true,
            Shape::General => matches_tokens(&self.tokens, text),
        }
    }

    fn push(&mut self, token: Token) {
        if token != Token::Many || self.tokens.last() != Some(&Token::Many) {
            self.tokens.push(token);
        }
    }

    fn push_char(&mut self, c: char) {
        if let Some(Token::Literal(text)) = self.tokens.last_mut() {
            text.push(c);
        } else {
            self.tokens.push(Token::Literal(c.to_string()));
        }
    }
}

/// In Sigma's notation, with escapes.
impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for token in &self.tokens {
            match token {
                Token::Literal(text) => {
                    for c in text.chars() {
                        if matches!(c, '*' | '?' | '\\') {
                            f.write_str("\\")?;
                        }
                        write!(f, "{c}")?;
                    }
                }
                Token::One => f.write_str("?")?,
                Token::Many => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

/// Greedy matching with one point of return: the last `*`. A later `*` makes earlier ones moot.
fn matches_tokens(tokens: &[Token], text: &str) -> bool {
    let mut at = 0;
    let mut token = 0;
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let advanced = match tokens.get(token) {
            None => at == text.len(),
            Some(Token::Many) => {
                retry = Some((token + 1, at));
                token += 1;
                continue;
            }
            Some(Token::One) => match text[at..].chars().next() {
                Some(c) => {
                    at += c.len_utf8();
                    token += 1;
                    continue;
                }
                None => false,
            },
            Some(Token::Literal(literal)) => {
                if text[at..].starts_with(literal.as_str()) {
                    at += literal.len();
                    token += 1;
                    continue;
                }
                false
            }
        };
        if advanced {
            return true;
        }
        let Some((next, from)) = retry else { return false };
        let Some(c) = text[from..].chars().next() else { return false };
        let mut from = from + c.len_utf8();
        // Where a literal follows the `*`, jump to its next occurrence.
        if let Some(Token::Literal(literal)) = tokens.get(next) {
            match memchr::memmem::find(&text.as_bytes()[from..], literal.as_bytes()) {
                Some(found) => from += found,
                None => return false,
            }
        }
        retry = Some((next, from));
        token = next;
        at = from;
    }
}

/// The text in lower case, as this module's first paragraphs define it.
pub fn lower(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Cow::Owned(text.to_ascii_lowercase());
        }
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    lower_into(&mut out, text);
    Cow::Owned(out)
}

/// Appends the text in lower case, as this module's first paragraphs define it.
pub fn lower_into(out: &mut String, text: &str) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        out[start..].make_ascii_lowercase();
        return;
    }
    out.extend(text.chars().map(lower_char));
}

fn lower_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lowered = c.to_lowercase();
    match (lowered.next(), lowered.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).caseless().matches(&lower(text))
    }

    #[test]
    fn wildcards_and_escapes_follow_the_specification() {
        for (pattern, yes, no) in [
            (r"prog?.exe", "progA.exe", "prog.exe"),
            (r"a*b", "a\nx\nb", "a\nx\nbc"),
            (r"\*", "*", "x"),
            (r"\?", "?", "x"),
            (r"a\\*", r"a\anything", "a*"),
            (r"a\\\*", r"a\*", r"a\x"),
            (r"a\\\\?", r"a\\x", r"a\x"),
            (r"a\\\\", r"a\\", r"a\"),
            (r"a\\\b", r"a\\b", r"a\b"),
            (r"a\b", r"a\b", "ab"),
            (r"C:\\Windows\*", r"C:\Windows*", r"C:\Windows\x"),
            ("*", "", "\u{0}never"),
            ("", "", " "),
            ("ÄÖ*", "äöx", "aox"),
            ("?", "é", "ab"),
            ("?", "😀", ""),
            ("*a*a*b", "aaaaaaab", "aaaaaaa"),
        ] {
            assert!(matches(pattern, yes), "{pattern} should match {yes}");
            if !no.contains("never") {
                assert!(!matches(pattern, no), "{pattern} should not match {no}");
            }
        }
    }

    #[test]
    fn lowering_keeps_the_number_of_characters() {
        assert_eq!(lower("İSTANBUL ÀÉ"), "İstanbul àé");
    }

    #[test]
    fn many_stars_take_bounded_time() {
        let pattern = Pattern::parse(&"*a".repeat(40)).open_end();
        assert!(!pattern.matches(&"a".repeat(39)));
        let long = format!("{}c", "ab".repeat(50_000));
        assert!(!Pattern::parse("*ab?ab*ab?d").matches(&long));
    }

    proptest! {
        #[test]
        fn notation_round_trips(text in r"[ab*?\\]{0,12}") {
            let pattern = Pattern::parse(&text);
            prop_assert_eq!(Pattern::parse(&pattern.to_string()), pattern);
        }

        #[test]
        fn agrees_with_a_regular_expression(pattern in r"[ab*?\\é]{0,8}", text in r"[ab*?\\é\n]{0,10}") {
            let parsed = Pattern::parse(&pattern);
            let mut expression = String::from(r"(?s)\A");
            for token in parsed.tokens() {
                match token {
                    Token::Literal(literal) => expression.push_str(&regex::escape(literal)),
                    Token::One => expression.push('.'),
                    Token::Many => expression.push_str(".*"),
                }
            }
            expression.push_str(r"\z");
            let expected = regex::Regex::new(&expression).unwrap().is_match(&text);
            prop_assert_eq!(parsed.matches(&text), expected);
        }
    }
}

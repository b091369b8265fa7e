//! Tests of one text: substring, whole value, wildcards, regular expression, network, range.
//!
//! Letters compare without regard to ASCII case; other characters compare as they are. All tests
//! take time linear in the text, save wildcards, which take at most the text's length times the
//! number of literal parts.

use std::{cmp::Ordering, net::IpAddr};

use ipnet::IpNet;
use regex::Regex;

use super::language::{Pattern, Piece};

/// A text to be found inside others.
#[derive(Debug, Clone)]
pub(crate) struct Needle {
    /// The needle in lower case.
    folded: Vec<u8>,
    /// Its least frequent byte, in both cases, and where it stands.
    rare: [u8; 2],
    rare_at: usize,
}

impl Needle {
    pub(crate) fn new(text: &str) -> Self {
        let folded = text.as_bytes().to_ascii_lowercase();
        let rare_at = (0..folded.len()).min_by_key(|at| frequency(folded[*at])).unwrap_or(0);
        let lower = folded.get(rare_at).copied().unwrap_or(0);
        Self { rare: [lower, lower.to_ascii_uppercase()], folded, rare_at }
    }

    /// Where it first stands in `text` at or after byte `from`.
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let len = self.folded.len();
        if len == 0 {
            return (from <= text.len()).then_some(from);
        }
        // The rare byte can stand only where the rest of the needle fits around it.
        let end = (text.len() + self.rare_at + 1).checked_sub(len)?;
        let mut at = from + self.rare_at;
        while at < end {
            let window = &text[at..end];
            let found = if self.rare[0] == self.rare[1] {
                memchr::memchr(self.rare[0], window)
            } else {
                memchr::memchr2(self.rare[0], self.rare[1], window)
            };
            at += found?;
            let start = at - self.rare_at;
            if text[start..start + len].eq_ignore_ascii_case(&self.folded) {
                return Some(start);
            }
            at += 1;
        }
        None
    }

    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.find(text, 0).is_some()
    }

    /// The needle in lower case.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.folded).ok()
    }

    fn starts(&self, text: &[u8]) -> bool {
        text.get(..self.folded.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(&self.folded))
    }

    fn ends(&self, text: &[u8]) -> bool {
        text.len() >= self.folded.len()
            && text[text.len() - self.folded.len()..].eq_ignore_ascii_case(&self.folded)
    }
}

/// A rough rank of how often a byte, in lower case, stands in logs.
fn frequency(byte: u8) -> u8 {
    match byte {
        b'e' | b'0' | b'1' | b' ' | b'"' => 9,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b'2' => 8,
        b'd' | b'c' | b'l' | b'm' | b'.' | b'-' | b':' | b',' | b'3'..=b'9' => 7,
        b'u' | b'p' | b'f' | b'h' | b'\\' | b'/' | b'_' | b'=' => 6,
        b'g' | b'b' | b'w' | b'y' | b'{' | b'}' | b'[' | b']' | b'(' | b')' => 5,
        b'v' | b'k' | b'x' => 3,
        b'j' | b'q' | b'z' => 1,
        0x80.. => 4,
        _ => 2,
    }
}

/// Wildcards with their literal parts compiled.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    /// Runs between stars. Within a run, literals and `?` follow each other.
    runs: Vec<Vec<Part>>,
    /// Whether the first run must begin, and the last end, the text.
    anchored: (bool, bool),
}

#[derive(Debug, Clone)]
enum Part {
    Literal(Needle),
    One,
}

impl Glob {
    /// `whole`: the pattern stands for the whole text; else for any part of it.
    fn new(pattern: &Pattern, whole: bool) -> Self {
        let mut runs = vec![Vec::new()];
        for piece in &pattern.0 {
            match piece {
                Piece::Any => runs.push(Vec::new()),
                Piece::One => {
                    if let Some(run) = runs.last_mut() {
                        run.push(Part::One);
                    }
                }
                Piece::Literal(text) => {
                    if let Some(run) = runs.last_mut() {
                        run.push(Part::Literal(Needle::new(text)));
                    }
                }
            }
        }
        Self { runs, anchored: (whole, whole) }
    }

    fn test(&self, text: &str) -> bool {
        let last = self.runs.len() - 1;
        let mut from = 0;
        for (i, run) in self.runs.iter().enumerate() {
            let at_start = i == 0 && self.anchored.0;
            let at_end = i == last && self.anchored.1;
            match place(run, text, from, at_start, at_end) {
                Some(end) => from = end,
                None => return false,
            }
        }
        true
    }
}

/// Where a run ends that begins at or after `from`, the earliest that fits.
fn place(run: &[Part], text: &str, from: usize, at_start: bool, at_end: bool) -> Option<usize> {
    let mut start = from;
    loop {
        if !at_start && let Some(Part::Literal(first)) = run.first() {
            start = first.find(text.as_bytes(), start)?;
        }
        if let Some(end) = run_at(run, text, start)
            && (!at_end || end == text.len())
        {
            return Some(end);
        }
        if at_start || start >= text.len() {
            return None;
        }
        // A run that must end the text can begin only where its length fits: skip ahead by
        // characters otherwise.
        start += text[start..].chars().next().map_or(1, char::len_utf8);
    }
}

fn run_at(run: &[Part], text: &str, start: usize) -> Option<usize> {
    let mut at = start;
    for part in run {
        match part {
            Part::Literal(needle) => {
                let rest = text.as_bytes().get(at..)?;
                if !needle.starts(rest) {
                    return None;
                }
                at += needle.folded.len();
            }
            Part::One => at += text.get(at..)?.chars().next()?.len_utf8(),
        }
    }
    Some(at)
}

/// What a text is asked.
#[derive(Debug, Clone)]
pub(crate) enum TextTest {
    /// It is not empty.
    Exists,
    /// It is this.
    Equals(Needle),
    /// It contains this.
    Contains(Needle),
    /// It begins with this.
    Begins(Needle),
    /// It ends with this.
    Ends(Needle),
    /// Wildcards.
    Glob(Glob),
    /// The expression finds something.
    Regex(Box<Regex>),
    /// It is an address of the network.
    Network(IpNet),
    /// It is between the bounds.
    Range(Limit, Limit),
    /// One of the tests holds.
    Any(Vec<Self>),
    /// The test holds for the text, or for what stands behind its last `/` or `\`.
    Component(Box<Self>),
    /// The test holds for the text, or for one of its parts between commas.
    Item(Box<Self>),
}

/// One end of a range of texts or numbers.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    /// The bound; none where open.
    pub(crate) value: Option<String>,
    /// The bound as a number, where it is one.
    pub(crate) number: Option<f64>,
    /// Whether the bound itself is within.
    pub(crate) including: bool,
}

impl Limit {
    /// How the text stands to the bound, as numbers where both are.
    fn compare(&self, text: &str) -> Option<Ordering> {
        let value = self.value.as_deref()?;
        match (self.number, self.number.and_then(|_| text.trim().parse::<f64>().ok())) {
            (Some(bound), Some(number)) => number.partial_cmp(&bound),
            (Some(_), None) => None,
            _ => Some(compare_folded(text, value)),
        }
    }

    /// Whether the text is not below (`low`), or not above, the bound. A text that is no number is
    /// within no range of numbers.
    fn admits(&self, text: &str, low: bool) -> bool {
        if self.value.is_none() {
            return true;
        }
        match self.compare(text) {
            None => false,
            Some(Ordering::Equal) => self.including,
            Some(Ordering::Greater) => low,
            Some(Ordering::Less) => !low,
        }
    }
}

fn compare_folded(a: &str, b: &str) -> Ordering {
    let fold = |text: &str| text.as_bytes().to_ascii_lowercase();
    fold(a).cmp(&fold(b))
}

impl TextTest {
    /// The pattern over the whole text, or over any part of it.
    pub(crate) fn pattern(pattern: &Pattern, whole: bool) -> Self {
        if let Some(text) = pattern.as_literal() {
            return if whole { Self::Equals(Needle::new(text)) } else { Self::Contains(Needle::new(text)) };
        }
        match (pattern.0.as_slice(), whole) {
            ([Piece::Any], _) => Self::Exists,
            ([Piece::Any, Piece::Literal(text), Piece::Any], _) => Self::Contains(Needle::new(text)),
            ([Piece::Literal(text), Piece::Any], true) => Self::Begins(Needle::new(text)),
            ([Piece::Any, Piece::Literal(text)], true) => Self::Ends(Needle::new(text)),
            ([Piece::Literal(text), Piece::Any] | [Piece::Any, Piece::Literal(text)], false) => {
                Self::Contains(Needle::new(text))
            }
            _ => Self::Glob(Glob::new(pattern, whole)),
        }
    }

    pub(crate) fn test(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match self {
            Self::Exists => !text.is_empty(),
            Self::Equals(needle) => bytes.len() == needle.folded.len() && needle.starts(bytes),
            Self::Contains(needle) => needle.is_in(bytes),
            Self::Begins(needle) => needle.starts(bytes),
            Self::Ends(needle) => needle.ends(bytes),
            Self::Glob(glob) => glob.test(text),
            Self::Regex(regex) => regex.is_match(text),
            Self::Network(network) => address(text).is_some_and(|ip| network.contains(&ip)),
            Self::Range(low, high) => low.admits(text, true) && high.admits(text, false),
            Self::Any(tests) => tests.iter().any(|test| test.test(text)),
            Self::Component(test) => {
                test.test(text) || text.rsplit_once(['/', '\\']).is_some_and(|(_, last)| test.test(last))
            }
            Self::Item(test) => test.test(text) || text.split(',').any(|item| test.test(item)),
        }
    }

    /// Pieces of text of which each must stand, regardless of case, in every text that passes.
    pub(crate) fn required(&self) -> Vec<&str> {
        match self {
            Self::Equals(n) | Self::Contains(n) | Self::Begins(n) | Self::Ends(n) => {
                n.text().into_iter().collect()
            }
            Self::Glob(glob) => glob
                .runs
                .iter()
                .flatten()
                .filter_map(|part| match part {
                    Part::Literal(needle) => needle.text(),
                    Part::One => None,
                })
                .collect(),
            Self::Any(tests) if tests.len() == 1 => tests[0].required(),
            Self::Component(test) | Self::Item(test) => test.required(),
            _ => Vec::new(),
        }
    }
}

/// The address that a text is; one that embeds an IPv4 address counts as that.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(pattern: &str, text: &str, whole: bool) -> bool {
        let pieces = pattern
            .split_inclusive(['*', '?'])
            .flat_map(|part| {
                let (literal, wildcard) = match part.chars().last() {
                    Some('*') => (&part[..part.len() - 1], Some(Piece::Any)),
                    Some('?') => (&part[..part.len() - 1], Some(Piece::One)),
                    _ => (part, None),
                };
                let literal = (!literal.is_empty()).then(|| Piece::Literal(literal.to_owned()));
                literal.into_iter().chain(wildcard)
            })
            .collect();
        TextTest::pattern(&Pattern(pieces), whole).test(text)
    }

    #[test]
    fn wildcards_cover_the_whole_text_or_a_part_of_it() {
        for (pattern, text, whole, part) in [
            ("a*c", "abbc", true, true),
            ("a*c", "xabbcx", false, true),
            ("a?c", "aÉc", true, true),
            ("?", "", false, false),
            ("*b?", "abab", false, true),
            ("*a?b*", "aab", true, true),
            ("*ab", "abxab", true, true),
            ("A*B*C", "a-b-c", true, true),
            ("a*b*a", "aba", true, true),
            ("a*ba*a", "aba", false, false),
        ] {
            assert_eq!(glob(pattern, text, true), whole, "{pattern} whole {text}");
            assert_eq!(glob(pattern, text, false), part, "{pattern} in {text}");
        }
    }

    #[test]
    fn ranges_compare_numbers_as_numbers_and_text_as_text() {
        let limit = |value: &str, including| Limit {
            value: Some(value.to_owned()),
            number: value.parse().ok(),
            including,
        };
        let numbers = TextTest::Range(limit("9", true), limit("100", false));
        assert!(numbers.test("9") && numbers.test("10.5") && !numbers.test("100") && !numbers.test("abc"));
        let words = TextTest::Range(limit("b", false), limit("D", true));
        assert!(words.test("c") && words.test("d") && !words.test("B") && !words.test("a"));
    }

    #[test]
    fn addresses_in_their_many_forms() {
        let test = TextTest::Network("10.0.0.0/8".parse().expect("network"));
        assert!(
            test.test("10.1.2.3")
                && test.test("::ffff:10.1.2.3")
                && !test.test("11.1.2.3")
                && !test.test("x")
        );
        let test = TextTest::Network("fe80::/10".parse().expect("network"));
        assert!(test.test("fe80::1%eth0") && test.test("[fe80::1]"));
    }

    /// The obvious way, character by character.
    fn naive(pattern: &[Piece], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((Piece::Any, rest)) => (0..=text.len()).any(|at| naive(rest, &text[at..])),
            Some((Piece::One, rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((Piece::Literal(literal), rest)) => {
                let literal: Vec<char> = literal.chars().collect();
                text.len() >= literal.len()
                    && literal.iter().zip(text).all(|(a, b)| a.eq_ignore_ascii_case(b))
                    && naive(rest, &text[literal.len()..])
            }
        }
    }

    proptest! {
        #[test]
        fn a_needle_is_found_where_the_obvious_way_finds_it(needle in "[aBzé]{0,4}", text in "[AbZé]{0,20}", from in 0usize..6) {
            let fold = |s: &str| s.to_ascii_lowercase();
            if let Some(rest) = text.get(from..) {
                let expected = fold(rest).find(&fold(&needle)).map(|at| at + from);
                prop_assert_eq!(Needle::new(&needle).find(text.as_bytes(), from), expected);
            }
        }

        #[test]
        fn wildcards_match_what_the_obvious_way_matches(
            pieces in proptest::collection::vec(prop_oneof![
                Just(Piece::Any), Just(Piece::One), "[aBé]{1,2}".prop_map(Piece::Literal)
            ], 1..6),
            text in "[AbéX]{0,10}",
        ) {
            let chars: Vec<char> = text.chars().collect();
            // A question for a lone star is one for existence.
            prop_assume!(pieces.iter().any(|piece| *piece != Piece::Any));
            let pattern = Pattern(pieces.clone());
            prop_assert_eq!(TextTest::pattern(&pattern, true).test(&text), naive(&pieces, &chars));
            let mut open = vec![Piece::Any];
            open.extend(pieces);
            open.push(Piece::Any);
            prop_assert_eq!(TextTest::pattern(&pattern, false).test(&text), naive(&open, &chars));
        }
    }
}

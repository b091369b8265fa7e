//! Regular expressions of rules (`re`), run by an engine whose time is linear in the text.
//!
//! The engine has neither look-around nor back-references; a rule that needs them is refused, with
//! that reason. PCRE spellings that mean the same but are written differently are translated.

use std::{hash::Hash, sync::Arc};

use regex::{Regex, RegexBuilder};

/// Compiled size that one expression may have, in bytes.
const SIZE_LIMIT: usize = 4 << 20;

/// A compiled expression, equal to another where source and flags are.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Arc<str>,
    flags: Flags,
    regex: Arc<Regex>,
}

/// The sub-modifiers of `re`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// `i`: case does not count.
    pub insensitive: bool,
    /// `m`: `^` and `$` match at line breaks.
    pub multi_line: bool,
    /// `s`: `.` matches line breaks.
    pub dot_all: bool,
}

impl Expression {
    /// Compiles a rule's expression; the error is the reason for people.
    pub fn new(source: &str, flags: Flags) -> Result<Self, String> {
        let build = |text: &str| {
            RegexBuilder::new(text)
                .case_insensitive(flags.insensitive)
                .multi_line(flags.multi_line)
                .dot_matches_new_line(flags.dot_all)
                .size_limit(SIZE_LIMIT)
                .dfa_size_limit(1 << 20)
                .build()
        };
        let regex = match build(source) {
            Ok(regex) => regex,
            Err(first) => build(&translate(source)).map_err(|_| reason(source, &first))?,
        };
        Ok(Self { source: source.into(), flags, regex: Arc::new(regex) })
    }

    /// The expression as the rule wrote it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its flags.
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    /// The expression as the engine runs it, flags aside.
    pub fn translated(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether it matches anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.flags == other.flags
    }
}
impl Eq for Expression {}
impl Hash for Expression {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.flags.hash(state);
    }
}

fn reason(source: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit("error: ").next().unwrap_or(&text).trim();
    if what.contains("look-around") || what.contains("backreferences") {
        return format!(
            "the regular expression `{source}` needs look-around or back-references, which the linear-time \
             engine does not have; say it with a second selection and `not` in the condition"
        );
    }
    format!("the regular expression `{source}` is not usable: {what}")
}

/// Respells what PCRE takes and the engine refuses: escapes of ordinary characters (`\_`, `\ `)
/// lose their backslash, and a `{` that begins no counted repetition gets one.
fn translate(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 8);
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let Some(escaped) = after.chars().next() else {
                    out.push('\\');
                    break;
                };
                let plain = escaped == '_' || escaped.is_whitespace() || !escaped.is_ascii();
                if !plain {
                    out.push('\\');
                }
                out.push(escaped);
                rest = &after[escaped.len_utf8()..];
                continue;
            }
            '{' if !begins_repetition(after) => out.push_str("\\{"),
            _ => out.push(c),
        }
        rest = after;
    }
    out
}

/// Whether `n}`, `n,}` or `n,m}` follows.
fn begins_repetition(after: &str) -> bool {
    after.split_once('}').is_some_and(|(inside, _)| {
        inside.bytes().next().is_some_and(|b| b.is_ascii_digit())
            && inside.bytes().all(|b| b.is_ascii_digit() || b == b',')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_around_and_back_references_are_refused_with_the_reason() {
        for source in [r"a(?=b)", r"(?<!x)a", r"(a)\1"] {
            let reason = Expression::new(source, Flags::default()).unwrap_err();
            assert!(reason.contains("look-around"), "{reason}");
        }
    }

    #[test]
    fn spellings_of_pcre_are_understood() {
        for (source, text) in [(r"a\_b", "a_b"), (r"x{y}", "x{y}"), (r"\/\-\:\'", "/-:'"), (r"a{2}", "aa")] {
            assert!(Expression::new(source, Flags::default()).unwrap().is_match(text), "{source}");
        }
    }

    #[test]
    fn flags_apply() {
        let with = |source, flags| Expression::new(source, flags).unwrap();
        let text = "A\nb";
        assert!(!with("^b$", Flags::default()).is_match(text));
        assert!(with("^b$", Flags { multi_line: true, ..Flags::default() }).is_match(text));
        assert!(!with("A.b", Flags::default()).is_match(text));
        assert!(with("A.b", Flags { dot_all: true, ..Flags::default() }).is_match(text));
        assert!(!with("a", Flags::default()).is_match("A"));
        assert!(with("a", Flags { insensitive: true, ..Flags::default() }).is_match("A"));
    }

    #[test]
    fn huge_expressions_are_refused() {
        assert!(Expression::new(r"(\w{1000}){1000}", Flags::default()).is_err());
    }
}

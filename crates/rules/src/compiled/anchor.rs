//! Literals that a regular expression implies: every text that it matches contains one of them,
//! once the text is lowered. They decide whether the expression is run at all.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

use crate::{pattern::lower, regexp::Expression};

/// Alternatives kept; an expression with more has no anchors.
const MAX_ALTERNATIVES: usize = 48;
/// Characters of a class that are spelled out.
const MAX_CLASS: u32 = 16;
/// Bytes of one literal; longer ones gain nothing.
const MAX_LITERAL: usize = 32;

/// The implied literals, lowered; `None` where there are none.
pub(crate) fn anchors(expression: &Expression) -> Option<Vec<String>> {
    let flags = expression.flags();
    let hir = ParserBuilder::new()
        .case_insensitive(flags.insensitive)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_all)
        .build()
        .parse(expression.translated())
        .ok()?;
    walk(&hir).best()
}

/// What is known of a part of an expression.
struct Known {
    /// All texts that it matches, lowered, where they are few.
    all: Option<Vec<String>>,
    /// One of these is in every text that it matches.
    some: Option<Vec<String>>,
}

impl Known {
    const NOTHING: Self = Self { all: None, some: None };

    fn all(texts: Vec<String>) -> Self {
        Self { all: Some(texts), some: None }
    }

    fn best(self) -> Option<Vec<String>> {
        better(self.some, self.all)
    }
}

/// The more telling of two sets: the one whose shortest literal is longer, then the smaller one.
fn better(left: Option<Vec<String>>, right: Option<Vec<String>>) -> Option<Vec<String>> {
    let usable = |set: &Vec<String>| !set.is_empty() && set.iter().all(|text| !text.is_empty());
    let (left, right) = (left.filter(usable), right.filter(usable));
    let worth = |set: &Vec<String>| {
        let shortest = set.iter().map(String::len).min().unwrap_or(0).min(8);
        (shortest, std::cmp::Reverse(set.len()))
    };
    match (left, right) {
        (Some(left), Some(right)) => Some(if worth(&right) > worth(&left) { right } else { left }),
        (left, right) => left.or(right),
    }
}

fn walk(hir: &Hir) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Known::all(vec![String::new()]),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => Known::all(vec![lower(text).into_owned()]),
            Err(_) => Known::NOTHING,
        },
        HirKind::Class(class) => match spelled(class) {
            Some(texts) => Known::all(texts),
            None => Known::NOTHING,
        },
        HirKind::Capture(capture) => walk(&capture.sub),
        HirKind::Repetition(repetition) => {
            let inner = walk(&repetition.sub);
            match (repetition.min, repetition.max) {
                (1, Some(1)) => inner,
                (0, Some(1)) => match inner.all {
                    Some(mut texts) if texts.len() < MAX_ALTERNATIVES => {
                        texts.push(String::new());
                        Known::all(texts)
                    }
                    _ => Known::NOTHING,
                },
                (0, _) => Known::NOTHING,
                _ => Known { all: None, some: inner.best() },
            }
        }
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(parts) => alternation(parts),
    }
}

fn concat(parts: &[Hir]) -> Known {
    let mut best = None;
    // Texts that the parts since the last unknown one match.
    let mut run = vec![String::new()];
    let mut complete = true;
    for part in parts {
        let known = walk(part);
        match known.all {
            Some(texts) if texts.len() * run.len() <= MAX_ALTERNATIVES && !too_long(&run) => {
                run = run
                    .iter()
                    .flat_map(|head| texts.iter().map(move |tail| format!("{head}{tail}")))
                    .collect();
                run.sort_unstable();
                run.dedup();
            }
            Some(texts) => {
                complete = false;
                best = better(best, Some(std::mem::replace(&mut run, texts)));
            }
            None => {
                complete = false;
                best = better(best, Some(std::mem::replace(&mut run, vec![String::new()])));
                best = better(best, known.some);
            }
        }
    }
    if complete { Known::all(run) } else { Known { all: None, some: better(best, Some(run)) } }
}

fn too_long(texts: &[String]) -> bool {
    texts.iter().any(|text| text.len() > MAX_LITERAL)
}

fn alternation(parts: &[Hir]) -> Known {
    let known: Vec<Known> = parts.iter().map(walk).collect();
    let union = |sets: Option<Vec<Vec<String>>>| {
        let mut texts = sets?.concat();
        texts.sort_unstable();
        texts.dedup();
        (texts.len() <= MAX_ALTERNATIVES).then_some(texts)
    };
    if known.iter().all(|k| k.all.is_some()) {
        let all = union(known.iter().map(|k| k.all.clone()).collect());
        return Known { all, some: None };
    }
    Known { all: None, some: union(known.into_iter().map(Known::best).collect()) }
}

/// The lowered characters of a small class.
fn spelled(class: &Class) -> Option<Vec<String>> {
    let Class::Unicode(class) = class else { return None };
    let size: u32 = class.ranges().iter().map(|r| u32::from(r.end()) - u32::from(r.start()) + 1).sum();
    if size > MAX_CLASS {
        return None;
    }
    let chars = class.ranges().iter().flat_map(|range| range.start()..=range.end());
    let mut texts: Vec<String> = chars.map(|c| lower(&c.to_string()).into_owned()).collect();
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::regexp::Flags;

    fn of(source: &str) -> Option<Vec<String>> {
        anchors(&Expression::new(source, Flags::default()).unwrap())
    }

    #[test]
    fn literals_are_found_in_the_forms_that_rules_use() {
        let one = |text: &str| Some(vec![text.to_owned()]);
        assert_eq!(of(r"Invoke-Foo\s+\w+"), one("invoke-foo"));
        assert_eq!(of(r"^.*\\powershell\.exe$"), one(r"\powershell.exe"));
        assert_eq!(of(r"(?i)ABC\d"), one("abc"));
        assert_eq!(of(r"(foo|barbar)+x?"), Some(vec!["barbar".into(), "foo".into()]));
        assert_eq!(of(r"a[bc]d"), Some(vec!["abd".into(), "acd".into()]));
        assert_eq!(of(r"\d+"), None);
        assert_eq!(of(r"(foo)?"), None);
        assert_eq!(of(r"foo|\d"), None);
    }

    proptest! {
        #[test]
        fn every_matching_text_contains_an_anchor(
            source in r"(\(\?i\))?([abK]|\[aB\]|\.|\(ab\|B\)|\(a\|K\)\+|b\?|a\{2\}){1,6}",
            text in "[abABkKxſ]{0,12}",
        ) {
            let expression = Expression::new(&source, Flags::default()).unwrap();
            if let Some(anchors) = anchors(&expression)
                && expression.is_match(&text)
            {
                let lowered = lower(&text);
                prop_assert!(anchors.iter().any(|a| lowered.contains(a.as_str())), "{source} {text} {anchors:?}");
            }
        }
    }
}

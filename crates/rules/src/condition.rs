//! The condition language (Sigma Rules Specification, "Condition").
//!
//! `or`, `and`, `not`, parentheses, and `N|1|any|all of PATTERN|them` over search identifiers.
//! Binding, loosest first, is in that order. The aggregations of Sigma 1 (`| count() > 5`, `near`)
//! are refused with the mend.

use crate::expr::Expr;

/// Parentheses and negations that may be nested.
const MAX_DEPTH: usize = 64;

/// Resolves a condition's text to a tree; `identifiers` are the rule's searches by name. The error
/// is the reason for people.
pub fn parse(text: &str, identifiers: &[(String, Expr)]) -> Result<Expr, String> {
    if text.contains('|') {
        return Err(format!(
            "the condition `{text}` uses an aggregation of Sigma 1, which Sigma 2 replaced; write a correlation rule \
             (`correlation:` with `type: event_count` or `value_count`) that refers to this rule"
        ));
    }
    let tokens = tokens(text);
    let mut parser = Parser { tokens: &tokens, at: 0, identifiers };
    let expr = parser.or(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(word) if word.eq_ignore_ascii_case("near") => Err(format!(
            "the condition `{text}` uses `near` of Sigma 1; write a correlation rule with `type: temporal`"
        )),
        Some(word) => Err(format!("the condition `{text}` has an unexpected `{word}`")),
    }
}

/// Words and parentheses.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        let parenthesis = matches!(c, '(' | ')');
        if parenthesis || c.is_whitespace() {
            if let Some(start) = start.take() {
                tokens.push(&text[start..at]);
            }
            if parenthesis {
                tokens.push(&text[at..=at]);
            }
        } else if start.is_none() {
            start = Some(at);
        }
    }
    if let Some(start) = start {
        tokens.push(&text[start..]);
    }
    tokens
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    at: usize,
    identifiers: &'a [(String, Expr)],
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|have| have.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Expr, String> {
        let mut parts = vec![self.and(depth)?];
        while self.take("or") {
            parts.push(self.and(depth)?);
        }
        Ok(single(parts, Expr::Any))
    }

    fn and(&mut self, depth: usize) -> Result<Expr, String> {
        let mut parts = vec![self.not(depth)?];
        while self.take("and") {
            parts.push(self.not(depth)?);
        }
        Ok(single(parts, Expr::All))
    }

    fn not(&mut self, depth: usize) -> Result<Expr, String> {
        if depth > MAX_DEPTH {
            return Err(format!("the condition is nested deeper than {MAX_DEPTH} levels"));
        }
        if self.take("not") {
            return Ok(Expr::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            if !self.take(")") {
                return Err("the condition lacks a closing parenthesis".into());
            }
            return Ok(inner);
        }
        let Some(word) = self.peek() else {
            return Err("the condition ends where a search identifier is expected".into());
        };
        self.at += 1;
        if self.peek().is_some_and(|next| next.eq_ignore_ascii_case("of")) && self.lookup(word).is_none() {
            self.at += 1;
            return self.quantifier(word);
        }
        if matches!(word, ")") || ["and", "or", "of"].iter().any(|k| word.eq_ignore_ascii_case(k)) {
            return Err(format!("the condition has an unexpected `{word}`"));
        }
        self.lookup(word)
            .cloned()
            .ok_or_else(|| format!("the condition names `{word}`, which the detection lacks"))
    }

    /// After `N of`.
    fn quantifier(&mut self, amount: &str) -> Result<Expr, String> {
        let Some(pattern) = self.peek() else {
            return Err(format!("the condition ends after `{amount} of`"));
        };
        self.at += 1;
        let them = pattern.eq_ignore_ascii_case("them");
        let hidden = !them && pattern.starts_with('_');
        let chosen: Vec<Expr> = self
            .identifiers
            .iter()
            .filter(|(name, _)| hidden || !name.starts_with('_'))
            .filter(|(name, _)| them || name_matches(pattern, name))
            .map(|(_, expr)| expr.clone())
            .collect();
        if chosen.is_empty() {
            return Err(format!("the condition's `{amount} of {pattern}` fits no search identifier"));
        }
        if amount.eq_ignore_ascii_case("all") {
            return Ok(single(chosen, Expr::All));
        }
        if amount.eq_ignore_ascii_case("any") || amount == "1" {
            return Ok(single(chosen, Expr::Any));
        }
        match amount.parse::<usize>() {
            Ok(0) | Err(_) => Err(format!("`{amount} of` is no amount: write `1 of`, `all of`, or a number")),
            Ok(n) if n > chosen.len() => Err(format!(
                "the condition's `{n} of {pattern}` can never hold: only {} search identifiers fit",
                chosen.len()
            )),
            Ok(n) => Ok(Expr::AtLeast(n, chosen)),
        }
    }

    fn lookup(&self, name: &str) -> Option<&'a Expr> {
        self.identifiers.iter().find(|(have, _)| have == name).map(|(_, expr)| expr)
    }
}

fn single(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

/// Whether an identifier fits a pattern, in which `*` stands for any characters.
fn name_matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{FieldTest, Test};

    fn test(field: &str) -> Expr {
        Expr::Test(FieldTest { field: Some(field.into()), tests: vec![Test::Exists] })
    }

    fn read(text: &str) -> Result<Expr, String> {
        let names = ["a", "b", "sel_1", "sel_2", "sel_3", "_hidden", "filter-x"];
        let identifiers: Vec<_> = names.iter().map(|name| ((*name).to_owned(), test(name))).collect();
        parse(text, &identifiers)
    }

    #[test]
    fn binding_is_not_then_and_then_or() {
        let expected = Expr::Any(vec![test("a"), Expr::All(vec![test("b"), Expr::Not(Box::new(test("a")))])]);
        assert_eq!(read("a or b AND not a"), Ok(expected));
        let expected = Expr::All(vec![Expr::Any(vec![test("a"), test("b")]), test("filter-x")]);
        assert_eq!(read("(a or b)and filter-x"), Ok(expected));
    }

    #[test]
    fn quantifiers_choose_by_pattern_and_leave_out_hidden_identifiers() {
        let all = vec![test("sel_1"), test("sel_2"), test("sel_3")];
        assert_eq!(read("1 of sel_*"), Ok(Expr::Any(all.clone())));
        assert_eq!(read("any of *l_*"), Ok(Expr::Any(all.clone())));
        assert_eq!(read("all of sel*"), Ok(Expr::All(all.clone())));
        assert_eq!(read("2 of sel_*"), Ok(Expr::AtLeast(2, all)));
        assert_eq!(read("1 of _hid*"), Ok(test("_hidden")));
        let Ok(Expr::All(them)) = read("all of them") else { panic!("all of them") };
        assert_eq!(them.len(), 6);
        assert_eq!(
            read("not 1 of sel_1 and a"),
            Ok(Expr::All(vec![Expr::Not(Box::new(test("sel_1"))), test("a")]))
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("a | count() > 5", "correlation"),
            ("a near b", "temporal"),
            ("a and", "ends where"),
            ("(a", "closing"),
            ("a b", "unexpected `b`"),
            ("c", "lacks"),
            ("1 of c*", "fits no"),
            ("0 of sel*", "no amount"),
            ("9 of sel*", "never hold"),
            ("a)", "unexpected"),
            ("", "ends where"),
        ] {
            let reason = read(text).unwrap_err();
            assert!(reason.contains(part), "{text}: {reason}");
        }
        assert!(read(&"(".repeat(100_000)).is_err());
        assert!(read(&"not ".repeat(100_000)).is_err());
    }
}

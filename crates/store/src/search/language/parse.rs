//! Query text to tree: the expression before the first `|`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Bound, Expr, FieldName, MAX_QUERY, Pattern, Piece, Query, QueryError, Test, stage};

/// Nesting of parentheses and negations that is read.
const MAX_DEPTH: usize = 64;

/// Reads a query.
///
/// # Errors
/// Says at which byte it could not go on, what was expected there, and the mend.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    if text.len() > MAX_QUERY {
        return Err(QueryError::new(MAX_QUERY, format!("the query is longer than {MAX_QUERY} bytes")));
    }
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.space();
    let filter = if matches!(reader.peek(), None | Some('|')) { Expr::All } else { reader.or()? };
    let mut stages = Vec::new();
    loop {
        reader.space();
        match reader.peek() {
            None => return Ok(Query { filter, stages }),
            Some('|') => {
                reader.bump();
                stages.push(stage::stage(&mut reader)?);
            }
            Some(')') => {
                return Err(QueryError::new(reader.at, "this ) closes nothing")
                    .suggest("remove it, or open a ( before"));
            }
            Some(_) => return Err(QueryError::new(reader.at, "expected | or the end of the query")),
        }
    }
}

/// Where the reading stands.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) depth: usize,
}

/// The words between clauses.
#[derive(Clone, Copy, PartialEq)]
enum Keyword {
    And,
    Or,
    Not,
}

impl<'a> Reader<'a> {
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    pub(super) fn deeper(&mut self) -> Result<(), QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(QueryError::new(self.at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    /// The keyword that begins here, and its length: a whole word, in any case.
    fn keyword(&self) -> Option<(Keyword, usize)> {
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let keyword = match rest[..len].to_ascii_lowercase().as_str() {
            "and" => Keyword::And,
            "or" => Keyword::Or,
            "not" => Keyword::Not,
            _ => return None,
        };
        match rest[len..].chars().next() {
            None => Some((keyword, len)),
            Some(c) if c.is_whitespace() || matches!(c, '(' | ')' | '|') => Some((keyword, len)),
            // NOT"a phrase" reads as it is meant; and:x is a field.
            Some('"') => Some((keyword, len)),
            _ => None,
        }
    }

    fn or(&mut self) -> Result<Expr, QueryError> {
        let mut any = vec![self.and()?];
        loop {
            self.space();
            match self.keyword() {
                Some((Keyword::Or, len)) => {
                    self.at += len;
                    self.operand("OR")?;
                    any.push(self.and()?);
                }
                _ => return Ok(one_or(any, Expr::Or)),
            }
        }
    }

    fn and(&mut self) -> Result<Expr, QueryError> {
        let mut all = vec![self.unary()?];
        loop {
            self.space();
            match (self.keyword(), self.peek()) {
                (Some((Keyword::And, len)), _) => {
                    self.at += len;
                    self.operand("AND")?;
                }
                (Some((Keyword::Or, _)), _) | (_, None | Some('|' | ')')) => {
                    return Ok(one_or(all, Expr::And));
                }
                _ => {}
            }
            all.push(self.unary()?);
        }
    }

    /// After an operator there must be something for it to work on.
    fn operand(&mut self, operator: &str) -> Result<(), QueryError> {
        self.space();
        match (self.keyword(), self.peek()) {
            (Some((Keyword::And | Keyword::Or, _)), _) | (_, None | Some('|' | ')')) => {
                Err(QueryError::new(self.at, format!("expected a term after {operator}")).suggest(format!(
                    "to search for the word itself, put it in quotes: \"{}\"",
                    operator.to_ascii_lowercase()
                )))
            }
            _ => Ok(()),
        }
    }

    fn unary(&mut self) -> Result<Expr, QueryError> {
        self.space();
        let negation = match (self.keyword(), self.peek()) {
            (Some((Keyword::Not, len)), _) => Some(("NOT", len)),
            (_, Some('-')) => Some(("-", 1)),
            (_, Some('!')) => Some(("!", 1)),
            (Some((Keyword::And, _)), _) => return Err(self.no_operand("AND")),
            (Some((Keyword::Or, _)), _) => return Err(self.no_operand("OR")),
            _ => None,
        };
        if let Some((operator, len)) = negation {
            self.deeper()?;
            self.at += len;
            self.operand(operator)?;
            let negated = Expr::Not(Box::new(self.unary()?));
            self.depth -= 1;
            return Ok(negated);
        }
        if self.peek() == Some('(') {
            return self.group();
        }
        self.clause()
    }

    fn no_operand(&self, operator: &str) -> QueryError {
        QueryError::new(self.at, format!("expected a term before {operator}")).suggest(format!(
            "to search for the word itself, put it in quotes: \"{}\"",
            operator.to_ascii_lowercase()
        ))
    }

    fn group(&mut self) -> Result<Expr, QueryError> {
        let open = self.at;
        self.bump();
        self.deeper()?;
        self.space();
        if self.peek() == Some(')') {
            return Err(QueryError::new(self.at, "expected a term between ( and )"));
        }
        let inner = self.or()?;
        self.space();
        if self.peek() != Some(')') {
            return Err(
                QueryError::new(self.at, format!("expected ) for the ( at byte {open}")).suggest("add a )")
            );
        }
        self.bump();
        self.depth -= 1;
        Ok(inner)
    }

    /// A term, a phrase, or a field with its test.
    fn clause(&mut self) -> Result<Expr, QueryError> {
        let at = self.at;
        if let Some(name) = self.field_name()? {
            let test = self.test(&name)?;
            return Ok(Expr::Field(FieldName { name, at }, test));
        }
        let word = self.word()?;
        if word.pattern.0.iter().all(|p| *p == Piece::Any) && !word.pattern.0.is_empty() {
            return Ok(Expr::All);
        }
        if word.pattern.as_literal() == Some("") {
            return Err(QueryError::new(at, "expected text between the quotes"));
        }
        Ok(Expr::Text(word.pattern))
    }

    /// A field's name and the colon behind it; nothing where a term begins here instead.
    fn field_name(&mut self) -> Result<Option<String>, QueryError> {
        if self.peek() == Some('"') {
            let start = self.at;
            let name = self.quoted()?;
            if self.peek() == Some(':') && !name.is_empty() {
                self.bump();
                return Ok(Some(name));
            }
            self.at = start;
            return Ok(None);
        }
        let rest = self.rest();
        let len = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        if len == 0 || !rest[len..].starts_with(':') || !is_field_prefix(rest, len) {
            return Ok(None);
        }
        self.at += len + 1;
        Ok(Some(rest[..len].to_owned()))
    }

    /// What stands behind `field:`.
    fn test(&mut self, field: &str) -> Result<Test, QueryError> {
        match self.peek() {
            None => Err(self.no_value(field)),
            Some(c) if c.is_whitespace() || matches!(c, ')' | '|') => Err(self.no_value(field)),
            Some('(') => self.one_of(field),
            Some('[' | '{') => self.range(),
            Some('>' | '<' | '=') => self.comparison(field),
            Some('/') => match self.regex()? {
                Some(test) => Ok(test),
                None => self.value(),
            },
            Some(_) => self.value(),
        }
    }

    fn no_value(&self, field: &str) -> QueryError {
        QueryError::new(self.at, format!("expected a value after {field}:"))
            .suggest(format!("to ask whether the field is there, write {field}:*"))
    }

    fn value(&mut self) -> Result<Test, QueryError> {
        let word = self.word()?;
        if !word.quoted {
            if word.pattern.0.as_slice() == [Piece::Any] {
                return Ok(Test::Exists);
            }
            if let Some(network) = word.pattern.as_literal().and_then(network) {
                return Ok(Test::Network(network));
            }
        }
        Ok(Test::Match(word.pattern))
    }

    /// `/…/`, where the closing slash ends the word and no bare slash stands between; else it is
    /// the begin of a path.
    fn regex(&mut self) -> Result<Option<Test>, QueryError> {
        let start = self.at;
        let rest = self.rest();
        let mut pattern = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' if chars.peek().is_some_and(|(_, next)| *next == '/') => {
                    pattern.push('/');
                    chars.next();
                }
                '\\' => {
                    pattern.push('\\');
                    if let Some((_, next)) = chars.next() {
                        pattern.push(next);
                    }
                }
                '/' => {
                    let ends = rest[i + 1..]
                        .chars()
                        .next()
                        .is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '|'));
                    if !ends || pattern.is_empty() {
                        return Ok(None);
                    }
                    self.at += i + 1;
                    if let Err(reason) = regex::RegexBuilder::new(&pattern).size_limit(REGEX_LIMIT).build() {
                        return Err(bad_regex(start, &reason));
                    }
                    return Ok(Some(Test::Regex(pattern)));
                }
                c => pattern.push(c),
            }
        }
        Ok(None)
    }

    fn comparison(&mut self, field: &str) -> Result<Test, QueryError> {
        let operator = self.rest();
        let (len, make): (usize, fn(String) -> Test) = if operator.starts_with(">=") {
            (2, |v| Test::Range(Bound::Including(v), Bound::Open))
        } else if operator.starts_with("<=") {
            (2, |v| Test::Range(Bound::Open, Bound::Including(v)))
        } else if operator.starts_with('>') {
            (1, |v| Test::Range(Bound::Excluding(v), Bound::Open))
        } else if operator.starts_with('<') {
            (1, |v| Test::Range(Bound::Open, Bound::Excluding(v)))
        } else {
            self.at += 1;
            if self.ends_here() {
                return Err(self.no_value(field));
            }
            return Ok(Test::Exact(self.word()?.pattern));
        };
        self.at += len;
        self.space();
        if self.ends_here() {
            return Err(self.no_value(field));
        }
        let at = self.at;
        let word = self.word()?;
        match word.pattern.as_literal() {
            Some(value) => Ok(make(value.to_owned())),
            None => Err(QueryError::new(at, "a wildcard cannot be compared with < or >")
                .suggest("write a plain value")),
        }
    }

    fn ends_here(&self) -> bool {
        self.peek().is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '(' | '|'))
    }

    /// `[a TO b]` and `{a TO b}`, also mixed; `*` is no bound.
    fn range(&mut self) -> Result<Test, QueryError> {
        let including = self.bump() == Some('[');
        let low = self.bound(including)?;
        self.space();
        let rest = self.rest();
        if !rest.get(..2).is_some_and(|word| word.eq_ignore_ascii_case("to"))
            || !rest[2..].starts_with(char::is_whitespace)
        {
            return Err(QueryError::new(self.at, "expected TO in the range")
                .suggest("write it as [1 TO 5], or put the value in quotes if it is not a range"));
        }
        self.at += 2;
        let start = self.at;
        let high = self.bound(true)?;
        self.space();
        let high = match self.bump() {
            Some(']') => high,
            Some('}') => match high {
                Bound::Including(value) => Bound::Excluding(value),
                other => other,
            },
            _ => return Err(QueryError::new(start, "expected ] or } at the end of the range")),
        };
        Ok(Test::Range(low, high))
    }

    fn bound(&mut self, including: bool) -> Result<Bound, QueryError> {
        self.space();
        let value = if self.peek() == Some('"') {
            self.quoted()?
        } else {
            let rest = self.rest();
            let len = rest
                .find(|c: char| c.is_whitespace() || matches!(c, ']' | '}' | ')' | '|' | '"'))
                .unwrap_or(rest.len());
            self.at += len;
            match &rest[..len] {
                "" => {
                    return Err(
                        QueryError::new(self.at, "expected a bound of the range").suggest("* means no bound")
                    );
                }
                "*" => return Ok(Bound::Open),
                value => value.to_owned(),
            }
        };
        Ok(if including { Bound::Including(value) } else { Bound::Excluding(value) })
    }

    /// `(a OR b OR "c d")`; commas and spaces separate as well.
    fn one_of(&mut self, field: &str) -> Result<Test, QueryError> {
        let open = self.at;
        self.bump();
        let mut values = Vec::new();
        loop {
            self.space();
            match self.peek() {
                None => {
                    return Err(QueryError::new(self.at, format!("expected ) for the ( at byte {open}"))
                        .suggest("add a )"));
                }
                Some(')') if values.is_empty() => return Err(self.no_value(field)),
                Some(')') => {
                    self.bump();
                    return Ok(Test::OneOf(values));
                }
                Some(',') => {
                    self.bump();
                }
                Some('|' | '(') => return Err(QueryError::new(self.at, "expected a value, OR, or )")),
                Some(_) => match self.keyword() {
                    Some((Keyword::Or, len)) => self.at += len,
                    Some(_) => {
                        return Err(QueryError::new(
                            self.at,
                            "only OR may stand between the values of one field",
                        )
                        .suggest("write the other condition as field:value of its own"));
                    }
                    None => values.push(self.word_until(|c| c == ',')?.pattern),
                },
            }
        }
    }

    fn word(&mut self) -> Result<Word, QueryError> {
        self.word_until(|_| false)
    }

    /// Bare and quoted parts side by side, up to space, a parenthesis or `|`.
    fn word_until(&mut self, stop: impl Fn(char) -> bool) -> Result<Word, QueryError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut quoted = false;
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    quoted = true;
                    let text = self.quoted()?;
                    push_literal(&mut pieces, &text);
                }
                '*' | '?' => {
                    self.bump();
                    let piece = if c == '*' { Piece::Any } else { Piece::One };
                    if piece != Piece::Any || pieces.last() != Some(&Piece::Any) {
                        pieces.push(piece);
                    }
                }
                '(' | ')' | '|' => break,
                c if c.is_whitespace() || stop(c) => break,
                c => {
                    self.bump();
                    push_literal(&mut pieces, c.encode_utf8(&mut [0; 4]));
                }
            }
        }
        if pieces.is_empty() && !quoted {
            return Err(QueryError::new(self.at, "expected a term"));
        }
        Ok(Word { pattern: Pattern(pieces), quoted })
    }

    /// A quoted text, from its opening quote past its closing one.
    pub(super) fn quoted(&mut self) -> Result<String, QueryError> {
        let open = self.at;
        self.bump();
        let mut text = String::new();
        let mut slashes = 0usize;
        while let Some(c) = self.bump() {
            match c {
                '\\' => slashes += 1,
                '"' => {
                    text.extend(std::iter::repeat_n('\\', slashes / 2));
                    if slashes.is_multiple_of(2) {
                        return Ok(text);
                    }
                    text.push('"');
                    slashes = 0;
                }
                c => {
                    text.extend(std::iter::repeat_n('\\', slashes));
                    slashes = 0;
                    text.push(c);
                }
            }
        }
        let error = QueryError::new(open, "this quote is not closed");
        Err(if self.text.ends_with("\\\"") {
            error.suggest("to end a text with a backslash, double it: \\\\\"")
        } else {
            error.suggest("add a \" at the end")
        })
    }
}

/// A compiled regular expression may be this large, in bytes.
pub(crate) const REGEX_LIMIT: usize = 1 << 20;

fn bad_regex(at: usize, reason: &regex::Error) -> QueryError {
    let text = reason.to_string();
    let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let error = QueryError::new(at, format!("this regular expression cannot be used: {last}"));
    if text.contains("look-around") || text.contains("backreferences") {
        error.suggest(
            "look-around and back-references cannot be matched in linear time; use AND and NOT instead",
        )
    } else {
        error
    }
}

struct Word {
    pattern: Pattern,
    quoted: bool,
}

pub(super) fn push_literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Literal(last)) => last.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece::Literal(text.to_owned())),
    }
}

fn one_or(mut list: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match list.len() {
        1 => list.remove(0),
        _ => many(list),
    }
}

pub(super) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '-' | '$' | '#' | '%')
}

/// Whether `name:` at the begin of `rest` names a field, and is not the begin of an address, a
/// URL, a drive path or a time of day.
fn is_field_prefix(rest: &str, len: usize) -> bool {
    let name = &rest[..len];
    let after = &rest[len + 1..];
    if name.starts_with(|c: char| c.is_ascii_digit() || c == '-') || after.starts_with("//") {
        return false;
    }
    if len == 1 && after.starts_with(['\\', '/']) {
        return false;
    }
    let end =
        rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|' | '"')).unwrap_or(rest.len());
    let word = &rest[..end];
    let hardware_address = word.split(':').count() == 6
        && word.split(':').all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
    !hardware_address && word.parse::<IpAddr>().is_err() && word.parse::<IpNet>().is_err()
}

fn network(text: &str) -> Option<IpNet> {
    if !text.contains('/') {
        return None;
    }
    text.parse::<IpNet>().ok().map(|network| network.trunc())
}

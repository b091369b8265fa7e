//! Tree to query text, such that reading it yields the same tree.

use std::fmt::{self, Display, Formatter, Write as _};

use super::{
    Aggregate, Bound, Condition, Expr, FieldName, Pattern, Piece, Query, Stage, Test, parse::is_name,
};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut first = true;
        if self.filter != Expr::All || self.stages.is_empty() {
            write!(f, "{}", self.filter)?;
            first = false;
        }
        for stage in &self.stages {
            if !first {
                f.write_char(' ')?;
            }
            first = false;
            write!(f, "| {stage}")?;
        }
        Ok(())
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_char('*'),
            Self::And(list) => joined(f, list, " ", |e| matches!(e, Self::And(_) | Self::Or(_))),
            Self::Or(list) => joined(f, list, " OR ", |e| matches!(e, Self::Or(_))),
            Self::Not(inner) if matches!(**inner, Self::And(_) | Self::Or(_)) => write!(f, "NOT ({inner})"),
            Self::Not(inner) => write!(f, "NOT {inner}"),
            Self::Text(pattern) => write!(f, "{pattern}"),
            Self::Field(name, test) => {
                if !is_plain_field(&name.name) {
                    quote(f, &name.name)?;
                } else {
                    f.write_str(&name.name)?;
                }
                write!(f, ":{test}")
            }
        }
    }
}

fn joined(f: &mut Formatter<'_>, list: &[Expr], between: &str, wrap: impl Fn(&Expr) -> bool) -> fmt::Result {
    for (i, expr) in list.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        if wrap(expr) {
            write!(f, "({expr})")?;
        } else {
            write!(f, "{expr}")?;
        }
    }
    Ok(())
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_char('*'),
            Self::Match(pattern) => write!(f, "{pattern}"),
            Self::Exact(pattern) => write!(f, "={pattern}"),
            Self::OneOf(list) => {
                f.write_char('(')?;
                for (i, pattern) in list.iter().enumerate() {
                    if i > 0 {
                        f.write_str(" OR ")?;
                    }
                    write!(f, "{pattern}")?;
                }
                f.write_char(')')
            }
            Self::Range(low, high) => {
                f.write_char(if matches!(low, Bound::Excluding(_)) { '{' } else { '[' })?;
                bound(f, low)?;
                f.write_str(" TO ")?;
                bound(f, high)?;
                f.write_char(if matches!(high, Bound::Excluding(_)) { '}' } else { ']' })
            }
            Self::Network(network) => write!(f, "{network}"),
            Self::Regex(regex) => {
                f.write_char('/')?;
                let mut escaped = false;
                for c in regex.chars() {
                    if c == '/' && !escaped {
                        f.write_char('\\')?;
                    }
                    escaped = c == '\\' && !escaped;
                    f.write_char(c)?;
                }
                f.write_char('/')
            }
        }
    }
}

fn bound(f: &mut Formatter<'_>, bound: &Bound) -> fmt::Result {
    match bound {
        Bound::Open => f.write_char('*'),
        Bound::Including(value) | Bound::Excluding(value) => literal(f, value),
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("\"\"");
        }
        // A pattern of nothing but stars would read as a question for existence.
        if self.0.iter().all(|piece| *piece == Piece::Any) {
            return f.write_str("*\"\"");
        }
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => literal(f, text)?,
                Piece::Any => f.write_char('*')?,
                Piece::One => f.write_char('?')?,
            }
        }
        Ok(())
    }
}

fn literal(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '\\' | '$' | '%' | '#' | '-');
    let plain = text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '\\'))
        && text.chars().all(word)
        && !is_keyword(text);
    if plain { f.write_str(text) } else { quote(f, text) }
}

fn is_keyword(text: &str) -> bool {
    ["and", "or", "not", "to", "by", "as", "asc", "desc"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// In quotes; `\` doubles where it stands before a quote.
fn quote(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut slashes = 0;
    for c in text.chars() {
        match c {
            '\\' => slashes += 1,
            '"' => {
                for _ in 0..=slashes {
                    f.write_char('\\')?;
                }
                slashes = 0;
            }
            _ => slashes = 0,
        }
        f.write_char(c)?;
    }
    for _ in 0..slashes {
        f.write_char('\\')?;
    }
    f.write_char('"')
}

/// Whether `name:` reads as a field wherever it stands.
fn is_plain_field(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@'))
        && name.chars().all(is_name)
        && name.chars().count() > 2
        && !is_keyword(name)
}

impl Display for FieldName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plain = self.name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@'))
            && self.name.chars().all(is_name)
            && !is_keyword(&self.name)
            && !self.name.eq_ignore_ascii_case("span");
        if plain { f.write_str(&self.name) } else { quote(f, &self.name) }
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stats(aggregates, by) => {
                f.write_str("stats ")?;
                list(f, aggregates)?;
                grouped(f, by)
            }
            Self::Top { count, field, by, rare } => {
                write!(f, "{} {count} {field}", if *rare { "rare" } else { "top" })?;
                grouped(f, by)
            }
            Self::Timechart { span, aggregate, by } => {
                f.write_str("timechart ")?;
                if let Some(span) = span {
                    write!(f, "span={span}s ")?;
                }
                write!(f, "{aggregate}")?;
                grouped(f, by.as_slice())
            }
            Self::Sort(keys) => {
                f.write_str("sort ")?;
                for (i, (name, descending)) in keys.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}{}{name}", if *descending { "-" } else { "" })?;
                }
                Ok(())
            }
            Self::Fields(names, drop) => {
                f.write_str(if *drop { "fields - " } else { "fields " })?;
                list(f, names)
            }
            Self::Dedup(names) => {
                f.write_str("dedup ")?;
                list(f, names)
            }
            Self::Where(condition) => write!(f, "where {condition}"),
            Self::Head(count) => write!(f, "head {count}"),
            Self::Rename(pairs) => {
                f.write_str("rename ")?;
                for (i, (from, to)) in pairs.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}{from} as {}", FieldName::new(to))?;
                }
                Ok(())
            }
        }
    }
}

fn list(f: &mut Formatter<'_>, items: &[impl Display]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

fn grouped(f: &mut Formatter<'_>, by: &[FieldName]) -> fmt::Result {
    if by.is_empty() {
        return Ok(());
    }
    f.write_str(" by ")?;
    list(f, by)
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.function)?;
        if let Some(field) = &self.field {
            write!(f, "({field})")?;
        }
        if let Some(name) = &self.name {
            write!(f, " as {}", FieldName::new(name))?;
        }
        Ok(())
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (items, between) = match self {
            Self::And(items) => (items, " and "),
            Self::Or(items) => (items, " or "),
            Self::Not(inner) => {
                return match **inner {
                    Self::And(_) | Self::Or(_) => write!(f, "not ({inner})"),
                    _ => write!(f, "not {inner}"),
                };
            }
            Self::Compare(name, comparison, value) => {
                write!(f, "{name} {} ", comparison.as_str())?;
                return quote(f, value);
            }
        };
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                f.write_str(between)?;
            }
            match item {
                Self::And(_) | Self::Or(_) => write!(f, "({item})")?,
                _ => write!(f, "{item}")?,
            }
        }
        Ok(())
    }
}

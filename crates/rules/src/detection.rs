//! A rule's `detection` section to a tree of tests: search identifiers, their lists and maps, the
//! values with their modifiers applied, and the condition over them.

use std::collections::BTreeMap;

use base64::Engine as _;

use crate::{
    condition,
    expr::{Expr, FieldTest, Number, Place, Test},
    modifier::{Change, Key, ValueKind},
    pattern::{Pattern, Token},
    regexp::Expression,
    yaml::{Data, Node},
};

/// Spellings that one value may grow into through `expand` and `windash`.
const MAX_SPELLINGS: usize = 4_096;

/// Configured values of placeholders, by name without the percent signs.
pub type Placeholders = BTreeMap<String, Vec<String>>;

/// Why a detection is not usable, and on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line in the file, from 1.
    pub line: u32,
    /// The reason, for people.
    pub reason: String,
}

impl Fault {
    /// A fault at a line.
    pub fn at(line: u32, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// A detection, read: its tree, and its conditions as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// What it asks.
    pub expr: Expr,
    /// The conditions' texts; more than one are alternatives.
    pub conditions: Vec<String>,
}

/// Reads a `detection` or `filter` section. Keys in `skip` are not search identifiers.
pub fn read(node: &Node, placeholders: &Placeholders, skip: &[&str]) -> Result<Detection, Fault> {
    let Data::Map(entries) = &node.data else {
        return Err(Fault::at(
            node.line,
            "the detection must be a map of search identifiers and a condition",
        ));
    };
    let mut identifiers = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.key == "condition" || entry.key == "timeframe" || skip.contains(&entry.key.as_str()) {
            continue;
        }
        let expr = search(&entry.value, placeholders).map_err(|mut fault| {
            fault.reason = format!("search `{}`: {}", entry.key, fault.reason);
            fault
        })?;
        identifiers.push((entry.key.clone(), expr));
    }
    let Some(condition) = node.get("condition") else {
        return Err(Fault::at(node.line, "the detection has no condition"));
    };
    let conditions = condition.texts();
    if conditions.is_empty() {
        return Err(Fault::at(condition.line, "the condition is empty"));
    }
    let mut alternatives = Vec::with_capacity(conditions.len());
    for text in &conditions {
        alternatives
            .push(condition::parse(text, &identifiers).map_err(|why| Fault::at(condition.line, why))?);
    }
    let expr = match alternatives.pop() {
        Some(only) if alternatives.is_empty() => only,
        Some(last) => {
            alternatives.push(last);
            Expr::Any(alternatives)
        }
        None => return Err(Fault::at(condition.line, "the condition is empty")),
    };
    Ok(Detection { expr, conditions })
}

/// One search identifier's content.
fn search(node: &Node, placeholders: &Placeholders) -> Result<Expr, Fault> {
    match &node.data {
        Data::Map(entries) => {
            if entries.is_empty() {
                return Err(Fault::at(node.line, "it is empty"));
            }
            let items = entries.iter().map(|entry| {
                let key = Key::parse(&entry.key).map_err(|why| Fault::at(entry.line, why))?;
                item(&key, &entry.value, placeholders)
            });
            Ok(Expr::All(items.collect::<Result<_, _>>()?))
        }
        Data::List(items) => {
            if items.is_empty() {
                return Err(Fault::at(node.line, "it is empty"));
            }
            // Neighbouring keywords become one test, so that they are looked for together.
            let mut parts = Vec::new();
            let mut keywords = Vec::new();
            for item in items {
                if matches!(item.data, Data::Map(_) | Data::List(_)) {
                    parts.push(search(item, placeholders)?);
                } else {
                    keywords.push(item.clone());
                }
            }
            if !keywords.is_empty() {
                parts.push(keyword_test(keywords, node.line, placeholders)?);
            }
            Ok(Expr::Any(parts))
        }
        Data::Null => Err(Fault::at(node.line, "it is empty")),
        _ => keyword_test(vec![node.clone()], node.line, placeholders),
    }
}

fn keyword_test(keywords: Vec<Node>, line: u32, placeholders: &Placeholders) -> Result<Expr, Fault> {
    let key = Key::parse("").map_err(|why| Fault::at(line, why))?;
    item(&key, &Node { data: Data::List(keywords), line }, placeholders)
}

/// One entry of a map: a field with its modifiers, and a value or a list of values.
fn item(key: &Key, value: &Node, placeholders: &Placeholders) -> Result<Expr, Fault> {
    let values = match &value.data {
        Data::List(items) if items.is_empty() => {
            return Err(Fault::at(value.line, "a list of values is empty"));
        }
        Data::List(items) => items.as_slice(),
        _ => std::slice::from_ref(value),
    };
    let mut groups = Vec::with_capacity(values.len());
    let mut absent = false;
    for node in values {
        if matches!(node.data, Data::List(_) | Data::Map(_)) {
            return Err(Fault::at(node.line, "a value must be text, a number, true, false or null"));
        }
        if key.kind == ValueKind::Exists {
            absent = match node.scalar() {
                Some("true") => false,
                Some("false") => true,
                _ => return Err(Fault::at(node.line, "`exists` wants true or false")),
            };
        }
        groups.push(tests(key, node, placeholders).map_err(|why| Fault::at(node.line, why))?);
    }
    if key.kind == ValueKind::Exists && groups.len() > 1 {
        return Err(Fault::at(value.line, "`exists` wants one value"));
    }
    let test = |tests| Expr::Test(FieldTest { field: key.field.clone(), tests });
    let expr = if key.all && groups.len() > 1 {
        Expr::All(groups.into_iter().map(test).collect())
    } else {
        test(groups.into_iter().flatten().collect())
    };
    Ok(if key.negated != absent { Expr::Not(Box::new(expr)) } else { expr })
}

/// The tests that one value stands for: several where it has several spellings.
fn tests(key: &Key, node: &Node, placeholders: &Placeholders) -> Result<Vec<Test>, String> {
    if key.kind == ValueKind::Exists {
        return Ok(vec![Test::Exists]);
    }
    let Some(text) = node.scalar() else {
        return match key.kind {
            ValueKind::Plain if key.field.is_some() => Ok(vec![Test::Null]),
            _ => Err("null has no meaning here".into()),
        };
    };
    let spelled = if key.changes.contains(&Change::Expand) {
        expand(text, placeholders)?
    } else {
        vec![text.to_owned()]
    };
    let mut tests = Vec::with_capacity(spelled.len());
    for text in spelled {
        match key.kind {
            ValueKind::Plain => {
                let pattern = match node.data {
                    Data::Text(_) => Pattern::parse(&text),
                    _ => Pattern::literal(&text),
                };
                for pattern in encode(pattern, &key.changes)? {
                    tests.push(Test::Text(finish(pattern, key)));
                }
            }
            ValueKind::Regex(flags) => tests.push(Test::Regex(Expression::new(&text, flags)?)),
            ValueKind::Cidr => tests.push(Test::Cidr(network(&text)?)),
            ValueKind::Compare(part, op) => {
                let number = Number::parse(&text).ok_or_else(|| format!("`{text}` is not a number"))?;
                tests.push(Test::Compare { part, op, number });
            }
            ValueKind::Reference if text.is_empty() => return Err("`fieldref` wants a field's name".into()),
            ValueKind::Reference => {
                tests.push(Test::Reference { field: text, place: key.place, cased: key.cased });
            }
            ValueKind::Exists => {}
        }
    }
    Ok(tests)
}

/// Opens the pattern where the modifiers say, and lowers it.
fn finish(pattern: Pattern, key: &Key) -> Pattern {
    let place = if key.field.is_none() && key.place == Place::Whole { Place::Anywhere } else { key.place };
    let opened = match place {
        Place::Whole => pattern,
        Place::Start => pattern.open_end(),
        Place::End => pattern.open_start(),
        Place::Anywhere => pattern.open_start().open_end(),
    };
    if key.cased { opened } else { opened.caseless() }
}

fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let text = text.trim();
    if let Ok(net) = text.parse::<ipnet::IpNet>() {
        return Ok(net.trunc());
    }
    text.parse::<std::net::IpAddr>()
        .map(ipnet::IpNet::from)
        .map_err(|_| format!("`{text}` is not a network: write it as 10.0.0.0/8 or 2001:db8::/32"))
}

/// Replaces `%name%` by each configured value; `\%` is a plain percent sign.
fn expand(text: &str, placeholders: &Placeholders) -> Result<Vec<String>, String> {
    let mut spelled = vec![String::new()];
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, after) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('\\') {
            append(&mut spelled, &[format!("{before}%")])?;
            rest = &after[1..];
            continue;
        }
        let inside = &after[1..];
        match inside.find('%') {
            Some(end) if end > 0 && !inside[..end].contains(char::is_whitespace) => {
                let name = &inside[..end];
                let values = placeholders.get(name).filter(|values| !values.is_empty()).ok_or_else(|| {
                    format!(
                        "the placeholder `%{name}%` has no values; give it some in the configuration of rules"
                    )
                })?;
                append(&mut spelled, &[before.to_owned()])?;
                append(&mut spelled, values)?;
                rest = &inside[end + 1..];
            }
            _ => {
                append(&mut spelled, &[format!("{before}%")])?;
                rest = inside;
            }
        }
    }
    append(&mut spelled, &[rest.to_owned()])?;
    Ok(spelled)
}

/// Appends each part to each text.
fn append(texts: &mut Vec<String>, parts: &[String]) -> Result<(), String> {
    if let [part] = parts {
        texts.iter_mut().for_each(|text| text.push_str(part));
        return Ok(());
    }
    if texts.len() * parts.len() > MAX_SPELLINGS {
        return Err(format!("a value grows into more than {MAX_SPELLINGS} spellings"));
    }
    *texts = texts.iter().flat_map(|text| parts.iter().map(move |part| format!("{text}{part}"))).collect();
    Ok(())
}

/// Applies the changes other than `expand`, in order.
fn encode(pattern: Pattern, changes: &[Change]) -> Result<Vec<Pattern>, String> {
    let mut patterns = vec![pattern];
    if changes.contains(&Change::Windash) {
        patterns = windash(&patterns[0])?;
    }
    let encodings: Vec<Change> =
        changes.iter().copied().filter(|c| !matches!(c, Change::Expand | Change::Windash)).collect();
    if encodings.is_empty() {
        return Ok(patterns);
    }
    let mut encoded = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        let Some(text) = pattern.as_literal() else {
            return Err("an encoded value cannot have wildcards".into());
        };
        let mut all = vec![text.as_bytes().to_vec()];
        for encoding in &encodings {
            let mut next = Vec::with_capacity(all.len());
            for bytes in &all {
                next.extend(encoded_forms(bytes, *encoding)?);
            }
            all = next;
        }
        for bytes in all {
            let text = String::from_utf8(bytes).map_err(
                |_| "the encoded value is not text; encode it further, as with `base64` or `base64offset`",
            )?;
            encoded.push(Pattern::literal(&text));
        }
    }
    Ok(encoded)
}

fn encoded_forms(bytes: &[u8], encoding: Change) -> Result<Vec<Vec<u8>>, String> {
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes();
    let units = || {
        std::str::from_utf8(bytes)
            .map(|text| text.encode_utf16().collect::<Vec<u16>>())
            .map_err(|_| "only text can be turned into UTF-16".to_owned())
    };
    Ok(match encoding {
        Change::Base64 => vec![base64(bytes)],
        Change::Base64Offset => {
            // In the middle of other data the first characters depend on what precedes, and the
            // last on what follows: they are left out.
            let mut forms = Vec::with_capacity(3);
            for offset in 0..3_usize {
                let mut shifted = vec![b' '; offset];
                shifted.extend_from_slice(bytes);
                let whole = base64(&shifted);
                let from = [0, 2, 3][offset];
                let cut = [0, 3, 2][shifted.len() % 3];
                forms.push(whole.get(from..whole.len().saturating_sub(cut)).unwrap_or_default().to_vec());
            }
            if forms.iter().any(Vec::is_empty) {
                return Err("the value is too short for `base64offset`".into());
            }
            forms
        }
        Change::Utf16Le => vec![units()?.into_iter().flat_map(u16::to_le_bytes).collect()],
        Change::Utf16Be => vec![units()?.into_iter().flat_map(u16::to_be_bytes).collect()],
        Change::Utf16 => {
            vec![std::iter::once(0xfeff).chain(units()?).flat_map(u16::to_le_bytes).collect()]
        }
        Change::Windash | Change::Expand => vec![bytes.to_vec()],
    })
}

/// The dashes with which Windows programs take flags: hyphen, slash, en dash, em dash, bar.
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Every spelling of the dashes that begin a word: before them stands no letter, digit or
/// underscore, and behind them one does. Dashes inside words stay.
fn windash(pattern: &Pattern) -> Result<Vec<Pattern>, String> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut spelled = vec![String::new()];
    for token in pattern.tokens() {
        let Token::Literal(text) = token else {
            append(&mut spelled, &[if *token == Token::One { "?" } else { "*" }.to_owned()])?;
            continue;
        };
        let mut before = None;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let begins_word = DASHES.contains(&c)
                && !before.is_some_and(word)
                && chars.peek().is_some_and(|next| word(*next));
            if begins_word {
                append(&mut spelled, &DASHES.map(String::from))?;
            } else {
                append(&mut spelled, &[Pattern::literal(&c.to_string()).to_string()])?;
            }
            before = Some(c);
        }
    }
    Ok(spelled.iter().map(|text| Pattern::parse(text)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windash_respells_dashes_before_words_only() {
        let spelled = windash(&Pattern::parse(" -a b-c /d")).unwrap();
        assert_eq!(spelled.len(), 25);
        assert!(spelled.contains(&Pattern::parse(" –a b-c -d")));
        assert!(spelled.iter().all(|p| p.to_string().contains("b-c")));
        assert_eq!(windash(&Pattern::parse("*-x*")).unwrap().len(), 5);
        assert_eq!(windash(&Pattern::parse(r"\*-")).unwrap(), [Pattern::parse(r"\*-")]);
        assert!(windash(&Pattern::parse(&" -a".repeat(9))).is_err());
    }

    #[test]
    fn base64_offsets_are_found_wherever_the_text_stands() {
        let forms = encoded_forms(b"powershell", Change::Base64Offset).unwrap();
        for prefix in ["", "a", "ab", "abc", "abcd"] {
            for suffix in ["", "x", "xy", "xyz"] {
                let whole =
                    base64::engine::general_purpose::STANDARD.encode(format!("{prefix}powershell{suffix}"));
                let found = forms.iter().any(|form| whole.contains(std::str::from_utf8(form).unwrap()));
                assert!(found, "{prefix}…{suffix}");
            }
        }
    }

    #[test]
    fn utf16_has_both_byte_orders_and_a_mark() {
        assert_eq!(encoded_forms(b"cm", Change::Utf16Le).unwrap(), [b"c\0m\0".to_vec()]);
        assert_eq!(encoded_forms(b"cm", Change::Utf16Be).unwrap(), [b"\0c\0m".to_vec()]);
        assert_eq!(encoded_forms(b"c", Change::Utf16).unwrap(), [vec![0xff, 0xfe, b'c', 0]]);
    }

    #[test]
    fn placeholders_are_replaced_and_must_have_values() {
        let mut placeholders = Placeholders::new();
        placeholders.insert("servers".into(), vec!["srv*".into(), "db".into()]);
        assert_eq!(expand("a%servers%z", &placeholders).unwrap(), ["asrv*z", "adbz"]);
        assert_eq!(expand(r"\%plain%servers%", &placeholders).unwrap(), ["%plainsrv*", "%plaindb"]);
        assert_eq!(expand("100%", &placeholders).unwrap(), ["100%"]);
        assert!(expand("%nothing%", &placeholders).unwrap_err().contains("%nothing%"));
    }

    #[test]
    fn networks_of_both_families_are_read() {
        assert!(network("::1/128").is_ok() && network("10.0.0.0/8").is_ok() && network("10.1.2.3").is_ok());
        assert!(network("10.0.0.*").is_err() && network("10.0.0.0/33").is_err());
    }
}

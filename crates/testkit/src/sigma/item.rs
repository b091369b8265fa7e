//! One item of a search: a field with modifiers, and the value or values it is held against.

use std::net::IpAddr;

use covigil_model::{Kind, Time};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::{
    Placeholders, Prepared,
    encoded::{base64, base64_inside, utf16},
    text::{Piece, fits, lower, pieces, plain, windash},
};

#[derive(Debug)]
pub(super) struct Item {
    field: Option<String>,
    all: bool,
    negated: bool,
    /// For each value of the rule, the checks of which one must pass.
    values: Vec<Vec<Check>>,
}

#[derive(Debug)]
enum Check {
    Text { pieces: Vec<Piece>, cased: bool },
    Regex(Regex),
    Network { bits: u128, len: u32, v6: bool },
    Number { part: Option<String>, sign: String, number: Value },
    Exists(bool),
    Null,
    Reference { field: String, place: String, cased: bool },
}

const PARTS: [&str; 6] = ["minute", "hour", "day", "week", "month", "year"];
const SIGNS: [&str; 4] = ["lt", "lte", "gt", "gte"];
const PLACES: [&str; 3] = ["contains", "startswith", "endswith"];
const OTHERS: [&str; 18] = [
    "all",
    "exists",
    "cased",
    "neq",
    "windash",
    "re",
    "i",
    "m",
    "s",
    "base64",
    "base64offset",
    "utf16le",
    "utf16be",
    "utf16",
    "wide",
    "cidr",
    "fieldref",
    "expand",
];

impl Item {
    pub fn read(key: &str, value: &Value, placeholders: &Placeholders) -> Result<Self, String> {
        let mut parts = key.split('|');
        let field = parts.next().unwrap_or_default();
        let modifiers: Vec<&str> = parts.collect();
        for modifier in &modifiers {
            let known = [&PARTS[..], &SIGNS, &PLACES, &OTHERS].iter().any(|list| list.contains(modifier));
            if !known {
                return Err(format!("the reference does not take the modifier {modifier}"));
            }
        }
        let values = match value {
            Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        let has = |modifier: &str| modifiers.contains(&modifier);
        let values = values
            .into_iter()
            .map(|value| checks(value, &modifiers, field.is_empty(), placeholders))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            field: (!field.is_empty()).then(|| field.to_owned()),
            all: has("all"),
            negated: has("neq"),
            values,
        })
    }

    pub fn holds(&self, event: &Prepared) -> bool {
        let met = |checks: &Vec<Check>| checks.iter().any(|check| check.passes(self.field.as_deref(), event));
        let held = if self.all { self.values.iter().all(met) } else { self.values.iter().any(met) };
        held != self.negated
    }
}

/// The checks that one value of the rule stands for.
fn checks(
    value: &Value,
    modifiers: &[&str],
    keyword: bool,
    placeholders: &Placeholders,
) -> Result<Vec<Check>, String> {
    let has = |modifier: &str| modifiers.contains(&modifier);
    if has("expand")
        && let Value::String(text) = value
    {
        let others: Vec<&str> = modifiers.iter().copied().filter(|m| *m != "expand").collect();
        let mut all = Vec::new();
        for spelled in expand(text, placeholders)? {
            all.extend(checks(&Value::String(spelled), &others, keyword, placeholders)?);
        }
        return Ok(all);
    }
    let text = match value {
        Value::Null if modifiers.iter().all(|m| ["all", "neq", "cased"].contains(m)) => {
            return Ok(vec![Check::Null]);
        }
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return Err(format!("not a value: {value}")),
    };
    if has("exists") {
        return Ok(vec![Check::Exists(text == "true")]);
    }
    if has("re") {
        let regex = RegexBuilder::new(&text)
            .case_insensitive(has("i"))
            .multi_line(has("m"))
            .dot_matches_new_line(has("s"))
            .build();
        return Ok(vec![Check::Regex(regex.map_err(|why| why.to_string())?)]);
    }
    if has("cidr") {
        return network(&text).map(|check| vec![check]);
    }
    let place = PLACES.iter().find(|place| has(place)).map_or("", |place| *place).to_owned();
    if has("fieldref") {
        return Ok(vec![Check::Reference { field: text, place, cased: has("cased") }]);
    }
    let part = PARTS.iter().find(|part| has(part)).map(|part| (*part).to_owned());
    let sign = SIGNS.iter().find(|sign| has(sign)).map(|sign| (*sign).to_owned());
    if part.is_some() || sign.is_some() {
        let number = serde_json::from_str(text.trim()).ok().filter(Value::is_number);
        let number = number.ok_or_else(|| format!("not a number: {text}"))?;
        return Ok(vec![Check::Number { part, sign: sign.unwrap_or_default(), number }]);
    }
    let spelled = if value.is_string() { pieces(&text) } else { plain(&text) };
    let mut checks = Vec::new();
    for mut pieces in encodings(spelled, modifiers)? {
        if has("windash") {
            pieces = windash(&pieces);
        }
        if has("startswith") || has("contains") || (keyword && place.is_empty()) {
            pieces.push(Piece::Many);
        }
        if has("endswith") || has("contains") || (keyword && place.is_empty()) {
            pieces.insert(0, Piece::Many);
        }
        if !has("cased") {
            let lowered = |piece: &Piece| match piece {
                Piece::Is(c) => Piece::Is(lower(&c.to_string()).chars().next().unwrap_or(*c)),
                other => *other,
            };
            pieces = pieces.iter().map(lowered).collect();
        }
        checks.push(Check::Text { pieces, cased: has("cased") });
    }
    Ok(checks)
}

/// Puts the values of placeholders in the place of the first one, and then of the rest. An escaped
/// percent sign begins none.
fn expand(text: &str, placeholders: &Placeholders) -> Result<Vec<String>, String> {
    let Some(at) = text.find('%') else { return Ok(vec![text.to_owned()]) };
    let (before, after) = (&text[..at], &text[at + 1..]);
    let joined = |begin: &str, rest: &str| -> Result<Vec<String>, String> {
        Ok(expand(rest, placeholders)?.into_iter().map(|rest| format!("{begin}{rest}")).collect())
    };
    if let Some(before) = before.strip_suffix('\\') {
        return joined(&format!("{before}%"), after);
    }
    match after.split_once('%') {
        Some((name, rest)) if !name.is_empty() && !name.contains(char::is_whitespace) => {
            let values = placeholders.get(name).ok_or_else(|| format!("no values for %{name}%"))?;
            let mut all = Vec::new();
            for value in values {
                all.extend(joined(&format!("{before}{value}"), rest)?);
            }
            Ok(all)
        }
        _ => joined(&format!("{before}%"), after),
    }
}

/// Applies the encodings among the modifiers, in their order.
fn encodings(spelled: Vec<Piece>, modifiers: &[&str]) -> Result<Vec<Vec<Piece>>, String> {
    let wanted: Vec<&&str> = modifiers
        .iter()
        .filter(|m| ["base64", "base64offset", "utf16le", "utf16be", "utf16", "wide"].contains(m))
        .collect();
    if wanted.is_empty() {
        return Ok(vec![spelled]);
    }
    let letter = |piece: &Piece| if let Piece::Is(c) = piece { Some(*c) } else { None };
    let text: Option<String> = spelled.iter().map(letter).collect();
    let mut forms = vec![text.ok_or("an encoded value with wildcards")?.into_bytes()];
    for encoding in wanted {
        let mut next = Vec::new();
        for form in forms {
            let text = || String::from_utf8(form.clone()).map_err(|_| "UTF-16 of bytes".to_owned());
            match *encoding {
                "base64" => next.push(base64(&form).into_bytes()),
                "base64offset" => next.extend((0..3).map(|at| base64_inside(&form, at).into_bytes())),
                "utf16be" => next.push(utf16(&text()?, true)),
                "utf16" => next.push([vec![0xff, 0xfe], utf16(&text()?, false)].concat()),
                _ => next.push(utf16(&text()?, false)),
            }
        }
        forms = next;
    }
    let read = |form: Vec<u8>| String::from_utf8(form).map(|text| plain(&text)).map_err(|e| e.to_string());
    forms.into_iter().map(read).collect()
}

/// An address as 128 bits from the top, and whether it is of version 6.
fn bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, false),
        IpAddr::V6(v6) => (u128::from(v6), true),
    }
}

fn network(text: &str) -> Result<Check, String> {
    let (address, len) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let address: IpAddr = address.trim().parse().map_err(|_| format!("not a network: {text}"))?;
    let (bits, v6) = bits(address);
    let most = if v6 { 128 } else { 32 };
    let len = match len {
        None => most,
        Some(len) => len.parse().ok().filter(|l| *l <= most).ok_or(format!("not a network: {text}"))?,
    };
    Ok(Check::Network { bits, len, v6 })
}

impl Check {
    fn passes(&self, field: Option<&str>, event: &Prepared) -> bool {
        let Some(name) = field else {
            return event.everything().any(|(value, lowered)| self.passes_value(value, lowered, event));
        };
        match self {
            Self::Exists(wanted) => event.event.values(name).next().is_some() == *wanted,
            Self::Null => {
                let mut values = event.event.values(name).peekable();
                values.peek().is_none() || values.any(|field| field.kind == Kind::Null)
            }
            _ => event.values(name).any(|(value, lowered)| self.passes_value(value, lowered, event)),
        }
    }

    fn passes_value(&self, value: &str, lowered: &str, event: &Prepared) -> bool {
        match self {
            Self::Exists(_) | Self::Null => false,
            Self::Text { pieces, cased } => fits(pieces, if *cased { value } else { lowered }),
            Self::Regex(regex) => regex.is_match(value),
            Self::Network { bits: net, len, v6 } => {
                let Ok(address) = value.trim().parse::<IpAddr>() else { return false };
                // An IPv4 address in IPv6 clothes is both.
                [address, address.to_canonical()].iter().any(|address| {
                    let (bits, is_v6) = bits(*address);
                    is_v6 == *v6 && (0..*len).all(|n| (bits ^ net) >> (127 - n) & 1 == 0)
                })
            }
            Self::Number { part, sign, number } => {
                let have = match part {
                    None => serde_like_number(value),
                    Some(part) => time_part(value, part),
                };
                have.is_some_and(|have| compare(sign, &have, number))
            }
            Self::Reference { field, place, cased } => event.values(field).any(|(other, other_lowered)| {
                let (value, other) = if *cased { (value, other) } else { (lowered, other_lowered) };
                match place.as_str() {
                    "startswith" => value.starts_with(other),
                    "endswith" => value.ends_with(other),
                    "contains" => value.contains(other),
                    _ => value == other,
                }
            }),
        }
    }
}

/// A decimal number, with space around it, a sign, a point and an exponent where wanted.
fn serde_like_number(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.contains(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)) {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    let real = text.parse::<f64>().ok().filter(|real| real.is_finite())?;
    serde_json::Number::from_f64(real).map(Value::Number)
}

fn compare(sign: &str, have: &Value, number: &Value) -> bool {
    let order = match (have.as_i64(), number.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => {
            let real = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
            let Some(order) = real(have).partial_cmp(&real(number)) else { return false };
            order
        }
    };
    match sign {
        "lt" => order.is_lt(),
        "lte" => order.is_le(),
        "gt" => order.is_gt(),
        "gte" => order.is_ge(),
        _ => order.is_eq(),
    }
}

/// A part of the time, in UTC, that the value says.
fn time_part(value: &str, part: &str) -> Option<Value> {
    let text = value.trim();
    let time = Time::parse(text).or_else(|| text.parse().ok().and_then(Time::from_epoch_number))?;
    let (year, month, day) = time.date();
    let days = time.secs().div_euclid(86_400);
    // Monday is 0; 1970-01-01 was a Thursday.
    let weekday = (days + 3).rem_euclid(7);
    let number = match part {
        "minute" => time.secs().rem_euclid(3_600) / 60,
        "hour" => time.secs().rem_euclid(86_400) / 3_600,
        "day" => i64::from(day),
        "month" => i64::from(month),
        "year" => i64::from(year),
        // ISO 8601: a week belongs to the year of its Thursday, and weeks are counted by Thursdays.
        _ => {
            let mut thursday = days - weekday + 3;
            let year_of = |day: i64| Time::from_secs(day * 86_400).date().0;
            let year = year_of(thursday);
            let mut week = 0;
            while year_of(thursday) == year {
                week += 1;
                thursday -= 7;
            }
            week
        }
    };
    Some(number.into())
}

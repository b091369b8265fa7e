//! Sigma's detection rules, evaluated straight from the specification: read a rule's tree, then ask
//! each part of it of each value of an event. Nothing is compiled, shared or skipped.
//!
//! Choices where the specification leaves one, which the engine must make alike:
//!
//! - A field of several values passes a test when one of its values does; with `all`, each value of
//!   the rule may be met by another value of the field.
//! - `null` is met by a field that is absent or null. A null value meets no other test, but `exists`.
//! - `neq` is the negation of the same item without it, so an absent field meets it.
//! - Keywords are looked for in every value, and in the original unless that is JSON or XML.
//! - Case is ignored character by character, by lower-casing where that yields one character.
//! - Numbers and booleans in a rule are compared as the text that they are written as.

mod condition;
pub mod encoded;
mod item;
mod text;

use std::collections::BTreeMap;

use covigil_model::Kind;
use serde_json::Value;

use crate::event::PlainEvent;
use condition::Condition;
use item::Item;

/// Values of the placeholders of `expand`, by name.
pub type Placeholders = BTreeMap<String, Vec<String>>;

/// A rule, read.
#[derive(Debug)]
pub struct Rule {
    /// The rule's id, or its title.
    pub id: String,
    /// The log source: product, service, category.
    pub log_source: [Option<String>; 3],
    searches: BTreeMap<String, Search>,
    conditions: Vec<Condition>,
}

/// A search identifier's content.
#[derive(Debug)]
enum Search {
    All(Vec<Search>),
    Any(Vec<Search>),
    Item(Item),
}

/// An event with what evaluation needs over and over.
#[derive(Debug)]
pub struct Prepared {
    event: PlainEvent,
    /// The values, and the original where keywords are looked for in it, in lower case.
    lowered: Vec<String>,
    original: Option<String>,
}

impl Prepared {
    /// Prepares an event.
    pub fn new(event: PlainEvent) -> Self {
        let lowered = event.fields.iter().map(|field| text::lower(&field.value)).collect();
        let begin = event.original.trim_start();
        let structured = ["{", "<Event", "<?xml"].iter().any(|mark| begin.starts_with(mark));
        let original = (!structured).then(|| text::lower(&event.original));
        Self { event, lowered, original }
    }

    /// The event.
    pub fn event(&self) -> &PlainEvent {
        &self.event
    }

    /// The values of a field with their lower-case form, without nulls.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.event.fields.iter().zip(&self.lowered);
        all.filter(move |(field, _)| field.name == name && field.kind != Kind::Null)
            .map(|(field, lowered)| (field.value.as_str(), lowered.as_str()))
    }

    /// Everything in which keywords are looked for.
    fn everything(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.event.fields.iter().zip(&self.lowered);
        let values = all
            .filter(|(field, _)| field.kind != Kind::Null)
            .map(|(field, lowered)| (field.value.as_str(), lowered.as_str()));
        values.chain(self.original.as_deref().map(|lowered| (self.event.original.as_str(), lowered)))
    }
}

impl Rule {
    /// Reads a rule document; the error says what the reference does not take.
    pub fn read(document: &Value, placeholders: &Placeholders) -> Result<Self, String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let id = text(&document["id"]).or_else(|| text(&document["title"])).ok_or("no id or title")?;
        let source = &document["logsource"];
        let log_source = ["product", "service", "category"]
            .map(|key| text(&source[key]).map(|label| label.to_lowercase()));
        let detection = document["detection"].as_object().ok_or("no detection")?;
        let mut searches = BTreeMap::new();
        for (name, content) in detection {
            if name != "condition" && name != "timeframe" {
                searches.insert(name.clone(), Search::read(content, placeholders)?);
            }
        }
        let conditions = match &detection.get("condition") {
            Some(Value::String(one)) => vec![Condition::read(one)?],
            Some(Value::Array(all)) => all
                .iter()
                .map(|one| Condition::read(one.as_str().ok_or("a condition is no text")?))
                .collect::<Result<_, _>>()?,
            _ => return Err("no condition".into()),
        };
        Ok(Self { id, log_source, searches, conditions })
    }

    /// Whether the rule's log source is the event's.
    pub fn applies(&self, event: &PlainEvent) -> bool {
        let [product, service, category] = &self.log_source;
        event.log_source.covers(product.as_deref(), service.as_deref(), category.as_deref())
    }

    /// Whether the rule's detection holds for the event, whatever its log source.
    pub fn holds(&self, event: &Prepared) -> bool {
        let search = |name: &str| self.searches.get(name).is_some_and(|search| search.holds(event));
        let names: Vec<&str> = self.searches.keys().map(String::as_str).collect();
        self.conditions.iter().any(|condition| condition.holds(&names, &search))
    }
}

impl Search {
    fn read(content: &Value, placeholders: &Placeholders) -> Result<Self, String> {
        Ok(match content {
            Value::Object(map) => Self::All(
                map.iter()
                    .map(|(key, value)| Item::read(key, value, placeholders).map(Self::Item))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Array(list) => {
                Self::Any(list.iter().map(|one| Self::read(one, placeholders)).collect::<Result<_, _>>()?)
            }
            keyword => Self::Item(Item::read("", keyword, placeholders)?),
        })
    }

    fn holds(&self, event: &Prepared) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(event)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(event)),
            Self::Item(item) => item.holds(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(detection: Value, fields: &[(&str, &str)]) -> bool {
        let rule = Rule::read(&json!({"title": "t", "detection": detection}), &Placeholders::new()).unwrap();
        rule.holds(&Prepared::new(PlainEvent::of(0, fields)))
    }

    fn item(key: &str, value: Value, fields: &[(&str, &str)]) -> bool {
        holds(json!({"s": {key: value}, "condition": "s"}), fields)
    }

    #[test]
    fn the_specifications_examples() {
        assert!(item("a", json!("prog?.exe"), &[("a", "PROGx.exe")]));
        assert!(!item("a", json!("prog?.exe"), &[("a", "prog.exe")]));
        assert!(item("a", json!(r"x\\*"), &[("a", r"x\y")]));
        assert!(item("a", json!(r"x\\\*"), &[("a", r"x\*")]));
        assert!(!item("a", json!(r"x\\\*"), &[("a", r"x\y")]));
        assert!(item("a|contains|all", json!(["b", "c"]), &[("a", "xbxcx")]));
        assert!(item("a", json!(null), &[("b", "1")]));
        assert!(!item("a", json!(""), &[("b", "1")]));
        assert!(item("a|exists", json!(false), &[("b", "1")]));
        assert!(item("a|neq", json!("x"), &[]));
        assert!(item("a|re", json!("^B"), &[("a", "Bc")]));
        assert!(!item("a|re", json!("^B"), &[("a", "bc")]));
        assert!(item("a|re|i", json!("^B"), &[("a", "bc")]));
        assert!(item("a|cidr", json!("10.0.0.0/8"), &[("a", "10.9.8.7")]));
        assert!(item("a|cidr", json!("::1/128"), &[("a", "::1")]));
        assert!(!item("a|cidr", json!("::1/128"), &[("a", "::2")]));
        assert!(item("a|gte", json!(5), &[("a", "5")]));
        assert!(!item("a|lt", json!(5), &[("a", "x")]));
        assert!(item("a|fieldref", json!("b"), &[("a", "X"), ("b", "x")]));
        assert!(item("a|windash|contains", json!(" -x"), &[("a", "p /x")]));
        assert!(!item("a|windash|contains", json!("p-x"), &[("a", "p/x")]));
        assert!(item("a|base64offset|contains", json!("powershell"), &[("a", "eHBvd2Vyc2hlbGx5")]));
        assert!(item("a|wide|base64", json!("ab"), &[("a", "YQBiAA==")]));
        assert!(item("a|hour", json!(13), &[("a", "2026-11-24T13:05:00Z")]));
        assert!(holds(json!({"k": ["evil", "bad"], "condition": "k"}), &[("a", "so BAD")]));
        assert!(!holds(json!({"k": {"|all": ["evil", "bad"]}, "condition": "k"}), &[("a", "so BAD")]));
    }

    #[test]
    fn conditions_bind_not_and_or() {
        let detection = |condition: &str| json!({"a1": {"f": "1"}, "a2": {"f": "2"}, "b": {"g": "1"}, "_h": {"f": "1"}, "condition": condition});
        let holds = |condition: &str| holds(detection(condition), &[("f", "1")]);
        assert!(holds("b or a1 and not a2"));
        assert!(!holds("(b or a1) and a2"));
        assert!(holds("1 of a*") && !holds("all of a*") && holds("not 2 of them"));
        assert!(holds("not 1 of filter_*") || Condition::read("not 1 of filter_*").is_ok());
    }
}

//! Detection rules, and events made of what the rules look for.

use covigil_model::{Kind, LogSource};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use crate::{
    event::{PlainEvent, PlainField},
    sigma::{Placeholders, encoded},
};

/// Placeholders that rules may use, with their values.
pub const PLACEHOLDERS: [(&str, &[&str]); 2] = [("servers", &["srv*", "cmd"]), ("one", &["a?b"])];

/// Field names of rules and events.
const FIELDS: [&str; 6] = ["a", "b", "Command Line", "ä", "A", "x.y"];

/// What texts are made of: case that does not map to one character, characters that are also
/// wildcards, escapes, dashes, line breaks, and pieces of each other.
const TOKENS: [&str; 26] = [
    "a", "A", "aa", "ab", "b", "cmd", ".exe", "\\", "*", "?", "-", "/", "–", "―", " ", " -x", "\n", "ä", "Ä",
    "İ", "ß", "K", "\u{212a}", "😀", "1", "_",
];

const PATTERN_TOKENS: [&str; 15] = [
    "*", "*", "?", "\\*", "\\?", "\\\\", "\\\\*", "\\\\\\*", "\\\\\\\\", "\\", "a", "ab", "Ä", "cmd", ".exe",
];

const WORDS: [&str; 6] = ["cmd", "aab", "powershell", "Ä-ö", " -enc ", "x/y"];

const ADDRESSES: [&str; 9] = [
    "10.0.0.1",
    "10.255.0.1",
    "11.0.0.1",
    "::1",
    "::2",
    "::ffff:10.0.0.1",
    "2001:db8::7",
    "10.0.0",
    " 10.0.0.1 ",
];

const NETWORKS: [&str; 8] =
    ["10.0.0.0/8", "10.0.0.1/32", "10.0.0.1", "0.0.0.0/0", "::1/128", "::/0", "2001:db8::/32", "10.0.0.0/31"];

const NUMBERS: [&str; 12] =
    ["0", "-1", "1", "1.5", "2", "10", "1e1", "007", "+2", "9007199254740993", "NaN", "0x10"];

const TIMES: [&str; 6] = [
    "2026-11-24T13:05:00Z",
    "2024-12-30 23:59:59.999",
    "2021-01-03T00:00:00+02:00",
    "1700000000",
    "1700000000123",
    "2026-02-30T00:00:00Z",
];

const EXPRESSIONS: [&str; 10] =
    ["a", "^a", "b$", "^a.b$", "A+b*", "(cmd|ab)\\.exe", "[^a]", "ä", "^$", "\\d+\\s?-"];

const CONDITIONS: [&str; 24] = [
    "sel_a",
    "not sel_a",
    "sel_a and not filter_a",
    "sel_a or sel_b",
    "sel_a and sel_b",
    "(sel_a or sel_b) and not filter_a",
    "sel_a or sel_b and filter_a",
    "not (sel_a or sel_b)",
    "not (sel_a and not filter_a)",
    "1 of sel_*",
    "all of sel_*",
    "any of them",
    "1 of them",
    "all of them",
    "2 of them",
    "not 3 of them",
    "1 of sel_* and not 1 of filter_*",
    "all of sel_* and not 1 of filter*",
    "not 1 of sel* or kw",
    "kw",
    "kw and not sel_a",
    "_h or sel_b",
    "1 of _*",
    "SEL and 1 OF *_a AND NOT kw",
];

/// Rules with different log sources, and events of which each is made of what the rules look for.
pub fn rules_and_events() -> impl Strategy<Value = (Vec<Value>, Vec<PlainEvent>)> {
    vec(rule(), 1..6).prop_flat_map(|rules| {
        let mut words = Vec::new();
        for rule in &rules {
            strings("a", &rule["detection"], &mut words);
        }
        words.push(("a".to_owned(), "cmd".to_owned()));
        (Just(number(rules)), vec(event(words), 1..8))
    })
}

/// [`PLACEHOLDERS`] in the form that the reference takes.
pub fn placeholders() -> Placeholders {
    let owned = |(name, values): &(&str, &[&str])| {
        ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
    };
    PLACEHOLDERS.iter().map(owned).collect()
}

/// Gives each rule an id of its own.
fn number(mut rules: Vec<Value>) -> Vec<Value> {
    for (n, rule) in rules.iter_mut().enumerate() {
        rule["id"] = json!(format!("rule-{n}"));
        rule["title"] = json!(format!("rule {n}"));
    }
    rules
}

/// All texts that a detection looks for, with the field.
fn strings(field: &str, value: &Value, found: &mut Vec<(String, String)>) {
    let mut push = |text: String| found.push((field.to_owned(), text));
    match value {
        Value::String(text) => push(text.clone()),
        Value::Number(number) => push(number.to_string()),
        Value::Array(list) => list.iter().for_each(|one| strings(field, one, found)),
        Value::Object(map) => {
            for (key, one) in map.iter().filter(|(key, _)| *key != "condition") {
                let own = key.split('|').next().filter(|own| FIELDS.contains(own));
                strings(own.unwrap_or(field), one, found);
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}

fn rule() -> impl Strategy<Value = Value> {
    let source = select(vec![
        json!({"product": "windows"}),
        json!({"product": "windows", "category": "process_creation"}),
        json!({"product": "windows", "service": "sysmon"}),
        json!({"category": "registry_event", "product": "Windows"}),
        json!({"product": "linux"}),
        json!({"category": "process_creation"}),
        json!({"product": null, "definition": "any"}),
    ]);
    let conditions = prop_oneof![
        6 => select(CONDITIONS.to_vec()).prop_map(|c| json!(c)),
        1 => vec(select(CONDITIONS.to_vec()), 1..3).prop_map(|c| json!(c)),
    ];
    (source, (search(), search(), search(), search(), keywords()), conditions).prop_map(
        |(source, (sel_a, sel_b, filter_a, hidden, kw), condition)| {
            json!({"logsource": source, "detection": {
                "sel_a": sel_a, "sel_b": sel_b, "filter_a": filter_a, "_h": hidden, "kw": kw,
                "SEL": {"a|exists": true}, "condition": condition,
            }})
        },
    )
}

fn search() -> impl Strategy<Value = Value> {
    let map = || {
        vec(item(), 1..4).prop_map(|items| Value::Object(items.into_iter().collect::<Map<String, Value>>()))
    };
    prop_oneof![
        6 => map(),
        2 => vec(map(), 1..3).prop_map(Value::Array),
        1 => keywords(),
        1 => (vec(pattern(), 1..3), map()).prop_map(|(words, map)| {
            Value::Array(words.into_iter().map(Value::String).chain([map]).collect())
        }),
    ]
}

fn keywords() -> impl Strategy<Value = Value> {
    prop_oneof![
        vec(pattern(), 1..3).prop_map(|words| json!(words)),
        pattern().prop_map(|word| json!(word)),
        vec(pattern(), 1..4).prop_map(|words| json!({"|all": words})),
        (0..100u32).prop_map(|number| json!([number])),
    ]
}

/// A text with wildcards and escapes, never empty.
fn pattern() -> impl Strategy<Value = String> {
    let token = prop_oneof![select(TOKENS.to_vec()), select(PATTERN_TOKENS.to_vec())];
    vec(token, 1..5).prop_map(|tokens| tokens.concat())
}

fn few<S: Strategy<Value = Value>>(one: impl Fn() -> S) -> impl Strategy<Value = Value> {
    prop_oneof![2 => one(), 1 => vec(one(), 1..4).prop_map(Value::Array)]
}

/// A key with modifiers, and its value.
fn item() -> impl Strategy<Value = (String, Value)> {
    let text = || pattern().prop_map(Value::String);
    let plain = || {
        prop_oneof![
            6 => text(),
            1 => Just(Value::Null),
            1 => Just(json!("")),
            1 => select(vec![json!(0), json!(1), json!(-1), json!(10), json!(1.5), json!(true), json!(false)]),
            1 => Just(json!("*")),
        ]
    };
    let places = [
        "|contains",
        "|startswith",
        "|endswith",
        "|contains|all",
        "|endswith|all",
        "|contains|cased",
        "|startswith|cased",
        "|neq|contains",
        "|endswith|neq",
        "|contains|neq|all",
    ];
    let placed = (select(places.to_vec()), vec(text(), 2..4), text(), any::<bool>()).prop_map(
        |(key, list, one, single)| (key, if single && !key.contains("all") { one } else { json!(list) }),
    );
    let dashed = (
        select(vec!["|windash", "|windash|contains", "|contains|windash", "|windash|endswith|cased"]),
        vec(select(vec!["-", "/", "–", "a", " ", "x", "*", "_", "p-"]), 1..4),
    )
        .prop_map(|(key, tokens)| (key, json!(tokens.concat())));
    let encodings = [
        "|base64",
        "|base64|contains",
        "|base64offset|contains",
        "|wide|base64offset|contains",
        "|utf16le|base64|contains",
        "|utf16be|base64offset|contains",
        "|utf16|base64|startswith",
        "|base64offset|contains|cased",
    ];
    let word = select(WORDS.to_vec()).prop_map(|w| json!(w));
    let encoded = (select(encodings.to_vec()), word);
    let regexes = few(|| select(EXPRESSIONS.to_vec()).prop_map(|e| json!(e)));
    let regex = (select(vec!["|re", "|re|i", "|re|m", "|re|s", "|re|i|s"]), regexes);
    let network = (Just("|cidr"), few(|| select(NETWORKS.to_vec()).prop_map(|n| json!(n))));
    let figure = || {
        select(vec![
            json!(0),
            json!(1),
            json!(2),
            json!(10),
            json!(1.5),
            json!(-1),
            json!(9007199254740992i64),
        ])
    };
    let number = (select(vec!["|lt", "|lte", "|gt", "|gte"]), few(figure));
    let parts = ["|minute", "|hour", "|day", "|week", "|month", "|year", "|hour|gte", "|week|lt"];
    let part = (
        select(parts.to_vec()),
        few(|| {
            select(vec![
                json!(0),
                json!(1),
                json!(5),
                json!(12),
                json!(13),
                json!(24),
                json!(53),
                json!(48),
                json!(2026),
                json!(2024),
                json!(2023),
            ])
        }),
    );
    let templates = ["%servers%", "a%one%", "%one%%servers%", "\\%one%", "100%", "%servers%*", "x%one"];
    let expanded = (
        select(vec!["|expand", "|expand|contains", "|contains|expand|cased"]),
        few(move || select(templates.to_vec()).prop_map(|t| json!(t))),
    );
    let exists = (Just("|exists"), any::<bool>().prop_map(|b| json!(b)));
    let references = [
        "|fieldref",
        "|fieldref|neq",
        "|fieldref|contains",
        "|fieldref|startswith",
        "|fieldref|endswith",
        "|fieldref|cased",
    ];
    let reference = (select(references.to_vec()), few(|| select(FIELDS.to_vec()).prop_map(|f| json!(f))));
    let whole =
        (select(vec!["", "", "", "|cased", "|neq", "|all"]), vec(plain(), 2..5), plain(), any::<bool>())
            .prop_map(|(key, list, one, single)| {
                (key, if single && key != "|all" { one } else { json!(list) })
            });
    let choice = prop_oneof![
        5 => whole,
        5 => placed,
        1 => dashed,
        2 => encoded,
        1 => regex,
        1 => network,
        1 => number,
        1 => part,
        1 => exists,
        1 => expanded,
        1 => reference,
    ];
    (select(FIELDS.to_vec()), choice)
        .prop_map(|(field, (modifiers, value))| (format!("{field}{modifiers}"), value))
}

fn event(words: Vec<(String, String)>) -> impl Strategy<Value = PlainEvent> {
    let sources = select(vec![
        LogSource::of("windows", &["sysmon"], &["process_creation"]),
        LogSource::of("windows", &["sysmon"], &["registry_set", "registry_event"]),
        LogSource::of("windows", &["security"], &[]),
        LogSource::of("linux", &[], &["process_creation"]),
        LogSource::of("", &[], &[]),
    ]);
    let aimed = (select(words), 0..16u8, select(TOKENS.to_vec())).prop_map(|((name, word), how, token)| {
        PlainField { name, value: made_of(&word, how, token), kind: Kind::Text }
    });
    let value = prop_oneof![
        3 => vec(select(TOKENS.to_vec()), 0..5).prop_map(|tokens| (tokens.concat(), Kind::Text)),
        1 => select(ADDRESSES.to_vec()).prop_map(|a| (a.to_owned(), Kind::Text)),
        1 => select(NUMBERS.to_vec()).prop_map(|n| (n.to_owned(), Kind::Number)),
        2 => select(TIMES.to_vec()).prop_map(|t| (t.to_owned(), Kind::Text)),
        1 => Just((String::new(), Kind::Null)),
        1 => select(vec!["true", "false"]).prop_map(|b| (b.to_owned(), Kind::Bool)),
        1 => Just((String::new(), Kind::Text)),
    ];
    let other = (select(FIELDS.to_vec()), value).prop_map(|(name, (value, kind))| PlainField {
        name: name.to_owned(),
        value,
        kind,
    });
    let field = prop_oneof![aimed, other];
    (sources, vec(field, 0..8), select(vec!["", "{\"cmd\": 1}", "<Event>cmd</Event>", "Nov 24 cmd.exe a"]))
        .prop_map(|(log_source, fields, original)| PlainEvent {
            original: original.to_owned(),
            log_source,
            fields,
            ..PlainEvent::default()
        })
}

/// A value close to what a rule looks for.
fn made_of(word: &str, how: u8, token: &str) -> String {
    let word = &PLACEHOLDERS
        .iter()
        .fold(word.to_owned(), |word, (name, values)| word.replace(&format!("%{name}%"), values[0]));
    let filled = || word.replace("\\*", "\u{1}").replace('*', token).replace('?', "ä").replace('\u{1}', "*");
    match how {
        0 => word.clone(),
        1 => filled(),
        2 => filled().to_uppercase(),
        3 => format!("{token}{}", filled()),
        4 => format!("{}{token}", filled()),
        5 => format!("{token}{}{token}", filled()),
        6 => word.replace("\\\\", "\\").replace("\\*", "*").replace("\\?", "?"),
        7 => word.replace(['*', '?'], ""),
        8 => word.replace('-', "/").replace('–', "-"),
        9 => encoded::base64(format!("{token}{word}{token}").as_bytes()),
        10 => encoded::base64(&encoded::utf16(&format!("{token}{word}"), false)),
        11 => encoded::base64(&[vec![0xff, 0xfe], encoded::utf16(word, false)].concat()),
        12 => encoded::base64(&encoded::utf16(word, true)),
        13 => encoded::base64(word.as_bytes()),
        14 => encoded::base64(&encoded::utf16(word, false)),
        _ => word.chars().skip(1).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    use super::*;
    use crate::sigma::{Prepared, Rule};

    /// Every kind of item must come out both ways, or a property test over it proves nothing.
    #[test]
    fn items_of_every_modifier_hold_and_fail() {
        let mut runner = TestRunner::deterministic();
        let mut seen: BTreeMap<String, [u32; 2]> = BTreeMap::new();
        for _ in 0..3_000 {
            let (rules, events) = rules_and_events().new_tree(&mut runner).unwrap().current();
            let events: Vec<Prepared> = events.into_iter().map(Prepared::new).collect();
            for rule in &rules {
                for (name, search) in rule["detection"].as_object().unwrap() {
                    let items = search.as_object().filter(|_| name != "SEL");
                    for (key, value) in items.into_iter().flatten() {
                        let alone = json!({"title": "", "detection": {"s": {key: value}, "condition": "s"}});
                        let alone = Rule::read(&alone, &placeholders()).unwrap();
                        let modifiers = key.split_once('|').map_or("", |(_, modifiers)| modifiers);
                        let count = seen.entry(modifiers.to_owned()).or_default();
                        for event in &events {
                            count[usize::from(alone.holds(event))] += 1;
                        }
                    }
                }
            }
        }
        assert!(seen.len() > 45, "{seen:#?}");
        for (modifiers, [failed, held]) in &seen {
            assert!(*failed > 0 && *held > 0, "{modifiers}: {failed} failed, {held} held");
        }
    }
}

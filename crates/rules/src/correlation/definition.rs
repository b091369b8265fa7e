//! A correlation rule as its author wrote it, read and checked. References to other rules are still
//! names here; `plan.rs` resolves them.

use covigil_model::Time;
use serde_json::{Map, Value};

use super::{
    condition::{Bounds, Comparison, Condition, Expression},
    digest,
};

/// The types of correlation (Sigma correlation rules specification, "Correlation Types").
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CorrelationKind {
    /// Number of events.
    EventCount,
    /// Number of distinct values.
    ValueCount,
    /// Number of referenced rules that occur.
    Temporal,
    /// The same, in the list's order.
    TemporalOrdered,
    /// Sum of a numeric field.
    ValueSum,
    /// Mean of a numeric field.
    ValueAvg,
    /// A percentile of a numeric field; the number is between 0 and 100.
    ValuePercentile(f64),
    /// Median of a numeric field.
    ValueMedian,
}

impl CorrelationKind {
    /// The name in a rule's `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventCount => "event_count",
            Self::ValueCount => "value_count",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
            Self::ValueSum => "value_sum",
            Self::ValueAvg => "value_avg",
            Self::ValuePercentile(_) => "value_percentile",
            Self::ValueMedian => "value_median",
        }
    }

    /// Whether the type is about which rules occur, not about values.
    pub const fn is_temporal(self) -> bool {
        matches!(self, Self::Temporal | Self::TemporalOrdered)
    }

    /// Whether the type needs a `field`.
    pub const fn needs_field(self) -> bool {
        !matches!(self, Self::EventCount | Self::Temporal | Self::TemporalOrdered)
    }
}

/// A rule's `timespan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timespan {
    /// Length in nanoseconds, above 0.
    pub nanos: i64,
    /// For people: `60 s`, `5 min`.
    pub text: String,
}

impl Timespan {
    /// Reads a number and one of `s m h d w M y`. A month is 30.44 days and a year 365.24, the
    /// means of the Gregorian calendar.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let unit = text.chars().next_back()?;
        let digits = text[..text.len() - unit.len_utf8()].trim_end();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number: i64 = digits.parse().ok()?;
        let (secs, name) = match unit {
            's' => (1, "s"),
            'm' => (60, "min"),
            'h' => (3_600, "h"),
            'd' => (86_400, "d"),
            'w' => (7 * 86_400, "weeks"),
            'M' => (2_629_746, "months"),
            'y' => (31_556_952, "years"),
            _ => return None,
        };
        let nanos = number.checked_mul(secs)?.checked_mul(1_000_000_000)?;
        // A quarter of all time there is keeps every sum of spans representable.
        if nanos <= 0 || nanos > Time::MAX.nanos() / 4 {
            return None;
        }
        Some(Self { nanos, text: format!("{number} {name}") })
    }
}

/// A name that stands for different fields in the events of different rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name used in `group-by` and `field`.
    pub name: String,
    /// The rule (name or id) and the field in its events.
    pub fields: Vec<(String, String)>,
}

/// One correlation rule, read and checked by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrelationRule {
    /// Its `id`; else its `name`, else its title.
    pub id: String,
    /// The `name` by which other correlations may refer to it.
    pub name: Option<String>,
    /// The title.
    pub title: String,
    /// The type.
    pub kind: CorrelationKind,
    /// The rules it refers to, by id or name, in its order.
    pub rules: Vec<String>,
    /// Fields or aliases whose values make a group.
    pub group_by: Vec<String>,
    /// How far apart the events may be.
    pub timespan: Timespan,
    /// When it fires.
    pub condition: Condition,
    /// Field or fields whose values are counted or computed with.
    pub fields: Vec<String>,
    /// Field aliases.
    pub aliases: Vec<Alias>,
    /// Whether the rules it refers to also raise findings of their own.
    pub generate: bool,
    /// Digest of id and definition: state is carried over a reload while it stays the same.
    pub fingerprint: u128,
}

/// Why a correlation rule cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorrelationError {
    /// A key is not there.
    #[error("the correlation lacks “{key}”")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A key has a value of the wrong form.
    #[error("“{key}” of the correlation must be {expected}")]
    Wrong {
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A key that would be ignored, and so change what the author meant.
    #[error("“{key}” is not a key of Sigma's {section} section")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        section: &'static str,
    },
    /// The type is none of Sigma's.
    #[error("“{kind}” is not a correlation type of Sigma")]
    UnknownType {
        /// The type given.
        kind: String,
    },
    /// The time span cannot be read.
    #[error("the timespan “{text}” is not a whole number above 0 with one of s, m, h, d, w, M, y")]
    Timespan {
        /// The text given.
        text: String,
    },
    /// The boolean condition cannot be read.
    #[error("the condition “{text}” cannot be read: {why}")]
    Condition {
        /// The text given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The boolean condition has too many alternatives.
    #[error("the condition has more than 256 alternatives when its brackets are multiplied out")]
    ConditionTooLarge,
    /// The condition names a rule that `rules` does not.
    #[error("the condition names “{name}”, which is not among the correlation's rules")]
    UnknownInCondition {
        /// The name.
        name: String,
    },
    /// More rules than a temporal correlation can hold.
    #[error("a temporal correlation can refer to 64 rules at most; this one refers to {count}")]
    TooManyRules {
        /// How many it refers to.
        count: usize,
    },
    /// No rule has that id or name.
    #[error("there is no rule with the id or name “{reference}” among the loaded ones")]
    UnknownRule {
        /// The reference.
        reference: String,
    },
    /// The rule refers to one that cannot run.
    #[error("it refers to “{reference}”, which cannot run")]
    Broken {
        /// The reference.
        reference: String,
    },
    /// Correlations refer to each other in a circle.
    #[error("it refers to itself by way of “{reference}”")]
    Circle {
        /// The reference on the circle.
        reference: String,
    },
    /// The threshold is above what a window may hold.
    #[error("the condition wants more than {most} events, which is the most that a window holds")]
    OutOfReach {
        /// The most that a window holds.
        most: usize,
    },
}

const KEYS: [&str; 8] =
    ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "field"];

impl CorrelationRule {
    /// Whether a rule document is a correlation.
    pub fn is_correlation(document: &Value) -> bool {
        document.get("correlation").is_some()
    }

    /// Reads a rule document that has a `correlation` section.
    pub fn parse(document: &Value) -> Result<Self, CorrelationError> {
        let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
        let title = text("title").ok_or(CorrelationError::Missing { key: "title" })?;
        let name = text("name");
        let id = text("id").or_else(|| name.clone()).unwrap_or_else(|| title.clone());
        let section = match document.get("correlation") {
            None => return Err(CorrelationError::Missing { key: "correlation" }),
            Some(value) => value.as_object().ok_or_else(|| wrong("correlation", "a map"))?,
        };
        if let Some(key) = section.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(CorrelationError::UnknownKey { key: key.clone(), section: "correlation" });
        }
        let rules = names(section, "rules")?.ok_or(CorrelationError::Missing { key: "rules" })?;
        if rules.is_empty() {
            return Err(wrong("rules", "a list with at least one rule"));
        }
        let kind = kind(section)?;
        if kind.is_temporal() && rules.len() > 64 {
            return Err(CorrelationError::TooManyRules { count: rules.len() });
        }
        let span = match section.get("timespan") {
            None => return Err(CorrelationError::Missing { key: "timespan" }),
            Some(value) => value.as_str().ok_or_else(|| wrong("timespan", "a text such as 5m"))?,
        };
        let timespan =
            Timespan::parse(span).ok_or_else(|| CorrelationError::Timespan { text: span.to_owned() })?;
        let fields = fields(section, kind)?;
        let generate = match section.get("generate").or_else(|| document.get("generate")) {
            None | Some(Value::Null) => false,
            Some(value) => value.as_bool().ok_or_else(|| wrong("generate", "true or false"))?,
        };
        let written = serde_json::to_string(section).unwrap_or_default();
        Ok(Self {
            fingerprint: digest([id.as_bytes(), written.as_bytes()]),
            condition: condition(section, kind, rules.len())?,
            group_by: names(section, "group-by")?.unwrap_or_default(),
            aliases: aliases(section)?,
            id,
            name,
            title,
            kind,
            rules,
            timespan,
            fields,
            generate,
        })
    }
}

fn wrong(key: &str, expected: &'static str) -> CorrelationError {
    CorrelationError::Wrong { key: key.to_owned(), expected }
}

/// A text, or a list of texts.
fn names(section: &Map<String, Value>, key: &'static str) -> Result<Option<Vec<String>>, CorrelationError> {
    let error = || wrong(key, "a text or a list of texts");
    match section.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(one)) => Ok(Some(vec![one.clone()])),
        Some(Value::Array(all)) => all
            .iter()
            .map(|value| value.as_str().map(str::to_owned).ok_or_else(error))
            .collect::<Result<Vec<_>, _>>()
            .map(Some),
        Some(_) => Err(error()),
    }
}

fn kind(section: &Map<String, Value>) -> Result<CorrelationKind, CorrelationError> {
    let kind = match section.get("type") {
        None => return Err(CorrelationError::Missing { key: "type" }),
        Some(value) => value.as_str().ok_or_else(|| wrong("type", "a text"))?,
    };
    Ok(match kind {
        "event_count" => CorrelationKind::EventCount,
        "value_count" => CorrelationKind::ValueCount,
        "temporal" => CorrelationKind::Temporal,
        "temporal_ordered" => CorrelationKind::TemporalOrdered,
        "value_sum" => CorrelationKind::ValueSum,
        "value_avg" => CorrelationKind::ValueAvg,
        "value_median" => CorrelationKind::ValueMedian,
        "value_percentile" => {
            let percentile = match section.get("condition").and_then(|c| c.get("percentile")) {
                None => 50.0,
                Some(value) => value
                    .as_f64()
                    .filter(|p| (0.0..=100.0).contains(p))
                    .ok_or_else(|| wrong("percentile", "a number between 0 and 100"))?,
            };
            CorrelationKind::ValuePercentile(percentile)
        }
        other => return Err(CorrelationError::UnknownType { kind: other.to_owned() }),
    })
}

/// The field to count or compute with: in the condition, or in the section itself, as the
/// specification's text and its schema have it.
fn fields(section: &Map<String, Value>, kind: CorrelationKind) -> Result<Vec<String>, CorrelationError> {
    let inner = section.get("condition").and_then(Value::as_object);
    let mut found = match inner.map(|condition| names(condition, "field")).transpose()?.flatten() {
        Some(found) => found,
        None => names(section, "field")?.unwrap_or_default(),
    };
    if !kind.needs_field() {
        found.clear();
    } else if found.is_empty() {
        return Err(CorrelationError::Missing { key: "condition.field" });
    } else if kind != CorrelationKind::ValueCount && found.len() > 1 {
        return Err(wrong("field", "one field, as only value_count takes several"));
    }
    Ok(found)
}

fn condition(
    section: &Map<String, Value>,
    kind: CorrelationKind,
    rules: usize,
) -> Result<Condition, CorrelationError> {
    let map = match section.get("condition") {
        None | Some(Value::Null) if kind.is_temporal() => {
            return Ok(Condition::Bounds(Bounds(vec![(Comparison::Gte, rules as f64)])));
        }
        None | Some(Value::Null) => return Err(CorrelationError::Missing { key: "condition" }),
        Some(Value::String(text)) if kind.is_temporal() => {
            return Expression::parse(text).map(Condition::Expression);
        }
        Some(Value::Object(map)) => map,
        Some(_) if kind.is_temporal() => {
            return Err(wrong("condition", "a map such as {gte: 2}, or an expression over rule names"));
        }
        Some(_) => return Err(wrong("condition", "a map such as {gte: 10}")),
    };
    let mut bounds = Vec::new();
    for (key, value) in map {
        if key == "field" || key == "percentile" {
            continue;
        }
        let Some(comparison) = Comparison::from_key(key) else {
            return Err(CorrelationError::UnknownKey { key: key.clone(), section: "condition" });
        };
        let bound = value.as_f64().filter(|b| b.is_finite()).ok_or_else(|| wrong(key, "a number"))?;
        bounds.push((comparison, bound));
    }
    if bounds.is_empty() {
        return Err(wrong("condition", "a map with at least one of gt, gte, lt, lte, eq, neq"));
    }
    Ok(Condition::Bounds(Bounds(bounds)))
}

fn aliases(section: &Map<String, Value>) -> Result<Vec<Alias>, CorrelationError> {
    let error = || wrong("aliases", "a map from alias to a map from rule to field");
    let map = match section.get("aliases") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value.as_object().ok_or_else(error)?,
    };
    let mut found = Vec::new();
    for (name, per_rule) in map {
        let mut fields = Vec::new();
        for (rule, field) in per_rule.as_object().ok_or_else(error)? {
            fields.push((rule.clone(), field.as_str().ok_or_else(error)?.to_owned()));
        }
        found.push(Alias { name: name.clone(), fields });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(correlation: Value) -> Result<CorrelationRule, CorrelationError> {
        CorrelationRule::parse(&json!({"title": "T", "id": "i", "correlation": correlation}))
    }

    #[test]
    fn a_whole_rule_is_read() {
        let rule = parse(json!({
            "type": "value_count", "rules": ["a", "b"], "group-by": "Computer", "timespan": "5m",
            "condition": {"field": ["User", "Domain"], "gt": 100, "lte": 200.5},
            "aliases": {"ip": {"a": "SourceIp", "b": "DestinationIp"}}, "generate": true,
        }))
        .unwrap();
        assert_eq!(rule.kind, CorrelationKind::ValueCount);
        assert_eq!(rule.timespan, Timespan { nanos: 300_000_000_000, text: "5 min".into() });
        assert_eq!(rule.fields, ["User", "Domain"]);
        assert_eq!(
            rule.condition,
            Condition::Bounds(Bounds(vec![(Comparison::Gt, 100.0), (Comparison::Lte, 200.5)]))
        );
        assert_eq!(rule.aliases[0].fields[1], ("b".into(), "DestinationIp".into()));
        assert!(rule.generate);
    }

    #[test]
    fn temporal_rules_want_all_rules_by_default() {
        let rule = parse(json!({"type": "temporal", "rules": ["a", "b"], "timespan": "1h"})).unwrap();
        assert_eq!(rule.condition, Condition::Bounds(Bounds(vec![(Comparison::Gte, 2.0)])));
        let rule = parse(json!({"type": "temporal_ordered", "rules": ["a", "b"], "timespan": "1h",
            "condition": "a and not b"}))
        .unwrap();
        assert!(matches!(rule.condition, Condition::Expression(Expression::And(..))));
    }

    #[test]
    fn what_cannot_run_is_refused_with_the_reason() {
        let base = json!({"type": "event_count", "rules": ["a"], "timespan": "5m", "condition": {"gte": 5}});
        let changed = |key: &str, value: Value| {
            let mut changed = base.clone();
            changed[key] = value;
            parse(changed).unwrap_err().to_string()
        };
        assert!(changed("type", json!("near")).contains("near"));
        assert!(changed("timespan", json!("5 fortnights")).contains("timespan"));
        assert!(changed("timespan", json!("0s")).contains("above 0"));
        assert!(changed("timespan", json!("99999999999999y")).contains("timespan"));
        assert!(changed("condition", json!({"gte": "many"})).contains("“gte”"));
        assert!(changed("condition", json!({"min": 1})).contains("“min”"));
        assert!(changed("condition", json!("a and b")).contains("map"));
        assert!(changed("condition", json!({})).contains("at least one"));
        assert!(changed("rules", json!([])).contains("at least one"));
        assert!(changed("rules", json!([{"a": 1}])).contains("list of texts"));
        assert!(changed("window", json!("5m")).contains("“window”"));
        assert!(changed("aliases", json!({"x": "y"})).contains("aliases"));
        assert!(changed("type", json!("value_sum")).contains("field"));
    }

    #[test]
    fn the_fingerprint_follows_the_definition() {
        let of = |gte: i64| {
            parse(json!({"type": "event_count", "rules": ["a"], "timespan": "5m", "condition": {"gte": gte}}))
                .unwrap()
                .fingerprint
        };
        assert_eq!(of(5), of(5));
        assert_ne!(of(5), of(6));
    }
}

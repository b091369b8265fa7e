//! Sigma correlations by brute force: at every arrival all that arrived so far is sorted and every
//! window that contains the new event is computed from nothing.
//!
//! Memory is not bounded and nothing is ever too late, so it agrees with the engine as long as
//! events are late within the engine's allowance and bounds are not hit.

use std::collections::BTreeSet;

use covigil_model::EventId;
use serde_json::Value;

use crate::event::PlainEvent;

/// An event, with the names of the detection rules that matched it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The event.
    pub event: PlainEvent,
    /// Names of rules.
    pub matched: BTreeSet<String>,
}

/// A correlation that fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Fired {
    /// Index of the rule in the list.
    pub rule: usize,
    /// Time of the window's last event.
    pub time: i64,
    /// All events of the window, oldest first.
    pub window: Vec<EventId>,
    /// Values of the `group-by` fields.
    pub group: Vec<String>,
    /// What was counted or computed; 0 for boolean conditions.
    pub value: f64,
}

/// One event, or hit of another correlation, that takes part in a rule.
#[derive(Debug, Clone)]
struct Part {
    time: i64,
    arrival: usize,
    id: EventId,
    /// Positions in the rule's list of rules.
    positions: BTreeSet<usize>,
    group: Vec<String>,
    values: Vec<String>,
}

/// A hit for other rules: the rule's name, the group's fields and values, time and last event.
type Hit = (String, Vec<(String, String)>, i64, EventId);

/// A window that met the condition, before it is turned into [`Fired`].
struct Met {
    time: i64,
    last: EventId,
    window: Vec<EventId>,
    group: Vec<String>,
    value: f64,
}

/// Runs correlation rule documents over events in the order of their arrival. A rule's references
/// are names of detection rules, or of rules that stand before it in the list. Rules that another
/// refers to stay silent unless that one has `generate: true`.
pub fn run(rules: &[Value], arrivals: &[Seen]) -> Vec<Fired> {
    let mut parts: Vec<Vec<Part>> = vec![Vec::new(); rules.len()];
    let mut fires: Vec<Vec<(Vec<String>, i64)>> = vec![Vec::new(); rules.len()];
    let mut fired = Vec::new();
    for (arrival, seen) in arrivals.iter().enumerate() {
        // Hits of this arrival by rule name, for the rules that refer to them.
        let mut hits: Vec<Hit> = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let correlation = &rule["correlation"];
            let mut new = Vec::new();
            for (name, group, time, id) in &hits {
                for position in positions(correlation, name) {
                    let field = |field: &str| {
                        let own = group.iter().find(|(have, _)| have == field).map(|(_, v)| v.clone());
                        own.or_else(|| seen.event.first(field).map(str::to_owned))
                    };
                    new.extend(part(correlation, position, *time, arrival, id, &field));
                }
            }
            let mut own: Vec<Part> = Vec::new();
            let mut matched: Vec<usize> =
                seen.matched.iter().flat_map(|name| positions(correlation, name)).collect();
            matched.sort_unstable();
            for position in matched {
                let field = |field: &str| seen.event.first(field).map(str::to_owned);
                let id = seen.event.id();
                let Some(part) = part(correlation, position, seen.event.time, arrival, &id, &field) else {
                    continue;
                };
                match own.iter_mut().find(|have| have.group == part.group) {
                    Some(have) => have.positions.extend(&part.positions),
                    None => own.push(part),
                }
            }
            new.extend(own);
            for part in new {
                parts[index].push(part.clone());
                for met in windows(correlation, &parts[index], &part, &mut fires[index]) {
                    let names = texts(&correlation["group-by"]);
                    let group = names.into_iter().zip(met.group.clone()).collect();
                    hits.push((name(rule), group, met.time, met.last.clone()));
                    if !silent(rules, rule) {
                        let (time, value) = (met.time, met.value);
                        fired.push(Fired { rule: index, time, window: met.window, group: met.group, value });
                    }
                }
            }
        }
    }
    fired
}

fn name(rule: &Value) -> String {
    rule["name"].as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn positions(correlation: &Value, name: &str) -> Vec<usize> {
    let rules = texts(&correlation["rules"]);
    rules.iter().enumerate().filter(|(_, have)| *have == name).map(|(at, _)| at).collect()
}

fn silent(rules: &[Value], rule: &Value) -> bool {
    let parents: Vec<&Value> =
        rules.iter().filter(|r| !positions(&r["correlation"], &name(rule)).is_empty()).collect();
    !parents.is_empty() && !parents.iter().any(|p| p["correlation"]["generate"] == Value::Bool(true))
}

/// How something takes part, or `None` where it lacks a field.
fn part(
    correlation: &Value,
    position: usize,
    time: i64,
    arrival: usize,
    id: &EventId,
    field: &dyn Fn(&str) -> Option<String>,
) -> Option<Part> {
    let rule = texts(&correlation["rules"])[position].clone();
    // A name that is an alias stands for the field given for this rule.
    let value = |name: &String| field(correlation["aliases"][name][&rule].as_str().unwrap_or(name));
    let group = texts(&correlation["group-by"]).iter().map(value).collect::<Option<Vec<_>>>()?;
    let values = texts(&correlation["condition"]["field"]).iter().map(value).collect::<Option<Vec<_>>>()?;
    let kind = correlation["type"].as_str().unwrap_or_default();
    if kind.starts_with("value_") && kind != "value_count" && !number(&values[0]).is_finite() {
        return None;
    }
    Some(Part { time, arrival, id: id.clone(), positions: BTreeSet::from([position]), group, values })
}

fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or(f64::NAN)
}

fn span(correlation: &Value) -> i64 {
    let text = correlation["timespan"].as_str().unwrap_or_default();
    let (digits, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        "M" => 2_629_746,
        _ => 31_556_952,
    };
    digits.parse::<i64>().unwrap_or_default() * unit * 1_000_000_000
}

/// Looks at all windows that contain the newest part, oldest window first.
fn windows(correlation: &Value, all: &[Part], new: &Part, fires: &mut Vec<(Vec<String>, i64)>) -> Vec<Met> {
    let span = span(correlation);
    let mut group: Vec<&Part> = all.iter().filter(|part| part.group == new.group).collect();
    // A stable sort: among equals, arrival decides.
    group.sort_by_key(|part| part.time);
    let Some(at) = group.iter().position(|part| std::ptr::eq(*part, &all[all.len() - 1])) else {
        return Vec::new();
    };
    let mut met = Vec::new();
    for last in at..group.len() {
        let end = group[last].time;
        if end - new.time > span {
            break;
        }
        if fires.iter().any(|(values, time)| *values == new.group && (time - end).abs() <= span) {
            continue;
        }
        let window: Vec<&Part> =
            group[..=last].iter().filter(|part| end - part.time <= span).copied().collect();
        if let Some(value) = value(correlation, &window) {
            fires.push((new.group.clone(), end));
            met.push(Met {
                time: end,
                last: group[last].id.clone(),
                window: window.iter().map(|part| part.id.clone()).collect(),
                group: new.group.clone(),
                value,
            });
        }
    }
    met
}

/// The window's value, where it meets the condition.
fn value(correlation: &Value, window: &[&Part]) -> Option<f64> {
    let rules = texts(&correlation["rules"]);
    let numbers = || -> Vec<f64> {
        let mut numbers: Vec<f64> = window.iter().map(|part| number(&part.values[0])).collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    };
    let condition = &correlation["condition"];
    let value = match correlation["type"].as_str().unwrap_or_default() {
        "event_count" => window.len() as f64,
        "value_count" => window.iter().map(|part| &part.values).collect::<BTreeSet<_>>().len() as f64,
        "value_sum" => numbers().iter().sum(),
        "value_avg" => numbers().iter().sum::<f64>() / window.len() as f64,
        "value_median" => percentile(&numbers(), 50.0),
        "value_percentile" => percentile(&numbers(), condition["percentile"].as_f64().unwrap_or(50.0)),
        "temporal" => match condition.as_str() {
            Some(text) => return expression(text, &rules, window, false).then_some(0.0),
            None => present(window).len() as f64,
        },
        _ => match condition.as_str() {
            Some(text) => return expression(text, &rules, window, true).then_some(0.0),
            None => (0..=rules.len()).rev().find(|n| in_order(&(0..*n).collect::<Vec<_>>(), window))? as f64,
        },
    };
    let holds = |(key, bound): (&String, &Value)| {
        let bound = bound.as_f64().unwrap_or(f64::NAN);
        match key.as_str() {
            "gt" => value > bound,
            "gte" => value >= bound,
            "lt" => value < bound,
            "lte" => value <= bound,
            "eq" => value == bound,
            "neq" => value != bound,
            _ => true,
        }
    };
    let met = match condition.as_object() {
        Some(bounds) => bounds.iter().all(holds),
        None => value >= rules.len() as f64,
    };
    met.then_some(value)
}

fn percentile(sorted: &[f64], percentile: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * percentile / 100.0;
    let at = place.floor() as usize;
    let above = sorted.get(at + 1).copied().unwrap_or(sorted[at]);
    sorted[at] + (place - place.floor()) * (above - sorted[at])
}

fn present(window: &[&Part]) -> BTreeSet<usize> {
    window.iter().flat_map(|part| part.positions.iter().copied()).collect()
}

/// Whether the rules at these positions occur one after the other, each at a later moment.
fn in_order(positions: &[usize], window: &[&Part]) -> bool {
    let mut wanted = positions.iter();
    let mut next = wanted.next();
    let mut moment = None;
    for part in window {
        let now = (part.time, part.arrival);
        if moment != Some(now)
            && let Some(position) = next
            && part.positions.contains(position)
        {
            moment = Some(now);
            next = wanted.next();
        }
    }
    next.is_none()
}

/// Tries every set of rules that occur (in order, where that is asked for): one of them must make
/// the expression true, where a rule under `not` must not occur at all.
fn expression(text: &str, rules: &[String], window: &[&Part], ordered: bool) -> bool {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let present = present(window);
    (0..1u32 << rules.len()).any(|chosen| {
        let positions: Vec<usize> = (0..rules.len()).filter(|p| chosen >> p & 1 == 1).collect();
        let fits =
            positions.iter().all(|p| present.contains(p)) && (!ordered || in_order(&positions, window));
        fits && {
            let leaf = |name: &str, negated: bool| {
                let position = rules.iter().position(|rule| rule == name);
                position.is_some_and(|p| if negated { !present.contains(&p) } else { positions.contains(&p) })
            };
            let mut at = 0;
            or(&tokens, &mut at, false, &leaf)
        }
    })
}

type Leaf<'a> = &'a dyn Fn(&str, bool) -> bool;

fn or(tokens: &[&str], at: &mut usize, negated: bool, leaf: Leaf<'_>) -> bool {
    let mut value = and(tokens, at, negated, leaf);
    while tokens.get(*at) == Some(&"or") {
        *at += 1;
        let right = and(tokens, at, negated, leaf);
        value = if negated { value && right } else { value || right };
    }
    value
}

fn and(tokens: &[&str], at: &mut usize, negated: bool, leaf: Leaf<'_>) -> bool {
    let mut value = not(tokens, at, negated, leaf);
    while tokens.get(*at) == Some(&"and") {
        *at += 1;
        let right = not(tokens, at, negated, leaf);
        value = if negated { value || right } else { value && right };
    }
    value
}

fn not(tokens: &[&str], at: &mut usize, negated: bool, leaf: Leaf<'_>) -> bool {
    let token = tokens.get(*at).copied().unwrap_or_default();
    *at += 1;
    match token {
        "not" => not(tokens, at, !negated, leaf),
        "(" => {
            let value = or(tokens, at, negated, leaf);
            *at += 1;
            value
        }
        name => leaf(name, negated),
    }
}

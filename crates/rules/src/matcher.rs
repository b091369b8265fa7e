//! Which rules an event matches: the hot path. [`crate::compiled`] explains how.

use std::sync::Arc;

use covigil_model::{Event, Kind, LogSource};
use rustc_hash::FxHashMap;

use crate::{
    compiled::{
        FieldId,
        partition::{Lazy, Node, Partition, Predicate},
        scanner::Hit,
    },
    evaluate,
    expr::Test,
    pattern::lower_into,
    rule::RuleIndex,
    set::RuleSet,
};

/// Different log sources whose partitions are remembered; parsers make far fewer.
const MAX_SOURCES: usize = 1_024;
/// No index.
const NONE: u32 = u32::MAX;

/// Matches events against a rule set; one per worker. It holds nothing of an event once the event
/// is matched, only allocations.
#[derive(Debug)]
pub struct Matcher {
    rules: Arc<RuleSet>,
    /// Partitions that cover a log source.
    sources: FxHashMap<LogSource, Arc<[u32]>>,
    values: Values,
    states: States,
}

impl Matcher {
    /// A matcher of these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let program = rules.program();
        let most = |count: fn(&Partition) -> usize| program.partitions.iter().map(count).max().unwrap_or(0);
        let states = States {
            generation: 0,
            predicates: vec![0; most(|p| p.predicates.len())],
            woken: vec![0; most(|p| p.rules.len())],
            candidates: Vec::new(),
        };
        let values = Values { first: vec![NONE; program.fields.len()], ..Values::default() };
        Self { rules, sources: FxHashMap::default(), values, states }
    }

    /// The rules.
    pub const fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Appends the rules that the event matches, ascending.
    pub fn matches(&mut self, event: &Event, out: &mut Vec<RuleIndex>) {
        let partitions = self.partitions(&event.log_source);
        if partitions.is_empty() {
            return;
        }
        let begin = out.len();
        let program = self.rules.program();
        self.values.take(event, &program.fields);
        for number in partitions.iter() {
            let partition = &program.partitions[*number as usize];
            self.states.begin();
            self.states.search(partition, event, &mut self.values);
            let mut candidates = std::mem::take(&mut self.states.candidates);
            let mut run = Run { partition, event, values: &mut self.values, states: &mut self.states };
            for rule in partition.always.iter().chain(&candidates) {
                let rule = &partition.rules[*rule as usize];
                if run.holds(&rule.root) {
                    out.push(rule.index);
                }
            }
            candidates.clear();
            self.states.candidates = candidates;
        }
        out[begin..].sort_unstable();
    }

    fn partitions(&mut self, source: &LogSource) -> Arc<[u32]> {
        if let Some(known) = self.sources.get(source) {
            return Arc::clone(known);
        }
        if self.sources.len() >= MAX_SOURCES {
            self.sources.clear();
        }
        let covering: Arc<[u32]> = self.rules.program().covering(source).into();
        self.sources.insert(source.clone(), Arc::clone(&covering));
        covering
    }
}

/// The event's values by the fields that rules ask for, and their lowered forms.
#[derive(Debug, Default)]
struct Values {
    /// By [`FieldId`]: place of the first value among the event's fields.
    first: Vec<u32>,
    /// By place: place of the next value of the same field.
    next: Vec<u32>,
    /// The fields that are there: each once per value.
    present: Vec<(FieldId, u32)>,
    /// By place: where in `arena` the lowered value stands; the original's place is the last.
    lowered: Vec<(u32, u32)>,
    arena: String,
}

impl Values {
    fn take(&mut self, event: &Event, names: &FxHashMap<Box<str>, FieldId>) {
        for (field, _) in self.present.drain(..) {
            self.first[field.0 as usize] = NONE;
        }
        let fields = event.fields();
        self.arena.clear();
        self.lowered.clear();
        self.lowered.resize(fields.len() + 1, (NONE, 0));
        self.next.clear();
        self.next.resize(fields.len(), NONE);
        for (place, field) in fields.iter().enumerate() {
            if let Some(id) = names.get(event.name(field)) {
                let first = &mut self.first[id.0 as usize];
                self.next[place] = std::mem::replace(first, place as u32);
                self.present.push((*id, place as u32));
            }
        }
    }

    /// The lowered value at a place.
    fn lowered(&mut self, event: &Event, place: u32) -> &str {
        let slot = &mut self.lowered[place as usize];
        if slot.0 == NONE {
            let text = match event.fields().get(place as usize) {
                Some(field) => event.slice(field.value),
                None => event.original(),
            };
            slot.0 = self.arena.len() as u32;
            lower_into(&mut self.arena, text);
            slot.1 = self.arena.len() as u32;
        }
        let (from, to) = *slot;
        self.arena.get(from as usize..to as usize).unwrap_or("")
    }
}

/// What is known of one partition's predicates and rules for one event. Entries of earlier events
/// are told apart by their generation, so that nothing needs to be cleared.
#[derive(Debug)]
struct States {
    generation: u32,
    /// By predicate: generation and one of [`HOLDS`], [`FAILS`], [`MAYBE`].
    predicates: Vec<u32>,
    /// By rule: the generation in which it was last woken.
    woken: Vec<u32>,
    /// Rules woken in this generation.
    candidates: Vec<u32>,
}

const FAILS: u32 = 0;
const HOLDS: u32 = 1;
/// A literal was found, and the lazy tests have not run.
const MAYBE: u32 = 2;
const STATE_BITS: u32 = 2;

impl States {
    fn begin(&mut self) {
        self.generation += 1;
        if self.generation >= NONE >> STATE_BITS {
            self.generation = 1;
            self.predicates.fill(0);
            self.woken.fill(0);
        }
    }

    /// Searches the event's values for the literals of all rules, and wakes rules.
    fn search(&mut self, partition: &Partition, event: &Event, values: &mut Values) {
        for at in 0..values.present.len() {
            let (field, place) = values.present[at];
            let slot = partition.slots[field.0 as usize] as usize;
            let Some(plan) = slot.checked_sub(1).and_then(|slot| partition.fields.get(slot)) else {
                continue;
            };
            for rule in &plan.wakes {
                self.wake(*rule);
            }
            if !plan.scanner.is_empty() && event.fields()[place as usize].kind != Kind::Null {
                plan.scanner.scan(values.lowered(event, place), |hit| self.hit(&partition.predicates, hit));
            }
        }
        let Some(keywords) = &partition.keywords else { return };
        if keywords.is_empty() {
            return;
        }
        for place in keyword_places(event) {
            keywords.scan(values.lowered(event, place), |hit| self.hit(&partition.predicates, hit));
        }
    }

    #[inline]
    fn hit(&mut self, predicates: &[Predicate], hit: Hit) {
        let number = hit.predicate() as usize;
        let state = &mut self.predicates[number];
        let here = self.generation << STATE_BITS;
        if *state & !3 == here {
            if hit.is_certain() {
                *state = here | HOLDS;
            }
            return;
        }
        *state = here | if hit.is_certain() { HOLDS } else { MAYBE };
        for rule in &predicates[number].wakes {
            self.wake(*rule);
        }
    }

    fn wake(&mut self, rule: u32) {
        let woken = &mut self.woken[rule as usize];
        if *woken != self.generation {
            *woken = self.generation;
            self.candidates.push(rule);
        }
    }
}

/// Places of the texts in which keywords are looked for.
fn keyword_places(event: &Event) -> impl Iterator<Item = u32> {
    let fields = event.fields();
    let original = evaluate::keyword_original(event).map(|_| fields.len() as u32);
    let values =
        fields.iter().enumerate().filter(|(_, f)| f.kind != Kind::Null).map(|(place, _)| place as u32);
    values.chain(original)
}

/// The evaluation of woken rules.
struct Run<'a> {
    partition: &'a Partition,
    event: &'a Event,
    values: &'a mut Values,
    states: &'a mut States,
}

impl Run<'_> {
    fn holds(&mut self, node: &Node) -> bool {
        match node {
            Node::Predicate(number) => self.predicate(*number),
            Node::Not(inner) => !self.holds(inner),
            Node::All(parts) => parts.iter().all(|part| self.holds(part)),
            Node::Any(parts) => parts.iter().any(|part| self.holds(part)),
            Node::AtLeast(n, parts) => {
                let mut left = *n;
                parts.iter().any(|part| {
                    left -= usize::from(self.holds(part));
                    left == 0
                })
            }
        }
    }

    fn predicate(&mut self, number: u32) -> bool {
        let state = self.states.predicates[number as usize];
        let here = self.states.generation << STATE_BITS;
        let predicate = &self.partition.predicates[number as usize];
        let known = state & !3 == here;
        match state & 3 {
            HOLDS if known => return true,
            FAILS if known => return false,
            MAYBE if known => {}
            _ if predicate.ungated || predicate.exists || predicate.null => {}
            _ => return false,
        }
        let holds = self.decide(predicate);
        self.states.predicates[number as usize] = here | if holds { HOLDS } else { FAILS };
        holds
    }

    /// Runs a predicate's lazy tests.
    fn decide(&mut self, predicate: &Predicate) -> bool {
        let Some(field) = predicate.field else {
            let places: Vec<u32> = keyword_places(self.event).collect();
            return places.into_iter().any(|place| self.any_lazy(predicate, place));
        };
        let mut place = self.values.first[field.0 as usize];
        if place == NONE {
            return predicate.null;
        }
        if predicate.exists {
            return true;
        }
        while place != NONE {
            if self.event.fields()[place as usize].kind == Kind::Null {
                if predicate.null {
                    return true;
                }
            } else if self.any_lazy(predicate, place) {
                return true;
            }
            place = self.values.next[place as usize];
        }
        false
    }

    fn any_lazy(&mut self, predicate: &Predicate, place: u32) -> bool {
        predicate.lazy.iter().any(|lazy| self.lazy(lazy, place))
    }

    /// Runs one test on the value at a place, which is not null.
    fn lazy(&mut self, lazy: &Lazy, place: u32) -> bool {
        let value = match self.event.fields().get(place as usize) {
            Some(field) => self.event.value(field),
            None => covigil_model::Value { text: self.event.original(), kind: Kind::Text },
        };
        match lazy {
            Lazy::Lowered(pattern) => pattern.matches(self.values.lowered(self.event, place)),
            Lazy::Cased(pattern) => pattern.matches(value.text),
            Lazy::Value(test) => evaluate::test_value(test, value),
            Lazy::Reference(other, test) => {
                let Test::Reference { place: how, cased, .. } = test else { return false };
                let mut at = self.values.first[other.0 as usize];
                while at != NONE {
                    let field = &self.event.fields()[at as usize];
                    let text = self.event.slice(field.value);
                    if field.kind != Kind::Null && evaluate::refers(value.text, text, *how, *cased) {
                        return true;
                    }
                    at = self.values.next[at as usize];
                }
                false
            }
        }
    }
}

//! The correlator: the groups of all rules, fed one event after the other.

use std::collections::BTreeMap;

use covigil_model::{Event, EventId, Kind, Time};

use super::{
    definition::{CorrelationError, CorrelationKind, CorrelationRule},
    digest,
    plan::{Plan, Planned, Resolve},
    window::{Entry, Lane, Met},
};

/// What correlation may hold, and how late an event may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Nanoseconds by which an event may be older than the newest of its group and still find all
    /// that belongs to it.
    pub lateness: i64,
    /// Groups of all rules together. Past it the group that was idle longest is forgotten.
    pub groups: usize,
    /// Events of all groups together. Past it the groups that were idle longest are forgotten.
    pub events: usize,
    /// Events of one group. Past it the oldest is forgotten.
    pub events_per_window: usize,
    /// Events named by one hit.
    pub events_per_hit: usize,
}

impl Default for Limits {
    /// 60 s, 100,000 groups, 500,000 events (40 to 80 MB), 100,000 in a window, 100 in a hit.
    fn default() -> Self {
        Self {
            lateness: 60_000_000_000,
            groups: 100_000,
            events: 500_000,
            events_per_window: 100_000,
            events_per_hit: 100,
        }
    }
}

/// What happened since the correlator was made, and what it holds now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Groups held now.
    pub groups: u64,
    /// Events held now.
    pub events: u64,
    /// Hits raised, those for other correlations included.
    pub hits: u64,
    /// Events older than the newest of their group.
    pub late: u64,
    /// Of these, older by more than [`Limits::lateness`].
    pub too_late: u64,
    /// Late events for which only the newest window was looked at again, as there were more than 256
    /// newer events in the group; those of them that were too late as well are left out.
    pub windows_skipped: u64,
    /// Events that did not take part in a rule as a `group-by` field was missing or null.
    pub without_group: u64,
    /// Events that did not take part in a rule as its `field` was missing, null or not a number.
    pub without_value: u64,
    /// Groups forgotten over [`Limits::groups`] or [`Limits::events`].
    pub groups_evicted: u64,
    /// Events forgotten over [`Limits::events_per_window`], or with an evicted group.
    pub events_evicted: u64,
}

/// A correlation that fired.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrelationHit {
    /// The rule's index in the list given to [`Correlator::new`].
    pub rule: u32,
    /// Time of the last event of the window.
    pub time: Time,
    /// The events it rests on, oldest first, at most [`Limits::events_per_hit`]; the last completed
    /// it.
    pub events: Vec<EventId>,
    /// Number of events in the window, also where `events` names fewer.
    pub count: u64,
    /// What was counted or computed.
    pub value: f64,
    /// The `group-by` fields and their values; long values are cut.
    pub group: Vec<(String, String)>,
    /// Equal for hits of one rule and group: they are one alert.
    pub key: String,
    /// For people: `5 events in 60 s`.
    pub summary: String,
}

/// A group: its values and its lanes, the one used last first.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub values: Vec<(String, String)>,
    pub lanes: Vec<Lane>,
    pub stamp: u64,
}

/// Ranges of time that lie too far apart to share a window, and that a group keeps apart.
pub(super) const MOST_LANES: usize = 4;
/// Bytes of a group's value that are kept to be shown.
const SHOWN_VALUE: usize = 256;

/// All correlation rules and their windows.
#[derive(Debug, Clone)]
pub struct Correlator {
    pub(super) plan: Plan,
    pub(super) limits: Limits,
    /// By rank, by digest of the group's values.
    pub(super) groups: Vec<BTreeMap<u128, Group>>,
    /// Stamp of the last use to rank and group.
    pub(super) idle: BTreeMap<u64, (usize, u128)>,
    pub(super) next_stamp: u64,
    /// Events shown that took part in some rule: their order of arrival.
    pub(super) observations: u64,
    pub(super) counters: Counters,
}

/// What a rule has to take in of one observation.
#[derive(Debug, Default)]
struct Work {
    /// Positions of the rules of its list that the event matched.
    positions: Vec<usize>,
    /// Hits of other correlations, with the position that they feed.
    hits: Vec<(usize, CorrelationHit)>,
}

impl Correlator {
    /// A correlator of these rules, and the rules that cannot run with their index and reason.
    ///
    /// `resolve` finds detection rules by id or name.
    pub fn new(
        rules: Vec<CorrelationRule>,
        resolve: Resolve<'_>,
        limits: Limits,
    ) -> (Self, Vec<(usize, CorrelationError)>) {
        let (plan, errors) = Plan::new(rules, resolve, limits.events_per_window);
        let groups = vec![BTreeMap::new(); plan.rules.len()];
        let correlator = Self {
            plan,
            limits,
            groups,
            idle: BTreeMap::new(),
            next_stamp: 0,
            observations: 0,
            counters: Counters::default(),
        };
        (correlator, errors)
    }

    /// Number of rules that run.
    pub fn len(&self) -> usize {
        self.plan.rules.len()
    }

    /// Whether no rule runs.
    pub fn is_empty(&self) -> bool {
        self.plan.rules.is_empty()
    }

    /// Whether matches of a detection rule are for correlations only, and raise nothing themselves.
    pub fn is_silenced(&self, detection: u32) -> bool {
        self.plan.silenced.contains(&detection)
    }

    /// Whether a correlation counts matches of a detection rule.
    pub fn counts(&self, detection: u32) -> bool {
        self.plan.feeds.get(&detection).is_some_and(|feeds| !feeds.is_empty())
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Shows the next event and the detection rules that matched it, in any order and without
    /// repeats. Hits are appended to `out`, a rule's after those of the rules it refers to.
    pub fn observe(&mut self, event: &Event, matched: &[u32], out: &mut Vec<CorrelationHit>) {
        let mut work: BTreeMap<usize, Work> = BTreeMap::new();
        for detection in matched {
            for (rank, position) in self.plan.feeds.get(detection).into_iter().flatten() {
                work.entry(*rank).or_default().positions.push(*position);
            }
        }
        if !work.is_empty() {
            self.observations += 1;
        }
        while let Some((rank, todo)) = work.pop_first() {
            let mut hits = Vec::new();
            for (position, hit) in &todo.hits {
                self.take_hit(rank, *position, hit, event, &mut hits);
            }
            self.take_event(rank, todo.positions, event, &mut hits);
            self.counters.hits += hits.len() as u64;
            for hit in hits {
                for (parent, position) in &self.plan.chained[rank] {
                    work.entry(*parent).or_default().hits.push((*position, hit.clone()));
                }
                if !self.plan.silent[rank] {
                    out.push(hit);
                }
            }
        }
    }

    fn take_event(
        &mut self,
        rank: usize,
        mut positions: Vec<usize>,
        event: &Event,
        hits: &mut Vec<CorrelationHit>,
    ) {
        positions.sort_unstable();
        positions.dedup();
        let field = |name: &str| present(event, name);
        // An event that matches several rules of the list takes part once per group.
        let mut parts: Vec<(Part, u64)> = Vec::new();
        for position in positions {
            let Some(part) = part(&self.plan.rules[rank], position, &field, &mut self.counters) else {
                continue;
            };
            let bit = 1u64 << (position & 63);
            match parts.iter_mut().find(|(have, _)| have.group == part.group) {
                Some((_, mask)) => *mask |= bit,
                None => parts.push((part, bit)),
            }
        }
        for (part, mask) in parts {
            let entry = Entry {
                time: event.time.nanos(),
                order: self.observations,
                id: event.id.clone(),
                mask,
                value: part.value,
                behind: Box::default(),
            };
            self.take(rank, part, entry, &field, hits);
        }
    }

    fn take_hit(
        &mut self,
        rank: usize,
        position: usize,
        hit: &CorrelationHit,
        event: &Event,
        hits: &mut Vec<CorrelationHit>,
    ) {
        let field = |name: &str| {
            let of_group = hit.group.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str());
            of_group.or_else(|| present(event, name))
        };
        let Some(part) = part(&self.plan.rules[rank], position, &field, &mut self.counters) else { return };
        let entry = Entry {
            time: hit.time.nanos(),
            order: self.observations,
            id: hit.events.last().cloned().unwrap_or_else(|| event.id.clone()),
            mask: 1u64 << (position & 63),
            value: part.value,
            behind: hit.events.clone().into_boxed_slice(),
        };
        self.take(rank, part, entry, &field, hits);
    }

    /// Puts an entry into its group's lane, and turns what that completes into hits.
    fn take<'e>(
        &mut self,
        rank: usize,
        part: Part,
        entry: Entry,
        field: &dyn Fn(&str) -> Option<&'e str>,
        hits: &mut Vec<CorrelationHit>,
    ) {
        let planned = &self.plan.rules[rank];
        let stamp = self.next_stamp;
        self.next_stamp += 1;
        let counters = &mut self.counters;
        let group = self.groups[rank].entry(part.group).or_insert_with(|| {
            counters.groups += 1;
            let names = planned.rule.group_by.iter().zip(&planned.group_fields[part.position]);
            let shown = |(name, source): (&String, &String)| {
                (name.clone(), cut(field(source).unwrap_or_default()).to_owned())
            };
            Group { values: names.map(shown).collect(), lanes: Vec::new(), stamp }
        });
        self.idle.remove(&group.stamp);
        self.idle.insert(stamp, (rank, part.group));
        group.stamp = stamp;
        let before: usize = group.lanes.iter().map(|lane| lane.entries.len()).sum();
        let reach = planned.rule.timespan.nanos.saturating_add(self.limits.lateness);
        match group.lanes.iter().position(|lane| lane.reaches(entry.time, reach)) {
            Some(at) => group.lanes[..=at].rotate_right(1),
            None => {
                group.lanes.insert(0, Lane::new(planned));
                // Where time went on, the lane that falls off is over; no loss.
                let gone = if group.lanes.len() > MOST_LANES { group.lanes.pop() } else { None };
                if let Some(gone) = gone
                    && gone.newest() > Some(entry.time)
                {
                    counters.events_evicted += gone.entries.len() as u64;
                }
            }
        }
        let mut met = Vec::new();
        group.lanes[0].observe(planned, &self.limits, counters, entry, &mut met);
        let after: usize = group.lanes.iter().map(|lane| lane.entries.len()).sum();
        counters.events = (counters.events + after as u64).saturating_sub(before as u64);
        for met in met {
            hits.push(hit(planned, self.plan.given[rank], &group.values, part.group, met));
        }
        self.evict();
    }

    /// Forgets the groups that were idle longest until the bounds hold.
    pub(super) fn evict(&mut self) {
        while self.counters.groups > self.limits.groups as u64
            || self.counters.events > self.limits.events as u64
        {
            // The last one in use stays, whatever the bounds.
            if self.idle.len() <= 1 {
                return;
            }
            let Some((_, (rank, key))) = self.idle.pop_first() else { return };
            let Some(group) = self.groups[rank].remove(&key) else { continue };
            let events: usize = group.lanes.iter().map(|lane| lane.entries.len()).sum();
            self.counters.groups -= 1;
            self.counters.events = self.counters.events.saturating_sub(events as u64);
            self.counters.groups_evicted += 1;
            self.counters.events_evicted += events as u64;
        }
    }
}

/// How something takes part in a rule.
struct Part {
    position: usize,
    group: u128,
    value: u128,
}

/// The first value of a field, unless it is null.
fn present<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    event.field(name).filter(|value| value.kind != Kind::Null).map(|value| value.text)
}

fn part<'e>(
    planned: &Planned,
    position: usize,
    field: &dyn Fn(&str) -> Option<&'e str>,
    counters: &mut Counters,
) -> Option<Part> {
    let texts = |names: &[String]| -> Option<Vec<&'e str>> { names.iter().map(|name| field(name)).collect() };
    let Some(group) = texts(&planned.group_fields[position]) else {
        counters.without_group += 1;
        return None;
    };
    let value = texts(&planned.value_fields[position]).and_then(|values| match planned.rule.kind {
        CorrelationKind::ValueCount => Some(digest(values.iter().map(|v| v.as_bytes()))),
        kind if kind.needs_field() => {
            let number = values.first()?.trim().parse::<f64>().ok()?;
            number.is_finite().then(|| u128::from(number.to_bits()))
        }
        _ => Some(0),
    });
    let Some(value) = value else {
        counters.without_value += 1;
        return None;
    };
    Some(Part { position, group: digest(group.iter().map(|v| v.as_bytes())), value })
}

/// The beginning of a value, as it is shown.
fn cut(value: &str) -> &str {
    let mut end = value.len().min(SHOWN_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

fn hit(planned: &Planned, given: u32, group: &[(String, String)], key: u128, met: Met) -> CorrelationHit {
    CorrelationHit {
        rule: given,
        time: Time::from_nanos(met.time),
        summary: summary(planned, &met),
        events: met.events,
        count: met.count as u64,
        value: met.value,
        group: group.to_vec(),
        key: format!("{}:{key:032x}", planned.rule.id),
    }
}

fn summary(planned: &Planned, met: &Met) -> String {
    let rule = &planned.rule;
    let value = met.value;
    let of = rule.fields.join(", ");
    let what = match rule.kind {
        CorrelationKind::EventCount if met.count == 1 => "1 event".to_owned(),
        CorrelationKind::EventCount => format!("{value} events"),
        CorrelationKind::ValueCount => format!("{value} different values of {of}"),
        CorrelationKind::Temporal => format!("{value} of {} rules", planned.positions),
        CorrelationKind::TemporalOrdered => format!("{value} of {} rules in order", planned.positions),
        CorrelationKind::ValueSum => format!("sum of {of} is {value}"),
        CorrelationKind::ValueAvg => format!("mean of {of} is {value}"),
        CorrelationKind::ValuePercentile(p) => format!("percentile {p} of {of} is {value}"),
        CorrelationKind::ValueMedian => format!("median of {of} is {value}"),
    };
    format!("{what} in {}", rule.timespan.text)
}

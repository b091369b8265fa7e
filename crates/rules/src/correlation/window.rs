//! The events of one group, and the window that slides over them.

use std::collections::{BTreeMap, VecDeque};

use covigil_model::EventId;

use super::{
    condition::Term,
    definition::CorrelationKind,
    engine::{Counters, Limits},
    exact_sum::ExactSum,
    plan::{Planned, Test},
    rank::Ranked,
};

/// A late event makes at most this many newer windows be looked at again; beyond, only the newest,
/// so that whoever sends times out of order cannot make one event cost as much as a window holds.
const MOST_WINDOWS_AGAIN: usize = 256;

/// One event that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// Arrival: the number of the observation. An event and a hit that it completed share one, so
    /// that neither comes before the other.
    pub order: u64,
    /// The event.
    pub id: EventId,
    /// Positions of the rules that it matched, for the temporal types.
    pub mask: u64,
    /// Digest of the values to count, or the bits of the number to compute with.
    pub value: u128,
    /// For a hit of another correlation: its events.
    pub behind: Box<[EventId]>,
}

impl Entry {
    fn number(&self) -> f64 {
        f64::from_bits(self.value as u64)
    }
}

/// What a condition that was met rests on.
#[derive(Debug, PartialEq)]
pub(super) struct Met {
    /// Time of the window's last event.
    pub time: i64,
    /// The events, oldest first, at most [`Limits::events_per_hit`].
    pub events: Vec<EventId>,
    /// Number of events in the window.
    pub count: usize,
    /// The counted or computed value.
    pub value: f64,
}

/// A value over the entries `lo..hi`, kept up to date as they come and go.
#[derive(Debug, Clone)]
enum Running {
    /// Counting and sequences need no value.
    Nothing,
    Distinct(BTreeMap<u128, u32>),
    Sum(ExactSum),
    Ranked(Ranked),
}

impl Running {
    fn new(kind: CorrelationKind) -> Self {
        match kind {
            CorrelationKind::EventCount | CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => {
                Self::Nothing
            }
            CorrelationKind::ValueCount => Self::Distinct(BTreeMap::new()),
            CorrelationKind::ValueSum | CorrelationKind::ValueAvg => Self::Sum(ExactSum::new()),
            CorrelationKind::ValuePercentile(percentile) => Self::Ranked(Ranked::new(percentile)),
            CorrelationKind::ValueMedian => Self::Ranked(Ranked::new(50.0)),
        }
    }

    fn add(&mut self, entry: &Entry) {
        match self {
            Self::Nothing => {}
            Self::Distinct(counts) => *counts.entry(entry.value).or_insert(0) += 1,
            Self::Sum(sum) => sum.add(entry.number()),
            Self::Ranked(ranked) => ranked.add(entry.number()),
        }
    }

    fn remove(&mut self, entry: &Entry) {
        match self {
            Self::Nothing => {}
            Self::Distinct(counts) => {
                if let Some(count) = counts.get_mut(&entry.value) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(&entry.value);
                    }
                }
            }
            Self::Sum(sum) => sum.remove(entry.number()),
            Self::Ranked(ranked) => ranked.remove(entry.number()),
        }
    }
}

/// Events of one group that can share windows, in order of time and arrival.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub entries: VecDeque<Entry>,
    /// Ends of the windows it fired for, ascending, as long as they matter.
    pub fires: VecDeque<i64>,
    /// For the temporal types, by position: time and order of the entries that matched the rule.
    steps: Vec<VecDeque<(i64, u64)>>,
    /// The window: entries `lo..hi`.
    lo: usize,
    hi: usize,
    running: Running,
}

impl Lane {
    pub fn new(planned: &Planned) -> Self {
        let steps = if planned.rule.kind.is_temporal() { planned.positions } else { 0 };
        Self {
            entries: VecDeque::new(),
            fires: VecDeque::new(),
            steps: vec![VecDeque::new(); steps],
            lo: 0,
            hi: 0,
            running: Running::new(planned.rule.kind),
        }
    }

    /// The lane of entries and fires that another lane had.
    pub fn restored(planned: &Planned, entries: Vec<Entry>, fires: Vec<i64>) -> Self {
        let mut lane = Self { fires: fires.into(), ..Self::new(planned) };
        for entry in entries {
            lane.note_steps(lane.entries.len(), &entry);
            lane.entries.push_back(entry);
        }
        lane.slide_to_end(planned.rule.timespan.nanos);
        lane
    }

    /// Time of the newest entry.
    pub fn newest(&self) -> Option<i64> {
        self.entries.back().map(|e| e.time)
    }

    /// Whether an event at `time` can share a window with events of this lane, or with some that
    /// may still come to it.
    pub fn reaches(&self, time: i64, reach: i64) -> bool {
        self.newest().is_some_and(|newest| {
            time >= newest.saturating_sub(reach) && time <= newest.saturating_add(reach)
        })
    }

    /// Takes an event in, and looks at every window that contains it.
    pub fn observe(
        &mut self,
        planned: &Planned,
        limits: &Limits,
        counters: &mut Counters,
        entry: Entry,
        met: &mut Vec<Met>,
    ) {
        let span = planned.rule.timespan.nanos;
        let time = entry.time;
        let newest = self.newest().unwrap_or(time);
        let too_late = time < newest.saturating_sub(limits.lateness);
        let at = if time >= newest {
            self.entries.len()
        } else {
            self.entries.partition_point(|e| e.time <= time)
        };
        let newer = self.entries.len() - at;
        let again = newer <= MOST_WINDOWS_AGAIN;
        counters.late += u64::from(time < newest);
        counters.too_late += u64::from(too_late);
        counters.windows_skipped += u64::from(!again);
        if too_late && !again {
            return;
        }
        self.note_steps(at, &entry);
        if newer == 0 {
            self.entries.push_back(entry);
            self.look(self.entries.len() - 1, planned, limits, met);
        } else if again {
            self.slide_back(at, time.saturating_sub(span));
            self.entries.insert(at, entry);
            let end = time.saturating_add(span);
            let mut last = at;
            while last < self.entries.len() && self.entries[last].time <= end {
                self.look(last, planned, limits, met);
                last += 1;
            }
            self.slide_to_end(span);
        } else {
            if time >= newest.saturating_sub(span) {
                self.running.add(&entry);
            } else {
                self.lo += 1;
            }
            self.hi += 1;
            self.entries.insert(at, entry);
            self.look(self.entries.len() - 1, planned, limits, met);
        }
        self.prune(span, limits, counters);
    }

    /// Looks at the window whose last entry is `last`.
    fn look(&mut self, last: usize, planned: &Planned, limits: &Limits, met: &mut Vec<Met>) {
        let span = planned.rule.timespan.nanos;
        self.slide(last + 1, span);
        let time = self.entries[last].time;
        if self.fires.iter().any(|fired| time.abs_diff(*fired) <= span.unsigned_abs()) {
            return;
        }
        let Some((value, chosen)) = self.value(planned, last) else { return };
        let place = self.fires.partition_point(|fired| *fired <= time);
        self.fires.insert(place, time);
        met.push(Met {
            time,
            events: self.sample(last, chosen, limits.events_per_hit),
            count: last + 1 - self.lo,
            value,
        });
    }

    /// The window's value and the entries that must be shown, if the condition is met.
    fn value(&self, planned: &Planned, last: usize) -> Option<(f64, Vec<u64>)> {
        let count = last + 1 - self.lo;
        let value = match (&planned.rule.kind, &self.running) {
            (CorrelationKind::Temporal | CorrelationKind::TemporalOrdered, _) => {
                return self.sequence(planned, last);
            }
            (_, Running::Nothing) => count as f64,
            (_, Running::Distinct(counts)) => counts.len() as f64,
            (CorrelationKind::ValueAvg, Running::Sum(sum)) => sum.value() / count as f64,
            (_, Running::Sum(sum)) => sum.value(),
            (_, Running::Ranked(ranked)) => ranked.value()?,
        };
        match &planned.test {
            Test::Bounds(bounds) if bounds.hold(value) => Some((value, Vec::new())),
            _ => None,
        }
    }

    /// For the temporal types: how many rules occur, and the orders of the entries that show it.
    fn sequence(&self, planned: &Planned, last: usize) -> Option<(f64, Vec<u64>)> {
        let end = (self.entries[last].time, self.entries[last].order);
        let start = self.entries[last].time.saturating_sub(planned.rule.timespan.nanos);
        let latest = |position: usize, before: (i64, u64), inclusive: bool| {
            let step = &self.steps[position];
            let at = step.partition_point(|s| *s < before || (inclusive && *s == before));
            at.checked_sub(1).map(|at| step[at]).filter(|s| s.0 >= start)
        };
        let ordered = planned.rule.kind == CorrelationKind::TemporalOrdered;
        // The latest events at the given positions, in order where that matters.
        let shown = |positions: &[usize]| -> Option<Vec<u64>> {
            let mut before = end;
            let mut orders = Vec::with_capacity(positions.len());
            for (nth, position) in positions.iter().rev().enumerate() {
                let step = latest(*position, before, !ordered || nth == 0)?;
                orders.push(step.1);
                if ordered {
                    before = step;
                }
            }
            Some(orders)
        };
        match &planned.test {
            Test::Bounds(bounds) => {
                let positions: Vec<usize> = if ordered {
                    let all: Vec<usize> = (0..planned.positions).collect();
                    let length = (0..=planned.positions).rev().find(|n| shown(&all[..*n]).is_some())?;
                    all[..length].to_vec()
                } else {
                    (0..planned.positions).filter(|p| latest(*p, end, true).is_some()).collect()
                };
                let count = positions.len() as f64;
                bounds.hold(count).then(|| (count, shown(&positions).unwrap_or_default()))
            }
            Test::Terms(terms) => terms.iter().find_map(|Term { all, none }| {
                let bits = |mask: u64| (0..planned.positions).filter(move |p| mask >> p & 1 == 1);
                if bits(*none).any(|p| latest(p, end, true).is_some()) {
                    return None;
                }
                let positions: Vec<usize> = bits(*all).collect();
                shown(&positions).map(|orders| (positions.len() as f64, orders))
            }),
        }
    }

    /// The events to show of the window that ends at `last`: those `chosen` by order, and of the
    /// others the newest.
    fn sample(&self, last: usize, mut chosen: Vec<u64>, most: usize) -> Vec<EventId> {
        chosen.push(self.entries[last].order);
        chosen.sort_unstable();
        chosen.dedup();
        let mut room = most.max(1).saturating_sub(chosen.len());
        let mut events: Vec<EventId> = Vec::new();
        for entry in self.entries.range(self.lo..=last).rev() {
            let wanted = chosen.binary_search(&entry.order).is_ok();
            if !wanted && room == 0 {
                continue;
            }
            room -= usize::from(!wanted);
            for id in std::iter::once(&entry.id).chain(entry.behind.iter().rev()) {
                if events.len() < most.max(1) && !events.contains(id) {
                    events.push(id.clone());
                }
            }
        }
        events.reverse();
        events
    }

    /// Moves the window's end forward to `hi`, and its begin after it.
    fn slide(&mut self, hi: usize, span: i64) {
        while self.hi < hi {
            self.running.add(&self.entries[self.hi]);
            self.hi += 1;
        }
        let Some(end) = self.hi.checked_sub(1).map(|last| self.entries[last].time) else { return };
        let start = end.saturating_sub(span);
        while self.entries[self.lo].time < start {
            self.running.remove(&self.entries[self.lo]);
            self.lo += 1;
        }
    }

    fn slide_to_end(&mut self, span: i64) {
        self.slide(self.entries.len(), span);
    }

    /// Moves the window back: its end to before entry `hi`, its begin to `start`.
    fn slide_back(&mut self, hi: usize, start: i64) {
        while self.hi > hi {
            self.hi -= 1;
            if self.hi >= self.lo {
                self.running.remove(&self.entries[self.hi]);
            }
        }
        // Where the old window began after the new one ends, nothing of it is left.
        self.lo = self.lo.min(self.hi);
        while self.lo > 0 && self.entries[self.lo - 1].time >= start {
            self.lo -= 1;
            self.running.add(&self.entries[self.lo]);
        }
    }

    /// Notes which rules the entry that goes to place `at` matched.
    fn note_steps(&mut self, at: usize, entry: &Entry) {
        let newest = at == self.entries.len();
        let key = (entry.time, entry.order);
        for (position, step) in self.steps.iter_mut().enumerate() {
            if entry.mask >> position & 1 == 0 {
                continue;
            }
            if newest {
                step.push_back(key);
            } else {
                let place = step.partition_point(|s| *s < key);
                step.insert(place, key);
            }
        }
    }

    /// Drops what no window can contain any more, and what is over the bound.
    fn prune(&mut self, span: i64, limits: &Limits, counters: &mut Counters) {
        let Some(newest) = self.newest() else { return };
        let keep = newest.saturating_sub(span).saturating_sub(limits.lateness);
        while self.entries.front().is_some_and(|e| e.time < keep) {
            self.drop_oldest();
        }
        while self.entries.len() > limits.events_per_window.max(1) {
            self.drop_oldest();
            counters.events_evicted += 1;
        }
        let keep = keep.saturating_sub(span);
        while self.fires.front().is_some_and(|fired| *fired < keep) {
            self.fires.pop_front();
        }
        // What a burst took is given back when it is over: bounds are on events, not on room.
        give_back(&mut self.entries);
        give_back(&mut self.fires);
        self.steps.iter_mut().for_each(give_back);
    }

    fn drop_oldest(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        for step in &mut self.steps {
            if step.front() == Some(&(entry.time, entry.order)) {
                step.pop_front();
            }
        }
        if self.lo > 0 {
            self.lo -= 1;
        } else if self.hi > 0 {
            self.running.remove(&entry);
        }
        self.hi = self.hi.saturating_sub(1);
    }
}

/// Frees most of the room of a queue that uses less than a quarter of it.
fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > 64 && queue.len() < queue.capacity() / 4 {
        queue.shrink_to(queue.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::correlation::{CorrelationRule, plan::Plan};

    #[test]
    fn room_of_a_burst_is_given_back() {
        let rule = CorrelationRule::parse(&json!({"title": "t", "correlation": {"type": "temporal",
            "rules": ["a"], "timespan": "1s"}}))
        .unwrap();
        let (plan, _) = Plan::new(vec![rule], &|_| vec![0], 100_000);
        let limits = Limits { lateness: 0, ..Limits::default() };
        let mut lane = Lane::new(&plan.rules[0]);
        let mut show = |time: i64| {
            let id = EventId { source: "s".into(), sequence: 1 };
            let entry = Entry { time, order: 1, id, mask: 1, value: 0, behind: Box::default() };
            lane.observe(&plan.rules[0], &limits, &mut Counters::default(), entry, &mut Vec::new());
            (lane.entries.capacity(), lane.steps[0].capacity())
        };
        (0..10_000).for_each(|time| _ = show(time));
        assert!(show(10_000).0 > 10_000);
        let after = show(5_000_000_000);
        assert!(after.0 <= 64 && after.1 <= 64, "{after:?}");
    }
}

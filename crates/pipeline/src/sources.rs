//! The books on every source: what came, when, how fast, and what was lost or not understood.
//!
//! Intake and engine write here; health pages and the silence watch read. Counters are atomic, so
//! that nobody waits; the number of sources is bounded.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use covigil_model::{
    Time,
    health::{SourceHealth, SourceState},
};

/// Sources beyond this many share one row, named [`OVERFLOW`].
pub const MAX_SOURCES: usize = 10_000;
/// The row of sources beyond [`MAX_SOURCES`].
pub const OVERFLOW: &str = "other";

/// Points of the rate's window: with one tick every five seconds, a minute.
const RATE_POINTS: usize = 13;
/// Seconds in which the memory of a source's habits halves.
const HABIT_HALF_LIFE: f64 = 86_400.0;

/// One source's books.
#[derive(Debug)]
pub struct SourceStats {
    name: Arc<str>,
    records: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    parse_failures: AtomicU64,
    parsed: AtomicU64,
    lag_ms: AtomicU64,
    last_seen: AtomicI64,
    slow: Mutex<Slow>,
}

/// What changes rarely, or is read together.
#[derive(Debug)]
struct Slow {
    description: String,
    state: SourceState,
    detail: String,
    /// Whether silence means something; a network listener with no senders is not silent.
    watched: bool,
    /// Times and record counts of the last ticks, oldest first.
    rate: Vec<(Time, u64)>,
    habit: Habit,
}

/// How often a source sends. The usual gap is the one in which an arbitrary moment lies: the sum of
/// squared gaps over the sum of gaps. So a source that sends a burst every hour has a usual gap of
/// an hour, not of a millisecond.
#[derive(Debug, Clone, Copy, Default)]
struct Habit {
    first: Option<Time>,
    last: Option<Time>,
    arrivals: u64,
    gaps: f64,
    squares: f64,
}

impl Habit {
    fn arrived(&mut self, at: Time) {
        self.arrivals += 1;
        self.first.get_or_insert(at);
        if let Some(last) = self.last {
            let gap = (at.since(last) as f64 / 1e9).max(0.0);
            let fade = (-gap / HABIT_HALF_LIFE).exp2();
            self.gaps = self.gaps.mul_add(fade, gap);
            self.squares = self.squares.mul_add(fade, gap * gap);
        }
        self.last = Some(at);
    }

    fn usual_gap(&self) -> Option<f64> {
        (self.gaps > 0.0).then(|| self.squares / self.gaps)
    }
}

/// What the silence watch needs to know of a source.
#[derive(Debug, Clone)]
pub struct Habits {
    /// The source.
    pub source: Arc<str>,
    /// What it is, for people.
    pub description: String,
    /// Times at which something arrived.
    pub arrivals: u64,
    /// The first and the last of these times.
    pub span: (Time, Time),
    /// Seconds that usually pass between arrivals.
    pub usual_gap: f64,
}

impl SourceStats {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            parse_failures: AtomicU64::new(0),
            parsed: AtomicU64::new(0),
            lag_ms: AtomicU64::new(0),
            last_seen: AtomicI64::new(i64::MIN),
            slow: Mutex::new(Slow {
                description: String::new(),
                state: SourceState::Live,
                detail: String::new(),
                watched: true,
                rate: Vec::new(),
                habit: Habit::default(),
            }),
        }
    }

    /// The source's name, as in event ids.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn slow(&self) -> MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records were acknowledged.
    pub fn received(&self, records: u64, bytes: u64, at: Time) {
        if records == 0 {
            return;
        }
        self.records.fetch_add(records, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.last_seen.fetch_max(at.nanos(), Relaxed);
        let mut slow = self.slow();
        slow.habit.arrived(at);
        if slow.state == SourceState::Silent {
            slow.state = SourceState::Live;
            slow.detail.clear();
        }
    }

    /// Records are known to be lost before they could be stored.
    pub fn lost(&self, records: u64) {
        self.lost.fetch_add(records, Relaxed);
    }

    /// Records went through the engine: how many, how many no parser understood, and how many
    /// milliseconds after its own time the last one became searchable.
    pub fn processed(&self, records: u64, failures: u64, lag_ms: u64) {
        self.parsed.fetch_add(records, Relaxed);
        self.parse_failures.fetch_add(failures, Relaxed);
        self.lag_ms.store(lag_ms, Relaxed);
    }

    /// Records processed and, of these, not understood.
    pub fn parse_counts(&self) -> (u64, u64) {
        (self.parsed.load(Relaxed), self.parse_failures.load(Relaxed))
    }

    /// Records lost so far.
    pub fn losses(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Says what the source is, for people, and whether its silence means something.
    pub fn describe(&self, description: impl Into<String>, watched: bool) {
        let mut slow = self.slow();
        slow.description = description.into();
        slow.watched = watched;
    }

    /// Sets the state, and why it is so.
    pub fn set_state(&self, state: SourceState, detail: impl Into<String>) {
        let mut slow = self.slow();
        slow.state = state;
        slow.detail = detail.into();
    }

    /// The source's habits, where it has shown any and its silence means something.
    pub fn habits(&self) -> Option<Habits> {
        let slow = self.slow();
        if !slow.watched || matches!(slow.state, SourceState::Off | SourceState::Unreadable) {
            return None;
        }
        let span = (slow.habit.first?, slow.habit.last?);
        Some(Habits {
            source: Arc::clone(&self.name),
            description: slow.description.clone(),
            arrivals: slow.habit.arrivals,
            span,
            usual_gap: slow.habit.usual_gap()?,
        })
    }

    fn tick(&self, now: Time) {
        let records = self.records.load(Relaxed);
        let mut slow = self.slow();
        if slow.rate.len() == RATE_POINTS {
            slow.rate.remove(0);
        }
        slow.rate.push((now, records));
    }

    /// The source's health.
    pub fn health(&self, now: Time) -> SourceHealth {
        let records = self.records.load(Relaxed);
        let last_seen = self.last_seen.load(Relaxed);
        let slow = self.slow();
        let rate = slow.rate.first().map_or(0.0, |(since, before)| {
            let secs = now.since(*since) as f64 / 1e9;
            if secs > 0.0 { (records - before) as f64 / secs } else { 0.0 }
        });
        SourceHealth {
            source: self.name.to_string(),
            description: slow.description.clone(),
            state: slow.state,
            detail: slow.detail.clone(),
            records,
            bytes: self.bytes.load(Relaxed),
            rate,
            last_seen: (last_seen != i64::MIN).then(|| Time::from_nanos(last_seen)),
            parse_failures: self.parse_failures.load(Relaxed),
            lost: self.lost.load(Relaxed),
            lag_ms: self.lag_ms.load(Relaxed),
        }
    }
}

/// All sources of the node.
#[derive(Debug, Default)]
pub struct Sources {
    rows: RwLock<BTreeMap<Arc<str>, Arc<SourceStats>>>,
}

impl Sources {
    /// No sources yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The books of a source, begun where there are none.
    pub fn of(&self, name: &str) -> Arc<SourceStats> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.get(name) {
            return Arc::clone(row);
        }
        drop(rows);
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let name = if rows.len() < MAX_SOURCES { name } else { OVERFLOW };
        if let Some(row) = rows.get(name) {
            return Arc::clone(row);
        }
        let name: Arc<str> = name.into();
        let row = Arc::new(SourceStats::new(Arc::clone(&name)));
        rows.insert(name, Arc::clone(&row));
        row
    }

    /// All books, by name.
    pub fn all(&self) -> Vec<Arc<SourceStats>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The health of all sources, by name.
    pub fn health(&self, now: Time) -> Vec<SourceHealth> {
        self.all().iter().map(|row| row.health(now)).collect()
    }

    /// Moves the rates' window on. To be called every five seconds.
    pub fn tick(&self, now: Time) {
        for row in self.all() {
            row.tick(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_secs(1_700_000_000 + secs)
    }

    #[test]
    fn the_usual_gap_of_hourly_bursts_is_an_hour() {
        let sources = Sources::new();
        let row = sources.of("nightly");
        for hour in 0..24 {
            for burst in 0..100 {
                row.received(1, 10, at(hour * 3_600 + burst / 50));
            }
        }
        let gap = row.habits().unwrap().usual_gap;
        assert!((3_500.0..3_700.0).contains(&gap), "{gap}");
        let steady = sources.of("steady");
        for n in 0..1_000 {
            steady.received(1, 10, at(n * 10));
        }
        let gap = steady.habits().unwrap().usual_gap;
        assert!((9.9..10.1).contains(&gap), "{gap}");
    }

    #[test]
    fn rates_cover_the_window_and_rows_are_bounded() {
        let sources = Sources::new();
        let row = sources.of("a");
        sources.tick(at(0));
        row.received(600, 6_000, at(30));
        let health = &sources.health(at(60))[0];
        assert_eq!((health.records, health.rate), (600, 10.0));
        assert_eq!(health.last_seen, Some(at(30)));
        for n in 0..MAX_SOURCES + 10 {
            sources.of(&format!("s{n}")).received(1, 1, at(0));
        }
        assert_eq!(sources.all().len(), MAX_SOURCES + 1);
        assert!(sources.of(OVERFLOW).health(at(1)).records > 0);
    }
}

//! A search for events: the newest rows first, then counts over time and of values.
//!
//! Workers take units from the queue until it is empty. Rows leave as soon as no unit that is not
//! finished with can have a newer one; what was counted so far leaves a few times a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use arrow::buffer::BooleanBuffer;
use tokio::sync::mpsc;

use super::{
    ResultRow, SearchError,
    gather::{Address, Buckets, Counts, Newest, newest_of},
    output::Output,
    row::rows_of,
    scan::{Matches, Place, Queue, Sought, Stop, Unit},
    searcher::{Progress, Update},
};
use crate::events::{EventSnapshot, schema::index};

/// Time between reports of what was counted so far.
const REPORT: Duration = Duration::from_millis(200);

/// What is wanted of the events found.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// At most so many rows.
    pub(super) limit: usize,
    /// At most so many stretches of time.
    pub(super) buckets: Option<usize>,
    /// Values to count, and how many of each to tell.
    pub(super) facets: Vec<Output>,
    pub(super) facet_values: usize,
    /// How many events there are, though neither buckets nor facets are wanted.
    pub(super) count: bool,
}

/// One search for events, shared by its workers.
pub(super) struct EventsSearch {
    queue: Queue,
    sought: Arc<Sought>,
    wanted: Wanted,
    facet_places: Vec<Vec<usize>>,
    stop: Arc<Stop>,
    updates: mpsc::Sender<Result<Update, SearchError>>,
    state: Mutex<State>,
}

struct State {
    newest: Newest,
    /// Places of the rows among the newest.
    places: BTreeMap<usize, Place>,
    next_unit: usize,
    rows_sent: bool,
    buckets: Option<Buckets>,
    facets: Vec<Counts>,
    matched: u64,
    reported: Instant,
}

impl EventsSearch {
    pub(super) fn new(
        snapshot: &EventSnapshot,
        queue: Queue,
        sought: Arc<Sought>,
        wanted: Wanted,
        stop: Arc<Stop>,
        updates: mpsc::Sender<Result<Update, SearchError>>,
    ) -> Self {
        let buckets = wanted.buckets.map(|most| {
            let (from, to) = queue.stretch().unwrap_or((sought.from, sought.to));
            Buckets::new(from.max(sought.from), to.min(sought.to), most)
        });
        let facet_places =
            wanted.facets.iter().map(|facet| facet.places(snapshot).into_iter().collect()).collect();
        let state = State {
            newest: Newest::new(wanted.limit),
            places: BTreeMap::new(),
            next_unit: 0,
            rows_sent: wanted.limit == 0,
            buckets,
            facets: wanted.facets.iter().map(|_| Counts::default()).collect(),
            matched: 0,
            reported: Instant::now(),
        };
        queue.in_parts(wanted.limit > 0);
        Self { queue, sought, wanted, facet_places, stop, updates, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, update: Update) -> Result<(), SearchError> {
        self.updates.blocking_send(Ok(update)).map_err(|_| SearchError::Cancelled)
    }

    /// Whether anything is wanted beyond the rows.
    fn counts(&self) -> bool {
        self.wanted.count || self.wanted.buckets.is_some() || !self.wanted.facets.is_empty()
    }

    /// Does units until none is left, or nothing more is wanted. Runs on a thread that may block.
    pub(super) fn work(&self) -> Result<(), SearchError> {
        loop {
            if !self.counts() && self.lock().rows_sent {
                return Ok(());
            }
            let Some(unit) = self.queue.take(&self.stop)? else { return Ok(()) };
            self.unit(&unit)?;
        }
    }

    fn unit(&self, unit: &Unit) -> Result<(), SearchError> {
        let matches = unit.matches(&self.sought, &self.stop)?;
        self.merge(unit, &matches)?;
        self.queue.done(unit);
        self.send_rows(false)?;
        if matches.count > 0 {
            self.count_values(unit, &matches)?;
        }
        self.report()
    }

    /// Adds the unit's rows and times to what was found.
    fn merge(&self, unit: &Unit, matches: &Matches) -> Result<(), SearchError> {
        if matches.count == 0 {
            return Ok(());
        }
        let (wants_rows, one_bucket, wants_buckets) = {
            let state = self.lock();
            let newer = state.newest.least().is_none_or(|least| unit.greatest > least);
            let same = state.buckets.as_ref().is_some_and(|buckets| buckets.same(unit.least, unit.greatest));
            (!state.rows_sent && newer, same, state.buckets.is_some())
        };
        let times = if wants_rows || (wants_buckets && !one_bucket) {
            unit.place.times(matches.rows.as_ref())?
        } else {
            Vec::new()
        };
        let rows = if wants_rows {
            let rows = match &matches.rows {
                None => times.iter().copied().zip(0..).collect(),
                Some(rows) => times.iter().copied().zip(rows.set_indices()).collect(),
            };
            newest_of(rows, self.wanted.limit)
        } else {
            Vec::new()
        };
        let mut state = self.lock();
        state.matched += matches.count as u64;
        if let Some(buckets) = &mut state.buckets {
            if one_bucket {
                buckets.add(unit.least, matches.count as u64);
            } else {
                buckets.add_all(&times);
            }
        }
        if wants_rows && !state.rows_sent {
            let number = state.next_unit;
            state.next_unit += 1;
            state.newest.offer(number, &rows);
            let used: BTreeSet<usize> = state.newest.units().collect();
            state.places.retain(|unit, _| used.contains(unit));
            if used.contains(&number) {
                state.places.insert(number, unit.place.clone());
            }
        }
        Ok(())
    }

    /// Sends the newest rows once they are certain; `finished` says that all units are done.
    fn send_rows(&self, finished: bool) -> Result<(), SearchError> {
        let (rows, places) = {
            let mut state = self.lock();
            let certain = match (state.newest.least(), self.queue.open_until()) {
                (Some(least), Some(open)) => least >= open,
                (_, None) => true,
                (None, Some(_)) => false,
            };
            // Without a unit in work, the queue is empty: the same as finished.
            if state.rows_sent || !(certain || finished) {
                return Ok(());
            }
            state.rows_sent = true;
            self.queue.in_parts(false);
            (state.newest.take(), std::mem::take(&mut state.places))
        };
        let rows = fetch(&rows, &places)?;
        self.send(Update::Rows(rows))
    }

    fn count_values(&self, unit: &Unit, matches: &Matches) -> Result<(), SearchError> {
        for (at, (facet, places)) in self.wanted.facets.iter().zip(&self.facet_places).enumerate() {
            let mut counts = Counts::default();
            unit.place.read(places, matches.rows.as_ref(), &mut |batch| {
                self.stop.check()?;
                counts.add_array(&*facet.array(&batch)?);
                Ok(())
            })?;
            if let Some(have) = self.lock().facets.get_mut(at) {
                have.merge(counts);
            }
        }
        Ok(())
    }

    /// Tells what was counted so far, where the last report is long enough ago.
    fn report(&self) -> Result<(), SearchError> {
        {
            let mut state = self.lock();
            if !state.rows_sent || state.reported.elapsed() < REPORT {
                return Ok(());
            }
            state.reported = Instant::now();
        }
        self.send_counts()
    }

    fn send_counts(&self) -> Result<(), SearchError> {
        let (histogram, facets) = {
            let state = self.lock();
            let facets: Vec<_> = self
                .wanted
                .facets
                .iter()
                .zip(&state.facets)
                .map(|(facet, counts)| counts.facet(&facet.name, self.wanted.facet_values))
                .collect();
            (state.buckets.as_ref().map(Buckets::histogram), facets)
        };
        if let Some(histogram) = histogram {
            self.send(Update::Histogram(histogram))?;
        }
        if !facets.is_empty() {
            self.send(Update::Facets(facets))?;
        }
        self.send(Update::Progress(self.progress()))
    }

    /// How far the search is.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            rows_done: self.queue.done_rows.load(Ordering::Relaxed).min(self.queue.total_rows),
            rows_total: self.queue.total_rows,
            matched: self.lock().matched,
        }
    }

    /// Sends what is left when all workers are done.
    pub(super) fn finish(&self) -> Result<(), SearchError> {
        self.send_rows(true)?;
        if self.counts() { self.send_counts() } else { self.send(Update::Progress(self.progress())) }
    }
}

/// Reads whole rows, in the order given.
fn fetch(rows: &[(i64, Address)], places: &BTreeMap<usize, Place>) -> Result<Vec<ResultRow>, SearchError> {
    let mut by_unit: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (rank, (_, (unit, row))) in rows.iter().enumerate() {
        by_unit.entry(*unit).or_default().push((*row, rank));
    }
    let all: Vec<usize> = (0..index::COUNT).collect();
    let mut fetched: Vec<(usize, ResultRow)> = Vec::with_capacity(rows.len());
    for (unit, mut wanted) in by_unit {
        let Some(place) = places.get(&unit) else { continue };
        wanted.sort_unstable();
        let chosen: BTreeSet<usize> = wanted.iter().map(|(row, _)| *row).collect();
        let mut bits = arrow::array::BooleanBufferBuilder::new(place.rows());
        bits.append_n(place.rows(), false);
        chosen.iter().for_each(|row| bits.set_bit(*row, true));
        let mask: BooleanBuffer = bits.finish();
        let mut ranks = wanted.iter().map(|(_, rank)| *rank);
        place.read(&all, Some(&mask), &mut |batch| {
            fetched.extend(ranks.by_ref().zip(rows_of(&batch)?));
            Ok(())
        })?;
    }
    // Rows of the same microsecond are told apart by their nanoseconds, then by their ids.
    fetched.sort_by(|(_, a), (_, b)| b.time.cmp(&a.time).then_with(|| b.id.cmp(&a.id)));
    Ok(fetched.into_iter().map(|(_, row)| row).collect())
}

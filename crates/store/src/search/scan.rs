//! The work of a search, cut into units, newest first, and what each unit yields.
//!
//! A unit is a file that is not yet opened, one of its row groups, or a batch in memory. Workers
//! take units from one [`Queue`]; a file taken from it is opened and comes back as its row groups.
//! Nothing here waits or spawns.

use std::{
    collections::BinaryHeap,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    buffer::BooleanBuffer,
    compute::filter_record_batch,
    datatypes::TimestampMicrosecondType,
};

use super::{
    SearchError,
    files::{OpenFile, OpenFiles},
    predicate::{Chunks, Predicate},
};
use crate::events::{CHUNK_ROWS, EventSnapshot, FileRef, schema::index};

/// Rows of a part of a unit that costs much.
const PART_ROWS: usize = 2 * CHUNK_ROWS;

/// What is searched for: the filter, and the stretch of time in microseconds, its end excluded.
#[derive(Debug, Clone)]
pub(super) struct Sought {
    whole: Predicate,
    conjuncts: Vec<Predicate>,
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Sought {
    pub(super) fn new(predicate: Predicate, from: i64, to: i64) -> Self {
        Self { conjuncts: predicate.conjuncts(), whole: predicate, from, to }
    }

    /// Whether every event within the time passes.
    pub(super) fn is_all(&self) -> bool {
        self.conjuncts.is_empty()
    }
}

/// When a search must stop: its consumer is gone, or its time is up.
#[derive(Debug)]
pub(super) struct Stop {
    cancelled: AtomicBool,
    deadline: Instant,
    seconds: u64,
}

impl Stop {
    pub(super) fn new(limit: std::time::Duration) -> Self {
        Self { cancelled: AtomicBool::new(false), deadline: Instant::now() + limit, seconds: limit.as_secs() }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn out_of_time(&self) -> SearchError {
        SearchError::Time { seconds: self.seconds }
    }

    pub(super) fn check(&self) -> Result<(), SearchError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(SearchError::Cancelled);
        }
        if Instant::now() > self.deadline {
            return Err(self.out_of_time());
        }
        Ok(())
    }
}

/// Where rows are: a row group of an open file, or a batch in memory.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Group { file: Arc<OpenFile>, group: usize, chunks: Arc<Chunks> },
    Memory(RecordBatch),
}

impl Place {
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Group { file, group, .. } => file.rows_of(*group).1,
            Self::Memory(batch) => batch.num_rows(),
        }
    }

    /// Calls `each` with batches of the selected rows (all where none is given), in their order,
    /// that have the columns at `places`, as far as they exist.
    pub(super) fn read(
        &self,
        places: &[usize],
        rows: Option<&BooleanBuffer>,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), SearchError>,
    ) -> Result<(), SearchError> {
        if rows.is_some_and(|rows| rows.count_set_bits() == 0) {
            return Ok(());
        }
        match self {
            Self::Group { file, group, .. } => {
                for batch in file.read(*group, places.iter().copied(), rows)? {
                    each(batch?)?;
                }
                Ok(())
            }
            Self::Memory(batch) => {
                let batch = batch.project(places)?;
                match rows {
                    None => each(batch),
                    Some(rows) if rows.count_set_bits() == rows.len() => each(batch),
                    Some(rows) => each(filter_record_batch(&batch, &BooleanArray::new(rows.clone(), None))?),
                }
            }
        }
    }

    /// The times of the selected rows, in their order.
    pub(super) fn times(&self, rows: Option<&BooleanBuffer>) -> Result<Vec<i64>, SearchError> {
        let mut times = Vec::with_capacity(rows.map_or(self.rows(), BooleanBuffer::count_set_bits));
        self.read(&[index::TIME], rows, &mut |batch| {
            if let Some(column) =
                batch.columns().first().and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>())
            {
                times.extend_from_slice(column.values());
            }
            Ok(())
        })?;
        Ok(times)
    }
}

/// A place and the stretch of time that it covers, both ends included.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) place: Place,
    /// The rows of the place that it is about; none where it is all of them.
    part: Option<Range<usize>>,
    pub(super) least: i64,
    pub(super) greatest: i64,
}

/// What a unit has of what is sought.
#[derive(Debug)]
pub(super) struct Matches {
    /// The rows; none where it is every row.
    pub(super) rows: Option<BooleanBuffer>,
    /// How many.
    pub(super) count: usize,
}

impl Unit {
    /// Number of rows that it is about.
    pub(super) fn size(&self) -> usize {
        self.part.as_ref().map_or_else(|| self.place.rows(), Range::len)
    }

    /// The same rows in parts, of which the newest can be done first. Needs the rows' times read.
    fn parts(&self) -> Result<Vec<Self>, SearchError> {
        let times = self.place.times(None)?;
        let parts = times.chunks(PART_ROWS).enumerate().map(|(at, times)| {
            let start = at * PART_ROWS;
            let least = times.iter().copied().min().unwrap_or(self.least);
            let greatest = times.iter().copied().max().unwrap_or(self.greatest);
            Self { place: self.place.clone(), part: Some(start..start + times.len()), least, greatest }
        });
        Ok(parts.collect())
    }

    /// Finds the rows that are sought.
    pub(super) fn matches(&self, sought: &Sought, stop: &Stop) -> Result<Matches, SearchError> {
        let len = self.place.rows();
        let mut rows: Option<BooleanBuffer> = None;
        if let Place::Group { file, group, chunks } = &self.place
            && !chunks.is_all()
        {
            let start = file.rows_of(*group).0;
            rows = Some(BooleanBuffer::collect_bool(len, |row| chunks.contains_row(start + row)));
        }
        if let Some(part) = &self.part {
            let of_part = BooleanBuffer::collect_bool(len, |row| part.contains(&row));
            rows = Some(rows.map_or_else(|| of_part.clone(), |rows| &rows & &of_part));
        }
        if self.least < sought.from || self.greatest >= sought.to {
            let times = self.place.times(rows.as_ref())?;
            let within = times.iter().map(|time| (sought.from..sought.to).contains(time));
            rows = Some(narrow(len, rows.as_ref(), within));
        }
        for conjunct in &sought.conjuncts {
            if rows.as_ref().is_some_and(|rows| rows.count_set_bits() == 0) {
                break;
            }
            stop.check()?;
            rows = Some(self.passing(conjunct, rows.as_ref(), stop)?);
        }
        let count = rows.as_ref().map_or(len, BooleanBuffer::count_set_bits);
        let rows = rows.filter(|_| count < len);
        Ok(Matches { rows, count })
    }

    fn passing(
        &self,
        predicate: &Predicate,
        rows: Option<&BooleanBuffer>,
        stop: &Stop,
    ) -> Result<BooleanBuffer, SearchError> {
        let len = self.place.rows();
        match &self.place {
            Place::Memory(batch) => {
                let all = BooleanBuffer::new_set(len);
                Ok(predicate.evaluate(batch, rows.unwrap_or(&all)))
            }
            Place::Group { .. } => {
                let places: Vec<usize> = predicate.columns().into_iter().collect();
                let mut passed = Vec::with_capacity(rows.map_or(len, BooleanBuffer::count_set_bits));
                self.place.read(&places, rows, &mut |batch| {
                    stop.check()?;
                    let held = predicate.evaluate(&batch, &BooleanBuffer::new_set(batch.num_rows()));
                    passed.extend(held.iter());
                    Ok(())
                })?;
                Ok(narrow(len, rows, passed.into_iter()))
            }
        }
    }
}

/// Of the selected rows, those for which `kept` says so, in their order.
fn narrow(len: usize, rows: Option<&BooleanBuffer>, mut kept: impl Iterator<Item = bool>) -> BooleanBuffer {
    match rows {
        None => BooleanBuffer::collect_bool(len, |_| kept.next().unwrap_or(false)),
        Some(rows) => {
            let mut bits = arrow::array::BooleanBufferBuilder::new(len);
            bits.append_n(len, false);
            for row in rows.set_indices() {
                if kept.next().unwrap_or(false) {
                    bits.set_bit(row, true);
                }
            }
            bits.finish()
        }
    }
}

enum Waiting {
    File(Arc<FileRef>),
    Unit(Unit),
}

struct Entry {
    greatest: i64,
    waiting: Waiting,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.greatest == other.greatest
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.greatest.cmp(&other.greatest)
    }
}

/// The units of a search, newest first.
pub(super) struct Queue {
    state: Mutex<State>,
    files: Arc<OpenFiles>,
    sought: Arc<Sought>,
    stretch: Option<(i64, i64)>,
    in_parts: AtomicBool,
    /// Rows that a search over everything in its time would look at.
    pub(super) total_rows: u64,
    /// Rows that are looked at no more: matched, passed over, or ruled out.
    pub(super) done_rows: AtomicU64,
}

struct State {
    heap: BinaryHeap<Entry>,
    /// `greatest` of the units being worked on.
    taken: Vec<i64>,
}

impl Queue {
    pub(super) fn new(snapshot: &EventSnapshot, sought: Arc<Sought>, files: Arc<OpenFiles>) -> Self {
        let mut heap = BinaryHeap::new();
        let mut total_rows = 0;
        let mut stretch: Option<(i64, i64)> = None;
        let mut extend = |least: i64, greatest: i64| {
            let end = greatest.saturating_add(1);
            stretch = Some(stretch.map_or((least, end), |(from, to)| (from.min(least), to.max(end))));
        };
        for batch in &snapshot.memory {
            let place = Place::Memory(batch.clone());
            let Some((least, greatest)) = batch
                .column(index::TIME)
                .as_primitive_opt::<TimestampMicrosecondType>()
                .and_then(|times| Some((arrow::compute::min(times)?, arrow::compute::max(times)?)))
            else {
                continue;
            };
            if least < sought.to && greatest >= sought.from {
                extend(least, greatest);
                total_rows += batch.num_rows() as u64;
                heap.push(Entry {
                    greatest,
                    waiting: Waiting::Unit(Unit { place, part: None, least, greatest }),
                });
            }
        }
        for file in &snapshot.files {
            let greatest = file.max_time.micros().saturating_add(1);
            if file.min_time.micros() < sought.to && greatest >= sought.from {
                extend(file.min_time.micros(), greatest);
                total_rows += file.rows;
                heap.push(Entry { greatest, waiting: Waiting::File(file.clone()) });
            }
        }
        Self {
            state: Mutex::new(State { heap, taken: Vec::new() }),
            files,
            sought,
            stretch,
            in_parts: AtomicBool::new(false),
            total_rows,
            done_rows: AtomicU64::new(0),
        }
    }

    /// The least time of any unit, and the first moment after the greatest; none without units.
    pub(super) fn stretch(&self) -> Option<(i64, i64)> {
        self.stretch
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the newest unit; none when no work is left to take. Give it back to
    /// [`done`](Self::done) when finished with.
    pub(super) fn take(&self, stop: &Stop) -> Result<Option<Unit>, SearchError> {
        loop {
            stop.check()?;
            let entry = {
                let mut state = self.lock();
                // Another worker may just be opening a file; it does that file's groups itself.
                let Some(entry) = state.heap.pop() else { return Ok(None) };
                state.taken.push(entry.greatest);
                entry
            };
            match entry.waiting {
                Waiting::Unit(unit) if self.is_to_part(&unit) => {
                    let parts = unit.parts();
                    let mut state = self.lock();
                    forget(&mut state.taken, entry.greatest);
                    for part in parts? {
                        state.heap.push(Entry { greatest: part.greatest, waiting: Waiting::Unit(part) });
                    }
                }
                Waiting::Unit(unit) => return Ok(Some(unit)),
                Waiting::File(file) => {
                    let units = self.expand(&file);
                    let mut state = self.lock();
                    forget(&mut state.taken, entry.greatest);
                    for unit in units? {
                        state.heap.push(Entry { greatest: unit.greatest, waiting: Waiting::Unit(unit) });
                    }
                }
            }
        }
    }

    /// Says whether units whose rows cost much to look at are done in parts, so that the newest rows
    /// are known early.
    pub(super) fn in_parts(&self, in_parts: bool) {
        self.in_parts.store(in_parts, Ordering::Relaxed);
    }

    fn is_to_part(&self, unit: &Unit) -> bool {
        self.in_parts.load(Ordering::Relaxed)
            && unit.part.is_none()
            && unit.place.rows() > PART_ROWS
            && self.sought.whole.is_costly()
    }

    /// The row groups of a file that may have what is sought.
    fn expand(&self, file: &Arc<FileRef>) -> Result<Vec<Unit>, SearchError> {
        let open = self.files.get(file)?;
        let chunks = match &open.sidecar {
            Some(sidecar) if !self.sought.is_all() => self.sought.whole.candidates(file.rows, sidecar),
            _ => Chunks::all(file.rows),
        };
        let chunks = Arc::new(chunks);
        let mut units = Vec::new();
        for group in 0..open.groups() {
            let (start, rows) = open.rows_of(group);
            let (least, greatest) = open
                .extremes(group, index::TIME)
                .unwrap_or((file.min_time.micros(), file.max_time.micros() + 1));
            let possible = least < self.sought.to
                && greatest >= self.sought.from
                && chunks.any_in(start, rows)
                && self.sought.whole.may_pass(&|place| open.extremes(group, place));
            if possible {
                let place = Place::Group { file: open.clone(), group, chunks: chunks.clone() };
                units.push(Unit { place, part: None, least, greatest });
            } else {
                self.done_rows.fetch_add(rows as u64, Ordering::Relaxed);
            }
        }
        Ok(units)
    }

    /// Says that a unit is finished with.
    pub(super) fn done(&self, unit: &Unit) {
        self.done_rows.fetch_add(unit.size() as u64, Ordering::Relaxed);
        forget(&mut self.lock().taken, unit.greatest);
    }

    /// The greatest time that any unit not finished with may have; none when all are.
    pub(super) fn open_until(&self) -> Option<i64> {
        let state = self.lock();
        let waiting = state.heap.peek().map(|entry| entry.greatest);
        waiting.into_iter().chain(state.taken.iter().copied()).max()
    }
}

fn forget(taken: &mut Vec<i64>, greatest: i64) {
    if let Some(at) = taken.iter().position(|have| *have == greatest) {
        taken.swap_remove(at);
    }
}

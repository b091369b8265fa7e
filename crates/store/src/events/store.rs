//! The event store: events appended to memory, flushed to files, seen as one.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arrow::{
    array::{AsArray as _, RecordBatch},
    compute::interleave_record_batch,
    datatypes::TimestampMicrosecondType,
};
use covigil_model::{Event, OpContext, Time};
use tokio::sync::Notify;

use super::{
    batch::{self, Batch, Batcher},
    config::EventStoreConfig,
    encode::{FileWriter, INDEX_DIR},
    error::EventsError,
    field_names::FieldNames,
    schema::{self, index},
    signature::CHUNK_ROWS,
    snapshot::{EventSnapshot, FileRef},
    table::{Change, Table},
};
use crate::wal::Position;

/// Batches in memory are joined up to this many rows.
const JOINED_ROWS: usize = 8_192;
/// After a failed flush the next is tried so much later.
const RETRY: Duration = Duration::from_secs(2);
/// Events whose own time is further than this from their receipt go to a file of their own, so that
/// they do not widen the time range of the others' file.
const FAR: u64 = 86_400_000_000;
/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

/// The events of one tenant: memory in front, a Delta table behind. Clones are the same store.
#[derive(Clone)]
pub struct EventStore {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: EventStoreConfig,
    pub(crate) root: Arc<Path>,
    pub(crate) state: Mutex<State>,
    /// Commits one after the other.
    pub(crate) table: tokio::sync::Mutex<Table>,
    /// Appends one after the other.
    batcher: tokio::sync::Mutex<Batcher>,
    /// Flushes one after the other.
    flushing: tokio::sync::Mutex<()>,
    /// Background work one after the other.
    pub(crate) maintaining: tokio::sync::Mutex<()>,
    /// Memory was freed.
    room: Notify,
    /// Memory is to be flushed.
    wanted: Notify,
}

/// What is where. Every event is in exactly one of `active`, `frozen` and `files`.
pub(crate) struct State {
    active: Memory,
    /// What a flush is writing, or failed to write.
    frozen: Option<Memory>,
    /// Files of the table.
    pub(crate) files: Vec<Arc<FileRef>>,
    /// Files no longer of the table, and when they ceased to be.
    pub(crate) doomed: Vec<(Arc<FileRef>, Instant)>,
    /// Files of commits of which it is not known whether they happened.
    pub(crate) suspect: Vec<Arc<FileRef>>,
    fields: Arc<FieldNames>,
    /// Whether `fields` has what is not yet on disk.
    fields_grown: bool,
    appended: Position,
    committed: Position,
    pub(crate) last_error: Option<(Time, String)>,
}

/// Batches in memory, in order of arrival.
#[derive(Default, Clone)]
struct Memory {
    batches: Vec<Batch>,
    rows: usize,
    bytes: usize,
    up_to: Position,
    since: Option<Instant>,
}

impl Memory {
    fn push(&mut self, batch: Batch) {
        self.rows += batch.rows.num_rows();
        self.bytes += batch.bytes;
        self.since.get_or_insert_with(Instant::now);
        self.batches.push(batch);
        // Small batches are joined with ones of their size, so that their number stays small and
        // each row is copied few times.
        while let [.., before, last] = self.batches.as_slice() {
            let (a, b) = (before.rows.num_rows(), last.rows.num_rows());
            if a > 2 * b || a + b > JOINED_ROWS {
                break;
            }
            // Joining is for speed alone.
            let Ok(joined) = batch::concat(&self.batches[self.batches.len() - 2..]) else { break };
            self.batches.truncate(self.batches.len() - 2);
            self.batches.push(joined);
        }
    }
}

/// How the store is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct EventStats {
    /// Events in files and in memory.
    pub rows: u64,
    /// Files of the table.
    pub files: usize,
    /// Bytes of the table's files and sidecars.
    pub bytes: u64,
    /// Bytes of files no longer of the table but still on disk.
    pub doomed_bytes: u64,
    /// Events that are in memory alone; the write-ahead log has them too.
    pub memory_rows: usize,
    /// Memory that these take.
    pub memory_bytes: usize,
    /// Age of the oldest event that is in memory alone.
    pub flush_lag: Duration,
    /// Day of receipt of the oldest stored event, as `2026-11-24`.
    pub oldest_day: Option<Arc<str>>,
    /// Least event time in files.
    pub oldest: Option<Time>,
    /// Everything up to here is searchable.
    pub appended: Position,
    /// Everything up to here is in files: the write-ahead log may forget it.
    pub committed: Position,
    /// What last went wrong with flushing or background work, while it has not succeeded since.
    pub last_error: Option<(Time, String)>,
}

impl EventStore {
    /// Opens the store, creating it where missing, and cleans up after a crash. The position is the
    /// last whose events are in files: the caller appends again from the next on.
    pub async fn open(config: EventStoreConfig) -> Result<(Self, Position), EventsError> {
        let root: Arc<Path> = config.dir.as_path().into();
        let (table, files, committed) = Table::open(&root).await?;
        super::vacuum::remove_strays(&root, &files)?;
        let fields = super::vacuum::load_field_names(&root, &files)?;
        let batcher = Batcher::new(fields.clone());
        let state = State {
            active: Memory::default(),
            frozen: None,
            files,
            doomed: Vec::new(),
            suspect: Vec::new(),
            fields: Arc::new(fields),
            fields_grown: false,
            appended: committed,
            committed,
            last_error: None,
        };
        let shared = Shared {
            config,
            root,
            state: Mutex::new(state),
            table: tokio::sync::Mutex::new(table),
            batcher: tokio::sync::Mutex::new(batcher),
            flushing: tokio::sync::Mutex::new(()),
            maintaining: tokio::sync::Mutex::new(()),
            room: Notify::new(),
            wanted: Notify::new(),
        };
        Ok((Self { shared: Arc::new(shared) }, committed))
    }

    /// Adds events, which are then searchable. They are all events of the write-ahead log after the
    /// position last appended, up to and including `up_to`; a batch that was already appended is
    /// passed over. Waits while memory is full, for as long as the disk is.
    ///
    /// The events are safe against a crash through the write-ahead log, until
    /// [`committed`](EventStats::committed) has reached them.
    pub async fn append(&self, events: &[Event], up_to: Position) -> Result<(), EventsError> {
        let shared = &*self.shared;
        let mut batcher = shared.batcher.lock().await;
        if up_to <= shared.state().appended {
            return Ok(());
        }
        loop {
            let room = shared.room.notified();
            {
                let state = shared.state();
                let used = state.active.bytes + state.frozen.as_ref().map_or(0, |f| f.bytes);
                if used < shared.config.memory {
                    break;
                }
            }
            shared.wanted.notify_one();
            room.await;
        }
        let batches = batcher.batches(events)?;
        let grown = std::mem::take(&mut batcher.grown).then(|| Arc::new(batcher.names.clone()));
        let mut state = shared.state();
        for batch in batches {
            state.active.push(batch);
        }
        state.active.up_to = up_to;
        state.active.since.get_or_insert_with(Instant::now);
        state.appended = up_to;
        if let Some(names) = grown {
            state.fields = names;
            state.fields_grown = true;
        }
        let config = &shared.config;
        if state.active.rows >= config.flush_rows || state.active.bytes >= config.flush_bytes {
            shared.wanted.notify_one();
        }
        Ok(())
    }

    /// All events at this moment. It costs little; a search takes one and keeps it to its end.
    pub fn snapshot(&self, ctx: &OpContext) -> Result<EventSnapshot, EventsError> {
        if ctx.tenant() != self.shared.config.tenant {
            return Err(EventsError::Tenant);
        }
        let state = self.shared.state();
        let mut files = state.files.clone();
        let frozen = state.frozen.iter().flat_map(|m| &m.batches);
        let memory = frozen.chain(&state.active.batches).map(|b| b.rows.clone()).collect();
        let (fields, up_to) = (state.fields.clone(), state.appended);
        drop(state);
        files.sort_by_key(|f| std::cmp::Reverse((f.max_time, f.path.clone())));
        Ok(EventSnapshot { schema: schema::schema(), files, memory, fields, up_to })
    }

    /// Writes what is in memory to files and commits it. When this returns without error,
    /// everything appended before it was called is in files.
    pub async fn flush(&self) -> Result<Position, EventsError> {
        let shared = self.shared.clone();
        // A task of its own: a caller that goes away must not leave a commit half told of.
        let flushed = tokio::spawn(async move { shared.flush().await }).await;
        flushed.unwrap_or(Err(EventsError::Closed))
    }

    /// Flushes and does background work until `stop`; then flushes once more.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let shared = &self.shared;
        let flushing = async {
            loop {
                let due = shared.flush_due();
                tokio::select! {
                    () = tokio::time::sleep(due) => {}
                    () = shared.wanted.notified() => {}
                }
                let wanted = {
                    let state = shared.state();
                    let lag = state.active.since.map_or(Duration::ZERO, |s| s.elapsed());
                    let config = &shared.config;
                    state.frozen.is_some()
                        || lag >= config.flush_interval
                        || state.active.rows >= config.flush_rows
                        || state.active.bytes >= config.flush_bytes.min(config.memory)
                };
                if wanted && let Err(error) = self.flush().await {
                    tracing::error!(%error, "events could not be written; they stay in memory");
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        let maintaining = async {
            loop {
                tokio::time::sleep(shared.config.maintain_interval).await;
                if let Err(error) = self.maintain().await {
                    tracing::error!(%error, "background work on the events table failed");
                }
            }
        };
        tokio::select! {
            () = stop => {}
            () = flushing => {}
            () = maintaining => {}
        }
        if let Err(error) = self.flush().await {
            tracing::error!(%error, "the last events could not be written; the write-ahead log has them");
        }
    }

    /// How the store is doing.
    pub fn stats(&self) -> EventStats {
        let state = self.shared.state();
        let memory = || state.frozen.iter().chain(std::iter::once(&state.active));
        let memory_rows = memory().map(|m| m.rows).sum();
        let size = |f: &FileRef| f.bytes + f.sidecar_bytes;
        EventStats {
            rows: state.files.iter().map(|f| f.rows).sum::<u64>() + memory_rows as u64,
            files: state.files.len(),
            bytes: state.files.iter().map(|f| size(f)).sum(),
            doomed_bytes: state.doomed.iter().map(|(f, _)| size(f)).sum(),
            memory_rows,
            memory_bytes: memory().map(|m| m.bytes).sum(),
            flush_lag: memory().filter_map(|m| m.since).map(|s| s.elapsed()).max().unwrap_or_default(),
            oldest_day: state.files.iter().map(|f| f.day.clone()).min(),
            oldest: state.files.iter().map(|f| f.min_time).min(),
            appended: state.appended,
            committed: state.committed,
            last_error: state.last_error.clone(),
        }
    }
}

impl Shared {
    /// The state. A panic elsewhere does not make it inconsistent: it is changed in single steps.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush_due(&self) -> Duration {
        let state = self.state();
        let lag = state.active.since.map_or(Duration::ZERO, |s| s.elapsed());
        self.config.flush_interval.saturating_sub(lag).max(Duration::from_millis(10))
    }

    async fn flush(self: Arc<Self>) -> Result<Position, EventsError> {
        let _one = self.flushing.lock().await;
        // A flush that failed before is done first, and then what came since.
        let retry = self.state().frozen.is_some();
        if retry {
            self.flush_frozen().await?;
        }
        {
            let mut state = self.state();
            if state.appended == state.committed {
                return Ok(state.committed);
            }
            state.frozen = Some(std::mem::take(&mut state.active));
        }
        self.flush_frozen().await
    }

    async fn flush_frozen(self: &Arc<Self>) -> Result<Position, EventsError> {
        let result = self.try_flush_frozen().await;
        let mut state = self.state();
        match &result {
            Ok(_) => state.last_error = None,
            Err(error) => state.last_error = Some((Time::now(), error.to_string())),
        }
        drop(state);
        self.room.notify_waiters();
        result
    }

    async fn try_flush_frozen(self: &Arc<Self>) -> Result<Position, EventsError> {
        {
            let mut table = self.table.lock().await;
            self.recover(&mut table).await?;
        }
        let Some(frozen) = self.state().frozen.clone() else { return Ok(self.state().committed) };
        let up_to = frozen.up_to;
        let (root, names) = {
            let state = self.state();
            (self.root.clone(), state.fields_grown.then(|| state.fields.clone()))
        };
        let written = tokio::task::spawn_blocking(move || {
            if let Some(names) = &names {
                names.save(&root.join(INDEX_DIR).join("fields.json"))?;
            }
            write_files(&root, &frozen).map(|files| (files, names))
        })
        .await;
        let (files, names) = written.unwrap_or(Err(EventsError::Closed))?;
        fail::fail_point!("events::before_commit", |_| Err(EventsError::Closed));
        let mut table = self.table.lock().await;
        let change = Change { add: &files, up_to: Some(up_to), ..Change::default() };
        self.commit(&mut table, change).await?;
        let mut state = self.state();
        state.files.extend(files);
        state.frozen = None;
        state.committed = up_to;
        if names.is_some_and(|names| Arc::ptr_eq(&names, &state.fields)) {
            state.fields_grown = false;
        }
        drop(state);
        drop(table);
        Ok(up_to)
    }
}

impl Shared {
    /// Commits a change. After an error it is not known whether it happened, until
    /// [`recover`](Self::recover) has looked.
    pub(crate) async fn commit(&self, table: &mut Table, change: Change<'_>) -> Result<(), EventsError> {
        let added = change.add;
        let result = table.commit(change).await;
        if result.is_err() {
            self.state().suspect.extend(added.iter().cloned());
        }
        result
    }

    /// After a commit that failed, takes over what the log says: the commit may have happened.
    pub(crate) async fn recover(&self, table: &mut Table) -> Result<(), EventsError> {
        let Some((files, position)) = table.recover().await? else { return Ok(()) };
        let mut state = self.state();
        let mut before: HashMap<Arc<str>, Arc<FileRef>> =
            state.files.drain(..).map(|f| (f.path.clone(), f)).collect();
        state.files = files.into_iter().map(|f| before.remove(&f.path).unwrap_or(f)).collect();
        let now = Instant::now();
        state.doomed.extend(before.into_values().map(|f| (f, now)));
        if state.frozen.as_ref().is_some_and(|f| f.up_to <= position) {
            state.frozen = None;
            state.committed = position;
        }
        let suspects = std::mem::take(&mut state.suspect);
        let unused = suspects.into_iter().filter(|s| !state.files.iter().any(|f| f.path == s.path));
        let unused: Vec<_> = unused.collect();
        drop(state);
        unused.iter().for_each(|file| super::vacuum::remove(file));
        Ok(())
    }
}

/// A row to write: its time in microseconds, its batch, its place there.
type RowPlace = (i64, usize, usize);

/// Writes a flush's files: per day of receipt one, and one more for events of far-off times.
fn write_files(root: &Arc<Path>, memory: &Memory) -> Result<Vec<Arc<FileRef>>, EventsError> {
    let batches: Vec<&RecordBatch> = memory.batches.iter().map(|b| &b.rows).collect();
    let mut parts: BTreeMap<(i64, bool), Vec<RowPlace>> = BTreeMap::new();
    for (nth, batch) in batches.iter().enumerate() {
        let column = |place: usize| batch.column(place).as_primitive::<TimestampMicrosecondType>().values();
        for (row, (time, received)) in column(index::TIME).iter().zip(column(index::RECEIVED)).enumerate() {
            let part = (received.div_euclid(DAY), time.abs_diff(*received) > FAR);
            parts.entry(part).or_default().push((*time, nth, row));
        }
    }
    let mut files: Vec<Arc<FileRef>> = Vec::new();
    for ((day, _), mut rows) in parts {
        // Ties in the order of arrival.
        rows.sort_unstable();
        match write_file(root, day, &batches, &rows) {
            Ok(file) => files.push(Arc::new(file)),
            Err(error) => {
                files.iter().for_each(|file| super::vacuum::remove(file));
                return Err(error);
            }
        }
    }
    Ok(files)
}

fn write_file(
    root: &Arc<Path>,
    day: i64,
    batches: &[&RecordBatch],
    rows: &[RowPlace],
) -> Result<FileRef, EventsError> {
    let day: Arc<str> = Time::from_secs(day.saturating_mul(86_400)).date_text().into();
    let mut writer = FileWriter::create(root, &day)?;
    // A chunk at a time, so that a flush needs little memory besides what it empties.
    for chunk in rows.chunks(CHUNK_ROWS) {
        let places: Vec<(usize, usize)> = chunk.iter().map(|(_, batch, row)| (*batch, *row)).collect();
        writer.write(&interleave_record_batch(batches, &places)?)?;
    }
    fail::fail_point!("events::after_parquet", |_| Err(EventsError::Closed));
    writer.finish()
}

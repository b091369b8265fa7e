//! Searches: what is asked, what comes back, how many run at once, and when they end.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use covigil_model::{EventId, OpContext, Time};
use futures::{Stream, StreamExt as _};
use serde::Serialize;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{Semaphore, mpsc},
};

use super::{
    Facet, Histogram, ResultRow, SearchError, StoredRow, Table,
    events_search::{EventsSearch, Wanted},
    files::OpenFiles,
    gather::Counts,
    language::{self, Query},
    output::Output,
    pipe,
    predicate::{Predicate, time_range},
    row::{rows_of, value},
    scan::{Queue, Sought, Stop},
    sql,
    table::{Source, search_error},
};
use crate::events::{EventSnapshot, EventStore, EventsError, schema::index};

/// Where snapshots come from.
pub trait Snapshots: Send + Sync {
    /// All events of the context's tenant at this moment.
    ///
    /// # Errors
    /// Where the events are another tenant's, or cannot be had.
    fn snapshot(&self, ctx: &OpContext) -> Result<EventSnapshot, EventsError>;
}

impl Snapshots for EventStore {
    fn snapshot(&self, ctx: &OpContext) -> Result<EventSnapshot, EventsError> {
        Self::snapshot(self, ctx)
    }
}

/// What a search may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Searches that run at once.
    pub running: usize,
    /// Searches that wait for their turn; more are refused.
    pub waiting: usize,
    /// Threads of one search.
    pub threads: usize,
    /// Memory of one search with stages or in SQL, in MiB.
    pub mebibytes: usize,
    /// Time of one search.
    pub time: Duration,
    /// Rows of one answer; a request for more gets so many.
    pub rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(1, 8);
        Self {
            running: 4,
            waiting: 32,
            threads,
            mebibytes: 256,
            time: Duration::from_secs(120),
            rows: 100_000,
        }
    }
}

/// In which language a search is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryText {
    /// The search language.
    Language(String),
    /// SQL: one SELECT over the table `events`.
    Sql(String),
}

/// What is wanted besides the answer's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Want {
    /// Counts over time, in at most so many stretches.
    pub histogram: Option<usize>,
    /// Fields whose values are counted.
    pub facets: Vec<String>,
    /// How many values of each to tell.
    pub facet_values: usize,
    /// The number of events found, though nothing else asks for it.
    pub count: bool,
}

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    /// The query.
    pub query: QueryText,
    /// Events at or after this time, to the microsecond.
    pub from: Time,
    /// Events before this time, to the microsecond.
    pub to: Time,
    /// At most so many rows, newest first unless the query orders them.
    pub limit: usize,
    /// What else is wanted. Applies to the events that the query's filter selects; not to SQL.
    pub want: Want,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct Progress {
    /// Events looked at, or ruled out without looking.
    pub rows_done: u64,
    /// Events to look at.
    pub rows_total: u64,
    /// Events found so far.
    pub matched: u64,
}

/// How a search went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Events looked at or ruled out, and found. Of a table, `matched` is its number of rows.
    pub progress: Progress,
    /// Whether every event within the time was considered. A search for rows alone stops as soon as
    /// it has them.
    pub complete: bool,
    /// From the request to here, in milliseconds.
    pub elapsed_ms: u64,
}

/// A part of the answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "value")]
pub enum Update {
    /// The newest events, all at once, before what is counted.
    Rows(Vec<ResultRow>),
    /// Rows of a table, for a query with stages or in SQL; more of them follow in further updates.
    Table(Table),
    /// Counts over time so far. Each replaces the one before.
    Histogram(Histogram),
    /// Counts of values so far. Each replaces the one before.
    Facets(Vec<Facet>),
    /// How far the search is.
    Progress(Progress),
    /// The end.
    Done(Summary),
}

/// A search's answer as it comes. Dropping it stops the search. It ends after [`Update::Done`], or
/// after an error.
#[derive(Debug)]
pub struct SearchStream {
    updates: mpsc::Receiver<Result<Update, SearchError>>,
    stop: Arc<Stop>,
}

impl Stream for SearchStream {
    type Item = Result<Update, SearchError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.updates.poll_recv(cx)
    }
}

impl Drop for SearchStream {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A field that can be searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldInfo {
    /// Its name.
    pub name: String,
    /// Whether it is a source's own.
    pub source: bool,
    /// Frequent values among recent events, most frequent first.
    pub values: Vec<String>,
}

/// Updates that wait for the consumer.
const PENDING: usize = 16;
/// Recent events from which a field's frequent values are taken.
const SAMPLE_ROWS: usize = 16_384;

/// Searches the events of one store.
pub struct Searcher {
    events: Arc<dyn Snapshots>,
    files: Arc<OpenFiles>,
    limits: Limits,
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    engine: Engine,
}

/// Threads for searches alone, so that they never keep intake or pages from their turn.
struct Engine(Option<Runtime>);

impl Engine {
    fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Counts a waiting search for as long as it waits.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A search that is understood and about to run.
struct Job {
    query: Option<Query>,
    sql: Option<String>,
    source: Source,
    wanted: Wanted,
    limit: usize,
    mebibytes: usize,
    stop: Arc<Stop>,
    updates: mpsc::Sender<Result<Update, SearchError>>,
    begun: Instant,
}

impl Searcher {
    /// Searches over the events of `events`, within the usual limits.
    ///
    /// # Errors
    /// Where the system refuses threads.
    pub fn new(events: Arc<dyn Snapshots>) -> std::io::Result<Self> {
        Self::with_limits(events, Limits::default())
    }

    /// The same within other limits.
    ///
    /// # Errors
    /// Where the system refuses threads.
    pub fn with_limits(events: Arc<dyn Snapshots>, limits: Limits) -> std::io::Result<Self> {
        let engine = Builder::new_multi_thread()
            .worker_threads(limits.threads.max(1))
            .max_blocking_threads(limits.running.max(1) * (limits.threads.max(1) + 1) * 2)
            .thread_name("search")
            .enable_time()
            .build()?;
        Ok(Self {
            events,
            files: Arc::default(),
            running: Arc::new(Semaphore::new(limits.running.max(1))),
            waiting: Arc::default(),
            limits,
            engine: Engine(Some(engine)),
        })
    }

    /// Starts a search. What is wrong with the query is said here; what goes wrong later, in the
    /// stream.
    ///
    /// # Errors
    /// Where the query cannot be understood, the events are another tenant's, or too many wait.
    pub fn search(&self, ctx: &OpContext, request: SearchRequest) -> Result<SearchStream, SearchError> {
        let snapshot = Arc::new(self.events.snapshot(ctx)?);
        let (mut from, mut to) = stretch(request.from, request.to);
        let (query, sql, predicate) = match request.query {
            QueryText::Language(text) => {
                let query = language::parse(&text)?;
                let predicate = Predicate::compile(&query.filter, &snapshot)?;
                (from, to) = time_range(&query.filter, (from, to));
                (Some(query), None, predicate)
            }
            QueryText::Sql(text) => (None, Some(text), Predicate::all()),
        };
        let limit = request.limit.min(self.limits.rows);
        let only_events = query.as_ref().is_some_and(|query| query.stages.is_empty());
        let wanted = Wanted {
            limit: if only_events { limit } else { 0 },
            buckets: request.want.histogram,
            facets: request.want.facets.iter().map(|name| Output::named(name)).collect(),
            facet_values: request.want.facet_values.clamp(1, 1_000),
            count: request.want.count,
        };
        let stop = Arc::new(Stop::new(self.limits.time));
        let (sender, receiver) = mpsc::channel(PENDING);
        let source = Source {
            snapshot,
            files: self.files.clone(),
            stop: stop.clone(),
            predicate,
            from,
            to,
            threads: self.limits.threads,
        };
        let job = Job {
            query,
            sql,
            source,
            wanted,
            limit,
            mebibytes: self.limits.mebibytes,
            stop: stop.clone(),
            updates: sender.clone(),
            begun: Instant::now(),
        };
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Waiting(self.waiting.clone());
        if self.running.available_permits() == 0 && waiting >= self.limits.waiting {
            return Err(SearchError::Busy { running: self.limits.running, waiting });
        }
        let Some(engine) = self.engine.handle() else { return Err(SearchError::Cancelled) };
        let running = self.running.clone();
        engine.spawn(async move {
            // A search that nobody waits for any more gives up its place.
            let permit = tokio::select! {
                permit = running.acquire_owned() => permit,
                () = sender.closed() => return,
            };
            drop(place);
            if permit.is_err() {
                return;
            }
            // A task of its own: should planning a query panic, its reader is told.
            let mut task = tokio::task::JoinSet::new();
            task.spawn(async move { job.run().await });
            let outcome = tokio::select! {
                outcome = task.join_next() => match outcome {
                    Some(Ok(outcome)) => outcome,
                    Some(Err(error)) => Err(SearchError::Failed(error.to_string())),
                    None => Ok(()),
                },
                () = sender.closed() => Err(SearchError::Cancelled),
            };
            if let Err(error) = outcome {
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(SearchStream { updates: receiver, stop })
    }

    /// The event of that id, looked for around `near` first where that is known.
    ///
    /// # Errors
    /// Where the events are another tenant's, or cannot be read.
    pub async fn event(
        &self,
        ctx: &OpContext,
        id: &EventId,
        near: Option<Time>,
    ) -> Result<Option<StoredRow>, SearchError> {
        let snapshot = Arc::new(self.events.snapshot(ctx)?);
        let (files, id, stop) = (self.files.clone(), id.clone(), Stop::new(self.limits.time));
        let Some(engine) = self.engine.handle() else { return Err(SearchError::Cancelled) };
        let found = engine.spawn_blocking(move || {
            let near = near.map(|time| {
                (time.micros().saturating_sub(1_000_000), time.micros().saturating_add(1_000_001))
            });
            for (from, to) in near.into_iter().chain([(i64::MIN, i64::MAX)]) {
                let sought = Arc::new(Sought::new(Predicate::event(&id.source, id.sequence), from, to));
                let queue = Queue::new(&snapshot, sought.clone(), files.clone());
                while let Some(unit) = queue.take(&stop)? {
                    let matches = unit.matches(&sought, &stop)?;
                    let mut found = None;
                    if matches.count > 0 {
                        let all: Vec<usize> = (0..index::COUNT).collect();
                        unit.place.read(&all, matches.rows.as_ref(), &mut |batch| {
                            found = found.take().or(rows_of(&batch)?.into_iter().find(|row| row.id == id));
                            Ok(())
                        })?;
                    }
                    queue.done(&unit);
                    if found.is_some() {
                        return Ok(found);
                    }
                }
            }
            Ok(None)
        });
        found.await.map_err(|error| SearchError::Failed(error.to_string()))?
    }

    /// The fields that can be searched for, with frequent values of the common ones among recent
    /// events. Reads a bounded sample.
    ///
    /// # Errors
    /// Where the events are another tenant's, or cannot be read.
    pub async fn fields(&self, ctx: &OpContext) -> Result<Vec<FieldInfo>, SearchError> {
        let snapshot = Arc::new(self.events.snapshot(ctx)?);
        let (files, stop) = (self.files.clone(), Stop::new(self.limits.time));
        let Some(engine) = self.engine.handle() else { return Err(SearchError::Cancelled) };
        let listed = engine.spawn_blocking(move || {
            let sought = Arc::new(Sought::new(Predicate::all(), i64::MIN, i64::MAX));
            let queue = Queue::new(&snapshot, sought, files);
            let names = language::fields::names().collect::<Vec<_>>();
            let outputs: Vec<Output> =
                language::fields::ALIASES.iter().map(|(alias, _)| Output::named(alias)).collect();
            let mut counts: Vec<Counts> = outputs.iter().map(|_| Counts::default()).collect();
            let mut left = SAMPLE_ROWS;
            while left > 0
                && let Some(unit) = queue.take(&stop)?
            {
                let rows = unit.place.rows();
                // The newest rows of a file stand at its end; of memory, near its end.
                let mask = arrow::buffer::BooleanBuffer::collect_bool(rows, |row| row + left >= rows);
                for (output, counts) in
                    outputs.iter().zip(&mut counts).filter(|(output, _)| !output.is_original())
                {
                    let places: Vec<usize> = output.places(&snapshot).into_iter().collect();
                    unit.place.read(&places, Some(&mask), &mut |batch| {
                        counts.add_array(&*output.array(&batch)?);
                        Ok(())
                    })?;
                }
                left = left.saturating_sub(rows);
                queue.done(&unit);
            }
            let frequent = |name: &str| {
                let at = outputs.iter().position(|output| output.name == name);
                at.map_or_else(Vec::new, |at| {
                    counts[at].facet(name, 20).values.into_iter().map(|(value, _)| value).collect()
                })
            };
            let known = names.iter().map(|name| FieldInfo {
                name: (*name).to_owned(),
                source: false,
                values: frequent(name),
            });
            let own = snapshot.fields.iter().map(|(name, _)| FieldInfo {
                name: name.to_owned(),
                source: true,
                values: Vec::new(),
            });
            Ok(known.chain(own).collect())
        });
        listed.await.map_err(|error| SearchError::Failed(error.to_string()))?
    }
}

/// The stretch in microseconds between two times, its end excluded.
fn stretch(from: Time, to: Time) -> (i64, i64) {
    let end = to.micros();
    let part = to.nanos().rem_euclid(1_000) != 0;
    (from.micros(), if part { end.saturating_add(1) } else { end })
}

impl Job {
    async fn send(&self, update: Update) -> Result<(), SearchError> {
        self.updates.send(Ok(update)).await.map_err(|_| SearchError::Cancelled)
    }

    async fn run(&self) -> Result<(), SearchError> {
        let mut progress = Progress::default();
        let mut complete = true;
        let mut table_rows = None;
        if let Some(sql) = &self.sql {
            let frame = sql::plan(sql, self.source.clone(), self.mebibytes, self.source.threads).await?;
            table_rows = Some(self.table(frame).await?);
        } else if let Some(query) = self.query.as_ref().filter(|query| !query.stages.is_empty()) {
            let context = sql::context(self.mebibytes, self.source.threads)?;
            let frame = pipe::plan(query, self.source.clone(), &context, self.mebibytes)?;
            table_rows = Some(self.table(frame).await?);
        }
        let counts = self.wanted.buckets.is_some() || !self.wanted.facets.is_empty() || self.wanted.count;
        if self.sql.is_none() && (table_rows.is_none() || counts) {
            progress = self.events().await?;
            complete = progress.rows_done >= progress.rows_total;
        }
        if let Some(rows) = table_rows {
            progress.matched = rows;
        }
        let elapsed_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.send(Update::Done(Summary { progress, complete, elapsed_ms })).await
    }

    /// Searches for events, on threads that may block.
    async fn events(&self) -> Result<Progress, SearchError> {
        let Source { snapshot, files, predicate, from, to, threads, .. } = self.source.clone();
        let sought = Arc::new(Sought::new(predicate, from, to));
        let queue = Queue::new(&snapshot, sought.clone(), files);
        let search = Arc::new(EventsSearch::new(
            &snapshot,
            queue,
            sought,
            self.wanted.clone(),
            self.stop.clone(),
            self.updates.clone(),
        ));
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..threads.max(1) {
            let search = search.clone();
            workers.spawn_blocking(move || search.work());
        }
        let mut failure = None;
        while let Some(worked) = workers.join_next().await {
            if let Err(error) =
                worked.map_err(|e| SearchError::Failed(e.to_string())).and_then(|result| result)
            {
                // The others stop at the next check; theirs would only say that they did.
                self.stop.cancel();
                failure.get_or_insert(error);
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let last = search.clone();
        let finished = tokio::task::spawn_blocking(move || last.finish()).await;
        finished.map_err(|e| SearchError::Failed(e.to_string()))??;
        Ok(search.progress())
    }

    /// Sends a plan's rows; says how many.
    async fn table(&self, frame: datafusion::prelude::DataFrame) -> Result<u64, SearchError> {
        let failed = |error| search_error(error, self.mebibytes);
        let columns: Vec<String> = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
        let frame = frame.limit(0, Some(self.limit)).map_err(failed)?;
        let mut batches = frame.execute_stream().await.map_err(failed)?;
        let (mut sent, mut first) = (0, true);
        loop {
            let next = tokio::time::timeout_at(self.stop.deadline().into(), batches.next()).await;
            let Ok(next) = next else { return Err(self.stop.out_of_time()) };
            let Some(batch) = next.transpose().map_err(failed)? else { break };
            let rows: Vec<Vec<serde_json::Value>> = (0..batch.num_rows())
                .map(|row| batch.columns().iter().map(|array| value(array, row)).collect())
                .collect();
            sent += rows.len() as u64;
            if !rows.is_empty() {
                first = false;
                self.send(Update::Table(Table { columns: columns.clone(), rows })).await?;
            }
        }
        if first {
            self.send(Update::Table(Table { columns, rows: Vec::new() })).await?;
        }
        Ok(sent)
    }
}

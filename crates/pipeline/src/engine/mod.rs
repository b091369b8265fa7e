//! From the log to events at rest and findings.
//!
//! ```text
//! log ─ reader ─┬─ worker ─┬─ in order: correlate, findings → sink, append → store ─ release log
//!               └─ worker ─┘
//! ```
//!
//! Work goes on in batches. Workers parse and match side by side, each with its own matcher and
//! its own events, which come back to it for reuse; the last stage takes their batches in the
//! log's order. There is no lock that they share, and each queue holds a fixed number of batches.
//!
//! **Exactly once.** Two positions say where to go on after a restart: the store's (events up to it
//! are in files) and the one of the correlation snapshot. Reading begins after the lesser. An event
//! is shown to correlation only past the snapshot's position, and stored only past the store's.
//! Findings reach the sink before their events reach the store, and have ids derived from rule and
//! events, so that a replay repeats ids and adds nothing. The log is released only up to the
//! lesser position.

mod health;
mod order;
mod port;
mod worker;

use std::{sync::Arc, thread, time::Duration};

use covigil_model::Record;
use covigil_rules::{Detector, RuleSet, correlation::Limits};
use covigil_store::{
    events::EventStore,
    wal::{Position, Wal, WalReader},
};
use futures::future::{Either, select};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use health::{HealthPolicy, rule_ids};
pub use port::{FindingSink, HealthChange, PortError, StateStore};

use crate::{parse::Parsers, sources::Sources};
use order::InOrder;
use worker::Worker;

/// Records and bytes of one batch.
const BATCH: (usize, usize) = (4_096, 4 << 20);
/// Batches that may wait before and after each worker.
const WAITING: usize = 2;

/// What the engine works on and with.
pub struct EngineParts {
    /// The log.
    pub wal: Wal,
    /// Where events are kept.
    pub store: EventStore,
    /// The position that opening the store yielded.
    pub committed: Position,
    /// The parsers.
    pub parsers: Parsers,
    /// The rules to begin with.
    pub rules: Arc<RuleSet>,
    /// Where findings go.
    pub sink: Arc<dyn FindingSink>,
    /// Where the state of correlations is kept.
    pub state: Arc<dyn StateStore>,
    /// The books on sources.
    pub sources: Arc<Sources>,
    /// Choices.
    pub config: EngineConfig,
    /// Ends the engine after what it has read.
    pub stop: CancellationToken,
}

/// Choices.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Threads that parse and match.
    pub workers: usize,
    /// This machine's name.
    pub hostname: Arc<str>,
    /// What correlation may hold.
    pub limits: Limits,
    /// Time between two snapshots of the correlations' state.
    pub snapshot_every: Duration,
    /// When health becomes a finding.
    pub health: HealthPolicy,
}

impl EngineConfig {
    /// The usual choices: a worker per processor, at most eight, and a snapshot every 30 seconds.
    pub fn new(hostname: impl Into<Arc<str>>) -> Self {
        Self {
            workers: thread::available_parallelism().map_or(2, usize::from).min(8),
            hostname: hostname.into(),
            limits: Limits::default(),
            snapshot_every: Duration::from_secs(30),
            health: HealthPolicy::default(),
        }
    }
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state of correlations could not be read.
    #[error("the state of correlations cannot be read: {0}")]
    State(#[from] PortError),
    /// The system gives no more threads.
    #[error("a thread of the engine cannot be started: {0}; raise the limit on threads")]
    Thread(#[source] std::io::Error),
}

/// The engine, running. It ends when its stop is cancelled, or the log closes.
pub struct Engine {
    rules: watch::Sender<Arc<RuleSet>>,
    appended: watch::Receiver<Position>,
    order: tokio::task::JoinHandle<()>,
    health: tokio::task::JoinHandle<()>,
}

/// A batch on its way to a worker.
struct Job {
    records: Vec<(Position, Record)>,
    rules: Arc<RuleSet>,
}

impl Engine {
    /// Starts the engine where the last run left off.
    pub async fn start(parts: EngineParts) -> Result<Self, EngineError> {
        let mut detector = Detector::new(Arc::clone(&parts.rules), parts.config.limits.clone());
        let mut snapshot_at = Position(0);
        if let Some((position, bytes)) = parts.state.load().await? {
            // A log that was begun anew gives the numbers after its last one again.
            snapshot_at = position.min(parts.wal.stats().newest.max(parts.committed));
            match detector.restore(&bytes) {
                Ok(restored) if restored.dropped.is_empty() => {}
                Ok(restored) => {
                    tracing::info!(rules = ?restored.dropped, "correlations changed; they start with empty windows");
                }
                Err(error) => tracing::error!(%error, "correlation state is not taken over"),
            }
        }
        let from = Position(snapshot_at.min(parts.committed).0.saturating_add(1));
        tracing::info!(
            from = from.0,
            committed = parts.committed.0,
            snapshot = snapshot_at.0,
            "engine starts"
        );
        let count = parts.config.workers.clamp(1, 64);
        let (rules, current_rules) = watch::channel(Arc::clone(&parts.rules));
        let (appended_to, appended) = watch::channel(parts.committed);
        let mut to_workers = Vec::new();
        let mut from_workers = Vec::new();
        let mut give_back = Vec::new();
        for number in 0..count {
            let (jobs, todo) = std::sync::mpsc::sync_channel::<Job>(WAITING);
            let (done, results) = mpsc::channel(WAITING);
            let (used, spare) = std::sync::mpsc::sync_channel(2 * WAITING + 2);
            let worker = Worker::new(
                parts.parsers.clone(),
                Arc::clone(&parts.config.hostname),
                Arc::clone(&parts.rules),
                spare,
            );
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || worker.run(&todo, &done))
                .map_err(EngineError::Thread)?;
            to_workers.push(jobs);
            from_workers.push(results);
            give_back.push(used);
        }
        let reader = parts.wal.reader(from);
        let stop = parts.stop.clone();
        thread::Builder::new()
            .name("log-reader".into())
            .spawn(move || read(reader, &current_rules, &to_workers, &stop))
            .map_err(EngineError::Thread)?;
        let health = health::Watch::new(
            parts.config.health.clone(),
            Arc::clone(&parts.sources),
            parts.wal.clone(),
            parts.store.clone(),
            Arc::clone(&parts.sink),
        );
        let health = tokio::spawn(health.run(parts.stop.clone()));
        let order = InOrder::new(parts, detector, snapshot_at, appended_to, give_back);
        let order = tokio::spawn(order.run(from_workers));
        Ok(Self { rules, appended, order, health })
    }

    /// Exchanges the rules, from the next batch on. No event is lost, and correlations that did not
    /// change keep their state.
    pub fn reload(&self, rules: Arc<RuleSet>) {
        self.rules.send_replace(rules);
    }

    /// Tells when new events are searchable: everything up to the position is.
    pub fn appended(&self) -> watch::Receiver<Position> {
        self.appended.clone()
    }

    /// Waits until the engine has ended and its last state is stored.
    pub async fn ended(self) {
        let _ = self.order.await;
        let _ = self.health.await;
    }
}

/// Reads the log and deals its batches out to the workers in turn; the last stage collects them in
/// the same turn.
fn read(
    mut reader: WalReader,
    rules: &watch::Receiver<Arc<RuleSet>>,
    workers: &[std::sync::mpsc::SyncSender<Job>],
    stop: &CancellationToken,
) {
    let mut turn = 0;
    loop {
        let next = {
            let batch = std::pin::pin!(reader.next_batch(BATCH.0, BATCH.1));
            let stopped = std::pin::pin!(stop.cancelled());
            match futures::executor::block_on(select(batch, stopped)) {
                Either::Left((batch, _)) => batch,
                Either::Right(_) => return,
            }
        };
        let records = match next {
            Ok(records) if records.is_empty() => return,
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, "the log cannot be read; it is tried again");
                thread::sleep(Duration::from_secs(1));
                continue;
            }
        };
        let job = Job { records, rules: Arc::clone(&rules.borrow()) };
        if workers[turn].send(job).is_err() {
            return;
        }
        turn = (turn + 1) % workers.len();
    }
}

//! The last stage: takes the workers' batches in the log's order, correlates, and hands findings
//! and events on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use covigil_model::{Event, Finding, Time};
use covigil_rules::Detector;
use covigil_store::{
    events::EventStore,
    wal::{Position, Wal},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    EngineConfig, EngineParts,
    port::{FindingSink, StateStore},
    worker::{Done, GiveBack},
};
use crate::sources::Sources;

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(5);
/// How often the log is told what is safe elsewhere.
const RELEASE_EVERY: Duration = Duration::from_secs(2);

pub(super) struct InOrder {
    wal: Wal,
    store: EventStore,
    sink: Arc<dyn FindingSink>,
    state: Arc<dyn StateStore>,
    sources: Arc<Sources>,
    config: EngineConfig,
    stop: CancellationToken,
    detector: Detector,
    /// Events up to here are in the store's files since before this run.
    committed: Position,
    /// Correlation has seen the events up to here.
    correlated: Position,
    /// The snapshot that is kept has the events up to here.
    snapshot: Position,
    appended: watch::Sender<Position>,
    give_back: Vec<GiveBack>,
    findings: Vec<Finding>,
    last_snapshot: Instant,
    last_release: Instant,
}

/// The program stops while something cannot be kept; the log has it.
struct GivenUp;

impl InOrder {
    pub(super) fn new(
        parts: EngineParts,
        detector: Detector,
        snapshot: Position,
        appended: watch::Sender<Position>,
        give_back: Vec<GiveBack>,
    ) -> Self {
        Self {
            wal: parts.wal,
            store: parts.store,
            sink: parts.sink,
            state: parts.state,
            sources: parts.sources,
            config: parts.config,
            stop: parts.stop,
            detector,
            committed: parts.committed,
            correlated: snapshot,
            snapshot,
            appended,
            give_back,
            findings: Vec::new(),
            last_snapshot: Instant::now(),
            last_release: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut workers: Vec<mpsc::Receiver<Done>>) {
        let mut turn = 0;
        loop {
            let done = tokio::select! {
                done = workers[turn].recv() => done,
                () = tokio::time::sleep(RELEASE_EVERY) => {
                    self.housekeeping().await;
                    continue;
                }
            };
            // No more: the reader has ended, and what it read before is dealt with.
            let Some(done) = done else { break };
            let Ok(events) = self.batch(done).await else { return };
            let _ = self.give_back[turn].try_send(events);
            turn = (turn + 1) % workers.len();
            self.housekeeping().await;
        }
        self.save_snapshot().await;
    }

    /// Takes one batch all the way.
    async fn batch(&mut self, mut done: Done) -> Result<Vec<Event>, GivenUp> {
        let Some(up_to) = done.positions.last().copied() else { return Ok(done.events) };
        if !Arc::ptr_eq(self.detector.rules(), &done.rules) {
            match self.detector.reload(Arc::clone(&done.rules)) {
                Ok(restored) => tracing::info!(restarted = restored.dropped.len(), "rules reloaded"),
                Err(error) => tracing::error!(%error, "rules reloaded, without correlation state"),
            }
        }
        let mut begin = 0;
        for ((event, position), end) in done.events.iter().zip(&done.positions).zip(&done.ends) {
            if *position > self.correlated {
                self.detector.observe(event, &done.matched[begin..*end], &mut self.findings);
            }
            begin = *end;
        }
        self.correlated = self.correlated.max(up_to);
        // Findings first: once their events are stored they may never be looked at again.
        if !self.findings.is_empty() {
            let mut pause = RETRY_FIRST;
            while let Err(error) = self.sink.findings(&self.findings).await {
                self.wait("findings", &error.0, &mut pause).await?;
            }
            self.findings.clear();
        }
        if up_to > self.committed {
            let stored = done.positions.partition_point(|p| *p <= self.committed);
            let mut pause = RETRY_FIRST;
            while let Err(error) = self.store.append(&done.events[stored..], up_to).await {
                self.wait("events", &error.to_string(), &mut pause).await?;
            }
            self.appended.send_replace(up_to);
        }
        let now = Time::now();
        for (source, tally) in done.tallies.drain() {
            let lag = now.since(tally.last).max(0) as u64 / 1_000_000;
            self.sources.of(&source).processed(tally.records, tally.failures, lag);
        }
        Ok(done.events)
    }

    /// Waits before the next attempt to keep something; for as long as the program runs.
    async fn wait(&self, what: &str, error: &str, pause: &mut Duration) -> Result<(), GivenUp> {
        tracing::error!(%error, "{what} cannot be kept; the engine waits and tries again");
        tokio::select! {
            () = tokio::time::sleep(*pause) => {}
            () = self.stop.cancelled() => return Err(GivenUp),
        }
        *pause = (*pause * 2).min(RETRY_MOST);
        Ok(())
    }

    async fn housekeeping(&mut self) {
        if self.last_snapshot.elapsed() >= self.config.snapshot_every {
            self.save_snapshot().await;
        }
        if self.last_release.elapsed() >= RELEASE_EVERY {
            self.last_release = Instant::now();
            let safe = self.store.stats().committed.min(self.snapshot);
            if let Err(error) = self.wal.release(safe) {
                tracing::warn!(%error, "what is stored cannot be removed from the log yet");
            }
        }
    }

    /// Keeps the correlations' state. Where that fails the log keeps the events since the last.
    async fn save_snapshot(&mut self) {
        self.last_snapshot = Instant::now();
        if self.correlated == self.snapshot {
            return;
        }
        match self.state.save(self.correlated, &self.detector.snapshot()).await {
            Ok(()) => self.snapshot = self.correlated,
            Err(error) => tracing::error!(%error, "correlation state cannot be kept; it is tried again"),
        }
    }
}

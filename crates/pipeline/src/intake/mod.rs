//! How records come in. Every transport does the same four things: cut bytes into records, collect
//! them in a [`Batch`], hand that to [`Delivery`], and acknowledge when that says it is durable.
//! A further transport is one more file here that does so.
//!
//! Nothing here understands a record, keeps one in memory beyond its batch, or acknowledges before
//! the write-ahead log has. When the log is full a transport stops reading, so that its senders
//! wait; where a sender cannot wait (UDP), what the kernel dropped is counted.

mod framing;
mod http;
mod journal;
mod logins;
mod plan;
mod snapshot;
mod tail;
mod tcp;
mod udp;
mod watch;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use covigil_model::{Time, health::SourceState};
use covigil_store::wal::{Appended, Batch, NewRecord, Wal, WalError};
use tokio_util::sync::CancellationToken;

pub use framing::SyslogFraming;
pub use http::{Answer, Denied, EventsApi, Grant, IntakeAuth, Rejected, SourceScope, router};
pub use journal::{Journal, journal};
pub use plan::start;
pub use snapshot::{Snapshot, snapshot};
pub use tail::{FIRST_LOOK, Framing, Tail, tail};
pub use tcp::{TcpSyslog, tcp_syslog};
pub use udp::{UdpSyslog, udp_syslog};
pub use watch::Watcher;

use crate::sources::{SourceStats, Sources};

/// Records in one batch to the log, at most.
pub const BATCH_RECORDS: usize = 4_096;
/// Bytes in one batch to the log, at most, but for a single larger record.
pub const BATCH_BYTES: usize = 4 << 20;
/// A record that arrives over the network may be this long, in bytes.
pub const MAX_RECORD: usize = 1 << 20;

const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MOST: Duration = Duration::from_secs(1);

/// The program stops; what was not acknowledged stays with its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the program is stopping")]
pub struct Stopping;

/// The way of every batch into the log. Cheap to clone.
#[derive(Clone)]
pub struct Delivery {
    wal: Wal,
    checkpoints: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    sources: Arc<Sources>,
    stop: CancellationToken,
}

impl Delivery {
    /// Delivery into `wal`, with books in `sources`, until `stop`. `checkpoints` are the read
    /// positions that the log had when it was opened ([`covigil_store::wal::Recovery`]).
    pub fn new(
        wal: Wal,
        checkpoints: HashMap<String, Vec<u8>>,
        sources: Arc<Sources>,
        stop: CancellationToken,
    ) -> Self {
        Self { wal, checkpoints: Arc::new(Mutex::new(checkpoints)), sources, stop }
    }

    /// The books on sources.
    pub const fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// Ends every intake when cancelled.
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// What the log remembers under a name: where an intake left off.
    pub fn checkpoint(&self, name: &str) -> Option<Vec<u8>> {
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Makes the batch durable, or says why not. Books the records.
    pub async fn offer(&self, batch: Batch) -> Result<Appended, WalError> {
        let booked = Booked::of(&batch);
        let checkpoints = batch.checkpoints.clone();
        let appended = self.wal.append(batch).await?;
        if !appended.duplicate {
            booked.enter(&self.sources);
            if !checkpoints.is_empty() {
                let mut have = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
                have.extend(checkpoints);
            }
        }
        Ok(appended)
    }

    /// Makes the batch durable, waiting for as long as the log cannot take it: the caller, and with
    /// it the sender, is held back. `health` tells people meanwhile. A batch that the log refuses
    /// for good is dropped and counted as lost.
    pub async fn deliver(&self, batch: Batch, health: &SourceStats) -> Result<(), Stopping> {
        let records = batch.records.len() as u64;
        let mut pause = RETRY_FIRST;
        let mut held = false;
        loop {
            let again = batch.clone();
            let tried = tokio::select! {
                biased;
                tried = self.offer(again) => tried,
                () = self.stop.cancelled() => return Err(Stopping),
            };
            match tried {
                Ok(_) => {
                    if held {
                        health.set_state(SourceState::Live, "");
                    }
                    return Ok(());
                }
                Err(WalError::Closed) => return Err(Stopping),
                Err(error) if error.is_back_pressure() => {
                    held = true;
                    health.set_state(SourceState::Live, format!("held back: {error}"));
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.stop.cancelled() => return Err(Stopping),
                    }
                    pause = (pause * 2).min(RETRY_MOST);
                }
                Err(error) => {
                    health.lost(records);
                    health.set_state(SourceState::Live, format!("{records} records refused: {error}"));
                    tracing::warn!(source = %health.name(), records, %error, "batch refused by the log");
                    return Ok(());
                }
            }
        }
    }
}

/// Records and bytes of a batch by source, kept while the log has the batch.
struct Booked(Vec<(Arc<str>, u64, u64)>);

impl Booked {
    fn of(batch: &Batch) -> Self {
        let mut rows: Vec<(Arc<str>, u64, u64)> = Vec::new();
        for record in &batch.records {
            let bytes = record.data.len() as u64;
            match rows.iter_mut().rev().find(|(source, ..)| Arc::ptr_eq(source, &record.source)) {
                Some((_, records, total)) => {
                    *records += 1;
                    *total += bytes;
                }
                None => rows.push((Arc::clone(&record.source), 1, bytes)),
            }
        }
        Self(rows)
    }

    fn enter(self, sources: &Sources) {
        let now = Time::now();
        for (source, records, bytes) in self.0 {
            sources.of(&source).received(records, bytes, now);
        }
    }
}

/// Collects records until a batch is full.
struct Collector {
    source: Arc<str>,
    parser: Arc<str>,
    peer: Option<Arc<str>>,
    batch: Batch,
    bytes: usize,
}

impl Collector {
    fn new(source: Arc<str>, parser: Arc<str>, peer: Option<Arc<str>>) -> Self {
        Self { source, parser, peer, batch: Batch::default(), bytes: 0 }
    }

    fn push(&mut self, data: &[u8], received: Time) {
        self.bytes += data.len();
        self.batch.records.push(NewRecord {
            source: Arc::clone(&self.source),
            parser: Arc::clone(&self.parser),
            peer: self.peer.clone(),
            received,
            data: Bytes::copy_from_slice(data),
        });
    }

    const fn is_full(&self) -> bool {
        self.batch.records.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }

    const fn is_empty(&self) -> bool {
        self.batch.records.is_empty()
    }

    fn take(&mut self) -> Batch {
        self.bytes = 0;
        std::mem::take(&mut self.batch)
    }
}

/// Names the sources of one listener: one per sending address, up to a bound, so that each sender's
/// silence is noticed and a forger of addresses cannot fill the books.
struct Senders {
    known: HashMap<IpAddr, Sender>,
    rest: Arc<str>,
}

/// One sender.
#[derive(Clone)]
struct Sender {
    source: Arc<str>,
    /// Its address in words.
    address: Arc<str>,
}

impl Senders {
    const MOST: usize = 1_024;

    fn new() -> Self {
        Self { known: HashMap::new(), rest: "syslog:other".into() }
    }

    /// The sender with this address; its books are begun where it is new.
    fn of(&mut self, address: IpAddr, sources: &Sources) -> Sender {
        let address = address.to_canonical();
        if let Some(sender) = self.known.get(&address) {
            return sender.clone();
        }
        let text: Arc<str> = address.to_string().into();
        if self.known.len() >= Self::MOST {
            return Sender { source: Arc::clone(&self.rest), address: text };
        }
        let sender = Sender { source: format!("syslog:{address}").into(), address: text };
        sources.of(&sender.source).describe(format!("syslog from {address}"), true);
        self.known.insert(address, sender.clone());
        sender
    }
}

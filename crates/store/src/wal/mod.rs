//! The write-ahead log: what makes an acknowledged record durable.
//!
//! Batches of records are appended by any number of tasks and threads; one writer thread puts all
//! that wait into the current segment with one sync, and only then answers. Readers get the records
//! in order once they are durable. When what was read is safe elsewhere, [`Wal::release`] deletes
//! the segments. Batches carry an optional key, by which a retried batch is stored once, and the
//! source's read position, which is stored or lost together with the batch.
//!
//! What belongs here: the file format, its recovery and its reading. What does not: parsing of
//! records, and any knowledge of where they go.
//!
//! What the disk may do, and what follows: a write that fails is cut off again; after a sync that
//! fails the segment is closed and a new one begun; a torn end is cut off on opening; damage is set
//! aside and counted by position, and the intact entries around it stay readable. In all these
//! cases a batch that was not synced was not acknowledged.

mod books;
pub mod disk;
mod error;
mod format;
mod reader;
mod recover;
mod scan;
mod writer;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use covigil_model::Time;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub use books::{MAX_CHECKPOINTS, MAX_SOURCES, REMEMBERED_KEYS};
pub use disk::{Disk, DiskFile, RealDisk};
pub use error::WalError;
pub use reader::WalReader;
pub use recover::{Quarantine, Recovery};

use writer::{Pending, Shared, Writer, lock};

/// A place in the log: the number of the record, counted from 1 over all sources, without gaps.
/// Everything up to and including a position can be committed downstream as one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Records in one batch at most.
pub const MAX_BATCH_RECORDS: usize = 16_384;
/// Read positions in one batch at most.
pub const MAX_BATCH_CHECKPOINTS: usize = 1_024;
/// Bytes of a source's, parser's, peer's or checkpoint's name at most.
pub const MAX_NAME: usize = 1_024;
/// Bytes of a read position at most.
pub const MAX_CHECKPOINT: usize = 4_096;
/// Bytes of a batch key at most.
pub const MAX_KEY: usize = 128;

/// How the log is kept.
#[derive(Clone)]
pub struct WalConfig {
    /// Where its files are; created if it is not there.
    pub dir: PathBuf,
    /// A segment is closed when it has reached this many bytes. At most a quarter of `max_bytes` is
    /// used.
    pub segment_bytes: u64,
    /// Appending is refused ([`WalError::Full`]) while the log would be larger than this.
    pub max_bytes: u64,
    /// Bytes of one record at most.
    pub max_record: usize,
    /// Bytes of one batch at most, and bytes that may wait for the disk.
    pub max_batch: usize,
    /// No new record gets a position at or before this one: what is stored downstream already.
    pub after: Position,
    /// The disk.
    pub disk: Arc<dyn Disk>,
}

impl WalConfig {
    /// The usual settings for a log in `dir`: segments of 64 MiB, 4 GiB in all, records of 16 MiB,
    /// batches of 32 MiB.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            max_bytes: 4 << 30,
            max_record: 16 << 20,
            max_batch: 32 << 20,
            after: Position(0),
            disk: Arc::new(RealDisk),
        }
    }
}

/// A record that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The source's name, without spaces, control characters or `#`.
    pub source: Arc<str>,
    /// When it was received.
    pub received: Time,
    /// Name of the parser that reads it, or `auto`.
    pub parser: Arc<str>,
    /// Who sent it, where known.
    pub peer: Option<Arc<str>>,
    /// The original, without framing. Any bytes.
    pub data: bytes::Bytes,
}

/// The name that a source gives to a batch, so that it is stored once however often it is sent.
/// Keys of different sources are different. The last [`REMEMBERED_KEYS`] of the log are remembered,
/// also over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BatchKey(Box<[u8]>);

impl BatchKey {
    /// A key of 1 to [`MAX_KEY`] bytes.
    ///
    /// # Errors
    ///
    /// [`WalError::BadName`] for a key that is empty or longer.
    pub fn new(key: impl Into<Box<[u8]>>) -> Result<Self, WalError> {
        let key = key.into();
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(WalError::BadName { what: "a batch key".into(), why: "it must have 1 to 128 bytes" });
        }
        Ok(Self(key))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Records that are stored together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The records, in order. May be empty where only a read position moves.
    pub records: Vec<NewRecord>,
    /// The batch's key, where its source gives one. It belongs to the source of the first record.
    pub key: Option<BatchKey>,
    /// Read positions by name (a file's offset, a journal's cursor) that hold once the batch is
    /// stored. An empty value forgets the name.
    pub checkpoints: Vec<(String, Vec<u8>)>,
}

impl Batch {
    /// A batch of records without key or read position.
    pub fn of(records: Vec<NewRecord>) -> Self {
        Self { records, ..Self::default() }
    }

    fn source(&self) -> &str {
        self.records.first().map_or("", |record| &record.source)
    }

    /// Each source once.
    fn sources(&self) -> Vec<&Arc<str>> {
        let mut sources: Vec<&Arc<str>> = Vec::new();
        for record in &self.records {
            if sources.last().is_none_or(|last| !Arc::ptr_eq(last, &record.source)) {
                sources.push(&record.source);
            }
        }
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// Bytes that it takes in the log, roughly.
    fn size(&self) -> usize {
        let records = self.records.iter().map(|r| r.data.len() + 64 + r.peer.as_ref().map_or(0, |p| p.len()));
        let checkpoints = self.checkpoints.iter().map(|(name, value)| name.len() + value.len() + 8);
        128 + records.sum::<usize>() + checkpoints.sum::<usize>()
    }

    fn check(&self, config: &WalConfig) -> Result<(), WalError> {
        if self.records.len() > MAX_BATCH_RECORDS {
            return Err(WalError::BatchTooLarge { what: format!("{MAX_BATCH_RECORDS} records") });
        }
        if self.checkpoints.len() > MAX_BATCH_CHECKPOINTS {
            return Err(WalError::BatchTooLarge { what: format!("{MAX_BATCH_CHECKPOINTS} read positions") });
        }
        let mut last: Option<&NewRecord> = None;
        for record in &self.records {
            if record.data.len() > config.max_record {
                return Err(WalError::RecordTooLarge { bytes: record.data.len(), limit: config.max_record });
            }
            if last.is_none_or(|last| !Arc::ptr_eq(&last.source, &record.source)) {
                check_name("a source", &record.source)?;
                if record.source.contains('#')
                    || record.source.chars().any(|c| c.is_whitespace() || c.is_control())
                {
                    return Err(WalError::BadName {
                        what: "a source".into(),
                        why: "it must not have spaces, control characters or #",
                    });
                }
            }
            if last.is_none_or(|last| !Arc::ptr_eq(&last.parser, &record.parser)) {
                check_name("a parser", &record.parser)?;
            }
            if let Some(peer) = &record.peer {
                check_name("a peer", peer)?;
            }
            last = Some(record);
        }
        for (name, value) in &self.checkpoints {
            check_name("a read position", name)?;
            if value.len() > MAX_CHECKPOINT {
                return Err(WalError::BatchTooLarge {
                    what: format!("a read position of {MAX_CHECKPOINT} bytes"),
                });
            }
        }
        if self.size() > config.max_batch {
            return Err(WalError::BatchTooLarge { what: format!("{} bytes", config.max_batch) });
        }
        Ok(())
    }
}

fn check_name(what: &str, name: &str) -> Result<(), WalError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(WalError::BadName { what: what.to_owned(), why: "it must have 1 to 1024 bytes" });
    }
    Ok(())
}

/// The answer to a batch: it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of its first record; for a batch without records, of the next record to come.
    pub first: Position,
    /// Position of its last record; for a batch without records, of the last record before it.
    pub last: Position,
    /// The batch was there already, under its key, and was not stored again.
    pub duplicate: bool,
}

impl Appended {
    const fn of(first: Position, count: u32, duplicate: bool) -> Self {
        Self { first, last: Position((first.0 + count as u64).saturating_sub(1)), duplicate }
    }
}

/// The state of the log, for health.
#[derive(Debug, Clone, PartialEq)]
pub struct WalStats {
    /// Bytes of all segments.
    pub bytes: u64,
    /// The configured limit of `bytes`.
    pub max_bytes: u64,
    /// The first position that is still in the log.
    pub oldest: Position,
    /// The last durable position.
    pub newest: Position,
    /// Syncs since opening.
    pub syncs: u64,
    /// Groups of batches that could not be stored since opening.
    pub failures: u64,
    /// Stretches of damage met by readers since opening.
    pub damaged: u64,
    /// Batches that wait for the disk.
    pub queued: usize,
    /// The last failure, while nothing was stored since.
    pub trouble: Option<WalError>,
}

/// Batches that may wait for the disk.
const QUEUE: usize = 1_024;

struct Handle {
    config: WalConfig,
    shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Pending>>,
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
    closed: watch::Sender<bool>,
    releasing: Mutex<()>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The writer ends when it has dealt with all that was handed over.
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.closed.send_replace(true);
    }
}

/// The log, open. Clones are the same log; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Wal(Arc<Handle>);

impl Wal {
    /// Opens the log, or begins one. Reads all of it: about a second per gigabyte.
    ///
    /// # Errors
    ///
    /// [`WalError::Locked`] when another process has it, [`WalError::Version`] when a newer program
    /// wrote it, [`WalError::Disk`] when the directory cannot be read or written. Damage is not an
    /// error; it is in the [`Recovery`].
    pub fn open(mut config: WalConfig) -> Result<(Self, Recovery), WalError> {
        config.segment_bytes = config.segment_bytes.min(config.max_bytes / 4);
        let (disk, dir) = (Arc::clone(&config.disk), config.dir.clone());
        disk.create_dir(&dir).map_err(WalError::disk("create", &dir))?;
        let lock_path = dir.join("lock");
        let held = disk.lock(&lock_path).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => WalError::Locked { path: lock_path.clone() },
            _ => WalError::disk("lock", &lock_path)(error),
        })?;
        let mut recovered = recover::recover(&*disk, &dir, config.after)?;
        let report = std::mem::take(&mut recovered.report);
        let shared = Arc::new(Shared {
            disk,
            dir: dir.clone(),
            salt: recovered.salt,
            segments: Mutex::new(std::mem::take(&mut recovered.segments)),
            durable: watch::Sender::new(report.last.0),
            syncs: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            trouble: Mutex::new(None),
        });
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer =
            Writer::new(Arc::clone(&shared), recovered, config.segment_bytes, config.max_bytes, held);
        let thread = std::thread::Builder::new()
            .name("wal".into())
            .spawn(move || writer.run(receiver))
            .map_err(WalError::disk("start the writer of", &dir))?;
        let room = Arc::new(Semaphore::new(config.max_batch));
        let handle = Handle {
            config,
            shared,
            queue: Some(sender),
            room,
            thread: Some(thread),
            closed: watch::Sender::new(false),
            releasing: Mutex::new(()),
        };
        Ok((Self(Arc::new(handle)), report))
    }

    /// Stores a batch; answers when it is durable. Waits while the queue is full. If the returned
    /// future is dropped, the batch may or may not be stored.
    ///
    /// # Errors
    ///
    /// Any [`WalError`]: the batch is not in the log. Where [`WalError::is_back_pressure`], hold the
    /// source back and send the same batch again.
    pub async fn append(&self, batch: Batch) -> Result<Appended, WalError> {
        let handle = &*self.0;
        batch.check(&handle.config)?;
        let size = u32::try_from(batch.size()).unwrap_or(u32::MAX);
        let room = Arc::clone(&handle.room).acquire_many_owned(size).await.map_err(|_| WalError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let queue = handle.queue.as_ref().ok_or(WalError::Closed)?;
        queue.send(Pending { batch, answer, room }).await.map_err(|_| WalError::Closed)?;
        answered.await.map_err(|_| WalError::Closed)?
    }

    /// Like [`Wal::append`], for threads. Not for use within an asynchronous task, whose thread it
    /// would hold.
    ///
    /// # Errors
    ///
    /// As [`Wal::append`].
    pub fn append_blocking(&self, batch: Batch) -> Result<Appended, WalError> {
        futures::executor::block_on(self.append(batch))
    }

    /// A reader whose first record is the one at `from`, or the first after it that there is.
    /// Position 0 or 1 is the beginning.
    pub fn reader(&self, from: Position) -> WalReader {
        WalReader::new(Arc::clone(&self.0.shared), self.0.closed.subscribe(), from)
    }

    /// Allows segments to be deleted whose records are all at or before `up_to`: they are safe
    /// elsewhere. Oldest first, each deletion durable before the next.
    ///
    /// # Errors
    ///
    /// [`WalError::Disk`] when a file cannot be removed; the rest is tried at the next call.
    pub fn release(&self, up_to: Position) -> Result<(), WalError> {
        let shared = &self.0.shared;
        let _one_at_a_time = lock(&self.0.releasing);
        loop {
            let path = match &lock(&shared.segments)[..] {
                [oldest, next, ..] if next.first <= up_to.0.saturating_add(1) => oldest.path.clone(),
                _ => return Ok(()),
            };
            match shared.disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(WalError::disk("remove", &path)(error));
                }
                _ => {}
            }
            lock(&shared.segments).remove(0);
            shared.disk.sync_dir(&shared.dir).map_err(WalError::disk("sync", &shared.dir))?;
        }
    }

    /// How the log fares.
    pub fn stats(&self) -> WalStats {
        let shared = &self.0.shared;
        let oldest = lock(&shared.segments).first().map_or(0, |segment| segment.first);
        WalStats {
            bytes: shared.bytes(),
            max_bytes: self.0.config.max_bytes,
            oldest: Position(oldest),
            newest: Position(*shared.durable.borrow()),
            syncs: shared.syncs.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
            damaged: shared.damaged.load(Ordering::Relaxed),
            queued: self.0.queue.as_ref().map_or(0, |queue| QUEUE.saturating_sub(queue.capacity())),
            trouble: lock(&shared.trouble).clone(),
        }
    }
}

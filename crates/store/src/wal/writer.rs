//! The one thread that writes: takes all batches that wait, writes them together, syncs once, and
//! only then tells their senders.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::{
    Appended, Batch, Position, WalError,
    books::{Books, KeyHash, Staged, Stored, key_hash},
    disk::{Disk, DiskFile},
    format::{write_entry, write_segment_head},
    recover::{Recovered, Segment, segment_name, write_file},
};

/// Bytes after which no further batch joins a group.
const GROUP_BYTES: usize = 16 << 20;
/// The group buffer is given back to the system when it has grown beyond this.
const KEEP_BUFFER: usize = 32 << 20;

/// What the writer shares with readers and askers.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) salt: u64,
    pub(super) segments: Mutex<Vec<Segment>>,
    pub(super) durable: watch::Sender<u64>,
    pub(super) syncs: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) trouble: Mutex<Option<WalError>>,
}

/// The guard, also of a lock whose holder panicked: what it guards is replaced whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn bytes(&self) -> u64 {
        lock(&self.segments).iter().map(|segment| segment.len).sum()
    }
}

/// A batch on its way to the disk.
pub(super) struct Pending {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<Appended, WalError>>,
    /// Room in the queue, given back when the batch is dealt with.
    pub(super) room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    books: Books,
    active: Option<Active>,
    next: u64,
    next_ordinal: u64,
    segment_bytes: u64,
    max_bytes: u64,
    buffer: Vec<u8>,
    /// Held so that no other process opens the log.
    _lock: Box<dyn Send>,
}

struct Active {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    len: u64,
}

/// What will be said to a batch's sender if the disk obeys.
enum Outcome {
    Fresh(Appended),
    /// The same key was stored before.
    Stored(Appended),
    /// The same key is in this very group.
    StoredHere(Appended),
    Refused(WalError),
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        recovered: Recovered,
        segment_bytes: u64,
        max_bytes: u64,
        lock: Box<dyn Send>,
    ) -> Self {
        let mut writer = Self {
            shared,
            books: recovered.books,
            active: None,
            next: recovered.next,
            next_ordinal: recovered.next_ordinal,
            segment_bytes,
            max_bytes,
            buffer: Vec::new(),
            _lock: lock,
        };
        if recovered.rotate
            && let Err(error) = writer.begin_segment()
        {
            writer.note_trouble(&error);
        }
        writer
    }

    /// Works until all senders are gone.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Pending>) {
        let mut group = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            let mut bytes = first.batch.size();
            group.push(first);
            while bytes < GROUP_BYTES
                && let Ok(more) = queue.try_recv()
            {
                bytes += more.batch.size();
                group.push(more);
            }
            self.commit(&mut group);
        }
    }

    fn commit(&mut self, group: &mut Vec<Pending>) {
        let mut staged = Staged::default();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut next = self.next;
        let outcomes: Vec<Outcome> = group
            .iter_mut()
            .map(|pending| self.encode(&mut pending.batch, &mut staged, &mut next, &mut buffer))
            .collect();
        let written = if buffer.is_empty() { Ok(()) } else { self.write(&buffer, next) };
        match &written {
            Ok(()) => staged.apply(&mut self.books),
            Err(error) => self.note_trouble(error),
        }
        if buffer.capacity() <= KEEP_BUFFER {
            self.buffer = buffer;
        }
        for (pending, outcome) in group.drain(..).zip(outcomes) {
            let answer = match (outcome, &written) {
                (Outcome::Refused(error), _) => Err(error),
                (Outcome::Stored(appended), _) => Ok(appended),
                (Outcome::Fresh(appended) | Outcome::StoredHere(appended), Ok(())) => Ok(appended),
                (Outcome::Fresh(_) | Outcome::StoredHere(_), Err(error)) => Err(error.clone()),
            };
            drop(pending.room);
            // A sender that no longer listens has given up; the batch is stored all the same.
            let _ = pending.answer.send(answer);
        }
    }

    fn encode(
        &self,
        batch: &mut Batch,
        staged: &mut Staged,
        next: &mut u64,
        buffer: &mut Vec<u8>,
    ) -> Outcome {
        let key: Option<KeyHash> = batch.key.as_ref().map(|key| key_hash(batch.source(), key));
        let duplicate = |Stored { first, count }| Appended::of(first, count, true);
        if let Some(key) = key {
            if let Some(stored) = self.books.stored(key) {
                return Outcome::Stored(duplicate(stored));
            }
            if let Some(stored) = staged.stored(key) {
                return Outcome::StoredHere(duplicate(stored));
            }
        }
        let sources = batch.sources();
        let checkpoints = batch.checkpoints.iter().map(|(name, _)| name.as_str());
        if let Err(error) = staged.has_room(&self.books, sources.into_iter(), checkpoints) {
            return Outcome::Refused(error);
        }
        let first = Position(*next);
        let count = batch.records.len() as u32;
        let salt = self.shared.salt;
        write_entry(buffer, salt, first, key, &batch.records, &batch.checkpoints, |source, count| {
            staged.number(&self.books, source, count)
        });
        if let Some(key) = key {
            staged.remember(key, Stored { first, count });
        }
        for (name, value) in batch.checkpoints.drain(..) {
            staged.checkpoint(&self.books, name, value);
        }
        *next += u64::from(count);
        Outcome::Fresh(Appended::of(first, count, false))
    }

    /// Writes and syncs a group of entries that ends before position `next`. On failure nothing of
    /// it counts.
    fn write(&mut self, entries: &[u8], next: u64) -> Result<(), WalError> {
        let used = self.shared.bytes();
        if used.saturating_add(entries.len() as u64) > self.max_bytes {
            // Only a segment that another follows can be released: none may keep the log full for good.
            let alone = matches!(&lock(&self.shared.segments)[..], [only] if only.len > only.entries);
            if alone {
                self.begin_segment()?;
            }
            return Err(WalError::Full { used, limit: self.max_bytes });
        }
        if self.active.as_ref().is_none_or(|active| active.len >= self.segment_bytes) {
            self.begin_segment()?;
        }
        let Some(active) = &mut self.active else { return Err(WalError::Closed) };
        if let Err(error) = active.file.write_at(entries, active.len) {
            let error = WalError::disk("write to", &active.path)(error);
            // What was written of it must go. If it will not, the segment is closed: the next one
            // declares the rest of it void.
            if active.file.set_len(active.len).is_err() {
                self.active = None;
            }
            return Err(error);
        }
        if let Err(error) = active.file.sync() {
            // After a failed sync the system may have dropped the written pages and call them
            // clean, so that a second sync proves nothing. The segment ends at the last sync that
            // worked, and what follows goes to a new file.
            let error = WalError::disk("sync", &active.path)(error);
            let _ = active.file.set_len(active.len);
            self.active = None;
            return Err(error);
        }
        active.len += entries.len() as u64;
        self.next = next;
        if let Some(last) = lock(&self.shared.segments).last_mut() {
            last.len = active.len;
        }
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        *lock(&self.shared.trouble) = None;
        self.shared.durable.send_replace(next - 1);
        Ok(())
    }

    /// Begins a segment. It exists under its name only when its head is durable.
    fn begin_segment(&mut self) -> Result<(), WalError> {
        let head = write_segment_head(self.shared.salt, &self.books);
        let ordinal = self.next_ordinal;
        let path = self.shared.dir.join(segment_name(ordinal, self.next));
        let file = write_file(&*self.shared.disk, &self.shared.dir, &path, &head)?;
        self.next_ordinal += 1;
        let len = head.len() as u64;
        lock(&self.shared.segments).push(Segment {
            ordinal,
            first: self.next,
            path: path.clone(),
            entries: len,
            len,
        });
        self.active = Some(Active { file, path, len });
        Ok(())
    }

    fn note_trouble(&self, error: &WalError) {
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%error, "a group of batches was not stored");
        *lock(&self.shared.trouble) = Some(error.clone());
    }
}

//! Reading the log in order, up to what is durable.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use covigil_model::Record;
use tokio::sync::watch;

use super::{
    Position, WalError,
    format::{Names, Payload},
    scan::{Scanner, Step},
    writer::{Shared, lock},
};

/// Reads records in log order; only those that are durable.
pub struct WalReader {
    shared: Arc<Shared>,
    durable: watch::Receiver<u64>,
    closed: watch::Receiver<bool>,
    next: u64,
    current: Option<(u64, Scanner)>,
    pending: VecDeque<(Position, Record)>,
    names: Names,
}

impl WalReader {
    pub(super) fn new(shared: Arc<Shared>, closed: watch::Receiver<bool>, from: Position) -> Self {
        let durable = shared.durable.subscribe();
        Self {
            shared,
            durable,
            closed,
            next: from.0.max(1),
            current: None,
            pending: VecDeque::new(),
            names: Names::default(),
        }
    }

    /// The next records, at least one and at most `max_records`, of about `max_bytes` together.
    /// Waits for records to become durable. An empty answer means that the log is closed and all of
    /// it was read. Positions ascend; they have a gap only where damage was quarantined. Reads
    /// files in place: call it where a short wait for the disk is no harm. Nothing is lost when the
    /// returned future is dropped.
    ///
    /// # Errors
    ///
    /// [`WalError::Disk`] when a segment cannot be read; trying again is allowed.
    pub async fn next_batch(
        &mut self,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<(Position, Record)>, WalError> {
        loop {
            let closed = *self.closed.borrow_and_update();
            self.durable.mark_unchanged();
            let batch = self.try_batch(max_records, max_bytes)?;
            if !batch.is_empty() || closed {
                return Ok(batch);
            }
            tokio::select! {
                _ = self.durable.changed() => {}
                // The sender is gone only if the log is dropped, which is a close as well.
                gone = self.closed.changed() => if gone.is_err() { return self.try_batch(max_records, max_bytes) },
            }
        }
    }

    /// Like [`WalReader::next_batch`], without waiting: empty when all that is durable was read.
    ///
    /// # Errors
    ///
    /// [`WalError::Disk`] when a segment cannot be read.
    pub fn try_batch(
        &mut self,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<(Position, Record)>, WalError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < max_records.max(1) && (bytes < max_bytes || batch.is_empty()) {
            if let Some((position, record)) = self.pending.pop_front() {
                bytes += record.data.len();
                batch.push((position, record));
            } else if !self.read_entry()? {
                break;
            }
        }
        Ok(batch)
    }

    /// Reads one more entry into `pending`; false if there is none yet.
    fn read_entry(&mut self) -> Result<bool, WalError> {
        loop {
            let Some(path) = self.at_segment()? else { return Ok(false) };
            let Some((_, scanner)) = &mut self.current else { return Ok(false) };
            match scanner.step().map_err(WalError::disk("read", &path))? {
                Step::End if scanner.cut == u64::MAX => return Ok(false),
                // The next segment goes on.
                Step::End => {}
                Step::Damage { bytes, .. } => {
                    self.shared.damaged.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(segment = %path.display(), bytes, "the log was damaged after it was opened");
                }
                Step::Entry(head) => {
                    if head.end() <= self.next {
                        continue;
                    }
                    let Some(payload) = Payload::read(scanner.payload()) else { continue };
                    for (offset, raw) in payload.records().enumerate() {
                        let position = head.first + offset as u64;
                        if let Some(raw) = raw
                            && position >= self.next
                        {
                            self.pending.push_back((Position(position), self.names.record(&raw)));
                        }
                    }
                    self.next = head.end();
                    return Ok(true);
                }
            }
        }
    }

    /// Makes `current` the segment to read from, with its present end; answers with its path.
    fn at_segment(&mut self) -> Result<Option<std::path::PathBuf>, WalError> {
        let segments = lock(&self.shared.segments);
        let place = match &self.current {
            // The last segment that begins at or before the wanted position.
            None => {
                segments.iter().rposition(|s| s.first <= self.next).or((!segments.is_empty()).then_some(0))
            }
            Some((ordinal, scanner)) => match segments.iter().position(|s| s.ordinal == *ordinal) {
                Some(at) if scanner.at >= segments[at].len && at + 1 < segments.len() => Some(at + 1),
                Some(at) => Some(at),
                // Released while it was read: all of it had been dealt with.
                None => segments.iter().position(|s| s.ordinal > *ordinal),
            },
        };
        let Some(place) = place else { return Ok(None) };
        let segment = segments[place].clone();
        let cut = segments.get(place + 1).map_or(u64::MAX, |next| next.first);
        drop(segments);
        if self.current.as_ref().is_none_or(|(ordinal, _)| *ordinal != segment.ordinal) {
            let file = self.shared.disk.open(&segment.path).map_err(WalError::disk("open", &segment.path))?;
            let scanner = Scanner::new(file, self.shared.salt, segment.entries, segment.len, segment.first);
            self.current = Some((segment.ordinal, scanner));
        }
        if let Some((_, scanner)) = &mut self.current {
            scanner.end = segment.len;
            scanner.cut = cut;
        }
        Ok(Some(segment.path))
    }
}

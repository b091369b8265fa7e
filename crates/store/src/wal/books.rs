//! What the log remembers besides the records themselves: the last sequence number of each source,
//! the keys of recent batches, and the sources' read positions. It is written at the beginning of
//! each segment, so that older segments can be deleted.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use covigil_model::id::Id;
use rustc_hash::FxHashMap;

use super::{BatchKey, Position, WalError};

/// Marks a [`KeyHash`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Batches {}

/// Stands for a batch's key together with the source that chose it: one source cannot use up the
/// keys of another.
pub(super) type KeyHash = Id<Batches>;

/// The hash of a source's key.
pub(super) fn key_hash(source: &str, key: &BatchKey) -> KeyHash {
    KeyHash::derived(&[source.as_bytes(), key.as_bytes()])
}

/// The number of recent batch keys that are remembered.
pub const REMEMBERED_KEYS: usize = 100_000;
/// The number of sources that a log can have.
pub const MAX_SOURCES: usize = 65_536;
/// The number of checkpoints that a log can have.
pub const MAX_CHECKPOINTS: usize = 16_384;

/// Where a batch was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) first: Position,
    pub(super) count: u32,
}

/// What the log remembers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Books {
    /// Last sequence number given, by source.
    pub(super) sequences: HashMap<Arc<str>, u64>,
    /// The last number that an unknown source may have had. Only above 0 after damage.
    pub(super) floor: u64,
    /// Recent keys, oldest first.
    order: VecDeque<KeyHash>,
    keys: FxHashMap<KeyHash, Stored>,
    /// Read positions, by name.
    pub(super) checkpoints: HashMap<String, Vec<u8>>,
}

impl Books {
    /// Where the batch with this key was stored, if it is remembered.
    pub(super) fn stored(&self, key: KeyHash) -> Option<Stored> {
        self.keys.get(&key).copied()
    }

    /// The keys that are remembered, oldest first.
    pub(super) fn keys(&self) -> impl ExactSizeIterator<Item = (KeyHash, Stored)> {
        self.order
            .iter()
            .map(|key| (*key, self.keys.get(key).copied().unwrap_or(Stored { first: Position(0), count: 0 })))
    }

    /// Remembers a key, and forgets the oldest when there are too many.
    pub(super) fn remember(&mut self, key: KeyHash, stored: Stored) {
        if self.keys.insert(key, stored).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > REMEMBERED_KEYS {
            if let Some(oldest) = self.order.pop_front() {
                self.keys.remove(&oldest);
            }
        }
    }

    /// Notes a source's last sequence number.
    pub(super) fn reached(&mut self, source: &Arc<str>, last: u64) {
        match self.sequences.get_mut(source) {
            Some(have) => *have = last,
            None => {
                self.sequences.insert(Arc::clone(source), last);
            }
        }
    }

    /// Notes a read position; an empty one is forgotten.
    pub(super) fn checkpoint(&mut self, name: &str, value: &[u8]) {
        if value.is_empty() {
            self.checkpoints.remove(name);
        } else if let Some(have) = self.checkpoints.get_mut(name) {
            have.clear();
            have.extend_from_slice(value);
        } else {
            self.checkpoints.insert(name.to_owned(), value.to_vec());
        }
    }

    /// After `records` were lost whose sources are unknown: no number may be given twice, so that
    /// each source skips as many.
    pub(super) fn skip(&mut self, records: u64) {
        for last in self.sequences.values_mut() {
            *last = last.saturating_add(records);
        }
        self.floor = self.floor.saturating_add(records);
    }
}

/// Changes to the books that take effect only when the disk has them.
#[derive(Debug, Default)]
pub(super) struct Staged {
    sequences: FxHashMap<Arc<str>, u64>,
    keys: Vec<(KeyHash, Stored)>,
    key_index: FxHashMap<KeyHash, Stored>,
    checkpoints: Vec<(String, Vec<u8>)>,
    new_sources: usize,
    new_checkpoints: usize,
}

impl Staged {
    /// Where the batch with this key is about to be stored.
    pub(super) fn stored(&self, key: KeyHash) -> Option<Stored> {
        self.key_index.get(&key).copied()
    }

    /// Whether the books can take these sources and checkpoints as well.
    pub(super) fn has_room<'a>(
        &self,
        books: &Books,
        sources: impl Iterator<Item = &'a Arc<str>>,
        checkpoints: impl Iterator<Item = &'a str>,
    ) -> Result<(), WalError> {
        let new = sources.filter(|s| !self.sequences.contains_key(*s) && !books.sequences.contains_key(*s));
        if books.sequences.len() + self.new_sources + new.count() > MAX_SOURCES {
            return Err(WalError::TooMany { what: "sources", limit: MAX_SOURCES });
        }
        let new = checkpoints.filter(|c| !books.checkpoints.contains_key(*c));
        if books.checkpoints.len() + self.new_checkpoints + new.count() > MAX_CHECKPOINTS {
            return Err(WalError::TooMany { what: "read positions", limit: MAX_CHECKPOINTS });
        }
        Ok(())
    }

    /// Gives a source its next `count` sequence numbers; the answer is the first.
    pub(super) fn number(&mut self, books: &Books, source: &Arc<str>, count: u64) -> u64 {
        let last = match self.sequences.get_mut(source) {
            Some(last) => last,
            None => {
                let known = books.sequences.get(source).copied();
                self.new_sources += usize::from(known.is_none());
                self.sequences.entry(Arc::clone(source)).or_insert(known.unwrap_or(books.floor))
            }
        };
        let first = last.saturating_add(1);
        *last = last.saturating_add(count);
        first
    }

    /// Remembers a key.
    pub(super) fn remember(&mut self, key: KeyHash, stored: Stored) {
        self.keys.push((key, stored));
        self.key_index.insert(key, stored);
    }

    /// Notes a read position.
    pub(super) fn checkpoint(&mut self, books: &Books, name: String, value: Vec<u8>) {
        self.new_checkpoints += usize::from(!books.checkpoints.contains_key(&name));
        self.checkpoints.push((name, value));
    }

    /// Makes the changes real.
    pub(super) fn apply(self, books: &mut Books) {
        for (source, last) in self.sequences {
            books.reached(&source, last);
        }
        for (key, stored) in self.keys {
            books.remember(key, stored);
        }
        for (name, value) in self.checkpoints {
            books.checkpoint(&name, &value);
        }
    }
}

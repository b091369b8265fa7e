//! Walks the entries of a segment, and past damage to the next intact entry.

use std::{io, sync::Arc};

use super::{
    disk::DiskFile,
    format::{HEAD, HEAD_MAGIC, Head, TAIL, TAIL_MAGIC, read_tail},
};

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// What comes next in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// An intact entry; its payload is at hand.
    Entry(Head),
    /// Bytes that are not an entry, up to the next intact entry or the end.
    Damage {
        /// How many bytes.
        bytes: u64,
        /// The position after the last record that an intact tail within names, or 0.
        written_to: u64,
        /// The position after the last record that an intact head within names, or 0.
        begun_to: u64,
    },
    /// No more for now.
    End,
}

/// A cursor over the entries of one segment.
pub(super) struct Scanner {
    file: Arc<dyn DiskFile>,
    salt: u64,
    /// Where the next entry begins.
    pub(super) at: u64,
    /// Bytes from here on are not looked at.
    pub(super) end: u64,
    /// Entries must not begin before this position.
    pub(super) expected: u64,
    /// Entries from this position on are void: a later segment begins with it.
    pub(super) cut: u64,
    window: Vec<u8>,
    window_at: u64,
    payload: std::ops::Range<usize>,
}

impl Scanner {
    pub(super) fn new(file: Arc<dyn DiskFile>, salt: u64, at: u64, end: u64, expected: u64) -> Self {
        Self {
            file,
            salt,
            at,
            end,
            expected,
            cut: u64::MAX,
            window: Vec::new(),
            window_at: at,
            payload: 0..0,
        }
    }

    /// The payload of the entry that [`Scanner::step`] answered with.
    pub(super) fn payload(&self) -> &[u8] {
        &self.window[self.payload.clone()]
    }

    /// The next entry or damage.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        if self.at >= self.end {
            return Ok(Step::End);
        }
        if let Some((head, size)) = self.entry_at(self.at)? {
            // An entry without records may stand right at the cut: it marks a gap before it.
            if head.first > self.cut || (head.first == self.cut && head.count > 0) {
                self.at = self.end;
                return Ok(Step::End);
            }
            self.at += size;
            self.expected = head.end();
            return Ok(Step::Entry(head));
        }
        self.skip_damage()
    }

    /// The intact entry at an offset, and its size in the file.
    fn entry_at(&mut self, at: u64) -> io::Result<Option<(Head, u64)>> {
        let salt = self.salt;
        let Some(head) = Head::read(self.fill(at, HEAD)?, salt) else { return Ok(None) };
        let size = (HEAD + head.payload + TAIL) as u64;
        if head.first < self.expected || size > self.end - at {
            return Ok(None);
        }
        let whole = self.fill(at, HEAD + head.payload)?;
        if whole.get(HEAD..HEAD + head.payload).map(crc32fast::hash) != Some(head.crc) {
            return Ok(None);
        }
        let start = (at - self.window_at) as usize + HEAD;
        self.payload = start..start + head.payload;
        Ok(Some((head, size)))
    }

    /// Moves to the next intact entry after the cursor.
    fn skip_damage(&mut self) -> io::Result<Step> {
        let start = self.at;
        let (mut written_to, mut begun_to) = (0, 0);
        let salt = self.salt;
        // The head that made the cursor's place unreadable may itself be intact.
        if let Some(head) = Head::read(self.fill(start, HEAD)?, salt) {
            begun_to = head.end();
        }
        let mut at = start + 1;
        while at < self.end {
            // As much as is at hand, and enough for one head.
            let chunk = self.fill(at, HEAD)?;
            let len = chunk.len();
            let Some(found) = find_magic(chunk) else {
                // A magic may straddle the end of the chunk.
                at += len.saturating_sub(HEAD_MAGIC.len() - 1).max(1) as u64;
                continue;
            };
            let candidate = at + found as u64;
            at = candidate + 1;
            if let Some(end) = read_tail(self.fill(candidate, TAIL)?, salt) {
                written_to = written_to.max(end);
                continue;
            }
            if let Some(head) = Head::read(self.fill(candidate, HEAD)?, salt) {
                if self.entry_at(candidate)?.is_some() {
                    self.at = candidate;
                    return Ok(Step::Damage { bytes: candidate - start, written_to, begun_to });
                }
                begun_to = begun_to.max(head.end());
            }
        }
        self.at = self.end;
        Ok(Step::Damage { bytes: self.end - start, written_to, begun_to })
    }

    /// At least `want` bytes from an offset on, and what else is at hand; fewer only at the end.
    fn fill(&mut self, at: u64, want: usize) -> io::Result<&[u8]> {
        let want = want.min(usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX));
        let have_to = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + want as u64 > have_to {
            let kept = if (self.window_at..have_to).contains(&at) {
                (at - self.window_at) as usize
            } else {
                self.window.len()
            };
            self.window.drain(..kept);
            self.window_at = at;
            let mut have = self.window.len();
            let room = want.max(CHUNK.min(usize::try_from(self.end - at).unwrap_or(CHUNK)));
            self.window.resize(room.max(have), 0);
            while have < want {
                let read = self.file.read_at(&mut self.window[have..], at + have as u64)?;
                if read == 0 {
                    break;
                }
                have += read;
            }
            self.window.truncate(have);
        }
        let from = (at - self.window_at) as usize;
        let to = self.window.len();
        Ok(&self.window[from.min(to)..to])
    }
}

/// The first place at which an entry's head or tail may begin.
fn find_magic(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(HEAD_MAGIC[0], bytes).find(|&at| {
        bytes.get(at..at + HEAD_MAGIC.len()).is_some_and(|four| four == HEAD_MAGIC || four == TAIL_MAGIC)
    })
}

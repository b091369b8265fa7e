//! Where a reader is in a file, in a form that survives restarts, renames and reuse of inodes.

use std::{fs::File, io, os::unix::fs::FileExt};

/// Bytes at a file's beginning by which it is recognised.
const MARK: usize = 256;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Position {
    /// Device and inode.
    pub file: (u64, u64),
    /// Everything before this byte is in the log.
    pub offset: u64,
    /// The file's first bytes, at most [`MARK`]: an inode is given to a new file soon after the old
    /// one is gone, but the new file begins with another time.
    pub mark: Vec<u8>,
}

impl Position {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        for number in [self.file.0, self.file.1, self.offset] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.mark);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (numbers, mark) = rest.split_at_checked(24)?;
        let number = |at: usize| {
            numbers[at..at + 8].iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        };
        (*version == 1 && mark.len() <= MARK).then(|| Self {
            file: (number(0), number(8)),
            offset: number(16),
            mark: mark.to_vec(),
        })
    }

    /// Whether the file begins as the one did that this is a place in.
    pub(super) fn marks(&self, file: &File) -> io::Result<bool> {
        Ok(mark(file, self.mark.len())? == self.mark)
    }

    /// Lengthens the mark while the file is shorter than it may be.
    pub(super) fn remark(&mut self, file: &File) -> io::Result<()> {
        if self.mark.len() < MARK && (self.mark.len() as u64) < self.offset {
            self.mark = mark(file, MARK.min(usize::try_from(self.offset).unwrap_or(MARK)))?;
        }
        Ok(())
    }
}

fn mark(file: &File, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut have = 0;
    while have < len {
        match file.read_at(&mut bytes[have..], have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_round_trip_and_foreign_bytes_are_refused() {
        let position = Position { file: (3, u64::MAX), offset: 1 << 40, mark: b"Jan  1".to_vec() };
        assert_eq!(Position::decode(&position.encode()), Some(position));
        assert_eq!(Position::decode(b""), None);
        assert_eq!(Position::decode(&[2; 60]), None);
        assert_eq!(Position::decode(&[1; 600]), None);
    }
}

//! Signature sidecars: which chunks of a file's rows may contain a piece of text.
//!
//! A file's rows are divided into chunks of [`CHUNK_ROWS`]. For each chunk there is a bitmap with
//! one bit per possible 4-gram (a hash of four successive characters, regardless of case) of any
//! text of the chunk's events, and a smaller one for whole values of columns with many distinct
//! values. The bitmaps are stored bit-sliced: for each bit position one slice with a bit per chunk,
//! so that the few grams of a needle read a few short slices, whatever the size of the file.
//!
//! The answer never leaves out a chunk that has a match. Grams cover ASCII characters only, letters
//! as lower case; the three other characters that fold to an ASCII letter (K, ſ, İ) count as that
//! letter. So the answer is right for any comparison that ignores case by lower case or by Unicode's
//! simple folding. What a needle contains beyond ASCII does not narrow the answer.
//!
//! `build` makes a sidecar, `file` is its form on disk and its reading. What is indexed of an event
//! is decided by the caller.

mod build;
mod file;

use std::ops::Range;

pub(crate) use build::SignatureBuilder;
pub use file::Sidecar;

/// Rows per chunk. Pages of the Parquet files have at most as many rows, and row groups are
/// multiples of it.
pub const CHUNK_ROWS: usize = 8_192;

/// Bits per chunk for 4-grams, as a power of two.
const GRAM_BITS: u32 = 19;
/// Bits per chunk for whole values, as a power of two.
const VALUE_BITS: u32 = 17;

/// A set of chunks of one file's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkSet {
    rows: u64,
    bits: Vec<u8>,
}

impl ChunkSet {
    /// All chunks of a file of `rows` rows.
    pub fn all(rows: u64) -> Self {
        let chunks = Self::chunks_of(rows);
        let mut bits = vec![0xff; chunks.div_ceil(8)];
        if let (Some(last), spare @ 1..) = (bits.last_mut(), chunks % 8) {
            *last = (1 << spare) - 1;
        }
        Self { rows, bits }
    }

    fn chunks_of(rows: u64) -> usize {
        usize::try_from(rows.div_ceil(CHUNK_ROWS as u64)).unwrap_or(usize::MAX)
    }

    /// Number of chunks in the file.
    pub fn total(&self) -> usize {
        Self::chunks_of(self.rows)
    }

    /// Number of chunks in the set.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|b| b.count_ones() as usize).sum()
    }

    /// Whether no chunk is in the set: the file need not be read.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|b| *b == 0)
    }

    /// Whether all chunks are in the set: nothing can be skipped.
    pub fn is_all(&self) -> bool {
        self.len() == self.total()
    }

    /// Whether the set has the chunk of that number, from 0.
    pub fn contains(&self, chunk: usize) -> bool {
        self.bits.get(chunk / 8).is_some_and(|b| b & (1 << (chunk % 8)) != 0)
    }

    /// Leaves only what is in both sets.
    pub fn intersect(&mut self, other: &Self) {
        self.and(&other.bits);
    }

    fn and(&mut self, slice: &[u8]) {
        for (have, other) in self.bits.iter_mut().zip(slice) {
            *have &= other;
        }
    }

    /// The row ranges of the file that the set covers, ascending, joined where they touch.
    pub fn row_ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for chunk in (0..self.total()).filter(|c| self.contains(*c)) {
            let start = (chunk * CHUNK_ROWS) as u64;
            let end = (start + CHUNK_ROWS as u64).min(self.rows);
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => ranges.push(start..end),
            }
        }
        ranges
    }
}

/// The bit of a gram: four folded characters as one number.
#[inline]
const fn gram_bit(gram: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> (32 - GRAM_BITS)) as usize
}

/// The two bits of a value in a column, regardless of case. `column` is the column's place in the
/// schema. Beyond ASCII only the characters that fold to an ASCII letter count.
fn value_bits(column: usize, value: &str) -> [usize; 2] {
    if value.is_ascii() {
        return ascii_value_bits(column, value.as_bytes());
    }
    let folded: Vec<u8> = value.chars().filter_map(fold_to_ascii).collect();
    ascii_value_bits(column, &folded)
}

fn ascii_value_bits(column: usize, value: &[u8]) -> [usize; 2] {
    let mut hash = 0x517c_c1b7_2722_0a95_u64 ^ (column as u64);
    for chunk in value.chunks(8) {
        let mut word = [0u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        word.make_ascii_lowercase();
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    hash = (hash ^ value.len() as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let shift = 64 - VALUE_BITS;
    [(hash >> shift) as usize, (hash.wrapping_mul(0x94d0_49bb_1331_11eb) >> shift) as usize]
}

/// The ASCII character, letters as lower case, that a character equals when case is ignored; `None`
/// for those that equal none.
fn fold_to_ascii(c: char) -> Option<u8> {
    match c {
        '\u{212a}' => Some(b'k'),
        '\u{17f}' => Some(b's'),
        // Its lower case is i and a combining dot.
        '\u{130}' => Some(b'i'),
        c if c.is_ascii() => Some((c as u8).to_ascii_lowercase()),
        _ => None,
    }
}

/// The grams that every text containing `needle` has.
fn grams_of(needle: &str) -> Vec<u32> {
    let mut grams = Vec::new();
    for run in needle.split(|c: char| !c.is_ascii()) {
        for window in run.as_bytes().windows(4) {
            let folded = window.iter().fold(0u32, |g, b| (g << 8) | u32::from(b.to_ascii_lowercase()));
            grams.push(folded);
        }
    }
    grams.sort_unstable();
    grams.dedup();
    grams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_cover_rows() {
        let all = ChunkSet::all(20_000);
        assert_eq!((all.total(), all.len(), all.is_all()), (3, 3, true));
        assert_eq!(all.row_ranges().as_slice(), std::slice::from_ref(&(0..20_000)));
        let mut some = all.clone();
        some.and(&[0b101]);
        assert_eq!(some.row_ranges(), [0..8_192, 16_384..20_000]);
        some.and(&[0b010]);
        assert!(some.is_empty() && some.row_ranges().is_empty());
        assert_eq!(ChunkSet::all(8 * 8_192).len(), 8);
        assert!(ChunkSet::all(0).is_empty());
    }
}

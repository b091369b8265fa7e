//! A sidecar's form on disk, and its reading.
//!
//! ```text
//! "CVGSIG01"  length of the header: u32
//! header, one zstd frame with checksum:
//!   rows: u64, number of sections: u32, then per section:
//!   bits: u32 (power of two), length of each block: u32 × 2^bits / SLICES
//! blocks of all sections, each one zstd frame with checksum:
//!   SLICES slices, each of one bit per chunk, rounded up to bytes
//! ```
//!
//! Numbers are little-endian. Damage anywhere is noticed by length or checksum, and makes the part
//! useless, never wrong.

use std::{fs::File, io::Read as _, os::unix::fs::FileExt as _, path::Path};

use super::{super::error::EventsError, ChunkSet, build::Bitmaps, gram_bit, grams_of, value_bits};

const MAGIC: &[u8; 8] = b"CVGSIG01";
/// Slices per block.
const SLICES: usize = 2_048;
/// Level of zstd. The bits are close to random: more effort gains nothing.
const LEVEL: i32 = 1;
/// Grams of one needle that are looked at; more would read more than they rule out.
const MAX_GRAMS: usize = 24;

fn compressor() -> std::io::Result<zstd::bulk::Compressor<'static>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    Ok(compressor)
}

/// The content of a sidecar with these sections, all of equally many chunks.
pub(super) fn encode(rows: u64, sections: &[Bitmaps]) -> std::io::Result<Vec<u8>> {
    let mut compressor = compressor()?;
    let mut header = Vec::new();
    header.extend(rows.to_le_bytes());
    header.extend((sections.len() as u32).to_le_bytes());
    let mut blocks = Vec::new();
    for section in sections {
        header.extend(section.bits.to_le_bytes());
        let width = section.chunks.len().div_ceil(8);
        let mut block = vec![0u8; SLICES * width];
        for first in (0..1usize << section.bits).step_by(SLICES) {
            slice(&section.chunks, first, width, &mut block);
            let packed = compressor.compress(&block)?;
            header.extend((packed.len() as u32).to_le_bytes());
            blocks.extend_from_slice(&packed);
        }
    }
    let header = compressor.compress(&header)?;
    let mut out = Vec::with_capacity(12 + header.len() + blocks.len());
    out.extend_from_slice(MAGIC);
    out.extend((header.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(&blocks);
    Ok(out)
}

/// Fills `block` with the slices of bits `first..first + SLICES`: eight chunks by eight bits at a
/// time.
fn slice(chunks: &[Box<[u8]>], first: usize, width: usize, block: &mut [u8]) {
    for (group, eight) in chunks.chunks(8).enumerate() {
        for byte in 0..SLICES / 8 {
            let mut word = 0u64;
            for (at, chunk) in eight.iter().enumerate() {
                word |= u64::from(chunk[first / 8 + byte]) << (8 * at);
            }
            if word == 0 {
                for bit in 0..8 {
                    block[(byte * 8 + bit) * width + group] = 0;
                }
                continue;
            }
            let word = transpose(word);
            for bit in 0..8 {
                block[(byte * 8 + bit) * width + group] = (word >> (8 * bit)) as u8;
            }
        }
    }
}

/// Transposes an 8 × 8 matrix of bits, rows in bytes, least first.
const fn transpose(mut x: u64) -> u64 {
    let mut t = (x ^ (x >> 7)) & 0x00aa_00aa_00aa_00aa;
    x ^= t ^ (t << 7);
    t = (x ^ (x >> 14)) & 0x0000_cccc_0000_cccc;
    x ^= t ^ (t << 14);
    t = (x ^ (x >> 28)) & 0x0000_0000_f0f0_f0f0;
    x ^ t ^ (t << 28)
}

/// One section as the header describes it: where each of its blocks is.
#[derive(Debug)]
struct Section {
    bits: u32,
    /// Offset of each block in the file, and of the end.
    offsets: Vec<u64>,
}

/// An open sidecar.
#[derive(Debug)]
pub struct Sidecar {
    file: File,
    rows: u64,
    width: usize,
    grams: Section,
    values: Section,
}

impl Sidecar {
    /// Opens the sidecar of a file with that many rows; `None` where there is none.
    pub(crate) fn open(path: &Path, rows: u64) -> Result<Option<Self>, EventsError> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EventsError::io("opening", path)(error)),
        };
        let damaged = |what: &str| EventsError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let mut start = [0u8; 12];
        file.read_exact(&mut start).map_err(|_| damaged("too short"))?;
        let Some((magic, [a, b, c, d])) = start.split_first_chunk::<8>() else {
            return Err(damaged("too short"));
        };
        if magic != MAGIC {
            return Err(damaged("not a signature file of this version"));
        }
        let len = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        if len > 1 << 20 {
            return Err(damaged("its header is too long"));
        }
        let mut packed = vec![0; len];
        file.read_exact(&mut packed).map_err(|_| damaged("its header is cut off"))?;
        let header =
            zstd::bulk::decompress(&packed, 1 << 22).map_err(|_| damaged("its header is unreadable"))?;
        let mut words = Words(&header);
        let found = words.u64();
        if found != Some(rows) {
            return Err(damaged("it belongs to a file with another number of rows"));
        }
        let mut at = 12 + len as u64;
        let mut sections = Vec::new();
        for _ in 0..words.u32().unwrap_or(0).min(2) {
            let bits = words.u32().filter(|b| (11..=24).contains(b)).ok_or_else(|| damaged("bad section"))?;
            let mut offsets = vec![at];
            for _ in 0..(1usize << bits) / SLICES {
                at += u64::from(words.u32().ok_or_else(|| damaged("its header is too short"))?);
                offsets.push(at);
            }
            sections.push(Section { bits, offsets });
        }
        let (Some(values), Some(grams)) = (sections.pop(), sections.pop()) else {
            return Err(damaged("it lacks a section"));
        };
        let known = grams.bits == super::GRAM_BITS && values.bits == super::VALUE_BITS;
        if !known {
            return Err(damaged("its sections have other sizes"));
        }
        let width = ChunkSet::all(rows).bits.len();
        Ok(Some(Self { file, rows, width, grams, values }))
    }

    /// The chunks that may contain all the needles, each as a piece of any text of an event,
    /// regardless of case. Needles without four successive ASCII characters rule nothing out; so
    /// does a damaged part of the sidecar.
    pub fn candidate_chunks(&self, needles: &[&str]) -> ChunkSet {
        let mut bits: Vec<usize> = Vec::new();
        for needle in needles {
            let grams = grams_of(needle);
            let step = grams.len().div_ceil(MAX_GRAMS).max(1);
            bits.extend(grams.iter().step_by(step).map(|g| gram_bit(*g)));
        }
        let mut set = ChunkSet::all(self.rows);
        self.narrow(&self.grams, bits, &mut set);
        set
    }

    /// The chunks in which the column may have exactly that value. All, for a column whose values
    /// are not indexed whole; see [`is_indexed_value`](crate::events::is_indexed_value).
    pub fn value_chunks(&self, column: &str, value: &str) -> ChunkSet {
        let mut set = ChunkSet::all(self.rows);
        if let Some(column) = super::super::schema::value_column(column) {
            self.narrow(&self.values, value_bits(column, value).to_vec(), &mut set);
        }
        set
    }

    fn narrow(&self, section: &Section, mut bits: Vec<usize>, set: &mut ChunkSet) {
        bits.sort_unstable();
        bits.dedup();
        let mut at = 0;
        while at < bits.len() && !set.is_empty() {
            let block = bits[at] / SLICES;
            let of_block = bits[at..].iter().take_while(|b| **b / SLICES == block).count();
            if let Some(slices) = self.block(section, block) {
                for bit in &bits[at..at + of_block] {
                    let start = bit % SLICES * self.width;
                    set.and(&slices[start..start + self.width]);
                }
            }
            at += of_block;
        }
    }

    fn block(&self, section: &Section, block: usize) -> Option<Vec<u8>> {
        let (start, end) = (*section.offsets.get(block)?, *section.offsets.get(block + 1)?);
        let size = SLICES * self.width;
        let len = usize::try_from(end - start).ok().filter(|len| *len <= size + (size >> 7) + 512)?;
        let mut packed = vec![0; len];
        self.file.read_exact_at(&mut packed, start).ok()?;
        let slices = zstd::bulk::decompress(&packed, size).ok()?;
        (slices.len() == size).then_some(slices)
    }
}

/// Reads numbers off the front of a byte string.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::SignatureBuilder, *};
    use crate::events::signature::CHUNK_ROWS;

    fn sidecar(rows: &[Vec<String>]) -> (tempfile::TempDir, Sidecar) {
        let mut builder = SignatureBuilder::new();
        for row in rows {
            for text in row {
                builder.text(text);
                builder.value(3, text);
            }
            builder.end_row();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sig");
        std::fs::write(&path, builder.finish().unwrap()).unwrap();
        let sidecar = Sidecar::open(&path, rows.len() as u64).unwrap().unwrap();
        (dir, sidecar)
    }

    #[test]
    fn a_rare_text_is_found_in_its_chunk_alone() {
        let mut rows: Vec<Vec<String>> = (0..CHUNK_ROWS * 11 + 5)
            .map(|n| vec![format!("process {n} started"), format!("10.0.{}.{}", n % 256, n / 256)])
            .collect();
        rows[CHUNK_ROWS * 9 + 1].push("C:\\Temp\\MimiKatz.exe".into());
        let (_dir, sidecar) = sidecar(&rows);
        let found = sidecar.candidate_chunks(&["mimikatz"]);
        assert_eq!((found.total(), found.len(), found.contains(9)), (12, 1, true));
        assert!(sidecar.candidate_chunks(&["mimikatz", "absentees"]).is_empty());
        assert!(sidecar.candidate_chunks(&["STARTED"]).is_all());
        assert!(sidecar.candidate_chunks(&["éÅ", "abc", ""]).is_all());
        let one = sidecar.value_chunks("source", "C:\\Temp\\MimiKatz.exe");
        assert!(one.contains(9) && one.len() < 4);
    }

    #[test]
    fn characters_that_fold_to_ascii_count_as_ascii() {
        let (_dir, sidecar) = sidecar(&[vec!["mimi\u{212a}atz ba\u{17f}e64 foo\u{130}".into()]]);
        for needle in ["mimikatz", "base64", "FOOi"] {
            assert_eq!(sidecar.candidate_chunks(&[needle]).len(), 1, "{needle}");
        }
        assert_eq!(sidecar.candidate_chunks(&["mimicatz"]).len(), 0);
    }

    #[test]
    fn damage_is_noticed_and_never_hides_a_match() {
        let rows = vec![vec!["the quick brown fox".to_owned()]; 10];
        let mut builder = SignatureBuilder::new();
        for row in &rows {
            builder.text(&row[0]);
            builder.end_row();
        }
        let good = builder.finish().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sig");
        assert!(Sidecar::open(&path, 10).unwrap().is_none());
        std::fs::write(&path, &good).unwrap();
        assert!(Sidecar::open(&path, 11).is_err());
        for at in (0..good.len()).step_by(37) {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            std::fs::write(&path, &bad).unwrap();
            if let Ok(Some(sidecar)) = Sidecar::open(&path, 10) {
                assert_eq!(sidecar.candidate_chunks(&["quick brown"]).len(), 1, "byte {at}");
            }
        }
        for len in [0, 5, 11, 40, good.len() - 1] {
            std::fs::write(&path, &good[..len]).unwrap();
            if let Ok(Some(sidecar)) = Sidecar::open(&path, 10) {
                assert_eq!(sidecar.candidate_chunks(&["quick brown"]).len(), 1, "length {len}");
            }
        }
    }

    #[test]
    fn matrices_are_transposed() {
        for (row, column) in (0..64).map(|n| (n / 8, n % 8)) {
            assert_eq!(transpose(1 << (row * 8 + column)), 1 << (column * 8 + row));
        }
    }

    proptest! {
        #[test]
        fn a_piece_of_any_text_is_always_found(
            texts in proptest::collection::vec(".{0,30}", 1..20),
            which in any::<proptest::sample::Index>(),
            from in any::<proptest::sample::Index>(),
            len in 1usize..20,
        ) {
            let rows: Vec<Vec<String>> = texts.iter().map(|t| vec![t.clone()]).collect();
            let (_dir, sidecar) = sidecar(&rows);
            let text: Vec<char> = which.get(&texts).chars().collect();
            if !text.is_empty() {
                let from = from.index(text.len());
                let piece: String = text[from..(from + len).min(text.len())].iter().collect();
                for needle in [piece.to_lowercase(), piece.to_uppercase().to_lowercase(), piece] {
                    let lower = which.get(&texts).to_lowercase().contains(&needle.to_lowercase());
                    prop_assert!(!lower || sidecar.candidate_chunks(&[&needle]).contains(0));
                }
            }
            prop_assert!(sidecar.value_chunks("source", &texts[which.index(texts.len())]).contains(0));
        }
    }
}

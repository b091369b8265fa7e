//! Making a sidecar, row by row.

use super::super::schema::index;
use super::{CHUNK_ROWS, GRAM_BITS, VALUE_BITS, file, fold_to_ascii, gram_bit, value_bits};

/// Collects the signatures of one file's rows, in the file's order.
pub(crate) struct SignatureBuilder {
    rows: u64,
    grams: Bitmaps,
    values: Bitmaps,
    /// The text last added per column, in this chunk.
    last: Vec<String>,
}

/// The bitmaps of one section: those of finished chunks, and the current one.
pub(super) struct Bitmaps {
    pub(super) bits: u32,
    pub(super) chunks: Vec<Box<[u8]>>,
    current: Box<[u8]>,
}

impl Bitmaps {
    fn new(bits: u32) -> Self {
        Self { bits, chunks: Vec::new(), current: vec![0; 1 << (bits - 3)].into_boxed_slice() }
    }

    #[inline]
    fn set(&mut self, bit: usize) {
        // The mask keeps the index in range, so that no check is needed.
        let mask = self.current.len() - 1;
        self.current[(bit >> 3) & mask] |= 1 << (bit & 7);
    }

    fn end_chunk(&mut self) {
        let empty = vec![0; self.current.len()].into_boxed_slice();
        self.chunks.push(std::mem::replace(&mut self.current, empty));
    }
}

impl SignatureBuilder {
    pub(crate) fn new() -> Self {
        Self {
            rows: 0,
            grams: Bitmaps::new(GRAM_BITS),
            values: Bitmaps::new(VALUE_BITS),
            last: vec![String::new(); index::COUNT],
        }
    }

    /// Adds a text of the current row, to be found by any piece of it.
    pub(crate) fn text(&mut self, text: &str) {
        if text.is_ascii() { self.ascii(text.as_bytes()) } else { self.mixed(text) }
    }

    fn ascii(&mut self, text: &[u8]) {
        let [a, b, c, rest @ ..] = text else { return };
        let fold = |b: u8| u32::from(b.to_ascii_lowercase());
        let mut gram = fold(*a) << 16 | fold(*b) << 8 | fold(*c);
        for byte in rest {
            gram = gram << 8 | fold(*byte);
            self.grams.set(gram_bit(gram));
        }
    }

    fn mixed(&mut self, text: &str) {
        let mut gram = 0u32;
        let mut run = 0usize;
        for c in text.chars() {
            let Some(byte) = fold_to_ascii(c) else {
                run = 0;
                continue;
            };
            gram = gram << 8 | u32::from(byte);
            run += 1;
            if run >= 4 {
                self.grams.set(gram_bit(gram));
            }
            if c == '\u{130}' {
                // The combining dot of its lower case ends the run.
                run = 0;
            }
        }
    }

    /// Adds a text of a column that often has the same text in successive rows.
    pub(crate) fn text_again(&mut self, column: usize, text: &str) {
        if let Some(last) = self.last.get_mut(column) {
            if *last == text {
                return;
            }
            text.clone_into(last);
        }
        self.text(text);
    }

    /// Adds a whole value of a column of the current row. `column` is its place in the schema.
    pub(crate) fn value(&mut self, column: usize, value: &str) {
        for bit in value_bits(column, value) {
            self.values.set(bit);
        }
    }

    /// Ends the current row.
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
        if self.rows.is_multiple_of(CHUNK_ROWS as u64) {
            self.grams.end_chunk();
            self.values.end_chunk();
            self.last.iter_mut().for_each(String::clear);
        }
    }

    /// The sidecar's content.
    pub(crate) fn finish(mut self) -> std::io::Result<Vec<u8>> {
        if !self.rows.is_multiple_of(CHUNK_ROWS as u64) {
            self.grams.end_chunk();
            self.values.end_chunk();
        }
        file::encode(self.rows, &[self.grams, self.values])
    }
}

//! UTF-16 to UTF-8, for text that Windows tools wrote.

use std::io::{self, Read};

/// Decodes a stream of UTF-16 whose byte order is known. The byte order mark becomes U+FEFF, and
/// what is not UTF-16 becomes U+FFFD.
pub(super) struct Decoder<'a> {
    inner: &'a mut dyn Read,
    big_endian: bool,
    raw: Vec<u8>,
    /// Bytes of `raw` that hold undecoded input.
    held: usize,
    ready: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(inner: &'a mut dyn Read, big_endian: bool) -> Self {
        Self { inner, big_endian, raw: vec![0; 32 << 10], held: 0, ready: Vec::new(), given: 0, ended: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        let read = self.inner.read(&mut self.raw[self.held..])?;
        self.ended = read == 0;
        self.held += read;
        let mut units: Vec<u16> = Vec::with_capacity(self.held / 2 + 1);
        for pair in self.raw[..self.held].chunks_exact(2) {
            let pair = [pair[0], pair[1]];
            units.push(if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
        }
        let mut used = units.len() * 2;
        // The first half of a pair waits for the second.
        if !self.ended && units.last().is_some_and(|u| (0xd800..0xdc00).contains(u)) {
            units.pop();
            used -= 2;
        }
        self.ready.clear();
        self.given = 0;
        let mut utf8 = [0; 4];
        for decoded in char::decode_utf16(units) {
            let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.ready.extend_from_slice(decoded.encode_utf8(&mut utf8).as_bytes());
        }
        self.raw.copy_within(used..self.held, 0);
        self.held -= used;
        Ok(())
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() && !self.ended {
            self.refill()?;
        }
        let n = out.len().min(self.ready.len() - self.given);
        out[..n].copy_from_slice(&self.ready[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

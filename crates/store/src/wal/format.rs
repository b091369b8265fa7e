//! The bytes of the log. All numbers are little-endian.
//!
//! A segment is a header, then entries. Each entry is one batch:
//!
//! ```text
//! head     magic 4 | payload length 4 | first position 8 | records 4 | payload CRC 4 | head CRC 4
//! payload  flags 1 (1: key, 2: gap) | key hash 16, if flagged
//!          strings 2: { length 2, bytes }
//!          sources 2: { string 2, first sequence 8 }
//!          checkpoints 2: { name length 2, name, value length 4, value }
//!          records 4: { source 2, parser string 2, peer string + 1 2, received 8, length 4, bytes }
//! tail     magic 4 | first position 8 | records 4 | CRC 4
//! ```
//!
//! The tail says for a damaged entry how many records it had. CRCs of heads and tails begin with a
//! random number of this log (the salt), so that no record can contain something that passes for an
//! entry of this log. Nothing here does I/O.

use std::{collections::hash_map::Entry, sync::Arc};

use covigil_model::{EventId, Record, Time};
use rustc_hash::FxHashMap;

use super::{
    NewRecord, Position,
    books::{Books, KeyHash, Stored},
};

pub(super) const HEAD: usize = 28;
pub(super) const TAIL: usize = 20;
pub(super) const HEAD_MAGIC: [u8; 4] = [0xc7, b'E', b'v', 0x9e];
pub(super) const TAIL_MAGIC: [u8; 4] = [0xc7, b'e', b'V', 0x9f];
pub(super) const SEGMENT_HEAD: usize = 36;
const SEGMENT_MAGIC: [u8; 8] = *b"CVGLWAL\n";
/// The version that is written.
pub(super) const VERSION: u32 = 1;
const HAS_KEY: u8 = 1;
const IS_GAP: u8 = 2;

/// CRC-32 of the log's salt and some bytes.
pub(super) fn salted_crc(salt: u64, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&salt.to_le_bytes());
    crc.update(bytes);
    crc.finalize()
}

/// What an entry's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) payload: usize,
    pub(super) first: u64,
    pub(super) count: u32,
    pub(super) crc: u32,
}

impl Head {
    /// The position after the entry's last record.
    pub(super) const fn end(&self) -> u64 {
        self.first.saturating_add(self.count as u64)
    }

    /// The head at the beginning of `bytes`, if it is one of this log's.
    pub(super) fn read(bytes: &[u8], salt: u64) -> Option<Self> {
        let head = bytes.get(..HEAD)?;
        let mut fields = Fields(head);
        if fields.array::<4>()? != HEAD_MAGIC
            || salted_crc(salt, &head[..HEAD - 4]) != le32(&head[HEAD - 4..])?
        {
            return None;
        }
        let payload = fields.u32()? as usize;
        Some(Self { payload, first: fields.u64()?, count: fields.u32()?, crc: fields.u32()? })
    }
}

/// The position after the last record of the entry whose tail is at the beginning of `bytes`.
pub(super) fn read_tail(bytes: &[u8], salt: u64) -> Option<u64> {
    let tail = bytes.get(..TAIL)?;
    let mut fields = Fields(tail);
    if fields.array::<4>()? != TAIL_MAGIC || salted_crc(salt, &tail[..TAIL - 4]) != le32(&tail[TAIL - 4..])? {
        return None;
    }
    let first = fields.u64()?;
    first.checked_add(u64::from(fields.u32()?))
}

fn le32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// The strings of an entry, each once.
#[derive(Default)]
struct Strings<'a> {
    list: Vec<&'a str>,
    index: FxHashMap<&'a str, u16>,
}

impl<'a> Strings<'a> {
    fn of(&mut self, text: &'a str) -> u16 {
        // Most batches repeat the same few names.
        if let Some(last) = self.list.last()
            && std::ptr::eq(*last, text)
        {
            return (self.list.len() - 1) as u16;
        }
        match self.index.entry(text) {
            Entry::Occupied(have) => *have.get(),
            Entry::Vacant(free) => {
                let at = self.list.len() as u16;
                self.list.push(text);
                *free.insert(at)
            }
        }
    }
}

/// Appends an entry to `out`. `number` gives a source its next numbers and answers with the first.
/// The caller has checked all limits.
pub(super) fn write_entry(
    out: &mut Vec<u8>,
    salt: u64,
    first: Position,
    key: Option<KeyHash>,
    records: &[NewRecord],
    checkpoints: &[(String, Vec<u8>)],
    mut number: impl FnMut(&Arc<str>, u64) -> u64,
) {
    let start = begin_entry(out);
    match key {
        Some(key) => {
            out.push(HAS_KEY);
            out.extend_from_slice(&key.bits().to_le_bytes());
        }
        None => out.push(0),
    }
    let mut strings = Strings::default();
    let mut sources: Vec<(&Arc<str>, u16, u64)> = Vec::new();
    let mut source_index: FxHashMap<u16, u16> = FxHashMap::default();
    let mut rows: Vec<[u16; 3]> = Vec::with_capacity(records.len());
    for record in records {
        let name = strings.of(&record.source);
        let source = *source_index.entry(name).or_insert_with(|| {
            sources.push((&record.source, name, 0));
            (sources.len() - 1) as u16
        });
        sources[source as usize].2 += 1;
        let peer = record.peer.as_deref().map_or(0, |peer| strings.of(peer) + 1);
        rows.push([source, strings.of(&record.parser), peer]);
    }
    put16(out, strings.list.len());
    for text in &strings.list {
        put16(out, text.len());
        out.extend_from_slice(text.as_bytes());
    }
    put16(out, sources.len());
    for (name, string, count) in sources {
        out.extend_from_slice(&string.to_le_bytes());
        out.extend_from_slice(&number(name, count).to_le_bytes());
    }
    put16(out, checkpoints.len());
    for (name, value) in checkpoints {
        put16(out, name.len());
        out.extend_from_slice(name.as_bytes());
        put32(out, value.len());
        out.extend_from_slice(value);
    }
    put32(out, records.len());
    for (record, row) in records.iter().zip(rows) {
        for index in row {
            out.extend_from_slice(&index.to_le_bytes());
        }
        out.extend_from_slice(&record.received.nanos().to_le_bytes());
        put32(out, record.data.len());
        out.extend_from_slice(&record.data);
    }
    end_entry(out, start, salt, first, records.len());
}

/// Appends an entry that says: the records before `next` that are not here were lost and counted.
pub(super) fn write_gap(out: &mut Vec<u8>, salt: u64, next: Position) {
    let start = begin_entry(out);
    out.push(IS_GAP);
    // No strings, sources, checkpoints or records.
    out.extend_from_slice(&[0; 2 + 2 + 2 + 4]);
    end_entry(out, start, salt, next, 0);
}

fn begin_entry(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + HEAD, 0);
    start
}

/// Fills in the head of the entry that began at `start`, and appends its tail.
fn end_entry(out: &mut Vec<u8>, start: usize, salt: u64, first: Position, records: usize) {
    let payload = out.len() - start - HEAD;
    let crc = crc32fast::hash(&out[start + HEAD..]);
    let mut head = [0u8; HEAD];
    head[..4].copy_from_slice(&HEAD_MAGIC);
    head[4..8].copy_from_slice(&(payload as u32).to_le_bytes());
    head[8..16].copy_from_slice(&first.0.to_le_bytes());
    head[16..20].copy_from_slice(&(records as u32).to_le_bytes());
    head[20..24].copy_from_slice(&crc.to_le_bytes());
    let head_crc = salted_crc(salt, &head[..HEAD - 4]);
    head[24..].copy_from_slice(&head_crc.to_le_bytes());
    out[start..start + HEAD].copy_from_slice(&head);
    let tail = out.len();
    out.extend_from_slice(&TAIL_MAGIC);
    out.extend_from_slice(&first.0.to_le_bytes());
    put32(out, records);
    let tail_crc = salted_crc(salt, &out[tail..]);
    out.extend_from_slice(&tail_crc.to_le_bytes());
}

fn put16(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&(value as u16).to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

/// A reader of fields that answers `None` where the bytes end too soon.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, len: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(len)?).ok()
    }
}

/// One entry's payload, decoded as far as the books need it.
pub(super) struct Payload<'a> {
    pub(super) key: Option<KeyHash>,
    /// It marks a gap that was counted before.
    pub(super) gap: bool,
    strings: Vec<&'a str>,
    sources: Vec<(u16, u64)>,
    pub(super) checkpoints: Vec<(&'a str, &'a [u8])>,
    count: u32,
    records: &'a [u8],
}

/// One record of an entry, not yet copied.
pub(super) struct RawRecord<'a> {
    pub(super) source: &'a str,
    pub(super) sequence: u64,
    parser: &'a str,
    peer: Option<&'a str>,
    received: Time,
    data: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Decodes a payload whose CRC was right; `None` only if it was written by something else.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let flags = fields.u8()?;
        let key = match flags & HAS_KEY {
            0 => None,
            _ => Some(KeyHash::from_bits(u128::from_le_bytes(fields.array()?))),
        };
        let mut strings = Vec::new();
        for _ in 0..fields.u16()? {
            let len = fields.u16()?;
            strings.push(fields.text(usize::from(len))?);
        }
        let mut sources = Vec::new();
        for _ in 0..fields.u16()? {
            let string = fields.u16()?;
            strings.get(usize::from(string))?;
            sources.push((string, fields.u64()?));
        }
        let mut checkpoints = Vec::new();
        for _ in 0..fields.u16()? {
            let len = fields.u16()?;
            let name = fields.text(usize::from(len))?;
            let len = fields.u32()?;
            checkpoints.push((name, fields.take(len as usize)?));
        }
        let count = fields.u32()?;
        Some(Self { key, gap: flags & IS_GAP != 0, strings, sources, checkpoints, count, records: fields.0 })
    }

    /// The records in order.
    pub(super) fn records(&self) -> impl Iterator<Item = Option<RawRecord<'a>>> + '_ {
        let mut fields = Fields(self.records);
        let mut next: Vec<u64> = self.sources.iter().map(|(_, first)| *first).collect();
        (0..self.count).map(move |_| {
            let [source, parser, peer] = [fields.u16()?, fields.u16()?, fields.u16()?].map(usize::from);
            let received = Time::from_nanos(fields.u64()? as i64);
            let len = fields.u32()?;
            let data = fields.take(len as usize)?;
            let sequence = next.get_mut(source)?;
            let record = RawRecord {
                source: self.strings.get(usize::from(self.sources.get(source)?.0))?,
                sequence: *sequence,
                parser: self.strings.get(parser)?,
                peer: match peer {
                    0 => None,
                    at => Some(self.strings.get(at - 1)?),
                },
                received,
                data,
            };
            *sequence = sequence.saturating_add(1);
            Some(record)
        })
    }

    /// Enters the batch in the books.
    pub(super) fn note(&self, first: u64, books: &mut Books) {
        let mut lasts: FxHashMap<&str, u64> = FxHashMap::default();
        for record in self.records().flatten() {
            lasts.insert(record.source, record.sequence);
        }
        for (source, last) in lasts {
            match books.sequences.get_mut(source) {
                Some(have) => *have = last,
                None => {
                    books.sequences.insert(source.into(), last);
                }
            }
        }
        if let Some(key) = self.key {
            books.remember(key, Stored { first: Position(first), count: self.count });
        }
        for (name, value) in &self.checkpoints {
            books.checkpoint(name, value);
        }
    }
}

/// Shares equal names between records.
#[derive(Debug, Default)]
pub(super) struct Names(FxHashMap<Box<str>, Arc<str>>);

impl Names {
    const LIMIT: usize = 8_192;

    fn of(&mut self, text: &str) -> Arc<str> {
        if let Some(have) = self.0.get(text) {
            return Arc::clone(have);
        }
        if self.0.len() >= Self::LIMIT {
            self.0.clear();
        }
        let shared: Arc<str> = text.into();
        self.0.insert(text.into(), Arc::clone(&shared));
        shared
    }

    /// An owned copy of a record.
    pub(super) fn record(&mut self, raw: &RawRecord<'_>) -> Record {
        Record {
            id: EventId { source: self.of(raw.source), sequence: raw.sequence },
            received: raw.received,
            parser: self.of(raw.parser),
            peer: raw.peer.map(|peer| self.of(peer)),
            data: raw.data.to_vec(),
        }
    }
}

/// What the beginning of a segment says.
pub(super) enum SegmentHead {
    /// All is well; entries begin at the offset.
    Good { books: Box<Books>, entries: u64 },
    /// The head names the log but the books are damaged.
    DamagedBooks { salt: u64 },
    /// Written by a newer version.
    Newer { version: u32 },
    /// Damaged.
    Damaged,
}

/// The head's fixed part, and how many bytes of books follow it:
/// magic 8 | version 4 | salt 8 | books length 8 | books CRC 4 | head CRC 4.
pub(super) fn write_segment_head(salt: u64, books: &Books) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&books.floor.to_le_bytes());
    put32(&mut body, books.sequences.len());
    for (source, last) in &books.sequences {
        put16(&mut body, source.len());
        body.extend_from_slice(source.as_bytes());
        body.extend_from_slice(&last.to_le_bytes());
    }
    put32(&mut body, books.keys().len());
    for (key, stored) in books.keys() {
        body.extend_from_slice(&key.bits().to_le_bytes());
        body.extend_from_slice(&stored.first.0.to_le_bytes());
        body.extend_from_slice(&stored.count.to_le_bytes());
    }
    put32(&mut body, books.checkpoints.len());
    for (name, value) in &books.checkpoints {
        put16(&mut body, name.len());
        body.extend_from_slice(name.as_bytes());
        put32(&mut body, value.len());
        body.extend_from_slice(value);
    }
    let mut out = Vec::with_capacity(SEGMENT_HEAD + body.len());
    out.extend_from_slice(&SEGMENT_MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&salt.to_le_bytes());
    out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&body);
    out
}

/// Reads a segment's head. `books` reads so many bytes after the fixed part.
pub(super) fn read_segment_head<E>(
    fixed: &[u8],
    books: impl FnOnce(u64) -> Result<Vec<u8>, E>,
) -> Result<SegmentHead, E> {
    let Some((version, salt, len, crc)) = read_fixed(fixed) else { return Ok(SegmentHead::Damaged) };
    if version > VERSION {
        return Ok(SegmentHead::Newer { version });
    }
    let body = books(len)?;
    let entries = (SEGMENT_HEAD as u64).saturating_add(len);
    if body.len() as u64 == len
        && crc32fast::hash(&body) == crc
        && let Some(books) = read_books(&body)
    {
        return Ok(SegmentHead::Good { books: Box::new(books), entries });
    }
    Ok(SegmentHead::DamagedBooks { salt })
}

fn read_fixed(fixed: &[u8]) -> Option<(u32, u64, u64, u32)> {
    let fixed = fixed.get(..SEGMENT_HEAD)?;
    if crc32fast::hash(&fixed[..SEGMENT_HEAD - 4]) != le32(&fixed[SEGMENT_HEAD - 4..])? {
        return None;
    }
    let mut fields = Fields(fixed);
    (fields.array::<8>()? == SEGMENT_MAGIC).then_some(())?;
    Some((fields.u32()?, fields.u64()?, fields.u64()?, fields.u32()?))
}

fn read_books(body: &[u8]) -> Option<Books> {
    let mut fields = Fields(body);
    let mut books = Books::default();
    books.floor = fields.u64()?;
    for _ in 0..fields.u32()? {
        let len = fields.u16()?;
        let source = fields.text(usize::from(len))?;
        books.sequences.insert(source.into(), fields.u64()?);
    }
    for _ in 0..fields.u32()? {
        let key = KeyHash::from_bits(u128::from_le_bytes(fields.array()?));
        let first = Position(fields.u64()?);
        books.remember(key, Stored { first, count: fields.u32()? });
    }
    for _ in 0..fields.u32()? {
        let len = fields.u16()?;
        let name = fields.text(usize::from(len))?;
        let len = fields.u32()?;
        books.checkpoint(name, fields.take(len as usize)?);
    }
    Some(books)
}

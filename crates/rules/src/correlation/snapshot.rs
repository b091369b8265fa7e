//! The correlator's windows as bytes, for a restart and for a change of rules.
//!
//! State is kept by rule id and definition: where both are the same in the correlator that restores,
//! it goes on as if nothing had happened; the state of other rules is left out and reported. The
//! form is versioned and ends in a digest; what is damaged is refused as a whole.
//!
//! Running values are not stored. They are functions of the events in the window, and are computed
//! anew.

use std::{collections::BTreeMap, sync::Arc};

use covigil_model::EventId;

use super::{
    digest,
    engine::{Correlator, Group, MOST_LANES},
    plan::Planned,
    window::{Entry, Lane},
};

const MAGIC: &[u8; 8] = b"covigilC";
const VERSION: u32 = 1;

/// Why a snapshot was not taken over. The correlator is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is something else, or of another version of the program.
    #[error("this is not a correlation snapshot of version {VERSION}; correlation starts with empty windows")]
    Foreign,
    /// It was cut or changed.
    #[error("the correlation snapshot is damaged; correlation starts with empty windows")]
    Damaged,
}

/// What was taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Groups taken over.
    pub groups: usize,
    /// Events taken over.
    pub events: usize,
    /// Rules, by id, whose state was left out as they are gone or have changed.
    pub dropped: Vec<String>,
}

/// A snapshot that was read: what is taken over, by rank and digest, and the order of arrival.
struct Content {
    restored: Restored,
    groups: Vec<(usize, u128, Group)>,
    observations: u64,
}

impl Correlator {
    /// The state of all rules as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut sources: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        for entry in self.entries() {
            for id in std::iter::once(&entry.id).chain(&entry.behind) {
                let next = sources.len() as u32;
                sources.entry(id.source.clone()).or_insert(next);
            }
        }
        let mut by_number: Vec<(&Arc<str>, &u32)> = sources.iter().collect();
        by_number.sort_by_key(|(_, number)| **number);

        let mut out = Writer(Vec::new());
        out.0.extend_from_slice(MAGIC);
        out.u32(VERSION);
        out.len(by_number.len());
        for (source, _) in by_number {
            out.text(source);
        }
        out.len(self.plan.rules.len());
        for planned in &self.plan.rules {
            out.text(&planned.rule.id);
            out.u128(planned.rule.fingerprint);
        }
        out.u64(self.observations);
        // In order of last use, so that this order survives too.
        out.len(self.idle.len());
        for (rank, key) in self.idle.values() {
            let Some(group) = self.groups[*rank].get(key) else { continue };
            out.len(*rank);
            out.u128(*key);
            out.len(group.values.len());
            for (name, value) in &group.values {
                out.text(name);
                out.text(value);
            }
            out.len(group.lanes.len());
            for lane in &group.lanes {
                out.len(lane.fires.len());
                for fired in &lane.fires {
                    out.u64(fired.cast_unsigned());
                }
                out.len(lane.entries.len());
                for entry in &lane.entries {
                    out.u64(entry.time.cast_unsigned());
                    out.u64(entry.order);
                    out.u64(entry.mask);
                    out.u128(entry.value);
                    out.id(&entry.id, &sources);
                    out.len(entry.behind.len());
                    for id in &entry.behind {
                        out.id(id, &sources);
                    }
                }
            }
        }
        let seal = digest([out.0.as_slice()]);
        out.u128(seal);
        out.0
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.groups.iter().flat_map(|g| g.values()).flat_map(|g| &g.lanes).flat_map(|l| &l.entries)
    }

    /// Takes over the state that a snapshot holds of rules that are unchanged, in place of what
    /// this correlator holds.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<Restored, SnapshotError> {
        if snapshot.get(..MAGIC.len()) != Some(MAGIC) {
            return Err(SnapshotError::Foreign);
        }
        let (body, seal) = snapshot.split_last_chunk::<16>().ok_or(SnapshotError::Damaged)?;
        let mut input = Reader(&body[MAGIC.len().min(body.len())..]);
        if input.u32() != Some(VERSION) {
            return Err(SnapshotError::Foreign);
        }
        if digest([body]) != u128::from_le_bytes(*seal) {
            return Err(SnapshotError::Damaged);
        }
        let Content { restored, groups, observations } =
            self.read(&mut input).ok_or(SnapshotError::Damaged)?;
        for group in &mut self.groups {
            group.clear();
        }
        self.idle.clear();
        self.observations = observations;
        for (rank, key, mut group) in groups {
            group.stamp = self.next_stamp;
            self.idle.insert(self.next_stamp, (rank, key));
            self.next_stamp += 1;
            self.groups[rank].insert(key, group);
        }
        self.counters.groups = restored.groups as u64;
        self.counters.events = restored.events as u64;
        self.evict();
        Ok(restored)
    }

    fn read(&self, input: &mut Reader<'_>) -> Option<Content> {
        let mut sources: Vec<Arc<str>> = Vec::new();
        for _ in 0..input.len()? {
            sources.push(input.text()?.into());
        }
        let mut restored = Restored::default();
        let mut ranks = Vec::new();
        for _ in 0..input.len()? {
            let (id, fingerprint) = (input.text()?, input.u128()?);
            let rank = self
                .plan
                .rules
                .iter()
                .position(|planned| planned.rule.id == id && planned.rule.fingerprint == fingerprint);
            if rank.is_none() {
                restored.dropped.push(id.to_owned());
            }
            ranks.push(rank);
        }
        let observations = input.u64()?;
        let mut groups = Vec::new();
        for _ in 0..input.len()? {
            let rank = *ranks.get(input.len()?)?;
            let key = input.u128()?;
            let mut values = Vec::new();
            for _ in 0..input.len()? {
                values.push((input.text()?.to_owned(), input.text()?.to_owned()));
            }
            let mut lanes = Vec::new();
            for _ in 0..input.len()? {
                let lane = input.lane(&sources, rank.map(|rank| &self.plan.rules[rank]))?;
                lanes.extend(lane);
            }
            let Some(rank) = rank else { continue };
            if lanes.is_empty() || lanes.len() > MOST_LANES {
                return None;
            }
            restored.groups += 1;
            restored.events += lanes.iter().map(|lane| lane.entries.len()).sum::<usize>();
            groups.push((rank, key, Group { values, lanes, stamp: 0 }));
        }
        input.0.is_empty().then_some(Content { restored, groups, observations })
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn u128(&mut self, number: u128) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn len(&mut self, len: usize) {
        self.u64(len as u64);
    }

    fn text(&mut self, text: &str) {
        self.len(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn id(&mut self, id: &EventId, sources: &BTreeMap<Arc<str>, u32>) {
        self.u32(sources.get(&id.source).copied().unwrap_or_default());
        self.u64(id.sequence);
    }
}

/// Reads what [`Writer`] wrote; `None` once it does not fit. Lengths are not trusted: nothing is
/// allocated ahead of what is there.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.take().map(u128::from_le_bytes)
    }

    fn len(&mut self) -> Option<usize> {
        usize::try_from(self.u64()?).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.len()?;
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        std::str::from_utf8(head).ok()
    }

    fn id(&mut self, sources: &[Arc<str>]) -> Option<EventId> {
        let source = sources.get(usize::try_from(self.u32()?).ok()?)?.clone();
        Some(EventId { source, sequence: self.u64()? })
    }

    /// A lane; `Some(None)` where its rule is not to be taken over.
    fn lane(&mut self, sources: &[Arc<str>], planned: Option<&Planned>) -> Option<Option<Lane>> {
        let mut fires = Vec::new();
        for _ in 0..self.len()? {
            fires.push(self.u64()?.cast_signed());
        }
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..self.len()? {
            let (time, order, mask, value) =
                (self.u64()?.cast_signed(), self.u64()?, self.u64()?, self.u128()?);
            let id = self.id(sources)?;
            let mut behind = Vec::new();
            for _ in 0..self.len()? {
                behind.push(self.id(sources)?);
            }
            if entries.last().is_some_and(|last| (last.time, last.order) > (time, order)) {
                return None;
            }
            entries.push(Entry { time, order, id, mask, value, behind: behind.into() });
        }
        if entries.is_empty() {
            return None;
        }
        Some(planned.map(|planned| Lane::restored(planned, entries, fires)))
    }
}

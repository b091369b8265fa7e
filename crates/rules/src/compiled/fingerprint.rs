//! Which of thousands of literals stand anywhere in a value?
//!
//! An automaton over all literals answers that, but its states fill the caches, and each byte of a
//! value costs a dependent load. This search keeps a **fingerprint** of each literal instead: four
//! of its bytes (two for short literals), chosen to be rare. A bit set, small enough for the first
//! cache, says of each four bytes of the value whether they may be a fingerprint; nearly always
//! they are not, and the next four are looked at. Where they may be, the few literals of that
//! fingerprint are compared in place.
//!
//! Time is linear in the value's length; the factor is bounded by the number of literals that share
//! one fingerprint, which choosing the rarest keeps small.

use memchr::memmem::Finder;
use rustc_hash::FxHashMap;

use super::trigger::USUAL;

/// Up to so many literals are searched for one by one, by a vectorised search.
const MAX_FINDERS: usize = 3;
/// Bits of the set per literal, and its bounds.
const BITS_PER_LITERAL: usize = 32;
const MIN_BITS: usize = 1 << 9;
const MAX_BITS: usize = 1 << 17;
/// Bits of the set that share one list of literals.
const BITS_PER_BUCKET: u32 = 4;

/// A search for many literals.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints {
    finders: Vec<(Finder<'static>, u32)>,
    /// Literals of one byte.
    single: Vec<(u8, u32)>,
    /// Literals of two and three bytes.
    short: Level<2>,
    /// Longer literals.
    long: Level<4>,
}

impl Fingerprints {
    /// The search for these literals, none of which is empty, with what to report of each.
    pub fn new(literals: Vec<(String, u32)>) -> Self {
        let mut search = Self::default();
        if literals.len() <= MAX_FINDERS {
            let finder = |(text, id): (String, u32)| (Finder::new(text.as_bytes()).into_owned(), id);
            search.finders = literals.into_iter().map(finder).collect();
            return search;
        }
        let (mut short, mut long) = (Vec::new(), Vec::new());
        for (text, id) in literals {
            match text.len() {
                0 => {}
                1 => search.single.push((text.as_bytes()[0], id)),
                2 | 3 => short.push((text.into_bytes(), id)),
                _ => long.push((text.into_bytes(), id)),
            }
        }
        search.short = Level::new(&short);
        search.long = Level::new(&long);
        search
    }

    /// Reports the literals that stand in the value; one may be reported more than once.
    #[inline]
    pub fn search(&self, value: &[u8], report: &mut impl FnMut(u32)) {
        for (finder, id) in &self.finders {
            if finder.find(value).is_some() {
                report(*id);
            }
        }
        for (byte, id) in &self.single {
            if memchr::memchr(*byte, value).is_some() {
                report(*id);
            }
        }
        self.short.search(value, report);
        self.long.search(value, report);
    }
}

/// Literals with fingerprints of `N` bytes.
#[derive(Debug, Default)]
struct Level<const N: usize> {
    /// One bit per hash of a fingerprint.
    set: Vec<u64>,
    /// How far a hash is shifted to be a bit's place.
    shift: u32,
    /// Entries of bucket `b` are `entries[begin[b]..begin[b + 1]]`.
    begin: Vec<u32>,
    entries: Vec<Entry<N>>,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Entry<const N: usize> {
    print: [u8; N],
    /// Bytes of the literal before its fingerprint.
    before: u32,
    /// Where in `bytes` the literal stands.
    start: u32,
    len: u32,
    id: u32,
}

impl<const N: usize> Level<N> {
    fn new(literals: &[(Vec<u8>, u32)]) -> Self {
        if literals.is_empty() {
            return Self::default();
        }
        let bits = (literals.len() * BITS_PER_LITERAL).next_power_of_two().clamp(MIN_BITS, MAX_BITS);
        let mut level =
            Self { set: vec![0; bits / 64], shift: u32::BITS - bits.trailing_zeros(), ..Self::default() };
        let rarity = rarity::<N>(literals);
        let mut placed: Vec<(u32, Entry<N>)> = literals
            .iter()
            .filter_map(|(literal, id)| {
                let prints = literal.windows(N).enumerate();
                let (before, print) =
                    prints.min_by_key(|(_, print)| rarity.get(*print).copied().unwrap_or(0))?;
                let print: [u8; N] = print.try_into().ok()?;
                let start = level.bytes.len() as u32;
                level.bytes.extend_from_slice(literal);
                let entry = Entry { print, before: before as u32, start, len: literal.len() as u32, id: *id };
                Some((level.place(print), entry))
            })
            .collect();
        placed.sort_by_key(|(place, _)| *place);
        level.begin = vec![0; (bits >> BITS_PER_BUCKET) + 1];
        for (place, entry) in placed {
            level.set[place as usize / 64] |= 1 << (place % 64);
            level.begin[(place >> BITS_PER_BUCKET) as usize + 1] += 1;
            level.entries.push(entry);
        }
        let mut sum = 0;
        for begin in &mut level.begin {
            sum += *begin;
            *begin = sum;
        }
        level
    }

    #[inline]
    fn place(&self, print: [u8; N]) -> u32 {
        let mut word = [0; 4];
        word[..N].copy_from_slice(&print);
        u32::from_le_bytes(word).wrapping_mul(0x9e37_79b1) >> self.shift
    }

    #[inline]
    fn search(&self, value: &[u8], report: &mut impl FnMut(u32)) {
        if self.set.is_empty() {
            return;
        }
        for (at, print) in value.array_windows::<N>().enumerate() {
            let place = self.place(*print);
            if self.set[place as usize / 64] >> (place % 64) & 1 != 0 {
                self.compare(value, at, *print, place, report);
            }
        }
    }

    fn compare(&self, value: &[u8], at: usize, print: [u8; N], place: u32, report: &mut impl FnMut(u32)) {
        let bucket = (place >> BITS_PER_BUCKET) as usize;
        for entry in &self.entries[self.begin[bucket] as usize..self.begin[bucket + 1] as usize] {
            if entry.print != print {
                continue;
            }
            let literal = &self.bytes[entry.start as usize..(entry.start + entry.len) as usize];
            let Some(from) = at.checked_sub(entry.before as usize) else { continue };
            if value.get(from..from + literal.len()) == Some(literal) {
                report(entry.id);
            }
        }
    }
}

/// How common each fingerprint is: among the literals, and above all in values that machines log.
fn rarity<const N: usize>(literals: &[(Vec<u8>, u32)]) -> FxHashMap<Vec<u8>, u32> {
    let mut counts = FxHashMap::default();
    for (literal, _) in literals {
        for print in literal.windows(N) {
            *counts.entry(print.to_vec()).or_insert(0) += 1;
        }
    }
    for print in USUAL.iter().flat_map(|value| value.as_bytes().windows(N)) {
        *counts.entry(print.to_vec()).or_insert(0) += 50;
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn found(literals: &[String], value: &str) -> BTreeSet<usize> {
        let numbered = literals.iter().enumerate().map(|(id, text)| (text.clone(), id as u32)).collect();
        let mut found = BTreeSet::new();
        Fingerprints::new(numbered).search(value.as_bytes(), &mut |id| {
            found.insert(id as usize);
        });
        found
    }

    proptest! {
        #[test]
        fn finds_what_looking_finds(
            literals in proptest::collection::btree_set("[abé]{1,7}", 0..24),
            value in "[abcé]{0,24}",
        ) {
            let literals: Vec<String> = literals.into_iter().collect();
            let expected: BTreeSet<usize> =
                (0..literals.len()).filter(|at| value.contains(literals[*at].as_str())).collect();
            prop_assert_eq!(found(&literals, &value), expected);
        }
    }

    #[test]
    fn many_literals_are_told_apart() {
        let literals: Vec<String> = (0..20_000).map(|n| format!("needle-{n}.")).collect();
        assert_eq!(
            found(&literals, "a needle-1234. and needle-19999. and needle-20000."),
            BTreeSet::from([1234, 19_999])
        );
    }
}

//! All literals that rules look for in one field, and the search for all of them at once.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use rustc_hash::FxHashMap;

use super::trie::{Literal, Trie};

/// Where in a value a literal must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Position {
    /// It is the value.
    Whole,
    /// At the beginning.
    Start,
    /// At the end.
    End,
    /// Anywhere.
    Anywhere,
}

/// What a found literal says of a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit(u32);

impl Hit {
    /// The predicate holds.
    pub const fn certain(predicate: u32) -> Self {
        Self(predicate << 1)
    }

    /// The predicate may hold: its lazy tests decide.
    pub const fn possible(predicate: u32) -> Self {
        Self(predicate << 1 | 1)
    }

    /// The predicate.
    pub const fn predicate(self) -> u32 {
        self.0 >> 1
    }

    /// Whether it holds for certain.
    pub const fn is_certain(self) -> bool {
        self.0 & 1 == 0
    }
}

/// Literals being gathered; those that several predicates share are one.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    ids: FxHashMap<(Position, String), u32>,
    hits: Vec<Vec<Hit>>,
}

impl Gathered {
    /// Adds a lowered literal.
    pub fn add(&mut self, position: Position, literal: &str, hit: Hit) {
        let next = self.hits.len() as u32;
        let id = *self.ids.entry((position, literal.to_owned())).or_insert(next);
        if id == next {
            self.hits.push(Vec::new());
        }
        let hits = &mut self.hits[id as usize];
        if !hits.contains(&hit) {
            hits.push(hit);
        }
    }
}

/// The search.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    forward: Trie,
    backward: Trie,
    anywhere: Option<AhoCorasick>,
    /// Literals of the automaton by its pattern numbers.
    anywhere_ids: Vec<u32>,
    /// Hits of literal `i` are `hits[begin[i]..begin[i + 1]]`.
    begin: Vec<u32>,
    hits: Vec<Hit>,
}

/// Size of the automaton's literals, in bytes, up to which a table per state is affordable; it
/// takes about a kilobyte per literal byte, and is about twice as fast.
const DENSE_LIMIT: usize = 4_096;

impl Scanner {
    /// The search for the gathered literals.
    pub fn new(gathered: Gathered) -> Self {
        let (mut forward, mut backward, mut anywhere) = (Vec::new(), Vec::new(), Vec::new());
        let mut anywhere_ids = Vec::new();
        let mut literals: Vec<_> = gathered.ids.into_iter().collect();
        literals.sort_unstable_by_key(|(_, id)| *id);
        for ((position, text), id) in literals {
            match position {
                Position::Whole => forward.push(Literal { bytes: text.into_bytes(), whole: true, id }),
                Position::Start => forward.push(Literal { bytes: text.into_bytes(), whole: false, id }),
                Position::End => {
                    let bytes = text.bytes().rev().collect();
                    backward.push(Literal { bytes, whole: false, id });
                }
                Position::Anywhere => {
                    anywhere.push(text);
                    anywhere_ids.push(id);
                }
            }
        }
        let mut begin = vec![0];
        let mut hits = Vec::new();
        for of_literal in gathered.hits {
            hits.extend(of_literal);
            begin.push(hits.len() as u32);
        }
        Self {
            forward: Trie::new(forward),
            backward: Trie::new(backward),
            anywhere: automaton(&anywhere),
            anywhere_ids,
            begin,
            hits,
        }
    }

    /// Whether there is nothing to search for.
    pub const fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }

    /// Reports what the literals found in a lowered value say. May report the same more than once.
    #[inline]
    pub fn scan(&self, value: &str, mut report: impl FnMut(Hit)) {
        let bytes = value.as_bytes();
        let mut found = |id: u32| {
            let (from, to) = (self.begin[id as usize] as usize, self.begin[id as usize + 1] as usize);
            for hit in &self.hits[from..to] {
                report(*hit);
            }
        };
        if !self.forward.is_empty() {
            self.forward.walk(bytes.iter().copied(), &mut found);
        }
        if !self.backward.is_empty() {
            self.backward.walk(bytes.iter().rev().copied(), &mut found);
        }
        if let Some(automaton) = &self.anywhere {
            for at in automaton.find_overlapping_iter(bytes) {
                found(self.anywhere_ids[at.pattern().as_usize()]);
            }
        }
    }
}

fn automaton(literals: &[String]) -> Option<AhoCorasick> {
    if literals.is_empty() {
        return None;
    }
    let size: usize = literals.iter().map(String::len).sum();
    let kind = if size <= DENSE_LIMIT { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
    let build =
        |kind| AhoCorasick::builder().match_kind(MatchKind::Standard).kind(Some(kind)).build(literals);
    // Building fails only past four billion states; no set of rules that fits in memory gets there.
    build(kind).or_else(|_| build(AhoCorasickKind::NoncontiguousNFA)).ok()
}

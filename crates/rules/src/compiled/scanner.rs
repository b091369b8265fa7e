//! All literals that rules look for in one field, and the search for all of them at once.

use rustc_hash::FxHashMap;

use super::{
    fingerprint::Fingerprints,
    trie::{Literal, Trie},
};

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
    anywhere: Fingerprints,
    /// Hits of literal `i` are `hits[begin[i]..begin[i + 1]]`.
    begin: Vec<u32>,
    hits: Vec<Hit>,
}

impl Scanner {
    /// The search for the gathered literals.
    pub fn new(gathered: Gathered) -> Self {
        let (mut forward, mut backward, mut anywhere) = (Vec::new(), Vec::new(), Vec::new());
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
                // Nothing stands at every beginning.
                Position::Anywhere if text.is_empty() => {
                    forward.push(Literal { bytes: Vec::new(), whole: false, id });
                }
                Position::Anywhere => anywhere.push((text, id)),
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
            anywhere: Fingerprints::new(anywhere),
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
        self.anywhere.search(bytes, &mut found);
    }
}

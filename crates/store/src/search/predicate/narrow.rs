//! What can be ruled out without reading rows: chunks by the sidecar, row groups by their numbers'
//! least and greatest.

use super::{Node, NumberTest};
use crate::{
    events::{
        CHUNK_ROWS, ChunkSet, Sidecar, is_indexed_value, is_searched_text,
        schema::{self, index},
    },
    search::text::TextTest,
};

/// Chunks of a file's rows, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunks(Vec<bool>);

impl Chunks {
    /// All chunks of a file of `rows` rows.
    pub(crate) fn all(rows: u64) -> Self {
        Self(vec![true; usize::try_from(rows.div_ceil(CHUNK_ROWS as u64)).unwrap_or(0)])
    }

    fn of(set: &ChunkSet) -> Self {
        Self((0..set.total()).map(|chunk| set.contains(chunk)).collect())
    }

    /// Whether no chunk is in it.
    pub(crate) fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    /// Whether every chunk is in it.
    pub(crate) fn is_all(&self) -> bool {
        !self.0.contains(&false)
    }

    /// Whether the row's chunk is in it.
    pub(crate) fn contains_row(&self, row: usize) -> bool {
        self.0.get(row / CHUNK_ROWS).copied().unwrap_or(true)
    }

    /// Whether the chunk of any of the rows from `start` is in it.
    pub(crate) fn any_in(&self, start: usize, rows: usize) -> bool {
        let end = (start + rows).div_ceil(CHUNK_ROWS).min(self.0.len());
        self.0.get(start / CHUNK_ROWS..end).is_none_or(|chunks| chunks.contains(&true))
    }

    fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(have, other)| *have &= other);
        self
    }

    fn or(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(have, other)| *have |= other);
        self
    }

    fn none(mut self) -> Self {
        self.0.fill(false);
        self
    }
}

/// The chunks that may have a row for which the node holds.
pub(super) fn candidates(node: &Node, rows: u64, sidecar: &Sidecar) -> Chunks {
    let all = Chunks::all(rows);
    match node {
        Node::And(nodes) => nodes.iter().fold(all, |set, node| {
            if set.is_empty() { set } else { set.and(&candidates(node, rows, sidecar)) }
        }),
        Node::Or(nodes) => {
            nodes.iter().fold(all.none(), |set, node| set.or(&candidates(node, rows, sidecar)))
        }
        Node::Nothing => all.none(),
        Node::All | Node::Not(_) | Node::Number(..) => all,
        Node::Text(place, test) => {
            let name = schema::name(*place);
            if is_searched_text(name) {
                of_text(test, sidecar, is_indexed_value(name).then_some(name), all)
            } else {
                all
            }
        }
        Node::Original(test) => of_text(test, sidecar, None, all),
        Node::Anywhere(anywhere) => of_text(&anywhere.test, sidecar, None, all),
        // The text of a number, or of a time, is not indexed where a column of its own holds it.
        Node::Member(member) => {
            match member.columns.iter().all(|place| is_searched_text(schema::name(*place))) {
                true => of_text(&member.test, sidecar, None, all),
                false => all,
            }
        }
    }
}

fn of_text(test: &TextTest, sidecar: &Sidecar, values_of: Option<&str>, all: Chunks) -> Chunks {
    match test {
        TextTest::Any(tests) => {
            let none = all.clone().none();
            return tests
                .iter()
                .fold(none, |set, test| set.or(&of_text(test, sidecar, values_of, all.clone())));
        }
        TextTest::Component(inner) | TextTest::Item(inner) => return of_text(inner, sidecar, None, all),
        _ => {}
    }
    let required = test.required();
    let set = Chunks::of(&sidecar.candidate_chunks(&required));
    // Values are indexed as they are written: one without letters has a single form.
    match (test, values_of, required.as_slice()) {
        (TextTest::Equals(_), Some(column), [value])
            if !set.is_empty() && !value.bytes().any(|b| b.is_ascii_alphabetic()) =>
        {
            set.and(&Chunks::of(&sidecar.value_chunks(column, value)))
        }
        _ => set,
    }
}

/// Whether the node can hold for a row of a group with these least and greatest numbers.
pub(super) fn may_pass(node: &Node, statistics: &dyn Fn(usize) -> Option<(i64, i64)>) -> bool {
    match node {
        Node::Nothing => false,
        Node::And(nodes) => nodes.iter().all(|node| may_pass(node, statistics)),
        Node::Or(nodes) => nodes.iter().any(|node| may_pass(node, statistics)),
        Node::Number(place, test) if *place < index::COUNT => {
            let Some((least, greatest)) = statistics(*place) else { return true };
            match test {
                NumberTest::OneOf(list) => list.iter().any(|n| (least..=greatest).contains(n)),
                NumberTest::Within(from, to) => *from <= greatest && *to > least,
                NumberTest::Range(low, high) => {
                    low.number.is_none_or(|bound| greatest as f64 >= bound)
                        && high.number.is_none_or(|bound| least as f64 <= bound)
                }
                NumberTest::Exists | NumberTest::AsText(_) => true,
            }
        }
        _ => true,
    }
}

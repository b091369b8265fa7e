//! What an expression of the language means over batches of events.
//!
//! [`Predicate::compile`] resolves names against the columns and the sources' own fields, and turns
//! values into tests. [`Predicate::evaluate`] answers for the rows of a batch that has at least the
//! columns of [`Predicate::columns`]. One evaluation serves memory and files, rows and tables.

mod compile;
mod evaluate;
mod from_sql;
mod narrow;

use std::collections::BTreeSet;

use arrow::{array::RecordBatch, buffer::BooleanBuffer};

use super::{
    language::{Expr, QueryError},
    text::{Limit, Needle, TextTest},
};
use crate::events::{EventSnapshot, Sidecar};

pub(crate) use compile::time_range;
pub(crate) use evaluate::Originals;
pub(crate) use narrow::Chunks;

/// An expression, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    root: Node,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    /// Every row.
    All,
    /// No row.
    Nothing,
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// The column, by its place in the schema, holds text that passes.
    Text(usize, TextTest),
    /// The column holds a number that passes.
    Number(usize, NumberTest),
    /// The original passes.
    Original(TextTest),
    /// The source's own field passes: in `unmapped`, or in the column that `field_map` names.
    Member(Member),
    /// Any text of the event, the original included, passes.
    Anywhere(Anywhere),
}

/// A test of a source's own field.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its name as the person wrote it; compares regardless of case.
    pub(super) name: String,
    pub(super) test: TextTest,
    /// Columns that may hold it.
    pub(super) columns: Vec<usize>,
}

/// A free term.
#[derive(Debug, Clone)]
pub(super) struct Anywhere {
    pub(super) test: TextTest,
    /// A piece of text that stands in `unmapped`, in JSON's escapes, wherever the test passes for one
    /// of its values.
    pub(super) escaped: Option<Needle>,
}

/// What a number is asked.
#[derive(Debug, Clone)]
pub(super) enum NumberTest {
    /// It is there.
    Exists,
    /// It is one of these, ascending.
    OneOf(Vec<i64>),
    /// It is between the bounds.
    Range(Limit, Limit),
    /// It is at least the first and below the second.
    Within(i64, i64),
    /// Its decimal text passes.
    AsText(TextTest),
}

impl NumberTest {
    pub(super) fn test(&self, number: i64) -> bool {
        match self {
            Self::Exists => true,
            Self::OneOf(list) => list.contains(&number),
            Self::Within(from, to) => (*from..*to).contains(&number),
            Self::Range(low, high) => {
                let number = number as f64;
                let beyond = |limit: &Limit, least: bool| {
                    limit.number.is_some_and(|bound| {
                        let inside = if least { number > bound } else { number < bound };
                        !(inside || (limit.including && number == bound))
                    })
                };
                !beyond(low, true) && !beyond(high, false)
            }
            Self::AsText(test) => test.test(&number.to_string()),
        }
    }
}

impl Predicate {
    /// Every event.
    pub(crate) fn all() -> Self {
        Self { root: Node::All }
    }

    /// Compiles an expression over a snapshot's events.
    ///
    /// # Errors
    /// Where a value does not suit its field, at the field's place in the query.
    pub(crate) fn compile(expr: &Expr, snapshot: &EventSnapshot) -> Result<Self, QueryError> {
        Ok(Self { root: compile::compile(expr, snapshot)? })
    }

    /// What a filter in SQL surely demands; none where nothing can be said. `find` yields a column's
    /// place, or none within for the original.
    pub(crate) fn from_sql(
        filter: &datafusion::logical_expr::Expr,
        find: &dyn Fn(&str) -> Option<Option<usize>>,
    ) -> Option<Self> {
        from_sql::node(filter, find).map(|root| Self { root })
    }

    /// Exactly the event of that source and sequence, in any case of the source's letters.
    pub(crate) fn event(source: &str, sequence: u64) -> Self {
        use crate::events::schema::index;
        let number = i64::try_from(sequence).unwrap_or(-1);
        Self {
            root: Node::And(vec![
                Node::Number(index::SEQUENCE, NumberTest::OneOf(vec![number])),
                Node::Text(index::SOURCE, TextTest::Equals(Needle::new(source))),
            ]),
        }
    }

    /// A predicate that holds where all of them hold.
    pub(crate) fn every(predicates: Vec<Self>) -> Self {
        let mut roots: Vec<Node> = predicates.into_iter().map(|p| p.root).collect();
        Self {
            root: match roots.len() {
                0 => Node::All,
                1 => roots.remove(0),
                _ => Node::And(roots),
            },
        }
    }

    /// The parts that must all hold, cheapest first, so that each is asked only of the rows that
    /// the ones before left. None where every event passes.
    pub(crate) fn conjuncts(&self) -> Vec<Self> {
        let mut list = Vec::new();
        flatten(&self.root, &mut list);
        list.sort_by_key(Node::cost);
        list.into_iter().map(|root| Self { root }).collect()
    }

    /// Whether asking one row costs about as much as reading the whole of it.
    pub(crate) fn is_costly(&self) -> bool {
        self.root.cost() >= 20
    }

    /// Whether every event passes.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.root, Node::All)
    }

    /// Places in the schema of the columns that evaluation needs.
    pub(crate) fn columns(&self) -> BTreeSet<usize> {
        let mut set = BTreeSet::new();
        self.root.columns(&mut set);
        set
    }

    /// Which of the rows in `on` pass. `on` is as long as the batch; so is the answer.
    pub(crate) fn evaluate(&self, batch: &RecordBatch, on: &BooleanBuffer) -> BooleanBuffer {
        evaluate::evaluate(&self.root, &evaluate::View::new(batch), on)
    }

    /// The chunks of a file's rows that may have one that passes, as its sidecar knows.
    pub(crate) fn candidates(&self, rows: u64, sidecar: &Sidecar) -> Chunks {
        narrow::candidates(&self.root, rows, sidecar)
    }

    /// Whether numbers between the least and the greatest of a column, given its place, can pass.
    /// `statistics` yields none where they are not known.
    pub(crate) fn may_pass(&self, statistics: &dyn Fn(usize) -> Option<(i64, i64)>) -> bool {
        narrow::may_pass(&self.root, statistics)
    }
}

fn flatten(node: &Node, list: &mut Vec<Node>) {
    match node {
        Node::All => {}
        Node::And(nodes) => nodes.iter().for_each(|node| flatten(node, list)),
        other => list.push(other.clone()),
    }
}

impl Node {
    /// A rank of how much work the node is per row.
    fn cost(&self) -> u32 {
        match self {
            Self::All | Self::Nothing => 0,
            Self::Number(..) => 1,
            Self::Text(_, TextTest::Equals(_) | TextTest::Exists | TextTest::Begins(_)) => 2,
            Self::Text(_, TextTest::Regex(_)) => 6,
            Self::Text(..) => 4,
            Self::Member(_) => 20,
            Self::Original(_) => 40,
            Self::Anywhere(_) => 50,
            Self::Not(node) => node.cost(),
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().map(Self::cost).fold(0, u32::saturating_add),
        }
    }

    fn columns(&self, set: &mut BTreeSet<usize>) {
        use crate::events::schema::index;
        match self {
            Self::All | Self::Nothing => {}
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().for_each(|node| node.columns(set)),
            Self::Not(node) => node.columns(set),
            Self::Text(place, _) | Self::Number(place, _) => {
                set.insert(*place);
            }
            Self::Member(member) => {
                set.extend(&member.columns);
                set.insert(index::UNMAPPED);
                if !member.columns.is_empty() {
                    set.insert(index::FIELD_MAP);
                }
            }
            // The original may refer to any column.
            Self::Original(_) | Self::Anywhere(_) => set.extend(0..index::COUNT),
        }
    }
}

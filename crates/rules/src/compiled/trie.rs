//! A trie over byte strings, laid out flat: which of many literals does a value begin with, or
//! equal, in one walk that ends at the first byte no literal has.

/// No literal.
const NONE: u32 = u32::MAX;
/// Nodes with more edges than this get a table, so that no edges are searched.
const MAX_SEARCHED: usize = 6;

/// A trie. Literals are walked byte by byte in the order given, so that suffixes are found by
/// giving literals and values backwards.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// Bytes of all nodes' edges; a node's are ascending.
    bytes: Vec<u8>,
    /// The nodes that the edges lead to.
    targets: Vec<u32>,
    /// For nodes of many edges: the node that each byte leads to; 0, the root, for none.
    tables: Vec<[u32; 256]>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// The place of its edges, or of its table where it has many.
    first_edge: u32,
    edges: u16,
    /// The literal that ends here and may be followed by anything.
    open: u32,
    /// The literal that ends here together with the value.
    whole: u32,
}

/// A literal of a trie, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Literal {
    /// The bytes in walking order.
    pub bytes: Vec<u8>,
    /// The value must end where the literal does.
    pub whole: bool,
    /// What to report.
    pub id: u32,
}

impl Trie {
    /// The trie of these literals; equal ones must not repeat.
    pub fn new(mut literals: Vec<Literal>) -> Self {
        let mut trie = Self::default();
        if literals.is_empty() {
            return trie;
        }
        literals.sort_unstable();
        trie.nodes.push(Node { first_edge: 0, edges: 0, open: NONE, whole: NONE });
        // Nodes are filled level by level: each knows the range of sorted literals below it.
        let mut level = vec![(0_u32, 0..literals.len())];
        let mut depth = 0;
        while !level.is_empty() {
            let mut next = Vec::new();
            for (node, range) in level {
                let mut at = range.start;
                while at < range.end && literals[at].bytes.len() == depth {
                    let slot = &mut trie.nodes[node as usize];
                    if literals[at].whole {
                        slot.whole = literals[at].id;
                    } else {
                        slot.open = literals[at].id;
                    }
                    at += 1;
                }
                trie.nodes[node as usize].first_edge = trie.bytes.len() as u32;
                while at < range.end {
                    let byte = literals[at].bytes[depth];
                    let same = literals[at..range.end].iter().take_while(|l| l.bytes[depth] == byte).count();
                    let target = trie.nodes.len() as u32;
                    trie.nodes.push(Node { first_edge: 0, edges: 0, open: NONE, whole: NONE });
                    trie.bytes.push(byte);
                    trie.targets.push(target);
                    trie.nodes[node as usize].edges += 1;
                    next.push((target, at..at + same));
                    at += same;
                }
            }
            level = next;
            depth += 1;
        }
        trie.make_tables();
        trie
    }

    fn make_tables(&mut self) {
        for node in &mut self.nodes {
            let edges = node.first_edge as usize..node.first_edge as usize + node.edges as usize;
            if edges.len() > MAX_SEARCHED {
                let mut table = [0; 256];
                for edge in edges {
                    table[self.bytes[edge] as usize] = self.targets[edge];
                }
                node.first_edge = self.tables.len() as u32;
                self.tables.push(table);
            }
        }
    }

    /// Whether it has no literal.
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Reports the literals that the bytes begin with, or equal.
    #[inline]
    pub fn walk(&self, bytes: impl Iterator<Item = u8>, mut report: impl FnMut(u32)) {
        let Some(mut node) = self.nodes.first() else { return };
        for byte in bytes {
            if node.open != NONE {
                report(node.open);
            }
            let first = node.first_edge as usize;
            let target = if node.edges as usize > MAX_SEARCHED {
                self.tables[first][byte as usize]
            } else {
                let edges = &self.bytes[first..first + node.edges as usize];
                edges.iter().position(|edge| *edge == byte).map_or(0, |at| self.targets[first + at])
            };
            if target == 0 {
                return;
            }
            node = &self.nodes[target as usize];
        }
        if node.open != NONE {
            report(node.open);
        }
        if node.whole != NONE {
            report(node.whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_comparing_finds(
            literals in proptest::collection::btree_set(("[ab]{0,3}", any::<bool>()), 0..8),
            value in "[abc]{0,5}",
        ) {
            let literals: Vec<(String, bool)> = literals.into_iter().collect();
            let trie = Trie::new(
                literals
                    .iter()
                    .enumerate()
                    .map(|(id, (text, whole))| Literal { bytes: text.clone().into(), whole: *whole, id: id as u32 })
                    .collect(),
            );
            let mut found = Vec::new();
            trie.walk(value.bytes(), |id| found.push(id));
            found.sort_unstable();
            let expected: Vec<u32> = literals
                .iter()
                .enumerate()
                .filter(|(_, (text, whole))| if *whole { value == *text } else { value.starts_with(text.as_str()) })
                .map(|(id, _)| id as u32)
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}

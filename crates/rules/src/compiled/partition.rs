//! The rules of one log source, compiled together.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::{
    FieldId, anchor,
    scanner::{Gathered, Hit, Position, Scanner},
    trigger::{self, Need, Trigger},
};
use crate::{
    expr::{Expr, FieldTest, Test},
    pattern::{Pattern, Shape, lower},
    rule::{RuleIndex, RuleLogSource},
};

/// The rules of one log source.
#[derive(Debug)]
pub(crate) struct Partition {
    /// Which events it covers.
    pub log_source: RuleLogSource,
    /// The rules.
    pub rules: Vec<Compiled>,
    /// Their predicates.
    pub predicates: Vec<Predicate>,
    /// By [`FieldId`], one more than the place in `fields`; 0 where no rule here asks for it.
    pub slots: Box<[u32]>,
    /// The fields that rules ask for.
    pub fields: Vec<FieldPlan>,
    /// Keywords, where there are any.
    pub keywords: Option<Scanner>,
    /// Rules that nothing can wake, evaluated for each event.
    pub always: Box<[u32]>,
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Which.
    pub index: RuleIndex,
    /// What it asks.
    pub root: Node,
}

/// A condition over predicates.
#[derive(Debug)]
pub(crate) enum Node {
    /// The predicate holds.
    Predicate(u32),
    /// The inner one does not hold.
    Not(Box<Self>),
    /// All hold.
    All(Box<[Self]>),
    /// One holds.
    Any(Box<[Self]>),
    /// So many hold.
    AtLeast(usize, Box<[Self]>),
}

/// One field's alternatives.
#[derive(Debug)]
pub(crate) struct Predicate {
    /// The field; `None` for keywords.
    pub field: Option<FieldId>,
    /// Tests that no literal decides.
    pub lazy: Box<[Lazy]>,
    /// Some lazy test may pass although no literal was found.
    pub ungated: bool,
    /// Holds where the field is present.
    pub exists: bool,
    /// Holds where the field is absent or without value.
    pub null: bool,
    /// Rules that it wakes.
    pub wakes: Box<[u32]>,
}

/// A test that is run on demand.
#[derive(Debug)]
pub(crate) enum Lazy {
    /// A pattern on the lowered value.
    Lowered(Pattern),
    /// A pattern on the value as it is.
    Cased(Pattern),
    /// A test of the value alone.
    Value(Test),
    /// A comparison with another field.
    Reference(FieldId, Test),
}

/// What happens when an event has a field.
#[derive(Debug, Default)]
pub(crate) struct FieldPlan {
    /// The literals to search for.
    pub scanner: Scanner,
    /// Rules that its presence wakes.
    pub wakes: Box<[u32]>,
}

impl Partition {
    /// Compiles rules of one log source.
    pub fn new(
        log_source: &RuleLogSource,
        rules: &[(RuleIndex, &Expr)],
        fields: &FxHashMap<Box<str>, FieldId>,
    ) -> Self {
        let mut builder = Builder {
            names: fields,
            known: FxHashMap::default(),
            predicates: Vec::new(),
            needs: Vec::new(),
            literals: BTreeMap::new(),
        };
        let mut compiled = Vec::with_capacity(rules.len());
        let mut always = Vec::new();
        let mut wakes: BTreeMap<Trigger, Vec<u32>> = BTreeMap::new();
        for (index, expr) in rules {
            let number = compiled.len() as u32;
            let root = builder.node(expr);
            match builder.need(&root) {
                None => always.push(number),
                Some(need) => {
                    for one in need.triggers {
                        wakes.entry(one).or_default().push(number);
                    }
                }
            }
            compiled.push(Compiled { index: *index, root });
        }
        builder.finish(log_source, fields.len(), compiled, always, wakes)
    }
}

struct Builder<'a> {
    names: &'a FxHashMap<Box<str>, FieldId>,
    known: FxHashMap<&'a FieldTest, u32>,
    predicates: Vec<Predicate>,
    /// Expected frequency of each predicate; `None` where it may hold without anything happening.
    needs: Vec<Option<Need>>,
    literals: BTreeMap<Option<FieldId>, Gathered>,
}

impl<'a> Builder<'a> {
    fn node(&mut self, expr: &'a Expr) -> Node {
        let mut nodes = |parts: &'a [Expr]| parts.iter().map(|part| self.node(part)).collect();
        match expr {
            Expr::All(parts) => Node::All(nodes(parts)),
            Expr::Any(parts) => Node::Any(nodes(parts)),
            Expr::AtLeast(n, parts) => Node::AtLeast(*n, nodes(parts)),
            Expr::Not(inner) => Node::Not(Box::new(self.node(inner))),
            Expr::Test(test) => Node::Predicate(self.predicate(test)),
        }
    }

    fn predicate(&mut self, test: &'a FieldTest) -> u32 {
        if let Some(known) = self.known.get(test) {
            return *known;
        }
        let number = self.predicates.len() as u32;
        self.known.insert(test, number);
        let field = test.field.as_ref().and_then(|name| self.names.get(name.as_str()).copied());
        let name = test.field.as_deref().unwrap_or("");
        let mut predicate = Predicate {
            field,
            lazy: Box::default(),
            ungated: false,
            exists: false,
            null: false,
            wakes: Box::default(),
        };
        let mut lazy = Vec::new();
        let mut cost = 0.0;
        let gathered = self.literals.entry(field).or_default();
        for one in &test.tests {
            let (tests, literals) = split(one, self.names, &mut predicate);
            let certain = tests.is_none();
            lazy.extend(tests);
            for (position, literal) in literals {
                cost += trigger::frequency(name, position, &literal);
                let hit = if certain { Hit::certain(number) } else { Hit::possible(number) };
                gathered.add(position, &literal, hit);
            }
        }
        predicate.lazy = lazy.into();
        let need = match field {
            _ if predicate.null => None,
            Some(field) if predicate.ungated || predicate.exists => {
                Some(Need { cost: trigger::PRESENT, triggers: vec![Trigger::Present(field)] })
            }
            None if predicate.ungated => None,
            _ => Some(Need { cost, triggers: vec![Trigger::Predicate(number)] }),
        };
        self.needs.push(need);
        self.predicates.push(predicate);
        number
    }

    /// What must happen for the node to hold.
    fn need(&self, node: &Node) -> Option<Need> {
        match node {
            Node::Predicate(number) => self.needs[*number as usize].clone(),
            Node::Not(inner) => match &**inner {
                Node::Not(twice) => self.need(twice),
                _ => None,
            },
            Node::All(parts) => trigger::cheapest(parts.iter().map(|part| self.need(part))),
            Node::Any(parts) => trigger::enough(1, parts.iter().map(|part| self.need(part)).collect()),
            Node::AtLeast(n, parts) => {
                trigger::enough(*n, parts.iter().map(|part| self.need(part)).collect())
            }
        }
    }

    fn finish(
        mut self,
        log_source: &RuleLogSource,
        all_fields: usize,
        rules: Vec<Compiled>,
        always: Vec<u32>,
        wakes: BTreeMap<Trigger, Vec<u32>>,
    ) -> Partition {
        let mut present: BTreeMap<FieldId, Vec<u32>> = BTreeMap::new();
        for (what, rules) in wakes {
            match what {
                Trigger::Predicate(number) => self.predicates[number as usize].wakes = rules.into(),
                Trigger::Present(field) => {
                    present.insert(field, rules);
                }
            }
        }
        let mut partition = Partition {
            log_source: log_source.clone(),
            rules,
            predicates: self.predicates,
            slots: vec![0; all_fields].into(),
            fields: Vec::new(),
            keywords: None,
            always: always.into(),
        };
        for (field, gathered) in self.literals {
            let scanner = Scanner::new(gathered);
            match field {
                None => partition.keywords = Some(scanner),
                Some(field) => {
                    let wakes = present.remove(&field).unwrap_or_default().into();
                    partition.fields.push(FieldPlan { scanner, wakes });
                    partition.slots[field.0 as usize] = partition.fields.len() as u32;
                }
            }
        }
        partition
    }
}

/// Splits a test into what is run on demand, if anything, and the literals that decide it or,
/// where something is run on demand, that gate it.
fn split(
    test: &Test,
    names: &FxHashMap<Box<str>, FieldId>,
    predicate: &mut Predicate,
) -> (Option<Lazy>, Vec<(Position, String)>) {
    match test {
        Test::Exists => predicate.exists = true,
        Test::Null => predicate.null = true,
        Test::Text(pattern) if !pattern.cased() => {
            let at = |position, literal: &str| (None, vec![(position, literal.to_owned())]);
            match pattern.shape() {
                Shape::Exact(literal) => return at(Position::Whole, literal),
                Shape::Prefix(literal) => return at(Position::Start, literal),
                Shape::Suffix(literal) => return at(Position::End, literal),
                Shape::Contains(literal) => return at(Position::Anywhere, literal),
                Shape::Any | Shape::General => {
                    return gated(predicate, Lazy::Lowered(pattern.clone()), pattern_anchor(pattern));
                }
            }
        }
        Test::Text(pattern) => {
            return gated(predicate, Lazy::Cased(pattern.clone()), pattern_anchor(pattern));
        }
        Test::Regex(expression) => {
            return gated(predicate, Lazy::Value(test.clone()), anchor::anchors(expression));
        }
        Test::Cidr(_) | Test::Compare { .. } => return gated(predicate, Lazy::Value(test.clone()), None),
        Test::Reference { field, .. } => {
            // Every referenced field has a number; without one the test could not hold.
            if let Some(other) = names.get(field.as_str()) {
                return gated(predicate, Lazy::Reference(*other, test.clone()), None);
            }
        }
    }
    (None, Vec::new())
}

fn gated(
    predicate: &mut Predicate,
    lazy: Lazy,
    anchors: Option<Vec<String>>,
) -> (Option<Lazy>, Vec<(Position, String)>) {
    let Some(anchors) = anchors else {
        predicate.ungated = true;
        return (Some(lazy), Vec::new());
    };
    (Some(lazy), anchors.into_iter().map(|anchor| (Position::Anywhere, anchor)).collect())
}

fn pattern_anchor(pattern: &Pattern) -> Option<Vec<String>> {
    pattern.longest_literal().map(|literal| vec![lower(literal).into_owned()])
}

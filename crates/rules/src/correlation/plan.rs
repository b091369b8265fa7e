//! Correlation rules with their references resolved: which input feeds which rule, in which order
//! rules are looked at, and what is silenced. Fixed for the life of a rule set.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    condition::{Bounds, Comparison, Condition, Term},
    definition::{CorrelationError, CorrelationKind, CorrelationRule},
};

/// Finds the detection rules with an id or name, by the index under which they are reported as
/// matched. A rule file that yields several rules of one name yields several indexes.
pub type Resolve<'a> = &'a dyn Fn(&str) -> Vec<u32>;

/// A correlation, ready to run.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub rule: CorrelationRule,
    pub test: Test,
    /// Number of entries in `rule.rules`.
    pub positions: usize,
    /// `[position][n]`: the field that holds the nth group value.
    pub group_fields: Vec<Vec<String>>,
    /// `[position][n]`: the field that holds the nth value.
    pub value_fields: Vec<Vec<String>>,
}

/// What is asked of a window.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// A number is within bounds.
    Bounds(Bounds),
    /// One of the alternatives is met.
    Terms(Vec<Term>),
}

/// A correlation (by rank) and the place in its list of rules that an input feeds.
pub(super) type Feed = (usize, usize);

/// All correlations that can run. A rule's rank is its place here: those it refers to come first.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub rules: Vec<Planned>,
    /// By rank: the index in the list that was given.
    pub given: Vec<u32>,
    /// By rank: what the rule's hits feed.
    pub chained: Vec<Vec<Feed>>,
    /// By rank: whether hits are only for other correlations.
    pub silent: Vec<bool>,
    /// Detection rule to what its matches feed.
    pub feeds: BTreeMap<u32, Vec<Feed>>,
    /// Detection rules that raise nothing themselves.
    pub silenced: BTreeSet<u32>,
}

/// What a reference leads to.
#[derive(Debug, Clone)]
enum Target {
    Detections(Vec<u32>),
    Correlation(usize),
}

impl Plan {
    /// Resolves references. Rules that cannot run are left out and reported by their index.
    pub fn new(
        rules: Vec<CorrelationRule>,
        resolve: Resolve<'_>,
        most_events: usize,
    ) -> (Self, Vec<(usize, CorrelationError)>) {
        let mut errors = BTreeMap::new();
        let targets = targets(&rules, resolve, &mut errors);
        let order = order(&rules, &targets, &mut errors);
        let mut plan = Self::default();
        let mut rank_of = BTreeMap::new();
        let mut generated: BTreeSet<u32> = BTreeSet::new();
        let mut loud_ranks: BTreeSet<usize> = BTreeSet::new();
        for index in order {
            let planned = match planned(&rules[index], &targets[index], &rules, resolve, most_events) {
                Ok(planned) => planned,
                Err(error) => {
                    errors.insert(index, error);
                    continue;
                }
            };
            let broken = targets[index].iter().zip(&rules[index].rules).find(
                |(target, _)| matches!(target, Target::Correlation(child) if !rank_of.contains_key(child)),
            );
            if let Some((_, reference)) = broken {
                errors.insert(index, CorrelationError::Broken { reference: reference.clone() });
                continue;
            }
            let rank = plan.rules.len();
            rank_of.insert(index, rank);
            for (position, target) in targets[index].iter().enumerate() {
                match target {
                    Target::Detections(detections) => {
                        for detection in detections {
                            plan.feeds.entry(*detection).or_default().push((rank, position));
                            plan.silenced.insert(*detection);
                            if rules[index].generate {
                                generated.insert(*detection);
                            }
                        }
                    }
                    Target::Correlation(child) => {
                        let child = rank_of[child];
                        plan.chained[child].push((rank, position));
                        plan.silent[child] = true;
                        if rules[index].generate {
                            loud_ranks.insert(child);
                        }
                    }
                }
            }
            plan.rules.push(planned);
            plan.given.push(u32::try_from(index).unwrap_or(u32::MAX));
            plan.chained.push(Vec::new());
            plan.silent.push(false);
        }
        plan.silenced.retain(|detection| !generated.contains(detection));
        for rank in loud_ranks {
            plan.silent[rank] = false;
        }
        (plan, errors.into_iter().collect())
    }
}

fn targets(
    rules: &[CorrelationRule],
    resolve: Resolve<'_>,
    errors: &mut BTreeMap<usize, CorrelationError>,
) -> Vec<Vec<Target>> {
    let mut all = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let mut found = Vec::with_capacity(rule.rules.len());
        for reference in &rule.rules {
            match target(rules, resolve, reference) {
                Some(target) => found.push(target),
                None => {
                    errors.insert(index, CorrelationError::UnknownRule { reference: reference.clone() });
                }
            }
        }
        all.push(found);
    }
    all
}

fn target(rules: &[CorrelationRule], resolve: Resolve<'_>, reference: &str) -> Option<Target> {
    let named = |rule: &CorrelationRule| rule.id == reference || rule.name.as_deref() == Some(reference);
    if let Some(correlation) = rules.iter().position(named) {
        return Some(Target::Correlation(correlation));
    }
    let detections = resolve(reference);
    (!detections.is_empty()).then_some(Target::Detections(detections))
}

/// The rules without errors so far, each after those that it refers to.
fn order(
    rules: &[CorrelationRule],
    targets: &[Vec<Target>],
    errors: &mut BTreeMap<usize, CorrelationError>,
) -> Vec<usize> {
    let mut placed = vec![false; rules.len()];
    let mut order = Vec::with_capacity(rules.len());
    loop {
        let before = order.len();
        for index in 0..rules.len() {
            // A child with an error counts as placed here; its parents are refused later, with the
            // better reason.
            let ready = targets[index].iter().all(
                |t| !matches!(t, Target::Correlation(child) if !placed[*child] && !errors.contains_key(child)),
            );
            if !placed[index] && !errors.contains_key(&index) && ready {
                placed[index] = true;
                order.push(index);
            }
        }
        if order.len() == before {
            break;
        }
    }
    for index in 0..rules.len() {
        if placed[index] || errors.contains_key(&index) {
            continue;
        }
        let reference = targets[index]
            .iter()
            .zip(&rules[index].rules)
            .find(|(target, _)| matches!(target, Target::Correlation(child) if !placed[*child]))
            .map(|(_, reference)| reference.clone())
            .unwrap_or_default();
        errors.insert(index, CorrelationError::Circle { reference });
    }
    order
}

fn planned(
    rule: &CorrelationRule,
    own: &[Target],
    rules: &[CorrelationRule],
    resolve: Resolve<'_>,
    most_events: usize,
) -> Result<Planned, CorrelationError> {
    // A name in an alias or a condition means the entry of `rules` that leads to the same rule.
    let position = |name: &str| {
        rule.rules.iter().position(|reference| reference == name).or_else(|| {
            let wanted = target(rules, resolve, name)?;
            own.iter().position(|have| match (have, &wanted) {
                (Target::Detections(a), Target::Detections(b)) => a == b,
                (Target::Correlation(a), Target::Correlation(b)) => a == b,
                _ => false,
            })
        })
    };
    let test = match &rule.condition {
        Condition::Bounds(bounds) => {
            within_reach(rule, bounds, most_events)?;
            Test::Bounds(bounds.clone())
        }
        Condition::Expression(expression) => Test::Terms(expression.terms(&position)?),
    };
    let mut aliases = Vec::with_capacity(rule.aliases.len());
    for alias in &rule.aliases {
        let mut by_position = BTreeMap::new();
        for (name, field) in &alias.fields {
            let at =
                position(name).ok_or_else(|| CorrelationError::UnknownRule { reference: name.clone() })?;
            by_position.insert(at, field.as_str());
        }
        aliases.push((alias.name.as_str(), by_position));
    }
    let fields = |names: &[String]| -> Vec<Vec<String>> {
        (0..rule.rules.len())
            .map(|at| {
                let field = |name: &String| {
                    aliases
                        .iter()
                        .find(|(alias, _)| alias == name)
                        .and_then(|(_, by_position)| by_position.get(&at).copied())
                        .unwrap_or(name)
                        .to_owned()
                };
                names.iter().map(field).collect()
            })
            .collect()
    };
    Ok(Planned {
        test,
        positions: rule.rules.len(),
        group_fields: fields(&rule.group_by),
        value_fields: fields(&rule.fields),
        rule: rule.clone(),
    })
}

/// Refuses a count that the bound on a window would keep from ever being reached.
fn within_reach(rule: &CorrelationRule, bounds: &Bounds, most: usize) -> Result<(), CorrelationError> {
    let counts = matches!(rule.kind, CorrelationKind::EventCount | CorrelationKind::ValueCount);
    let out = bounds.0.iter().any(|(comparison, bound)| match comparison {
        Comparison::Gt => *bound >= most as f64,
        Comparison::Gte | Comparison::Eq => *bound > most as f64,
        Comparison::Lt | Comparison::Lte | Comparison::Neq => false,
    });
    if counts && out { Err(CorrelationError::OutOfReach { most }) } else { Ok(()) }
}

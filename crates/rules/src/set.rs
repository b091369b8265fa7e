//! All rules in use, compiled: from texts to a [`RuleSet`], and what findings say of them.

use std::collections::HashMap;

use covigil_model::{EntityKind, EntityRef, Event, Finding, Matched};

use crate::{
    compiled::Program,
    correlation::{CorrelationError, CorrelationRule, Correlator, Limits},
    detection::{self, Fault, Placeholders},
    evaluate,
    filter::{self, Filter},
    load::{self, Item, Kind, LoadFailure, LoadReport, RuleText},
    rule::{Rule, RuleIndex},
    yaml::Node,
};

/// Choices in compiling rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Values of placeholders for the `expand` modifier, by name without percent signs. A rule
    /// whose placeholder has none is not loaded, as the specification demands.
    pub placeholders: Placeholders,
}

/// A correlation rule in use, and its entry among [`RuleSet::rules`].
#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    /// Its entry.
    pub rule: RuleIndex,
    /// What it asks.
    pub definition: CorrelationRule,
}

/// All rules in use. Immutable: a reload makes a new one.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    references: HashMap<String, RuleIndex>,
    correlations: Vec<Correlation>,
    report: LoadReport,
    program: Program,
}

impl RuleSet {
    /// Reads and compiles rules. Never fails as a whole: what is not usable is in the
    /// [`report`](Self::report).
    pub fn compile(texts: &[RuleText], options: &Options) -> Self {
        let mut set = Self::default();
        let mut filters = Vec::new();
        for text in texts {
            let failed_before = set.report.failed.len();
            let items = load::read(text, &mut set.report.failed);
            set.report.total += items.len() + set.report.failed.len() - failed_before;
            for item in items {
                if let Err(fault) = set.add(&item, options, &mut filters) {
                    set.report.failed.push(item.failure(fault.line, fault.reason));
                }
            }
        }
        for (item, filter) in &filters {
            set.apply(item, filter);
        }
        set.drop_broken_correlations();
        set.program = Program::new(&set.rules);
        set.report.loaded = set.report.total - set.report.failed.len();
        set
    }

    fn add(
        &mut self,
        item: &Item,
        options: &Options,
        filters: &mut Vec<(Item, Filter)>,
    ) -> Result<(), Fault> {
        let placeholders = &options.placeholders;
        if item.kind == Kind::Filter {
            filters.push((item.clone(), filter::read(&item.node, item.line, placeholders)?));
            return Ok(());
        }
        let fault = |reason: String| Fault::at(item.line, reason);
        let mut rule = Rule::read(&item.node, &item.path, item.line, item.source.clone()).map_err(fault)?;
        if let Some(have) = self.references.get(&rule.id).or_else(|| self.references.get(rule.name.as_ref()?))
        {
            let have = &self.rules[have.index()];
            return Err(fault(format!(
                "its id or name is already used by `{}` ({}:{}); ids and names must be unique",
                have.title, have.path, have.line
            )));
        }
        let index = RuleIndex(u32::try_from(self.rules.len()).unwrap_or(u32::MAX));
        if item.kind == Kind::Correlation {
            rule.is_correlation = true;
            let definition =
                CorrelationRule::parse(&item.node.to_json()).map_err(|error| fault(error.to_string()))?;
            self.correlations.push(Correlation { rule: index, definition });
        } else {
            let Some(section) = item.node.get("detection") else {
                return Err(fault("the rule has no `detection`".into()));
            };
            if item.node.get("logsource").is_none() {
                return Err(fault("the rule has no `logsource`; name a product, service or category".into()));
            }
            let detection = detection::read(section, placeholders, &[])?;
            rule.conditions = detection.conditions;
            rule.expr = Some(detection.expr);
        }
        self.references.insert(rule.id.clone(), index);
        if let Some(name) = &rule.name {
            self.references.insert(name.clone(), index);
        }
        self.rules.push(rule);
        Ok(())
    }

    fn apply(&mut self, item: &Item, filter: &Filter) {
        if let Some(missing) = filter.rules.iter().flatten().find(|name| !self.references.contains_key(*name))
        {
            let line =
                item.node.get("filter").and_then(|f| f.get("rules")).map_or(item.line, |n: &Node| n.line);
            let reason = format!(
                "the filter names the rule `{missing}`, which is not loaded; its other rules are filtered"
            );
            self.report.failed.push(item.failure(line, reason));
        } else {
            self.report.filters += 1;
        }
        for rule in self.rules.iter_mut().filter(|rule| filter.applies_to(rule)) {
            if let Some(expr) = rule.expr.take() {
                rule.expr = Some(expr.and(filter.detection.expr.clone()));
                rule.filters.push(filter.title.clone());
            }
        }
    }

    /// The compiled form.
    pub(crate) const fn program(&self) -> &Program {
        &self.program
    }

    /// What became of all documents.
    pub const fn report(&self) -> &LoadReport {
        &self.report
    }

    /// All rules in use; a rule's place is its [`RuleIndex`].
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// One rule.
    pub fn rule(&self, rule: RuleIndex) -> Option<&Rule> {
        self.rules.get(rule.index())
    }

    /// The rule of that id or name.
    pub fn resolve(&self, reference: &str) -> Option<RuleIndex> {
        self.references.get(reference).copied()
    }

    /// The correlation rules in use; a rule's place is its index in the [`Correlator`].
    pub fn correlations(&self) -> &[Correlation] {
        &self.correlations
    }

    /// A correlator of the correlation rules in use, without state.
    pub fn correlator(&self, limits: Limits) -> Correlator {
        self.correlator_of(limits).0
    }

    fn correlator_of(&self, limits: Limits) -> (Correlator, Vec<(usize, CorrelationError)>) {
        let definitions = self.correlations.iter().map(|c| c.definition.clone()).collect();
        let resolve = |reference: &str| match self.resolve(reference) {
            Some(index) if self.rules[index.index()].expr.is_some() => vec![index.0],
            _ => Vec::new(),
        };
        Correlator::new(definitions, &resolve, limits)
    }

    /// Takes correlations out of use that refer to what is not there, until the rest can run.
    fn drop_broken_correlations(&mut self) {
        let (_, errors) = self.correlator_of(Limits::default());
        for (at, error) in errors.iter().rev() {
            let correlation = self.correlations.remove(*at);
            let rule = &self.rules[correlation.rule.index()];
            self.report.failed.push(LoadFailure {
                path: rule.path.to_string(),
                line: rule.line,
                title: Some(rule.title.clone()),
                id: Some(rule.id.clone()),
                reason: error.to_string(),
            });
        }
        self.report.correlations = self.correlations.len();
    }

    /// The fields and values that made a rule match an event; for findings, not for the hot path.
    pub fn matched(&self, rule: RuleIndex, event: &Event) -> Vec<Matched> {
        self.rule(rule).and_then(Rule::expr).map(|expr| evaluate::matched(expr, event)).unwrap_or_default()
    }

    /// The finding that a rule's match of an event is. Findings of one rule on one host are one
    /// group.
    pub fn finding(&self, rule: RuleIndex, event: &Event) -> Option<Finding> {
        let rule_at = rule;
        let rule = self.rule(rule)?;
        let entities = EntityRef::of_event(event);
        let host =
            entities.iter().find(|entity| entity.kind == EntityKind::Host).map_or("", |host| &host.name);
        let group = format!("{}|{host}", rule.id);
        let events = vec![event.id.clone()];
        Some(Finding {
            id: Finding::derive_id(&rule.id, &events, &group),
            solution: "siem".into(),
            rule: rule.reference(),
            time: event.time,
            events,
            matched: self.matched(rule_at, event),
            entities,
            group,
            summary: None,
        })
    }
}

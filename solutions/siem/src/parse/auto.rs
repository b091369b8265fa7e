//! Texts of unknown format. The parser that is surest of a text reads it; a text that none knows
//! becomes a plain event with its message, and is no failure.

use std::sync::{Arc, LazyLock};

use covigil_model::{Attr, Event};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

use crate::parse::{PARSERS, machine, moment, syslog};

/// The parser of anything.
pub struct Auto;

/// The parsers' names, shared, so that noting one costs no allocation.
static NAMES: LazyLock<Vec<Arc<str>>> =
    LazyLock::new(|| PARSERS.iter().map(|p| Arc::from(p.name())).collect());

impl Parser for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn sniff(&self, _: &str) -> Confidence {
        Confidence::Weak
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        if let Some(index) = choose(event.original()) {
            event.parser = NAMES[index].clone();
            return PARSERS[index].parse(context, event);
        }
        event.time = context.received;
        if let Some((stamp, _)) = syslog::leading_iso(event.original())
            && let Some(time) = moment::iso(stamp, context.utc_offset)
        {
            event.time = time;
        }
        let whole = event.span(0, event.original().len());
        event.add_span_field("message", whole);
        event.set_attr(Attr::Message, whole);
        machine::name(context, event);
        Ok(())
    }
}

/// The parser that is surest of a text; of several that are as sure, the first.
fn choose(original: &str) -> Option<usize> {
    let mut best = None;
    for (index, parser) in PARSERS.iter().enumerate() {
        if parser.name() == "auto" {
            continue;
        }
        match parser.sniff(original) {
            Confidence::Strong => return Some(index),
            Confidence::Weak if best.is_none() => best = Some(index),
            _ => {}
        }
    }
    best
}

//! Choosing the parser of a record and applying it: the one place where bytes become an event, for
//! live input and for files alike. What a format means is the parsers' own matter.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use covigil_model::{Event, Time};
use covigil_solution::{ParseContext, Parser};

/// The name that stands for any format.
pub const AUTO: &str = "auto";

/// The parsers in use, by name.
#[derive(Clone)]
pub struct Parsers {
    by_name: HashMap<&'static str, (&'static dyn Parser, Arc<str>)>,
    auto: Arc<str>,
}

impl Parsers {
    /// These parsers. Of two with the same name the first counts.
    pub fn new(parsers: impl IntoIterator<Item = &'static dyn Parser>) -> Self {
        let mut by_name = HashMap::new();
        for parser in parsers {
            by_name.entry(parser.name()).or_insert_with(|| (parser, Arc::from(parser.name())));
        }
        Self { by_name, auto: AUTO.into() }
    }

    /// Their names, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.by_name.keys().copied().collect();
        names.sort_unstable();
        names
    }

    /// Fills an event from a record's bytes, with the parser of that name, or with `auto` where
    /// there is none. The event's id is the caller's to set. What is not understood is in
    /// [`Event::failure`]; the original is kept in any case, with bytes that are not UTF-8 shown as
    /// U+FFFD.
    pub fn parse(&self, name: &str, context: &ParseContext, data: &[u8], event: &mut Event) {
        let text = String::from_utf8_lossy(data);
        event.reset(&text);
        event.received = context.received;
        let Some((parser, name)) = self.by_name.get(name).or_else(|| self.by_name.get(AUTO)) else {
            event.parser = Arc::clone(&self.auto);
            event.time = context.received;
            event.failure = Some(format!("no parser is called {name}"));
            return;
        };
        event.parser = Arc::clone(name);
        // A parser that breaks on hostile input must not take the node with it.
        let parsed = catch_unwind(AssertUnwindSafe(|| parser.parse(context, event)));
        match parsed {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => event.failure = Some(failure.0),
            Err(_) => {
                tracing::error!(parser = parser.name(), "a parser broke on a record; please report this");
                event.reset(&text);
                event.received = context.received;
                event.failure = Some(format!("the parser {} broke on this record", parser.name()));
            }
        }
        if event.time == Time::default() {
            event.time = context.received;
        }
    }
}

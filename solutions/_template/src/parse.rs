//! Lines of door readers to events: `2026-01-02T03:04:05Z door=lab card=17 opened`.

use covigil_model::{Attr, Event, Severity, Time};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

/// The parser.
pub struct Doors;

impl Parser for Doors {
    fn name(&self) -> &'static str {
        "template"
    }

    fn sniff(&self, original: &str) -> Confidence {
        match original.split(' ').nth(1) {
            Some(word) if word.starts_with("door=") => Confidence::Strong,
            _ => Confidence::No,
        }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        event.log_source.set("", &["doors"], &[]);
        // Places of words first, since the event's text cannot be read and written at once.
        let mut words = Vec::new();
        let mut at = 0;
        for word in event.original().split(' ').take(16) {
            words.push((at, at + word.len()));
            at += word.len() + 1;
        }
        for (start, end) in words {
            let span = event.span(start, end);
            let word = event.slice(span);
            if let Some(time) = Time::parse(word) {
                event.time = time;
            } else if let Some(equals) = word.find('=') {
                let value = event.span(start + equals + 1, end);
                let name = event.span(start, start + equals);
                event.push_field(name, value, covigil_model::Kind::Text);
            } else if matches!(word, "opened" | "denied" | "forced") {
                if word == "forced" {
                    event.severity = Severity::High;
                }
                event.add_span_field("action", span);
            }
        }
        if let Some(card) = event.find("card") {
            event.set_attr(Attr::ActorUserUid, card.value);
        }
        match event.find("action") {
            Some(_) => Ok(()),
            None => Err(ParseFailure(
                "the line does not say whether the door was opened, denied or forced".into(),
            )),
        }
    }
}

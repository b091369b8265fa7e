//! JSON objects of any origin. Every member becomes a field under its own dotted path; the time is
//! found.

mod shapes;

use covigil_model::{Attr, Event, Kind, json};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

use crate::parse::moment;

/// The parser of JSON objects.
pub struct Json;

impl Parser for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn sniff(&self, original: &str) -> Confidence {
        if original.trim_start().starts_with('{') { Confidence::Weak } else { Confidence::No }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let end = event.original().len();
        let outcome = json::flatten(event, 0, end);
        describe(context, event);
        outcome.map_err(|error| ParseFailure(error.to_string()))
    }
}

/// Names under which a time may stand, best first.
const TIMES: [&str; 28] = [
    "@timestamp",
    "eventTime",
    "EventTime",
    "timestamp",
    "Timestamp",
    "time",
    "ts",
    "published",
    "TimeCreated",
    "CreationTime",
    "createdDateTime",
    "activityDateTime",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "receiveTimestamp",
    "id.time",
    "event_time",
    "eventTimestamp",
    "created_at",
    "occurred_at",
    "date",
    "datetime",
    "utc_time",
    "local_time_adjusted",
    "event.created",
    "_time",
    "Time",
    "timeGenerated",
];

/// Sets time, labels and columns of an event whose fields are JSON members.
pub(crate) fn describe(context: &ParseContext, event: &mut Event) {
    let mut best: Option<(usize, covigil_model::Time)> = None;
    for field in event.fields() {
        if !matches!(field.kind, Kind::Text | Kind::Number) {
            continue;
        }
        let name = event.slice(field.name);
        let Some(rank) = TIMES.iter().position(|t| *t == name) else { continue };
        if best.is_some_and(|(have, _)| have <= rank) {
            continue;
        }
        if let Some(time) = moment::any(event.slice(field.value), context.utc_offset) {
            best = Some((rank, time));
        }
    }
    if let Some((_, time)) = best {
        event.time = time;
    }
    shapes::apply(event);
    for name in ["host", "hostname", "host.name", "Computer", "device.hostname", "agent.hostname"] {
        if let Some(field) = event.find(name)
            && !field.value.is_empty()
        {
            event.set_attr(Attr::DeviceHostname, field.value);
            break;
        }
    }
    for name in ["message", "msg", "Message", "log", "MESSAGE", "displayMessage"] {
        if let Some(field) = event.find(name) {
            event.set_attr(Attr::Message, field.value);
            break;
        }
    }
}

//! Entries of the systemd journal, as `journalctl -o json` and the export format's JSON rendering
//! give them. The message is read as its program's ([`super::program`]).

use covigil_model::{Attr, Event, Field, Kind, Span, Time, json};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};
use memchr::memmem;

use crate::parse::{
    draft::Draft,
    machine, program,
    syslog::{FACILITIES, SEVERITIES, of_severity},
};

/// The parser of journal entries.
pub struct Journald;

impl Parser for Journald {
    fn name(&self) -> &'static str {
        "journald"
    }

    fn sniff(&self, original: &str) -> Confidence {
        let text = original.trim_start().as_bytes();
        let marked = text.starts_with(b"{")
            && (memmem::find(text, b"\"__REALTIME_TIMESTAMP\"").is_some()
                || memmem::find(text, b"\"_SOURCE_REALTIME_TIMESTAMP\"").is_some());
        if marked { Confidence::Strong } else { Confidence::No }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let end = event.original().len();
        let outcome = json::flatten(event, 0, end);
        join_bytes(event);
        let entry = Entry::of(event);
        if let Some(time) = entry.time {
            event.time = time;
        }
        let unit = [entry.unit, entry.user_unit].into_iter().flatten().next();
        let mut draft = Draft::of(event);
        let slice = |span: Option<Span>| span.map_or("", |span| event.slice(span));
        let priority = slice(entry.priority).parse::<u8>().ok().filter(|p| *p < 8);
        let facility = slice(entry.facility).parse::<u8>().ok().filter(|f| *f < 24);
        let program = match (slice(entry.identifier), slice(entry.comm)) {
            ("", comm) => comm,
            (identifier, _) => identifier,
        };
        if let Some(priority) = priority {
            draft.word("severity", SEVERITIES[usize::from(priority)]);
            draft.severity(of_severity(priority));
        }
        if let Some(facility) = facility {
            draft.word("facility", FACILITIES[usize::from(facility)]);
        }
        for (name, span, attr) in [
            ("host", entry.host, Attr::DeviceHostname),
            ("pid", entry.pid, Attr::ActorProcessPid),
            ("message", entry.message, Attr::Message),
        ] {
            if span.is_some() {
                draft.both(name, slice(span), attr);
            }
        }
        draft.both("program", program, Attr::Product);
        draft.column(Attr::ActorProcessName, program);
        draft.column(Attr::ActorProcessPath, slice(entry.exe));
        draft.column(Attr::ServiceName, slice(entry.systemd_unit));
        draft.column_word(Attr::LogName, "journal");
        let message = program::Message {
            program,
            text: slice(entry.message),
            auth: matches!(facility, Some(4 | 10)),
            unit: slice(unit),
        };
        if slice(entry.transport) == "audit" {
            super::auditd::read(message.text, &mut draft);
        }
        program::read(&message, &mut draft);
        let time = event.time;
        draft.write(event);
        if slice_is(event, entry.transport, "kernel") {
            event.time = time;
        }
        machine::name(context, event);
        outcome.map_err(|error| ParseFailure(format!("journal entry: {error}")))
    }
}

fn slice_is(event: &Event, span: Option<Span>, word: &str) -> bool {
    span.is_some_and(|span| event.slice(span) == word)
}

/// The members that matter, by place.
#[derive(Default)]
struct Entry {
    time: Option<Time>,
    message: Option<Span>,
    host: Option<Span>,
    identifier: Option<Span>,
    comm: Option<Span>,
    exe: Option<Span>,
    pid: Option<Span>,
    priority: Option<Span>,
    facility: Option<Span>,
    unit: Option<Span>,
    user_unit: Option<Span>,
    systemd_unit: Option<Span>,
    transport: Option<Span>,
}

impl Entry {
    fn of(event: &Event) -> Self {
        let mut entry = Self::default();
        let (mut source, mut received) = (None, None);
        for field in event.fields() {
            let place = match event.slice(field.name) {
                "_SOURCE_REALTIME_TIMESTAMP" => &mut source,
                "__REALTIME_TIMESTAMP" => &mut received,
                "MESSAGE" => &mut entry.message,
                "_HOSTNAME" => &mut entry.host,
                "SYSLOG_IDENTIFIER" => &mut entry.identifier,
                "_COMM" => &mut entry.comm,
                "_EXE" => &mut entry.exe,
                "_PID" => &mut entry.pid,
                "PRIORITY" => &mut entry.priority,
                "SYSLOG_FACILITY" => &mut entry.facility,
                "UNIT" => &mut entry.unit,
                "USER_UNIT" => &mut entry.user_unit,
                "_SYSTEMD_UNIT" => &mut entry.systemd_unit,
                "_TRANSPORT" => &mut entry.transport,
                _ => continue,
            };
            place.get_or_insert(field.value);
        }
        // Microseconds, both: the sender's clock first, then the journal's.
        let micros = |span: Option<Span>| event.slice(span?).parse().ok().map(Time::from_micros);
        entry.time = micros(source).or_else(|| micros(received));
        entry
    }
}

/// The journal gives a value that is not printable UTF-8 as a list of bytes. Puts such a list
/// together again.
fn join_bytes(event: &mut Event) {
    let mut fields = std::mem::take(event.fields_mut());
    let mut kept: Vec<Field> = Vec::with_capacity(fields.len());
    let mut at = 0;
    while at < fields.len() {
        let name = fields[at].name;
        let run = fields[at..]
            .iter()
            .take_while(|f| f.kind == Kind::Number && event.slice(f.name) == event.slice(name))
            .count();
        if run < 2 {
            kept.push(fields[at]);
            at += 1;
            continue;
        }
        let bytes: Option<Vec<u8>> =
            fields[at..at + run].iter().map(|f| event.slice(f.value).parse().ok()).collect();
        match bytes {
            Some(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                kept.push(Field { name, value: event.append(&text), kind: Kind::Text });
            }
            None => kept.extend_from_slice(&fields[at..at + run]),
        }
        at += run;
    }
    fields = kept;
    *event.fields_mut() = fields;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entry: &str) -> Event {
        let context =
            ParseContext { received: Time::default(), utc_offset: 0, peer: None, hostname: "here".into() };
        let mut event = Event::from_original(entry);
        Journald.parse(&context, &mut event).unwrap();
        event
    }

    #[test]
    fn messages_are_read_by_their_program() {
        let event = read(
            r#"{"__REALTIME_TIMESTAMP":"1700000000654321","_SOURCE_REALTIME_TIMESTAMP":"1700000000123456","PRIORITY":"6","SYSLOG_FACILITY":"10","SYSLOG_IDENTIFIER":"sshd","_PID":"77","_HOSTNAME":"web","MESSAGE":"Failed password for root from 10.0.0.7 port 22 ssh2"}"#,
        );
        assert_eq!(event.time, Time::from_micros(1_700_000_000_123_456));
        assert_eq!(event.field("action").unwrap().text, "login_failed");
        assert_eq!(event.attr(Attr::SrcIp), Some("10.0.0.7"));
        assert_eq!(event.attr(Attr::DeviceHostname), Some("web"));
        assert!(event.log_source.covers(Some("linux"), Some("auth"), None));
    }

    #[test]
    fn bytes_are_put_together() {
        let event = read(r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[27,91,51,104,105,255],"A":[1,2]}"#);
        assert_eq!(event.attr(Attr::Message), Some("\u{1b}[3hi\u{fffd}"));
    }
}

//! Windows event log records as JSON, in every form that shippers give them.
//!
//! Whatever the form, the event's fields have the names that Sigma's rules use: members of
//! `EventData` and `UserData` under their own names, and of `System` as `EventID`, `Channel`,
//! `Provider_Name`, `Computer`, …. The forms: the rendering of the `evtx` crate (attributes under
//! `#attributes` or beside the element), flat records as NXLog writes them or with Sigma's names,
//! Winlogbeat's `winlog.*` of either generation, and osquery's `ExtraEventData`. Reading EVTX files
//! is the pipeline's work, not done here.

mod alias;
mod labels;
mod ocsf;

use covigil_model::{Attr, Event, Field, Kind, Span, Time, json};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};
use memchr::memmem;

use crate::parse::moment;

/// The parser of Windows event JSON.
pub struct Windows;

impl Parser for Windows {
    fn name(&self) -> &'static str {
        "windows"
    }

    fn sniff(&self, original: &str) -> Confidence {
        let text = original.trim_start().as_bytes();
        if !text.starts_with(b"{") {
            return Confidence::No;
        }
        let has = |name: &[u8]| memmem::find(text, name).is_some();
        if has(b"\"winlog\"") || has(b"\"event_data\"") {
            return Confidence::Strong;
        }
        if !has(b"\"EventID\"") {
            return Confidence::No;
        }
        if has(b"\"Channel\"") || has(b"\"Provider") || has(b"\"SourceName\"") || has(b"\"System\"") {
            Confidence::Strong
        } else {
            Confidence::Weak
        }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let end = event.original().len();
        let outcome = json::flatten(event, 0, end);
        let seen = name_fields(event);
        let record = Record::of(event, &seen);
        event.time = seen.time(event, context);
        let service = labels::service(record.channel(event), record.provider(event));
        let event_type = event.field("EventType").map_or("", |v| v.text);
        let categories = labels::categories(service, record.provider(event), record.id, event_type);
        let services: &[&'static str] = if service.is_empty() { &[] } else { &[service] };
        let (services, categories) = (services.to_vec(), categories.to_vec());
        event.log_source.set("windows", &services, &categories);
        alias::add(event, service, record.id);
        ocsf::columns(event, service, record.id, &seen);
        outcome.map_err(|error| ParseFailure(format!("Windows event JSON: {error}")))
    }
}

/// The members that decide about the rest, where the record has them.
#[derive(Debug, Default)]
struct Seen {
    id: Option<Span>,
    channel: Option<Span>,
    provider: Option<Span>,
    computer: Option<Span>,
    level: Option<Span>,
    keywords: Option<Span>,
    system_time: Option<Span>,
    utc_time: Option<Span>,
    shipped_time: Option<Span>,
    local_time: Option<Span>,
}

impl Seen {
    /// When it happened: the log's own time, else Sysmon's, else the shipper's; a local time
    /// without zone comes last.
    fn time(&self, event: &Event, context: &ParseContext) -> Time {
        let read = |span: Option<Span>, offset| moment::any(event.slice(span?), offset);
        read(self.system_time, 0)
            .or_else(|| read(self.utc_time, 0))
            .or_else(|| read(self.shipped_time, 0))
            .or_else(|| read(self.local_time, context.utc_offset))
            .unwrap_or(context.received)
    }
}

/// The record's coordinates, by which it is labelled.
struct Record {
    id: u32,
    channel: Option<Span>,
    provider: Option<Span>,
}

impl Record {
    fn of(event: &Event, seen: &Seen) -> Self {
        let id = seen.id.and_then(|span| event.slice(span).trim().parse().ok()).unwrap_or(0);
        Self { id, channel: seen.channel, provider: seen.provider }
    }

    fn channel<'a>(&self, event: &'a Event) -> &'a str {
        self.channel.map_or("", |span| event.slice(span))
    }

    fn provider<'a>(&self, event: &'a Event) -> &'a str {
        self.provider.map_or("", |span| event.slice(span))
    }
}

/// What becomes of a member.
enum Named {
    /// It keeps the last bytes of its path, from this offset.
    Tail(usize),
    /// It keeps this stretch of its path.
    Part(usize, usize),
    /// It gets this name.
    As(&'static str),
    /// It keeps its path, and is also found under this name.
    Also(&'static str),
    /// It is markup, not data.
    Dropped,
}

/// Renames all fields to Sigma's names, and notes the ones that decide.
fn name_fields(event: &mut Event) -> Seen {
    let mut seen = Seen::default();
    let mut fields = std::mem::take(event.fields_mut());
    let mut copies: Vec<Field> = Vec::new();
    fields.retain_mut(|field| {
        let (start, end) = (field.name.start(), field.name.end());
        match named(event.slice(field.name)) {
            Named::Tail(from) => field.name = event.span(start + from, end),
            Named::Part(from, to) => field.name = event.span(start + from, start + to),
            Named::As(name) => field.name = event.append(name),
            Named::Also(name) => copies.push(Field { name: event.append(name), ..*field }),
            Named::Dropped => return false,
        }
        if field.kind != Kind::Null {
            note(&mut seen, event.slice(field.name), field.value);
        }
        true
    });
    for copy in copies {
        if !fields.iter().any(|have| event.slice(have.name) == event.slice(copy.name)) {
            note(&mut seen, event.slice(copy.name), copy.value);
            fields.push(copy);
        }
    }
    *event.fields_mut() = fields;
    seen
}

fn note(seen: &mut Seen, name: &str, value: Span) {
    let place = match name {
        "EventID" => &mut seen.id,
        "Channel" => &mut seen.channel,
        "Provider_Name" => &mut seen.provider,
        "Computer" => &mut seen.computer,
        "Level" => &mut seen.level,
        "Keywords" => &mut seen.keywords,
        "SystemTime" | "TimeCreated" => &mut seen.system_time,
        "UtcTime" => &mut seen.utc_time,
        "@timestamp" => &mut seen.shipped_time,
        "EventTime" => &mut seen.local_time,
        _ => return,
    };
    place.get_or_insert(value);
}

fn named(path: &str) -> Named {
    if let Some(rest) = path.strip_prefix("Event.") {
        let base = "Event.".len();
        if let Some(member) = rest.strip_prefix("EventData.") {
            return data(member, base + "EventData.".len());
        }
        if let Some(member) = rest.strip_prefix("System.") {
            return system(member, base + "System.".len());
        }
        if let Some(member) = rest.strip_prefix("UserData.") {
            return user_data(member, base + "UserData.".len());
        }
        return match rest {
            "RenderingInfo.Message" => Named::As("Message"),
            "EventData" | "UserData" => Named::Dropped,
            _ if rest.starts_with("#attributes.") => Named::Dropped,
            _ => Named::Tail(base),
        };
    }
    if path.starts_with("Event_attributes.") {
        return Named::Dropped;
    }
    for prefix in ["winlog.event_data.", "winlog.user_data.", "event_data.", "user_data.", "ExtraEventData."]
    {
        if let Some(member) = path.strip_prefix(prefix) {
            return data(member, prefix.len());
        }
    }
    for prefix in ["EventData.", "UserData."] {
        if let Some(member) = path.strip_prefix(prefix) {
            return data(member, prefix.len());
        }
    }
    if let Some(member) = path.strip_prefix("System.") {
        return system(member, "System.".len());
    }
    flat(path)
}

/// A member of `Event.System`, whose path without that begins at `base`.
fn system(member: &str, base: usize) -> Named {
    match member {
        "Provider.#attributes.Name" | "Provider_attributes.Name" | "Provider.Name" => {
            Named::As("Provider_Name")
        }
        "Provider.#attributes.Guid" | "Provider_attributes.Guid" | "Provider.Guid" => {
            Named::As("Provider_Guid")
        }
        "Provider.#attributes.EventSourceName" | "Provider_attributes.EventSourceName" => {
            Named::As("Provider_EventSourceName")
        }
        "EventID.#text" => Named::Part(base, base + "EventID".len()),
        "Execution.#attributes.ProcessID" | "Execution_attributes.ProcessID" => {
            Named::As("Execution_ProcessID")
        }
        "Execution.#attributes.ThreadID" | "Execution_attributes.ThreadID" => Named::As("Execution_ThreadID"),
        "Security.#attributes.UserID" | "Security_attributes.UserID" => Named::As("Security_UserID"),
        "Correlation.#attributes.ActivityID" | "Correlation_attributes.ActivityID" => {
            Named::As("Correlation_ActivityID")
        }
        "Correlation" | "Security" | "Execution" => Named::Dropped,
        _ => {
            // What remains are `EventID`, `Channel`, …, and attributes such as `SystemTime`.
            let attribute = member.rfind("attributes.").map(|at| at + "attributes.".len());
            Named::Tail(base + attribute.unwrap_or(0))
        }
    }
}

/// A member of `EventData`.
fn data(member: &str, base: usize) -> Named {
    match member {
        "Data.#text" => Named::Part(base, base + "Data".len()),
        "#text" => Named::As("Data"),
        _ if member.starts_with("#attributes.") || member.contains("_attributes.xmlns") => Named::Dropped,
        _ => match member.strip_suffix(".#text") {
            Some(named) => Named::Part(base, base + named.len()),
            None => Named::Tail(base),
        },
    }
}

/// A member of `UserData`: the element around the members has no meaning of its own.
fn user_data(member: &str, base: usize) -> Named {
    match member.split_once('.') {
        Some((_, own)) if own.starts_with("#attributes.") => Named::Dropped,
        Some((wrapper, _)) if wrapper.ends_with("_attributes") => Named::Dropped,
        Some((wrapper, own)) => {
            let attribute = own.rfind("attributes.").map_or(0, |at| at + "attributes.".len());
            let start = wrapper.len() + 1 + attribute;
            match member.strip_suffix(".#text") {
                Some(named) if named.len() > start => Named::Part(base + start, base + named.len()),
                _ => Named::Tail(base + start),
            }
        }
        None => Named::Tail(base),
    }
}

/// A member of a record without the `Event` element.
fn flat(path: &str) -> Named {
    match path {
        "winlog.channel" | "log_name" => Named::As("Channel"),
        "winlog.event_id" | "event_id" => Named::As("EventID"),
        "winlog.provider_name" | "source_name" => Named::As("Provider_Name"),
        "winlog.provider_guid" | "provider_guid" => Named::As("Provider_Guid"),
        "winlog.computer_name" | "computer_name" => Named::As("Computer"),
        "winlog.record_id" | "record_number" => Named::As("EventRecordID"),
        "winlog.task" => Named::As("Task"),
        "winlog.opcode" => Named::As("Opcode"),
        "winlog.keywords" => Named::As("Keywords"),
        "winlog.process.pid" => Named::As("Execution_ProcessID"),
        "winlog.process.thread.id" => Named::As("Execution_ThreadID"),
        "winlog.user.identifier" => Named::As("Security_UserID"),
        "winlog.activity_id" => Named::As("Correlation_ActivityID"),
        "message" => Named::As("Message"),
        "SourceName" | "ProviderName" => Named::Also("Provider_Name"),
        "ProviderGuid" => Named::Also("Provider_Guid"),
        "Hostname" | "host.name" => Named::Also("Computer"),
        _ => Named::Tail(0),
    }
}

/// Sets a column to a value unless the value says "nothing".
fn set(event: &mut Event, attr: Attr, value: Span) {
    if !matches!(event.slice(value), "" | "-" | "S-1-0-0" | "%%1793") {
        event.set_attr(attr, value);
    }
}

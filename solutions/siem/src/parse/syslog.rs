//! Syslog lines: RFC 5424, RFC 3164 as it is really written, and the classic files, which lack the
//! priority. The header is read here; what the message says, by its program ([`super::program`]).

use covigil_model::{Attr, Event, Severity, Time};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

use crate::parse::{draft::Draft, machine, moment, program};

/// The parser of syslog lines.
pub struct Syslog;

impl Parser for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn sniff(&self, original: &str) -> Confidence {
        let (priority, rest) = priority(original);
        let dated = moment::syslog(rest, Time::MAX.plus_secs(-1_000_000), 0).is_some()
            || leading_iso(rest).is_some_and(|(stamp, after)| {
                moment::iso(stamp, 0).is_some() && (stamp.contains('T') && tag_follows(after))
            });
        match (priority, dated) {
            (Some(_), _) | (_, true) => Confidence::Strong,
            _ => Confidence::No,
        }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let mut draft = Draft::of(event);
        let header = Header::read(event.original(), context);
        if let Some(time) = header.time {
            draft.time(time);
        }
        header.describe(&mut draft);
        let message = program::Message {
            program: header.program,
            text: header.message,
            auth: matches!(header.priority.map(|p| p >> 3), Some(4 | 10)),
            unit: "",
        };
        program::read(&message, &mut draft);
        draft.write(event);
        machine::name(context, event);
        Ok(())
    }
}

/// The parts of a syslog line before the message.
#[derive(Debug, Default)]
struct Header<'a> {
    priority: Option<u8>,
    time: Option<Time>,
    host: &'a str,
    program: &'a str,
    pid: &'a str,
    message_id: &'a str,
    data: &'a str,
    message: &'a str,
}

impl<'a> Header<'a> {
    fn read(line: &'a str, context: &ParseContext) -> Self {
        let (priority, rest) = priority(line);
        let header = match rest.strip_prefix("1 ") {
            Some(body) if priority.is_some() => Self::rfc5424(body, context),
            _ => None,
        };
        let mut header = header.unwrap_or_else(|| Self::rfc3164(rest, context));
        header.priority = priority;
        header
    }

    /// What follows `<PRI>1 ` in RFC 5424 section 6.
    fn rfc5424(text: &'a str, context: &ParseContext) -> Option<Self> {
        let mut parts = text.splitn(6, ' ');
        let (stamp, host, program) = (parts.next()?, parts.next()?, parts.next()?);
        let (pid, message_id, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let time = if stamp == "-" { None } else { Some(moment::iso(stamp, context.utc_offset)?) };
        let (data, message) = structured_data(rest)?;
        let nil = |part: &'a str| if part == "-" { "" } else { part };
        Some(Self {
            priority: None,
            time,
            host: nil(host),
            program: nil(program),
            pid: nil(pid),
            message_id: nil(message_id),
            data,
            message: message.trim_start_matches('\u{feff}'),
        })
    }

    /// RFC 3164, with the times and omissions that are common.
    fn rfc3164(text: &'a str, context: &ParseContext) -> Self {
        let mut header = Self::default();
        let mut rest = text;
        // Cisco puts a sequence number, and a mark for an unset clock, before the time.
        let marked = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':' || c == ' ');
        let marked = marked.trim_start_matches(['*', '.']);
        if let Some((time, taken)) = moment::syslog(rest, context.received, context.utc_offset) {
            (header.time, rest) = (Some(time), &rest[taken..]);
        } else if let Some((stamp, after)) = leading_iso(rest) {
            (header.time, rest) = (moment::iso(stamp, context.utc_offset), after);
        } else if let Some((time, taken)) = moment::syslog(marked, context.received, context.utc_offset) {
            (header.time, rest) = (Some(time), &marked[taken..]);
            rest = rest.strip_prefix(" UTC").unwrap_or(rest);
            rest = rest.strip_prefix(": ").unwrap_or(rest);
        }
        let dated = header.time.is_some();
        rest = rest.trim_start_matches(' ').strip_prefix(": ").unwrap_or(rest.trim_start_matches(' '));
        if let Some((program, pid, message)) = tag(rest) {
            // A second tag right behind means that the first was a host with a colon.
            if let Some((program, pid, message)) = tag(message).filter(|(p, ..)| p.starts_with('%')) {
                header.host = rest.split(':').next().unwrap_or("");
                (header.program, header.pid, header.message) = (program, pid, message);
            } else {
                (header.program, header.pid, header.message) = (program, pid, message);
            }
            return header;
        }
        let (host, after) = match rest.split_once(' ') {
            Some((host, after)) if dated && !host.is_empty() => (host, after.trim_start_matches(' ')),
            _ => ("", rest),
        };
        header.host = host;
        match tag(after) {
            Some((program, pid, message)) => {
                (header.program, header.pid, header.message) = (program, pid, message);
            }
            None => header.message = after,
        }
        header
    }

    fn describe(&self, draft: &mut Draft) {
        if let Some(priority) = self.priority {
            let (facility, severity) = (priority >> 3, priority & 7);
            draft.word("facility", FACILITIES[usize::from(facility).min(FACILITIES.len() - 1)]);
            draft.word("severity", SEVERITIES[usize::from(severity)]);
            draft.severity(of_severity(severity));
            draft.column_word(Attr::LogName, FACILITIES[usize::from(facility).min(FACILITIES.len() - 1)]);
        }
        if !self.host.is_empty() {
            draft.both("host", self.host, Attr::DeviceHostname);
        }
        if !self.program.is_empty() {
            draft.both("program", self.program, Attr::Product);
            draft.column(Attr::ActorProcessName, self.program);
        }
        if !self.pid.is_empty() {
            draft.both("pid", self.pid, Attr::ActorProcessPid);
        }
        if !self.message_id.is_empty() {
            draft.both("msgid", self.message_id, Attr::EventCode);
        }
        for (name, value) in data_params(self.data) {
            draft.pair(name, value);
        }
        draft.both("message", self.message, Attr::Message);
    }
}

/// Syslog's severities on OCSF's scale.
pub(crate) const fn of_severity(severity: u8) -> Severity {
    match severity {
        0 | 1 => Severity::Critical,
        2 => Severity::High,
        3 => Severity::Medium,
        4 => Severity::Low,
        _ => Severity::Informational,
    }
}

/// Names of facilities by number (RFC 5424 section 6.2.1).
pub(crate) const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// Names of severities by number (RFC 5424 section 6.2.1).
pub(crate) const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/// The priority in angle brackets, and what follows.
fn priority(line: &str) -> (Option<u8>, &str) {
    let Some(inner) = line.strip_prefix('<') else { return (None, line) };
    let digits = inner.bytes().take(4).take_while(u8::is_ascii_digit).count();
    if !(1..=3).contains(&digits) || inner.as_bytes().get(digits) != Some(&b'>') {
        return (None, line);
    }
    match inner[..digits].parse::<u16>() {
        Ok(value) if value < 192 => (Some(value as u8), &inner[digits + 1..]),
        _ => (None, line),
    }
}

/// `2024-01-02T03:04:05.678+00:00` at the begin, and what follows it. A space in place of `T` is
/// taken too.
pub(crate) fn leading_iso(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || bytes[4] != b'-' || bytes[7] != b'-' || bytes[13] != b':' {
        return None;
    }
    let tail = text.get(19..)?;
    let end = 19 + tail.find(' ').unwrap_or(tail.len());
    let (stamp, rest) = (text.get(..end)?, text.get(end..)?);
    let stamp = stamp.strip_suffix(':').unwrap_or(stamp);
    moment::iso(stamp, 0)?;
    Some((stamp, rest.strip_prefix(' ').unwrap_or(rest)))
}

fn tag_follows(text: &str) -> bool {
    tag(text).is_some() || text.split_once(' ').is_some_and(|(_, after)| tag(after).is_some())
}

/// `program[pid]: message`, in parts. The program is one word of at most 128 bytes.
fn tag(text: &str) -> Option<(&str, &str, &str)> {
    let end = text.bytes().take(160).position(|b| b == b' ').unwrap_or(text.len().min(160));
    let word = text.get(..end)?;
    let (name, rest) = match word.find("]:") {
        Some(close) => (&word[..=close], &text[close + 2..]),
        None => {
            let colon = word.find(": ").or_else(|| word.ends_with(':').then(|| word.len() - 1))?;
            (&word[..colon], &text[colon + 1..])
        }
    };
    let (program, pid) = match name.strip_suffix(']').and_then(|n| n.rsplit_once('[')) {
        Some((program, pid)) => (program, pid),
        None => (name, ""),
    };
    if program.is_empty() || program.contains('=') || program.contains('"') {
        return None;
    }
    Some((program, pid, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// RFC 5424's structured data and what follows it; `None` where it is malformed.
fn structured_data(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('-') {
        return match rest.strip_prefix(' ') {
            Some(message) => Some(("", message)),
            None if rest.is_empty() => Some(("", "")),
            None => None,
        };
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while bytes.get(at) == Some(&b'[') {
        let mut quoted = false;
        loop {
            match *bytes.get(at)? {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b']' if !quoted => break,
                _ => {}
            }
            at += 1;
        }
        at += 1;
    }
    if at == 0 {
        return None;
    }
    let rest = text.get(at..)?;
    Some((&text[..at], rest.strip_prefix(' ').unwrap_or(rest)))
}

/// The parameters of structured data that [`structured_data`] has accepted, by their own names.
fn data_params(data: &str) -> impl Iterator<Item = (&str, &str)> {
    crate::parse::keyvalue::pairs(data.trim_end_matches(']')).map(|pair| (pair.name, pair.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> ParseContext {
        ParseContext {
            received: Time::parse("2026-03-01T12:00:00Z").unwrap(),
            utc_offset: 0,
            peer: None,
            hostname: "here".into(),
        }
    }

    fn read(line: &str) -> Event {
        let mut event = Event::from_original(line);
        Syslog.parse(&context(), &mut event).unwrap();
        event
    }

    fn fields(line: &str, names: &[&str]) -> Vec<String> {
        let event = read(line);
        names.iter().map(|n| event.field(n).map_or("", |v| v.text).to_owned()).collect()
    }

    #[test]
    fn headers() {
        let names = ["facility", "severity", "host", "program", "pid", "message"];
        for (line, expected) in [
            (
                "<34>Feb 28 22:14:15 mymachine su[77]: 'su root' failed",
                ["auth", "critical", "mymachine", "su", "77", "'su root' failed"],
            ),
            ("Feb  2 22:14:15 h cron: x y", ["", "", "h", "cron", "", "x y"]),
            ("Feb  2 22:14:15 cron[1]: x", ["", "", "here", "cron", "1", "x"]),
            ("<13>x no header at all", ["user", "notice", "here", "", "", "x no header at all"]),
            (
                "2026-02-02T03:04:05.678901+01:00 h postfix/smtpd[12]: connect",
                ["", "", "h", "postfix/smtpd", "12", "connect"],
            ),
            (
                "<165>1 2026-02-11T22:14:15.003Z web app 99 ID47 [a@1 k=\"v \\\"q\\\" ]\" n=\"2\"][b] \u{feff}hello",
                ["local4", "notice", "web", "app", "99", "hello"],
            ),
            ("<165>1 - - - - - -", ["local4", "notice", "here", "", "", ""]),
            ("<999>Feb  2 22:14:15 h a: b", ["", "", "here", "", "", "<999>Feb  2 22:14:15 h a: b"]),
            (
                "<189>000123: *Feb  1 18:46:11.250: %SYS-5-CONFIG_I: Configured from console",
                ["local7", "notice", "here", "%SYS-5-CONFIG_I", "", "Configured from console"],
            ),
            ("Feb  2 22:14:15 h no tag here", ["", "", "h", "", "", "no tag here"]),
            ("", ["", "", "here", "", "", ""]),
        ] {
            assert_eq!(fields(line, &names), expected, "{line}");
        }
    }

    #[test]
    fn structured_data_becomes_fields() {
        let line = "<165>1 2026-02-11T22:14:15.003Z web app 99 ID47 [a@1 k=\"v ]\" n=\"2\"][b c=\"3\"] hello";
        assert_eq!(fields(line, &["k", "n", "c", "msgid"]), ["v ]", "2", "3", "ID47"]);
        assert_eq!(read(line).time, Time::parse("2026-02-11T22:14:15.003Z").unwrap());
    }

    #[test]
    fn lines_are_told_from_other_texts() {
        for line in ["<34>x", "Feb  2 22:14:15 h a: b", "2026-02-02T03:04:05+01:00 h a[1]: b"] {
            assert_eq!(Syslog.sniff(line), Confidence::Strong, "{line}");
        }
        for line in ["{}", "", "<x>", "2026-02-02 03:04:05 install x:amd64 <none> 1"] {
            assert_eq!(Syslog.sniff(line), Confidence::No, "{line}");
        }
    }
}

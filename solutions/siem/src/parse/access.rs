//! Web servers' logs: access logs in the common and combined forms of Apache and nginx, with or
//! without a virtual host before, and both servers' error logs. Fields have the W3C names that
//! Sigma's webserver rules use.

use covigil_model::{Attr, Class, Event, Severity, Status};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

use crate::parse::{draft::Draft, machine, moment};

/// The parser of web servers' logs.
pub struct WebServer;

impl Parser for WebServer {
    fn name(&self) -> &'static str {
        "webserver"
    }

    fn sniff(&self, original: &str) -> Confidence {
        let mut draft = Draft::of(&Event::new());
        let head = cut(original, 16_384);
        if read(head, &mut draft) || error(head, 0, &mut draft) { Confidence::Strong } else { Confidence::No }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let mut draft = Draft::of(event);
        let text = event.original();
        let understood = read(text, &mut draft) || error(text, context.utc_offset, &mut draft);
        match context.peer.as_deref() {
            Some(path) if path.contains("nginx") => draft.service("nginx"),
            Some(path) if path.contains("apache") || path.contains("httpd") => draft.service("apache"),
            _ => {}
        }
        draft.field("message", text);
        draft.column(Attr::Message, text);
        draft.write(event);
        machine::name(context, event);
        if understood {
            Ok(())
        } else {
            Err(ParseFailure("neither an access log line (common or combined) nor an error log line".into()))
        }
    }
}

/// The first `most` bytes, or fewer, at a character boundary.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Reads a line of an access log; `false` where it is none.
pub(crate) fn read(text: &str, draft: &mut Draft) -> bool {
    let Some((before, rest)) = text.split_once(" [") else { return false };
    let Some((stamp, rest)) = rest.split_once("] \"") else { return false };
    let Some(time) = moment::web(stamp) else { return false };
    let mut who = before.split(' ');
    let (mut client, mut user) = (who.next().unwrap_or(""), before.rsplit(' ').next().unwrap_or(""));
    let words = before.split(' ').count();
    if words == 4 {
        // A virtual host stands first.
        draft.both("cs-host", client, Attr::DstHostname);
        client = who.next().unwrap_or("");
    } else if words < 3 {
        user = &user[..0];
    }
    let Some((request, rest)) = quoted(rest) else { return false };
    let mut parts = rest.trim_start().splitn(3, ' ');
    let (status, bytes, rest) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next());
    if status.len() != 3 || !status.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    draft.time(time);
    draft.category("webserver");
    draft.both("c-ip", client, Attr::SrcIp);
    draft.field("src_ip", client);
    if user != "-" {
        draft.both("cs-username", user, Attr::UserName);
    }
    request_line(request, draft);
    draft.number("sc-status", status, Attr::HttpStatus);
    draft.field("sc-bytes", bytes);
    if let Some(rest) = rest.and_then(|r| r.strip_prefix('"'))
        && let Some((referer, rest)) = quoted(rest)
    {
        draft.field("cs-referer", referer);
        draft.field("cs-referrer", referer);
        if let Some(rest) = rest.trim_start().strip_prefix('"')
            && let Some((agent, _)) = quoted(rest)
        {
            draft.both("cs-user-agent", agent, Attr::UserAgent);
            draft.field("c-useragent", agent);
        }
    }
    draft.status(if status < "400" { Status::Success } else { Status::Failure });
    true
}

/// `GET /path?query HTTP/1.1`. A request that is none keeps its whole text as the URI.
fn request_line(request: &str, draft: &mut Draft) {
    let (method, uri, version) = match request.split_once(' ') {
        Some((method, rest)) if method.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') => {
            match rest.rsplit_once(' ') {
                Some((uri, version)) if version.starts_with("HTTP/") => (method, uri, version),
                _ => (method, rest, &request[..0]),
            }
        }
        _ => (&request[..0], request, &request[..0]),
    };
    draft.class(Class::HTTP, activity(method));
    if !method.is_empty() {
        draft.both("cs-method", method, Attr::HttpMethod);
    }
    draft.both("c-uri", uri, Attr::Url);
    draft.field("cs-uri", uri);
    let (stem, query) = uri.split_once('?').unwrap_or((uri, &uri[..0]));
    draft.field("cs-uri-stem", stem);
    // Rules look for paths in the query too, so both are found under its name.
    draft.field("cs-uri-query", uri);
    if !query.is_empty() {
        draft.field("cs-uri-query", query);
    }
    if !version.is_empty() {
        draft.field("cs-version", version);
    }
}

/// OCSF's activity for a method.
pub(crate) fn activity(method: &str) -> u8 {
    match method {
        "CONNECT" => 1,
        "DELETE" => 2,
        "GET" => 3,
        "HEAD" => 4,
        "OPTIONS" => 5,
        "POST" => 6,
        "PUT" => 7,
        "TRACE" => 8,
        "PATCH" => 9,
        "" => 0,
        _ => 99,
    }
}

/// What stands before the next quote that is not escaped, and what follows that.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some((&text[..at], &text[at + 1..]));
        }
        at += 2;
    }
}

/// Reads a line of an error log; `false` where it is none.
fn error(text: &str, offset: i32, draft: &mut Draft) -> bool {
    if let Some(time) = text.get(..19).and_then(|stamp| moment::slashed(stamp, offset)) {
        // `2024/01/02 03:04:05 [error] 12#12: *1 message, client: 10.0.0.1, request: "GET / …"`
        let Some((level, rest)) = text[19..].strip_prefix(" [").and_then(|r| r.split_once("] ")) else {
            return false;
        };
        draft.time(time);
        draft.service("nginx");
        level_of(level, draft);
        if let Some((_, rest)) = rest.split_once(", client: ") {
            let client = rest.split(',').next().unwrap_or(rest);
            draft.both("c-ip", client, Attr::SrcIp);
            draft.field("src_ip", client);
        }
        if let Some((_, rest)) = rest.split_once(", request: \"")
            && let Some((request, _)) = quoted(rest)
        {
            request_line(request, draft);
        }
        return true;
    }
    // `[Wed Oct 11 14:32:52.123456 2000] [core:error] [pid 1] [client 10.0.0.1:555] message`
    let Some((stamp, rest)) = text.strip_prefix('[').and_then(|t| t.split_once("] [")) else { return false };
    let Some((_, stamp)) = stamp.split_once(' ') else { return false };
    let Some((time, _)) = moment::syslog(stamp, covigil_model::Time::MAX.plus_secs(-1_000_000), offset)
    else {
        return false;
    };
    let Some((level, rest)) = rest.split_once("] ") else { return false };
    draft.time(time);
    draft.service("apache");
    level_of(level.rsplit(':').next().unwrap_or(level), draft);
    if let Some((_, rest)) = rest.split_once("[client ") {
        let client = rest.split(']').next().unwrap_or(rest);
        let address = match client.rsplit_once(':') {
            Some((address, port)) if port.bytes().all(|b| b.is_ascii_digit()) => address,
            _ => client,
        };
        draft.both("c-ip", address, Attr::SrcIp);
        draft.field("src_ip", address);
    }
    true
}

fn level_of(level: &str, draft: &mut Draft) {
    draft.class(Class::BASE, 99);
    draft.field("level", level);
    match level {
        "emerg" | "alert" => draft.severity(Severity::Critical),
        "crit" => draft.severity(Severity::High),
        "error" => draft.severity(Severity::Medium),
        "warn" => draft.severity(Severity::Low),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Event {
        let context = ParseContext {
            received: covigil_model::Time::from_secs(1_700_000_000),
            utc_offset: 0,
            peer: Some("/var/log/nginx/access.log".into()),
            hostname: "h".into(),
        };
        let mut event = Event::from_original(line);
        WebServer.parse(&context, &mut event).unwrap();
        event
    }

    #[test]
    fn combined_log() {
        let event = read(
            r#"10.0.0.1 - bob [10/Oct/2023:13:55:36 -0700] "GET /a/b.php?x=1&y=../.. HTTP/1.1" 404 23 "http://r/" "Moz \"q\" 5""#,
        );
        for (name, value) in [
            ("c-ip", "10.0.0.1"),
            ("cs-username", "bob"),
            ("cs-method", "GET"),
            ("c-uri", "/a/b.php?x=1&y=../.."),
            ("cs-uri-stem", "/a/b.php"),
            ("sc-status", "404"),
            ("cs-referer", "http://r/"),
            ("cs-user-agent", "Moz \\\"q\\\" 5"),
        ] {
            assert_eq!(event.field(name).map(|v| v.text), Some(value), "{name}");
        }
        assert_eq!(event.time.to_string(), "2023-10-10T20:55:36Z");
        assert_eq!(event.class, Class::HTTP);
        assert!(event.log_source.covers(None, Some("nginx"), Some("webserver")));
    }

    #[test]
    fn other_lines() {
        let event = read(r#"web:443 ::1 - - [10/Oct/2023:13:55:36 +0000] "\x16\x03\x01" 400 0"#);
        assert_eq!(event.field("c-ip").unwrap().text, "::1");
        assert_eq!(event.field("c-uri").unwrap().text, r"\x16\x03\x01");
        let event = read(
            r#"2024/01/02 03:04:05 [error] 7#7: *1 open() "/x" failed (2: No such file), client: 10.0.0.7, server: _, request: "GET /x HTTP/1.1", host: "h""#,
        );
        assert_eq!(event.field("c-ip").unwrap().text, "10.0.0.7");
        assert_eq!(event.severity, Severity::Medium);
        let event =
            read("[Wed Oct 11 14:32:52.123456 2000] [core:error] [pid 7] [client 10.0.0.8:4711] AH1: no");
        assert_eq!(event.attr(Attr::SrcIp), Some("10.0.0.8"));
        assert_eq!(event.time.to_string(), "2000-10-11T14:32:52.123456Z");
    }
}

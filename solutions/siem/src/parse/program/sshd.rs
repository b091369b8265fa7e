//! OpenSSH's server. Names that a client chose may contain anything, also text that looks like
//! sshd's own; so what sshd writes itself is looked for from the line's end.

use covigil_model::{Attr, Class, Severity, Status};

use crate::parse::draft::Draft;

/// Reads one message.
pub(super) fn read(text: &str, draft: &mut Draft) {
    let text = text.strip_prefix("error: ").or_else(|| text.strip_prefix("fatal: ")).unwrap_or(text);
    let body = text.strip_suffix(" [preauth]").unwrap_or(text);
    if let Some(rest) = body.strip_prefix("Accepted ") {
        login(rest, draft);
        draft.action("login_accepted");
        draft.status(Status::Success);
    } else if let Some(rest) = body.strip_prefix("Failed ") {
        if login(rest, draft) {
            draft.action("login_failed");
            draft.status(Status::Failure);
        }
    } else if let Some(rest) = body.strip_prefix("Invalid user ") {
        authentication(draft, "invalid_user", Status::Failure);
        user_from(rest, draft);
    } else if let Some(rest) = body.strip_prefix("User ") {
        if let Some((who, reason)) = rest.split_once(" not allowed because ") {
            authentication(draft, "login_denied", Status::Failure);
            user_from(who, draft);
            draft.both("reason", reason, Attr::StatusDetail);
        }
    } else if let Some(rest) = body.strip_prefix("maximum authentication attempts exceeded for ") {
        authentication(draft, "too_many_failures", Status::Failure);
        user_from(rest.strip_suffix(" ssh2").unwrap_or(rest), draft);
    } else if let Some(rest) = body.strip_prefix("Disconnecting ") {
        disconnect(rest, draft);
        if body.contains("Too many authentication failures") {
            authentication(draft, "too_many_failures", Status::Failure);
        }
    } else if let Some(rest) = body
        .strip_prefix("Connection closed by ")
        .or_else(|| body.strip_prefix("Connection reset by "))
        .or_else(|| body.strip_prefix("Disconnected from "))
        .or_else(|| body.strip_prefix("Received disconnect from "))
    {
        disconnect(rest, draft);
        draft.class(Class::AUTHENTICATION, 2);
        draft.action("disconnected");
    } else if let Some(rest) = body.strip_prefix("Connection from ") {
        endpoint(rest, draft);
        draft.class(Class::NETWORK, 1);
        draft.action("connected");
    } else if let Some(rest) = body
        .strip_prefix("Did not receive identification string from ")
        .or_else(|| body.strip_prefix("Unable to negotiate with "))
        .or_else(|| body.strip_prefix("banner exchange: Connection from "))
    {
        endpoint(rest, draft);
        draft.class(Class::NETWORK, 4);
        draft.action("protocol_error");
        draft.severity(Severity::Low);
    } else if let Some((_, rest)) =
        body.strip_prefix("Bad protocol version identification ").and_then(|r| r.rsplit_once(" from "))
    {
        endpoint(rest, draft);
        draft.class(Class::NETWORK, 4);
        draft.action("protocol_error");
        draft.severity(Severity::Low);
    } else if let Some(rest) = body.strip_prefix("Starting session: ") {
        if let Some((what, who)) = rest.rsplit_once(" for ") {
            draft.field("session", what);
            user_from(who.split(" id ").next().unwrap_or(who), draft);
        }
        draft.action("session_opened");
    } else if let Some(rest) = body.strip_prefix("Server listening on ") {
        draft.action("listening");
        draft.class(Class::APPLICATION_LIFECYCLE, 3);
        if let Some((address, port)) = rest.trim_end_matches('.').split_once(" port ") {
            draft.both("dst_ip", address, Attr::DstIp);
            draft.both("dst_port", port, Attr::DstPort);
        }
    } else if body.starts_with("Received signal") {
        draft.action("service_stopped");
        draft.class(Class::APPLICATION_LIFECYCLE, 4);
    }
}

fn authentication(draft: &mut Draft, action: &'static str, status: Status) {
    draft.class(Class::AUTHENTICATION, 1);
    draft.status(status);
    draft.action(action);
}

/// `METHOD for [invalid user ]USER from ADDRESS port PORT ssh2[: KEY]`.
fn login(text: &str, draft: &mut Draft) -> bool {
    let Some((method, rest)) = text.split_once(" for ") else { return false };
    if method.contains(' ') {
        return false;
    }
    draft.class(Class::AUTHENTICATION, 1);
    draft.field("method", method);
    let (who, key) = match rest.rfind(" ssh2: ") {
        Some(at) => (&rest[..at], Some(&rest[at + " ssh2: ".len()..])),
        None => (rest.strip_suffix(" ssh2").unwrap_or(rest), None),
    };
    if let Some(key) = key {
        draft.field("key", key);
    }
    user_from(who, draft);
    true
}

/// `[invalid user ]USER from ADDRESS[ port PORT]`, read from the end.
fn user_from(text: &str, draft: &mut Draft) {
    let (user, from) = match text.rsplit_once(" from ") {
        Some(parts) => parts,
        None => match text.strip_prefix("from ") {
            Some(from) => (&text[..0], from),
            None => (text, &text[..0]),
        },
    };
    let user = match user.strip_prefix("invalid user ") {
        Some(user) => {
            draft.word("invalid_user", "true");
            user
        }
        None => user,
    };
    draft.both("user", user, Attr::UserName);
    if !from.is_empty() {
        endpoint(from, draft);
    }
}

/// `ADDRESS port PORT…`, or an address alone.
fn endpoint(text: &str, draft: &mut Draft) {
    let word = text.split([' ', ':']).next().unwrap_or("");
    // An IPv6 address has colons of its own.
    let address = match text.split(' ').next() {
        Some(whole) if whole.matches(':').count() >= 2 => whole.trim_end_matches(':'),
        _ => word,
    };
    if address.is_empty() {
        return;
    }
    draft.both("src_ip", address, Attr::SrcIp);
    if let Some(rest) = text.get(address.len()..).and_then(|rest| rest.strip_prefix(" port ")) {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            draft.both("src_port", &rest[..digits], Attr::SrcPort);
        }
    }
}

/// `[authenticating|invalid ][user USER ]ADDRESS port PORT[: REASON]`.
fn disconnect(text: &str, draft: &mut Draft) {
    let text = match text.strip_prefix("invalid ") {
        Some(rest) => {
            draft.word("invalid_user", "true");
            rest
        }
        None => text.strip_prefix("authenticating ").unwrap_or(text),
    };
    let Some(named) = text.strip_prefix("user ") else { return endpoint(text, draft) };
    let before = named.rfind(" port ").unwrap_or(named.len());
    if let Some(space) = named[..before].rfind(' ') {
        draft.both("user", &named[..space], Attr::UserName);
        endpoint(&named[space + 1..], draft);
    }
}

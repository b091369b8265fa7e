//! Linux-PAM's modules, which log under the name of whatever program called them:
//! `pam_unix(su:auth): authentication failure; logname= uid=1000 … ruser=bob rhost=  user=root`.

use covigil_model::{Attr, Class, Status};

use crate::parse::{draft::Draft, keyvalue};

/// Reads a message of a PAM module; `false` where it is none.
pub(super) fn read(text: &str, draft: &mut Draft) -> bool {
    // sshd's summary of what PAM told it has the form, not the name.
    if let Some(rest) = text.strip_prefix("PAM ")
        && rest.contains(" more authentication failure")
        && let Some((_, data)) = rest.split_once("; ")
    {
        draft.class(Class::AUTHENTICATION, 1);
        draft.status(Status::Failure);
        draft.action("too_many_failures");
        pairs(data, draft);
        return true;
    }
    let Some((module, rest)) = text.split_once('(') else { return false };
    if !module.starts_with("pam_") || module.len() > 40 || module.contains(' ') {
        return false;
    }
    let Some((place, said)) = rest.split_once("): ") else { return false };
    let (service, kind) = place.split_once(':').unwrap_or((place, &place[..0]));
    draft.field("pam_module", module);
    draft.field("pam_service", service);
    draft.field("pam_type", kind);
    draft.column(Attr::ServiceName, service);
    said_by_module(said, kind, draft);
    true
}

fn said_by_module(said: &str, kind: &str, draft: &mut Draft) {
    if let Some(data) = said.strip_prefix("authentication failure;") {
        failed(draft, "authentication_failed");
        pairs(data, draft);
    } else if let Some(data) = said.strip_prefix("check pass; user unknown") {
        failed(draft, "unknown_user");
        pairs(data, draft);
    } else if let Some(rest) = said.strip_prefix("session opened for user ") {
        draft.class(Class::AUTHENTICATION, 1);
        draft.status(Status::Success);
        draft.action("session_opened");
        let (user, by) = rest.split_once(" by ").unwrap_or((rest, &rest[..0]));
        session_user(user, draft);
        let by = by.split('(').next().unwrap_or("");
        if !by.is_empty() {
            draft.both("by_user", by, Attr::ActorUserName);
        }
    } else if let Some(user) = said.strip_prefix("session closed for user ") {
        draft.class(Class::AUTHENTICATION, 2);
        draft.action("session_closed");
        session_user(user, draft);
    } else if let Some(user) = said.strip_prefix("password changed for ") {
        draft.class(Class::ACCOUNT_CHANGE, 3);
        draft.status(Status::Success);
        draft.action("password_changed");
        draft.both("user", user, Attr::UserName);
    } else if let Some(rest) = said.strip_prefix("auth could not identify password for [") {
        failed(draft, "authentication_failed");
        draft.both("user", rest.trim_end_matches(']'), Attr::UserName);
    } else if let Some(rest) = said.strip_prefix("account ") {
        // `account bob has expired (account expired)`.
        if let Some((user, reason)) = rest.split_once(" has ") {
            failed(draft, "login_denied");
            draft.both("user", user, Attr::UserName);
            draft.both("reason", reason, Attr::StatusDetail);
        }
    } else if said.contains("account temporarily locked") || said.contains("Consecutive login failures") {
        draft.class(Class::ACCOUNT_CHANGE, 9);
        draft.action("account_locked");
        let user = said.rsplit("user ").next().and_then(|u| u.split(' ').next()).unwrap_or("");
        draft.both("user", user, Attr::UserName);
    } else if kind == "auth" && (said.contains("denied") || said.contains("not met by user")) {
        failed(draft, "login_denied");
        draft.column(Attr::StatusDetail, said);
    }
}

fn failed(draft: &mut Draft, action: &'static str) {
    draft.class(Class::AUTHENTICATION, 1);
    draft.status(Status::Failure);
    draft.action(action);
}

/// `bob(uid=1000)` or `bob`.
fn session_user(text: &str, draft: &mut Draft) {
    let (user, id) = text.split_once("(uid=").unwrap_or((text, &text[..0]));
    draft.both("user", user, Attr::UserName);
    let id = id.trim_end_matches(')');
    if !id.is_empty() {
        draft.both("uid", id, Attr::UserUid);
    }
}

/// The pairs of an authentication failure. `user` comes last, and a client chose it and `ruser`.
fn pairs(data: &str, draft: &mut Draft) {
    for pair in keyvalue::pairs(data) {
        match pair.name {
            "user" => draft.both("user", pair.value, Attr::UserName),
            "rhost" => {
                draft.field("rhost", pair.value);
                if pair.value.parse::<std::net::IpAddr>().is_ok() {
                    draft.both("src_ip", pair.value, Attr::SrcIp);
                } else {
                    draft.column(Attr::SrcHostname, pair.value);
                }
            }
            "ruser" => draft.both("ruser", pair.value, Attr::ActorUserName),
            "uid" => draft.both("uid", pair.value, Attr::ActorUserUid),
            "logname" | "euid" | "tty" => draft.pair(pair.name, pair.value),
            _ => {}
        }
    }
}

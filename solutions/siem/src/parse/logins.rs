//! Login records (utmp(5)), which intake gives as JSON:
//! `{"type":7,"user":"bob","line":"pts/0","host":"10.0.0.9","addr":"10.0.0.9","pid":77,"time":"…"}`.
//!
//! `wtmp` has logins, logouts, boots and shutdowns; `btmp` has failed logins of the same type as
//! logins, told apart by the file they came from or by `"failed":true`.

use covigil_model::{Attr, Class, Event, Kind, Status, json};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

use crate::parse::{machine, moment};

/// The parser of login records.
pub struct Logins;

impl Parser for Logins {
    fn name(&self) -> &'static str {
        "logins"
    }

    fn sniff(&self, _: &str) -> Confidence {
        Confidence::No
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let end = event.original().len();
        let outcome = json::flatten(event, 0, end);
        // `host` is the peer in these records, and the machine everywhere else.
        for index in 0..event.fields().len() {
            if event.slice(event.fields()[index].name) == "host" {
                event.fields_mut()[index].name = event.append("remote_host");
            }
        }
        if let Some(time) = event.field("time").and_then(|v| moment::any(v.text, context.utc_offset)) {
            event.time = time;
        }
        let failed = event.field("failed").is_some_and(|v| v.text == "true")
            || context.peer.as_deref().is_some_and(|path| path.contains("btmp"));
        event.log_source.set("linux", &["auth", "logins"], &[]);
        let kind = event.field("type").map_or("", |v| v.text);
        let user = event.field("user").map_or("", |v| v.text);
        let (action, class, activity, status) = match (kind, failed) {
            (_, true) => ("login_failed", Class::AUTHENTICATION, 1, Status::Failure),
            ("7" | "user_process" | "USER_PROCESS" | "login", _) => {
                ("session_opened", Class::AUTHENTICATION, 1, Status::Success)
            }
            ("8" | "dead_process" | "DEAD_PROCESS" | "logout", _) => {
                ("session_closed", Class::AUTHENTICATION, 2, Status::Unknown)
            }
            ("2" | "boot_time" | "BOOT_TIME" | "boot", _) => {
                ("boot", Class::APPLICATION_LIFECYCLE, 3, Status::Success)
            }
            ("1" | "run_lvl" | "RUN_LVL" | "runlevel", _) if user == "shutdown" => {
                ("shutdown", Class::APPLICATION_LIFECYCLE, 4, Status::Success)
            }
            ("3" | "4" | "new_time" | "old_time" | "NEW_TIME" | "OLD_TIME", _) => {
                ("time_changed", Class::BASE, 99, Status::Success)
            }
            _ => ("login_record", Class::BASE, 99, Status::Unknown),
        };
        event.class = class;
        event.activity = activity;
        event.status = status;
        event.add_field("action", action, Kind::Text);
        for (name, attr) in [("user", Attr::UserName), ("pid", Attr::ActorProcessPid)] {
            if let Some(field) = event.find(name)
                && !field.value.is_empty()
            {
                event.set_attr(attr, field.value);
            }
        }
        for name in ["addr", "remote_host"] {
            let Some(field) = event.find(name) else { continue };
            let text = event.slice(field.value);
            match text.parse::<std::net::IpAddr>() {
                Ok(address) if address.is_unspecified() => {}
                Ok(_) => {
                    event.set_attr(Attr::SrcIp, field.value);
                    if event.find("src_ip").is_none() {
                        event.add_span_field("src_ip", field.value);
                    }
                }
                Err(_) if !text.is_empty() && name == "remote_host" => {
                    event.set_attr(Attr::SrcHostname, field.value)
                }
                Err(_) => {}
            }
        }
        machine::name(context, event);
        event.set_attr_text(Attr::Product, "utmp");
        outcome.map_err(|error| ParseFailure(format!("login record: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use covigil_model::Time;

    use super::*;

    #[test]
    fn failed_logins_are_told_by_their_file() {
        let context = ParseContext {
            received: Time::default(),
            utc_offset: 0,
            peer: Some("/var/log/btmp".into()),
            hostname: "h".into(),
        };
        let mut event = Event::from_original(
            r#"{"type":6,"user":"bob","line":"ssh:notty","host":"10.0.0.9","addr":"10.0.0.9","pid":7,"time":"2026-01-01T00:00:00.5Z"}"#,
        );
        Logins.parse(&context, &mut event).unwrap();
        assert_eq!(event.field("action").unwrap().text, "login_failed");
        assert_eq!(event.attr(Attr::SrcIp), Some("10.0.0.9"));
        assert_eq!(event.time.to_string(), "2026-01-01T00:00:00.500Z");
    }
}

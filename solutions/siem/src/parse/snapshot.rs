//! Changes between two pictures of this machine's state:
//! `{"change":"added","kind":"listener","key":"tcp/0.0.0.0:22",…}`. The first picture gives each
//! thing as `present`.

use covigil_model::{Attr, Class, Event, Kind, Status, json};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

use crate::parse::{machine, moment};

/// The parser of state changes.
pub struct Snapshot;

impl Parser for Snapshot {
    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn sniff(&self, _: &str) -> Confidence {
        Confidence::No
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let end = event.original().len();
        let outcome = json::flatten(event, 0, end);
        if let Some(time) = event.field("time").and_then(|v| moment::any(v.text, context.utc_offset)) {
            event.time = time;
        }
        event.status = Status::Success;
        let change = event.field("change").map_or("", |v| v.text);
        let kind = event.field("kind").map_or("", |v| v.text).to_owned();
        let (service, action, class, activity) = match (kind.as_str(), change) {
            ("listener", "present") => ("listeners", "listener_present", Class::INVENTORY, 2),
            ("package", "present") => ("packages", "package_present", Class::SOFTWARE_INVENTORY, 2),
            ("user", "present") => ("accounts", "user_present", Class::INVENTORY, 2),
            ("listener", "added") => ("listeners", "listening", Class::NETWORK, 7),
            ("listener", "removed") => ("listeners", "listener_closed", Class::NETWORK, 2),
            ("listener", _) => ("listeners", "listener_changed", Class::NETWORK, 7),
            ("package", "added") => ("packages", "package_installed", Class::SOFTWARE_INVENTORY, 1),
            ("package", "removed") => ("packages", "package_removed", Class::SOFTWARE_INVENTORY, 1),
            ("package", _) => ("packages", "package_upgraded", Class::SOFTWARE_INVENTORY, 1),
            ("user", "added") => ("accounts", "user_created", Class::ACCOUNT_CHANGE, 1),
            ("user", "removed") => ("accounts", "user_deleted", Class::ACCOUNT_CHANGE, 6),
            ("user", _) => ("accounts", "user_changed", Class::ACCOUNT_CHANGE, 99),
            _ => ("snapshot", "state_changed", Class::BASE, 99),
        };
        event.log_source.set("linux", &["snapshot", service], &[]);
        event.class = class;
        event.activity = activity;
        event.add_field("action", action, Kind::Text);
        let columns: &[(&str, Attr)] = match kind.as_str() {
            "listener" => &[
                ("address", Attr::DstIp),
                ("port", Attr::DstPort),
                ("protocol", Attr::Protocol),
                ("process", Attr::ActorProcessName),
                ("path", Attr::ActorProcessPath),
                ("pid", Attr::ActorProcessPid),
            ],
            "package" => &[("package", Attr::PackageName)],
            "user" => &[("user", Attr::UserName), ("uid", Attr::UserUid)],
            _ => &[],
        };
        for (name, attr) in columns {
            if let Some(field) = event.find(name)
                && !field.value.is_empty()
            {
                event.set_attr(*attr, field.value);
            }
        }
        machine::name(context, event);
        outcome.map_err(|error| ParseFailure(format!("state change: {error}")))
    }
}

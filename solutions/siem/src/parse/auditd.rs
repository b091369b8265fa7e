//! The Linux audit system's records: `type=EXECVE msg=audit(1364481363.243:24287): argc=1 a0="id"`.
//!
//! One record is one event, as Sigma's auditd rules expect; fields keep the audit system's names,
//! with hexadecimal arguments decoded. Records about executions, created files and connections
//! answer to the names of Sigma's endpoint rules too.

use std::net::{Ipv4Addr, Ipv6Addr};

use covigil_model::{Attr, Class, Event, Status};
use covigil_solution::{Confidence, ParseContext, ParseFailure, Parser};

use crate::parse::{draft::Draft, keyvalue, machine, moment};

/// The parser of `audit.log`.
pub struct Auditd;

impl Parser for Auditd {
    fn name(&self) -> &'static str {
        "auditd"
    }

    fn sniff(&self, original: &str) -> Confidence {
        let text = without_node(original);
        match text.strip_prefix("type=") {
            Some(rest) if rest.get(..64).unwrap_or(rest).contains("audit(") => Confidence::Strong,
            _ => Confidence::No,
        }
    }

    fn parse(&self, context: &ParseContext, event: &mut Event) -> Result<(), ParseFailure> {
        event.time = context.received;
        let mut draft = Draft::of(event);
        draft.service("auditd");
        let text = event.original();
        let node = text.strip_prefix("node=").and_then(|rest| rest.split(' ').next());
        if let Some(node) = node {
            draft.both("node", node, Attr::DeviceHostname);
        }
        let understood = read(without_node(text), &mut draft);
        draft.write(event);
        machine::name(context, event);
        if understood {
            Ok(())
        } else {
            Err(ParseFailure("not an audit record: it lacks audit(TIME:SERIAL)".into()))
        }
    }
}

fn without_node(text: &str) -> &str {
    match text.strip_prefix("node=") {
        Some(rest) => rest.split_once(' ').map_or("", |(_, rest)| rest),
        None => text,
    }
}

/// Reads one record, with or without `type=` and `msg=`; `false` where it is none.
pub(crate) fn read(text: &str, draft: &mut Draft) -> bool {
    let Some((head, rest)) = text.split_once("audit(") else { return false };
    let Some((stamp, body)) = rest.split_once(')') else { return false };
    let Some((seconds, serial)) = stamp.split_once(':') else { return false };
    draft.service("auditd");
    draft.column_word(Attr::Product, "auditd");
    if let Some(time) = moment::epoch(seconds) {
        draft.time(time);
    }
    draft.field("serial", serial);
    let kind = head.trim_start().strip_prefix("type=").map_or("", |k| k.split(' ').next().unwrap_or(""));
    let kind_name = match name_of(kind) {
        Some(name) => {
            draft.word("type", name);
            name
        }
        None => {
            draft.field("type", kind);
            kind
        }
    };
    draft.column(Attr::EventCode, kind);
    let body = body.trim_start_matches([':', ' ']);
    let mut record = Record::default();
    pairs(body, draft, &mut record);
    describe(kind_name, record, draft);
    true
}

/// Names of the types that the kernel's own log gives as numbers.
fn name_of(number: &str) -> Option<&'static str> {
    Some(match number {
        "1100" => "USER_AUTH",
        "1101" => "USER_ACCT",
        "1102" => "USER_MGMT",
        "1103" => "CRED_ACQ",
        "1104" => "CRED_DISP",
        "1105" => "USER_START",
        "1106" => "USER_END",
        "1112" => "USER_LOGIN",
        "1123" => "USER_CMD",
        "1130" => "SERVICE_START",
        "1131" => "SERVICE_STOP",
        "1300" => "SYSCALL",
        "1302" => "PATH",
        "1305" => "CONFIG_CHANGE",
        "1306" => "SOCKADDR",
        "1307" => "CWD",
        "1309" => "EXECVE",
        "1326" => "SECCOMP",
        "1327" => "PROCTITLE",
        "1400" => "AVC",
        _ => return None,
    })
}

/// What [`describe`] needs of the pairs.
#[derive(Default)]
struct Record {
    arguments: Vec<String>,
    title: Option<String>,
    name: String,
    created: bool,
    executed: bool,
    address: Option<(String, u16)>,
    success: Option<bool>,
    denied: bool,
    profile: bool,
}

fn pairs(body: &str, draft: &mut Draft, record: &mut Record) {
    for pair in keyvalue::pairs(body) {
        let value = pair.value;
        match pair.name {
            // Records from programs carry a second list inside quotes.
            "msg" if pair.quoted && value.contains('=') => {
                for inner in keyvalue::pairs(value) {
                    one(&inner, draft, record);
                }
            }
            _ => one(&pair, draft, record),
        }
    }
}

fn one(pair: &keyvalue::Pair<'_>, draft: &mut Draft, record: &mut Record) {
    // In the enriched format a group separator stands before the first translated name.
    let name = pair.name.trim_start_matches('\u{1d}');
    let value = pair.value.split('\u{1d}').next().unwrap_or("");
    let argument =
        name.strip_prefix('a').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let encoded = (argument
        || matches!(name, "proctitle" | "cmd" | "name" | "cwd" | "exe" | "comm" | "acct" | "data"))
        && !pair.quoted;
    let decoded = if encoded { decode(value) } else { None };
    if argument && record.arguments.len() < 256 {
        record.arguments.push(decoded.clone().unwrap_or_else(|| value.to_owned()));
    }
    let text = decoded.as_deref().unwrap_or(value);
    match name {
        "proctitle" | "cmd" => record.title = Some(text.to_owned()),
        "name" => record.name = text.to_owned(),
        "nametype" => record.created = value == "CREATE",
        "SYSCALL" | "syscall" => record.executed |= matches!(value, "execve" | "execveat" | "59" | "322"),
        "success" | "res" => record.success = Some(matches!(value, "yes" | "success" | "1")),
        "saddr" => record.address = address(value),
        "apparmor" => {
            record.profile = true;
            record.denied = value == "DENIED";
        }
        _ => {}
    }
    match decoded {
        Some(text) => draft.made_pair(name, text),
        None => draft.pair(name, value),
    }
    match name {
        "exe" => draft.column(Attr::ActorProcessPath, value),
        "comm" => draft.column(Attr::ActorProcessName, value),
        "pid" => draft.column(Attr::ActorProcessPid, value),
        "ppid" => draft.column(Attr::ParentPid, value),
        "ses" => draft.column(Attr::SessionUid, value),
        "AUID" => draft.column(Attr::ActorUserName, value),
        "auid" => draft.column(Attr::ActorUserUid, value),
        "acct" => draft.both("user", value, Attr::UserName),
        "addr" if value != "?" => draft.both("src_ip", value, Attr::SrcIp),
        "hostname" if value != "?" => draft.column(Attr::SrcHostname, value),
        "unit" => draft.column(Attr::ServiceName, value),
        _ => {}
    }
}

fn describe(kind: &str, record: Record, draft: &mut Draft) {
    if let Some(success) = record.success {
        draft.status(if success { Status::Success } else { Status::Failure });
    }
    match kind {
        "EXECVE" => {
            draft.class(Class::PROCESS, 1);
            draft.category("process_creation");
            draft.action("process_started");
            if let Some(program) = record.arguments.first()
                && program.contains('/')
            {
                draft.made("Image", program.clone(), Some(Attr::ProcessPath));
            }
            draft.made("CommandLine", record.arguments.join(" "), Some(Attr::ProcessCmdLine));
        }
        "PROCTITLE" => {
            draft.class(Class::PROCESS, 1);
            if let Some(title) = record.title {
                draft.made("CommandLine", title, Some(Attr::ProcessCmdLine));
            }
        }
        "SYSCALL" => {
            draft.class(Class::KERNEL, 4);
            if record.executed {
                draft.class(Class::PROCESS, 1);
            }
        }
        "PATH" => {
            draft.class(Class::FILE, if record.created { 1 } else { 14 });
            if record.created {
                draft.category("file_event");
            }
            draft.made("TargetFilename", record.name, Some(Attr::FilePath));
        }
        "SOCKADDR" => {
            if let Some((address, port)) = record.address {
                draft.class(Class::NETWORK, 1);
                draft.category("network_connection");
                draft.made("DestinationIp", address, Some(Attr::DstIp));
                draft.made("DestinationPort", port.to_string(), Some(Attr::DstPort));
            }
        }
        "USER_LOGIN" | "USER_AUTH" => {
            draft.class(Class::AUTHENTICATION, 1);
            draft.action(if record.success == Some(true) {
                "login_accepted"
            } else {
                "authentication_failed"
            });
        }
        "USER_START" => draft.class(Class::AUTHENTICATION, 1),
        "USER_END" | "USER_LOGOUT" => draft.class(Class::AUTHENTICATION, 2),
        "USER_CMD" => {
            draft.class(Class::PROCESS, 1);
            draft.action("command_run");
            if let Some(command) = record.title {
                draft.made("CommandLine", command, Some(Attr::ProcessCmdLine));
            }
        }
        "ADD_USER" => draft.class(Class::ACCOUNT_CHANGE, 1),
        "DEL_USER" => draft.class(Class::ACCOUNT_CHANGE, 6),
        "ADD_GROUP" => draft.class(Class::GROUP, 6),
        "SERVICE_START" => draft.class(Class::APPLICATION_LIFECYCLE, 3),
        "SERVICE_STOP" => {
            draft.class(Class::APPLICATION_LIFECYCLE, 4);
            draft.action("service_stopped");
        }
        "AVC" if record.profile => {
            draft.class(Class::KERNEL, 4);
            draft.status(if record.denied { Status::Failure } else { Status::Success });
            draft.action(if record.denied { "apparmor_denied" } else { "apparmor" });
        }
        _ => {}
    }
}

/// Text of hexadecimal digits; NULs between a process title's arguments become spaces. `None` where
/// it is not hexadecimal, or not text, or so short that it may be a plain word.
fn decode(value: &str) -> Option<String> {
    if value.len() < 2
        || !value.len().is_multiple_of(2)
        || !value.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_lowercase())
    {
        return None;
    }
    let bytes: Vec<u8> = value.as_bytes().chunks_exact(2).filter_map(byte).collect();
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end_matches('\0').replace('\0', " ");
    (!text.is_empty()).then_some(text)
}

fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16);
    Some((digit(pair.first()?)? * 16 + digit(pair.get(1)?)?) as u8)
}

/// Address and port of a `sockaddr_in` or `sockaddr_in6` in hexadecimal.
fn address(value: &str) -> Option<(String, u16)> {
    if value.len() > 256 {
        return None;
    }
    let bytes: Vec<u8> = value.as_bytes().chunks_exact(2).filter_map(byte).collect();
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    match bytes.first()? {
        2 => {
            let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some((Ipv4Addr::from(octets).to_string(), port))
        }
        10 => {
            let octets: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some((Ipv6Addr::from(octets).to_string(), port))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use covigil_model::Time;

    use super::*;

    fn read(line: &str) -> Event {
        let context =
            ParseContext { received: Time::default(), utc_offset: 0, peer: None, hostname: "h".into() };
        let mut event = Event::from_original(line);
        let _ = Auditd.parse(&context, &mut event);
        event
    }

    #[test]
    fn arguments_are_decoded_and_joined() {
        let event = read(
            "type=EXECVE msg=audit(1700000000.243:24287): argc=3 a0=\"/bin/sh\" a1=\"-c\" a2=6563686F20E282AC2031",
        );
        assert_eq!(event.attr(Attr::ProcessCmdLine), Some("/bin/sh -c echo € 1"));
        assert_eq!(event.field("a2").unwrap().text, "echo € 1");
        assert_eq!(event.field("Image").unwrap().text, "/bin/sh");
        assert_eq!(event.time, Time::from_millis(1_700_000_000_243));
        assert!(event.log_source.covers(Some("linux"), Some("auditd"), Some("process_creation")));
    }

    #[test]
    fn programs_records_have_a_list_within() {
        let event = read(
            "node=web type=USER_LOGIN msg=audit(1700000000.1:5): pid=9 uid=0 msg='op=login acct=\"bob\" exe=\"/usr/sbin/sshd\" hostname=? addr=10.0.0.9 terminal=ssh res=failed'",
        );
        assert_eq!(event.attr(Attr::UserName), Some("bob"));
        assert_eq!(event.attr(Attr::SrcIp), Some("10.0.0.9"));
        assert_eq!(event.attr(Attr::DeviceHostname), Some("web"));
        assert_eq!(event.status, Status::Failure);
    }

    #[test]
    fn addresses_are_read() {
        let event = read("type=SOCKADDR msg=audit(1.0:1): saddr=02000050C0A80101");
        assert_eq!(event.field("DestinationIp").unwrap().text, "192.168.1.1");
        assert_eq!(event.attr(Attr::DstPort), Some("80"));
    }
}

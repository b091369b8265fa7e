//! Second names for fields, so that rules written for one log run on another: a process creation
//! of the Security log answers to Sysmon's names, a registry change too.

use covigil_model::{Event, Kind, Span};

/// Adds the aliases that the record's log and id call for.
pub(super) fn add(event: &mut Event, service: &str, id: u32) {
    match (service, id) {
        ("security", 4688) => process_creation(event),
        ("security", 4657) => registry_value(event),
        ("windefend", _) => defender(event),
        ("powershell-classic", _) => classic_powershell(event),
        _ => {}
    }
}

fn value(event: &Event, name: &str) -> Option<Span> {
    let field = event.find(name)?;
    (!matches!(event.slice(field.value), "" | "-")).then_some(field.value)
}

fn alias(event: &mut Event, from: &str, to: &str) {
    if event.find(to).is_none()
        && let Some(span) = value(event, from)
    {
        event.add_span_field(to, span);
    }
}

/// `DOMAIN\user` of the two fields.
fn account(event: &mut Event, domain: &str, user: &str, to: &str) {
    if event.find(to).is_some() {
        return;
    }
    let (Some(domain), Some(user)) = (value(event, domain), value(event, user)) else { return };
    let text = format!("{}\\{}", event.slice(domain), event.slice(user));
    event.add_field(to, &text, Kind::Text);
}

fn process_creation(event: &mut Event) {
    alias(event, "NewProcessName", "Image");
    alias(event, "ParentProcessName", "ParentImage");
    alias(event, "SubjectLogonId", "LogonId");
    account(event, "SubjectDomainName", "SubjectUserName", "User");
    if event.find("IntegrityLevel").is_none()
        && let Some(level) = value(event, "MandatoryLabel").and_then(|span| integrity(event.slice(span)))
    {
        event.add_field("IntegrityLevel", level, Kind::Text);
    }
}

/// The word for a mandatory label's SID.
fn integrity(label: &str) -> Option<&'static str> {
    Some(match label {
        "S-1-16-0" => "Untrusted",
        "S-1-16-4096" => "Low",
        "S-1-16-8192" => "Medium",
        "S-1-16-8448" => "MediumPlus",
        "S-1-16-12288" => "High",
        "S-1-16-16384" => "System",
        _ => return None,
    })
}

/// Sysmon names a value by hive, key and value name, as in `HKLM\Software\X\Value`.
fn registry_value(event: &mut Event) {
    alias(event, "ProcessName", "Image");
    alias(event, "NewValue", "Details");
    account(event, "SubjectDomainName", "SubjectUserName", "User");
    if event.find("EventType").is_none() {
        event.add_field("EventType", "SetValue", Kind::Text);
    }
    if event.find("TargetObject").is_some() {
        return;
    }
    let Some(key) = value(event, "ObjectName") else { return };
    let key = event.slice(key);
    let path = match key.get(..18) {
        Some(head) if head.eq_ignore_ascii_case("\\REGISTRY\\MACHINE\\") => format!("HKLM\\{}", &key[18..]),
        _ => match key.get(..15) {
            Some(head) if head.eq_ignore_ascii_case("\\REGISTRY\\USER\\") => format!("HKU\\{}", &key[15..]),
            _ => key.to_owned(),
        },
    };
    let name = value(event, "ObjectValueName").map_or("", |span| event.slice(span));
    let object = if name.is_empty() { path } else { format!("{path}\\{name}") };
    event.add_field("TargetObject", &object, Kind::Text);
}

/// Defender's members have spaces in their names; rules write them without, or with `_`.
fn defender(event: &mut Event) {
    for index in 0..event.fields().len() {
        let field = event.fields()[index];
        let name = event.slice(field.name);
        if !name.contains(' ') {
            continue;
        }
        let (joined, under) = (name.replace(' ', ""), name.replace(' ', "_"));
        for alias in [joined, under] {
            let alias = event.append(&alias);
            event.push_field(alias, field.value, field.kind);
        }
    }
    alias(event, "Threat Name", "Signature");
    alias(event, "Path", "Filename");
}

/// The members of the classic log are lines `Name=value` within one text.
fn classic_powershell(event: &mut Event) {
    const WANTED: [&str; 5] = ["HostApplication", "HostName", "HostVersion", "EngineVersion", "CommandLine"];
    let texts: Vec<Span> =
        event.fields().iter().filter(|f| event.slice(f.name) == "Data").map(|f| f.value).collect();
    for text in texts {
        let mut found: Vec<(&'static str, Span)> = Vec::new();
        let body = event.slice(text);
        let mut at = text.start();
        for line in body.split_inclusive('\n') {
            if found.len() == WANTED.len() {
                break;
            }
            let begin = at;
            at += line.len();
            let Some((name, data)) = line.split_once('=') else { continue };
            let Some(wanted) = WANTED.iter().find(|w| **w == name.trim()) else { continue };
            let value = data.trim();
            if value.is_empty() || found.iter().any(|(have, _)| have == wanted) {
                continue;
            }
            let from = begin + name.len() + 1 + (data.len() - data.trim_start().len());
            found.push((wanted, event.span(from, from + value.len())));
        }
        for (name, span) in found {
            if event.find(name).is_none() {
                event.add_span_field(name, span);
            }
        }
    }
}

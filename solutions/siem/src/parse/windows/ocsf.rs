//! Windows records as OCSF: class, activity, status, severity and columns.

use covigil_model::{Attr, Class, Event, Kind, Severity, Status};

use super::{Seen, set};

/// Sets class, activity, status, severity, and every column that the fields give.
pub(super) fn columns(event: &mut Event, service: &str, id: u32, seen: &Seen) {
    let (class, activity) = class(service, id);
    event.class = class;
    event.activity = activity;
    event.severity = seen.level.map_or(Severity::Informational, |level| severity(event.slice(level)));
    event.status = status(event, service, id, seen);
    for (attr, span) in [
        (Attr::LogName, seen.channel),
        (Attr::LogProvider, seen.provider),
        (Attr::EventCode, seen.id),
        (Attr::DeviceHostname, seen.computer),
    ] {
        if let Some(span) = span {
            set(event, attr, span);
        }
    }
    let product = if service == "sysmon" { "Sysmon" } else { "Windows" };
    event.set_attr_text(Attr::Product, product);
    let own_process = class == Class::PROCESS;
    for index in 0..event.fields().len() {
        let field = event.fields()[index];
        if field.kind == Kind::Null {
            continue;
        }
        if let Some(attr) = column(event.slice(field.name), own_process) {
            set(event, attr, field.value);
        }
    }
    if service == "sysmon"
        && let Some(pid) = event.find("ProcessId")
    {
        set(event, if own_process { Attr::ProcessPid } else { Attr::ActorProcessPid }, pid.value);
    }
    if service == "security" {
        security(event, id);
    }
}

/// The column of a field. In a record about a process, `Image` is that process; in any other, it
/// is the one that acted.
fn column(name: &str, own_process: bool) -> Option<Attr> {
    let either = |own, actor| Some(if own_process { own } else { actor });
    match name {
        "Image" => either(Attr::ProcessPath, Attr::ActorProcessPath),
        "CommandLine" => Some(Attr::ProcessCmdLine),
        "ProcessGuid" => Some(Attr::ProcessUid),
        "ProcessName" | "SourceImage" | "Application" => Some(Attr::ActorProcessPath),
        "SourceProcessId" | "SourceProcessID" => Some(Attr::ActorProcessPid),
        "TargetImage" => Some(Attr::ProcessPath),
        "TargetProcessId" | "TargetProcessID" => Some(Attr::ProcessPid),
        "ParentImage" => Some(Attr::ParentPath),
        "ParentCommandLine" => Some(Attr::ParentCmdLine),
        "ParentProcessId" => Some(Attr::ParentPid),
        "User" | "SubjectUserName" | "SourceUser" => Some(Attr::ActorUserName),
        "SubjectUserSid" => Some(Attr::ActorUserUid),
        "TargetUserName" | "TargetUser" | "MemberName" => Some(Attr::UserName),
        "TargetDomainName" => Some(Attr::UserDomain),
        "TargetUserSid" | "TargetSid" => Some(Attr::UserUid),
        "IpAddress" | "SourceIp" | "SourceAddress" | "ClientAddress" => Some(Attr::SrcIp),
        "IpPort" | "SourcePort" => Some(Attr::SrcPort),
        "WorkstationName" | "Workstation" | "SourceHostname" => Some(Attr::SrcHostname),
        "DestinationIp" | "DestAddress" => Some(Attr::DstIp),
        "DestinationPort" | "DestPort" => Some(Attr::DstPort),
        "DestinationHostname" => Some(Attr::DstHostname),
        "Protocol" => Some(Attr::Protocol),
        "TargetFilename" | "ImageLoaded" => Some(Attr::FilePath),
        "Hashes" | "Hash" => Some(Attr::FileHashes),
        "TargetObject" => Some(Attr::RegKeyPath),
        "Details" => Some(Attr::RegValueData),
        "QueryName" => Some(Attr::QueryHostname),
        "ServiceName" => Some(Attr::ServiceName),
        "TaskName" => Some(Attr::JobName),
        "LogonType" => Some(Attr::LogonType),
        "LogonId" | "TargetLogonId" => Some(Attr::SessionUid),
        "ScriptBlockText" => Some(Attr::ScriptContent),
        "Message" => Some(Attr::Message),
        "FailureReason" => Some(Attr::StatusDetail),
        _ => None,
    }
}

/// Columns of the Security log that need more than a name.
fn security(event: &mut Event, id: u32) {
    if id == 4688 {
        pid(event, "NewProcessId", Attr::ProcessPid);
        pid(event, "ProcessId", Attr::ParentPid);
    } else {
        pid(event, "ProcessId", Attr::ActorProcessPid);
    }
    if let Some(status) = event.find("Status").map(|f| f.value)
        && event.slice(status) != "0x0"
    {
        set(event, Attr::StatusDetail, status);
    }
    if event.field("ObjectType").is_some_and(|kind| kind.text == "File")
        && let Some(name) = event.find("ObjectName")
    {
        set(event, Attr::FilePath, name.value);
    }
}

/// The Security log writes process ids in hexadecimal.
fn pid(event: &mut Event, name: &str, attr: Attr) {
    let Some(field) = event.find(name) else { return };
    let text = event.slice(field.value);
    match text.strip_prefix("0x") {
        Some(hex) => {
            if let Ok(number) = u32::from_str_radix(hex, 16) {
                let span = event.append_fmt(format_args!("{number}"));
                event.set_attr(attr, span);
            }
        }
        None => set(event, attr, field.value),
    }
}

/// Windows' levels: 1 critical, 2 error, 3 warning, 4 and 0 information.
fn severity(level: &str) -> Severity {
    match level {
        "1" | "Critical" | "critical" => Severity::High,
        "2" | "Error" | "error" => Severity::Medium,
        "3" | "Warning" | "warning" => Severity::Low,
        _ => Severity::Informational,
    }
}

/// The audit bits of `Keywords` say how an audited act ended.
fn status(event: &Event, service: &str, id: u32, seen: &Seen) -> Status {
    if service != "security" {
        return Status::Unknown;
    }
    let keywords = seen.keywords.map_or("", |span| event.slice(span));
    let bits = match keywords.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => keywords.parse::<i64>().ok().map(|n| n as u64),
    };
    match (bits, id) {
        (Some(bits), _) if bits & 0x10_0000_0000_0000 != 0 => Status::Failure,
        (Some(bits), _) if bits & 0x20_0000_0000_0000 != 0 => Status::Success,
        _ if keywords == "Audit Failure" => Status::Failure,
        _ if keywords == "Audit Success" => Status::Success,
        (_, 4625 | 4771 | 5157) => Status::Failure,
        (_, 4624 | 4768..=4770 | 4688) => Status::Success,
        _ => Status::Unknown,
    }
}

/// Class and activity of a record.
fn class(service: &str, id: u32) -> (Class, u8) {
    match service {
        "sysmon" => of_sysmon(id),
        "security" => of_security(id),
        "powershell" if matches!(id, 4103 | 4104) => (Class::SCRIPT, 1),
        "powershell-classic" if matches!(id, 400 | 600 | 800) => (Class::SCRIPT, 1),
        "system" if id == 104 => (Class::EVENT_LOG, 1),
        "taskscheduler" => match id {
            106 => (Class::SCHEDULED_JOB, 1),
            140 => (Class::SCHEDULED_JOB, 2),
            141 => (Class::SCHEDULED_JOB, 3),
            _ => (Class::BASE, 0),
        },
        "windefend" if matches!(id, 1006..=1019 | 1115..=1119) => (Class::DETECTION_FINDING, 1),
        "dns-client" if matches!(id, 3006..=3020) => (Class::DNS, 1),
        _ => (Class::BASE, 0),
    }
}

fn of_sysmon(id: u32) -> (Class, u8) {
    match id {
        1 => (Class::PROCESS, 1),
        2 => (Class::FILE, 6),
        3 => (Class::NETWORK, 1),
        5 => (Class::PROCESS, 2),
        6 => (Class::KERNEL_EXTENSION, 1),
        7 => (Class::MODULE, 1),
        8 => (Class::PROCESS, 4),
        9 => (Class::FILE, 2),
        10 => (Class::PROCESS, 3),
        11 | 15 => (Class::FILE, 1),
        12 | 14 => (Class::REGISTRY_KEY, 3),
        13 => (Class::REGISTRY_VALUE, 2),
        17 | 18 => (Class::FILE, 1),
        22 => (Class::DNS, 1),
        23 | 26 => (Class::FILE, 4),
        25 => (Class::PROCESS, 4),
        27 | 29 => (Class::FILE, 1),
        28 => (Class::FILE, 4),
        _ => (Class::BASE, 0),
    }
}

fn of_security(id: u32) -> (Class, u8) {
    match id {
        4624 | 4625 | 4648 | 4776 => (Class::AUTHENTICATION, 1),
        4634 | 4647 => (Class::AUTHENTICATION, 2),
        4768 => (Class::AUTHENTICATION, 3),
        4769 => (Class::AUTHENTICATION, 4),
        4770 => (Class::AUTHENTICATION, 5),
        4771 => (Class::AUTHENTICATION, 6),
        4672..=4674 => (Class::AUTHORIZE_SESSION, 1),
        4688 => (Class::PROCESS, 1),
        4689 => (Class::PROCESS, 2),
        4656 | 4663 | 4690 => (Class::FILE, 14),
        4660 => (Class::FILE, 4),
        4670 => (Class::FILE, 7),
        5140 | 5145 => (Class::FILE, 14),
        4657 => (Class::REGISTRY_VALUE, 2),
        4698 => (Class::SCHEDULED_JOB, 1),
        4702 => (Class::SCHEDULED_JOB, 2),
        4699 => (Class::SCHEDULED_JOB, 3),
        4700 => (Class::SCHEDULED_JOB, 4),
        4701 => (Class::SCHEDULED_JOB, 5),
        4720 | 4741 => (Class::ACCOUNT_CHANGE, 1),
        4722 => (Class::ACCOUNT_CHANGE, 2),
        4723 => (Class::ACCOUNT_CHANGE, 3),
        4724 => (Class::ACCOUNT_CHANGE, 4),
        4725 => (Class::ACCOUNT_CHANGE, 5),
        4726 | 4743 => (Class::ACCOUNT_CHANGE, 6),
        4740 => (Class::ACCOUNT_CHANGE, 9),
        4767 => (Class::ACCOUNT_CHANGE, 12),
        4738 | 4742 | 4781 => (Class::ACCOUNT_CHANGE, 99),
        4728 | 4732 | 4756 => (Class::GROUP, 3),
        4729 | 4733 | 4757 => (Class::GROUP, 4),
        4727 | 4731 | 4754 => (Class::GROUP, 6),
        4730 | 4734 | 4758 => (Class::GROUP, 5),
        1102 => (Class::EVENT_LOG, 1),
        5152 | 5155 | 5157 => (Class::NETWORK, 5),
        5154 | 5158 => (Class::NETWORK, 7),
        5156 => (Class::NETWORK, 1),
        _ => (Class::BASE, 0),
    }
}

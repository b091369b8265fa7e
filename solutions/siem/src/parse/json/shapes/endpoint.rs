//! Endpoint products, the Elastic Common Schema, and OCSF itself.

use covigil_model::{Attr, Class, Event, Kind, Severity, Status};

use super::{Shape, text, value};

pub(super) const SHAPES: &[Shape] = &[
    Shape { finish: ocsf, ..Shape::of(&["class_uid", "metadata.version"], "") },
    Shape {
        columns: &[
            ("ImageFileName", Attr::ProcessPath),
            ("CommandLine", Attr::ProcessCmdLine),
            ("ParentBaseFileName", Attr::ParentPath),
            ("UserName", Attr::ActorUserName),
            ("ComputerName", Attr::DeviceHostname),
            ("SHA256HashData", Attr::FileHashes),
            ("DomainName", Attr::QueryHostname),
            ("RemoteAddressIP4", Attr::DstIp),
        ],
        aliases: &[
            ("ImageFileName", "Image"),
            ("ParentBaseFileName", "ParentImage"),
            ("TargetFileName", "TargetFilename"),
            ("UserName", "User"),
            ("DomainName", "QueryName"),
        ],
        finish: falcon,
        ..Shape::of(&["event_simpleName"], "")
    },
    Shape {
        columns: &[
            ("process.executable", Attr::ProcessPath),
            ("process.command_line", Attr::ProcessCmdLine),
            ("process.pid", Attr::ProcessPid),
            ("process.parent.executable", Attr::ParentPath),
            ("process.parent.command_line", Attr::ParentCmdLine),
            ("user.name", Attr::UserName),
            ("source.ip", Attr::SrcIp),
            ("source.port", Attr::SrcPort),
            ("destination.ip", Attr::DstIp),
            ("destination.port", Attr::DstPort),
            ("file.path", Attr::FilePath),
            ("dns.question.name", Attr::QueryHostname),
            ("url.original", Attr::Url),
            ("http.request.method", Attr::HttpMethod),
            ("user_agent.original", Attr::UserAgent),
        ],
        aliases: &[
            ("process.executable", "Image"),
            ("process.command_line", "CommandLine"),
            ("process.working_directory", "CurrentDirectory"),
            ("process.parent.executable", "ParentImage"),
            ("process.parent.command_line", "ParentCommandLine"),
            ("user.name", "User"),
            ("file.path", "TargetFilename"),
            ("destination.ip", "DestinationIp"),
            ("destination.port", "DestinationPort"),
            ("destination.domain", "DestinationHostname"),
            ("dns.question.name", "QueryName"),
        ],
        finish: ecs,
        ..Shape::of(&["ecs.version", "event.category"], "")
    },
    Shape {
        services: &["falco"],
        class: (Class::DETECTION_FINDING, 1),
        columns: &[("output", Attr::Message), ("rule", Attr::EventCode)],
        finish: falco,
        ..Shape::of(&["rule", "priority", "output"], "linux")
    },
];

/// Events that are OCSF already keep their class, and fill every column by its path.
fn ocsf(event: &mut Event) -> bool {
    let Ok(class) = text(event, "class_uid").parse() else { return false };
    event.class = Class(class);
    event.activity = text(event, "activity_id").parse().unwrap_or(0);
    event.status = match text(event, "status_id") {
        "1" => Status::Success,
        "2" => Status::Failure,
        _ => Status::Unknown,
    };
    event.severity = Severity::from_ocsf_id(text(event, "severity_id").parse().unwrap_or(1));
    for index in 0..event.fields().len() {
        let field = event.fields()[index];
        if field.kind != Kind::Null
            && let Some(attr) = Attr::from_path(event.slice(field.name))
        {
            event.set_attr(attr, field.value);
        }
    }
    true
}

/// CrowdStrike's Falcon Data Replicator.
fn falcon(event: &mut Event) -> bool {
    event.log_source.product = match text(event, "event_platform") {
        "Win" => "windows",
        "Lin" => "linux",
        "Mac" => "macos",
        _ => "",
    }
    .into();
    let (class, activity, category) = match text(event, "event_simpleName") {
        "ProcessRollup2" | "SyntheticProcessRollup2" => (Class::PROCESS, 1, "process_creation"),
        "EndOfProcess" => (Class::PROCESS, 2, "process_termination"),
        "DnsRequest" => (Class::DNS, 1, "dns_query"),
        "ClassifiedModuleLoad" | "ImageHash" => (Class::MODULE, 1, "image_load"),
        name if name.starts_with("NetworkConnect") => (Class::NETWORK, 1, "network_connection"),
        name if name.ends_with("FileWritten") => (Class::FILE, 1, "file_event"),
        _ => (Class::BASE, 99, ""),
    };
    classify(event, class, activity, category);
    true
}

fn ecs(event: &mut Event) -> bool {
    event.log_source.product = match text(event, "host.os.type") {
        "windows" => "windows",
        "linux" => "linux",
        "macos" => "macos",
        _ => "",
    }
    .into();
    let kind = text(event, "event.type");
    let (class, activity, category) = match text(event, "event.category") {
        "process" if matches!(kind, "end" | "stop") => (Class::PROCESS, 2, "process_termination"),
        "process" => (Class::PROCESS, 1, "process_creation"),
        "file" if kind == "deletion" => (Class::FILE, 4, "file_delete"),
        "file" => (Class::FILE, 1, "file_event"),
        "network" if value(event, "dns.question.name").is_some() => (Class::DNS, 1, "dns_query"),
        "network" => (Class::NETWORK, 1, "network_connection"),
        "authentication" => (Class::AUTHENTICATION, 1, "authentication"),
        _ => (Class::BASE, 99, ""),
    };
    event.status = match text(event, "event.outcome") {
        "success" => Status::Success,
        "failure" => Status::Failure,
        _ => Status::Unknown,
    };
    classify(event, class, activity, category);
    true
}

fn classify(event: &mut Event, class: Class, activity: u8, category: &'static str) {
    (event.class, event.activity) = (class, activity);
    if !category.is_empty() {
        event.log_source.categories.push(category.into());
    }
}

fn falco(event: &mut Event) -> bool {
    event.severity = match text(event, "priority") {
        "Emergency" | "Alert" | "Critical" => Severity::High,
        "Error" => Severity::Medium,
        "Warning" => Severity::Low,
        "Notice" | "Informational" | "Debug" => Severity::Informational,
        _ => return false,
    };
    true
}

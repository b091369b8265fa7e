//! The kernel: firewall logs, crashes, memory, USB, modules, and the audit lines it prints where no
//! audit daemon listens.

use covigil_model::{Attr, Class, Severity, Status};

use crate::parse::{draft::Draft, keyvalue};

/// Reads one message.
pub(super) fn read(text: &str, draft: &mut Draft) {
    let text = without_uptime(text);
    if let Some(rest) = text.strip_prefix("audit: ") {
        crate::parse::auditd::read(rest, draft);
    } else if text.starts_with("audit(") || text.starts_with("type=") {
        crate::parse::auditd::read(text, draft);
    } else if text.contains("SRC=") && text.contains("DST=") && text.contains("PROTO=") {
        firewall(text, draft);
    } else if let Some(at) = text.find("]: segfault at ").or_else(|| text.find("] general protection fault"))
    {
        crash(text, at, draft);
    } else if let Some(rest) = text.split("Killed process ").nth(1) {
        draft.class(Class::PROCESS, 2);
        draft.severity(Severity::Medium);
        draft.action("out_of_memory");
        if let Some((pid, name)) = rest.split_once(" (") {
            draft.both("process_id", pid, Attr::ProcessPid);
            draft.both("process", name.split(')').next().unwrap_or(name), Attr::ProcessPath);
        }
    } else if text.contains("New USB device found") {
        draft.action("usb_connected");
        draft.class(Class::INVENTORY, 1);
        for pair in keyvalue::pairs(text) {
            draft.pair(pair.name, pair.value);
        }
    } else if text.contains("USB Mass Storage device detected") {
        draft.action("usb_storage_connected");
        draft.class(Class::INVENTORY, 1);
        draft.severity(Severity::Low);
    } else if let Some(rest) = text.strip_suffix(" entered promiscuous mode") {
        draft.action("promiscuous_mode_on");
        draft.field("interface", rest.rsplit([' ', ':']).find(|w| !w.is_empty()).unwrap_or(rest));
        draft.severity(Severity::Low);
    } else if text.ends_with("loading out-of-tree module taints kernel.")
        || text.contains("module verification failed")
    {
        draft.class(Class::KERNEL_EXTENSION, 1);
        draft.action("unsigned_module_loaded");
        draft.field("module", text.split(':').next().unwrap_or(text));
        draft.severity(Severity::Low);
    } else if text.contains("Possible SYN flooding on port ") {
        draft.class(Class::NETWORK, 6);
        draft.action("syn_flood");
        draft.severity(Severity::Medium);
    } else if text.starts_with("Linux version ") {
        draft.action("boot");
        draft.class(Class::APPLICATION_LIFECYCLE, 3);
    }
}

/// The message without `[12345.678901] ` before it.
fn without_uptime(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('[') else { return text };
    match inner.split_once("] ") {
        Some((uptime, rest)) if uptime.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b' ')) => {
            rest
        }
        _ => text,
    }
}

/// netfilter's LOG target. Fields keep its names, and have the ones of Sigma's firewall rules too.
fn firewall(text: &str, draft: &mut Draft) {
    draft.category("firewall");
    draft.class(Class::NETWORK, 6);
    if let Some(at) = text.find("IN=")
        && at > 0
    {
        let prefix = text[..at].trim();
        draft.field("prefix", prefix);
        let lower = prefix.to_ascii_lowercase();
        if ["drop", "block", "deny", "reject"].iter().any(|word| lower.contains(word)) {
            draft.word("action", "blocked");
            draft.class(Class::NETWORK, 5);
            draft.status(Status::Failure);
        }
    }
    for pair in keyvalue::pairs(text) {
        draft.pair(pair.name, pair.value);
        match pair.name {
            "SRC" => draft.both("src_ip", pair.value, Attr::SrcIp),
            "DST" => draft.both("dst_ip", pair.value, Attr::DstIp),
            "SPT" => draft.both("src_port", pair.value, Attr::SrcPort),
            "DPT" => draft.both("dst_port", pair.value, Attr::DstPort),
            "PROTO" => draft.column(Attr::Protocol, pair.value),
            _ => {}
        }
    }
}

/// `name[123]: segfault at …`, `traps: name[123] general protection fault …`.
fn crash(text: &str, at: usize, draft: &mut Draft) {
    draft.class(Class::PROCESS, 2);
    draft.action("crashed");
    draft.severity(Severity::Low);
    let head = &text[..at];
    let head = head.strip_prefix("traps: ").unwrap_or(head);
    if let Some((name, pid)) = head.rsplit_once('[') {
        draft.both("process", name, Attr::ProcessPath);
        draft.both("process_id", pid, Attr::ProcessPid);
    }
}

//! Network services and appliances that speak syslog: name servers, fail2ban, Cisco, FortiGate.

use covigil_model::{Attr, Class, Severity, Status};

use crate::parse::{draft::Draft, keyvalue};

/// Query logs of BIND and dnsmasq.
pub(super) fn dns(text: &str, draft: &mut Draft) {
    if let Some((client, rest)) = text.split_once(": query: ") {
        // `client @0x7f 10.0.0.1#5353 (example.com): query: example.com IN A +E(0)K (10.0.0.53)`
        query(draft);
        let mut words = rest.split(' ');
        draft.both("query", words.next().unwrap_or(""), Attr::QueryHostname);
        if let Some(kind) = words.nth(1) {
            draft.field("record_type", kind);
        }
        if let Some((address, _)) = client.split(' ').find_map(|word| word.split_once('#')) {
            draft.both("src_ip", address, Attr::SrcIp);
        }
    } else if let Some(rest) = text.strip_prefix("query[") {
        // `query[A] example.com from 10.0.0.1`
        let Some((kind, rest)) = rest.split_once("] ") else { return };
        let Some((name, from)) = rest.rsplit_once(" from ") else { return };
        query(draft);
        draft.both("query", name, Attr::QueryHostname);
        draft.field("record_type", kind);
        draft.both("src_ip", from, Attr::SrcIp);
    }
}

fn query(draft: &mut Draft) {
    draft.category("dns");
    draft.class(Class::DNS, 1);
    draft.action("dns_query");
}

/// fail2ban: `NOTICE  [sshd] Ban 10.0.0.1`.
pub(crate) fn fail2ban(text: &str, draft: &mut Draft) {
    draft.service("fail2ban");
    let Some((_, rest)) = text.split_once('[') else { return };
    let Some((jail, act)) = rest.split_once("] ") else { return };
    let (action, address) = if let Some(address) = act.strip_prefix("Ban ") {
        ("address_banned", address)
    } else if let Some(address) = act.strip_prefix("Unban ") {
        ("address_unbanned", address)
    } else if let Some(found) = act.strip_prefix("Found ") {
        ("attack_found", found.split(' ').next().unwrap_or(found))
    } else {
        return;
    };
    draft.field("jail", jail);
    draft.action(action);
    draft.both("src_ip", address, Attr::SrcIp);
    draft.class(Class::NETWORK, 5);
}

/// Cisco's `%FACILITY-SEVERITY-MNEMONIC` in the tag's place.
pub(super) fn cisco(tag: &str, draft: &mut Draft) {
    draft.product("cisco");
    draft.column(Attr::EventCode, tag);
    let mut parts = tag.trim_start_matches('%').rsplitn(3, '-');
    let (mnemonic, severity, facility) = (parts.next(), parts.next(), parts.next());
    if let (Some(mnemonic), Some(severity), Some(facility)) = (mnemonic, severity, facility) {
        draft.field("mnemonic", mnemonic);
        draft.field("cisco_facility", facility);
        if let Ok(number @ 0..=7) = severity.parse::<u8>() {
            draft.severity(crate::parse::syslog::of_severity(number));
        }
        match facility {
            "BGP" => draft.service("bgp"),
            "LDP" => draft.service("ldp"),
            "ASA" | "FTD" | "PIX" => draft.service("asa"),
            _ => {}
        }
    }
    // Command accounting may come under any facility.
    draft.service("aaa");
}

/// Appliances that write `name=value` throughout, and are known by their first names.
pub(super) fn appliance(text: &str, draft: &mut Draft) {
    let fortinet = text.contains("devid=") && text.contains("logid=");
    if !fortinet {
        return;
    }
    draft.product("fortigate");
    let mut kind = "";
    for pair in keyvalue::pairs(text) {
        draft.pair(pair.name, pair.value);
        match pair.name {
            "type" => kind = pair.value,
            "srcip" => draft.both("src_ip", pair.value, Attr::SrcIp),
            "dstip" => draft.both("dst_ip", pair.value, Attr::DstIp),
            "srcport" => draft.both("src_port", pair.value, Attr::SrcPort),
            "dstport" => draft.both("dst_port", pair.value, Attr::DstPort),
            "devname" => draft.column(Attr::DeviceHostname, pair.value),
            "user" => draft.column(Attr::UserName, pair.value),
            "logid" => draft.column(Attr::EventCode, pair.value),
            "msg" => draft.column(Attr::Message, pair.value),
            "action" if matches!(pair.value, "deny" | "blocked" | "dropped") => draft.status(Status::Failure),
            "level" => match pair.value {
                "emergency" | "alert" | "critical" => draft.severity(Severity::High),
                "error" => draft.severity(Severity::Medium),
                "warning" => draft.severity(Severity::Low),
                _ => {}
            },
            _ => {}
        }
    }
    match kind {
        "traffic" => {
            draft.service("traffic");
            draft.category("firewall");
            draft.class(Class::NETWORK, 6);
        }
        "event" => draft.service("event"),
        "utm" => draft.service("utm"),
        _ => {}
    }
}

//! Network sensors, proxies, web servers, name servers and honeypots.

use covigil_model::{Attr, Class, Event, Kind, Severity, Status};

use super::{Shape, alias, text, value};
use crate::parse::access;

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        class: (Class::NETWORK, 6),
        columns: &[
            ("src_ip", Attr::SrcIp),
            ("src_port", Attr::SrcPort),
            ("dest_ip", Attr::DstIp),
            ("dest_port", Attr::DstPort),
            ("proto", Attr::Protocol),
            ("alert.signature", Attr::Message),
            ("alert.signature_id", Attr::EventCode),
            ("dns.rrname", Attr::QueryHostname),
            ("dns.query.rrname", Attr::QueryHostname),
            ("dns.queries.rrname", Attr::QueryHostname),
            ("http.url", Attr::Url),
            ("http.http_method", Attr::HttpMethod),
            ("http.http_user_agent", Attr::UserAgent),
            ("http.status", Attr::HttpStatus),
            ("http.hostname", Attr::DstHostname),
            ("tls.sni", Attr::DstHostname),
            ("fileinfo.filename", Attr::FilePath),
        ],
        aliases: &[("dest_ip", "dst_ip"), ("dest_port", "dst_port")],
        finish: suricata,
        ..Shape::of(&["event_type", "timestamp", "src_ip"], "suricata")
    },
    Shape {
        class: (Class::NETWORK, 6),
        columns: &[
            ("id.orig_h", Attr::SrcIp),
            ("id.orig_p", Attr::SrcPort),
            ("id.resp_h", Attr::DstIp),
            ("id.resp_p", Attr::DstPort),
            ("proto", Attr::Protocol),
            ("query", Attr::QueryHostname),
            ("uri", Attr::Url),
            ("method", Attr::HttpMethod),
            ("user_agent", Attr::UserAgent),
            ("status_code", Attr::HttpStatus),
            ("host", Attr::DstHostname),
            ("server_name", Attr::DstHostname),
            ("uid", Attr::SessionUid),
        ],
        finish: zeek,
        ..Shape::of(&["id.orig_h", "id.resp_h"], "zeek")
    },
    Shape {
        services: &["x509"],
        columns: &[("certificate.subject", Attr::Message)],
        ..Shape::of(&["certificate.serial", "certificate.subject"], "zeek")
    },
    Shape {
        categories: &["application"],
        class: (Class::NETWORK, 6),
        columns: &[
            ("src_host", Attr::SrcIp),
            ("src_port", Attr::SrcPort),
            ("dst_host", Attr::DstIp),
            ("dst_port", Attr::DstPort),
            ("node_id", Attr::DeviceHostname),
        ],
        ..Shape::of(&["logtype", "node_id", "dst_host"], "opencanary")
    },
    Shape {
        categories: &["dns"],
        class: (Class::DNS, 1),
        columns: &[("domain", Attr::QueryHostname), ("internalIp", Attr::SrcIp)],
        aliases: &[("domain", "query"), ("queryType", "record_type")],
        ..Shape::of(&["domain", "queryType"], "cisco")
    },
    Shape {
        categories: &["webserver"],
        class: (Class::HTTP, 0),
        columns: &[
            ("ClientIP", Attr::SrcIp),
            ("ClientRequestHost", Attr::DstHostname),
            ("ClientRequestURI", Attr::Url),
            ("ClientRequestMethod", Attr::HttpMethod),
            ("ClientRequestUserAgent", Attr::UserAgent),
            ("EdgeResponseStatus", Attr::HttpStatus),
        ],
        aliases: &[
            ("ClientIP", "c-ip"),
            ("ClientRequestURI", "c-uri"),
            ("ClientRequestURI", "cs-uri-query"),
            ("ClientRequestPath", "cs-uri-stem"),
            ("ClientRequestMethod", "cs-method"),
            ("ClientRequestUserAgent", "cs-user-agent"),
            ("EdgeResponseStatus", "sc-status"),
        ],
        finish: web,
        ..Shape::of(&["ClientIP", "ClientRequestHost"], "cloudflare")
    },
    Shape {
        categories: &["webserver"],
        class: (Class::HTTP, 0),
        columns: &[
            ("remote_addr", Attr::SrcIp),
            ("request_uri", Attr::Url),
            ("request_method", Attr::HttpMethod),
            ("http_user_agent", Attr::UserAgent),
            ("status", Attr::HttpStatus),
            ("remote_user", Attr::UserName),
        ],
        aliases: &[
            ("remote_addr", "c-ip"),
            ("request_uri", "c-uri"),
            ("request_uri", "cs-uri-query"),
            ("uri", "cs-uri-stem"),
            ("request_method", "cs-method"),
            ("http_user_agent", "cs-user-agent"),
            ("http_referer", "cs-referer"),
            ("status", "sc-status"),
        ],
        finish: web,
        ..Shape::of(&["remote_addr", "request_method", "request_uri"], "nginx")
    },
    // Records whose members have Sigma's W3C names already.
    Shape {
        categories: &["proxy"],
        class: (Class::HTTP, 0),
        columns: &[
            ("c-uri", Attr::Url),
            ("cs-method", Attr::HttpMethod),
            ("c-useragent", Attr::UserAgent),
            ("cs-host", Attr::DstHostname),
            ("sc-status", Attr::HttpStatus),
            ("c-ip", Attr::SrcIp),
            ("src_ip", Attr::SrcIp),
            ("cs-username", Attr::UserName),
        ],
        finish: web,
        ..Shape::of(&["c-uri", "c-useragent"], "")
    },
    Shape {
        categories: &["webserver"],
        class: (Class::HTTP, 0),
        columns: &[
            ("cs-uri", Attr::Url),
            ("cs-uri-stem", Attr::Url),
            ("cs-method", Attr::HttpMethod),
            ("cs-user-agent", Attr::UserAgent),
            ("sc-status", Attr::HttpStatus),
            ("c-ip", Attr::SrcIp),
        ],
        finish: web,
        ..Shape::of(&["cs-method"], "")
    },
];

fn web(event: &mut Event) -> bool {
    event.activity = access::activity(text(event, "cs-method"));
    event.status = match text(event, "sc-status").bytes().next() {
        Some(b'1'..=b'3') => Status::Success,
        Some(b'4' | b'5') => Status::Failure,
        _ => Status::Unknown,
    };
    true
}

fn suricata(event: &mut Event) -> bool {
    let kind = text(event, "event_type").to_owned();
    match kind.as_str() {
        "alert" => {
            (event.class, event.activity) = (Class::DETECTION_FINDING, 1);
            event.severity = match text(event, "alert.severity") {
                "1" => Severity::High,
                "2" => Severity::Medium,
                _ => Severity::Low,
            };
            if text(event, "alert.action") == "blocked" {
                event.status = Status::Failure;
                event.add_field("action", "blocked", Kind::Text);
            }
        }
        "dns" => {
            (event.class, event.activity) = (Class::DNS, 1);
            event.log_source.categories.push("dns".into());
            for list in ["dns.", "dns.query.", "dns.queries."] {
                alias(event, &format!("{list}rrname"), "query");
                alias(event, &format!("{list}rrtype"), "record_type");
            }
            alias(event, "dns.answers.rdata", "answer");
        }
        "http" => {
            (event.class, event.activity) = (Class::HTTP, access::activity(text(event, "http.http_method")));
            proxy_names(
                event,
                ["http.url", "http.http_user_agent", "http.http_method", "http.hostname", "http.status"],
            );
        }
        "drop" => {
            (event.class, event.activity) = (Class::NETWORK, 5);
            event.log_source.categories.push("firewall".into());
            event.add_field("action", "blocked", Kind::Text);
        }
        "flow" | "netflow" => (event.class, event.activity) = (Class::NETWORK, 2),
        _ => {}
    }
    event.log_source.services.push(kind.into());
    true
}

/// Gives URL, user agent, method, host and status the names of Sigma's proxy rules.
fn proxy_names(event: &mut Event, [url, agent, method, host, status]: [&str; 5]) {
    event.log_source.categories.push("proxy".into());
    for (from, to) in [
        (url, "c-uri"),
        (url, "cs-uri"),
        (agent, "c-useragent"),
        (method, "cs-method"),
        (host, "cs-host"),
        (status, "sc-status"),
    ] {
        alias(event, from, to);
    }
}

fn zeek(event: &mut Event) -> bool {
    let has = |name: &str| value(event, name).is_some();
    let path = match text(event, "_path") {
        "" if has("qtype_name") || has("rcode_name") || (has("query") && has("trans_id")) => "dns",
        "" if has("uri") || has("method") || has("user_agent") || has("status_code") => "http",
        "" if has("operation") && has("endpoint") => "dce_rpc",
        "" if has("request_type") => "kerberos",
        "" if has("cookie") || has("keyboard_layout") => "rdp",
        "" if has("share_type") => "smb_mapping",
        "" if has("path") && (has("action") || has("fuid") || has("name")) => "smb_files",
        "" if has("auth_success") || has("hassh") => "ssh",
        "" if has("cipher") || has("server_name") => "ssl",
        "" if has("note") => "notice",
        "" if has("mailfrom") || has("helo") => "smtp",
        "" if has("conn_state") || has("duration") || has("orig_bytes") => "conn",
        known => known,
    }
    .to_owned();
    match path.as_str() {
        "dns" => {
            (event.class, event.activity) = (Class::DNS, 1);
            event.log_source.categories.push("dns".into());
            alias(event, "qtype_name", "record_type");
            alias(event, "answers", "answer");
        }
        "http" => {
            (event.class, event.activity) = (Class::HTTP, access::activity(text(event, "method")));
            proxy_names(event, ["uri", "user_agent", "method", "host", "status_code"]);
        }
        "notice" => (event.class, event.activity) = (Class::DETECTION_FINDING, 1),
        _ => {}
    }
    alias(event, "id.orig_h", "src_ip");
    alias(event, "id.resp_h", "dst_ip");
    alias(event, "id.resp_p", "dst_port");
    event.log_source.services.push(path.into());
    true
}

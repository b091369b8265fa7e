//! Syslog, RFC 5424, over UDP (RFC 5426) or TCP with octet counting (RFC 6587).

use covigil_console::backend::SyslogTransport;
use covigil_model::Severity;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, UdpSocket},
};

use super::{DeliveryError, Message, entities, one_line};

/// Facility 13, "log audit".
const FACILITY: u8 = 13;

pub async fn send(
    address: &str,
    transport: SyslogTransport,
    message: Message<'_>,
) -> Result<(), DeliveryError> {
    let line = line(message);
    let failed = |e: std::io::Error| DeliveryError(format!("syslog to {address}: {e}"));
    match transport {
        SyslogTransport::Udp => {
            let target = tokio::net::lookup_host(address)
                .await
                .map_err(failed)?
                .next()
                .ok_or_else(|| DeliveryError(format!("{address} has no address")))?;
            let local = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(local).await.map_err(failed)?;
            socket.send_to(line.as_bytes(), target).await.map_err(failed)?;
        }
        SyslogTransport::Tcp => {
            let mut stream = TcpStream::connect(address).await.map_err(failed)?;
            stream.write_all(format!("{} {line}", line.len()).as_bytes()).await.map_err(failed)?;
            stream.shutdown().await.map_err(failed)?;
        }
    }
    Ok(())
}

/// The message. Structured data carries what a receiver may want to parse.
fn line(message: Message<'_>) -> String {
    let alert = message.alert;
    let severity = match alert.severity {
        Severity::Informational => 6,
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    };
    let host: String = message.node.chars().filter(char::is_ascii_graphic).take(255).collect();
    format!(
        "<{priority}>1 {time} {host} covigil {pid} alert [alert@32473 id=\"{id}\" rule=\"{rule}\" severity=\"{word}\" risk=\"{risk}\" count=\"{count}\"] {title}: {entities}",
        priority = FACILITY * 8 + severity,
        time = alert.raised,
        host = if host.is_empty() { "-" } else { &host },
        pid = std::process::id(),
        id = alert.id,
        rule = parameter(&alert.rule.id),
        word = alert.severity,
        risk = alert.risk,
        count = alert.count,
        title = one_line(&alert.rule.title, 300),
        entities = entities(alert),
    )
}

/// A parameter's value (RFC 5424 section 6.3.3): quote, backslash and closing bracket are escaped.
fn parameter(text: &str) -> String {
    let mut out = String::new();
    for c in one_line(text, 200).chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

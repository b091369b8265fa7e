//! Raw records to events: one module per format, chosen by name.
//!
//! Everything here is pure, takes time linear in the record's length, and keeps what it understood
//! of a text that it could not read to the end. Formats that hold program messages (syslog, the
//! journal) share [`program`].

mod access;
mod auditd;
mod auto;
mod draft;
mod fail2ban;
mod journald;
mod json;
mod keyvalue;
mod logins;
mod machine;
mod moment;
mod packages;
mod program;
mod snapshot;
mod syslog;
mod windows;

use covigil_solution::Parser;

/// All parsers of the family, most specific first; `auto` tries them in this order.
pub static PARSERS: [&dyn Parser; 12] = [
    &windows::Windows,
    &journald::Journald,
    &auditd::Auditd,
    &fail2ban::Fail2ban,
    &packages::Dpkg,
    &packages::Apt,
    &syslog::Syslog,
    &access::WebServer,
    &logins::Logins,
    &snapshot::Snapshot,
    &json::Json,
    &auto::Auto,
];

/// The parser of that name.
pub fn parser(name: &str) -> Option<&'static dyn Parser> {
    PARSERS.iter().copied().find(|p| p.name() == name)
}

//! What the programs of a Linux machine say, whether it came by syslog, journal or file.
//!
//! Each program's messages are read by the module of its kind. What is not understood is left as
//! it is: the message is a field and a column already.

mod accounts;
mod cron;
mod kernel;
mod network;
mod pam;
mod sshd;
mod su;
mod sudo;
mod systemd;

pub(crate) use network::fail2ban;

use covigil_model::Attr;

use super::draft::Draft;

/// One message of a program. All texts are parts of the event's text.
pub(crate) struct Message<'a> {
    /// The program's name as logged.
    pub program: &'a str,
    /// What it said.
    pub text: &'a str,
    /// Whether it was logged under an authentication facility.
    pub auth: bool,
    /// The unit that the message is about, where the journal says so.
    pub unit: &'a str,
}

/// Reads a message into the draft: labels, fields, columns.
pub(crate) fn read(message: &Message<'_>, draft: &mut Draft) {
    let name = base_name(message.program);
    if !message.unit.is_empty() {
        draft.both("unit", message.unit, Attr::ServiceName);
    }
    let service = service(name);
    draft.service(service);
    if message.auth || is_auth(name) {
        draft.service("auth");
    } else {
        draft.service("syslog");
    }
    let text = message.text;
    if pam::read(text, draft) {
        return;
    }
    match name {
        "sshd" | "sshd-session" | "sshd-auth" | "dropbear" => sshd::read(text, draft),
        "sudo" => sudo::read(text, draft),
        "su" | "su-l" | "runuser" => su::read(text, draft),
        "cron" | "CRON" | "crond" | "crontab" | "/usr/sbin/cron" | "anacron" => cron::read(text, draft),
        "systemd" | "init" => systemd::manager(text, draft),
        "systemd-logind" => systemd::logind(text, draft),
        "kernel" => kernel::read(text, draft),
        "useradd" | "usermod" | "userdel" | "groupadd" | "groupmod" | "groupdel" | "gpasswd" | "passwd"
        | "chage" | "chsh" | "chfn" | "chpasswd" | "newusers" => accounts::read(name, text, draft),
        "named" | "dnsmasq" | "unbound" => network::dns(text, draft),
        "audispd" | "audisp-syslog" => {
            super::auditd::read(text, draft);
        }
        "nginx" | "apache" | "apache2" | "httpd" => {
            super::access::read(text, draft);
        }
        "fail2ban" | "fail2ban-server" | "fail2ban.actions" | "fail2ban.filter" => {
            network::fail2ban(text, draft);
        }
        _ if name.starts_with('%') => network::cisco(name, draft),
        _ if text.starts_with("type=") => {
            super::auditd::read(text, draft);
        }
        _ => network::appliance(text, draft),
    }
}

/// The program's name without what some log around it: `postfix/smtpd` keeps its path, `(su)` and
/// `su(pam_unix)` do not keep their brackets, `-su` not its dash.
fn base_name(program: &str) -> &str {
    let program = program.trim_start_matches(['(', '-']).trim_end_matches(')');
    program.split('(').next().unwrap_or(program)
}

/// Sigma's service of a program; also used for the services that Sigma does not name yet.
fn service(program: &str) -> &'static str {
    match program {
        "sshd" | "sshd-session" | "sshd-auth" | "dropbear" => "sshd",
        "sudo" => "sudo",
        "su" | "su-l" | "runuser" => "su",
        "cron" | "CRON" | "crond" | "crontab" | "/usr/sbin/cron" | "anacron" => "cron",
        "systemd" => "systemd",
        "systemd-logind" => "systemd-logind",
        "kernel" => "kernel",
        "clamd" | "clamav" | "freshclam" | "clamscan" | "clamav-milter" => "clamav",
        "vsftpd" => "vsftpd",
        "guacd" => "guacamole",
        "auditd" | "audispd" | "audisp-syslog" => "auditd",
        "nginx" => "nginx",
        "apache" | "apache2" | "httpd" => "apache",
        "named" => "named",
        "dnsmasq" => "dnsmasq",
        "dovecot" => "dovecot",
        _ if program.starts_with("postfix/") => "postfix",
        _ => "",
    }
}

/// Whether the program's messages go to the authentication log.
fn is_auth(program: &str) -> bool {
    matches!(
        program,
        "sshd"
            | "sshd-session"
            | "sshd-auth"
            | "dropbear"
            | "sudo"
            | "su"
            | "su-l"
            | "runuser"
            | "login"
            | "systemd-logind"
            | "polkitd"
            | "pkexec"
            | "useradd"
            | "usermod"
            | "userdel"
            | "groupadd"
            | "groupmod"
            | "groupdel"
            | "gpasswd"
            | "passwd"
            | "chage"
            | "chsh"
            | "chfn"
            | "chpasswd"
            | "newusers"
            | "gdm-password"
            | "lightdm"
            | "sddm"
    )
}

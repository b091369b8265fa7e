//! What can be read on a machine, what cannot, and why: the family's discovery.
//!
//! Nothing is read here beyond what tells whether reading would work; intake does the reading. The
//! pictures of the machine's state are taken by the modules below, each of one kind of thing.

mod accounts;
mod listeners;
mod packages;

use std::{
    io,
    path::{Path, PathBuf},
};

use covigil_solution::{Access, Host, SourceKind, SourcePlan, source::TakeSnapshot};

/// Seconds between two looks at the machine's state.
const EVERY: u64 = 60;

/// Log files, which parser reads them, and whether the journal holds the same lines.
const FILES: [(&str, &str, &str, bool); 12] = [
    ("/var/log/auth.log", "syslog", "Sign-ins and privilege use", true),
    ("/var/log/secure", "syslog", "Sign-ins and privilege use", true),
    ("/var/log/syslog", "syslog", "System messages", true),
    ("/var/log/messages", "syslog", "System messages", true),
    ("/var/log/kern.log", "syslog", "Kernel messages", true),
    ("/var/log/daemon.log", "syslog", "Messages of services", true),
    ("/var/log/cron.log", "syslog", "Scheduled jobs", true),
    ("/var/log/cron", "syslog", "Scheduled jobs", true),
    ("/var/log/dpkg.log", "dpkg", "Package changes", false),
    ("/var/log/apt/history.log", "apt", "Package commands", false),
    ("/var/log/audit/audit.log", "auditd", "Linux audit records", false),
    ("/var/log/fail2ban.log", "fail2ban", "fail2ban's bans", false),
];

/// Folders of web servers' logs.
const WEB: [(&str, &str); 3] =
    [("/var/log/nginx", "nginx"), ("/var/log/apache2", "Apache"), ("/var/log/httpd", "Apache")];

/// Looks at a machine: journal, log files, login records, and the state that is looked at again and
/// again.
pub fn discover(host: &dyn Host) -> Vec<SourcePlan> {
    let mut plans = Vec::new();
    let journal = journal(host);
    let journal_ready = journal.as_ref().is_some_and(|plan| plan.access == Access::Ready);
    plans.extend(journal);
    for (path, parser, description, in_journal) in FILES {
        let Some(access) = access(host, Path::new(path)) else { continue };
        if in_journal && journal_ready {
            // The lines would come twice. The journal's plan says that these files are left out.
            continue;
        }
        plans.push(file(path.into(), parser, description.into(), access));
    }
    if !plans.iter().any(|plan| matches!(plan.parser, "journald" | "syslog")) {
        plans.push(SourcePlan {
            name: "syslog".into(),
            description: "System messages".into(),
            parser: "syslog",
            kind: SourceKind::File { path: "/var/log/syslog".into() },
            access: Access::Absent {
                mend: "this machine keeps no system log: install one with `sudo apt-get install rsyslog`, \
                       or send logs to the syslog port"
                    .into(),
            },
        });
    }
    for (folder, server) in WEB {
        web(host, Path::new(folder), server, &mut plans);
    }
    for (path, description) in
        [("/var/log/wtmp", "Logins, logouts and restarts"), ("/var/log/btmp", "Failed logins")]
    {
        let Some(access) = access(host, Path::new(path)) else { continue };
        plans.push(SourcePlan {
            name: name_of(Path::new(path)),
            description: description.into(),
            parser: "logins",
            kind: SourceKind::Logins { path: path.into() },
            access,
        });
    }
    plans.push(snapshot(host, "listeners", "Listening sockets", listeners::PROBE, listeners::take));
    if host.check_readable(Path::new(packages::STATUS)).is_ok() {
        plans.push(snapshot(host, "packages", "Installed packages", packages::STATUS, packages::take));
    }
    plans.push(snapshot(host, "accounts", "Local accounts", accounts::PASSWD, accounts::take));
    plans
}

fn file(path: PathBuf, parser: &'static str, description: String, access: Access) -> SourcePlan {
    SourcePlan { name: name_of(&path), description, parser, kind: SourceKind::File { path }, access }
}

/// A source's name: its path below `/var/log`, without what event ids do not allow.
fn name_of(path: &Path) -> String {
    let short = path.strip_prefix("/var/log").unwrap_or(path);
    short.to_string_lossy().replace([' ', '#', '\t', '\n'], "_")
}

fn snapshot(host: &dyn Host, name: &str, description: &str, probe: &str, take: TakeSnapshot) -> SourcePlan {
    let access = access(host, Path::new(probe)).unwrap_or_else(|| Access::Absent {
        mend: format!("{probe} does not exist on this system, so this state cannot be watched"),
    });
    SourcePlan {
        name: name.into(),
        description: description.into(),
        parser: "snapshot",
        kind: SourceKind::Snapshot { every: EVERY, take },
        access,
    }
}

/// Whether a file can be read; `None` where it does not exist.
fn access(host: &dyn Host, path: &Path) -> Option<Access> {
    match host.check_readable(path) {
        Ok(()) => Some(Access::Ready),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(denied(path, &error, "adm")),
    }
}

fn denied(path: &Path, error: &io::Error, group: &str) -> Access {
    Access::Denied {
        reason: format!("{} cannot be read: {error}", path.display()),
        mend: format!(
            "run as root, or add the user to group {group} and sign in again: sudo usermod -aG {group} USER"
        ),
    }
}

/// The systemd journal, where `journalctl` and a journal's files exist.
fn journal(host: &dyn Host) -> Option<SourcePlan> {
    let files: Vec<PathBuf> = ["/var/log/journal", "/run/log/journal"]
        .iter()
        .flat_map(|dir| journal_files(host, Path::new(dir)))
        .collect();
    let first = files.first()?;
    let access = if host.program("journalctl").is_none() {
        Access::Denied {
            reason: "the journal is read through journalctl, which is not on the search path".into(),
            mend: "install systemd's journalctl, or add its folder to PATH".into(),
        }
    } else {
        // The machine's own journal decides: a person can always read their own.
        let system = files.iter().find(|f| f.ends_with("system.journal")).unwrap_or(first);
        match host.check_readable(system) {
            Ok(()) => Access::Ready,
            Err(error) => denied(system, &error, "systemd-journal"),
        }
    };
    let doubled: Vec<&str> = FILES
        .iter()
        .filter(|(path, .., in_journal)| *in_journal && host.check_readable(Path::new(path)).is_ok())
        .map(|(path, ..)| *path)
        .collect();
    let description = if access == Access::Ready && !doubled.is_empty() {
        format!("The systemd journal; {} hold the same lines and are not read twice", doubled.join(", "))
    } else {
        "The systemd journal".into()
    };
    Some(SourcePlan {
        name: "journal".into(),
        description,
        parser: "journald",
        kind: SourceKind::Journal,
        access,
    })
}

/// The journal files below a folder, which has one folder per machine id.
fn journal_files(host: &dyn Host, dir: &Path) -> Vec<PathBuf> {
    let machines = host.list(dir).unwrap_or_default();
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|e| e == "journal");
    machines.iter().take(16).flat_map(|m| host.list(m).unwrap_or_default()).filter(is_journal).collect()
}

/// A web server's logs.
fn web(host: &dyn Host, folder: &Path, server: &str, plans: &mut Vec<SourcePlan>) {
    let files = match host.list(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let access = denied(folder, &error, "adm");
            plans.push(file(folder.join("access.log"), "webserver", format!("{server} logs"), access));
            return;
        }
        Err(_) => return,
    };
    for path in files.into_iter().take(200) {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if !(name.ends_with(".log") || name.ends_with("_log")) {
            continue;
        }
        let what = if name.contains("error") { "errors" } else { "requests" };
        if let Some(access) = access(host, &path) {
            plans.push(file(path, "webserver", format!("{server} {what}"), access));
        }
    }
}

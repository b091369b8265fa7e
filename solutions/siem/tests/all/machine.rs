//! Discovery: on made-up machines, and on this one.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use covigil_siem::collect;
use covigil_solution::{Access, Host, SourceKind, SourcePlan};

/// A machine of made-up files. `None` as content is a file that may not be read.
#[derive(Default)]
struct Made {
    files: BTreeMap<PathBuf, Option<String>>,
    programs: Vec<&'static str>,
}

impl Made {
    fn with(files: &[(&str, Option<&str>)], programs: &[&'static str]) -> Self {
        let files = files.iter().map(|(p, c)| (PathBuf::from(p), c.map(str::to_owned))).collect();
        Self { files, programs: programs.to_vec() }
    }
}

impl Host for Made {
    fn hostname(&self) -> String {
        "made".into()
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.check_readable(path)?;
        let content = self.files.get(path).cloned().flatten().unwrap_or_default();
        Ok(content.into_bytes().into_iter().take(limit).collect())
    }

    fn check_readable(&self, path: &Path) -> io::Result<()> {
        match self.files.get(path) {
            Some(Some(_)) => Ok(()),
            Some(None) => Err(io::ErrorKind::PermissionDenied.into()),
            None if self.files.keys().any(|f| f.starts_with(path)) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut found: Vec<PathBuf> = self
            .files
            .keys()
            .filter_map(|f| Some(dir.join(f.strip_prefix(dir).ok()?.components().next()?)))
            .collect();
        found.dedup();
        if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
    }

    fn read_link(&self, _: &Path) -> io::Result<PathBuf> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        self.programs.contains(&name).then(|| Path::new("/usr/bin").join(name))
    }
}

fn names(plans: &[SourcePlan]) -> Vec<&str> {
    plans.iter().map(|p| p.name.as_str()).collect()
}

const STATE: [(&str, Option<&str>); 2] = [("/proc/net/tcp", Some("")), ("/etc/passwd", Some(""))];

#[test]
fn the_journal_is_preferred_to_the_files_that_repeat_it() {
    let mut files = vec![
        ("/var/log/journal/abc/system.journal", Some("")),
        ("/var/log/auth.log", Some("")),
        ("/var/log/syslog", Some("")),
        ("/var/log/dpkg.log", Some("")),
        ("/var/log/nginx/access.log", Some("")),
        ("/var/log/nginx/access.log.1", Some("")),
        ("/var/log/wtmp", Some("")),
    ];
    files.extend(STATE);
    let plans = collect::discover(&Made::with(&files, &["journalctl"]));
    assert_eq!(names(&plans), ["journal", "dpkg.log", "nginx/access.log", "wtmp", "listeners", "accounts"]);
    assert!(plans[0].description.contains("/var/log/auth.log, /var/log/syslog"), "{}", plans[0].description);
    assert!(plans.iter().all(|p| p.access == Access::Ready));
}

#[test]
fn an_unreadable_journal_leaves_the_files() {
    let mut files = vec![
        ("/var/log/journal/abc/system.journal", None),
        ("/var/log/auth.log", Some("")),
        ("/var/log/btmp", None),
    ];
    files.extend(STATE);
    let plans = collect::discover(&Made::with(&files, &["journalctl"]));
    assert_eq!(names(&plans), ["journal", "auth.log", "btmp", "listeners", "accounts"]);
    for (index, group) in [(0, "systemd-journal"), (2, "adm")] {
        let Access::Denied { reason, mend } = &plans[index].access else { panic!("{index} is not denied") };
        assert!(reason.contains("cannot be read"), "{reason}");
        assert!(mend.contains(&format!("usermod -aG {group}")), "{mend}");
    }
    assert_eq!(plans[1].access, Access::Ready);
}

#[test]
fn a_machine_without_logs_is_told_so_and_still_watched() {
    let plans = collect::discover(&Made::with(&STATE, &[]));
    assert_eq!(names(&plans), ["syslog", "listeners", "accounts"]);
    assert!(matches!(&plans[0].access, Access::Absent { mend } if mend.contains("rsyslog")));
}

/// This machine, read-only.
struct This;

impl Host for This {
    fn hostname(&self) -> String {
        "this".into()
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = std::fs::read(path)?;
        bytes.truncate(limit);
        Ok(bytes)
    }

    fn check_readable(&self, path: &Path) -> io::Result<()> {
        std::fs::File::open(path).map(drop)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(dir)?.flatten().map(|e| e.path()).collect();
        entries.sort();
        Ok(entries)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(path)
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|p| p.is_file())
    }
}

#[test]
fn a_listener_of_this_test_is_seen_with_its_program() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let plans = collect::discover(&This);
    let listeners = plans.iter().find(|p| p.name == "listeners").unwrap();
    let SourceKind::Snapshot { take, .. } = listeners.kind else { panic!("not a snapshot") };
    let objects = take(&This).unwrap();
    let key = format!("\"key\":\"tcp/127.0.0.1:{port}\"");
    let ours = objects.iter().find(|o| o.contains(&key)).unwrap();
    let me = std::env::current_exe().unwrap();
    assert!(ours.contains(&*me.to_string_lossy()), "{ours}");
    assert!(ours.contains("\"exposed\":false"));
}

#[test]
fn names_are_unique_and_fit_event_ids() {
    let plans = collect::discover(&This);
    let mut seen = names(&plans);
    assert!(seen.iter().all(|n| !n.contains([' ', '#'])), "{seen:?}");
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all);
    for plan in &plans {
        println!("{:24} {:?} {}", plan.name, plan.access, plan.description);
    }
}

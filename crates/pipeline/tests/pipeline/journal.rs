//! The systemd journal, with a program in `journalctl`'s place that says what it was asked.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use covigil_pipeline::intake::{Journal, journal};

use crate::support::{Bench, until};

fn program(dir: &Path, script: &str) -> Journal {
    let program = dir.join("journalctl");
    fs::write(&program, format!("#!/bin/sh\necho \"$@\" >> {}/asked\n{script}\n", dir.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Journal { program, source: "journal".into(), parser: "journald".into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_read_on_from_the_cursor_and_long_ones_counted() {
    let dir = tempfile::tempdir().unwrap();
    let script = "echo '{\"__CURSOR\":\"s=1;i=1\",\"MESSAGE\":\"one\"}'; echo '-- a remark'
echo '{\"__CURSOR\":\"s=1;i=2\",\"MESSAGE\":\"say \\\"__CURSOR\\\":\\\"s=evil\\\"\"}'
head -c 3000000 /dev/zero | tr '\\0' x; echo; echo '{\"__CURSOR\":\"s=1;i=3\"}'; exec sleep 600";
    {
        let bench = Bench::open(dir.path());
        let task = tokio::spawn(journal(program(dir.path(), script), bench.delivery.clone()));
        bench.wait_for(3).await;
        assert_eq!(bench.sources.of("journal").losses(), 1);
        bench.stop.cancel();
        task.await.unwrap();
    }
    let bench = Bench::open(dir.path());
    tokio::spawn(journal(program(dir.path(), "exec sleep 600"), bench.delivery.clone()));
    until(|| fs::read_to_string(dir.path().join("asked")).unwrap_or_default().lines().count() == 2).await;
    let asked = fs::read_to_string(dir.path().join("asked")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    assert!(asked[0].contains("--lines=2000"), "{asked:?}");
    assert!(asked[1].contains("--after-cursor=s=1;i=3"), "{asked:?}");
    assert_eq!(bench.records().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_may_not_be_read_says_why_and_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let script = "echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1";
    tokio::spawn(journal(program(dir.path(), script), bench.delivery.clone()));
    until(|| fs::read_to_string(dir.path().join("asked")).unwrap_or_default().lines().count() >= 2).await;
    assert!(bench.detail("journal").contains("insufficient permissions"), "{}", bench.detail("journal"));
}

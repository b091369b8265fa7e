//! Durability, seen from outside: in a trace of the node's system calls, the write-ahead log is synced after
//! the request has come and before its acknowledgement goes out.

use std::{path::Path, process::Command, time::Duration};

use crate::shared::Node;

/// Places in the trace, by line.
fn lines_with(trace: &str, all: &[&str]) -> Vec<usize> {
    trace
        .lines()
        .enumerate()
        .filter(|(_, line)| all.iter().all(|part| line.contains(part)))
        .map(|(at, _)| at)
        .collect()
}

#[tokio::test]
async fn the_log_is_synced_before_the_acknowledgement() {
    if !Path::new("/usr/bin/strace").exists() {
        println!("skipped: strace is not installed; `make test` installs it");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path()).await;
    let trace_file = dir.path().join("trace");
    let mut strace = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-s",
            "48",
            "-e",
            "trace=read,recvfrom,write,writev,sendto,sendmsg,fdatasync,fsync",
            "-o",
        ])
        .arg(&trace_file)
        .args(["-p", &node.pid().to_string()])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Attached once the trace has its first line: the status request below makes one.
    for _ in 0..200 {
        let _ = node.get("/api/v1/status").await;
        if std::fs::metadata(&trace_file).is_ok_and(|m| m.len() > 0) {
            break;
        }
        if let Some(status) = strace.try_wait().unwrap() {
            println!("skipped: strace may not attach here ({status}); it needs the ptrace permission");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for n in 0..5 {
        assert!(node.send(&format!("k{n}"), "{\"message\":\"traced\"}\n").await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.kill();
    let _ = strace.wait();

    let trace = String::from_utf8_lossy(&std::fs::read(&trace_file).unwrap()).into_owned();
    let requests = lines_with(&trace, &["POST /api/v1/events"]);
    let synced: Vec<usize> = trace
        .lines()
        .enumerate()
        .filter(|(_, l)| (l.contains("fdatasync") || l.contains("fsync")) && l.trim_end().ends_with("= 0"))
        .map(|(at, _)| at)
        .collect();
    let on_log = lines_with(&trace, &["sync(", "/wal/"]);
    assert_eq!(requests.len(), 5, "requests in the trace");
    assert!(!on_log.is_empty(), "no sync of the write-ahead log in the trace");
    for (n, request) in requests.iter().enumerate() {
        let end = requests.get(n + 1).copied().unwrap_or(usize::MAX);
        let answer = lines_with(&trace, &["HTTP/1.1 200"]).into_iter().find(|at| at > request && *at < end);
        let answer = answer.unwrap_or_else(|| panic!("request {n} has no answer in the trace"));
        assert!(
            synced.iter().any(|at| at > request && *at < answer),
            "request {n} at line {request} was acknowledged at line {answer} without a sync in between"
        );
    }
}

//! A node from its first minute: what goes in is found, what is bad is alerted on once.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shared::{Node, covigil};

#[tokio::test]
async fn what_is_sent_is_found_and_a_burst_is_one_alert() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path()).await;
    let lines: String = (0..5)
        .map(|n| format!("<38>Nov 24 10:00:0{n} web-1 sshd[{n}]: Failed password for root from 192.0.2.7 port 4{n} ssh2\n"))
        .collect();
    let sent = node
        .http
        .post(format!("{}/api/v1/events", node.url))
        .bearer_auth(&node.intake_token)
        .header("x-covigil-source", "web")
        .header("x-covigil-parser", "syslog")
        .body(lines)
        .send()
        .await
        .unwrap();
    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap());
    let found = node.search_until("\"Failed password\" src:192.0.2.7", 5).await;
    assert_eq!(found.len(), 5);
    let begun = Instant::now();
    let alerts = loop {
        let page = node.get("/api/v1/alerts").await.unwrap();
        if page["total"].as_u64().unwrap() > 0 {
            break page;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no alert");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let titles: Vec<&str> =
        alerts["alerts"].as_array().unwrap().iter().map(|a| a["rule"]["title"].as_str().unwrap()).collect();
    let bursts = titles
        .iter()
        .filter(|t| t.to_lowercase().contains("brute") || t.to_lowercase().contains("failed"))
        .count();
    assert_eq!(bursts, 1, "{titles:?}");

    // The command line sees the same.
    for args in [
        &["status"][..],
        &["alerts"],
        &["alerts", "--format", "csv"],
        &["search", "Failed", "--from", "2020-01-01"],
    ] {
        let output = covigil().args(args).arg("--data").arg(dir.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let jsonl = covigil()
        .args([
            "search",
            "Failed | stats count by src_endpoint.ip",
            "--from",
            "2020-01-01",
            "--format",
            "jsonl",
            "--data",
        ])
        .arg(dir.path())
        .output()
        .unwrap();
    let row: Value = serde_json::from_slice(&jsonl.stdout).unwrap();
    assert_eq!(row["src_endpoint.ip"], "192.0.2.7", "{row}");
}

#[tokio::test]
async fn a_stopped_node_starts_again_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path()).await;
    assert!(node.send("a", "{\"message\":\"before the stop\"}\n").await);
    let pid = rustix::process::Pid::from_raw(node.pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let begun = Instant::now();
    while dir.path().join("node.json").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the node does not stop");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(node);
    let node = Node::start(dir.path()).await;
    assert_eq!(node.search_until("\"before the stop\"", 1).await.len(), 1);
    assert!(node.send("a", "{\"message\":\"before the stop\"}\n").await, "a retried batch is acknowledged");
    assert_eq!(node.search_until("\"before the stop\"", 1).await.len(), 1, "and stored once");
}

#[tokio::test]
async fn a_link_made_by_the_command_line_opens_the_console() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path()).await;
    let output = covigil().args(["sign-in", "--data"]).arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let link = String::from_utf8(output.stdout).unwrap();
    let page = node.http.get(link.trim()).send().await.unwrap();
    assert_eq!(page.status(), 200, "{}", page.text().await.unwrap());
    let forged = format!("{}x", link.trim());
    assert_eq!(node.http.get(forged).send().await.unwrap().status(), 404);
}

#[test]
fn help_completions_and_manual_are_there() {
    for args in
        [&["--help"][..], &["detect", "--help"], &["search", "--help"], &["completions", "bash"], &["man"]]
    {
        let output = covigil().args(args).output().unwrap();
        assert!(output.status.success() && output.stdout.len() > 300, "{args:?}");
    }
}

#[test]
fn commands_that_need_a_node_say_how_to_start_one() {
    let dir = tempfile::tempdir().unwrap();
    let output = covigil().args(["search", "x", "--data"]).arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("covigil up"));
}

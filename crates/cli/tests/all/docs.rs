//! The documents for users, against the program: every marked shell example runs as it is written, every
//! link inside the repository leads somewhere, and what is listed is what there is.
//!
//! An example is run where its `sh` block begins with the line `# run`. It finds `covigil` on PATH, a running
//! node behind `COVIGIL_DATA`, `URL`, `TOKEN` (sends) and `READ_TOKEN` (reads), and in the folder it runs in
//! `events.jsonl` and `rules/`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use covigil_model::Time;
use covigil_node::config::NodeConfig;
use covigil_store::search::language::fields;

use crate::shared::{Node, covigil};

const RULE: &str = r"title: Whoami Run
id: 0b2f7a0e-6e5b-4a43-9d3c-1f3a0f5d7c11
logsource:
  product: windows
  category: process_creation
detection:
  selection:
    Image|endswith: '\whoami.exe'
  condition: selection
level: medium
";

/// A fenced block of a document.
#[derive(Debug, PartialEq)]
struct Block {
    language: String,
    /// The line of its first line of text, from 1.
    line: usize,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(language), None) => {
                open =
                    Some(Block { language: language.trim().to_owned(), line: at + 2, text: String::new() });
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// README.md and docs/*.md, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let root = repository();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    paths.push(root.join("README.md"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// Runs a script in a folder; what it printed, if it failed or took more than a minute.
fn run(script: &str, folder: &Path, variables: &[(&str, String)]) -> Result<(), String> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_covigil"));
    let mut path = vec![program.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let output = Command::new("timeout")
        .args(["60", "bash", "-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("NO_PROXY", "localhost,127.0.0.1")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{}\n{}{}", output.status, said(&output.stdout), said(&output.stderr)))
}

fn scratch(folder: &Path) {
    let now = Time::now();
    let events = format!(
        concat!(
            r#"{{"EventID":4625,"Channel":"Security","TimeCreated":"{now}","Computer":"dc-1.example.org","#,
            r#""TargetUserName":"bob","IpAddress":"192.0.2.7","LogonType":3}}"#,
            "\n",
            r#"{{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","TimeCreated":"{now}","#,
            r#""Computer":"lap-7.example.org","Image":"C:\\Windows\\System32\\whoami.exe","#,
            r#""CommandLine":"whoami /priv","User":"EXAMPLE\\bob"}}"#,
            "\n"
        ),
        now = now
    );
    std::fs::write(folder.join("events.jsonl"), events).unwrap();
    std::fs::create_dir(folder.join("rules")).unwrap();
    std::fs::write(folder.join("rules/whoami.yml"), RULE).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_marked_example_runs() {
    let data = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    scratch(folder.path());
    let node = Node::start(data.path()).await;
    let variables = [
        ("COVIGIL_DATA", data.path().display().to_string()),
        ("URL", node.url.clone()),
        ("TOKEN", node.intake_token.clone()),
        ("READ_TOKEN", node.read_token.clone()),
    ];
    run("covigil replay events.jsonl", folder.path(), &variables).unwrap();
    assert!(!node.search_until("whoami", 1).await.is_empty());

    let mut ran = 0;
    let mut failures = Vec::new();
    for (path, text) in documents() {
        for block in blocks(&text).iter().filter(|block| block.language == "sh") {
            let Some(script) = block.text.strip_prefix("# run\n") else { continue };
            ran += 1;
            if let Err(output) = run(script, folder.path(), &variables) {
                failures.push(format!("{}:{}: {output}", path.display(), block.line));
            }
        }
    }
    assert!(ran >= 15, "only {ran} examples are marked");
    assert!(failures.is_empty(), "{} of {ran} examples fail:\n{}", failures.len(), failures.join("\n"));

    // The examples find what they are about.
    let output = covigil()
        .args(["detect", "--rules", "rules", "events.jsonl"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("Whoami Run"));
    let found = node.search_until("process:whoami.exe CommandLine:*priv*", 1).await;
    assert!(found[0]["original"].as_str().unwrap().contains("whoami"));
}

#[test]
fn a_failing_example_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let error = run("echo said; false\necho not reached", folder.path(), &[]).unwrap_err();
    assert!(error.contains("said") && !error.contains("not reached"), "{error}");
    let text = "a\n```sh\n# run\ntrue\n```\nb\n```json\n{}\n```\n";
    let block = Block { language: "sh".to_owned(), line: 3, text: "# run\ntrue\n".to_owned() };
    assert_eq!(blocks(text)[0], block);
    assert_eq!(blocks(text)[1].line, 8);
}

/// The targets of `[text](target)` outside fenced blocks.
fn links(document: &str) -> Vec<String> {
    let mut fenced = false;
    let mut links = Vec::new();
    for line in document.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            links.extend(targets.map(|(target, _)| target.to_owned()));
        }
    }
    links
}

/// The anchors of a document's headings, as forges make them.
fn anchors(document: &str) -> Vec<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let mut dead = Vec::new();
    let mut seen = 0;
    for (path, text) in documents() {
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let there = anchor.is_empty()
                || std::fs::read_to_string(&target)
                    .is_ok_and(|text| anchors(&text).iter().any(|a| a == anchor));
            if !target.exists() || !there {
                dead.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(seen > 20 && dead.is_empty(), "{dead:#?}");
}

#[test]
fn the_documented_configuration_is_the_default_one_with_every_key() {
    let text = std::fs::read_to_string(repository().join("docs/configure.md")).unwrap();
    let block = blocks(&text).into_iter().find(|block| block.text.starts_with("# defaults\n")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), block.text).unwrap();
    assert_eq!(NodeConfig::load(dir.path()).unwrap(), NodeConfig::default());
    let all = serde_json::to_value(NodeConfig::default()).unwrap();
    for (name, value) in all.as_object().unwrap() {
        let inner = value.as_object().filter(|table| !table.is_empty());
        let keys: Vec<String> = match inner {
            Some(table) => table.keys().map(|key| format!("`{name}.{key}`")).collect(),
            None => vec![format!("`{name}`")],
        };
        for key in keys {
            assert!(text.contains(&key), "docs/configure.md lacks {key}");
        }
    }
}

#[test]
fn every_short_field_name_is_documented() {
    let text = std::fs::read_to_string(repository().join("docs/search.md")).unwrap();
    for (name, _) in fields::ALIASES {
        assert!(text.contains(&format!("`{name}`")), "docs/search.md lacks the field {name}");
    }
}

//! A node as a child process, and the shared data.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use covigil_model::Time;
use serde_json::{Value, json};

/// The built binary.
pub fn covigil() -> Command {
    Command::new(env!("CARGO_BIN_EXE_covigil"))
}

/// A folder of the shared data; prints why the test is skipped where it is absent.
pub fn shared_data(folder: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("COVIGIL_SHARED") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let found = root.join("data").join(folder);
    if found.exists() {
        return found.canonicalize().ok();
    }
    println!("skipped: {} is not here; set COVIGIL_SHARED to the folder that holds data/", found.display());
    None
}

/// A running node on a data folder, killed when dropped.
pub struct Node {
    child: Child,
    pub url: String,
    pub read_token: String,
    pub intake_token: String,
    pub http: reqwest::Client,
}

impl Node {
    /// Starts a node that listens on free ports and does not look at this machine.
    pub async fn start(data: &Path) -> Self {
        let config = "version = 1\nwatch_this_machine = false\n[console]\nlisten = \"127.0.0.1:0\"\n[intake]\nsyslog_udp = \"off\"\nsyslog_tcp = \"off\"\n";
        std::fs::create_dir_all(data).unwrap();
        if !data.join("config.toml").exists() {
            std::fs::write(data.join("config.toml"), config).unwrap();
        }
        let _ = std::fs::remove_file(data.join("node.json"));
        let child = covigil()
            .args(["up", "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(std::fs::OpenOptions::new().create(true).append(true).open(data.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut node = Self {
            child,
            url: String::new(),
            read_token: String::new(),
            intake_token: String::new(),
            http: reqwest::Client::new(),
        };
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < Duration::from_secs(60), "the node did not start: {}", log(data));
            if let Some(status) = node.child.try_wait().unwrap() {
                panic!("the node ended with {status}: {}", log(data));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            let Ok(text) = std::fs::read(data.join("node.json")) else { continue };
            let Ok(run) = serde_json::from_slice::<Value>(&text) else { continue };
            node.url = run["url"].as_str().unwrap().to_owned();
            node.read_token = run["read_token"].as_str().unwrap().to_owned();
            node.intake_token = run["intake_token"].as_str().unwrap().to_owned();
            if node.get("/api/v1/status").await.is_some() {
                return node;
            }
        }
    }

    /// SIGKILL, and wait until the process is gone.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A document of the API.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let answer =
            self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.read_token).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json().await.ok()
    }

    /// Posts lines of JSON; `true` where the node acknowledged them.
    pub async fn send(&self, key: &str, lines: &str) -> bool {
        let answer = self
            .http
            .post(format!("{}/api/v1/events", self.url))
            .bearer_auth(&self.intake_token)
            .header("x-covigil-source", "test")
            .header("x-covigil-parser", "json")
            .header("idempotency-key", key)
            .body(lines.to_owned())
            .send()
            .await;
        match answer {
            Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
            Err(_) => false,
        }
    }

    /// The events that a query finds.
    pub async fn search(&self, query: &str, limit: usize) -> Vec<Value> {
        self.search_between(query, None, limit).await
    }

    /// The events that a query finds from one time to before another.
    pub async fn search_between(&self, query: &str, range: Option<(Time, Time)>, limit: usize) -> Vec<Value> {
        let mut request = json!({ "query": query, "limit": limit });
        if let Some((from, to)) = range {
            request["from"] = json!(from);
            request["to"] = json!(to);
        }
        let answer = self
            .http
            .post(format!("{}/api/v1/search", self.url))
            .bearer_auth(&self.read_token)
            .body(request.to_string())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        let text = answer.text().await.unwrap();
        let items: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(items.iter().all(|i| i["kind"] != "error"), "{items:?}");
        assert_eq!(items.last().map(|i| i["kind"].clone()), Some(json!("done")));
        items.into_iter().filter(|i| i["kind"] == "event").map(|mut i| i["value"].take()).collect()
    }

    /// Asks again and again until the query finds at least `count` events.
    pub async fn search_until(&self, query: &str, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let found = self.search(query, 1_000_000).await;
            if found.len() >= count {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{query}: {} of {count} found", found.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the node logged.
pub fn log(data: &Path) -> String {
    std::fs::read_to_string(data.join("log")).unwrap_or_default()
}

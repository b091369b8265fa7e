//! Talking to a running node over its API.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use covigil_node::{config::default_data_dir, runfile::RunFile};

use crate::args::DataDir;

/// A running node.
pub struct Client {
    http: reqwest::Client,
    run: RunFile,
}

impl DataDir {
    /// The folder that is meant.
    pub fn path(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(default_data_dir)
    }
}

impl Client {
    /// The node that runs on a data folder.
    pub fn of(data: &DataDir) -> Result<Self> {
        let dir = data.path();
        let run = RunFile::read(&dir).with_context(|| format!("reading {}/node.json", dir.display()))?;
        let Some(run) = run else {
            bail!(
                "no node runs on {}. Start one with `covigil up`, or name its folder with --data.",
                dir.display()
            );
        };
        Ok(Self { http: reqwest::Client::new(), run })
    }

    /// A node at an address, with a token of its settings page.
    pub fn at(url: &str, token: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        let run = RunFile { url, read_token: token.to_owned(), intake_token: token.to_owned(), pid: 0 };
        Self { http: reqwest::Client::new(), run }
    }

    /// The node's address.
    pub fn url(&self) -> &str {
        &self.run.url
    }

    /// Asks for a document.
    pub async fn get(&self, path: &str) -> Result<serde_json::Value> {
        let request = self.http.get(format!("{}{path}", self.run.url)).bearer_auth(&self.run.read_token);
        Ok(self.sent(request).await?.json().await?)
    }

    /// Posts a JSON document with the reading token, and hands over the answer as it streams in.
    pub async fn post_json(&self, path: &str, body: &serde_json::Value) -> Result<reqwest::Response> {
        let request = self
            .http
            .post(format!("{}{path}", self.run.url))
            .bearer_auth(&self.run.read_token)
            .header("content-type", "application/json")
            .body(body.to_string());
        self.sent(request).await
    }

    /// A POST of events with the intake token.
    pub fn post_events(
        &self,
        source: &str,
        parser: &str,
        key: &str,
        body: Vec<u8>,
    ) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}/api/v1/events", self.run.url))
            .bearer_auth(&self.run.intake_token)
            .header("content-type", "application/x-ndjson")
            .header("x-covigil-source", source)
            .header("x-covigil-parser", parser)
            .header("idempotency-key", key)
            .body(body)
    }

    /// Sends, and turns a refusal into its text.
    async fn sent(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let answer = request.send().await.with_context(|| {
            format!("the node at {} does not answer; is it running? (`covigil up` starts it)", self.run.url)
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        let message = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|v| v["message"].as_str().or(v["error"].as_str()).map(str::to_owned))
            .unwrap_or(text);
        bail!("the node answered {status}: {}", crate::show::harmless(&message))
    }
}

//! Files of YAML to documents that each are one rule, correlation or filter; and the report of
//! what became of them.
//!
//! A file may hold several documents. Rule collections of Sigma 1 are resolved here: a document
//! with `action: global` is laid under all that follow in its file, `action: repeat` is laid upon
//! the one before, and `action: reset` forgets the global one.

use std::sync::Arc;

use serde::Serialize;

use crate::yaml::{self, Data, Node};

/// One YAML file, possibly of several documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// Where it comes from, for messages and for people.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What became of all documents that were given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// Rules, correlations and filters found, usable or not.
    pub total: usize,
    /// Those in use.
    pub loaded: usize,
    /// Of these, correlations.
    pub correlations: usize,
    /// Of these, filters.
    pub filters: usize,
    /// Those not in use, and why.
    pub failed: Vec<LoadFailure>,
}

/// Why one rule, correlation or filter is not in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadFailure {
    /// The file.
    pub path: String,
    /// The line in it, from 1.
    pub line: u32,
    /// The rule's title, where it could be read.
    pub title: Option<String>,
    /// The rule's id, where it could be read.
    pub id: Option<String>,
    /// What is wrong and, where that is known, the mend.
    pub reason: String,
}

/// `path:line: reason (title)`.
impl std::fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)?;
        match &self.title {
            Some(title) => write!(f, " ({title})"),
            None => Ok(()),
        }
    }
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Detection,
    Correlation,
    Filter,
}

/// One document, to be compiled.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub path: Arc<str>,
    pub line: u32,
    pub source: Arc<str>,
    pub node: Node,
    pub kind: Kind,
}

impl Item {
    /// The failure of this document at a line.
    pub fn failure(&self, line: u32, reason: impl Into<String>) -> LoadFailure {
        failure(&self.path, line, Some(&self.node), reason)
    }
}

fn failure(path: &str, line: u32, node: Option<&Node>, reason: impl Into<String>) -> LoadFailure {
    let text = |key| node.and_then(|n| n.get(key)).and_then(Node::scalar).map(str::to_owned);
    LoadFailure { path: path.to_owned(), line, title: text("title"), id: text("id"), reason: reason.into() }
}

/// Reads one file into documents; what is unusable goes to `failed`.
pub(crate) fn read(text: &RuleText, failed: &mut Vec<LoadFailure>) -> Vec<Item> {
    let path: Arc<str> = text.path.as_str().into();
    let (documents, error) = yaml::read(&text.text);
    let lines = line_starts(&text.text);
    let mut items = Vec::with_capacity(documents.len());
    let mut global: Option<Node> = None;
    let mut previous: Option<Node> = None;
    for document in documents {
        let mut node = document.node;
        if !matches!(node.data, Data::Map(_)) {
            failed.push(failure(
                &path,
                document.line,
                None,
                "a rule must be a map with a title and a detection",
            ));
            continue;
        }
        let action = node.get("action").and_then(Node::scalar).map(str::to_owned);
        if let Data::Map(entries) = &mut node.data {
            entries.retain(|entry| entry.key != "action");
        }
        match action.as_deref() {
            Some("global") => {
                global = Some(node);
                continue;
            }
            Some("reset") => {
                global = None;
                continue;
            }
            Some("repeat") => match &previous {
                Some(before) => node = before.overlaid(&node),
                None => {
                    failed.push(failure(
                        &path,
                        document.line,
                        Some(&node),
                        "`action: repeat` has no rule before it",
                    ));
                    continue;
                }
            },
            Some(other) => {
                let reason = format!("unknown action `{other}`: use global, repeat or reset");
                failed.push(failure(&path, document.line, Some(&node), reason));
                continue;
            }
            None => {
                if let Some(global) = &global {
                    node = global.overlaid(&node);
                }
            }
        }
        previous = Some(node.clone());
        let kind = match () {
            () if node.get("correlation").is_some() => Kind::Correlation,
            () if node.get("filter").is_some() => Kind::Filter,
            () => Kind::Detection,
        };
        let source = slice_lines(&text.text, &lines, document.line, document.last_line);
        items.push(Item { path: Arc::clone(&path), line: document.line, source: source.into(), node, kind });
    }
    if let Some(error) = error {
        failed.push(failure(&path, error.line, None, error.reason));
    }
    items
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect()
}

/// Lines `first..=last`, without a document marker at the end.
fn slice_lines<'a>(text: &'a str, starts: &[usize], first: u32, last: u32) -> &'a str {
    let start = starts.get(first.saturating_sub(1) as usize).copied().unwrap_or(text.len());
    let end = starts.get(last as usize).copied().unwrap_or(text.len());
    let lines = text.get(start..end.max(start)).unwrap_or("").trim_end();
    lines.strip_suffix("\n---").or_else(|| lines.strip_suffix("\n...")).unwrap_or(lines).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> (Vec<Item>, Vec<LoadFailure>) {
        let mut failed = Vec::new();
        let items = read(&RuleText { path: "x.yml".into(), text: text.into() }, &mut failed);
        (items, failed)
    }

    #[test]
    fn collections_lay_the_global_document_under_the_others() {
        let (items, failed) = items(
            "action: global\ntitle: t\ndetection:\n  condition: a\n---\nid: 1\ndetection:\n  a: x\n---\naction: repeat\nid: 2\n---\naction: reset\n---\nid: 3\n",
        );
        assert_eq!(failed, []);
        assert_eq!(items.len(), 3);
        assert_eq!(items[0].node.get("title").and_then(Node::scalar), Some("t"));
        let detection = items[0].node.get("detection").unwrap();
        assert!(detection.get("condition").is_some() && detection.get("a").is_some());
        assert_eq!(items[1].node.get("id").and_then(Node::scalar), Some("2"));
        assert!(items[1].node.get("detection").is_some());
        assert!(items[2].node.get("title").is_none());
        assert_eq!(items[1].line, 10);
        assert_eq!(&*items[0].source, "id: 1\ndetection:\n  a: x");
    }

    #[test]
    fn failures_name_file_and_line() {
        let (items, failed) = items("title: a\n---\n- 1\n---\naction: what\n---\nb: [\n");
        assert_eq!(items.len(), 1);
        let lines: Vec<u32> = failed.iter().map(|f| f.line).collect();
        assert_eq!(lines[..2], [3, 5]);
        assert_eq!(failed.len(), 3);
    }
}

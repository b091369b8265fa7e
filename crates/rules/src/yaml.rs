//! YAML text to a small tree that remembers lines.
//!
//! What lives here is the reading of YAML as data: bounded in depth and in number of nodes (an
//! alias counts as all that it repeats, so that a few lines cannot grow into gigabytes). What the
//! data means is not decided here.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Nesting allowed in one document.
const MAX_DEPTH: usize = 64;
/// Nodes allowed in one document, aliases counted as what they repeat.
const MAX_NODES: usize = 200_000;

/// One node and the line it begins on.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub data: Data,
    /// Line in the file, from 1.
    pub line: u32,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A plain number; the text is kept as it was written.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file. Keys are text; a repeated key is refused.
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key as text.
    pub key: String,
    /// Line of the key, from 1.
    pub line: u32,
    /// The value.
    pub value: Node,
}

/// Why a text is not usable YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct YamlError {
    /// Line in the file, from 1.
    pub line: u32,
    /// What is wrong there.
    pub reason: String,
}

/// One document of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its content.
    pub node: Node,
    /// First line of its content, from 1.
    pub line: u32,
    /// Last line that belongs to it.
    pub last_line: u32,
}

impl Node {
    /// The value of a map's key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// A map's entries; none where it is no map.
    pub fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// A scalar's text: text, a number as written, `true` or `false`.
    pub fn scalar(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) | Data::Number(text) => Some(text),
            Data::Bool(true) => Some("true"),
            Data::Bool(false) => Some("false"),
            Data::Null | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// The texts of a list of scalars, or of one scalar.
    pub fn texts(&self) -> Vec<String> {
        match &self.data {
            Data::List(items) => items.iter().filter_map(|item| item.scalar().map(str::to_owned)).collect(),
            _ => self.scalar().map(str::to_owned).into_iter().collect(),
        }
    }

    /// The same data as JSON, without lines. Numbers that JSON cannot hold become text.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(text) => serde_json::from_str::<serde_json::Number>(text)
                .map_or_else(|_| Value::String(text.clone()), Value::Number),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Data::Map(entries) => {
                Value::Object(entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect())
            }
        }
    }

    /// Lays `over` upon this map: its keys win, maps are joined, everything else is replaced.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        let (Data::Map(base), Data::Map(top)) = (&self.data, &over.data) else { return over.clone() };
        let mut joined = base.clone();
        for entry in top {
            match joined.iter_mut().find(|have| have.key == entry.key) {
                Some(have) => {
                    have.value = have.value.overlaid(&entry.value);
                    have.line = entry.line;
                }
                None => joined.push(entry.clone()),
            }
        }
        Self { data: Data::Map(joined), line: over.line }
    }
}

/// Reads all documents of a text. A syntax error ends the reading: what came before it is
/// returned along with the error.
pub fn read(text: &str) -> (Vec<Document>, Option<YamlError>) {
    let mut reader = Reader::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let line = error.marker().line() as u32;
                let reason = format!("not YAML: {}", error.info());
                return (reader.done, Some(YamlError { line: line.max(1), reason }));
            }
        };
        if let Err(reason) = reader.take(event, span.start.line() as u32) {
            let line = span.start.line().max(1) as u32;
            return (reader.done, Some(YamlError { line, reason }));
        }
    }
    (reader.done, None)
}

#[derive(Default)]
struct Reader {
    done: Vec<Document>,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    started: u32,
}

/// A list or map whose end has not come yet.
struct Open {
    anchor: usize,
    line: u32,
    nodes_before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(String, u32)>),
}

impl Reader {
    fn take(&mut self, event: Event<'_>, line: u32) -> Result<(), String> {
        match event {
            Event::DocumentStart(_) => {
                self.nodes = 0;
                self.anchors.clear();
                self.root = None;
                self.started = line;
            }
            Event::DocumentEnd => {
                if let Some(node) = self.root.take()
                    && node.data != Data::Null
                {
                    let first = node.line.max(1);
                    self.done.push(Document { node, line: first, last_line: line.max(first) });
                }
            }
            Event::Alias(anchor) => {
                let (node, size) =
                    self.anchors.get(&anchor).ok_or("an alias stands inside its own anchor")?;
                let (mut node, size) = (node.clone(), *size);
                node.line = line;
                self.count(size)?;
                self.place(node)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1)?;
                let as_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let data = match style {
                    ScalarStyle::Plain if !as_text => plain(&text),
                    _ => Data::Text(text.into_owned()),
                };
                let node = Node { data, line };
                self.remember(anchor, &node, 1);
                self.place(node)?;
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, line, Content::List(Vec::new()))?,
            Event::MappingStart(anchor, _) => self.open(anchor, line, Content::Map(Vec::new(), None))?,
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let data = match open.content {
                    Content::List(items) => Data::List(items),
                    Content::Map(entries, _) => Data::Map(entries),
                };
                let node = Node { data, line: open.line };
                self.remember(open.anchor, &node, self.nodes - open.nodes_before);
                self.place(node)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(format!("more than {MAX_NODES} values in one document, aliases included"));
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node, size: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
    }

    fn open(&mut self, anchor: usize, line: u32, content: Content) -> Result<(), String> {
        let nodes_before = self.nodes;
        self.count(1)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.open.push(Open { anchor, line, nodes_before, content });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node) -> Result<(), String> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map(entries, pending) => match pending.take() {
                Some((key, line)) => entries.push(Entry { key, line, value: node }),
                None => {
                    let key = match &node.data {
                        Data::Null => "null",
                        _ => node.scalar().ok_or("a list or map cannot be a key")?,
                    };
                    if entries.iter().any(|have| have.key == key) {
                        return Err(format!("the key `{key}` stands twice in one map"));
                    }
                    *pending = Some((key.to_owned(), node.line));
                }
            },
        }
        Ok(())
    }
}

/// A plain scalar's meaning in YAML's core schema.
fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ => number(text).map_or_else(|| Data::Text(text.to_owned()), Data::Number),
    }
}

/// The text of a plain number: decimal as written, hexadecimal and octal in decimal.
fn number(text: &str) -> Option<String> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let positive = digits.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
            return if positive {
                u64::from_str_radix(digits, radix).ok().map(|n| n.to_string())
            } else {
                None
            };
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let looks_numeric = unsigned.bytes().next().is_some_and(|b| b.is_ascii_digit())
        && unsigned.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    (looks_numeric && text.parse::<f64>().is_ok()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        let (documents, error) = read(text);
        assert_eq!(error, None);
        documents.into_iter().next().unwrap().node
    }

    #[test]
    fn scalars_keep_their_text_and_type() {
        let node =
            one("a: 1\nb: '1'\nc: 0x10\nd: ~\ne: True\nf: 1.50\ng: yes\nh: ''\ni: 1.2.3.4\nj: !!str 7\n");
        let get = |key| node.get(key).unwrap().data.clone();
        assert_eq!(get("a"), Data::Number("1".into()));
        assert_eq!(get("b"), Data::Text("1".into()));
        assert_eq!(get("c"), Data::Number("16".into()));
        assert_eq!(get("d"), Data::Null);
        assert_eq!(get("e"), Data::Bool(true));
        assert_eq!(get("f"), Data::Number("1.50".into()));
        assert_eq!(get("g"), Data::Text("yes".into()));
        assert_eq!(get("h"), Data::Text(String::new()));
        assert_eq!(get("i"), Data::Text("1.2.3.4".into()));
        assert_eq!(get("j"), Data::Text("7".into()));
    }

    #[test]
    fn lines_are_those_of_the_file_and_documents_are_separate() {
        let (documents, error) = read("# head\na: 1\nb:\n  - x\n  - y\n---\nc: 2\n");
        assert_eq!(error, None);
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].line, 2);
        assert_eq!(documents[0].node.entries()[1].line, 3);
        assert_eq!(documents[1].line, 7);
    }

    #[test]
    fn what_precedes_a_syntax_error_is_kept() {
        let (documents, error) = read("a: 1\n---\nb: [1\n---\nc: 3\n");
        assert_eq!(documents.len(), 1);
        assert!(error.is_some_and(|e| e.line >= 3 && e.reason.starts_with("not YAML")));
    }

    #[test]
    fn alias_bombs_and_depth_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let previous = level - 1;
            let refs = vec![format!("*a{previous}"); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(read(&bomb).1.is_some_and(|e| e.reason.contains("aliases")));
        let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(read(&deep).1.is_some());
    }

    #[test]
    fn repeated_keys_are_refused() {
        assert!(read("a: 1\na: 2\n").1.is_some_and(|e| e.line == 2));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ \\n:#&*\\[\\]{}a-b'\"|>-]{0,60}") {
            let _ = read(&text);
        }
    }
}

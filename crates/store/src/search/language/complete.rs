//! Help while typing: what may stand at the cursor.

use serde::Serialize;

use super::{
    fields::{self, Column},
    parse::is_name,
    stage::{FUNCTIONS, STAGES},
};

/// One thing that may stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// The text that replaces bytes `from..cursor` of the query.
    pub text: String,
    /// Where the replaced part begins.
    pub from: usize,
    /// What it is.
    pub kind: CompletionKind,
    /// A word on what it means.
    pub detail: String,
}

/// What a completion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CompletionKind {
    /// A field's name.
    Field,
    /// A word of the language.
    Keyword,
    /// A stage behind `|`.
    Stage,
    /// A function of `stats`.
    Function,
    /// A field's value.
    Value,
}

/// At most this many completions are offered.
const MAX: usize = 50;

/// What may stand at byte `cursor` of `text`. `source_fields` are further names to offer, such as
/// the sources' own; `values` yields known values of a field.
pub fn completions<'a>(
    text: &str,
    cursor: usize,
    source_fields: impl IntoIterator<Item = &'a str>,
    values: impl Fn(&str) -> Vec<String>,
) -> Vec<Completion> {
    let mut cursor = cursor.min(text.len());
    while !text.is_char_boundary(cursor) {
        cursor -= 1;
    }
    let before = &text[..cursor];
    let word_from = before
        .rfind(|c: char| !is_name(c))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[word_from..];
    let mut found = Finder { word, from: word_from, list: Vec::new() };
    let stage = stage_at(before);
    match stage {
        Some(stage) if stage[..stage.len() - word.len()].trim().is_empty() => {
            for name in STAGES {
                found.offer(name, CompletionKind::Stage, "");
            }
        }
        Some(stage) => {
            let name = stage.split_whitespace().next().unwrap_or("");
            if matches!(name, "stats" | "timechart") && !stage.contains(" by ") && !inside_parenthesis(stage)
            {
                for name in FUNCTIONS {
                    found.offer(name, CompletionKind::Function, "");
                }
                found.offer("by", CompletionKind::Keyword, "group by fields");
            }
            found.fields(source_fields, "");
        }
        None => {
            if before[..word_from].ends_with(':') {
                let head = &before[..word_from - 1];
                let name_from = head
                    .rfind(|c: char| !is_name(c))
                    .map_or(0, |at| at + head[at..].chars().next().map_or(1, char::len_utf8));
                found.values(&head[name_from..], values);
            } else {
                found.fields(source_fields, ":");
                for keyword in ["AND", "OR", "NOT"] {
                    found.offer(keyword, CompletionKind::Keyword, "");
                }
            }
        }
    }
    found.list
}

/// The stage that the cursor stands in: the text behind the last `|` outside quotes.
fn stage_at(before: &str) -> Option<&str> {
    let mut quoted = false;
    let mut last = None;
    for (at, c) in before.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '|' if !quoted => last = Some(at + 1),
            _ => {}
        }
    }
    last.map(|at| &before[at..])
}

fn inside_parenthesis(stage: &str) -> bool {
    stage.matches('(').count() > stage.matches(')').count()
}

struct Finder<'a> {
    word: &'a str,
    from: usize,
    list: Vec<Completion>,
}

impl Finder<'_> {
    /// Offers `text` where it begins with the word, regardless of case.
    fn offer(&mut self, text: &str, kind: CompletionKind, detail: &str) {
        let fits = text.get(..self.word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(self.word));
        if fits && self.list.len() < MAX && !self.list.iter().any(|have| have.text == text) {
            self.list.push(Completion {
                text: text.to_owned(),
                from: self.from,
                kind,
                detail: detail.to_owned(),
            });
        }
    }

    fn fields<'b>(&mut self, source_fields: impl IntoIterator<Item = &'b str>, after: &str) {
        for (alias, columns) in fields::ALIASES {
            let detail = columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ");
            self.offer(&format!("{alias}{after}"), CompletionKind::Field, &detail);
        }
        for column in Column::all() {
            self.offer(&format!("{}{after}", column.name()), CompletionKind::Field, "");
        }
        for name in source_fields {
            if name.chars().all(is_name) {
                self.offer(&format!("{name}{after}"), CompletionKind::Field, "the source's own field");
            }
        }
    }

    fn values(&mut self, field: &str, values: impl Fn(&str) -> Vec<String>) {
        match fields::meaning(field) {
            fields::Meaning::Columns([Column::Severity]) => {
                for number in 1..=5 {
                    if let Some(word) = fields::word_of_number(Column::Severity, number) {
                        self.offer(word, CompletionKind::Value, "");
                    }
                }
            }
            fields::Meaning::Columns([Column::Status]) => {
                for word in ["success", "failure", "unknown"] {
                    self.offer(word, CompletionKind::Value, "");
                }
            }
            fields::Meaning::Columns([Column::Class]) => {
                for (word, _) in fields::CLASSES {
                    self.offer(word, CompletionKind::Value, "");
                }
            }
            _ => {
                for value in values(field) {
                    let pattern = super::Pattern::literal(&value).to_string();
                    let fits = value
                        .get(..self.word.len())
                        .is_some_and(|begin| begin.eq_ignore_ascii_case(self.word));
                    if fits && self.list.len() < MAX {
                        self.list.push(Completion {
                            text: pattern,
                            from: self.from,
                            kind: CompletionKind::Value,
                            detail: String::new(),
                        });
                    }
                }
            }
        }
    }
}

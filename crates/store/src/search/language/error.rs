//! What is wrong with a query, told to the person who typed it.

use std::fmt;

use serde::Serialize;

/// Where a query cannot be understood, what was expected there, and the mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueryError {
    /// Byte offset in the query.
    pub at: usize,
    /// What is wrong, for a person.
    pub message: String,
    /// What to write instead, where it can be guessed.
    pub suggestion: Option<String>,
}

impl QueryError {
    /// An error at a byte offset.
    pub fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), suggestion: None }
    }

    /// The same with a mend.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.at)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; {suggestion}")?;
        }
        Ok(())
    }
}

impl std::error::Error for QueryError {}

/// The candidate most like `word`, where one is like it at all: at most every third letter
/// must change.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).flat_map(char::to_lowercase).collect();
    let allowed = word.len().div_ceil(3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to add, drop or change.
fn distance(word: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=candidate.len()).collect();
    for (i, a) in word.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in candidate.iter().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[candidate.len()]
}

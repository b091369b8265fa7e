//! How bad something is, on OCSF's scale.

use serde::{Deserialize, Serialize};

/// Severity of a finding or alert; ordered. Ids are OCSF's `severity_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// `severity_id` 1: worth recording, nothing to do.
    #[default]
    Informational,
    /// `severity_id` 2.
    Low,
    /// `severity_id` 3.
    Medium,
    /// `severity_id` 4.
    High,
    /// `severity_id` 5: act now.
    Critical,
}

impl Severity {
    /// All severities, least first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// OCSF `severity_id`, 1 to 5.
    pub const fn ocsf_id(self) -> u8 {
        self as u8 + 1
    }

    /// The severity of an OCSF `severity_id`; unknown ids are informational.
    pub const fn from_ocsf_id(id: u8) -> Self {
        match id {
            2 => Self::Low,
            3 => Self::Medium,
            4 => Self::High,
            5 | 6 => Self::Critical,
            _ => Self::Informational,
        }
    }

    /// The lower-case word that Sigma's `level` and the screens use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity a word names, in Sigma's or in common use.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "informational" | "info" => Self::Informational,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "critical" => Self::Critical,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

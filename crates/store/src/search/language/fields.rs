//! What a field's name means: the columns of the events table that it looks into.
//!
//! A name is, in this order: a short alias (`host`), a column's own name (`process.cmd_line`), or
//! the source's own name for a field (`CommandLine`), which is looked up per event. Aliases and
//! column names compare without regard to case.

use covigil_model::{Attr, Severity, ocsf::AttrType};

use super::error::nearest;

/// What a field's name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// These columns, any of which may answer; for a value, the first that is set.
    Columns(&'static [Column]),
    /// The source's own field of that name.
    Source(String),
}

/// One column of the events table, or the original rebuilt from several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// When it happened.
    Time,
    /// When it was received.
    Received,
    /// The source's name.
    Source,
    /// The place among the source's records.
    Sequence,
    /// The parser.
    Parser,
    /// OCSF class, by number or caption.
    Class,
    /// OCSF activity.
    Activity,
    /// OCSF severity, by number or word.
    Severity,
    /// OCSF status, by number or word.
    Status,
    /// Sigma's product.
    LogProduct,
    /// Sigma's services.
    LogService,
    /// Sigma's categories.
    LogCategory,
    /// Why the parser did not understand it.
    Failure,
    /// The original.
    Original,
    /// An OCSF attribute.
    Attr(Attr),
}

/// How a column's values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Whole values.
    Word,
    /// Whole values, or the last component of a path.
    Path,
    /// Anywhere in the value.
    Prose,
    /// One of several values joined by commas.
    List,
    /// Numbers.
    Number,
    /// A number that has a word.
    Named,
    /// Moments.
    Time,
}

impl Column {
    /// Its name in the events table; for the original, the name in queries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Received => "received",
            Self::Source => "source",
            Self::Sequence => "sequence",
            Self::Parser => "parser",
            Self::Class => "class_uid",
            Self::Activity => "activity_id",
            Self::Severity => "severity_id",
            Self::Status => "status_id",
            Self::LogProduct => "log_product",
            Self::LogService => "log_service",
            Self::LogCategory => "log_category",
            Self::Failure => "failure",
            Self::Original => "original",
            Self::Attr(attr) => attr.path(),
        }
    }

    /// How its values compare.
    pub const fn way(self) -> Way {
        match self {
            Self::Time | Self::Received => Way::Time,
            Self::Sequence | Self::Activity => Way::Number,
            Self::Class | Self::Severity | Self::Status => Way::Named,
            Self::LogService | Self::LogCategory => Way::List,
            Self::Original | Self::Failure => Way::Prose,
            Self::Source | Self::Parser | Self::LogProduct => Way::Word,
            Self::Attr(attr) => match attr {
                Attr::Message
                | Attr::ScriptContent
                | Attr::StatusDetail
                | Attr::ProcessCmdLine
                | Attr::ParentCmdLine
                | Attr::UserAgent
                | Attr::Url
                | Attr::RegValueData
                | Attr::FileHashes => Way::Prose,
                Attr::ProcessPath
                | Attr::ParentPath
                | Attr::ActorProcessPath
                | Attr::FilePath
                | Attr::RegKeyPath => Way::Path,
                _ => match attr.kind() {
                    AttrType::Text => Way::Word,
                    AttrType::Integer => Way::Number,
                },
            },
        }
    }

    /// Every column, attributes last.
    pub fn all() -> impl Iterator<Item = Self> {
        PLAIN.iter().copied().chain(Attr::ALL.iter().map(|attr| Self::Attr(*attr)))
    }
}

const PLAIN: [Column; 14] = [
    Column::Time,
    Column::Received,
    Column::Source,
    Column::Sequence,
    Column::Parser,
    Column::Class,
    Column::Activity,
    Column::Severity,
    Column::Status,
    Column::LogProduct,
    Column::LogService,
    Column::LogCategory,
    Column::Failure,
    Column::Original,
];

/// One column each, so that a column's own name has a meaning of the same form as an alias.
static SINGLE: std::sync::LazyLock<Vec<Column>> = std::sync::LazyLock::new(|| Column::all().collect());

use Attr as A;
use Column as C;

/// Short names, and what they look into. The first name of equals is the one that is offered.
pub const ALIASES: &[(&str, &[Column])] = &[
    ("action", &[C::Attr(A::ApiOperation)]),
    ("actor", &[C::Attr(A::ActorUserName)]),
    ("category", &[C::LogCategory]),
    ("channel", &[C::Attr(A::LogName)]),
    ("class", &[C::Class]),
    ("cmd", &[C::Attr(A::ProcessCmdLine)]),
    ("dns", &[C::Attr(A::QueryHostname)]),
    ("domain", &[C::Attr(A::UserDomain)]),
    ("dst", &[C::Attr(A::DstIp), C::Attr(A::DstHostname)]),
    ("dst_ip", &[C::Attr(A::DstIp)]),
    ("dst_port", &[C::Attr(A::DstPort)]),
    ("event_id", &[C::Attr(A::EventCode)]),
    ("file", &[C::Attr(A::FilePath)]),
    ("hash", &[C::Attr(A::FileHashes)]),
    ("host", &[C::Attr(A::DeviceHostname)]),
    ("ip", &[C::Attr(A::SrcIp), C::Attr(A::DstIp), C::Attr(A::DeviceIp)]),
    ("job", &[C::Attr(A::JobName)]),
    ("log", &[C::Attr(A::LogName)]),
    ("logon_type", &[C::Attr(A::LogonType)]),
    ("method", &[C::Attr(A::HttpMethod)]),
    ("package", &[C::Attr(A::PackageName)]),
    ("parent", &[C::Attr(A::ParentPath)]),
    ("parent_cmd", &[C::Attr(A::ParentCmdLine)]),
    ("pid", &[C::Attr(A::ProcessPid), C::Attr(A::ActorProcessPid)]),
    ("port", &[C::Attr(A::SrcPort), C::Attr(A::DstPort)]),
    ("process", &[C::Attr(A::ProcessPath), C::Attr(A::ActorProcessPath), C::Attr(A::ActorProcessName)]),
    ("product", &[C::LogProduct, C::Attr(A::Product)]),
    ("protocol", &[C::Attr(A::Protocol)]),
    ("provider", &[C::Attr(A::LogProvider)]),
    ("raw", &[C::Original]),
    ("reason", &[C::Attr(A::StatusDetail)]),
    ("registry", &[C::Attr(A::RegKeyPath)]),
    ("script", &[C::Attr(A::ScriptContent)]),
    ("service", &[C::Attr(A::ServiceName), C::LogService]),
    ("session", &[C::Attr(A::SessionUid)]),
    ("severity", &[C::Severity]),
    ("src", &[C::Attr(A::SrcIp), C::Attr(A::SrcHostname)]),
    ("src_ip", &[C::Attr(A::SrcIp)]),
    ("src_port", &[C::Attr(A::SrcPort)]),
    ("status", &[C::Status]),
    ("url", &[C::Attr(A::Url)]),
    ("user", &[C::Attr(A::UserName), C::Attr(A::ActorUserName)]),
    ("user_agent", &[C::Attr(A::UserAgent)]),
];

/// What a name means. Never fails: what is no alias and no column is a source's own field.
pub fn meaning(name: &str) -> Meaning {
    if let Some((_, columns)) = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)) {
        return Meaning::Columns(columns);
    }
    let single: &'static [Column] = &SINGLE;
    match single.iter().position(|column| column.name().eq_ignore_ascii_case(name)) {
        Some(at) => Meaning::Columns(&single[at..=at]),
        None => Meaning::Source(name.to_owned()),
    }
}

/// Every alias and column name.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALIASES.iter().map(|(alias, _)| *alias).chain(SINGLE.iter().map(|column| column.name()))
}

/// The known name most like one that is unknown, `known` being the sources' own names.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(name, names().map(|own: &'static str| -> &'a str { own }).chain(known))
}

/// The number that a word means in a column whose numbers have words.
pub fn number_of_word(column: Column, word: &str) -> Option<i64> {
    let word = word.to_ascii_lowercase();
    match column {
        Column::Severity => {
            if word == "fatal" {
                return Some(6);
            }
            Severity::from_word(&word).map(|severity| i64::from(severity.ocsf_id()))
        }
        Column::Status => match word.as_str() {
            "unknown" => Some(0),
            "success" | "succeeded" | "ok" => Some(1),
            "failure" | "failed" | "fail" => Some(2),
            _ => None,
        },
        Column::Class => CLASSES
            .iter()
            .find(|(caption, _)| caption.replace('_', " ") == word.replace('_', " "))
            .map(|(_, id)| *id),
        _ => None,
    }
}

/// The word of a number in a column whose numbers have words.
pub fn word_of_number(column: Column, number: i64) -> Option<&'static str> {
    match column {
        Column::Severity => match number {
            0 => Some("unknown"),
            1..=5 => Some(Severity::from_ocsf_id(number as u8).as_str()),
            6 => Some("fatal"),
            _ => None,
        },
        Column::Status => match number {
            0 => Some("unknown"),
            1 => Some("success"),
            2 => Some("failure"),
            _ => None,
        },
        Column::Class => CLASSES.iter().find(|(_, id)| *id == number).map(|(word, _)| *word),
        _ => None,
    }
}

/// Short words for OCSF classes, as they are typed in a query.
pub const CLASSES: &[(&str, i64)] = &[
    ("base_event", 0),
    ("file", 1001),
    ("kernel_extension", 1002),
    ("kernel", 1003),
    ("module", 1005),
    ("scheduled_job", 1006),
    ("process", 1007),
    ("event_log", 1008),
    ("script", 1009),
    ("detection_finding", 2004),
    ("account_change", 3001),
    ("authentication", 3002),
    ("authorize_session", 3003),
    ("group", 3006),
    ("network", 4001),
    ("http", 4002),
    ("dns", 4003),
    ("inventory", 5001),
    ("software_inventory", 5020),
    ("application_lifecycle", 6002),
    ("api", 6003),
    ("registry_key", 201_001),
    ("registry_value", 201_002),
];

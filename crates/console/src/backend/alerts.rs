//! The queue: alerts, what is done with them, and what is known of their entities.

use async_trait::async_trait;
use covigil_model::{
    Alert, AlertId, AlertState, Disposition, EntityRef, Finding, NoteId, OpContext, Severity, Time, UserId,
};
use serde::{Deserialize, Serialize};

use super::{BackendError, EventView, RuleDetail};

/// Whose alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assigned {
    /// Nobody's.
    Nobody,
    /// That person's.
    To(UserId),
}

/// Which alerts. An empty list admits everything; several values of one list admit any of them;
/// all lists must admit the alert.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertFilter {
    /// Where the alert stands.
    pub states: Vec<AlertState>,
    /// How it was closed.
    pub dispositions: Vec<Disposition>,
    /// How bad.
    pub severities: Vec<Severity>,
    /// Whose.
    pub assigned: Vec<Assigned>,
    /// Rule ids.
    pub rules: Vec<String>,
    /// ATT&CK technique ids.
    pub techniques: Vec<String>,
    /// Families.
    pub solutions: Vec<String>,
    /// Entities that the alert concerns.
    pub entities: Vec<EntityRef>,
    /// A substring, without regard to case, of the rule's title, the summary or an entity's name.
    pub text: Option<String>,
    /// Raised at or after.
    pub since: Option<Time>,
    /// Raised before or at. Bulk actions set it, so that an alert nobody saw is not acted on.
    pub until: Option<Time>,
}

/// The order of the queue. Ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlertSort {
    /// Newest raised first.
    #[default]
    Newest,
    /// Oldest raised first.
    Oldest,
    /// Highest severity first, then newest raised.
    Severity,
    /// Highest risk first, then newest raised.
    Risk,
    /// Latest activity first.
    LastSeen,
    /// Most findings first, then newest raised.
    Count,
}

impl AlertSort {
    /// All orders, as the queue offers them.
    pub const ALL: [Self; 6] =
        [Self::Newest, Self::Oldest, Self::Severity, Self::Risk, Self::LastSeen, Self::Count];

    /// The word in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Severity => "severity",
            Self::Risk => "risk",
            Self::LastSeen => "last_seen",
            Self::Count => "count",
        }
    }

    /// The order a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == word)
    }
}

/// One page of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertQuery {
    /// Which alerts.
    pub filter: AlertFilter,
    /// In which order.
    pub sort: AlertSort,
    /// Where the page before ended, from [`AlertPage::next`].
    pub after: Option<String>,
    /// At most so many, 1 to 500.
    pub limit: usize,
}

/// A page's alerts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlertPage {
    /// The rows.
    pub alerts: Vec<Alert>,
    /// Where the next page begins, if there is one. Opaque; the sort key and id of the last row.
    pub next: Option<String>,
    /// How many alerts the filter admits.
    pub total: u64,
}

/// What facets count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertField {
    /// [`Alert::state`].
    State,
    /// [`Alert::severity`].
    Severity,
    /// [`Alert::assignee`]; the empty value is nobody.
    Assignee,
    /// [`Alert::rule`], by id.
    Rule,
    /// [`Alert::entities`], as `kind:name`.
    Entity,
    /// ATT&CK technique.
    Technique,
}

impl AlertField {
    /// All, in the order of the screen.
    pub const ALL: [Self; 6] =
        [Self::Severity, Self::State, Self::Assignee, Self::Rule, Self::Entity, Self::Technique];
}

/// One value with its count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FacetCount {
    /// The value as the filter takes it.
    pub value: String,
    /// The value for people.
    pub label: String,
    /// How many.
    pub count: u64,
}

/// The commonest values of one field, among the alerts that the filter admits when its condition
/// on that same field is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertFacet {
    /// The field.
    pub field: AlertField,
    /// At most 12 values, most frequent first; severities and states all of them.
    pub values: Vec<FacetCount>,
}

/// A remark on an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub time: Time,
    /// Plain text.
    pub text: String,
}

/// Something that happened to an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When.
    pub time: Time,
    /// Who: a person or a duty of the program.
    pub actor: String,
    /// What, as a sentence without subject: `closed as benign`, `assigned to ana`, ….
    pub what: String,
}

/// How much the customer would miss it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// A test machine, a guest.
    Low,
    /// Nothing special is known.
    #[default]
    Normal,
    /// Important to the business.
    High,
    /// The business stops without it.
    Critical,
}

impl Criticality {
    /// All, least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The criticality a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }
}

/// What is known of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityContext {
    /// Which.
    pub entity: EntityRef,
    /// How much it matters.
    pub criticality: Criticality,
    /// The customer's remark: owner, purpose, what is normal for it.
    pub remark: String,
    /// Who last changed criticality or remark, and when.
    pub edited: Option<(String, Time)>,
    /// Alerts about it that are not closed.
    pub open_alerts: u64,
    /// All alerts about it.
    pub alerts: u64,
    /// Event time of the first alert about it.
    pub first_seen: Option<Time>,
    /// Event time of the last alert about it.
    pub last_seen: Option<Time>,
}

/// What the customer says of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityChange {
    /// How much it matters.
    pub criticality: Criticality,
    /// Plain text, at most 2,000 characters.
    pub remark: String,
}

/// All that the flyout shows.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertDetail {
    /// The alert.
    pub alert: Alert,
    /// Its findings, newest first, at most 100.
    pub findings: Vec<Finding>,
    /// The events of the newest finding, oldest first, at most 50; those no longer stored are left out.
    pub events: Vec<EventView>,
    /// The rule, if it is still loaded.
    pub rule: Option<RuleDetail>,
    /// What is known of its entities.
    pub entities: Vec<EntityContext>,
    /// Other alerts that share an entity, newest first, at most 20.
    pub related: Vec<Alert>,
    /// Remarks, oldest first.
    pub notes: Vec<Note>,
    /// What happened to it, oldest first.
    pub history: Vec<HistoryEntry>,
}

/// Which alerts an action touches.
#[expect(clippy::large_enum_variant, reason = "one per request, never in a list")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertTarget {
    /// Those.
    Ids(Vec<AlertId>),
    /// All that the filter admits, provided they are exactly so many.
    Query {
        /// Which.
        filter: AlertFilter,
        /// The count that the person agreed to.
        expected: u64,
    },
}

/// What to do with alerts. `None` stays as it is. Changing the state of an alert that nobody has
/// assigns it to the actor; an alert that is new and gets an assignee is in progress.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertChange {
    /// The new state.
    pub state: Option<AlertState>,
    /// How it is closed; given exactly when `state` is closed.
    pub disposition: Option<Disposition>,
    /// The new assignee, or nobody.
    pub assignee: Option<Option<UserId>>,
    /// A remark to add to each.
    pub note: Option<String>,
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// How many alerts were meant.
    pub matched: u64,
    /// How many are different now.
    pub changed: u64,
}

/// The queue.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// One page of the queue.
    async fn alerts(&self, ctx: &OpContext, query: &AlertQuery) -> Result<AlertPage, BackendError>;
    /// How many alerts the filter admits.
    async fn count_alerts(&self, ctx: &OpContext, filter: &AlertFilter) -> Result<u64, BackendError>;
    /// Counts per value.
    async fn alert_facets(
        &self,
        ctx: &OpContext,
        filter: &AlertFilter,
    ) -> Result<Vec<AlertFacet>, BackendError>;
    /// Everything about one alert.
    async fn alert(&self, ctx: &OpContext, id: AlertId) -> Result<Option<AlertDetail>, BackendError>;
    /// Changes alerts, all or none, and writes their history.
    async fn change_alerts(
        &self,
        ctx: &OpContext,
        target: &AlertTarget,
        change: &AlertChange,
    ) -> Result<Changed, BackendError>;
    /// What is known of an entity.
    async fn entity(&self, ctx: &OpContext, entity: &EntityRef) -> Result<EntityContext, BackendError>;
    /// Changes what is known of an entity; the risk of its open alerts follows.
    async fn change_entity(
        &self,
        ctx: &OpContext,
        entity: &EntityRef,
        change: &EntityChange,
    ) -> Result<(), BackendError>;
}

//! The queue: which alerts, in which order, how many, and counts per value.

use covigil_model::{
    Alert, AlertState, Disposition, EntityKind, EntityRef, OpContext, Severity, Time, UserId,
};

use super::{
    State, StateError,
    alerts::{SELECT_ALERT, alert_of},
    sql::{Arg, Columns as _, Sql},
};

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
    /// ATT&CK tactic names.
    pub tactics: Vec<String>,
    /// Families.
    pub solutions: Vec<String>,
    /// Entities that the alert concerns.
    pub entities: Vec<EntityRef>,
    /// A substring, without regard to case, of the rule's title, the summary or an entity's name.
    pub text: Option<String>,
    /// Raised at or after.
    pub since: Option<Time>,
    /// Raised before or at.
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
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Newest | Self::Oldest => &["raised"],
            Self::Severity => &["severity", "raised"],
            Self::Risk => &["risk", "raised"],
            Self::LastSeen => &["last_seen"],
            Self::Count => &["count", "raised"],
        }
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
    /// Where the next page begins, if there is one. Opaque.
    pub next: Option<String>,
    /// How many alerts the filter admits.
    pub total: u64,
}

/// What facets count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertField {
    /// Where alerts stand.
    State,
    /// How bad they are.
    Severity,
    /// Whose they are; the empty value is nobody.
    Assignee,
    /// Their rule, by id.
    Rule,
    /// Their family.
    Solution,
    /// Hosts that they concern.
    Host,
    /// Users that they concern.
    User,
    /// Addresses that they concern.
    Address,
    /// ATT&CK techniques.
    Technique,
    /// ATT&CK tactics.
    Tactic,
}

impl AlertField {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Severity,
        Self::State,
        Self::Assignee,
        Self::Rule,
        Self::Solution,
        Self::Host,
        Self::User,
        Self::Address,
        Self::Technique,
        Self::Tactic,
    ];

    const fn value_kind(self) -> Option<&'static str> {
        Some(match self {
            Self::Host => "host",
            Self::User => "user",
            Self::Address => "address",
            Self::Technique => "technique",
            Self::Tactic => "tactic",
            _ => return None,
        })
    }
}

/// One value with its count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCount {
    /// The value as the filter takes it.
    pub value: String,
    /// The value for people.
    pub label: String,
    /// How many alerts have it.
    pub count: u64,
}

/// The commonest values of one field, among the alerts that the filter admits when its condition
/// on that same field is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertFacet {
    /// The field.
    pub field: AlertField,
    /// At most 12 values, most frequent first.
    pub values: Vec<FacetCount>,
}

const FACET_VALUES: i64 = 12;
const MAX_VALUES: usize = 500;

impl AlertFilter {
    /// Refuses more values than a query can take.
    pub(super) fn check(&self) -> Result<(), StateError> {
        let lists = [
            self.rules.len(),
            self.techniques.len(),
            self.tactics.len(),
            self.solutions.len(),
            self.entities.len(),
            self.assigned.len(),
        ];
        if lists.into_iter().any(|len| len > MAX_VALUES) {
            return Err(StateError::Invalid(format!("a filter takes at most {MAX_VALUES} values per field")));
        }
        Ok(())
    }

    /// Whether only alerts that are not closed are admitted (`Some(1)`), only closed ones, or both.
    fn open(&self) -> Option<i64> {
        let closed = self.states.contains(&AlertState::Closed);
        match (self.states.is_empty(), closed, self.states.len()) {
            (true, ..) => None,
            (false, false, _) => Some(1),
            (false, true, 1) => Some(0),
            _ => None,
        }
    }

    /// Appends the conditions on `alerts a`, each with `AND` before it.
    pub(super) fn conditions(&self, sql: &mut Sql) {
        if let Some(open) = self.open() {
            sql.push(" AND a.open = ").push(if open == 1 { "1" } else { "0" });
        }
        let implied = match self.open() {
            // The flag says it all where both open states, or only the closed one, are asked for.
            Some(1) => {
                self.states.contains(&AlertState::New) && self.states.contains(&AlertState::InProgress)
            }
            Some(_) => true,
            None => self.states.is_empty(),
        };
        if !implied {
            sql.push(" AND a.state IN ").list(self.states.iter().map(|s| s.as_str()));
        }
        if !self.dispositions.is_empty() {
            sql.push(" AND a.disposition IN ").list(self.dispositions.iter().map(|d| d.as_str()));
        }
        if !self.severities.is_empty() {
            sql.push(" AND a.severity IN ").list(self.severities.iter().map(|s| i64::from(s.ocsf_id())));
        }
        if !self.assigned.is_empty() {
            sql.push(" AND (");
            if self.assigned.contains(&Assigned::Nobody) {
                sql.push("a.assignee IS NULL OR ");
            }
            let people = self.assigned.iter().filter_map(|assigned| match assigned {
                Assigned::Nobody => None,
                Assigned::To(user) => Some(Arg::from(*user)),
            });
            // An empty name is nobody's, and keeps the list from being empty.
            sql.push("a.assignee IN ").list(people.chain([Arg::from("")])).push(")");
        }
        for (column, values) in [("a.rule_id", &self.rules), ("a.solution", &self.solutions)] {
            if !values.is_empty() {
                sql.push(" AND ").push(column).push(" IN ").list(values.iter().map(String::as_str));
            }
        }
        for (kind, values) in [("technique", &self.techniques), ("tactic", &self.tactics)] {
            if !values.is_empty() {
                sql.push(
                    " AND a.id IN (SELECT v.alert FROM alert_values v WHERE v.tenant = $1 AND v.kind = ",
                );
                sql.bind(kind).push(" AND v.value IN ").list(values.iter().map(String::as_str)).push(")");
            }
        }
        if !self.entities.is_empty() {
            sql.push(" AND a.id IN (");
            for (at, entity) in self.entities.iter().enumerate() {
                sql.push(if at > 0 { " UNION " } else { "" });
                sql.push("SELECT v.alert FROM alert_values v WHERE v.tenant = $1 AND v.kind = ");
                sql.bind(entity.kind.as_str()).push(" AND v.value = ").bind(entity.name.as_str());
            }
            sql.push(")");
        }
        if let Some(text) = self.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            let mut pattern = String::from("%");
            for c in text.to_lowercase().chars() {
                if matches!(c, '%' | '_' | '\\') {
                    pattern.push('\\');
                }
                pattern.push(c);
            }
            pattern.push('%');
            // From an index that holds the text, so that no row need be visited.
            sql.push(" AND a.id IN (SELECT s.id FROM alerts s WHERE s.tenant = $1 AND s.open ");
            sql.push(match self.open() {
                Some(1) => "= 1",
                Some(_) => "= 0",
                None => "IN (0, 1)",
            });
            sql.push(" AND s.search LIKE ").bind(pattern).push(" ESCAPE '\\')");
        }
        if let Some(since) = self.since {
            sql.push(" AND a.raised >= ").bind(since);
        }
        if let Some(until) = self.until {
            sql.push(" AND a.raised <= ").bind(until);
        }
    }

    /// Whether only the state narrows it, so that the open flag beside the values is enough.
    fn only_open(&self) -> Option<Option<i64>> {
        let stripped = Self { states: Vec::new(), ..self.clone() };
        let covers = match self.open() {
            None => self.states.is_empty() || self.states.len() == 3,
            Some(1) => self.states.len() == 2,
            Some(_) => true,
        };
        (stripped == Self::default() && covers).then(|| self.open())
    }

    fn without(&self, field: AlertField) -> Self {
        let mut filter = self.clone();
        let mut drop_entities = |kind| filter.entities.retain(|entity| entity.kind != kind);
        match field {
            AlertField::Host => drop_entities(EntityKind::Host),
            AlertField::User => drop_entities(EntityKind::User),
            AlertField::Address => drop_entities(EntityKind::Address),
            AlertField::State => filter.states.clear(),
            AlertField::Severity => filter.severities.clear(),
            AlertField::Assignee => filter.assigned.clear(),
            AlertField::Rule => filter.rules.clear(),
            AlertField::Solution => filter.solutions.clear(),
            AlertField::Technique => filter.techniques.clear(),
            AlertField::Tactic => filter.tactics.clear(),
        }
        filter
    }
}

impl State {
    /// One page of the queue, with the exact number of all alerts that the filter admits.
    ///
    /// # Errors
    ///
    /// [`StateError::Invalid`] for a place that is not from [`AlertPage::next`] of the same order,
    /// [`StateError::Database`].
    pub async fn alerts(&self, ctx: &OpContext, query: &AlertQuery) -> Result<AlertPage, StateError> {
        query.filter.check()?;
        let limit = query.limit.clamp(1, 500);
        let keys = query.sort.keys();
        let (order, past) = if query.sort == AlertSort::Oldest { ("ASC", ">") } else { ("DESC", "<") };
        let place = match &query.after {
            None => None,
            Some(after) => Some(read_place(after, keys.len()).ok_or_else(|| {
                StateError::Invalid("this page's address is damaged; begin at the first page".into())
            })?),
        };
        // The sign in front keeps the outer query from being read in the order of an index.
        let ordered = |sql: &mut Sql, sign: &str| {
            sql.push(" ORDER BY ");
            for key in keys {
                sql.push(sign).push("a.").push(key).push(" ").push(order).push(", ");
            }
            sql.push("a.id ").push(order);
        };
        // The page is found in narrow indexes first, which begin with whether an alert is open, so
        // that both halves are asked where both are wanted; only its rows are then joined.
        let halves: &[&str] = match query.filter.open() {
            Some(_) => &[""],
            None => &[" AND a.open = 1", " AND a.open = 0"],
        };
        let mut sql = Sql::new(ctx, SELECT_ALERT);
        sql.push(" AND a.id IN (");
        for (at, half) in halves.iter().enumerate() {
            sql.push(if at > 0 { " UNION ALL " } else { "" });
            sql.push("SELECT p.id FROM (SELECT a.id FROM alerts a WHERE a.tenant = $1").push(half);
            query.filter.conditions(&mut sql);
            if let Some(place) = &place {
                sql.push(" AND (");
                for key in keys {
                    sql.push("a.").push(key).push(", ");
                }
                sql.push("a.id) ").push(past).push(" ").list(place.iter().cloned());
            }
            ordered(&mut sql, "");
            sql.push(" LIMIT ").bind(limit as i64 + 1).push(") p");
        }
        sql.push(")");
        ordered(&mut sql, "+");
        sql.push(" LIMIT ").bind(limit as i64 + 1);
        let rows = async {
            let mut on = self.read().await?;
            sql.all(&mut on).await
        };
        let (rows, total) = futures::try_join!(rows, self.count_alerts(ctx, &query.filter))?;
        let alerts = rows.iter().take(limit).map(|row| alert_of(ctx, row)).collect::<Result<Vec<_>, _>>()?;
        let mut next = None;
        if rows.len() > limit
            && let Some(last) = rows.get(limit - 1)
        {
            let mut place = String::new();
            for key in keys {
                use std::fmt::Write as _;
                let _ = write!(place, "{}.", last.int(key)?);
            }
            place.push_str(&last.text("id")?);
            next = Some(place);
        }
        Ok(AlertPage { alerts, next, total })
    }

    /// How many alerts the filter admits.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn count_alerts(&self, ctx: &OpContext, filter: &AlertFilter) -> Result<u64, StateError> {
        filter.check()?;
        let mut sql = Sql::new(ctx, "SELECT COUNT(*) FROM alerts a WHERE a.tenant = $1");
        filter.conditions(&mut sql);
        sql.number(&mut *self.read().await?).await
    }

    /// Counts per value of the fields.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn alert_facets(
        &self,
        ctx: &OpContext,
        filter: &AlertFilter,
        fields: &[AlertField],
    ) -> Result<Vec<AlertFacet>, StateError> {
        filter.check()?;
        futures::future::try_join_all(fields.iter().map(|field| self.alert_facet(ctx, filter, *field))).await
    }

    async fn alert_facet(
        &self,
        ctx: &OpContext,
        filter: &AlertFilter,
        field: AlertField,
    ) -> Result<AlertFacet, StateError> {
        let filter = filter.without(field);
        let sql = match field.value_kind() {
            Some(kind) => values_facet(ctx, &filter, kind),
            None => column_facet(ctx, &filter, field),
        };
        let rows = sql.all(&mut *self.read().await?).await?;
        let mut values = Vec::with_capacity(rows.len());
        for row in rows {
            let value = row.opt_text("value")?.unwrap_or_default();
            let label = row.opt_text("label")?.unwrap_or_else(|| value.clone());
            values.push(FacetCount { value, label, count: row.count("n")? });
        }
        if field == AlertField::Severity {
            for value in &mut values {
                let id = value.value.parse().unwrap_or(0);
                value.value = Severity::from_ocsf_id(id).as_str().to_owned();
                value.label.clone_from(&value.value);
            }
        }
        Ok(AlertFacet { field, values })
    }
}

fn column_facet(ctx: &OpContext, filter: &AlertFilter, field: AlertField) -> Sql {
    let (select, group) = match field {
        AlertField::Severity => {
            ("CAST(a.severity AS TEXT) AS value, CAST(a.severity AS TEXT) AS label", "a.severity")
        }
        AlertField::Assignee => (
            "a.assignee AS value, (SELECT u.name FROM users u WHERE u.tenant = $1 AND u.id = a.assignee) AS label",
            "a.assignee",
        ),
        AlertField::Rule => ("a.rule_id AS value, MAX(a.rule_title) AS label", "a.rule_id"),
        AlertField::Solution => ("a.solution AS value, a.solution AS label", "a.solution"),
        _ => ("a.state AS value, a.state AS label", "a.state"),
    };
    let mut sql = Sql::new(ctx, "SELECT ");
    sql.push(select).push(", COUNT(*) AS n FROM alerts a WHERE a.tenant = $1");
    filter.conditions(&mut sql);
    sql.push(" GROUP BY ").push(group).push(" ORDER BY n DESC, value LIMIT ").bind(FACET_VALUES);
    sql
}

fn values_facet(ctx: &OpContext, filter: &AlertFilter, kind: &'static str) -> Sql {
    let mut sql = Sql::new(
        ctx,
        "SELECT v.value AS value, v.value AS label, COUNT(*) AS n FROM alert_values v WHERE v.tenant = $1",
    );
    match filter.only_open() {
        Some(None) => {}
        Some(Some(open)) => {
            sql.push(if open == 1 { " AND v.open = 1" } else { " AND v.open = 0" });
        }
        None => {
            sql.push(" AND v.alert IN (SELECT a.id FROM alerts a WHERE a.tenant = $1");
            filter.conditions(&mut sql);
            sql.push(")");
        }
    }
    sql.push(" AND v.kind = ").bind(kind);
    sql.push(" GROUP BY v.value ORDER BY n DESC, value LIMIT ").bind(FACET_VALUES);
    sql
}

/// The sort keys and the id in a page's address.
fn read_place(place: &str, keys: usize) -> Option<Vec<Arg>> {
    let parts: Vec<&str> = place.split('.').collect();
    let (id, numbers) = parts.split_last()?;
    if numbers.len() != keys {
        return None;
    }
    let mut args = Vec::with_capacity(parts.len());
    for number in numbers {
        args.push(Arg::Int(number.parse().ok()?));
    }
    let id: covigil_model::AlertId = id.parse().ok()?;
    args.push(id.into());
    Some(args)
}

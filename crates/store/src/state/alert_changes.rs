//! What people do with alerts: take, close, reopen, remark; and the record of it.

use covigil_model::{Actor, AlertId, AlertState, Disposition, NoteId, OpContext, Time, UserId};
use sqlx::AnyConnection;

use super::{
    State, StateError,
    alert_query::AlertFilter,
    sql::{Columns as _, Sql},
};

/// Alerts that one call names by id at most.
const MAX_IDS: usize = 10_000;
/// Characters of a remark at most.
const MAX_NOTE: usize = 20_000;

/// Which alerts a change touches.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is made per action of a person, and lent, not moved")]
pub enum AlertTarget {
    /// Those; at most 10,000.
    Ids(Vec<AlertId>),
    /// One, as long as it has this version still ([`State::alert_version`]).
    Version(AlertId, u64),
    /// All that the filter admits, provided they are exactly so many.
    Query {
        /// Which.
        filter: AlertFilter,
        /// The count that the person agreed to.
        expected: u64,
    },
}

/// What to do with alerts. `None` stays as it is. Changing the state of an alert that nobody has
/// assigns it to the person who does so.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// How many alerts were meant.
    pub matched: u64,
    /// How many are different now.
    pub changed: u64,
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

impl AlertTarget {
    /// Appends the conditions on `alerts a`.
    fn conditions(&self, sql: &mut Sql) {
        match self {
            Self::Ids(ids) => {
                sql.push(" AND a.id IN ").list(ids.iter().copied());
            }
            Self::Version(id, version) => {
                sql.push(" AND a.id = ").bind(*id).push(" AND a.version = ");
                sql.bind(i64::try_from(*version).unwrap_or(i64::MAX));
            }
            Self::Query { filter, .. } => filter.conditions(sql),
        }
    }
}

impl AlertChange {
    fn check(&self) -> Result<(), StateError> {
        let closing = self.state == Some(AlertState::Closed);
        if closing != self.disposition.is_some() {
            return Err(StateError::Invalid(
                "an alert is closed with a disposition, and has one only when closed".into(),
            ));
        }
        if let Some(note) = &self.note
            && (note.trim().is_empty() || note.chars().count() > MAX_NOTE)
        {
            return Err(StateError::Invalid(format!("a remark has 1 to {MAX_NOTE} characters")));
        }
        Ok(())
    }

    /// Appends the condition that the state would change.
    fn state_differs(&self, sql: &mut Sql) {
        if let Some(state) = self.state {
            sql.push("(a.state <> ").bind(state.as_str());
            if let Some(disposition) = self.disposition {
                sql.push(" OR a.disposition <> ").bind(disposition.as_str());
            }
            sql.push(")");
        }
    }

    fn state_in_words(&self, state: AlertState) -> String {
        match (state, self.disposition) {
            (AlertState::Closed, Some(how)) => format!("closed as {}", how.as_str().replace('_', " ")),
            (AlertState::Closed, None) => "closed".into(),
            (AlertState::InProgress, _) => "set to in progress".into(),
            (AlertState::New, _) => "set to new".into(),
        }
    }

    /// The assignee that follows, and whether it is only for alerts that nobody has.
    fn assignee(&self, ctx: &OpContext) -> Option<(Option<UserId>, bool)> {
        match (self.assignee, ctx.actor()) {
            (Some(assignee), _) => Some((assignee, false)),
            (None, Actor::User { id, .. }) if self.state.is_some_and(|s| s != AlertState::New) => {
                Some((Some(*id), true))
            }
            _ => None,
        }
    }
}

impl State {
    /// Changes alerts, all or none, and writes their history.
    ///
    /// # Errors
    ///
    /// [`StateError::Conflict`] when the number of alerts is not the agreed one or the version has
    /// passed, [`StateError::NotFound`] for an unknown alert or assignee, [`StateError::Invalid`],
    /// [`StateError::Database`].
    pub async fn change_alerts(
        &self,
        ctx: &OpContext,
        target: &AlertTarget,
        change: &AlertChange,
    ) -> Result<Changed, StateError> {
        change.check()?;
        match target {
            AlertTarget::Ids(ids) if ids.is_empty() => return Ok(Changed { matched: 0, changed: 0 }),
            AlertTarget::Ids(ids) if ids.len() > MAX_IDS => {
                return Err(StateError::Invalid(format!("at most {MAX_IDS} alerts can be named at once")));
            }
            AlertTarget::Query { filter, .. } => filter.check()?,
            _ => {}
        }
        let mut tx = self.change().await?;
        let matched = check_target(ctx, &mut tx, target).await?;
        let mut changed = 0;
        if let Some(note) = &change.note {
            changed = add_notes(ctx, &mut tx, target, note).await?;
        }
        if change.state.is_some() || change.assignee.is_some() {
            changed = changed.max(apply(ctx, &mut tx, target, change).await?);
        }
        tx.commit().await?;
        Ok(Changed { matched, changed })
    }

    /// Remarks on an alert, oldest first, at most 1,000.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn notes(&self, ctx: &OpContext, alert: AlertId) -> Result<Vec<Note>, StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT * FROM alert_notes WHERE tenant = $1 AND alert = $2 ORDER BY time, id LIMIT 1000",
        );
        let rows = sql.with(alert).all(&mut *self.read().await?).await?;
        rows.iter()
            .map(|row| {
                Ok(Note {
                    id: row.id("id")?,
                    author: row.text("author")?,
                    time: row.time("time")?,
                    text: row.text("text")?,
                })
            })
            .collect()
    }

    /// What happened to an alert, oldest first, at most 1,000.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn history(&self, ctx: &OpContext, alert: AlertId) -> Result<Vec<HistoryEntry>, StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT * FROM alert_history WHERE tenant = $1 AND alert = $2 ORDER BY seq LIMIT 1000",
        );
        let rows = sql.with(alert).all(&mut *self.read().await?).await?;
        rows.iter()
            .map(|row| {
                Ok(HistoryEntry {
                    time: row.time("time")?,
                    actor: row.text("actor")?,
                    what: row.text("what")?,
                })
            })
            .collect()
    }
}

/// The number of alerts meant, if it is what the caller takes it to be.
async fn check_target(
    ctx: &OpContext,
    on: &mut AnyConnection,
    target: &AlertTarget,
) -> Result<u64, StateError> {
    let mut sql = Sql::new(ctx, "SELECT COUNT(*) FROM alerts a WHERE a.tenant = $1");
    target.conditions(&mut sql);
    let matched = sql.number(on).await?;
    match target {
        AlertTarget::Ids(ids) => {
            let mut distinct = ids.clone();
            distinct.sort_unstable();
            distinct.dedup();
            if matched != distinct.len() as u64 {
                return Err(StateError::NotFound("one of these alerts"));
            }
        }
        AlertTarget::Version(id, _) if matched == 0 => {
            let sql = Sql::new(ctx, "SELECT COUNT(*) FROM alerts WHERE tenant = $1 AND id = $2").with(*id);
            if sql.number(on).await? == 0 {
                return Err(StateError::NotFound("the alert"));
            }
            return Err(StateError::Conflict(
                "somebody else changed this alert in between; look at it again".into(),
            ));
        }
        AlertTarget::Query { expected, .. } if matched != *expected => {
            return Err(StateError::Conflict(format!(
                "the filter now admits {matched} alerts, not {expected}; nothing was changed"
            )));
        }
        _ => {}
    }
    Ok(matched)
}

async fn add_notes(
    ctx: &OpContext,
    on: &mut AnyConnection,
    target: &AlertTarget,
    text: &str,
) -> Result<u64, StateError> {
    let mut sql = Sql::new(ctx, "SELECT a.id FROM alerts a WHERE a.tenant = $1");
    target.conditions(&mut sql);
    let rows = sql.all(on).await?;
    for row in &rows {
        let alert = row.text("id")?;
        // A remark sent twice in one operation is one remark.
        let at = ctx.at().nanos().to_be_bytes();
        let id = NoteId::derived(&[alert.as_bytes(), ctx.actor().name().as_bytes(), &at, text.as_bytes()]);
        let sql = Sql::new(
            ctx,
            "INSERT INTO alert_notes (tenant, id, alert, time, author, text) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT DO NOTHING",
        );
        sql.with(id).with(alert).with(ctx.at()).with(ctx.actor().name()).with(text).run(on).await?;
    }
    Ok(rows.len() as u64)
}

async fn apply(
    ctx: &OpContext,
    on: &mut AnyConnection,
    target: &AlertTarget,
    change: &AlertChange,
) -> Result<u64, StateError> {
    // History first, while the conditions still tell what is going to change.
    if let Some(state) = change.state {
        let mut sql = history(ctx, &change.state_in_words(state));
        target.conditions(&mut sql);
        sql.push(" AND ");
        change.state_differs(&mut sql);
        sql.run(on).await?;
    }
    let assignee = change.assignee(ctx);
    if let Some((user, only_free)) = assignee {
        let words = match user {
            None => "assigned to nobody".to_owned(),
            Some(user) => {
                let sql = Sql::new(ctx, "SELECT name FROM users WHERE tenant = $1 AND id = $2").with(user);
                match sql.first(on).await? {
                    Some(row) => format!("assigned to {}", row.text("name")?),
                    None if only_free => format!("assigned to {}", ctx.actor().name()),
                    None => return Err(StateError::NotFound("the assignee")),
                }
            }
        };
        let mut sql = history(ctx, &words);
        target.conditions(&mut sql);
        sql.push(if only_free { " AND a.assignee IS NULL AND " } else { " AND " });
        if only_free {
            change.state_differs(&mut sql);
        } else {
            sql.push("a.assignee IS DISTINCT FROM ").bind(user);
        }
        sql.run(on).await?;
    }
    let mut sql = Sql::new(ctx, "UPDATE alerts SET version = version + 1, changed = ");
    sql.bind(ctx.at());
    if let Some(state) = change.state {
        sql.push(", state = ").bind(state.as_str()).push(", open = ").bind(state != AlertState::Closed);
        sql.push(", disposition = ").bind(change.disposition.map(|d| d.as_str().to_owned()));
    }
    if let Some((user, only_free)) = assignee {
        sql.push(if only_free { ", assignee = COALESCE(assignee, " } else { ", assignee = (" });
        sql.bind(user).push(")");
    }
    sql.push(" WHERE tenant = $1 AND id IN (SELECT a.id FROM alerts a WHERE a.tenant = $1");
    target.conditions(&mut sql);
    sql.push(" AND (");
    if change.state.is_some() {
        change.state_differs(&mut sql);
    }
    if let Some((user, false)) = assignee {
        sql.push(if change.state.is_some() { " OR " } else { "" });
        sql.push("a.assignee IS DISTINCT FROM ").bind(user);
    }
    sql.push("))");
    let changed = sql.run(on).await?;
    if change.state.is_some() && changed > 0 {
        let sql = Sql::new(
            ctx,
            "UPDATE alert_values SET open = (SELECT a.open FROM alerts a WHERE a.tenant = alert_values.tenant AND \
             a.id = alert_values.alert) WHERE tenant = $1 AND alert IN (SELECT a.id FROM alerts a WHERE \
             a.tenant = $1 AND a.changed = $2)",
        );
        sql.with(ctx.at()).run(on).await?;
    }
    Ok(changed)
}

/// An insertion of one line of history for each alert on which conditions follow.
fn history(ctx: &OpContext, what: &str) -> Sql {
    let mut sql =
        Sql::new(ctx, "INSERT INTO alert_history (tenant, alert, time, actor, what) SELECT a.tenant, a.id, ");
    sql.bind(ctx.at()).push(", ").bind(ctx.actor().name()).push(", ").bind(what);
    sql.push(" FROM alerts a WHERE a.tenant = $1");
    sql
}

//! Alerts as they are read back.

use covigil_model::{
    Alert, AlertId, AlertState, Disposition, EntityRef, Finding, OpContext, RuleRef, Severity,
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, any::AnyRow};

use super::{
    State, StateError,
    sql::{Columns as _, Sql},
};

/// The columns and joins that [`alert_of`] reads; a condition on `a.tenant = $1` must follow.
pub(super) const SELECT_ALERT: &str = "SELECT a.*, r.body AS rule_body, u.name AS assignee_name FROM alerts a \
     JOIN rules r ON r.tenant = a.tenant AND r.digest = a.rule_digest \
     LEFT JOIN users u ON u.tenant = a.tenant AND u.id = a.assignee WHERE a.tenant = $1";

/// The alert in a row of [`SELECT_ALERT`].
pub(super) fn alert_of(ctx: &OpContext, row: &AnyRow) -> Result<Alert, StateError> {
    let rule: RuleRef =
        serde_json::from_str(&row.text("rule_body")?).map_err(|_| StateError::Unreadable("rule"))?;
    let entities: Vec<EntityRef> =
        serde_json::from_str(&row.text("entities")?).map_err(|_| StateError::Unreadable("entity list"))?;
    let state = AlertState::from_word(&row.text("state")?).ok_or(StateError::Unreadable("alert state"))?;
    Ok(Alert {
        id: row.id("id")?,
        tenant: ctx.tenant(),
        rule,
        solution: row.text("solution")?,
        severity: Severity::from_ocsf_id(row.int("severity")? as u8),
        risk: row.int("risk")?.clamp(0, 100) as u8,
        group: row.text("group_key")?,
        summary: row.opt_text("summary")?,
        entities,
        count: row.count("count")?,
        first_seen: row.time("first_seen")?,
        last_seen: row.time("last_seen")?,
        raised: row.time("raised")?,
        state,
        disposition: row.opt_text("disposition")?.as_deref().and_then(Disposition::from_word),
        assignee: row.opt_text("assignee")?.and_then(|id| id.parse().ok()),
        assignee_name: row.opt_text("assignee_name")?,
        changed: row.time("changed")?,
    })
}

/// What is stored of a finding besides its columns.
#[derive(Serialize, Deserialize)]
pub(super) struct FindingBody {
    pub(super) events: Vec<covigil_model::EventId>,
    pub(super) matched: Vec<covigil_model::Matched>,
    pub(super) entities: Vec<EntityRef>,
    pub(super) summary: Option<String>,
}

/// One alert.
pub(super) async fn alert_on(
    ctx: &OpContext,
    on: &mut AnyConnection,
    id: AlertId,
) -> Result<Option<Alert>, StateError> {
    let mut sql = Sql::new(ctx, SELECT_ALERT);
    sql.push(" AND a.id = ").bind(id);
    sql.first(on).await?.map(|row| alert_of(ctx, &row)).transpose()
}

impl State {
    /// One alert.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn alert(&self, ctx: &OpContext, id: AlertId) -> Result<Option<Alert>, StateError> {
        alert_on(ctx, &mut *self.read().await?, id).await
    }

    /// The alert's version: it grows with each change by a person. Give it to
    /// [`AlertTarget::Version`](super::AlertTarget::Version) to change only what was seen.
    ///
    /// # Errors
    ///
    /// [`StateError::NotFound`], [`StateError::Database`].
    pub async fn alert_version(&self, ctx: &OpContext, id: AlertId) -> Result<u64, StateError> {
        let sql = Sql::new(ctx, "SELECT version FROM alerts WHERE tenant = $1 AND id = $2").with(id);
        let row = sql.first(&mut *self.read().await?).await?;
        row.ok_or(StateError::NotFound("the alert"))?.count("version")
    }

    /// The alert's findings, newest first. Of a flood only the first
    /// [`FINDINGS_KEPT`](super::FINDINGS_KEPT) are kept in full.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn findings(
        &self,
        ctx: &OpContext,
        alert: AlertId,
        limit: usize,
    ) -> Result<Vec<Finding>, StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT f.id, f.time, f.body, r.body AS rule_body, a.solution, a.group_key FROM findings f \
             JOIN alerts a ON a.tenant = f.tenant AND a.id = f.alert \
             JOIN rules r ON r.tenant = f.tenant AND r.digest = f.rule_digest \
             WHERE f.tenant = $1 AND f.alert = $2 AND f.body IS NOT NULL ORDER BY f.time DESC, f.id LIMIT $3",
        )
        .with(alert)
        .with(limit.min(10_000) as i64);
        let rows = sql.all(&mut *self.read().await?).await?;
        rows.iter()
            .map(|row| {
                let body: FindingBody = serde_json::from_str(&row.text("body")?)
                    .map_err(|_| StateError::Unreadable("finding"))?;
                let rule = serde_json::from_str(&row.text("rule_body")?)
                    .map_err(|_| StateError::Unreadable("rule"))?;
                Ok(Finding {
                    id: row.id("id")?,
                    solution: row.text("solution")?,
                    rule,
                    time: row.time("time")?,
                    events: body.events,
                    matched: body.matched,
                    entities: body.entities,
                    group: row.text("group_key")?,
                    summary: body.summary,
                })
            })
            .collect()
    }

    /// Other alerts that share an entity with this one, newest raised first.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn related_alerts(
        &self,
        ctx: &OpContext,
        id: AlertId,
        limit: usize,
    ) -> Result<Vec<Alert>, StateError> {
        let mut sql = Sql::new(ctx, SELECT_ALERT);
        sql.push(" AND a.id <> ").bind(id);
        sql.push(
            " AND a.id IN (SELECT o.alert FROM alert_values v JOIN alert_values o \
             ON o.tenant = v.tenant AND o.kind = v.kind AND o.value = v.value \
             WHERE v.tenant = $1 AND v.kind NOT IN ('technique', 'tactic') AND v.alert = ",
        )
        .bind(id);
        sql.push(") ORDER BY a.raised DESC, a.id DESC LIMIT ").bind(limit.min(1_000) as i64);
        let rows = sql.all(&mut *self.read().await?).await?;
        rows.iter().map(|row| alert_of(ctx, row)).collect()
    }

    /// Forgets findings of closed alerts whose event time is before `before`, and closed alerts
    /// that were last changed and last active before it, with their notes and history.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn forget_before(
        &self,
        ctx: &OpContext,
        before: covigil_model::Time,
    ) -> Result<u64, StateError> {
        let mut tx = self.change().await?;
        const OLD: &str =
            "SELECT id FROM alerts WHERE tenant = $1 AND open = 0 AND changed < $2 AND last_seen < $2";
        let mut forgotten = 0;
        for (table, column) in [
            ("alert_values", "alert"),
            ("alert_notes", "alert"),
            ("alert_history", "alert"),
            ("findings", "alert"),
            ("alerts", "id"),
        ] {
            let mut sql = Sql::new(ctx, "DELETE FROM ");
            sql.push(table).push(" WHERE tenant = $1 AND ").push(column).push(" IN (").push(OLD).push(")");
            forgotten = sql.with(before).run(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(forgotten)
    }
}

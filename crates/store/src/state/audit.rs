//! The record of what people did or tried. It only grows; the database refuses to change it.

use covigil_model::{OpContext, Time};

use super::{
    State, StateError,
    sql::{Columns as _, Sql},
};

/// Something a person did or tried. Who, when and why come from the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// What, as a dotted word: `sign_in.password`, `alert.change`, ….
    pub action: String,
    /// To what: a name or id.
    pub target: String,
    /// Whether it was done. A refusal is recorded too.
    pub done: bool,
    /// More, for a person or as JSON. Never a secret.
    pub detail: String,
}

/// A recorded [`AuditEntry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place in the record; ascends.
    pub sequence: u64,
    /// When.
    pub time: Time,
    /// Who.
    pub actor: String,
    /// Why, where the person said so.
    pub reason: Option<String>,
    /// What.
    pub entry: AuditEntry,
}

impl State {
    /// Records something done or refused.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn audit(&self, ctx: &OpContext, entry: &AuditEntry) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "INSERT INTO audit (tenant, time, actor, reason, action, target, done, detail) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        sql.with(ctx.at())
            .with(ctx.actor().name())
            .with(ctx.reason().map(str::to_owned))
            .with(entry.action.as_str())
            .with(entry.target.as_str())
            .with(entry.done)
            .with(entry.detail.as_str())
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest records, newest first; those before the place `before`, where given.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn audit_records(
        &self,
        ctx: &OpContext,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StateError> {
        let before = before.and_then(|n| i64::try_from(n).ok()).unwrap_or(i64::MAX);
        let sql =
            Sql::new(ctx, "SELECT * FROM audit WHERE tenant = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3");
        let rows = sql.with(before).with(limit.min(10_000) as i64).all(&mut *self.read().await?).await?;
        rows.iter()
            .map(|row| {
                Ok(AuditRecord {
                    sequence: row.count("seq")?,
                    time: row.time("time")?,
                    actor: row.text("actor")?,
                    reason: row.opt_text("reason")?,
                    entry: AuditEntry {
                        action: row.text("action")?,
                        target: row.text("target")?,
                        done: row.int("done")? != 0,
                        detail: row.text("detail")?,
                    },
                })
            })
            .collect()
    }
}

//! What is to be sent out: each delivery is kept until its receiver has taken it, or it is given up.
//! A delivery may be sent twice after a crash, never lost.

use covigil_model::{AlertId, OpContext, Time};

use super::{
    State, StateError,
    sql::{Columns as _, Sql},
};

/// Something to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Names it for good: one of the same name is not queued again while it is known. Derive it
    /// from what it is about.
    pub name: String,
    /// The output that it goes to.
    pub output: String,
    /// The alert that it is about.
    pub alert: Option<AlertId>,
    /// What is to be sent.
    pub payload: Vec<u8>,
}

/// Something that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its place in the queue.
    pub sequence: u64,
    /// The output that it goes to.
    pub output: String,
    /// The alert that it is about.
    pub alert: Option<AlertId>,
    /// What is to be sent.
    pub payload: Vec<u8>,
    /// When it was queued.
    pub created: Time,
    /// How often it was claimed, this time included.
    pub attempts: u64,
    /// Why it was not taken last time.
    pub last_error: Option<String>,
}

/// Deliveries that wait at most; beyond it, new ones are refused.
const MAX_WAITING: u64 = 100_000;

impl State {
    /// Queues deliveries, due at once.
    ///
    /// # Errors
    ///
    /// [`StateError::Conflict`] when too many wait already, [`StateError::Database`].
    pub async fn enqueue_deliveries(
        &self,
        ctx: &OpContext,
        deliveries: Vec<NewDelivery>,
    ) -> Result<u64, StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(ctx, "SELECT COUNT(*) FROM deliveries WHERE tenant = $1 AND gave_up = 0");
        if sql.number(&mut tx).await? + deliveries.len() as u64 > MAX_WAITING {
            return Err(StateError::Conflict(format!(
                "{MAX_WAITING} deliveries wait to be sent; mend or remove the outputs that do not take theirs"
            )));
        }
        let mut queued = 0;
        for delivery in deliveries {
            let sql = Sql::new(
                ctx,
                "INSERT INTO deliveries (tenant, name, output, alert, payload, created, due, attempts, gave_up) \
                 VALUES ($1, $2, $3, $4, $5, $6, $6, 0, 0) ON CONFLICT (tenant, name) DO NOTHING",
            );
            queued += sql
                .with(delivery.name)
                .with(delivery.output)
                .with(delivery.alert)
                .with(delivery.payload)
                .with(ctx.at())
                .run(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(queued)
    }

    /// Takes deliveries that are due, oldest first. Each is due again at `until`, should the taker
    /// not come back.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn claim_deliveries(
        &self,
        ctx: &OpContext,
        until: Time,
        limit: usize,
    ) -> Result<Vec<Delivery>, StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "UPDATE deliveries SET due = $3, attempts = attempts + 1 WHERE seq IN (SELECT seq FROM deliveries \
             WHERE tenant = $1 AND gave_up = 0 AND due <= $2 ORDER BY due, seq LIMIT $4) AND tenant = $1 \
             RETURNING *",
        );
        let rows = sql.with(ctx.at()).with(until).with(limit.min(1_000) as i64).all(&mut tx).await?;
        let mut claimed = rows
            .iter()
            .map(|row| {
                Ok(Delivery {
                    sequence: row.count("seq")?,
                    output: row.text("output")?,
                    alert: row.opt_text("alert")?.and_then(|id| id.parse().ok()),
                    payload: row.blob("payload")?,
                    created: row.time("created")?,
                    attempts: row.count("attempts")?,
                    last_error: row.opt_text("last_error")?,
                })
            })
            .collect::<Result<Vec<_>, StateError>>()?;
        tx.commit().await?;
        claimed.sort_by_key(|delivery| delivery.sequence);
        Ok(claimed)
    }

    /// The receiver has it.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn delivered(&self, ctx: &OpContext, sequence: u64) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(ctx, "DELETE FROM deliveries WHERE tenant = $1 AND seq = $2");
        sql.with(i64::try_from(sequence).unwrap_or(i64::MAX)).run(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The receiver did not take it: try again at `retry`, or never, where `None`.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn delivery_failed(
        &self,
        ctx: &OpContext,
        sequence: u64,
        error: &str,
        retry: Option<Time>,
    ) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "UPDATE deliveries SET last_error = $3, due = COALESCE($4, due), gave_up = $5 \
             WHERE tenant = $1 AND seq = $2",
        );
        sql.with(i64::try_from(sequence).unwrap_or(i64::MAX))
            .with(error)
            .with(retry)
            .with(retry.is_none())
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// How many deliveries wait, and how many were given up.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn delivery_counts(&self, ctx: &OpContext) -> Result<(u64, u64), StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT COUNT(*) AS n, COALESCE(SUM(gave_up), 0) AS gave_up FROM deliveries WHERE tenant = $1",
        );
        let Some(row) = sql.first(&mut *self.read().await?).await? else { return Ok((0, 0)) };
        let gave_up = row.count("gave_up")?;
        Ok((row.count("n")? - gave_up, gave_up))
    }

    /// Outputs for which deliveries wait, and how many.
    ///
    /// # Errors
    ///
    /// [`StateError`] when the database fails.
    pub async fn deliveries_waiting(&self, ctx: &OpContext) -> Result<Vec<(String, u64)>, StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT output, COUNT(*) AS n FROM deliveries WHERE tenant = $1 AND gave_up = 0 GROUP BY output",
        );
        let rows = sql.all(&mut *self.read().await?).await?;
        rows.iter().map(|row| Ok((row.text("output")?, row.count("n")?))).collect()
    }
}

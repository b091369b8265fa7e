//! Small things that must survive a restart, by name: a correlation snapshot with its position, what
//! a snapshot source saw last. The content is the caller's.

use covigil_model::OpContext;

use super::{
    State, StateError,
    sql::{Columns as _, Sql},
};

/// Bytes of one kept value at most.
const MAX_VALUE: usize = 256 << 20;

impl State {
    /// What is kept under a name.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn kept(&self, ctx: &OpContext, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let sql = Sql::new(ctx, "SELECT value FROM kept WHERE tenant = $1 AND name = $2").with(name);
        sql.first(&mut *self.read().await?).await?.map(|row| row.blob("value")).transpose()
    }

    /// Keeps something under a name, replacing what was there; `None` forgets it.
    ///
    /// # Errors
    ///
    /// [`StateError::Invalid`] over 256 MiB, [`StateError::Database`].
    pub async fn keep(&self, ctx: &OpContext, name: &str, value: Option<Vec<u8>>) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        match value {
            None => {
                let sql = Sql::new(ctx, "DELETE FROM kept WHERE tenant = $1 AND name = $2");
                sql.with(name).run(&mut tx).await?;
            }
            Some(value) if value.len() > MAX_VALUE => {
                return Err(StateError::Invalid(format!("{name} is over the limit of 256 MiB")));
            }
            Some(value) => {
                let sql = Sql::new(
                    ctx,
                    "INSERT INTO kept (tenant, name, value, time) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (tenant, name) DO UPDATE SET value = $3, time = $4",
                );
                sql.with(name).with(value).with(ctx.at()).run(&mut tx).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }
}

//! Configuration documents with all their versions, and saved searches.

use covigil_model::{OpContext, Time};
use sqlx::any::AnyRow;

use super::{
    State, StateError,
    sql::{Columns as _, Sql},
};

/// One version of a configuration document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name, such as `outputs`.
    pub name: String,
    /// Counts from 1.
    pub version: u64,
    /// Its text, TOML by custom.
    pub body: String,
    /// Who wrote this version.
    pub author: String,
    /// When.
    pub time: Time,
    /// Why, in the author's words.
    pub comment: String,
}

/// A search that is kept by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSearch {
    /// Its name.
    pub name: String,
    /// Its text.
    pub query: String,
    /// Who saved it.
    pub author: String,
    /// When.
    pub time: Time,
}

/// Bytes of a document at most.
const MAX_BODY: usize = 4 << 20;

fn document_of(row: &AnyRow) -> Result<Document, StateError> {
    Ok(Document {
        name: row.text("name")?,
        version: row.count("version")?,
        body: row.text("body")?,
        author: row.text("author")?,
        time: row.time("time")?,
        comment: row.text("comment")?,
    })
}

impl State {
    /// The newest version of a document.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn document(&self, ctx: &OpContext, name: &str) -> Result<Option<Document>, StateError> {
        Ok(self.document_history(ctx, name, 1).await?.pop())
    }

    /// A document's versions, newest first.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn document_history(
        &self,
        ctx: &OpContext,
        name: &str,
        limit: usize,
    ) -> Result<Vec<Document>, StateError> {
        let sql = Sql::new(
            ctx,
            "SELECT * FROM documents WHERE tenant = $1 AND name = $2 ORDER BY version DESC LIMIT $3",
        );
        let rows = sql.with(name).with(limit.min(10_000) as i64).all(&mut *self.read().await?).await?;
        rows.iter().map(document_of).collect()
    }

    /// Writes the version after `based_on` (0 for the first) of a document; the answer is its number.
    /// The comment is the context's reason.
    ///
    /// # Errors
    ///
    /// [`StateError::Conflict`] when `based_on` is not the newest version, [`StateError::Invalid`]
    /// over 4 MiB, [`StateError::Database`].
    pub async fn put_document(
        &self,
        ctx: &OpContext,
        name: &str,
        based_on: u64,
        body: &str,
    ) -> Result<u64, StateError> {
        if body.len() > MAX_BODY || name.is_empty() || name.len() > 200 {
            return Err(StateError::Invalid(
                "a document has a name of 1 to 200 bytes and at most 4 MiB of text".into(),
            ));
        }
        let mut tx = self.change().await?;
        let sql = Sql::new(ctx, "SELECT MAX(version) FROM documents WHERE tenant = $1 AND name = $2");
        let newest = sql.with(name).first(&mut tx).await?;
        let newest = newest.map(|row| sqlx::Row::try_get::<Option<i64>, _>(&row, 0)).transpose()?.flatten();
        let newest = newest.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        if newest != based_on {
            return Err(StateError::Conflict(format!(
                "{name} is at version {newest} now, not {based_on}; look at it again"
            )));
        }
        let sql = Sql::new(
            ctx,
            "INSERT INTO documents (tenant, name, version, body, author, time, comment) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        );
        sql.with(name)
            .with(i64::try_from(newest + 1).unwrap_or(i64::MAX))
            .with(body)
            .with(ctx.actor().name())
            .with(ctx.at())
            .with(ctx.reason().unwrap_or_default())
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(newest + 1)
    }

    /// All saved searches, by name.
    ///
    /// # Errors
    ///
    /// [`StateError::Database`].
    pub async fn saved_searches(&self, ctx: &OpContext) -> Result<Vec<SavedSearch>, StateError> {
        let sql = Sql::new(ctx, "SELECT * FROM saved_searches WHERE tenant = $1 ORDER BY name LIMIT 10000");
        let rows = sql.all(&mut *self.read().await?).await?;
        rows.iter()
            .map(|row| {
                Ok(SavedSearch {
                    name: row.text("name")?,
                    query: row.text("query")?,
                    author: row.text("author")?,
                    time: row.time("time")?,
                })
            })
            .collect()
    }

    /// Saves a search, replacing the one of that name.
    ///
    /// # Errors
    ///
    /// [`StateError::Invalid`] over a limit, [`StateError::Database`].
    pub async fn put_saved_search(&self, ctx: &OpContext, name: &str, query: &str) -> Result<(), StateError> {
        let length = name.chars().count();
        if !(1..=100).contains(&length) || query.len() > 64 << 10 {
            return Err(StateError::Invalid(
                "a saved search has a name of 1 to 100 characters and at most 64 KiB of text".into(),
            ));
        }
        let mut tx = self.change().await?;
        let sql = Sql::new(
            ctx,
            "INSERT INTO saved_searches (tenant, name, query, author, time) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (tenant, name) DO UPDATE SET query = $3, author = $4, time = $5",
        );
        sql.with(name).with(query).with(ctx.actor().name()).with(ctx.at()).run(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets a saved search.
    ///
    /// # Errors
    ///
    /// [`StateError::NotFound`], [`StateError::Database`].
    pub async fn remove_saved_search(&self, ctx: &OpContext, name: &str) -> Result<(), StateError> {
        let mut tx = self.change().await?;
        let sql = Sql::new(ctx, "DELETE FROM saved_searches WHERE tenant = $1 AND name = $2").with(name);
        if sql.run(&mut tx).await? == 0 {
            return Err(StateError::NotFound("the saved search"));
        }
        tx.commit().await?;
        Ok(())
    }
}

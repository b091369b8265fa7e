//! A query put together from pieces: text that this crate wrote, and values that are always bound.

use covigil_model::{OpContext, Time, id::Id};
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row as _, any::AnyRow, query::Query};

use super::StateError;

/// A value to bind.
#[derive(Debug, Clone)]
pub(super) enum Arg {
    Int(i64),
    OptInt(Option<i64>),
    Text(String),
    OptText(Option<String>),
    Blob(Vec<u8>),
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::OptInt(value)
    }
}
impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::OptText(value)
    }
}
impl From<Vec<u8>> for Arg {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}
impl<K> From<Id<K>> for Arg {
    fn from(value: Id<K>) -> Self {
        Self::Text(value.to_string())
    }
}
impl<K> From<Option<Id<K>>> for Arg {
    fn from(value: Option<Id<K>>) -> Self {
        Self::OptText(value.map(|id| id.to_string()))
    }
}
impl From<Time> for Arg {
    fn from(value: Time) -> Self {
        Self::Int(value.nanos())
    }
}
impl From<Option<Time>> for Arg {
    fn from(value: Option<Time>) -> Self {
        Self::OptInt(value.map(Time::nanos))
    }
}

/// A query in the making. Its first value, `$1`, is always the tenant.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    text: String,
    args: Vec<Arg>,
}

impl Sql {
    /// Begins a query, in whose text `$1` is the context's tenant.
    pub(super) fn new(ctx: &OpContext, text: &'static str) -> Self {
        Self { text: text.to_owned(), args: vec![ctx.tenant().into()] }
    }

    /// Appends text of this crate.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder for a value.
    pub(super) fn bind(&mut self, value: impl Into<Arg>) -> &mut Self {
        use std::fmt::Write as _;
        self.args.push(value.into());
        let _ = write!(self.text, "${}", self.args.len());
        self
    }

    /// The next value of a text that has its placeholders already, `$2` and on.
    pub(super) fn with(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }

    /// Appends `(a, b, …)` of placeholders.
    pub(super) fn list<A: Into<Arg>>(&mut self, values: impl IntoIterator<Item = A>) -> &mut Self {
        self.push("(");
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self.push(")")
    }

    fn query(self) -> Query<'static, Any, sqlx::any::AnyArguments> {
        // The text has only pieces written in this crate; every value is bound.
        let mut query = sqlx::query(AssertSqlSafe(self.text));
        for arg in self.args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::OptInt(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::OptText(value) => query.bind(value),
                Arg::Blob(value) => query.bind(value),
            };
        }
        query
    }

    /// All rows.
    pub(super) async fn all(self, on: &mut AnyConnection) -> Result<Vec<AnyRow>, StateError> {
        Ok(self.query().fetch_all(on).await?)
    }

    /// The first row, if there is one.
    pub(super) async fn first(self, on: &mut AnyConnection) -> Result<Option<AnyRow>, StateError> {
        Ok(self.query().fetch_optional(on).await?)
    }

    /// The number in the first column of the first row; 0 without a row.
    pub(super) async fn number(self, on: &mut AnyConnection) -> Result<u64, StateError> {
        let row = self.query().fetch_optional(on).await?;
        let number = row.map(|row| row.try_get::<i64, _>(0)).transpose()?;
        Ok(number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }

    /// Runs it; the answer is the number of rows changed.
    pub(super) async fn run(self, on: &mut AnyConnection) -> Result<u64, StateError> {
        Ok(self.query().execute(on).await?.rows_affected())
    }
}

/// Reading columns as the product's types.
pub(super) trait Columns {
    fn text(&self, column: &str) -> Result<String, StateError>;
    fn opt_text(&self, column: &str) -> Result<Option<String>, StateError>;
    fn int(&self, column: &str) -> Result<i64, StateError>;
    fn count(&self, column: &str) -> Result<u64, StateError>;
    fn time(&self, column: &str) -> Result<Time, StateError>;
    fn opt_time(&self, column: &str) -> Result<Option<Time>, StateError>;
    fn blob(&self, column: &str) -> Result<Vec<u8>, StateError>;
    fn id<K>(&self, column: &str) -> Result<Id<K>, StateError>;
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String, StateError> {
        Ok(self.try_get(column)?)
    }

    fn opt_text(&self, column: &str) -> Result<Option<String>, StateError> {
        Ok(self.try_get(column)?)
    }

    fn int(&self, column: &str) -> Result<i64, StateError> {
        Ok(self.try_get(column)?)
    }

    fn count(&self, column: &str) -> Result<u64, StateError> {
        u64::try_from(self.int(column)?).map_err(|_| StateError::Unreadable("count"))
    }

    fn time(&self, column: &str) -> Result<Time, StateError> {
        Ok(Time::from_nanos(self.int(column)?))
    }

    fn opt_time(&self, column: &str) -> Result<Option<Time>, StateError> {
        Ok(self.try_get::<Option<i64>, _>(column)?.map(Time::from_nanos))
    }

    fn blob(&self, column: &str) -> Result<Vec<u8>, StateError> {
        Ok(self.try_get(column)?)
    }

    fn id<K>(&self, column: &str) -> Result<Id<K>, StateError> {
        self.text(column)?.parse().map_err(|_| StateError::Unreadable("id"))
    }
}

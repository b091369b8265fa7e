//! State: findings and alerts, what people say of entities, users and their sessions, settings,
//! the audit record, and what must survive a restart.
//!
//! Everything is in one SQL database, reached through sqlx's `Any` driver with queries that SQLite
//! and PostgreSQL both understand. Every function takes the operation context, and every query
//! names its tenant. Events are not here; they are in [`events`](super::events).

mod alert_changes;
mod alert_query;
mod alerts;
mod audit;
mod deliveries;
mod documents;
mod entities;
mod error;
mod findings;
mod identity;
mod kept;
mod sign_in;
mod sql;

use std::{
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Once,
    time::Duration,
};

use sqlx::{
    Any, AnyConnection, AnyPool, Executor as _, Transaction, any::AnyPoolOptions, pool::PoolConnection,
};

pub use alert_changes::{AlertChange, AlertTarget, Changed, HistoryEntry, Note};
pub use alert_query::{
    AlertFacet, AlertField, AlertFilter, AlertPage, AlertQuery, AlertSort, Assigned, FacetCount,
};
pub use audit::{AuditEntry, AuditRecord};
pub use deliveries::{Delivery, NewDelivery};
pub use documents::{Document, SavedSearch};
pub use entities::{Criticality, EntityChange, EntityContext, risk};
pub use error::StateError;
pub use findings::{FINDINGS_KEPT, FoldedAlert, GROUP_WINDOW};
pub use identity::{NewUser, User, UserChange};
pub use sign_in::{ApiToken, NewApiToken, Passkey, Password, Session, SignInLink, TokenHash};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/sqlite");

/// Connections that read at the same time.
const READERS: u32 = 4;

/// The state database. Clones are the same one.
#[derive(Debug, Clone)]
pub struct State {
    /// One connection: SQLite has one writer at a time, and waiting here is fair and cheap.
    writer: AnyPool,
    readers: AnyPool,
}

impl State {
    /// Opens the database file, making it (for its owner alone) if it is not there, and brings its
    /// tables up to date.
    ///
    /// # Errors
    ///
    /// [`StateError`] when the file cannot be made, or is not a database of this or an older version.
    pub async fn open(path: &Path) -> Result<Self, StateError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let made =
            std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(|error| StateError::File { path: PathBuf::from(path), message: error.to_string() })?;
        let url = sqlite_url(path);
        let writer = pool(1).connect(&url).await?;
        MIGRATIONS.run(&writer).await.map_err(StateError::Migration)?;
        let readers = pool(READERS).connect(&url).await?;
        Ok(Self { writer, readers })
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn read(&self) -> Result<PoolConnection<Any>, StateError> {
        Ok(self.readers.acquire().await?)
    }

    /// Begins a change. Dropping it without commit undoes it.
    async fn change(&self) -> Result<Transaction<'static, Any>, StateError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection: &mut AnyConnection, _| {
            Box::pin(async move {
                // FULL: a change that was answered survives a loss of power.
                connection
                    .execute(
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                         PRAGMA busy_timeout = 10000; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;",
                    )
                    .await?;
                Ok(())
            })
        })
}

fn sqlite_url(path: &Path) -> String {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _};
    let mut url = String::from("sqlite://");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => url.push(char::from(byte)),
            other => {
                let _ = write!(url, "%{other:02X}");
            }
        }
    }
    url
}

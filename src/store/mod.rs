//! What survives a restart: deliveries, the queue of repositories to look at, what each commit's status should say and
//! what the forge was last told.
//!
//! Uses nobody: rows are plain texts and numbers, the controller gives them meaning. SQLite in WAL mode with full
//! synchronisation: when a call returns, its rows are on disk.
//!
//! Traps handled here:
//! - *A delivery must be durable before it is acknowledged*, and a flood must not cost one `fsync` each: [`Store::accept`]
//!   hands its row to one writer, which commits all that arrived meanwhile in one transaction (see [`inbox`]).
//! - *A deferred SQLite transaction that turns from reading to writing fails at once*, ignoring the busy time-out: every
//!   writing transaction here begins `IMMEDIATE`.
//! - *A hint that arrives while its repository is being looked at* must not be lost: hints are counted, and settling names
//!   the count that was seen when looking began.

mod inbox;
mod queue;
mod wanted;

use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection, Row};

pub use inbox::{Arrival, Effect};
pub use queue::{CommandRow, Due, RepositoryRow, Waiting};
pub use wanted::{HistoryRow, Judged, Told, WantedRow};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, is locked, full or gone.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date, or is of a newer version of drift-gate.
    #[error("the database's schema: {0}; use the version of drift-gate that wrote it, or a newer one")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// The address is none that this build understands.
    #[error("store.url `{url}`: {why}")]
    Url {
        /// As configured.
        url: String,
        /// In words, for people.
        why: String,
    },
    /// The writer has ended: the program is shutting down.
    #[error("the store is shutting down")]
    Closed,
}

/// The open database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    inbox: inbox::Inbox,
}

/// How long a statement waits for another writer before it gives up.
const BUSY: Duration = Duration::from_secs(5);

impl Store {
    /// Opens (and makes, and brings up to date) the database at `url`: `sqlite://PATH`.
    ///
    /// # Errors
    /// [`StoreError::Url`] for an address of another kind, [`StoreError::Schema`] when a newer version wrote it,
    /// [`StoreError::Database`] when it cannot be opened.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let unusable = |why: &str| StoreError::Url { url: url.to_owned(), why: why.to_owned() };
        if !url.starts_with("sqlite:") {
            return Err(unusable("only `sqlite://PATH` is built in so far"));
        }
        sqlx::any::install_default_drivers();
        let separator = if url.contains('?') { '&' } else { '?' };
        let options = AnyConnectOptions::from_str(&format!("{url}{separator}mode=rwc"))
            .map_err(|error| unusable(&error.to_string()))?;
        // Asked once by itself: a pool would ask again and again, and then say only that it waited.
        let mut first = AnyConnection::connect_with(&options).await?;
        sqlx::query("PRAGMA schema_version").execute(&mut first).await?;
        first.close().await?;
        let pool = AnyPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(BUSY)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    for pragma in [
                        "PRAGMA busy_timeout = 5000",
                        "PRAGMA journal_mode = WAL",
                        "PRAGMA synchronous = FULL",
                        "PRAGMA foreign_keys = ON",
                    ] {
                        sqlx::query(pragma).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        sqlx::migrate!("migrations/sqlite").run(&pool).await?;
        // The process before this one may have died between sending a status and noting it.
        sqlx::query("UPDATE wanted SET doubt = 1 WHERE told_state IS NULL OR told_state <> state OR told_description <> description")
            .execute(&pool)
            .await?;
        let inbox = inbox::Inbox::start(pool.clone());
        Ok(Self { pool, inbox })
    }

    /// Makes a delivery durable, with what it makes dirty. Returns when it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it could not be written, so it must not be acknowledged; [`StoreError::Closed`] when
    /// the program is shutting down.
    pub async fn accept(&self, arrival: Arrival) -> Result<(), StoreError> {
        self.inbox.accept(arrival).await
    }

    /// Proves that the database answers and can be written.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it does not, or cannot.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.set_meta("checked", "1").await
    }

    /// A value kept under a name, such as the secret of the addresses of reports.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT value FROM meta WHERE key = $1").bind(key).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Keeps a value under a name.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Flushes and closes.
    pub async fn close(&self) {
        self.inbox.finish().await;
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests;

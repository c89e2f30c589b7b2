//! What survives a restart: deliveries, the queue of repositories to look at, what each commit's status should say and
//! what the forge was last told.
//!
//! Uses nobody: rows are plain texts and numbers, the controller gives them meaning. SQLite in WAL mode with full
//! synchronisation, or PostgreSQL: when a call returns, its rows are on disk, except for what a start finds out again (see
//! [`database::Database::write_unsynced`]). What differs between the two is in [`database`].
//!
//! Traps handled here:
//! - *A delivery must be durable before it is acknowledged*, and a flood must not cost one `fsync` each: [`Store::accept`]
//!   hands its row to one writer, which commits all that arrived meanwhile in one transaction (see [`inbox`]).
//! - *A hint that arrives while its repository is being looked at* must not be lost: hints are counted, and settling names
//!   the count that was seen when looking began.
//! - *Two replicas must not do the same work, and one that stalled must not undo the other's*: see [`lease`].

mod answers;
mod audit;
mod comments;
mod database;
mod inbox;
mod lease;
mod pulls;
mod queue;
mod reading;
mod retention;
mod sights;
mod upkeep;
mod waivers;
mod wanted;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::Row;

pub use answers::{AnswerRow, Ask, ClaimedAnswer};
pub use audit::Alarm;
pub use comments::{ClaimedCommand, CommandRow};
use database::Database;
pub use inbox::{Arrival, Effect};
pub use lease::{Claim, Fenced, Lease};
pub use pulls::{ClaimedPull, PullNote, PullRow, PullSlot};
pub use queue::{Claimed, Due, Level, RepositoryRow, Waiting};
pub use reading::{DeliveryRow, DirtyRow, First, LeaseCounts, LeaseRow, ParkedCounts, Reader, TargetRow, Work};
pub use retention::{Keep, Pruned};
pub use sights::{Kept, NewSight, SightRow};
pub use upkeep::{BackupError, Checked, Upkeep};
pub use waivers::{AuditRow, By, NewWaiver, WaiverRow};
pub use wanted::{HistoryRow, Judged, Outgoing, Told, WantedRow};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, is locked, full or gone.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date, or is of a newer version of drift-gate.
    #[error("the database's schema: {0}; use the version of drift-gate that wrote it, or a newer one")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// The address is none of a database, or of one that cannot be used; in words, for people.
    #[error("{0}")]
    Url(String),
    /// A database without a schema.
    #[error("this is no database of drift-gate: the service makes one at its first start")]
    Empty,
    /// The schema is another than this version's, and only the service changes it.
    #[error(
        "its schema is {schema}, of this version {current}: start the service of this version first, or use the other"
    )]
    Behind {
        /// The database's.
        schema: i64,
        /// This version's.
        current: i64,
    },
    /// The file of the database was deleted or moved away while it was open.
    #[error("the database {} is gone ({error}): put it back, or start again to begin with an empty one", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
        /// What the system says now.
        error: std::io::Error,
    },
    /// Another file lies where the database was.
    #[error("the database {} was replaced while it was open: start again to use the new one", path.display())]
    Replaced {
        /// Where it was.
        path: PathBuf,
    },
    /// The group that a delivery was to be written with was not written.
    #[error("{0}")]
    Unwritten(Arc<StoreError>),
    /// It gives no answer: another process holds it, or its server cannot be reached.
    #[error("the database did not answer in time: another process holds it locked, or its server cannot be reached")]
    Silent,
    /// The writer has ended: the program is shutting down.
    #[error("the store is shutting down")]
    Closed,
}

/// The open database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Database,
    inbox: inbox::Inbox,
    /// What [`Store::register`] made known, by forge: names as a JSON array. Another replica's configuration may name others.
    registered: Arc<RwLock<BTreeMap<String, String>>>,
}

/// Forges wait five seconds for an answer, some no longer.
const ACCEPT: Duration = Duration::from_secs(4);

impl Store {
    /// Opens the database at `url` and brings its schema up to date: `sqlite://PATH`, which is made where it is missing, or
    /// `postgres://USER@HOST/DATABASE`, with what the PostgreSQL client reads from the environment (`PGPASSWORD`,
    /// `PGPASSFILE`, `PGSSLMODE`).
    ///
    /// # Errors
    /// [`StoreError::Url`] for an address of another kind or a file that cannot be used, [`StoreError::Schema`] when a newer
    /// version wrote it, [`StoreError::Database`] when it cannot be opened.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let db = Database::open(url).await?;
        let inbox = inbox::Inbox::start(db.clone())?;
        Ok(Self { db, inbox, registered: Arc::default() })
    }

    /// Takes up what the process before this one left when it died: for whoever is about to work on the queue, at `now` (Unix
    /// milliseconds). A SQLite database belongs to one service at a time, so all leases in it are of the dead, and a status
    /// that is not sent may have been sent without being noted. On PostgreSQL other replicas are alive: what is left there is
    /// taken over when its leases end.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written.
    pub async fn recover(&self, now: i64) -> Result<(), StoreError> {
        if self.db.kind() == database::Kind::Postgres {
            return Ok(());
        }
        // What was told is forgotten as well: where it is wanted again by the time of the first look, nobody would ask.
        let unnoted = format!(
            "UPDATE wanted SET told_state = NULL, told_description = NULL, doubt = doubt + 1 WHERE {}",
            wanted::UNSENT
        );
        sqlx::query(sqlx::AssertSqlSafe(unnoted)).execute(&mut *self.db.write().await?).await?;
        self.expire_leases(None, now).await
    }

    /// Makes a delivery durable, with what it makes dirty. Returns when it is on disk, or after four seconds at most.
    ///
    /// # Errors
    /// When it was not written, so it must not be acknowledged; after [`StoreError::Silent`] it may be written all the same.
    /// [`StoreError::Closed`] when the program is shutting down.
    pub async fn accept(&self, arrival: Arrival) -> Result<(), StoreError> {
        tokio::time::timeout(ACCEPT, self.inbox.accept(arrival)).await.unwrap_or(Err(StoreError::Silent))
    }

    /// Proves that the database answers and can be written.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it does not, or cannot.
    pub async fn check(&self) -> Result<(), StoreError> {
        check(&self.db).await
    }

    /// A value kept under a name, such as the secret of the addresses of reports.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        meta(&self.db, key).await
    }

    /// Keeps a value under a name.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        set_meta(&self.db, key, value).await
    }

    /// Whether [`Store::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.db.pool.is_closed()
    }

    /// Flushes and closes.
    pub async fn close(&self) {
        self.inbox.finish().await;
        self.db.close().await;
    }
}

async fn meta(db: &Database, key: &str) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT value FROM meta WHERE key = $1").bind(key).fetch_optional(&db.pool).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Writes something, and something else each time: SQLite leaves the disk alone where a row stays as it is.
async fn check(db: &Database) -> Result<(), StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    set_meta(db, "checked", &now.as_nanos().to_string()).await
}

async fn set_meta(db: &Database, key: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        .bind(key)
        .bind(value)
        .execute(&mut *db.write().await?)
        .await?;
    Ok(())
}

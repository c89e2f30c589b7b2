//! What is kept for how long: without this the database would only grow.
//!
//! Never removed: what a status of a head says, the reports behind it, a waiver in force, and what is not done yet. Rows go a few hundred at
//! a time, each lot in a transaction of its own, so that no delivery waits for it.
//!
//! The trap: a report is kept by its content, and a decision may name again what is about to be removed. Keeping a report
//! that is there already makes it new, so that whichever comes second sees the other.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::database::{Database, Kind};
use super::{Store, StoreError};

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Deliveries, from when they arrived.
    pub deliveries: Duration,
    /// Comments that have acted, from then on. A comment that is delivered again after that acts again.
    pub comments: Duration,
    /// Statuses of commits that are no heads any more, with their pages, from when they ceased to be.
    pub statuses: Duration,
    /// Reports that no status names, from when they were last decided by.
    pub reports: Duration,
    /// So many earlier statuses of each commit and context.
    pub history: u32,
    /// Waivers that have ended, from then on, and the log of who did what by a comment.
    pub audit: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            deliveries: DAY * 14,
            comments: DAY * 90,
            statuses: DAY * 90,
            reports: DAY * 7,
            history: 100,
            audit: DAY * 365,
        }
    }
}

/// How many rows went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Deliveries.
    pub deliveries: u64,
    /// Comments that have acted.
    pub comments: u64,
    /// Statuses of commits that are no heads any more.
    pub statuses: u64,
    /// Reports that no status names.
    pub reports: u64,
    /// Earlier statuses.
    pub history: u64,
    /// Waivers that have ended, and lines of the log.
    pub audit: u64,
}

/// Rows in one transaction.
const LOT: i64 = 500;

impl Store {
    /// Removes what need not be kept any more at `now` (Unix milliseconds).
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; what was removed until then is.
    pub async fn prune(&self, now: i64, keep: Keep) -> Result<Pruned, StoreError> {
        prune(&self.db, now, keep).await
    }
}

pub(super) async fn prune(db: &Database, now: i64, keep: Keep) -> Result<Pruned, StoreError> {
    let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let mut pruned = Pruned::default();
    // The oldest few by their numbers, and of those what is old enough: none is looked for further on.
    let deliveries = "DELETE FROM deliveries WHERE received_at < $1 AND seq IN (\
         SELECT seq FROM deliveries ORDER BY seq LIMIT $2)";
    pruned.deliveries = in_lots(db, deliveries, before(keep.deliveries)).await?;
    let comments = "DELETE FROM comments WHERE (forge, repository, comment) IN (\
         SELECT forge, repository, comment FROM comments WHERE acted_at < $1 LIMIT $2)";
    pruned.comments = in_lots(db, comments, before(keep.comments)).await?;
    let statuses = "DELETE FROM wanted WHERE head = 0 AND leased_until IS NULL AND id IN (\
         SELECT id FROM wanted WHERE head = 0 AND leased_until IS NULL AND COALESCE(left_at, decided_at) < $1 LIMIT $2)";
    pruned.statuses = in_lots(db, statuses, before(keep.statuses)).await?;
    let named = format!("SELECT each.value ->> 'report' AS report FROM wanted, {}", db.each("wanted.judgements"));
    let reports = format!(
        "DELETE FROM reports WHERE created_at < $1 AND key IN (\
           SELECT key FROM reports WHERE created_at < $1 AND key NOT IN (\
             SELECT report FROM ({named}) AS named WHERE report IS NOT NULL) LIMIT $2)"
    );
    pruned.reports = in_lots(db, &reports, before(keep.reports)).await?;
    let history = "DELETE FROM history WHERE seq IN (SELECT seq FROM (\
           SELECT h.seq AS seq, w.id AS id, ROW_NUMBER() OVER (PARTITION BY h.wanted ORDER BY h.seq DESC) AS back \
           FROM history h LEFT JOIN wanted w ON w.id = h.wanted) AS counted \
         WHERE back > $1 OR id IS NULL LIMIT $2)";
    pruned.history = in_lots(db, history, i64::from(keep.history)).await?;
    // What it was asked is forgotten; the comment itself is found again by its mark.
    let answers = "DELETE FROM answers WHERE asked = answered AND leased_until IS NULL AND answered_at < $1 \
         AND (forge, repository, pull) IN (SELECT forge, repository, pull FROM answers \
           WHERE asked = answered AND leased_until IS NULL AND answered_at < $1 LIMIT $2)";
    in_lots(db, answers, before(keep.comments)).await?;
    let waivers = "DELETE FROM waivers WHERE seq IN (SELECT seq FROM waivers WHERE ended_at < $1 LIMIT $2)";
    let log = "DELETE FROM audit WHERE at < $1 AND seq IN (SELECT seq FROM audit ORDER BY seq LIMIT $2)";
    for statement in [waivers, log] {
        pruned.audit += in_lots(db, statement, before(keep.audit)).await?;
    }
    if db.kind() == Kind::Sqlite {
        // What was written goes into the file itself, and the log beside it is emptied.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *db.write().await?).await?;
    }
    Ok(pruned)
}

/// Repeats a statement that removes at most `$2` rows until it finds none; how many went.
async fn in_lots(db: &Database, statement: &str, limit: i64) -> Result<u64, StoreError> {
    let mut gone = 0;
    loop {
        let mut connection = db.write().await?;
        let lot = sqlx::query(AssertSqlSafe(statement)).bind(limit).bind(LOT).execute(&mut *connection).await?;
        match lot.rows_affected() {
            0 => return Ok(gone),
            rows => gone += rows,
        }
    }
}

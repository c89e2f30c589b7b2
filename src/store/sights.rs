//! What was last seen of each repository: one text for each, which the controller gives meaning, with a version that counts up
//! over all of them, so that who knows everything up to a version asks only for what is newer.
//!
//! The race handled here: on PostgreSQL a transaction with a lower number may commit after one with a higher number, and
//! who asked in between would never see it. The number is a row that each such transaction locks first, so they commit in
//! the order of their numbers.

use sqlx::{AssertSqlSafe, Row};

use super::database::json;
use super::lease::{self, Lease};
use super::queue::{Hint, hint_statement};
use super::{Fenced, Level, Store, StoreError};

/// What was seen, to keep.
#[derive(Clone, Copy, Debug)]
pub struct NewSight<'a> {
    /// The forge's name in the configuration.
    pub forge: &'a str,
    /// As configured, `owner/name`.
    pub name: &'a str,
    /// The version that was known before reading began; 0 where nothing was.
    pub base: i64,
    /// JSON, the controller's.
    pub sight: &'a str,
    /// Unix milliseconds.
    pub now: i64,
    /// The forge's id of the delivery that it was read for, if any.
    pub delivery: Option<&'a str>,
    /// The lease of a look that judges the repository by this itself, so that nobody else needs to.
    pub judged_by: Option<&'a Lease>,
}

/// Whether what was seen was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was overtaken was not kept: read again"]
pub enum Kept {
    /// It was.
    Yes,
    /// Somebody else saw the same.
    Same,
    /// Somebody else kept something else since reading began: nobody knows which of the two is newer.
    Overtaken,
}

/// What was last seen of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SightRow {
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub name: String,
    /// Counts up over all repositories.
    pub version: i64,
    /// JSON, the controller's.
    pub sight: String,
}

impl Store {
    /// Everything that was kept after a version; 0 is everything.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn sights_since(&self, version: i64) -> Result<Vec<SightRow>, StoreError> {
        let rows = sqlx::query("SELECT forge, name, version, sight FROM sights WHERE version > $1 ORDER BY version")
            .bind(version)
            .fetch_all(&self.db.pool)
            .await?;
        Ok(rows
            .iter()
            .map(|row| SightRow { forge: row.get(0), name: row.get(1), version: row.get(2), sight: row.get(3) })
            .collect())
    }

    /// Keeps what was seen, and hints in the same transaction at who must be judged again because of it. The repository itself is
    /// not hinted at where a look judges it that holds its lease: where that was lost, whoever has it now may have read before.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn keep_sight(&self, new: &NewSight<'_>, concerned: &[(String, String)]) -> Result<Kept, StoreError> {
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        let version: i64 = sqlx::query("UPDATE sight_version SET version = version + 1 RETURNING version")
            .fetch_one(&mut *tx)
            .await?
            .get(0);
        let before = sqlx::query("SELECT version, sight FROM sights WHERE forge = $1 AND name = $2")
            .bind(new.forge)
            .bind(new.name)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(before) = before.filter(|row| row.get::<i64, _>(0) != new.base) {
            let same = before.get::<String, _>(1) == new.sight;
            return Ok(if same { Kept::Same } else { Kept::Overtaken });
        }
        sqlx::query(
            "INSERT INTO sights (forge, name, version, sight) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (forge, name) DO UPDATE SET version = excluded.version, sight = excluded.sight",
        )
        .bind(new.forge)
        .bind(new.name)
        .bind(version)
        .bind(new.sight)
        .execute(&mut *tx)
        .await?;
        let is_judged = match new.judged_by {
            Some(lease) => lease::are_held(&self.db, &mut tx, &[lease]).await? == Fenced::Done,
            None => false,
        };
        let hints: Vec<Hint<'_>> = concerned
            .iter()
            .map(|(forge, name)| (forge.as_str(), name.as_str(), new.now, Level::Decide.number(), new.delivery))
            .filter(|(forge, name, ..)| !(is_judged && (*forge, *name) == (new.forge, new.name)))
            .collect();
        if !hints.is_empty() {
            let statement = hint_statement(&self.db, 1);
            sqlx::query(AssertSqlSafe(statement)).bind(json(&hints)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(Kept::Yes)
    }

    /// Whether it is this caller's turn: once for all replicas, unless somebody took it at or after `before`. Times are
    /// Unix milliseconds.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written.
    pub async fn take_turn(&self, key: &str, now: i64, before: i64) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value \
             WHERE CAST(meta.value AS BIGINT) < $3",
        )
        .bind(key)
        .bind(now.to_string())
        .bind(before)
        .execute(&mut *self.db.write().await?)
        .await?;
        Ok(done.rows_affected() > 0)
    }
}

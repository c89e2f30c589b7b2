//! Reading back what the forge says: which heads are read again, who wrote over a status of ours, and what an operator
//! should hear of.

use sqlx::{AssertSqlSafe, Row};

use super::database::json;
use super::{Store, StoreError};

/// How long an overwritten status counts, in milliseconds.
const COUNTS: i64 = 60 * 60 * 1000;
/// Alarms are kept that long, in milliseconds: 30 days.
const ALARMS_KEPT: i64 = 30 * 24 * COUNTS;

/// Something that an operator should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Unix milliseconds.
    pub at: i64,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// A sentence for people.
    pub words: String,
}

impl Store {
    /// Has the forge read again for these keys, as soon as somebody can.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written.
    pub async fn recheck(&self, ids: &[String], now: i64) -> Result<(), StoreError> {
        let statement = format!(
            "UPDATE wanted SET recheck_at = $2 WHERE head = 1 AND (recheck_at IS NULL OR recheck_at > $2) \
             AND parked_until IS NULL AND id IN {}",
            self.db.names(1)
        );
        sqlx::query(AssertSqlSafe(statement)).bind(json(ids)).bind(now).execute(&mut *self.db.write().await?).await?;
        Ok(())
    }

    /// Somebody wrote over a status. Returns how often that was found for it within the last hour, this time included.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written.
    pub async fn overwritten(&self, id: &str, login: &str, now: i64) -> Result<i64, StoreError> {
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        sqlx::query("DELETE FROM overwritten WHERE at < $1").bind(now - COUNTS).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO overwritten (wanted, login, at) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(login)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        let count =
            sqlx::query("SELECT COUNT(*) FROM overwritten WHERE wanted = $1").bind(id).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(count.get(0))
    }

    /// A status is left as somebody else wrote it, until then.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written.
    pub async fn park(&self, id: &str, until: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE wanted SET parked_until = $2 WHERE id = $1")
            .bind(id)
            .bind(until)
            .execute(&mut *self.db.write().await?)
            .await?;
        Ok(())
    }

    /// Statuses that are parked for longer than `now`: their keys' ids, and until when.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn parked(&self, now: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let rows = sqlx::query("SELECT id, parked_until FROM wanted WHERE parked_until > $1 AND head = 1 ORDER BY id")
            .bind(now)
            .fetch_all(&self.db.pool)
            .await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Keeps what an operator should hear of.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written.
    pub async fn alarm(&self, alarm: &Alarm) -> Result<(), StoreError> {
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        sqlx::query("DELETE FROM alarms WHERE at < $1").bind(alarm.at - ALARMS_KEPT).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO alarms (at, forge, repository, words) VALUES ($1, $2, $3, $4)")
            .bind(alarm.at)
            .bind(alarm.forge.as_str())
            .bind(alarm.repository.as_str())
            .bind(alarm.words.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// What an operator should have heard of, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn alarms(&self, most: i64) -> Result<Vec<Alarm>, StoreError> {
        let rows = sqlx::query("SELECT at, forge, repository, words FROM alarms ORDER BY at DESC LIMIT $1")
            .bind(most)
            .fetch_all(&self.db.pool)
            .await?;
        let alarm = |row: &sqlx::any::AnyRow| Alarm {
            at: row.get(0),
            forge: row.get(1),
            repository: row.get(2),
            words: row.get(3),
        };
        Ok(rows.iter().map(alarm).collect())
    }

    /// Comments that the forge lists and no delivery brought; those that are known already stay as they are. Returns how
    /// many were new.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written.
    pub async fn comments_found(
        &self,
        forge: &str,
        repository: &str,
        comments: &[(i64, i64)],
        now: i64,
    ) -> Result<u64, StoreError> {
        let rows =
            self.db.rows(1, &[("comment", super::database::Holds::Number), ("pull", super::database::Holds::Number)]);
        let statement = format!(
            "INSERT INTO comments (forge, repository, comment, pull, received_at) \
             SELECT $2, $3, comment, pull, $4 FROM {rows} AS found WHERE true ON CONFLICT DO NOTHING"
        );
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(json(comments))
            .bind(forge)
            .bind(repository)
            .bind(now)
            .execute(&mut *self.db.write().await?)
            .await?;
        Ok(done.rows_affected())
    }
}

//! The queue: which repositories must be looked at, and which comments may be commands.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Store, StoreError};

/// A repository that must be looked at now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub name: String,
    /// The count of hints seen: settling names it.
    pub hinted: i64,
    /// Unix milliseconds of the oldest hint that is not settled.
    pub hinted_at: Option<i64>,
    /// Looks that failed in a row.
    pub attempts: i64,
}

/// What is known of a gated repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRow {
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured.
    pub name: String,
    /// The forge's number for it, once it was read.
    pub forge_id: Option<i64>,
    /// Its name now, where it was renamed.
    pub current: Option<String>,
    /// As the forge last said; who may see its reports follows from it.
    pub private: bool,
    /// Hints not settled yet.
    pub waiting: bool,
    /// Looks that failed in a row.
    pub attempts: i64,
    /// Unix milliseconds since when it cannot be read.
    pub unreadable_since: Option<i64>,
    /// Why it cannot be read, in words; `None` while it can.
    pub trouble: Option<String>,
}

/// How much waits, for people and alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Repositories with a hint that is not settled.
    pub repositories: i64,
    /// When the oldest of those hints came, Unix milliseconds.
    pub oldest_hint: Option<i64>,
    /// Statuses of heads that the forge was not told, or was told otherwise.
    pub unsent: i64,
}

/// A comment that may be a command and has not acted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The forge's number for the comment.
    pub comment: i64,
    /// The number of the pull request that it stands under.
    pub pull: i64,
    /// Failed tries to read or answer it.
    pub attempts: i64,
}

impl Store {
    /// Makes the configured repositories known; rows of others stay but are never due.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn register(&self, repositories: &[(String, String)]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (forge, name) in repositories {
            sqlx::query("INSERT INTO repositories (forge, name) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(forge.as_str())
                .bind(name.as_str())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Hints at repositories without a delivery: at start and by the timer.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn hint(&self, repositories: &[(String, String)], now: i64) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (forge, name) in repositories {
            sqlx::query(
                "UPDATE repositories SET hinted = hinted + 1, hinted_at = COALESCE(hinted_at, $3) \
                 WHERE forge = $1 AND name = $2",
            )
            .bind(forge.as_str())
            .bind(name.as_str())
            .bind(now)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The repositories that must be looked at now, oldest hint first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn due(&self, now: i64) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query(
            "SELECT forge, name, hinted, hinted_at, attempts FROM repositories \
             WHERE (hinted > settled AND not_before <= $1) OR (look_at IS NOT NULL AND look_at <= $1) \
             ORDER BY COALESCE(hinted_at, $1), forge, name",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .iter()
            .map(|row| Due {
                forge: row.get(0),
                name: row.get(1),
                hinted: row.get(2),
                hinted_at: row.get(3),
                attempts: row.get(4),
            })
            .collect())
    }

    /// When the next repository falls due, unsent status or waiting comment too; `None` when nothing waits.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn next_due(&self) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query(
            "SELECT MIN(at) FROM (\
               SELECT MIN(not_before) AS at FROM repositories WHERE hinted > settled \
               UNION ALL SELECT MIN(look_at) FROM repositories WHERE look_at IS NOT NULL \
               UNION ALL SELECT MIN(not_before) FROM comments WHERE acted_at IS NULL \
               UNION ALL SELECT MIN(not_before) FROM wanted WHERE head = 1 AND \
                 (told_state IS NULL OR told_state <> state OR told_description <> description)) AS waiting",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(row.get(0))
    }

    /// How much waits now.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn waiting(&self) -> Result<Waiting, StoreError> {
        let hints = sqlx::query("SELECT COUNT(*), MIN(hinted_at) FROM repositories WHERE hinted > settled")
            .fetch_one(&self.pool)
            .await?;
        let unsent = sqlx::query(
            "SELECT COUNT(*) FROM wanted WHERE head = 1 AND \
             (told_state IS NULL OR told_state <> state OR told_description <> description)",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Waiting { repositories: hints.get(0), oldest_hint: hints.get(1), unsent: unsent.get(0) })
    }

    /// A repository was looked at, with all hints up to `hinted`; look again at `look_at` even without a hint.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn settle(&self, due: &Due, look_at: Option<i64>) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE repositories SET settled = $3, attempts = 0, not_before = 0, look_at = $4, \
             hinted_at = CASE WHEN hinted > $3 THEN hinted_at ELSE NULL END WHERE forge = $1 AND name = $2",
        )
        .bind(due.forge.as_str())
        .bind(due.name.as_str())
        .bind(due.hinted)
        .bind(look_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Looking failed: again at `not_before`.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn postpone(&self, due: &Due, not_before: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE repositories SET attempts = attempts + 1, not_before = $3, look_at = NULL, \
             hinted = CASE WHEN hinted > settled THEN hinted ELSE settled + 1 END WHERE forge = $1 AND name = $2",
        )
        .bind(due.forge.as_str())
        .bind(due.name.as_str())
        .bind(not_before)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A repository was read: its number, its name now, its visibility.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn readable(
        &self,
        forge: &str,
        name: &str,
        forge_id: i64,
        current: &str,
        private: bool,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE repositories SET forge_id = $3, current = $4, private = $5, unreadable_since = NULL, trouble = NULL \
             WHERE forge = $1 AND name = $2",
        )
        .bind(forge)
        .bind(name)
        .bind(forge_id)
        .bind(current)
        .bind(i64::from(private))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A repository could not be read. Returns since when that is so (Unix milliseconds).
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn unreadable(&self, forge: &str, name: &str, why: &str, now: i64) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "UPDATE repositories SET unreadable_since = COALESCE(unreadable_since, $3), trouble = $4 \
             WHERE forge = $1 AND name = $2 RETURNING unreadable_since",
        )
        .bind(forge)
        .bind(name)
        .bind(now)
        .bind(why)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map_or(now, |row| row.get(0)))
    }

    /// Everything known of every repository.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT forge, name, forge_id, current, private, hinted, settled, attempts, unreadable_since, trouble \
             FROM repositories ORDER BY forge, name",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(repository).collect())
    }

    /// Comments that wait to be read, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn commands(&self, now: i64) -> Result<Vec<CommandRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT forge, repository, comment, pull, attempts FROM comments \
             WHERE acted_at IS NULL AND not_before <= $1 ORDER BY received_at, comment",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .iter()
            .map(|row| CommandRow {
                forge: row.get(0),
                repository: row.get(1),
                comment: row.get(2),
                pull: row.get(3),
                attempts: row.get(4),
            })
            .collect())
    }

    /// A comment has acted, or never will; `outcome` says what it was taken for.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn acted(&self, command: &CommandRow, outcome: &str, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE comments SET acted_at = $4, outcome = $5 WHERE forge = $1 AND repository = $2 AND comment = $3",
        )
        .bind(command.forge.as_str())
        .bind(command.repository.as_str())
        .bind(command.comment)
        .bind(now)
        .bind(outcome)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A comment could not be read or answered: again at `not_before`.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn postpone_command(&self, command: &CommandRow, not_before: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE comments SET attempts = attempts + 1, not_before = $4 \
             WHERE forge = $1 AND repository = $2 AND comment = $3",
        )
        .bind(command.forge.as_str())
        .bind(command.repository.as_str())
        .bind(command.comment)
        .bind(not_before)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn repository(row: &AnyRow) -> RepositoryRow {
    let (hinted, settled): (i64, i64) = (row.get(5), row.get(6));
    RepositoryRow {
        forge: row.get(0),
        name: row.get(1),
        forge_id: row.get(2),
        current: row.get(3),
        private: row.get::<i64, _>(4) != 0,
        waiting: hinted > settled,
        attempts: row.get(7),
        unreadable_since: row.get(8),
        trouble: row.get(9),
    }
}

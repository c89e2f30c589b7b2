//! What each status should say, what the forge was last told, what it said before, and the reports behind it.

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::{Store, StoreError};

/// A decision to keep: what one wanted key should say, and the reports behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The HMAC of the key.
    pub id: String,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured.
    pub repository: String,
    /// The forge's number for the repository: it stays through renames.
    pub forge_id: i64,
    /// The commit, all hexadecimal digits.
    pub sha: String,
    /// The context of the status.
    pub context: String,
    /// `pending`, `success`, `error` or `failure`.
    pub state: String,
    /// The words of the status, as the forge gets them.
    pub description: String,
    /// Where the status leads: the page of this key.
    pub url: String,
    /// JSON, the controller's.
    pub judgements: String,
    /// Unix milliseconds.
    pub decided_at: i64,
    /// The commit was no head before this look, so the forge cannot have a status of ours on it.
    pub is_new: bool,
    /// New reports: key and JSON.
    pub reports: Vec<(String, String)>,
}

/// What the forge was last told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `pending`, `success`, `error` or `failure`.
    pub state: String,
    /// The words of the status, as they were sent.
    pub description: String,
    /// Unix milliseconds.
    pub at: i64,
}

/// One wanted key as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRow {
    /// The HMAC of the key: the address of its page.
    pub id: String,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The forge's number for the repository: it stays through renames.
    pub forge_id: i64,
    /// The commit, all hexadecimal digits.
    pub sha: String,
    /// The context of the status.
    pub context: String,
    /// What the forge should say: `pending`, `success`, `error` or `failure`.
    pub state: String,
    /// The words that the forge should show.
    pub description: String,
    /// Where the status leads: the page of this key.
    pub url: String,
    /// JSON, the controller's: gate, role, and the report's key or why there is none.
    pub judgements: String,
    /// Unix milliseconds of the last decision.
    pub decided_at: i64,
    /// Still the head of a branch or pull request.
    pub head: bool,
    /// `None` before the first time, and from [`Store::doubt`] until it is told again.
    pub told: Option<Told>,
    /// Where it is not 0, what the forge has is not known: it is read before anything is written. Each new doubt counts up.
    pub doubt: i64,
    /// Failed tries to tell the forge what is wanted now.
    pub attempts: i64,
    /// Why the last try failed, in words; `None` once it is told.
    pub trouble: Option<String>,
}

impl WantedRow {
    /// Whether the forge says what it should.
    pub fn is_told(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.state == self.state && told.description == self.description)
    }
}

/// What a key said from `decided_at` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// `pending`, `success`, `error` or `failure`.
    pub state: String,
    /// The words of the status.
    pub description: String,
    /// Unix milliseconds.
    pub decided_at: i64,
}

const COLUMNS: &str = "SELECT id, forge, repository, forge_id, sha, context, state, description, url, judgements, decided_at, \
     head, told_state, told_description, told_at, attempts, trouble, doubt FROM wanted ";

macro_rules! select {
    ($rest:literal) => {
        sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS}{}", $rest)))
    };
}

impl Store {
    /// Keeps decisions with their reports, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn decide(&self, decisions: &[Judged]) -> Result<(), StoreError> {
        if decisions.is_empty() {
            return Ok(());
        }
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for decision in decisions {
            keep(&mut tx, decision).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Of a repository's keys only these are still heads; what is unsent for others is dropped.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn heads(&self, forge: &str, repository: &str, ids: &[String]) -> Result<(), StoreError> {
        let known = sqlx::query("SELECT id FROM wanted WHERE forge = $1 AND repository = $2 AND head = 1")
            .bind(forge)
            .bind(repository)
            .fetch_all(&self.pool)
            .await?;
        let ids: std::collections::HashSet<&str> = ids.iter().map(String::as_str).collect();
        let gone: Vec<String> =
            known.iter().map(|row| row.get::<String, _>(0)).filter(|id| !ids.contains(id.as_str())).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for id in gone {
            sqlx::query("UPDATE wanted SET head = 0 WHERE id = $1").bind(id).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Keys whose status the forge must be told now, the longest waiting first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn unsent(&self, now: i64, most: i64) -> Result<Vec<WantedRow>, StoreError> {
        let rows = select!(
            "WHERE head = 1 AND (told_state IS NULL OR told_state <> state OR told_description <> description) \
             AND not_before <= $1 ORDER BY not_before, decided_at LIMIT $2"
        )
        .bind(now)
        .bind(most)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(wanted).collect())
    }

    /// The forge has this row's status now. A doubt that came while it was being told remains: what the forge has is read again.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn told(&self, row: &WantedRow, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE wanted SET told_state = $2, told_description = $3, told_at = $4, doubt = 0, attempts = 0, \
             not_before = 0, trouble = NULL WHERE id = $1 AND doubt = $5",
        )
        .bind(row.id.as_str())
        .bind(row.state.as_str())
        .bind(row.description.as_str())
        .bind(now)
        .bind(row.doubt)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The forge could not be told: again at `not_before`.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn not_told(&self, id: &str, why: &str, not_before: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE wanted SET attempts = attempts + 1, not_before = $2, trouble = $3, doubt = doubt + 1 \
             WHERE id = $1",
        )
        .bind(id)
        .bind(not_before)
        .bind(why)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What the forge was told about a commit is in doubt: it is read again before anything is written.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn doubt(&self, forge: &str, forge_id: i64, sha: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE wanted SET told_state = NULL, told_description = NULL, doubt = doubt + 1, not_before = 0 \
             WHERE forge = $1 AND forge_id = $2 AND sha = $3",
        )
        .bind(forge)
        .bind(forge_id)
        .bind(sha)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// One key by its id.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn wanted(&self, id: &str) -> Result<Option<WantedRow>, StoreError> {
        let row = select!("WHERE id = $1").bind(id).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(wanted))
    }

    /// All keys that are heads, of one repository or of all.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn current(&self, repository: Option<(&str, &str)>) -> Result<Vec<WantedRow>, StoreError> {
        let rows = match repository {
            Some((forge, name)) => {
                select!("WHERE head = 1 AND forge = $1 AND repository = $2 ORDER BY context, sha")
                    .bind(forge)
                    .bind(name)
                    .fetch_all(&self.pool)
                    .await?
            }
            None => select!("WHERE head = 1 ORDER BY forge, repository, context, sha").fetch_all(&self.pool).await?,
        };
        Ok(rows.iter().map(wanted).collect())
    }

    /// What a key said, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn history(&self, id: &str, most: i64) -> Result<Vec<HistoryRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT state, description, decided_at FROM history WHERE wanted = $1 ORDER BY seq DESC LIMIT $2",
        )
        .bind(id)
        .bind(most)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .iter()
            .map(|row| HistoryRow { state: row.get(0), description: row.get(1), decided_at: row.get(2) })
            .collect())
    }

    /// A report by its key, as JSON.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn report(&self, key: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT report FROM reports WHERE key = $1").bind(key).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.get(0)))
    }
}

async fn keep(tx: &mut Transaction<'_, Any>, decision: &Judged) -> Result<(), sqlx::Error> {
    for (key, report) in &decision.reports {
        sqlx::query("INSERT INTO reports (key, report, created_at) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING")
            .bind(key.as_str())
            .bind(report.as_str())
            .bind(decision.decided_at)
            .execute(&mut **tx)
            .await?;
    }
    let before = sqlx::query("SELECT state, description FROM wanted WHERE id = $1")
        .bind(decision.id.as_str())
        .fetch_optional(&mut **tx)
        .await?;
    let changed = before
        .is_none_or(|row| row.get::<String, _>(0) != decision.state || row.get::<String, _>(1) != decision.description);
    sqlx::query(
        "INSERT INTO wanted (id, forge, repository, forge_id, sha, context, state, description, url, judgements, \
         decided_at, doubt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO UPDATE SET state = excluded.state, \
         description = excluded.description, url = excluded.url, judgements = excluded.judgements, head = 1, \
         decided_at = excluded.decided_at, repository = excluded.repository",
    )
    .bind(decision.id.as_str())
    .bind(decision.forge.as_str())
    .bind(decision.repository.as_str())
    .bind(decision.forge_id)
    .bind(decision.sha.as_str())
    .bind(decision.context.as_str())
    .bind(decision.state.as_str())
    .bind(decision.description.as_str())
    .bind(decision.url.as_str())
    .bind(decision.judgements.as_str())
    .bind(decision.decided_at)
    .bind(i64::from(!decision.is_new))
    .execute(&mut **tx)
    .await?;
    if changed {
        // A new want starts afresh: the old one's failures say nothing about it.
        sqlx::query("UPDATE wanted SET attempts = 0, not_before = 0 WHERE id = $1")
            .bind(decision.id.as_str())
            .execute(&mut **tx)
            .await?;
        sqlx::query("INSERT INTO history (wanted, state, description, decided_at) VALUES ($1, $2, $3, $4)")
            .bind(decision.id.as_str())
            .bind(decision.state.as_str())
            .bind(decision.description.as_str())
            .bind(decision.decided_at)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

fn wanted(row: &AnyRow) -> WantedRow {
    let told = match (row.get::<Option<String>, _>(12), row.get::<Option<String>, _>(13)) {
        (Some(state), Some(description)) => {
            Some(Told { state, description, at: row.get::<Option<i64>, _>(14).unwrap_or(0) })
        }
        _ => None,
    };
    WantedRow {
        id: row.get(0),
        forge: row.get(1),
        repository: row.get(2),
        forge_id: row.get(3),
        sha: row.get(4),
        context: row.get(5),
        state: row.get(6),
        description: row.get(7),
        url: row.get(8),
        judgements: row.get(9),
        decided_at: row.get(10),
        head: row.get::<i64, _>(11) != 0,
        told,
        attempts: row.get(15),
        trouble: row.get(16),
        doubt: row.get(17),
    }
}

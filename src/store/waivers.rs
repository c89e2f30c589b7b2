//! Waivers, and the log of who did what by a comment.
//!
//! The trap: a comment whose reader died may be read again, and a look that began before a waiver was made must not end it. So
//! each comment makes one waiver of a gate, and whoever ends one names it by its number.

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::database::clean;
use super::lease::{self, Of};
use super::{Fenced, Lease, Reader, Store, StoreError};

/// A waiver to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWaiver {
    /// The id of the gate.
    pub gate: String,
    /// The head at that moment, all hexadecimal digits.
    pub sha: String,
    /// What it covers, the controller's JSON.
    pub items: String,
}

/// Who does something by a comment, where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By<'a> {
    /// The forge's name in the configuration.
    pub forge: &'a str,
    /// As configured, `owner/name`.
    pub repository: &'a str,
    /// The number of the pull request or issue.
    pub pull: i64,
    /// The forge's number for the comment.
    pub comment: i64,
    /// Of who wrote it.
    pub login: &'a str,
    /// Unix milliseconds.
    pub at: i64,
}

/// A waiver as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverRow {
    /// Counts up as they are made.
    pub number: i64,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The number of the pull request.
    pub pull: i64,
    /// The id of the gate.
    pub gate: String,
    /// Who waived.
    pub login: String,
    /// In their words.
    pub reason: String,
    /// The head when it was made.
    pub sha: String,
    /// What it covers, the controller's JSON.
    pub items: String,
    /// Unix milliseconds.
    pub made_at: i64,
    /// Unix milliseconds; `None`: at no time of its own.
    pub until: Option<i64>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Counts up.
    pub number: i64,
    /// Unix milliseconds.
    pub at: i64,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The number of the pull request or issue.
    pub pull: i64,
    /// The forge's number for the comment; `None` where it ended by itself.
    pub comment: Option<i64>,
    /// Who; "" where nobody did it.
    pub login: String,
    /// `waive`, `unwaive`, `rebuild`, `refused` or `ended`.
    pub act: String,
    /// The id of the gate; "" where it is about all of them.
    pub gate: String,
    /// In words, for people.
    pub words: String,
}

const COLUMNS: &str = "seq, forge, repository, pull, gate, login, reason, sha, items, made_at, until_at";

impl Store {
    /// Keeps waivers that a comment makes, in place of those that the pull request has for the same gates, and logs it. Those
    /// that the comment made before stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn waive(
        &self,
        by: &By<'_>,
        reason: &str,
        until: Option<i64>,
        waivers: &[NewWaiver],
    ) -> Result<(), StoreError> {
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        for waiver in waivers {
            let made = sqlx::query(
                "INSERT INTO waivers (forge, repository, pull, gate, comment, login, reason, sha, items, made_at, until_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
            )
            .bind(by.forge)
            .bind(by.repository)
            .bind(by.pull)
            .bind(waiver.gate.as_str())
            .bind(by.comment)
            .bind(clean(by.login))
            .bind(clean(reason))
            .bind(waiver.sha.as_str())
            .bind(clean(&waiver.items))
            .bind(by.at)
            .bind(until)
            .execute(&mut *tx)
            .await?;
            if made.rows_affected() == 0 {
                continue;
            }
            sqlx::query(
                "UPDATE waivers SET ended_at = $6, ended = 'replaced by another' WHERE forge = $1 AND repository = $2 \
                 AND pull = $3 AND gate = $4 AND comment <> $5 AND ended_at IS NULL",
            )
            .bind(by.forge)
            .bind(by.repository)
            .bind(by.pull)
            .bind(waiver.gate.as_str())
            .bind(by.comment)
            .bind(by.at)
            .execute(&mut *tx)
            .await?;
            log(&mut tx, by, "waive", &waiver.gate, reason).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends waivers of a pull request because somebody takes them back, and logs it. Returns how many were in force.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn unwaive(&self, by: &By<'_>, gates: &[String]) -> Result<u64, StoreError> {
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        let mut ended = 0;
        for gate in gates {
            let done = sqlx::query(
                "UPDATE waivers SET ended_at = $5, ended = $6 WHERE forge = $1 AND repository = $2 AND pull = $3 \
                 AND gate = $4 AND ended_at IS NULL",
            )
            .bind(by.forge)
            .bind(by.repository)
            .bind(by.pull)
            .bind(gate.as_str())
            .bind(by.at)
            .bind(clean(&format!("taken back by {}", by.login)))
            .execute(&mut *tx)
            .await?;
            if done.rows_affected() > 0 {
                ended += done.rows_affected();
                log(&mut tx, by, "unwaive", gate, "taken back").await?;
            }
        }
        tx.commit().await?;
        Ok(ended)
    }

    /// Logs what somebody did, or was refused, by a comment; once for each comment.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn log(&self, by: &By<'_>, act: &str, gate: &str, words: &str) -> Result<(), StoreError> {
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        log(&mut tx, by, act, gate, words).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends waivers of the leased repository by themselves, by their numbers, each with why, and logs it.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn end_waivers_held(
        &self,
        held: &Lease,
        ended: &[(i64, String)],
        now: i64,
    ) -> Result<Fenced, StoreError> {
        if ended.is_empty() || !matches!(held.of, Of::Repository { .. }) {
            return Ok(Fenced::Done);
        }
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        if lease::are_held(&self.db, &mut tx, &[held]).await? == Fenced::Lost {
            return Ok(Fenced::Lost);
        }
        for (number, why) in ended {
            let done = sqlx::query("UPDATE waivers SET ended_at = $2, ended = $3 WHERE seq = $1 AND ended_at IS NULL")
                .bind(number)
                .bind(now)
                .bind(clean(why))
                .execute(&mut *tx)
                .await?;
            if done.rows_affected() > 0 {
                sqlx::query(
                    "INSERT INTO audit (at, forge, repository, pull, comment, login, act, gate, words) \
                     SELECT $2, forge, repository, pull, CAST(NULL AS BIGINT), '', 'ended', gate, $3 FROM waivers WHERE seq = $1",
                )
                .bind(number)
                .bind(now)
                .bind(clean(why))
                .execute(&mut *tx)
                .await?;
            }
        }
        tx.commit().await?;
        Ok(Fenced::Done)
    }

    /// The waivers in force of one repository, or of all, oldest first. Whether their time is over is for who asks to see.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn waivers(&self, repository: Option<(&str, &str)>) -> Result<Vec<WaiverRow>, StoreError> {
        let which = if repository.is_some() { "AND forge = $1 AND repository = $2" } else { "" };
        let statement = format!("SELECT {COLUMNS} FROM waivers WHERE ended_at IS NULL {which} ORDER BY seq");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(statement));
        if let Some((forge, name)) = repository {
            query = query.bind(forge).bind(name);
        }
        Ok(query.fetch_all(&self.db.pool).await?.iter().map(waiver).collect())
    }
}

impl Reader {
    /// The log, newest first: the lines before a number, or the newest.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn audit(&self, before: Option<i64>, most: i64) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at, forge, repository, pull, comment, login, act, gate, words FROM audit WHERE seq < $1 \
             ORDER BY seq DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(most)
        .fetch_all(&self.db.pool)
        .await?;
        let line = |row: &AnyRow| AuditRow {
            number: row.get(0),
            at: row.get(1),
            forge: row.get(2),
            repository: row.get(3),
            pull: row.get(4),
            comment: row.get(5),
            login: row.get(6),
            act: row.get(7),
            gate: row.get(8),
            words: row.get(9),
        };
        Ok(rows.iter().map(line).collect())
    }
}

async fn log(
    tx: &mut Transaction<'_, Any>,
    by: &By<'_>,
    act: &str,
    gate: &str,
    words: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit (at, forge, repository, pull, comment, login, act, gate, words) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind(by.at)
    .bind(by.forge)
    .bind(by.repository)
    .bind(by.pull)
    .bind(by.comment)
    .bind(clean(by.login))
    .bind(act)
    .bind(gate)
    .bind(clean(words))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn waiver(row: &AnyRow) -> WaiverRow {
    WaiverRow {
        number: row.get(0),
        forge: row.get(1),
        repository: row.get(2),
        pull: row.get(3),
        gate: row.get(4),
        login: row.get(5),
        reason: row.get(6),
        sha: row.get(7),
        items: row.get(8),
        made_at: row.get(9),
        until: row.get(10),
    }
}

//! The one comment of ours on each pull request and named issue: what it was asked for, and what it was last written for.
//!
//! Asking counts up, writing names the count that it saw: what is asked while an answer is being written is answered next. A
//! flood is answered once: as long as comments of the pull request wait to be read, the answer waits with them, up to a limit,
//! and after each there is a pause.

use sqlx::{AssertSqlSafe, Row};

use super::database::clean;
use super::lease::{self, Of};
use super::{Claim, Fenced, Lease, Store, StoreError};

/// What a comment asks the answer to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The forge's name in the configuration.
    pub forge: &'a str,
    /// As configured, `owner/name`.
    pub repository: &'a str,
    /// The number of the pull request or issue.
    pub pull: i64,
    /// What was asked last and what came of it, the controller's JSON.
    pub said: &'a str,
    /// It is to be judged afresh first.
    pub afresh: bool,
}

/// The answer on one pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRow {
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The number of the pull request or issue.
    pub pull: i64,
    /// The forge's number for the comment, where it is known.
    pub comment: Option<i64>,
    /// What was asked last and what came of it, the controller's JSON.
    pub said: String,
    /// It is to be judged afresh first.
    pub afresh: bool,
    /// Failed tries to write it.
    pub attempts: i64,
    /// The count that was seen.
    asked: i64,
}

/// An answer that is this holder's to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedAnswer {
    /// Which.
    pub answer: AnswerRow,
    /// The right to write it.
    pub lease: Lease,
}

const COLUMNS: &str = "forge, repository, pull, comment, said, checked, answered, attempts, asked";

impl Store {
    /// Asks for an answer.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn ask(&self, ask: &Ask<'_>, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO answers (forge, repository, pull, said, asked, checked, asked_at) VALUES ($1, $2, $3, $4, 1, $5, $6) \
             ON CONFLICT (forge, repository, pull) DO UPDATE SET said = excluded.said, asked = answers.asked + 1, \
               checked = CASE WHEN excluded.checked = 1 THEN answers.asked + 1 ELSE answers.checked END, \
               asked_at = COALESCE(answers.asked_at, excluded.asked_at)",
        )
        .bind(ask.forge)
        .bind(ask.repository)
        .bind(ask.pull)
        .bind(clean(ask.said))
        .bind(i64::from(ask.afresh))
        .bind(now)
        .execute(&mut *self.db.write().await?)
        .await?;
        Ok(())
    }

    /// The answer on a pull request; `None` where nothing was ever asked.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn answer(&self, forge: &str, repository: &str, pull: i64) -> Result<Option<AnswerRow>, StoreError> {
        let statement = format!("SELECT {COLUMNS} FROM answers WHERE forge = $1 AND repository = $2 AND pull = $3");
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(forge)
            .bind(repository)
            .bind(pull)
            .fetch_optional(&self.db.pool)
            .await?;
        Ok(row.as_ref().map(answer))
    }

    /// Leases answers of one forge that are to be written to a holder, the longest waiting first. Those of pull requests with
    /// comments that wait to be read are left, unless they were asked for before `gathered` (Unix milliseconds).
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is leased.
    pub async fn claim_answers(&self, claim: &Claim<'_>, gathered: i64) -> Result<Vec<ClaimedAnswer>, StoreError> {
        let (take, skip_locked) = (lease::TAKE, self.db.skip_locked("OF a"));
        let statement = format!(
            "WITH free AS MATERIALIZED (\
               SELECT a.repository AS r, a.pull AS p FROM answers a WHERE a.forge = $4 AND a.asked > a.answered \
               AND a.not_before <= $3 AND (a.leased_until IS NULL OR a.leased_until <= $3) \
               AND (a.asked_at <= $6 OR NOT EXISTS (SELECT 1 FROM comments c WHERE c.forge = a.forge \
                 AND c.repository = a.repository AND c.pull = a.pull AND c.acted_at IS NULL)) \
               ORDER BY a.asked_at, a.repository, a.pull LIMIT $5 {skip_locked}) \
             UPDATE answers SET {take} FROM free WHERE forge = $4 AND repository = r AND pull = p \
             RETURNING {COLUMNS}, lease, taken_over"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(claim.holder)
            .bind(claim.until)
            .bind(claim.now)
            .bind(claim.forge)
            .bind(claim.most)
            .bind(gathered)
            .fetch_all(&mut *self.db.write().await?)
            .await?;
        let claimed = |row: &sqlx::any::AnyRow| {
            let answer = answer(row);
            let of =
                Of::Answer { forge: answer.forge.clone(), repository: answer.repository.clone(), pull: answer.pull };
            let lease = Lease { of, token: row.get(9), taken_over: row.get::<i64, _>(10) != 0 };
            ClaimedAnswer { answer, lease }
        };
        Ok(rows.iter().map(claimed).collect())
    }

    /// An answer stands on the forge, as this comment; what was asked meanwhile is answered at `not_before`. Gives the lease
    /// back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn answered_held(
        &self,
        claimed: &ClaimedAnswer,
        comment: Option<i64>,
        not_before: i64,
        now: i64,
    ) -> Result<Fenced, StoreError> {
        let answer = &claimed.answer;
        let statement = sqlx::query(
            "UPDATE answers SET comment = $4, answered = $5, asked_at = CASE WHEN asked > $5 THEN $7 ELSE NULL END, \
             attempts = 0, not_before = $6, answered_at = $7 WHERE forge = $1 AND repository = $2 AND pull = $3",
        )
        .bind(answer.forge.as_str())
        .bind(answer.repository.as_str())
        .bind(answer.pull)
        .bind(comment)
        .bind(answer.asked)
        .bind(not_before)
        .bind(now);
        lease::give_back_with(self.db.write().await?, &claimed.lease, statement).await
    }

    /// An answer could not be written: again at `not_before`. Gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn postpone_answer_held(&self, claimed: &ClaimedAnswer, not_before: i64) -> Result<Fenced, StoreError> {
        let answer = &claimed.answer;
        let statement = sqlx::query(
            "UPDATE answers SET attempts = attempts + 1, not_before = $4 \
             WHERE forge = $1 AND repository = $2 AND pull = $3",
        )
        .bind(answer.forge.as_str())
        .bind(answer.repository.as_str())
        .bind(answer.pull)
        .bind(not_before);
        lease::give_back_with(self.db.write().await?, &claimed.lease, statement).await
    }
}

fn answer(row: &sqlx::any::AnyRow) -> AnswerRow {
    AnswerRow {
        forge: row.get(0),
        repository: row.get(1),
        pull: row.get(2),
        comment: row.get(3),
        said: row.get(4),
        afresh: row.get::<i64, _>(5) > row.get::<i64, _>(6),
        attempts: row.get(7),
        asked: row.get(8),
    }
}

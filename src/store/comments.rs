//! Comments that may be commands: each acts once, whoever reads it.

use sqlx::{AssertSqlSafe, Row};

use super::database::clean;
use super::lease::{self, Of};
use super::{Claim, Fenced, Lease, Store, StoreError};

/// A comment that may be a command and has not acted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The forge's number for the comment.
    pub comment: i64,
    /// The number of the pull request or issue that it stands under.
    pub pull: i64,
    /// Failed tries to read or answer it.
    pub attempts: i64,
    /// When it was first heard of, Unix milliseconds.
    pub received_at: i64,
}

/// A comment that is this holder's to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedCommand {
    /// Which.
    pub command: CommandRow,
    /// The right to act on it.
    pub lease: Lease,
}

/// Of `comments o`: none before it waits on the same pull request.
pub(super) const OLDEST: &str = "NOT EXISTS (SELECT 1 FROM comments b WHERE b.forge = o.forge \
     AND b.repository = o.repository AND b.pull = o.pull AND b.comment < o.comment AND b.acted_at IS NULL)";

const ACTED: &str =
    "UPDATE comments SET acted_at = $4, outcome = $5 WHERE forge = $1 AND repository = $2 AND comment = $3";

const POSTPONE: &str = "UPDATE comments SET attempts = attempts + 1, not_before = $4 \
     WHERE forge = $1 AND repository = $2 AND comment = $3";

impl Store {
    /// Leases comments of one forge that wait to be read to a holder, oldest first, of each pull request only its oldest: what
    /// they ask for is done in their order, whoever reads them. One that was taken over may have acted.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is leased.
    pub async fn claim_commands(&self, claim: &Claim<'_>) -> Result<Vec<ClaimedCommand>, StoreError> {
        let (take, skip_locked) = (lease::TAKE, self.db.skip_locked("OF o"));
        let statement = format!(
            "WITH free AS MATERIALIZED (\
               SELECT o.repository AS r, o.comment AS c FROM comments o WHERE o.forge = $4 AND o.acted_at IS NULL \
               AND o.not_before <= $3 AND (o.leased_until IS NULL OR o.leased_until <= $3) AND {OLDEST} \
               ORDER BY o.received_at, o.comment LIMIT $5 {skip_locked}) \
             UPDATE comments SET {take} FROM free WHERE forge = $4 AND repository = r AND comment = c \
             RETURNING forge, repository, comment, pull, attempts, lease, taken_over, received_at"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(claim.holder)
            .bind(claim.until)
            .bind(claim.now)
            .bind(claim.forge)
            .bind(claim.most)
            .fetch_all(&mut *self.db.write().await?)
            .await?;
        let mut claimed: Vec<ClaimedCommand> = rows
            .iter()
            .map(|row| {
                let command = CommandRow {
                    forge: row.get(0),
                    repository: row.get(1),
                    comment: row.get(2),
                    pull: row.get(3),
                    attempts: row.get(4),
                    received_at: row.get(7),
                };
                let of = Of::Comment {
                    forge: command.forge.clone(),
                    repository: command.repository.clone(),
                    comment: command.comment,
                };
                let lease = Lease { of, token: row.get(5), taken_over: row.get::<i64, _>(6) != 0 };
                ClaimedCommand { command, lease }
            })
            .collect();
        claimed.sort_by_key(|claimed| claimed.command.comment);
        Ok(claimed)
    }

    /// A comment has acted, or never will; `outcome` says what it was taken for. Gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn acted_held(&self, claimed: &ClaimedCommand, outcome: &str, now: i64) -> Result<Fenced, StoreError> {
        let command = &claimed.command;
        let statement = sqlx::query(ACTED)
            .bind(command.forge.as_str())
            .bind(command.repository.as_str())
            .bind(command.comment)
            .bind(now)
            .bind(clean(outcome));
        lease::give_back_with(self.db.write().await?, &claimed.lease, statement).await
    }

    /// A comment could not be read or answered: again at `not_before`. Gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn postpone_command_held(&self, claimed: &ClaimedCommand, not_before: i64) -> Result<Fenced, StoreError> {
        let command = &claimed.command;
        let statement = sqlx::query(POSTPONE)
            .bind(command.forge.as_str())
            .bind(command.repository.as_str())
            .bind(command.comment)
            .bind(not_before);
        lease::give_back_with(self.db.write().await?, &claimed.lease, statement).await
    }
}

//! Leases: the right to work on something until a time.
//!
//! Several replicas share one database. Whoever wants to look at a repository, send a status or read a comment claims it
//! first, and nobody else gets it until it is given back or its time has passed. What a holder that stalled does
//! afterwards is harmless: every claim counts the row's `lease` up, and each write of a holder names the count it was
//! given (a fencing token); where it is another by now, nothing is written and the answer is [`Fenced::Lost`].
//!
//! | what | claimed by | given back by |
//! |---|---|---|
//! | a repository that is due | [`Store::claim`], [`Store::claim_named`] | [`Store::settle_held`], [`Store::put_off_held`], [`Store::postpone_held`] |
//! | a status to send | [`Store::claim_unsent`] | [`Store::told_held`], [`Store::not_told_held`] |
//! | a comment to read | [`Store::claim_commands`] | [`Store::acted_held`], [`Store::postpone_command_held`] |
//! | an answer to write | [`Store::claim_answers`] | [`Store::answered_held`], [`Store::postpone_answer_held`] |
//! | a pull request that ends drift | [`Store::claim_pulls`] | [`Store::settle_pull_held`], [`Store::postpone_pull_held`] |
//!
//! [`Store::renew`] and [`Store::release`] are for all of them. Times are the callers' clocks: those of the replicas must agree
//! to well within the length of a lease.
//!
//! Races:
//! - *Two claim at once*: one statement finds and marks the rows, so each row goes to one of them (`FOR UPDATE SKIP LOCKED`
//!   on PostgreSQL; SQLite has one writer at a time).
//! - *A lease ends while its holder still works, and nobody has claimed it*: the holder's writes are valid still. The
//!   token decides, not the clock.
//! - *A holder stalls between sending a status and noting it*: who takes the row over reads the forge first (`doubt`), and
//!   once more at `recheck_at`, because what the other sent may land after that.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, Row, Transaction};

use super::database::{Database, Writing};
use super::{Store, StoreError};

/// What to claim, for whom, until when.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Only of this forge, by its name in the configuration: so each forge gets its share of the workers.
    pub forge: &'a str,
    /// Who claims; people see it. Leases are told apart by their tokens, not by this.
    pub holder: &'a str,
    /// Unix milliseconds.
    pub now: i64,
    /// Unix milliseconds from which others may take it over.
    pub until: i64,
    /// At most so many.
    pub most: i64,
}

/// The right to work on one repository, status, comment, answer or pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) of: Of,
    pub(super) token: i64,
    /// The holder before did not give it back in time: it died, stalls, or is still at it.
    pub taken_over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Repository { forge: String, name: String },
    Status { id: String },
    Comment { forge: String, repository: String, comment: i64 },
    Pull { slot: String, branch: String },
    Answer { forge: String, repository: String, pull: i64 },
}

/// Whether a write that needed a lease was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was lost was not written: somebody else works on it"]
pub enum Fenced {
    /// It was written.
    Done,
    /// Somebody else has the lease by now: nothing was written.
    Lost,
}

impl Fenced {
    pub(super) fn by_rows(written: u64) -> Self {
        if written == 0 { Self::Lost } else { Self::Done }
    }
}

/// `SET` these when a row is claimed: `$1` holder, `$2` until.
pub(super) const TAKE: &str = "lease = lease + 1, leased_by = $1, leased_until = $2, \
     taken_over = CASE WHEN leased_until IS NULL THEN 0 ELSE 1 END";
/// `SET` these when it is given back.
pub(super) const GIVE_BACK: &str = "leased_by = NULL, leased_until = NULL";

impl Store {
    /// Holds on to leases until `until` (Unix milliseconds). Answers for each, in their order, whether it is held still.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then none is renewed.
    pub async fn renew(&self, leases: &[&Lease], until: i64) -> Result<Vec<bool>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.db.write_unsynced().await?;
        let mut tx = connection.begin().await?;
        let mut held = Vec::with_capacity(leases.len());
        for lease in leases {
            held.push(set(&mut tx, lease, "leased_until = $2", Some(until)).await? == Fenced::Done);
        }
        tx.commit().await?;
        Ok(held)
    }

    /// Gives a lease back without having done anything: it can be claimed at once. One that was lost is left alone.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then it ends at its time.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut connection = self.db.write_unsynced().await?;
        let mut tx = connection.begin().await?;
        // Lost or given back before: there is nothing to give back.
        let _ = set(&mut tx, lease, GIVE_BACK, None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends leases now, whoever claims next takes them over: those of a holder that is known to be dead, or all of them
    /// (at the start of the only process that uses the database).
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then they end at their times.
    pub async fn expire_leases(&self, holder: Option<&str>, now: i64) -> Result<(), StoreError> {
        self.expire(&["looks", "wanted", "comments", "answers", "pulls"], holder, now).await
    }

    /// Likewise, of a holder's leases on repositories alone: what else it has may still be on its way to a forge.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then they end at their times.
    pub async fn expire_looks(&self, holder: &str, now: i64) -> Result<(), StoreError> {
        self.expire(&["looks"], Some(holder), now).await
    }

    async fn expire(&self, tables: &[&str], holder: Option<&str>, now: i64) -> Result<(), StoreError> {
        let mut connection = self.db.write_unsynced().await?;
        let mut tx = connection.begin().await?;
        for table in tables {
            let statement = format!(
                "UPDATE {table} SET leased_until = $1 WHERE leased_until > $1 AND ($2 IS NULL OR leased_by = $2)"
            );
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(now).bind(holder).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Sets columns of a leased row, if the lease is held still.
async fn set(
    tx: &mut Transaction<'_, Any>,
    lease: &Lease,
    columns: &str,
    value: Option<i64>,
) -> Result<Fenced, sqlx::Error> {
    let first = if value.is_some() { 3 } else { 2 };
    let (table, row) = match &lease.of {
        Of::Repository { .. } => ("looks", format!("forge = ${first} AND name = ${}", first + 1)),
        Of::Status { .. } => ("wanted", format!("id = ${first}")),
        Of::Comment { .. } => {
            ("comments", format!("forge = ${first} AND repository = ${} AND comment = ${}", first + 1, first + 2))
        }
        Of::Pull { .. } => ("pulls", format!("slot = ${first} AND branch = ${}", first + 1)),
        Of::Answer { .. } => {
            ("answers", format!("forge = ${first} AND repository = ${} AND pull = ${}", first + 1, first + 2))
        }
    };
    let statement = format!("UPDATE {table} SET {columns} WHERE lease = $1 AND leased_until IS NOT NULL AND {row}");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(lease.token);
    if let Some(value) = value {
        query = query.bind(value);
    }
    query = match &lease.of {
        Of::Repository { forge, name } => query.bind(forge.as_str()).bind(name.as_str()),
        Of::Status { id } => query.bind(id.as_str()),
        Of::Comment { forge, repository, comment: number } | Of::Answer { forge, repository, pull: number } => {
            query.bind(forge.as_str()).bind(repository.as_str()).bind(*number)
        }
        Of::Pull { slot, branch } => query.bind(slot.as_str()).bind(branch.as_str()),
    };
    Ok(Fenced::by_rows(query.execute(&mut **tx).await?.rows_affected()))
}

/// Gives a lease back and, where it was held still, runs one statement about what it was for: both or neither.
pub(super) async fn give_back_with(
    mut connection: Writing,
    lease: &Lease,
    statement: Query<'_, Any, AnyArguments>,
) -> Result<Fenced, StoreError> {
    let mut tx = connection.begin().await?;
    if set(&mut tx, lease, GIVE_BACK, None).await? == Fenced::Lost {
        return Ok(Fenced::Lost);
    }
    statement.execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Fenced::Done)
}

/// Whether all of these leases on repositories are held, and stay so until the transaction ends.
pub(super) async fn are_held(
    db: &Database,
    tx: &mut Transaction<'_, Any>,
    leases: &[&Lease],
) -> Result<Fenced, sqlx::Error> {
    // In one order everywhere: two transactions that hold each other up would both fail.
    let mut repositories: Vec<(&str, &str, i64)> = leases
        .iter()
        .filter_map(|lease| match &lease.of {
            Of::Repository { forge, name } => Some((forge.as_str(), name.as_str(), lease.token)),
            Of::Status { .. } | Of::Comment { .. } | Of::Answer { .. } | Of::Pull { .. } => None,
        })
        .collect();
    repositories.sort_unstable();
    for (forge, name, token) in repositories {
        let statement = format!(
            "SELECT lease FROM looks WHERE forge = $1 AND name = $2 AND lease = $3 AND leased_until IS NOT NULL {}",
            db.for_share()
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(forge)
            .bind(name)
            .bind(token)
            .fetch_optional(&mut **tx)
            .await?;
        if row.is_none_or(|row| row.get::<i64, _>(0) != token) {
            return Ok(Fenced::Lost);
        }
    }
    Ok(Fenced::Done)
}

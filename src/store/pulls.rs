//! What is known of the pull requests that end drift: one row for each gate (or group of gates) and branch of its consumer.
//!
//! A row says what was last seen and done, so that pages can tell it, an answer that was lost can be looked for, and nothing is
//! put on a pull request twice. What *holds* is read from the forge each time. Rows are hinted at, leased and settled like
//! repositories (see [`super::lease`]).

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::database::{Holds, clean, json};
use super::lease::{self, Of};
use super::{Claim, Fenced, Lease, Store, StoreError};

/// Which pull request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PullSlot {
    /// The gate's id, or the name of the group that shares it.
    pub slot: String,
    /// The branch of the consumer.
    pub branch: String,
    /// The consumer's forge, by its name in the configuration.
    pub forge: String,
    /// The consumer, as configured.
    pub repository: String,
}

/// What is noted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullNote {
    /// The controller's word for how it stands.
    pub state: String,
    /// The same for people, where there is more to say.
    pub words: String,
    /// When the drift that holds now was first seen, Unix milliseconds.
    pub since: Option<i64>,
    /// The source commit that it adopts.
    pub source: Option<String>,
    /// The repository that it is in, `forge/owner/name` as configured.
    pub written: Option<String>,
    /// Its branch.
    pub head: Option<String>,
    /// The last commit of ours on that branch.
    pub tip: Option<String>,
    /// Its number.
    pub pull: Option<i64>,
    /// Labels, reviewers and assignees were put on it.
    pub dressed: bool,
    /// Who closed it, where that was not us.
    pub closed_by: Option<String>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRow {
    /// Which.
    pub slot: PullSlot,
    /// What is noted of it.
    pub note: PullNote,
    /// When that last changed, Unix milliseconds; 0: never.
    pub changed_at: i64,
    /// Failed tries.
    pub attempts: i64,
    /// Why the last one failed, in words.
    pub trouble: Option<String>,
}

/// A row that is this holder's to work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedPull {
    /// As it was.
    pub row: PullRow,
    /// A person asked for it now.
    pub forced: bool,
    /// The right to write it.
    pub lease: Lease,
    hinted: i64,
}

const COLUMNS: &str = "slot, branch, forge, repository, state, words, since, source, written, head, tip, pull, dressed, \
     closed_by, changed_at, attempts, trouble";

/// `SET` a note: `$1` to `$10`; `$11` is the time. The time of the last change moves only with what people see.
const NOTE: &str = "changed_at = CASE WHEN state = $1 AND words = $2 AND COALESCE(pull, 0) = COALESCE($8, 0) \
       AND changed_at > 0 THEN changed_at ELSE $11 END, \
     state = $1, words = $2, since = $3, source = $4, written = $5, head = $6, tip = $7, pull = $8, dressed = $9, \
     closed_by = $10";

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bind_note<'q>(query: Query<'q>, note: &'q PullNote, now: i64) -> Query<'q> {
    query
        .bind(clean(&note.state))
        .bind(clean(&note.words))
        .bind(note.since)
        .bind(note.source.as_deref())
        .bind(note.written.as_deref())
        .bind(note.head.as_deref())
        .bind(note.tip.as_deref())
        .bind(note.pull)
        .bind(i64::from(note.dressed))
        .bind(note.closed_by.as_deref().map(clean))
        .bind(now)
}

impl Store {
    /// Hints that pull requests are to be looked at; `forced`: a person asks for it now, whatever speaks against it.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn hint_pulls(&self, slots: &[PullSlot], forced: bool) -> Result<(), StoreError> {
        if slots.is_empty() {
            return Ok(());
        }
        let mut slots: Vec<&PullSlot> = slots.iter().collect();
        // In one order: two that hint at the same rows would else hold each other up.
        slots.sort();
        slots.dedup();
        let rows: Vec<(&str, &str, &str, &str)> = slots
            .iter()
            .map(|of| (of.slot.as_str(), of.branch.as_str(), of.forge.as_str(), of.repository.as_str()))
            .collect();
        let new = self.db.rows(
            1,
            &[("slot", Holds::Text), ("branch", Holds::Text), ("forge", Holds::Text), ("repository", Holds::Text)],
        );
        let statement = format!(
            "INSERT INTO pulls (slot, branch, forge, repository, hinted, forced) \
             SELECT slot, branch, forge, repository, 1, $2 FROM {new} AS new WHERE true ORDER BY slot, branch \
             ON CONFLICT (slot, branch) DO UPDATE SET hinted = pulls.hinted + 1, \
               forced = CASE WHEN excluded.forced > 0 THEN pulls.hinted + 1 ELSE pulls.forced END, \
               not_before = CASE WHEN excluded.forced > 0 THEN 0 ELSE pulls.not_before END"
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(json(&rows))
            .bind(i64::from(forced))
            .execute(&mut *self.db.write().await?)
            .await?;
        Ok(())
    }

    /// Puts rows into a state and hints at them, unless they are in it or somebody works on them at `now` (Unix milliseconds).
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn mark_pulls(&self, slots: &[PullSlot], state: &str, now: i64) -> Result<(), StoreError> {
        let rows: Vec<(&str, &str)> = slots.iter().map(|of| (of.slot.as_str(), of.branch.as_str())).collect();
        let marked = self.db.rows(1, &[("s", Holds::Text), ("b", Holds::Text)]);
        let statement = format!(
            "UPDATE pulls SET state = $2, hinted = hinted + 1 FROM {marked} AS marked \
             WHERE slot = s AND branch = b AND state <> $2 AND (leased_until IS NULL OR leased_until <= $3)"
        );
        let mut connection = self.db.write().await?;
        sqlx::query(AssertSqlSafe(statement)).bind(json(&rows)).bind(state).bind(now).execute(&mut *connection).await?;
        Ok(())
    }

    /// Leases due rows of one forge's consumers to a holder, the longest waiting first; those in the state `anywhere` also where
    /// the consumer is not configured.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is leased.
    pub async fn claim_pulls(&self, claim: &Claim<'_>, anywhere: &str) -> Result<Vec<ClaimedPull>, StoreError> {
        let names = self.registered_names(claim.forge).unwrap_or_else(|| "[]".to_owned());
        let (take, skip_locked) = (lease::TAKE, self.db.skip_locked(""));
        let statement = format!(
            "WITH free AS MATERIALIZED (\
               SELECT slot AS s, branch AS b FROM pulls WHERE forge = $4 AND (repository IN {} OR state = $7) \
               AND ((hinted > settled AND not_before <= $3) OR (look_at IS NOT NULL AND look_at <= $3)) \
               AND (leased_until IS NULL OR leased_until <= $3) \
               ORDER BY not_before, slot, branch LIMIT $6 {skip_locked}) \
             UPDATE pulls SET {take} FROM free WHERE slot = s AND branch = b \
             RETURNING {COLUMNS}, lease, taken_over, hinted, CASE WHEN forced > settled THEN 1 ELSE 0 END",
            self.db.names(5)
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(claim.holder)
            .bind(claim.until)
            .bind(claim.now)
            .bind(claim.forge)
            .bind(names)
            .bind(claim.most)
            .bind(anywhere)
            .fetch_all(&mut *self.db.write().await?)
            .await?;
        Ok(rows.iter().map(claimed).collect())
    }

    /// Notes what is about to be done, or was done, and goes on holding it, until `until` (Unix milliseconds).
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn note_pull_held(
        &self,
        held: &ClaimedPull,
        note: &PullNote,
        now: i64,
        until: i64,
    ) -> Result<Fenced, StoreError> {
        self.write_pull(held, note, now, "leased_until = $12", until).await
    }

    /// It is as it should be, as of all hints that the claim saw; again at `look_at` even without a hint. Gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn settle_pull_held(
        &self,
        held: &ClaimedPull,
        note: &PullNote,
        now: i64,
        look_at: Option<i64>,
    ) -> Result<Fenced, StoreError> {
        let give_back = lease::GIVE_BACK;
        let look_at = look_at.map_or("NULL".to_owned(), |at| at.to_string());
        let columns =
            format!("{give_back}, settled = $12, look_at = {look_at}, attempts = 0, not_before = 0, trouble = NULL");
        self.write_pull(held, note, now, &columns, held.hinted).await
    }

    /// It could not be done: again at `not_before` (Unix milliseconds). Gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn postpone_pull_held(
        &self,
        held: &ClaimedPull,
        note: &PullNote,
        why: &str,
        now: i64,
        not_before: i64,
    ) -> Result<Fenced, StoreError> {
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        let give_back = lease::GIVE_BACK;
        let statement = format!(
            "UPDATE pulls SET {give_back}, attempts = attempts + 1, not_before = $1, look_at = NULL, trouble = $2, \
               hinted = CASE WHEN hinted > settled THEN hinted ELSE settled + 1 END \
             WHERE slot = $3 AND branch = $4 AND lease = $5 AND leased_until IS NOT NULL"
        );
        let of = &held.row.slot;
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(not_before)
            .bind(clean(why))
            .bind(of.slot.as_str())
            .bind(of.branch.as_str())
            .bind(held.lease.token)
            .execute(&mut *tx)
            .await?;
        if Fenced::by_rows(done.rows_affected()) == Fenced::Lost {
            return Ok(Fenced::Lost);
        }
        let statement = format!("UPDATE pulls SET {NOTE} WHERE slot = $12 AND branch = $13");
        bind_note(sqlx::query(AssertSqlSafe(statement)), note, now)
            .bind(of.slot.as_str())
            .bind(of.branch.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Fenced::Done)
    }

    /// Writes a note and more columns, of which `$12` is a number, where the lease is held.
    async fn write_pull(
        &self,
        held: &ClaimedPull,
        note: &PullNote,
        now: i64,
        columns: &str,
        number: i64,
    ) -> Result<Fenced, StoreError> {
        let statement = format!(
            "UPDATE pulls SET {NOTE}, {columns} WHERE slot = $13 AND branch = $14 AND lease = $15 \
             AND leased_until IS NOT NULL"
        );
        let of = &held.row.slot;
        let done = bind_note(sqlx::query(AssertSqlSafe(statement)), note, now)
            .bind(number)
            .bind(of.slot.as_str())
            .bind(of.branch.as_str())
            .bind(held.lease.token)
            .execute(&mut *self.db.write().await?)
            .await?;
        Ok(Fenced::by_rows(done.rows_affected()))
    }

    /// All rows, by slot and branch.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn pulls(&self) -> Result<Vec<PullRow>, StoreError> {
        pulls(&self.db).await
    }
}

pub(super) async fn pulls(db: &super::Database) -> Result<Vec<PullRow>, StoreError> {
    let statement = format!("SELECT {COLUMNS} FROM pulls ORDER BY slot, branch");
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&db.pool).await?;
    Ok(rows.iter().map(pull).collect())
}

fn pull(row: &AnyRow) -> PullRow {
    PullRow {
        slot: PullSlot { slot: row.get(0), branch: row.get(1), forge: row.get(2), repository: row.get(3) },
        note: PullNote {
            state: row.get(4),
            words: row.get(5),
            since: row.get(6),
            source: row.get(7),
            written: row.get(8),
            head: row.get(9),
            tip: row.get(10),
            pull: row.get(11),
            dressed: row.get::<i64, _>(12) != 0,
            closed_by: row.get(13),
        },
        changed_at: row.get(14),
        attempts: row.get(15),
        trouble: row.get(16),
    }
}

fn claimed(row: &AnyRow) -> ClaimedPull {
    let pull = pull(row);
    let of = Of::Pull { slot: pull.slot.slot.clone(), branch: pull.slot.branch.clone() };
    let lease = Lease { of, token: row.get(17), taken_over: row.get::<i64, _>(18) != 0 };
    ClaimedPull { row: pull, lease, hinted: row.get(19), forced: row.get::<i64, _>(20) != 0 }
}

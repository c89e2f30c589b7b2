//! What each status should say, what the forge was last told, what it said before, and the reports behind it.

use std::collections::{BTreeMap, HashMap};

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::database::{Database, Holds, clean, json};
use super::lease::{self, Of};
use super::{Claim, Fenced, Lease, Store, StoreError};

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
    /// JSON, the controller's: a list of objects, whose `report` names the report behind each.
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

/// A status that is this holder's to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What the forge should say. Where `doubt` is not 0, as it is in every row that was taken over, the forge is read before
    /// anything is written.
    pub row: WantedRow,
    /// The right to send it.
    pub lease: Lease,
    /// Unix milliseconds.
    claimed_at: i64,
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

/// The forge does not say what it should.
pub(super) const UNSENT: &str = "(told_state IS NULL OR told_state <> state OR told_description <> description)";

pub(super) const COLUMNS: &str = "id, forge, repository, forge_id, sha, context, state, description, url, judgements, decided_at, \
     head, told_state, told_description, told_at, attempts, trouble, doubt";

macro_rules! select {
    ($rest:literal) => {
        sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM wanted {}", $rest)))
    };
}

impl Store {
    /// Keeps decisions with their reports, in one transaction, if all of these leases on repositories are held: those of the
    /// repositories that the decisions are for. Where one was lost nothing is kept: whoever has it now read the forge later.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn decide_held(&self, decisions: &[Judged], held: &[&Lease]) -> Result<Fenced, StoreError> {
        if decisions.is_empty() {
            return Ok(Fenced::Done);
        }
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        if lease::are_held(&self.db, &mut tx, held).await? == Fenced::Lost {
            return Ok(Fenced::Lost);
        }
        keep(&self.db, &mut tx, decisions).await?;
        tx.commit().await?;
        Ok(Fenced::Done)
    }

    /// Of a repository's keys only these are heads from `now` on (Unix milliseconds), if the lease on it is held; what is
    /// unsent for others is dropped.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn heads_held(&self, held: &Lease, ids: &[String], now: i64) -> Result<Fenced, StoreError> {
        let Of::Repository { forge, name } = &held.of else { return Ok(Fenced::Lost) };
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        if lease::are_held(&self.db, &mut tx, &[held]).await? == Fenced::Lost {
            return Ok(Fenced::Lost);
        }
        let statement = format!(
            "UPDATE wanted SET head = 0, left_at = $4 \
             WHERE forge = $1 AND repository = $2 AND head = 1 AND id NOT IN {}",
            self.db.names(3)
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(forge.as_str())
            .bind(name.as_str())
            .bind(json(ids))
            .bind(now)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Fenced::Done)
    }

    /// These keys are heads no longer, from `now` on (Unix milliseconds).
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn leave(&self, ids: &[String], now: i64) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let statement =
            format!("UPDATE wanted SET head = 0, left_at = $2 WHERE head = 1 AND id IN {}", self.db.names(1));
        let mut connection = self.db.write().await?;
        sqlx::query(AssertSqlSafe(statement)).bind(json(ids)).bind(now).execute(&mut *connection).await?;
        Ok(())
    }

    /// Leases unsent statuses of one forge to a holder: those of all its repositories in turn, so that one with thousands
    /// holds up nobody, the longest waiting first. No status is leased to two at once. A row that was taken over is in doubt,
    /// and is read once more from `recheck_at` on (Unix milliseconds): by then nothing that its last holder sent may be
    /// under way any more.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is leased.
    pub async fn claim_unsent(&self, claim: &Claim<'_>, recheck_at: i64) -> Result<Vec<Outgoing>, StoreError> {
        let (take, skip_locked) = (lease::TAKE, self.db.skip_locked(""));
        // Two questions, each with an index of its own: one with OR would read every head there is. Where it is asked again,
        // of the few rows that were found, the forge is not named: its index would be taken instead of theirs.
        let free = "head = 1 AND (leased_until IS NULL OR leased_until <= $3)";
        let due = format!("{free} AND (({UNSENT} AND not_before <= $3) OR recheck_at <= $3)");
        let of_forge = format!("SELECT id, forge_id, not_before, decided_at FROM wanted WHERE forge = $4 AND {free}");
        let waiting = format!(
            "{of_forge} AND {UNSENT} AND not_before <= $3 \
             UNION {of_forge} AND recheck_at IS NOT NULL AND recheck_at <= $3"
        );
        let statement = format!(
            "WITH free AS MATERIALIZED (\
               SELECT id AS claimed FROM wanted WHERE {due} AND id IN (\
                 SELECT id FROM (\
                   SELECT id, not_before, decided_at, ROW_NUMBER() OVER (\
                     PARTITION BY forge_id ORDER BY not_before, decided_at, id) AS turn FROM ({waiting}) AS waiting) \
                   AS turns \
                 ORDER BY turn, not_before, decided_at LIMIT $5) {skip_locked}) \
             UPDATE wanted SET {take}, \
               doubt = doubt + CASE WHEN leased_until IS NULL AND (recheck_at IS NULL OR recheck_at > $3) THEN 0 ELSE 1 END, \
               recheck_at = CASE WHEN leased_until IS NULL THEN recheck_at ELSE $6 END \
             FROM free WHERE id = claimed RETURNING {COLUMNS}, lease, taken_over"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(claim.holder)
            .bind(claim.until)
            .bind(claim.now)
            .bind(claim.forge)
            .bind(claim.most)
            .bind(recheck_at)
            .fetch_all(&mut *self.db.write_unsynced().await?)
            .await?;
        let mut claimed: Vec<Outgoing> = rows
            .iter()
            .map(|row| {
                let (token, taken_over) = (row.get(18), row.get::<i64, _>(19) != 0);
                let row = wanted(row);
                let lease = Lease { of: Of::Status { id: row.id.clone() }, token, taken_over };
                Outgoing { row, lease, claimed_at: claim.now }
            })
            .collect();
        claimed.sort_by_key(|claimed| claimed.row.decided_at);
        Ok(claimed)
    }

    /// The forge has this status now. A doubt that came while it was being told remains: what the forge has is read again.
    /// Gives the lease back.
    ///
    /// Where the lease was lost, what the forge has now is not known to whoever has it: call [`Store::doubt`].
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn told_held(&self, sent: &Outgoing, now: i64) -> Result<Fenced, StoreError> {
        let give_back = lease::GIVE_BACK;
        // A doubt that came meanwhile keeps the row unsent; what was doubted before is answered.
        let statement = format!(
            "UPDATE wanted SET {give_back}, \
               told_state = CASE WHEN doubt = $5 THEN $2 ELSE told_state END, \
               told_description = CASE WHEN doubt = $5 THEN $3 ELSE told_description END, \
               told_at = CASE WHEN doubt = $5 THEN $4 ELSE told_at END, \
               recheck_at = CASE WHEN recheck_at <= $7 THEN NULL ELSE recheck_at END, parked_until = NULL, \
               doubt = CASE WHEN doubt = $5 THEN 0 ELSE doubt END, attempts = 0, not_before = 0, trouble = NULL \
             WHERE id = $1 AND lease = $6 AND leased_until IS NOT NULL"
        );
        let row = &sent.row;
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(row.id.as_str())
            .bind(row.state.as_str())
            .bind(row.description.as_str())
            .bind(now)
            .bind(row.doubt)
            .bind(sent.lease.token)
            .bind(sent.claimed_at)
            .execute(&mut *self.db.write_unsynced().await?)
            .await?;
        Ok(Fenced::by_rows(done.rows_affected()))
    }

    /// The forge could not be told: again at `not_before`. Gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn not_told_held(&self, sent: &Outgoing, why: &str, not_before: i64) -> Result<Fenced, StoreError> {
        let give_back = lease::GIVE_BACK;
        let statement = format!(
            "UPDATE wanted SET {give_back}, attempts = attempts + 1, not_before = $2, trouble = $3, doubt = doubt + 1, \
               recheck_at = CASE WHEN recheck_at <= $2 THEN $2 ELSE recheck_at END \
             WHERE id = $1 AND lease = $4 AND leased_until IS NOT NULL"
        );
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(sent.row.id.as_str())
            .bind(not_before)
            .bind(clean(why))
            .bind(sent.lease.token)
            .execute(&mut *self.db.write_unsynced().await?)
            .await?;
        Ok(Fenced::by_rows(done.rows_affected()))
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
        .execute(&mut *self.db.write().await?)
        .await?;
        Ok(())
    }

    /// One key by its id.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn wanted(&self, id: &str) -> Result<Option<WantedRow>, StoreError> {
        let row = select!("WHERE id = $1").bind(id).fetch_optional(&self.db.pool).await?;
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
                    .fetch_all(&self.db.pool)
                    .await?
            }
            None => select!("WHERE head = 1 ORDER BY forge, repository, context, sha").fetch_all(&self.db.pool).await?,
        };
        Ok(rows.iter().map(wanted).collect())
    }

    /// All keys of a forge that are heads of repositories which are not registered: what earlier configurations left.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn left_over(&self, forge: &str) -> Result<Vec<WantedRow>, StoreError> {
        let names = self.registered_names(forge).unwrap_or_else(|| json::<[&str]>(&[]));
        let rest = format!("WHERE head = 1 AND forge = $1 AND repository NOT IN {}", self.db.names(2));
        let statement = format!("SELECT {COLUMNS} FROM wanted {rest} ORDER BY repository, context, sha");
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(forge).bind(names).fetch_all(&self.db.pool).await?;
        Ok(rows.iter().map(wanted).collect())
    }

    /// What a key said, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn history(&self, id: &str, most: i64) -> Result<Vec<HistoryRow>, StoreError> {
        history(&self.db, id, most).await
    }

    /// Reports by their keys, as JSON; those that are not kept are absent.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn reports(&self, keys: &[&str]) -> Result<HashMap<String, String>, StoreError> {
        let statement = format!("SELECT key, report FROM reports WHERE key IN {}", self.db.names(1));
        let rows = sqlx::query(AssertSqlSafe(statement)).bind(json(keys)).fetch_all(&self.db.pool).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// A report by its key, as JSON.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn report(&self, key: &str) -> Result<Option<String>, StoreError> {
        let row =
            sqlx::query("SELECT report FROM reports WHERE key = $1").bind(key).fetch_optional(&self.db.pool).await?;
        Ok(row.map(|row| row.get(0)))
    }
}

/// Columns of a list of decisions.
const DECISIONS: [(&str, Holds); 12] = [
    ("id", Holds::Text),
    ("forge", Holds::Text),
    ("repository", Holds::Text),
    ("forge_id", Holds::Number),
    ("sha", Holds::Text),
    ("context", Holds::Text),
    ("state", Holds::Text),
    ("description", Holds::Text),
    ("url", Holds::Text),
    ("judgements", Holds::Text),
    ("decided_at", Holds::Number),
    ("doubt", Holds::Number),
];

/// Keeps decisions, however many, by a few statements: on PostgreSQL each costs a round trip.
async fn keep(db: &Database, tx: &mut Transaction<'_, Any>, decisions: &[Judged]) -> Result<(), sqlx::Error> {
    // One row for a key, and reports in one order: two who keep the same one must not hold each other up.
    let by_id: BTreeMap<&str, &Judged> = decisions.iter().map(|decision| (decision.id.as_str(), decision)).collect();
    let reports: BTreeMap<&str, (&str, i64)> = decisions
        .iter()
        .flat_map(|decision| {
            decision.reports.iter().map(|(key, report)| (key.as_str(), (report.as_str(), decision.decided_at)))
        })
        .collect();
    if !reports.is_empty() {
        let reports: Vec<(&str, &str, i64)> =
            reports.into_iter().map(|(key, (report, at))| (key, report, at)).collect();
        let rows = db.rows(1, &[("key", Holds::Text), ("report", Holds::Text), ("created_at", Holds::Number)]);
        let statement = format!(
            "INSERT INTO reports (key, report, created_at) SELECT key, report, created_at FROM {rows} AS new \
             WHERE true ON CONFLICT (key) DO UPDATE SET created_at = excluded.created_at"
        );
        sqlx::query(AssertSqlSafe(statement)).bind(json(&reports)).execute(&mut **tx).await?;
    }
    let decisions: Vec<_> = by_id
        .values()
        .map(|decision| {
            let Judged { id, forge, repository, forge_id, sha, context, state, description, url, .. } = decision;
            let Judged { judgements, decided_at, is_new, .. } = decision;
            let doubt = i64::from(!is_new);
            (id, forge, repository, forge_id, sha, context, state, description, url, judgements, decided_at, doubt)
        })
        .collect();
    let decisions = json(&decisions);
    let new = format!("{} AS new", db.rows(1, &DECISIONS));
    readdress(tx, &new, &decisions).await?;
    let history = format!(
        "INSERT INTO history (wanted, state, description, decided_at) \
         SELECT new.id, new.state, new.description, new.decided_at FROM {new} LEFT JOIN wanted AS old ON old.id = new.id \
         WHERE old.id IS NULL OR old.state <> new.state OR old.description <> new.description"
    );
    sqlx::query(AssertSqlSafe(history)).bind(decisions.as_str()).execute(&mut **tx).await?;
    // A new want starts afresh: the old one's failures say nothing about it.
    let same = "wanted.state = excluded.state AND wanted.description = excluded.description";
    // While the old one is on its way to the forge nobody knows what stands there: who sends it may die before it notes that, and
    // the new one may be what was told before.
    let wanted = format!(
        "INSERT INTO wanted (id, forge, repository, forge_id, sha, context, state, description, url, judgements, \
           decided_at, doubt) \
         SELECT id, forge, repository, forge_id, sha, context, state, description, url, judgements, decided_at, doubt \
         FROM {new} WHERE true \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, description = excluded.description, \
           url = excluded.url, judgements = excluded.judgements, head = 1, left_at = NULL, decided_at = excluded.decided_at, \
           repository = excluded.repository, \
           told_state = CASE WHEN {same} OR wanted.leased_until IS NULL THEN wanted.told_state ELSE NULL END, \
           attempts = CASE WHEN {same} THEN wanted.attempts ELSE 0 END, \
           not_before = CASE WHEN {same} THEN wanted.not_before ELSE 0 END"
    );
    sqlx::query(AssertSqlSafe(wanted)).bind(decisions).execute(&mut **tx).await?;
    Ok(())
}

/// The id of a key changes with the link secret: what was kept under the old one comes along.
async fn readdress(tx: &mut Transaction<'_, Any>, new: &str, decisions: &str) -> Result<(), sqlx::Error> {
    let moved = format!(
        "(SELECT old.id AS before, new.id AS now FROM {new} JOIN wanted AS old ON old.forge = new.forge \
           AND old.forge_id = new.forge_id AND old.sha = new.sha AND old.context = new.context \
         WHERE old.id <> new.id) AS moved"
    );
    let any = format!("SELECT COUNT(*) FROM {moved}");
    let any = sqlx::query(AssertSqlSafe(any)).bind(decisions).fetch_one(&mut **tx).await?;
    if any.get::<i64, _>(0) == 0 {
        return Ok(());
    }
    for statement in [
        format!("UPDATE history SET wanted = moved.now FROM {moved} WHERE wanted = moved.before"),
        format!("UPDATE wanted SET id = moved.now FROM {moved} WHERE wanted.id = moved.before"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).bind(decisions).execute(&mut **tx).await?;
    }
    Ok(())
}

pub(super) fn wanted(row: &AnyRow) -> WantedRow {
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

pub(super) async fn history(db: &Database, id: &str, most: i64) -> Result<Vec<HistoryRow>, StoreError> {
    let rows =
        sqlx::query("SELECT state, description, decided_at FROM history WHERE wanted = $1 ORDER BY seq DESC LIMIT $2")
            .bind(id)
            .bind(most)
            .fetch_all(&db.pool)
            .await?;
    Ok(rows
        .iter()
        .map(|row| HistoryRow { state: row.get(0), description: row.get(1), decided_at: row.get(2) })
        .collect())
}

//! The queue: which repositories must be looked at, and what is known of them.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::comments::OLDEST;
use super::database::{Database, Holds, json};
use super::lease::{self, Of};
use super::{Claim, Fenced, Lease, Store, StoreError};

/// What a hint asks for; each includes what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Judge the heads that are known: the other side of a gate changed.
    Decide,
    /// Read the repository first: the timer asks.
    Read,
    /// Read the other sides of its gates as well: a delivery says that something changed.
    ReadBoth,
}

impl Level {
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Decide => 0,
            Self::Read => 1,
            Self::ReadBoth => 2,
        }
    }

    fn of(number: i64) -> Self {
        match number {
            ..=0 => Self::Decide,
            1 => Self::Read,
            2.. => Self::ReadBoth,
        }
    }
}

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
    /// The most that a hint since the last settling asks for.
    pub level: Level,
    /// The forge's id of the newest delivery among those hints; `None` where the timer or the other side hinted alone.
    pub delivery: Option<String>,
    /// It was to be looked at again by now, hint or not: see [`Store::settle_held`] and [`Store::put_off_held`].
    pub again: bool,
}

/// A gated repository in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRow {
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured.
    pub name: String,
    /// Hints not settled yet.
    pub waiting: bool,
    /// Looks that failed in a row.
    pub attempts: i64,
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

/// A repository that is this holder's to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Which, and what it waits for.
    pub due: Due,
    /// The right to decide its statuses and to settle it.
    pub lease: Lease,
}

/// Columns of a list of repositories.
const NAMES: [(&str, Holds); 2] = [("forge", Holds::Text), ("name", Holds::Text)];

const SETTLE: &str = "UPDATE repositories SET settled = $3, attempts = 0, not_before = 0, look_at = $4, \
     hinted_at = CASE WHEN hinted > $3 THEN hinted_at ELSE NULL END, \
     level = CASE WHEN hinted > $3 THEN level ELSE 0 END, \
     delivery = CASE WHEN hinted > $3 THEN delivery ELSE NULL END WHERE forge = $1 AND name = $2";

const PUT_OFF: &str = "UPDATE repositories SET settled = $3, hinted = hinted + 1, attempts = 0, not_before = 0, look_at = $4, \
     hinted_at = $4 WHERE forge = $1 AND name = $2";

const POSTPONE: &str = "UPDATE repositories SET attempts = attempts + 1, not_before = $3, look_at = NULL, \
     hinted = CASE WHEN hinted > settled THEN hinted ELSE settled + 1 END WHERE forge = $1 AND name = $2";

impl Store {
    /// Makes the configured repositories known; rows of others stay but are never claimed by this store.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn register(&self, repositories: &[(String, String)]) -> Result<(), StoreError> {
        let rows = self.db.rows(1, &NAMES);
        let mut connection = self.db.write().await?;
        let mut tx = connection.begin().await?;
        for table in ["repositories", "looks"] {
            let statement = format!(
                "INSERT INTO {table} (forge, name) SELECT forge, name FROM {rows} AS named WHERE true \
                 ORDER BY forge, name ON CONFLICT DO NOTHING"
            );
            sqlx::query(AssertSqlSafe(statement)).bind(json(repositories)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        let mut by_forge: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (forge, name) in repositories {
            by_forge.entry(forge).or_default().push(name);
        }
        let by_forge = by_forge.into_iter().map(|(forge, names)| (forge.to_owned(), json(&names))).collect();
        *self.registered.write().unwrap_or_else(PoisonError::into_inner) = by_forge;
        Ok(())
    }

    /// What waits for its next try on a forge is due now: looks, statuses, comments, answers and pull requests. One that is
    /// parked stays so.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written.
    pub async fn try_now(&self, forge: &str) -> Result<(), StoreError> {
        for statement in [
            "UPDATE repositories SET not_before = 0 WHERE forge = $1 AND hinted > settled AND not_before > 0",
            "UPDATE comments SET not_before = 0 WHERE forge = $1 AND acted_at IS NULL AND not_before > 0",
            "UPDATE pulls SET not_before = 0 WHERE forge = $1 AND hinted > settled AND not_before > 0",
            "UPDATE answers SET not_before = 0 WHERE forge = $1 AND asked > answered AND attempts > 0",
            "UPDATE wanted SET not_before = 0 WHERE forge = $1 AND head = 1 AND not_before > 0 AND parked_until IS NULL",
        ] {
            sqlx::query(statement).bind(forge).execute(&mut *self.db.write().await?).await?;
        }
        Ok(())
    }

    /// Hints at repositories without a delivery.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn hint(&self, repositories: &[(String, String)], level: Level, now: i64) -> Result<(), StoreError> {
        let hints: Vec<Hint<'_>> = repositories
            .iter()
            .map(|(forge, name)| (forge.as_str(), name.as_str(), now, level.number(), None))
            .collect();
        let statement = hint_statement(&self.db, 1);
        let mut connection = self.db.write().await?;
        sqlx::query(AssertSqlSafe(statement)).bind(json(&hints)).execute(&mut *connection).await?;
        Ok(())
    }

    /// Leases due repositories of one forge to a holder, oldest hint first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is leased.
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Vec<Claimed>, StoreError> {
        let Some(names) = self.registered_names(claim.forge) else { return Ok(Vec::new()) };
        let due = "((hinted > settled AND not_before <= $3) OR (look_at IS NOT NULL AND look_at <= $3))";
        let rows = self.db.names(4);
        let which = format!("{due} AND r.forge = $5 AND r.name IN {rows}");
        self.claim_where(&which, claim, names).await
    }

    /// The configured repositories of a forge, as [`Database::names`] takes them.
    pub(super) fn registered_names(&self, forge: &str) -> Option<String> {
        self.registered.read().unwrap_or_else(PoisonError::into_inner).get(forge).cloned()
    }

    /// Leases these repositories to a holder, due or not, as far as nobody else has them: the other sides of a gate, say.
    /// `claim.most` counts here as well.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is leased.
    pub async fn claim_named(&self, claim: &Claim<'_>, names: &[&str]) -> Result<Vec<Claimed>, StoreError> {
        let which = format!("r.forge = $5 AND r.name IN {}", self.db.names(4));
        self.claim_where(&which, claim, json(names)).await
    }

    /// `which` is about `repositories r`, with `$3` the time, `$4` names and `$5` the forge.
    async fn claim_where(&self, which: &str, claim: &Claim<'_>, names: String) -> Result<Vec<Claimed>, StoreError> {
        let (take, skip_locked) = (lease::TAKE, self.db.skip_locked("OF l"));
        let of = |column: &str| {
            format!("(SELECT r.{column} FROM repositories r WHERE r.forge = looks.forge AND r.name = looks.name)")
        };
        let statement = format!(
            "WITH free AS MATERIALIZED (\
               SELECT l.forge AS f, l.name AS n FROM repositories r JOIN looks l ON l.forge = r.forge AND l.name = r.name \
               WHERE {which} AND (l.leased_until IS NULL OR l.leased_until <= $3) \
               ORDER BY COALESCE(r.hinted_at, $3), r.forge, r.name LIMIT $6 {skip_locked}) \
             UPDATE looks SET {take} FROM free WHERE forge = f AND name = n \
             RETURNING forge, name, lease, taken_over, {}, {}, {}, {}, {}, \
               CASE WHEN {} <= $3 THEN 1 ELSE 0 END",
            of("hinted"),
            of("hinted_at"),
            of("attempts"),
            of("level"),
            of("delivery"),
            of("look_at")
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(claim.holder)
            .bind(claim.until)
            .bind(claim.now)
            .bind(names)
            .bind(claim.forge)
            .bind(claim.most)
            .fetch_all(&mut *self.db.write_unsynced().await?)
            .await?;
        let mut claimed: Vec<Claimed> = rows.iter().map(claimed).collect();
        claimed.sort_by_key(|claimed| claimed.due.hinted_at.unwrap_or(claim.now));
        Ok(claimed)
    }

    /// A repository was looked at, with all hints that its claim saw; look again at `look_at` even without a hint. Gives the
    /// lease back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn settle_held(&self, claimed: &Claimed, look_at: Option<i64>) -> Result<Fenced, StoreError> {
        let statement = sqlx::query(SETTLE)
            .bind(claimed.due.forge.as_str())
            .bind(claimed.due.name.as_str())
            .bind(claimed.due.hinted)
            .bind(look_at);
        lease::give_back_with(self.db.write_unsynced().await?, &claimed.lease, statement).await
    }

    /// A part of a look was done, the rest is due now, behind whatever waited before. Gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn put_off_held(&self, claimed: &Claimed, now: i64) -> Result<Fenced, StoreError> {
        let statement = sqlx::query(PUT_OFF)
            .bind(claimed.due.forge.as_str())
            .bind(claimed.due.name.as_str())
            .bind(claimed.due.hinted)
            .bind(now);
        lease::give_back_with(self.db.write_unsynced().await?, &claimed.lease, statement).await
    }

    /// Looking failed: again at `not_before`. Gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be written; then nothing is kept.
    pub async fn postpone_held(&self, claimed: &Claimed, not_before: i64) -> Result<Fenced, StoreError> {
        let statement =
            sqlx::query(POSTPONE).bind(claimed.due.forge.as_str()).bind(claimed.due.name.as_str()).bind(not_before);
        lease::give_back_with(self.db.write_unsynced().await?, &claimed.lease, statement).await
    }

    /// When the next repository falls due, unsent status, waiting comment or pull request too; `None` when nothing waits.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn next_due(&self) -> Result<Option<i64>, StoreError> {
        // What is leased is due when its lease ends, unless it is given back before.
        let statement = format!(
            "SELECT MIN(CASE WHEN leased_until > at THEN leased_until ELSE at END) FROM (\
               SELECT r.not_before AS at, l.leased_until AS leased_until FROM repositories r JOIN looks l \
                 ON l.forge = r.forge AND l.name = r.name WHERE r.hinted > r.settled \
               UNION ALL SELECT r.look_at, l.leased_until FROM repositories r JOIN looks l \
                 ON l.forge = r.forge AND l.name = r.name WHERE r.look_at IS NOT NULL \
               UNION ALL SELECT not_before, leased_until FROM comments o WHERE acted_at IS NULL AND {OLDEST} \
               UNION ALL SELECT not_before, leased_until FROM answers WHERE asked > answered \
               UNION ALL SELECT not_before, leased_until FROM pulls WHERE hinted > settled \
               UNION ALL SELECT look_at, leased_until FROM pulls WHERE look_at IS NOT NULL \
               UNION ALL SELECT recheck_at, leased_until FROM wanted WHERE head = 1 AND recheck_at IS NOT NULL \
               UNION ALL SELECT not_before, leased_until FROM wanted WHERE head = 1 AND \
                 (told_state IS NULL OR told_state <> state OR told_description <> description)) AS waiting"
        );
        Ok(sqlx::query(AssertSqlSafe(statement)).fetch_one(&self.db.pool).await?.get(0))
    }

    /// How much waits now.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn waiting(&self) -> Result<Waiting, StoreError> {
        let hints = sqlx::query("SELECT COUNT(*), MIN(hinted_at) FROM repositories WHERE hinted > settled")
            .fetch_one(&self.db.pool)
            .await?;
        let unsent = sqlx::query(
            "SELECT COUNT(*) FROM wanted WHERE head = 1 AND \
             (told_state IS NULL OR told_state <> state OR told_description <> description)",
        )
        .fetch_one(&self.db.pool)
        .await?;
        Ok(Waiting { repositories: hints.get(0), oldest_hint: hints.get(1), unsent: unsent.get(0) })
    }

    /// Everything known of every repository.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn repositories(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        let rows = sqlx::query("SELECT forge, name, hinted, settled, attempts FROM repositories ORDER BY forge, name")
            .fetch_all(&self.db.pool)
            .await?;
        Ok(rows.iter().map(repository).collect())
    }
}

/// A hint as [`hint_statement`] takes it: forge, name, when it came, its level, and the delivery that it is of.
pub(super) type Hint<'a> = (&'a str, &'a str, i64, i64, Option<&'a str>);

/// Writes the [`Hint`]s in a parameter.
pub(super) fn hint_statement(db: &Database, parameter: usize) -> String {
    use Holds::{Number, Text};
    let columns = [("forge", Text), ("name", Text), ("at", Number), ("asked", Number), ("cause", Text)];
    let hints = db.rows(parameter, &columns);
    // Locked in one order: two that hint at the same repositories would else hold each other up.
    let lock = db.for_update("OF r");
    format!(
        "WITH hints AS MATERIALIZED (SELECT r.forge AS f, r.name AS n, h.at AS at, h.asked AS asked, h.cause AS cause \
           FROM repositories r \
           JOIN {hints} AS h ON h.forge = r.forge AND h.name = r.name ORDER BY r.forge, r.name {lock}) \
         UPDATE repositories SET hinted = hinted + 1, hinted_at = COALESCE(hinted_at, at), \
           level = CASE WHEN level < asked THEN asked ELSE level END, delivery = COALESCE(cause, delivery) FROM hints \
         WHERE forge = f AND name = n"
    )
}

fn claimed(row: &AnyRow) -> Claimed {
    let (forge, name): (String, String) = (row.get(0), row.get(1));
    Claimed {
        due: Due {
            forge: forge.clone(),
            name: name.clone(),
            hinted: row.get(4),
            hinted_at: row.get(5),
            attempts: row.get(6),
            level: Level::of(row.get(7)),
            delivery: row.get(8),
            again: row.get::<i64, _>(9) != 0,
        },
        lease: Lease { of: Of::Repository { forge, name }, token: row.get(2), taken_over: row.get::<i64, _>(3) != 0 },
    }
}

fn repository(row: &AnyRow) -> RepositoryRow {
    let (hinted, settled): (i64, i64) = (row.get(2), row.get(3));
    RepositoryRow { forge: row.get(0), name: row.get(1), waiting: hinted > settled, attempts: row.get(4) }
}

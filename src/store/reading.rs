//! What people read: pages of deliveries and of statuses, and what is under way. Nothing here writes, so all of it may be
//! asked beside a running service, or of a database that nobody serves.
//!
//! The trap: what a repository left behind that no gate names any more waits for ever. A [`Reader`] is told which
//! repositories are configured, and leaves others out (deliveries apart: those tell what arrived).

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::database::{Database, Holds, json};
use super::wanted::{COLUMNS, UNSENT, wanted};
use super::{HistoryRow, Store, StoreError, WantedRow, upkeep};

/// A database to read.
#[derive(Clone)]
pub struct Reader {
    pub(super) db: Database,
    /// The configured repositories: an array of forge and name.
    repositories: String,
}

/// A delivery that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Counts up as they arrive.
    pub number: i64,
    /// The forge's name in the configuration.
    pub forge: String,
    /// The forge's id of it; "" where it gave none.
    pub delivery: String,
    /// The forge's name for what happened.
    pub event: String,
    /// The repository as the payload names it, or "".
    pub repository: String,
    /// In words, for people: what it was taken for.
    pub outcome: String,
    /// Unix milliseconds.
    pub received_at: i64,
}

/// A status with what is being done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// What it should say, and what the forge was told.
    pub wanted: WantedRow,
    /// Left as somebody else wrote it, until then (Unix milliseconds).
    pub parked_until: Option<i64>,
    /// Who is sending it, and the end of the lease (Unix milliseconds).
    pub leased: Option<(String, i64)>,
}

/// A repository that waits for a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirtyRow {
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub name: String,
    /// When the oldest hint came, Unix milliseconds.
    pub hinted_at: Option<i64>,
    /// Looks that failed in a row.
    pub attempts: i64,
    /// Not looked at before that moment, Unix milliseconds.
    pub not_before: i64,
}

/// What a lease is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Looking at a repository.
    Look,
    /// Sending a status.
    Status,
    /// Reading a comment.
    Comment,
    /// A pull request that ends drift.
    Pull,
}

/// A piece of work that is somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// What is done.
    pub work: Work,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The commit of a status, the number of a comment, the gate of a pull request, "" of a look.
    pub of: String,
    /// Whose it is.
    pub holder: String,
    /// Unix milliseconds from which others may take it over.
    pub until: i64,
}

/// The first of several rows, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First<T> {
    /// Of all of them.
    pub count: u64,
    /// As many as were asked for.
    pub rows: Vec<T>,
}

/// How many statuses are parked, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParkedCounts {
    /// Somebody else writes over them.
    pub overwritten: u64,
    /// Their commit cannot be judged.
    pub not_judged: u64,
}

/// Leases by [`Work`], in its order.
pub type LeaseCounts = [u64; 4];

/// A gate has a say in the status, and could not say anything.
fn not_judged(db: &Database) -> String {
    let judgements = db.each("judgements");
    format!("state = 'error' AND EXISTS (SELECT 1 FROM {judgements} WHERE (each.value ->> 'report') IS NULL)")
}

impl Store {
    /// This store to be read, as far as these repositories are concerned: forge and name.
    pub fn reader(&self, repositories: &[(String, String)]) -> Reader {
        Reader { db: self.db.clone(), repositories: json(repositories) }
    }
}

impl Reader {
    /// Opens the database at `url`, which is left as it is: no schema is brought up to date, no lease is ended.
    ///
    /// # Errors
    /// [`StoreError::Url`] for an address of another kind or a file that is not there or cannot be used,
    /// [`StoreError::Empty`] and [`StoreError::Behind`] for a schema that is none or another version's,
    /// [`StoreError::Database`] when it cannot be read.
    pub async fn open(url: &str, repositories: &[(String, String)]) -> Result<Self, StoreError> {
        let db = Database::read_only(url).await?;
        let (schema, current) = (upkeep::schema(&db).await?, db.current_schema());
        if schema != current {
            return Err(StoreError::Behind { schema, current });
        }
        Ok(Self { db, repositories: json(repositories) })
    }

    /// Deliveries, newest first: those before a number, or the newest.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn deliveries(&self, before: Option<i64>, most: i64) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, forge, delivery, event, repository, outcome, received_at FROM deliveries WHERE seq < $1 \
             ORDER BY seq DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(most)
        .fetch_all(&self.db.pool)
        .await?;
        let delivery = |row: &AnyRow| DeliveryRow {
            number: row.get(0),
            forge: row.get(1),
            delivery: row.get(2),
            event: row.get(3),
            repository: row.get(4),
            outcome: row.get(5),
            received_at: row.get(6),
        };
        Ok(rows.iter().map(delivery).collect())
    }

    /// Statuses of heads, last decided first: those after a time of decision (Unix milliseconds) and an id, or the first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn targets(&self, after: Option<(i64, &str)>, most: i64) -> Result<Vec<TargetRow>, StoreError> {
        let (at, id) = after.unwrap_or((i64::MAX, ""));
        let which = "AND (decided_at < $2 OR (decided_at = $2 AND id < $3)) ORDER BY decided_at DESC, id DESC LIMIT $4";
        let statement = self.of_heads(&format!("{COLUMNS}, parked_until, leased_by, leased_until"), which);
        let query = sqlx::query(AssertSqlSafe(statement)).bind(self.repositories.as_str());
        let rows = query.bind(at).bind(id).bind(most).fetch_all(&self.db.pool).await?;
        Ok(rows.iter().map(target).collect())
    }

    /// One status by its id, also of a commit that is no head any more.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn target(&self, id: &str) -> Result<Option<TargetRow>, StoreError> {
        let statement = format!("SELECT {COLUMNS}, parked_until, leased_by, leased_until FROM wanted WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(statement)).bind(id).fetch_optional(&self.db.pool).await?;
        Ok(row.as_ref().map(target))
    }

    /// What a status said, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn history(&self, id: &str, most: i64) -> Result<Vec<HistoryRow>, StoreError> {
        super::wanted::history(&self.db, id, most).await
    }

    /// A report as JSON, and when it was last decided by (Unix milliseconds).
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn report(&self, key: &str) -> Result<Option<(String, i64)>, StoreError> {
        let row = sqlx::query("SELECT report, created_at FROM reports WHERE key = $1")
            .bind(key)
            .fetch_optional(&self.db.pool)
            .await?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }

    /// A value that is kept by its name.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        super::meta(&self.db, key).await
    }

    /// Repositories that wait for a look, the longest waiting first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn dirty(&self, most: i64) -> Result<First<DirtyRow>, StoreError> {
        let configured = self.configured("forge, name");
        let statement = format!(
            "SELECT forge, name, hinted_at, attempts, not_before, COUNT(*) OVER () FROM repositories \
             WHERE hinted > settled AND {configured} ORDER BY COALESCE(hinted_at, 0), forge, name LIMIT $2"
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(self.repositories.as_str()).bind(most);
        let rows = query.fetch_all(&self.db.pool).await?;
        let dirty = |row: &AnyRow| DirtyRow {
            forge: row.get(0),
            name: row.get(1),
            hinted_at: row.get(2),
            attempts: row.get(3),
            not_before: row.get(4),
        };
        Ok(first(&rows, 5, dirty))
    }

    /// What is somebody's at `now` (Unix milliseconds), the first to end first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn leases(&self, now: i64, most: i64) -> Result<First<LeaseRow>, StoreError> {
        let statement = format!(
            "SELECT work, forge, repository, object, holder, ends, COUNT(*) OVER () FROM ({}) AS leased \
             ORDER BY ends, work, forge, repository, object LIMIT $3",
            self.leased()
        );
        let query = sqlx::query(AssertSqlSafe(statement)).bind(self.repositories.as_str()).bind(now).bind(most);
        let rows = query.fetch_all(&self.db.pool).await?;
        let lease = |row: &AnyRow| LeaseRow {
            work: work(row.get(0)),
            forge: row.get(1),
            repository: row.get(2),
            of: row.get(3),
            holder: row.get(4),
            until: row.get(5),
        };
        Ok(first(&rows, 6, lease))
    }

    /// How many leases there are at `now` (Unix milliseconds).
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn lease_counts(&self, now: i64) -> Result<LeaseCounts, StoreError> {
        let statement = format!("SELECT work, COUNT(*) FROM ({}) AS leased GROUP BY work", self.leased());
        let query = sqlx::query(AssertSqlSafe(statement)).bind(self.repositories.as_str()).bind(now);
        let mut counts = LeaseCounts::default();
        for row in query.fetch_all(&self.db.pool).await? {
            counts[work(row.get(0)) as usize] = count(row.get(1));
        }
        Ok(counts)
    }

    /// Statuses of heads that are parked at `now` (Unix milliseconds): somebody else writes over them, or their commit cannot
    /// be judged. The last decided first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn parked(&self, now: i64, most: i64) -> Result<First<TargetRow>, StoreError> {
        let which =
            format!("AND (parked_until > $2 OR ({})) ORDER BY decided_at DESC, id DESC LIMIT $3", not_judged(&self.db));
        let columns = format!("{COLUMNS}, parked_until, leased_by, leased_until, COUNT(*) OVER ()");
        let statement = self.of_heads(&columns, &which);
        let query = sqlx::query(AssertSqlSafe(statement)).bind(self.repositories.as_str()).bind(now).bind(most);
        Ok(first(&query.fetch_all(&self.db.pool).await?, 21, target))
    }

    /// How many statuses of heads are parked at `now` (Unix milliseconds); one that is so for both reasons counts twice.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn parked_counts(&self, now: i64) -> Result<ParkedCounts, StoreError> {
        let not_judged = not_judged(&self.db);
        let columns = format!(
            "CAST(COALESCE(SUM(CASE WHEN parked_until > $2 THEN 1 ELSE 0 END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(CASE WHEN {not_judged} THEN 1 ELSE 0 END), 0) AS BIGINT)"
        );
        let which = "AND (parked_until > $2 OR state = 'error')";
        let statement = self.of_heads(&columns, which);
        let query = sqlx::query(AssertSqlSafe(statement)).bind(self.repositories.as_str()).bind(now);
        let row = query.fetch_one(&self.db.pool).await?;
        Ok(ParkedCounts { overwritten: count(row.get(0)), not_judged: count(row.get(1)) })
    }

    /// Statuses of heads that the forge does not say, the longest waiting first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn unsent(&self, most: i64) -> Result<First<TargetRow>, StoreError> {
        let columns = format!("{COLUMNS}, parked_until, leased_by, leased_until, COUNT(*) OVER ()");
        let statement = self.of_heads(&columns, &format!("AND {UNSENT} ORDER BY decided_at, id LIMIT $2"));
        let query = sqlx::query(AssertSqlSafe(statement)).bind(self.repositories.as_str()).bind(most);
        Ok(first(&query.fetch_all(&self.db.pool).await?, 21, target))
    }

    /// What is known of the pull requests that end drift.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database cannot be read.
    pub async fn pulls(&self) -> Result<Vec<super::PullRow>, StoreError> {
        super::pulls::pulls(&self.db).await
    }

    fn of_heads(&self, columns: &str, which: &str) -> String {
        format!("SELECT {columns} FROM wanted WHERE head = 1 AND {} {which}", self.configured("forge, repository"))
    }

    /// Rows of the repositories in `$1`; `columns` name forge and repository.
    fn configured(&self, columns: &str) -> String {
        let rows = self.db.rows(1, &[("f", Holds::Text), ("n", Holds::Text)]);
        format!("({columns}) IN (SELECT f, n FROM {rows} AS configured)")
    }

    /// All leases that end after `$2`.
    fn leased(&self) -> String {
        let (looks, others) = (self.configured("forge, name"), self.configured("forge, repository"));
        format!(
            "SELECT CAST(0 AS BIGINT) AS work, forge, name AS repository, '' AS object, leased_by AS holder, \
               leased_until AS ends FROM looks WHERE leased_until > $2 AND {looks} \
             UNION ALL SELECT CAST(1 AS BIGINT), forge, repository, sha, leased_by, leased_until FROM wanted \
               WHERE head = 1 AND leased_until > $2 AND {others} \
             UNION ALL SELECT CAST(2 AS BIGINT), forge, repository, CAST(comment AS TEXT), leased_by, leased_until \
               FROM comments WHERE leased_until > $2 AND {others} \
             UNION ALL SELECT CAST(3 AS BIGINT), forge, repository, slot, leased_by, leased_until FROM pulls \
               WHERE leased_until > $2 AND {others}"
        )
    }
}

fn work(number: i64) -> Work {
    match number {
        0 => Work::Look,
        1 => Work::Status,
        2 => Work::Comment,
        _ => Work::Pull,
    }
}

fn target(row: &AnyRow) -> TargetRow {
    let holder: Option<String> = row.get(19);
    TargetRow { wanted: wanted(row), parked_until: row.get(18), leased: holder.zip(row.get::<Option<i64>, _>(20)) }
}

fn first<T>(rows: &[AnyRow], count_at: usize, make: impl Fn(&AnyRow) -> T) -> First<T> {
    First { count: rows.first().map_or(0, |row| count(row.get(count_at))), rows: rows.iter().map(make).collect() }
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

//! The two databases behind one door: what differs between SQLite and PostgreSQL is here and nowhere else.
//!
//! Both are reached through sqlx's `Any`, so each statement is written once: numbers are 64 bits in both, parameters are
//! `$1`, and what only one of them speaks is not used. What `Any` cannot do is a list as a parameter: many rows come as
//! one text, a JSON array of arrays ([`Database::rows`]), which is also the fastest way into either.
//!
//! Traps handled here:
//! - *A deferred SQLite transaction that turns from reading to writing fails at once*, ignoring the busy time-out: every
//!   writing transaction begins `IMMEDIATE`.
//! - *SQLite's writers do not queue, they poll* with growing pauses: within the process all writes go through one
//!   connection, first come, first served.
//! - *A SQLite file that is deleted or replaced goes on taking writes* that nobody will ever find: each write asks first
//!   whether the file at the path is still the one that was opened.
//! - *On SQLite nobody else writes while a transaction does; on PostgreSQL somebody does*: what reads and then writes locks its
//!   rows there (see [`Database::for_update`]).
//! - *A future that is dropped half way leaves the connection as nobody noted*: a transaction that is being rolled back, commits
//!   that do not wait for the disk. Whoever writes next begins from what is known.
//! - *PostgreSQL takes no text with U+0000 in it*, and what arrives may hold one: see [`clean`].

use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::StoreError;

/// How long a write waits for another writer before it gives up. Forges wait five seconds for an answer: two such waits
/// must fit.
pub(super) const BUSY: Duration = Duration::from_secs(2);
/// A commit waits until the disk has it.
const SYNCED: &str = "PRAGMA synchronous = FULL";
/// Connections that read; on PostgreSQL they write as well.
const CONNECTIONS: u32 = 8;

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

/// What a column of [`Database::rows`] holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holds {
    Text,
    Number,
}

/// An open database; cheap to clone.
#[derive(Clone)]
pub(super) struct Database {
    kind: Kind,
    options: AnyConnectOptions,
    /// Reads; on PostgreSQL writes as well.
    pub pool: AnyPool,
    /// SQLite's one connection that writes, and the file that it must be writing to.
    sqlite: Option<Sqlite>,
}

#[derive(Clone)]
struct Sqlite {
    writer: Arc<Mutex<Writer>>,
    file: Arc<File>,
}

/// The connection that writes, and whether its commits wait for the disk just now: `None` where nobody knows, because whoever
/// was about to change that was dropped meanwhile.
pub(super) struct Writer {
    connection: AnyConnection,
    waits: Option<bool>,
}

/// A file by its path and by what it is.
struct File {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Database {
    /// Opens the database at `url`, makes it where it is a file that is missing, and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let database = Self::connect_to(url, "rwc").await?;
        database.migrate().await?;
        Ok(database)
    }

    /// Opens the database at `url` as it is. A file that is missing is not made.
    pub async fn attach(url: &str) -> Result<Self, StoreError> {
        Self::connect_to(url, "rw").await
    }

    /// Opens the database at `url` to read it: whatever is done with it, no row, no schema and no file of it changes.
    pub async fn read_only(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let kind = kind(url)?;
        let (options, first): (_, &[&str]) = match kind {
            Kind::Sqlite => {
                let path = sqlite_path(url);
                if !path.exists() {
                    return Err(StoreError::Url(format!("there is no file {}", path.display())));
                }
                let separator = if url.contains('?') { '&' } else { '?' };
                let options = options(&format!("{url}{separator}mode=ro"))?;
                let opened = AnyConnection::connect_with(&options).await;
                let unusable = |error: sqlx::Error| StoreError::Url(told(&path, &error));
                opened.map_err(unusable)?.close().await?;
                (options, &["PRAGMA query_only = ON", "PRAGMA busy_timeout = 2000"])
            }
            Kind::Postgres => {
                let options = options(url)?;
                AnyConnection::connect_with(&options).await?.close().await?;
                (options, &["SET default_transaction_read_only = on"])
            }
        };
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for statement in first {
                        connection.execute(*statement).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(options.clone());
        Ok(Self { kind, options, pool, sqlite: None })
    }

    async fn connect_to(url: &str, mode: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        match kind(url)? {
            Kind::Sqlite => Self::open_sqlite(url, mode).await,
            Kind::Postgres => Self::open_postgres(url).await,
        }
    }

    async fn open_sqlite(url: &str, mode: &str) -> Result<Self, StoreError> {
        let path = sqlite_path(url);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            let folder = folder.display();
            return Err(StoreError::Url(format!("there is no folder {folder}: make it, writable for this user")));
        }
        if mode == "rw" && !path.exists() {
            return Err(StoreError::Url(format!("there is no file {}", path.display())));
        }
        let separator = if url.contains('?') { '&' } else { '?' };
        let make = options(&format!("{url}{separator}mode={mode}"))?;
        let here = |error: sqlx::Error| StoreError::Url(told(&path, &error));
        let mut connection = AnyConnection::connect_with(&make).await.map_err(here)?;
        prepare(&mut connection).await.map_err(here)?;
        let writer = Writer { connection, waits: Some(true) };
        let file = File::at(&path).map_err(|error| StoreError::Url(format!("{}: {error}", path.display())))?;
        // From here on the file is there: a connection that would have to make it has lost it.
        let options = options(&format!("{url}{separator}mode=rw"))?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(BUSY)
            .test_before_acquire(false)
            .after_connect(|connection, _| Box::pin(prepare(connection)))
            .connect_lazy_with(options.clone());
        let sqlite = Sqlite { writer: Arc::new(Mutex::new(writer)), file: Arc::new(file) };
        Ok(Self { kind: Kind::Sqlite, options, pool, sqlite: Some(sqlite) })
    }

    async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?;
        // Asked once by itself: a pool would ask again and again, and then say only that it waited.
        AnyConnection::connect_with(&options).await?.close().await?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(BUSY)
            .after_connect(|connection, _| Box::pin(prepare_postgres(connection)))
            .connect_lazy_with(options.clone());
        Ok(Self { kind: Kind::Postgres, options, pool, sqlite: None })
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        // A connection of its own: replicas that start at once wait for each other here, longer than statements may later.
        let pool = AnyPoolOptions::new().max_connections(1).connect_with(self.options.clone()).await?;
        self.migrator().run(&pool).await?;
        pool.close().await;
        Ok(())
    }

    /// The steps of the schema, as this version of the program knows them.
    fn migrator(&self) -> &'static Migrator {
        static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
        static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
        match self.kind {
            Kind::Sqlite => &SQLITE,
            Kind::Postgres => &POSTGRES,
        }
    }

    /// The number of the last step of the schema that this version knows.
    pub fn current_schema(&self) -> i64 {
        self.migrator().iter().map(|step| step.version).max().unwrap_or(0)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A connection that may write, and whose commits outlive a loss of power. On SQLite there is one: hold it shortly.
    pub async fn write(&self) -> Result<Writing, StoreError> {
        self.writing(true).await
    }

    /// A connection for what a start finds out again: who has a lease, what was settled, what the forge was told. On SQLite its
    /// commits do not wait for the disk: they outlive the process, not a loss of power, and each goes to the disk with
    /// the next that waits (the log is written in order, so what comes after a lost commit is lost as well).
    pub async fn write_unsynced(&self) -> Result<Writing, StoreError> {
        self.writing(false).await
    }

    async fn writing(&self, waits: bool) -> Result<Writing, StoreError> {
        let Some(sqlite) = &self.sqlite else {
            return match self.pool.acquire().await {
                Err(sqlx::Error::PoolTimedOut) => Err(StoreError::Silent),
                acquired => Ok(Writing::Pooled(acquired?)),
            };
        };
        let waited = tokio::time::timeout(BUSY, sqlite.writer.clone().lock_owned()).await;
        let mut writer = waited.map_err(|_| StoreError::Silent)?;
        sqlite.file.is_still_there()?;
        if writer.waits != Some(waits) {
            writer.waits = None;
            writer.connection.execute(if waits { SYNCED } else { "PRAGMA synchronous = NORMAL" }).await?;
            writer.waits = Some(waits);
        }
        Ok(Writing::Only(writer, self.options.clone()))
    }

    /// A PostgreSQL connection of its own.
    pub async fn connect(&self) -> Result<AnyConnection, StoreError> {
        let connecting = async {
            let mut connection = AnyConnection::connect_with(&self.options).await?;
            prepare_postgres(&mut connection).await?;
            Ok(connection)
        };
        tokio::time::timeout(BUSY, connecting).await.unwrap_or(Err(StoreError::Silent))
    }

    /// Behind a `SELECT` whose rows the same statement then writes: others that write them wait. `of` may name the table
    /// (`OF r`). On SQLite nobody else writes meanwhile.
    pub fn for_update(&self, of: &str) -> String {
        match self.kind {
            Kind::Sqlite => String::new(),
            Kind::Postgres => format!("FOR UPDATE {of}"),
        }
    }

    /// As [`Self::for_update`], but rows that another transaction holds are left out.
    pub fn skip_locked(&self, of: &str) -> String {
        match self.kind {
            Kind::Sqlite => String::new(),
            Kind::Postgres => format!("FOR UPDATE {of} SKIP LOCKED"),
        }
    }

    /// Behind a `SELECT` whose rows must stay as they are until the transaction ends.
    pub fn for_share(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite => "",
            Kind::Postgres => "FOR SHARE",
        }
    }

    /// A table for `FROM`: the JSON array of arrays in a parameter, its columns by name.
    pub fn rows(&self, parameter: usize, columns: &[(&str, Holds)]) -> String {
        let columns: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, (name, holds))| match holds {
                Holds::Text => format!("value ->> {at} AS {name}"),
                Holds::Number => format!("CAST(value ->> {at} AS BIGINT) AS {name}"),
            })
            .collect();
        let each = match self.kind {
            Kind::Sqlite => format!("json_each(${parameter})"),
            Kind::Postgres => format!("json_array_elements(CAST(${parameter} AS json)) AS each(value)"),
        };
        format!("(SELECT {} FROM {each})", columns.join(", "))
    }

    /// A table `each` for `FROM`: the entries of a JSON array in a column, each as `value`.
    pub fn each(&self, column: &str) -> String {
        match self.kind {
            Kind::Sqlite => format!("json_each({column}) AS each"),
            Kind::Postgres => format!("json_array_elements(CAST({column} AS json)) AS each(value)"),
        }
    }

    /// A list for `IN`: the JSON array of texts in a parameter.
    pub fn names(&self, parameter: usize) -> String {
        match self.kind {
            Kind::Sqlite => format!("(SELECT value FROM json_each(${parameter}))"),
            Kind::Postgres => format!("(SELECT json_array_elements_text(CAST(${parameter} AS json)))"),
        }
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A connection that may write.
pub(super) enum Writing {
    /// SQLite's, and how to connect again.
    Only(OwnedMutexGuard<Writer>, AnyConnectOptions),
    /// One of PostgreSQL's.
    Pooled(PoolConnection<Any>),
}

impl Writing {
    /// A transaction that may write; without a commit it leaves nothing.
    pub async fn begin(&mut self) -> Result<Transaction<'_, Any>, sqlx::Error> {
        match self {
            Self::Only(writer, options) => {
                let Writer { connection, waits } = &mut **writer;
                if connection.is_in_transaction() {
                    // One that was dropped is being rolled back.
                    connection.ping().await?;
                }
                if connection.is_in_transaction() {
                    // The driver counts a transaction that SQLite has ended by itself: the disk took no more.
                    let mut fresh = AnyConnection::connect_with(options).await?;
                    prepare(&mut fresh).await?;
                    (*connection, *waits) = (fresh, Some(true));
                }
                connection.begin_with("BEGIN IMMEDIATE").await
            }
            Self::Pooled(connection) => connection.begin().await,
        }
    }
}

impl Deref for Writing {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match self {
            Self::Only(writer, _) => &writer.connection,
            Self::Pooled(connection) => connection,
        }
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match self {
            Self::Only(writer, _) => &mut writer.connection,
            Self::Pooled(connection) => connection,
        }
    }
}

impl File {
    fn at(path: &Path) -> std::io::Result<Self> {
        let found = std::fs::metadata(path)?;
        Ok(Self { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    fn is_still_there(&self) -> Result<(), StoreError> {
        match Self::at(&self.path) {
            Ok(now) if (now.device, now.inode) == (self.device, self.inode) => Ok(()),
            Ok(_) => Err(StoreError::Replaced { path: self.path.clone() }),
            Err(error) => Err(StoreError::Gone { path: self.path.clone(), error }),
        }
    }
}

/// The form of a list for [`Database::rows`] (an array of arrays) and [`Database::names`] (of texts).
pub(super) fn json<T: serde::Serialize + ?Sized>(rows: &T) -> String {
    // Texts and numbers always have a form in JSON.
    let json = serde_json::to_string(rows).unwrap_or_default();
    if !json.contains("\\u0000") {
        return json;
    }
    // A text holds U+0000, or only says so behind an escaped backslash.
    fn cleaned(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(clean(&text)),
            Value::Array(values) => Value::Array(values.into_iter().map(cleaned).collect()),
            other => other,
        }
    }
    serde_json::from_str(&json).map(cleaned).map_or(json, |value| value.to_string())
}

/// A text without U+0000, which PostgreSQL does not take: the sign for a character that is none stands there instead.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// What every PostgreSQL connection is told: no statement of ours takes long, and one that does waits for a row.
async fn prepare_postgres(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    connection.execute("SET lock_timeout = '2s'").await?;
    connection.execute("SET statement_timeout = '30s'").await?;
    Ok(())
}

/// What every SQLite connection must be told before it is used.
async fn prepare(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for pragma in [
        "PRAGMA busy_timeout = 2000",
        "PRAGMA journal_mode = WAL",
        SYNCED,
        "PRAGMA foreign_keys = ON",
        // A flood makes the log grow; once it is worked in, the file is cut back to this.
        "PRAGMA journal_size_limit = 16777216",
    ] {
        connection.execute(pragma).await?;
    }
    Ok(())
}

fn kind(url: &str) -> Result<Kind, StoreError> {
    if url.starts_with("sqlite:") {
        Ok(Kind::Sqlite)
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        Ok(Kind::Postgres)
    } else {
        Err(StoreError::Url(format!("`{url}` is neither `sqlite://PATH` nor `postgres://USER@HOST/DATABASE`")))
    }
}

fn options(url: &str) -> Result<AnyConnectOptions, StoreError> {
    AnyConnectOptions::from_str(url).map_err(|error| StoreError::Url(error.to_string()))
}

/// The file of a SQLite address.
fn sqlite_path(url: &str) -> PathBuf {
    let file = url.trim_start_matches("sqlite:").trim_start_matches("//");
    PathBuf::from(file.split_once('?').map_or(file, |(file, _)| file))
}

/// Why SQLite cannot open a file, with what to do: its own words name neither.
fn told(path: &Path, error: &sqlx::Error) -> String {
    let words = error.to_string();
    let next = if words.contains("unable to open") || words.contains("readonly") {
        "; let this user write the file and its folder"
    } else if words.contains("not a database") {
        "; name another file, or restore this one from a backup"
    } else {
        ""
    };
    format!("{}: {words}{next}", path.display())
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;

    #[tokio::test]
    async fn whoever_asks_for_a_durable_commit_gets_one_whatever_was_written_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&format!("sqlite://{}/d.db", folder.path().display())).await.expect("opened");
        const FULL: i64 = 2;
        const NORMAL: i64 = 1;
        let waits = async |mut writing: Writing| -> i64 {
            sqlx::query("PRAGMA synchronous").fetch_one(&mut *writing).await.expect("told").get(0)
        };
        assert_eq!(waits(database.write().await.expect("free")).await, FULL);
        assert_eq!(waits(database.write_unsynced().await.expect("free")).await, NORMAL);
        // Left half done: it is rolled back, and the next one is durable all the same.
        let mut writing = database.write_unsynced().await.expect("free");
        let mut tx = writing.begin().await.expect("begun");
        tx.execute("DELETE FROM repositories").await.expect("deleted");
        drop(tx);
        drop(writing);
        assert_eq!(waits(database.write().await.expect("free")).await, FULL);
    }

    #[tokio::test]
    async fn whoever_gave_up_half_way_makes_no_commit_of_others_less_durable() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&format!("sqlite://{}/d.db", folder.path().display())).await.expect("opened");
        // Where the connection's thread is faster than this one, nobody gives up half way: once more.
        let mut gave_up = false;
        for _ in 0..1_000 {
            drop(database.write().await.expect("free"));
            let mut asking = Box::pin(database.write_unsynced());
            gave_up = futures_util::poll!(asking.as_mut()).is_pending();
            if gave_up {
                break;
            }
        }
        assert!(gave_up, "the change of the connection always took one poll");
        let mut writing = database.write().await.expect("free");
        let waits: i64 = sqlx::query("PRAGMA synchronous").fetch_one(&mut *writing).await.expect("told").get(0);
        assert_eq!(waits, 2, "FULL");
    }
}

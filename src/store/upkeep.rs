//! A database looked after from the command line, beside the service or without it: nothing here changes its schema.

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Row};

use super::database::{Database, Kind};
use super::retention::prune;
use super::{Keep, Pruned, StoreError};

/// A database that is there already.
pub struct Upkeep {
    db: Database,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The number of the last step of its schema.
    pub schema: i64,
    /// The number that this version of the program writes.
    pub current: i64,
    /// Rows of each table.
    pub rows: Vec<(&'static str, i64)>,
    /// What SQLite finds broken, in its words; empty where it is whole, and on PostgreSQL, which checks its own pages.
    pub damage: Vec<String>,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has its own program for that.
    #[error("a PostgreSQL database is backed up with its own program: pg_dump --format=custom --file={} 'ADDRESS'", to.display())]
    Postgres {
        /// Where the backup was to be.
        to: PathBuf,
    },
    /// It would overwrite something.
    #[error("{} is there already: name a file that is not", to.display())]
    Exists {
        /// Where the backup was to be.
        to: PathBuf,
    },
    /// The system refused to write the file.
    #[error("{}: {error}", to.display())]
    File {
        /// Where the backup was to be.
        to: PathBuf,
        /// In the system's words.
        error: std::io::Error,
    },
    /// The database could not be read, or not be written to the file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(StoreError::Database(error))
    }
}

const TABLES: [&str; 9] =
    ["deliveries", "repositories", "comments", "wanted", "history", "reports", "waivers", "audit", "pulls"];

impl Upkeep {
    /// Opens the database at `url`, which must be there.
    ///
    /// # Errors
    /// [`StoreError::Url`] for an address of another kind or a file that is not there or cannot be used,
    /// [`StoreError::Database`] when it cannot be opened.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self { db: Database::attach(url).await? })
    }

    /// Writes a copy of a SQLite database to `to`, as it is at this moment, while others go on writing. The file appears
    /// when it is whole and on disk.
    ///
    /// # Errors
    /// [`BackupError`]; then there is no file.
    pub async fn backup(&self, to: &Path) -> Result<(), BackupError> {
        if self.db.kind() == Kind::Postgres {
            return Err(BackupError::Postgres { to: to.to_owned() });
        }
        if to.exists() {
            return Err(BackupError::Exists { to: to.to_owned() });
        }
        let failed = |error| BackupError::File { to: to.to_owned(), error };
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // In a folder beside it: SQLite writes into a file of its own making only, and what fails leaves nothing.
        let beside = tempfile::tempdir_in(folder).map_err(failed)?;
        let copy = beside.path().join("copy");
        sqlx::query("VACUUM INTO $1").bind(copy.to_string_lossy().as_ref()).execute(&self.db.pool).await?;
        std::fs::File::open(&copy).and_then(|file| file.sync_all()).map_err(failed)?;
        std::fs::hard_link(&copy, to).map_err(failed)?;
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Proves that the database can be read and written, and says what is in it.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it cannot be read or written, [`StoreError::Empty`] when it holds no schema of ours.
    pub async fn check(&self) -> Result<Checked, StoreError> {
        let schema = schema(&self.db).await?;
        let mut damage = Vec::new();
        if self.db.kind() == Kind::Sqlite {
            let found = sqlx::query("PRAGMA integrity_check").fetch_all(&self.db.pool).await?;
            damage = found.iter().map(|row| row.get::<String, _>(0)).filter(|word| word != "ok").collect();
        }
        let mut rows = Vec::new();
        for table in TABLES {
            let count = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")));
            rows.push((table, count.fetch_one(&self.db.pool).await?.get(0)));
        }
        super::check(&self.db).await?;
        Ok(Checked { schema, current: self.db.current_schema(), rows, damage })
    }

    /// As [`super::Store::prune`].
    ///
    /// # Errors
    /// [`StoreError::Behind`] when the schema is another than this version's; [`StoreError::Database`] when the database
    /// cannot be written.
    pub async fn prune(&self, now: i64, keep: Keep) -> Result<Pruned, StoreError> {
        let (schema, current) = (schema(&self.db).await?, self.db.current_schema());
        if schema != current {
            return Err(StoreError::Behind { schema, current });
        }
        prune(&self.db, now, keep).await
    }
}

/// The number of the last step of the database's schema.
pub(super) async fn schema(db: &Database) -> Result<i64, StoreError> {
    let steps = sqlx::query("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(&db.pool).await;
    match steps {
        Ok(row) => row.get::<Option<i64>, _>(0).ok_or(StoreError::Empty),
        Err(sqlx::Error::Database(error)) if error.message().contains("_sqlx_migrations") => Err(StoreError::Empty),
        Err(error) => Err(error.into()),
    }
}

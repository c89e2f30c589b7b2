//! What a killed process left. On SQLite it is read in a copy: the next process must find the original as it was left.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row};

/// The database: a file that nobody uses now, or a server's.
pub struct Database {
    url: String,
    file: Option<PathBuf>,
    copies: tempfile::TempDir,
}

impl Database {
    pub fn sqlite(file: &Path) -> Self {
        Self::new(format!("sqlite://{}", file.display()), Some(file.to_owned()))
    }

    pub fn postgres(url: String) -> Self {
        Self::new(url, None)
    }

    fn new(url: String, file: Option<PathBuf>) -> Self {
        sqlx::any::install_default_drivers();
        Self { url, file, copies: tempfile::tempdir().expect("a folder") }
    }

    /// As it is to be named in a configuration.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Says what is wrong: damage, and which of these accepted deliveries are not there.
    pub async fn check(&self, accepted: &[String]) -> Result<(), String> {
        let Some(mut database) = self.open().await else {
            return if accepted.is_empty() { Ok(()) } else { Err("there is no database".to_owned()) };
        };
        // A server looks after its own files.
        if self.file.is_some() {
            let rows = sqlx::query("PRAGMA integrity_check").fetch_all(&mut database).await;
            let damage: Vec<String> = rows.map_err(|error| error.to_string())?.iter().map(|row| row.get(0)).collect();
            if damage != ["ok"] {
                return Err(format!("the database is damaged: {damage:?}"));
            }
        }
        let mut lost: BTreeSet<&str> = accepted.iter().map(String::as_str).collect();
        if lost.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query("SELECT delivery FROM deliveries").fetch_all(&mut database).await;
        for row in rows.map_err(|error| error.to_string())? {
            lost.remove(row.get::<String, _>(0).as_str());
        }
        if lost.is_empty() { Ok(()) } else { Err(format!("accepted and lost: {lost:?}")) }
    }

    /// Repository and commit of every status that was ever wanted.
    pub async fn wanted(&self) -> Vec<(String, String)> {
        let Some(mut database) = self.open().await else { return Vec::new() };
        let rows = sqlx::query("SELECT DISTINCT repository, sha FROM wanted").fetch_all(&mut database).await;
        rows.expect("rows").iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Opens it, a file in a copy; `None` for a file before there is a whole schema.
    async fn open(&self) -> Option<AnyConnection> {
        let Some(file) = &self.file else {
            return Some(AnyConnection::connect(&self.url).await.expect("the server answers"));
        };
        let beside = |path: &Path, end: &str| PathBuf::from(format!("{}{end}", path.display()));
        let copy = self.copies.path().join("copy.db");
        for end in ["", "-wal"] {
            let (from, to) = (beside(file, end), beside(&copy, end));
            drop(std::fs::remove_file(&to));
            if from.exists() {
                std::fs::copy(from, to).expect("a copy");
            }
        }
        // The index of the log is the old copy's.
        drop(std::fs::remove_file(beside(&copy, "-shm")));
        if !copy.exists() {
            return None;
        }
        let mut opened = AnyConnection::connect(&format!("sqlite://{}", copy.display())).await.expect("it opens");
        let tables = "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('deliveries', 'wanted')".to_owned();
        let there = sqlx::query(AssertSqlSafe(tables)).fetch_one(&mut opened).await.expect("a schema");
        (there.get::<i64, _>(0) == 2).then_some(opened)
    }
}

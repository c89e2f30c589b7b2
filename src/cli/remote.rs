//! Sides of `check` that are addresses: fetched as the service fetches, into a cache of this user.
//!
//! What is fetched is what is read: one commit with its directories, the files that the checks name, the commit graph as
//! commits. It is kept below `$XDG_CACHE_HOME/drift-gate` (`~/.cache/drift-gate`), so the next check brings only what is new.
//!
//! **The token.** `DRIFT_GATE_TOKEN` goes to the addresses that the command line names and nowhere else: never to one that a
//! configuration names, and never along a redirect. An address with a user name or password of its own gets that instead.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::waiting::{PATIENCE, Waiting};
use crate::forge;
use crate::git::{self, GitError};
use crate::snapshot::ObjectDb;
use crate::tree::{Need, ObjectId, Objects};

/// What holds the token.
pub const TOKEN: &str = "DRIFT_GATE_TOKEN";

/// Whether a side is an address, and not a folder.
pub fn is_address(place: &str) -> bool {
    place.contains("://")
}

/// The caches of this user, and what fetches into them.
pub struct Fetcher {
    runtime: tokio::runtime::Runtime,
    cache: git::Cache,
    logins: Logins,
}

/// What opens addresses.
enum Logins {
    /// This token, wherever.
    Token(Option<SecretString>),
    /// Of each address its own value of `Authorization`.
    Each(HashMap<String, SecretString>),
}

/// Why a side cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The command line is wrong: the address, or the revision.
    #[error("{0}")]
    Usage(String),
    /// It could not be read.
    #[error("{0}")]
    Failed(String),
}

fn failed(error: impl ToString) -> RemoteError {
    RemoteError::Failed(error.to_string())
}

impl Fetcher {
    /// Opens the caches.
    ///
    /// # Errors
    /// There is no folder for them, or TLS cannot be set up.
    pub fn new() -> Result<Self, RemoteError> {
        let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty()).map(SecretString::from);
        Self::with(Logins::Token(token))
    }

    /// The same with a value of `Authorization` for each address that needs one, and none for any other.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn authorized(authorizations: HashMap<String, SecretString>) -> Result<Self, RemoteError> {
        Self::with(Logins::Each(authorizations))
    }

    fn with(logins: Logins) -> Result<Self, RemoteError> {
        let folder = cache_folder()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
        let client = forge::http::client(forge::http::Timeouts::default()).map_err(failed)?;
        let cache = git::Cache::new(&folder, client, git::Limits::default()).map_err(failed)?;
        Ok(Self { runtime, cache, logins })
    }

    /// Runs to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The commit at `rev` (a branch, a tag, a full SHA, `HEAD`) of the repository at `address`, with its
    /// directories.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub fn open(self: &Arc<Self>, address: &str, rev: &str) -> Result<(Remote, ObjectId), RemoteError> {
        let url = url::Url::parse(address).map_err(|error| RemoteError::Usage(format!("no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RemoteError::Usage("only http:// and https:// addresses can be fetched".into()));
        }
        let has_login = !url.username().is_empty() || url.password().is_some();
        let authorization = match &self.logins {
            _ if has_login => None,
            Logins::Token(token) => forge::basic_authorization("drift-gate", token.as_ref()),
            Logins::Each(all) => all.get(address).cloned(),
        };
        let remote = git::Remote { url: url.as_str().trim_end_matches('/').to_owned(), authorization };
        let repo = self.cache.repo("addresses", number(&url)).map_err(failed)?;
        let remote = Remote { fetcher: self.clone(), repo, remote, shown: shown(&url), absent: Mutex::default() };
        let commit = remote.resolve(rev)?;
        Ok((remote, commit))
    }
}

/// A repository at an address.
pub struct Remote {
    fetcher: Arc<Fetcher>,
    repo: git::Repo,
    remote: git::Remote,
    shown: String,
    /// Commits that were asked for twice and are not there.
    absent: Mutex<Vec<ObjectId>>,
}

impl Remote {
    /// What is here of it.
    pub fn objects(&self) -> &Arc<ObjectDb> {
        self.repo.objects()
    }

    /// Whether the repository was found not to have this commit.
    pub fn lacks(&self, commit: &ObjectId) -> bool {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner).contains(commit)
    }

    /// The commit that a branch, a tag or a full SHA names, brought with its directories.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub fn resolve(&self, rev: &str) -> Result<ObjectId, RemoteError> {
        let commit = match ObjectId::parse(rev) {
            Some(commit) => commit,
            None => self.look_up(rev)?,
        };
        let unknown = |error| match error {
            GitError::NotOurRef { .. } => RemoteError::Usage(format!("{} has no commit {rev}", self.shown)),
            error => failed(error),
        };
        self.wait(self.repo.fetch_commit(&self.remote, &commit)).map_err(unknown)?;
        Ok(commit)
    }

    fn look_up(&self, rev: &str) -> Result<ObjectId, RemoteError> {
        // As git reads a revision: a tag before a branch.
        let names = [rev.to_owned(), format!("refs/{rev}"), format!("refs/tags/{rev}"), format!("refs/heads/{rev}")];
        let asked: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| *name == "HEAD" || name.starts_with("refs/")).collect();
        let found = self.wait(self.repo.ls_refs(&self.remote, &asked)).map_err(failed)?;
        let at = |name: &String| found.iter().find(|(listed, _)| listed == name).map(|(_, id)| id.clone());
        names.iter().find_map(at).ok_or_else(|| {
            RemoteError::Usage(format!(
                "{} has no branch and no tag `{rev}`; a commit is named by its full SHA",
                self.shown
            ))
        })
    }

    /// Whether a [`Need`] is about this repository.
    pub fn is_meant(&self, need: &Need) -> bool {
        need.repository == *self.repo.label()
    }

    /// Brings what an evaluation lacks, or learns that it is not there.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn bring(&self, need: &Need) -> Result<(), RemoteError> {
        let fetched = self.told(self.repo.fetch(&self.remote, &need.objects)).await;
        match (fetched, &need.objects) {
            (Ok(()), _) => Ok(()),
            (Err(GitError::NotOurRef { .. }), Objects::Commit(commit)) => {
                self.absent.lock().unwrap_or_else(PoisonError::into_inner).push(commit.clone());
                Ok(())
            }
            (Err(error), _) => Err(failed(error)),
        }
    }

    /// What fetches from it.
    pub fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    fn wait<T>(&self, request: impl Future<Output = T>) -> T {
        self.fetcher.block_on(self.told(request))
    }

    /// Waits for a request, and says so on a terminal when that takes long.
    async fn told<T>(&self, request: impl Future<Output = T>) -> T {
        let mut request = std::pin::pin!(request);
        if let Ok(answer) = tokio::time::timeout(PATIENCE, &mut request).await {
            return answer;
        }
        // Gone again with the end of this block.
        let mut waiting = Waiting::long();
        waiting.tell(|| format!("fetching {} …", self.shown));
        request.await
    }
}

fn cache_folder() -> Result<PathBuf, RemoteError> {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
    let caches = caches.ok_or_else(|| {
        RemoteError::Failed("there is no folder for what is fetched: set XDG_CACHE_HOME to an absolute path".into())
    })?;
    Ok(caches.join("drift-gate"))
}

/// Which cache is that of an address: the same with and without login.
fn number(url: &url::Url) -> u64 {
    let digest = Sha256::digest(shown(url).trim_end_matches('/').as_bytes());
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// An address without what must not be shown.
fn shown(url: &url::Url) -> String {
    let mut url = url.clone();
    // Neither fails for addresses with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

//! The folders and what may be asked of them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use git2::{ErrorCode, Repository, RepositoryInitOptions};
use tokio::sync::Semaphore;

use super::evict;
use super::flight::Flights;
use super::fold::{self, FolderLock};
use super::pkt::Capabilities;
use super::size::Measured;
use super::wire::{Wants, Wire};
use super::{GitError, Limits, Remote};
use crate::snapshot::{GitTree, LATELY, ObjectDb, prepare};
use crate::tree::{ObjectId, Objects, TreeError};

/// How long a server's answer to "what can you?" holds.
const CAPABILITIES: Duration = Duration::from_secs(600);

/// How many commits of complete history are remembered, and how many of them are offered as `have`s.
const MARKS: usize = 256;
const HAVES: usize = 32;

/// How many commits are offered as `have`s when a commit's directories are asked for, and how many generations of its history
/// may come with them. A push is rarely longer, and what a longer one would bring costs more than its last commit alone.
const NEAR_HAVES: usize = 8;
const NEAR: u32 = 32;

/// How many files one request asks for.
const BLOBS: usize = 8_192;

/// How many caches stay open at a time, beside those in use.
const OPEN: usize = 64;

/// How often a lock that somebody else has is tried again.
const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// All repository caches of a service, below one folder.
pub struct Cache {
    root: PathBuf,
    shared: Arc<Shared>,
    repositories: Mutex<HashMap<(String, u64), Repo>>,
    measured: Measured,
}

struct Shared {
    client: reqwest::Client,
    limits: Limits,
    parallel: Semaphore,
    /// What each remote can, by its address: a cache that is closed and opened again need not ask again.
    capabilities: Mutex<HashMap<String, (Instant, Capabilities)>>,
}

/// The cache of one repository. Clones are the same cache.
#[derive(Clone)]
pub struct Repo(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    shared: Arc<Shared>,
    objects: Arc<ObjectDb>,
    flights: Flights<(String, Objects), Result<(), GitError>>,
    /// Held while the remote is asked what it can: others wait for the same answer.
    asking: tokio::sync::Mutex<()>,
    marks: Mutex<Vec<ObjectId>>,
    folding: AtomicBool,
    used: Mutex<SystemTime>,
}

impl Cache {
    /// The caches below `root`, which is made where it is missing. `client` must not follow redirects: they are answers
    /// here ([`GitError::Moved`]), and following one would take the token to another address.
    pub fn new(root: &Path, client: reqwest::Client, limits: Limits) -> Result<Self, GitError> {
        prepare();
        fs::create_dir_all(root).map_err(|error| storage(root, &error))?;
        let parallel = Semaphore::new(limits.parallel.max(1));
        let shared = Arc::new(Shared { client, limits, parallel, capabilities: Mutex::default() });
        Ok(Self { root: root.to_owned(), shared, repositories: Mutex::default(), measured: Measured::default() })
    }

    /// Bytes that all caches take on disk, at most a minute old.
    pub async fn bytes(&self) -> u64 {
        self.measured.bytes(&self.root).await
    }

    /// The cache of the repository with this `id` on the forge that the configuration calls `forge`: ids stay through
    /// renames. Empty at first. What a [`crate::tree::Need`] calls it is [`Repo::label`].
    ///
    /// Opens a folder: a millisecond of disk at the first time.
    pub fn repo(&self, forge: &str, id: u64) -> Result<Repo, GitError> {
        let mut repositories = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repo) = repositories.get(&(forge.to_owned(), id)) {
            *repo.0.used.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
            return Ok(repo.clone());
        }
        let folder = self.root.join(file_name(forge)).join(format!("{id}.git"));
        let repo = Repo::open(folder, &format!("{forge}/{id}"), self.shared.clone())?;
        repositories.insert((forge.to_owned(), id), repo.clone());
        close_some(&mut repositories);
        Ok(repo)
    }

    /// Makes room: where all caches together take more than `limit` bytes, those that were not used for longest go until
    /// nine tenths of it are left; one that is in use stays. They come back from the forge when they are asked for.
    /// Returns how many bytes went. Reads and writes the disk: for a thread that may block.
    ///
    /// # Errors
    /// [`GitError::Storage`] where a folder cannot be read or removed; what was removed until then is gone.
    pub fn evict(&self, limit: u64) -> Result<u64, GitError> {
        let mut folders = evict::folders(&self.root).map_err(|error| storage(&self.root, &error))?;
        let mut total: u64 = folders.iter().map(|folder| folder.bytes).sum();
        if total <= limit {
            return Ok(0);
        }
        {
            let repositories = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
            for repo in repositories.values() {
                if let Some(folder) = folders.iter_mut().find(|folder| folder.path == repo.0.folder) {
                    folder.used = *repo.0.used.lock().unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        folders.sort_by_key(|folder| folder.used);
        let (enough, mut gone) = (limit / 10 * 9, 0);
        for folder in folders {
            if total <= enough {
                break;
            }
            if self.forget(&folder.path) {
                evict::remove(&folder.path).map_err(|error| storage(&folder.path, &error))?;
                total -= folder.bytes;
                gone += folder.bytes;
            }
        }
        Ok(gone)
    }

    /// Lets go of a cache, unless somebody uses it. Nobody gets it any more then: whoever asks for it makes a new one.
    fn forget(&self, folder: &Path) -> bool {
        let mut repositories = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = repositories.iter().find(|(_, repo)| repo.0.folder == folder).map(|(key, _)| key.clone())
        else {
            return true;
        };
        let in_use = repositories.get(&key).is_some_and(|repo| Arc::strong_count(&repo.0) > 1);
        if !in_use {
            repositories.remove(&key);
        }
        !in_use
    }

    /// The refs of a repository whose names begin with one of `prefixes` (all, without any), and what they point to: with
    /// `refs/heads/` and `refs/pull/` every head there is, in one request. Never shared with others who ask: the answer is
    /// newer than the question.
    pub async fn ls_refs(&self, remote: &Remote, prefixes: &[&str]) -> Result<Vec<(String, ObjectId)>, GitError> {
        Wire::new(&self.shared.client, &self.shared.limits, remote).ls_refs(prefixes).await
    }
}

/// Closes what was not used for longest and nobody uses, where more are open than need be: each holds its packs open and mapped,
/// and a process has few of both.
fn close_some(repositories: &mut HashMap<(String, u64), Repo>) {
    while repositories.len() > OPEN {
        let idle = repositories.iter().filter(|(_, repo)| Arc::strong_count(&repo.0) == 1);
        let used = |repo: &Repo| *repo.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = idle.min_by_key(|(_, repo)| used(repo)).map(|(key, _)| key.clone()) else { return };
        repositories.remove(&key);
    }
}

impl Repo {
    fn open(folder: PathBuf, label: &str, shared: Arc<Shared>) -> Result<Self, GitError> {
        let repository = open_or_make(&folder)?;
        fold::sweep(&folder).map_err(|error| storage(&folder, &error))?;
        let marks = match fs::read_to_string(folder.join("history")) {
            Ok(text) => text.lines().filter_map(ObjectId::parse).collect(),
            Err(_) => Vec::new(),
        };
        Ok(Self(Arc::new(Inner {
            folder,
            shared,
            objects: Arc::new(ObjectDb::new(repository, label)),
            flights: Flights::default(),
            asking: tokio::sync::Mutex::new(()),
            marks: Mutex::new(marks),
            folding: AtomicBool::new(false),
            used: Mutex::new(SystemTime::now()),
        })))
    }

    /// What [`crate::tree::Need::repository`] says for this repository: `forge/id`.
    pub fn label(&self) -> &Arc<str> {
        self.0.objects.label()
    }

    /// What is here already, and the commit graph over it: [`ObjectDb::standing`], [`ObjectDb::merge_bases`],
    /// [`ObjectDb::is_ancestor`], [`ObjectDb::behind_first_parent`]. Reads the disk: for a thread that may block.
    pub fn objects(&self) -> &Arc<ObjectDb> {
        &self.0.objects
    }

    /// The tree of a commit, from what is here; [`TreeError::NotHere`] says what to [`Repo::fetch`].
    pub fn tree(&self, commit: &ObjectId) -> Result<GitTree, TreeError> {
        GitTree::new(self.0.objects.clone(), commit)
    }

    /// See [`Cache::ls_refs`].
    pub async fn ls_refs(&self, remote: &Remote, prefixes: &[&str]) -> Result<Vec<(String, ObjectId)>, GitError> {
        self.wire(remote).ls_refs(prefixes).await
    }

    /// Brings what a [`crate::tree::Need`] names, unless it is here: afterwards a read that needed it goes on. Equal calls
    /// at the same time share one request.
    ///
    /// [`GitError::NotOurRef`] names the first object that the repository does not have.
    pub async fn fetch(&self, remote: &Remote, objects: &Objects) -> Result<(), GitError> {
        let key = (remote.url.clone(), objects.clone());
        self.0.flights.share(key, || self.bring(remote, objects)).await
    }

    /// A commit with all its directories, without its parents and its files.
    pub async fn fetch_commit(&self, remote: &Remote, commit: &ObjectId) -> Result<(), GitError> {
        self.fetch(remote, &Objects::Commit(commit.clone())).await
    }

    /// The contents of files, in one request.
    pub async fn fetch_blobs(&self, remote: &Remote, blobs: &[ObjectId]) -> Result<(), GitError> {
        self.fetch(remote, &Objects::Blobs(blobs.to_vec())).await
    }

    /// All ancestors of these commits (the commits alone, where the server can): only those that are not here yet.
    pub async fn fetch_history(&self, remote: &Remote, tips: &[ObjectId]) -> Result<(), GitError> {
        self.fetch(remote, &Objects::History(tips.to_vec())).await
    }

    async fn bring(&self, remote: &Remote, objects: &Objects) -> Result<(), GitError> {
        let missing = self.missing(objects).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let filter = self.capabilities(remote).await?.filter;
        let size = match objects {
            Objects::Commit(id) => self.receive_commit(remote, id, filter).await?,
            Objects::Blobs(_) => {
                let mut size = 0;
                for wants in missing.chunks(BLOBS) {
                    size += self.receive(remote, &Wants { wants, ..Wants::default() }, filter).await?;
                }
                size
            }
            Objects::Line(id) => self.receive_line(remote, id, filter).await?,
            Objects::History(_) => {
                let mut haves: Vec<ObjectId> = self.marks();
                haves.retain(|mark| self.0.objects.has(mark));
                let haves = &haves[haves.len().saturating_sub(HAVES)..];
                let wants = Wants { wants: &missing, haves, filter: Some("tree:0"), ..Wants::default() };
                self.receive(remote, &wants, filter).await?
            }
        };
        tracing::debug!(repository = %self.label(), ?objects, bytes = size, "fetched");
        self.0.objects.refresh()?;
        let missing = self.missing(objects).await?;
        if let Some(id) = missing.first() {
            let message = format!("the pack that was to bring {id} came without it, or without what belongs to it");
            return Err(GitError::Refused { url: self.wire(remote).shown().to_owned(), message });
        }
        if let Objects::History(tips) = objects {
            self.mark(tips)?;
        }
        self.fold_when_due();
        Ok(())
    }

    /// A commit with its directories. Where commits are known whose history and directories are here, only what is new since
    /// them is asked for, history and directories in one request.
    async fn receive_commit(&self, remote: &Remote, commit: &ObjectId, filter: bool) -> Result<u64, GitError> {
        let wants = std::slice::from_ref(commit);
        let directories = Wants { wants, depth: Some(1), filter: Some("blob:none"), ..Wants::default() };
        let haves = self.near().await?;
        if haves.is_empty() {
            return self.receive(remote, &directories, filter).await;
        }
        let near = Wants { haves: &haves, depth: Some(NEAR), ..directories };
        let size = self.receive(remote, &near, filter).await?;
        self.0.objects.refresh()?;
        if self.has_history(commit).await? {
            self.mark(wants)?;
        }
        if self.missing(&Objects::Commit(commit.clone())).await?.is_empty() {
            return Ok(size);
        }
        // A directory that an older commit had, which the server takes to be here, and which was never fetched.
        Ok(size + self.receive(remote, &directories, filter).await?)
    }

    /// A commit with its directories and those of the commits before it. What is new since a line that was fetched before comes
    /// as the difference to it; otherwise all of it is asked for, since a commit that is here says nothing of its directories.
    async fn receive_line(&self, remote: &Remote, commit: &ObjectId, filter: bool) -> Result<u64, GitError> {
        let mut size = 0;
        if !self.missing(&Objects::Commit(commit.clone())).await?.is_empty() {
            size += self.receive_commit(remote, commit, filter).await?;
            self.0.objects.refresh()?;
            if self.missing(&Objects::Line(commit.clone())).await?.is_empty() {
                return Ok(size);
            }
        }
        let depth = u32::try_from(LATELY).ok();
        let wants = std::slice::from_ref(commit);
        let line = Wants { wants, depth, filter: Some("blob:none"), ..Wants::default() };
        Ok(size + self.receive(remote, &line, filter).await?)
    }

    /// The latest commits whose history and root directory are here.
    async fn near(&self) -> Result<Vec<ObjectId>, GitError> {
        let (repo, marks) = (self.clone(), self.marks());
        let with_directories = move || -> Vec<ObjectId> {
            marks.into_iter().rev().filter(|mark| repo.tree(mark).is_ok()).take(NEAR_HAVES).collect()
        };
        tokio::task::spawn_blocking(with_directories).await.map_err(|error| storage(&self.0.folder, error))
    }

    async fn has_history(&self, commit: &ObjectId) -> Result<bool, GitError> {
        let (db, marks, commit) = (self.0.objects.clone(), self.marks(), commit.clone());
        let look = move || db.has_history(&commit, &marks);
        Ok(tokio::task::spawn_blocking(look).await.map_err(|error| storage(&self.0.folder, error))??)
    }

    /// What of `objects` is not here.
    async fn missing(&self, objects: &Objects) -> Result<Vec<ObjectId>, GitError> {
        let db = self.0.objects.clone();
        let objects = objects.clone();
        let marks = self.marks();
        let look = move || -> Result<Vec<ObjectId>, TreeError> {
            let look = || -> Result<Vec<ObjectId>, TreeError> {
                match &objects {
                    Objects::Commit(id) => Ok(if db.has_trees(id)? { Vec::new() } else { vec![id.clone()] }),
                    Objects::Blobs(ids) => Ok(db.missing(ids)),
                    Objects::History(tips) => {
                        let mut missing = Vec::new();
                        for tip in tips {
                            if !db.has_history(tip, &marks)? && !missing.contains(tip) {
                                missing.push(tip.clone());
                            }
                        }
                        Ok(missing)
                    }
                    Objects::Line(id) => Ok(if db.has_line(id, LATELY)? { Vec::new() } else { vec![id.clone()] }),
                }
            };
            if look()?.is_empty() {
                return Ok(Vec::new());
            }
            // Another process may have brought it.
            db.refresh()?;
            look()
        };
        let found = tokio::task::spawn_blocking(look).await;
        Ok(found.map_err(|error| storage(&self.0.folder, error))??)
    }

    async fn capabilities(&self, remote: &Remote) -> Result<Capabilities, GitError> {
        let _asking = self.0.asking.lock().await;
        let known = || self.0.shared.capabilities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, found)) = known().get(&remote.url)
            && at.elapsed() < CAPABILITIES
        {
            return Ok(found.clone());
        }
        let found = self.wire(remote).capabilities().await?;
        let mut known = known();
        known.retain(|_, (at, _)| at.elapsed() < CAPABILITIES);
        known.insert(remote.url.clone(), (Instant::now(), found.clone()));
        Ok(found)
    }

    async fn receive(&self, remote: &Remote, wants: &Wants<'_>, filter: bool) -> Result<u64, GitError> {
        let shared = &self.0.shared;
        let _turn = shared.parallel.acquire().await.map_err(|error| storage(&self.0.folder, error))?;
        let _lock = self.lock_shared().await?;
        let wire = self.wire(remote);
        match wire.fetch(wants, filter, &self.0.folder).await {
            // The forge may know the commit in a moment: hooks are sent before all of it is in place.
            Err(GitError::NotOurRef { .. }) => {
                tokio::time::sleep(shared.limits.ask_again).await;
                wire.fetch(wants, filter, &self.0.folder).await
            }
            other => other,
        }
    }

    async fn lock_shared(&self) -> Result<FolderLock, GitError> {
        let deadline = Instant::now() + self.0.shared.limits.total;
        loop {
            match FolderLock::shared(&self.0.folder).map_err(|error| storage(&self.0.folder, &error))? {
                Some(lock) => return Ok(lock),
                None if Instant::now() > deadline => {
                    return Err(storage(&self.0.folder, "another process has had its lock for too long"));
                }
                None => tokio::time::sleep(LOCK_AGAIN).await,
            }
        }
    }

    fn wire<'a>(&'a self, remote: &'a Remote) -> Wire<'a> {
        Wire::new(&self.0.shared.client, &self.0.shared.limits, remote)
    }

    /// Commits whose whole history is here, the latest last.
    fn marks(&self) -> Vec<ObjectId> {
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers that the history of these commits is here. Of two processes that write at once one wins: a mark that is
    /// lost costs a larger pack, no more.
    fn mark(&self, tips: &[ObjectId]) -> Result<(), GitError> {
        let mut marks = self.0.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.retain(|mark| !tips.contains(mark));
        marks.extend_from_slice(tips);
        let surplus = marks.len().saturating_sub(MARKS);
        marks.drain(..surplus);
        let text: String = marks.iter().map(|mark| format!("{mark}\n")).collect();
        let (file, new) =
            (self.0.folder.join("history"), self.0.folder.join(format!("history.{}", std::process::id())));
        fs::write(&new, text).and_then(|()| fs::rename(&new, &file)).map_err(|error| storage(&file, &error))
    }

    /// Folds small packs in the background, once there are too many of them.
    fn fold_when_due(&self) {
        let due = fold::small_packs(&self.0.folder).is_ok_and(|packs| packs.len() > self.0.shared.limits.small_packs);
        if !due || self.0.folding.swap(true, Ordering::SeqCst) {
            return;
        }
        let repo = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(message) = repo.fold() {
                tracing::warn!(folder = %repo.0.folder.display(), message, "small packs could not be folded");
            }
            repo.0.folding.store(false, Ordering::SeqCst);
        });
    }

    /// Folds now, unless somebody writes: then the next fetch tries again.
    fn fold(&self) -> Result<(), String> {
        let Some(_lock) = FolderLock::alone(&self.0.folder).map_err(|error| error.to_string())? else { return Ok(()) };
        fold::fold(&self.0.folder)?;
        self.0.objects.reopen().map_err(|error| error.to_string())
    }
}

/// The repository in `folder`, which is made where there is none. Whoever makes one holds a lock that the system gives back
/// when the process dies, so what is no repository then was left half made, with git's own lock files in it: it goes.
fn open_or_make(folder: &Path) -> Result<Repository, GitError> {
    let none = |error: &git2::Error| error.code() == ErrorCode::NotFound;
    match Repository::open_bare(folder) {
        Err(error) if none(&error) => {}
        other => return other.map_err(|error| storage(folder, error.message())),
    }
    let parent = folder.parent().unwrap_or(folder);
    let made = fs::create_dir_all(parent).and_then(|()| {
        let lock = File::options().create(true).append(true).open(parent.join("making.lock"))?;
        lock.lock()?;
        Ok(lock)
    });
    let _lock = made.map_err(|error| storage(parent, error))?;
    match Repository::open_bare(folder) {
        Err(error) if none(&error) => {}
        // Another process was faster.
        other => return other.map_err(|error| storage(folder, error.message())),
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(storage(folder, error)),
        _ => {}
    }
    // No template: hooks and excludes are of no use here.
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false);
    Repository::init_opts(folder, &options).map_err(|error| storage(folder, error.message()))
}

fn storage(path: &Path, error: impl ToString) -> GitError {
    GitError::Storage { path: path.display().to_string(), message: error.to_string() }
}

/// A name from the configuration as the name of a folder: letters, digits, `-` and `_` stay.
fn file_name(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            safe.push(byte.into());
        } else {
            safe.push_str(&format!("%{byte:02x}"));
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_of_forges_stay_below_the_caches_root() {
        assert_eq!(file_name("main"), "main");
        assert_eq!(file_name("../x"), "%2e%2e%2fx");
        assert_ne!(file_name("a.b"), file_name("a-b"));
    }
}

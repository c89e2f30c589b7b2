//! A git object database, opened for reading.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::{ErrorClass, ErrorCode, ObjectType, OdbLookupFlags, Oid, Repository};

use super::{MAX_FILE, escaped};
use crate::tree::{Need, Node, ObjectId, Objects, TreeError};

/// Parsed directories that are kept before the store forgets them all: some 100 bytes an entry, a few MB together.
const MAX_DIRS: usize = 20_000;

/// The objects of one repository: what [`super::GitTree`]s and the commit graph read from.
///
/// libgit2's repository may be sent to another thread but not shared, so it stands behind a lock, held for one lookup at a
/// time; parsed directories are kept beside it, because all trees of a repository share most of them.
pub struct ObjectDb {
    label: Arc<str>,
    path: PathBuf,
    shallow: bool,
    repository: Mutex<Repository>,
    dirs: Mutex<HashMap<Oid, Arc<Dir>>>,
}

/// One parsed git tree.
pub(super) struct Dir {
    /// Sorted by name bytes (git itself sorts directories as if their names ended with a slash).
    entries: Vec<Entry>,
}

/// One name in a git tree.
#[derive(Clone)]
pub(super) struct Entry {
    pub name: String,
    pub kind: EntryKind,
    pub id: Oid,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    File { executable: bool },
    Link,
    Dir,
    Submodule,
}

impl Dir {
    pub fn get(&self, name: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok()?;
        self.entries.get(at)
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

impl ObjectDb {
    /// Objects of an opened repository. `label` names it in [`Need`]s; a shallow clone is noticed here.
    pub fn new(repository: Repository, label: &str) -> Self {
        Self {
            label: label.into(),
            path: repository.path().to_owned(),
            shallow: repository.is_shallow(),
            repository: Mutex::new(repository),
            dirs: Mutex::default(),
        }
    }

    /// What [`Need`]s call this repository.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// The folder that has the objects.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a `shallow` file cuts the history off, so that commits look like roots that are none.
    pub fn is_shallow(&self) -> bool {
        self.shallow
    }

    /// Makes packs visible that were added since; lookups do not search for them.
    ///
    /// # Errors
    /// [`TreeError::Io`] when the folder of packs cannot be read.
    pub fn refresh(&self) -> Result<(), TreeError> {
        let repository = self.repository();
        repository.odb().and_then(|odb| odb.refresh()).map_err(|error| self.io(&error))
    }

    /// Puts a newly opened repository in the place of the old one: after packs were removed.
    ///
    /// # Errors
    /// [`TreeError::Io`] when the repository cannot be opened; the old one stays.
    pub fn reopen(&self) -> Result<(), TreeError> {
        let fresh = Repository::open_bare(&self.path).map_err(|error| self.io(&error))?;
        *self.repository() = fresh;
        Ok(())
    }

    /// Whether the object is here.
    pub fn has(&self, id: &ObjectId) -> bool {
        oid(id).is_some_and(|id| self.contains(&self.repository(), id))
    }

    /// Those of `ids` that are not here.
    pub fn missing(&self, ids: &[ObjectId]) -> Vec<ObjectId> {
        let repository = self.repository();
        let absent = |id: &&ObjectId| !oid(id).is_some_and(|id| self.contains(&repository, id));
        ids.iter().filter(absent).cloned().collect()
    }

    /// Whether the commit with all its directories is here (files need not be).
    ///
    /// # Errors
    /// [`TreeError::Io`] when what is here cannot be read, [`TreeError::Unfit`] when the name is of no commit.
    pub fn has_trees(&self, commit: &ObjectId) -> Result<bool, TreeError> {
        match self.root(commit) {
            Ok(root) => self.has_dirs(root, &mut HashSet::new()),
            Err(TreeError::NotHere(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a directory is here with all below it; those in `seen` are.
    pub(super) fn has_dirs(&self, root: Oid, seen: &mut HashSet<Oid>) -> Result<bool, TreeError> {
        let mut pending = vec![root];
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            let Some(dir) = self.dir(id)? else { return Ok(false) };
            pending.extend(dir.entries().iter().filter(|entry| entry.kind == EntryKind::Dir).map(|entry| entry.id));
        }
        Ok(true)
    }

    pub(super) fn repository(&self) -> MutexGuard<'_, Repository> {
        self.repository.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without a search for new packs, which a miss would cost otherwise.
    pub(super) fn contains(&self, repository: &Repository, id: Oid) -> bool {
        repository.odb().is_ok_and(|odb| odb.exists_ext(id, OdbLookupFlags::NO_REFRESH))
    }

    pub(super) fn need(&self, objects: Objects) -> TreeError {
        TreeError::NotHere(Need { repository: self.label.clone(), objects })
    }

    /// The root directory of a commit; [`TreeError::NotHere`] when the commit is not here (the directory may be missing too).
    pub(super) fn root(&self, commit: &ObjectId) -> Result<Oid, TreeError> {
        let id = self.oid(commit)?;
        let repository = self.repository();
        if !self.contains(&repository, id) {
            return Err(self.need(Objects::Commit(commit.clone())));
        }
        match repository.find_commit(id) {
            Ok(found) => Ok(found.tree_id()),
            Err(error) if error.class() == ErrorClass::Invalid || error.code() == ErrorCode::NotFound => {
                Err(TreeError::Unfit { path: commit.to_string(), what: "not a commit".to_owned() })
            }
            Err(error) => Err(self.io(&error)),
        }
    }

    /// A directory; `None` when it is not here.
    pub(super) fn dir(&self, id: Oid) -> Result<Option<Arc<Dir>>, TreeError> {
        if let Some(dir) = self.dirs.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Some(dir.clone()));
        }
        let dir = {
            let repository = self.repository();
            if !self.contains(&repository, id) {
                return Ok(None);
            }
            let tree = repository.find_tree(id).map_err(|error| self.io(&error))?;
            Arc::new(self.parse(&tree)?)
        };
        let mut dirs = self.dirs.lock().unwrap_or_else(PoisonError::into_inner);
        if dirs.len() >= MAX_DIRS {
            dirs.clear();
        }
        dirs.insert(id, dir.clone());
        Ok(Some(dir))
    }

    fn parse(&self, tree: &git2::Tree<'_>) -> Result<Dir, TreeError> {
        let mut entries = Vec::with_capacity(tree.len());
        for entry in tree {
            let name = entry.name_bytes();
            if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
                let why = format!("directory {} has the impossible name {:?}", tree.id(), escaped(name));
                return Err(TreeError::Io { path: self.path.display().to_string(), why });
            }
            // `filemode` forgives the group-writable files of git's first years.
            let kind = match entry.filemode() {
                0o040000 => EntryKind::Dir,
                0o120000 => EntryKind::Link,
                0o160000 => EntryKind::Submodule,
                mode => EntryKind::File { executable: mode & 0o100 != 0 },
            };
            entries.push(Entry { name: escaped(name).into_owned(), kind, id: entry.id() });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Dir { entries })
    }

    /// The bytes of a file; `None` when they are not here.
    pub(super) fn blob(&self, id: Oid) -> Result<Option<Arc<[u8]>>, TreeError> {
        let repository = self.repository();
        if !self.contains(&repository, id) {
            return Ok(None);
        }
        let odb = repository.odb().map_err(|error| self.io(&error))?;
        let (size, _) = odb.read_header(id).map_err(|error| self.io(&error))?;
        if size as u64 > MAX_FILE {
            let what = format!("{size} bytes are more than the {MAX_FILE} that are read");
            return Err(TreeError::Unfit { path: id.to_string(), what });
        }
        let object = odb.read(id).map_err(|error| self.io(&error))?;
        if object.kind() != ObjectType::Blob {
            return Err(TreeError::Unfit { path: id.to_string(), what: "not a file's content".to_owned() });
        }
        Ok(Some(object.data().into()))
    }

    /// The size of a file; `None` when it is not here.
    pub(super) fn blob_size(&self, id: Oid) -> Result<Option<u64>, TreeError> {
        let repository = self.repository();
        if !self.contains(&repository, id) {
            return Ok(None);
        }
        let odb = repository.odb().map_err(|error| self.io(&error))?;
        odb.read_header(id).map(|(size, _)| Some(size as u64)).map_err(|error| self.io(&error))
    }

    pub(super) fn oid(&self, id: &ObjectId) -> Result<Oid, TreeError> {
        oid(id).ok_or_else(|| TreeError::Unfit {
            path: id.to_string(),
            what: "a SHA-256 object name; only SHA-1 repositories can be read".to_owned(),
        })
    }

    pub(super) fn io(&self, error: &git2::Error) -> TreeError {
        TreeError::Io { path: self.path.display().to_string(), why: error.message().to_owned() }
    }
}

impl Entry {
    /// As others see it; `target` is asked for a link only.
    pub fn node<E>(&self, target: impl FnOnce(Oid) -> Result<String, E>) -> Result<Node, E> {
        Ok(match self.kind {
            EntryKind::File { executable } => Node::File { mode: if executable { 0o755 } else { 0o644 } },
            EntryKind::Dir => Node::Dir { mode: 0o755 },
            EntryKind::Submodule => Node::Submodule { commit: object_id(self.id) },
            EntryKind::Link => Node::Link { target: target(self.id)? },
        })
    }
}

/// libgit2's form of a SHA-1 name.
pub(super) fn oid(id: &ObjectId) -> Option<Oid> {
    (id.as_str().len() == 40).then(|| Oid::from_str(id.as_str()).ok()).flatten()
}

/// The house's form of libgit2's name.
#[allow(clippy::expect_used, reason = "libgit2 prints nothing else")]
pub(super) fn object_id(id: Oid) -> ObjectId {
    ObjectId::parse(&id.to_string()).expect("libgit2 prints names as 40 lower-case hexadecimal digits")
}

//! Repositories on this machine, for the command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{ErrorCode, Repository, RepositoryOpenFlags};

use super::objects::object_id;
use super::{GitTree, ObjectDb, WorkTree, prepare};
use crate::tree::{ObjectId, TreeError};

/// A repository on disk, opened in place and read-only: with a work tree, bare, or a linked work tree.
#[derive(Clone)]
pub struct Local {
    folder: PathBuf,
    objects: Arc<ObjectDb>,
}

/// Why a local repository or revision cannot be used.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// There is no repository in that folder.
    #[error("{}: not a git repository; give the folder that has `.git`, or a bare repository", .0.display())]
    NotARepository(PathBuf),
    /// A repository with SHA-256 object names.
    #[error("{}: a repository with SHA-256 object names; only SHA-1 repositories can be read", .0.display())]
    Sha256(PathBuf),
    /// A repository in which nothing was committed.
    #[error("{}: no commits yet; commit something, or leave the revision out to use the files as they are", .0.display())]
    NoCommits(PathBuf),
    /// No commit has that name.
    #[error("{}: no commit `{rev}`: {why}", .folder.display())]
    NoSuchRevision {
        /// As given to [`Local::open`].
        folder: PathBuf,
        /// As the caller wrote it.
        rev: String,
        /// In words, for people.
        why: String,
    },
    /// It is there and cannot be read.
    #[error("{}: {why}", .folder.display())]
    Unreadable {
        /// As given to [`Local::open`].
        folder: PathBuf,
        /// In libgit2's words.
        why: String,
    },
}

impl Local {
    /// Opens the repository in `folder` (not one around it). The folder is its label in [`crate::tree::Need`]s.
    ///
    /// # Errors
    /// [`OpenError::NotARepository`], [`OpenError::Sha256`], or [`OpenError::Unreadable`] with libgit2's words.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        prepare();
        let flags = RepositoryOpenFlags::NO_SEARCH;
        let repository = Repository::open_ext(folder, flags, std::iter::empty::<&Path>()).map_err(|error| {
            let message = error.message().to_lowercase();
            if error.code() == ErrorCode::NotFound {
                OpenError::NotARepository(folder.to_owned())
            } else if message.contains("object format") || message.contains("objectformat") {
                OpenError::Sha256(folder.to_owned())
            } else {
                OpenError::Unreadable { folder: folder.to_owned(), why: error.message().to_owned() }
            }
        })?;
        let objects = Arc::new(ObjectDb::new(repository, &folder.display().to_string()));
        Ok(Self { folder: folder.to_owned(), objects })
    }

    /// Whether `folder` has a repository (readable or not).
    pub fn is_repository(folder: &Path) -> bool {
        !matches!(Self::open(folder), Err(OpenError::NotARepository(_)))
    }

    /// Its objects: for the commit graph, see [`ObjectDb::standing`] and its neighbours.
    pub fn objects(&self) -> &Arc<ObjectDb> {
        &self.objects
    }

    /// The commit that a revision means, as `git rev-parse` reads it: a branch, a tag (also an annotated one), a full or
    /// unique short commit name, `HEAD~2`.
    ///
    /// # Errors
    /// [`OpenError::NoSuchRevision`], or [`OpenError::NoCommits`] where the repository has no branch or tag at all.
    pub fn resolve(&self, rev: &str) -> Result<ObjectId, OpenError> {
        let repository = self.objects.repository();
        let found = repository.revparse_single(rev).and_then(|object| object.peel_to_commit());
        found.map(|commit| object_id(commit.id())).map_err(|error| {
            if repository.references().is_ok_and(|mut all| all.next().is_none()) {
                return OpenError::NoCommits(self.folder.clone());
            }
            let why = match error.code() {
                ErrorCode::NotFound => "no branch, tag or commit has that name".to_owned(),
                _ => error.message().to_owned(),
            };
            OpenError::NoSuchRevision { folder: self.folder.clone(), rev: rev.to_owned(), why }
        })
    }

    /// The commit that is checked out (that `HEAD` names); `None` where nothing was committed on that branch.
    ///
    /// # Errors
    /// [`OpenError::Unreadable`] when `HEAD` cannot be read or names no commit.
    pub fn head(&self) -> Result<Option<ObjectId>, OpenError> {
        let repository = self.objects.repository();
        let head = repository.head().and_then(|head| head.peel_to_commit());
        match head {
            Ok(commit) => Ok(Some(object_id(commit.id()))),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => Ok(None),
            Err(error) => Err(OpenError::Unreadable { folder: self.folder.clone(), why: error.message().to_owned() }),
        }
    }

    /// The files on disk of a repository that is not bare.
    ///
    /// # Errors
    /// The folder or the repository's index cannot be read.
    pub fn work_tree(&self) -> Result<WorkTree, TreeError> {
        WorkTree::new(&self.folder, self.objects.clone())
    }

    /// The tree of a commit of this repository.
    ///
    /// # Errors
    /// As [`GitTree::new`].
    pub fn tree(&self, commit: &ObjectId) -> Result<GitTree, TreeError> {
        GitTree::new(self.objects.clone(), commit)
    }
}

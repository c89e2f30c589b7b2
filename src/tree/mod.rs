//! How everything reads a tree of files.
//!
//! A gate compares trees: a commit's, a work tree's, a merge result's, an image's. All of them are read through
//! [`Tree`], so that the same code judges in the service, on a laptop and in a test. This room is pure: it does no I/O
//! of its own and knows neither git nor a forge; `snapshot` implements the trait, [`Mounted`], [`Subtree`] and
//! [`Merged`] combine trees, [`Edited`] is one with other files in it, [`follow`] says where a path leads through symbolic links.
//!
//! The trap it handles: a partial clone. An object may be *known but not here*. A read then answers
//! [`TreeError::NotHere`] with what to fetch, and whoever drives the evaluation fetches it and evaluates again; an
//! evaluation is pure, so asking twice is harmless. What is not here is never taken for absent.

use std::fmt;
use std::sync::Arc;

mod combine;
mod edited;
mod follow;
mod lines;
mod memory;
mod merged;
#[cfg(test)]
mod tests;
mod without;

pub use combine::{Mounted, Subtree};
pub use edited::{Change, Edited};
pub use follow::{Led, follow};
pub use memory::{BlobHasher, Memory, blob_id};
pub use merged::Merged;
pub use without::Without;

/// A git object name, as 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(Arc<str>);

impl ObjectId {
    /// Reads 40 or 64 hexadecimal digits in lower case; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits =
            matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        digits.then(|| Self(text.into()))
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }

    /// Whether all digits are zero: git's way to say "no object" in a webhook or a ref update.
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for ObjectId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an object name")))
    }
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file; `mode` has the permission bits (0o644, 0o755; a work tree may have others).
    File {
        /// Octal permission bits, without the type of file.
        mode: u32,
    },
    /// A directory; `mode` has the permission bits (0o755 where the tree does not record them, as in git).
    Dir {
        /// Octal permission bits, without the type of file.
        mode: u32,
    },
    /// A symbolic link and its target, as stored.
    Link {
        /// Relative to the link's own directory, or absolute; it need not exist.
        target: String,
    },
    /// A commit of another repository (a git submodule): its files are not in this tree.
    Submodule {
        /// The commit that the outer repository records.
        commit: ObjectId,
    },
}

/// A read-only tree of files.
///
/// Paths are relative to the root, with `/` between names, without leading or trailing slash, without `.` and `..`;
/// the root is `""`. No implementation follows symbolic links: that is the reader's business. A name that is not UTF-8
/// appears with its odd bytes as `\ooo`, as git prints it.
pub trait Tree: Send + Sync {
    /// What stands at `path`; `None` when nothing does (also when a parent is no directory).
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a directory on the way is not fetched, [`TreeError::Io`] where it cannot be read.
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError>;

    /// The names in the directory at `path` with what stands there, sorted by name bytes. Empty where there is no
    /// directory.
    ///
    /// # Errors
    /// As [`Tree::node`].
    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError>;

    /// The git blob name of the file (of the target text, for a link) at `path`. Equal names are equal bytes. In a git
    /// tree this needs no content; a work tree hashes the file.
    ///
    /// # Errors
    /// As [`Tree::node`], and [`TreeError::Unfit`] where there is neither file nor link.
    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError>;

    /// The bytes of the file at `path` (the target text, for a link).
    ///
    /// # Errors
    /// As [`Tree::blob_id`]; [`TreeError::NotHere`] also where only the content is not fetched.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError>;

    /// The size in bytes of the file at `path`.
    ///
    /// # Errors
    /// As [`Tree::read`].
    fn size(&self, path: &str) -> Result<u64, TreeError> {
        Ok(self.read(path)?.len() as u64)
    }

    /// A name that is equal for directories of equal content, where the tree knows one without looking (git does).
    ///
    /// # Errors
    /// As [`Tree::node`].
    fn dir_id(&self, _path: &str) -> Result<Option<ObjectId>, TreeError> {
        Ok(None)
    }

    /// Whether the directory at `path` has that name ([`Tree::dir_id`]): what is asked where only that matters.
    ///
    /// # Errors
    /// As [`Tree::node`].
    fn is_dir_of(&self, path: &str, id: &ObjectId) -> Result<bool, TreeError> {
        Ok(self.dir_id(path)?.as_ref() == Some(id))
    }

    /// Whether the file at `path` has that name ([`Tree::blob_id`]).
    ///
    /// # Errors
    /// As [`Tree::blob_id`].
    fn is_blob_of(&self, path: &str, id: &ObjectId) -> Result<bool, TreeError> {
        Ok(self.blob_id(path)? == *id)
    }

    /// Says that the content of these paths will be read. A partial tree answers [`TreeError::NotHere`] with all that
    /// is missing at once, so that one request brings it; paths without a file are passed over.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] with all of it; [`TreeError::Io`] where that cannot be told.
    fn expect(&self, _paths: &[&str]) -> Result<(), TreeError> {
        Ok(())
    }
}

/// What must be fetched before an evaluation can go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Need {
    /// Which repository has it: the label that the tree or world was made with.
    pub repository: Arc<str>,
    /// What is missing there.
    pub objects: Objects,
}

impl Need {
    /// This need and another one, where one request can bring both: files of the same repository. Else this one alone, and
    /// the other is named when it is asked for again.
    pub fn and(self, other: &Self) -> Self {
        match (self.objects, &other.objects) {
            (Objects::Blobs(mut blobs), Objects::Blobs(more)) if self.repository == other.repository => {
                blobs.extend_from_slice(more);
                blobs.sort();
                blobs.dedup();
                Self { repository: self.repository, objects: Objects::Blobs(blobs) }
            }
            (objects, _) => Self { repository: self.repository, objects },
        }
    }
}

/// The objects that are known but not here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Objects {
    /// A commit with its trees.
    Commit(ObjectId),
    /// The contents of files.
    Blobs(Vec<ObjectId>),
    /// The ancestry of these commits.
    History(Vec<ObjectId>),
    /// The first-parent line that ends at this commit, with the directories of its commits: of as many as are looked through.
    Line(ObjectId),
}

/// Why a tree could not be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeError {
    /// Known, but not fetched yet; see the module's first lines.
    #[error("not fetched yet: {} in {}", .0.objects.describe(), .0.repository)]
    NotHere(Need),
    /// Both sides of a merge changed this path in ways that cannot be put together.
    #[error("both sides changed {path}, and a merge would conflict")]
    Conflict {
        /// From the root of the tree.
        path: String,
    },
    /// There is nothing of that kind at the path.
    #[error("{path}: {what}")]
    Unfit {
        /// From the root of the tree; the folder itself where that is missing.
        path: String,
        /// In words, for people: what is wrong with it.
        what: String,
    },
    /// The storage failed: a corrupt object, an unreadable file.
    #[error("{path} cannot be read: {why}")]
    Io {
        /// From the root of the tree, or the repository's place on disk.
        path: String,
        /// In the words of the system or of libgit2.
        why: String,
    },
}

impl Objects {
    fn describe(&self) -> String {
        match self {
            Self::Commit(id) => format!("commit {id}"),
            Self::Blobs(ids) => format!("{} files", ids.len()),
            Self::History(ids) => format!("the history of {} commits", ids.len()),
            Self::Line(id) => format!("the directories of the commits before {id}"),
        }
    }
}

/// `dir/name`, or `name` in the root.
pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// The directory of `path` and its last name; the directory of a name in the root is `""`.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

//! What drift is (pure).
//!
//! One gate, one [`Case`], one [`World`] of objects to look things up in: [`judge`] answers with a [`Report`]. Equal
//! inputs give an equal report, byte for byte; nothing here knows a forge, a clock or a thread. The service, the command
//! line and the backtest call the same function and differ only in the world that they bring.
//!
//! Traps handled here: a side that is missing is never "equal"; an object that is not fetched yet is never "absent"
//! ([`TreeError::NotHere`] goes up to the driver, which fetches and calls again); a pull request answers only for what
//! its merge would add.

use std::sync::Arc;

use crate::tree::{ObjectId, Tree, TreeError};

/// Which repository of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The repository that bakes or copies; its commits ship.
    Consumer,
    /// The repository whose files must ship unchanged.
    Source,
}

/// One state of a repository: a commit, or files on disk that no commit names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Revision {
    /// A commit of that side's repository.
    Commit(ObjectId),
    /// The files of a folder, as they are.
    WorkTree,
}

/// What is asked: see "How each head is judged" in `docs/design.md`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Case {
    /// Does what ships now say what the source says: consumer branch head `consumer` against source branch head
    /// `source`. Both branch heads are told this verdict.
    Branch {
        /// Head of the gated branch.
        consumer: Revision,
        /// Head of the source's branch.
        source: Revision,
    },
    /// Would merging `head` into consumer revision `base` break it?
    ConsumerPull {
        /// Head of the pull request.
        head: Revision,
        /// What it would be merged into.
        base: Revision,
        /// Head of the source's branch.
        source: Revision,
    },
    /// Would merging `head` into source revision `base` break consumer branch head `consumer`?
    SourcePull {
        /// Head of the pull request.
        head: Revision,
        /// What it would be merged into: head of the source's branch.
        base: Revision,
        /// Head of the gated branch of the consumer.
        consumer: Revision,
    },
    /// The same, with a pull request of the consumer merged: do both together bake?
    PairedPull {
        /// Head of the source's pull request.
        head: Revision,
        /// What that would be merged into: head of the source's branch.
        base: Revision,
        /// Head of the consumer's pull request.
        partner: Revision,
        /// What that would be merged into: head of the gated branch of the consumer.
        onto: Revision,
    },
}

/// How a bound source commit stands to the source branch's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same commit.
    Same,
    /// An ancestor of the head, this many first-parent steps behind.
    Behind(u32),
    /// A descendant of the head.
    Ahead,
    /// Neither.
    Diverged,
    /// Nobody can tell: a folder without history.
    Unknown,
}

/// Which version of the source some bytes are that the consumer keeps itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The newest commit of the branch that has these bytes, and the path that has them there.
    Of {
        /// On the first-parent line of the branch.
        commit: ObjectId,
        /// The path that was asked for, where that ever had them.
        path: String,
    },
    /// None: no file of the branch ever had them.
    Never,
    /// Nobody looked: the history is not at hand, or too long.
    NotLookedUp,
}

/// What a file was, on the first-parent line of a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Its contents, the newest first, each as often as it came anew, with the newest commit that had it then. Commits
    /// without the file are passed over.
    pub versions: Vec<(ObjectId, ObjectId)>,
    /// Nothing came before the last of them: the line was looked through to its first commit.
    pub whole: bool,
}

/// The objects that an evaluation may look at. Implementations answer from what is at hand and say
/// [`TreeError::NotHere`] for what must be fetched first.
pub trait World {
    /// The tree of a revision; `None` when the repository does not have that commit (asked, and asked again).
    ///
    /// # Errors
    /// [`TreeError::NotHere`] names what to fetch before asking again; anything else is storage that failed.
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError>;

    /// How `commit` stands to `head` on the commit graph of that side.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] names what to fetch before asking again: a part of the history.
    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError>;

    /// The best common ancestors of two revisions: several where histories were merged crosswise, none when they are
    /// unrelated.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] names what to fetch before asking again: a part of the history.
    fn merge_bases(&self, side: Side, one: &Revision, other: &Revision) -> Result<Vec<Revision>, TreeError>;

    /// Of which version of the source's `path` the bytes of this name are, on the first-parent line that ends at `head`. It
    /// takes all directories of that line, so only a world that has them at hand looks; the same world always or never does.
    fn version(&self, _head: &Revision, _path: &str, _blob: &ObjectId) -> Version {
        Version::NotLookedUp
    }

    /// What the file at `path` was, on the first-parent line of that side which ends at `head`. Nothing, and not whole, in a
    /// world that has no history at hand and cannot fetch it.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] names what to fetch before asking again: the directories of that line.
    fn past(&self, _side: Side, _head: &Revision, _path: &str) -> Result<Past, TreeError> {
        Ok(Past::default())
    }
}

mod attributes;
pub mod binding;
mod changes;
pub mod checks;
mod data;
pub mod discover;
pub mod finding;
pub mod glob;
mod judge;
mod merge;
pub mod own_file;
pub mod policy;
pub mod repair;
pub mod verdict;
pub mod waiver;
mod weakened;
pub mod words;

#[cfg(test)]
mod tests;

pub use judge::{Before, judge, judge_proposed, repo_name};
pub use merge::{Proposed, proposed};
pub use verdict::Report;
pub use weakened::weakened;

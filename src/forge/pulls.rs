//! What is written to a forge besides statuses: commits of changed files, branches, pull requests and what is said on them.
//!
//! Every call is sent once; whether to repeat it is for who calls, after reading what stands there. A refusal that a caller can
//! answer is [`ForgeError::NotWritten`] with the reason, whichever of a forge's status codes and words told it.
//!
//! Traps that this part handles: lists ignore parameters that a forge does not know, so everything is filtered here as well; a
//! pull request's branch is named by `head.label` on Gitea once it is deleted (`head.ref` is another reference then); a commit
//! never goes over somebody else's: it names the blobs that it replaces on Gitea, and its parent on GitHub.

use std::collections::BTreeMap;

use super::{ForgeError, Pull, RepoName};
use crate::tree::ObjectId;

/// Why a forge did not write, where a caller can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// A pull request of this branch onto this base is open already: 409, or 422 `custom` on GitHub.
    PullExists,
    /// A branch of this name is there already.
    BranchExists,
    /// What it was made from is not there any more: another blob at a path, another commit at the branch's head, no branch;
    /// or the pull request was merged meanwhile.
    Stale,
    /// The branch's protection does not let us.
    Protected,
    /// The repository is archived: 423, or 403 on GitHub.
    Archived,
    /// The token lacks a scope or permission; the words name it.
    MissingScope,
    /// A pull request that would change nothing; Gitea opens such a one.
    NoCommits,
    /// This forge cannot do it at all.
    NotSupported,
    /// Not yet: the forge is still working out whether it can be merged.
    NotYet,
}

/// One file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// From the repository's root.
    pub path: String,
    /// All of it as it will be; `None` removes the file.
    pub content: Option<Vec<u8>>,
    /// Whether it may be run. Gitea's API keeps what a file was, and makes no new file that may be.
    pub executable: bool,
    /// The blob that it replaces; `None` for a new file.
    pub was: Option<ObjectId>,
}

/// Where a commit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto<'a> {
    /// A branch that must not be there yet.
    New {
        /// Its name, without `refs/heads/`.
        branch: &'a str,
        /// The branch that it begins at.
        from: &'a str,
    },
    /// On top of a branch that is there.
    Existing(&'a str),
}

/// A commit of changed files. Its author is whoever the token belongs to.
#[derive(Clone, Copy, Debug)]
pub struct NewCommit<'a> {
    /// Where it goes.
    pub onto: Onto<'a>,
    /// The commit that it is made from: the head of `from`, or of the existing branch.
    pub parent: &'a ObjectId,
    /// Its message.
    pub message: &'a str,
    /// All of them, or none.
    pub files: &'a [FileChange],
}

/// A pull request to open, between branches of one repository.
#[derive(Clone, Copy, Debug)]
pub struct NewPull<'a> {
    /// The branch that it brings.
    pub head: &'a str,
    /// The branch that it would be merged into.
    pub base: &'a str,
    /// One line.
    pub title: &'a str,
    /// Markdown.
    pub body: &'a str,
    /// Not ready for review.
    pub draft: bool,
}

/// What changes about a pull request; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullEdit<'a> {
    /// One line.
    pub title: Option<&'a str>,
    /// Markdown, all of it.
    pub body: Option<&'a str>,
    /// Whether it is open.
    pub open: Option<bool>,
}

/// A pull request with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The pull request.
    pub pull: Pull,
    /// The branch that it brings, also after its deletion.
    pub branch: String,
    /// Markdown, as it stands.
    pub body: String,
}

/// Which pull requests to find.
#[derive(Clone, Copy, Debug)]
pub struct Find<'a> {
    /// Login of who opened them.
    pub author: &'a str,
    /// Open ones, or closed and merged ones.
    pub open: bool,
    /// Closed ones of this branch: other closed ones may be left out.
    pub branch: &'a str,
}

/// A commit of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullCommit {
    /// Which.
    pub sha: ObjectId,
    /// Login of its author, where the forge knows one by the commit's address; else the name in the commit.
    pub author: String,
}

/// A workflow to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// Its file's name, or its number.
    pub workflow: String,
    /// The branch or tag that it runs on.
    pub reference: String,
    /// What it is given.
    pub inputs: BTreeMap<String, String>,
}

/// How a forge is written to.
#[async_trait::async_trait]
pub trait Pulls: Send + Sync {
    /// Whether nothing is written at all: who would write says what it would do instead.
    fn is_dry(&self) -> bool {
        false
    }
    /// One commit; answers its id.
    async fn commit(&self, repo: &RepoName, commit: &NewCommit<'_>) -> Result<ObjectId, ForgeError>;
    /// Deletes a branch; one that is not there is no error.
    async fn delete_branch(&self, repo: &RepoName, branch: &str) -> Result<(), ForgeError>;
    /// Opens a pull request; answers its number.
    async fn open_pull(&self, repo: &RepoName, pull: &NewPull<'_>) -> Result<u64, ForgeError>;
    /// Changes a pull request.
    async fn edit_pull(&self, repo: &RepoName, number: u64, edit: &PullEdit<'_>) -> Result<(), ForgeError>;
    /// Pull requests of somebody between branches of this repository, newest first.
    async fn find_pulls(&self, repo: &RepoName, find: &Find<'_>) -> Result<Vec<Written>, ForgeError>;
    /// The commits that a pull request brings.
    async fn commits_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<PullCommit>, ForgeError>;
    /// The paths that a pull request changes.
    async fn files_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<String>, ForgeError>;
    /// Adds labels; answers the names of all that stand there. Gitea passes over names that it does not know.
    async fn add_labels(&self, repo: &RepoName, number: u64, labels: &[String]) -> Result<Vec<String>, ForgeError>;
    /// Asks for reviews: logins, and teams of the repository's organization as `team:NAME`.
    async fn request_reviewers(&self, repo: &RepoName, number: u64, who: &[String]) -> Result<(), ForgeError>;
    /// Assigns people by their logins.
    async fn assign(&self, repo: &RepoName, number: u64, who: &[String]) -> Result<(), ForgeError>;
    /// Lets the forge merge it when its required checks are green and its head is still this commit.
    async fn auto_merge(&self, repo: &RepoName, number: u64, head: &ObjectId) -> Result<(), ForgeError>;
    /// Login of who closed it last, where the forge tells.
    async fn closer(&self, repo: &RepoName, number: u64) -> Result<Option<String>, ForgeError>;
    /// Starts a workflow.
    async fn dispatch(&self, repo: &RepoName, dispatch: &Dispatch) -> Result<(), ForgeError>;
}

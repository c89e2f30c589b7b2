//! Who hosts the repositories: one trait, two dialects (`gitea`, which serves Forgejo too, and `github`), and the
//! verification and reading of their webhooks.
//!
//! Everything that a forge says over its API goes through [`Forge`]; git objects do not (see `git`). Traps that this
//! room hides from the rest: the status key (`status` or `state`), paging by number (never by `Link`), redirects (never
//! followed on a write, never to another host), answers of 500 and 404 for "no such commit", null items in lists.

use serde::{Deserialize, Serialize};

use crate::tree::ObjectId;

/// `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepoName(pub String);

/// A repository as its forge describes it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Stays through renames and transfers.
    pub id: u64,
    pub name: RepoName,
    pub default_branch: String,
    /// Not readable for everyone who can reach the forge.
    pub private: bool,
    pub archived: bool,
    /// Whether our token may write there (and so post a status).
    pub can_write: bool,
}

/// An open or closed pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    pub number: u64,
    pub title: String,
    pub open: bool,
    pub merged: bool,
    pub draft: bool,
    pub head_sha: ObjectId,
    /// The branch's name, without `refs/heads/`; after its deletion whatever the forge says.
    pub head_ref: String,
    /// `None` when the fork is gone.
    pub head_repo: Option<RepoName>,
    pub base_ref: String,
    pub author: String,
}

/// The four states that every forge knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Pending,
    Success,
    Failure,
    Error,
}

/// A commit status to post, or as read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub context: String,
    pub state: State,
    /// At most 140 characters.
    pub description: String,
    pub target_url: String,
}

/// A status that stands on a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedStatus {
    /// The state's word as the forge has it: others may post words that we never would.
    pub state: String,
    pub description: String,
    pub target_url: String,
    /// Login of who posted it.
    pub creator: String,
}

/// A comment on a pull request or issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    pub id: u64,
    pub author: String,
    pub author_id: u64,
    pub body: String,
    /// The number of the issue or pull request it stands on.
    pub issue: u64,
    /// RFC 3339, as the forge says.
    pub created_at: String,
    pub updated_at: String,
}

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: u64,
    pub login: String,
}

/// Why a forge did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ForgeError {
    /// 404 (and for private repositories without access, everywhere).
    #[error("{what}: not found")]
    NotFound { what: String },
    /// 301, 307, 308: the repository has another name now.
    #[error("{what}: moved; ask for the repository by its id")]
    Moved { what: String },
    /// 401, 403.
    #[error("{what}: {status} {message}")]
    Denied { what: String, status: u16, message: String },
    /// The forge does not know the commit (yet): 422 on GitHub, 404 or 500 on Gitea and Forgejo.
    #[error("{what}: the forge does not know commit {sha}")]
    UnknownCommit { what: String, sha: ObjectId },
    /// 429, or GitHub's 403 with `retry-after`: wait this long.
    #[error("{what}: rate limit, wait {}s", .after.as_secs())]
    RateLimited { what: String, after: std::time::Duration },
    /// 5xx, transport, time-out, half an answer: the same call may go through later.
    #[error("{what}: {message}")]
    Transient { what: String, message: String },
    /// Any other answer: asking again would get the same.
    #[error("{what}: {status} {message}")]
    Refused { what: String, status: u16, message: String },
}

impl ForgeError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. } | Self::RateLimited { .. } | Self::UnknownCommit { .. })
    }
}

/// What the controller asks of a forge. `what` in errors names method and URL without secrets.
#[async_trait::async_trait]
pub trait Forge: Send + Sync {
    /// Who we are there.
    async fn whoami(&self) -> Result<User, ForgeError>;
    async fn repository(&self, name: &RepoName) -> Result<Repository, ForgeError>;
    /// Finds a repository after a rename.
    async fn repository_by_id(&self, id: u64) -> Result<Repository, ForgeError>;
    /// All pages of them.
    async fn open_pulls(&self, repo: &RepoName) -> Result<Vec<Pull>, ForgeError>;
    async fn pull(&self, repo: &RepoName, number: u64) -> Result<Pull, ForgeError>;
    /// The newest status of `context` on `sha`; `None` where there is none.
    async fn status(&self, repo: &RepoName, sha: &ObjectId, context: &str) -> Result<Option<PostedStatus>, ForgeError>;
    async fn post_status(&self, repo: &RepoName, sha: &ObjectId, status: &Status) -> Result<(), ForgeError>;
    async fn comment(&self, repo: &RepoName, id: u64) -> Result<Comment, ForgeError>;
    /// `reaction` is one that all forges know: `+1 -1 laugh hooray confused heart rocket eyes`. Twice is once.
    async fn react(&self, repo: &RepoName, comment: u64, reaction: &str) -> Result<(), ForgeError>;
    /// The address for git's smart HTTP, made from the configured base, never from an answer.
    fn git_url(&self, repo: &RepoName) -> String;
    /// The value of the `Authorization` header for git over HTTP; a secret.
    async fn git_authorization(&self) -> Result<Option<secrecy::SecretString>, ForgeError>;
    /// Where people see a commit.
    fn commit_page(&self, repo: &RepoName, sha: &ObjectId) -> String;
    /// Where people see a pull request.
    fn pull_page(&self, repo: &RepoName, number: u64) -> String;
    /// Where people see a file at a commit, at a line where given.
    fn file_page(&self, repo: &RepoName, sha: &ObjectId, path: &str, line: Option<u32>) -> String;
}

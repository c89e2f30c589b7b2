//! The few fields of the forges' JSON that drift-gate reads, lenient about the rest.
//!
//! One set of types serves all forges: where they differ (`status` or `state`, `merged` or `merged_at`), both are read.
//! No URL of an answer is kept: Gitea makes them from its configured root, not from the address that was asked.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::depends::depends_on;
use super::pulls::{PullCommit, Written};
use super::{Comment, ForgeError, Pull, RepoName, Repository, Status, User};
use crate::tree::ObjectId;

#[derive(Deserialize)]
pub(super) struct WireUser {
    /// Negative for Gitea's users that are none ("Ghost").
    id: i64,
    login: String,
}

#[derive(Deserialize)]
pub(super) struct WireRepository {
    id: u64,
    full_name: String,
    #[serde(default)]
    default_branch: String,
    #[serde(default)]
    private: bool,
    /// Gitea: public, in an organization that only its members see.
    #[serde(default)]
    internal: bool,
    #[serde(default)]
    archived: bool,
    owner: Option<WireOwner>,
    permissions: Option<WirePermissions>,
}

#[derive(Deserialize)]
struct WireOwner {
    /// Gitea: `public`, `limited` to whoever has a login, or `private`. GitHub has none.
    visibility: Option<String>,
}

#[derive(Deserialize)]
struct WirePermissions {
    #[serde(default)]
    push: bool,
}

#[derive(Deserialize)]
pub(super) struct WirePull {
    pub number: u64,
    #[serde(default)]
    title: Option<String>,
    body: Option<String>,
    #[serde(default)]
    state: String,
    merged: Option<bool>,
    /// GitHub's lists have no `merged`.
    merged_at: Option<String>,
    draft: Option<bool>,
    head: Option<WireHead>,
    base: Option<WireHead>,
    user: Option<WireUser>,
}

#[derive(Deserialize)]
struct WireHead {
    #[serde(rename = "ref", default)]
    name: String,
    /// The branch's name, on GitHub behind its owner's and a colon; it stays when the branch goes.
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    sha: String,
    repo: Option<WireHeadRepository>,
}

#[derive(Deserialize)]
struct WireHeadRepository {
    full_name: String,
}

#[derive(Deserialize)]
pub(super) struct WireStatus {
    /// Gitea counts them for each commit, GitHub over all.
    #[serde(default)]
    pub id: u64,
    #[serde(default)]
    pub context: String,
    /// GitHub's key.
    state: Option<String>,
    /// Gitea's and Forgejo's key.
    status: Option<String>,
    description: Option<String>,
    target_url: Option<String>,
    creator: Option<WireUser>,
}

#[derive(Deserialize)]
pub(super) struct WireComment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
    user: Option<WireUser>,
    /// Empty on Gitea where the comment stands on a pull request.
    issue_url: Option<String>,
    /// Empty on Gitea where the comment stands on an issue; GitHub has none.
    pull_request_url: Option<String>,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    updated_at: String,
}

/// What a status POST carries.
#[derive(Serialize)]
pub(super) struct NewStatus<'a> {
    pub state: &'a str,
    pub context: &'a str,
    pub description: &'a str,
    /// GitHub refuses an empty one.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub target_url: &'a str,
}

/// What a reaction POST carries.
#[derive(Serialize)]
pub(super) struct NewReaction<'a> {
    pub content: &'a str,
}

impl<'a> From<&'a Status> for NewStatus<'a> {
    fn from(status: &'a Status) -> Self {
        Self {
            state: status.state.as_str(),
            context: &status.context,
            description: &status.description,
            target_url: &status.target_url,
        }
    }
}

impl WireUser {
    /// Their name on the forge.
    pub fn into_login(self) -> String {
        self.login
    }
}

impl From<WireUser> for User {
    fn from(user: WireUser) -> Self {
        Self { id: u64::try_from(user.id).unwrap_or(0), login: user.login }
    }
}

impl WireRepository {
    /// `None` when the name is none.
    pub fn into_repository(self) -> Option<Repository> {
        let hidden_owner = self
            .owner
            .and_then(|owner| owner.visibility)
            .is_some_and(|visibility| !matches!(visibility.as_str(), "" | "public"));
        Some(Repository {
            id: self.id,
            name: RepoName::parse(&self.full_name)?,
            default_branch: self.default_branch,
            private: self.private || self.internal || hidden_owner,
            archived: self.archived,
            can_write: self.permissions.is_some_and(|permissions| permissions.push),
        })
    }
}

impl WirePull {
    /// `None` when there is no head commit in it: Gitea answers so where it cannot read the head's repository.
    pub fn into_pull(self) -> Option<Pull> {
        let (head, base) = (self.head?, self.base?);
        Some(Pull {
            number: self.number,
            title: self.title.unwrap_or_default(),
            open: self.state == "open",
            merged: self.merged.unwrap_or(false) || self.merged_at.is_some(),
            draft: self.draft.unwrap_or(false),
            head_sha: ObjectId::parse(&head.sha)?,
            head_ref: head.name,
            head_repo: head.repo.and_then(|repo| RepoName::parse(&repo.full_name)),
            base_ref: base.name,
            author: self.user.map(|user| user.login).unwrap_or_default(),
            depends_on: self.body.as_deref().map(depends_on).unwrap_or_default(),
        })
    }
}

impl WirePull {
    /// The same with its text.
    pub fn into_written(mut self) -> Option<Written> {
        let label = self.head.as_mut().and_then(|head| head.label.take());
        let body = self.body.clone().unwrap_or_default();
        let pull = self.into_pull()?;
        let branch = label.map(|label| label.split_once(':').map_or(label.clone(), |(_, branch)| branch.to_owned()));
        let branch = branch.filter(|branch| !branch.is_empty()).unwrap_or_else(|| pull.head_ref.clone());
        Some(Written { pull, branch, body })
    }
}

/// The number of a pull request or issue in an answer that repeats it.
#[derive(Deserialize)]
pub(super) struct WireNumber {
    pub number: u64,
}

#[derive(Deserialize)]
pub(super) struct WireLabel {
    #[serde(default)]
    pub name: String,
}

/// A commit in a list.
#[derive(Deserialize)]
pub(super) struct WireCommit {
    #[serde(default)]
    sha: String,
    /// Absent where no user has the address of the commit's author.
    author: Option<WireUser>,
    commit: Option<WireInner>,
}

#[derive(Deserialize)]
struct WireInner {
    author: Option<WireName>,
}

#[derive(Deserialize)]
struct WireName {
    #[serde(default)]
    name: String,
}

impl WireCommit {
    /// `None` when its id is none.
    pub fn into_commit(self) -> Option<PullCommit> {
        let named = self.commit.and_then(|commit| commit.author).map(|author| author.name);
        let login = self.author.map(|author| author.login).filter(|login| !login.is_empty());
        Some(PullCommit { sha: ObjectId::parse(&self.sha)?, author: login.or(named).unwrap_or_default() })
    }
}

/// A file of a pull request.
#[derive(Deserialize)]
pub(super) struct WireFile {
    #[serde(default)]
    filename: String,
    previous_filename: Option<String>,
}

impl WireFile {
    /// Its name, and the one before where it was renamed.
    pub fn paths(self) -> impl Iterator<Item = String> {
        std::iter::once(self.filename).chain(self.previous_filename).filter(|path| !path.is_empty())
    }
}

/// An answer that names an object: `sha`, or `commit.sha` of a commit by `contents`.
#[derive(Deserialize)]
pub(super) struct WireSha {
    #[serde(default)]
    sha: String,
    commit: Option<Box<WireSha>>,
}

impl WireSha {
    /// The object that the answer is about.
    pub fn own(&self, answer: &Answer) -> Result<ObjectId, ForgeError> {
        ObjectId::parse(&self.sha).ok_or_else(|| super::rest::unexpected(answer, "it names no object"))
    }

    /// The commit that was made.
    pub fn commit(&self, answer: &Answer) -> Result<ObjectId, ForgeError> {
        self.commit.as_deref().unwrap_or(self).own(answer)
    }
}

impl WireStatus {
    /// The state's word, whichever key has it.
    pub fn word(&self) -> Option<&str> {
        self.state.as_deref().or(self.status.as_deref())
    }

    pub fn into_posted(self) -> super::PostedStatus {
        super::PostedStatus {
            state: self.state.or(self.status).unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            target_url: self.target_url.unwrap_or_default(),
            creator: self.creator.map(|user| user.login).unwrap_or_default(),
        }
    }
}

impl WireComment {
    /// `None` when no address in it ends with the number of an issue or pull request.
    pub fn into_comment(self) -> Option<Comment> {
        let last = |url: &Option<String>| url.as_deref()?.trim_end_matches('/').rsplit('/').next()?.parse().ok();
        let issue = last(&self.pull_request_url).or_else(|| last(&self.issue_url))?;
        let author = self.user.map_or_else(|| User { id: 0, login: String::new() }, User::from);
        Some(Comment {
            id: self.id,
            author: author.login,
            author_id: author.id,
            body: self.body.unwrap_or_default(),
            issue,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

//! How Gitea and Forgejo are written to.
//!
//! Their traps: there is no API for git's objects, so a commit is made by `contents`, many files at once, on the head that the
//! branch has *then*; each file names the blob that it replaces (409 on Forgejo, 422 on Gitea where it is another one by
//! now); a file's mode stays what it was, and a new file cannot be made to run; a draft is a title that begins with `WIP:`; names
//! of branches have at most 100 characters.

use ::http::Method;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Gitea;
use crate::forge::pulls::{
    Dispatch, FileChange, Find, NewCommit, NewPull, Onto, PullCommit, PullEdit, Pulls, Unwritten, Written,
};
use crate::forge::rest::pulls as rest;
use crate::forge::wire::WireSha;
use crate::forge::{ForgeError, RepoName};
use crate::tree::ObjectId;

/// The longest name of a branch that the API takes.
const BRANCH_LIMIT: usize = 100;

fn not_supported(what: &str, message: String) -> ForgeError {
    ForgeError::NotWritten { what: what.to_owned(), status: 0, message, because: Unwritten::NotSupported }
}

fn file(change: &FileChange) -> serde_json::Value {
    let operation = match (&change.content, &change.was) {
        (None, _) => "delete",
        (Some(_), Some(_)) => "update",
        (Some(_), None) => "create",
    };
    let mut file = json!({ "operation": operation, "path": change.path });
    if let Some(content) = &change.content {
        file["content"] = STANDARD.encode(content).into();
    }
    if let Some(was) = &change.was {
        file["sha"] = was.as_str().into();
    }
    file
}

#[async_trait]
impl Pulls for Gitea {
    async fn commit(&self, repo: &RepoName, commit: &NewCommit<'_>) -> Result<ObjectId, ForgeError> {
        let segments = self.api.repo(repo, &["contents"])?;
        let what = self.api.call(&Method::POST, &segments, &[])?.what;
        if let Some(new) = commit.files.iter().find(|file| file.executable && file.was.is_none()) {
            return Err(not_supported(&what, format!("this API makes no new file that may be run: {}", new.path)));
        }
        let files: Vec<_> = commit.files.iter().map(file).collect();
        let mut body = json!({ "message": commit.message, "files": files });
        let name = match commit.onto {
            Onto::New { branch, from } => {
                body["branch"] = from.into();
                body["new_branch"] = branch.into();
                branch
            }
            Onto::Existing(branch) => {
                body["branch"] = branch.into();
                branch
            }
        };
        if name.chars().count() > BRANCH_LIMIT {
            return Err(not_supported(&what, format!("a branch's name has at most {BRANCH_LIMIT} characters: {name}")));
        }
        let answer = rest::write(&self.api, Method::POST, &segments, &body).await?;
        answer.json::<WireSha>()?.commit(&answer)
    }

    async fn delete_branch(&self, repo: &RepoName, branch: &str) -> Result<(), ForgeError> {
        let segments = rest::to_branch(&self.api, repo, &["branches"], branch)?;
        let answer = self.api.remove(&segments).await?;
        match answer.status.as_u16() {
            200..=299 | 404 => Ok(()),
            _ => Err(rest::refusal(&answer)),
        }
    }

    async fn open_pull(&self, repo: &RepoName, pull: &NewPull<'_>) -> Result<u64, ForgeError> {
        let title = if pull.draft { format!("WIP: {}", pull.title) } else { pull.title.to_owned() };
        rest::open_pull(&self.api, repo, pull, &title, false).await
    }

    async fn edit_pull(&self, repo: &RepoName, number: u64, edit: &PullEdit<'_>) -> Result<(), ForgeError> {
        rest::edit_pull(&self.api, repo, number, edit).await
    }

    /// `poster` narrows the list on a Gitea that knows it; the newest are first as it comes.
    async fn find_pulls(&self, repo: &RepoName, find: &Find<'_>) -> Result<Vec<Written>, ForgeError> {
        rest::find_pulls(&self.api, repo, find, &[("poster", find.author)]).await
    }

    async fn commits_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<PullCommit>, ForgeError> {
        rest::commits_of_pull(&self.api, repo, number).await
    }

    async fn files_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<String>, ForgeError> {
        rest::files_of_pull(&self.api, repo, number).await
    }

    async fn add_labels(&self, repo: &RepoName, number: u64, labels: &[String]) -> Result<Vec<String>, ForgeError> {
        rest::add_labels(&self.api, repo, number, labels).await
    }

    async fn request_reviewers(&self, repo: &RepoName, number: u64, who: &[String]) -> Result<(), ForgeError> {
        rest::request_reviewers(&self.api, repo, number, who).await
    }

    async fn assign(&self, repo: &RepoName, number: u64, who: &[String]) -> Result<(), ForgeError> {
        let number = number.to_string();
        let segments = self.api.repo(repo, &["issues", &number])?;
        rest::write(&self.api, Method::PATCH, &segments, &json!({ "assignees": who })).await.map(drop)
    }

    /// One that waits for its checks already is fine.
    async fn auto_merge(&self, repo: &RepoName, number: u64, head: &ObjectId) -> Result<(), ForgeError> {
        let number = number.to_string();
        let segments = self.api.repo(repo, &["pulls", &number, "merge"])?;
        let body = json!({ "Do": "merge", "merge_when_checks_succeed": true, "head_commit_id": head.as_str() });
        let answer = self.api.write(Method::POST, &segments, &body).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(()),
            409 if answer.message().contains("already scheduled") => Ok(()),
            _ => Err(rest::refusal(&answer)),
        }
    }

    async fn closer(&self, repo: &RepoName, number: u64) -> Result<Option<String>, ForgeError> {
        rest::closer(&self.api, repo, number).await
    }

    async fn dispatch(&self, repo: &RepoName, dispatch: &Dispatch) -> Result<(), ForgeError> {
        rest::dispatch(&self.api, repo, dispatch).await
    }
}

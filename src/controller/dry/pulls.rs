//! The writing calls of a forge that is only read. Who would write asks [`Pulls::is_dry`] and says what it would do; a call
//! that is made all the same writes nothing and fails.

use async_trait::async_trait;

use super::Dry;
use crate::forge::pulls::{Dispatch, Find, NewCommit, NewPull, PullCommit, PullEdit, Pulls, Unwritten, Written};
use crate::forge::{ForgeError, RepoName};
use crate::tree::ObjectId;

fn refused<T>(what: &str, repo: &RepoName) -> Result<T, ForgeError> {
    Err(ForgeError::NotWritten {
        what: format!("{what} of {repo}"),
        status: 0,
        message: "a dry run writes nothing".to_owned(),
        because: Unwritten::NotSupported,
    })
}

#[async_trait]
impl Pulls for Dry {
    fn is_dry(&self) -> bool {
        true
    }

    async fn commit(&self, repo: &RepoName, _commit: &NewCommit<'_>) -> Result<ObjectId, ForgeError> {
        refused("commit", repo)
    }

    async fn delete_branch(&self, repo: &RepoName, _branch: &str) -> Result<(), ForgeError> {
        refused("delete branch", repo)
    }

    async fn open_pull(&self, repo: &RepoName, _pull: &NewPull<'_>) -> Result<u64, ForgeError> {
        refused("open pull", repo)
    }

    async fn edit_pull(&self, repo: &RepoName, _number: u64, _edit: &PullEdit<'_>) -> Result<(), ForgeError> {
        refused("edit pull", repo)
    }

    async fn find_pulls(&self, repo: &RepoName, find: &Find<'_>) -> Result<Vec<Written>, ForgeError> {
        self.0.find_pulls(repo, find).await
    }

    async fn commits_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<PullCommit>, ForgeError> {
        self.0.commits_of_pull(repo, number).await
    }

    async fn files_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<String>, ForgeError> {
        self.0.files_of_pull(repo, number).await
    }

    async fn add_labels(&self, repo: &RepoName, _number: u64, _labels: &[String]) -> Result<Vec<String>, ForgeError> {
        refused("add labels", repo)
    }

    async fn request_reviewers(&self, repo: &RepoName, _number: u64, _who: &[String]) -> Result<(), ForgeError> {
        refused("request reviewers", repo)
    }

    async fn assign(&self, repo: &RepoName, _number: u64, _who: &[String]) -> Result<(), ForgeError> {
        refused("assign", repo)
    }

    async fn auto_merge(&self, repo: &RepoName, _number: u64, _head: &ObjectId) -> Result<(), ForgeError> {
        refused("auto merge", repo)
    }

    async fn closer(&self, repo: &RepoName, number: u64) -> Result<Option<String>, ForgeError> {
        self.0.closer(repo, number).await
    }

    async fn dispatch(&self, repo: &RepoName, _dispatch: &Dispatch) -> Result<(), ForgeError> {
        refused("dispatch", repo)
    }
}

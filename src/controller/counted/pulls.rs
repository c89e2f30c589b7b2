//! The writing calls, asked as a good guest asks, and counted.

use async_trait::async_trait;

use super::Counted;
use crate::forge::pulls::{Dispatch, Find, NewCommit, NewPull, PullCommit, PullEdit, Pulls, Written};
use crate::forge::{ForgeError, RepoName};
use crate::tree::ObjectId;

#[async_trait]
impl Pulls for Counted {
    fn is_dry(&self) -> bool {
        self.forge.is_dry()
    }

    async fn commit(&self, repo: &RepoName, commit: &NewCommit<'_>) -> Result<ObjectId, ForgeError> {
        self.write(self.forge.commit(repo, commit)).await
    }

    async fn delete_branch(&self, repo: &RepoName, branch: &str) -> Result<(), ForgeError> {
        self.write(self.forge.delete_branch(repo, branch)).await
    }

    async fn open_pull(&self, repo: &RepoName, pull: &NewPull<'_>) -> Result<u64, ForgeError> {
        self.write(self.forge.open_pull(repo, pull)).await
    }

    async fn edit_pull(&self, repo: &RepoName, number: u64, edit: &PullEdit<'_>) -> Result<(), ForgeError> {
        self.write(self.forge.edit_pull(repo, number, edit)).await
    }

    async fn find_pulls(&self, repo: &RepoName, find: &Find<'_>) -> Result<Vec<Written>, ForgeError> {
        self.call(self.forge.find_pulls(repo, find)).await
    }

    async fn commits_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<PullCommit>, ForgeError> {
        self.call(self.forge.commits_of_pull(repo, number)).await
    }

    async fn files_of_pull(&self, repo: &RepoName, number: u64) -> Result<Vec<String>, ForgeError> {
        self.call(self.forge.files_of_pull(repo, number)).await
    }

    async fn add_labels(&self, repo: &RepoName, number: u64, labels: &[String]) -> Result<Vec<String>, ForgeError> {
        self.write(self.forge.add_labels(repo, number, labels)).await
    }

    async fn request_reviewers(&self, repo: &RepoName, number: u64, who: &[String]) -> Result<(), ForgeError> {
        self.write(self.forge.request_reviewers(repo, number, who)).await
    }

    async fn assign(&self, repo: &RepoName, number: u64, who: &[String]) -> Result<(), ForgeError> {
        self.write(self.forge.assign(repo, number, who)).await
    }

    async fn auto_merge(&self, repo: &RepoName, number: u64, head: &ObjectId) -> Result<(), ForgeError> {
        self.write(self.forge.auto_merge(repo, number, head)).await
    }

    async fn closer(&self, repo: &RepoName, number: u64) -> Result<Option<String>, ForgeError> {
        self.call(self.forge.closer(repo, number)).await
    }

    async fn dispatch(&self, repo: &RepoName, dispatch: &Dispatch) -> Result<(), ForgeError> {
        self.write(self.forge.dispatch(repo, dispatch)).await
    }
}

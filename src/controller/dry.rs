//! A forge that is only read: what would be written is said instead, with how it differs from what stands there.

mod pulls;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::forge::{
    AsApp, Budget, CheckRun, Comment, Conversation, FailedDelivery, Forge, ForgeError, PostedStatus, Pull, RepoName,
    Repository, Status, Team, User,
};
use crate::tree::ObjectId;

struct Dry(Arc<dyn Forge>);

/// Every forge, for reading only.
pub fn all(forges: BTreeMap<String, Arc<dyn Forge>>) -> BTreeMap<String, Arc<dyn Forge>> {
    let dry = |(name, forge): (String, Arc<dyn Forge>)| (name, Arc::new(Dry(forge)) as Arc<dyn Forge>);
    forges.into_iter().map(dry).collect()
}

#[async_trait]
impl Forge for Dry {
    async fn whoami(&self) -> Result<User, ForgeError> {
        self.0.whoami().await
    }

    fn budget(&self) -> Option<Budget> {
        self.0.budget()
    }

    fn takes_one_write_at_a_time(&self) -> bool {
        self.0.takes_one_write_at_a_time()
    }

    async fn repository(&self, name: &RepoName) -> Result<Repository, ForgeError> {
        self.0.repository(name).await
    }

    async fn repository_by_id(&self, id: u64) -> Result<Repository, ForgeError> {
        self.0.repository_by_id(id).await
    }

    async fn open_pulls(&self, repo: &RepoName) -> Result<Vec<Pull>, ForgeError> {
        self.0.open_pulls(repo).await
    }

    async fn pull(&self, repo: &RepoName, number: u64) -> Result<Pull, ForgeError> {
        self.0.pull(repo, number).await
    }

    async fn status(&self, repo: &RepoName, sha: &ObjectId, context: &str) -> Result<Option<PostedStatus>, ForgeError> {
        self.0.status(repo, sha, context).await
    }

    async fn post_status(&self, repo: &RepoName, sha: &ObjectId, status: &Status) -> Result<(), ForgeError> {
        // Where it leads is another address in each run without a configured secret: that is no difference.
        let stands = match self.0.status(repo, sha, &status.context).await? {
            Some(stands) if stands.state == status.state.as_str() && stands.description == status.description => {
                tracing::info!(%repo, %sha, context = status.context, state = stands.state, "dry run: stands as wanted");
                return Ok(());
            }
            Some(stands) => format!("{} ({}) by {}", stands.state, stands.description, stands.creator),
            None => "nothing".to_owned(),
        };
        let (context, state, description) = (&status.context, status.state.as_str(), &status.description);
        tracing::info!(%repo, %sha, context, "dry run: would write {state} ({description}) instead of {stands}");
        Ok(())
    }

    async fn comment(&self, repo: &RepoName, id: u64) -> Result<Comment, ForgeError> {
        self.0.comment(repo, id).await
    }

    async fn comments_since(&self, repo: &RepoName, since: DateTime<Utc>) -> Result<Vec<Comment>, ForgeError> {
        self.0.comments_since(repo, since).await
    }

    async fn react(&self, repo: &RepoName, comment: u64, reaction: &str) -> Result<(), ForgeError> {
        tracing::info!(%repo, comment, "dry run: would react with {reaction}");
        Ok(())
    }

    fn git_url(&self, repo: &RepoName) -> String {
        self.0.git_url(repo)
    }

    async fn git_authorization(&self, repo: &RepoName) -> Result<Option<SecretString>, ForgeError> {
        self.0.git_authorization(repo).await
    }

    fn commit_page(&self, repo: &RepoName, sha: &ObjectId) -> String {
        self.0.commit_page(repo, sha)
    }

    fn pull_page(&self, repo: &RepoName, number: u64) -> String {
        self.0.pull_page(repo, number)
    }

    fn file_page(&self, repo: &RepoName, sha: &ObjectId, path: &str, line: Option<u32>) -> String {
        self.0.file_page(repo, sha, path, line)
    }
}

#[async_trait]
impl Conversation for Dry {
    /// No comment has the number 0.
    async fn post_comment(&self, repo: &RepoName, issue: u64, body: &str) -> Result<u64, ForgeError> {
        tracing::info!(%repo, issue, body, "dry run: would comment");
        Ok(0)
    }

    async fn edit_comment(&self, repo: &RepoName, id: u64, body: &str) -> Result<(), ForgeError> {
        tracing::info!(%repo, id, body, "dry run: would write its comment anew");
        Ok(())
    }

    async fn comments_of(&self, repo: &RepoName, issue: u64) -> Result<Vec<Comment>, ForgeError> {
        self.0.comments_of(repo, issue).await
    }

    async fn administers(&self, repo: &RepoName, login: &str) -> Result<bool, ForgeError> {
        self.0.administers(repo, login).await
    }

    async fn is_member(&self, team: &Team<'_>, login: &str) -> Result<bool, ForgeError> {
        self.0.is_member(team, login).await
    }
}

#[async_trait]
impl AsApp for Dry {
    fn is_app(&self) -> bool {
        self.0.is_app()
    }

    async fn failed_deliveries(&self, since: DateTime<Utc>) -> Result<Vec<FailedDelivery>, ForgeError> {
        self.0.failed_deliveries(since).await
    }

    async fn redeliver(&self, delivery: u64) -> Result<(), ForgeError> {
        tracing::info!(delivery, "dry run: would have a delivery sent again");
        Ok(())
    }

    fn takes_checks(&self) -> bool {
        self.0.takes_checks()
    }

    async fn put_check(&self, repo: &RepoName, sha: &ObjectId, check: &CheckRun) -> Result<(), ForgeError> {
        let (name, title, annotations) = (&check.name, &check.title, check.annotations.len());
        tracing::info!(%repo, %sha, name, title, annotations, "dry run: would write a check");
        Ok(())
    }

    async fn git_refused(&self, repo: &RepoName, refused: &SecretString) {
        self.0.git_refused(repo, refused).await;
    }
}

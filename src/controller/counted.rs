//! A forge that is asked as a good guest asks, and whose answers are counted.

mod pulls;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::guest::{Guest, Heard, NotNow};
use crate::forge::{
    AsApp, Budget, CheckRun, Comment, Conversation, FailedDelivery, Forge, ForgeError, PostedStatus, Pull, RepoName,
    Repository, Status, Team, User,
};
use crate::metrics::{ForgeAnswer, Metrics};
use crate::tree::ObjectId;

struct Counted {
    name: String,
    forge: Arc<dyn Forge>,
    guest: Arc<Guest>,
    metrics: Metrics,
}

/// Every forge, counted under its configured name.
pub(super) fn all(
    forges: BTreeMap<String, Arc<dyn Forge>>,
    guests: &BTreeMap<String, Arc<Guest>>,
    metrics: &Metrics,
) -> BTreeMap<String, Arc<dyn Forge>> {
    let counted = |(name, forge): (String, Arc<dyn Forge>)| {
        let guest = guests.get(&name).cloned();
        let guest = guest.unwrap_or_else(|| Arc::new(Guest::new(forge.takes_one_write_at_a_time())));
        let counted: Arc<dyn Forge> = Arc::new(Counted { name: name.clone(), forge, guest, metrics: metrics.clone() });
        (name, counted)
    };
    forges.into_iter().map(counted).collect()
}

/// What an error tells of the forge as a whole.
fn heard(error: &ForgeError) -> Heard {
    match error {
        ForgeError::RateLimited { after, .. } => Heard::Wait(*after),
        ForgeError::Transient { .. } => Heard::Failure(error.to_string()),
        ForgeError::NotFound { .. }
        | ForgeError::Moved { .. }
        | ForgeError::Denied { .. }
        | ForgeError::UnknownCommit { .. }
        | ForgeError::NotWritten { .. }
        | ForgeError::Refused { .. } => Heard::Answer,
    }
}

impl Counted {
    async fn call<T>(&self, call: impl Future<Output = Result<T, ForgeError>>) -> Result<T, ForgeError> {
        self.answered(self.guest.call(call, heard).await)
    }

    /// As [`Counted::call`], for what writes.
    async fn write<T>(&self, call: impl Future<Output = Result<T, ForgeError>>) -> Result<T, ForgeError> {
        self.answered(self.guest.write(call, heard).await)
    }

    fn answered<T>(&self, answer: Result<Result<T, ForgeError>, NotNow>) -> Result<T, ForgeError> {
        let what = self.name.clone();
        match answer {
            Ok(answer) => self.count(answer),
            Err(NotNow::Wait(after)) => Err(ForgeError::RateLimited { what, after }),
            Err(NotNow::Failing(message)) => Err(ForgeError::Transient { what, message }),
        }
    }

    fn count<T>(&self, answer: Result<T, ForgeError>) -> Result<T, ForgeError> {
        let kind = match &answer {
            Ok(_) => ForgeAnswer::Ok,
            Err(ForgeError::NotFound { .. } | ForgeError::UnknownCommit { .. }) => ForgeAnswer::NotFound,
            Err(ForgeError::Moved { .. }) => ForgeAnswer::Moved,
            Err(ForgeError::Denied { .. }) => ForgeAnswer::Denied,
            Err(ForgeError::RateLimited { .. }) => ForgeAnswer::RateLimited,
            Err(ForgeError::Transient { .. }) => ForgeAnswer::Unreachable,
            Err(ForgeError::Refused { .. } | ForgeError::NotWritten { .. }) => ForgeAnswer::Refused,
        };
        self.metrics.forge_call(&self.name, kind);
        answer
    }
}

#[async_trait]
impl Forge for Counted {
    async fn whoami(&self) -> Result<User, ForgeError> {
        self.call(self.forge.whoami()).await
    }

    fn budget(&self) -> Option<Budget> {
        self.forge.budget()
    }

    fn takes_one_write_at_a_time(&self) -> bool {
        self.forge.takes_one_write_at_a_time()
    }

    async fn repository(&self, name: &RepoName) -> Result<Repository, ForgeError> {
        self.call(self.forge.repository(name)).await
    }

    async fn repository_by_id(&self, id: u64) -> Result<Repository, ForgeError> {
        self.call(self.forge.repository_by_id(id)).await
    }

    async fn open_pulls(&self, repo: &RepoName) -> Result<Vec<Pull>, ForgeError> {
        self.call(self.forge.open_pulls(repo)).await
    }

    async fn pull(&self, repo: &RepoName, number: u64) -> Result<Pull, ForgeError> {
        self.call(self.forge.pull(repo, number)).await
    }

    async fn status(&self, repo: &RepoName, sha: &ObjectId, context: &str) -> Result<Option<PostedStatus>, ForgeError> {
        self.call(self.forge.status(repo, sha, context)).await
    }

    async fn post_status(&self, repo: &RepoName, sha: &ObjectId, status: &Status) -> Result<(), ForgeError> {
        self.write(self.forge.post_status(repo, sha, status)).await
    }

    async fn comment(&self, repo: &RepoName, id: u64) -> Result<Comment, ForgeError> {
        self.call(self.forge.comment(repo, id)).await
    }

    async fn comments_since(&self, repo: &RepoName, since: DateTime<Utc>) -> Result<Vec<Comment>, ForgeError> {
        self.call(self.forge.comments_since(repo, since)).await
    }

    async fn react(&self, repo: &RepoName, comment: u64, reaction: &str) -> Result<(), ForgeError> {
        self.write(self.forge.react(repo, comment, reaction)).await
    }

    fn git_url(&self, repo: &RepoName) -> String {
        self.forge.git_url(repo)
    }

    async fn git_authorization(&self, repo: &RepoName) -> Result<Option<SecretString>, ForgeError> {
        self.forge.git_authorization(repo).await
    }

    fn commit_page(&self, repo: &RepoName, sha: &ObjectId) -> String {
        self.forge.commit_page(repo, sha)
    }

    fn pull_page(&self, repo: &RepoName, number: u64) -> String {
        self.forge.pull_page(repo, number)
    }

    fn file_page(&self, repo: &RepoName, sha: &ObjectId, path: &str, line: Option<u32>) -> String {
        self.forge.file_page(repo, sha, path, line)
    }
}

#[async_trait]
impl Conversation for Counted {
    async fn post_comment(&self, repo: &RepoName, issue: u64, body: &str) -> Result<u64, ForgeError> {
        self.write(self.forge.post_comment(repo, issue, body)).await
    }

    async fn edit_comment(&self, repo: &RepoName, id: u64, body: &str) -> Result<(), ForgeError> {
        self.write(self.forge.edit_comment(repo, id, body)).await
    }

    async fn comments_of(&self, repo: &RepoName, issue: u64) -> Result<Vec<Comment>, ForgeError> {
        self.call(self.forge.comments_of(repo, issue)).await
    }

    async fn administers(&self, repo: &RepoName, login: &str) -> Result<bool, ForgeError> {
        self.call(self.forge.administers(repo, login)).await
    }

    async fn is_member(&self, team: &Team<'_>, login: &str) -> Result<bool, ForgeError> {
        self.call(self.forge.is_member(team, login)).await
    }
}

#[async_trait]
impl AsApp for Counted {
    fn is_app(&self) -> bool {
        self.forge.is_app()
    }

    async fn failed_deliveries(&self, since: DateTime<Utc>) -> Result<Vec<FailedDelivery>, ForgeError> {
        self.call(self.forge.failed_deliveries(since)).await
    }

    async fn redeliver(&self, delivery: u64) -> Result<(), ForgeError> {
        self.write(self.forge.redeliver(delivery)).await
    }

    fn takes_checks(&self) -> bool {
        self.forge.takes_checks()
    }

    async fn put_check(&self, repo: &RepoName, sha: &ObjectId, check: &CheckRun) -> Result<(), ForgeError> {
        self.write(self.forge.put_check(repo, sha, check)).await
    }

    async fn git_refused(&self, repo: &RepoName, refused: &SecretString) {
        self.forge.git_refused(repo, refused).await;
    }
}

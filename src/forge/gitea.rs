//! Gitea and Forgejo: one dialect.
//!
//! Its traps: the status key is `status`; every POST of a status is a new row, and only the highest id of a context
//! counts, since several rows share a second and lists are ordered by it; an unknown commit is a 500 with an empty message
//! (a 404 on newer Forgejo), as is a default branch that cannot be read *after* the row is stored; a branch name or short
//! SHA in a status's path is taken for a commit, so only full ones are sent, which [`ObjectId`] guarantees; a renamed
//! repository answers 301 to every method; `Link` headers and the URLs in answers point to the configured root, which
//! may be another host.

mod pulls;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Url;
use secrecy::SecretString;

use super::api::{Api, Dialect};
use super::http::{ConnectError, base_url, below};
use super::wire::WireStatus;
use super::{Comment, Forge, ForgeError, PostedStatus, Pull, RepoName, Repository, Status, User, rest};
use crate::tree::ObjectId;

const DIALECT: Dialect = Dialect {
    scheme: "token",
    accept: "application/json",
    extra: None,
    page_key: "limit",
    page_size: 50,
    marks_answers: false,
};

/// The order of a list of statuses by their ids, the highest first: so it is called on Gitea and Forgejo.
const NEWEST_FIRST: [(&str, &str); 1] = [("sort", "leastindex")];

/// A Gitea or Forgejo server.
pub struct Gitea {
    pub(super) api: Api,
    root: Url,
}

impl Gitea {
    /// `url` is the server's root (`https://git.example.org`, `https://example.org/gitea`); `name` is the forge's name in
    /// the configuration, for errors. Without a token, what is public can be read. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// The address or the token is none.
    pub fn new(
        name: &str,
        url: &str,
        token: Option<SecretString>,
        client: reqwest::Client,
    ) -> Result<Arc<Self>, ConnectError> {
        let root = base_url(name, url)?;
        let api = Api::new(name, below(&root, ["api", "v1"]), token.into(), DIALECT, client)?;
        Ok(Arc::new(Self { api, root }))
    }

    /// Whether a 404 is about the commit or about the repository.
    async fn missing(&self, repo: &RepoName, sha: &ObjectId, what: String) -> ForgeError {
        match rest::repository(&self.api, repo).await {
            Ok(_) => ForgeError::UnknownCommit { what, sha: sha.clone() },
            Err(ForgeError::NotFound { .. }) => ForgeError::NotFound { what },
            Err(other) => other,
        }
    }

    /// Whether the server knows a commit.
    async fn knows(&self, repo: &RepoName, sha: &ObjectId) -> Result<bool, ForgeError> {
        let answer = self.api.get(&self.api.repo(repo, &["git", "commits", sha.as_str()])?, &[]).await?;
        if answer.status.as_u16() == 404 {
            return Ok(false);
        }
        answer.success().map(|_| true)
    }
}

#[async_trait]
impl Forge for Gitea {
    async fn whoami(&self) -> Result<User, ForgeError> {
        rest::whoami(&self.api).await
    }

    async fn repository(&self, name: &RepoName) -> Result<Repository, ForgeError> {
        rest::repository(&self.api, name).await
    }

    async fn repository_by_id(&self, id: u64) -> Result<Repository, ForgeError> {
        rest::repository_by_id(&self.api, id).await
    }

    async fn open_pulls(&self, repo: &RepoName) -> Result<Vec<Pull>, ForgeError> {
        rest::open_pulls(&self.api, repo).await
    }

    async fn pull(&self, repo: &RepoName, number: u64) -> Result<Pull, ForgeError> {
        rest::pull(&self.api, repo, number).await
    }

    /// The newest row is the one with the highest id, wherever it is listed. Asked for in that order, since by default pages
    /// are sorted by the second, and of rows that share one some may stand on two pages and some on none. A forge that keeps
    /// the order has said the newest with the first; of one that does not all pages are read. An unknown commit has no
    /// statuses.
    async fn status(&self, repo: &RepoName, sha: &ObjectId, context: &str) -> Result<Option<PostedStatus>, ForgeError> {
        let segments = self.api.repo(repo, &["statuses", sha.as_str()])?;
        let mut pages = self.api.pages(&segments, &NEWEST_FIRST);
        let mut rows: Vec<WireStatus> = Vec::new();
        while let Some(page) = match pages.next::<WireStatus>().await {
            Err(ForgeError::NotFound { what }) => return Err(self.missing(repo, sha, what).await),
            page => page?,
        } {
            rows.extend(page);
            if rows.is_sorted_by(|a, b| a.id > b.id) && rows.iter().any(|row| row.context == context) {
                break;
            }
        }
        let newest = rows.into_iter().filter(|row| row.context == context).max_by_key(|row| row.id);
        Ok(newest.map(WireStatus::into_posted))
    }

    /// Sent once. A 500 may mean that the row is stored all the same: posting it again does no harm.
    async fn post_status(&self, repo: &RepoName, sha: &ObjectId, status: &Status) -> Result<(), ForgeError> {
        let answer = rest::send_status(&self.api, repo, sha, status).await?;
        match answer.status.as_u16() {
            200..=299 => rest::accepted(&answer),
            404 => Err(self.missing(repo, sha, answer.what).await),
            // What answers the probe with an error too is just ill.
            500 if matches!(self.knows(repo, sha).await, Ok(false)) => {
                Err(ForgeError::UnknownCommit { what: answer.what, sha: sha.clone() })
            }
            _ => Err(answer.failure()),
        }
    }

    async fn comments_since(&self, repo: &RepoName, since: DateTime<Utc>) -> Result<Vec<Comment>, ForgeError> {
        rest::comments_since(&self.api, repo, since).await
    }

    async fn comment(&self, repo: &RepoName, id: u64) -> Result<Comment, ForgeError> {
        rest::comment(&self.api, repo, id).await
    }

    /// A reaction that the server's configuration does not allow is [`ForgeError::Denied`].
    async fn react(&self, repo: &RepoName, comment: u64, reaction: &str) -> Result<(), ForgeError> {
        rest::react(&self.api, repo, comment, reaction).await
    }

    fn git_url(&self, repo: &RepoName) -> String {
        rest::repository_url(&self.root, repo, ".git", &[])
    }

    async fn git_authorization(&self, repo: &RepoName) -> Result<Option<SecretString>, ForgeError> {
        // Any user name will do.
        Ok(rest::basic("drift-gate", self.api.token(repo).await?.as_ref()))
    }

    fn commit_page(&self, repo: &RepoName, sha: &ObjectId) -> String {
        rest::repository_url(&self.root, repo, "", &["commit", sha.as_str()])
    }

    fn pull_page(&self, repo: &RepoName, number: u64) -> String {
        rest::repository_url(&self.root, repo, "", &["pulls", &number.to_string()])
    }

    fn file_page(&self, repo: &RepoName, sha: &ObjectId, path: &str, line: Option<u32>) -> String {
        rest::file_url(&self.root, repo, &["src", "commit", sha.as_str()], path, line)
    }
}

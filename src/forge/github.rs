//! GitHub, and GitHub Enterprise Server.
//!
//! Its traps: exactly four states and 140 characters of description, else 422; contexts are compared without case; a
//! commit and context hold 1000 statuses at most, so nothing unchanged is posted (the controller sees to that); an
//! unknown commit is a 422 among others; rate limits come as 403 or 429 and say how long; a renamed repository answers 301
//! to a GET and 307 to a POST. Statuses are listed newest first, so the first of a context counts.

mod app_settings;
mod pulls;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Url;
use secrecy::SecretString;

use super::api::{Api, Dialect, Login};
use super::app::{App, Clock};
use super::http::{ConnectError, base_url, below};
use super::wire::{WireStatus, WireUser};
use super::{Budget, Comment, Forge, ForgeError, PostedStatus, Pull, RepoName, Repository, Status, User, rest};
use crate::config::PrivateKey;
use crate::tree::ObjectId;

const DIALECT: Dialect = Dialect {
    scheme: "Bearer",
    accept: "application/vnd.github+json",
    extra: Some(("x-github-api-version", "2022-11-28")),
    page_key: "per_page",
    page_size: 100,
    marks_answers: true,
};

/// Whose password a token is in git over HTTP.
pub(super) const GIT_USER: &str = "x-access-token";

/// github.com or a GitHub Enterprise Server, with a plain token or as an App.
pub struct GitHub {
    pub(super) api: Api,
    /// Whether checks are wanted beside statuses.
    pub(super) check_runs: bool,
    root: Url,
    graphql: Url,
}

impl GitHub {
    /// `url` is `https://github.com`, whose API is at `api.github.com`, or a server's root, whose API is below
    /// `/api/v3`; `name` is the forge's name in the configuration, for errors. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// The address or the token is none.
    pub fn new(
        name: &str,
        url: &str,
        token: Option<SecretString>,
        client: reqwest::Client,
    ) -> Result<Arc<Self>, ConnectError> {
        Self::with(name, url, token.into(), false, client)
    }

    /// As [`GitHub::new`], as an App; `clock` says when a token ends, and `check_runs` whether it writes checks.
    ///
    /// # Errors
    /// The address is none.
    pub fn as_app(
        name: &str,
        url: &str,
        (id, key): (u64, PrivateKey),
        check_runs: bool,
        client: reqwest::Client,
        clock: Clock,
    ) -> Result<Arc<Self>, ConnectError> {
        Self::with(name, url, Login::App(Box::new(App::new(id, key, clock))), check_runs, client)
    }

    fn with(
        name: &str,
        url: &str,
        login: Login,
        check_runs: bool,
        client: reqwest::Client,
    ) -> Result<Arc<Self>, ConnectError> {
        let root = base_url(name, url)?;
        let api = match root.host_str() {
            Some("github.com" | "www.github.com") => base_url(name, "https://api.github.com")?,
            _ => below(&root, ["api", "v3"]),
        };
        let graphql = pulls::graphql(&root, &api);
        Ok(Arc::new(Self { api: Api::new(name, api, login, DIALECT, client)?, check_runs, root, graphql }))
    }
}

/// A 422 is about the commit when it says so; other errors stay what they are.
fn about_commit(error: ForgeError, sha: &ObjectId) -> ForgeError {
    match error {
        ForgeError::Refused { what, status: 422, message } if message.to_lowercase().contains("no commit found") => {
            ForgeError::UnknownCommit { what, sha: sha.clone() }
        }
        error => error,
    }
}

#[async_trait]
impl Forge for GitHub {
    /// An App acts as a user of its own, which is called after its address.
    async fn whoami(&self) -> Result<User, ForgeError> {
        #[derive(serde::Deserialize)]
        struct WireApp {
            slug: String,
        }
        if !self.api.is_app() {
            return rest::whoami(&self.api).await;
        }
        let app: WireApp = self.api.read(&["app"]).await?;
        Ok(self.api.read::<WireUser>(&["users", &format!("{}[bot]", app.slug)]).await?.into())
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

    async fn status(&self, repo: &RepoName, sha: &ObjectId, context: &str) -> Result<Option<PostedStatus>, ForgeError> {
        let segments = self.api.repo(repo, &["commits", sha.as_str(), "statuses"])?;
        let mut pages = self.api.pages(&segments, &[]);
        while let Some(rows) = pages.next::<WireStatus>().await.map_err(|error| about_commit(error, sha))? {
            if let Some(row) = rows.into_iter().find(|row| row.context.eq_ignore_ascii_case(context)) {
                return Ok(Some(row.into_posted()));
            }
        }
        Ok(None)
    }

    /// Sent once.
    async fn post_status(&self, repo: &RepoName, sha: &ObjectId, status: &Status) -> Result<(), ForgeError> {
        let answer = rest::send_status(&self.api, repo, sha, status).await?;
        rest::accepted(&answer.success().map_err(|error| about_commit(error, sha))?)
    }

    fn budget(&self) -> Option<Budget> {
        self.api.budget()
    }

    /// Its best practices ask for that; many at once run into its secondary limits.
    fn takes_one_write_at_a_time(&self) -> bool {
        true
    }

    async fn comments_since(&self, repo: &RepoName, since: DateTime<Utc>) -> Result<Vec<Comment>, ForgeError> {
        rest::comments_since(&self.api, repo, since).await
    }

    async fn comment(&self, repo: &RepoName, id: u64) -> Result<Comment, ForgeError> {
        rest::comment(&self.api, repo, id).await
    }

    async fn react(&self, repo: &RepoName, comment: u64, reaction: &str) -> Result<(), ForgeError> {
        rest::react(&self.api, repo, comment, reaction).await
    }

    fn git_url(&self, repo: &RepoName) -> String {
        rest::repository_url(&self.root, repo, ".git", &[])
    }

    async fn git_authorization(&self, repo: &RepoName) -> Result<Option<SecretString>, ForgeError> {
        Ok(rest::basic(GIT_USER, self.api.token(repo).await?.as_ref()))
    }

    fn commit_page(&self, repo: &RepoName, sha: &ObjectId) -> String {
        rest::repository_url(&self.root, repo, "", &["commit", sha.as_str()])
    }

    fn pull_page(&self, repo: &RepoName, number: u64) -> String {
        rest::repository_url(&self.root, repo, "", &["pull", &number.to_string()])
    }

    fn file_page(&self, repo: &RepoName, sha: &ObjectId, path: &str, line: Option<u32>) -> String {
        rest::file_url(&self.root, repo, &["blob", sha.as_str()], path, line)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;
    use crate::forge::http::{Timeouts, client};

    async fn whoami_goes_to(url: &str) -> String {
        let github = GitHub::new("main", url, None, client(Timeouts::default()).unwrap()).unwrap();
        github.api.call(&Method::GET, &["user"], &[]).map(|call| call.what).unwrap()
    }

    #[tokio::test]
    async fn the_api_of_github_com_has_a_host_of_its_own() {
        assert_eq!(whoami_goes_to("https://github.com").await, "GET https://api.github.com/user");
        assert_eq!(whoami_goes_to("https://github.com/").await, "GET https://api.github.com/user");
    }

    #[tokio::test]
    async fn the_api_of_an_enterprise_server_is_below_its_root() {
        assert_eq!(whoami_goes_to("https://ghe.example.org").await, "GET https://ghe.example.org/api/v3/user");
    }
}

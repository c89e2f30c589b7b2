//! Who hosts the repositories: one trait, two dialects (`gitea`, which serves Forgejo too, and `github`), and the
//! verification and reading of their webhooks.
//!
//! Everything that a forge says over its API goes through [`Forge`]; git objects do not (see `git`). Traps that this
//! room hides from the rest: the status key (`status` or `state`), paging by number (never by `Link`), redirects (never
//! followed on a write, never to another host), answers of 500 and 404 for "no such commit", null items in lists.
//! `docs/forges.md` tells the differences in full.
//!
//! | part | what it is |
//! |---|---|
//! | [`http`] | the one HTTP client of the program |
//! | `api`, `answer`, `wire`, `rest` | a REST API on top of it: requests, what answers mean, their JSON, the calls all forges share |
//! | [`gitea`], [`github`] | the two dialects |
//! | `app`, `flight` | the login of a GitHub App: its tokens, each made once at a time |
//! | [`AsApp`] | what only an App may do: deliveries that failed, checks |
//! | [`pulls`] | what is written besides statuses: commits, branches, pull requests |
//! | [`settings`] | how a forge and its repositories are set up: rights, hooks, required checks |
//! | [`app_settings`] | how a GitHub App is set up: permissions, events, its hook and what that brought |
//! | [`Conversation`] | comments of our own, rights and teams, in both dialects |
//! | [`depends`] | `Depends-On:` lines of pull requests (pure) |
//! | [`webhook`] | is a delivery genuine, and what may have changed (pure) |
//!
//! May use: `config`, `tree`.

mod answer;
mod api;
mod app;
pub mod app_settings;
mod as_app;
mod conversation;
pub mod depends;
mod flight;
pub mod gitea;
pub mod github;
pub mod http;
pub mod pulls;
mod remembered;
mod rest;
pub mod settings;
pub mod webhook;
mod wire;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::tree::ObjectId;

pub use self::app::Clock;
pub use self::as_app::{Annotation, AsApp, CheckRun, FailedDelivery};
pub use self::conversation::{Conversation, Team};
pub use self::http::ConnectError;
pub use self::pulls::{Pulls, Unwritten};
pub use self::remembered::Budget;
pub use self::rest::basic as basic_authorization;
pub use self::settings::Settings;

/// `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepoName(pub String);

impl RepoName {
    /// Reads `owner/name`; `None` for anything that could mean another place in a URL: no or several slashes, an empty
    /// half, `.` or `..`, white space, control characters, or characters that end a URL's path.
    pub fn parse(text: &str) -> Option<Self> {
        let name = Self(text.to_owned());
        name.parts().is_some().then_some(name)
    }

    /// Owner and name; `None` where [`RepoName::parse`] would refuse the text.
    pub fn parts(&self) -> Option<(&str, &str)> {
        let fits = |half: &str| {
            !matches!(half, "" | "." | "..")
                && half.chars().all(|c| !c.is_whitespace() && !c.is_control() && !r"/\?#%".contains(c))
        };
        self.0.split_once('/').filter(|(owner, name)| fits(owner) && fits(name))
    }
}

impl std::fmt::Display for RepoName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository as its forge describes it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Stays through renames and transfers.
    pub id: u64,
    /// Its name now: a rename changes it.
    pub name: RepoName,
    /// Without `refs/heads/`.
    pub default_branch: String,
    /// Not readable for everyone who can reach the forge.
    pub private: bool,
    /// Nothing can be posted there.
    pub archived: bool,
    /// Whether our token may write there (and so post a status).
    pub can_write: bool,
}

/// An open or closed pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Counted in its repository, together with issues.
    pub number: u64,
    /// Its author's words.
    pub title: String,
    /// Neither closed nor merged.
    pub open: bool,
    /// Closed by merging it.
    pub merged: bool,
    /// Marked as not ready for review.
    pub draft: bool,
    /// What it would merge: the newest commit of its branch.
    pub head_sha: ObjectId,
    /// The branch's name, without `refs/heads/`; after its deletion whatever the forge says.
    pub head_ref: String,
    /// `None` when the fork is gone.
    pub head_repo: Option<RepoName>,
    /// The branch that it would be merged into, without `refs/heads/`.
    pub base_ref: String,
    /// Login of who opened it.
    pub author: String,
    /// What its text says that it depends on: see [`depends`].
    #[serde(default)]
    pub depends_on: Vec<String>,
}

/// The four states that every forge knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Still being judged; blocks where it is required.
    Pending,
    /// The only one that lets a required check pass on every forge.
    Success,
    /// Drift.
    Failure,
    /// Undecided, or something could not be read.
    Error,
}

impl State {
    /// The word for it, the same on every forge.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// A commit status to post, or as read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The name that a branch protection requires.
    pub context: String,
    /// The verdict as the forge shows it.
    pub state: State,
    /// At most 140 characters.
    pub description: String,
    /// The address of the report page.
    pub target_url: String,
}

/// How many characters of a description every forge takes; GitHub answers 422 to one more.
pub const DESCRIPTION_LIMIT: usize = 140;

impl Status {
    /// A status whose description fits every forge: one line, without control characters and without the characters
    /// that turn the direction of text (a file name may hold them), cut to [`DESCRIPTION_LIMIT`] characters, the last of
    /// them `…` where something was cut.
    pub fn new(context: impl Into<String>, state: State, description: &str, target_url: impl Into<String>) -> Self {
        Self { context: context.into(), state, description: one_line(description), target_url: target_url.into() }
    }
}

/// See [`Status::new`].
fn one_line(text: &str) -> String {
    let turns_direction =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let spaced: String = text
        .chars()
        .filter(|c| !turns_direction(*c))
        .map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c })
        .collect();
    let line = spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= DESCRIPTION_LIMIT {
        return line;
    }
    let mut cut: String = line.chars().take(DESCRIPTION_LIMIT - 1).collect();
    cut.push('…');
    cut
}

/// A status that stands on a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedStatus {
    /// The state's word as the forge has it: others may post words that we never would.
    pub state: String,
    /// What the forge shows beside it.
    pub description: String,
    /// Where it links to; empty where it links nowhere.
    pub target_url: String,
    /// Login of who posted it.
    pub creator: String,
}

/// A comment on a pull request or issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The forge's number for it: commands act once for each.
    pub id: u64,
    /// Login of who wrote it.
    pub author: String,
    /// Stays when the login changes.
    pub author_id: u64,
    /// Markdown, as written.
    pub body: String,
    /// The number of the issue or pull request it stands on.
    pub issue: u64,
    /// RFC 3339, as the forge says.
    pub created_at: String,
    /// RFC 3339; another time than `created_at` means that it was edited.
    pub updated_at: String,
}

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The forge's number for them.
    pub id: u64,
    /// Their name on the forge.
    pub login: String,
}

/// Why a forge did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ForgeError {
    /// 404 (and for private repositories without access, everywhere).
    #[error("{what}: not found")]
    NotFound {
        /// The call: method and URL, without secrets.
        what: String,
    },
    /// 301, 307, 308: the repository has another name now.
    #[error("{what}: moved; ask for the repository by its id")]
    Moved {
        /// The call: method and URL, without secrets.
        what: String,
    },
    /// 401, 403.
    #[error("{what}: {status} {message}")]
    Denied {
        /// The call: method and URL, without secrets.
        what: String,
        /// Of the answer.
        status: u16,
        /// The forge's words.
        message: String,
    },
    /// The forge does not know the commit (yet): 422 on GitHub, 404 or 500 on Gitea and Forgejo.
    #[error("{what}: the forge does not know commit {sha}")]
    UnknownCommit {
        /// The call: method and URL, without secrets.
        what: String,
        /// The commit that was asked for.
        sha: ObjectId,
    },
    /// 429, or GitHub's 403 with `retry-after`: wait this long.
    #[error("{what}: rate limit, wait {}s", .after.as_secs())]
    RateLimited {
        /// The call: method and URL, without secrets.
        what: String,
        /// How long the forge asks to wait.
        after: std::time::Duration,
    },
    /// 5xx, transport, time-out, half an answer: the same call may go through later.
    #[error("{what}: {message}")]
    Transient {
        /// The call: method and URL, without secrets.
        what: String,
        /// What went wrong.
        message: String,
    },
    /// A commit, branch or pull request was not written, for a reason that a caller can answer.
    #[error("{what}: {status} {message}")]
    NotWritten {
        /// The call: method and URL, without secrets.
        what: String,
        /// Of the answer; 0 where the forge was not asked.
        status: u16,
        /// The forge's words.
        message: String,
        /// The reason.
        because: Unwritten,
    },
    /// Any other answer: asking again would get the same.
    #[error("{what}: {status} {message}")]
    Refused {
        /// The call: method and URL, without secrets.
        what: String,
        /// Of the answer.
        status: u16,
        /// The forge's words.
        message: String,
    },
}

impl ForgeError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. } | Self::RateLimited { .. } | Self::UnknownCommit { .. })
    }

    /// Why something was not written, where a caller can answer that.
    pub fn unwritten(&self) -> Option<Unwritten> {
        match self {
            Self::NotWritten { because, .. } => Some(*because),
            _ => None,
        }
    }
}

/// The forge that a configuration describes, reached through the program's client. Must be called inside a Tokio
/// runtime. `token` is what `forge.token` gave; the key of a GitHub App is read here.
///
/// # Errors
/// The address or the token is none, or the key of the App cannot be read.
pub fn connect_with(
    forge: &config::Forge,
    token: Option<SecretString>,
    client: reqwest::Client,
) -> Result<Arc<dyn Forge>, ConnectError> {
    Ok(connect_settings(forge, token, client)?)
}

/// As [`connect_with`], for who asks how the forge is set up.
///
/// # Errors
/// As [`connect_with`].
pub fn connect_settings(
    forge: &config::Forge,
    token: Option<SecretString>,
    client: reqwest::Client,
) -> Result<Arc<dyn Settings>, ConnectError> {
    if let Some(app) = &forge.app {
        let key = app.key.read_key().map_err(|why| ConnectError::Key { forge: forge.name.clone(), why })?;
        let (key, clock) = ((app.id, key), Arc::new(Utc::now));
        return Ok(github::GitHub::as_app(&forge.name, &forge.url, key, forge.check_runs, client, clock)?);
    }
    Ok(match forge.kind {
        config::ForgeKind::Gitea => gitea::Gitea::new(&forge.name, &forge.url, token, client)?,
        config::ForgeKind::GitHub => github::GitHub::new(&forge.name, &forge.url, token, client)?,
    })
}

/// What the controller asks of a forge. `what` in errors names method and URL without secrets.
#[async_trait::async_trait]
pub trait Forge: Conversation + AsApp + Pulls {
    /// Who we are there.
    async fn whoami(&self) -> Result<User, ForgeError>;
    /// How much the forge lets us ask, where it says so.
    fn budget(&self) -> Option<Budget> {
        None
    }
    /// Whether it asks for one write at a time.
    fn takes_one_write_at_a_time(&self) -> bool {
        false
    }
    /// The repository of this name; [`ForgeError::Moved`] where it has another one now.
    async fn repository(&self, name: &RepoName) -> Result<Repository, ForgeError>;
    /// Finds a repository after a rename.
    async fn repository_by_id(&self, id: u64) -> Result<Repository, ForgeError>;
    /// All pages of them.
    async fn open_pulls(&self, repo: &RepoName) -> Result<Vec<Pull>, ForgeError>;
    /// One pull request, open or not.
    async fn pull(&self, repo: &RepoName, number: u64) -> Result<Pull, ForgeError>;
    /// The newest status of `context` on `sha`; `None` where there is none.
    async fn status(&self, repo: &RepoName, sha: &ObjectId, context: &str) -> Result<Option<PostedStatus>, ForgeError>;
    /// Posts a status, once: whether to repeat it is for who calls. The commit may not be known there yet ([`ForgeError::UnknownCommit`]).
    async fn post_status(&self, repo: &RepoName, sha: &ObjectId, status: &Status) -> Result<(), ForgeError>;
    /// A comment as it stands now, by its id.
    async fn comment(&self, repo: &RepoName, id: u64) -> Result<Comment, ForgeError>;
    /// Comments of all issues and pull requests that were written or edited since then, oldest first.
    async fn comments_since(&self, repo: &RepoName, since: DateTime<Utc>) -> Result<Vec<Comment>, ForgeError>;
    /// `reaction` is one that all forges know: `+1 -1 laugh hooray confused heart rocket eyes`. Twice is once.
    async fn react(&self, repo: &RepoName, comment: u64, reaction: &str) -> Result<(), ForgeError>;
    /// The address for git's smart HTTP, made from the configured base, never from an answer.
    fn git_url(&self, repo: &RepoName) -> String;
    /// The value of the `Authorization` header for git over HTTP with a repository; a secret, good for some minutes at least.
    async fn git_authorization(&self, repo: &RepoName) -> Result<Option<SecretString>, ForgeError>;
    /// Where people see a commit.
    fn commit_page(&self, repo: &RepoName, sha: &ObjectId) -> String;
    /// Where people see a pull request.
    fn pull_page(&self, repo: &RepoName, number: u64) -> String;
    /// Where people see a file at a commit, at a line where given.
    fn file_page(&self, repo: &RepoName, sha: &ObjectId, path: &str, line: Option<u32>) -> String;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> String {
        Status::new("drift-gate", State::Failure, text, "https://gate.example.org/r/1").description
    }

    #[test]
    fn a_description_of_140_characters_stays_and_a_longer_one_ends_with_an_ellipsis() {
        let fits = "ä".repeat(140);
        assert_eq!(described(&fits), fits);
        let cut = described(&"ä".repeat(141));
        assert_eq!(cut.chars().count(), 140);
        assert!(cut.ends_with("ä…"));
        assert_eq!(described(&cut), cut, "a second cut changes nothing");
    }

    #[test]
    fn a_description_is_one_line_without_control_characters() {
        assert_eq!(described("config.yaml\n\tdiffers\u{1b}[31m \u{0}now\r\n"), "config.yaml differs [31m now");
        assert_eq!(described("a\u{202e}b\u{2066}c"), "abc", "a file name cannot turn the text around");
    }

    #[test]
    fn a_repository_name_cannot_lead_elsewhere() {
        for name in ["molecule/core", "a/b.c", "A-1/x_y", ".github/.github"] {
            assert!(RepoName::parse(name).is_some(), "{name}");
        }
        for name in [
            "", "core", "a/", "/b", "a/b/c", "../admin", "a/..", "./b", "a/b?x", "a/b#x", "a/%2e", "a b/c", "a/b\n",
            r"a\b/c",
        ] {
            assert!(RepoName::parse(name).is_none(), "{name:?}");
        }
    }
}

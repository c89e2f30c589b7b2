//! How a forge and its repositories are set up for drift-gate: what `doctor` asks and mends.
//!
//! Nothing here is asked by the service: it works with what it finds. Every writing call is sent once.
//!
//! Traps handled here: what a token may do is told by no endpoint of Gitea and Forgejo, so it is tried with calls that cannot
//! do anything (a status on a commit that no repository has, a reaction to a comment that there is not), and the scope is
//! refused before what is asked for is looked at; a PATCH of a hook resets what it does not name and ignores the secret, so a
//! hook is made anew and the old one removed; a branch's protection is changed as a whole on GitHub, so all of it is read and
//! written back.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::api::Api;
use super::app_settings::AppSettings;
use super::rest::unexpected;
use super::{Forge, ForgeError, RepoName, State, Status};
use crate::tree::ObjectId;

/// What answers at a forge's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name and version, for people: `Gitea 1.26.0`.
    pub product: String,
    /// Seconds that its clock is ahead of ours (behind, below zero); `None` where it does not tell the time.
    pub ahead: Option<i64>,
    /// What the token may do, in the forge's words, where a header tells (GitHub's classic tokens).
    pub scopes: Option<String>,
}

/// What our token's user may do in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Change settings: hooks, protections; ask who may waive.
    pub admin: bool,
    /// Push, and so post a status.
    pub push: bool,
    /// Nothing can be written there.
    pub archived: bool,
}

/// Something that a token must be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use<'a> {
    /// Posting statuses.
    Statuses,
    /// Answering comments and reacting to them.
    Comments,
    /// Committing what ends drift, and opening pull requests.
    Repairs,
    /// Reading who is in a team of this organization.
    Teams(&'a str),
}

/// A webhook, without its secret, which no forge tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The forge's number for it.
    pub id: u64,
    /// Where deliveries go.
    pub url: String,
    /// Whether it delivers anything.
    pub active: bool,
    /// Whether deliveries are JSON, and no form.
    pub json: bool,
    /// The forge's names of what is delivered.
    pub events: Vec<String>,
    /// Gitea, Forgejo: a glob that leaves out branches; empty for none.
    pub branch_filter: String,
    /// Gitea, Forgejo: a header that goes along, for a proxy in front of us; a secret, kept when the hook is made anew.
    pub authorization: Option<SecretSame>,
    /// What the forge says of its last delivery, where it does (GitHub).
    pub last: Option<LastAnswer>,
}

/// What a hook's last delivery was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAnswer {
    /// The status; 0 for no answer.
    pub code: u16,
    /// The forge's words.
    pub message: String,
}

/// A secret that is carried from one hook to the next.
#[derive(Clone, Debug)]
pub struct SecretSame(pub SecretString);

impl PartialEq for SecretSame {
    /// Secrets are not compared.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for SecretSame {}

/// A webhook to make: active, JSON, for all branches, for at least the events that drift-gate wants.
#[derive(Clone, Copy, Debug)]
pub struct NewHook<'a> {
    /// Where its deliveries go.
    pub url: &'a str,
    /// What signs them.
    pub secret: &'a SecretString,
    /// One that it takes the place of: its further events and its header are kept.
    pub like: Option<&'a Hook>,
}

/// What a branch demands of a merge, as far as it is about statuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// The rules that say so, for people; empty where nothing protects the branch.
    pub rules: Vec<String>,
    /// Names or globs of required statuses, with the number of the App that alone may give it (GitHub).
    pub contexts: Vec<(String, Option<u64>)>,
    /// A pull request must have the base's newest commit.
    pub up_to_date: bool,
    /// Merges go through the forge's own queue.
    pub queue: bool,
    /// Whether whoever may write pushes to it without a pull request, and so without a status.
    pub pushes: bool,
}

/// How a required name fits a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is that name.
    Exact,
    /// It is a pattern that fits it, and others.
    Pattern,
    /// It is another one.
    None,
}

/// What requiring a context did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// There is a new rule for the branch.
    Made,
    /// The rule that was there demands it as well.
    Added,
    /// It is a person's to do, for this reason.
    Not(String),
}

/// What `doctor` asks of a forge. `what` in errors names method and URL without secrets.
#[async_trait]
pub trait Settings: Forge {
    /// What answers there. [`ForgeError::Refused`] where it is no forge of this dialect.
    async fn server(&self) -> Result<Server, ForgeError>;
    /// What we may do in a repository.
    async fn rights(&self, repo: &RepoName) -> Result<Rights, ForgeError>;
    /// Tries what a token must be good for, without doing it; [`ForgeError::Denied`] where it is not.
    async fn may(&self, repo: &RepoName, what: Use<'_>) -> Result<(), ForgeError>;
    /// The scope or permission that something needs, in the forge's words.
    fn scope_for(&self, what: Use<'_>) -> &'static str;
    /// A file as text, as it is on a branch; [`ForgeError::NotFound`] where there is none.
    async fn text_file(&self, repo: &RepoName, path: &str, branch: &str) -> Result<String, ForgeError>;
    /// Names of all branches.
    async fn branches(&self, repo: &RepoName) -> Result<Vec<String>, ForgeError>;
    /// The repository's own hooks. Those of its organization and of the server are not told.
    async fn hooks(&self, repo: &RepoName) -> Result<Vec<Hook>, ForgeError>;
    /// What a hook lacks of the events that drift-gate wants.
    fn missing_events(&self, hook: &Hook) -> Vec<&'static str>;
    /// Makes a hook; its number.
    async fn add_hook(&self, repo: &RepoName, hook: &NewHook<'_>) -> Result<u64, ForgeError>;
    /// Takes a hook away; one that is not there is no error.
    async fn remove_hook(&self, repo: &RepoName, id: u64) -> Result<(), ForgeError>;
    /// Has the forge send a delivery that says nothing new.
    async fn test_hook(&self, repo: &RepoName, id: u64) -> Result<(), ForgeError>;
    /// What a branch demands; [`ForgeError::NotFound`] where there is no such branch.
    async fn demands(&self, repo: &RepoName, branch: &str) -> Result<Demands, ForgeError>;
    /// How a required name fits a context.
    fn fits(&self, required: &str, context: &str) -> Fit;
    /// Requires a context on a branch, and that pull requests are up to date; everything else stays as it is. `patterns` are
    /// the gate's own words for its branches: a rule that is about other branches as well is left to a person. An App requires
    /// it of itself, so that nobody else can give it.
    async fn require(
        &self,
        repo: &RepoName,
        branch: &str,
        context: &str,
        patterns: &[String],
    ) -> Result<Changed, ForgeError>;
    /// Whether whoever may write there can post a status of any name.
    fn statuses_are_everyones(&self) -> bool;
    /// How we are set up as a GitHub App, where we are one.
    fn app(&self) -> Option<&dyn AppSettings> {
        None
    }
}

/// A repository's answer, as far as it tells rights.
#[derive(Deserialize)]
pub(super) struct WireRights {
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    permissions: WirePermissions,
}

#[derive(Default, Deserialize)]
struct WirePermissions {
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    push: bool,
}

impl From<WireRights> for Rights {
    fn from(wire: WireRights) -> Self {
        let WirePermissions { admin, push } = wire.permissions;
        Self { admin, push, archived: wire.archived }
    }
}

/// A status that nobody will see: there is no commit for it.
pub(super) fn probe() -> Status {
    Status::new("drift-gate/doctor", State::Pending, "asks whether statuses can be posted", "")
}

/// See [`Settings::text_file`].
pub(super) async fn text_file(api: &Api, repo: &RepoName, path: &str, branch: &str) -> Result<String, ForgeError> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        content: String,
    }
    let segments: Vec<&str> = std::iter::once("contents").chain(path.split('/')).collect();
    let answer = api.get(&api.repo(repo, &segments)?, &[("ref", branch)]).await?.success()?;
    let content: String = answer.json::<File>()?.content.split_whitespace().collect();
    let bytes = STANDARD.decode(content).map_err(|_| unexpected(&answer, "its content is no base64"))?;
    String::from_utf8(bytes).map_err(|_| unexpected(&answer, "it is no UTF-8 text"))
}

/// See [`Settings::branches`].
pub(super) async fn branches(api: &Api, repo: &RepoName) -> Result<Vec<String>, ForgeError> {
    #[derive(Deserialize)]
    struct Branch {
        #[serde(default)]
        name: String,
    }
    let branches: Vec<Branch> = api.pages(&api.repo(repo, &["branches"])?, &[]).all().await?;
    Ok(branches.into_iter().map(|branch| branch.name).collect())
}

/// The number of a hook that was made.
pub(super) fn hook_made(answer: Answer) -> Result<u64, ForgeError> {
    #[derive(Deserialize)]
    struct Made {
        id: u64,
    }
    Ok(answer.success()?.json::<Made>()?.id)
}

/// See [`Settings::remove_hook`].
pub(super) async fn remove_hook(api: &Api, repo: &RepoName, id: u64) -> Result<(), ForgeError> {
    let answer = api.remove(&api.repo(repo, &["hooks", &id.to_string()])?).await?;
    allowed(answer.success().map(drop))
}

/// See [`Settings::test_hook`].
pub(super) async fn test_hook(api: &Api, repo: &RepoName, id: u64) -> Result<(), ForgeError> {
    let segments = ["hooks", &id.to_string(), "tests"];
    api.post(&api.repo(repo, &segments)?, &json!({})).await?.success().map(drop)
}

/// The name of a commit that no repository has.
pub(super) fn nowhere() -> Option<ObjectId> {
    ObjectId::parse("d01f7a7e0000000000000000000000000000feed")
}

/// Seconds that an answer's clock is ahead of ours.
pub(super) fn ahead(date: Option<&str>) -> Option<i64> {
    let theirs = chrono::DateTime::parse_from_rfc2822(date?).ok()?;
    Some(theirs.timestamp() - chrono::Utc::now().timestamp())
}

/// The call must have been refused for what it is about, not for who asks.
pub(super) fn allowed(tried: Result<(), ForgeError>) -> Result<(), ForgeError> {
    match tried {
        Ok(()) | Err(ForgeError::NotFound { .. } | ForgeError::UnknownCommit { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

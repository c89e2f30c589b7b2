//! A checked configuration, as the rest of the program sees it: plain data, no spans, nothing left to validate.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::diagnostic::Document;
use super::secret::Secret;

mod checks;
mod repair;

pub use checks::{
    Absent, Bake, Check, Compare, Extract, Format, Mirror, Mirrored, Pattern, Pin, PinAt, Relation, Retired, Values,
    ValuesSide,
};
pub use repair::{PullRequest, Repair, Template, To, Words};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service's own addresses and secrets; defaults where a laptop file has no `[server]`.
    pub server: Server,
    /// Where the service keeps its state.
    pub store: Store,
    /// By name, as in `[forge.NAME]`.
    pub forges: BTreeMap<String, Forge>,
    /// In the order of the file; empty only where the file has `[[repository]]` instead.
    pub gates: Vec<Gate>,
    /// Consumers that bring gates along.
    pub repositories: Vec<Repository>,
    /// The text that it was read from, for messages about it that come later (secrets).
    pub(super) origin: Document,
    /// Every secret that the file names, with its place in the text.
    pub(super) secrets: Vec<(Secret, std::ops::Range<usize>)>,
}

/// `[server]`.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where the service listens.
    pub listen: SocketAddr,
    /// Where people reach the service, without trailing slash; empty only in a laptop file that does not say it.
    pub public_url: String,
    /// What opens the API and the dashboard; without it they are closed.
    pub admin_token: Option<Secret>,
    /// The key of the addresses of reports; without it the store makes and keeps one.
    pub link_secret: Option<Secret>,
    /// How often every repository is looked at without a delivery.
    pub reconcile: Duration,
}

/// `[store]`.
#[derive(Clone, Debug)]
pub struct Store {
    /// `sqlite://PATH`, or `postgres://USER@HOST/DATABASE`, without a password.
    pub url: String,
    /// How many bytes the caches of repositories may take.
    pub cache_limit: u64,
}

/// Which dialect a forge speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgeKind {
    /// Gitea and Forgejo.
    Gitea,
    /// GitHub and GitHub Enterprise Server.
    GitHub,
}

/// `[forge.NAME]`.
#[derive(Clone, Debug)]
pub struct Forge {
    /// The name that gates and the address of its webhooks use.
    pub name: String,
    /// Its dialect.
    pub kind: ForgeKind,
    /// Without trailing slash; for GitHub `https://github.com` (its API is known) or a GHES root.
    pub url: String,
    /// Whose bearer reads both repositories and posts statuses; without it only public repositories are read.
    pub token: Option<Secret>,
    /// The App that does so instead of a token; only of a [`ForgeKind::GitHub`].
    pub app: Option<App>,
    /// Whether checks with annotations are written beside statuses; only with an App.
    pub check_runs: bool,
    /// Any of these may have signed a delivery; empty: deliveries are refused, and only the timer looks.
    pub webhook_secrets: Vec<Secret>,
}

/// A GitHub App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// GitHub's number for it, on its page of settings.
    pub id: u64,
    /// Its RSA private key, in PEM: see [`Secret::read_key`].
    pub key: Secret,
}

/// `[[repository]]`: a consumer that brings gates along, in its own `.drift-gate.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// As in `[forge.NAME]`.
    pub forge: String,
    /// `owner/name`.
    pub repo: String,
    /// Repositories of that forge which its gates may name as their source.
    pub sources: Vec<String>,
    /// Who may waive what its gates find.
    pub commands: Commands,
    /// Its forge is GitHub, which takes contexts that differ in capitals only for one.
    pub is_github: bool,
}

/// Who may give commands that not everyone may give, beside administrators of the repository with the pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// Their logins; forges know them in any case.
    pub users: Vec<String>,
    /// `organization/team`.
    pub teams: Vec<String>,
}

/// What a repository's own file may say, and what it means there: see [`Config::parse_brought`].
#[derive(Clone, Copy, Debug)]
pub struct Bringer<'a> {
    /// The repository with the file, and its sources.
    pub repository: &'a Repository,
    /// The address of its forge, as configured.
    pub forge_url: &'a str,
    /// What its gates judge when they do not name branches.
    pub default_branch: &'a str,
    /// Names that gates of the server's own file have for this consumer.
    pub taken: &'a [String],
}

/// `[[gate]]`: one rule between one source and one consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// Unique per consumer.
    pub name: String,
    /// The name of the commit status.
    pub context: String,
    /// The repository that is the truth.
    pub source: Source,
    /// The repository that bakes it.
    pub consumer: Consumer,
    /// How the consumer names the source commit that it uses.
    pub binding: Binding,
    /// The source files that the gate is about, as globs from the source's root. Empty only in a gate without a `bake` check:
    /// it is then about the files that its checks name, and no other file of the source is classified.
    pub identity: Vec<String>,
    /// Source files that the gate leaves alone.
    pub ignore: Vec<String>,
    /// Source files that are compared where they exist and may be absent.
    pub optional: Vec<String>,
    /// What a source file is that nobody listed.
    pub unlisted: Level,
    /// What a pull request gets for findings that its base has already.
    pub inherited: Inherited,
    /// What a consumer branch gets for a pin that is behind.
    pub stale: Stale,
    /// How long a stale branch head stays green, with words.
    pub grace: Duration,
    /// How long a head keeps its status while the other side cannot be read.
    pub unreadable_after: Duration,
    /// Drift is told in words on a green status.
    pub advisory: bool,
    /// An assumption is as good as not decided.
    pub strict_assumptions: bool,
    /// Until then drift is told in words on a green status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_after: Option<DateTime<Utc>>,
    /// Files of the consumer that a pull request changes only with somebody's word: globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<String>,
    /// Why the gate ends: nothing is compared any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<String>,
    /// Who may see file contents.
    pub quote: Quote,
    /// Who may waive what it finds. No part of what it judges: a verdict does not depend on it.
    #[serde(skip)]
    pub commands: Commands,
    /// Where comments are commands about its branches. No part of what it judges either.
    #[serde(skip)]
    pub issues: Vec<Issue>,
    /// Never empty.
    pub checks: Vec<Check>,
    /// What ends the drift, in the order of the file. It has no say in a verdict, so it is not part of [`Gate::digest`].
    #[serde(skip)]
    pub repairs: Vec<Repair>,
    /// SHA-256 of what the gate says, hexadecimal, independent of comments and order of keys.
    #[serde(skip)]
    pub digest: String,
}

/// An issue that a gate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// One side of the gate.
    pub place: Place,
    /// The forge's number for it in that repository; never 0.
    pub number: u64,
}

/// The repository that is the truth, and the branch of it that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Which repository.
    pub place: Place,
    /// A name, not a glob.
    pub branch: String,
}

/// A repository: of a configured forge, or by its address (laptop files).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Place {
    /// A repository of a configured forge.
    Forge {
        /// As in `[forge.NAME]`.
        forge: String,
        /// `owner/name`.
        repo: String,
    },
    /// The address of a repository, without trailing slash.
    Url(String),
    /// The repository that the configuration file lies in.
    Here,
}

/// The repository that bakes the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consumer {
    /// Which repository.
    pub place: Place,
    /// Names or globs; empty only in a laptop file that does not say it.
    pub branches: Vec<String>,
    /// Branches of a merge queue: globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queue_branches: Vec<String>,
}

/// How a consumer names the source commit that it uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Binding {
    /// A commit SHA in a file of the consumer, or a submodule.
    Pin {
        /// From the consumer's root.
        file: String,
        /// Where in the file.
        at: PinAt,
        /// Fields beside the pin that must hold; only beside a path.
        require: BTreeMap<String, String>,
    },
    /// The head of the source's branch.
    Follow,
}

/// How loud a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Level {
    /// It fails its head.
    Drift,
    /// It is told.
    Notice,
}

/// What a pull request gets for findings that its base has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Inherited {
    /// They are named and do not fail it.
    Pass,
    /// They fail it.
    Fail,
}

/// What a consumer branch gets for a pin that is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Stale {
    /// It is drift.
    Fail,
    /// It is words on green, and the gate judges no source head.
    Notice,
}

/// Who may see file contents on a report page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Quote {
    /// Everyone where both repositories are public, else who logs in.
    Readers,
    /// Everyone who has the page's address.
    Always,
}

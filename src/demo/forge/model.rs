//! What the stand-in knows besides git objects: everything that a real forge keeps in its database.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use git2::Oid;

/// Users and organizations share their numbers, as on Gitea.
pub type AccountId = u64;

/// Stays through renames.
pub type RepoId = u64;

/// Now, in the whole seconds that a forge tells.
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0)
}

/// A user or an organization.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: AccountId,
    pub login: String,
    pub created: DateTime<Utc>,
    pub kind: Kind,
}

/// What an account is.
#[derive(Clone, Debug)]
pub enum Kind {
    Person { site_admin: bool },
    Organization { owners: Vec<AccountId> },
}

impl Account {
    /// Whether it may do everything everywhere.
    pub fn is_site_admin(&self) -> bool {
        matches!(self.kind, Kind::Person { site_admin: true })
    }

    /// The person who acts for it: itself, or its first owner.
    pub fn first_owner(&self) -> AccountId {
        match &self.kind {
            Kind::Organization { owners } => owners.first().copied().unwrap_or(self.id),
            Kind::Person { .. } => self.id,
        }
    }

    /// The address in commits; organizations have none.
    pub fn email(&self) -> String {
        match self.kind {
            Kind::Person { .. } => format!("{}@example.org", self.login),
            Kind::Organization { .. } => String::new(),
        }
    }
}

/// What a token may be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scopes {
    All,
    /// Such as `read:repository`.
    Only(Vec<String>),
}

/// A token and whose it is.
#[derive(Clone, Debug)]
pub struct Token {
    pub account: AccountId,
    pub scopes: Scopes,
}

/// How far someone gets in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    None,
    Read,
    Write,
    Admin,
    Owner,
}

impl Access {
    /// The forge's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// What a collaborator may be given.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|access| access.as_str() == word)
    }
}

/// A repository without its objects, which are in the bare repository named after its id.
#[derive(Clone, Debug)]
pub struct Repo {
    pub id: RepoId,
    pub owner: AccountId,
    pub name: String,
    pub private: bool,
    pub default_branch: String,
    pub fork_of: Option<RepoId>,
    pub created: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    pub collaborators: BTreeMap<AccountId, Access>,
    pub hooks: Vec<Hook>,
    pub protections: Vec<Protection>,
    /// Issues and pull requests by their number.
    pub issues: BTreeMap<u64, Issue>,
    /// By commit, oldest first.
    pub statuses: BTreeMap<Oid, Vec<Status>>,
}

/// An issue, or what a pull request shares with one.
#[derive(Clone, Debug)]
pub struct Issue {
    pub id: u64,
    pub number: u64,
    pub author: AccountId,
    pub title: String,
    pub body: String,
    pub created: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    /// Closed or merged.
    pub closed: Option<DateTime<Utc>>,
    pub comments: Vec<Comment>,
    pub pull: Option<Pull>,
}

/// What makes an issue a pull request. The head's commit is at `refs/pull/N/head` of the base repository.
#[derive(Clone, Debug)]
pub struct Pull {
    pub id: u64,
    pub base: String,
    pub head: String,
    /// `None` once the fork is gone.
    pub head_repo: Option<RepoId>,
    pub merged: Option<Merge>,
}

/// How a pull request ended well.
#[derive(Clone, Debug)]
pub struct Merge {
    pub commit: Oid,
    /// What head and base had in common before.
    pub merge_base: Option<Oid>,
    pub by: AccountId,
    pub at: DateTime<Utc>,
}

impl Issue {
    /// Neither closed nor merged.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Work in progress, by its title.
    pub fn is_draft(&self) -> bool {
        self.pull.is_some() && ["WIP:", "[WIP]"].iter().any(|mark| self.title.to_uppercase().starts_with(mark))
    }
}

/// A comment on an issue or pull request.
#[derive(Clone, Debug)]
pub struct Comment {
    pub id: u64,
    pub author: AccountId,
    pub body: String,
    pub created: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    pub reactions: Vec<Reaction>,
}

/// Somebody's feeling about a comment.
#[derive(Clone, Debug)]
pub struct Reaction {
    pub account: AccountId,
    pub content: String,
    pub created: DateTime<Utc>,
}

/// One status of a commit; the newest of a context counts.
#[derive(Clone, Debug)]
pub struct Status {
    /// Unique on this forge; deliveries tell it.
    pub id: u64,
    /// Counted for each commit; the API tells it.
    pub index: u64,
    /// Any word: a real forge takes any too.
    pub state: String,
    pub context: String,
    pub description: String,
    pub target_url: String,
    pub creator: AccountId,
    pub created: DateTime<Utc>,
}

/// Who wants to hear of a repository's events.
#[derive(Clone, Debug)]
pub struct Hook {
    pub id: u64,
    pub url: String,
    pub secret: String,
    pub active: bool,
    /// Names of event types, as Gitea's API has them.
    pub events: Vec<String>,
    /// A glob for the names of branches and tags; empty: all.
    pub branch_filter: String,
    pub created: DateTime<Utc>,
}

/// What a branch demands.
#[derive(Clone, Debug)]
pub struct Protection {
    /// A branch's name, or a glob.
    pub rule: String,
    pub push: bool,
    pub status_check: bool,
    /// Globs.
    pub contexts: Vec<String>,
    pub created: DateTime<Utc>,
}

//! What the stand-in knows besides git objects: everything that a real forge keeps in its database.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, SubsecRound, Utc};
use git2::Oid;

use super::pulls::MergeWish;

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
    /// Counted from 1; no account is ever deleted here.
    pub id: AccountId,
    /// Its name in addresses, as it was written; it is found in any case.
    pub login: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// Whether it can act itself, or others act for it.
    pub kind: Kind,
}

/// What an account is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A user: whoever has tokens, writes commits and comments.
    Person {
        /// Gitea's administrators own every repository, private ones too.
        site_admin: bool,
    },
    /// Owns repositories, but does nothing itself.
    Organization {
        /// The users of its owners' team; other teams are [`Team`]s.
        owners: Vec<AccountId>,
    },
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

/// A team of an organization. It gives no access to repositories here: collaborators have that one by one.
#[derive(Clone, Debug)]
pub struct Team {
    /// Counted over the whole forge.
    pub id: u64,
    /// Whose team it is.
    pub organization: AccountId,
    /// Unique in its organization in any case.
    pub name: String,
    /// Who is in it.
    pub members: Vec<AccountId>,
}

/// What a token may be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scopes {
    /// Everything that its user may do.
    All,
    /// Such as `read:repository`.
    Only(Vec<String>),
    /// What an installation of a GitHub App was granted: `statuses` with `write` and the like.
    Granted(BTreeMap<String, String>),
}

/// A token and whose it is.
#[derive(Clone, Debug)]
pub struct Token {
    /// The user for whom it acts.
    pub account: AccountId,
    /// They only narrow what the user may do; an API call outside of them is a 403. Git does not ask for them here.
    pub scopes: Scopes,
    /// When it ends, where it does.
    pub ends: Option<DateTime<Utc>>,
    /// The installation of an App that it is of.
    pub installation: Option<u64>,
}

/// How far someone gets in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Not even to know of it: the API answers 404.
    None,
    /// See, clone, comment, and open pull requests. In a public repository everybody has it.
    Read,
    /// Push, merge, and post statuses.
    Write,
    /// See and change the settings as well: hooks, protections, collaborators.
    Admin,
    /// Delete it too: its owner, the owners of its organization, and site administrators.
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
    /// Its number on this forge. Deliveries tell it, and a rename leaves it.
    pub id: RepoId,
    /// A user or an organization.
    pub owner: AccountId,
    /// The second half of `owner/name`. Unique for its owner in any case.
    pub name: String,
    /// Whether only those see it who were let in; others get a 404.
    pub private: bool,
    /// Without `refs/heads/`. It is there only once it has a commit, and the API does not delete it.
    pub default_branch: String,
    /// What it was copied from. The number stays when the original is deleted.
    pub fork_of: Option<RepoId>,
    /// When it was made, or copied.
    pub created: DateTime<Utc>,
    /// When a reference of it last moved. Comments and settings leave it.
    pub updated: DateTime<Utc>,
    /// Whom its administrators let in, besides those who own it.
    pub collaborators: BTreeMap<AccountId, Access>,
    /// Oldest first: the order in which they are told.
    pub hooks: Vec<Hook>,
    /// At most one for each rule, oldest first; the order decides between globs.
    pub protections: Vec<Protection>,
    /// What rulesets demand of each branch, as GitHub tells it. It has no effect here.
    pub rules: Vec<serde_json::Value>,
    /// Issues and pull requests by their number.
    pub issues: BTreeMap<u64, Issue>,
    /// By commit, oldest first.
    pub statuses: BTreeMap<Oid, Vec<Status>>,
    /// Nothing is committed, opened or said there any more.
    pub archived: bool,
    /// What issues and pull requests can be marked with, in the order in which they were made.
    pub labels: Vec<Label>,
    /// Workflows that somebody started, in their order. None of them runs.
    pub dispatched: Vec<Dispatched>,
}

/// What issues and pull requests can be marked with.
#[derive(Clone, Debug)]
pub struct Label {
    /// Counted over the whole forge.
    pub id: u64,
    /// As people see it.
    pub name: String,
    /// Six hexadecimal digits.
    pub color: String,
}

/// A workflow that somebody started.
#[derive(Clone, Debug)]
pub struct Dispatched {
    /// Its file's name.
    pub workflow: String,
    /// The branch or tag.
    pub reference: String,
    /// What it was given.
    pub inputs: BTreeMap<String, String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// An issue, or what a pull request shares with one.
#[derive(Clone, Debug)]
pub struct Issue {
    /// Counted over the whole forge, issues and pull requests alike.
    pub id: u64,
    /// Counted in its repository from 1, issues and pull requests alike; addresses have this one.
    pub number: u64,
    /// Who opened it; may edit a pull request without the right to write.
    pub author: AccountId,
    /// Not blank when it is opened: Gitea demands one.
    pub title: String,
    /// Markdown, as written; often empty.
    pub body: String,
    /// When it was opened.
    pub created: DateTime<Utc>,
    /// When it was last changed; a new comment and a new head count, an edited comment does not.
    pub updated: DateTime<Utc>,
    /// Closed or merged.
    pub closed: Option<DateTime<Utc>>,
    /// Who closed it without a merge.
    pub closed_by: Option<AccountId>,
    /// In the order in which they were written.
    pub comments: Vec<Comment>,
    /// Labels by their numbers.
    pub labels: Vec<u64>,
    /// Who is to take care of it.
    pub assignees: Vec<AccountId>,
    /// What makes it a pull request; `None` for an issue.
    pub pull: Option<Pull>,
}

/// What makes an issue a pull request. The head's commit is at `refs/pull/N/head` of the base repository.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Counted over the whole forge, apart from the ids of issues.
    pub id: u64,
    /// The branch that it is merged into, without `refs/heads/`. It may be changed later.
    pub base: String,
    /// The branch that it brings, in `head_repo`, without `refs/heads/`.
    pub head: String,
    /// `None` once the fork is gone.
    pub head_repo: Option<RepoId>,
    /// `None` where it is open, and where it was closed without a merge.
    pub merged: Option<Merge>,
    /// Not ready for review, besides what its title says.
    pub draft: bool,
    /// Who is asked to look at it.
    pub reviewers: Vec<AccountId>,
    /// It is to be merged when its checks are green: by whom, and how.
    pub when_green: Option<(AccountId, MergeWish)>,
}

/// How a pull request ended well.
#[derive(Clone, Debug)]
pub struct Merge {
    /// The merge commit, on the base branch.
    pub commit: Oid,
    /// What head and base had in common before.
    pub merge_base: Option<Oid>,
    /// Who merged it, and wrote the commit.
    pub by: AccountId,
    /// The pull request is closed since the same moment.
    pub at: DateTime<Utc>,
}

impl Issue {
    /// Neither closed nor merged.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Work in progress, by its title.
    pub fn is_draft(&self) -> bool {
        let says_so = ["WIP:", "[WIP]"].iter().any(|mark| self.title.to_uppercase().starts_with(mark));
        self.pull.as_ref().is_some_and(|pull| pull.draft || says_so)
    }
}

/// A comment on an issue or pull request.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Counted over the whole forge; an edit leaves it.
    pub id: u64,
    /// Who wrote it; an edit by somebody else leaves this.
    pub author: AccountId,
    /// Markdown, as last written.
    pub body: String,
    /// When it was first written.
    pub created: DateTime<Utc>,
    /// When it was last written; another time than `created` means that it was edited. Reactions leave it.
    pub updated: DateTime<Utc>,
    /// In the order in which they came.
    pub reactions: Vec<Reaction>,
}

/// Somebody's feeling about a comment.
#[derive(Clone, Debug)]
pub struct Reaction {
    /// Whose it is. One account has each content once.
    pub account: AccountId,
    /// One of Gitea's eight words, such as `eyes` or `+1`.
    pub content: String,
    /// When it was first given; the same again leaves it.
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
    /// Whose check it is. Branch protections name it; Gitea's `default` where the poster gave none.
    pub context: String,
    /// A line for people, without space around it; may be empty.
    pub description: String,
    /// Where a click on it leads; empty where it leads nowhere.
    pub target_url: String,
    /// The user of the token that posted it.
    pub creator: AccountId,
    /// When it was posted, in whole seconds; lists are ordered by it. A status is never changed afterwards.
    pub created: DateTime<Utc>,
}

/// Who wants to hear of a repository's events.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Counted over the whole forge.
    pub id: u64,
    /// Where deliveries are posted to.
    pub url: String,
    /// The key of the signatures. Empty: they are sent empty. No answer tells it.
    pub secret: String,
    /// Whether it hears of anything; a test reaches it all the same.
    pub active: bool,
    /// Names of event types, as Gitea's API has them.
    pub events: Vec<String>,
    /// A glob for the names of branches and tags; empty: all.
    pub branch_filter: String,
    /// What deliveries say in `Authorization`; empty: nothing. Answers tell it.
    pub authorization: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// What its last delivery was answered; 0 for nothing, `None` before the first. Only GitHub's dialect tells it.
    pub last: Arc<Mutex<Option<u16>>>,
}

impl Protection {
    /// A rule that demands nothing yet, and lets nobody push.
    pub fn new(rule: String, created: DateTime<Utc>) -> Self {
        let (contexts, pinned, more) = (Vec::new(), BTreeMap::new(), serde_json::Map::new());
        Self { rule, push: false, status_check: false, contexts, pinned, up_to_date: false, more, created }
    }
}

/// What a branch demands.
#[derive(Clone, Debug)]
pub struct Protection {
    /// A branch's name, or a glob.
    pub rule: String,
    /// Whether the API commits to it; a merge always may. A push over git is not asked here.
    pub push: bool,
    /// Whether a merge needs the statuses of `contexts`.
    pub status_check: bool,
    /// Globs.
    pub contexts: Vec<String>,
    /// Those of them that one App alone can give, and its number.
    pub pinned: BTreeMap<String, u64>,
    /// Whether a merge needs the base's newest commit.
    pub up_to_date: bool,
    /// Whatever else was said of it: it is told again and has no effect here.
    pub more: serde_json::Map<String, serde_json::Value>,
    /// When the rule was made.
    pub created: DateTime<Utc>,
}

//! Everything that is known about one wanted key.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::forge::{Forge, RepoName, State};
use crate::gate::Report;
use crate::tree::ObjectId;

pub use crate::gate::Side;

/// What holds for one wanted key: one commit of one repository under one context. Complete, also where it is private:
/// [`super::visible`] decides what of it is shown.
#[derive(Clone)]
pub struct PageData {
    /// The repository that the status stands in.
    pub repo: Repo,
    /// The commit that the status stands on.
    pub sha: ObjectId,
    /// The name of the status.
    pub context: String,
    /// What the status says.
    pub state: State,
    /// The status's own words; the forge shows them to whoever reads the repository.
    pub description: String,
    /// Since when it says so.
    pub decided_at: DateTime<Utc>,
    /// Still the head of a branch or an open pull request.
    pub head: bool,
    /// Whether the forge says it, too.
    pub told: Told,
    /// What of it is let pass now.
    pub waivers: Vec<Waived>,
    /// One for each gate and role, in the order in which they are to be read.
    pub judgements: Vec<Judgement>,
    /// Verdicts before this one, newest first.
    pub earlier: Vec<Earlier>,
}

/// Whether the forge says what it should.
#[derive(Clone, Debug)]
pub enum Told {
    /// It does.
    Yes,
    /// Not yet, and why it last refused.
    NotYet {
        /// The forge's last answer, where it was asked.
        trouble: Option<String>,
    },
}

/// Who lets pass what a gate finds. Whoever may comment in the repository can read it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waived {
    /// The name of the gate.
    pub gate: String,
    /// Login of who waived.
    pub by: String,
    /// In their words.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Until when; `None`: at no time of its own.
    pub until: Option<DateTime<Utc>>,
}

/// A verdict that held before.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// What the status said.
    pub state: State,
    /// The status's words.
    pub description: String,
}

/// What the commit is to a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Head of this branch.
    Branch(String),
    /// Head of this pull request of the status's repository.
    Pull {
        /// Which one.
        number: u64,
        /// Its title; empty where it is not known.
        title: String,
        /// Its base branch.
        onto: String,
    },
}

/// One gate's answer about the commit in one role.
#[derive(Clone)]
pub struct Judgement {
    /// The gate's name.
    pub gate: String,
    /// What the commit is to the gate.
    pub role: Role,
    /// Which side of the gate the status's repository is.
    pub place: Side,
    /// Who bakes.
    pub consumer: Repo,
    /// What is true.
    pub source: Repo,
    /// The gate has `quote = "always"`: contents and names may be told to everyone who has the address.
    pub quote: bool,
    /// What the gate says of it.
    pub outcome: Outcome,
    /// Of a branch head: the pull request that ends its drift, or why there is none.
    pub repair: Option<super::Repair>,
}

/// A report, or why there is none.
#[derive(Clone)]
pub enum Outcome {
    /// It was judged.
    Judged(Box<Judged>),
    /// Nothing was compared; in words.
    Unreadable(String),
}

/// A report with what only the page shows.
#[derive(Clone)]
pub struct Judged {
    /// Everything that was found.
    pub report: Report,
    /// What differs in bytes, by the finding's index in the report.
    pub diffs: BTreeMap<usize, Diff>,
}

/// A unified diff; see [`super::unified`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// What the lines with `-` are, in words: "in the image", "at the pin".
    pub old: String,
    /// What the lines with `+` are.
    pub new: String,
    /// In order, hunks with their heads.
    pub lines: Vec<DiffLine>,
    /// Lines beyond the end that is shown.
    pub more: usize,
}

/// One line of a diff, without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffLine {
    /// The head of a hunk: where it is in both files.
    Hunk(String),
    /// In both.
    Same(String),
    /// Only in the old one.
    Removed(String),
    /// Only in the new one.
    Added(String),
}

/// A repository, where to look at it, and who can.
#[derive(Clone)]
pub struct Repo {
    /// Its name now.
    pub name: RepoName,
    /// Not readable for everyone who can reach the forge.
    pub private: bool,
    /// Where people see it on its forge.
    pub addresses: Arc<dyn Addresses>,
}

impl Repo {
    /// A repository of a forge.
    pub fn on(forge: Arc<dyn Forge>, name: RepoName, private: bool) -> Self {
        Self { name: name.clone(), private, addresses: Arc::new(OnForge { forge, name }) }
    }
}

/// Where people look at a repository.
pub trait Addresses: Send + Sync {
    /// The page of a commit.
    fn commit(&self, sha: &ObjectId) -> String;
    /// The page of a pull request.
    fn pull(&self, number: u64) -> String;
    /// A file at a commit, at a line where one is given.
    fn file(&self, sha: &ObjectId, path: &str, line: Option<u32>) -> String;
}

/// The pages of a repository on its forge.
pub struct OnForge {
    /// Whose pages.
    pub forge: Arc<dyn Forge>,
    /// The repository's name now.
    pub name: RepoName,
}

impl Addresses for OnForge {
    fn commit(&self, sha: &ObjectId) -> String {
        self.forge.commit_page(&self.name, sha)
    }

    fn pull(&self, number: u64) -> String {
        self.forge.pull_page(&self.name, number)
    }

    fn file(&self, sha: &ObjectId, path: &str, line: Option<u32>) -> String {
        self.forge.file_page(&self.name, sha, path, line)
    }
}

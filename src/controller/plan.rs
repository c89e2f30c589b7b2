//! Which questions a look at the forge raises (pure): from the gates and what is seen of their repositories to the
//! targets, each a commit with all its roles under one context.
//!
//! Uses `config`, `forge` (names) and `gate`. The trap it handles: a forge holds one status for one commit and context, so
//! two roles of one commit, or two gates of one context, must be one target, and a target that one gate touches needs
//! the verdicts of all gates that share it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::brought::{self, Proposal};
use super::pairing::{self, Pairing};
use crate::config::{self, Place};
use crate::forge::{Pull, Repository};
use crate::gate::policy::Role;
use crate::gate::{Case, Report, Revision, glob};
use crate::tree::ObjectId;

/// A repository as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RepoKey {
    /// The forge's name in the configuration.
    pub forge: String,
    /// `owner/name`.
    pub name: String,
}

impl std::fmt::Display for RepoKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.forge, self.name)
    }
}

/// What a forge said of a repository a moment ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its number, name and visibility.
    pub repository: Repository,
    /// Branch heads by branch name.
    pub heads: BTreeMap<String, ObjectId>,
    /// Open pull requests.
    pub pulls: Vec<Pull>,
}

/// A repository that was looked at.
#[derive(Clone, Debug)]
pub enum Seen {
    /// It could be read.
    View(std::sync::Arc<View>),
    /// It could not.
    Unreadable {
        /// In words, for people.
        why: String,
        /// Unix milliseconds since when.
        since: i64,
    },
}

/// A gate of the service: both sides are repositories of configured forges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gated {
    /// `forge/owner/name:gate`, of the consumer.
    pub id: String,
    /// As configured.
    pub gate: config::Gate,
    /// The repository that bakes or copies.
    pub consumer: RepoKey,
    /// The repository whose files must ship unchanged.
    pub source: RepoKey,
    /// It stands in the consumer's own file of gates, not in the service's.
    pub brought: bool,
    /// What judged the base of the pull request that brings this gate.
    pub before: Before,
}

/// What judged a pull request's base: see [`gate::Before`](crate::gate::Before).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// The same gate.
    This,
    /// The pull request brings the gate in place of this one.
    Other(Box<config::Gate>),
    /// The pull request brings a gate that was not there.
    Nothing,
}

impl Before {
    /// Tells a report of one from a report of another.
    pub fn digest(&self) -> &str {
        match self {
            Self::This => "",
            Self::Other(gate) => &gate.digest,
            Self::Nothing => "nothing",
        }
    }
}

impl Gated {
    /// `None` for a gate of laptop files, whose sides are not on a configured forge.
    pub fn new(gate: &config::Gate) -> Option<Self> {
        let (consumer, source) = (key(&gate.consumer.place)?, key(&gate.source.place)?);
        let id = format!("{consumer}:{}", gate.name);
        Some(Self { id, gate: gate.clone(), consumer, source, brought: false, before: Before::This })
    }

    /// Whether a branch of the consumer is gated.
    pub fn gates_branch(&self, branch: &str) -> bool {
        self.gate.consumer.branches.iter().any(|pattern| glob::matches(pattern, branch))
    }

    /// Whether a branch of the consumer is a merge queue's, and not gated itself.
    fn queues(&self, branch: &str) -> bool {
        !self.gates_branch(branch) && glob::any(&self.gate.consumer.queue_branches, branch)
    }

    /// Whether it names this issue of a repository.
    pub fn names(&self, repo: &RepoKey, issue: u64) -> bool {
        self.gate.issues.iter().any(|one| one.number == issue && key(&one.place).as_ref() == Some(repo))
    }

    /// Whether a repository is one of its sides.
    pub fn touches(&self, repo: &RepoKey) -> bool {
        self.consumer == *repo || self.source == *repo
    }
}

fn key(place: &Place) -> Option<RepoKey> {
    match place {
        Place::Forge { forge, repo } => Some(RepoKey { forge: forge.clone(), name: repo.clone() }),
        Place::Url(_) | Place::Here => None,
    }
}

/// A commit to judge, with everything it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The repository that gets the status.
    pub repo: RepoKey,
    /// The commit that gets it.
    pub sha: ObjectId,
    /// The context of the status.
    pub context: String,
    /// Every question of every gate that has a say under this context.
    pub asks: Vec<Ask>,
}

/// One gate's question about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whose question it is.
    pub gated: Arc<Gated>,
    /// What the commit is to that gate.
    pub role: Role,
    /// What to answer, or why nobody can.
    pub question: Question,
    /// What it has to do with a pull request of the other side.
    pub pairing: Pairing,
}

/// What is asked, or why it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A case to judge.
    Judge(Case),
    /// Answered without a comparison: what the file that names the gates says of itself.
    Told(Arc<Report>),
    /// The forge said something that leaves nothing to compare: a missing branch.
    Impossible(String),
    /// The gate has ended, for this reason: nothing is compared.
    Retired(String),
    /// The other side cannot be read, since then (Unix milliseconds).
    Unreadable {
        /// In words, for people.
        why: String,
        /// Unix milliseconds since when.
        since: i64,
    },
}

/// The other sides of a repository's gates.
pub fn partners(gates: &[Arc<Gated>], repo: &RepoKey) -> BTreeSet<RepoKey> {
    let touched = gates.iter().filter(|gated| gated.touches(repo));
    touched.map(|gated| if gated.consumer == *repo { gated.source.clone() } else { gated.consumer.clone() }).collect()
}

/// The heads of a repository by which its partners are judged: gated branches of a consumer, a source's branch.
pub fn heads_for_others(gates: &[Arc<Gated>], repo: &RepoKey, view: &View) -> BTreeMap<String, ObjectId> {
    let matters = |branch: &str| {
        gates.iter().any(|gated| {
            (gated.consumer == *repo && gated.gates_branch(branch))
                || (gated.source == *repo && gated.gate.source.branch == branch)
        })
    };
    let heads = view.heads.iter().filter(|(branch, _)| matters(branch));
    heads.map(|(branch, sha)| (branch.clone(), sha.clone())).collect()
}

/// What its partners' pull requests are paired by: of a source those that name others, of a consumer those that are named.
pub fn pulls_for_others(
    gates: &[Arc<Gated>],
    repo: &RepoKey,
    view: &View,
    seen: &impl Fn(&RepoKey) -> Option<Arc<View>>,
) -> Vec<Pull> {
    let names_any =
        |source: &RepoKey| seen(source).is_some_and(|view| view.pulls.iter().any(|pull| !pull.depends_on.is_empty()));
    let is_named = gates.iter().any(|gated| gated.consumer == *repo && names_any(&gated.source));
    let is_source = gates.iter().any(|gated| gated.source == *repo);
    let matters = |pull: &&Pull| is_named || (is_source && !pull.depends_on.is_empty());
    view.pulls.iter().filter(matters).cloned().collect()
}

/// What the open pull requests of a consumer make of its own file of gates, by their number; those that leave it are absent.
pub type Proposals = BTreeMap<u64, Proposal>;

/// The sources of gates that pull requests bring.
pub fn sources(proposals: &Proposals) -> BTreeSet<RepoKey> {
    let gates = proposals.values().flat_map(|proposal| match proposal {
        Proposal::Gates(gates) => gates.as_slice(),
        Proposal::Invalid(_) | Proposal::Unknown(_) | Proposal::Unreadable { .. } => &[],
    });
    gates.map(|gated| gated.source.clone()).collect()
}

/// What is known where a repository's heads are to be judged.
pub struct Known<'a> {
    /// All gates that judge.
    pub gates: &'a [Arc<Gated>],
    /// The repository itself and the other sides of its gates.
    pub seen: &'a BTreeMap<RepoKey, Seen>,
    /// What its pull requests make of its own file of gates.
    pub proposals: &'a Proposals,
    /// Why the file of gates on its default branch cannot be used; the last valid one judges on.
    pub trouble: Option<&'a str>,
    /// Where people see a pull request of a repository.
    pub page: &'a (dyn Fn(&RepoKey, u64) -> Option<String> + Sync),
}

/// All targets of one repository, as far as it could be read.
pub fn targets(known: &Known<'_>, repo: &RepoKey) -> Vec<Target> {
    let Some(Seen::View(view)) = known.seen.get(repo) else { return Vec::new() };
    let mut found: BTreeMap<(ObjectId, String), Vec<Ask>> = BTreeMap::new();
    let mut add = |gated: &Arc<Gated>, (sha, role, question): Found| {
        let key = (sha, gated.gate.context.clone());
        let question = gated.gate.retired.clone().map_or(question, Question::Retired);
        let pairing = pairing::of(known, view, gated, &role, &question);
        found.entry(key).or_default().push(Ask { gated: gated.clone(), role, question, pairing });
    };
    for gated in known.gates {
        if gated.consumer == *repo {
            of_consumer(gated, view, known.seen.get(&gated.source)).into_iter().for_each(|found| add(gated, found));
        }
        if gated.source == *repo {
            of_source(gated, view, known.seen.get(&gated.consumer)).into_iter().for_each(|found| add(gated, found));
        }
    }
    for (gated, found) in brought::of_file(known, repo, view) {
        add(&gated, found);
    }
    let target = |((sha, context), asks)| Target { repo: repo.clone(), sha, context, asks };
    found.into_iter().map(target).collect()
}

/// A head, what it is, and what is asked about it.
pub(super) type Found = (ObjectId, Role, Question);

fn of_consumer(gated: &Gated, view: &View, source: Option<&Seen>) -> Vec<Found> {
    let head = other_head(source, &gated.source, &gated.gate.source.branch);
    let mut found = Vec::new();
    for (branch, sha) in gated_branches(gated, view) {
        let question = ask(&head, |source| Case::Branch { consumer: commit(sha), source });
        found.push((sha.clone(), Role::ConsumerBranch { branch: branch.clone() }, question));
    }
    found.extend(view.pulls.iter().map(|pull| of_consumer_pull(view, pull, &head)));
    for (branch, sha) in view.heads.iter().filter(|(branch, _)| gated.queues(branch)) {
        found.push(of_queue(gated, view, branch, sha, &head));
    }
    found
}

/// What a merge queue is about to merge: judged as what that gives.
fn of_queue(gated: &Gated, view: &View, branch: &str, sha: &ObjectId, head: &Result<Revision, Question>) -> Found {
    // GitHub's are called `gh-readonly-queue/main/pr-7-...`: the branch between is the one that they are for.
    let names_it = |base: &str| format!("/{branch}/").contains(&format!("/{base}/"));
    let bases = || gated_branches(gated, view).map(|(name, _)| name).filter(|name| *name != branch);
    let base = bases().filter(|base| names_it(base)).max_by_key(|base| base.len());
    let base =
        base.or_else(|| bases().find(|base| **base == view.repository.default_branch)).or_else(|| bases().next());
    let question = match base.and_then(|base| view.heads.get(base)) {
        None => Question::Impossible("no gated branch is there that it could be for".to_owned()),
        Some(onto) => ask(head, |source| Case::ConsumerPull { head: commit(sha), base: commit(onto), source }),
    };
    let words = branch.split(['/', '-']).collect::<Vec<_>>();
    let pull = words.windows(2).find(|pair| pair[0] == "pr").and_then(|pair| pair[1].parse().ok());
    let role = Role::ConsumerQueue { branch: branch.to_owned(), base: base.cloned().unwrap_or_default(), pull };
    (sha.clone(), role, question)
}

/// One pull request of the consumer, with the source's head.
fn of_consumer_pull(view: &View, pull: &Pull, head: &Result<Revision, Question>) -> Found {
    let role = Role::ConsumerPull { number: pull.number, base: pull.base_ref.clone() };
    let question = match view.heads.get(&pull.base_ref) {
        None => Question::Impossible(format!("its base branch {} does not exist", pull.base_ref)),
        Some(base) => {
            ask(head, |source| Case::ConsumerPull { head: commit(&pull.head_sha), base: commit(base), source })
        }
    };
    (pull.head_sha.clone(), role, question)
}

/// One pull request of the consumer, asked by a gate that only it brings.
pub(super) fn of_proposal(gated: &Gated, view: &View, pull: &Pull, source: Option<&Seen>) -> Found {
    of_consumer_pull(view, pull, &other_head(source, &gated.source, &gated.gate.source.branch))
}

fn of_source(gated: &Gated, view: &View, consumer: Option<&Seen>) -> Vec<Found> {
    // A gate of a release line, where staleness is only words, says nothing about the source's heads.
    if gated.gate.stale == config::Stale::Notice {
        return Vec::new();
    }
    let consumers: Result<Vec<(String, ObjectId)>, Question> = match consumer {
        Some(Seen::View(other)) => {
            let heads: Vec<(String, ObjectId)> =
                gated_branches(gated, other).map(|(name, sha)| (name.clone(), sha.clone())).collect();
            if heads.is_empty() {
                Err(Question::Impossible(format!(
                    "{} has no branch {}",
                    gated.consumer.name,
                    gated.gate.consumer.branches.join(", ")
                )))
            } else {
                Ok(heads)
            }
        }
        other => Err(unreadable(other, &gated.consumer)),
    };
    let each = |make: &dyn Fn(Revision) -> Case| -> Vec<(String, Question)> {
        match &consumers {
            Ok(heads) => heads.iter().map(|(name, head)| (name.clone(), Question::Judge(make(commit(head))))).collect(),
            Err(question) => vec![(gated.gate.consumer.branches.join(", "), question.clone())],
        }
    };
    let mut found = Vec::new();
    if let Some(sha) = view.heads.get(&gated.gate.source.branch) {
        for (consumer_branch, question) in each(&|consumer| Case::Branch { consumer, source: commit(sha) }) {
            found.push((sha.clone(), Role::SourceBranch { consumer_branch }, question));
        }
    }
    for pull in &view.pulls {
        let questions = match view.heads.get(&pull.base_ref) {
            None => {
                let why = format!("its base branch {} does not exist", pull.base_ref);
                vec![(String::new(), Question::Impossible(why))]
            }
            Some(base) => {
                each(&|consumer| Case::SourcePull { head: commit(&pull.head_sha), base: commit(base), consumer })
            }
        };
        for (consumer_branch, question) in questions {
            let role = Role::SourcePull { number: pull.number, base: pull.base_ref.clone(), consumer_branch };
            found.push((pull.head_sha.clone(), role, question));
        }
    }
    found
}

fn commit(sha: &ObjectId) -> Revision {
    Revision::Commit(sha.clone())
}

pub(super) fn gated_branches<'a>(gated: &'a Gated, view: &'a View) -> impl Iterator<Item = (&'a String, &'a ObjectId)> {
    view.heads.iter().filter(|(name, _)| gated.gates_branch(name))
}

fn ask(head: &Result<Revision, Question>, make: impl FnOnce(Revision) -> Case) -> Question {
    match head {
        Ok(revision) => Question::Judge(make(revision.clone())),
        Err(question) => question.clone(),
    }
}

fn other_head(seen: Option<&Seen>, repo: &RepoKey, branch: &str) -> Result<Revision, Question> {
    match seen {
        Some(Seen::View(view)) => match view.heads.get(branch) {
            Some(sha) => Ok(commit(sha)),
            None => Err(Question::Impossible(format!("{} has no branch {branch}", repo.name))),
        },
        other => Err(unreadable(other, repo)),
    }
}

fn unreadable(seen: Option<&Seen>, repo: &RepoKey) -> Question {
    match seen {
        Some(Seen::Unreadable { why, since }) => {
            Question::Unreadable { why: format!("{} cannot be read: {why}", repo.name), since: *since }
        }
        _ => Question::Unreadable { why: format!("{} was not read yet", repo.name), since: i64::MAX },
    }
}

#[cfg(test)]
mod tests;

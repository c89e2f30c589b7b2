//! Which questions a look at the forge raises (pure): from the gates and what is seen of their repositories to the
//! targets, each a commit with all its roles under one context.
//!
//! Uses `config`, `forge` (names) and `gate`. The trap it handles: a forge holds one status for one commit and context, so
//! two roles of one commit, or two gates of one context, must be one target, and a target that one gate touches needs
//! the verdicts of all gates that share it.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{self, Place};
use crate::forge::{Pull, Repository};
use crate::gate::policy::Role;
use crate::gate::{Case, Revision, glob};
use crate::tree::ObjectId;

/// A repository as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct Gated {
    /// `forge/owner/name:gate`, of the consumer.
    pub id: String,
    /// As configured.
    pub gate: config::Gate,
    /// The repository that bakes or copies.
    pub consumer: RepoKey,
    /// The repository whose files must ship unchanged.
    pub source: RepoKey,
}

impl Gated {
    /// `None` for a gate of laptop files, whose sides are not on a configured forge.
    pub fn new(gate: &config::Gate) -> Option<Self> {
        let (consumer, source) = (key(&gate.consumer.place)?, key(&gate.source.place)?);
        Some(Self { id: format!("{consumer}:{}", gate.name), gate: gate.clone(), consumer, source })
    }

    /// Whether a branch of the consumer is gated.
    pub fn gates_branch(&self, branch: &str) -> bool {
        self.gate.consumer.branches.iter().any(|pattern| glob::matches(pattern, branch))
    }

    fn touches(&self, repo: &RepoKey) -> bool {
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
    /// Index of the gate.
    pub gate: usize,
    /// What the commit is to that gate.
    pub role: Role,
    /// What to answer, or why nobody can.
    pub question: Question,
}

/// What is asked, or why it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A case to judge.
    Judge(Case),
    /// The forge said something that leaves nothing to compare: a missing branch.
    Impossible(String),
    /// The other side cannot be read, since then (Unix milliseconds).
    Unreadable {
        /// In words, for people.
        why: String,
        /// Unix milliseconds since when.
        since: i64,
    },
}

/// The repositories whose heads' statuses the dirty ones may change, themselves included.
pub fn affected(gates: &[Gated], dirty: &BTreeSet<RepoKey>) -> BTreeSet<RepoKey> {
    let touched = gates.iter().filter(|gate| dirty.iter().any(|repo| gate.touches(repo)));
    touched.flat_map(|gate| [gate.consumer.clone(), gate.source.clone()]).collect()
}

/// The repositories that must have been seen to judge every head of `repos`: they and the other sides of their gates.
pub fn involved(gates: &[Gated], repos: &BTreeSet<RepoKey>) -> BTreeSet<RepoKey> {
    affected(gates, repos)
}

/// All targets of the affected repositories that could be read.
pub fn targets(gates: &[Gated], seen: &BTreeMap<RepoKey, Seen>, affected: &BTreeSet<RepoKey>) -> Vec<Target> {
    let mut found: BTreeMap<(RepoKey, ObjectId, String), Vec<Ask>> = BTreeMap::new();
    for (index, gated) in gates.iter().enumerate() {
        for (repo, of_side) in [
            (&gated.consumer, of_consumer as fn(&Gated, &View, Option<&Seen>) -> Vec<Found>),
            (&gated.source, of_source),
        ] {
            let (true, Some(Seen::View(view))) = (affected.contains(repo), seen.get(repo)) else { continue };
            let other = if *repo == gated.consumer { &gated.source } else { &gated.consumer };
            for (sha, role, question) in of_side(gated, view, seen.get(other)) {
                let key = (repo.clone(), sha, gated.gate.context.clone());
                found.entry(key).or_default().push(Ask { gate: index, role, question });
            }
        }
    }
    found.into_iter().map(|((repo, sha, context), asks)| Target { repo, sha, context, asks }).collect()
}

type Found = (ObjectId, Role, Question);

fn of_consumer(gated: &Gated, view: &View, source: Option<&Seen>) -> Vec<Found> {
    let head = other_head(source, &gated.source, &gated.gate.source.branch);
    let mut found = Vec::new();
    for (branch, sha) in gated_branches(gated, view) {
        let question = ask(&head, |source| Case::Branch { consumer: commit(sha), source });
        found.push((sha.clone(), Role::ConsumerBranch { branch: branch.clone() }, question));
    }
    for pull in &view.pulls {
        let role = Role::ConsumerPull { number: pull.number, base: pull.base_ref.clone() };
        let question = match view.heads.get(&pull.base_ref) {
            None => Question::Impossible(format!("its base branch {} does not exist", pull.base_ref)),
            Some(base) => {
                ask(&head, |source| Case::ConsumerPull { head: commit(&pull.head_sha), base: commit(base), source })
            }
        };
        found.push((pull.head_sha.clone(), role, question));
    }
    found
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

fn gated_branches<'a>(gated: &'a Gated, view: &'a View) -> impl Iterator<Item = (&'a String, &'a ObjectId)> {
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

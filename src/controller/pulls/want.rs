//! Which pull request a gate, or a group of gates, wants now: from the heads that were last seen, by the engine that also proves
//! it.
//!
//! The gates of a group are asked one after the other, each about the tree as those before it would make it: so their edits fit
//! into one commit, also where they meet in one file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::slots::Slot;
use super::text;
use crate::config::{PullRequest, Quote, Repair as Rule, Words};
use crate::controller::judge::Stored;
use crate::controller::plan::{Gated, RepoKey, Seen};
use crate::controller::{Controller, Trouble};
use crate::forge::pulls::{Dispatch, FileChange};
use crate::gate::repair::{self, After, Edit, Proposed, Repair};
use crate::gate::verdict::Verdict;
use crate::gate::{Case, Revision, Side};
use crate::report;
use crate::tree::ObjectId;

/// What is wanted.
pub(super) enum Want {
    /// No pull request: why the drift is over, in words that end a sentence.
    Nothing(String),
    /// None in this repository: what ends the drift now is written in the other one.
    Elsewhere,
    /// There is drift, and a person must write something; in words.
    Person(String),
    /// This one.
    Pull(Box<Wanted>),
    /// A workflow.
    Start(Box<Start>),
}

/// A pull request as it should be.
pub(super) struct Wanted {
    /// Whose repository is written.
    pub side: Side,
    pub repo: RepoKey,
    /// The branch that it is onto, and its head.
    pub base: String,
    pub base_head: ObjectId,
    /// Its own branch.
    pub branch: String,
    /// The source commit that it adopts, or what it offers to the source ([`Repair::key`]); of several gates those of all, as
    /// its text names them.
    pub adopts: String,
    pub title: String,
    pub body: String,
    pub files: Vec<FileChange>,
    /// Labels, people, and whether it is a draft.
    pub how: PullRequest,
    /// What a person must write besides, in words.
    pub besides: String,
}

/// A workflow to start for a source commit.
pub(super) struct Start {
    pub repo: RepoKey,
    pub source: ObjectId,
    pub dispatch: Dispatch,
    pub after: Duration,
}

impl Want {
    /// How old the drift must be.
    pub fn after(&self) -> Duration {
        match self {
            Self::Pull(wanted) => wanted.how.after,
            Self::Start(start) => start.after,
            Self::Nothing(_) | Self::Elsewhere | Self::Person(_) => Duration::ZERO,
        }
    }
}

/// A head that a wish rests on; `None`: there is no such branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stood {
    pub repo: RepoKey,
    pub branch: String,
    pub head: Option<ObjectId>,
}

/// Both heads of a gate at a branch.
struct Heads {
    consumer: ObjectId,
    source: ObjectId,
}

/// What one gate of a slot proposes.
pub(super) struct Part {
    pub gated: Arc<Gated>,
    pub repair: Repair,
    /// Readers of the repository that is written may not read the other one.
    pub discreet: bool,
}

impl Controller {
    /// What is wanted at a branch of the consumer, and the heads that this rests on; trouble where it cannot be told now.
    pub(super) async fn want(&self, slot: &Slot, branch: &str) -> Result<(Want, Vec<Stood>), Trouble> {
        let mut stood: Vec<Stood> = Vec::new();
        for gated in slot.members() {
            let sides = [(&gated.consumer, branch), (&gated.source, gated.gate.source.branch.as_str())];
            stood.extend(sides.into_iter().map(|(repo, branch)| Stood {
                head: self.view(repo).and_then(|view| view.heads.get(branch).cloned()),
                repo: repo.clone(),
                branch: branch.to_owned(),
            }));
        }
        stood.sort();
        stood.dedup();
        Ok((self.wish(slot, branch).await?, stood))
    }

    async fn wish(&self, slot: &Slot, branch: &str) -> Result<Want, Trouble> {
        let mut parts: Vec<Part> = Vec::new();
        let mut edits: Vec<Edit> = Vec::new();
        let (mut over, mut persons) = (String::new(), Vec::new());
        for gated in slot.members() {
            if let Some(reason) = &gated.gate.retired {
                over = format!("the gate has ended: {reason}");
                continue;
            }
            let heads = match self.heads(gated, branch)? {
                Ok(heads) => heads,
                Err(Want::Person(why)) => {
                    persons.push(why);
                    continue;
                }
                Err(other) => return Ok(other),
            };
            over = in_sync(&heads);
            let repair = match self.proposed(gated, &heads, &edits).await? {
                Proposed::Nothing => continue,
                Proposed::Person(why) => {
                    persons.push(why);
                    continue;
                }
                Proposed::Repair(repair) => *repair,
            };
            if repair.dispatch.is_some() {
                if parts.is_empty() && slot.members().len() == 1 {
                    return Ok(start(gated, branch, &heads, &repair));
                }
                continue;
            }
            let (place, other) = match repair.side {
                Side::Consumer => (&gated.consumer, &gated.source),
                Side::Source => (&gated.source, &gated.consumer),
            };
            let discreet = self.may_not_tell(gated, place, other);
            if repair.quotes && discreet {
                persons.push(format!(
                    "The repair would bring contents of {}, which not everybody may read, to {}: nothing is proposed there. \
                     `quote = \"always\"` on the gate allows it",
                    other.name, place.name
                ));
                continue;
            }
            if parts.first().is_some_and(|first| first.repair.side != repair.side) {
                // One pull request writes one repository: the other side's turn comes when this one is merged.
                continue;
            }
            edits = repair::joined(edits, repair.edits.clone());
            parts.push(Part { gated: gated.clone(), repair, discreet });
        }
        if !parts.is_empty() {
            return self.pull(slot, branch, parts, edits, persons.join(". ")).await;
        }
        if persons.is_empty() { Ok(Want::Nothing(over)) } else { Ok(Want::Person(persons.join(". "))) }
    }

    /// The heads that a gate is about, or what is wanted where one of them is missing.
    fn heads(&self, gated: &Gated, branch: &str) -> Result<Result<Heads, Want>, Trouble> {
        let seen = self.seen([&gated.consumer, &gated.source]);
        let view = |repo: &RepoKey| match seen.get(repo) {
            Some(Seen::View(view)) => Ok(view.clone()),
            Some(Seen::Unreadable { why, .. }) => Err(Trouble { why: why.clone(), passing: true }),
            None => Err(Trouble { why: format!("{repo} was not read yet"), passing: true }),
        };
        let (consumer, source) = (view(&gated.consumer)?, view(&gated.source)?);
        let Some(consumer) = consumer.heads.get(branch) else {
            // Said on the pull request, which may be where not everybody may know the consumer.
            return Ok(Err(Want::Nothing("the branch that it was for is gone".to_owned())));
        };
        let Some(source) = source.heads.get(&gated.gate.source.branch) else {
            let words = format!("{} has no branch {}", gated.source.name, gated.gate.source.branch);
            return Ok(Err(Want::Person(words)));
        };
        Ok(Ok(Heads { consumer: consumer.clone(), source: source.clone() }))
    }

    /// What the engine proposes for a gate, on top of the edits of those before it.
    async fn proposed(&self, gated: &Gated, heads: &Heads, before: &[Edit]) -> Result<Proposed, Trouble> {
        let consumer = Revision::Commit(heads.consumer.clone());
        let case = Case::Branch { consumer: consumer.clone(), source: Revision::Commit(heads.source.clone()) };
        // Only what writes something else than the drift away must be asked where there is none.
        let only_drift = gated.gate.repairs.iter().all(|rule| matches!(rule, Rule::Pin { .. } | Rule::Mirror { .. }));
        if only_drift
            && before.is_empty()
            && self.judge(gated, &case, Stored::Any).await?.report.verdict == Verdict::InSync
        {
            return Ok(Proposed::Nothing);
        }
        let (gate, before) = (gated.gate.clone(), before.to_vec());
        let ask = move |world: &super::World| {
            if before.is_empty() {
                return repair::propose(&gate, &case, world);
            }
            repair::propose(&gate, &case, &After::new(world, Side::Consumer, &consumer, &before)?)
        };
        Ok(self.ask(gated, ask).await?.0)
    }

    /// The pull request of the gates that propose something.
    async fn pull(
        &self,
        slot: &Slot,
        branch: &str,
        parts: Vec<Part>,
        edits: Vec<Edit>,
        besides: String,
    ) -> Result<Want, Trouble> {
        let first = &parts[0];
        let (gated, side) = (&first.gated, first.repair.side);
        let (repo, base) = match side {
            Side::Consumer => (gated.consumer.clone(), branch.to_owned()),
            Side::Source => (gated.source.clone(), gated.gate.source.branch.clone()),
        };
        let base_head = match (side, &first.repair.before.consumer.commit, &first.repair.before.source.head) {
            (Side::Consumer, Some(Revision::Commit(head)), _) | (Side::Source, _, Some(Revision::Commit(head))) => {
                head.clone()
            }
            _ => return Err(Trouble { why: "the engine names no head".to_owned(), passing: false }),
        };
        let sources: Vec<String> = parts.iter().map(|part| part.repair.key()).collect();
        let adopts = text::joined(&sources);
        // Of several sources the branch is named after all of them.
        let named =
            if sources.iter().all(|one| *one == sources[0]) { sources[0].clone() } else { text::digest(&adopts) };
        let words = Words { gate: slot.name(), source: &named, consumer_branch: branch };
        let how = first.repair.pull.clone();
        let title = report::repair::title(&how, &words);
        let body = self.pull_text(&slot.marker(branch), &parts).await;
        let files = edits.into_iter().map(|edit| FileChange {
            path: edit.path,
            content: edit.content,
            executable: edit.executable,
            was: edit.was,
        });
        Ok(Want::Pull(Box::new(Wanted {
            side,
            repo,
            base,
            base_head,
            branch: slot.branch_name(&how, &words, branch),
            adopts,
            title,
            body,
            files: files.collect(),
            how,
            besides,
        })))
    }

    /// Whether readers of a repository may not read the other one of a gate. One that was never seen is closed to them.
    fn may_not_tell(&self, gated: &Gated, place: &RepoKey, other: &RepoKey) -> bool {
        other != place && gated.gate.quote == Quote::Readers && self.known(other).is_none_or(|other| other.private)
    }
}

fn start(gated: &Gated, branch: &str, heads: &Heads, repair: &Repair) -> Want {
    let Some(dispatch) = &repair.dispatch else { return Want::Nothing(in_sync(heads)) };
    let source = repair.source.clone().unwrap_or_else(|| heads.source.clone());
    let words = Words { gate: &gated.gate.name, source: source.as_str(), consumer_branch: branch };
    let inputs: BTreeMap<String, String> =
        dispatch.inputs.iter().map(|(name, value)| (name.clone(), value.fill(&words))).collect();
    let started = Dispatch {
        workflow: dispatch.workflow.clone(),
        reference: dispatch.on.clone().unwrap_or_else(|| branch.to_owned()),
        inputs,
    };
    let repo = gated.consumer.clone();
    Want::Start(Box::new(Start { repo, source: source.clone(), dispatch: started, after: dispatch.after }))
}

fn in_sync(heads: &Heads) -> String {
    format!("{} ships what the source says at {}", heads.consumer.short(), heads.source.short())
}

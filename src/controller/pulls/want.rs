//! Which pull request a gate wants now: from the heads that were last seen, by the engine that also proves it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::slots::Slot;
use super::text;
use crate::config::{Quote, Repair as Rule, Words};
use crate::controller::plan::{Gated, RepoKey, Seen};
use crate::controller::{Controller, Trouble};
use crate::forge::pulls::{Dispatch, FileChange};
use crate::gate::repair::{self, Proposed, Repair};
use crate::gate::verdict::Verdict;
use crate::gate::{Case, Revision, Side};
use crate::tree::ObjectId;

/// What is wanted.
pub(super) enum Want {
    /// No pull request: why the drift is over, in words that end a sentence.
    Nothing(String),
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
    /// The source commit that it adopts.
    pub source: ObjectId,
    pub title: String,
    pub body: String,
    /// Of its commit.
    pub message: String,
    pub files: Vec<FileChange>,
    pub labels: Vec<String>,
    pub reviewers: Vec<String>,
    pub assignees: Vec<String>,
    pub draft: bool,
    pub auto_merge: bool,
    pub after: Duration,
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
            Self::Pull(wanted) => wanted.after,
            Self::Start(start) => start.after,
            Self::Nothing(_) | Self::Person(_) => Duration::ZERO,
        }
    }
}

/// Both heads of a gate at a branch.
pub(super) struct Heads {
    pub consumer: ObjectId,
    pub source: ObjectId,
}

impl Controller {
    /// What is wanted at a branch of the consumer; trouble where that cannot be told now.
    pub(super) async fn want(&self, slot: &Slot, branch: &str) -> Result<Want, Trouble> {
        let gated = slot.first();
        let heads = match self.heads(gated, branch)? {
            Ok(heads) => heads,
            Err(want) => return Ok(want),
        };
        let case = Case::Branch {
            consumer: Revision::Commit(heads.consumer.clone()),
            source: Revision::Commit(heads.source.clone()),
        };
        // Only what writes something else than the drift away must be asked where there is none.
        let only_drift = gated.gate.repairs.iter().all(|rule| matches!(rule, Rule::Pin { .. } | Rule::Mirror { .. }));
        if only_drift && self.judge(gated, &case, false).await?.report.verdict == Verdict::InSync {
            return Ok(Want::Nothing(in_sync(&heads)));
        }
        let (gate, asked) = (gated.gate.clone(), case);
        let (proposed, _) = self.ask(gated, move |world| repair::propose(&gate, &asked, world)).await?;
        Ok(match proposed {
            Proposed::Nothing => Want::Nothing(in_sync(&heads)),
            Proposed::Person(words) => Want::Person(words),
            Proposed::Repair(repair) => self.wanted(slot, branch, &heads, *repair),
        })
    }

    /// The heads that a gate is about, or what is wanted where one of them is missing.
    pub(super) fn heads(&self, gated: &Gated, branch: &str) -> Result<Result<Heads, Want>, Trouble> {
        let seen = self.seen([&gated.consumer, &gated.source]);
        let view = |repo: &RepoKey| match seen.get(repo) {
            Some(Seen::View(view)) => Ok(view.clone()),
            Some(Seen::Unreadable { why, .. }) => Err(Trouble { why: why.clone(), passing: true }),
            None => Err(Trouble { why: format!("{repo} was not read yet"), passing: true }),
        };
        let (consumer, source) = (view(&gated.consumer)?, view(&gated.source)?);
        let Some(consumer) = consumer.heads.get(branch) else {
            return Ok(Err(Want::Nothing(format!("{} has no branch {branch} any more", gated.consumer.name))));
        };
        let Some(source) = source.heads.get(&gated.gate.source.branch) else {
            let words = format!("{} has no branch {}", gated.source.name, gated.gate.source.branch);
            return Ok(Err(Want::Person(words)));
        };
        Ok(Ok(Heads { consumer: consumer.clone(), source: source.clone() }))
    }

    fn wanted(&self, slot: &Slot, branch: &str, heads: &Heads, repair: Repair) -> Want {
        let gated = slot.first();
        let source = repair.source.clone().unwrap_or_else(|| heads.source.clone());
        let words = Words { gate: slot.name(), source: source.as_str(), consumer_branch: branch };
        if let Some(dispatch) = &repair.dispatch {
            let inputs: BTreeMap<String, String> =
                dispatch.inputs.iter().map(|(name, value)| (name.clone(), value.fill(&words))).collect();
            let start = Dispatch {
                workflow: dispatch.workflow.clone(),
                reference: dispatch.on.clone().unwrap_or_else(|| branch.to_owned()),
                inputs,
            };
            let repo = gated.consumer.clone();
            return Want::Start(Box::new(Start { repo, source, dispatch: start, after: dispatch.after }));
        }
        let (repo, other, base, base_head) = match repair.side {
            Side::Consumer => (&gated.consumer, &gated.source, branch, &heads.consumer),
            Side::Source => (&gated.source, &gated.consumer, gated.gate.source.branch.as_str(), &heads.source),
        };
        let discreet = self.may_not_tell(gated, repo, other);
        if repair.quotes && discreet {
            return Want::Person(format!(
                "The repair would bring contents of {}, which not everybody may read, to {}: nothing is proposed there. \
                 `quote = \"always\"` on the gate allows it",
                other.name, repo.name
            ));
        }
        let pull = &repair.pull;
        let title = pull.title.fill(&words);
        let body = text::body(&slot.marker(branch), &source, &repair, discreet);
        let files = repair.edits.iter().map(|edit| FileChange {
            path: edit.path.clone(),
            content: edit.content.clone(),
            executable: edit.executable,
            was: edit.was.clone(),
        });
        Want::Pull(Box::new(Wanted {
            side: repair.side,
            repo: repo.clone(),
            base: base.to_owned(),
            base_head: base_head.clone(),
            branch: slot.branch_name(pull, &words, branch),
            message: title.clone(),
            title,
            body,
            files: files.collect(),
            labels: pull.labels.clone(),
            reviewers: pull.reviewers.clone(),
            assignees: pull.assignees.clone(),
            draft: pull.draft,
            auto_merge: pull.auto_merge,
            after: pull.after,
            source,
        }))
    }

    /// Whether readers of a repository may not read the other one of a gate. One that was never seen is closed to them.
    fn may_not_tell(&self, gated: &Gated, place: &RepoKey, other: &RepoKey) -> bool {
        other != place
            && gated.gate.quote == Quote::Readers
            && self.known(other).is_none_or(|other| other.private)
    }
}

fn in_sync(heads: &Heads) -> String {
    let short = |id: &ObjectId| id.as_str().get(..8).unwrap_or_default().to_owned();
    format!("{} ships what the source says at {}", short(&heads.consumer), short(&heads.source))
}

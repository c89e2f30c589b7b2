//! "How each head is judged": the four rows of `docs/design.md`.
//!
//! Traps handled here: a pin may name an object that is no commit; a file that both `identity` and `ignore` match is identity,
//! and stale when it changed. What a merge would give is [`merge`]'s to say.

use std::sync::Arc;

use super::binding::{self, Bound};
use super::changes::{changed, watched};
use super::checks::{self, Outcome};
use super::finding::{Assumption, Cause, Finding, Kind, Severity, Undecided};
use super::merge::{self, Merge};
use super::verdict::{BindingState, ConsumerSide, Report, SourceSide, Verdict};
use super::{Case, Relation, Revision, Side, World};
use crate::config::{Binding, Gate, Place};
use crate::tree::{Node, ObjectId, Tree, TreeError};

/// Judges one case of a gate.
///
/// # Errors
/// Only [`TreeError::NotHere`]: fetch what it names and call again. Everything else that cannot be read becomes an
/// undecided part of the report.
pub fn judge(gate: &Gate, case: &Case, world: &dyn World) -> Result<Report, TreeError> {
    judge_proposed(gate, Before::This, case, world)
}

/// What judged the base of a pull request: it inherits only what that found there.
#[derive(Clone, Copy, Debug)]
pub enum Before<'a> {
    /// The same gate.
    This,
    /// The pull request brings the gate in place of this one.
    Other(&'a Gate),
    /// The pull request brings a gate that was not there: it inherits nothing.
    Nothing,
}

/// As [`judge`], of a gate that a consumer's pull request brings itself.
///
/// # Errors
/// As [`judge`].
pub fn judge_proposed(gate: &Gate, before: Before<'_>, case: &Case, world: &dyn World) -> Result<Report, TreeError> {
    let mut judge = Judge { gate, before, world, out: Outcome::default(), state: state_of(&gate.binding), bound: None };
    let judged = match case {
        Case::Branch { consumer, source } => judge.branch(consumer, source),
        Case::ConsumerPull { head, base, source } => judge.consumer_pull(head, base, source),
        Case::SourcePull { head, base, consumer } => judge.source_pull(head, base, consumer, None),
        Case::PairedPull { head, base, partner, onto } => judge.source_pull(head, base, onto, Some(partner)),
    };
    match judged {
        Err(error @ TreeError::NotHere(_)) => return Err(error),
        Err(error) => judge.out.undecided.push(Undecided::unreadable(&error)),
        Ok(()) => {}
    }
    Ok(judge.report(case))
}

fn state_of(binding: &Binding) -> BindingState {
    let (kind, state) = match binding {
        Binding::Pin { .. } => ("pin", "invalid"),
        Binding::Follow => ("follow", "follow"),
    };
    BindingState { kind: kind.into(), state: state.into(), behind: None }
}

type Shared = Arc<dyn Tree>;

/// A consumer tree with the source commit that it binds.
struct Pinned {
    commit: ObjectId,
    cause: Cause,
    tree: Shared,
    /// What changed in the source since, where that was looked at.
    since: Option<Vec<String>>,
}

struct Judge<'a> {
    gate: &'a Gate,
    before: Before<'a>,
    world: &'a dyn World,
    out: Outcome,
    state: BindingState,
    bound: Option<Revision>,
}

impl Judge<'_> {
    /// Is what ships now the truth?
    fn branch(&mut self, consumer: &Revision, source: &Revision) -> Result<(), TreeError> {
        let (Some(tree), Some(head)) = (self.tree(Side::Consumer, consumer)?, self.tree(Side::Source, source)?) else {
            return Ok(());
        };
        match binding::read(&self.gate.binding, tree.as_ref())? {
            Bound::Nothing(findings) => self.out.findings.extend(findings),
            Bound::Follow => {
                self.bound = Some(source.clone());
                self.out = self.bake(&tree, &head, source)?;
            }
            Bound::Pin { commit, cause } => {
                let Some(pinned) = self.pinned(commit, cause, source, &head)? else { return Ok(()) };
                let outcome = self.bake(&tree, &pinned.tree, source)?;
                self.add(outcome);
                if *source == Revision::WorkTree && self.state.state == "unknown" {
                    self.checkout(&pinned, &head)?;
                } else {
                    self.stale(&pinned, &head)?;
                }
            }
        }
        Ok(())
    }

    /// Would merging `head` into the consumer's `base` break it?
    fn consumer_pull(&mut self, head: &Revision, base: &Revision, source: &Revision) -> Result<(), TreeError> {
        let (Some(merged), Some(base_tree)) =
            (self.merged(Side::Consumer, head, base)?, self.tree(Side::Consumer, base)?)
        else {
            return Ok(());
        };
        let Some(head_of_source) = self.tree(Side::Source, source)? else { return Ok(()) };
        let before = self.base_of_pull(&base_tree, source, &head_of_source)?;
        let base_bound = before.as_ref().and_then(|(_, bound)| bound.clone());
        self.state = state_of(&self.gate.binding);
        let now = self.side_of_pull(&merged, source, &head_of_source, base_bound.as_ref())?;
        self.bound = now.1.map(Revision::Commit).or_else(|| match self.gate.binding {
            Binding::Follow => Some(source.clone()),
            Binding::Pin { .. } => None,
        });
        self.out = inherit(now.0, before.as_ref().map(|(outcome, _)| outcome));
        self.watched(&base_tree, &merged)
    }

    /// Files that decide what is built and are not evaluated: a pull request that changes one is somebody's to look at.
    fn watched(&mut self, base: &Shared, merged: &Shared) -> Result<(), TreeError> {
        for path in watched(self.gate, base.as_ref(), merged.as_ref())? {
            let file = |node| matches!(node, Some(Node::File { .. } | Node::Link { .. }));
            let content =
                if file(merged.node(&path)?) { merged.blob_id(&path)?.to_string() } else { "gone".to_owned() };
            let message = format!("{path} is changed, which decides what is built and is not evaluated");
            let fix = "let somebody who answers for the gate look at it: `/drift-gate waive <reason>`".to_owned();
            let cause = Cause { file: path.clone(), line: None };
            self.out
                .findings
                .push(Finding::new(Kind::WatchedFileChanged, path, message, fix).at(Some(cause)).of(content));
        }
        Ok(())
    }

    /// What the base has already; `None` where nothing can be inherited.
    fn base_of_pull(
        &mut self,
        base: &Shared,
        source: &Revision,
        head: &Shared,
    ) -> Result<Option<(Outcome, Option<ObjectId>)>, TreeError> {
        let of_now = self.gate;
        match self.before {
            Before::This => {}
            Before::Other(gate) => self.gate = gate,
            Before::Nothing => return Ok(None),
        }
        let before = self.side_of_pull(base, source, head, None);
        self.gate = of_now;
        allow(before)
    }

    /// `bake(x, b(x))` with the findings of the pin; `base` is what the pull request's base binds.
    fn side_of_pull(
        &mut self,
        consumer: &Shared,
        source: &Revision,
        head: &Shared,
        base: Option<&ObjectId>,
    ) -> Result<(Outcome, Option<ObjectId>), TreeError> {
        let kept = std::mem::take(&mut self.out);
        let result = self.side_of_pull_inner(consumer, source, head, base);
        let out = std::mem::replace(&mut self.out, kept);
        result.map(|bound| (out, bound))
    }

    fn side_of_pull_inner(
        &mut self,
        consumer: &Shared,
        source: &Revision,
        head: &Shared,
        base: Option<&ObjectId>,
    ) -> Result<Option<ObjectId>, TreeError> {
        match binding::read(&self.gate.binding, consumer.as_ref())? {
            Bound::Nothing(findings) => {
                self.out.findings.extend(findings);
                Ok(None)
            }
            Bound::Follow => {
                let outcome = self.bake(consumer, head, source)?;
                self.add(outcome);
                Ok(None)
            }
            Bound::Pin { commit, cause } => {
                let Some(pinned) = self.pinned(commit.clone(), cause, source, head)? else { return Ok(Some(commit)) };
                let outcome = self.bake(consumer, &pinned.tree, source)?;
                self.add(outcome);
                if let Some(base) = base {
                    self.backwards(&pinned, base, source)?;
                }
                Ok(Some(commit))
            }
        }
    }

    /// Would merging `head` into the source's `base` break what the consumer bakes, or would bake with `partner` merged?
    fn source_pull(
        &mut self,
        head: &Revision,
        base: &Revision,
        consumer: &Revision,
        partner: Option<&Revision>,
    ) -> Result<(), TreeError> {
        let (Some(merged), Some(base_tree)) = (self.merged(Side::Source, head, base)?, self.tree(Side::Source, base)?)
        else {
            return Ok(());
        };
        let Some(shipped) = self.tree(Side::Consumer, consumer)? else { return Ok(()) };
        let before = allow(self.bake(&shipped, &base_tree, base))?;
        let baking = match partner {
            None => shipped,
            Some(partner) => match self.merged(Side::Consumer, partner, consumer)? {
                Some(both) => both,
                None => return Ok(()),
            },
        };
        let now = self.bake(&baking, &merged, base)?;
        self.state.state = if matches!(self.gate.binding, Binding::Follow) { "follow" } else { "unknown" }.into();
        self.out = inherit(now, before.as_ref());
        Ok(())
    }

    /// The tree of a revision that must be there; `None` (and an undecided part) when it is not.
    fn tree(&mut self, side: Side, revision: &Revision) -> Result<Option<Shared>, TreeError> {
        let tree = self.world.tree(side, revision)?;
        if tree.is_none() {
            self.undecided(self.name(side), merge::GONE.to_owned());
        }
        Ok(tree)
    }

    fn merged(&mut self, side: Side, head: &Revision, base: &Revision) -> Result<Option<Shared>, TreeError> {
        let reason = match merge::merged(self.world, side, head, base)? {
            Merge::Tree(tree) => return Ok(Some(tree)),
            Merge::No(reason) => reason,
        };
        self.undecided(self.name(side), reason.to_owned());
        Ok(None)
    }

    /// Looks the pin up in the source: there, and on the branch.
    fn pinned(
        &mut self,
        commit: ObjectId,
        cause: Cause,
        source: &Revision,
        head: &Shared,
    ) -> Result<Option<Pinned>, TreeError> {
        let revision = Revision::Commit(commit.clone());
        self.bound = Some(revision.clone());
        let repo = self.name(Side::Source);
        let found = match self.world.tree(Side::Source, &revision) {
            Err(TreeError::Unfit { path, what }) if path == commit.as_str() => {
                let message = format!("{}: the pin {commit} names no commit of {repo}: {what}", cause.file);
                let fix = format!("pin a commit of {repo}'s branch {}", self.gate.source.branch);
                self.find(Kind::PinInvalid, &cause, commit.as_str(), message, fix);
                return Ok(None);
            }
            found => found?,
        };
        let Some(tree) = found else {
            self.state.state = "unreachable".into();
            let message = format!("{}: the pinned commit {commit} is not in {repo}", cause.file);
            let fix = format!("pin a commit of {repo}'s branch {}", self.gate.source.branch);
            self.find(Kind::PinUnreachable, &cause, commit.as_str(), message, fix);
            return Ok(None);
        };
        let relation = self.world.relation(Side::Source, &revision, source)?;
        let mut since = None;
        let unmerged = match relation {
            Relation::Same => {
                self.state.state = "current".into();
                None
            }
            Relation::Behind(steps) => {
                self.state.behind = Some(steps);
                let changes = changed(self.gate, tree.as_ref(), head.as_ref())?;
                self.state.state = match (changes.is_empty(), steps) {
                    // Files on disk at the pinned commit, as good as unchanged.
                    (true, 0) => "current",
                    (true, _) => "behind",
                    (false, _) => "stale",
                }
                .into();
                since = Some(changes);
                None
            }
            Relation::Ahead => Some(("ahead", "is ahead of the branch's head")),
            Relation::Diverged => Some(("diverged", "is not on the branch")),
            Relation::Unknown => {
                self.state.state = "unknown".into();
                let (pin, branch) = (commit.short(), &self.gate.source.branch);
                self.assume(
                    &cause,
                    format!("the files at hand are those of the pinned commit {pin} of {repo} (no history at hand)"),
                );
                self.assume(
                    &cause,
                    format!("{pin} is on branch {branch} of {repo}, and nothing newer is (no history at hand)"),
                );
                None
            }
        };
        if let Some((state, words)) = unmerged {
            self.state.state = state.into();
            let branch = &self.gate.source.branch;
            let message = format!("{}: the pinned commit {} {words} {branch} of {repo}", cause.file, commit.short());
            let fix = format!("merge it into {branch} first, or pin a commit that is on it");
            self.find(Kind::PinUnmerged, &cause, commit.as_str(), message, fix);
        }
        Ok(Some(Pinned { commit, cause, tree, since }))
    }

    /// Files that changed in the source since the bound commit.
    fn stale(&mut self, pinned: &Pinned, head: &Shared) -> Result<(), TreeError> {
        if !matches!(self.state.state.as_str(), "stale" | "ahead" | "diverged") {
            return Ok(());
        }
        let since = match &pinned.since {
            Some(since) => since.clone(),
            None => changed(self.gate, pinned.tree.as_ref(), head.as_ref())?,
        };
        for path in since {
            let (commit, branch, repo) =
                (pinned.commit.short(), self.gate.source.branch.as_str(), self.name(Side::Source));
            let message = match (pinned.tree.node(&path)?, head.node(&path)?) {
                (None, _) => format!("{path} is on {branch} of {repo}, the pinned commit {commit} does not have it"),
                (_, None) => format!("{path} of the pinned commit {commit} is not on {branch} of {repo} any more"),
                _ => format!("{path} at the pinned commit {commit} is not the one on {branch} of {repo}"),
            };
            let fix = format!("move the pin in {} to the head of {}", pinned.cause.file, self.gate.source.branch);
            let finding = Finding::new(Kind::Stale, path, message, fix);
            self.out.findings.push(finding.at(Some(pinned.cause.clone())).of(pinned.commit.as_str()));
        }
        Ok(())
    }

    /// A folder that the build takes the source from, and so is meant to be the pinned commit: the build sees the folder and
    /// not the commit, so what differs is drift.
    fn checkout(&mut self, pinned: &Pinned, folder: &Shared) -> Result<(), TreeError> {
        for path in changed(self.gate, pinned.tree.as_ref(), folder.as_ref())? {
            let commit = pinned.commit.short();
            let message = format!(
                "{path} in the folder of {} is not the one at the pinned commit {commit}: the build takes the folder's",
                self.name(Side::Source)
            );
            let fix = format!("check {commit} out again in that folder (`git checkout --force`, `git clean -d`)");
            let finding = Finding::new(Kind::CheckoutDiffers, path, message, fix);
            self.out.findings.push(finding.at(Some(pinned.cause.clone())).of(pinned.commit.as_str()));
        }
        Ok(())
    }

    /// A pull request that moves the pin to an older commit. Away from a commit that is not on the branch it goes forward,
    /// wherever it goes.
    fn backwards(&mut self, pinned: &Pinned, base: &ObjectId, source: &Revision) -> Result<(), TreeError> {
        if *base == pinned.commit {
            return Ok(());
        }
        let (now, before) = (Revision::Commit(pinned.commit.clone()), Revision::Commit(base.clone()));
        let Some(newer) = self.world.tree(Side::Source, &before)? else { return Ok(()) };
        let unmerged = self.world.relation(Side::Source, &before, source)?;
        let back = !matches!(unmerged, Relation::Ahead | Relation::Diverged)
            && matches!(self.world.relation(Side::Source, &now, &before)?, Relation::Behind(_));
        if back && !changed(self.gate, pinned.tree.as_ref(), newer.as_ref())?.is_empty() {
            let file = &pinned.cause.file;
            let message =
                format!("{file}: the pin moves back from {} to the older {}", base.short(), pinned.commit.short());
            let fix = "pin the newer commit; a wanted roll-back is reverted in the source".to_owned();
            self.find(Kind::PinBackwards, &pinned.cause.clone(), pinned.commit.as_str(), message, fix);
        }
        Ok(())
    }

    /// The findings of a consumer tree with a source tree: of the gate's identity, then of each check.
    /// `head` ends the source's history.
    fn bake(&self, consumer: &Shared, source: &Shared, head: &Revision) -> Result<Outcome, TreeError> {
        let version = |path: &str, blob: &ObjectId| self.world.version(head, path, blob);
        checks::all(self.gate, consumer, source, &version)
    }

    fn add(&mut self, outcome: Outcome) {
        self.out.compared = outcome.compared;
        self.out.take(outcome);
    }

    fn find(&mut self, kind: Kind, cause: &Cause, content: &str, message: String, fix: String) {
        let finding = Finding::new(kind, cause.file.clone(), message, fix);
        self.out.findings.push(finding.at(Some(cause.clone())).of(content));
    }

    /// Takes something for granted, unless the gate allows no assumption.
    fn assume(&mut self, cause: &Cause, text: String) {
        if self.gate.strict_assumptions {
            let (path, reason) = (cause.file.clone(), format!("only assumed: {text}"));
            let (cause, content) = (Some(cause.clone()), reason.clone());
            self.out.undecided.push(Undecided { path, cause, reason, inherited: false, content });
        }
        self.out.assumptions.push(Assumption { file: cause.file.clone(), line: cause.line, text });
    }

    fn undecided(&mut self, path: String, reason: String) {
        let content = reason.clone();
        self.out.undecided.push(Undecided { path, cause: None, reason, inherited: false, content });
    }

    fn name(&self, side: Side) -> String {
        let place = match side {
            Side::Consumer => &self.gate.consumer.place,
            Side::Source => &self.gate.source.place,
        };
        repo_name(place)
    }

    fn report(mut self, case: &Case) -> Report {
        self.out.findings.sort_by(|one, other| {
            (one.severity, one.inherited, &one.path, one.kind).cmp(&(
                other.severity,
                other.inherited,
                &other.path,
                other.kind,
            ))
        });
        self.out.undecided.sort_by(|one, other| (one.inherited, &one.path).cmp(&(other.inherited, &other.path)));
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        let is_clean = self.out.undecided.is_empty() && !self.out.findings.iter().any(is_error);
        if is_clean && !(self.out.compared && self.out.files_compared > 0) {
            self.undecided("identity".into(), "nothing was compared".into());
        }
        let verdict = if self.out.findings.iter().any(|finding| is_error(finding) && !finding.inherited) {
            Verdict::Drift
        } else if self.out.undecided.iter().any(|part| !part.inherited) {
            Verdict::Undecided
        } else {
            Verdict::InSync
        };
        let (consumer, source) = (self.name(Side::Consumer), self.name(Side::Source));
        let known = |revision: &Revision| Some(revision.clone());
        let (commit, base, head, source_base) = match case {
            Case::Branch { consumer, source } => (known(consumer), None, known(source), None),
            Case::ConsumerPull { head, base, source } => (known(head), known(base), known(source), None),
            Case::SourcePull { head, base, consumer } => (known(consumer), None, known(head), known(base)),
            Case::PairedPull { head, base, partner, onto } => (known(partner), known(onto), known(head), known(base)),
        };
        Report {
            schema: 1,
            gate: self.gate.name.clone(),
            context: self.gate.context.clone(),
            verdict,
            findings: self.out.findings,
            undecided: self.out.undecided,
            assumptions: self.out.assumptions,
            consumer: ConsumerSide { repo: consumer, commit, base },
            source: SourceSide { repo: source, bound: self.bound, head, base: source_base },
            binding: self.state,
            files_compared: self.out.files_compared,
            bytes_compared: self.out.bytes_compared,
            engine: env!("CARGO_PKG_VERSION").into(),
            config_digest: self.gate.digest.clone(),
        }
    }
}

/// The base of a pull request may be unreadable in part; then nothing is inherited from it.
fn allow<T>(result: Result<T, TreeError>) -> Result<Option<T>, TreeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ TreeError::NotHere(_)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Marks what the base has already, by kind, path and content. Where nothing was compared nothing is inherited.
fn inherit(mut now: Outcome, before: Option<&Outcome>) -> Outcome {
    let Some(before) = before.filter(|before| before.compared && now.compared) else { return now };
    for finding in &mut now.findings {
        finding.inherited = before
            .findings
            .iter()
            .any(|old| (old.kind, &old.path, &old.content) == (finding.kind, &finding.path, &finding.content));
    }
    for part in &mut now.undecided {
        part.inherited = before.undecided.iter().any(|old| (&old.path, &old.content) == (&part.path, &part.content));
    }
    now
}

/// A repository as people name it.
pub fn repo_name(place: &Place) -> String {
    match place {
        Place::Forge { repo, .. } => repo.clone(),
        Place::Url(url) => {
            let path = url
                .split_once("://")
                .map_or(url.as_str(), |(_, rest)| rest.split_once('/').map_or(rest, |(_, path)| path));
            path.trim_end_matches('/').trim_end_matches(".git").to_owned()
        }
        Place::Here => "this repository".to_owned(),
    }
}

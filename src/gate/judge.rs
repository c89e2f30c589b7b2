//! "How each head is judged": the four rows of `docs/design.md`.

use std::sync::Arc;

use super::binding::{self, Bound};
use super::checks::{self, Outcome, identity};
use super::finding::{Assumption, Cause, Finding, Kind, Severity, Undecided};
use super::verdict::{BindingState, ConsumerSide, Report, SourceSide, Verdict};
use super::{Case, Relation, Revision, Side, World};
use crate::config::{Binding, Gate, Place};
use crate::tree::{Merged, Need, Node, ObjectId, Tree, TreeError, join};

/// Judges one case of a gate.
///
/// # Errors
/// Only [`TreeError::NotHere`]: fetch what it names and call again. Everything else that cannot be read becomes an
/// undecided part of the report.
pub fn judge(gate: &Gate, case: &Case, world: &dyn World) -> Result<Report, TreeError> {
    let mut judge = Judge { gate, world, out: Outcome::default(), state: state_of(&gate.binding), bound: None };
    let judged = match case {
        Case::Branch { consumer, source } => judge.branch(consumer, source),
        Case::ConsumerPull { head, base, source } => judge.consumer_pull(head, base, source),
        Case::SourcePull { head, base, consumer } => judge.source_pull(head, base, consumer),
    };
    match judged {
        Err(error @ TreeError::NotHere(_)) => return Err(error),
        Err(error) => judge.cannot_read(&error),
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
}

struct Judge<'a> {
    gate: &'a Gate,
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
                self.out = self.bake(&tree, &head)?;
            }
            Bound::Pin { commit, cause } => {
                let Some(pinned) = self.pinned(commit, cause, source, &head)? else { return Ok(()) };
                let outcome = self.bake(&tree, &pinned.tree)?;
                self.add(outcome);
                self.stale(&pinned, &head)?;
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
        let before = self.side_of_pull(&base_tree, source, &head_of_source, None);
        let before = allow(before)?;
        let base_bound = before.as_ref().and_then(|(_, bound)| bound.clone());
        self.state = state_of(&self.gate.binding);
        let now = self.side_of_pull(&merged, source, &head_of_source, base_bound.as_ref())?;
        self.bound = now.1.map(Revision::Commit).or_else(|| match self.gate.binding {
            Binding::Follow => Some(source.clone()),
            Binding::Pin { .. } => None,
        });
        self.out = inherit(now.0, before.as_ref().map(|(outcome, _)| outcome));
        Ok(())
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
                let outcome = self.bake(consumer, head)?;
                self.add(outcome);
                Ok(None)
            }
            Bound::Pin { commit, cause } => {
                let Some(pinned) = self.pinned(commit.clone(), cause, source, head)? else { return Ok(Some(commit)) };
                let outcome = self.bake(consumer, &pinned.tree)?;
                self.add(outcome);
                if let Some(base) = base {
                    self.backwards(&pinned, base)?;
                }
                Ok(Some(commit))
            }
        }
    }

    /// Would merging `head` into the source's `base` break what the consumer bakes?
    fn source_pull(&mut self, head: &Revision, base: &Revision, consumer: &Revision) -> Result<(), TreeError> {
        let (Some(merged), Some(base_tree)) = (self.merged(Side::Source, head, base)?, self.tree(Side::Source, base)?)
        else {
            return Ok(());
        };
        let Some(consumer) = self.tree(Side::Consumer, consumer)? else { return Ok(()) };
        let before = allow(self.bake(&consumer, &base_tree))?;
        let now = self.bake(&consumer, &merged)?;
        self.state.state = if matches!(self.gate.binding, Binding::Follow) { "follow" } else { "unknown" }.into();
        self.out = inherit(now, before.as_ref());
        Ok(())
    }

    /// The tree of a revision that must be there; `None` (and an undecided part) when it is not.
    fn tree(&mut self, side: Side, revision: &Revision) -> Result<Option<Shared>, TreeError> {
        let tree = self.world.tree(side, revision)?;
        if tree.is_none() {
            let (name, shown) = (self.name(side), shown(revision));
            self.undecided(shown.clone(), format!("{name} does not have commit {shown}"));
        }
        Ok(tree)
    }

    fn merged(&mut self, side: Side, head: &Revision, base: &Revision) -> Result<Option<Shared>, TreeError> {
        let (Some(theirs), Some(ours)) = (self.tree(side, head)?, self.tree(side, base)?) else { return Ok(None) };
        let Some(ancestor) = self.world.merge_base(side, base, head)? else {
            let reason = "it has no common history with its base: what a merge would give cannot be told".to_owned();
            self.undecided(shown(head), reason);
            return Ok(None);
        };
        let Some(ancestor) = self.tree(side, &ancestor)? else { return Ok(None) };
        Ok(Some(Arc::new(Merged { base: Some(ancestor), ours, theirs })))
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
        let Some(tree) = self.world.tree(Side::Source, &revision)? else {
            self.state.state = "unreachable".into();
            let message = format!("{}: the pinned commit {commit} is not in {repo}", cause.file);
            let fix = format!("pin a commit of {repo}'s branch {}", self.gate.source.branch);
            self.find(Kind::PinUnreachable, &cause, commit.as_str(), message, fix);
            return Ok(None);
        };
        let relation = self.world.relation(Side::Source, &revision, source)?;
        let unmerged = match relation {
            Relation::Same => {
                self.state.state = "current".into();
                None
            }
            Relation::Behind(steps) => {
                self.state.behind = Some(steps);
                let same = changed(self.gate, &tree, head)?.is_empty();
                self.state.state = match (same, steps) {
                    // Files on disk at the pinned commit, as good as unchanged.
                    (true, 0) => "current",
                    (true, _) => "behind",
                    (false, _) => "stale",
                }
                .into();
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
        Ok(Some(Pinned { commit, cause, tree }))
    }

    /// Files that changed in the source since the bound commit.
    fn stale(&mut self, pinned: &Pinned, head: &Shared) -> Result<(), TreeError> {
        if !matches!(self.state.state.as_str(), "stale" | "ahead" | "diverged") {
            return Ok(());
        }
        for path in changed(self.gate, &pinned.tree, head)? {
            let message = format!(
                "{path} at the pinned commit {} is not the one on {} of {}",
                pinned.commit.short(),
                self.gate.source.branch,
                self.name(Side::Source)
            );
            let fix = format!("move the pin in {} to the head of {}", pinned.cause.file, self.gate.source.branch);
            let finding = Finding::new(Kind::Stale, path, message, fix);
            self.out.findings.push(finding.at(Some(pinned.cause.clone())).of(pinned.commit.as_str()));
        }
        Ok(())
    }

    /// A pull request that moves the pin to an older commit.
    fn backwards(&mut self, pinned: &Pinned, base: &ObjectId) -> Result<(), TreeError> {
        if *base == pinned.commit {
            return Ok(());
        }
        let (now, before) = (Revision::Commit(pinned.commit.clone()), Revision::Commit(base.clone()));
        let Some(older) = self.world.tree(Side::Source, &before)? else { return Ok(()) };
        let back = matches!(self.world.relation(Side::Source, &now, &before)?, Relation::Behind(_));
        if back && !changed(self.gate, &pinned.tree, &older)?.is_empty() {
            let file = &pinned.cause.file;
            let message =
                format!("{file}: the pin moves back from {} to the older {}", base.short(), pinned.commit.short());
            let fix = "pin the newer commit; a wanted roll-back is reverted in the source".to_owned();
            self.find(Kind::PinBackwards, &pinned.cause.clone(), pinned.commit.as_str(), message, fix);
        }
        Ok(())
    }

    /// The findings of a consumer tree with a source tree: of the gate's identity, then of each check.
    fn bake(&self, consumer: &Shared, source: &Shared) -> Result<Outcome, TreeError> {
        let mut all = Outcome { compared: true, ..Outcome::default() };
        let identity = std::iter::once_with(|| identity::classify(self.gate, source.as_ref()));
        let checks = self.gate.checks.iter().map(|check| checks::run(self.gate, check, consumer, source));
        let mut missing: Option<Need> = None;
        for one in identity.chain(checks) {
            let one = match one {
                Ok(outcome) => outcome,
                // The others may miss something too: one request brings it all.
                Err(TreeError::NotHere(need)) => {
                    missing = Some(missing.take().map_or_else(|| need.clone(), |first| first.and(&need)));
                    continue;
                }
                Err(error) => {
                    let mut outcome = Outcome::default();
                    outcome.undecided.push(unreadable(&error));
                    outcome
                }
            };
            all.compared &= one.compared;
            merge_into(&mut all, one);
        }
        all.compared &= !self.gate.checks.is_empty();
        missing.map_or(Ok(all), |need| Err(TreeError::NotHere(need)))
    }

    fn add(&mut self, outcome: Outcome) {
        self.out.compared = outcome.compared;
        merge_into(&mut self.out, outcome);
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

    fn cannot_read(&mut self, error: &TreeError) {
        self.out.undecided.push(unreadable(error));
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
        let counts = |finding: &&Finding| finding.severity == Severity::Error && !finding.inherited;
        let only_words = self.out.findings.iter().all(|finding| finding.severity == Severity::Notice);
        let nothing = self.out.files_compared == 0 && only_words && self.out.undecided.is_empty();
        if nothing {
            self.undecided(String::new(), "nothing was compared".into());
        }
        let verdict = if self.out.findings.iter().any(|finding| counts(&finding)) {
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

fn merge_into(all: &mut Outcome, one: Outcome) {
    all.findings.extend(one.findings);
    all.undecided.extend(one.undecided);
    all.assumptions.extend(one.assumptions);
    all.files_compared += one.files_compared;
    all.bytes_compared += one.bytes_compared;
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

/// Files that the gate is about and that are not the same in two trees of the source.
fn changed(gate: &Gate, one: &Shared, other: &Shared) -> Result<Vec<String>, TreeError> {
    let mut found = Vec::new();
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        let ids = (one.dir_id(&dir)?, other.dir_id(&dir)?);
        if ids.0.is_some() && ids.0 == ids.1 {
            continue;
        }
        let (left, right) = (one.list(&dir)?, other.list(&dir)?);
        let names: std::collections::BTreeSet<&String> = left.iter().chain(&right).map(|(name, _)| name).collect();
        for name in names {
            let path = join(&dir, name);
            let at =
                |list: &[(String, Node)]| list.iter().find(|(entry, _)| entry == name).map(|(_, node)| node.clone());
            let pair = (at(&left), at(&right));
            let is_dir = |node: &Option<Node>| matches!(node, Some(Node::Dir { .. }));
            if is_dir(&pair.0) || is_dir(&pair.1) {
                dirs.push(path.clone());
            }
            let same = match pair {
                (Some(Node::Dir { .. }) | None, Some(Node::Dir { .. }) | None) => true,
                (Some(Node::Submodule { commit: one }), Some(Node::Submodule { commit: other })) => one == other,
                (Some(Node::File { .. }), Some(Node::File { .. }))
                | (Some(Node::Link { .. }), Some(Node::Link { .. })) => one.blob_id(&path)? == other.blob_id(&path)?,
                _ => false,
            };
            if !same && checks::concerns(gate, &path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn unreadable(error: &TreeError) -> Undecided {
    let path = match error {
        TreeError::Conflict { path } | TreeError::Unfit { path, .. } | TreeError::Io { path, .. } => path.clone(),
        TreeError::NotHere(need) => need.repository.to_string(),
    };
    let reason = match error {
        TreeError::Conflict { .. } => "both sides of the merge changed it; merge the base into the branch".to_owned(),
        error => error.to_string(),
    };
    Undecided { path, cause: None, content: reason.clone(), reason, inherited: false }
}

fn shown(revision: &Revision) -> String {
    match revision {
        Revision::Commit(id) => id.short().to_owned(),
        Revision::WorkTree => "the work tree".to_owned(),
    }
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

//! What would end the drift of a gate at a branch head (pure): edits of one repository, proven before anybody proposes them.
//!
//! Each kind of `[[gate.repair]]` says which files it would write: [`pin`] moves the one value, [`mirror`] copies files,
//! [`copy_line`] puts a COPY beside its siblings, a stamp names the source commit. The proof is the engine itself: it judges the
//! tree as it would be ([`After`]), and only a tree in sync is a repair. What cannot be written that way, or would not end in
//! sync, is a person's to write, with the words for it.
//!
//! Traps handled here: a stale pin and a file that nobody copies come together, so the edits of one side are one repair; a copy
//! that is behind must not be offered to the source as if it had been edited; a pin moves to the source's head and never to
//! what somebody proposes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::changes::changed;
use super::finding::{Finding, Kind, Severity};
use super::verdict::Verdict;
use super::{Case, Report, Revision, Side, World, judge};
use crate::config::{Binding, Check, Gate, PinAt, PullRequest, Repair as Rule, Template, To, Words};
use crate::tree::{Change, Edited, Node, ObjectId, Tree, TreeError, blob_id};

mod after;
mod copy_line;
mod mirror;
mod pin;

pub use after::{After, joined};

/// The most files that one repair writes.
const MOST_FILES: usize = 500;
/// The most bytes of them: what forges take in one commit by their API.
const MOST_BYTES: usize = 16 << 20;
/// What is left to a person is told in so many sentences.
const MOST_WORDS: usize = 5;

/// What would end the drift of one gate at a branch head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// There is nothing to end.
    Nothing,
    /// This, proven.
    Repair(Box<Repair>),
    /// A person must write something: what, and why no pull request opens. It may name files of both repositories.
    Person(String),
}

/// Edits of one repository that end the drift, or a workflow that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Whose repository is written.
    pub side: Side,
    /// Sorted by path; empty only with a [`Repair::dispatch`].
    pub edits: Vec<Edit>,
    /// A workflow to start; nothing is written then.
    pub dispatch: Option<Dispatch>,
    /// The source commit that is adopted, or that an offer to the source begins at; `None` for a folder without commits.
    pub source: Option<ObjectId>,
    /// The edits hold contents of the other repository, or names that stand in it: not for a place whose readers cannot read
    /// that one.
    pub quotes: bool,
    /// How it is proposed: what the first of its rules says.
    pub pull: PullRequest,
    /// The verdict as it is.
    pub before: Report,
    /// The verdict of the tree as it would be: in sync. An offer to the source is judged as if its branch were followed, since a
    /// pin adopts it afterwards; a workflow, by what it is meant to bring about.
    pub after: Report,
}

impl Repair {
    /// What tells it from others of its gate: the source commit that it adopts. An offer to the source is told by what it
    /// offers: it stays the same one when the source goes on elsewhere, and a person who refuses it means its contents.
    pub fn key(&self) -> String {
        if self.side == Side::Consumer {
            return self.source.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        }
        let mut offered = String::new();
        for edit in &self.edits {
            let content = edit.content.as_deref().map_or_else(|| "gone".to_owned(), |bytes| blob_id(bytes).to_string());
            offered.push_str(&format!("{content} {} {}\n", edit.executable, edit.path));
        }
        blob_id(offered.as_bytes()).to_string()
    }
}

/// What becomes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// From the root of the repository that is written.
    pub path: String,
    /// The file's new bytes; `None`: it is deleted.
    pub content: Option<Vec<u8>>,
    /// Whether it is executable.
    pub executable: bool,
    /// The git blob that it replaces; `None`: the file is new.
    pub was: Option<ObjectId>,
    /// The rest of the file stays as it was; else it is replaced or deleted as a whole.
    pub in_place: bool,
}

/// A workflow to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// Its file name.
    pub workflow: String,
    /// The branch or tag that it runs on; `None` for the branch that is judged.
    pub on: Option<String>,
    /// Its inputs.
    pub inputs: BTreeMap<String, Template>,
    /// How old the drift must be.
    pub after: Duration,
}

/// What a gate's repairs would do at a branch head. The pin moves to the source's head, also over many commits.
///
/// A gate that follows and starts a workflow is repaired at every source head: whether the workflow ran for it already is
/// nothing that the trees tell, so whoever starts it remembers the commit ([`matters`] says whether another one is worth it).
///
/// # Errors
/// Only [`TreeError::NotHere`]: fetch what it names and ask again.
pub fn propose(gate: &Gate, case: &Case, world: &dyn World) -> Result<Proposed, TreeError> {
    let Case::Branch { consumer, source } = case else {
        return Ok(Proposed::Person("a pull request is not repaired: the branch that it is onto is".to_owned()));
    };
    let before = judge(gate, case, world)?;
    let work = Work { gate, case, world, consumer, source, before };
    match work.run() {
        Err(error @ TreeError::NotHere(_)) => Err(error),
        Err(error) => Ok(Proposed::Person(format!("what must be read for a repair cannot be: {error}"))),
        Ok(proposed) => Ok(proposed),
    }
}

/// Whether a file that the gate is about differs between two commits of the source; a commit that is not there differs.
///
/// # Errors
/// [`TreeError::NotHere`] names what to fetch before asking again; anything else is a tree that cannot be read.
pub fn matters(gate: &Gate, world: &dyn World, one: &ObjectId, other: &ObjectId) -> Result<bool, TreeError> {
    let tree = |commit: &ObjectId| match world.tree(Side::Source, &Revision::Commit(commit.clone())) {
        // A name of something that is no commit.
        Err(TreeError::Unfit { .. }) => Ok(None),
        tree => tree,
    };
    let (Some(one), Some(other)) = (tree(one)?, tree(other)?) else { return Ok(true) };
    Ok(!changed(gate, one.as_ref(), other.as_ref())?.is_empty())
}

/// The repairs that fit a gate which names none: its pin is moved, files get their COPY lines, copies are copied. For
/// `drift-gate repair`.
pub fn usual(gate: &Gate) -> Vec<Rule> {
    // Without a pin the COPY lines are left of it.
    let bake = gate.checks.iter().any(|check| matches!(check, Check::Bake(_)));
    let pin = bake || matches!(gate.binding, Binding::Pin { .. });
    let mirror = gate.checks.iter().any(|check| matches!(check, Check::Mirror(_)));
    let pull = PullRequest::default;
    let pin = pin.then(|| Rule::Pin { copy_lines: true, pull: pull() });
    pin.into_iter().chain(mirror.then(|| Rule::Mirror { to: To::Consumer, pull: pull() })).collect()
}

/// What one way to end the drift came to.
enum Tried {
    /// It has nothing to write.
    Nothing,
    Repair(Box<Repair>),
    /// It does not end in sync, or cannot be written.
    No(String),
}

/// Edits under way, by path.
#[derive(Clone, Default)]
struct Edits {
    all: BTreeMap<String, Edit>,
    quotes: bool,
}

impl Edits {
    /// A further edit, made on a tree that has the others already.
    fn add(&mut self, edit: Edit) {
        let edit = match self.all.remove(&edit.path) {
            Some(earlier) => Edit { was: earlier.was, in_place: earlier.in_place && edit.in_place, ..edit },
            None => edit,
        };
        self.all.insert(edit.path.clone(), edit);
    }

    /// Why nobody can propose them.
    fn unfit(&self) -> Option<String> {
        let bytes: usize = self.all.values().filter_map(|edit| edit.content.as_ref()).map(Vec::len).sum();
        let files = self.all.len();
        // As odd bytes of a name are shown: nobody could tell them from a name that is spelled like that.
        if let Some(path) = self.all.keys().find(|path| path.contains('\\')) {
            return Some(format!(
                "{path} has a name that is not UTF-8, or a backslash in it: it is written or removed by hand"
            ));
        }
        (files > MOST_FILES || bytes > MOST_BYTES).then(|| {
            format!(
                "the repair would write {files} files of {bytes} bytes, more than the {MOST_FILES} files and {} MiB that are \
                 proposed at once: `drift-gate repair --write` writes them in a work tree",
                MOST_BYTES >> 20
            )
        })
    }
}

struct Work<'a> {
    gate: &'a Gate,
    case: &'a Case,
    world: &'a dyn World,
    consumer: &'a Revision,
    source: &'a Revision,
    before: Report,
}

impl Work<'_> {
    fn run(&self) -> Result<Proposed, TreeError> {
        let in_sync = self.before.verdict == Verdict::InSync;
        if self.gate.repairs.is_empty() {
            let words = "the gate has no `[[gate.repair]]`: nothing is proposed".to_owned();
            return Ok(if in_sync { Proposed::Nothing } else { Proposed::Person(words) });
        }
        let mut why = Vec::new();
        for way in [Self::write_consumer, Self::offer_to_source, Self::start_workflow] {
            match way(self)? {
                Tried::Repair(repair) => return Ok(Proposed::Repair(repair)),
                Tried::No(words) => why.push(words),
                Tried::Nothing => {}
            }
        }
        if in_sync {
            // A stamp that cannot be written is no drift.
            return Ok(Proposed::Nothing);
        }
        if why.is_empty() {
            why.push(format!("no repair of the gate mends this: {}", left(&self.before)));
        }
        why.dedup();
        Ok(Proposed::Person(why.join("; ")))
    }

    /// All rules that write the consumer, as one repair.
    fn write_consumer(&self) -> Result<Tried, TreeError> {
        let rules: Vec<&Rule> = self.gate.repairs.iter().filter(|rule| rule.writes_consumer()).collect();
        let Some(first) = rules.first() else { return Ok(Tried::Nothing) };
        let Some(tree) = self.world.tree(Side::Consumer, self.consumer)? else { return Ok(Tried::Nothing) };
        let mut edits = Edits::default();
        let mut after = self.before.clone();
        for rule in &rules {
            if let Rule::Pin { .. } = rule
                && self.pin_must_move()
            {
                let Revision::Commit(head) = self.source else { return Ok(Tried::No(no_commit())) };
                match pin::moved(&self.gate.binding, &tree, head)? {
                    Err(why) => return Ok(Tried::No(why)),
                    Ok(edit) => edits.add(edit),
                }
                after = self.judge_consumer(&tree, &edits)?;
            }
        }
        let copies = rules.iter().any(|rule| matches!(rule, Rule::Mirror { .. }));
        if copies && after.verdict != Verdict::InSync {
            if let Some(why) = mirror::to_consumer(self, &tree, &after, &mut edits)? {
                return Ok(Tried::No(why));
            }
            after = self.judge_consumer(&tree, &edits)?;
        }
        let lines = rules
            .iter()
            .any(|rule| matches!(rule, Rule::Pin { copy_lines: true, .. } | Rule::Stamp { copy_lines: true, .. }));
        if lines && after.verdict != Verdict::InSync {
            after = copy_line::add(self, &tree, after, &mut edits)?;
        }
        for rule in &rules {
            if let Rule::Stamp { path, template, .. } = rule
                && after.verdict == Verdict::InSync
                && let Some(edit) = self.stamp(&tree, &edits, &after, path, template)?
            {
                edits.add(edit);
                after = self.judge_consumer(&tree, &edits)?;
            }
        }
        let pull = first.pull().cloned().unwrap_or_default();
        Ok(self.proven(Side::Consumer, edits, after, pull))
    }

    /// A repair, if there is something to write and it ends in sync.
    fn proven(&self, side: Side, edits: Edits, after: Report, pull: PullRequest) -> Tried {
        if after.verdict != Verdict::InSync {
            let words = if edits.all.is_empty() {
                "nothing that is written by rule mends this"
            } else {
                "a repair would leave"
            };
            return Tried::No(format!("{words}: {}", left(&after)));
        }
        if edits.all.is_empty() {
            return Tried::Nothing;
        }
        if let Some(words) = edits.unfit() {
            return Tried::No(words);
        }
        let source = match (side, &after.source.bound, self.source) {
            (Side::Consumer, Some(Revision::Commit(commit)), _) | (_, _, Revision::Commit(commit)) => {
                Some(commit.clone())
            }
            _ => None,
        };
        let (quotes, edits) = (edits.quotes, edits.all.into_values().collect());
        let before = self.before.clone();
        Tried::Repair(Box::new(Repair { side, edits, dispatch: None, source, quotes, pull, before, after }))
    }

    /// Whether another pin could end drift: the commit that is pinned is not one that may be, or files changed since.
    fn pin_must_move(&self) -> bool {
        let state = self.before.binding.state.as_str();
        matches!(state, "stale" | "ahead" | "diverged" | "unreachable")
            || self.before.findings.iter().any(|one| one.kind == Kind::PinInvalid)
    }

    /// The verdict of the consumer with these edits.
    fn judge_consumer(&self, tree: &Arc<dyn Tree>, edits: &Edits) -> Result<Report, TreeError> {
        let edited = with_edits(tree, edits.all.values());
        judge(self.gate, self.case, &After::of(self.world, Side::Consumer, self.consumer, edited))
    }

    /// The tree of the source commit that a report is about.
    fn bound(&self, report: &Report) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        self.world.tree(Side::Source, report.source.bound.as_ref().unwrap_or(self.source))
    }

    /// The stamp, where it does not name a commit that is as good as the one that is bound.
    fn stamp(
        &self,
        tree: &Arc<dyn Tree>,
        edits: &Edits,
        after: &Report,
        path: &str,
        template: &Template,
    ) -> Result<Option<Edit>, TreeError> {
        let Some(Revision::Commit(commit)) = &after.source.bound else { return Ok(None) };
        let words = Words { gate: &self.gate.name, source: commit.as_str(), consumer_branch: "" };
        let content = template.fill(&words).into_bytes();
        let (was, executable) = match tree.node(path)? {
            None => (None, false),
            Some(Node::File { mode }) => {
                tree.expect(&[path])?;
                let bytes = tree.read(path)?;
                let named = named_commit(&bytes);
                let needless = match named {
                    Some(named) if edits.all.is_empty() => !matters(self.gate, self.world, &named, commit)?,
                    _ => false,
                };
                if *bytes == *content || needless {
                    return Ok(None);
                }
                (Some(tree.blob_id(path)?), mode & 0o111 != 0)
            }
            Some(_) => {
                let what = "it is no file: the stamp cannot be written there".to_owned();
                return Err(TreeError::Unfit { path: path.to_owned(), what });
            }
        };
        Ok(Some(Edit { path: path.to_owned(), content: Some(content), executable, was, in_place: true }))
    }

    /// Copies that were edited in the consumer, for the source.
    fn offer_to_source(&self) -> Result<Tried, TreeError> {
        let rule = self.gate.repairs.iter().find(|rule| matches!(rule, Rule::Mirror { to: To::Source, .. }));
        let Some(rule) = rule.filter(|_| self.before.verdict != Verdict::InSync) else { return Ok(Tried::Nothing) };
        let trees = (self.world.tree(Side::Consumer, self.consumer)?, self.world.tree(Side::Source, self.source)?);
        let (Some(consumer), Some(source)) = trees else { return Ok(Tried::Nothing) };
        // What the source would say has no commit that could be pinned yet.
        let following = Gate { binding: Binding::Follow, ..self.gate.clone() };
        let now = judge(&following, self.case, self.world)?;
        let mut edits = Edits { quotes: true, ..Edits::default() };
        if let Some(why) = mirror::to_source(self, (&consumer, &source), &now, &mut edits)? {
            return Ok(Tried::No(why));
        }
        let edited = with_edits(&source, edits.all.values());
        let after = judge(&following, self.case, &After::of(self.world, Side::Source, self.source, edited))?;
        Ok(self.proven(Side::Source, edits, after, rule.pull().cloned().unwrap_or_default()))
    }

    /// A workflow: for a gate that follows, at each head; for one with a pin, where a moved pin would end the drift.
    fn start_workflow(&self) -> Result<Tried, TreeError> {
        let Some(Rule::Dispatch { workflow, on, inputs, after: age }) =
            self.gate.repairs.iter().find(|rule| matches!(rule, Rule::Dispatch { .. }))
        else {
            return Ok(Tried::Nothing);
        };
        let Revision::Commit(head) = self.source else { return Ok(Tried::No(no_commit())) };
        let after = match &self.gate.binding {
            Binding::Follow => self.before.clone(),
            Binding::Pin { .. } if self.before.verdict == Verdict::InSync => return Ok(Tried::Nothing),
            Binding::Pin { file, at, .. } => {
                let Some(tree) = self.world.tree(Side::Consumer, self.consumer)? else { return Ok(Tried::Nothing) };
                let edited: Arc<dyn Tree> = if matches!(at, PinAt::Submodule) {
                    Arc::new(Edited::new(tree, [(file.clone(), Change::Submodule(head.clone()))]))
                } else {
                    match pin::moved(&self.gate.binding, &tree, head)? {
                        Err(why) => return Ok(Tried::No(why)),
                        Ok(edit) => with_edits(&tree, [&edit]),
                    }
                };
                judge(self.gate, self.case, &After::of(self.world, Side::Consumer, self.consumer, edited))?
            }
        };
        if after.verdict != Verdict::InSync {
            return Ok(Tried::No(format!("starting {workflow} would leave: {}", left(&after))));
        }
        let dispatch = Dispatch { workflow: workflow.clone(), on: on.clone(), inputs: inputs.clone(), after: *age };
        Ok(Tried::Repair(Box::new(Repair {
            side: Side::Consumer,
            edits: Vec::new(),
            dispatch: Some(dispatch),
            source: Some(head.clone()),
            quotes: false,
            pull: PullRequest::default(),
            before: self.before.clone(),
            after,
        })))
    }
}

fn no_commit() -> String {
    "the source is a folder without commits: there is none that could be named".to_owned()
}

/// A tree with edits in it.
fn with_edits<'e>(tree: &Arc<dyn Tree>, edits: impl IntoIterator<Item = &'e Edit>) -> Arc<dyn Tree> {
    let changes = edits.into_iter().map(|edit| {
        let change = match &edit.content {
            Some(content) => {
                let mode = if edit.executable { 0o755 } else { 0o644 };
                Change::File { content: content.as_slice().into(), mode }
            }
            None => Change::Gone,
        };
        (edit.path.clone(), change)
    });
    Arc::new(Edited::new(Arc::clone(tree), changes))
}

/// The one commit that a stamp names.
fn named_commit(stamp: &[u8]) -> Option<ObjectId> {
    let text = std::str::from_utf8(stamp).ok()?;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(ObjectId::parse);
    let named: BTreeSet<ObjectId> = words.collect();
    if named.len() == 1 { named.into_iter().next() } else { None }
}

/// What fails a verdict, in sentences that say what to write.
fn left(report: &Report) -> String {
    let errors = report.findings.iter().filter(|one| counts(one));
    let findings = errors.map(|one| format!("{}; {}", one.message, one.fix));
    let undecided = report.undecided.iter().map(|part| match part.path.as_str() {
        "" => part.reason.clone(),
        path => format!("{path}: {}", part.reason),
    });
    let all: Vec<String> = findings.chain(undecided).collect();
    let more = all.len().saturating_sub(MOST_WORDS);
    let mut words = all.into_iter().take(MOST_WORDS).collect::<Vec<_>>().join(". ");
    if more > 0 {
        words.push_str(&format!(". And {more} more"));
    }
    words
}

/// Whether a finding fails the verdict.
fn counts(finding: &Finding) -> bool {
    finding.severity == Severity::Error && !finding.inherited
}

/// What fails a verdict, to compare two of them by.
fn failing(report: &Report) -> BTreeSet<(Option<Kind>, &str, &str)> {
    let findings = report.findings.iter().filter(|one| counts(one));
    let findings = findings.map(|one| (Some(one.kind), one.path.as_str(), cause(one)));
    findings.chain(report.undecided.iter().map(|part| (None, part.path.as_str(), ""))).collect()
}

fn cause(finding: &Finding) -> &str {
    finding.cause.as_ref().map_or("", |cause| cause.file.as_str())
}

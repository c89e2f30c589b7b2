//! The checks of a gate, one file each; all give the same kind of outcome.
//!
//! Each check compares a consumer tree with a source tree and knows nothing of heads, merges and pull requests: the rows of
//! "How each head is judged" are `judge`'s, for every kind alike. What a kind adds to "compared": `bake` each identity file
//! that is baked, `mirror` each copy, `values` each pair of extractions, `pin` each file of the pinned commit that the gate is
//! about, `absent` each thing that was looked for where it could have been. A check that compared nothing says so by a finding
//! or by an undecided part, never by silence.

use std::sync::Arc;

use super::Version;
use super::finding::{Assumption, Cause, Finding, Undecided};
use super::glob;
use crate::config::{Check, Gate, Mirrored};
use crate::tree::{Need, Node, ObjectId, Tree, TreeError, join};

mod absent;
mod bake;
mod baked;
mod css;
mod extract;
mod generated;
mod image;
mod mirror;
mod pin;
mod source;
mod values;

pub(in crate::gate) use bake::built;
pub(in crate::gate) use source::is_identity;

/// Files of a tree that are looked at; more is no identity.
const MOST_FILES: usize = 200_000;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Differences and notices.
    pub findings: Vec<Finding>,
    /// What could not be read or decided.
    pub undecided: Vec<Undecided>,
    /// What the check takes for granted.
    pub assumptions: Vec<Assumption>,
    /// Files whose bytes were compared.
    pub files_compared: u64,
    /// The sizes of those files, in bytes.
    pub bytes_compared: u64,
    /// A comparison took place: without one nothing is ever inherited, and nothing is in sync.
    pub compared: bool,
}

impl Outcome {
    /// Takes something for granted; `strict` allows no assumption. `inputs` are what makes it necessary, as object names.
    fn assume(&mut self, strict: bool, assumption: Assumption, inputs: &str) {
        if strict {
            let Assumption { file, line, text } = assumption.clone();
            let reason = format!("only assumed: {text}");
            let (path, cause) = (file.clone(), Some(Cause { file, line }));
            let content = format!("{inputs} {reason}");
            self.undecided.push(Undecided { path, cause, reason, inherited: false, content });
        }
        self.assumptions.push(assumption);
    }

    /// Adds what another check found. What both could not read is said once.
    pub fn take(&mut self, other: Self) {
        self.findings.extend(other.findings);
        for part in other.undecided {
            if !self.undecided.contains(&part) {
                self.undecided.push(part);
            }
        }
        self.assumptions.extend(other.assumptions);
        self.files_compared += other.files_compared;
        self.bytes_compared += other.bytes_compared;
    }
}

/// Tells of which version of a source file some bytes are; see [`super::World::version`].
pub type Versions<'a> = &'a dyn Fn(&str, &ObjectId) -> Version;

/// Judges a consumer tree with a source tree: the gate's identity, then each check. `versions` is asked about copies.
///
/// # Errors
/// Only [`TreeError::NotHere`], with all that the checks miss; anything else that cannot be read is an undecided part.
pub fn all(
    gate: &Gate,
    consumer: &Arc<dyn Tree>,
    source: &Arc<dyn Tree>,
    versions: Versions<'_>,
) -> Result<Outcome, TreeError> {
    let mut all = Outcome { compared: !gate.checks.is_empty(), ..Outcome::default() };
    let identity = std::iter::once_with(|| source::classify(gate, source.as_ref()));
    let checks = gate.checks.iter().map(|check| one(gate, check, consumer, source, versions));
    let mut missing: Option<Need> = None;
    for outcome in identity.chain(checks) {
        match outcome {
            Ok(outcome) => {
                all.compared &= outcome.compared;
                all.take(outcome);
            }
            // The others may miss something too: one request brings it all.
            Err(TreeError::NotHere(need)) => {
                missing = Some(match missing {
                    Some(first) => first.and(&need),
                    None => need,
                });
            }
            Err(error) => {
                all.compared = false;
                let undecided = vec![Undecided::unreadable(&error)];
                all.take(Outcome { undecided, ..Outcome::default() });
            }
        }
    }
    missing.map_or(Ok(all), |need| Err(TreeError::NotHere(need)))
}

fn one(
    gate: &Gate,
    check: &Check,
    consumer: &Arc<dyn Tree>,
    source: &Arc<dyn Tree>,
    versions: Versions<'_>,
) -> Result<Outcome, TreeError> {
    match check {
        Check::Bake(bake) => bake::check(gate, bake, consumer, source, versions),
        Check::Mirror(mirror) => mirror::check(gate, mirror, consumer.as_ref(), source.as_ref()),
        Check::Values(values) => values::check(values, consumer.as_ref(), source.as_ref()),
        Check::Pin(pin) => pin::check(gate, pin, source.as_ref()),
        Check::Absent(absent) => absent::check(absent, consumer.as_ref()),
    }
}

/// Whether a change of this source file matters to the gate: identity does, and what it does not ignore; in a gate without
/// `identity` only what its checks name.
pub fn concerns(gate: &Gate, path: &str) -> bool {
    let names_files = |check: &Check| matches!(check, Check::Mirror(_) | Check::Values(_));
    let named = !gate.identity.is_empty()
        || !gate.checks.iter().any(names_files)
        || gate.checks.iter().any(|check| reads(check, path));
    is_identity(gate, path) || (named && !glob::any(&gate.ignore, path))
}

/// Whether a change below this directory of the source can matter to the gate; `true` when in doubt.
pub fn concerns_below(gate: &Gate, dir: &str) -> bool {
    let leads_to = |pattern: &String| !glob::next_names(pattern, dir).is_empty();
    if dir.is_empty() || gate.identity.iter().chain(&gate.optional).any(leads_to) {
        return true;
    }
    let names_files = |check: &Check| matches!(check, Check::Mirror(_) | Check::Values(_));
    let named = !gate.identity.is_empty()
        || !gate.checks.iter().any(names_files)
        || gate.checks.iter().any(|check| reads_below(check, dir));
    named && !gate.ignore.iter().any(|pattern| glob::takes_all_below(pattern, dir))
}

/// Whether a check compares files of the source below this directory.
fn reads_below(check: &Check, dir: &str) -> bool {
    match check {
        Check::Bake(_) => true,
        Check::Mirror(mirror) => match &mirror.what {
            Mirrored::File(file) => below(dir, file).is_some(),
            Mirrored::Folder { path, .. } => path == dir || below(dir, path).is_some() || below(path, dir).is_some(),
        },
        Check::Values(values) => below(dir, &values.source.file).is_some(),
        Check::Pin(pin) => pin.requires.iter().any(|file| below(dir, file).is_some()),
        Check::Absent(_) => false,
    }
}

/// Whether a check compares this file of the source.
fn reads(check: &Check, path: &str) -> bool {
    match check {
        Check::Bake(_) => true,
        Check::Mirror(mirror) => match &mirror.what {
            Mirrored::File(file) => file == path,
            Mirrored::Folder { path: folder, include, exclude } => {
                below(folder, path).is_some_and(|inside| glob::any(include, inside) && !glob::any(exclude, inside))
            }
        },
        Check::Values(values) => values.source.file == path,
        Check::Pin(pin) => pin.requires.iter().any(|file| file == path),
        Check::Absent(_) => false,
    }
}

/// `path` as seen from a folder that it is below.
pub(in crate::gate) fn below<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

/// All files below a folder of a tree, sorted by path from the tree's root; links and submodules count as files.
fn files_below(tree: &dyn Tree, folder: &str) -> Result<Vec<(String, Node)>, TreeError> {
    let mut files = Vec::new();
    let mut dirs = vec![folder.to_owned()];
    while let Some(dir) = dirs.pop() {
        for (name, node) in tree.list(&dir)? {
            let path = join(&dir, &name);
            match node {
                Node::Dir { .. } => dirs.push(path),
                node => files.push((path, node)),
            }
            if files.len() > MOST_FILES {
                let path = if folder.is_empty() { "the repository" } else { folder }.to_owned();
                return Err(TreeError::Unfit { path, what: format!("it has more than {MOST_FILES} files") });
            }
        }
    }
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(files)
}

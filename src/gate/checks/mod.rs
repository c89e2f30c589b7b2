//! The checks of a gate, one file each; all give the same kind of outcome.
//!
//! Each check compares a consumer tree with a source tree and knows nothing of heads, merges and pull requests: the rows of
//! "How each head is judged" are `judge`'s, for every kind alike. What a kind adds to "compared": `bake` each identity file
//! that is baked, `mirror` each copy, `values` each pair of extractions, `pin` each file of the pinned commit that the gate is
//! about, `absent` each thing that was looked for where it could have been. A check that compared nothing says so by a finding
//! or by an undecided part, never by silence.

use super::finding::{Assumption, Finding, Undecided};
use super::glob;
use crate::config::{Check, Gate, Mirrored};
use crate::tree::{Node, Tree, TreeError, join};
use std::sync::Arc;

mod absent;
mod bake;
mod css;
mod extract;
pub mod identity;
mod mirror;
mod pin;
mod values;

/// Files of a tree that are looked at; more is no identity.
const MOST_FILES: usize = 200_000;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub findings: Vec<Finding>,
    pub undecided: Vec<Undecided>,
    pub assumptions: Vec<Assumption>,
    pub files_compared: u64,
    pub bytes_compared: u64,
    /// A comparison took place: without one nothing is ever inherited, and nothing is in sync.
    pub compared: bool,
}

/// Judges one check of a consumer tree with a source tree.
pub fn run(gate: &Gate, check: &Check, consumer: &Arc<dyn Tree>, source: &Arc<dyn Tree>) -> Result<Outcome, TreeError> {
    match check {
        Check::Bake(bake) => bake::check(gate, bake, consumer, source),
        Check::Mirror(mirror) => mirror::check(gate, mirror, consumer.as_ref(), source.as_ref()),
        Check::Values(values) => values::check(values, consumer.as_ref(), source.as_ref()),
        Check::Pin(pin) => pin::check(gate, pin, source.as_ref()),
        Check::Absent(absent) => absent::check(absent, consumer.as_ref()),
    }
}

/// Whether a change of this source file matters to the gate: what it does not ignore, and in a gate without `identity` only
/// what its checks name.
pub fn concerns(gate: &Gate, path: &str) -> bool {
    let names_files = |check: &Check| matches!(check, Check::Mirror(_) | Check::Values(_));
    let named = !gate.identity.is_empty()
        || !gate.checks.iter().any(names_files)
        || gate.checks.iter().any(|check| reads(check, path));
    named && !glob::any(&gate.ignore, path)
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
fn below<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
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
                let what = format!("more than {MOST_FILES} files are in it");
                return Err(TreeError::Unfit { path: folder.to_owned(), what });
            }
        }
    }
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(files)
}

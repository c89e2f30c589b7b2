//! What differs between two trees of one side, as far as a gate cares.
//!
//! Trap handled here: a file that both `identity` and `ignore` match is identity: it must be baked, so it counts when it
//! changed.

use std::collections::BTreeSet;

use super::checks::{concerns, concerns_below};
use super::glob;
use crate::config::Gate;
use crate::tree::{Node, Tree, TreeError, join};

/// Files that the gate is about and that are not the same in two trees of the source; identity always counts.
pub fn changed(gate: &Gate, one: &dyn Tree, other: &dyn Tree) -> Result<Vec<String>, TreeError> {
    let which = Which { file: &|path| concerns(gate, path), below: &|dir| concerns_below(gate, dir) };
    differing(&which, one, other)
}

/// Files that a gate watches and that are not the same in two trees of the consumer.
pub fn watched(gate: &Gate, one: &dyn Tree, other: &dyn Tree) -> Result<Vec<String>, TreeError> {
    let leads_to = |dir: &str| gate.watch.iter().any(|pattern| !glob::next_names(pattern, dir).is_empty());
    let which = Which { file: &|path| glob::any(&gate.watch, path), below: &leads_to };
    if gate.watch.is_empty() { Ok(Vec::new()) } else { differing(&which, one, other) }
}

/// Which files count.
struct Which<'a> {
    file: &'a dyn Fn(&str) -> bool,
    /// Whether one below this directory may; `true` when in doubt.
    below: &'a dyn Fn(&str) -> bool,
}

fn differing(which: &Which<'_>, one: &dyn Tree, other: &dyn Tree) -> Result<Vec<String>, TreeError> {
    let mut found = Vec::new();
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        if let Some(id) = one.dir_id(&dir)?
            && other.is_dir_of(&dir, &id)?
        {
            continue;
        }
        let (left, right) = (one.list(&dir)?, other.list(&dir)?);
        let names: BTreeSet<&String> = left.iter().chain(&right).map(|(name, _)| name).collect();
        for name in names {
            let path = join(&dir, name);
            let at = |list: &[(String, Node)]| {
                let found = list.binary_search_by(|(entry, _)| entry.cmp(name)).ok()?;
                Some(list[found].1.clone())
            };
            let pair = (at(&left), at(&right));
            let is_dir = |node: &Option<Node>| matches!(node, Some(Node::Dir { .. }));
            if (is_dir(&pair.0) || is_dir(&pair.1)) && (which.below)(&path) {
                dirs.push(path.clone());
            }
            // Asked first: what does not concern the gate is not compared, and so cannot change a verdict.
            if !(which.file)(&path) {
                continue;
            }
            let same = match pair {
                (Some(Node::Dir { .. }) | None, Some(Node::Dir { .. }) | None) => true,
                (Some(Node::Submodule { commit: one }), Some(Node::Submodule { commit: other })) => one == other,
                (Some(Node::File { .. }), Some(Node::File { .. }))
                | (Some(Node::Link { .. }), Some(Node::Link { .. })) => {
                    let id = one.blob_id(&path)?;
                    other.is_blob_of(&path, &id)?
                }
                _ => false,
            };
            if !same {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

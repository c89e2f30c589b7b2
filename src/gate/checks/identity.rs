//! The files that a gate is about: of every kind of gate, whatever its checks compare.
//!
//! Each file of the source is classified: it matches `identity` (or `optional`), or `ignore`, or it is `unlisted`. The trap is
//! the new file that nobody thought of. A gate without a `bake` check may leave `identity` out; it is then about the files
//! that its checks name, and nothing else is classified. With it, a file of the identity that no check compares is drift:
//! else the gate would promise more than it looks at.

use super::{Outcome, files_below, reads};
use crate::config::{Check, Gate, Level};
use crate::gate::finding::{Finding, Kind};
use crate::gate::glob;
use crate::tree::{Node, Tree, TreeError};

/// Whether the gate is about this file of the source.
pub fn is_identity(gate: &Gate, path: &str) -> bool {
    glob::any(&gate.identity, path) || glob::any(&gate.optional, path)
}

/// Classifies the files of a source.
pub fn classify(gate: &Gate, source: &dyn Tree) -> Result<Outcome, TreeError> {
    let mut out = Outcome { compared: true, ..Outcome::default() };
    if gate.identity.is_empty() {
        return Ok(out);
    }
    let files = files_below(source, "")?;
    let identity: Vec<&str> =
        files.iter().map(|(path, _)| path.as_str()).filter(|path| is_identity(gate, path)).collect();
    // The content of all of them is compared by some check: one request brings it.
    source.expect(&identity)?;
    for (path, _) in &files {
        if is_identity(gate, path) {
            if !gate.checks.iter().any(|check| reads(check, path)) {
                let message = format!("{path} of the source is identity, and no check of the gate compares it");
                let fix = format!("add a check that compares {path}, or move it to the gate's `ignore`");
                out.findings.push(Finding::new(Kind::CopyMissing, path, message, fix));
            }
        } else if !glob::any(&gate.ignore, path) {
            out.findings.push(unlisted(gate, path));
        }
    }
    literal_names(gate, source, &files, &mut out)?;
    Ok(out)
}

fn unlisted(gate: &Gate, path: &str) -> Finding {
    let message = format!("{path} of the source matches neither `identity` nor `ignore`");
    let bakes = gate.checks.iter().any(|check| matches!(check, Check::Bake(_)));
    let compare = if bakes { "bake it" } else { "compare it" };
    let fix = format!("add \"{path}\" to the gate's `identity` (and {compare}), or to its `ignore`");
    let finding = Finding::new(Kind::Unlisted, path, message, fix);
    match gate.unlisted {
        Level::Drift => finding,
        Level::Notice => finding.notice(),
    }
}

/// Names that the gate spells out must be there and must say something.
fn literal_names(gate: &Gate, source: &dyn Tree, files: &[(String, Node)], out: &mut Outcome) -> Result<(), TreeError> {
    for name in gate.identity.iter().filter(|name| glob::is_literal(name)) {
        let there = files.binary_search_by(|(path, _)| path.as_str().cmp(name)).ok().map(|at| &files[at].1);
        match there {
            None if !glob::any(&gate.optional, name) => {
                let message = format!("the gate's `identity` names {name}, the source does not have it");
                let fix = format!("restore {name} in the source, or list it in the gate's `optional`");
                out.findings.push(Finding::new(Kind::MissingInSource, name, message, fix));
            }
            Some(Node::File { .. } | Node::Link { .. }) if source.size(name)? == 0 => {
                let message = format!("{name} of the source is empty");
                let fix = format!("restore the content of {name}");
                out.findings.push(Finding::new(Kind::Empty, name, message, fix));
            }
            _ => {}
        }
    }
    Ok(())
}

//! What the source says before anything is compared: every file is classified, the names that the gate spells out are there.
//!
//! That is of the gate, whatever its checks compare. A gate without a `bake` check may leave `identity` out: it is then about
//! the files that its checks name, and nothing is classified. With it, a file of the identity that no check compares is drift:
//! else the gate would promise more than it looks at.
//!
//! Traps handled here: a symbolic link says what it leads to, as long as that is in the source, and nothing else; a pattern that matches
//! nothing any more is a part of the identity that is gone, and only `optional` allows that.

use crate::config::{Check, Gate, Level};
use crate::gate::attributes::Attributes;
use crate::gate::finding::{Finding, Kind, Severity, Undecided};
use crate::gate::glob;
use crate::tree::{Led, Node, ObjectId, Tree, TreeError, follow};

use super::{Outcome, files_below, reads};

/// Pointers are smaller, by Git LFS's specification.
const LFS_POINTER_SIZE: u64 = 1024;
const LFS_POINTER: &str = "it is a Git LFS pointer: a checkout may put another file there";

/// Classifies the files of a source, once for all checks of a gate.
pub(super) fn classify(gate: &Gate, tree: &dyn Tree) -> Result<Outcome, TreeError> {
    let mut out = Outcome { compared: true, ..Outcome::default() };
    if gate.identity.is_empty() {
        return Ok(out);
    }
    match Source::of(gate, tree).and_then(|source| source.judge(&mut out)) {
        Err(error @ TreeError::NotHere(_)) => return Err(error),
        // What was found until then stands.
        Err(error) => {
            out.compared = false;
            out.undecided.push(Undecided::unreadable(&error));
        }
        Ok(()) => {}
    }
    Ok(out)
}

/// The source's side of a comparison.
pub(super) struct Source<'a> {
    pub tree: &'a dyn Tree,
    /// All files, sorted by path; links and submodules count as files.
    files: Vec<(String, Node)>,
    gate: &'a Gate,
}

/// What the source says about one identity path.
pub(super) enum Truth {
    /// These bytes, which lie at `at`: the path itself, or where its link leads.
    File { at: String, id: ObjectId },
    /// All that is in this directory: a link leads there.
    Dir { at: String },
    /// Nothing that could be compared: why, in words.
    Nothing { why: String },
}

impl<'a> Source<'a> {
    /// Lists a source.
    pub fn of(gate: &'a Gate, tree: &'a dyn Tree) -> Result<Self, TreeError> {
        Ok(Self { tree, files: files_below(tree, "")?, gate })
    }

    /// The paths that must be baked.
    pub fn identity(&self) -> impl Iterator<Item = &(String, Node)> {
        self.files.iter().filter(|(path, _)| is_identity(self.gate, path))
    }

    /// All files, sorted by path.
    pub fn all(&self) -> &[(String, Node)] {
        &self.files
    }

    /// Whether the source has a file of that name, or shows one there through a link to a directory.
    pub fn shows(&self, path: &str) -> Result<bool, TreeError> {
        Ok(self.has(path) || matches!(follow(self.tree, path)?, Led::File(_)))
    }

    fn has(&self, path: &str) -> bool {
        self.files.binary_search_by(|(other, _)| other.as_str().cmp(path)).is_ok()
    }

    /// What the source says about a path of its own.
    pub fn truth(&self, path: &str, node: &Node) -> Result<Truth, TreeError> {
        let why = match node {
            Node::File { .. } | Node::Dir { .. } => {
                return Ok(Truth::File { id: self.tree.blob_id(path)?, at: path.to_owned() });
            }
            Node::Submodule { .. } => "it is in a submodule: its files are not in the source's tree".to_owned(),
            Node::Link { target } => match follow(self.tree, path)? {
                Led::File(at) => return Ok(Truth::File { id: self.tree.blob_id(&at)?, at }),
                Led::Dir(at) => return Ok(Truth::Dir { at }),
                Led::Submodule(at) => {
                    format!("it is a link into the submodule {at}: its files are not in the source's tree")
                }
                Led::Missing => format!("it is a link to {target}, which the source does not have"),
                Led::Outside => format!("it is a link to {target}, which leads out of the source"),
            },
        };
        Ok(Truth::Nothing { why })
    }

    /// What is in a directory that a link leads to, sorted by path; a link in it that leads to another directory is one
    /// entry.
    pub fn below(&self, dir: &str) -> &[(String, Node)] {
        let prefix = format!("{dir}/");
        let from = self.files.partition_point(|(path, _)| *path < prefix);
        let count = self.files[from..].partition_point(|(path, _)| path.starts_with(&prefix));
        &self.files[from..from + count]
    }

    /// Everything that can be said without a comparison.
    fn judge(&self, out: &mut Outcome) -> Result<(), TreeError> {
        let paths: Vec<&str> = self.identity().map(|(path, _)| path.as_str()).collect();
        self.tree.expect(&paths)?;
        self.classify(out)?;
        self.required(out)
    }

    fn classify(&self, out: &mut Outcome) -> Result<(), TreeError> {
        let mut attributes = Attributes::of(self.tree);
        // What a checkout changes matters to a build; copies are compared as they are stored.
        let bakes = self.gate.checks.iter().any(|check| matches!(check, Check::Bake(_)));
        for (path, node) in &self.files {
            if is_identity(self.gate, path) {
                if !self.gate.checks.iter().any(|check| reads(check, path)) {
                    let message = format!("{path} of the source is identity, and no check of the gate compares it");
                    let fix = format!("add a check that compares {path}, or move it to the gate's `ignore`");
                    out.findings.push(Finding::new(Kind::CopyMissing, path, message, fix));
                }
                if !bakes {
                    continue;
                }
                match self.changed_by_checkout(&mut attributes, path, node) {
                    // Torn between the sides of a merge; what else is wrong can be told all the same.
                    Err(error @ TreeError::Conflict { .. }) => out.undecided.push(Undecided::unreadable(&error)),
                    part => out.undecided.extend(part?),
                }
            } else if !glob::any(&self.gate.ignore, path) {
                let message = format!("{path} of the source matches neither `identity` nor `ignore`");
                let compare = if bakes { "bake" } else { "compare" };
                let fix = format!("add \"{path}\" to the gate's `identity` (and {compare} it), or to its `ignore`");
                let finding = Finding::new(Kind::Unlisted, path, message, fix).of(content(self.tree, path, node)?);
                out.findings.push(match self.gate.unlisted {
                    Level::Drift => finding,
                    Level::Notice => finding.notice(),
                });
            }
        }
        Ok(())
    }

    /// Why the file that a build would find is not one that is stored here.
    fn changed_by_checkout(
        &self,
        attributes: &mut Attributes<'_>,
        path: &str,
        node: &Node,
    ) -> Result<Option<Undecided>, TreeError> {
        let (reason, content) = match self.truth(path, node)? {
            Truth::Nothing { why } => (Some(why), content(self.tree, path, node)?),
            Truth::File { at, id } => {
                let reason = match attributes.changed_by_checkout(&at)? {
                    None if self.is_lfs_pointer(&at)? => Some(LFS_POINTER.to_owned()),
                    reason => reason,
                };
                (reason, id.to_string())
            }
            Truth::Dir { .. } => (None, String::new()),
        };
        Ok(reason.map(|reason| {
            let content = format!("{content} {reason}");
            Undecided { path: path.to_owned(), cause: None, reason, inherited: false, content }
        }))
    }

    /// Whether a file stands for one in Git LFS. What `.gitattributes` says now may not be what it said when that was stored.
    fn is_lfs_pointer(&self, path: &str) -> Result<bool, TreeError> {
        Ok((1..LFS_POINTER_SIZE).contains(&self.tree.size(path)?)
            && self.tree.read(path)?.starts_with(b"version https://git-lfs.github.com/spec/"))
    }

    /// Each name that the identity spells out is there, unless it is optional, and says something. A glob may match nothing
    /// today: that is told, and no difference.
    fn required(&self, out: &mut Outcome) -> Result<(), TreeError> {
        let gate = self.gate;
        let before = out.findings.len();
        for pattern in &gate.identity {
            let is_name = glob::is_literal(pattern);
            let is_optional = gate.optional.contains(pattern) || (is_name && glob::any(&gate.optional, pattern));
            let there = match is_name {
                true => self.has(pattern),
                false => self.files.iter().any(|(path, _)| glob::matches(pattern, path)),
            };
            if !there && !is_optional && is_name {
                out.findings.push(self.missing(pattern)?);
            } else if !there && !is_optional {
                out.findings.push(no_match(pattern));
            } else if there && is_name && self.is_empty(pattern)? {
                let message = format!("{pattern} of the source is empty");
                let fix = format!("restore the content of {pattern}");
                out.findings.push(Finding::new(Kind::Empty, pattern, message, fix));
            }
        }
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        if !out.findings[before..].iter().any(is_error) && self.identity().next().is_none() {
            let message = "no file of the source matches `identity`: there is nothing to compare";
            let fix = "list the source's identity files in the gate's `identity`, or restore them in the source";
            out.findings.push(Finding::new(Kind::MissingInSource, "identity", message, fix));
        }
        Ok(())
    }

    fn missing(&self, pattern: &str) -> Result<Finding, TreeError> {
        let is_dir = matches!(self.tree.node(pattern)?, Some(Node::Dir { .. }));
        let (message, fix) = if is_dir {
            (
                format!("the gate's `identity` names {pattern}, which is a directory of the source"),
                format!("write \"{pattern}/**\" in the gate's `identity`"),
            )
        } else {
            (
                format!("the gate's `identity` names {pattern}, the source does not have it"),
                format!("restore {pattern} in the source, or list it in the gate's `optional`"),
            )
        };
        Ok(Finding::new(Kind::MissingInSource, pattern, message, fix))
    }

    fn is_empty(&self, name: &str) -> Result<bool, TreeError> {
        Ok(match follow(self.tree, name)? {
            Led::File(at) => {
                self.tree.expect(&[at.as_str()])?;
                self.tree.size(&at)? == 0
            }
            _ => false,
        })
    }
}

fn no_match(pattern: &str) -> Finding {
    let message = format!("no file of the source matches {pattern} of the gate's `identity`");
    let fix = "is it spelled right? Files that match it later are compared from then on";
    Finding::new(Kind::MissingInSource, pattern, message, fix).notice()
}

/// Whether the gate is about a path of the source.
pub(in crate::gate) fn is_identity(gate: &Gate, path: &str) -> bool {
    glob::any(&gate.identity, path) || glob::any(&gate.optional, path)
}

/// What tells two files of one path apart. Where both sides of a merge changed it, that it is torn is all there is to tell.
fn content(tree: &dyn Tree, path: &str, node: &Node) -> Result<String, TreeError> {
    if let Node::Submodule { commit } = node {
        return Ok(commit.to_string());
    }
    match tree.blob_id(path) {
        Ok(id) => Ok(id.to_string()),
        Err(error @ TreeError::NotHere(_)) => Err(error),
        Err(error) => Ok(error.to_string()),
    }
}

//! The result of a merge, made as it is read.

use std::sync::Arc;

use super::{Node, ObjectId, Tree, TreeError, join};

/// What merging two trees would give, three ways, path by path, worked out only where somebody looks.
///
/// A path changed on one side only is taken from that side; one changed alike on both is that. A path changed in
/// different ways on both sides is a [`TreeError::Conflict`] for whoever touches it, and for nobody else: a listing shows
/// its name (as `ours` has it, else as `theirs` has it), asking for its node, name or bytes fails. A file's permission bits
/// and its bytes are merged apart, as git does. Deleting against changing is a conflict; so is a file against a directory
/// that would have something in it. Renames are not followed, and contents are not merged line by line.
///
/// Directories exist because something is in them. Where the trees know [`Tree::dir_id`], equal directories are not
/// looked into.
#[derive(Clone)]
pub struct Merged {
    /// The best common ancestor, or where there are several, what merging them gives; `None` where the histories are
    /// unrelated: then whatever both sides have must be equal.
    pub base: Option<Arc<dyn Tree>>,
    /// What is merged into: the target branch.
    pub ours: Arc<dyn Tree>,
    /// What is merged: the pull request.
    pub theirs: Arc<dyn Tree>,
}

/// What stands at one path in one of the trees.
enum At {
    Nothing,
    Dir { mode: u32 },
    Leaf(Leaf),
}

/// Anything that is not a directory, with the name of its content.
#[derive(Clone, PartialEq, Eq)]
struct Leaf {
    node: Node,
    id: ObjectId,
}

/// What the merge has at a path.
enum Outcome<'a> {
    Nothing,
    /// Both sides have a say in what is below.
    Dir {
        mode: u32,
    },
    /// As this side has it; for a directory: with all below it.
    As(&'a Arc<dyn Tree>),
    /// A file whose bytes are as this side has them, with permission bits from the other.
    File {
        mode: u32,
        bytes: &'a Arc<dyn Tree>,
    },
}

impl Merged {
    /// Walks from the root to `path`. Most of a merge is decided above: a directory that only one side changed is that side's.
    fn resolve(&self, path: &str) -> Result<Outcome<'_>, TreeError> {
        let ends = path.match_indices('/').map(|(end, _)| end);
        let parents = ends.map(|end| &path[..end]);
        for dir in std::iter::once("").filter(|_| !path.is_empty()).chain(parents) {
            match self.step(dir)? {
                Outcome::Dir { .. } => {}
                Outcome::As(side) => return Ok(Outcome::As(side)),
                Outcome::Nothing | Outcome::File { .. } => return Ok(Outcome::Nothing),
            }
        }
        self.step(path)
    }

    /// What the merge has at `path`, when all parents are directories that both sides have a say in.
    fn step(&self, path: &str) -> Result<Outcome<'_>, TreeError> {
        if let Some(side) = self.sole_side(path)? {
            return Ok(if side.node(path)?.is_some() { Outcome::As(side) } else { Outcome::Nothing });
        }
        let base = match &self.base {
            Some(base) => known(at(base, path))?,
            None => Some(At::Nothing),
        };
        let (ours, theirs) = (at(&self.ours, path)?, at(&self.theirs, path)?);
        let dir = match (&ours, &theirs) {
            (At::Dir { mode }, _) | (_, At::Dir { mode }) => Some(*mode),
            _ => None,
        };
        let leaf = self.leaf(path, base.as_ref().map(At::leaf), ours.leaf(), theirs.leaf())?;
        match (leaf, dir) {
            (Outcome::Nothing, None) => Ok(Outcome::Nothing),
            (Outcome::Nothing, Some(mode)) if path.is_empty() || self.has_children(path)? => Ok(Outcome::Dir { mode }),
            (Outcome::Nothing, Some(_)) => Ok(Outcome::Nothing),
            (_, Some(_)) if self.has_children(path)? => Err(TreeError::Conflict { path: path.to_owned() }),
            (leaf, _) => Ok(leaf),
        }
    }

    /// The side that alone decides what is at `path`, when the names of directories tell: both have the same one, or one
    /// side left the base's as it was.
    fn sole_side(&self, path: &str) -> Result<Option<&Arc<dyn Tree>>, TreeError> {
        let (ours, theirs) = (self.ours.dir_id(path)?, self.theirs.dir_id(path)?);
        if ours.is_some() && ours == theirs {
            return Ok(Some(&self.ours));
        }
        let base = match &self.base {
            Some(base) => known(base.dir_id(path))?.flatten(),
            None => None,
        };
        Ok(match base {
            Some(_) if base == theirs => Some(&self.ours),
            Some(_) if base == ours => Some(&self.theirs),
            _ => None,
        })
    }

    /// Merges what is not a directory, as if directories were nothing; `base` is `None` where the base itself is torn.
    fn leaf(
        &self,
        path: &str,
        base: Option<Option<&Leaf>>,
        ours: Option<&Leaf>,
        theirs: Option<&Leaf>,
    ) -> Result<Outcome<'_>, TreeError> {
        let take = |leaf: Option<&Leaf>, side| if leaf.is_some() { Outcome::As(side) } else { Outcome::Nothing };
        if ours == theirs {
            return Ok(take(ours, &self.ours));
        }
        let Some(base) = base else { return Err(TreeError::Conflict { path: path.to_owned() }) };
        if base == theirs {
            return Ok(take(ours, &self.ours));
        }
        if base == ours {
            return Ok(take(theirs, &self.theirs));
        }
        let files = (base.and_then(Leaf::file), ours.and_then(Leaf::file), theirs.and_then(Leaf::file));
        if let (Some(base), Some(ours), Some(theirs)) = files
            && let Some(mode) = pick(base.0, ours.0, theirs.0)
            && let Some(id) = pick(base.1, ours.1, theirs.1)
        {
            let bytes = if id == ours.1 { &self.ours } else { &self.theirs };
            return Ok(Outcome::File { mode, bytes });
        }
        Err(TreeError::Conflict { path: path.to_owned() })
    }

    /// Whether anything would be left in the directory at `path`; a conflict in it is something.
    fn has_children(&self, path: &str) -> Result<bool, TreeError> {
        for (name, _) in self.names(path)? {
            match self.step(&join(path, &name)) {
                Ok(Outcome::Nothing) => {}
                Ok(_) | Err(TreeError::Conflict { .. }) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// All names that either side has in the directory at `path`, sorted, with what the one that is seen first has there.
    fn names(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        let mut names = self.ours.list(path)?;
        names.extend(self.theirs.list(path)?);
        // Stable: of two equal names the one from `ours` comes first and stays.
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names.dedup_by(|a, b| a.0 == b.0);
        Ok(names)
    }

    /// The side that has the bytes of the file at `path`.
    fn bytes(&self, path: &str) -> Result<&Arc<dyn Tree>, TreeError> {
        let unfit = |what: &str| TreeError::Unfit { path: path.to_owned(), what: what.to_owned() };
        match self.resolve(path)? {
            Outcome::As(side) | Outcome::File { bytes: side, .. } => Ok(side),
            Outcome::Nothing => Err(unfit("no such file")),
            Outcome::Dir { .. } => Err(unfit("a directory, not a file")),
        }
    }
}

impl Tree for Merged {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        match self.resolve(path)? {
            Outcome::Nothing => Ok(None),
            Outcome::Dir { mode } => Ok(Some(Node::Dir { mode })),
            Outcome::As(side) => side.node(path),
            Outcome::File { mode, .. } => Ok(Some(Node::File { mode })),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        match self.resolve(path)? {
            Outcome::Nothing | Outcome::File { .. } => return Ok(Vec::new()),
            Outcome::As(side) => return side.list(path),
            Outcome::Dir { .. } => {}
        }
        let mut found = Vec::new();
        for (name, seen) in self.names(path)? {
            let child = join(path, &name);
            let node = match self.step(&child) {
                Ok(Outcome::Nothing) => continue,
                Ok(Outcome::Dir { mode }) => Node::Dir { mode },
                Ok(Outcome::File { mode, .. }) => Node::File { mode },
                Ok(Outcome::As(side)) => match side.node(&child)? {
                    Some(node) => node,
                    None => continue,
                },
                Err(TreeError::Conflict { .. }) => seen,
                Err(error) => return Err(error),
            };
            found.push((name, node));
        }
        Ok(found)
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        self.bytes(path)?.blob_id(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.bytes(path)?.read(path)
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        self.bytes(path)?.size(path)
    }

    fn dir_id(&self, path: &str) -> Result<Option<ObjectId>, TreeError> {
        match self.resolve(path)? {
            Outcome::As(side) => side.dir_id(path),
            _ => Ok(None),
        }
    }

    fn expect(&self, paths: &[&str]) -> Result<(), TreeError> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for path in paths {
            match self.resolve(path) {
                Ok(Outcome::As(side) | Outcome::File { bytes: side, .. }) => {
                    if Arc::ptr_eq(side, &self.ours) {
                        ours.push(*path);
                    } else {
                        theirs.push(*path);
                    }
                }
                Ok(_) | Err(TreeError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        both(self.ours.expect(&ours), self.theirs.expect(&theirs))
    }
}

/// One answer of two: what both miss in one repository is one need.
fn both(one: Result<(), TreeError>, other: Result<(), TreeError>) -> Result<(), TreeError> {
    match (one, other) {
        (Err(TreeError::NotHere(one)), Err(TreeError::NotHere(other))) => Err(TreeError::NotHere(one.and(&other))),
        (one, other) => one.and(other),
    }
}

impl At {
    fn leaf(&self) -> Option<&Leaf> {
        match self {
            Self::Leaf(leaf) => Some(leaf),
            _ => None,
        }
    }
}

impl Leaf {
    fn file(&self) -> Option<(u32, &ObjectId)> {
        match self.node {
            Node::File { mode } => Some((mode, &self.id)),
            _ => None,
        }
    }
}

/// The base may be a merge itself; where it is torn, only what both sides have alike can be told.
fn known<T>(of_base: Result<T, TreeError>) -> Result<Option<T>, TreeError> {
    match of_base {
        Ok(value) => Ok(Some(value)),
        Err(TreeError::Conflict { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn at(tree: &Arc<dyn Tree>, path: &str) -> Result<At, TreeError> {
    Ok(match tree.node(path)? {
        None => At::Nothing,
        Some(Node::Dir { mode }) => At::Dir { mode },
        Some(Node::Submodule { commit }) => At::Leaf(Leaf { id: commit.clone(), node: Node::Submodule { commit } }),
        Some(node) => At::Leaf(Leaf { node, id: tree.blob_id(path)? }),
    })
}

/// Three ways; `None` where both sides changed it differently.
fn pick<T: PartialEq + Copy>(base: T, ours: T, theirs: T) -> Option<T> {
    if ours == theirs || base == theirs {
        Some(ours)
    } else if base == ours {
        Some(theirs)
    } else {
        None
    }
}

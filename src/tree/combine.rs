//! Trees made of parts of others.

use std::sync::Arc;

use super::{Node, ObjectId, Tree, TreeError, join};

/// The directory `at` of another tree, seen as a tree: a build context that is not the repository's root.
///
/// Errors name paths as the other tree knows them.
#[derive(Clone)]
pub struct Subtree {
    /// The other tree.
    pub of: Arc<dyn Tree>,
    /// Path of the directory; `""` is all of it.
    pub at: String,
}

impl Subtree {
    fn full(&self, path: &str) -> String {
        if path.is_empty() { self.at.clone() } else { join(&self.at, path) }
    }
}

impl Tree for Subtree {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        self.of.node(&self.full(path))
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        self.of.list(&self.full(path))
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        self.of.blob_id(&self.full(path))
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.of.read(&self.full(path))
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        self.of.size(&self.full(path))
    }

    fn dir_id(&self, path: &str) -> Result<Option<ObjectId>, TreeError> {
        self.of.dir_id(&self.full(path))
    }

    fn expect(&self, paths: &[&str]) -> Result<(), TreeError> {
        let full: Vec<String> = paths.iter().map(|path| self.full(path)).collect();
        self.of.expect(&full.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// A tree with another one in the place `at`: the consumer's tree after the build has put the source's tree there.
///
/// What `base` has at `at` is hidden entirely. Parents of `at` are directories, whatever `base` has there.
#[derive(Clone)]
pub struct Mounted {
    /// The tree around.
    pub base: Arc<dyn Tree>,
    /// Path of the mounted tree's root; `""` hides all of `base`.
    pub at: String,
    /// The tree that is seen at `at`.
    pub mounted: Arc<dyn Tree>,
}

/// Where a path lies, seen from the place where something is mounted.
enum Place<'a> {
    /// At that place or below: the path within the mounted tree.
    Inside(&'a str),
    /// A parent of that place: the next name on the way to it, and whether that name is the place itself.
    OnTheWay { next: &'a str, last: bool },
    /// Elsewhere.
    Outside,
}

impl Mounted {
    fn place<'a>(&'a self, path: &'a str) -> Place<'a> {
        if let Some(rest) = under(path, &self.at) {
            return Place::Inside(rest);
        }
        match under(&self.at, path) {
            Some(rest) => match rest.split_once('/') {
                Some((next, _)) => Place::OnTheWay { next, last: false },
                None => Place::OnTheWay { next: rest, last: true },
            },
            None => Place::Outside,
        }
    }

    fn unfit<T>(&self, path: &str) -> Result<T, TreeError> {
        Err(TreeError::Unfit { path: path.to_owned(), what: "a directory, not a file".to_owned() })
    }
}

/// `path` as seen from `dir`, when it is `dir` or below.
fn under<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    if dir.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(dir)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

fn as_dir(node: Option<Node>) -> Node {
    match node {
        Some(dir @ Node::Dir { .. }) => dir,
        _ => Node::Dir { mode: 0o755 },
    }
}

impl Tree for Mounted {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        match self.place(path) {
            Place::Inside(rest) => self.mounted.node(rest),
            Place::OnTheWay { .. } => Ok(Some(as_dir(self.base.node(path)?))),
            Place::Outside => self.base.node(path),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        match self.place(path) {
            Place::Inside(rest) => self.mounted.list(rest),
            Place::Outside => self.base.list(path),
            Place::OnTheWay { next, last } => {
                let mut found = self.base.list(path)?;
                let at = found.binary_search_by(|(name, _)| name.as_str().cmp(next));
                let hidden = at.ok().map(|at| found.remove(at).1);
                let seen = if last { self.mounted.node("")? } else { Some(as_dir(hidden)) };
                if let (Some(node), Ok(at) | Err(at)) = (seen, at) {
                    found.insert(at, (next.to_owned(), node));
                }
                Ok(found)
            }
        }
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        match self.place(path) {
            Place::Inside(rest) => self.mounted.blob_id(rest),
            Place::OnTheWay { .. } => self.unfit(path),
            Place::Outside => self.base.blob_id(path),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        match self.place(path) {
            Place::Inside(rest) => self.mounted.read(rest),
            Place::OnTheWay { .. } => self.unfit(path),
            Place::Outside => self.base.read(path),
        }
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        match self.place(path) {
            Place::Inside(rest) => self.mounted.size(rest),
            Place::OnTheWay { .. } => self.unfit(path),
            Place::Outside => self.base.size(path),
        }
    }

    fn dir_id(&self, path: &str) -> Result<Option<ObjectId>, TreeError> {
        match self.place(path) {
            Place::Inside(rest) => self.mounted.dir_id(rest),
            Place::OnTheWay { .. } => Ok(None),
            Place::Outside => self.base.dir_id(path),
        }
    }

    fn expect(&self, paths: &[&str]) -> Result<(), TreeError> {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for path in paths {
            match self.place(path) {
                Place::Inside(rest) => inside.push(rest),
                Place::OnTheWay { .. } => {}
                Place::Outside => outside.push(*path),
            }
        }
        self.base.expect(&outside)?;
        self.mounted.expect(&inside)
    }
}

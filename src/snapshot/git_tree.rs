//! The tree of a commit.

use std::collections::HashSet;
use std::sync::Arc;

use git2::Oid;

use super::escaped;
use super::objects::{Dir, Entry, EntryKind, ObjectDb, object_id};
use crate::tree::{Node, ObjectId, Objects, Tree, TreeError, join};

/// How many link targets are asked for at once.
const MAX_LINKS: usize = 4_096;

/// The tree of one commit in an [`ObjectDb`], read as far as somebody looks.
///
/// Comparing two of them by [`Tree::blob_id`] and [`Tree::dir_id`] needs no file content, so a clone with
/// `--filter=blob:none` will do. What is not here is [`TreeError::NotHere`] with the commit (for directories) or the blobs. A
/// symbolic link's target is content too: the first one that is missing asks for those of the whole tree.
#[derive(Clone)]
pub struct GitTree {
    objects: Arc<ObjectDb>,
    commit: ObjectId,
    root: Oid,
}

impl GitTree {
    /// The tree of `commit`.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] when the commit or its root directory is not here,
    /// [`TreeError::Unfit`] when the name is of something else.
    pub fn new(objects: Arc<ObjectDb>, commit: &ObjectId) -> Result<Self, TreeError> {
        let root = objects.root(commit)?;
        let tree = Self { objects, commit: commit.clone(), root };
        tree.dir(root)?;
        Ok(tree)
    }

    /// The commit that this is the tree of.
    pub fn commit(&self) -> &ObjectId {
        &self.commit
    }

    fn dir(&self, id: Oid) -> Result<Arc<Dir>, TreeError> {
        self.objects.dir(id)?.ok_or_else(|| self.objects.need(Objects::Commit(self.commit.clone())))
    }

    /// What the directories say about `path`; the root has no entry.
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        let mut dir = self.dir(self.root)?;
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let Some(entry) = dir.get(name) else { return Ok(None) };
            if names.peek().is_none() {
                return Ok(Some(entry.clone()));
            }
            if entry.kind != EntryKind::Dir {
                return Ok(None);
            }
            dir = self.dir(entry.id)?;
        }
        Ok(None)
    }

    fn dir_at(&self, path: &str) -> Result<Option<Oid>, TreeError> {
        if path.is_empty() {
            return Ok(Some(self.root));
        }
        Ok(self.entry(path)?.filter(|entry| entry.kind == EntryKind::Dir).map(|entry| entry.id))
    }

    fn file(&self, path: &str) -> Result<Oid, TreeError> {
        let what = match self.entry(path)?.map(|entry| (entry.kind, entry.id)) {
            Some((EntryKind::File { .. } | EntryKind::Link, id)) => return Ok(id),
            Some((EntryKind::Submodule, _)) => "a submodule, not a file",
            Some((EntryKind::Dir, _)) => "a directory, not a file",
            None if path.is_empty() => "a directory, not a file",
            None => "no such file",
        };
        Err(TreeError::Unfit { path: path.to_owned(), what: what.to_owned() })
    }

    fn target(&self, id: Oid) -> Result<String, TreeError> {
        match self.objects.blob(id)? {
            Some(target) => Ok(escaped(&target).into_owned()),
            None => Err(self.objects.need(Objects::Blobs(self.missing_links()?))),
        }
    }

    /// Contents of links that are not here, in the whole tree: one request then brings them all.
    fn missing_links(&self) -> Result<Vec<ObjectId>, TreeError> {
        let (mut links, mut seen, mut pending) = (Vec::new(), HashSet::new(), vec![self.root]);
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            for entry in self.dir(id)?.entries() {
                match entry.kind {
                    EntryKind::Dir => pending.push(entry.id),
                    EntryKind::Link => links.push(object_id(entry.id)),
                    _ => {}
                }
            }
        }
        links.sort();
        links.dedup();
        let mut missing = self.objects.missing(&links);
        missing.truncate(MAX_LINKS);
        Ok(missing)
    }

    fn missing_blob(&self, id: Oid) -> TreeError {
        self.objects.need(Objects::Blobs(vec![object_id(id)]))
    }
}

impl Tree for GitTree {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        if path.is_empty() {
            return Ok(Some(Node::Dir { mode: 0o755 }));
        }
        self.entry(path)?.map(|entry| entry.node(|id| self.target(id))).transpose()
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        let Some(id) = self.dir_at(path)? else { return Ok(Vec::new()) };
        let dir = self.dir(id)?;
        dir.entries().iter().map(|entry| Ok((entry.name.clone(), entry.node(|id| self.target(id))?))).collect()
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        self.file(path).map(object_id)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        let id = self.file(path)?;
        let content = self.objects.blob(id).map_err(|error| at(error, path))?;
        content.ok_or_else(|| self.missing_blob(id))
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        let id = self.file(path)?;
        self.objects.blob_size(id)?.ok_or_else(|| self.missing_blob(id))
    }

    fn dir_id(&self, path: &str) -> Result<Option<ObjectId>, TreeError> {
        Ok(self.dir_at(path)?.map(object_id))
    }

    fn expect(&self, paths: &[&str]) -> Result<(), TreeError> {
        let mut wanted = Vec::new();
        for path in paths {
            if let Some(entry) = self.entry(path)?
                && matches!(entry.kind, EntryKind::File { .. } | EntryKind::Link)
            {
                wanted.push(object_id(entry.id));
            }
        }
        wanted.sort();
        wanted.dedup();
        let missing = self.objects.missing(&wanted);
        if missing.is_empty() { Ok(()) } else { Err(self.objects.need(Objects::Blobs(missing))) }
    }
}

/// An object's error, told with the path that led to it.
fn at(error: TreeError, path: &str) -> TreeError {
    match error {
        TreeError::Unfit { what, .. } => TreeError::Unfit { path: path.to_owned(), what },
        TreeError::Io { path: store, why } => TreeError::Io { path: join(&store, path), why },
        other => other,
    }
}

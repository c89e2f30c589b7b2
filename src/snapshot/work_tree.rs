//! A work tree: the folder of a repository as it is on disk, without what git ignores there.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::{Folder, ObjectDb, escaped};
use crate::tree::{Node, ObjectId, Tree, TreeError, join};

/// The files of a work tree, with what is not committed or not even added: what the next commit can have.
///
/// An ignored file that is not tracked is left out: no clone has it, so a verdict on it would be nobody else's. The ignore
/// files of the repository count, those of the machine do not. Apart from that it reads as a [`Folder`] does.
pub struct WorkTree {
    folder: Folder,
    objects: Arc<ObjectDb>,
    /// Every path in the index, and its parents.
    tracked: HashSet<String>,
}

impl WorkTree {
    /// The work tree at `root`, whose repository has `objects`.
    ///
    /// # Errors
    /// There is no such folder, or the repository's index cannot be read.
    pub(super) fn new(root: &Path, objects: Arc<ObjectDb>) -> Result<Self, TreeError> {
        let folder = Folder::new(root)?;
        let index = objects.repository().index().map_err(|error| objects.io(&error))?;
        let mut tracked = HashSet::new();
        for entry in index.iter() {
            let mut path = escaped(&entry.path).into_owned();
            while tracked.insert(path.clone()) {
                let Some((parent, _)) = path.rsplit_once('/') else { break };
                path.truncate(parent.len());
            }
        }
        Ok(Self { folder, objects, tracked })
    }

    fn is_left_out(&self, path: &str) -> Result<bool, TreeError> {
        if path.is_empty() || self.tracked.contains(path) {
            return Ok(false);
        }
        self.objects.repository().is_path_ignored(path).map_err(|error| self.objects.io(&error))
    }
}

impl Tree for WorkTree {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        let node = self.folder.node(path)?;
        if node.is_some() && self.is_left_out(path)? { Ok(None) } else { Ok(node) }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        let mut found = Vec::new();
        for (name, node) in self.folder.list(path)? {
            if !self.is_left_out(&join(path, &name))? {
                found.push((name, node));
            }
        }
        Ok(found)
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        self.folder.blob_id(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.folder.read(path)
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        self.folder.size(path)
    }
}

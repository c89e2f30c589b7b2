//! A tree that is held in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::{Node, ObjectId, Tree, TreeError};

/// A tree made of paths and contents: what tests and the demo write down instead of a repository.
///
/// Directories are there because files are, as in git; an empty one cannot be. Files get the blob names that git would
/// give them, so a `Memory` compares with any other tree.
///
/// ```
/// use drift_gate::tree::{Memory, Tree};
///
/// let tree = Memory::new().file("config.yaml", "name: agent\n").executable("bin/run", "#!/bin/sh\n");
/// assert_eq!(&*tree.read("config.yaml").unwrap(), b"name: agent\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    leaves: BTreeMap<String, Leaf>,
}

#[derive(Clone, Debug)]
struct Leaf {
    node: Node,
    content: Arc<[u8]>,
    id: ObjectId,
}

impl Memory {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree with this file (mode 0o644) in it. Slashes at the ends of `path` do not count; what stood at the path,
    /// and a file where a directory is needed now, is gone.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_with_mode(path, 0o644, content)
    }

    /// The tree with this file (mode 0o755) in it.
    pub fn executable(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_with_mode(path, 0o755, content)
    }

    /// The tree with this file in it, with these permission bits: a folder on disk may have other ones than git.
    pub fn file_with_mode(mut self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.put(path, Leaf { node: Node::File { mode }, content: content.into(), id: blob_id(content) });
        self
    }

    /// The tree with this symbolic link in it.
    pub fn link(mut self, path: &str, target: &str) -> Self {
        let node = Node::Link { target: target.to_owned() };
        self.put(path, Leaf { node, content: target.as_bytes().into(), id: blob_id(target.as_bytes()) });
        self
    }

    /// The tree with this submodule in it.
    pub fn submodule(mut self, path: &str, commit: ObjectId) -> Self {
        let leaf = Leaf { node: Node::Submodule { commit: commit.clone() }, content: Arc::default(), id: commit };
        self.put(path, leaf);
        self
    }

    /// The tree without what stands at `path`, and without what is below it.
    pub fn without(mut self, path: &str) -> Self {
        self.clear(path.trim_matches('/'));
        self
    }

    /// All paths that are not directories, sorted by bytes.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.leaves.keys().map(String::as_str)
    }

    fn put(&mut self, path: &str, leaf: Leaf) {
        let path = path.trim_matches('/');
        self.clear(path);
        for (end, _) in path.match_indices('/') {
            self.leaves.remove(&path[..end]);
        }
        self.leaves.insert(path.to_owned(), leaf);
    }

    fn clear(&mut self, path: &str) {
        self.leaves.remove(path);
        let prefix = below(path);
        let gone: Vec<String> = self
            .leaves
            .range(prefix.clone()..)
            .map(|(k, _)| k)
            .take_while(|k| k.starts_with(&prefix))
            .cloned()
            .collect();
        for path in gone {
            self.leaves.remove(&path);
        }
    }

    fn is_dir(&self, path: &str) -> bool {
        let prefix = below(path);
        path.is_empty() || self.leaves.range(prefix.clone()..).next().is_some_and(|(k, _)| k.starts_with(&prefix))
    }

    fn leaf(&self, path: &str) -> Result<&Leaf, TreeError> {
        let unfit = |what: &str| TreeError::Unfit { path: path.to_owned(), what: what.to_owned() };
        match self.leaves.get(path) {
            Some(Leaf { node: Node::Submodule { .. }, .. }) => Err(unfit("a submodule, not a file")),
            Some(leaf) => Ok(leaf),
            None if self.is_dir(path) => Err(unfit("a directory, not a file")),
            None => Err(unfit("no such file")),
        }
    }
}

impl<P: AsRef<str>, C: AsRef<[u8]>> FromIterator<(P, C)> for Memory {
    /// Files of mode 0o644.
    fn from_iter<I: IntoIterator<Item = (P, C)>>(files: I) -> Self {
        files.into_iter().fold(Self::new(), |tree, (path, content)| tree.file(path.as_ref(), content))
    }
}

impl Tree for Memory {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        let leaf = self.leaves.get(path).map(|leaf| leaf.node.clone());
        Ok(leaf.or_else(|| self.is_dir(path).then_some(Node::Dir { mode: 0o755 })))
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        let prefix = below(path);
        let mut found = Vec::new();
        let mut from = Bound::Included(prefix.clone());
        while let Some((key, leaf)) = self.leaves.range((from, Bound::Unbounded)).next() {
            let Some(rest) = key.strip_prefix(&prefix) else { break };
            match rest.split_once('/') {
                None => {
                    found.push((rest.to_owned(), leaf.node.clone()));
                    from = Bound::Excluded(key.clone());
                }
                // One entry stands for all below it: go on behind the last of them ('0' follows '/').
                Some((dir, _)) => {
                    found.push((dir.to_owned(), Node::Dir { mode: 0o755 }));
                    from = Bound::Included(format!("{prefix}{dir}0"));
                }
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        Ok(self.leaf(path)?.id.clone())
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        Ok(self.leaf(path)?.content.clone())
    }
}

/// What all paths below `path` begin with.
fn below(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}/") }
}

/// The name that git (in a SHA-1 repository) gives to a blob of these bytes.
pub fn blob_id(content: &[u8]) -> ObjectId {
    let mut hasher = BlobHasher::new(content.len() as u64);
    hasher.update(content);
    hasher.finish()
}

/// Names a blob without holding all of it.
pub struct BlobHasher(Sha1);

impl BlobHasher {
    /// For a blob of `size` bytes; git's name covers the size before the bytes.
    pub fn new(size: u64) -> Self {
        Self(Sha1::new_with_prefix(format!("blob {size}\0")))
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The blob's name.
    pub fn finish(self) -> ObjectId {
        ObjectId(hex::encode(self.0.finalize()).into())
    }
}

//! A tree with some files changed: what a commit would make of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Node, ObjectId, Tree, TreeError, blob_id, join};

/// What becomes of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file stands there.
    File {
        /// Its bytes.
        content: Arc<[u8]>,
        /// Permission bits, 0o644 or 0o755.
        mode: u32,
    },
    /// A submodule stands there, at this commit.
    Submodule(ObjectId),
    /// Nothing does, nor below it.
    Gone,
}

/// `of` with changed paths. As in git, directories are there because files are: one whose last file is gone is gone too, and
/// a file that is put below another file takes its place.
#[derive(Clone)]
pub struct Edited {
    of: Arc<dyn Tree>,
    changes: BTreeMap<String, (Change, ObjectId)>,
}

/// Bytes of the change, and their name.
type Content<'a> = (&'a Arc<[u8]>, &'a ObjectId);

impl Edited {
    /// A tree with these paths changed. Of two changes where one lies below the other, the deeper one is seen.
    pub fn new(of: Arc<dyn Tree>, changes: impl IntoIterator<Item = (String, Change)>) -> Self {
        let named = changes.into_iter().map(|(path, change)| {
            let id = match &change {
                Change::File { content, .. } => blob_id(content),
                Change::Submodule(commit) => commit.clone(),
                Change::Gone => blob_id(b""),
            };
            (path, (change, id))
        });
        Self { of, changes: named.collect() }
    }

    /// The change at this very path.
    fn at(&self, path: &str) -> Option<&(Change, ObjectId)> {
        self.changes.get(path)
    }

    /// Changes below a directory.
    fn below<'a>(&'a self, dir: &str) -> impl Iterator<Item = (&'a str, &'a Change)> + use<'a> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let from = self.changes.range(prefix.clone()..);
        let all = from.take_while(move |(path, _)| path.starts_with(&prefix));
        all.map(|(path, (change, _))| (path.as_str(), change))
    }

    fn adds_below(&self, dir: &str) -> bool {
        self.below(dir).any(|(_, change)| !matches!(change, Change::Gone))
    }

    /// Whether nothing of the tree underneath is seen at the path: something above it is no directory any more.
    fn covers(&self, path: &str) -> bool {
        path.match_indices('/').any(|(end, _)| self.at(&path[..end]).is_some())
    }

    /// Where the bytes at `path` are: in the change, or in the tree underneath.
    fn content(&self, path: &str) -> Result<Option<Content<'_>>, TreeError> {
        let unfit = |what: &str| Err(TreeError::Unfit { path: path.to_owned(), what: what.to_owned() });
        match self.at(path) {
            _ if self.adds_below(path) => unfit("a directory, not a file"),
            Some((Change::File { content, .. }, id)) => Ok(Some((content, id))),
            Some((Change::Submodule(_), _)) => unfit("a submodule, not a file"),
            Some((Change::Gone, _)) => unfit("no such file"),
            None if self.covers(path) => unfit("no such file"),
            None => Ok(None),
        }
    }
}

impl Tree for Edited {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        if self.adds_below(path) {
            let mode = match self.of.node(path)? {
                Some(Node::Dir { mode }) => mode,
                _ => 0o755,
            };
            return Ok(Some(Node::Dir { mode }));
        }
        match self.at(path) {
            Some((Change::File { mode, .. }, _)) => return Ok(Some(Node::File { mode: *mode })),
            Some((Change::Submodule(commit), _)) => return Ok(Some(Node::Submodule { commit: commit.clone() })),
            Some((Change::Gone, _)) => return Ok(None),
            None if self.covers(path) => return Ok(None),
            None => {}
        }
        let node = self.of.node(path)?;
        let is_dir = matches!(node, Some(Node::Dir { .. }));
        if is_dir && !path.is_empty() && self.below(path).next().is_some() && self.list(path)?.is_empty() {
            return Ok(None);
        }
        Ok(node)
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        let hidden = self.covers(path) || self.at(path).is_some();
        if self.below(path).next().is_none() {
            return if hidden { Ok(Vec::new()) } else { self.of.list(path) };
        }
        let mut found: BTreeMap<String, Option<Node>> = BTreeMap::new();
        if !hidden {
            found.extend(self.of.list(path)?.into_iter().map(|(name, node)| (name, Some(node))));
        }
        let skip = if path.is_empty() { 0 } else { path.len() + 1 };
        for (changed, _) in self.below(path) {
            let name = changed[skip..].split('/').next().unwrap_or_default();
            found.insert(name.to_owned(), None);
        }
        let nodes = found.into_iter().map(|(name, node)| match node {
            Some(node) => Ok(Some((name, node))),
            None => Ok(self.node(&join(path, &name))?.map(|node| (name, node))),
        });
        nodes.filter_map(Result::transpose).collect()
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        match self.content(path)? {
            Some((_, id)) => Ok(id.clone()),
            None => self.of.blob_id(path),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        match self.content(path)? {
            Some((content, _)) => Ok(Arc::clone(content)),
            None => self.of.read(path),
        }
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        match self.content(path)? {
            Some((content, _)) => Ok(content.len() as u64),
            None => self.of.size(path),
        }
    }

    fn dir_id(&self, path: &str) -> Result<Option<ObjectId>, TreeError> {
        let touched = self.covers(path) || self.at(path).is_some() || self.below(path).next().is_some();
        if touched { Ok(None) } else { self.of.dir_id(path) }
    }

    fn expect(&self, paths: &[&str]) -> Result<(), TreeError> {
        let seen = |path: &&str| self.at(path).is_none() && !self.covers(path) && !self.adds_below(path);
        self.of.expect(&paths.iter().copied().filter(seen).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::Memory;

    fn file(text: &str) -> Change {
        Change::File { content: text.as_bytes().into(), mode: 0o644 }
    }

    fn edited(changes: &[(&str, Change)]) -> Edited {
        let of = Memory::new().file("a/one", "1").file("a/b/two", "2").executable("c", "3");
        Edited::new(Arc::new(of), changes.iter().map(|(path, change)| ((*path).to_owned(), change.clone())))
    }

    fn names(tree: &dyn Tree, dir: &str) -> Vec<String> {
        tree.list(dir).unwrap().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_changed_file_reads_as_changed_and_its_neighbours_as_before() {
        let tree = edited(&[("a/one", file("x"))]);
        assert_eq!(&*tree.read("a/one").unwrap(), b"x");
        assert_eq!(tree.blob_id("a/one").unwrap(), blob_id(b"x"));
        assert_eq!((&*tree.read("a/b/two").unwrap(), names(&tree, "a")), (&b"2"[..], vec!["b".into(), "one".into()]));
    }

    #[test]
    fn a_directory_goes_with_its_last_file() {
        let tree = edited(&[("a/b/two", Change::Gone)]);
        assert_eq!((tree.node("a/b").unwrap(), names(&tree, "a")), (None, vec!["one".to_owned()]));
        let tree = edited(&[("a/b/two", Change::Gone), ("a/one", Change::Gone)]);
        assert_eq!((tree.node("a").unwrap(), names(&tree, "")), (None, vec!["c".to_owned()]));
    }

    #[test]
    fn a_file_below_a_file_takes_its_place() {
        let tree = edited(&[("c/new", file("n"))]);
        assert_eq!(tree.node("c").unwrap(), Some(Node::Dir { mode: 0o755 }));
        assert!(tree.read("c").is_err() && names(&tree, "c") == ["new"]);
    }

    #[test]
    fn what_stood_below_a_path_that_is_a_file_now_is_gone() {
        let tree = edited(&[("a", file("flat"))]);
        assert_eq!((tree.node("a/one").unwrap(), tree.node("a/b").unwrap()), (None, None));
        assert!(tree.read("a/b/two").is_err() && tree.list("a/b").unwrap().is_empty());
    }

    #[test]
    fn a_submodule_moves() {
        let commit = ObjectId::parse(&"7".repeat(40)).unwrap();
        let tree = edited(&[("a/b", Change::Submodule(commit.clone()))]);
        assert_eq!(tree.node("a/b").unwrap(), Some(Node::Submodule { commit }));
        assert!(tree.list("a/b").unwrap().is_empty() && tree.read("a/b/two").is_err());
    }

    /// The directories that lead to a path.
    fn parents(path: &str) -> impl Iterator<Item = &str> {
        path.match_indices('/').map(|(end, _)| &path[..end])
    }

    /// Files of few names in few folders, so that they meet.
    fn paths() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec!["a", "b", "c"]);
        prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
    }

    fn all(tree: &dyn Tree, dir: &str, found: &mut Vec<(String, Option<Vec<u8>>)>) {
        for (name, node) in tree.list(dir).unwrap() {
            let path = join(dir, &name);
            assert_eq!(tree.node(&path).unwrap(), Some(node.clone()), "{path}");
            if matches!(node, Node::Dir { .. }) {
                found.push((path.clone(), None));
                all(tree, &path, found);
            } else {
                found.push((path.clone(), Some(tree.read(&path).unwrap().to_vec())));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_the_tree_that_was_written_anew(
            files in prop::collection::vec(paths(), 0..6),
            changes in prop::collection::btree_map(paths(), any::<bool>(), 0..4),
        ) {
            // One change below another is two wishes that no commit has.
            let apart = |path: &String| !parents(path).any(|parent| changes.contains_key(parent));
            let changes: Vec<(String, bool)> =
                changes.iter().filter(|(path, _)| apart(path)).map(|(path, gone)| (path.clone(), *gone)).collect();
            let before: Memory = files.iter().map(|path| (path, path.as_bytes())).collect();
            let mut anew = before.clone();
            for (path, gone) in &changes {
                anew = anew.without(path);
                if !gone {
                    anew = anew.file(path, "new");
                }
            }
            let change = |gone: bool| if gone { Change::Gone } else { file("new") };
            let tree = Edited::new(Arc::new(before), changes.into_iter().map(|(path, gone)| (path, change(gone))));
            let (mut wanted, mut found) = (Vec::new(), Vec::new());
            all(&anew, "", &mut wanted);
            all(&tree, "", &mut found);
            prop_assert_eq!(found, wanted);
        }
    }
}

//! A tree without a part of it.

use std::sync::Arc;

use super::{Node, ObjectId, Tree, TreeError, join, split};

/// `of` as if nothing stood at `at`.
#[derive(Clone)]
pub struct Without {
    /// The whole tree.
    pub of: Arc<dyn Tree>,
    /// Not the root.
    pub at: String,
}

impl Without {
    fn hides(&self, path: &str) -> bool {
        path.strip_prefix(&self.at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn refuse(&self, path: &str) -> Result<(), TreeError> {
        let what = "no such file".to_owned();
        if self.hides(path) { Err(TreeError::Unfit { path: path.to_owned(), what }) } else { Ok(()) }
    }
}

impl Tree for Without {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        if self.hides(path) { Ok(None) } else { self.of.node(path) }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        if self.hides(path) {
            return Ok(Vec::new());
        }
        let mut list = self.of.list(path)?;
        if split(&self.at).0 == path {
            list.retain(|(name, _)| join(path, name) != self.at);
        }
        Ok(list)
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        self.refuse(path).and_then(|()| self.of.blob_id(path))
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.refuse(path).and_then(|()| self.of.read(path))
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        self.refuse(path).and_then(|()| self.of.size(path))
    }

    fn dir_id(&self, path: &str) -> Result<Option<ObjectId>, TreeError> {
        let holds_it = path.is_empty() || self.at.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        if holds_it || self.hides(path) { Ok(None) } else { self.of.dir_id(path) }
    }

    fn expect(&self, paths: &[&str]) -> Result<(), TreeError> {
        let seen: Vec<&str> = paths.iter().copied().filter(|path| !self.hides(path)).collect();
        self.of.expect(&seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Memory;

    #[test]
    fn what_is_taken_out_is_nowhere_to_be_seen() {
        let of = Memory::new().file("deps/t/a", "A").file("deps/two", "B").file("c", "C");
        let tree = Without { of: Arc::new(of), at: "deps/t".into() };
        assert_eq!(tree.node("deps/t").unwrap(), None);
        assert_eq!(tree.node("deps/t/a").unwrap(), None);
        assert!(tree.read("deps/t/a").is_err() && tree.list("deps/t").unwrap().is_empty());
        let names: Vec<String> = tree.list("deps").unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["two"], "a name that only begins alike stays");
        assert_eq!(&*tree.read("c").unwrap(), b"C");
    }
}

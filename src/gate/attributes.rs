//! What a checkout would change: `.gitattributes` of a tree, as far as they decide whether the bytes on disk are the bytes in
//! the object database.
//!
//! The trap: a template's file may be stored in one form and checked out in another (LFS pointers, line ends, keyword
//! expansion). What the build would then copy is not in the tree, so a comparison of blobs would compare the wrong thing.
//! Patterns are read as gitattributes(5) says: like `.gitignore`, the last match wins, a deeper file over a higher one.

use super::glob;
use crate::tree::{Node, Tree, TreeError, join, split};

/// Attributes that change bytes on checkout.
const CHANGING: [&str; 4] = ["filter", "eol", "ident", "working-tree-encoding"];
/// A larger file of attributes is not read; that is said.
const LARGEST: u64 = 1 << 20;

/// Why the file at `path` may not be checked out as it is stored, in words; `None` where it is.
pub fn changed_by_checkout(tree: &dyn Tree, path: &str) -> Result<Option<String>, TreeError> {
    let mut set: Vec<Option<String>> = vec![None; CHANGING.len()];
    let mut dirs = vec![String::new()];
    let (parent, _) = split(path);
    for name in parent.split('/').filter(|name| !name.is_empty()) {
        let dir = join(dirs.last().map_or("", String::as_str), name);
        dirs.push(dir);
    }
    for dir in dirs {
        let file = join(&dir, ".gitattributes");
        if !matches!(tree.node(&file)?, Some(Node::File { .. })) {
            continue;
        }
        tree.expect(&[file.as_str()])?;
        if tree.size(&file)? > LARGEST {
            return Ok(Some(format!("{file} is too large to be read")));
        }
        let bytes = tree.read(&file)?;
        let below = if dir.is_empty() { path } else { &path[dir.len() + 1..] };
        for line in String::from_utf8_lossy(&bytes).lines() {
            apply(line, below, &mut set);
        }
    }
    let changes = CHANGING.iter().zip(set).find_map(|(name, value)| Some((name, value?)));
    Ok(changes
        .map(|(name, value)| format!("`.gitattributes` gives it `{name}{value}`: a checkout may change its bytes")))
}

fn apply(line: &str, path: &str, set: &mut [Option<String>]) {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') || line.starts_with("[attr]") {
        return;
    }
    let mut words = line.split_ascii_whitespace();
    let Some(pattern) = words.next() else { return };
    if !matches(pattern.trim_matches('"'), path) {
        return;
    }
    for word in words {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(format!("={value}"))),
            None => match word.strip_prefix(['-', '!']) {
                Some(name) => (name, None),
                None => (word, Some(String::new())),
            },
        };
        if let Some(index) = CHANGING.iter().position(|changing| *changing == name) {
            set[index] = value;
        }
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_prefix('/') {
        Some(anchored) => glob::matches(anchored, path),
        None if pattern.contains('/') => glob::matches(pattern, path),
        None => glob::matches(pattern, split(path).1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Memory;

    #[test]
    fn a_filtered_or_converted_file_is_not_what_the_tree_has() {
        let tree = Memory::new()
            .file(".gitattributes", "# binaries\n*.bin filter=lfs diff=lfs -text\n*.md eol=crlf\n/a.txt ident\n")
            .file("docs/.gitattributes", "*.md -eol\n");
        let why = |path| changed_by_checkout(&tree, path).expect("readable");
        assert!(why("deep/x.bin").is_some_and(|why| why.contains("filter=lfs")));
        assert!(why("x.md").is_some_and(|why| why.contains("eol=crlf")));
        assert_eq!(why("docs/x.md"), None, "the deeper file unsets it");
        assert!(why("a.txt").is_some());
        assert_eq!(why("b/a.txt"), None);
        assert_eq!(why("config.yaml"), None);
    }
}

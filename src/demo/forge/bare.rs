//! The bare repositories on disk, and what a forge does in them without a work tree.
//!
//! They are opened for each use: pushes come in through other handles, and opening is cheap.

use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{Delta, FetchOptions, FileMode, ObjectType, Oid, Repository, Signature, Sort, Tree};

use super::refusal::Refusal;

/// One bare repository.
pub struct Bare(Repository);

/// What a commit changes against its first parent.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Paths that only the later side has. All paths are from the root, without a leading slash.
    pub added: Vec<String>,
    /// Paths that only the earlier side has; a renamed file is here under its old name and in `added` under its new
    /// one.
    pub removed: Vec<String>,
    /// Paths that both have, with other content or another mode.
    pub modified: Vec<String>,
    /// New lines over all files, as `git diff --stat` counts them.
    pub additions: usize,
    /// Lines that went, over all files.
    pub deletions: usize,
}

impl Changes {
    /// How many files differ.
    pub fn files(&self) -> usize {
        self.added.len() + self.removed.len() + self.modified.len()
    }
}

/// A file of a commit.
#[derive(Clone, Debug)]
pub struct File {
    /// Its blob's id: what the contents API calls a file's `sha`.
    pub blob: Oid,
    /// As it is stored; not every file is text.
    pub content: Vec<u8>,
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub struct Name {
    /// One part of a path, without slashes. What is not UTF-8 in it is replaced.
    pub name: String,
    /// Of the blob or the tree that it names.
    pub id: Oid,
    /// Whether it names a folder. A link and a submodule are none.
    pub is_folder: bool,
}

/// What a path of a new tree is.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// A file.
    File {
        /// Its blob, which must be there.
        blob: Oid,
        /// Whether it may be run.
        runs: bool,
    },
    /// Nothing any more.
    Gone,
}

/// A change to one path: its new content, or `None` to remove it.
pub type Edit = (String, Option<Vec<u8>>);

impl Bare {
    /// Makes an empty repository whose `HEAD` is `branch`.
    pub fn create(path: &Path, branch: &str) -> Result<Self, Refusal> {
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).no_reinit(true).external_template(false).initial_head(branch);
        Ok(Self(Repository::init_opts(path, &options)?))
    }

    /// Opens one that is there.
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        Ok(Self(Repository::open_bare(path)?))
    }

    /// Whether it has no commit on any branch.
    pub fn is_empty(&self) -> Result<bool, Refusal> {
        Ok(self.branches()?.is_empty())
    }

    /// All branches with their heads, by name.
    pub fn branches(&self) -> Result<Vec<(String, Oid)>, Refusal> {
        let mut branches = Vec::new();
        for reference in self.0.references_glob("refs/heads/*")? {
            let reference = reference?;
            if let (Ok(name), Some(head)) = (reference.name(), reference.target()) {
                branches.push((name.trim_start_matches("refs/heads/").to_owned(), head));
            }
        }
        branches.sort();
        Ok(branches)
    }

    /// The commit at a full reference's name.
    pub fn tip(&self, reference: &str) -> Option<Oid> {
        self.0.refname_to_id(reference).ok()
    }

    /// The head of a branch.
    pub fn branch(&self, name: &str) -> Option<Oid> {
        self.tip(&format!("refs/heads/{name}"))
    }

    /// The commit that a full or short SHA, a branch or a tag names.
    pub fn resolve(&self, name: &str) -> Option<Oid> {
        let object = match self.branch(name) {
            Some(head) => self.0.find_object(head, None).ok()?,
            None => self.0.revparse_single(name).ok()?,
        };
        Some(object.peel(ObjectType::Commit).ok()?.id())
    }

    /// The commit itself.
    pub fn commit(&self, id: Oid) -> Result<git2::Commit<'_>, Refusal> {
        Ok(self.0.find_commit(id)?)
    }

    /// Moves or makes a reference.
    pub fn set(&self, reference: &str, target: Oid) -> Result<(), Refusal> {
        self.0.reference(reference, target, true, "")?;
        Ok(())
    }

    /// Removes a reference.
    pub fn remove(&self, reference: &str) -> Result<(), Refusal> {
        self.0.find_reference(reference)?.delete()?;
        Ok(())
    }

    /// Makes a blob.
    pub fn blob(&self, content: &[u8]) -> Result<Oid, Refusal> {
        Ok(self.0.blob(content)?)
    }

    /// Makes a tree: another one with some paths changed, or one of these alone.
    pub fn tree_of(&self, base: Option<Oid>, entries: &[(String, Entry)]) -> Result<Oid, Refusal> {
        let base = match base {
            Some(base) => self.0.find_tree(base)?,
            None => self.0.find_tree(self.0.treebuilder(None)?.write()?)?,
        };
        let mut update = TreeUpdateBuilder::new();
        for (path, entry) in entries {
            match entry {
                Entry::File { blob, runs: false } => update.upsert(path.as_str(), *blob, FileMode::Blob),
                Entry::File { blob, runs: true } => update.upsert(path.as_str(), *blob, FileMode::BlobExecutable),
                Entry::Gone => update.remove(path.as_str()),
            };
        }
        Ok(update.create_updated(&self.0, &base)?)
    }

    /// Makes a commit of a tree. No reference moves.
    pub fn commit_of(&self, tree: Oid, parents: &[Oid], message: &str, by: &Signature) -> Result<Oid, Refusal> {
        let tree = self.0.find_tree(tree)?;
        let parents = parents.iter().map(|id| self.0.find_commit(*id)).collect::<Result<Vec<_>, _>>()?;
        let parents: Vec<_> = parents.iter().collect();
        Ok(self.0.commit(None, by, by, message, &tree, &parents)?)
    }

    /// A commit of edits onto a parent, or the first commit. No reference moves.
    pub fn write(&self, parent: Option<Oid>, edits: &[Edit], message: &str, by: &Signature) -> Result<Oid, Refusal> {
        let parent = parent.map(|id| self.0.find_commit(id)).transpose()?;
        let before = match &parent {
            Some(parent) => parent.tree()?,
            None => self.0.find_tree(self.0.treebuilder(None)?.write()?)?,
        };
        let mut update = TreeUpdateBuilder::new();
        for (path, content) in edits {
            match content {
                Some(content) => update.upsert(path.as_str(), self.0.blob(content)?, mode(&before, path)),
                None => update.remove(path.as_str()),
            };
        }
        let tree = self.0.find_tree(update.create_updated(&self.0, &before)?)?;
        let parents: Vec<_> = parent.iter().collect();
        Ok(self.0.commit(None, by, by, message, &tree, &parents)?)
    }

    /// The merge commit of `head` into `base`, or `None` where they conflict. No reference moves.
    pub fn merge(&self, base: Oid, head: Oid, message: &str, by: &Signature) -> Result<Option<Oid>, Refusal> {
        let (base, head) = (self.0.find_commit(base)?, self.0.find_commit(head)?);
        let mut index = self.0.merge_commits(&base, &head, None)?;
        if index.has_conflicts() {
            return Ok(None);
        }
        let tree = self.0.find_tree(index.write_tree_to(&self.0)?)?;
        Ok(Some(self.0.commit(None, by, by, message, &tree, &[&base, &head])?))
    }

    /// Whether `head` merges into `base` without a conflict.
    pub fn merges(&self, base: Oid, head: Oid) -> Result<bool, Refusal> {
        let (base, head) = (self.0.find_commit(base)?, self.0.find_commit(head)?);
        Ok(!self.0.merge_commits(&base, &head, None)?.has_conflicts())
    }

    /// The newest commit that both have.
    pub fn merge_base(&self, one: Oid, other: Oid) -> Option<Oid> {
        self.0.merge_base(one, other).ok()
    }

    /// Commits of `after` that are not in `before`, newest first.
    pub fn since(&self, before: Option<Oid>, after: Oid) -> Result<Vec<Oid>, Refusal> {
        let mut walk = self.0.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        walk.push(after)?;
        if let Some(before) = before {
            walk.hide(before)?;
        }
        Ok(walk.collect::<Result<_, _>>()?)
    }

    /// The newest commits that lead to `head`.
    pub fn newest(&self, head: Oid, count: usize) -> Result<Vec<Oid>, Refusal> {
        let mut walk = self.0.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        walk.push(head)?;
        Ok(walk.take(count).collect::<Result<_, _>>()?)
    }

    /// What differs between two commits; from nothing where there is no `before`.
    pub fn changes(&self, before: Option<Oid>, after: Oid) -> Result<Changes, Refusal> {
        let diff = self.diff(before, after)?;
        let mut changes = Changes::default();
        for delta in diff.deltas() {
            let file = if delta.status() == Delta::Deleted { delta.old_file() } else { delta.new_file() };
            let path = String::from_utf8_lossy(file.path_bytes().unwrap_or_default()).into_owned();
            match delta.status() {
                Delta::Added => changes.added.push(path),
                Delta::Deleted => changes.removed.push(path),
                _ => changes.modified.push(path),
            }
        }
        let stats = diff.stats()?;
        (changes.additions, changes.deletions) = (stats.insertions(), stats.deletions());
        Ok(changes)
    }

    /// What a commit changes against its first parent.
    pub fn changes_of(&self, commit: Oid) -> Result<Changes, Refusal> {
        self.changes(self.0.find_commit(commit)?.parent_id(0).ok(), commit)
    }

    /// The text of what differs between two commits; from nothing where there is no `before`.
    pub fn patch(&self, before: Option<Oid>, after: Oid) -> Result<String, Refusal> {
        let diff = self.diff(before, after)?;
        let mut text = Vec::new();
        diff.print(git2::DiffFormat::Patch, |_, _, line| {
            if matches!(line.origin(), '+' | '-' | ' ') {
                text.push(u8::try_from(line.origin()).unwrap_or(b' '));
            }
            text.extend_from_slice(line.content());
            true
        })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn diff(&self, before: Option<Oid>, after: Oid) -> Result<git2::Diff<'_>, Refusal> {
        let before = before.map(|id| self.0.find_commit(id)?.tree()).transpose()?;
        let after = self.0.find_commit(after)?.tree()?;
        Ok(self.0.diff_tree_to_tree(before.as_ref(), Some(&after), None)?)
    }

    /// A file of a commit; `None` where there is none, or a folder.
    pub fn file(&self, commit: Oid, path: &str) -> Result<Option<File>, Refusal> {
        let tree = self.0.find_commit(commit)?.tree()?;
        let Ok(entry) = tree.get_path(Path::new(path)) else { return Ok(None) };
        if entry.kind() != Some(ObjectType::Blob) {
            return Ok(None);
        }
        let content = self.0.find_blob(entry.id())?.content().to_vec();
        Ok(Some(File { blob: entry.id(), content }))
    }

    /// The names in a folder of a commit (`""` is the root), folders first; `None` where there is no such folder.
    pub fn folder(&self, commit: Oid, path: &str) -> Result<Option<Vec<Name>>, Refusal> {
        let root = self.0.find_commit(commit)?.tree()?;
        let tree = if path.is_empty() {
            root
        } else {
            match root.get_path(Path::new(path)) {
                Ok(entry) if entry.kind() == Some(ObjectType::Tree) => self.0.find_tree(entry.id())?,
                _ => return Ok(None),
            }
        };
        let name = |entry: git2::TreeEntry<'_>| Name {
            name: String::from_utf8_lossy(entry.name_bytes()).into_owned(),
            id: entry.id(),
            is_folder: entry.kind() == Some(ObjectType::Tree),
        };
        let mut names: Vec<Name> = tree.iter().map(name).collect();
        names.sort_by_key(|name| !name.is_folder);
        Ok(Some(names))
    }

    /// The newest commit that changed a file, looking back from `commit` along first parents.
    pub fn last_change(&self, commit: Oid, path: &str) -> Result<Oid, Refusal> {
        let id = |commit: &git2::Commit<'_>| Some(commit.tree().ok()?.get_path(Path::new(path)).ok()?.id());
        let mut at = self.0.find_commit(commit)?;
        while let Ok(parent) = at.parent(0) {
            if id(&parent) != id(&at) {
                break;
            }
            at = parent;
        }
        Ok(at.id())
    }

    /// Copies what `from` leads to out of another repository, to `to`.
    pub fn fetch(&self, other: &Path, from: &str, to: &str) -> Result<(), Refusal> {
        let address = other.to_str().ok_or_else(|| Refusal::Broken("the folder's name is not UTF-8".to_owned()))?;
        let mut remote = self.0.remote_anonymous(address)?;
        let mut options = FetchOptions::new();
        options.update_fetchhead(false).download_tags(git2::AutotagOption::None);
        Ok(remote.fetch(&[format!("+{from}:{to}")], Some(&mut options), None)?)
    }
}

/// What a file is keeps through an update; new ones are plain.
fn mode(tree: &Tree<'_>, path: &str) -> FileMode {
    match tree.get_path(Path::new(path)).map(|entry| entry.filemode()) {
        Ok(mode) if mode == i32::from(FileMode::BlobExecutable) => FileMode::BlobExecutable,
        _ => FileMode::Blob,
    }
}

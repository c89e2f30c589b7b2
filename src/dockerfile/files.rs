//! The files of a stage while it is built.
//!
//! A tree of entries that is cheap to clone (a stage begins as a copy of another) and knows two kinds of ignorance: an
//! [`Node::Unknown`] entry, of which nothing is known, and an open directory, which is one but may hold more than is
//! listed.
//!
//! Traps handled here: destinations are followed through symlinks, clamped to the root, and a chain of links has an
//! end; a path through something unknown is unknown, never absent; hard links share their bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::budget::{Budget, length};
use super::{Baked, BakedKind, Content, MAX_DEPTH, MAX_PATH, Unknown};

/// How many symlinks a path may go through, as in containerd's `fs.RootPath`.
const MAX_LINKS: u32 = 255;

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mystery {
    pub line: u32,
    pub reason: Arc<str>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub node: Node,
    /// The line that put it there.
    pub line: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(File),
    Dir(Arc<Dir>),
    Link(Arc<str>),
    Unknown(Mystery),
}

#[derive(Clone, Debug)]
pub(super) struct File {
    pub content: Content,
    pub mode: u32,
    /// Who owns it, where that is known; RUN under a USER asks.
    pub owner: Owner,
    /// Names of one file share this.
    pub inode: Option<u64>,
}

/// The numeric owner; `None` when it is not known.
pub(super) type Owner = Option<u32>;

#[derive(Clone, Debug)]
pub(super) struct Dir {
    pub mode: u32,
    pub owner: Owner,
    pub children: BTreeMap<String, Entry>,
    /// There may be entries that are not listed.
    pub open: Option<Mystery>,
    /// The mode is not known.
    pub vague: bool,
}

impl Dir {
    pub fn new(mode: u32, owner: Owner) -> Self {
        Self { mode, owner, children: BTreeMap::new(), open: None, vague: false }
    }
}

/// What stands at a path.
pub(super) enum Found<'a> {
    Entry(&'a Entry),
    /// The root itself.
    Root(&'a Dir),
    Missing,
    /// A parent is no directory.
    NotDir,
    /// Nothing is known about it.
    Unknown(&'a Mystery),
    /// Not listed in a directory that may hold more than is listed.
    Unlisted(&'a Mystery),
}

/// A path after its symlinks are followed: names from the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub names: Vec<String>,
    /// It leads through something that is not known.
    pub mystery: Option<Mystery>,
    /// It leads to what is not listed in an open directory.
    pub unlisted: Option<Mystery>,
}

impl Resolved {
    pub fn path(&self) -> String {
        self.names.join("/")
    }
}

/// Why a path cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    TooManyLinks,
    NotDir(String),
}

impl Stuck {
    pub fn message(&self) -> String {
        match self {
            Self::TooManyLinks => "too many links".to_owned(),
            Self::NotDir(path) => format!("/{path}: not a directory"),
        }
    }
}

/// The files of a stage.
#[derive(Clone, Debug)]
pub(super) struct Files {
    root: Arc<Dir>,
    /// What is copied because another stage shares it counts as made.
    budget: Rc<Budget>,
}

/// A directory that can be changed: a copy, where it is shared.
pub(super) fn own<'d>(dir: &'d mut Arc<Dir>, budget: &Budget) -> &'d mut Dir {
    if Arc::strong_count(dir) > 1 {
        budget.take_paths(dir.children.len(), dir.children.keys().map(String::len).sum());
    }
    Arc::make_mut(dir)
}

impl Files {
    pub fn new(budget: &Rc<Budget>) -> Self {
        Self { root: Arc::new(Dir::new(0o755, Some(0))), budget: Rc::clone(budget) }
    }

    pub fn root(&self) -> &Dir {
        &self.root
    }

    /// What stands at the names, following no link.
    pub fn find<S: AsRef<str>>(&self, names: &[S]) -> Found<'_> {
        let mut dir = &*self.root;
        let Some((last, parents)) = names.split_last() else { return Found::Root(dir) };
        for name in parents {
            match dir.children.get(name.as_ref()).map(|entry| &entry.node) {
                Some(Node::Dir(child)) => dir = child,
                Some(Node::Unknown(mystery)) => return Found::Unknown(mystery),
                Some(_) => return Found::NotDir,
                None => return dir.open.as_ref().map_or(Found::Missing, Found::Unlisted),
            }
        }
        match (dir.children.get(last.as_ref()), &dir.open) {
            (Some(Entry { node: Node::Unknown(mystery), .. }), _) => Found::Unknown(mystery),
            (Some(entry), _) => Found::Entry(entry),
            (None, Some(mystery)) => Found::Unlisted(mystery),
            (None, None) => Found::Missing,
        }
    }

    /// The directory at the names.
    pub fn dir<S: AsRef<str>>(&self, names: &[S]) -> Option<&Dir> {
        match self.find(names) {
            Found::Root(dir) => Some(dir),
            Found::Entry(Entry { node: Node::Dir(dir), .. }) => Some(dir),
            _ => None,
        }
    }

    /// Follows every symlink of `path`, the last name's too when `last`. Names that are not there are kept.
    pub fn resolve(&self, path: &str, last: bool) -> Result<Resolved, Stuck> {
        let mut todo: Vec<String> = names_of(path).rev().map(str::to_owned).collect();
        let mut names: Vec<String> = Vec::new();
        let mut links = 0;
        let (mut mystery, mut unlisted) = (None, None);
        while let Some(name) = todo.pop() {
            if name == ".." {
                names.pop();
                continue;
            }
            names.push(name);
            match self.find(&names) {
                Found::Entry(Entry { node: Node::Link(target), .. }) if last || !todo.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Stuck::TooManyLinks);
                    }
                    if target.starts_with('/') {
                        names.clear();
                    } else {
                        names.pop();
                    }
                    todo.extend(names_of(target).rev().map(str::to_owned));
                }
                Found::Unknown(found) => mystery = Some(found.clone()),
                Found::Unlisted(found) => unlisted = Some(found.clone()),
                Found::NotDir => {
                    names.pop();
                    return Err(Stuck::NotDir(names.join("/")));
                }
                _ => {}
            }
        }
        Ok(Resolved { names, mystery, unlisted })
    }

    /// Changes the directory at the names, which must be one.
    pub fn dir_mut<S: AsRef<str>>(&mut self, names: &[S]) -> Option<&mut Dir> {
        let mut dir = own(&mut self.root, &self.budget);
        for name in names {
            match dir.children.get_mut(name.as_ref()) {
                Some(Entry { node: Node::Dir(child), .. }) => dir = own(child, &self.budget),
                _ => return None,
            }
        }
        Some(dir)
    }

    /// Changes the entry at the names.
    pub fn entry_mut<S: AsRef<str>>(&mut self, names: &[S]) -> Option<&mut Entry> {
        let (last, parents) = names.split_last()?;
        self.dir_mut(parents)?.children.get_mut(last.as_ref())
    }

    /// Puts an entry into a directory that is there. Below something unknown, nothing can be put: `false`.
    pub fn put<S: AsRef<str>>(&mut self, names: &[S], entry: Entry) -> bool {
        let Some((last, parents)) = names.split_last() else { return false };
        if !self.budget.allows(names) {
            return false;
        }
        match self.dir_mut(parents) {
            Some(dir) => {
                dir.children.insert(last.as_ref().to_owned(), entry);
                self.budget.take_paths(1, last.as_ref().len());
                true
            }
            None => false,
        }
    }

    /// As [`Self::put`], of what takes no directory's place: `false` where one is.
    pub fn put_beside_dirs<S: AsRef<str>>(&mut self, names: &[S], entry: Entry) -> bool {
        let Some((last, parents)) = names.split_last() else { return false };
        if !self.budget.allows(names) {
            return true;
        }
        if let Some(dir) = self.dir_mut(parents) {
            match dir.children.get_mut(last.as_ref()) {
                Some(Entry { node: Node::Dir(_), .. }) => return false,
                Some(old) => *old = entry,
                None => drop(dir.children.insert(last.as_ref().to_owned(), entry)),
            }
            self.budget.take_paths(1, last.as_ref().len());
        }
        true
    }

    /// Takes an entry away.
    pub fn remove<S: AsRef<str>>(&mut self, names: &[S]) -> Option<Entry> {
        let (last, parents) = names.split_last()?;
        self.dir_mut(parents)?.children.remove(last.as_ref())
    }

    /// Makes the directory and its parents, as `mkdir -p` does; the names are resolved already. What is there keeps its
    /// mode.
    pub fn make_dirs<S: AsRef<str>>(&mut self, names: &[S], mode: u32, owner: Owner, line: u32) -> Result<(), Stuck> {
        if !self.budget.allows(names) {
            return Ok(());
        }
        let mut dir = own(&mut self.root, &self.budget);
        let mut path = String::new();
        for name in names {
            let name = name.as_ref();
            path = crate::tree::join(&path, name);
            let open = dir.open.clone();
            let entry = dir.children.entry(name.to_owned()).or_insert_with(|| {
                self.budget.take_paths(1, name.len());
                // In an open directory it may have been there before, with more in it.
                let made = Dir { vague: open.is_some(), open, ..Dir::new(mode, owner) };
                Entry { node: Node::Dir(Arc::new(made)), line }
            });
            match &mut entry.node {
                Node::Dir(child) => dir = own(child, &self.budget),
                Node::Unknown(_) => return Ok(()),
                _ => return Err(Stuck::NotDir(path)),
            }
        }
        Ok(())
    }

    /// From here on nothing is known about the path and what is below it. Other names of files that it had are unknown
    /// too.
    pub fn forget<S: AsRef<str>>(&mut self, names: &[S], mystery: &Mystery) {
        // There is no path that long; one that lies too deep is forgotten with what it lies in.
        if length(names) > MAX_PATH {
            return;
        }
        let names = &names[..names.len().min(MAX_DEPTH)];
        let mut inodes = BTreeSet::new();
        match self.find(names) {
            Found::Root(dir) => collect_inodes(dir, &mut inodes),
            Found::Entry(entry) => collect_entry_inodes(entry, &mut inodes),
            _ => {}
        }
        let Some((last, parents)) = names.split_last() else {
            let root = own(&mut self.root, &self.budget);
            root.children.clear();
            root.open = Some(mystery.clone());
            return;
        };
        self.each_name(&inodes, &mut |node| *node = Node::Unknown(mystery.clone()));
        let entry = Entry { node: Node::Unknown(mystery.clone()), line: mystery.line };
        let there = (0..=parents.len()).rev().find(|length| self.dir(&parents[..*length]).is_some()).unwrap_or(0);
        if self.make_dirs(parents, 0o755, None, mystery.line).is_err() {
            return;
        }
        // Directories that are only thought to be there are not in the image.
        for length in there + 1..=parents.len() {
            if let Some(dir) = self.dir_mut(&parents[..length]) {
                dir.vague = true;
            }
        }
        if let Some(dir) = self.dir_mut(parents) {
            dir.children.insert(last.as_ref().to_owned(), entry);
        }
    }

    /// The path stays a directory, but what is in it is not known any more.
    pub fn forget_contents<S: AsRef<str>>(&mut self, names: &[S], mystery: &Mystery) {
        match self.dir_mut(names) {
            Some(dir) => {
                let mut inodes = BTreeSet::new();
                collect_inodes(dir, &mut inodes);
                dir.children.clear();
                dir.open = Some(mystery.clone());
                dir.vague = true;
                self.each_name(&inodes, &mut |node| *node = Node::Unknown(mystery.clone()));
            }
            None => self.forget(names, mystery),
        }
    }

    /// Changes every name of some files.
    pub fn each_name(&mut self, inodes: &BTreeSet<u64>, change: &mut dyn FnMut(&mut Node)) {
        if !inodes.is_empty() {
            self.budget.take_steps(self.budget.paths());
            each_name(&mut self.root, inodes, change, &self.budget);
        }
    }

    /// What an image of these files holds.
    pub fn bake(&self) -> (BTreeMap<String, Baked>, Vec<Unknown>) {
        // A map that is made of a list at once takes a fraction of the time.
        let (mut entries, mut unknown) = (Vec::new(), Vec::new());
        bake(&self.root, "", &mut entries, &mut unknown);
        (entries.into_iter().collect(), unknown)
    }
}

/// The names of a path; empty ones and `.` are passed over, `..` is kept.
pub(super) fn names_of(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|name| !matches!(*name, "" | "."))
}

fn collect_inodes(dir: &Dir, inodes: &mut BTreeSet<u64>) {
    dir.children.values().for_each(|entry| collect_entry_inodes(entry, inodes));
}

fn collect_entry_inodes(entry: &Entry, inodes: &mut BTreeSet<u64>) {
    match &entry.node {
        Node::File(file) => inodes.extend(file.inode),
        Node::Dir(dir) => collect_inodes(dir, inodes),
        _ => {}
    }
}

fn each_name(dir: &mut Arc<Dir>, inodes: &BTreeSet<u64>, change: &mut dyn FnMut(&mut Node), budget: &Budget) {
    for entry in own(dir, budget).children.values_mut() {
        match &mut entry.node {
            Node::File(file) if file.inode.is_some_and(|inode| inodes.contains(&inode)) => change(&mut entry.node),
            Node::Dir(child) => each_name(child, inodes, change, budget),
            _ => {}
        }
    }
}

fn bake(dir: &Dir, path: &str, entries: &mut Vec<(String, Baked)>, unknown: &mut Vec<Unknown>) {
    if let Some(mystery) = &dir.open {
        unknown.push(Unknown { path: path.to_owned(), line: mystery.line, reason: mystery.reason.to_string() });
    }
    for (name, entry) in &dir.children {
        let path = crate::tree::join(path, name);
        let kind = match &entry.node {
            Node::File(file) => BakedKind::File { content: file.content.clone(), mode: file.mode },
            Node::Link(target) => BakedKind::Link { target: target.to_string() },
            Node::Dir(child) => {
                bake(child, &path, entries, unknown);
                if child.vague {
                    continue;
                }
                BakedKind::Dir { mode: child.mode }
            }
            Node::Unknown(mystery) => {
                unknown.push(Unknown { path, line: mystery.line, reason: mystery.reason.to_string() });
                continue;
            }
        };
        entries.push((path, Baked { kind, line: entry.line }));
    }
}

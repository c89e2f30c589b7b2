//! COPY and ADD: what lands where, as BuildKit's file operations and `fsutil/copy` do it.
//!
//! One [`Job`] is one instruction after substitution; [`Copier`] runs it against the files of a stage.
//!
//! Traps handled here: whether a file lands in or as the destination depends on what is there already; a directory means
//! its contents; several sources onto one name overwrite each other; links are followed in the destination that is named
//! and in the source that is named, and nowhere else; a directory's own mode is applied only below the top; a pattern
//! without a match copies nothing and says nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::budget::Budget;
use super::chmod::Change;
use super::context::{Followed, Item, Source, follow};
use super::files::{Dir, Entry, File, Files, Found, Mystery, Node, Owner, Resolved, Stuck, names_of};
use super::pattern::{ParentMatch, Patterns, clean, has_wildcards, matches};
use super::{BuildError, Content, Taken, Trap};
use crate::tree::{join, split};

/// An instruction's copying, after substitution.
pub(super) struct Job<'a> {
    pub line: u32,
    pub source: &'a dyn Source,
    /// How the source is called in messages.
    pub from: &'a str,
    pub chmod: Option<Change>,
    /// `None` keeps the source's owner; `Some` is `--chown`, and its uid where that is known.
    pub chown: Option<Owner>,
    pub exclude: &'a Patterns,
    /// `--parents`: only what matches, with its parents.
    pub include: Option<&'a Patterns>,
    /// Absolute, with a trailing slash or dot where it was written.
    pub destination: &'a str,
}

/// What copying tells besides the files.
#[derive(Default)]
pub(super) struct Notes {
    pub traps: Vec<Trap>,
    /// Paths below which an earlier RUN may have left something, and its line.
    pub unlisted: Vec<(String, u32)>,
    /// What stages were given of the build context.
    pub taken: Vec<Taken>,
}

pub(super) struct Copier<'a> {
    pub files: &'a mut Files,
    pub notes: &'a mut Notes,
    /// What the whole build may use up.
    pub budget: &'a Budget,
    /// The next number for hard links.
    pub next_inode: &'a mut u64,
}

impl Copier<'_> {
    /// Copies one source word: a path, or a pattern when `wildcards`.
    pub fn copy(&mut self, job: &Job<'_>, word: &str) -> Result<(), BuildError> {
        for path in self.matching(job, word)? {
            self.copy_path(job, &path)?;
        }
        Ok(())
    }

    /// The paths that a source word names, without leading slash.
    pub fn matching(&mut self, job: &Job<'_>, word: &str) -> Result<Vec<String>, BuildError> {
        let path = clean(&format!("/{word}"));
        let names: Vec<&str> = names_of(&path).collect();
        let Some(first) = names.iter().position(|name| has_wildcards(name)) else {
            return Ok(vec![names.join("/")]);
        };
        let (base, pattern) = (names[..first].join("/"), names[first..].join("/"));
        if super::pattern::check(&pattern).is_err() {
            return Err(fails(job.line, format!("syntax error in pattern `{pattern}`")));
        }
        let base = match follow(job.source, &base, true)? {
            Followed::There(base, _) => base,
            Followed::Missing => return Err(missing_base(job.line, &base)),
            Followed::Unknown(mystery) => {
                self.forget_destination(job, &mystery)?;
                return Ok(Vec::new());
            }
        };
        if !job.source.present(&base)? {
            return Err(missing_base(job.line, &base));
        }
        let (mut found, mut mystery) = (Vec::new(), None);
        let mut listed = Vec::new();
        walk_matches(job.source, &base, "", &pattern, &mut listed, &mut mystery)?;
        for path in listed {
            // In front of the pivot of --parents, a pattern names more than the client sends.
            if job.include.is_none() || job.source.present(&path)? {
                found.push(path);
            }
        }
        if let Some(mystery) = mystery {
            // More may match in a directory that is not known in full.
            self.forget_destination(job, &mystery)?;
            return Ok(Vec::new());
        }
        if found.is_empty() {
            let message =
                format!("{word} matches nothing in {}: nothing is copied, and the build does not say so", job.from);
            self.notes.traps.push(Trap { line: job.line, message });
        }
        Ok(found)
    }

    /// Copies one path of the source.
    pub fn copy_path(&mut self, job: &Job<'_>, path: &str) -> Result<(), BuildError> {
        let (followed, item) = match follow(job.source, path, true)? {
            Followed::There(followed, _) if job.include.is_some() && !job.source.present(&followed)? => {
                return Err(missing_base(job.line, path));
            }
            Followed::There(followed, item) => (followed, item),
            Followed::Missing => return Err(fails(job.line, format!("\"/{path}\": not found in {}", job.from))),
            Followed::Unknown(mystery) => return self.forget_destination(job, &mystery),
        };
        let Some(target) = self.destination(job)? else { return Ok(()) };
        let mut target = target.names;
        let is_dir = matches!(item, Item::Dir(..));
        let existing = self.files.dir(&target).is_some();
        if !is_dir && existing {
            target.push(split(path).1.to_owned());
        }
        let parents = if is_dir && !existing { &target[..] } else { &target[..target.len().saturating_sub(1)] };
        self.make_dirs(job, parents)?;
        let mut walk = Walk { job, pending: Vec::new(), inodes: HashMap::new() };
        self.copy_item(&mut walk, &followed, "", &item, &target, None)
    }

    /// Puts a file of these bytes at the destination, as a heredoc does.
    pub fn write(&mut self, job: &Job<'_>, name: &str, bytes: Arc<[u8]>) -> Result<(), BuildError> {
        let path = clean(&format!("/{name}"));
        if path.matches('/').count() != 1 || path == "/" {
            return Err(fails(job.line, format!("open {path}: no such file or directory")));
        }
        let Some(target) = self.destination(job)? else { return Ok(()) };
        let mut target = target.names;
        if self.files.dir(&target).is_some() {
            target.push(path[1..].to_owned());
        }
        self.make_dirs(job, &target[..target.len().saturating_sub(1)])?;
        self.budget.take_bytes(bytes.len());
        let file = File { content: Content::Bytes(bytes), mode: 0o644, owner: Some(0), inode: None };
        self.put_file(job, &target, file)
    }

    /// Makes what must be there of the destination, and follows its links. `None` when it is not known where it leads.
    pub fn destination(&mut self, job: &Job<'_>) -> Result<Option<Resolved>, BuildError> {
        let destination = job.destination;
        let parent = match destination.rfind('/') {
            Some(at) if !matches!(&destination[at + 1..], "" | ".") => &destination[..at],
            _ => destination,
        };
        let stuck = |stuck: Stuck| fails(job.line, format!("mkdir {parent}: {}", stuck.message()));
        let parent_at = self.files.resolve(parent, true).map_err(stuck)?;
        let target = self.files.resolve(&clean(destination), true).map_err(stuck)?;
        if let Some(mystery) = parent_at.mystery.as_ref().or(target.mystery.as_ref()) {
            let mystery = mystery.clone();
            self.files.forget(&target.names, &mystery);
            return Ok(None);
        }
        if let Some(mystery) = target.unlisted.as_ref() {
            self.notes.unlisted.push((target.path(), mystery.line));
        }
        self.make_dirs(job, &parent_at.names)?;
        // The parent may have been made through a dangling link.
        self.files.resolve(&clean(destination), true).map(Some).map_err(stuck)
    }

    fn forget_destination(&mut self, job: &Job<'_>, mystery: &Mystery) -> Result<(), BuildError> {
        let mystery = Mystery { line: job.line, reason: mystery.reason.clone() };
        if let Some(target) = self.destination(job)? {
            if self.files.dir(&target.names).is_some() {
                self.files.forget_contents(&target.names, &mystery);
            } else {
                self.files.forget(&target.names, &mystery);
            }
        }
        Ok(())
    }

    fn make_dirs(&mut self, job: &Job<'_>, names: &[String]) -> Result<(), BuildError> {
        // Docker's daemon has a umask of 022, also for the mode that --chmod gives to new parents.
        let mode = match &job.chmod {
            Some(Change::Set(mode)) => mode & 0o755,
            _ => 0o755,
        };
        let owner = job.chown.unwrap_or(Some(0));
        self.files
            .make_dirs(names, mode, owner, job.line)
            .map_err(|stuck| fails(job.line, format!("mkdir /{}: {}", names.join("/"), stuck.message())))
    }

    fn copy_item(
        &mut self,
        walk: &mut Walk<'_, '_>,
        path: &str,
        below: &str,
        item: &Item,
        target: &[String],
        parent: Option<&State>,
    ) -> Result<(), BuildError> {
        let job = walk.job;
        let state = State::of(job, below, parent)?;
        match item {
            Item::Dir(mode, owner, open) => {
                return self.copy_dir(walk, path, below, (*mode, *owner, open.as_ref()), target, &state);
            }
            _ if !state.wanted() => return Ok(()),
            _ => self.make_pending(walk)?,
        }
        self.budget.check(job.line)?;
        match item {
            Item::File(file) => {
                let mut file = file.clone();
                file.inode = file.inode.map(|inode| walk.inode(inode, self.next_inode));
                self.put_file(job, target, file)
            }
            Item::Link(to) => {
                let named = job.include.is_some() && parent.is_none_or(|parent| !parent.included || parent.root);
                if named && matches!(follow(job.source, path, true)?, Followed::Missing) {
                    return Err(fails(job.line, format!("\"/{path}\": not found in {}", job.from)));
                }
                self.notes.taken.push(Taken::Link { at: target.join("/"), target: to.to_string() });
                self.put(job, target, Node::Link(to.clone()))
            }
            Item::Unknown(mystery) => {
                self.files.forget(target, &Mystery { line: job.line, reason: mystery.reason.clone() });
                Ok(())
            }
            Item::Dir(..) => Ok(()),
        }
    }

    fn copy_dir(
        &mut self,
        walk: &mut Walk<'_, '_>,
        path: &str,
        below: &str,
        (mode, owner, open): (u32, Owner, Option<&Mystery>),
        target: &[String],
        state: &State,
    ) -> Result<(), BuildError> {
        let job = walk.job;
        walk.pending.push(Pending { target: target.to_vec(), mode, owner, top: below.is_empty(), made: false });
        if state.wanted() {
            self.make_pending(walk)?;
        }
        if let Some(mystery) = open {
            let mystery = Mystery { line: job.line, reason: mystery.reason.clone() };
            // What is not listed there may replace what is here.
            self.files.forget_contents(target, &mystery);
        }
        if !state.excluded || job.exclude.has_exceptions() {
            let mut target = target.to_vec();
            for (name, item) in job.source.list(path)? {
                let (path, below) = (join(path, &name), join(below, &name));
                target.push(name);
                self.copy_item(walk, &path, &below, &item, &target, Some(state))?;
                target.pop();
            }
        }
        walk.pending.pop();
        Ok(())
    }

    /// Makes the directories that were waiting for something in them to be copied.
    fn make_pending(&mut self, walk: &mut Walk<'_, '_>) -> Result<(), BuildError> {
        let job = walk.job;
        for pending in walk.pending.iter_mut().filter(|pending| !pending.made) {
            pending.made = true;
            let mode = job.chmod.as_ref().map_or(pending.mode, |change| change.apply(pending.mode, true));
            let owner = job.chown.unwrap_or(pending.owner);
            match self.files.find(&pending.target) {
                Found::Root(_) => {}
                Found::Entry(Entry { node: Node::Dir(_), .. }) => {
                    if let (false, Some(dir)) = (pending.top, self.files.dir_mut(&pending.target)) {
                        dir.mode = mode;
                        dir.vague = false;
                        dir.owner = owner;
                    }
                }
                Found::Entry(_) | Found::NotDir => {
                    return Err(fails(
                        job.line,
                        format!("cannot copy to non-directory: /{}", pending.target.join("/")),
                    ));
                }
                Found::Unknown(mystery) | Found::Unlisted(mystery) => {
                    // It is a directory now, or the build fails; what else is in it stays unknown.
                    let dir = Dir { open: Some(mystery.clone()), ..Dir::new(mode, owner) };
                    self.files.put(&pending.target, Entry { node: Node::Dir(Arc::new(dir)), line: job.line });
                }
                Found::Missing => {
                    let node = Node::Dir(Arc::new(Dir::new(mode, owner)));
                    self.files.put(&pending.target, Entry { node, line: job.line });
                }
            }
        }
        Ok(())
    }

    fn put_file(&mut self, job: &Job<'_>, target: &[String], mut file: File) -> Result<(), BuildError> {
        if let Some(change) = &job.chmod {
            file.mode = change.apply(file.mode, false);
        }
        file.owner = job.chown.unwrap_or(file.owner);
        if let Content::Context(path) = &file.content {
            self.notes.taken.push(Taken::File(path.clone()));
        }
        self.put(job, target, Node::File(file))
    }

    fn put(&mut self, job: &Job<'_>, target: &[String], node: Node) -> Result<(), BuildError> {
        if self.files.put_beside_dirs(target, Entry { node, line: job.line }) {
            return Ok(());
        }
        Err(fails(job.line, format!("cannot replace to directory /{} with file", target.join("/"))))
    }
}

struct Walk<'j, 'a> {
    job: &'j Job<'a>,
    pending: Vec<Pending>,
    inodes: HashMap<u64, u64>,
}

impl Walk<'_, '_> {
    fn inode(&mut self, old: u64, next: &mut u64) -> u64 {
        *self.inodes.entry(old).or_insert_with(|| {
            *next += 1;
            *next
        })
    }
}

/// A directory that is made when it or something in it is wanted.
struct Pending {
    target: Vec<String>,
    mode: u32,
    owner: Owner,
    top: bool,
    made: bool,
}

/// What the patterns say about a path.
struct State {
    /// The source itself.
    root: bool,
    included: bool,
    excluded: bool,
    include: Option<ParentMatch>,
    exclude: Option<ParentMatch>,
}

impl State {
    /// The source itself is never tested.
    fn of(job: &Job<'_>, below: &str, parent: Option<&Self>) -> Result<Self, BuildError> {
        let mut state = Self { root: below.is_empty(), included: true, excluded: false, include: None, exclude: None };
        if below.is_empty() {
            return Ok(state);
        }
        let failed = |message| fails(job.line, message);
        if let Some(patterns) = job.include {
            let parent = parent.and_then(|parent| parent.include.as_ref());
            let (matched, own) = patterns.matches_dir(below, parent).map_err(failed)?;
            state.included = matched;
            state.include = Some(own);
        }
        if !job.exclude.is_empty() {
            let parent = parent.and_then(|parent| parent.exclude.as_ref());
            let (matched, own) = job.exclude.matches_dir(below, parent).map_err(failed)?;
            state.excluded = matched;
            state.exclude = Some(own);
        }
        Ok(state)
    }

    fn wanted(&self) -> bool {
        self.included && !self.excluded
    }
}

fn walk_matches(
    source: &dyn Source,
    base: &str,
    below: &str,
    pattern: &str,
    found: &mut Vec<String>,
    mystery: &mut Option<Mystery>,
) -> Result<(), BuildError> {
    let at = if below.is_empty() { base.to_owned() } else { join(base, below) };
    if let Some(Item::Dir(_, _, Some(open))) = source.item(&at)? {
        *mystery = Some(open);
        return Ok(());
    }
    for (name, item) in source.list(&at)? {
        let below = join(below, &name);
        if matches(pattern, &below).unwrap_or(false) {
            found.push(join(base, &below));
        } else if matches!(item, Item::Dir(..)) && may_match_below(pattern, &below) {
            walk_matches(source, base, &below, pattern, found, mystery)?;
        }
    }
    Ok(())
}

/// Whether a pattern could match something in `dir`. A class may match a slash, so it makes everything possible.
fn may_match_below(pattern: &str, dir: &str) -> bool {
    if pattern.contains('[') {
        return true;
    }
    let mut parts = pattern.split('/');
    dir.split('/').all(|name| parts.next().is_some_and(|part| matches(part, name).unwrap_or(false)))
        && parts.next().is_some()
}

fn missing_base(line: u32, base: &str) -> BuildError {
    fails(line, format!("lstat /{base}: no such file or directory"))
}

fn fails(line: u32, message: impl Into<String>) -> BuildError {
    BuildError::Fails { line, message: message.into() }
}

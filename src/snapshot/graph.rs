//! How commits stand to each other.
//!
//! The trap: a walk over a graph of which a part is missing. In a cache, a commit's parents may not be fetched yet: libgit2
//! then fails to find them, which is [`TreeError::NotHere`] with the commits whose history to fetch. In a shallow clone a
//! `shallow` file makes libgit2 believe that cut-off commits are roots: there only what is found counts, and what is not
//! found is an error that says what to do.

use std::collections::HashSet;

use git2::{Error, ErrorClass, ErrorCode, Oid, Repository, Sort};

use super::objects::{EntryKind, ObjectDb, object_id};
use crate::tree::{ObjectId, Objects, TreeError, join};

/// A commit of a list, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub id: ObjectId,
    /// The first line of its message; bytes that are not UTF-8 are replaced.
    pub subject: String,
    /// Its author's name.
    pub author: String,
}

/// How one commit stands to a branch's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The same commit.
    Same,
    /// An ancestor of the head; this many commits of the head's first-parent line are not in it.
    Behind(u32),
    /// A descendant of the head.
    Ahead,
    /// Neither.
    Diverged,
}

impl ObjectDb {
    /// Whether `ancestor` is `head` or one of its ancestors.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a part of the history is missing, [`TreeError::Io`] where it cannot be read.
    pub fn is_ancestor(&self, ancestor: &ObjectId, head: &ObjectId) -> Result<bool, TreeError> {
        if ancestor == head {
            return Ok(true);
        }
        let (old, new) = (self.oid(ancestor)?, self.oid(head)?);
        let found = self.repository().graph_descendant_of(new, old);
        match found.map_err(|error| self.absent(&error, &[ancestor, head]))? {
            false if self.is_shallow() => Err(self.cut_off()),
            found => Ok(found),
        }
    }

    /// The best common ancestors of two commits, as `git merge-base --all` finds them, the one that `git merge-base` prints
    /// first; none when they have no history in common, several when they were merged crosswise.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a part of the history is missing, [`TreeError::Io`] where it cannot be read.
    pub fn merge_bases(&self, one: &ObjectId, other: &ObjectId) -> Result<Vec<ObjectId>, TreeError> {
        if one == other {
            return Ok(vec![one.clone()]);
        }
        let found = self.repository().merge_bases(self.oid(one)?, self.oid(other)?);
        match found {
            Ok(bases) => Ok(bases.iter().map(|base| object_id(*base)).collect()),
            Err(error) if error.code() == ErrorCode::NotFound && error.class() == ErrorClass::Merge => {
                if self.is_shallow() { Err(self.cut_off()) } else { Ok(Vec::new()) }
            }
            Err(error) => Err(self.absent(&error, &[one, other])),
        }
    }

    /// How many commits on the first-parent line of `head` are not `bound` or an ancestor of it: how many merges or direct
    /// commits the branch has gone on since. `None` when `bound` is no ancestor of `head`.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a part of the history is missing, [`TreeError::Io`] where it cannot be read.
    pub fn behind_first_parent(&self, bound: &ObjectId, head: &ObjectId) -> Result<Option<u32>, TreeError> {
        if !self.is_ancestor(bound, head)? {
            return Ok(None);
        }
        let (old, new) = (self.oid(bound)?, self.oid(head)?);
        let count = first_parents_since(&self.repository(), old, new);
        count.map(Some).map_err(|error| self.absent(&error, &[bound, head]))
    }

    /// How `commit` stands to `head`.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a part of the history is missing, [`TreeError::Io`] where it cannot be read.
    pub fn standing(&self, commit: &ObjectId, head: &ObjectId) -> Result<Standing, TreeError> {
        if commit == head {
            return Ok(Standing::Same);
        }
        if let Some(steps) = self.behind_first_parent(commit, head)? {
            return Ok(Standing::Behind(steps));
        }
        Ok(if self.is_ancestor(head, commit)? { Standing::Ahead } else { Standing::Diverged })
    }

    /// When `commit` was committed, in Unix seconds, as it says itself.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where the commit is missing, [`TreeError::Io`] where it cannot be read.
    pub fn commit_time(&self, commit: &ObjectId) -> Result<i64, TreeError> {
        let id = self.oid(commit)?;
        let repository = self.repository();
        let found = repository.find_commit(id).map(|commit| commit.time().seconds());
        found.map_err(|error| self.absent(&error, &[commit]))
    }

    /// Whether every ancestor of `commit` is here. `known` are commits of which that is known already: the walk stops there.
    ///
    /// # Errors
    /// [`TreeError::Io`] where what is here cannot be read.
    pub fn has_history(&self, commit: &ObjectId, known: &[ObjectId]) -> Result<bool, TreeError> {
        if !self.has(commit) {
            return Ok(false);
        }
        if known.contains(commit) {
            return Ok(true);
        }
        if self.is_shallow() {
            return Ok(false);
        }
        let known = known.iter().filter(|known| self.has(known)).map(|known| self.oid(known));
        let known = known.collect::<Result<Vec<_>, _>>()?;
        match walk_all(&self.repository(), self.oid(commit)?, &known) {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(self.io(&error)),
        }
    }

    /// The first-parent line that ends at `head`, oldest first: each commit with its committer's time, Unix seconds.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a commit of it is missing, [`TreeError::Unfit`] in a shallow clone.
    pub fn first_parents(&self, head: &ObjectId) -> Result<Vec<(ObjectId, i64)>, TreeError> {
        if self.is_shallow() {
            let what = "the clone is shallow, so a part of the history is missing: run `git fetch --unshallow` in it";
            return Err(TreeError::Unfit { path: self.path().display().to_string(), what: what.to_owned() });
        }
        let repository = self.repository();
        let mut line = Vec::new();
        let mut next = Some(self.oid(head)?);
        while let Some(id) = next {
            let commit = repository.find_commit(id).map_err(|error| self.absent(&error, &[head]))?;
            line.push((object_id(id), commit.time().seconds()));
            next = commit.parent_id(0).ok();
        }
        line.reverse();
        Ok(line)
    }

    /// The newest commit on the first-parent line of `head` at which `path` is the blob `blob`; where `path` never was, at
    /// which another path is, with that path. `None` where no commit has it; the line is walked to its end then, and each
    /// directory of it read once.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a commit or directory is missing, [`TreeError::Unfit`] in a shallow clone and where the line
    /// has more than `most` commits, [`TreeError::Io`] where it cannot be read.
    pub fn version(
        &self,
        head: &ObjectId,
        path: &str,
        blob: &ObjectId,
        most: usize,
    ) -> Result<Option<(ObjectId, String)>, TreeError> {
        let wanted = self.oid(blob)?;
        let line = self.first_parents(head)?;
        // What no tree of a complete clone can name is not worth the walk.
        if !self.has(blob) && !self.is_partial() {
            return Ok(None);
        }
        if line.len() > most {
            let what = format!("its branch has more than {most} commits");
            return Err(TreeError::Unfit { path: self.path().display().to_string(), what });
        }
        let (mut elsewhere, mut seen) = (None, HashSet::new());
        for (commit, _) in line.into_iter().rev() {
            let root = self.root(&commit)?;
            if self.blob_at(&commit, root, path)? == Some(wanted) {
                return Ok(Some((commit, path.to_owned())));
            }
            if elsewhere.is_none() {
                let found = self.find_blob(&commit, root, wanted, &mut seen)?;
                elsewhere = found.map(|path| (commit, path));
            }
        }
        Ok(elsewhere)
    }

    /// What `path` was on the first-parent line that ends at `head`: its blobs, the newest first, each as often as it came anew,
    /// with the newest commit that had it then; and whether the line was looked through to its first commit. At most `most`
    /// commits are looked at.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a commit or a directory of that line is missing, [`TreeError::Io`] where it cannot be read.
    pub fn past(
        &self,
        head: &ObjectId,
        path: &str,
        most: usize,
    ) -> Result<(Vec<(ObjectId, ObjectId)>, bool), TreeError> {
        let need = |error| match error {
            TreeError::NotHere(_) => self.need(Objects::Line(head.clone())),
            error => error,
        };
        let mut versions: Vec<(ObjectId, ObjectId)> = Vec::new();
        let (mut next, mut seen) = (Some(self.oid(head)?), None);
        for _ in 0..most {
            let Some(id) = next else { break };
            let (root, parent) = match self.step(id) {
                // Cut off here.
                Err(TreeError::NotHere(_)) if self.is_shallow() && seen.is_some() => break,
                step => step.map_err(need)?,
            };
            // What did not change at all needs no second look.
            if seen != Some(root) {
                seen = Some(root);
                let commit = object_id(id);
                if let Some(blob) = self.blob_at(&commit, root, path).map_err(need)?.map(object_id)
                    && versions.last().is_none_or(|(_, last)| *last != blob)
                {
                    versions.push((commit, blob));
                }
            }
            next = parent;
        }
        Ok((versions, next.is_none() && !self.is_shallow()))
    }

    /// Whether what [`ObjectDb::past`] looks at is here.
    ///
    /// # Errors
    /// [`TreeError::Io`] where what is here cannot be read.
    pub fn has_line(&self, head: &ObjectId, most: usize) -> Result<bool, TreeError> {
        let (mut next, mut seen) = (Some(self.oid(head)?), HashSet::new());
        for _ in 0..most {
            let Some(id) = next else { break };
            let (root, parent) = match self.step(id) {
                Err(TreeError::NotHere(_)) => return Ok(false),
                step => step?,
            };
            if !self.has_dirs(root, &mut seen)? {
                return Ok(false);
            }
            next = parent;
        }
        Ok(true)
    }

    /// The root directory of a commit, and its first parent.
    fn step(&self, id: Oid) -> Result<(Oid, Option<Oid>), TreeError> {
        let repository = self.repository();
        if !self.contains(&repository, id) {
            return Err(self.need(Objects::Commit(object_id(id))));
        }
        let found = repository.find_commit(id).map_err(|error| self.io(&error))?;
        Ok((found.tree_id(), found.parent_id(0).ok()))
    }

    /// Whether files were left out when it was cloned: git marks the packs of such a clone.
    fn is_partial(&self) -> bool {
        let packs = self.repository().commondir().join("objects/pack");
        let Ok(packs) = std::fs::read_dir(packs) else { return true };
        packs.flatten().any(|pack| pack.path().extension().is_some_and(|extension| extension == "promisor"))
    }

    fn blob_at(&self, commit: &ObjectId, root: Oid, path: &str) -> Result<Option<Oid>, TreeError> {
        let mut at = (EntryKind::Dir, root);
        for name in path.split('/') {
            if at.0 != EntryKind::Dir {
                return Ok(None);
            }
            let dir = self.dir(at.1)?.ok_or_else(|| self.need(Objects::Commit(commit.clone())))?;
            match dir.get(name) {
                Some(entry) => at = (entry.kind, entry.id),
                None => return Ok(None),
            }
        }
        Ok(matches!(at.0, EntryKind::File { .. }).then_some(at.1))
    }

    /// The first path, in the order of names, that is this blob; directories in `seen` are known not to have it.
    fn find_blob(
        &self,
        commit: &ObjectId,
        root: Oid,
        wanted: Oid,
        seen: &mut HashSet<Oid>,
    ) -> Result<Option<String>, TreeError> {
        let mut found: Option<String> = None;
        let mut pending = vec![(root, String::new())];
        while let Some((id, at)) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            let dir = self.dir(id)?.ok_or_else(|| self.need(Objects::Commit(commit.clone())))?;
            for entry in dir.entries() {
                let path = join(&at, &entry.name);
                match entry.kind {
                    EntryKind::Dir => pending.push((entry.id, path)),
                    EntryKind::File { .. }
                        if entry.id == wanted && found.as_ref().is_none_or(|first| path < *first) =>
                    {
                        found = Some(path);
                    }
                    EntryKind::File { .. } | EntryKind::Link | EntryKind::Submodule => {}
                }
            }
        }
        Ok(found)
    }

    /// The first line of a commit's message and its committer's time, Unix seconds; bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where the commit is missing, [`TreeError::Io`] where it cannot be read.
    pub fn subject(&self, commit: &ObjectId) -> Result<(String, i64), TreeError> {
        let repository = self.repository();
        let found = repository.find_commit(self.oid(commit)?).map_err(|error| self.absent(&error, &[commit]))?;
        let subject = found.summary_bytes().map(String::from_utf8_lossy).unwrap_or_default();
        Ok((subject.into_owned(), found.time().seconds()))
    }

    /// The commits that `head` has and `from` has not, newest first: at most `most` of them, and how many more there are.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a part of the history is missing, [`TreeError::Io`] where it cannot be read.
    pub fn between(&self, from: &ObjectId, head: &ObjectId, most: usize) -> Result<(Vec<Listed>, u64), TreeError> {
        let (old, new) = (self.oid(from)?, self.oid(head)?);
        let repository = self.repository();
        let walk = || {
            let mut walk = repository.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
            walk.push(new)?;
            walk.hide(old)?;
            let (mut listed, mut more) = (Vec::new(), 0);
            for id in walk {
                let id = id?;
                if listed.len() == most {
                    more += 1;
                    continue;
                }
                let commit = repository.find_commit(id)?;
                listed.push(Listed {
                    id: object_id(id),
                    subject: commit.summary_bytes().map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
                    author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
                });
            }
            Ok((listed, more))
        };
        walk().map_err(|error: Error| self.absent(&error, &[from, head]))
    }

    pub(super) fn absent(&self, error: &Error, commits: &[&ObjectId]) -> TreeError {
        if is_absent(error) {
            self.need(Objects::History(commits.iter().map(|commit| (*commit).clone()).collect()))
        } else {
            self.io(error)
        }
    }

    fn cut_off(&self) -> TreeError {
        let what = "the clone is shallow, so nobody can tell how its commits stand to each other: run `git fetch --unshallow` in it";
        TreeError::Unfit { path: self.path().display().to_string(), what: what.to_owned() }
    }
}

/// libgit2's walks lose the code "not found" on the way up; class and words stay.
fn is_absent(error: &Error) -> bool {
    error.class() == ErrorClass::Odb
        && (error.code() == ErrorCode::NotFound || error.message().starts_with("object not found"))
}

fn first_parents_since(repository: &Repository, old: Oid, new: Oid) -> Result<u32, Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    walk.simplify_first_parent()?;
    walk.push(new)?;
    walk.hide(old)?;
    walk.try_fold(0u32, |count, commit| commit.map(|_| count.saturating_add(1)))
}

fn walk_all(repository: &Repository, from: Oid, known: &[Oid]) -> Result<(), Error> {
    let mut walk = repository.revwalk()?;
    walk.push(from)?;
    for commit in known {
        walk.hide(*commit)?;
    }
    walk.try_for_each(|commit| commit.map(drop))
}

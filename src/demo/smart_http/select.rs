//! Which objects go into a pack.

use std::collections::HashSet;

use git2::{ObjectType, Oid, Repository};

use super::history::reachable;
use super::{Refusal, refs};

/// Which objects a client does without. What it wants by name comes all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// None.
    #[default]
    Nothing,
    /// Files of at least so many bytes.
    Blobs { from: u64 },
    /// All directories and files.
    Trees,
}

impl Filter {
    /// Reads git's way to write one.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let filter = match text {
            "blob:none" => Some(Self::Blobs { from: 0 }),
            "tree:0" => Some(Self::Trees),
            _ => text.strip_prefix("blob:limit=").and_then(size).map(|from| Self::Blobs { from }),
        };
        filter.ok_or_else(|| {
            Refusal::no(format!("filter '{text}' is not supported here; blob:none, blob:limit=<n> and tree:0 are"))
        })
    }
}

/// A number of bytes, also as `10k`, `10m` and `10g`.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// What a client wants: everything that `wants` lead to, less what it has.
#[derive(Default)]
pub struct Wish {
    /// Objects of any kind.
    pub wants: Vec<Oid>,
    /// Tips of what the client has. They are here as well.
    pub haves: Vec<Oid>,
    /// Commits at which the client's history ends.
    pub client_ends: HashSet<Oid>,
    /// Commits at which the history that it asks for ends.
    pub ends: HashSet<Oid>,
    pub filter: Filter,
    /// Whether tag objects come along with what they name.
    pub tags: bool,
}

/// The objects that fulfil a wish, each once: first what is wanted by name, then commits, then what is in them.
pub fn objects(repository: &Repository, wish: &Wish) -> Result<Vec<Oid>, git2::Error> {
    let mut chosen = Chosen { repository, filter: wish.filter, seen: HashSet::new(), picked: Vec::new() };
    let mut tips = Vec::new();
    for want in &wish.wants {
        tips.extend(chosen.by_name(*want)?);
    }
    let had_tips = commits(repository, &wish.haves);
    let had: HashSet<Oid> = reachable(repository, &had_tips, &wish.client_ends, &HashSet::new())?.into_iter().collect();
    let commits = reachable(repository, &tips, &wish.ends, &had)?;
    for commit in &commits {
        chosen.pick(*commit);
    }
    if wish.tags {
        chosen.tags()?;
    }
    if wish.filter != Filter::Trees {
        // The client has what is in the commits next to the new ones, and need not have more.
        for commit in had_tips {
            chosen.pass_over(repository.find_commit(commit)?.tree_id())?;
        }
        for commit in &commits {
            for parent in repository.find_commit(*commit)?.parent_ids().filter(|parent| had.contains(parent)) {
                chosen.pass_over(repository.find_commit(parent)?.tree_id())?;
            }
        }
        for commit in &commits {
            chosen.tree(repository.find_commit(*commit)?.tree_id())?;
        }
    }
    Ok(chosen.picked)
}

/// The commits that these objects are or name.
pub fn commits(repository: &Repository, ids: &[Oid]) -> Vec<Oid> {
    let commit = |id: &Oid| repository.find_object(*id, None).ok()?.peel_to_commit().ok().map(|commit| commit.id());
    ids.iter().filter_map(commit).collect()
}

struct Chosen<'a> {
    repository: &'a Repository,
    filter: Filter,
    /// What was picked or passed over.
    seen: HashSet<Oid>,
    picked: Vec<Oid>,
}

impl Chosen<'_> {
    fn pick(&mut self, id: Oid) {
        if self.seen.insert(id) {
            self.picked.push(id);
        }
    }

    /// Picks what is wanted by name, unless that is a commit: its history is chosen elsewhere.
    fn by_name(&mut self, mut id: Oid) -> Result<Option<Oid>, git2::Error> {
        loop {
            match self.repository.odb()?.read_header(id)?.1 {
                ObjectType::Commit => return Ok(Some(id)),
                ObjectType::Tag => {
                    self.pick(id);
                    id = self.repository.find_tag(id)?.target_id();
                }
                ObjectType::Tree if self.filter != Filter::Trees => {
                    self.tree(id)?;
                    return Ok(None);
                }
                _ => {
                    self.pick(id);
                    return Ok(None);
                }
            }
        }
    }

    /// Picks the tag objects that name what was picked.
    fn tags(&mut self) -> Result<(), git2::Error> {
        for tag in refs::all(self.repository)?.iter().filter(|tag| tag.name.starts_with("refs/tags/")) {
            if let Some(id) = tag.id
                && refs::peeled(self.repository, id).is_some_and(|target| self.seen.contains(&target))
            {
                self.by_name(id)?;
            }
        }
        Ok(())
    }

    /// Picks a directory and what is below it.
    fn tree(&mut self, root: Oid) -> Result<(), git2::Error> {
        self.descend(root, true)
    }

    /// Sees to it that a directory and what is below it are not picked later.
    fn pass_over(&mut self, root: Oid) -> Result<(), git2::Error> {
        self.descend(root, false)
    }

    fn descend(&mut self, root: Oid, pick: bool) -> Result<(), git2::Error> {
        let mut waiting = vec![root];
        while let Some(id) = waiting.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            if pick {
                self.picked.push(id);
            }
            for entry in &self.repository.find_tree(id)? {
                match entry.kind() {
                    Some(ObjectType::Tree) => waiting.push(entry.id()),
                    Some(ObjectType::Blob) if !pick => drop(self.seen.insert(entry.id())),
                    Some(ObjectType::Blob) if self.keeps(entry.id())? => self.pick(entry.id()),
                    // A filtered file, or a commit of another repository.
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn keeps(&self, blob: Oid) -> Result<bool, git2::Error> {
        Ok(match self.filter {
            Filter::Nothing => true,
            Filter::Blobs { from: 0 } | Filter::Trees => false,
            Filter::Blobs { from } => (self.repository.odb()?.read_header(blob)?.0 as u64) < from,
        })
    }
}

//! The commit graph as a client with a cut history sees it.

use std::collections::{HashSet, VecDeque};

use git2::{Oid, Repository};

/// Commits from `from` on, each once, in the order in which they are met. At commits of `cut` history ends; commits of
/// `without` and what only they lead to are left out.
pub fn reachable(
    repository: &Repository,
    from: &[Oid],
    cut: &HashSet<Oid>,
    without: &HashSet<Oid>,
) -> Result<Vec<Oid>, git2::Error> {
    let mut seen: HashSet<Oid> = HashSet::new();
    let mut found = Vec::new();
    let mut waiting: VecDeque<Oid> = from.iter().copied().collect();
    while let Some(id) = waiting.pop_front() {
        if without.contains(&id) || !seen.insert(id) {
            continue;
        }
        found.push(id);
        if !cut.contains(&id) {
            waiting.extend(repository.find_commit(id)?.parent_ids());
        }
    }
    Ok(found)
}

/// Whether each of `from` is, or has as an ancestor, one of `targets`.
pub fn all_reach(repository: &Repository, from: &[Oid], targets: &HashSet<Oid>) -> Result<bool, git2::Error> {
    for tip in from {
        let mut seen = HashSet::new();
        let mut waiting = VecDeque::from([*tip]);
        let reached = loop {
            match waiting.pop_front() {
                None => break false,
                Some(id) if targets.contains(&id) => break true,
                Some(id) if seen.insert(id) => waiting.extend(repository.find_commit(id)?.parent_ids()),
                Some(_) => {}
            }
        };
        if !reached {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A history of limited depth.
pub struct Depth {
    /// Before its end: commits that come with their parents.
    pub whole: HashSet<Oid>,
    /// Its end: commits that come without their parents. As in git, a root at the end counts.
    pub last: HashSet<Oid>,
}

impl Depth {
    /// The history of `from` down to `depth` commits; 1 is the tips alone.
    pub fn of(repository: &Repository, from: &[Oid], depth: u32) -> Result<Self, git2::Error> {
        let (mut whole, mut last) = (HashSet::new(), HashSet::new());
        // Level by level, so that the shortest way to a commit counts.
        let mut level: Vec<Oid> = from.to_vec();
        for at in 1..=depth {
            let mut next = Vec::new();
            for id in std::mem::take(&mut level) {
                if at == depth {
                    if !whole.contains(&id) {
                        last.insert(id);
                    }
                } else if whole.insert(id) {
                    next.extend(repository.find_commit(id)?.parent_ids());
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        Ok(Self { whole, last })
    }
}

//! How the commits of a history stand to every head that its branch had.
//!
//! [`ObjectDb::standing`] walks the graph for one commit and one head. Over a whole history that is a walk for each head;
//! here the graph is read once, and every answer is a look at two numbers.

use std::collections::HashMap;

use git2::{Error, Oid, Repository, Sort};

use super::Standing;
use super::objects::{ObjectDb, oid};
use crate::tree::{ObjectId, TreeError};

/// The first-parent line of a branch, as places: the oldest commit of it has place 0.
pub struct Line {
    places: HashMap<Oid, Place>,
}

/// Where a commit of the history stands to the line. One that is on the line holds itself.
#[derive(Clone, Copy)]
struct Place {
    /// The oldest commit of the line that has it in its history.
    since: u32,
    /// The newest commit of the line that it has in its own.
    holds: Option<u32>,
}

impl Line {
    /// Reads the history of `head`, all of it.
    ///
    /// # Errors
    /// [`TreeError::NotHere`] where a part of it is missing, [`TreeError::Unfit`] in a shallow clone.
    pub fn new(objects: &ObjectDb, head: &ObjectId) -> Result<Self, TreeError> {
        let line = objects.first_parents(head)?;
        let tip = objects.oid(head)?;
        let all = parents_first(&objects.repository(), tip).map_err(|error| objects.absent(&error, &[head]))?;
        let on_line: HashMap<Oid, u32> = line.iter().filter_map(|(id, _)| oid(id)).zip(0..).collect();
        let mut places: HashMap<Oid, Place> = HashMap::with_capacity(all.len());
        for (commit, parents) in &all {
            let of_parents = || parents.iter().filter_map(|parent| places.get(parent)?.holds).max();
            let holds = on_line.get(commit).copied().or_else(of_parents);
            places.insert(*commit, Place { since: u32::MAX, holds });
        }
        for (commit, parents) in all.iter().rev() {
            let Some(place) = places.get_mut(commit) else { continue };
            if let Some(own) = on_line.get(commit) {
                place.since = *own;
            }
            let since = place.since;
            for parent in parents {
                if let Some(parent) = places.get_mut(parent) {
                    parent.since = parent.since.min(since);
                }
            }
        }
        Ok(Self { places })
    }

    /// What [`ObjectDb::standing`] says of `commit` and of `head`, a commit of the line; `None` where `head` is not on
    /// the line, or `commit` not in the branch's history.
    pub fn standing(&self, commit: &ObjectId, head: &ObjectId) -> Option<Standing> {
        let at = self.places.get(&oid(head)?)?;
        let head_at = at.holds.filter(|place| *place == at.since)?;
        let Place { since, holds } = *self.places.get(&oid(commit)?)?;
        Some(if commit == head {
            Standing::Same
        } else if since <= head_at {
            Standing::Behind(holds.map_or(head_at + 1, |holds| head_at - holds))
        } else if holds >= Some(head_at) {
            Standing::Ahead
        } else {
            Standing::Diverged
        })
    }
}

/// All commits of a history, each after its parents.
fn parents_first(repository: &Repository, tip: Oid) -> Result<Vec<(Oid, Vec<Oid>)>, Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(tip)?;
    walk.map(|id| {
        let id = id?;
        Ok((id, repository.find_commit(id)?.parent_ids().collect()))
    })
    .collect()
}

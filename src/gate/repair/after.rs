//! The world as it would be: one revision of one side has another tree.

use std::sync::Arc;

use super::{Edit, with_edits};
use crate::gate::{Past, Relation, Revision, Side, Version, World};
use crate::tree::{ObjectId, Tree, TreeError};

/// A world in which a revision already has some edits. Everything else is as in the world underneath; where the revision stands
/// on the commit graph too.
pub struct After<'a> {
    world: &'a dyn World,
    side: Side,
    revision: &'a Revision,
    tree: Option<Arc<dyn Tree>>,
}

impl<'a> After<'a> {
    /// `world` with `edits` made in that revision: to propose for a second gate what goes into the same commit.
    ///
    /// # Errors
    /// As [`World::tree`].
    pub fn new(world: &'a dyn World, side: Side, revision: &'a Revision, edits: &[Edit]) -> Result<Self, TreeError> {
        let tree = world.tree(side, revision)?.map(|tree| with_edits(&tree, edits));
        Ok(Self { world, side, revision, tree })
    }

    pub(super) fn of(world: &'a dyn World, side: Side, revision: &'a Revision, tree: Arc<dyn Tree>) -> Self {
        Self { world, side, revision, tree: Some(tree) }
    }
}

impl World for After<'_> {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        if (side, revision) == (self.side, self.revision) {
            return Ok(self.tree.clone());
        }
        self.world.tree(side, revision)
    }

    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        self.world.relation(side, commit, head)
    }

    fn merge_bases(&self, side: Side, one: &Revision, other: &Revision) -> Result<Vec<Revision>, TreeError> {
        self.world.merge_bases(side, one, other)
    }

    fn version(&self, head: &Revision, path: &str, blob: &ObjectId) -> Version {
        self.world.version(head, path, blob)
    }

    fn past(&self, side: Side, head: &Revision, path: &str) -> Result<Past, TreeError> {
        self.world.past(side, head, path)
    }
}

/// Edits, and others that were proposed on top of them ([`After::new`]), as one list sorted by path.
pub fn joined(first: Vec<Edit>, then: Vec<Edit>) -> Vec<Edit> {
    let mut edits = super::Edits::default();
    first.into_iter().chain(then).for_each(|edit| edits.add(edit));
    // A file that one adds and the other takes away was never there.
    edits.all.into_values().filter(|edit| edit.content.is_some() || edit.was.is_some()).collect()
}

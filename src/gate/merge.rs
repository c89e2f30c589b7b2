//! What merging a pull request would give (pure): made in memory from the trees of merge base, base and head.
//!
//! The trap handled here: histories that were merged crosswise have several best common ancestors, and a merge starts from
//! all of them.

use std::sync::Arc;

use super::{Revision, Side, World};
use crate::tree::{Merged, Node, Tree, TreeError};

/// How often crossed histories may have crossed before.
const CROSSINGS: u32 = 8;

/// Why a merge cannot be told when one of its commits is not there. Which one is not said: of the other side it is one that
/// moves, and these words may be a status.
pub(super) const GONE: &str = "the commit that is to be judged is not there, or not any more";

/// What merging gives.
pub(super) enum Merge {
    /// The merged tree; where both sides changed a path it is merged when it is read.
    Tree(Arc<dyn Tree>),
    /// Nobody can tell, in words for people.
    No(&'static str),
}

/// Merges `head` into `base`.
pub(super) fn merged(world: &dyn World, side: Side, head: &Revision, base: &Revision) -> Result<Merge, TreeError> {
    let (Some(theirs), Some(ours)) = (world.tree(side, head)?, world.tree(side, base)?) else {
        return Ok(Merge::No(GONE));
    };
    let ancestors = world.merge_bases(side, base, head)?;
    if ancestors.is_empty() {
        return Ok(Merge::No("no common history with the base: what a merge would give cannot be told"));
    }
    Ok(match ancestor(world, side, &ancestors, 0)? {
        Merge::Tree(ancestor) => Merge::Tree(Arc::new(Merged::new(Some(ancestor), ours, theirs))),
        no => no,
    })
}

/// The tree that a merge starts from. Where histories crossed there are several best common ancestors, and it is, as for git,
/// what merging them would give.
fn ancestor(world: &dyn World, side: Side, of: &[Revision], depth: u32) -> Result<Merge, TreeError> {
    match of {
        [one] => Ok(world.tree(side, one)?.map_or(Merge::No(GONE), Merge::Tree)),
        [one, other] if depth < CROSSINGS => {
            let (Some(ours), Some(theirs)) = (world.tree(side, one)?, world.tree(side, other)?) else {
                return Ok(Merge::No(GONE));
            };
            let before = world.merge_bases(side, one, other)?;
            let base = match before.as_slice() {
                [] => None,
                before => match ancestor(world, side, before, depth + 1)? {
                    Merge::Tree(base) => Some(base),
                    no => return Ok(no),
                },
            };
            Ok(Merge::Tree(Arc::new(Merged::new(base, ours, theirs))))
        }
        _ => Ok(Merge::No("its history and the base's crossed too often; merge the base into the branch")),
    }
}

/// What a pull request makes of one file of its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// What the base has.
    AsBefore,
    /// The merge has no such file, the base has one.
    Gone,
    /// The merge has other bytes than the base.
    Bytes(Arc<[u8]>),
    /// Nobody can tell, in words for people.
    Unknown(String),
}

/// What merging `head` into `base` makes of the file at `path`.
///
/// # Errors
/// [`TreeError::NotHere`] names what to fetch before asking again.
pub fn proposed(
    world: &dyn World,
    side: Side,
    head: &Revision,
    base: &Revision,
    path: &str,
) -> Result<Proposed, TreeError> {
    let merge = match merged(world, side, head, base)? {
        Merge::Tree(tree) => tree,
        Merge::No(why) => return Ok(Proposed::Unknown(why.to_owned())),
    };
    let Some(base) = world.tree(side, base)? else { return Ok(Proposed::Unknown(GONE.to_owned())) };
    let read = || -> Result<Proposed, TreeError> {
        let file = |node| matches!(node, Some(Node::File { .. }));
        let (now, before) = (merge.node(path)?, base.node(path)?);
        Ok(match now {
            None if before.is_none() => Proposed::AsBefore,
            None => Proposed::Gone,
            Some(Node::File { .. }) if file(before) && merge.blob_id(path)? == base.blob_id(path)? => {
                Proposed::AsBefore
            }
            Some(Node::File { .. }) => Proposed::Bytes(merge.read(path)?),
            Some(_) => Proposed::Unknown(format!("{path} is no file")),
        })
    };
    match read() {
        Err(error @ TreeError::NotHere(_)) => Err(error),
        Err(TreeError::Conflict { .. }) => {
            Ok(Proposed::Unknown("both sides changed it; merge the base into the branch".to_owned()))
        }
        Err(error) => Ok(Proposed::Unknown(error.to_string())),
        Ok(proposed) => Ok(proposed),
    }
}

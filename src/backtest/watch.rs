//! Whether a moved head can change a verdict: the directories that were asked about, compared by object name from the root
//! down.
//!
//! A directory of the same name holds the same files, so nothing below it is looked at. In one that differs, each question
//! about it is asked again.

use std::collections::BTreeMap;

use super::ask::{Answer, Ask, Log, What, answer};
use crate::gate::Side;
use crate::tree::{ObjectId, Tree, TreeError, split};

/// The directories of one side that the questions of a log are about.
pub(super) struct Watch {
    dirs: BTreeMap<String, Watched>,
}

#[derive(Default)]
struct Watched {
    /// As it was last seen; `None` where there is no directory, or where it has no name.
    id: Option<ObjectId>,
    /// Questions about it, as places in the log.
    asks: Vec<usize>,
}

impl Watch {
    /// What of `log` is about `side`, whose head has this tree.
    pub fn new(log: &Log, side: Side, tree: &dyn Tree) -> Result<Self, TreeError> {
        let mut dirs: BTreeMap<String, Watched> = BTreeMap::new();
        for (index, (ask, _)) in log.iter().enumerate().filter(|(_, (ask, _))| ask.side == side) {
            let Some(dir) = dir_of(ask) else { continue };
            dirs.entry(dir.to_owned()).or_default().asks.push(index);
            let mut above = dir;
            while !above.is_empty() {
                above = split(above).0;
                dirs.entry(above.to_owned()).or_default();
            }
        }
        for (dir, watched) in &mut dirs {
            watched.id = tree.dir_id(dir)?;
        }
        Ok(Self { dirs })
    }

    /// Whether all answers hold in another tree of that side; if so, that tree is what the next one is compared with.
    pub fn holds(&mut self, log: &Log, tree: &dyn Tree) -> Result<bool, TreeError> {
        let mut moved = Vec::new();
        let mut same: Option<&str> = None;
        for (dir, watched) in &self.dirs {
            if same.is_some_and(|same| is_below(dir, same)) {
                continue;
            }
            let id = tree.dir_id(dir)?;
            // Where trees have no names for directories, nothing is taken for equal.
            if id == watched.id && (id.is_some() || tree.list(dir)?.is_empty()) {
                same = Some(dir);
                continue;
            }
            for index in &watched.asks {
                let Some((ask, answered)) = log.get(*index) else { continue };
                if holds(tree, ask, answered)? {
                    continue;
                }
                return Ok(false);
            }
            moved.push((dir.clone(), id));
        }
        for (dir, id) in moved {
            if let Some(watched) = self.dirs.get_mut(&dir) {
                watched.id = id;
            }
        }
        Ok(true)
    }
}

fn holds(tree: &dyn Tree, ask: &Ask, answered: &Answer) -> Result<bool, TreeError> {
    Ok(answer(tree, ask)? == *answered)
}

/// The directory whose name tells whether the answer can have changed.
fn dir_of(ask: &Ask) -> Option<&str> {
    match &ask.what {
        What::List | What::Dir | What::IsDir(_) => Some(&ask.path),
        What::Node | What::Blob | What::IsBlob(_) => Some(split(&ask.path).0),
        What::Relation => None,
    }
}

fn is_below(dir: &str, above: &str) -> bool {
    above.is_empty() || dir.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

//! Which pull requests there can be: one for each gate with a `[[gate.repair]]` and branch of its consumer, or one for all gates
//! of a group.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::{PullRequest, Words};
use crate::controller::plan::{Before, Gated, RepoKey, View, gated_branches};
use crate::store::PullSlot;

/// A gate, or the gates of a group, that share one pull request for each branch.
pub(super) struct Slot {
    id: String,
    name: String,
    /// Never empty.
    members: Vec<Arc<Gated>>,
}

/// The group that a gate's pull request belongs to.
fn group(gated: &Gated) -> Option<&str> {
    gated.gate.repairs.iter().filter_map(|rule| rule.pull()).find_map(|pull| pull.group.as_deref())
}

/// The id of a gate's slot.
pub(super) fn id(gated: &Gated) -> String {
    match group(gated) {
        Some(group) => format!("{}:group {group}", gated.consumer),
        None => gated.id.clone(),
    }
}

fn repairs(gated: &Gated) -> bool {
    !gated.gate.repairs.is_empty() && gated.before == Before::This
}

/// The ids of all slots that there are.
pub(super) fn ids(gates: &[Arc<Gated>]) -> BTreeSet<String> {
    gates.iter().filter(|gated| repairs(gated)).map(|gated| id(gated)).collect()
}

/// The slot of an id among the gates that judge.
pub(super) fn find(gates: &[Arc<Gated>], slot: &str) -> Option<Slot> {
    let members: Vec<Arc<Gated>> = gates.iter().filter(|gated| repairs(gated) && id(gated) == slot).cloned().collect();
    let first = members.first()?;
    let name = group(first).unwrap_or(&first.gate.name).to_owned();
    Some(Slot { id: slot.to_owned(), name, members })
}

/// All that concern a repository: those of its own branches as a consumer, and those of its consumers as a source.
pub(super) fn of_repository<'a>(
    gates: &'a [Arc<Gated>],
    repo: &RepoKey,
    view_of: impl Fn(&RepoKey) -> Option<Arc<View>>,
) -> Vec<(PullSlot, &'a Arc<Gated>)> {
    let concerned = gates.iter().filter(|gated| repairs(gated) && (gated.consumer == *repo || gated.source == *repo));
    let mut slots = Vec::new();
    for gated in concerned {
        let Some(view) = view_of(&gated.consumer) else { continue };
        for (branch, _) in gated_branches(gated, &view) {
            let slot = PullSlot {
                slot: id(gated),
                branch: branch.clone(),
                forge: gated.consumer.forge.clone(),
                repository: gated.consumer.name.clone(),
            };
            slots.push((slot, gated));
        }
    }
    slots
}

impl Slot {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// For people, and for names of branches.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The gate, or the first of its group.
    pub fn first(&self) -> &Arc<Gated> {
        // There is one: see `find`.
        &self.members[0]
    }

    pub fn members(&self) -> &[Arc<Gated>] {
        &self.members
    }

    /// Whether more than one branch can have a pull request at a time.
    fn has_branches(&self, branch: &str) -> bool {
        self.first().gate.consumer.branches != [branch]
    }

    /// What the marker of the pull request for a branch names.
    pub fn marker(&self, branch: &str) -> String {
        if self.has_branches(branch) { format!("{}@{branch}", self.id) } else { self.id.clone() }
    }

    /// The branch of the pull request. Where several branches are repaired, and the template does not tell them apart, their
    /// names do.
    pub fn branch_name(&self, pull: &PullRequest, words: &Words<'_>, branch: &str) -> String {
        let name = pull.branch_name(words);
        if self.has_branches(branch) && !pull.branch.as_str().contains("{consumer_branch}") {
            format!("{name}-{}", branch.replace('/', "-"))
        } else {
            name
        }
    }
}

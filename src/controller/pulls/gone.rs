//! The pull requests of gates, or of their repairs, that stand in no file any more: each is closed with a word, unless somebody
//! else has committed to it.
//!
//! A row of such a gate is hinted at by nobody else, and where its consumer has no gate left, not even claimed: so a start, each
//! round, and a look at a repository that brings its own gates mark what is left over, and marked rows are everybody's.
//!
//! The trap: the gates that a repository brings are not known while it was never read. Then nothing is left over.

use std::sync::{Arc, Mutex};

use super::keeper::{Done, Keeper, Stop};
use super::{slots, state, written};
use crate::controller::Controller;
use crate::controller::plan::{Gated, RepoKey};
use crate::store::{ClaimedPull, PullNote, PullRow, PullSlot, StoreError};

/// Why such a pull request is closed.
const WHY: &str = "No gate asks for this any more: it was taken out of the configuration.";

impl Controller {
    /// Marks what earlier configurations left open, so that it is closed; of one consumer, or of all.
    pub(in crate::controller) async fn leave_pulls(&self, consumer: Option<&RepoKey>) -> Result<(), StoreError> {
        let gates = self.gates_now();
        let rows = self.store.pulls().await?;
        let of = |row: &&PullRow| consumer.is_none_or(|repo| *repo == consumer_of(&row.slot));
        let left = rows.iter().filter(of).filter(|row| self.is_left_over(row, &gates));
        let left: Vec<PullSlot> = left.map(|row| row.slot.clone()).collect();
        if !left.is_empty() {
            self.store.mark_pulls(&left, state::ENDING, self.now()).await?;
            self.pull_wake.notify_one();
        }
        Ok(())
    }

    fn is_left_over(&self, row: &PullRow, gates: &[Arc<Gated>]) -> bool {
        if row.note.pull.is_none() || [state::NONE, state::REFUSED].contains(&row.note.state.as_str()) {
            return false;
        }
        let repo = consumer_of(&row.slot);
        let is_known =
            || self.sight(&repo).is_some_and(|sight| sight.view.is_some() && sight.brought.trouble.is_none());
        slots::find(gates, &row.slot.slot).is_none() && (!self.bringers.contains_key(&repo) || is_known())
    }

    /// Closes what a row of no gate any more has open.
    pub(super) async fn end_of(&self, claimed: &ClaimedPull, note: &Mutex<PullNote>) -> Result<Done, Stop> {
        let (row, nothing) = (&claimed.row, || Done { note: PullNote::default(), look_at: None });
        let Some(repo) = written(&row.note).filter(|_| self.is_left_over(row, &self.gates_now())) else {
            return Ok(nothing());
        };
        let branch = row.note.head.clone().unwrap_or_default();
        // Whether other branches of the consumer were gated as well is not known any more.
        for marker in [row.slot.slot.clone(), format!("{}@{}", row.slot.slot, row.slot.branch)] {
            let keeper = Keeper {
                me: self,
                claimed,
                gated: None,
                marker,
                slot: row.slot.slot.clone(),
                api: self.api(&repo.forge)?,
                us: self.us(&repo).await?,
                name: self.current_name(&repo),
                repo: repo.clone(),
                stood: Vec::new(),
                note,
            };
            for one in keeper.find(true, &branch, None).await? {
                if keeper.api.is_dry() {
                    return Ok(keeper.done(state::DRY, format!("would close {repo}#{}", one.number), None));
                }
                if one.foreign {
                    keeper.say_once(one.number, WHY).await?;
                } else {
                    keeper.close(&one, WHY, None).await?;
                }
            }
        }
        Ok(nothing())
    }
}

impl Keeper<'_> {
    /// Tells whoever committed to one that nothing asks for it any more.
    async fn say_once(&self, number: u64, why: &str) -> Result<(), Stop> {
        if self.has_said(number, why).await? {
            return Ok(());
        }
        let words = format!("{why} Somebody else has committed here, so drift-gate does not close it.");
        self.api.post_comment(&self.name, number, &words).await.map(drop).map_err(|error| self.stop(error))
    }
}

pub(super) fn consumer_of(slot: &PullSlot) -> RepoKey {
    RepoKey { forge: slot.forge.clone(), name: slot.repository.clone() }
}

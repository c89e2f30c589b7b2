//! The pull requests of gates, or of their repairs, that stand in no file any more: each is closed with a word, unless somebody
//! else has committed to it.
//!
//! A row of such a gate is hinted at by nobody else, and where its consumer has no gate left, not even claimed: so a start, each
//! round, and a look at a repository that brings its own gates mark what is left over, and marked rows are everybody's.
//!
//! The trap: the gates that a repository brings are not known while it was never read. Then nothing is left over.

use std::sync::Mutex;

use super::keeper::{Done, Keeper, Stop};
use super::{slots, state, written};
use crate::controller::Controller;
use crate::controller::plan::RepoKey;
use crate::store::{ClaimedPull, PullNote, PullRow, PullSlot, StoreError};

/// Why such a pull request is closed.
const WHY: &str = "No gate asks for this any more: it was taken out of the configuration.";

impl Controller {
    /// Marks what earlier configurations left open, so that it is closed; of one consumer, or of all.
    pub(in crate::controller) async fn leave_pulls(&self, consumer: Option<&RepoKey>) -> Result<(), StoreError> {
        let asked = slots::ids(&self.gates_now());
        let rows = self.store.pulls().await?;
        let of = |row: &&PullRow| consumer.is_none_or(|repo| *repo == consumer_of(&row.slot));
        let is_left = |row: &&PullRow| is_open(row) && !asked.contains(&row.slot.slot) && self.knows_gates_of(row);
        let left: Vec<PullSlot> = rows.iter().filter(of).filter(is_left).map(|row| row.slot.clone()).collect();
        if !left.is_empty() {
            self.store.mark_pulls(&left, state::ENDING, self.now()).await?;
            self.pull_wake.notify_one();
        }
        Ok(())
    }

    /// Whether it is known which gates the consumer of a row has.
    fn knows_gates_of(&self, row: &PullRow) -> bool {
        let repo = consumer_of(&row.slot);
        let is_read = || self.sight(&repo).is_some_and(|sight| sight.view.is_some() && sight.brought.trouble.is_none());
        !self.bringers.contains_key(&repo) || is_read()
    }

    /// Closes what a row of no gate any more has open.
    pub(super) async fn end_of(&self, claimed: &ClaimedPull, note: &Mutex<PullNote>) -> Result<Done, Stop> {
        let (row, nothing) = (&claimed.row, || Done { note: PullNote::default(), look_at: None });
        let Some(repo) = written(&row.note).filter(|_| is_open(row)) else { return Ok(nothing()) };
        if !self.knows_gates_of(row) {
            return Err(Stop::later(format!("the gates of {} were not read yet", row.slot.repository)));
        }
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

/// Whether a pull request of a row may be open.
fn is_open(row: &PullRow) -> bool {
    row.note.pull.is_some() && ![state::NONE, state::REFUSED].contains(&row.note.state.as_str())
}

pub(super) fn consumer_of(slot: &PullSlot) -> RepoKey {
    RepoKey { forge: slot.forge.clone(), name: slot.repository.clone() }
}

//! The pull request that ends drift: level-triggered, like the statuses. What is wanted is a function of both heads, what is
//! there is read from the forge, and the difference is made.
//!
//! After a look decided the heads of a repository, the rows of its gates are hinted at. A worker claims a row, asks the engine
//! what would end the drift ([`want`]), reads what the forge has ([`there`]), decides ([`next`], pure) and does it
//! ([`keeper`], [`closing`]). So a lost answer, a restart or a person's hand never makes a second pull request or undoes anybody's work.
//!
//! Races: a row is leased to one holder and each write begins with its renewal; see [`keeper`] for those with the forge.

mod closing;
mod gone;
mod keeper;
mod next;
mod slots;
mod start;
mod text;
mod there;
mod want;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::keeper::{Done, Keeper, Stop};
use self::slots::Slot;
use self::want::{Stood, Want};
/// Both repositories of a gate, as the engine sees them.
use super::judge::Pair as World;
use super::look::millis;
use super::plan::{Gated, RepoKey, View};
use super::workers::Workers;
use super::{Controller, backoff};
use crate::config::{Repair as Rule, To};
use crate::gate::policy::Role;
use crate::store::{ClaimedPull, Fenced, Level, PullNote, PullRow, PullSlot, StoreError};

/// Rows worked on at a time, for each forge: each is a few calls one after the other.
const AT_ONCE: usize = 4;
/// How long a row is leased: longer than any call may take, and it is renewed before each that writes.
const LEASE: Duration = Duration::from_secs(120);
/// While rows are worked on, what falls due by itself waits at most so long.
const WHILE_WORKING: Duration = Duration::from_millis(500);
/// What the forge does not let us do is tried again this rarely (ms).
const BLOCKED_FOR: i64 = 10 * 60_000;

/// How a row stands, in one word: kept in the store, told by the API.
pub mod state {
    /// There is nothing to tell.
    pub const NONE: &str = "";
    /// The drift is younger than `after`.
    pub const WAITING: &str = "waiting";
    /// A branch or pull request is being made.
    pub const OPENING: &str = "opening";
    /// It is open.
    pub const OPEN: &str = "open";
    /// Its gate stands in no file any more: it is to be closed.
    pub const ENDING: &str = "ending";
    /// It is being closed.
    pub const CLOSING: &str = "closing";
    /// Somebody else committed to it.
    pub const THEIRS: &str = "theirs";
    /// A person closed it.
    pub const REFUSED: &str = "refused";
    /// A person must write something.
    pub const PERSON: &str = "person";
    /// The forge does not let us.
    pub const BLOCKED: &str = "blocked";
    /// A workflow is being started.
    pub const STARTING: &str = "starting";
    /// A workflow was started.
    pub const STARTED: &str = "started";
    /// A dry run: what would be done.
    pub const DRY: &str = "dry";
}

/// The pull request of a gate at a branch, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The gate's id.
    pub gate: String,
    /// What is known of it.
    pub row: PullRow,
    /// The repository that it is in; `None` where there is none.
    pub repo: Option<RepoKey>,
    /// Its number.
    pub number: Option<u64>,
}

impl Controller {
    /// Hints at the pull requests that a look at a repository may concern.
    pub(super) async fn hint_pulls(&self, repo: &RepoKey, gates: &[Arc<Gated>]) -> Result<(), StoreError> {
        if self.bringers.contains_key(repo) {
            self.leave_pulls(Some(repo)).await?;
        }
        let slots: Vec<PullSlot> =
            slots::of_repository(gates, repo, |repo| self.view(repo)).into_iter().map(|(slot, _)| slot).collect();
        if slots.is_empty() {
            return Ok(());
        }
        self.store.hint_pulls(&slots, false).await?;
        self.pull_wake.notify_one();
        Ok(())
    }

    /// Makes the repairs anew that a pull request is about: its own where it is one of ours, else those of its repository's
    /// gates. What spoke against opening one (its age, a person who closed it) does not count this time. Answers how many.
    pub(super) async fn rebuild_pulls(&self, repo: &RepoKey, pull: u64) -> Result<usize, StoreError> {
        let rows = self.store.pulls().await?;
        let written = repo.to_string();
        let is_it =
            |row: &&PullRow| row.note.written.as_deref() == Some(&written) && row.note.pull == i64::try_from(pull).ok();
        let mut slots: Vec<PullSlot> = rows.iter().filter(is_it).map(|row| row.slot.clone()).collect();
        if slots.is_empty() {
            let base = self
                .view(repo)
                .and_then(|view| view.pulls.iter().find(|one| one.number == pull).map(|one| one.base_ref.clone()));
            let gates = self.gates_now();
            let all = slots::of_repository(&gates, repo, |repo| self.view(repo));
            let concerns = |slot: &PullSlot, gated: &Gated| {
                gated.consumer != *repo || base.as_ref().is_none_or(|base| *base == slot.branch)
            };
            slots = all.into_iter().filter(|(slot, gated)| concerns(slot, gated)).map(|(slot, _)| slot).collect();
        }
        self.store.hint_pulls(&slots, true).await?;
        self.pull_wake.notify_one();
        Ok(slots.len())
    }

    /// Makes the repairs of these gates of a repository anew, in the same way. Answers how many.
    pub(super) async fn rebuild_pulls_of(&self, repo: &RepoKey, gates: &[Arc<Gated>]) -> Result<usize, StoreError> {
        let slots = slots::of_repository(gates, repo, |repo| self.view(repo));
        let slots: Vec<PullSlot> = slots.into_iter().map(|(slot, _)| slot).collect();
        self.store.hint_pulls(&slots, true).await?;
        self.pull_wake.notify_one();
        Ok(slots.len())
    }

    /// How the pull requests stand that end the drift of the gates that judge now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn repairs(&self) -> Result<Vec<Standing>, StoreError> {
        let rows = self.store.pulls().await?;
        Ok(self.gates_now().iter().flat_map(|gated| standings(&rows, gated)).collect())
    }

    /// Works on every row that is due, until told to stop; what runs then is waited for.
    pub(super) async fn keep_pulls_always(self: Arc<Self>, shutdown: CancellationToken) {
        let mut workers = Workers::new("a pull request that ends drift");
        while !shutdown.is_cancelled() {
            let pause = match self.begin_pulls(&mut workers).await {
                Ok(()) if !workers.is_empty() => WHILE_WORKING,
                Ok(()) => self.until_next_due().await,
                Err(error) => self.store_failed("pulls", &error),
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.pull_wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = workers.ended() => {}
            }
        }
        workers.all_ended().await;
    }

    async fn begin_pulls(self: &Arc<Self>, workers: &mut Workers) -> Result<(), StoreError> {
        for forge in self.forges.keys() {
            if self.guests.get(forge).is_some_and(|guest| guest.rests()) {
                continue;
            }
            let free = workers.free(forge, AT_ONCE);
            if free == 0 {
                continue;
            }
            for claimed in self.store.claim_pulls(&self.claim(forge, LEASE, free), state::ENDING).await? {
                let me = self.clone();
                workers.begin(forge, async move { me.keep_pull(&claimed).await });
            }
        }
        Ok(())
    }

    /// Makes one row true, and notes what came of it.
    async fn keep_pull(&self, claimed: &ClaimedPull) -> Result<(), StoreError> {
        self.sync().await?;
        let gates = self.gates_now();
        let note = Mutex::new(claimed.row.note.clone());
        let done = match slots::find(&gates, &claimed.row.slot.slot) {
            Some(slot) => self.work_on(&slot, claimed, &note).await,
            None => self.end_of(claimed, &note).await,
        };
        let so_far = note.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match done {
            Ok(done) => self.settled(claimed, &done.note, done.look_at).await,
            Err(Stop::Store(error)) => Err(error),
            Err(Stop::Lost) => {
                tracing::warn!(gate = claimed.row.slot.slot, "took too long: somebody else keeps the pull request now");
                Ok(())
            }
            Err(Stop::Blocked(why)) => {
                if claimed.row.note.state != state::BLOCKED || claimed.row.note.words != why {
                    tracing::warn!(
                        gate = claimed.row.slot.slot,
                        branch = claimed.row.slot.branch,
                        why,
                        "no pull request that ends the drift"
                    );
                }
                // What the forge said may be news of the repository (it is archived): until that is read, each hint would try again.
                let repo = written(&so_far).unwrap_or_else(|| gone::consumer_of(&claimed.row.slot));
                if super::lock(&self.in_doubt).contains(&repo) {
                    self.hint(&repo, Level::Read).await?;
                }
                let note = PullNote { state: state::BLOCKED.to_owned(), words: why, ..so_far };
                self.settled(claimed, &note, Some(self.now() + BLOCKED_FOR)).await
            }
            Err(Stop::Moved { repo, why }) => {
                self.hint(&repo, Level::Read).await?;
                self.postponed(claimed, &so_far, &why, backoff(claimed.row.attempts)).await
            }
            Err(Stop::Later { why, after }) => {
                if claimed.row.trouble.as_deref() != Some(&why) {
                    tracing::warn!(
                        gate = claimed.row.slot.slot,
                        branch = claimed.row.slot.branch,
                        why,
                        "the pull request is looked at again"
                    );
                }
                let wait = after.unwrap_or_else(|| backoff(claimed.row.attempts));
                self.postponed(claimed, &so_far, &why, wait).await
            }
        }
    }

    async fn postponed(&self, claimed: &ClaimedPull, note: &PullNote, why: &str, wait: i64) -> Result<(), StoreError> {
        let now = self.now();
        let fenced = self.store.postpone_pull_held(claimed, note, why, now, now + wait).await?;
        self.told_if_lost(claimed, fenced);
        Ok(())
    }

    async fn settled(&self, claimed: &ClaimedPull, note: &PullNote, look_at: Option<i64>) -> Result<(), StoreError> {
        let fenced = self.store.settle_pull_held(claimed, note, self.now(), look_at).await?;
        self.told_if_lost(claimed, fenced);
        Ok(())
    }

    fn told_if_lost(&self, claimed: &ClaimedPull, fenced: Fenced) {
        if fenced == Fenced::Lost {
            tracing::warn!(gate = claimed.row.slot.slot, "took too long: somebody else keeps the pull request now");
        }
    }

    async fn work_on(&self, slot: &Slot, claimed: &ClaimedPull, note: &Mutex<PullNote>) -> Result<Done, Stop> {
        let branch = &claimed.row.slot.branch;
        let gated = slot.first();
        let (want, stood) = self.want(slot, branch).await?;
        let drifts = !matches!(want, Want::Nothing(_));
        let now = self.now();
        let since = drifts.then(|| claimed.row.note.since.unwrap_or(now));
        super::lock(note).since = since;
        let due = since.map_or(now, |since| since.saturating_add(millis(want.after())));
        let before = written(&claimed.row.note);
        let repo = match &want {
            Want::Pull(wanted) => wanted.repo.clone(),
            Want::Start(start) => start.repo.clone(),
            Want::Nothing(_) | Want::Elsewhere | Want::Person(_) => match before.clone() {
                Some(before) => before,
                None => self.where_ours_may_be(gated).await,
            },
        };
        if let (Want::Pull(_), Some(before)) = (&want, before.filter(|before| *before != repo))
            && claimed.row.note.pull.is_some()
        {
            // One of the two sides is written at a time: what is open on the other one goes first.
            let keeper = self.keeper(slot, claimed, before, stood.clone(), note).await?;
            let done = keeper.keep(&Want::Elsewhere, true, None).await?;
            if done.note.state == state::THEIRS {
                return Ok(done);
            }
            super::lock(note).since = since;
        }
        let view = self.view(&repo).ok_or_else(|| Stop::later(format!("{repo} was not read yet")))?;
        let us = self.us(&repo).await?;
        if !drifts && claimed.row.note.pull.is_none() && !has_ours(&view, &us) && claimed.row.note.head.is_none() {
            return Ok(Done { note: PullNote::default(), look_at: None });
        }
        if drifts && view.repository.archived {
            return Err(Stop::Blocked(format!("{} is archived: nothing can be written there", view.repository.name)));
        }
        let keeper = self.keeper(slot, claimed, repo, stood, note).await?;
        if let Want::Start(start) = &want {
            return keeper.start(start, due <= now || claimed.forced, due).await;
        }
        keeper.keep(&want, due <= now, Some(due)).await
    }

    /// What keeps the pull request of a row in one repository.
    async fn keeper<'a>(
        &'a self,
        slot: &Slot,
        claimed: &'a ClaimedPull,
        repo: RepoKey,
        stood: Vec<Stood>,
        note: &'a Mutex<PullNote>,
    ) -> Result<Keeper<'a>, Stop> {
        let view = self.view(&repo).ok_or_else(|| Stop::later(format!("{repo} was not read yet")))?;
        Ok(Keeper {
            me: self,
            claimed,
            gated: Some(slot.first().clone()),
            marker: slot.marker(&claimed.row.slot.branch),
            slot: slot.id().to_owned(),
            api: self.api(&repo.forge)?,
            us: self.us(&repo).await?,
            name: view.repository.name.clone(),
            repo,
            stood,
            note,
        })
    }

    /// Our login where a repository is.
    async fn us(&self, repo: &RepoKey) -> Result<String, Stop> {
        let us = self.who_we_are(&repo.forge).await;
        Ok(us.ok_or_else(|| Stop::later("the forge does not say who our token belongs to"))?.login)
    }

    /// The repository that a pull request of a gate may be in, where no row tells: that of the consumer, unless its copies are
    /// offered to the source and only that has one of ours.
    async fn where_ours_may_be(&self, gated: &Gated) -> RepoKey {
        let offers = gated.gate.repairs.iter().any(|rule| matches!(rule, Rule::Mirror { to: To::Source, .. }));
        if !offers {
            return gated.consumer.clone();
        }
        for repo in [&gated.consumer, &gated.source] {
            let (view, us) = (self.view(repo), self.us(repo).await);
            if let (Some(view), Ok(us)) = (view, us)
                && has_ours(&view, &us)
            {
                return repo.clone();
            }
        }
        gated.consumer.clone()
    }
}

/// Whether one of the open pull requests is ours.
fn has_ours(view: &View, us: &str) -> bool {
    view.pulls.iter().any(|pull| pull.author.eq_ignore_ascii_case(us))
}

/// The repository that a pull request was written to.
fn written(note: &PullNote) -> Option<RepoKey> {
    let (forge, name) = note.written.as_deref()?.split_once('/')?;
    Some(RepoKey { forge: forge.to_owned(), name: name.to_owned() })
}

/// What is known of a gate's pull requests.
fn standings(rows: &[PullRow], gated: &Gated) -> Vec<Standing> {
    let slot = slots::id(gated);
    let of_gate = rows.iter().filter(|row| row.slot.slot == slot && row.note.state != state::NONE);
    of_gate
        .map(|row| Standing {
            gate: gated.id.clone(),
            repo: written(&row.note),
            number: row.note.pull.and_then(|number| u64::try_from(number).ok()),
            row: row.clone(),
        })
        .collect()
}

/// The one that concerns a commit in a role: of a branch head only.
pub fn at<'a>(standings: &'a [Standing], gate: &str, role: &Role) -> Option<&'a Standing> {
    let (Role::ConsumerBranch { branch } | Role::SourceBranch { consumer_branch: branch }) = role else { return None };
    standings.iter().find(|standing| standing.gate == gate && standing.row.slot.branch == *branch)
}

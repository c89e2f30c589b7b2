//! The timer: what a lost delivery would have said is found here, and counted.
//!
//! A round hints at every repository: each is read once, and what differs from what is known is judged. Of several replicas
//! one begins a round. Rounds are jittered, so that services that were started together do not ask together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::RepoKey;
use super::sight::Change;
use super::{Controller, chance, lock, look, pairs};
use crate::store::{Keep, Level, Pruned, StoreError};

/// What a repository *is* (its name, visibility and our rights) is read again every so many rounds: deliveries tell it as a
/// rule, and a round costs a request less for each repository.
const FACTS: u64 = 12;

/// Where the last gap is kept.
pub(super) const GAP: &str = "last_gap";
/// When the last round began.
const ROUND: &str = "round_at";

/// What the timer found that no delivery had told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When it was found, Unix milliseconds.
    pub at: i64,
    /// Heads that had moved or were new.
    pub missed: u64,
    /// How many of them were judged at once.
    pub repaired: u64,
    /// How long at most the oldest of them had been unknown, in milliseconds.
    pub oldest: i64,
}

/// What is found within this time is one gap (ms).
const ONE_GAP: i64 = 60_000;

impl Controller {
    /// Begins a round at start, on the timer, and when a delivery shows a gap.
    pub(super) async fn reconcile(&self) {
        for round in 0_u64.. {
            if round == 0 || self.is_our_turn(round).await {
                if round.is_multiple_of(FACTS) {
                    lock(&self.in_doubt).extend(self.repositories.iter().cloned());
                }
                match self.store.hint(&pairs(&self.repositories), Level::Read, self.now()).await {
                    Ok(()) => self.look_wake.notify_one(),
                    Err(error) => tracing::error!(%error, "the timer cannot write its hint"),
                }
                if round.is_multiple_of(FACTS) {
                    self.prune().await;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(self.options.reconcile)) => {}
                () = self.round_wake.notified() => {}
            }
        }
    }

    /// Removes what is kept no longer.
    async fn prune(&self) {
        match self.store.prune(self.now(), Keep::default()).await {
            Ok(pruned) if pruned == Pruned::default() => {}
            Ok(pruned) => tracing::info!(?pruned, "removed what is kept no longer"),
            Err(error) => tracing::error!(%error, "old rows are not removed; again in an hour"),
        }
    }

    /// Whether this process begins the round, and not another replica that did so a moment ago.
    async fn is_our_turn(&self, round: u64) -> bool {
        let now = self.now();
        let before = now - look::millis(self.options.reconcile) / 2;
        match self.store.take_turn(ROUND, now, before).await {
            Ok(ours) => ours,
            Err(error) => {
                tracing::error!(%error, round, "the timer cannot read the store");
                true
            }
        }
    }

    /// A delivery told of a head that nobody had told before it: others may be lost too.
    pub(super) fn gap_shown(&self) {
        self.round_wake.notify_one();
    }

    /// Counts what the timer found.
    pub(super) async fn found_without_delivery(
        &self,
        repo: &RepoKey,
        change: &Change,
        judged: bool,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let missed = u64::try_from(change.heads).unwrap_or(u64::MAX);
        let oldest = change.last_read.map_or(0, |read| now.saturating_sub(read));
        let repaired = if judged { missed } else { 0 };
        tracing::warn!(
            %repo,
            "missed {missed}, repaired {repaired}, oldest {}: found by the timer, no delivery had told it",
            minutes(oldest)
        );
        self.metrics.missed(missed);
        let mut gap = self.last_gap().await?.filter(|gap| now - gap.at <= ONE_GAP).unwrap_or_default();
        gap = Gap {
            at: now,
            missed: gap.missed.saturating_add(missed),
            repaired: gap.repaired.saturating_add(repaired),
            oldest: gap.oldest.max(oldest),
        };
        self.store.set_meta(GAP, &serde_json::to_string(&gap).unwrap_or_default()).await
    }

    /// What the timer last found that no delivery had told.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn last_gap(&self) -> Result<Option<Gap>, StoreError> {
        let kept = self.store.meta(GAP).await?;
        Ok(kept.and_then(|json| serde_json::from_str(&json).ok()))
    }
}

/// A time in milliseconds, as people say it: `4 min`, `20 s`.
pub(super) fn minutes(milliseconds: i64) -> String {
    match milliseconds / 1000 {
        seconds @ ..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// Up to a tenth longer or shorter.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * f64::from(chance()) / f64::from(u32::MAX))
}

//! The timer: what a lost delivery would have said is found here, and counted.
//!
//! A round hints at every repository: each is read once, and what differs from what is known is judged. Of several replicas
//! one begins a round. Rounds are jittered, so that services that were started together do not ask together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::plan::RepoKey;
use super::sight::Change;
use super::{Controller, chance, lock, look, pairs};
use crate::forge::Budget;
use crate::store::{Keep, Level, Pruned, StoreError};

/// What a repository *is* (its name, visibility and our rights) is read again every so many rounds: deliveries tell it as a
/// rule, and a round costs a request less for each repository.
const FACTS: u64 = 12;

/// What a round asks of each repository by the API: its pull requests, its comments, and now and then what it is.
const REQUESTS: u64 = 3;

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
    /// Deliveries that had not reached us and were sent again.
    #[serde(default)]
    pub redelivered: u64,
    /// How long at most the oldest of them had been unknown, in milliseconds.
    pub oldest: i64,
}

/// What is found within this time is one gap (ms).
const ONE_GAP: i64 = 60_000;

impl Controller {
    /// Begins a round at start, on the timer, and when a delivery shows a gap.
    pub(super) async fn reconcile(&self) {
        // The forges whose budget does not allow every round, and when the next one may begin there.
        let mut stretched: BTreeMap<&str, Instant> = BTreeMap::new();
        for round in 0_u64.. {
            if round == 0 || self.is_our_turn(round).await {
                if round.is_multiple_of(FACTS) {
                    lock(&self.in_doubt).extend(self.repositories.iter().cloned());
                }
                let now = Instant::now();
                stretched.retain(|_, until| *until > now);
                let asked = |repo: &&RepoKey| !stretched.contains_key(repo.forge.as_str());
                let asked: BTreeSet<RepoKey> = self.repositories.iter().filter(asked).cloned().collect();
                match self.store.hint(&pairs(&asked), Level::Read, self.now()).await {
                    Ok(()) => self.look_wake.notify_one(),
                    Err(error) => tracing::error!(%error, "the timer cannot write its hint"),
                }
                for (forge, wait) in self.stretches() {
                    if stretched.insert(forge, now + wait).is_none() {
                        let every = minutes(look::millis(wait));
                        tracing::warn!(forge, "its rate limit allows a round only every {every}");
                    }
                }
                if round.is_multiple_of(FACTS) {
                    self.prune().await;
                }
                if let Err(error) = self.leave_pulls(None).await {
                    tracing::warn!(%error, "pull requests of gates that are gone stay open until the next round");
                }
                self.redeliver(round == 0).await;
                self.evict().await;
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(self.options.reconcile)) => {}
                () = self.round_wake.notified() => {}
            }
        }
    }

    /// Forges on which a round each interval would cost more than its share of what they let us ask, and how long a round
    /// must last there.
    fn stretches(&self) -> Vec<(&str, Duration)> {
        let of = |(forge, api): (&'_ String, &'_ std::sync::Arc<dyn crate::forge::Forge>)| {
            let budget = api.budget()?;
            let repositories = self.repositories.iter().filter(|repo| repo.forge == *forge).count();
            let (name, _) = self.forges.get_key_value(forge)?;
            Some((name.as_str(), stretched(budget, repositories, self.options.reconcile)?))
        };
        self.forges.iter().filter_map(of).collect()
    }

    /// Removes what is kept no longer.
    async fn prune(&self) {
        match self.store.prune(self.now(), Keep::default()).await {
            Ok(pruned) if pruned == Pruned::default() => {}
            Ok(pruned) => tracing::info!(?pruned, "removed what is kept no longer"),
            Err(error) => tracing::error!(%error, "old rows are not removed; again in an hour"),
        }
    }

    /// Makes room among the caches.
    async fn evict(&self) {
        let (git, limit) = (self.git.clone(), self.options.cache_limit);
        match tokio::task::spawn_blocking(move || git.evict(limit)).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(bytes)) => tracing::info!(bytes, limit, "removed caches that were not used for longest"),
            Ok(Err(error)) => tracing::error!(%error, "the caches cannot be cut back; again at the next round"),
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
        self.note_gap(Gap { at: now, missed, repaired, redelivered: 0, oldest }).await
    }

    /// Adds to the last gap, or begins the next one.
    pub(super) async fn note_gap(&self, more: Gap) -> Result<(), StoreError> {
        let gap = self.last_gap().await?.filter(|gap| more.at - gap.at <= ONE_GAP).unwrap_or_default();
        let gap = Gap {
            at: more.at,
            missed: gap.missed.saturating_add(more.missed),
            repaired: gap.repaired.saturating_add(more.repaired),
            redelivered: gap.redelivered.saturating_add(more.redelivered),
            oldest: gap.oldest.max(more.oldest),
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

/// How long a round of so many repositories must last so that it costs no more than half of what is left; `None` where the
/// interval is long enough.
fn stretched(budget: Budget, repositories: usize, interval: Duration) -> Option<Duration> {
    let cost = u64::try_from(repositories).ok()?.saturating_mul(REQUESTS);
    let rounds = (budget.remaining / 2).checked_div(cost)?;
    let wait = match u32::try_from(rounds) {
        Ok(0) => budget.left,
        Ok(rounds) => budget.left / rounds,
        Err(_) => return None,
    };
    (wait > interval).then_some(wait)
}

/// Up to a tenth longer or shorter.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * f64::from(chance()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_lasts_as_long_as_the_forges_budget_asks_for() {
        let budget = |remaining| Budget { limit: 5_000, remaining, left: Duration::from_secs(3600) };
        let five = Duration::from_secs(300);
        // 10 repositories cost 30: 83 rounds of half of what is left.
        assert_eq!(stretched(budget(5_000), 10, five), None);
        // 500 cost 1,500: one round an hour.
        assert_eq!(stretched(budget(5_000), 500, five), Some(Duration::from_secs(3600)));
        assert_eq!(stretched(budget(5_000), 100, five), Some(Duration::from_secs(450)));
        assert_eq!(stretched(budget(10), 10, five), Some(Duration::from_secs(3600)), "next to nothing is left");
        assert_eq!(stretched(budget(10), 0, five), None, "no repository costs nothing");
    }
}

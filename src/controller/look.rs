//! Looking at one repository: reads what is true now, decides each of its heads, and settles the hints it has seen.
//!
//! Races:
//! - *Two replicas, or two tasks, want to look at one repository*: the store leases it to one of them. Only the holder decides
//!   statuses of that repository, so none of them is decided twice at a time, and no older view overwrites a newer one.
//! - *The other side changes while this side is looked at*: what is seen of the other side is kept with a hint at this one, which the
//!   look does not settle, because it counts the hints that it began with.
//! - *A look stalls past its lease*: it notices when it renews, and stops; its writes are refused by then.
//! - *One repository is slow or huge*: each look is a task of its own, and each forge has its own few. Where a source moves,
//!   the branch heads of all its consumers are judged before their many pull requests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::decide::Decided;
use super::plan::{self, Known, RepoKey, Seen, Target, View};
use super::sight::Change;
use super::{Controller, backoff, pairs};
use crate::store::{Claimed, Due, Fenced, Lease, Level, StoreError, WaiverRow, WantedRow};

/// Looks at a time, for each forge.
const LOOKS: usize = 8;
/// Heads decided at a time in one look: evaluations are short, their fetches wait for the network.
const DECISIONS: usize = 8;
/// Decisions kept in one transaction.
const KEPT_TOGETHER: usize = 64;
/// How long a decision waits for the next ones of its look to be kept with it.
const GATHERED: Duration = Duration::from_millis(25);
/// Up to so many other sides are read afresh for a delivery or a comment; a source with more consumers than that is judged against what
/// was last seen of them, which their own deliveries and the timer keep true.
pub(super) const OTHER_SIDES: usize = 16;

/// While looks run, what falls due by itself waits at most so long.
const WHILE_LOOKING: Duration = Duration::from_millis(500);

/// How long a repository is leased, and how often that is renewed.
const LEASE: Duration = Duration::from_secs(60);
const RENEWED: Duration = Duration::from_secs(20);

/// What a look knows where it decides.
pub(super) struct Look<'a> {
    pub view: &'a View,
    /// What was seen before this look; `None` at the first.
    pub before: Option<&'a View>,
    /// The repository's waivers, read before anything that they are held against.
    pub waivers: &'a [WaiverRow],
    /// Reports behind what is wanted so far, by their keys, as JSON.
    pub reports: HashMap<String, String>,
    pub lease: &'a Lease,
    /// The delivery that it answers, by the forge's id.
    pub delivery: Option<&'a str>,
}

/// Takes out what can wait where only the other side changed: many pull requests, whose statuses seldom change then. The
/// branch heads of all repositories that wait are judged before them.
fn put_off(due: &Due, targets: &mut Vec<Target>) -> Vec<Target> {
    let can_wait = |target: &Target| target.asks.iter().all(|ask| ask.role.is_pull());
    let many = targets.iter().filter(|target| can_wait(target)).count() > DECISIONS;
    if due.level > Level::Decide || due.again || due.hinted_at.is_none() || !many {
        return Vec::new();
    }
    targets.extract_if(.., |target| can_wait(target)).collect()
}

/// What is under way on a forge.
#[derive(Default)]
struct Running {
    looks: usize,
    /// More were due than could begin: a few are claimed at a time then.
    more: bool,
}

/// What a look leaves to be done.
#[derive(Default)]
struct Left {
    /// Something changes by itself then (Unix milliseconds): a grace or a waiver ends.
    look_at: Option<i64>,
    /// A head could not be judged, or the repository not be read, for a reason that may pass.
    unfinished: bool,
    /// Pull requests wait for the branch heads of others.
    put_off: bool,
    /// What the timer found that no delivery had told.
    missed: Option<Change>,
}

impl Controller {
    /// Looks at whatever is due, until told to stop. What runs then is dropped: a look only reads, and what it keeps it keeps
    /// whole; its leases end at once.
    pub(super) async fn look_always(self: Arc<Self>, shutdown: CancellationToken) {
        let mut looks: JoinSet<String> = JoinSet::new();
        let mut running: BTreeMap<String, Running> = BTreeMap::new();
        while !shutdown.is_cancelled() {
            let pause = match self.begin_looks(&mut looks, &mut running).await {
                // Each look that ends makes room and asks again.
                Ok(()) if !looks.is_empty() => WHILE_LOOKING,
                Ok(()) => self.until_next_due().await,
                Err(error) => self.store_failed("look", &error),
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.look_wake.notified() => {}
                // Those that run may be slow: others do not wait for them.
                () = tokio::time::sleep(pause) => running.values_mut().for_each(|running| running.more = false),
                Some(ended) = looks.join_next(), if !looks.is_empty() => {
                    if let Ok(forge) = ended && let Some(running) = running.get_mut(&forge) {
                        running.looks = running.looks.saturating_sub(1);
                    }
                }
            }
        }
        looks.shutdown().await;
        if let Err(error) = self.store.expire_looks(&self.holder, self.now()).await {
            tracing::warn!(%error, "leases are not given back; they end by themselves");
        }
    }

    async fn begin_looks(
        self: &Arc<Self>,
        looks: &mut JoinSet<String>,
        running: &mut BTreeMap<String, Running>,
    ) -> Result<(), StoreError> {
        for forge in self.forges.keys() {
            if self.guests.get(forge).is_some_and(|guest| guest.rests()) {
                continue;
            }
            let running = running.entry(forge.clone()).or_default();
            let free = LOOKS.saturating_sub(running.looks);
            if free == 0 || (running.more && free < LOOKS / 2) {
                continue;
            }
            let claim = self.claim(forge, LEASE, free);
            let claimed = self.store.claim(&claim).await?;
            running.more = claimed.len() == free;
            for claimed in claimed {
                running.looks += 1;
                let (me, forge) = (self.clone(), forge.clone());
                looks.spawn(async move {
                    let looking = AssertUnwindSafe(me.look_holding(&claimed)).catch_unwind();
                    if looking.await.is_err() {
                        let repo = key(&claimed.due);
                        tracing::error!(%repo, "looking broke, and is tried again; this is a defect of drift-gate");
                        let later = me.now() + backoff(claimed.due.attempts);
                        // Where that fails too, the lease ends by itself.
                        let _ = me.store.postpone_held(&claimed, later).await;
                    }
                    forge
                });
            }
        }
        Ok(())
    }

    /// Looks, and renews the lease meanwhile.
    async fn look_holding(&self, claimed: &Claimed) {
        let repo = key(&claimed.due);
        let looking = self.look_and_settle(&repo, claimed);
        let renewing = async {
            loop {
                tokio::time::sleep(RENEWED).await;
                match self.store.renew(&[&claimed.lease], self.now() + millis(LEASE)).await {
                    Ok(held) if held.first() == Some(&true) => {}
                    Ok(_) => return,
                    Err(error) => tracing::warn!(%repo, %error, "the lease is not renewed"),
                }
            }
        };
        tokio::select! {
            looked = looking => if let Err(error) = looked {
                tracing::error!(%repo, %error, "the store failed; looking again");
                // Given back where that is possible; else it ends by itself.
                let _ = self.store.postpone_held(claimed, self.now() + backoff(claimed.due.attempts)).await;
            },
            () = renewing => tracing::warn!(%repo, "looked too long: somebody else looks now"),
        }
    }

    async fn look_and_settle(&self, repo: &RepoKey, claimed: &Claimed) -> Result<(), StoreError> {
        let left = self.look(repo, claimed).await?;
        if let Some(change) = &left.missed {
            self.found_without_delivery(repo, change, !left.unfinished).await?;
        }
        let fenced = if left.put_off {
            self.store.put_off_held(claimed, self.now()).await?
        } else if left.unfinished {
            self.store.postpone_held(claimed, self.now() + backoff(claimed.due.attempts)).await?
        } else {
            self.store.settle_held(claimed, left.look_at).await?
        };
        if fenced == Fenced::Lost {
            tracing::warn!(%repo, "looked too long: somebody else looks now");
        }
        Ok(())
    }

    async fn look(&self, repo: &RepoKey, claimed: &Claimed) -> Result<Left, StoreError> {
        // First: whoever made a waiver kept what it was made for before, so no older view of that ends one.
        let waivers = self.store.waivers(Some((&repo.forge, &repo.name))).await?;
        self.sync().await?;
        let before = self.view(repo);
        tracing::debug!(%repo, level = ?claimed.due.level, "looking");
        let missed = self.read_for(repo, claimed).await?;
        tracing::debug!(%repo, "seen");
        let gates = self.gates_now();
        let Some(sight) = self.sight(repo) else { return Ok(Left { unfinished: true, ..Left::default() }) };
        let (Some(view), None) = (sight.view.clone(), &sight.outage) else {
            return Ok(Left { unfinished: true, ..Left::default() });
        };
        let proposals = self.proposals(repo, &view).await;
        let mut needed = plan::partners(&gates, repo);
        needed.extend(plan::sources(&proposals));
        needed.insert(repo.clone());
        let seen = self.seen(&needed);
        self.ask_for(&needed, &seen).await?;
        let page = |repo: &RepoKey, number| self.pull_page(repo, number);
        let trouble = sight.brought.trouble.as_deref();
        let known = Known { gates: &gates, seen: &seen, proposals: &proposals, trouble, page: &page };
        let mut targets = plan::targets(&known, repo);
        let put_off = put_off(&claimed.due, &mut targets);
        let current = self.store.current(Some((&repo.forge, &repo.name))).await?;
        let rows: BTreeMap<String, WantedRow> = current.into_iter().map(|row| (row.id.clone(), row)).collect();
        let look = Look {
            view: &view,
            before: before.as_deref(),
            waivers: &waivers,
            reports: self.stored_reports(rows.values()).await?,
            lease: &claimed.lease,
            delivery: claimed.due.delivery.as_deref(),
        };
        let later: Vec<String> = put_off.iter().map(|target| self.target_id(&look, target)).collect();
        let left = Left { missed, put_off: !later.is_empty(), ..self.decide_all(&look, targets, later, &rows).await? };
        let rows: Vec<&WantedRow> = rows.values().collect();
        self.hint_pulls(repo, &gates).await?;
        self.merged_although_red(repo, &view, &rows).await?;
        self.end_of_closed(repo, &view, &waivers, &claimed.lease).await?;
        if claimed.due.level == Level::Read {
            self.find_comments(repo, &view).await?;
            self.audit(&view, &rows).await?;
        }
        // Also where nothing new was decided: a status may be in doubt, or its commit may be a head again.
        self.publish_wake.notify_one();
        Ok(left)
    }

    /// Reads what the hint asks for: nothing, the repository, or the other sides of its gates as well.
    /// Answers what a hint of the timer found.
    async fn read_for(&self, repo: &RepoKey, claimed: &Claimed) -> Result<Option<Change>, StoreError> {
        let (level, delivery) = (claimed.due.level, claimed.due.delivery.as_deref());
        if level < Level::Read && self.view(repo).is_some() {
            return Ok(None);
        }
        let mut others = BTreeSet::new();
        if level == Level::ReadBoth {
            let partners = plan::partners(&self.gates_now(), repo);
            others = if partners.len() <= OTHER_SIDES { partners } else { BTreeSet::new() };
        }
        let others = futures_util::future::try_join_all(others.iter().map(|other| self.see(other, delivery)));
        let (change, _) = tokio::try_join!(self.see_to_judge(repo, delivery, &claimed.lease), others)?;
        Ok((level == Level::Read && change.heads > 0).then_some(change))
    }

    /// Sides that were never seen are to be read: what is seen of them hints back.
    async fn ask_for(&self, needed: &BTreeSet<RepoKey>, seen: &BTreeMap<RepoKey, Seen>) -> Result<(), StoreError> {
        let unseen: BTreeSet<RepoKey> = needed.iter().filter(|repo| !seen.contains_key(*repo)).cloned().collect();
        if !unseen.is_empty() {
            self.store.hint(&pairs(&unseen), Level::Read, self.now()).await?;
            self.look_wake.notify_one();
        }
        Ok(())
    }

    async fn decide_all(
        &self,
        look: &Look<'_>,
        targets: Vec<Target>,
        later: Vec<String>,
        rows: &BTreeMap<String, WantedRow>,
    ) -> Result<Left, StoreError> {
        // Decisions go on while others are kept: both use the store, whose connections are few, and a decision that nobody
        // polls would hold the one that keeping waits for.
        let (decided, kept) = mpsc::unbounded_channel();
        let deciding = async {
            let mut deciding = futures_util::stream::iter(targets)
                .map(|target| async move { self.decide(look, &target, rows).await })
                .buffer_unordered(DECISIONS);
            while let Some(one) = deciding.next().await {
                if decided.send(one).is_err() {
                    break;
                }
            }
            drop(decided);
        };
        let ((), left) = tokio::join!(deciding, self.keep_all(look, kept, later, rows));
        left
    }

    /// Keeps decisions as they come, many in one transaction; then says which commits are heads.
    async fn keep_all(
        &self,
        look: &Look<'_>,
        mut decided: Decisions,
        later: Vec<String>,
        rows: &BTreeMap<String, WantedRow>,
    ) -> Result<Left, StoreError> {
        let mut left = Left::default();
        let mut ids = later;
        let mut chunk = Vec::with_capacity(KEPT_TOGETHER);
        while gather(&mut decided, &mut chunk).await {
            let (mut keep, mut ended) = (Vec::new(), Vec::new());
            for decided in chunk.drain(..) {
                let decided = decided?;
                ids.push(decided.id);
                left.look_at = earlier(left.look_at, decided.look_at);
                left.unfinished |= decided.unfinished;
                keep.extend(decided.keep);
                ended.extend(decided.ended);
            }
            if !keep.is_empty() {
                if self.store.decide_held(&keep, &[look.lease]).await? == Fenced::Lost {
                    return Ok(left);
                }
                tracing::debug!(decisions = keep.len(), "kept");
                self.publish_wake.notify_one();
            }
            if self.store.end_waivers_held(look.lease, &ended, self.now()).await? == Fenced::Lost {
                return Ok(left);
            }
        }
        ids.extend(self.say_the_last_word(look, &ids, rows).await?);
        // Only who holds the lease makes heads: where each of those that were known is one still, none ceased to be.
        let heads: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        if rows.keys().any(|id| !heads.contains(id.as_str())) {
            // Lost or not: whoever looks now says which commits are heads.
            let _ = self.store.heads_held(look.lease, &ids, self.now()).await?;
        }
        Ok(left)
    }
}

/// Takes the decisions that come one after the other: an `fsync` each would cost more than deciding. False after the last.
async fn gather(decided: &mut Decisions, chunk: &mut Vec<Result<Decided, StoreError>>) -> bool {
    let Some(first) = decided.recv().await else { return false };
    chunk.push(first);
    let until = tokio::time::Instant::now() + GATHERED;
    while chunk.len() < KEPT_TOGETHER
        && let Ok(Some(next)) = tokio::time::timeout_at(until, decided.recv()).await
    {
        chunk.push(next);
    }
    true
}

type Decisions = mpsc::UnboundedReceiver<Result<Decided, StoreError>>;

fn key(due: &Due) -> RepoKey {
    RepoKey { forge: due.forge.clone(), name: due.name.clone() }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

//! Looking: reads what is true now, decides every head that it may concern, and settles the hints it has seen.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::StreamExt;

use super::plan::{self, RepoKey, Seen, View};
use super::{Controller, Trouble, backoff, lock};
use crate::forge::{ForgeError, RepoName, Repository};
use crate::store::{Due, StoreError, WantedRow};

/// Repositories read at a time.
const READS: usize = 8;
/// Heads decided at a time: evaluations are short, their fetches wait for the network.
const DECISIONS: usize = 8;
/// Decisions kept in one transaction.
const KEPT_TOGETHER: usize = 64;
/// Up to so many other sides are read afresh at every look; a source with more consumers than that is judged against what
/// was last seen of those without a hint, which their own deliveries and the timer keep true.
const OTHER_SIDES: usize = 16;

impl Controller {
    /// Looks at everything that is due.
    pub(super) async fn look_due(&self) -> Result<(), StoreError> {
        let due = self.store.due(self.now()).await?;
        let due: Vec<Due> = due.into_iter().filter(|due| self.repositories.contains(&key(due))).collect();
        if due.is_empty() {
            return Ok(());
        }
        let dirty: BTreeSet<RepoKey> = due.iter().map(key).collect();
        tracing::debug!(hinted = dirty.len(), "looking");
        let afresh = std::mem::take(&mut *lock(&self.afresh));
        let affected = plan::affected(&self.gates, &dirty);
        let involved = plan::involved(&self.gates, &affected);
        let before: HashSet<(RepoKey, String)> = self.heads_before(&affected);
        let seen = self.see(&dirty, &involved).await?;
        tracing::debug!(repositories = seen.len(), "seen");
        for (repo, pull) in &afresh {
            self.doubt(&seen, repo, *pull).await?;
        }
        let looked = self.decide_all(&seen, &affected, &before, &afresh).await?;
        // Also where nothing new was decided: a status may be in doubt, or its commit may be a head again.
        self.publish_wake.notify_one();
        for due in &due {
            let unreadable = matches!(seen.get(&key(due)), Some(Seen::Unreadable { .. }));
            let concerned = plan::affected(&self.gates, &BTreeSet::from([key(due)]));
            if unreadable || concerned.iter().any(|repo| looked.unfinished.contains(repo)) {
                self.store.postpone(due, self.now() + backoff(due.attempts)).await?;
            } else {
                self.store.settle(due, looked.look_at).await?;
            }
        }
        Ok(())
    }

    /// Reads the dirty repositories and the other sides of their gates.
    async fn see(
        &self,
        dirty: &BTreeSet<RepoKey>,
        involved: &BTreeSet<RepoKey>,
    ) -> Result<BTreeMap<RepoKey, Seen>, StoreError> {
        let others = plan::affected(&self.gates, dirty);
        let all_others = others.len() <= dirty.len() + OTHER_SIDES;
        let read_now = |repo: &RepoKey| {
            dirty.contains(repo) || (all_others && others.contains(repo)) || !lock(&self.views).contains_key(repo)
        };
        let mut seen = BTreeMap::new();
        let mut reads = Vec::new();
        for repo in involved {
            if read_now(repo) {
                reads.push(repo.clone());
            } else if let Some(view) = lock(&self.views).get(repo) {
                seen.insert(repo.clone(), Seen::View(view.clone()));
            }
        }
        let mut reading = futures_util::stream::iter(reads)
            .map(|repo| async {
                let read = self.read(&repo).await;
                (repo, read)
            })
            .buffer_unordered(READS);
        while let Some((repo, read)) = reading.next().await {
            let now = match read {
                Ok(view) => {
                    let view = Arc::new(view);
                    self.note_readable(&repo, &view).await?;
                    lock(&self.views).insert(repo.clone(), view.clone());
                    Seen::View(view)
                }
                Err(trouble) => {
                    self.doubt_facts(&repo);
                    let since = self.store.unreadable(&repo.forge, &repo.name, &trouble.why, self.now()).await?;
                    if lock(&self.down).insert(repo.clone()) {
                        tracing::warn!(%repo, why = trouble.why, "cannot be read; trying again");
                    }
                    Seen::Unreadable { why: trouble.why, since }
                }
            };
            seen.insert(repo, now);
        }
        Ok(seen)
    }

    /// Writes the repository's row only where something is new: a look must not cost a write.
    async fn note_readable(&self, repo: &RepoKey, view: &View) -> Result<(), StoreError> {
        let was_down = lock(&self.down).remove(repo);
        if was_down {
            tracing::info!(%repo, "can be read again");
        }
        let same = self.known(repo).is_some_and(|known| known == view.repository);
        if same && !was_down {
            return Ok(());
        }
        let id = i64::try_from(view.repository.id).unwrap_or(i64::MAX);
        if view.repository.name.0 != repo.name {
            tracing::info!(%repo, now = view.repository.name.0, "the repository has another name now");
        }
        if !view.repository.can_write {
            tracing::warn!(%repo, "our token cannot write there: no status can be posted");
        }
        self.store.readable(&repo.forge, &repo.name, id, &view.repository.name.0, view.repository.private).await
    }

    /// Heads and open pull requests, under the repository's present name; and what the repository is, unless that is known
    /// and not in doubt.
    async fn read(&self, repo: &RepoKey) -> Result<View, Trouble> {
        let known = self.known(repo);
        let name = known.as_ref().map_or_else(|| RepoName(repo.name.clone()), |known| known.name.clone());
        // Taken before anything is read: what is doubted from now on is read at the next look.
        let in_doubt = lock(&self.in_doubt).remove(repo);
        let facts = known.clone().filter(|_| !in_doubt);
        match self.read_as(repo, &name, facts).await {
            Err(ForgeError::Moved { .. } | ForgeError::NotFound { .. }) => {
                let stored = self.stored_id(repo).await;
                let Some(id) = known.map(|known| known.id).or(stored) else {
                    let why = format!("{repo}: not found; does it exist, was it renamed, may our token read it?");
                    return Err(Trouble { why, passing: true });
                };
                let api = self.api(&repo.forge)?;
                let now = api.repository_by_id(id).await?;
                Ok(self.read_as(repo, &now.name.clone(), Some(now)).await?)
            }
            other => Ok(other?),
        }
    }

    async fn read_as(&self, repo: &RepoKey, name: &RepoName, facts: Option<Repository>) -> Result<View, ForgeError> {
        let api = self.api(&repo.forge).map_err(|trouble| ForgeError::Refused {
            what: repo.to_string(),
            status: 0,
            message: trouble.why,
        })?;
        let repository = async {
            match facts {
                Some(facts) => Ok(facts),
                None => api.repository(name).await,
            }
        };
        let (repository, pulls, heads) = tokio::join!(repository, api.open_pulls(name), self.branch_heads(repo, name));
        Ok(View { repository: repository?, pulls: pulls?, heads: heads? })
    }

    pub(super) fn api(&self, forge: &str) -> Result<&Arc<dyn crate::forge::Forge>, Trouble> {
        self.forges
            .get(forge)
            .ok_or_else(|| Trouble { why: format!("forge `{forge}` is not configured"), passing: false })
    }

    async fn stored_id(&self, repo: &RepoKey) -> Option<u64> {
        let rows = self.store.repositories().await.ok()?;
        let row = rows.into_iter().find(|row| row.forge == repo.forge && row.name == repo.name)?;
        u64::try_from(row.forge_id?).ok()
    }

    async fn doubt(&self, seen: &BTreeMap<RepoKey, Seen>, repo: &RepoKey, pull: u64) -> Result<(), StoreError> {
        let Some(Seen::View(view)) = seen.get(repo) else {
            lock(&self.afresh).insert((repo.clone(), pull));
            return Ok(());
        };
        let id = i64::try_from(view.repository.id).unwrap_or(i64::MAX);
        for head in view.pulls.iter().filter(|open| open.number == pull) {
            self.store.doubt(&repo.forge, id, head.head_sha.as_str()).await?;
        }
        Ok(())
    }

    /// Heads that were seen before this look: only others can be without any status of ours.
    fn heads_before(&self, repos: &BTreeSet<RepoKey>) -> HashSet<(RepoKey, String)> {
        let views = lock(&self.views);
        let mut heads = HashSet::new();
        for repo in repos {
            match views.get(repo) {
                Some(view) => {
                    let shas = view.heads.values().chain(view.pulls.iter().map(|pull| &pull.head_sha));
                    heads.extend(shas.map(|sha| (repo.clone(), sha.to_string())));
                }
                // Never seen in this run: every head is in doubt.
                None => {
                    heads.insert((repo.clone(), String::new()));
                }
            }
        }
        heads
    }

    async fn decide_all(
        &self,
        seen: &BTreeMap<RepoKey, Seen>,
        affected: &BTreeSet<RepoKey>,
        before: &HashSet<(RepoKey, String)>,
        afresh: &BTreeSet<(RepoKey, u64)>,
    ) -> Result<Looked, StoreError> {
        let mut rows: BTreeMap<String, WantedRow> = BTreeMap::new();
        for repo in affected {
            let current = self.store.current(Some((&repo.forge, &repo.name))).await?;
            rows.extend(current.into_iter().map(|row| (row.id.clone(), row)));
        }
        let targets = plan::targets(&self.gates, seen, affected);
        let mut looked = Looked::default();
        let mut ids: BTreeMap<RepoKey, Vec<String>> = BTreeMap::new();
        let mut deciding = futures_util::stream::iter(targets)
            .map(|target| {
                let rows = &rows;
                async move {
                    let decided = self.decide(seen, &target, rows, before, afresh).await;
                    (target, decided)
                }
            })
            .buffer_unordered(DECISIONS)
            .ready_chunks(KEPT_TOGETHER);
        while let Some(chunk) = deciding.next().await {
            let mut keep = Vec::new();
            for (target, decided) in chunk {
                let decided = decided?;
                ids.entry(target.repo.clone()).or_default().push(decided.id);
                looked.look_at = earlier(looked.look_at, decided.look_at);
                if decided.unfinished {
                    looked.unfinished.insert(target.repo);
                }
                keep.extend(decided.keep);
            }
            if !keep.is_empty() {
                self.store.decide(&keep).await?;
                tracing::debug!(decisions = keep.len(), "kept");
                self.publish_wake.notify_one();
            }
        }
        for repo in affected {
            if let Some(Seen::View(_)) = seen.get(repo) {
                self.store.heads(&repo.forge, &repo.name, ids.get(repo).map_or(&[], Vec::as_slice)).await?;
            }
        }
        Ok(looked)
    }
}

/// What a look leaves to be done.
#[derive(Default)]
struct Looked {
    /// Something changes by itself then (Unix milliseconds): a grace ends.
    look_at: Option<i64>,
    /// Repositories with a head that could not be judged for a reason that may pass.
    unfinished: BTreeSet<RepoKey>,
}

fn key(due: &Due) -> RepoKey {
    RepoKey { forge: due.forge.clone(), name: due.name.clone() }
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

//! What was last seen of each repository: kept in the store, so that all replicas know the same and a restart forgets nothing.
//!
//! Races:
//! - *Two read one repository at once*: what is kept names the version that was known before reading began. Where somebody
//!   kept something else meanwhile, nobody can tell which of the two is newer, so the repository is read again.
//! - *A repository changes, and the process dies before its partners are judged again*: they are hinted at in the transaction that
//!   keeps what was seen.
//! - *A look reads, and has lost its lease by then*: its decisions are refused, and whoever has the lease now may have read before it did.
//!   The repository is hinted at then, which it is not while the look that read it judges it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::brought::Brought;
use super::plan::{self, RepoKey, Seen, View};
use super::{Controller, Trouble, lock, pairs};
use crate::forge::{ForgeError, RepoName, Repository};
use crate::store::{Kept, Lease, Level, NewSight, StoreError};

/// Since when a repository cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// In words, for people: what the last try gave.
    pub why: String,
    /// Unix milliseconds.
    pub since: i64,
}

/// What was last seen of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Its heads and pull requests, when it could last be read.
    pub view: Option<Arc<View>>,
    /// It cannot be read now.
    pub outage: Option<Outage>,
    /// Its own file of gates.
    #[serde(default)]
    pub brought: Brought,
}

impl Sight {
    fn seen(&self) -> Option<Seen> {
        match (&self.outage, &self.view) {
            (Some(outage), _) => Some(Seen::Unreadable { why: outage.why.clone(), since: outage.since }),
            (None, Some(view)) => Some(Seen::View(view.clone())),
            (None, None) => None,
        }
    }
}

/// All that is known, as of a version of the store.
#[derive(Default)]
pub(super) struct Sights {
    version: i64,
    of: HashMap<RepoKey, (i64, Arc<Sight>)>,
}

/// What reading a repository brought.
pub(super) struct Change {
    /// Heads of branches and pull requests that are not what they were, or are new.
    pub heads: usize,
    /// When it was last read before, Unix milliseconds.
    pub last_read: Option<i64>,
}

impl Controller {
    /// Takes over what other replicas saw.
    pub(super) async fn sync(&self) -> Result<(), StoreError> {
        let since = lock(&self.sights).version;
        let rows = self.store.sights_since(since).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut brought = false;
        {
            let mut sights = lock(&self.sights);
            for row in rows {
                let repo = RepoKey { forge: row.forge, name: row.name };
                let Ok(sight) = serde_json::from_str::<Sight>(&row.sight) else {
                    tracing::error!(%repo, "what was last seen of it cannot be read from the store; it is read again");
                    continue;
                };
                brought |= self.bringers.contains_key(&repo);
                sights.version = sights.version.max(row.version);
                sights.of.insert(repo, (row.version, Arc::new(sight)));
            }
        }
        if brought {
            self.gather_gates();
        }
        Ok(())
    }

    pub(super) fn sight(&self, repo: &RepoKey) -> Option<Arc<Sight>> {
        lock(&self.sights).of.get(repo).map(|(_, sight)| sight.clone())
    }

    fn versioned(&self, repo: &RepoKey) -> (i64, Arc<Sight>) {
        lock(&self.sights).of.get(repo).cloned().unwrap_or_default()
    }

    /// What is known of these repositories.
    pub(super) fn seen<'a>(&self, repos: impl IntoIterator<Item = &'a RepoKey>) -> BTreeMap<RepoKey, Seen> {
        let sights = lock(&self.sights);
        let seen = |repo: &RepoKey| Some((repo.clone(), sights.of.get(repo)?.1.seen()?));
        repos.into_iter().filter_map(seen).collect()
    }

    /// The repository of this id on a forge.
    pub(super) fn by_forge_id(&self, forge: &str, id: u64) -> Option<RepoKey> {
        let sights = lock(&self.sights);
        let is_it = |sight: &Sight| sight.view.as_ref().is_some_and(|view| view.repository.id == id);
        sights.of.iter().find(|(repo, (_, sight))| repo.forge == forge && is_it(sight)).map(|(repo, _)| repo.clone())
    }

    /// What was last seen of a repository, also while it cannot be read now.
    pub fn view(&self, repo: &RepoKey) -> Option<Arc<View>> {
        self.sight(repo)?.view.clone()
    }

    /// Where people see a pull request.
    pub(super) fn pull_page(&self, repo: &RepoKey, number: u64) -> Option<String> {
        let api = self.forges.get(&repo.forge)?;
        Some(api.pull_page(&self.current_name(repo), number))
    }

    pub(super) fn known(&self, repo: &RepoKey) -> Option<Repository> {
        self.view(repo).map(|view| view.repository.clone())
    }

    /// Reads a repository, for a delivery or not, and keeps what was seen; hints at whom it concerns.
    pub(super) async fn see(&self, repo: &RepoKey, delivery: Option<&str>) -> Result<Change, StoreError> {
        self.see_as(repo, delivery, None).await
    }

    /// Likewise, for a look at this repository: what is seen is judged by that look itself, and asks for no other while its
    /// lease is held.
    pub(super) async fn see_to_judge(
        &self,
        repo: &RepoKey,
        delivery: Option<&str>,
        lease: &Lease,
    ) -> Result<Change, StoreError> {
        self.see_as(repo, delivery, Some(lease)).await
    }

    async fn see_as(
        &self,
        repo: &RepoKey,
        delivery: Option<&str>,
        judged_by: Option<&Lease>,
    ) -> Result<Change, StoreError> {
        let (version, before) = self.versioned(repo);
        let last_read = lock(&self.read_at).get(repo).copied();
        let began = self.now();
        let now = match self.read_all(repo, &before).await {
            Ok((view, brought)) => {
                lock(&self.read_at).insert(repo.clone(), began);
                Sight { view: Some(Arc::new(view)), outage: None, brought }
            }
            Err(trouble) => {
                self.doubt_facts(repo);
                let since = before.outage.as_ref().map_or(began, |outage| outage.since);
                Sight { outage: Some(Outage { why: trouble.why, since }), ..Sight::clone(&before) }
            }
        };
        self.tell(repo, &before, &now);
        let change = Change { heads: moved(before.view.as_deref(), now.view.as_deref()), last_read };
        if now == *before && version > 0 {
            return Ok(change);
        }
        let concerned = self.concerned(repo, &before, &now);
        let sight = NewSight {
            forge: &repo.forge,
            name: &repo.name,
            base: version,
            sight: &serde_json::to_string(&now).unwrap_or_default(),
            now: self.now(),
            delivery,
            judged_by,
        };
        match self.store.keep_sight(&sight, &pairs(&concerned)).await? {
            Kept::Yes | Kept::Same => {}
            Kept::Overtaken => {
                self.store.hint(&pairs(&BTreeSet::from([repo.clone()])), Level::Read, self.now()).await?
            }
        }
        self.sync().await?;
        if !concerned.is_empty() {
            self.look_wake.notify_one();
        }
        Ok(change)
    }

    /// Who must be judged again because of what a repository is now: the other sides of its gates, where what they are
    /// judged by changed, and the repository itself, in case that it is somebody else who looked.
    fn concerned(&self, repo: &RepoKey, before: &Sight, now: &Sight) -> BTreeSet<RepoKey> {
        let gates = self.gates_now();
        let by_others = |sight: &Sight| {
            let heads = sight.view.as_ref().map(|view| plan::heads_for_others(&gates, repo, view));
            let private = sight.view.as_ref().map(|view| view.repository.private);
            let seen = |repo: &RepoKey| self.view(repo);
            let pulls = sight.view.as_ref().map(|view| plan::pulls_for_others(&gates, repo, view, &seen));
            (heads, pulls, private, sight.outage.is_some(), sight.brought.clone())
        };
        let mut concerned = BTreeSet::new();
        if by_others(before) != by_others(now) {
            concerned.extend(plan::partners(&gates, repo));
            concerned.extend(plan::partners(&self.gates_with(repo, now), repo));
        }
        let outage = |sight: &Sight| sight.outage.is_some();
        if before.view != now.view || outage(before) != outage(now) || before.brought != now.brought {
            concerned.insert(repo.clone());
        }
        concerned
    }

    fn tell(&self, repo: &RepoKey, before: &Sight, now: &Sight) {
        match (&before.outage, &now.outage) {
            (None, Some(outage)) => tracing::warn!(%repo, why = outage.why, "cannot be read; trying again"),
            (Some(_), None) => tracing::info!(%repo, "can be read again"),
            _ => {}
        }
        if now.brought.trouble != before.brought.trouble
            && let Some(why) = &now.brought.trouble
        {
            tracing::warn!(%repo, why, "its own gates cannot be used; the last valid ones judge on");
        }
        let facts = |sight: &Sight| sight.view.as_ref().map(|view| view.repository.clone());
        let (was, is) = (facts(before), facts(now));
        let Some(is) = is.filter(|is| was.as_ref() != Some(is)) else { return };
        if is.name.0 != repo.name {
            tracing::info!(%repo, now = is.name.0, "the repository has another name now");
        }
        if !is.can_write {
            tracing::warn!(%repo, "our token cannot write there: no status can be posted");
        }
    }

    async fn read_all(&self, repo: &RepoKey, before: &Sight) -> Result<(View, Brought), Trouble> {
        let view = self.read(repo, before.view.as_deref()).await?;
        let brought = match self.bringers.get(repo) {
            Some(_) => self.read_brought(repo, &view, &before.brought).await?,
            None => Brought::default(),
        };
        Ok((view, brought))
    }

    /// Heads and open pull requests, under the repository's present name; and what the repository is, unless that is known
    /// and not in doubt.
    async fn read(&self, repo: &RepoKey, before: Option<&View>) -> Result<View, Trouble> {
        let known = before.map(|view| view.repository.clone());
        let name = known.as_ref().map_or_else(|| RepoName(repo.name.clone()), |known| known.name.clone());
        // Taken before anything is read: what is doubted from now on is read at the next look.
        let in_doubt = lock(&self.in_doubt).remove(repo);
        let facts = known.clone().filter(|_| !in_doubt);
        match self.read_as(repo, &name, facts).await {
            Err(ForgeError::Moved { .. } | ForgeError::NotFound { .. }) => {
                let Some(known) = known else {
                    let why = format!("{repo}: not found; does it exist, was it renamed, may our token read it?");
                    return Err(Trouble { why, passing: true });
                };
                let now = self.api(&repo.forge)?.repository_by_id(known.id).await?;
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
}

/// How many heads are other commits than before, or were not there.
fn moved(before: Option<&View>, now: Option<&View>) -> usize {
    let (Some(before), Some(now)) = (before, now) else { return 0 };
    let branches = now.heads.iter().filter(|(branch, sha)| before.heads.get(*branch) != Some(sha)).count();
    let pulls = now.pulls.iter().filter(|pull| {
        let same = |one: &crate::forge::Pull| one.number == pull.number && one.head_sha == pull.head_sha;
        !before.pulls.iter().any(same)
    });
    branches + pulls.count()
}

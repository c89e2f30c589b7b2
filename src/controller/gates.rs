//! The gates that judge: those of the service's own file, and those that repositories bring along.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use super::brought::{self, Brought, Proposal};
use super::decide::Broken;
use super::judge::Pair;
use super::plan::{Gated, Proposals, RepoKey, View};
use super::sight::Sight;
use super::{Controller, Trouble, lock};
use crate::config::{self, Bringer, Config};
use crate::gate::own_file::FILE;
use crate::gate::{self, Proposed, Revision, Side, World};
use crate::git;
use crate::tree::Node;

/// The largest file of gates that is read, in bytes.
const LARGEST: usize = 1 << 20;
/// What is remembered of pull requests' files; beyond it all is forgotten and read again.
const KEPT: usize = 10_000;

/// A repository that may bring gates, as the service lists it.
pub(super) struct Listed {
    repository: config::Repository,
    forge_url: String,
    /// Names of the service's own gates for it.
    taken: Vec<String>,
}

impl Listed {
    fn bringer<'a>(&'a self, view: &'a View) -> Bringer<'a> {
        Bringer {
            repository: &self.repository,
            forge_url: &self.forge_url,
            default_branch: &view.repository.default_branch,
            taken: &self.taken,
        }
    }

    /// The repository and all its sources.
    pub(super) fn repositories(&self) -> impl Iterator<Item = RepoKey> {
        let names = std::iter::once(&self.repository.repo).chain(&self.repository.sources);
        names.map(|name| RepoKey { forge: self.repository.forge.clone(), name: name.clone() })
    }
}

/// The listed repositories of a configuration.
pub(super) fn listed(config: &Config, own: &[Arc<Gated>]) -> BTreeMap<RepoKey, Listed> {
    let listed = config.repositories.iter().filter_map(|repository| {
        let key = RepoKey { forge: repository.forge.clone(), name: repository.repo.clone() };
        let forge_url = config.forges.get(&repository.forge)?.url.clone();
        let taken = own.iter().filter(|gated| gated.consumer == key).map(|gated| gated.gate.name.clone()).collect();
        Some((key, Listed { repository: repository.clone(), forge_url, taken }))
    });
    listed.collect()
}

/// All repositories that these gates, and those that repositories may bring, have to do with.
pub(super) fn repositories(own: &[Arc<Gated>], bringers: &BTreeMap<RepoKey, Listed>) -> BTreeSet<RepoKey> {
    let of_gates = own.iter().flat_map(|gate| [gate.consumer.clone(), gate.source.clone()]);
    of_gates.chain(bringers.values().flat_map(Listed::repositories)).collect()
}

/// What merging a pull request makes of its repository's file, by repository, head and base.
pub(super) type Merged = Mutex<HashMap<(RepoKey, Revision, Revision), Proposed>>;

impl Controller {
    /// All gates that judge now.
    pub(super) fn gates_now(&self) -> Arc<Vec<Arc<Gated>>> {
        lock(&self.gates).clone()
    }

    /// Puts the gates together anew, from what is known of each file.
    pub(super) fn gather_gates(&self) {
        let mut gates = self.own_gates.clone();
        for repo in self.bringers.keys() {
            if let Some(sight) = self.sight(repo) {
                gates.extend(self.gates_of(repo, &sight));
            }
        }
        *lock(&self.gates) = Arc::new(gates);
    }

    /// The gates with one repository's file as it is in `sight`.
    pub(super) fn gates_with(&self, repo: &RepoKey, sight: &Sight) -> Vec<Arc<Gated>> {
        let others = self.gates_now();
        let others = others.iter().filter(|gated| !(gated.brought && gated.consumer == *repo)).cloned();
        others.chain(self.gates_of(repo, sight)).collect()
    }

    fn gates_of(&self, repo: &RepoKey, sight: &Sight) -> Vec<Arc<Gated>> {
        match (self.bringers.get(repo), &sight.view) {
            (Some(listed), Some(view)) => sight.brought.gates(&listed.bringer(view)),
            _ => Vec::new(),
        }
    }

    /// Reads a repository's file on its default branch.
    pub(super) async fn read_brought(&self, repo: &RepoKey, view: &View, before: &Brought) -> Result<Brought, Trouble> {
        let Some(listed) = self.bringers.get(repo) else { return Ok(Brought::default()) };
        let bringer = listed.bringer(view);
        let Some(head) = view.heads.get(&view.repository.default_branch) else {
            return Ok(before.read(None, &bringer));
        };
        let head = Revision::Commit(head.clone());
        let pair = self.pair_of(repo, view)?;
        let bytes = self
            .reading(repo, view, || {
                let (pair, head) = (pair.clone(), head.clone());
                move || {
                    let Some(tree) = pair.tree(Side::Consumer, &head)? else { return Ok(None) };
                    match tree.node(FILE)? {
                        Some(Node::File { .. }) => tree.read(FILE).map(|bytes| Some(Some(bytes))),
                        _ => Ok(Some(None)),
                    }
                }
            })
            .await?;
        let Some(bytes) = bytes else {
            let why = format!("{repo} does not serve its head {} yet", view.repository.default_branch);
            return Err(Trouble { why, passing: true });
        };
        Ok(match bytes.as_deref() {
            Some(bytes) if bytes.len() > LARGEST => {
                Brought { trouble: Some(format!("{}: larger than {} MiB", FILE, LARGEST >> 20)), ..before.clone() }
            }
            bytes => before.read(bytes, &bringer),
        })
    }

    /// What the open pull requests onto the default branch make of the repository's own file.
    pub(super) async fn proposals(&self, repo: &RepoKey, view: &View) -> Proposals {
        let Some(listed) = self.bringers.get(repo) else { return Proposals::new() };
        let default = &view.repository.default_branch;
        let Some(base) = view.heads.get(default) else { return Proposals::new() };
        let mut proposals = Proposals::new();
        for pull in view.pulls.iter().filter(|pull| pull.base_ref == *default) {
            let (head, base) = (Revision::Commit(pull.head_sha.clone()), Revision::Commit(base.clone()));
            let proposal = match self.merged_file(repo, view, head, base).await {
                Ok(Proposed::AsBefore) => continue,
                Ok(Proposed::Gone) => Proposal::Gates(Vec::new()),
                Ok(Proposed::Unknown(why)) => Proposal::Unknown(why),
                Ok(Proposed::Bytes(bytes)) if bytes.len() > LARGEST => {
                    Proposal::Unknown(format!("larger than {} MiB", LARGEST >> 20))
                }
                Ok(Proposed::Bytes(bytes)) => match brought::gates(Some(&bytes), &listed.bringer(view)) {
                    Ok(gates) => Proposal::Gates(gates),
                    Err(invalid) => Proposal::Invalid(invalid),
                },
                Err(Trouble { why, .. }) => {
                    let key = format!("{repo}#{} {}", pull.number, FILE);
                    let since = lock(&self.broken).entry(key).or_insert_with(|| Broken::new(self.now())).since;
                    Proposal::Unreadable { why, since }
                }
            };
            proposals.insert(pull.number, proposal);
        }
        proposals
    }

    async fn merged_file(
        &self,
        repo: &RepoKey,
        view: &View,
        head: Revision,
        base: Revision,
    ) -> Result<Proposed, Trouble> {
        let key = (repo.clone(), head.clone(), base.clone());
        if let Some(known) = lock(&self.merged).get(&key) {
            return Ok(known.clone());
        }
        let pair = self.pair_of(repo, view)?;
        let proposed = self
            .reading(repo, view, || {
                let (pair, head, base) = (pair.clone(), head.clone(), base.clone());
                move || gate::proposed(&*pair, Side::Consumer, &head, &base, FILE)
            })
            .await?;
        // What cannot be told may be told once more is here.
        if !matches!(proposed, Proposed::Unknown(_)) {
            let mut merged = lock(&self.merged);
            if merged.len() >= KEPT {
                merged.clear();
            }
            merged.insert(key, proposed.clone());
        }
        Ok(proposed)
    }

    /// Reads one repository's objects on a blocking thread, and fetches what is not here.
    async fn reading<T, F>(&self, repo: &RepoKey, view: &View, mut read: impl FnMut() -> F) -> Result<T, Trouble>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, crate::tree::TreeError> + Send + 'static,
    {
        let objects = self.objects_of(repo, view.repository.id)?;
        let evaluate = || {
            let reading = tokio::task::spawn_blocking(read());
            async move {
                reading.await.map_err(|panic| Trouble { why: format!("reading it broke: {panic}"), passing: false })
            }
        };
        let bring = |need: crate::tree::Need| {
            let objects = objects.clone();
            async move {
                let remote = self.remote(repo, &view.repository.name).await?;
                self.by_git(repo, &remote, objects.fetch(&remote, &need.objects))
                    .await?
                    .map_err(|error| Trouble { why: format!("{} cannot be read: {error}", repo.name), passing: true })
            }
        };
        git::until_here(evaluate, bring).await.map_err(|stopped| match stopped {
            git::Stopped::By(trouble) => trouble,
            git::Stopped::Failed(error) => Trouble { why: error.to_string(), passing: true },
            git::Stopped::Endless => Trouble { why: "it asked for objects again and again".into(), passing: false },
        })
    }

    /// One repository as both sides of a world.
    fn pair_of(&self, repo: &RepoKey, view: &View) -> Result<Arc<Pair>, Trouble> {
        let objects = self.objects_of(repo, view.repository.id)?;
        Ok(Arc::new(Pair::new(objects.clone(), objects)))
    }
}

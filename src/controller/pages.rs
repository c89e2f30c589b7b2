//! What people may ask about: everything behind one status, and the state of all gates. Complete, private things too: who
//! may see what is the web's to decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decide::Judgement;
use super::plan::{Gated, RepoKey, View};
use super::{Controller, lock};
use crate::forge::{Forge, RepoName};
use crate::gate::{Report, Revision, Side};
use crate::store::{HistoryRow, RepositoryRow, StoreError, Waiting, WantedRow};
use crate::tree::{ObjectId, Tree, TreeError};

/// One gate's say about a commit, with its report.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whose say it is.
    pub gated: Gated,
    /// What the commit was to that gate when it was judged.
    pub role: crate::gate::policy::Role,
    /// Or why there is none.
    pub report: Result<Report, String>,
}

/// Everything behind one wanted key.
#[derive(Clone, Debug)]
pub struct Page {
    /// What the status should say, and what the forge was told.
    pub row: WantedRow,
    /// Each gate that has a say, as far as it is still configured.
    pub told: Vec<Told>,
    /// Newest first, this one included.
    pub history: Vec<HistoryRow>,
}

/// Earlier verdicts on a page.
const EARLIER: i64 = 20;
/// A file's contents come in at most so many requests: its commit, its trees, its bytes.
const FETCHES: usize = 4;

impl Controller {
    /// Everything behind the wanted key with this id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page(&self, id: &str) -> Result<Option<Page>, StoreError> {
        let Some(row) = self.store.wanted(id).await? else { return Ok(None) };
        let judgements: Vec<Judgement> = serde_json::from_str(&row.judgements).unwrap_or_default();
        let mut told = Vec::new();
        for judgement in judgements {
            let Some(gated) = self.gates.iter().find(|gated| gated.id == judgement.gate) else { continue };
            let report = match &judgement.report {
                Some(key) => match self.store.report(key).await? {
                    Some(json) => {
                        serde_json::from_str(&json).map_err(|_| "the stored report cannot be read".to_owned())
                    }
                    None => Err("the report is not kept any more".to_owned()),
                },
                None => Err(judgement.why.unwrap_or_default()),
            };
            told.push(Told { gated: gated.clone(), role: judgement.role, report });
        }
        let history = self.store.history(id, EARLIER).await?;
        Ok(Some(Page { row, told, history }))
    }

    /// All keys that are heads now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn heads_wanted(&self) -> Result<Vec<WantedRow>, StoreError> {
        self.store.current(None).await
    }

    /// What is known of every repository.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn repository_rows(&self) -> Result<Vec<RepositoryRow>, StoreError> {
        let rows = self.store.repositories().await?;
        let ours = |row: &RepositoryRow| {
            self.repositories.contains(&RepoKey { forge: row.forge.clone(), name: row.name.clone() })
        };
        Ok(rows.into_iter().filter(ours).collect())
    }

    /// What waits now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn waiting(&self) -> Result<Waiting, StoreError> {
        self.store.waiting().await
    }

    /// Proves that the store can be written.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn check_store(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    /// Repositories that wait for a status which their forge denied us, and in which words.
    pub async fn denied(&self) -> Result<BTreeMap<RepoKey, String>, StoreError> {
        let mut denied = lock(&self.denied).clone();
        if !denied.is_empty() {
            // What was denied may not be wanted any more: its pull request is closed, say.
            let rows = self.heads_wanted().await?;
            denied.retain(|repo, _| {
                rows.iter().any(|row| row.forge == repo.forge && row.repository == repo.name && !row.is_told())
            });
        }
        Ok(denied)
    }

    /// The gates of the service.
    pub fn gates(&self) -> &[Gated] {
        &self.gates
    }

    /// What was last seen of a repository.
    pub fn view(&self, repo: &RepoKey) -> Option<Arc<View>> {
        lock(&self.views).get(repo).cloned()
    }

    /// A forge by its name in the configuration.
    pub fn forge(&self, name: &str) -> Option<Arc<dyn Forge>> {
        self.forges.get(name).cloned()
    }

    /// A repository's name now.
    pub fn name_now(&self, repo: &RepoKey) -> RepoName {
        self.current_name(repo)
    }

    /// The bytes of a file at a commit, fetched where they are not here; `None` where there is no such file or it cannot be
    /// had now.
    pub async fn file(&self, gated: &Gated, side: Side, revision: &Revision, path: &str) -> Option<Arc<[u8]>> {
        let Revision::Commit(commit) = revision else { return None };
        let repo = match side {
            Side::Consumer => &gated.consumer,
            Side::Source => &gated.source,
        };
        let objects = self.objects(repo).ok()?;
        for _ in 0..FETCHES {
            let (here, commit, path) = (objects.clone(), commit.clone(), path.to_owned());
            let read = tokio::task::spawn_blocking(move || read_file(&here, &commit, &path)).await.ok()?;
            match read {
                Ok(bytes) => return bytes,
                Err(TreeError::NotHere(need)) => {
                    let remote = self.remote(repo, &self.current_name(repo)).await.ok()?;
                    objects.fetch(&remote, &need.objects).await.ok()?;
                }
                Err(_) => return None,
            }
        }
        None
    }
}

fn read_file(objects: &crate::git::Repo, commit: &ObjectId, path: &str) -> Result<Option<Arc<[u8]>>, TreeError> {
    let tree = objects.tree(commit)?;
    match tree.node(path)? {
        Some(crate::tree::Node::File { .. }) => tree.read(path).map(Some),
        _ => Ok(None),
    }
}

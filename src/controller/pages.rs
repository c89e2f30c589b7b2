//! What people may ask about: everything behind one status, and the state of all gates. Complete, private things too: who
//! may see what is the web's to decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::brought::{self, Proposal};
use super::decide::Judgement;
use super::plan::{Gated, RepoKey};
pub use super::sight::Outage;
use super::{Controller, lock};
use crate::forge::{Forge, RepoName};
use crate::gate::finding::{Finding, Kind};
use crate::gate::{Report, Revision, Side};
use crate::store::{Alarm, HistoryRow, RepositoryRow, StoreError, WaiverRow, WantedRow};
use crate::tree::{ObjectId, Tree, TreeError};

/// One gate's say about a commit, with its report.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whose say it is.
    pub gated: Arc<Gated>,
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
    /// What is let pass of it now.
    pub waivers: Vec<WaiverRow>,
}

/// How a repository stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub repo: RepoKey,
    /// It cannot be read now.
    pub outage: Option<Outage>,
    /// Its own gates cannot be used as they are on its default branch, in words.
    pub brought: Option<String>,
    /// It has hints that are not settled.
    pub waiting: bool,
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
        let repo = RepoKey { forge: row.forge.clone(), name: row.repository.clone() };
        let told = self.told(&row).await?;
        let history = self.store.history(id, EARLIER).await?;
        let mut waivers = self.waivers(Some(&repo)).await?;
        waivers.retain(|waiver| {
            let is_of = |one: &Told| one.gated.id == waiver.gate;
            let is_on = |one: &Told| one.role.pull().is_some_and(|number| i64::try_from(number) == Ok(waiver.pull));
            told.iter().any(is_of) && told.iter().any(is_on)
        });
        Ok(Some(Page { row, told, history, waivers }))
    }

    /// What each gate says of a commit, with the reports that are kept.
    pub(super) async fn told(&self, row: &WantedRow) -> Result<Vec<Told>, StoreError> {
        let judgements: Vec<Judgement> = serde_json::from_str(&row.judgements).unwrap_or_default();
        let repo = RepoKey { forge: row.forge.clone(), name: row.repository.clone() };
        let gates = self.gates_for_pages(&repo).await;
        let mut told = Vec::new();
        for judgement in judgements {
            let report: Result<Report, String> = match &judgement.report {
                Some(key) => match self.store.report(key).await? {
                    Some(json) => {
                        serde_json::from_str(&json).map_err(|_| "the stored report cannot be read".to_owned())
                    }
                    None => Err("the report is not kept any more".to_owned()),
                },
                None => Err(judgement.why.unwrap_or_default()),
            };
            let digest = report.as_ref().ok().map(|report| report.config_digest.as_str());
            let Some(gated) = brought::by_id(&gates, &repo, &judgement.gate, &row.context, digest) else { continue };
            told.push(Told { gated, role: judgement.role, report });
        }
        Ok(told)
    }

    /// All keys that are heads now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn heads_wanted(&self) -> Result<Vec<WantedRow>, StoreError> {
        self.store.current(None).await
    }

    /// How every repository stands.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn standings(&self) -> Result<Vec<Standing>, StoreError> {
        let rows = self.store.repositories().await?;
        let standing = |row: RepositoryRow| {
            let repo = RepoKey { forge: row.forge, name: row.name };
            let sight = self.repositories.contains(&repo).then(|| self.sight(&repo).unwrap_or_default())?;
            Some(Standing {
                outage: sight.outage.clone(),
                brought: sight.brought.trouble.clone(),
                waiting: row.waiting,
                repo,
            })
        };
        Ok(rows.into_iter().filter_map(standing).collect())
    }

    /// What an operator should hear of, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn alarms(&self, most: i64) -> Result<Vec<Alarm>, StoreError> {
        self.store.alarms(most).await
    }

    /// The waivers in force, of one repository or of all, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn waivers(&self, repo: Option<&RepoKey>) -> Result<Vec<WaiverRow>, StoreError> {
        let mut waivers = self.store.waivers(repo.map(|repo| (&*repo.forge, &*repo.name))).await?;
        waivers.retain(|waiver| waiver.until.is_none_or(|until| until > self.now()));
        Ok(waivers)
    }

    /// Bytes of the repository caches on disk, at most a minute old.
    pub async fn cache_bytes(&self) -> u64 {
        self.git.bytes().await
    }

    /// Forges that are not asked now, and why, in words for people.
    pub fn forges_left_alone(&self) -> BTreeMap<String, Option<String>> {
        self.guests.iter().map(|(name, guest)| (name.clone(), guest.trouble())).collect()
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

    /// The gates that judge now.
    pub fn gates(&self) -> Arc<Vec<Arc<Gated>>> {
        self.gates_now()
    }

    /// The gates that judge, and those that open pull requests of a repository bring.
    async fn gates_for_pages(&self, repo: &RepoKey) -> Vec<Arc<Gated>> {
        let mut gates = self.gates_now().to_vec();
        if let Some(view) = self.view(repo) {
            for proposal in self.proposals(repo, &view).await.into_values() {
                if let Proposal::Gates(proposed) = proposal {
                    gates.extend(proposed);
                }
            }
        }
        gates
    }

    /// A forge by its name in the configuration.
    pub fn forge(&self, name: &str) -> Option<Arc<dyn Forge>> {
        self.forges.get(name).cloned()
    }

    /// A repository's name now.
    pub fn name_now(&self, repo: &RepoKey) -> RepoName {
        self.current_name(repo)
    }

    /// The two texts of a finding about differing bytes: what is, and what should be. `None` where it is about something else, or
    /// they cannot be had now.
    pub async fn pair(&self, gated: &Gated, report: &Report, finding: &Finding) -> Option<(Arc<[u8]>, Arc<[u8]>)> {
        let source = |revision| self.file(gated, Side::Source, revision, &finding.path);
        match finding.kind {
            Kind::Stale => {
                let old = source(report.source.bound.as_ref()?).await.unwrap_or_else(|| Arc::from([]));
                let new = source(report.source.head.as_ref()?).await.unwrap_or_else(|| Arc::from([]));
                Some((old, new))
            }
            Kind::ContentDiffers | Kind::VendoredCopy | Kind::CopyDiffers => {
                let commit = report.consumer.commit.as_ref()?;
                let is = self.file(gated, Side::Consumer, commit, finding.baked.as_ref()?).await?;
                let wanted = source(report.source.bound.as_ref().or(report.source.head.as_ref())?).await?;
                Some((is, wanted))
            }
            _ => None,
        }
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
                    self.by_git(repo, &remote, objects.fetch(&remote, &need.objects)).await.ok()?.ok()?;
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

//! Answers one gate's question from the objects: evaluates, fetches what is missing, evaluates again, and remembers.
//!
//! The engine is pure and runs on a blocking thread; it says what it lacks and is called again when that is here. A
//! verdict is a function of the gate, the case (commits) and the engine's version, so it is remembered under the digest
//! of those, in memory and in the store. What depends on more than commits is not remembered: that a commit does *not*
//! exist may be untrue a moment later, so such a report is kept under a name of its own, under which nobody looks for a verdict.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::decide::report_keys;
use super::guest::{Heard, NotNow};
use super::plan::{self, Gated, RepoKey};
use super::{Controller, Trouble, keys, lock};
use crate::forge::RepoName;
use crate::gate::{self, Case, Past, Relation, Report, Revision, Side, World};
use crate::git::{self, GitError, Standing};
use crate::metrics::VerdictKind;
use crate::snapshot::LATELY;
use crate::store::{StoreError, WantedRow};
use crate::tree::{Need, ObjectId, Objects, Tree, TreeError};

/// Remembered verdicts: an answer that is being worked out is waited for, not worked out twice.
#[derive(Default)]
pub(super) struct Verdicts {
    known: Mutex<HashMap<String, Arc<OnceCell<Verdict>>>>,
}

/// Which reports of the store may answer.
#[derive(Clone, Copy)]
pub(super) enum Stored<'a> {
    /// None: somebody asked for a verdict made afresh.
    Ignored,
    /// These, by their keys: what else this head ever had is not kept.
    These(&'a HashMap<String, String>),
    /// Any: of a head that is new here, or that was one before.
    Any,
}

/// Verdicts kept in memory; beyond it all are forgotten and come back from the store.
const KEPT: usize = 4_096;
/// Evaluations at a time, for each processor: they do not wait for anything, and each thread has memory of its own.
const EVALUATIONS: usize = 2;

/// How many evaluations may run at a time.
pub(super) fn evaluations() -> tokio::sync::Semaphore {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tokio::sync::Semaphore::new(processors * EVALUATIONS)
}

impl Verdicts {
    fn cell(&self, key: &str) -> Arc<OnceCell<Verdict>> {
        let mut known = lock(&self.known);
        if known.len() >= KEPT {
            known.clear();
        }
        known.entry(key.to_owned()).or_default().clone()
    }

    fn has(&self, key: &str) -> bool {
        lock(&self.known).get(key).is_some_and(|cell| cell.initialized())
    }

    fn forget(&self, key: &str) {
        lock(&self.known).remove(key);
    }
}

/// A report and the key under which it is kept.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub key: String,
    pub report: Arc<Report>,
}

impl Controller {
    /// Answers a case, from what is remembered where that may be.
    pub(super) async fn judge(&self, gated: &Gated, case: &Case, stored: Stored<'_>) -> Result<Verdict, Trouble> {
        let key = keys::report(gated, case);
        if matches!(stored, Stored::Ignored) {
            self.verdicts.forget(&key);
        }
        let cell = self.verdicts.cell(&key);
        let verdict = cell
            .get_or_try_init(|| async {
                if let Some(report) = self.stored(&key, stored).await {
                    return Ok(Verdict { key: key.clone(), report: Arc::new(report) });
                }
                let evaluated = self.evaluate(gated, case).await;
                self.metrics.verdict(match evaluated.as_ref().map(|(report, _)| report.verdict) {
                    Ok(gate::verdict::Verdict::InSync) => VerdictKind::InSync,
                    Ok(gate::verdict::Verdict::Drift) => VerdictKind::Drift,
                    Ok(gate::verdict::Verdict::Undecided) => VerdictKind::Undecided,
                    Err(_) => VerdictKind::Unreadable,
                });
                evaluated.map(|(report, complete)| {
                    let key = if complete { key.clone() } else { keys::without_a_commit(&key) };
                    Verdict { key, report: Arc::new(report) }
                })
            })
            .await?
            .clone();
        if verdict.key != key {
            self.verdicts.forget(&key);
        }
        Ok(verdict)
    }

    async fn stored(&self, key: &str, stored: Stored<'_>) -> Option<Report> {
        match stored {
            Stored::Ignored => None,
            Stored::These(reports) => serde_json::from_str(reports.get(key)?).ok(),
            Stored::Any => serde_json::from_str(&self.store.report(key).await.ok()??).ok(),
        }
    }

    /// The reports behind what is wanted so far, by their keys, as far as they are not in memory: one question for a whole
    /// repository.
    pub(super) async fn stored_reports<'a>(
        &self,
        rows: impl Iterator<Item = &'a WantedRow>,
    ) -> Result<HashMap<String, String>, StoreError> {
        let keys: Vec<String> = rows.flat_map(|row| report_keys(&row.judgements)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).filter(|key| !self.verdicts.has(key)).collect();
        if keys.is_empty() { Ok(HashMap::new()) } else { self.store.reports(&keys).await }
    }

    /// The report, and whether every commit that it asked for was there.
    async fn evaluate(&self, gated: &Gated, case: &Case) -> Result<(Report, bool), Trouble> {
        let (gate, before, asked) = (gated.gate.clone(), gated.before.clone(), case.clone());
        self.ask(gated, move |world| {
            let before = match &before {
                plan::Before::This => gate::Before::This,
                plan::Before::Other(gate) => gate::Before::Other(gate),
                plan::Before::Nothing => gate::Before::Nothing,
            };
            gate::judge_proposed(&gate, before, &asked, world)
        })
        .await
    }

    /// Asks the engine something about both repositories of a gate, on a blocking thread, again and again until everything that
    /// it reads is here. Answers also whether every commit that it asked for was there.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        gated: &Gated,
        ask: impl Fn(&Pair) -> Result<T, TreeError> + Send + Sync + 'static,
    ) -> Result<(T, bool), Trouble> {
        let consumer = self.objects(&gated.consumer)?;
        let source = self.objects(&gated.source)?;
        let absent = Arc::new(Mutex::new(Vec::new()));
        let ask = Arc::new(ask);
        let evaluate = || {
            let world = Pair { consumer: consumer.clone(), source: source.clone(), absent: absent.clone() };
            let ask = ask.clone();
            async move {
                // Never closed: acquiring does not fail.
                let _turn = self.evaluations.acquire().await.ok();
                tokio::task::spawn_blocking(move || ask(&world)).await.map_err(|panic| {
                    tracing::error!(gate = gated.id, %panic, "the evaluation broke");
                    Trouble { why: "the evaluation broke; this is a defect of drift-gate".into(), passing: false }
                })
            }
        };
        let asked_in_vain = &absent;
        let bring = |need| async move { self.fetch(gated, &need, asked_in_vain).await };
        let answer = git::until_here(evaluate, bring).await.map_err(|stopped| match stopped {
            git::Stopped::By(trouble) => trouble,
            git::Stopped::Failed(error) => Trouble { why: error.to_string(), passing: true },
            git::Stopped::Endless => {
                Trouble { why: "the evaluation asked for objects again and again".into(), passing: false }
            }
        })?;
        let complete = lock(&absent).is_empty();
        Ok((answer, complete))
    }

    /// Brings what an evaluation lacks.
    async fn fetch(&self, gated: &Gated, need: &Need, absent: &Mutex<Vec<ObjectId>>) -> Result<(), Trouble> {
        let consumer = self.objects(&gated.consumer)?;
        let (repo, objects) = if need.repository == *consumer.label() {
            (&gated.consumer, consumer)
        } else {
            (&gated.source, self.objects(&gated.source)?)
        };
        let remote = self.remote(repo, &self.current_name(repo)).await?;
        match self.by_git(repo, &remote, objects.fetch(&remote, &need.objects)).await? {
            Ok(()) => Ok(()),
            Err(GitError::NotOurRef { .. }) => {
                // A head that the forge named a moment ago but does not serve yet: look again soon. Any other commit,
                // asked and asked again, is not in that repository.
                match &need.objects {
                    Objects::Commit(id) if !self.is_head(repo, id) => {
                        lock(absent).push(id.clone());
                        Ok(())
                    }
                    objects => Err(Trouble { why: format!("{repo} does not serve {objects:?} yet"), passing: true }),
                }
            }
            Err(error) => Err(Trouble { passing: true, why: format!("{} cannot be read: {error}", repo.name) }),
        }
    }

    /// A call by git, if the forge is to be asked now.
    pub(super) async fn by_git<T>(
        &self,
        repo: &RepoKey,
        remote: &git::Remote,
        call: impl Future<Output = Result<T, GitError>>,
    ) -> Result<Result<T, GitError>, Trouble> {
        let Some(guest) = self.guests.get(&repo.forge) else { return Ok(call.await) };
        let called = guest.call(call, |error| match error {
            GitError::Transient { .. } => Heard::Failure(error.to_string()),
            _ => Heard::Answer,
        });
        let called = called.await;
        if let (Ok(Err(GitError::Denied { status: 401, .. })), Ok(api), Some(refused)) =
            (&called, self.api(&repo.forge), &remote.authorization)
        {
            // A token that was thought good.
            api.git_refused(&self.current_name(repo), refused).await;
        }
        called.map_err(|not_now| {
            let why = match not_now {
                NotNow::Wait(after) => format!("the forge asks to wait {} s", after.as_secs() + 1),
                NotNow::Failing(why) => why,
            };
            Trouble { why, passing: true }
        })
    }

    fn is_head(&self, repo: &RepoKey, id: &ObjectId) -> bool {
        self.view(repo).is_some_and(|view| {
            view.heads.values().any(|head| head == id) || view.pulls.iter().any(|pull| pull.head_sha == *id)
        })
    }

    /// The object cache of a repository that was seen.
    pub(super) fn objects(&self, repo: &RepoKey) -> Result<git::Repo, Trouble> {
        let known =
            self.known(repo).ok_or_else(|| Trouble { why: format!("{repo} was not read yet"), passing: true })?;
        self.objects_of(repo, known.id)
    }

    /// The object cache of the repository with this number.
    pub(super) fn objects_of(&self, repo: &RepoKey, id: u64) -> Result<git::Repo, Trouble> {
        self.git
            .repo(&repo.forge, id)
            .map_err(|error| Trouble { why: format!("the object cache of {repo}: {error}"), passing: true })
    }

    pub(super) async fn remote(&self, repo: &RepoKey, name: &RepoName) -> Result<git::Remote, Trouble> {
        let api = self.api(&repo.forge)?;
        Ok(git::Remote { url: api.git_url(name), authorization: api.git_authorization(name).await? })
    }

    /// Branch heads, by `ls-refs`.
    pub(super) async fn branch_heads(
        &self,
        repo: &RepoKey,
        name: &RepoName,
    ) -> Result<std::collections::BTreeMap<String, ObjectId>, crate::forge::ForgeError> {
        use crate::forge::ForgeError;
        let what = || format!("ls-refs of {repo}");
        let transient = |message: String| ForgeError::Transient { what: what(), message };
        let remote = self.remote(repo, name).await.map_err(|trouble| transient(trouble.why))?;
        let asked = self.by_git(repo, &remote, self.git.ls_refs(&remote, &["refs/heads/"])).await;
        let refs = asked.map_err(|trouble| transient(trouble.why))?.map_err(|error| match error {
            GitError::NotFound { .. } => ForgeError::NotFound { what: what() },
            GitError::Moved { .. } => ForgeError::Moved { what: what() },
            error => transient(error.to_string()),
        })?;
        Ok(refs.into_iter().filter_map(|(name, id)| Some((name.strip_prefix("refs/heads/")?.to_owned(), id))).collect())
    }
}

/// Both repositories of a gate, as the engine sees them.
pub(super) struct Pair {
    consumer: git::Repo,
    source: git::Repo,
    /// Commits that the source was asked for twice and does not have.
    absent: Arc<Mutex<Vec<ObjectId>>>,
}

impl Pair {
    pub(super) fn new(consumer: git::Repo, source: git::Repo) -> Self {
        Self { consumer, source, absent: Arc::default() }
    }

    fn side(&self, side: Side) -> &git::Repo {
        match side {
            Side::Consumer => &self.consumer,
            Side::Source => &self.source,
        }
    }

    fn is_absent(&self, revision: &Revision) -> bool {
        matches!(revision, Revision::Commit(id) if lock(&self.absent).contains(id))
    }
}

fn commit(revision: &Revision) -> Result<&ObjectId, TreeError> {
    match revision {
        Revision::Commit(id) => Ok(id),
        Revision::WorkTree => {
            Err(TreeError::Unfit { path: String::new(), what: "a work tree where a commit was expected".into() })
        }
    }
}

impl World for Pair {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        if self.is_absent(revision) {
            return Ok(None);
        }
        Ok(Some(Arc::new(self.side(side).tree(commit(revision)?)?)))
    }

    fn relation(&self, side: Side, one: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        let standing = self.side(side).objects().standing(commit(one)?, commit(head)?)?;
        Ok(match standing {
            Standing::Same => Relation::Same,
            Standing::Behind(steps) => Relation::Behind(steps),
            Standing::Ahead => Relation::Ahead,
            Standing::Diverged => Relation::Diverged,
        })
    }

    fn merge_bases(&self, side: Side, one: &Revision, other: &Revision) -> Result<Vec<Revision>, TreeError> {
        let bases = self.side(side).objects().merge_bases(commit(one)?, commit(other)?)?;
        Ok(bases.into_iter().map(Revision::Commit).collect())
    }

    fn past(&self, side: Side, head: &Revision, path: &str) -> Result<Past, TreeError> {
        let (versions, whole) = self.side(side).objects().past(commit(head)?, path, LATELY)?;
        Ok(Past { versions, whole })
    }
}

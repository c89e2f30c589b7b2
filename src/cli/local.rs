//! The world of `check`: repositories and folders on this machine, opened in place and read only, and repositories at
//! addresses, fetched as far as they are read.
//!
//! A side is a folder as it is on disk, or with a revision a repository. A folder that is a repository too lends its
//! history: its files stand where `HEAD` stands. A source folder without commits counts as the bound tree, whatever the pin
//! says; the report lists that as an assumption.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::remote::Remote;
use crate::config::{Check, Gate};
use crate::gate::finding::{Finding, Kind};
use crate::gate::{Case, Relation, Report, Revision, Side, World, judge};
use crate::git;
use crate::report::text::Texts;
use crate::snapshot::{Folder, GitTree, Local as Repository, ObjectDb, OpenError, Standing};
use crate::tree::{Need, Node, ObjectId, Tree, TreeError, Without};

/// One side.
pub struct Local {
    /// What of it is judged.
    pub revision: Revision,
    folder: Option<Arc<dyn Tree>>,
    /// Where that folder is, without links.
    root: Option<PathBuf>,
    history: History,
}

/// Where commits of a side come from.
enum History {
    /// It is a folder without any.
    Nowhere,
    Here(Repository),
    There(Remote),
}

impl Local {
    /// A folder as it is, or `rev` of the repository there.
    ///
    /// # Errors
    /// In words that name the folder, or the revision that is not there.
    pub fn open(place: &Path, rev: Option<&str>) -> Result<Self, String> {
        if let Some(rev) = rev {
            let repository = Repository::open(place).map_err(|error| error.to_string())?;
            let commit = repository.resolve(rev).map_err(|error| error.to_string())?;
            return Ok(Self::commit_of(commit, History::Here(repository)));
        }
        match Repository::open(place) {
            Ok(repository) if is_bare(place) => {
                // There are no files on disk: its head is all there is to judge.
                let commit = repository.resolve("HEAD").map_err(|error| error.to_string())?;
                Ok(Self::commit_of(commit, History::Here(repository)))
            }
            Ok(repository) => {
                let folder = Folder::new(place).map_err(|error| error.to_string())?;
                let head = repository.head().map_err(|error| error.to_string())?;
                let history = head.map_or(History::Nowhere, |_| History::Here(repository));
                Ok(Self::folder_of(folder, history))
            }
            Err(OpenError::NotARepository(_)) => {
                let folder = Folder::new(place).map_err(|error| error.to_string())?;
                Ok(Self::folder_of(folder, History::Nowhere))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn commit_of(commit: ObjectId, history: History) -> Self {
        Self { revision: Revision::Commit(commit), folder: None, root: None, history }
    }

    fn folder_of(folder: Folder, history: History) -> Self {
        let root = Some(folder.root().to_owned());
        Self { revision: Revision::WorkTree, folder: Some(Arc::new(folder)), root, history }
    }

    /// A commit of a repository at an address.
    pub fn at_address(remote: Remote, commit: ObjectId) -> Self {
        Self::commit_of(commit, History::There(remote))
    }

    /// Another revision of the same repository.
    ///
    /// # Errors
    /// It is no repository, or has no such revision.
    pub fn resolve(&self, rev: &str) -> Result<Revision, String> {
        let found = match &self.history {
            History::Nowhere => Err("not a repository with commits".to_owned()),
            History::Here(repository) => repository.resolve(rev).map_err(|error| error.to_string()),
            History::There(remote) => remote.resolve(rev).map_err(|error| error.to_string()),
        };
        found.map(Revision::Commit)
    }

    /// Whether the commit that is checked out has something at `path`; what cannot be read counts as tracked.
    fn tracks(&self, path: &str) -> bool {
        let head = || -> Result<bool, TreeError> {
            let Some(head) = self.commit(&Revision::WorkTree)? else { return Ok(false) };
            let tree = self.tree(&Revision::Commit(head))?;
            Ok(tree.is_some_and(|tree| !matches!(tree.node(path), Ok(None))))
        };
        head().unwrap_or(true)
    }

    fn objects(&self) -> Option<&Arc<ObjectDb>> {
        match &self.history {
            History::Nowhere => None,
            History::Here(repository) => Some(repository.objects()),
            History::There(remote) => Some(remote.objects()),
        }
    }

    fn remote(&self) -> Option<&Remote> {
        match &self.history {
            History::There(remote) => Some(remote),
            History::Nowhere | History::Here(_) => None,
        }
    }

    fn tree(&self, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        let (Revision::Commit(commit), Some(objects)) = (revision, self.objects()) else {
            return Ok(self.folder.clone());
        };
        let absent = match &self.history {
            // What is not here is fetched, unless it was asked for in vain.
            History::There(remote) => remote.lacks(commit),
            History::Nowhere | History::Here(_) => !objects.has(commit),
        };
        if absent && objects.is_shallow() {
            let what = "the clone is shallow and does not have it: run `git fetch --unshallow` in it".to_owned();
            return Err(TreeError::Unfit { path: format!("commit {}", commit.short()), what });
        }
        if absent {
            return Ok(None);
        }
        Ok(Some(Arc::new(GitTree::new(objects.clone(), commit)?)))
    }

    /// The commit that a revision stands at on the commit graph.
    fn commit(&self, revision: &Revision) -> Result<Option<ObjectId>, TreeError> {
        match (revision, &self.history) {
            (_, History::Nowhere) | (Revision::WorkTree, History::There(_)) => Ok(None),
            (Revision::Commit(commit), _) => Ok(Some(commit.clone())),
            (Revision::WorkTree, History::Here(repository)) => {
                repository.head().map_err(|error| TreeError::Io { path: String::new(), why: error.to_string() })
            }
        }
    }
}

/// What is missing in a repository on this machine, with how to get it.
fn incomplete(error: &TreeError) -> String {
    format!("{error}; fetch the rest of the repository first (`git fetch --unshallow`, `git fetch --refetch`)")
}

fn is_bare(place: &Path) -> bool {
    !place.join(".git").exists()
}

/// Both sides of a gate.
pub struct Pair<'a> {
    consumer: &'a Local,
    source: &'a Local,
    /// Where builds put the source's files, in the consumer's folder, where git does not track them: the consumer does
    /// not have them, whatever lies there.
    brought: Vec<String>,
    /// The source's folder is one of those: it stands for what is built, and not for the head of a branch.
    is_built: bool,
}

impl<'a> Pair<'a> {
    /// The sides, as this gate sees them.
    pub fn new(gate: &Gate, consumer: &'a Local, source: &'a Local) -> Self {
        let dirs = gate.checks.iter().map(|check| match check {
            Check::Bake(bake) => bake.source_dir.as_str(),
        });
        let root = consumer.root.as_deref();
        let is_source = |dir: &&str| {
            let place = root.and_then(|root| root.join(dir).canonicalize().ok());
            place.is_some() && place == source.root
        };
        let is_built = dirs.clone().any(|dir| is_source(&dir));
        let brought = dirs.filter(|dir| !dir.is_empty() && !consumer.tracks(dir)).map(str::to_owned).collect();
        Self { consumer, source, brought, is_built }
    }

    fn side(&self, side: Side) -> &Local {
        match side {
            Side::Consumer => self.consumer,
            Side::Source => self.source,
        }
    }

    /// Judges; what a repository at an address lacks is fetched.
    ///
    /// # Errors
    /// In words: what cannot be fetched, or is missing in a repository on this machine.
    pub fn judge(&self, gate: &Gate, case: &Case) -> Result<Report, String> {
        let Some(remote) = self.consumer.remote().or(self.source.remote()) else {
            return judge(gate, case, self).map_err(|error| incomplete(&error));
        };
        let evaluate = || std::future::ready(Ok(judge(gate, case, self)));
        let bring = |need: Need| async move {
            match self.remote_of(&need) {
                Some(remote) => remote.bring(&need).await.map_err(|error| error.to_string()),
                None => Err(incomplete(&TreeError::NotHere(need))),
            }
        };
        remote.fetcher().block_on(git::until_here(evaluate, bring)).map_err(|stopped| match stopped {
            git::Stopped::By(why) => why,
            git::Stopped::Failed(error) => error.to_string(),
            git::Stopped::Endless => "the evaluation asked for objects again and again".to_owned(),
        })
    }

    fn remote_of(&self, need: &Need) -> Option<&Remote> {
        [self.consumer, self.source].into_iter().filter_map(Local::remote).find(|remote| remote.is_meant(need))
    }

    fn read(&self, side: Side, revision: Option<&Revision>, path: &str) -> Option<String> {
        let revision = revision?;
        loop {
            match self.text(side, revision, path) {
                Ok(text) => return text,
                Err(TreeError::NotHere(need)) => self.remote_of(&need)?.bring_now(&need).ok()?,
                Err(_) => return None,
            }
        }
    }

    fn text(&self, side: Side, revision: &Revision, path: &str) -> Result<Option<String>, TreeError> {
        let Some(tree) = self.side(side).tree(revision)? else { return Ok(None) };
        match tree.node(path)? {
            Some(Node::File { .. }) => Ok(String::from_utf8(tree.read(path)?.to_vec()).ok()),
            _ => Ok(None),
        }
    }
}

impl World for Pair<'_> {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        let Some(mut tree) = self.side(side).tree(revision)? else { return Ok(None) };
        if (side, revision) == (Side::Consumer, &Revision::WorkTree) {
            for at in &self.brought {
                tree = Arc::new(Without { of: tree, at: at.clone() });
            }
        }
        Ok(Some(tree))
    }

    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        let local = self.side(side);
        if self.is_built && side == Side::Source && *head == Revision::WorkTree {
            return Ok(Relation::Unknown);
        }
        let (Some(one), Some(other), Some(objects)) = (local.commit(commit)?, local.commit(head)?, local.objects())
        else {
            return Ok(Relation::Unknown);
        };
        Ok(match objects.standing(&one, &other)? {
            // Files on disk that differ from their commit count as one step beyond it.
            Standing::Same if commit != head => Relation::Behind(0),
            Standing::Same => Relation::Same,
            Standing::Behind(steps) => Relation::Behind(steps),
            Standing::Ahead => Relation::Ahead,
            Standing::Diverged => Relation::Diverged,
        })
    }

    fn merge_base(&self, side: Side, one: &Revision, other: &Revision) -> Result<Option<Revision>, TreeError> {
        let local = self.side(side);
        match (local.commit(one)?, local.commit(other)?, local.objects()) {
            (Some(one), Some(other), Some(objects)) => Ok(objects.merge_base(&one, &other)?.map(Revision::Commit)),
            _ => Ok(None),
        }
    }
}

impl Texts for Pair<'_> {
    fn consumer(&self, path: &str) -> Option<String> {
        self.read(Side::Consumer, Some(&self.consumer.revision), path)
    }

    fn pair(&self, report: &Report, finding: &Finding) -> Option<(String, String)> {
        let source = |revision| self.read(Side::Source, revision, &finding.path);
        let (bound, head) = (report.source.bound.as_ref(), report.source.head.as_ref());
        match finding.kind {
            Kind::Stale => Some((source(bound).unwrap_or_default(), source(head).unwrap_or_default())),
            Kind::ContentDiffers => {
                let is = self.read(
                    Side::Consumer,
                    report.consumer.commit.as_ref().or(Some(&Revision::WorkTree)),
                    finding.baked.as_ref()?,
                )?;
                Some((is, source(bound.or(head))?))
            }
            _ => None,
        }
    }
}

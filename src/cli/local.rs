//! The world of `check`: repositories and folders on this machine, opened in place and read only, and repositories at
//! addresses, fetched as far as they are read.
//!
//! A side is a folder as it is on disk, or with a revision a repository. A folder that is a repository too lends its
//! history: its files stand where `HEAD` stands, and what git ignores is not among them. A source folder without commits
//! counts as the bound tree, whatever the pin says; the report lists that as an assumption.
//!
//! Trap handled here: the source's folder may be the one that the build copies. Then it is no head of a branch, the consumer
//! does not "track" it, and what the source's repository ignores gets into the image too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::remote::Remote;
use crate::config::{Check, Gate};
use crate::gate::finding::{Finding, Kind};
use crate::gate::repair::{self, After, Edit};
use crate::gate::{
    self, Before, Case, Past, Proposed, Relation, Report, Revision, Side, Version, World, judge, judge_proposed,
};
use crate::git;
use crate::report::text::Texts;
use crate::snapshot::{Folder, GitTree, LATELY, Local as Repository, ObjectDb, OpenError, Standing};
use crate::tree::{Merged, Need, Node, ObjectId, Objects, Tree, TreeError, Without};

/// The longest line of commits in which copies are looked for.
const LINE: usize = 50_000;

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
    /// In words that begin with the folder: it is not there, or has no such revision.
    pub fn open(place: &Path, rev: Option<&str>) -> Result<Self, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let repository = match Repository::open(place) {
            Ok(repository) => repository,
            Err(OpenError::NotARepository(_)) if rev.is_none() => {
                let folder = Folder::new(place).map_err(|error| words(&error))?;
                return Ok(Self::folder_of(place, Arc::new(folder), History::Nowhere));
            }
            Err(error) => return Err(words(&error)),
        };
        // A bare repository has no files on disk: its head is all there is to judge.
        if let Some(rev) = rev.or((!place.join(".git").exists()).then_some("HEAD")) {
            let commit = repository.resolve(rev).map_err(|error| words(&error))?;
            return Ok(Self::commit_of(commit, History::Here(repository)));
        }
        let folder = repository.work_tree().map_err(|error| words(&error))?;
        let has_commits = repository.head().map_err(|error| words(&error))?.is_some();
        let history = if has_commits { History::Here(repository) } else { History::Nowhere };
        Ok(Self::folder_of(place, Arc::new(folder), history))
    }

    /// A commit of a repository at an address.
    pub fn at_address(remote: Remote, commit: ObjectId) -> Self {
        Self::commit_of(commit, History::There(remote))
    }

    fn commit_of(commit: ObjectId, history: History) -> Self {
        Self { revision: Revision::Commit(commit), folder: None, root: None, history }
    }

    fn folder_of(place: &Path, folder: Arc<dyn Tree>, history: History) -> Self {
        Self { revision: Revision::WorkTree, folder: Some(folder), root: place.canonicalize().ok(), history }
    }

    /// Another revision of the same repository.
    ///
    /// # Errors
    /// It is no repository, or has no such revision.
    pub fn resolve(&self, rev: &str) -> Result<Revision, String> {
        let found = match &self.history {
            History::Nowhere => Err("it is not a repository with commits".to_owned()),
            History::Here(repository) => repository.resolve(rev).map_err(|error| error.to_string()),
            History::There(remote) => remote.resolve(rev).map_err(|error| error.to_string()),
        };
        found.map(Revision::Commit)
    }

    /// The folder that is judged as it is on disk, without links; `None` for a commit.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Whether a commit is checked out there, or judged.
    pub fn has_commits(&self) -> bool {
        matches!(self.commit(&Revision::WorkTree), Ok(Some(_)) | Err(_))
    }

    /// The file that the commit which is checked out has at `path`; `None` where it has none.
    ///
    /// # Errors
    /// In words: the repository cannot be read.
    pub fn committed(&self, path: &str) -> Result<Option<ObjectId>, String> {
        let read = || -> Result<Option<ObjectId>, TreeError> {
            let Some(head) = self.commit(&Revision::WorkTree)? else { return Ok(None) };
            let Some(tree) = self.tree(&Revision::Commit(head))? else { return Ok(None) };
            match tree.node(path)? {
                Some(Node::File { .. }) => tree.blob_id(path).map(Some),
                _ => Ok(None),
            }
        };
        read().map_err(|error| incomplete(&error))
    }

    /// The file that the judged commit has at `path`; `None` where it has none.
    ///
    /// # Errors
    /// In words: the repository cannot be read.
    pub fn committed_at(&self, path: &str) -> Result<Option<ObjectId>, String> {
        let read = || -> Result<Option<ObjectId>, TreeError> {
            let Some(tree) = self.tree(&self.revision)? else { return Ok(None) };
            match tree.node(path)? {
                Some(Node::File { .. }) => tree.blob_id(path).map(Some),
                _ => Ok(None),
            }
        };
        read().map_err(|error| incomplete(&error))
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
        if !absent {
            return Ok(Some(Arc::new(GitTree::new(objects.clone(), commit)?)));
        }
        if objects.is_shallow() {
            // It may well be behind the cut.
            let need = Need { repository: objects.label().clone(), objects: Objects::Commit(commit.clone()) };
            return Err(TreeError::NotHere(need));
        }
        Ok(None)
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
    format!("{error}; fetch the rest of that repository first: `git fetch --unshallow`, or `git fetch --refetch`")
}

/// The report of a case that could not be judged: undecided, for this reason.
///
/// # Errors
/// None that are known: nothing is read.
pub fn unreadable(gate: &Gate, case: &Case, why: &str) -> Result<Report, TreeError> {
    judge(gate, case, &Unreadable(why))
}

/// Repositories that cannot be read, and why.
struct Unreadable<'a>(&'a str);

impl Unreadable<'_> {
    fn answer<T>(&self) -> Result<T, TreeError> {
        Err(TreeError::Unfit { path: "not judged".to_owned(), what: self.0.to_owned() })
    }
}

impl World for Unreadable<'_> {
    fn tree(&self, _: Side, _: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        self.answer()
    }

    fn relation(&self, _: Side, _: &Revision, _: &Revision) -> Result<Relation, TreeError> {
        self.answer()
    }

    fn merge_bases(&self, _: Side, _: &Revision, _: &Revision) -> Result<Vec<Revision>, TreeError> {
        self.answer()
    }
}

/// Both sides of a gate.
pub struct Pair<'a> {
    consumer: &'a Local,
    source: &'a Local,
    /// Where builds put the source's files, in the consumer's folder, where git does not track them: the consumer does
    /// not have them, whatever lies there.
    brought: Vec<String>,
    /// The source's folder, where it is one of those: all of it is built.
    built: Option<Arc<dyn Tree>>,
}

impl<'a> Pair<'a> {
    /// The sides, as this gate sees them.
    ///
    /// # Errors
    /// The folder that is built cannot be read.
    pub fn new(gate: &Gate, consumer: &'a Local, source: &'a Local) -> Result<Self, String> {
        let dirs = gate.checks.iter().filter_map(|check| match check {
            Check::Bake(bake) => Some(bake.source_dir.as_str()),
            Check::Mirror(_) | Check::Values(_) | Check::Pin(_) | Check::Absent(_) => None,
        });
        let place = |dir: &str| consumer.root.as_deref()?.join(dir).canonicalize().ok();
        let root = source.root.as_deref().filter(|root| dirs.clone().any(|dir| place(dir).as_deref() == Some(root)));
        let built = root.map(Folder::new).transpose().map_err(|error| error.to_string())?;
        let built = built.map(|folder| Arc::new(folder) as Arc<dyn Tree>);
        let brought = dirs.filter(|dir| !dir.is_empty() && !consumer.tracks(dir)).map(str::to_owned).collect();
        Ok(Self { consumer, source, brought, built })
    }

    /// Two repositories before there is a gate.
    pub fn plain(consumer: &'a Local, source: &'a Local) -> Self {
        Self { consumer, source, brought: Vec::new(), built: None }
    }

    /// One repository as both sides: to read what it says of itself.
    pub fn alone(repository: &'a Local) -> Self {
        Self { consumer: repository, source: repository, brought: Vec::new(), built: None }
    }

    /// A file of the consumer's at a revision; `None` where there is none.
    ///
    /// # Errors
    /// As [`Pair::judge`].
    pub fn file(&self, revision: &Revision, path: &str) -> Result<Option<Arc<[u8]>>, String> {
        self.whole(|| {
            let Some(tree) = World::tree(self, Side::Consumer, revision)? else { return Ok(None) };
            let is_file = matches!(tree.node(path)?, Some(Node::File { .. }));
            is_file.then(|| tree.read(path)).transpose()
        })
    }

    /// What merging the consumer's `head` into `base` makes of one file.
    ///
    /// # Errors
    /// As [`Pair::judge`].
    pub fn proposed(&self, head: &Revision, base: &Revision, path: &str) -> Result<Proposed, String> {
        self.whole(|| gate::proposed(self, Side::Consumer, head, base, path))
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
    pub fn judge(&self, gate: &Gate, before: Before<'_>, case: &Case) -> Result<Report, String> {
        self.whole(|| judge_proposed(gate, before, case, self))
    }

    /// Proposes what would end the drift, on a consumer with these edits; what a repository at an address lacks is fetched.
    ///
    /// # Errors
    /// As [`Pair::judge`].
    pub fn propose(&self, gate: &Gate, case: &Case, edits: &[Edit]) -> Result<repair::Proposed, String> {
        let Case::Branch { consumer, .. } = case else { return Err("only a branch is repaired".to_owned()) };
        self.whole(|| repair::propose(gate, case, &After::new(self, Side::Consumer, consumer, edits)?))
    }

    /// The bytes of a file of one side; `None` where there is no file.
    ///
    /// # Errors
    /// As [`Pair::judge`].
    pub fn bytes(&self, side: Side, revision: &Revision, path: &str) -> Result<Option<Vec<u8>>, String> {
        self.whole(|| {
            let Some(tree) = self.tree(side, revision)? else { return Ok(None) };
            if !matches!(tree.node(path)?, Some(Node::File { .. } | Node::Link { .. })) {
                return Ok(None);
            }
            tree.expect(&[path])?;
            Ok(Some(tree.read(path)?.to_vec()))
        })
    }

    /// Reads until all is here.
    ///
    /// # Errors
    /// As [`Pair::judge`].
    pub fn whole<T>(&self, mut read: impl FnMut() -> Result<T, TreeError>) -> Result<T, String> {
        let Some(remote) = self.consumer.remote().or(self.source.remote()) else {
            return read().map_err(|error| incomplete(&error));
        };
        let evaluate = || std::future::ready(Ok(read()));
        let bring = |need: Need| async move {
            let remotes = [self.consumer, self.source].into_iter().filter_map(Local::remote);
            match remotes.into_iter().find(|remote| remote.is_meant(&need)) {
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

    /// The files that a report is about, to show lines of them. What cannot be read is not shown.
    pub fn seen(&self, case: &Case, report: &Report) -> Seen<'_> {
        let tree = |side, revision: &Revision| self.tree(side, revision).ok().flatten();
        let bound = |head: &Revision| tree(Side::Source, report.source.bound.as_ref().unwrap_or(head));
        match case {
            Case::Branch { consumer, source } => Seen {
                pair: self,
                consumer: tree(Side::Consumer, consumer),
                bound: bound(source),
                head: tree(Side::Source, source),
            },
            Case::ConsumerPull { head, base, source } => Seen {
                pair: self,
                consumer: self.merged(Side::Consumer, head, base),
                bound: bound(source),
                head: tree(Side::Source, source),
            },
            Case::SourcePull { head, base, consumer } => {
                let merged = self.merged(Side::Source, head, base);
                Seen { pair: self, consumer: tree(Side::Consumer, consumer), bound: merged.clone(), head: merged }
            }
            Case::PairedPull { head, base, partner, onto } => {
                let merged = self.merged(Side::Source, head, base);
                let consumer = self.merged(Side::Consumer, partner, onto);
                Seen { pair: self, consumer, bound: merged.clone(), head: merged }
            }
        }
    }

    fn merged(&self, side: Side, head: &Revision, base: &Revision) -> Option<Arc<dyn Tree>> {
        // Where histories crossed, no lines are shown.
        let bases = self.merge_bases(side, base, head).ok()?;
        let [ancestor] = bases.as_slice() else { return None };
        let tree = |revision| self.tree(side, revision).ok().flatten();
        Some(Arc::new(Merged::new(Some(tree(ancestor)?), tree(base)?, tree(head)?)))
    }
}

impl World for Pair<'_> {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        if let (Side::Source, Revision::WorkTree, Some(built)) = (side, revision, &self.built) {
            return Ok(Some(built.clone()));
        }
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
        if self.built.is_some() && (side, head) == (Side::Source, &Revision::WorkTree) {
            return Ok(Relation::Unknown);
        }
        let (Some(one), Some(other), Some(objects)) = (local.commit(commit)?, local.commit(head)?, local.objects())
        else {
            return Ok(Relation::Unknown);
        };
        Ok(match objects.standing(&one, &other)? {
            // Files on disk may differ from their commit.
            Standing::Same if commit != head => Relation::Behind(0),
            Standing::Same => Relation::Same,
            Standing::Behind(steps) => Relation::Behind(steps),
            Standing::Ahead => Relation::Ahead,
            Standing::Diverged => Relation::Diverged,
        })
    }

    fn merge_bases(&self, side: Side, one: &Revision, other: &Revision) -> Result<Vec<Revision>, TreeError> {
        let local = self.side(side);
        match (local.commit(one)?, local.commit(other)?, local.objects()) {
            (Some(one), Some(other), Some(objects)) => {
                Ok(objects.merge_bases(&one, &other)?.into_iter().map(Revision::Commit).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn version(&self, head: &Revision, path: &str, blob: &ObjectId) -> Version {
        // Of an address, only what is judged is fetched.
        let History::Here(repository) = &self.source.history else { return Version::NotLookedUp };
        let Ok(Some(head)) = self.source.commit(head) else { return Version::NotLookedUp };
        match repository.objects().version(&head, path, blob, LINE) {
            Ok(Some((commit, path))) => Version::Of { commit, path },
            Ok(None) => Version::Never,
            Err(_) => Version::NotLookedUp,
        }
    }

    fn past(&self, side: Side, head: &Revision, path: &str) -> Result<Past, TreeError> {
        let local = self.side(side);
        let Ok(Some(head)) = local.commit(head) else { return Ok(Past::default()) };
        let looked = match &local.history {
            History::Nowhere => return Ok(Past::default()),
            History::Here(repository) => repository.objects().past(&head, path, LINE),
            History::There(remote) => remote.objects().past(&head, path, LATELY),
        };
        match looked {
            Ok((versions, whole)) => Ok(Past { versions, whole }),
            // Of a clone without a part of its history, nothing can be said.
            Err(_) if local.remote().is_none() => Ok(Past::default()),
            Err(error) => Err(error),
        }
    }
}

/// What a report was made from.
pub struct Seen<'a> {
    /// What brings contents that are not here yet.
    pair: &'a Pair<'a>,
    /// The consumer, merged where that was judged.
    consumer: Option<Arc<dyn Tree>>,
    /// The source that it was compared with.
    bound: Option<Arc<dyn Tree>>,
    /// The head of the source's branch.
    head: Option<Arc<dyn Tree>>,
}

impl Seen<'_> {
    fn text(&self, tree: Option<&Arc<dyn Tree>>, path: &str) -> Option<String> {
        let tree = tree?;
        self.pair.whole(|| text(tree.as_ref(), path)).ok()?
    }
}

impl Texts for Seen<'_> {
    fn consumer(&self, path: &str) -> Option<String> {
        self.text(self.consumer.as_ref(), path)
    }

    fn pair(&self, finding: &Finding) -> Option<(String, String)> {
        let source = |tree: &Option<Arc<dyn Tree>>| self.text(tree.as_ref(), &finding.path);
        match finding.kind {
            Kind::Stale => Some((source(&self.bound).unwrap_or_default(), source(&self.head).unwrap_or_default())),
            Kind::ContentDiffers | Kind::VendoredCopy | Kind::CopyDiffers => {
                Some((self.consumer(finding.baked.as_ref()?)?, source(&self.bound)?))
            }
            _ => None,
        }
    }
}

/// The text of a file; `None` also for one that is too large to be shown.
fn text(tree: &dyn Tree, path: &str) -> Result<Option<String>, TreeError> {
    const LARGEST: u64 = 1 << 20;
    if !matches!(tree.node(path)?, Some(Node::File { .. })) {
        return Ok(None);
    }
    tree.expect(&[path])?;
    Ok(if tree.size(path)? <= LARGEST { String::from_utf8(tree.read(path)?.to_vec()).ok() } else { None })
}

//! The world of `check`: repositories and folders on this machine, opened in place and read only.
//!
//! A side is a folder as it is on disk, or with a revision a repository. A folder that is a repository too lends its
//! history: its files stand where `HEAD` stands, and what git ignores is not among them. A source folder without commits
//! counts as the bound tree, whatever the pin says; the report lists that as an assumption.

use std::path::Path;
use std::sync::Arc;

use crate::gate::finding::{Finding, Kind};
use crate::gate::{Case, Relation, Report, Revision, Side, World};
use crate::report::text::Texts;
use crate::snapshot::{Folder, Local as Repository, OpenError, Standing};
use crate::tree::{Merged, Need, Node, ObjectId, Objects, Tree, TreeError};

/// One side on this machine.
pub struct Local {
    /// What of it is judged.
    pub revision: Revision,
    folder: Option<Arc<dyn Tree>>,
    repository: Option<Repository>,
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
                return Ok(Self { revision: Revision::WorkTree, folder: Some(Arc::new(folder)), repository: None });
            }
            Err(error) => return Err(words(&error)),
        };
        // A bare repository has no files on disk: its head is all there is to judge.
        if let Some(rev) = rev.or((!place.join(".git").exists()).then_some("HEAD")) {
            let commit = repository.resolve(rev).map_err(|error| words(&error))?;
            return Ok(Self { revision: Revision::Commit(commit), folder: None, repository: Some(repository) });
        }
        let folder = repository.work_tree().map_err(|error| words(&error))?;
        let has_commits = repository.head().map_err(|error| words(&error))?.is_some();
        let repository = has_commits.then_some(repository);
        Ok(Self { revision: Revision::WorkTree, folder: Some(Arc::new(folder)), repository })
    }

    /// Another revision of the same repository.
    ///
    /// # Errors
    /// It is no repository, or has no such revision.
    pub fn resolve(&self, rev: &str) -> Result<Revision, String> {
        let repository = self.repository.as_ref().ok_or("it is not a repository with commits")?;
        repository.resolve(rev).map(Revision::Commit).map_err(|error| error.to_string())
    }

    fn tree(&self, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        let (commit, repository) = match (revision, &self.repository) {
            (Revision::Commit(commit), Some(repository)) => (commit, repository),
            (Revision::WorkTree, _) | (Revision::Commit(_), None) => return Ok(self.folder.clone()),
        };
        let objects = repository.objects();
        if objects.has(commit) {
            return Ok(Some(Arc::new(repository.tree(commit)?)));
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
        match (revision, &self.repository) {
            (Revision::Commit(commit), Some(_)) => Ok(Some(commit.clone())),
            (Revision::WorkTree, Some(repository)) => {
                repository.head().map_err(|error| TreeError::Io { path: String::new(), why: error.to_string() })
            }
            (_, None) => Ok(None),
        }
    }
}

/// Both sides of a gate.
pub struct Pair<'a> {
    pub consumer: &'a Local,
    pub source: &'a Local,
}

impl Pair<'_> {
    fn side(&self, side: Side) -> &Local {
        match side {
            Side::Consumer => self.consumer,
            Side::Source => self.source,
        }
    }

    /// The files that a report is about, to show lines of them. What cannot be read is not shown.
    pub fn seen(&self, case: &Case, report: &Report) -> Seen {
        let tree = |side, revision: &Revision| self.tree(side, revision).ok().flatten();
        let bound = |head: &Revision| tree(Side::Source, report.source.bound.as_ref().unwrap_or(head));
        match case {
            Case::Branch { consumer, source } => Seen {
                consumer: tree(Side::Consumer, consumer),
                bound: bound(source),
                head: tree(Side::Source, source),
            },
            Case::ConsumerPull { head, base, source } => Seen {
                consumer: self.merged(Side::Consumer, head, base),
                bound: bound(source),
                head: tree(Side::Source, source),
            },
            Case::SourcePull { head, base, consumer } => {
                let merged = self.merged(Side::Source, head, base);
                Seen { consumer: tree(Side::Consumer, consumer), bound: merged.clone(), head: merged }
            }
        }
    }

    fn merged(&self, side: Side, head: &Revision, base: &Revision) -> Option<Arc<dyn Tree>> {
        // Where histories crossed there are several; no merge is shown then.
        let bases = self.merge_bases(side, base, head).ok()?;
        let [ancestor] = bases.as_slice() else { return None };
        let tree = |revision| self.tree(side, revision).ok().flatten();
        Some(Arc::new(Merged { base: Some(tree(ancestor)?), ours: tree(base)?, theirs: tree(head)? }))
    }
}

impl World for Pair<'_> {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        self.side(side).tree(revision)
    }

    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        let local = self.side(side);
        let (Some(one), Some(other), Some(repository)) =
            (local.commit(commit)?, local.commit(head)?, &local.repository)
        else {
            return Ok(Relation::Unknown);
        };
        Ok(match repository.objects().standing(&one, &other)? {
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
        match (local.commit(one)?, local.commit(other)?, &local.repository) {
            (Some(one), Some(other), Some(repository)) => {
                Ok(repository.objects().merge_bases(&one, &other)?.into_iter().map(Revision::Commit).collect())
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// What a report was made from.
pub struct Seen {
    /// The consumer, merged where that was judged.
    consumer: Option<Arc<dyn Tree>>,
    /// The source that it was compared with.
    bound: Option<Arc<dyn Tree>>,
    /// The head of the source's branch.
    head: Option<Arc<dyn Tree>>,
}

impl Texts for Seen {
    fn consumer(&self, path: &str) -> Option<String> {
        text(self.consumer.as_ref(), path)
    }

    fn pair(&self, finding: &Finding) -> Option<(String, String)> {
        let source = |tree: &Option<Arc<dyn Tree>>| text(tree.as_ref(), &finding.path);
        match finding.kind {
            Kind::Stale => Some((source(&self.bound).unwrap_or_default(), source(&self.head).unwrap_or_default())),
            Kind::ContentDiffers | Kind::CopyDiffers => {
                Some((self.consumer(finding.baked.as_ref()?)?, source(&self.bound)?))
            }
            _ => None,
        }
    }
}

/// The text of a file; `None` also for one that is too large to be shown.
fn text(tree: Option<&Arc<dyn Tree>>, path: &str) -> Option<String> {
    const LARGEST: u64 = 1 << 20;
    let tree = tree?;
    match tree.node(path).ok()? {
        Some(Node::File { .. }) if tree.size(path).ok()? <= LARGEST => {
            String::from_utf8(tree.read(path).ok()?.to_vec()).ok()
        }
        _ => None,
    }
}

//! The world of `check`: repositories and folders on this machine, opened in place and read only.
//!
//! A side is a folder as it is on disk, or with a revision a repository. A folder that is a repository too lends its
//! history: its files stand where `HEAD` stands. A source folder without commits counts as the bound tree, whatever the pin
//! says; the report lists that as an assumption.

use std::path::Path;
use std::sync::Arc;

use crate::gate::finding::{Finding, Kind};
use crate::gate::{Relation, Report, Revision, Side, World};
use crate::report::text::Texts;
use crate::snapshot::{Folder, Local as Repository, OpenError, Standing};
use crate::tree::{Node, ObjectId, Tree, TreeError};

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
    /// In words that name the folder, or the revision that is not there.
    pub fn open(place: &Path, rev: Option<&str>) -> Result<Self, String> {
        if let Some(rev) = rev {
            let repository = Repository::open(place).map_err(|error| error.to_string())?;
            let commit = repository.resolve(rev).map_err(|error| error.to_string())?;
            return Ok(Self { revision: Revision::Commit(commit), folder: None, repository: Some(repository) });
        }
        match Repository::open(place) {
            Ok(repository) if is_bare(place) => {
                // There are no files on disk: its head is all there is to judge.
                let commit = repository.resolve("HEAD").map_err(|error| error.to_string())?;
                Ok(Self { revision: Revision::Commit(commit), folder: None, repository: Some(repository) })
            }
            Ok(repository) => {
                let folder = Folder::new(place).map_err(|error| error.to_string())?;
                let repository = repository.head().map_err(|error| error.to_string())?.map(|_| repository);
                Ok(Self { revision: Revision::WorkTree, folder: Some(Arc::new(folder)), repository })
            }
            Err(OpenError::NotARepository(_)) => {
                let folder = Folder::new(place).map_err(|error| error.to_string())?;
                Ok(Self { revision: Revision::WorkTree, folder: Some(Arc::new(folder)), repository: None })
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Another revision of the same repository.
    ///
    /// # Errors
    /// It is no repository, or has no such revision.
    pub fn resolve(&self, rev: &str) -> Result<Revision, String> {
        let repository = self.repository.as_ref().ok_or("not a repository with commits")?;
        repository.resolve(rev).map(Revision::Commit).map_err(|error| error.to_string())
    }

    fn tree(&self, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        match (revision, &self.repository) {
            (Revision::Commit(commit), Some(repository)) if repository.objects().has(commit) => {
                Ok(Some(Arc::new(repository.tree(commit)?)))
            }
            (Revision::Commit(_), Some(_)) => Ok(None),
            (Revision::WorkTree, _) | (Revision::Commit(_), None) => Ok(self.folder.clone()),
        }
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

fn is_bare(place: &Path) -> bool {
    !place.join(".git").exists()
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

    fn read(&self, side: Side, revision: Option<&Revision>, path: &str) -> Option<String> {
        let tree = self.side(side).tree(revision?).ok()??;
        match tree.node(path).ok()? {
            Some(Node::File { .. }) => String::from_utf8(tree.read(path).ok()?.to_vec()).ok(),
            _ => None,
        }
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
        match (local.commit(one)?, local.commit(other)?, &local.repository) {
            (Some(one), Some(other), Some(repository)) => {
                Ok(repository.objects().merge_base(&one, &other)?.map(Revision::Commit))
            }
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
            Kind::ContentDiffers | Kind::CopyDiffers => {
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

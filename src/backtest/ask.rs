//! What an evaluation asks of two repositories and what it was answered, written down.
//!
//! Only what can change when a head moves is written down: questions about the consumer's head, the source's head, and how
//! a pinned commit stands to that. What a pinned commit itself holds never changes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::gate::{Relation, Revision, Side, World};
use crate::tree::{Node, ObjectId, Tree, TreeError};

/// One question about the heads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    pub side: Side,
    pub what: What,
    /// A path; for [`What::Relation`] the commit whose standing is asked.
    pub path: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// What stands there.
    Node,
    /// The names in a directory with what stands there: not what is in the files.
    List,
    /// The bytes of a file, by their name.
    Blob,
    /// The name of a directory.
    Dir,
    /// Whether a directory has this name.
    IsDir(ObjectId),
    /// Whether a file has this name.
    IsBlob(ObjectId),
    /// How a commit stands to the head.
    Relation,
}

/// The answer to an [`Ask`], as far as two of them must be told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Node(Option<Node>),
    List(Arc<[(String, Node)]>),
    Id(Option<ObjectId>),
    Is(bool),
    Relation(Relation),
    /// Could not be answered, for this reason.
    Failed(String),
}

/// Questions in the order in which they were asked, each once.
pub(super) type Log = Vec<(Ask, Answer)>;

/// Asks a tree.
///
/// # Errors
/// [`TreeError::NotHere`] only: that is no answer.
pub(super) fn answer(tree: &dyn Tree, ask: &Ask) -> Result<Answer, TreeError> {
    let path = &*ask.path;
    let answered = match &ask.what {
        What::Node => tree.node(path).map(Answer::Node),
        What::List => tree.list(path).map(|list| Answer::List(list.into())),
        What::Blob => tree.blob_id(path).map(|id| Answer::Id(Some(id))),
        What::Dir => tree.dir_id(path).map(Answer::Id),
        What::IsDir(id) => tree.is_dir_of(path, id).map(Answer::Is),
        What::IsBlob(id) => tree.is_blob_of(path, id).map(Answer::Is),
        What::Relation => Ok(Answer::Failed("not a question to a tree".into())),
    };
    or_failed(answered)
}

/// How a commit of the source stands to its head. How far it is behind is in no verdict, finding or undecided part, so heads
/// that differ in that alone are not told apart.
pub(super) fn relation(world: &dyn World, commit: &Revision, head: &Revision) -> Result<Answer, TreeError> {
    or_failed(world.relation(Side::Source, commit, head).map(told_apart))
}

fn told_apart(relation: Relation) -> Answer {
    Answer::Relation(match relation {
        Relation::Behind(steps) => Relation::Behind(steps.min(1)),
        relation => relation,
    })
}

fn or_failed(answered: Result<Answer, TreeError>) -> Result<Answer, TreeError> {
    match answered {
        Err(error @ TreeError::NotHere(_)) => Err(error),
        Err(error) => Ok(Answer::Failed(error.to_string())),
        Ok(answer) => Ok(answer),
    }
}

/// A world that writes down what is asked of the heads.
pub(super) struct Recorder<'a> {
    world: &'a dyn World,
    source: Revision,
    consumer: Revision,
    book: Arc<Book>,
}

#[derive(Default)]
struct Book(Mutex<(HashSet<Ask>, Log)>);

impl Book {
    fn write(&self, ask: Ask, answer: Answer) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.0.insert(ask.clone()) {
            book.1.push((ask, answer));
        }
    }
}

impl<'a> Recorder<'a> {
    pub fn new(world: &'a dyn World, consumer: &ObjectId, source: &ObjectId) -> Self {
        let revision = |id: &ObjectId| Revision::Commit(id.clone());
        Self { world, consumer: revision(consumer), source: revision(source), book: Arc::default() }
    }

    /// What was asked.
    pub fn log(self) -> Log {
        std::mem::take(&mut self.book.0.lock().unwrap_or_else(PoisonError::into_inner).1)
    }
}

impl World for Recorder<'_> {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        let tree = self.world.tree(side, revision)?;
        let head = match side {
            Side::Consumer => &self.consumer,
            Side::Source => &self.source,
        };
        if revision != head {
            return Ok(tree);
        }
        Ok(tree.map(|tree| Arc::new(Recorded { tree, side, book: self.book.clone() }) as Arc<dyn Tree>))
    }

    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        let relation = self.world.relation(side, commit, head);
        if let Revision::Commit(id) = commit
            && *head == self.source
        {
            let ask = Ask { side, what: What::Relation, path: id.as_str().into() };
            self.book.write(ask, or_failed(relation.clone().map(told_apart))?);
        }
        relation
    }

    fn merge_bases(&self, side: Side, one: &Revision, other: &Revision) -> Result<Vec<Revision>, TreeError> {
        self.world.merge_bases(side, one, other)
    }
}

/// The tree of a head, with its questions written down.
struct Recorded {
    tree: Arc<dyn Tree>,
    side: Side,
    book: Arc<Book>,
}

impl Recorded {
    /// Asks, and writes down what was answered.
    fn note(&self, what: What, path: &str) -> Result<Answer, TreeError> {
        let ask = Ask { side: self.side, what, path: path.into() };
        let answer = answer(self.tree.as_ref(), &ask)?;
        self.book.write(ask, answer.clone());
        Ok(answer)
    }
}

impl Tree for Recorded {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        match self.note(What::Node, path)? {
            Answer::Node(node) => Ok(node),
            // Asked again for the error itself.
            _ => self.tree.node(path),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        match self.note(What::List, path)? {
            Answer::List(list) => Ok(list.to_vec()),
            _ => self.tree.list(path),
        }
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        match self.note(What::Blob, path)? {
            Answer::Id(Some(id)) => Ok(id),
            _ => self.tree.blob_id(path),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.note(What::Blob, path)?;
        self.tree.read(path)
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        self.note(What::Blob, path)?;
        self.tree.size(path)
    }

    fn dir_id(&self, path: &str) -> Result<Option<ObjectId>, TreeError> {
        match self.note(What::Dir, path)? {
            Answer::Id(id) => Ok(id),
            _ => self.tree.dir_id(path),
        }
    }

    fn is_dir_of(&self, path: &str, id: &ObjectId) -> Result<bool, TreeError> {
        match self.note(What::IsDir(id.clone()), path)? {
            Answer::Is(is) => Ok(is),
            _ => self.tree.is_dir_of(path, id),
        }
    }

    fn is_blob_of(&self, path: &str, id: &ObjectId) -> Result<bool, TreeError> {
        match self.note(What::IsBlob(id.clone()), path)? {
            Answer::Is(is) => Ok(is),
            _ => self.tree.is_blob_of(path, id),
        }
    }

    fn expect(&self, paths: &[&str]) -> Result<(), TreeError> {
        self.tree.expect(paths)
    }
}

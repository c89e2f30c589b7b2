//! What a Dockerfile would bake (pure).
//!
//! A small interpreter over instructions, not a matcher: it reads the Dockerfile as BuildKit's frontend does, runs each
//! instruction that the target needs against a [`crate::tree::Tree`], and yields the tree of the image: for every path
//! what it is, which bytes, which mode, and the line that put it there. Nothing is executed. What nobody could know
//! from the text is `unknown`, with line and reason; what is taken for granted is an assumption, with line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::tree::{Tree, TreeError};

mod archive;
mod budget;
mod candidates;
mod chmod;
mod context;
mod copies;
mod copy;
mod declared;
mod expansion;
mod files;
mod ignore;
mod instructions;
mod lexer;
mod lint;
mod mounts;
mod pattern;
mod run;
mod stage;
mod stages;
mod takes;

pub use copies::{Copying, copies};
pub use declared::{declarations, declared, redeclared};
pub use ignore::{IgnoreFile, ignore_file};
pub use takes::{Takes, takes};

/// The largest Dockerfile that is read, in bytes.
pub const MAX_DOCKERFILE: usize = 1 << 20;
/// The most instructions that are read, and the most that run, with the triggers of `ONBUILD`.
pub const MAX_STATEMENTS: usize = 10_000;
/// The largest ignore file that is read, in bytes.
pub const MAX_IGNORE_FILE: usize = 1 << 20;
/// The most directories that a path may lie in.
pub const MAX_DEPTH: usize = 256;
/// The longest path, in bytes: no system has longer ones.
pub const MAX_PATH: usize = 4096;

/// How far one build may go, over all its stages; beyond, it is undecided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Paths that are made.
    pub paths: usize,
    /// Bytes that are held beside the files of the context: heredocs, archives, outputs, names, variables.
    pub bytes: usize,
    /// What it takes: a path that is looked at, a pattern that is tried; a command is a thousand.
    pub steps: usize,
}

impl Default for Limits {
    /// More than real builds take, and no more than a service can give.
    fn default() -> Self {
        Self { paths: 2_000_000, bytes: 1 << 30, steps: 200_000_000 }
    }
}

/// One build: what `docker build` would be given.
pub struct Build<'a> {
    /// The build context.
    pub context: &'a dyn Tree,
    /// The Dockerfile's bytes.
    pub dockerfile: &'a [u8],
    /// The Dockerfile's name for messages and causes, as the reader knows it (from the consumer's root).
    pub dockerfile_name: &'a str,
    /// The ignore file that applies, bytes and name; `None` where there is none or it is not applied. `<Dockerfile>.dockerignore`
    /// beside the Dockerfile replaces `.dockerignore` of the context entirely: [`ignore_file`] chooses.
    pub ignore: Option<(&'a [u8], &'a str)>,
    /// `--build-arg`.
    pub build_args: &'a BTreeMap<String, String>,
    /// `--target`.
    pub target: Option<&'a str>,
    /// What is in the context beside [`Build::context`], and nobody knows: made by the build before `docker build` runs.
    pub generated: Option<&'a dyn Generated>,
}

/// Paths of a build context that are made before `docker build` runs, and that no tree knows: their files are there, and
/// what they hold is unknown. Paths have no leading slash.
pub trait Generated {
    /// Whether it stands at this path, or the path lies in what is made.
    fn is(&self, path: &str) -> bool;

    /// What may be made in this directory, seen from it.
    fn inside(&self, dir: &str) -> Made;
}

/// What is made in a directory before `docker build` runs: names that are made themselves, or lead to what is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Names that are spelled out.
    pub names: BTreeSet<String>,
    /// There may be others, which are not spelled out.
    pub others: bool,
    /// The directory is there: what is made in it is spelled out down to it.
    pub surely: bool,
}

impl Made {
    /// Nothing at all.
    pub fn is_nothing(&self) -> bool {
        self.names.is_empty() && !self.others
    }
}

/// What a build would produce.
#[derive(Debug, Default)]
pub struct Image {
    /// What is known, by path without leading slash.
    pub entries: BTreeMap<String, Baked>,
    /// What cannot be known.
    pub unknown: Vec<Unknown>,
    /// What was taken for granted.
    pub assumptions: Vec<Assumption>,
    /// What BuildKit accepts but loses files by: a JSON form that does not parse, a pattern without a match.
    pub traps: Vec<Trap>,
    /// All that commands of the build could have read: what is unknown is a function of it and of the Dockerfile.
    pub taken: BTreeSet<Taken>,
}

/// Something of the build context that a stage of the build was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taken {
    /// The file at this path of the context.
    File(String),
    /// Everything at this path of the context: it was mounted.
    Tree(String),
    /// What the build makes before `docker build` runs, of whatever it likes.
    Generated,
    /// A link of this target, put at this path of a stage.
    Link {
        /// From the stage's root.
        at: String,
        /// As it is stored in the link.
        target: String,
    },
}

/// One path of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baked {
    /// What stands there.
    pub kind: BakedKind,
    /// The Dockerfile line (1-based) of the instruction that put it there.
    pub line: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
/// What stands at a path of the image.
pub enum BakedKind {
    /// A regular file.
    File {
        /// Where its bytes come from.
        content: Content,
        /// Octal mode bits, as `chmod` takes them: mostly `0o644`.
        mode: u32,
    },
    /// A directory.
    Dir {
        /// Octal mode bits, as `chmod` takes them: mostly `0o755`.
        mode: u32,
    },
    /// A symbolic link; it is not followed.
    Link {
        /// As stored: an absolute one is from the root of the image.
        target: String,
    },
}

/// Where the bytes of a baked file come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The file at this path of the build context, byte for byte.
    Context(String),
    /// These bytes (a heredoc, an unpacked archive, an `echo >`).
    Bytes(Arc<[u8]>),
}

/// A part of the image that cannot be known: `path` and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unknown {
    /// Without leading slash; `""` is the whole image.
    pub path: String,
    /// The Dockerfile line (1-based) after which nobody can know it.
    pub line: u32,
    /// Why, in words for people.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
/// Something that is taken for granted, so that the rest can be known.
pub struct Assumption {
    /// The Dockerfile line (1-based) that makes it necessary.
    pub line: u32,
    /// One sentence for people.
    pub text: String,
}

/// An instruction that builds but does not do what its words say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The Dockerfile line (1-based) of the instruction.
    pub line: u32,
    /// What happens instead, in words for people.
    pub message: String,
}

/// Why there is no image.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuildError {
    /// The build would fail, and this is what it would say.
    #[error("line {line}: {message}")]
    Fails {
        /// The Dockerfile line (1-based) at which it stops.
        line: u32,
        /// What BuildKit would say.
        message: String,
    },
    /// An instruction, flag or form that this evaluator does not understand, or a budget that it keeps.
    #[error("line {line}: {message}")]
    Undecided {
        /// The Dockerfile line (1-based) that is not understood.
        line: u32,
        /// What is not understood, in words for people.
        message: String,
    },
    /// The context could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// What the build would produce.
///
/// Only what the target needs is evaluated, and only the files that instructions name are looked at. Equal inputs give an
/// equal image.
///
/// # Errors
///
/// [`BuildError::Fails`] when the build would fail, [`BuildError::Undecided`] when that cannot be said, and
/// [`BuildError::Tree`] when the context cannot be read: a [`TreeError::NotHere`] in it says what to fetch before asking
/// again.
pub fn evaluate(build: &Build<'_>) -> Result<Image, BuildError> {
    evaluate_within(build, Limits::default())
}

/// Like [`evaluate`], within other limits.
///
/// # Errors
///
/// As [`evaluate`].
pub fn evaluate_within(build: &Build<'_>, limits: Limits) -> Result<Image, BuildError> {
    stages::evaluate(build, limits)
}

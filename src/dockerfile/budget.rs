//! What one build may use up.
//!
//! A Dockerfile may be written by anyone who opens a pull request, and forty short lines can double a file forty times. So
//! everything that grows is counted while a build is evaluated, and a build that grows beyond all use is undecided, with
//! the line where it did. Counts, never clocks: equal inputs give an equal answer.

use std::cell::Cell;

use super::{BuildError, MAX_BYTES, MAX_DEPTH, MAX_PATH, MAX_PATHS, MAX_STEPS};

/// What is taken for each path or variable beside its own bytes.
const OVERHEAD: usize = 128;

/// What a build has used up so far.
#[derive(Debug, Default)]
pub(super) struct Budget {
    paths: Cell<usize>,
    bytes: Cell<usize>,
    steps: Cell<usize>,
    too_deep: Cell<bool>,
}

impl Budget {
    /// Some paths are made, and hold this many bytes of names.
    pub fn take_paths(&self, paths: usize, bytes: usize) {
        add(&self.paths, paths);
        self.take_bytes(bytes.saturating_add(paths.saturating_mul(OVERHEAD)));
    }

    /// Bytes are held that are not in the build context.
    pub fn take_bytes(&self, bytes: usize) {
        add(&self.bytes, bytes);
    }

    /// Some variables are held, with this many bytes.
    pub fn take_variables(&self, count: usize, bytes: usize) {
        self.take_bytes(bytes.saturating_add(count.saturating_mul(OVERHEAD)));
    }

    /// Something is looked at this many times.
    pub fn take_steps(&self, steps: usize) {
        add(&self.steps, steps);
    }

    /// Whether a path of these names may be; where it may not, the build is undecided from here on.
    pub fn allows<S: AsRef<str>>(&self, names: &[S]) -> bool {
        let fits = names.len() <= MAX_DEPTH && length(names) <= MAX_PATH;
        self.too_deep.set(self.too_deep.get() || !fits);
        fits
    }

    /// The paths that were made.
    pub fn paths(&self) -> usize {
        self.paths.get()
    }

    /// What there is too much of.
    pub fn exceeded(&self) -> Option<String> {
        if self.too_deep.get() {
            return Some(format!(
                "a path is longer than {MAX_PATH} bytes, or lies in more than {MAX_DEPTH} directories"
            ));
        }
        if self.paths.get() > MAX_PATHS {
            return Some(format!("the build makes more than {MAX_PATHS} paths"));
        }
        if self.bytes.get() > MAX_BYTES {
            return Some(format!("the build makes more than {} MiB of its own", MAX_BYTES >> 20));
        }
        (self.steps.get() > MAX_STEPS).then(|| format!("the build takes more than {MAX_STEPS} steps to evaluate"))
    }

    /// Undecided, when there is too much of something.
    pub fn check(&self, line: u32) -> Result<(), BuildError> {
        self.exceeded().map_or(Ok(()), |message| Err(BuildError::Undecided { line, message }))
    }
}

/// The bytes of a path of these names.
pub(super) fn length<S: AsRef<str>>(names: &[S]) -> usize {
    names.iter().map(|name| name.as_ref().len() + 1).sum()
}

fn add(counter: &Cell<usize>, more: usize) {
    counter.set(counter.get().saturating_add(more));
}

/// Why a text cannot be used, before its line is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The build would fail, with this message.
    Wrong(String),
    /// A budget ends here.
    Beyond(String),
}

impl Failure {
    /// With its line.
    pub fn at(self, line: u32) -> BuildError {
        match self {
            Self::Wrong(message) => BuildError::Fails { line, message },
            Self::Beyond(message) => BuildError::Undecided { line, message },
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Wrong(message)
    }
}

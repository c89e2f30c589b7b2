//! Repository caches and the wire: what the service knows of repositories on forges.
//!
//! Of each repository there is one bare folder below the cache's root, filled with what is read and nothing else: a commit's
//! directories, the files that somebody asked for, the commit graph. It may use `snapshot` (which reads the objects) and
//! `tree`. Everything is a cache: a folder may be deleted while no service runs, and comes back by itself.
//!
//! The wire is git's protocol version 2 over the same HTTP client as the REST calls: one TLS stack, one set of time-outs,
//! no redirects (git's own would carry the token to another host). Sources: `gitprotocol-v2(5)`, `gitprotocol-common(5)`.
//!
//! Traps and races handled here:
//! - **A commit fetched alone is not a root.** Its parents are missing, not absent: the graph says
//!   [`crate::tree::TreeError::NotHere`]. No `shallow` file is ever written.
//! - **What may be offered as `have`.** A server leaves out everything reachable from it. Only commits whose whole history
//!   is here are offered: that is true of commits. Of directories it may not be (those of older commits were never fetched),
//!   so what came is looked through, and a commit that lacks one is fetched again, alone.
//! - **The hook is faster than the forge.** "not our ref" is asked again once before it is believed.
//! - **Ten workers want the same thing**: one request, shared. Not so for [`Repo::ls_refs`]: an answer that was on its way
//!   before the question was asked may be older than the push that made somebody ask.
//! - **Packs pile up**, one for each fetch, and a lookup tries them all: small ones are folded into one, under a file lock
//!   that other processes see too.
//! - **A process dies while it makes a folder**: git's lock files stay, and nobody could ever make it again. What is no
//!   repository is removed and made anew, by one process at a time.
//! - **Half an answer** never becomes half a pack: a pack is there when it is complete, or not at all.

use std::time::Duration;

use secrecy::SecretString;

use crate::tree::{ObjectId, TreeError};

mod cache;
mod evict;
mod flight;
mod fold;
pub(crate) mod pkt;
mod rounds;
mod size;
#[cfg(test)]
mod tests;
mod wire;

pub use crate::snapshot::Standing;
pub use cache::{Cache, Repo};
pub use rounds::{Stopped, until_here};

/// Where a repository is fetched from, for one call: addresses change by renames, tokens by rotation.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The repository's address, such as `https://git.example.org/molecule/core.git`.
    pub url: String,
    /// The value of the `Authorization` header; it is sent to `url` and nowhere else, and never logged.
    pub authorization: Option<SecretString>,
}

/// What a fetch may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For one request and its whole answer.
    pub total: Duration,
    /// The largest pack that is accepted, in bytes.
    pub pack: u64,
    /// The largest list of refs that is accepted, in bytes (10,000 pull requests are less than a megabyte).
    pub refs: u64,
    /// How long after "not our ref" the same question is asked again.
    pub ask_again: Duration,
    /// How many packs are received at once, over all repositories of the cache.
    pub parallel: usize,
    /// How many small packs may pile up in one repository before they are folded into one.
    pub small_packs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(120),
            pack: 1 << 30,
            refs: 64 << 20,
            ask_again: Duration::from_millis(500),
            parallel: 8,
            small_packs: 50,
        }
    }
}

/// Why a repository could not be asked. URLs are without user name, password and query.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum GitError {
    /// 404, 410. Forges say so as well about private repositories that the token may not read.
    #[error("{url}: no such repository, or the token may not read it")]
    NotFound {
        /// Where it was looked for.
        url: String,
    },
    /// 401, 403.
    #[error("{url}: access denied ({status}): {message}; check the token and its scopes")]
    Denied {
        /// Where it was asked for.
        url: String,
        /// 401 or 403.
        status: u16,
        /// The forge's words.
        message: String,
    },
    /// 301 and its like: the repository has another name now.
    #[error("{url}: moved ({status}); ask the forge for the repository by its id")]
    Moved {
        /// Where it was.
        url: String,
        /// 301 or its like.
        status: u16,
    },
    /// The repository does not have the object; asked twice.
    #[error("{url}: the repository does not have {id}")]
    NotOurRef {
        /// Where it was asked for.
        url: String,
        /// What is not there.
        id: ObjectId,
    },
    /// Time-out, connection, 429, 5xx, half an answer: the same request may go through later.
    #[error("{url}: {message}")]
    Transient {
        /// Where it was asked for.
        url: String,
        /// What went wrong.
        message: String,
    },
    /// An answer that is no git, or that git refuses with: asking again would get the same.
    #[error("{url}: {message}")]
    Refused {
        /// Where it was asked for.
        url: String,
        /// What it said.
        message: String,
    },
    /// More bytes than [`Limits`] allow.
    #[error("{url}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// Where it came from.
        url: String,
        /// In bytes.
        limit: u64,
    },
    /// The cache itself failed: a full disk, a folder that cannot be written.
    #[error("the cache {path}: {message}")]
    Storage {
        /// The cache's folder or file; empty where the storage did not say.
        path: String,
        /// What the system said.
        message: String,
    },
}

impl GitError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }

    /// Whether the repository cannot be read at all (as opposed to: one object of it).
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Denied { .. })
    }
}

impl From<TreeError> for GitError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Io { path, why } | TreeError::Unfit { path, what: why } => Self::Storage { path, message: why },
            other => Self::Storage { path: String::new(), message: other.to_string() },
        }
    }
}

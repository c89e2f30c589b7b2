//! What `/drift-gate rebuild` does.

use std::sync::Arc;

use super::Controller;
use super::plan::{Gated, RepoKey};
use crate::store::{Level, StoreError};

impl Controller {
    /// Has everything about a pull request looked at again, and the repairs that it is about opened or brought up to date now,
    /// whatever spoke against it; answers what was begun, in words.
    pub(super) async fn rebuild(&self, repo: &RepoKey, pull: u64) -> Result<&'static str, StoreError> {
        self.hint(repo, Level::ReadBoth).await?;
        Ok(begun(self.rebuild_pulls(repo, pull).await?))
    }

    /// The same for gates of a repository.
    pub(super) async fn rebuild_of(&self, repo: &RepoKey, gates: &[Arc<Gated>]) -> Result<&'static str, StoreError> {
        self.hint(repo, Level::ReadBoth).await?;
        Ok(begun(self.rebuild_pulls_of(repo, gates).await?))
    }
}

fn begun(repairs: usize) -> &'static str {
    match repairs {
        0 => "judged afresh; no gate here has a `[[gate.repair]]` that could open a pull request",
        _ => "judged afresh; where there is drift, the pull request that ends it is opened or brought up to date",
    }
}

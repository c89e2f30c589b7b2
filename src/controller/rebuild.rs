//! What `/drift-gate rebuild` does.

use super::Controller;
use super::plan::RepoKey;
use crate::store::{Level, StoreError};

impl Controller {
    /// Has everything about a pull request looked at again; answers what was begun, in words.
    pub(super) async fn rebuild(&self, repo: &RepoKey, _pull: u64) -> Result<&'static str, StoreError> {
        self.hint(repo, Level::ReadBoth).await?;
        Ok("judged afresh")
    }
}

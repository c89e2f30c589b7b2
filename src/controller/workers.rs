//! Tasks of one kind that are under way, counted for each forge: a slow one does not hold up the others, and a task that
//! breaks takes nobody with it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::Controller;
use super::look::millis;
use crate::store::{Claim, StoreError};

/// See the module.
pub(super) struct Workers {
    /// What is worked on, for the log: "a status".
    what: &'static str,
    tasks: JoinSet<String>,
    running: BTreeMap<String, usize>,
}

impl Workers {
    pub fn new(what: &'static str) -> Self {
        Self { what, tasks: JoinSet::new(), running: BTreeMap::new() }
    }

    /// How many more may begin on a forge of `most` at a time.
    pub fn free(&self, forge: &str, most: usize) -> usize {
        most.saturating_sub(self.running.get(forge).copied().unwrap_or(0))
    }

    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Begins work on a forge. Where the store fails, the work is done again: what was claimed is claimed again.
    pub fn begin(&mut self, forge: &str, work: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        *self.running.entry(forge.to_owned()).or_default() += 1;
        let (what, forge) = (self.what, forge.to_owned());
        self.tasks.spawn(async move {
            match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, what, "the store failed; it is taken up again"),
                Err(_) => tracing::error!(what, "working on it broke; this is a defect of drift-gate"),
            }
            forge
        });
    }

    /// One of them has ended; never where none runs.
    pub async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(forge)) => {
                if let Some(count) = self.running.get_mut(&forge) {
                    *count = count.saturating_sub(1);
                }
            }
            // Nothing cancels them, and what breaks is caught in them.
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// All of them have ended.
    pub async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Controller {
    /// A claim of up to `most` pieces of work on a forge, from now on for this long.
    pub(super) fn claim<'a>(&'a self, forge: &'a str, lease: Duration, most: usize) -> Claim<'a> {
        let now = self.now();
        let most = i64::try_from(most).unwrap_or(1);
        Claim { forge, holder: &self.holder, now, until: now + millis(lease), most }
    }
}

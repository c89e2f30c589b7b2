//! Makes the forge say what is wanted.
//!
//! The races it handles: an answer that was lost after the forge took the status (what the forge has is in doubt from then
//! on: it is read before anything is written, also where what is wanted has meanwhile become again what was told before); a
//! store that fails after the forge took the status (noting it is tried for a while: one that was sent and not noted would be
//! sent again without being read); a want that changes while the old one is being sent (what was sent is kept as told, the
//! difference remains and is sent next; one pass at a time, so no older status overtakes a newer one); a doubt that comes
//! meanwhile (it remains, and the status is read again); a commit that the forge announces before it serves it (asked again
//! soon).

use futures_util::StreamExt;

use super::plan::RepoKey;
use super::{Controller, backoff, lock};
use crate::forge::{ForgeError, State, Status};
use crate::store::{StoreError, WantedRow};
use crate::tree::ObjectId;

/// Statuses sent at a time: enough to hide the round trip, few enough to be a good guest.
const AT_ONCE: usize = 4;
/// Rows taken in one pass.
const MOST: i64 = 256;
/// A status that the forge refuses for a reason which only a person can change is tried again this rarely (ms).
const REFUSED: i64 = 5 * 60_000;

/// How often noting is tried, with a pause each time: a store that is away for longer is another story.
const NOTES: usize = 10;

impl Controller {
    /// Sends what is unsent and due, until nothing is.
    pub(super) async fn publish_due(&self) -> Result<(), StoreError> {
        loop {
            let rows = self.store.unsent(self.now(), MOST).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut sending = futures_util::stream::iter(rows)
                .map(|row| async move { self.publish(&row).await })
                .buffer_unordered(AT_ONCE);
            // All of them to their end: one that is dropped while it is sent would not be noted.
            let mut failed = None;
            while let Some(result) = sending.next().await {
                failed = failed.or(result.err());
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    async fn publish(&self, row: &WantedRow) -> Result<(), StoreError> {
        let repo = RepoKey { forge: row.forge.clone(), name: row.repository.clone() };
        let began = self.now();
        match self.send(&repo, row).await {
            Ok(wrote) => {
                tracing::info!(%repo, sha = %row.sha, context = %row.context, state = %row.state, description = %row.description, wrote, "status stands");
                self.metrics.published(wrote, began.saturating_sub(row.decided_at));
                if wrote && lock(&self.denied).remove(&repo).is_some() {
                    tracing::info!(%repo, "statuses can be posted again");
                }
                self.note(row, Note::Told).await
            }
            Err(error) => {
                let why = error.to_string();
                let passing = error.is_transient() || matches!(error, ForgeError::Moved { .. });
                // Rights are the repository's: that they lack is told once, not for each commit.
                let is_news = match &error {
                    ForgeError::Denied { .. } => lock(&self.denied).insert(repo.clone(), why.clone()).is_none(),
                    _ => row.trouble.as_deref() != Some(why.as_str()),
                };
                if is_news {
                    tracing::warn!(%repo, sha = %row.sha, context = %row.context, why, "the forge did not take a status");
                }
                if matches!(error, ForgeError::Moved { .. }) {
                    self.forget_name(&repo);
                    self.hint(&repo).await?;
                } else if !passing {
                    // Its rights may have changed; what they are now is for the next look to say.
                    self.doubt_facts(&repo);
                }
                let wait = match error {
                    ForgeError::RateLimited { after, .. } => i64::try_from(after.as_millis()).unwrap_or(REFUSED),
                    _ if passing => backoff(row.attempts),
                    _ => REFUSED,
                };
                let doubtful = matches!(error, ForgeError::Transient { .. });
                self.note(row, Note::NotTold { why: &why, wait, doubtful }).await
            }
        }
    }

    /// Notes what came of a try, as soon as the store takes it.
    async fn note(&self, row: &WantedRow, note: Note<'_>) -> Result<(), StoreError> {
        for _ in 1..NOTES {
            match self.try_to_note(row, note).await {
                Err(StoreError::Database(error)) => {
                    tracing::error!(id = row.id, %error, "what became of a status cannot be noted; trying again");
                    tokio::time::sleep(super::STORE_PAUSE).await;
                }
                noted => return noted,
            }
        }
        self.try_to_note(row, note).await
    }

    async fn try_to_note(&self, row: &WantedRow, note: Note<'_>) -> Result<(), StoreError> {
        match note {
            Note::Told => self.store.told(row, self.now()).await,
            Note::NotTold { why, wait, doubtful } => {
                if doubtful {
                    self.store.doubt(&row.forge, row.forge_id, &row.sha).await?;
                }
                self.store.not_told(&row.id, why, self.now() + wait).await
            }
        }
    }

    /// Whether a status had to be written.
    async fn send(&self, repo: &RepoKey, row: &WantedRow) -> Result<bool, ForgeError> {
        let refused =
            |message: &str| ForgeError::Refused { what: row.id.clone(), status: 0, message: message.to_owned() };
        let Some(api) = self.forges.get(&repo.forge) else {
            return Err(refused("its forge is not configured any more"));
        };
        let (Some(sha), Some(state)) = (ObjectId::parse(&row.sha), state(&row.state)) else {
            return Err(refused("the stored status cannot be read"));
        };
        let name = self.current_name(repo);
        if row.doubt != 0 {
            let stands = api.status(&name, &sha, &row.context).await?;
            if stands.is_some_and(|stands| {
                stands.state == row.state && stands.description == row.description && stands.target_url == row.url
            }) {
                return Ok(false);
            }
        }
        let status = Status {
            context: row.context.clone(),
            state,
            description: row.description.clone(),
            target_url: row.url.clone(),
        };
        api.post_status(&name, &sha, &status).await?;
        Ok(true)
    }
}

/// What came of a try to tell the forge.
#[derive(Clone, Copy)]
enum Note<'a> {
    Told,
    NotTold {
        why: &'a str,
        /// Milliseconds until the next try.
        wait: i64,
        /// The forge may have taken it all the same.
        doubtful: bool,
    },
}

/// A state by its word in the store.
pub(super) fn state(word: &str) -> Option<State> {
    match word {
        "pending" => Some(State::Pending),
        "success" => Some(State::Success),
        "failure" => Some(State::Failure),
        "error" => Some(State::Error),
        _ => None,
    }
}

/// The word that a state has in the store and on every forge.
pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Success => "success",
        State::Failure => "failure",
        State::Error => "error",
    }
}

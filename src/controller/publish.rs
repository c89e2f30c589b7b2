//! Makes the forge say what is wanted.
//!
//! The races it handles: an answer that was lost after the forge took the status (what the forge has is in doubt from then
//! on: it is read before anything is written, also where what is wanted has meanwhile become again what was told before); a
//! store that fails after the forge took the status (noting it is tried again, and the lease outlives that); a want that changes while the old one is being sent (what was sent is kept as told, the
//! difference remains and is sent next; a status is leased to one sender, so no older one overtakes a newer one); a sender that
//! stalls past its lease (whoever takes over reads first, and once more when nothing late can land any more); a doubt that
//! comes meanwhile (it remains, and the status is read again); a commit that the forge announces before it serves it (asked
//! again soon).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::audit::{Overwritten, PARKED};
use super::look::millis;
use super::plan::RepoKey;
use super::workers::Workers;
use super::{Controller, backoff, lock};
use crate::forge::{ForgeError, State, Status};
use crate::store::{Fenced, Level, Outgoing, StoreError, WantedRow};
use crate::tree::ObjectId;

/// Statuses sent at a time, for each forge: enough to hide the round trip, few enough to be a good guest. GitHub takes their writes one
/// after the other all the same (see `guest`).
const AT_ONCE: usize = 4;
/// Statuses that are leased at a time, for each forge: some on their way, some next.
const TAKEN: usize = 8 * AT_ONCE;
/// While statuses are on their way, what falls due by itself waits at most so long.
const WHILE_SENDING: Duration = Duration::from_millis(500);
/// A status that the forge refuses for a reason which only a person can change is tried again this rarely (ms).
const REFUSED: i64 = 5 * 60_000;
/// How long a status is leased: longer than the request for it may take.
const LEASE: Duration = Duration::from_secs(90);
/// How long (ms) a leased status waits for its turn: a forge may be slow, or take one write at a time with a pause between.
const WAITED: i64 = 45_000;
/// How often it is tried to note what came of a status: for less time than the lease lasts.
const NOTED: usize = 30;
/// What was sent before may land until then.
const LATE: Duration = Duration::from_secs(60);

impl Controller {
    /// Sends what is unsent and due, until told to stop; what is on its way then is waited for.
    pub(super) async fn publish_always(self: Arc<Self>, shutdown: CancellationToken) {
        let mut sends = Workers::new("a status");
        let mut turns: BTreeMap<String, Arc<Semaphore>> = BTreeMap::new();
        while !shutdown.is_cancelled() {
            let pause = match self.begin_sends(&mut sends, &mut turns, &shutdown).await {
                // Each status that is sent makes room and asks again.
                Ok(()) if !sends.is_empty() => WHILE_SENDING,
                Ok(()) => self.until_next_due().await,
                Err(error) => self.store_failed("publish", &error),
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.publish_wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = sends.ended() => {}
            }
        }
        sends.all_ended().await;
    }

    async fn begin_sends(
        self: &Arc<Self>,
        sends: &mut Workers,
        turns: &mut BTreeMap<String, Arc<Semaphore>>,
        shutdown: &CancellationToken,
    ) -> Result<(), StoreError> {
        for forge in self.forges.keys() {
            if self.guests.get(forge).is_some_and(|guest| guest.rests()) {
                continue;
            }
            let free = sends.free(forge, TAKEN);
            // Many at a time: a claim reads all that wait, and to claim them one by one would cost more than to send them.
            if free < TAKEN / 2 {
                continue;
            }
            let claim = self.claim(forge, LEASE, free);
            let at_the_latest = claim.now + WAITED;
            let turns = turns.entry(forge.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
            for outgoing in self.store.claim_unsent(&claim, claim.now + millis(LATE)).await? {
                let (me, turns, shutdown) = (self.clone(), turns.clone(), shutdown.clone());
                sends.begin(forge, async move {
                    let _turn = tokio::select! {
                        biased;
                        // It waits for its turn: its lease ends with this process, and the next one sends it.
                        () = shutdown.cancelled() => return Ok(()),
                        turn = turns.acquire_owned() => turn,
                    };
                    if me.now() > at_the_latest {
                        // It is claimed anew: a lease that ends on the way would have another send it as well.
                        return me.store.release(&outgoing.lease).await;
                    }
                    me.publish(&outgoing).await
                });
            }
        }
        Ok(())
    }

    async fn publish(&self, outgoing: &Outgoing) -> Result<(), StoreError> {
        let row = &outgoing.row;
        let repo = RepoKey { forge: row.forge.clone(), name: row.repository.clone() };
        let began = self.now();
        let fenced = match self.send(&repo, row).await? {
            Ok(Sent::Parked(why)) => {
                // It is not as wanted, and that shows.
                self.store.doubt(&row.forge, row.forge_id, &row.sha).await?;
                self.store.not_told_held(outgoing, &why, self.now() + PARKED).await?
            }
            Ok(sent) => {
                let wrote = matches!(sent, Sent::Written);
                tracing::info!(target = row.id, %repo, sha = %row.sha, context = %row.context, state = %row.state, description = %row.description, wrote, "status stands");
                self.metrics.published(wrote, began.saturating_sub(row.decided_at));
                if wrote && lock(&self.denied).remove(&repo).is_some() {
                    tracing::info!(%repo, "statuses can be posted again");
                }
                match self.write_check(&repo, row).await? {
                    None => self.noted(|| self.store.told_held(outgoing, self.now())).await?,
                    Some(trouble) => self.without_check(&repo, outgoing, &trouble.why).await?,
                }
            }
            Err(error) => self.not_sent(&repo, outgoing, error).await?,
        };
        if fenced == Fenced::Lost {
            // Sent too late: whoever sends it now reads what stands there first.
            self.store.doubt(&row.forge, row.forge_id, &row.sha).await?;
        }
        Ok(())
    }

    /// The status stands and its check does not: the next try reads the status, finds it, and writes the check.
    async fn without_check(&self, repo: &RepoKey, outgoing: &Outgoing, why: &str) -> Result<Fenced, StoreError> {
        let row = &outgoing.row;
        tracing::warn!(target = row.id, %repo, sha = %row.sha, context = %row.context, why, "a check cannot be written now");
        self.noted(|| self.store.doubt(&row.forge, row.forge_id, &row.sha)).await?;
        self.noted(|| self.store.not_told_held(outgoing, why, self.now() + backoff(row.attempts))).await
    }

    async fn not_sent(&self, repo: &RepoKey, outgoing: &Outgoing, error: ForgeError) -> Result<Fenced, StoreError> {
        let row = &outgoing.row;
        let why = error.to_string();
        let passing = error.is_transient() || matches!(error, ForgeError::Moved { .. });
        // Rights are the repository's: that they lack is told once, not for each commit.
        let is_news = match &error {
            ForgeError::Denied { .. } => lock(&self.denied).insert(repo.clone(), why.clone()).is_none(),
            _ => row.trouble.as_deref() != Some(why.as_str()),
        };
        if is_news {
            tracing::warn!(target = row.id, %repo, sha = %row.sha, context = %row.context, why, "the forge did not take a status");
        }
        if matches!(error, ForgeError::Moved { .. }) || !passing {
            // Its name or its rights may have changed; what they are now is for the next look to say.
            self.doubt_facts(repo);
        }
        if matches!(error, ForgeError::Moved { .. }) {
            self.hint(repo, Level::Read).await?;
        }
        let wait = match &error {
            ForgeError::RateLimited { after, .. } => i64::try_from(after.as_millis()).unwrap_or(REFUSED),
            _ if passing => backoff(row.attempts),
            _ => REFUSED,
        };
        if matches!(error, ForgeError::Transient { .. }) {
            // It may stand there all the same, whatever is wanted by the time that it is looked for.
            self.noted(|| self.store.doubt(&row.forge, row.forge_id, &row.sha)).await?;
        }
        self.noted(|| self.store.not_told_held(outgoing, &why, self.now() + wait)).await
    }

    /// Notes what came of a try, as soon as the store takes it; what it does not take in time, the lease's end says.
    async fn noted<T, F>(&self, note: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        for _ in 0..NOTED {
            match note().await {
                Err(StoreError::Database(error)) if !self.store.is_closed() => {
                    tracing::error!(%error, "what became of a status cannot be noted; trying again");
                    tokio::time::sleep(super::STORE_PAUSE).await;
                }
                noted => return noted,
            }
        }
        note().await
    }

    /// Makes the forge say it, where it does not.
    async fn send(&self, repo: &RepoKey, row: &WantedRow) -> Result<Result<Sent, ForgeError>, StoreError> {
        let refused =
            |message: &str| ForgeError::Refused { what: row.id.clone(), status: 0, message: message.to_owned() };
        let Some(api) = self.forges.get(&repo.forge) else {
            return Ok(Err(refused("its forge is not configured any more")));
        };
        let (Some(sha), Some(state)) = (ObjectId::parse(&row.sha), state(&row.state)) else {
            return Ok(Err(refused("the stored status cannot be read")));
        };
        let name = self.current_name(repo);
        if row.doubt != 0 {
            let stands = match api.status(&name, &sha, &row.context).await {
                Ok(stands) => stands,
                Err(error) => return Ok(Err(error)),
            };
            if stands.as_ref().is_some_and(|stands| {
                stands.state == row.state && stands.description == row.description && stands.target_url == row.url
            }) {
                return Ok(Ok(Sent::Stood));
            }
            if row.is_told()
                && let Overwritten::Park(why) = self.overwritten(repo, row, stands.as_ref()).await?
            {
                return Ok(Ok(Sent::Parked(why)));
            }
        }
        let status = Status {
            context: row.context.clone(),
            state,
            description: row.description.clone(),
            target_url: row.url.clone(),
        };
        Ok(api.post_status(&name, &sha, &status).await.map(|()| Sent::Written))
    }
}

/// What came of sending a status.
enum Sent {
    /// It had to be written.
    Written,
    /// It stood there already.
    Stood,
    /// Somebody else writes over it again and again; what is told of it, in words.
    Parked(String),
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

//! What happens when.
//!
//! **Wanted properties.** Whatever delivery is lost, doubled, reordered or forged, and whatever process or forge fails: in
//! the end every head of every gated repository has the status that its commits deserve, and nobody had to notice.
//!
//! **How.** Level-triggered: a delivery, a comment or the timer only says *look at this repository*. Looking reads the
//! repository and the other sides of its gates from the forge ([`look`]), [`plan`] says which commits are to be judged
//! as what, [`judge`] answers from the objects, the policy makes one status of it, and the store keeps it as *wanted*.
//! [`publish`] makes the forge say what is wanted. Each step can be repeated at any time: it reads what is true now.
//!
//! **Races.**
//! - *A hint arrives while its repository is being looked at*: hints are counted; the look settles only those that it saw
//!   before it began, so there is another look.
//! - *A hint arrives before the forge serves the commit*: the look names its head; fetching it fails as passing trouble,
//!   the repository is looked at again soon.
//! - *Both sides change at once*: each look reads both sides; whichever comes last judges the newest of both. Looks run
//!   one after another, so an older view never overwrites a newer one.
//! - *The process dies anywhere*: what was accepted is a hint on disk, what was decided is wanted on disk, what was sent but
//!   not noted is read back from the forge before it is sent again.
//! - *A repository is renamed, hidden or replaced by another of its name*: a look takes what it is from the last look, as long
//!   as no delivery says otherwise, no call fails and the timer has not ticked. Heads, pull requests and statuses are asked
//!   for under its name; an answer that it moved leads to its number.
//! - *A comment asks for something*: it says what is wanted ([`commands`]), the look decides; a waiver is a row that a look reads.
//! - *A side cannot be read*: what was decided before stands; only heads that never had a verdict, and branch heads after
//!   `unreadable_after`, get `error`.
//!
//! May use all rooms but `web` and `demo`.

mod accept;
mod audit;
mod brought;
mod checks;
mod commands;
mod counted;
mod decide;
pub mod dry;
mod ended;
mod gates;
mod grace;
mod guest;
mod judge;
mod keys;
mod look;
pub mod pages;
mod pairing;
pub mod plan;
mod publish;
pub mod pulls;
mod rebuild;
mod redeliver;
mod rounds;
mod sight;
mod subject;
pub mod under_way;
mod workers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::forge::{Forge, ForgeError, RepoName, User};
use crate::git;
use crate::metrics::Metrics;
use crate::store::{Level, Store, StoreError};
use crate::tree::ObjectId;
use plan::{Gated, RepoKey};

pub use accept::Taken;
pub use rounds::Gap;

/// What may be set apart from the configuration file; tests make it impatient.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often everything is looked at without a hint.
    pub reconcile: Duration,
    /// How long a head that never had a verdict waits for an unreadable side before it gets `error`.
    pub first_verdict: Duration,
    /// How long an evaluation may take before `pending` is said.
    pub moment: Duration,
    /// How many bytes the caches of repositories may take.
    pub cache_limit: u64,
    /// How long a status may say `pending`; then it says `error`, and why.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reconcile: Duration::from_secs(5 * 60),
            first_verdict: Duration::from_secs(20),
            moment: Duration::from_secs(2),
            deadline: Duration::from_secs(5 * 60),
            cache_limit: 10_000_000_000,
        }
    }
}

/// Why a step could not be done.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub why: String,
    /// It may pass without anybody doing anything.
    pub passing: bool,
}

impl From<ForgeError> for Trouble {
    fn from(error: ForgeError) -> Self {
        Self { passing: error.is_transient(), why: error.to_string() }
    }
}

/// The service without its web face.
pub struct Controller {
    /// The gates of the service's own file.
    own_gates: Vec<Arc<Gated>>,
    /// All gates that judge now.
    gates: Mutex<Arc<Vec<Arc<Gated>>>>,
    /// Repositories that may bring gates along.
    bringers: BTreeMap<RepoKey, gates::Listed>,
    /// All repositories that a gate may have to do with.
    repositories: BTreeSet<RepoKey>,
    /// Whose leases these are: this process.
    holder: String,
    forges: BTreeMap<String, Arc<dyn Forge>>,
    /// How each forge is to be asked now.
    guests: BTreeMap<String, Arc<guest::Guest>>,
    store: Store,
    git: Arc<git::Cache>,
    options: Options,
    public_url: String,
    link_secret: Vec<u8>,
    metrics: Metrics,
    /// What was last seen of each repository.
    sights: Mutex<sight::Sights>,
    /// When this process last read each repository, Unix milliseconds.
    read_at: Mutex<HashMap<RepoKey, i64>>,
    /// What pull requests make of their repository's own file of gates.
    merged: gates::Merged,
    /// Repositories whose number, name, visibility and rights are to be read again at the next look.
    in_doubt: Mutex<BTreeSet<RepoKey>>,
    /// Repositories whose forge denied us the last status, and in which words.
    denied: Mutex<BTreeMap<RepoKey, String>>,
    /// Verdicts by content.
    verdicts: judge::Verdicts,
    /// How many evaluations may run at a time.
    evaluations: tokio::sync::Semaphore,
    /// Cases that cannot be judged, by the key of their report, and since when (Unix milliseconds).
    broken: Mutex<HashMap<String, decide::Broken>>,
    /// Where the last delivery left each branch.
    told: Mutex<HashMap<(RepoKey, String), ObjectId>>,
    /// Our own user on each forge.
    us: Mutex<HashMap<String, User>>,
    look_wake: Notify,
    publish_wake: Notify,
    command_wake: Notify,
    pull_wake: Notify,
    round_wake: Notify,
}

impl Controller {
    /// Makes the controller of a checked configuration. Reads nothing from a forge yet.
    ///
    /// # Errors
    /// When the store cannot note the configured repositories.
    pub async fn new(
        config: &Config,
        forges: BTreeMap<String, Arc<dyn Forge>>,
        store: Store,
        git: git::Cache,
        metrics: Metrics,
        link_secret: Vec<u8>,
        options: Options,
    ) -> Result<Arc<Self>, StoreError> {
        let guests: BTreeMap<String, Arc<guest::Guest>> = forges
            .iter()
            .map(|(name, forge)| (name.clone(), Arc::new(guest::Guest::new(forge.takes_one_write_at_a_time()))))
            .collect();
        let own_gates: Vec<Arc<Gated>> = config.gates.iter().filter_map(Gated::new).map(Arc::new).collect();
        let bringers = gates::listed(config, &own_gates);
        let repositories = gates::repositories(&own_gates, &bringers);
        store.register(&pairs(&repositories)).await?;
        store.recover(chrono::Utc::now().timestamp_millis()).await?;
        let controller = Self {
            gates: Mutex::new(Arc::new(own_gates.clone())),
            own_gates,
            bringers,
            repositories,
            holder: holder(),
            forges: counted::all(forges, &guests, &metrics),
            guests,
            store,
            git: Arc::new(git),
            options,
            public_url: config.server.public_url.clone(),
            link_secret,
            metrics,
            sights: Mutex::default(),
            read_at: Mutex::default(),
            merged: Mutex::default(),
            in_doubt: Mutex::default(),
            denied: Mutex::default(),
            verdicts: judge::Verdicts::default(),
            evaluations: judge::evaluations(),
            broken: Mutex::default(),
            told: Mutex::default(),
            us: Mutex::default(),
            look_wake: Notify::new(),
            publish_wake: Notify::new(),
            command_wake: Notify::new(),
            pull_wake: Notify::new(),
            round_wake: Notify::new(),
        };
        controller.sync().await?;
        Ok(Arc::new(controller))
    }

    /// Runs until `shutdown`; what runs then is finished or left for the next start, nothing is lost.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        let watched: Vec<String> = self.gates_now().iter().map(|gate| gate.id.clone()).collect();
        tracing::info!(
            gates = watched.len(),
            repositories = self.repositories.len(),
            "watching {}",
            watched.join(", ")
        );
        if let Err(error) = self.leave_repositories().await {
            tracing::error!(%error, "repositories that are not gated any more keep their statuses until the next start");
        }
        let me = self.clone();
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(async move {
            // What comes back as a delivery is told from what others post by who posted it.
            for forge in me.forges.keys() {
                me.who_we_are(forge).await;
            }
            me.reconcile().await;
        }));
        for forge in self.guests.keys() {
            let (me, forge) = (self.clone(), forge.clone());
            let waking = async move { me.wake_when_well(&forge).await };
            tasks.spawn(shutdown.clone().run_until_cancelled_owned(waking));
        }
        tasks.spawn(self.clone().look_always(shutdown.clone()));
        tasks.spawn(self.clone().publish_always(shutdown.clone()));
        tasks.spawn(self.clone().keep_pulls_always(shutdown.clone()));
        tasks.spawn(self.clone().run_commands_always(shutdown));
        tasks.close();
        tasks.wait().await;
        // Not before: what is claimed while it is still on its way would be sent twice.
        if let Err(error) = self.store.expire_leases(Some(&self.holder), self.now()).await {
            tracing::warn!(%error, "leases are not given back; they end by themselves");
        }
    }

    /// What waits for a forge that was ill is tried at once when it is well: each has a pause of its own that grew meanwhile.
    async fn wake_when_well(&self, forge: &str) {
        let Some(guest) = self.guests.get(forge) else { return };
        loop {
            guest.well_again().await;
            tracing::info!(forge, "the forge answers again");
            if let Err(error) = self.store.try_now(forge).await {
                tracing::error!(%error, "what waits for the forge is not tried at once");
            }
            self.look_wake.notify_one();
            self.publish_wake.notify_one();
            self.command_wake.notify_one();
            self.pull_wake.notify_one();
        }
    }

    /// Says that the store failed; how long to wait.
    fn store_failed(&self, what: &'static str, error: &StoreError) -> Duration {
        tracing::error!(%error, what, "the store failed; trying again");
        STORE_PAUSE
    }

    async fn until_next_due(&self) -> Duration {
        match self.store.next_due().await {
            Ok(Some(at)) => {
                let wait = u64::try_from(at.saturating_sub(self.now())).unwrap_or(0);
                Duration::from_millis(wait).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
            }
            Ok(None) => LONGEST_PAUSE,
            Err(_) => STORE_PAUSE,
        }
    }

    /// Hints at one repository without a delivery.
    pub(crate) async fn hint(&self, repo: &RepoKey, level: Level) -> Result<(), StoreError> {
        self.store.hint(&[(repo.forge.clone(), repo.name.clone())], level, self.now()).await?;
        self.look_wake.notify_one();
        Ok(())
    }

    async fn is_us(&self, forge: &str, user: u64) -> bool {
        self.who_we_are(forge).await.is_some_and(|us| us.id == user)
    }

    /// Our own user on a forge; asked once.
    async fn who_we_are(&self, forge: &str) -> Option<User> {
        if let Some(us) = lock(&self.us).get(forge) {
            return Some(us.clone());
        }
        match self.forges.get(forge)?.whoami().await {
            Ok(us) => {
                lock(&self.us).insert(forge.to_owned(), us.clone());
                Some(us)
            }
            Err(error) => {
                tracing::warn!(forge, %error, "cannot tell who the token belongs to");
                None
            }
        }
    }

    /// The repository's name now: a rename is seen when it is looked at.
    fn current_name(&self, repo: &RepoKey) -> RepoName {
        self.known(repo).map_or_else(|| RepoName(repo.name.clone()), |known| known.name)
    }

    /// Lets the next look read what a repository is, not only what is in it.
    fn doubt_facts(&self, repo: &RepoKey) {
        lock(&self.in_doubt).insert(repo.clone());
    }

    pub(super) fn api(&self, forge: &str) -> Result<&Arc<dyn Forge>, Trouble> {
        self.forges
            .get(forge)
            .ok_or_else(|| Trouble { why: format!("forge `{forge}` is not configured"), passing: false })
    }

    /// Unix milliseconds.
    fn now(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }
}

/// After a failure of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Due work that is due elsewhere (another step's) must not make this step spin.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Milliseconds to wait after this many failures: 0.2 s, doubling up to a minute, the upper half of it by chance so that
/// many do not return at once.
pub(crate) fn backoff(attempts: i64) -> i64 {
    let doubled = 200_i64 << attempts.clamp(0, 9);
    let most = doubled.min(60_000);
    most / 2 + i64::from(chance()) * (most / 2) / i64::from(u32::MAX)
}

/// Tells this process from every other that uses the same database.
fn holder() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{}-{:016x}", std::process::id(), RandomState::new().hash_one(0_u8))
}

/// A number by chance, from the hasher's random keys: enough to spread retries, not for secrets.
fn chance() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    u32::try_from(RandomState::new().hash_one(0_u8) & u64::from(u32::MAX)).unwrap_or(0)
}

/// A lock whose data stays good when a holder panicked: every critical section here is a single map operation.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pairs(repositories: &BTreeSet<RepoKey>) -> Vec<(String, String)> {
    repositories.iter().map(|repo| (repo.forge.clone(), repo.name.clone())).collect()
}

//! Kills: the program serves, people work, deliveries stream in, and again and again it is killed without a warning. Not one
//! delivery that it accepted is lost, its database is whole each time, and in the end every head has the status that
//! `drift-gate check` gives its commits.
//!
//! `DRIFT_GATE_KILLS=200` kills so often, `DRIFT_GATE_KILLS_SEED=17` chooses other moments and other work. With
//! `DRIFT_GATE_FORGE_BIN` the forge is a real one, and is killed, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod database;
mod fleet;
#[allow(dead_code, reason = "the scenarios use all of it")]
#[path = "../scenarios/host.rs"]
mod host;
#[allow(dead_code, reason = "the chaos uses all of it")]
#[path = "../chaos/place.rs"]
mod place;
#[allow(dead_code, reason = "the store's tests use all of it")]
#[path = "../postgres/mod.rs"]
mod postgres;
#[path = "../chaos/record.rs"]
mod record;
#[allow(dead_code, reason = "the scenarios use all of it")]
#[path = "../scenarios/relay.rs"]
mod relay;
#[path = "../chaos/rng.rs"]
mod rng;
#[allow(dead_code, reason = "the chaos uses all of it")]
#[path = "../chaos/story.rs"]
mod story;
#[allow(dead_code, reason = "the chaos uses all of it")]
#[path = "../chaos/truth.rs"]
mod truth;

use database::Database;
use fleet::{Fleet, Front};
use place::{ADMIN_TOKEN, Place};
use record::Record;
use rng::Rng;
use story::Story;
use truth::Truth;

/// Kills in an ordinary run; on a real forge, which is asked for by name, more.
const KILLS: u64 = 20;
const KILLS_ON_A_REAL_FORGE: u64 = 50;
/// How long after the last start every status must be right: the leases of those who are gone end before.
const PATIENCE: Duration = Duration::from_secs(180);
const GLANCE: Duration = Duration::from_millis(200);
/// Those who deliver without end, and how long each waits from one to the next.
const FLOODS: u64 = 4;
const FLOOD_PAUSE: Duration = Duration::from_millis(4);
/// Of so many kills one is the forge's, where it is a real one.
const FORGE_TOO: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_it_is_killed_nothing_accepted_is_lost_and_every_status_is_right_in_the_end() {
    let mut run = Run::prepare(1, |place| Database::sqlite(&place.sqlite())).await;
    run.kill_and_start().await;
    run.fleet.start(0);
    run.ends_well("after the last start").await;
}

/// One is killed and one stands still until others have taken over what both were at; then it goes on where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL's programs"]
async fn of_three_replicas_one_dies_and_one_stalls_and_every_status_is_right_all_the_same() {
    let cluster = postgres::Cluster::shared();
    let url = cluster.database().await;
    let mut run = Run::prepare(3, |_| Database::postgres(url)).await;
    run.kill_and_start().await;
    for replica in 0..3 {
        run.fleet.start(replica);
    }
    run.work_for(Duration::from_secs(2)).await;
    run.fleet.pause(0);
    run.fleet.kill(1).await;
    run.work_for(Duration::from_secs(2)).await;
    // Longer than any lease: one is left, and does the work of all.
    run.ends_well("with one replica of three").await;
    run.fleet.go_on(0);
    run.fleet.start(1);
    run.work_for(Duration::from_secs(2)).await;
    run.ends_well("with all three again").await;
}

/// A story of kills.
struct Run {
    seed: u64,
    kills: u64,
    record: Record,
    rng: Rng,
    front: Front,
    place: Arc<Place>,
    database: Database,
    truth: Truth,
    fleet: Fleet,
    flood: Option<Flood>,
    story: Story,
    accepted: usize,
    _folder: tempfile::TempDir,
}

impl Run {
    async fn prepare(replicas: usize, database: impl FnOnce(&Place) -> Database) -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
        let seed = number("DRIFT_GATE_KILLS_SEED").unwrap_or(1);
        let usual = if is_real() { KILLS_ON_A_REAL_FORGE } else { KILLS };
        let kills = number("DRIFT_GATE_KILLS").unwrap_or(usual);
        let record = Record::default();
        let mut rng = Rng::of(seed, "kills", 0);
        let folder = tempfile::tempdir().expect("a folder");
        let front = Front::start(replicas).await;
        let place = Arc::new(Place::make(folder.path(), &front.url, &mut rng).await);
        let database = database(&place);
        let config = place.config(&place.host.base(), "127.0.0.1:0", database.url());
        let truth = Truth::new(&place, &config);
        let fleet = Fleet::new(&config, folder.path(), front.clone());
        let flood = Some(Flood::start(&front, seed));
        let story = Story::new(place.clone(), Rng::of(seed, "people", 0), record.clone()).await;
        Self {
            seed,
            kills,
            record,
            rng,
            front,
            place,
            database,
            truth,
            fleet,
            flood,
            story,
            accepted: 0,
            _folder: folder,
        }
    }

    /// All run; again and again one is killed, and started again.
    async fn kill_and_start(&mut self) {
        let began = Instant::now();
        let (mut unready, mut forge_kills) = (0, 0);
        for kill in 1..=self.kills {
            for replica in 0..self.fleet.size() {
                self.fleet.start(replica);
            }
            let replica = usize::try_from(self.rng.between(0, self.fleet.size() as u64)).expect("a number");
            // Some while they start, most while they work.
            if self.rng.percent(15) {
                tokio::time::sleep(self.rng.millis(0, 120)).await;
            } else {
                self.fleet.listens(replica).await;
                if self.rng.percent(10) {
                    self.stall(replica).await;
                }
                let until = self.rng.millis(0, 1200);
                self.work_for(until).await;
            }
            let forge_too = is_real() && kill.is_multiple_of(FORGE_TOO);
            if forge_too {
                self.record.add("the forge is killed");
                self.place.host.kill();
                forge_kills += 1;
            }
            if !self.fleet.kill(replica).await {
                self.fail(&format!("kill {kill}: it had ended by itself"));
            }
            if forge_too {
                self.place.host.revive().await;
            }
            self.record.add(format!("kill {kill}"));
            let before = self.accepted;
            self.check_accepted(&format!("kill {kill}")).await;
            unready += u64::from(self.accepted == before);
        }
        println!(
            "seed {}: {} things done, {} kills of drift-gate ({unready} of them before anything was accepted), {forge_kills} of \
             the forge, in {:.0} s",
            self.seed,
            self.story.done,
            self.kills,
            began.elapsed().as_secs_f32(),
        );
    }

    /// It stands still for a while, less than anybody would notice.
    async fn stall(&mut self, replica: usize) {
        tokio::time::sleep(self.rng.millis(100, 400)).await;
        self.fleet.pause(replica);
        self.story.step().await;
        tokio::time::sleep(self.rng.millis(50, 500)).await;
        self.fleet.go_on(replica);
    }

    /// People work; the end comes also while the forge works for somebody else.
    async fn work_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.rng.percent(50) {
                self.story.step().await;
            } else {
                let left = end.saturating_duration_since(Instant::now());
                tokio::time::sleep(left.min(self.rng.millis(1, 200))).await;
            }
        }
    }

    /// The flood ends, nobody works, and soon all is right.
    async fn ends_well(&mut self, when: &str) {
        if let Some(flood) = self.flood.take() {
            flood.stop().await;
        }
        let began = Instant::now();
        let heads = match settle(&self.place, &self.front, &self.truth).await {
            Ok(heads) => heads,
            Err(why) => self.fail(&format!("{when}: {why}")),
        };
        let took = began.elapsed();
        if self.fleet.size() == 1 {
            self.fleet.kill(0).await;
        }
        self.check_accepted(when).await;
        let repeated = repeated(&self.place, &self.database).await;
        println!(
            "{heads} heads right {:.1} s {when}, {} questions to `check`; {} deliveries accepted, none lost; statuses written \
             twice in a row: {repeated}",
            took.as_secs_f32(),
            self.truth.asked(),
            self.accepted,
        );
        assert!(repeated as u64 <= self.kills, "more statuses were repeated than answers can have been lost");
    }

    async fn check_accepted(&mut self, when: &str) {
        let ids = self.front.accepted();
        self.accepted += ids.len();
        if let Err(why) = self.database.check(&ids).await {
            self.fail(&format!("{when}: {why}"));
        }
    }

    fn fail(&self, why: &str) -> ! {
        panic!(
            "DRIFT_GATE_KILLS_SEED={}: {why}\nwhat people did:\n{}\nwhat drift-gate said:\n{}",
            self.seed,
            self.record.tail(60),
            self.fleet.log()
        );
    }
}

fn is_real() -> bool {
    std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some()
}

/// Waits until nothing waits and every status is right; how many heads there are.
async fn settle(place: &Place, front: &Front, truth: &Truth) -> Result<usize, String> {
    let began = Instant::now();
    let mut glance = tokio::time::interval(GLANCE);
    let mut idle_before = false;
    loop {
        glance.tick().await;
        let waiting = front.waiting(ADMIN_TOKEN).await;
        let is_over = began.elapsed() > PATIENCE;
        let most = if is_over { usize::MAX } else { 1 };
        let (heads, wrong) = truth.wrong(&place.maintainer, most).await.map_err(|error| error.to_string())?;
        let is_idle = waiting == Some(0) && wrong.is_empty();
        if is_idle && idle_before {
            return Ok(heads);
        }
        idle_before = is_idle;
        if is_over {
            return Err(format!("{waiting:?} still wait, and still:\n  {}", wrong.join("\n  ")));
        }
    }
}

/// How many statuses of drift-gate said what its last one on that commit said already.
async fn repeated(place: &Place, database: &Database) -> usize {
    let mut repeated = 0;
    for (repo, sha) in database.wanted().await {
        let rows = truth::all(&place.maintainer, &format!("/repos/{repo}/statuses/{sha}?")).await.expect("statuses");
        let mut rows: BTreeMap<_, _> = rows.iter().map(|row| (row["id"].as_u64(), row)).collect();
        rows.retain(|_, row| row["context"] == "drift-gate");
        let rows: Vec<_> = rows.into_values().collect();
        let is_ours = |row: &serde_json::Value| row["creator"]["login"] == host::BOT;
        let says = |row: &serde_json::Value| (row["status"].clone(), row["description"].clone());
        let again =
            |pair: &&[&serde_json::Value]| is_ours(pair[0]) && is_ours(pair[1]) && says(pair[0]) == says(pair[1]);
        repeated += rows.windows(2).filter(again).count();
    }
    repeated
}

/// Deliveries without end: what the forge sent, once more and once more.
struct Flood {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Flood {
    fn start(front: &Front, seed: u64) -> Self {
        let (stop, tasks, next) = (CancellationToken::new(), TaskTracker::new(), Arc::new(AtomicU64::new(0)));
        for flood in 0..FLOODS {
            let (front, next, stop) = (front.clone(), next.clone(), stop.clone());
            let mut rng = Rng::of(seed, "flood", flood);
            tasks.spawn(async move {
                let mut pause = tokio::time::interval(FLOOD_PAUSE);
                while !stop.is_cancelled() {
                    pause.tick().await;
                    let id = format!("again-{}", next.fetch_add(1, Ordering::Relaxed));
                    front.again(rng.next(), &id).await;
                }
            });
        }
        tasks.close();
        Self { stop, tasks }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

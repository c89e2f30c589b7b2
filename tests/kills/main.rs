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
/// How long after the last start every status must be right.
const PATIENCE: Duration = Duration::from_secs(120);
const GLANCE: Duration = Duration::from_millis(200);
/// Those who deliver without end, and how long each waits from one to the next.
const FLOODS: u64 = 4;
const FLOOD_PAUSE: Duration = Duration::from_millis(4);
/// Of so many kills one is the forge's, where it is a real one.
const FORGE_TOO: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_it_is_killed_nothing_accepted_is_lost_and_every_status_is_right_in_the_end() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("DRIFT_GATE_KILLS_SEED").unwrap_or(1);
    let is_real = std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some();
    let kills = number("DRIFT_GATE_KILLS").unwrap_or(if is_real { KILLS_ON_A_REAL_FORGE } else { KILLS });
    let record = Record::default();
    let mut rng = Rng::of(seed, "kills", 0);
    let folder = tempfile::tempdir().expect("a folder");
    let front = Front::start(1).await;
    let place = Place::make(folder.path(), &front.url, &mut rng).await;
    let database = Database::new(&place.sqlite());
    let config = place.config(&place.host.base(), "127.0.0.1:0", &database.url());
    let truth = Truth::new(&place, &config);
    let mut fleet = Fleet::new(&config, &folder.path().join("drift-gate.log"), front.clone());
    let told = Told { seed, record: record.clone() };

    let began = Instant::now();
    let flood = Flood::start(&front, seed);
    let mut story = Story::new(&place, Rng::of(seed, "people", 0), record.clone()).await;
    let (mut accepted, mut unstarted, mut forge_kills) = (0, 0, 0);
    for kill in 1..=kills {
        fleet.start(0);
        work(&mut story, &mut rng, &fleet).await;
        if is_real && kill % FORGE_TOO == 0 {
            record.add("the forge is killed");
            place.host.kill();
            forge_kills += 1;
        }
        if !fleet.kill(0).await {
            told.fail(&fleet, &format!("kill {kill}: it had ended by itself"));
        }
        if is_real && kill % FORGE_TOO == 0 {
            place.host.revive().await;
        }
        record.add(format!("kill {kill}"));
        let ids = front.accepted();
        unstarted += u64::from(ids.is_empty());
        accepted += ids.len();
        if let Err(why) = database.check(&ids).await {
            told.fail(&fleet, &format!("kill {kill}: {why}"));
        }
    }
    flood.stop().await;
    let took = began.elapsed();
    fleet.start(0);
    let heads = match settle(&mut story, &place, &front, &truth).await {
        Ok(heads) => heads,
        Err(why) => told.fail(&fleet, &why),
    };
    let settled = began.elapsed() - took;
    fleet.kill(0).await;
    if let Err(why) = database.check(&front.accepted()).await {
        told.fail(&fleet, &why);
    }
    let repeated = repeated(&place, &database).await;
    println!(
        "seed {seed}: {} things done, {kills} kills of drift-gate ({unstarted} of them before it accepted anything), \
         {forge_kills} of the forge, in {:.0} s\n{accepted} deliveries accepted, none lost; {heads} heads right {:.1} s after the last start, {} \
         questions to `check`\nstatuses written twice in a row: {repeated}",
        story.done,
        took.as_secs_f32(),
        settled.as_secs_f32(),
        truth.asked(),
    );
    assert!(repeated as u64 <= kills, "more statuses were repeated than answers can have been lost");
}

/// People work until the moment of the kill; sometimes the process is stopped for a while and goes on.
async fn work(story: &mut Story<'_>, rng: &mut Rng, fleet: &Fleet) {
    let end = Instant::now() + if rng.percent(20) { rng.millis(0, 120) } else { rng.millis(100, 1500) };
    if rng.percent(10) {
        tokio::time::sleep(rng.millis(100, 400)).await;
        fleet.signal(0, "STOP");
        story.step().await;
        tokio::time::sleep(rng.millis(50, 500)).await;
        fleet.signal(0, "CONT");
    }
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        // The kill comes also while the forge works for somebody else.
        if rng.percent(50) {
            story.step().await;
        } else {
            tokio::time::sleep(left.min(rng.millis(1, 200))).await;
        }
    }
}

/// Waits until nothing waits and every status is right; how many heads there are.
async fn settle(story: &mut Story<'_>, place: &Place, front: &Front, truth: &Truth) -> Result<usize, String> {
    let began = Instant::now();
    let mut glance = tokio::time::interval(GLANCE);
    let mut has_ended = false;
    let mut idle_before = false;
    loop {
        glance.tick().await;
        let waiting = front.waiting(ADMIN_TOKEN).await;
        if waiting.is_some() && !has_ended {
            story.end().await;
            has_ended = true;
            continue;
        }
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

/// What is printed when it ends badly.
struct Told {
    seed: u64,
    record: Record,
}

impl Told {
    fn fail(&self, fleet: &Fleet, why: &str) -> ! {
        let Self { seed, record } = self;
        panic!(
            "DRIFT_GATE_KILLS_SEED={seed}: {why}\nwhat people did:\n{}\nwhat drift-gate said:\n{}",
            record.tail(60),
            fleet.log()
        );
    }
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

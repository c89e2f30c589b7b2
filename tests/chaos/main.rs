//! Chaos: people work on both repositories while everything between drift-gate and the forge goes wrong. Then it stops going
//! wrong, and soon every head has the status that `drift-gate check` gives its commits.
//!
//! A story follows from its seed. `DRIFT_GATE_CHAOS_SEEDS=5000` tells so many, `DRIFT_GATE_CHAOS_SEED=17` tells that one again,
//! with drift-gate's log (`RUST_LOG` filters it). The time between two steps is the clock's, so a race may need several tries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drift_gate::cli::serve::{LogFormat, Service, start_log};
use drift_gate::config::Config;
use drift_gate::controller::Options;
use futures_util::StreamExt;

mod faults;
#[allow(dead_code, reason = "the scenarios use all of it")]
#[path = "../scenarios/host.rs"]
mod host;
mod place;
mod record;
#[allow(dead_code, reason = "the scenarios use all of it")]
#[path = "../scenarios/relay.rs"]
mod relay;
mod rng;
mod story;
mod truth;

use faults::{Calm, Counts, Fault, Post, Proxy};
use place::Place;
use record::Record;
use rng::Rng;
use story::Story;
use truth::Truth;

/// Stories in an ordinary run.
const SEEDS: u64 = 100;
/// Stories at a time: they wait more than they work.
const AT_ONCE: usize = 16;
/// How long after the last fault every status must be right. Most of it is for machines that do much else: the longest wait of
/// drift-gate itself is the back-off that failures in a row have earned, a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const GLANCE: Duration = Duration::from_millis(150);

/// drift-gate looks often, so that a story need not wait for the timer.
const OPTIONS: Options = Options {
    reconcile: Duration::from_millis(500),
    first_verdict: Duration::from_millis(400),
    moment: Duration::from_millis(150),
    deadline: Duration::from_secs(300),
    cache_limit: 10_000_000_000,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_head_ends_with_the_status_that_check_gives_its_commits() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let one = number("DRIFT_GATE_CHAOS_SEED");
    if one.is_some() || std::env::var_os("RUST_LOG").is_some() {
        start_log("drift_gate=debug", LogFormat::Text);
    }
    let seeds = one.map_or(1..=number("DRIFT_GATE_CHAOS_SEEDS").unwrap_or(SEEDS), |seed| seed..=seed);
    let began = Instant::now();
    let mut telling = futures_util::stream::iter(seeds)
        .map(|seed| async move {
            let record = Record::default();
            // On a thread of its own, so that a story that breaks is one story.
            let (runtime, kept) = (tokio::runtime::Handle::current(), record.clone());
            let told = tokio::task::spawn_blocking(move || runtime.block_on(tell(seed, kept))).await;
            (seed, record, told.unwrap_or_else(|panic| Err(format!("the story broke: {panic}"))))
        })
        .buffer_unordered(AT_ONCE);
    let (mut sum, mut failed) = (Sum::default(), Vec::new());
    while let Some((seed, record, told)) = telling.next().await {
        match told {
            Ok(told) => sum.add(&told),
            Err(why) => {
                println!("seed {seed}: {why}\n{}", record.tail(120));
                failed.push(seed);
            }
        }
    }
    println!("{}", sum.told(began.elapsed()));
    assert!(
        failed.is_empty(),
        "seeds {failed:?} ended badly, see above; tell one again with DRIFT_GATE_CHAOS_SEED={}",
        failed[0]
    );
}

/// What a story that ended well was like.
struct Told {
    steps: u64,
    heads: usize,
    checks: usize,
    faults: BTreeMap<Fault, u64>,
    deliveries: Counts,
    writes: usize,
    repeated: usize,
    /// From the last fault to the last right status.
    settled: Duration,
}

async fn tell(seed: u64, record: Record) -> Result<Told, String> {
    let mut rng = Rng::of(seed, "story", 0);
    let folder = tempfile::tempdir().expect("a folder");
    let calm = Calm::new(false);
    let post = Post::start(seed, calm.clone(), record.clone()).await;
    let place = Arc::new(Place::make(folder.path(), &post.url, &mut rng).await);
    let proxy = Proxy::start(seed, &place.host.base(), calm.clone(), record.clone()).await;
    let store = format!("sqlite://{}", place.sqlite().display());
    let path = place.config(&proxy.url, "127.0.0.1:0", &store);
    let config = Config::load(&path).expect("a configuration");
    let truth = Truth::new(&place, &path);

    let mut service = start(&config, &post).await;
    let mut story = Story::new(place.clone(), Rng::of(seed, "people", 0), record.clone()).await;
    let steps = rng.between(8, 26);
    for _ in 0..steps {
        story.step().await;
        if rng.percent(4) {
            record.add("drift-gate stops and starts again");
            post.to(None);
            service.stop().await;
            service = start(&config, &post).await;
        }
        // People pause, too: sometimes until all is judged, sometimes not at all.
        tokio::time::sleep(*rng.pick(&[Duration::ZERO, Duration::from_millis(30), Duration::from_millis(250)])).await;
    }
    record.add("nothing goes wrong any more");
    calm.comes();
    let began = Instant::now();
    let heads = settle(&place, &proxy, &post, &truth).await?;
    let settled = began.elapsed();
    service.stop().await;
    let writes = proxy.writes();
    Ok(Told {
        steps: story.done,
        heads,
        checks: truth.asked(),
        faults: proxy.injected(),
        deliveries: post.counts(),
        repeated: repeated(&place, &proxy).await?,
        writes: writes.len(),
        settled,
    })
}

async fn start(config: &Config, post: &Post) -> Service {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let service = Service::start(config, listener, OPTIONS, false).await.expect("the service starts");
    post.to(Some(format!("http://{}", service.address())));
    service
}

/// Waits until every status is right and stays so while drift-gate looks twice more; how many heads there are.
async fn settle(place: &Place, proxy: &Proxy, post: &Post, truth: &Truth) -> Result<usize, String> {
    let began = Instant::now();
    let mut glance = tokio::time::interval(GLANCE);
    // The round and the number of writes at which all was right.
    let mut right: Option<(u64, usize)> = None;
    loop {
        glance.tick().await;
        let (writes, rounds) = (proxy.writes().len(), proxy.rounds());
        if let Some((since, then)) = right
            && then == writes
            && rounds < since + 3
        {
            // Looking on costs nobody anything.
            if began.elapsed() < PATIENCE {
                continue;
            }
        }
        let is_over = began.elapsed() > PATIENCE;
        let most = if is_over { usize::MAX } else { 1 };
        let (heads, wrong) = truth.wrong(&place.maintainer, most).await.map_err(|error| error.to_string())?;
        let under_way = post.counts().under_way;
        let is_right = wrong.is_empty() && under_way == 0;
        match right {
            Some((since, then)) if is_right && then == writes && rounds >= since + 3 => return Ok(heads),
            Some((_, then)) if is_right && then == writes => {}
            _ => right = is_right.then_some((rounds, writes)),
        }
        if is_over {
            let list = wrong.join("\n  ");
            return Err(format!("{under_way} deliveries under way, {rounds} rounds, and still:\n  {list}"));
        }
    }
}

/// How many of drift-gate's statuses said what its last one said already: each must follow one whose answer was lost, or a
/// lie about what stands there.
async fn repeated(place: &Place, proxy: &Proxy) -> Result<usize, String> {
    let writes = proxy.writes();
    let mut repeated = 0;
    let paths: BTreeSet<&str> = writes.iter().map(|write| write.path.as_str()).collect();
    for path in paths {
        let on_it = || writes.iter().filter(|write| write.path == path);
        let below_api = path.trim_start_matches("/api/v1");
        let rows = truth::all(&place.maintainer, &format!("{below_api}?")).await.map_err(|error| error.to_string())?;
        let mut rows: Vec<_> = rows.iter().filter(|row| row["context"] == "drift-gate").collect();
        rows.sort_by_key(|row| row["id"].as_u64());
        let is_ours = |row: &serde_json::Value| row["creator"]["login"] == host::BOT;
        for pair in rows.windows(2) {
            let same = ["status", "description", "target_url"].iter().all(|key| pair[0][key] == pair[1][key]);
            if !same || !is_ours(pair[0]) || !is_ours(pair[1]) {
                continue;
            }
            repeated += 1;
            let words = &pair[1]["description"];
            if !proxy.lied(path) && on_it().all(|write| write.heard || write.status["description"] != *words) {
                let rows: Vec<String> = rows
                    .iter()
                    .map(|row| format!("{} {} {}", row["created_at"], row["status"], row["description"]))
                    .collect();
                let writes: Vec<String> =
                    on_it().map(|write| format!("{} heard: {}", write.status["description"], write.heard)).collect();
                return Err(format!(
                    "{path} was written twice in a row although no answer was lost: {words}\n  there: {}\n  sent: {}",
                    rows.join("; "),
                    writes.join("; ")
                ));
            }
        }
    }
    Ok(repeated)
}

/// All stories that ended well.
#[derive(Default)]
struct Sum {
    stories: u64,
    steps: u64,
    heads: usize,
    checks: usize,
    faults: BTreeMap<Fault, u64>,
    deliveries: Counts,
    writes: usize,
    repeated: usize,
    settled: Vec<Duration>,
}

impl Sum {
    fn add(&mut self, told: &Told) {
        self.stories += 1;
        self.steps += told.steps;
        self.heads += told.heads;
        self.checks += told.checks;
        for (fault, count) in &told.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.deliveries.came += told.deliveries.came;
        self.deliveries.lost += told.deliveries.lost;
        self.deliveries.late += told.deliveries.late;
        self.deliveries.twice += told.deliveries.twice;
        self.writes += told.writes;
        self.repeated += told.repeated;
        self.settled.push(told.settled);
    }

    fn told(&mut self, took: Duration) -> String {
        self.settled.sort_unstable();
        let at = |percent: usize| self.settled.get(self.settled.len().saturating_sub(1) * percent / 100);
        let seconds = |at: Option<&Duration>| at.map_or(0.0, Duration::as_secs_f32);
        let Counts { came, lost, late, twice, .. } = self.deliveries;
        format!(
            "{} stories ended well in {:.0} s ({:.2} a second): {} steps, {} heads, {} questions to `check`\n\
             faults: {} ({:.1} a story): {:?}\ndeliveries: {came}, of which {lost} lost, {late} late, {twice} doubled\n\
             statuses written: {}, {} of them once more after a lost answer\n\
             all right after the last fault: half within {:.1} s, 99 of 100 within {:.1} s, all within {:.1} s",
            self.stories,
            took.as_secs_f32(),
            self.stories as f32 / took.as_secs_f32(),
            self.steps,
            self.heads,
            self.checks,
            self.faults.values().sum::<u64>(),
            self.faults.values().sum::<u64>() as f32 / self.stories.max(1) as f32,
            self.faults,
            self.writes,
            self.repeated,
            seconds(at(50)),
            seconds(at(99)),
            seconds(at(100)),
        )
    }
}

//! From a push to both statuses on a real forge, beside the floor: the requests that no service can do without.
//!
//! Needs a forge: `DRIFT_GATE_FORGE_BIN=/path/to/gitea cargo bench --bench latency`. Each round pushes to the source and
//! waits for the forge's delivery. Then the loop: the delivery is handed to drift-gate, until the forge has taken the second
//! status. And the floor: the requests alone, with the same client, as parallel as they can be: the branch heads and open
//! pull requests of both repositories; the new commit's directories; both statuses. Which of the two goes first alternates,
//! so both see the same forge and the same machine.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drift_gate::config::{self, ForgeKind};
use drift_gate::forge::{self, Forge, RepoName, State, Status};
use drift_gate::git;
use drift_gate::tree::ObjectId;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

#[allow(dead_code, reason = "the stories use all of it")]
#[path = "../tests/scenarios/host.rs"]
mod host;
#[allow(dead_code, reason = "the stories use all of it")]
#[path = "../tests/scenarios/relay.rs"]
mod relay;
#[allow(dead_code, reason = "the stories use all of it")]
#[path = "../tests/scenarios/world.rs"]
mod world;

use world::{CONFIG, CORE, Setting, TEMPLATE, World};

/// Rounds that count, and rounds before them that warm caches and connections.
const ROUNDS: usize = 50;
const WARM: usize = 5;
/// No round takes this long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_none() {
        println!(
            "latency: not measured. It needs a real forge: set DRIFT_GATE_FORGE_BIN to a Gitea executable\n\
             (and DRIFT_GATE_FORGE_ASSETS to its assets, where they are not embedded)."
        );
        return;
    }
    let (sender, log) = mpsc::unbounded_channel();
    let subscriber = tracing_subscriber::registry().with(Log(sender));
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(log));
}

async fn measure(mut log: mpsc::UnboundedReceiver<Line>) {
    let mut world = World::before_the_first_look(Setting::default()).await;
    // Straight to the forge: what is measured is not the stories' proxy.
    world.proxy.url = world.admin.base.clone();
    world.start().await;
    for (repo, head) in [(CORE, &world.core_head), (TEMPLATE, &world.template_head)] {
        world.expect(repo, head, "success", "").await;
    }
    world.post(relay::Post::Hold);
    let floor = Floor::new(&world);
    let (mut loops, mut floors) = (Vec::new(), Vec::new());
    for round in 0..WARM + ROUNDS {
        let (head, delivery) = push(&world, round).await;
        let (took, least) = if round % 4 < 2 {
            let took = one_loop(&world, &head, &delivery, &mut log).await;
            (took, floor.once(&world, &head).await)
        } else {
            let least = floor.once(&world, &head).await;
            (one_loop(&world, &head, &delivery, &mut log).await, least)
        };
        if round >= WARM {
            loops.push(took);
            floors.push(least);
        }
    }
    world.stop().await;
    report(&loops, &floors);
}

/// How long each step of the loop took, from the receipt of the delivery.
#[derive(Clone, Copy)]
struct Loop {
    /// Until the delivery was on disk and the look began.
    taken: Duration,
    /// Reading heads and pull requests of both.
    seen: Duration,
    /// Fetching, judging, and keeping what is wanted.
    decided: Duration,
    /// Until the forge had taken the second status.
    told: Duration,
}

impl Loop {
    fn whole(self) -> Duration {
        self.taken + self.seen + self.decided + self.told
    }
}

/// One push that turns both statuses around, and its delivery.
async fn push(world: &World, round: usize) -> (String, relay::Delivery) {
    // Away from what core pins, and back.
    let changed = format!("{CONFIG}# {round}\n");
    let content = if round.is_multiple_of(2) { changed.as_str() } else { CONFIG };
    let head = world.push_template(&[("config.yaml", Some(content))]).await;
    let delivery = host::eventually("the forge delivers the push", async || {
        let found = world.relay.take().into_iter().find(|delivery| {
            delivery.event() == "push" && String::from_utf8_lossy(&delivery.body).contains(&format!("\"{head}\""))
        });
        found.ok_or_else(|| "no delivery yet".to_owned())
    })
    .await;
    (head, delivery)
}

/// How long drift-gate takes from the delivery to both statuses.
async fn one_loop(
    world: &World,
    head: &str,
    delivery: &relay::Delivery,
    log: &mut mpsc::UnboundedReceiver<Line>,
) -> Loop {
    while log.try_recv().is_ok() {}
    let began = Instant::now();
    let deliver = world.relay.deliver(delivery);
    let listen = async {
        // The source is looked at first, and what is seen of it makes the consumer be looked at.
        let (mut looking, mut seen, mut decided) = (None, None, began);
        let mut waiting = vec![head, world.core_head.as_str()];
        loop {
            let line = tokio::time::timeout(PATIENCE, log.recv()).await.expect("both statuses in time");
            let line = line.expect("the service runs");
            match line.message.as_str() {
                "looking" => looking = looking.or(Some(line.at)),
                "seen" => seen = seen.or(Some(line.at)),
                "kept" => decided = line.at,
                "status stands" => waiting.retain(|sha| *sha != line.sha),
                _ => {}
            }
            if waiting.is_empty() {
                let (looking, seen) = (looking.unwrap_or(began), seen.unwrap_or(began));
                break Loop {
                    taken: looking - began,
                    seen: seen - looking,
                    decided: decided - seen,
                    told: line.at - decided,
                };
            }
        }
    };
    let (answer, took) = tokio::join!(deliver, listen);
    assert_eq!(answer, 202, "the delivery is accepted");
    took
}

/// The requests that the loop cannot do without.
struct Floor {
    forge: Arc<dyn Forge>,
    cache: git::Cache,
    template: git::Repo,
    _folder: tempfile::TempDir,
}

/// How long each step of the floor took.
#[derive(Clone, Copy)]
struct Parts {
    look: Duration,
    fetch: Duration,
    post: Duration,
}

impl Parts {
    fn whole(self) -> Duration {
        self.look + self.fetch + self.post
    }
}

impl Floor {
    fn new(world: &World) -> Self {
        let client = forge::http::client(forge::http::Timeouts::default()).expect("a client");
        let settings = config::Forge {
            name: "main".to_owned(),
            kind: ForgeKind::Gitea,
            url: world.admin.base.clone(),
            token: None,
            app: None,
            check_runs: false,
            webhook_secrets: Vec::new(),
        };
        let token = Some(world.bot.token.clone().into());
        let forge = forge::connect_with(&settings, token, client.clone()).expect("a forge");
        let folder = tempfile::tempdir().expect("a folder");
        let cache = git::Cache::new(folder.path(), client, git::Limits::default()).expect("a cache");
        let template = cache.repo("main", 1).expect("a repository");
        Self { forge, cache, template, _folder: folder }
    }

    async fn remote(&self, repo: &str) -> git::Remote {
        let repo = RepoName(repo.to_owned());
        let authorization = self.forge.git_authorization(&repo).await.expect("a token");
        git::Remote { url: self.forge.git_url(&repo), authorization }
    }

    /// The requests that one push costs at least.
    async fn once(&self, world: &World, head: &str) -> Parts {
        let head = ObjectId::parse(head).expect("a commit");
        let core_head = ObjectId::parse(&world.core_head).expect("a commit");
        let (template, core) = (RepoName(TEMPLATE.to_owned()), RepoName(CORE.to_owned()));
        let (template_git, core_git) = (self.remote(TEMPLATE).await, self.remote(CORE).await);
        let prefixes = ["refs/heads/"];

        let began = Instant::now();
        let (pulls, other_pulls, heads, other_heads) = tokio::join!(
            self.forge.open_pulls(&template),
            self.forge.open_pulls(&core),
            self.cache.ls_refs(&template_git, &prefixes),
            self.cache.ls_refs(&core_git, &prefixes),
        );
        let looked = Instant::now();
        self.template.fetch_commit(&template_git, &head).await.expect("the commit");
        let fetched = Instant::now();
        let words = "config.yaml differs: move the pin";
        let status = Status::new("floor", State::Failure, words, "http://gate.example.org/r/0");
        let (first, second) = tokio::join!(
            self.forge.post_status(&template, &head, &status),
            self.forge.post_status(&core, &core_head, &status),
        );
        let posted = Instant::now();
        for answer in [pulls.map(drop), other_pulls.map(drop), first, second] {
            answer.expect("the forge answers");
        }
        for answer in [heads, other_heads] {
            answer.expect("the forge answers");
        }
        Parts { look: looked - began, fetch: fetched - looked, post: posted - fetched }
    }
}

/// A line of drift-gate's log.
struct Line {
    message: String,
    /// Empty where the line is about no commit.
    sha: String,
    at: Instant,
}

/// Hears what the controller logs: nobody has to ask the forge meanwhile.
struct Log(mpsc::UnboundedSender<Line>);

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let at = Instant::now();
        if !event.metadata().target().starts_with("drift_gate::controller") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut field = |name| fields.0.remove(name).unwrap_or_default();
        // Nobody listens any more once the last round is over.
        let _ = self.0.send(Line { message: field("message"), sha: field("sha"), at });
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

fn report(loops: &[Loop], floors: &[Parts]) {
    let ms = |at: Duration| at.as_secs_f64() * 1000.0;
    let row = |name: &str, times: Vec<Duration>| {
        let sorted = sorted(times);
        println!("{name:<58} {:>8.1} {:>8.1}", ms(quantile(&sorted, 0.5)), ms(quantile(&sorted, 0.95)));
        quantile(&sorted, 0.5)
    };
    let of_loops = |part: fn(&Loop) -> Duration| loops.iter().map(part).collect();
    let of_floors = |part: fn(&Parts) -> Duration| floors.iter().map(part).collect();
    println!("{:<58} {:>8} {:>8}", format!("latency of {} pushes, ms", loops.len()), "median", "p95");
    let whole = row("loop: delivery received, both statuses taken", of_loops(|one| one.whole()));
    row("  the delivery on disk, the look begun", of_loops(|one| one.taken));
    row("  heads and open pull requests of both", of_loops(|one| one.seen));
    row("  the new commit fetched, judged, the decision on disk", of_loops(|one| one.decided));
    row("  both statuses", of_loops(|one| one.told));
    let floor = row("floor: the requests alone", of_floors(|one| one.whole()));
    row("  heads and open pull requests of both, in parallel", of_floors(|one| one.look));
    row("  the new commit's directories", of_floors(|one| one.fetch));
    row("  both statuses, in parallel", of_floors(|one| one.post));
    println!("{:<58} {:>8.2}", "loop / floor, medians", whole.as_secs_f64() / floor.as_secs_f64());
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort();
    times
}

/// The value that this share of the sorted ones does not exceed.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted[at.clamp(1, sorted.len()) - 1]
}

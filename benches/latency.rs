//! From a push to both statuses on a real forge, beside the floor: the requests that no service can do without.
//!
//! Needs a forge: `DRIFT_GATE_FORGE_BIN=/path/to/gitea cargo bench --bench latency`. Each round pushes to the source and
//! holds the forge's delivery until it is there. A round of the loop then hands the delivery to drift-gate and waits until
//! the forge has taken the second status. A round of the floor makes the requests itself, with the same client, as parallel
//! as they can be: the branch heads and open pull requests of both repositories; the new commit's directories; both
//! statuses. The rounds alternate, so both see the same forge and the same machine.

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
    let (sender, statuses) = mpsc::unbounded_channel();
    let subscriber = tracing_subscriber::registry().with(Statuses(sender));
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(statuses));
}

async fn measure(mut statuses: mpsc::UnboundedReceiver<Stands>) {
    let mut world = World::before_the_first_look(Setting::default()).await;
    // Straight to the forge: what is measured is not the stories' proxy.
    world.proxy.url = world.host.base();
    world.start().await;
    for (repo, head) in [(CORE, &world.core_head), (TEMPLATE, &world.template_head)] {
        world.expect(repo, head, "success", "").await;
    }
    world.post(relay::Post::Hold);
    let floor = Floor::new(&world);
    let (mut loops, mut floors) = (Vec::new(), Vec::new());
    for round in 0..WARM + ROUNDS {
        while statuses.try_recv().is_ok() {}
        let took = one_loop(&world, round, &mut statuses).await;
        let parts = floor.once(&world, round).await;
        if round >= WARM {
            loops.push(took);
            floors.push(parts);
        }
    }
    world.stop().await;
    report(&loops, &floors);
}

/// One push that turns both statuses around, and how long drift-gate took to say so.
async fn one_loop(world: &World, round: usize, statuses: &mut mpsc::UnboundedReceiver<Stands>) -> Duration {
    // Away from what core pins, and back: so each push changes the status of both.
    let changed = format!("{CONFIG}# {round}\n");
    let content = if round.is_multiple_of(2) { changed.as_str() } else { CONFIG };
    let head = world.push_template(&[("config.yaml", Some(content))]).await;
    let delivery = push_of(world, &head).await;
    let began = Instant::now();
    let answer = world.relay.deliver(&delivery).await;
    assert_eq!(answer, 202, "the delivery is accepted");
    let mut waiting = vec![head.as_str(), world.core_head.as_str()];
    while !waiting.is_empty() {
        let next = tokio::time::timeout(PATIENCE, statuses.recv()).await.expect("both statuses in time");
        let stands = next.expect("the service runs");
        waiting.retain(|sha| *sha != stands.sha);
        if waiting.is_empty() {
            return stands.at - began;
        }
    }
    unreachable!("two were waited for");
}

/// The delivery of a push, once the forge has sent it.
async fn push_of(world: &World, head: &str) -> relay::Delivery {
    host::eventually("the forge delivers the push", async || {
        let found = world.relay.take().into_iter().find(|delivery| {
            delivery.event() == "push" && String::from_utf8_lossy(&delivery.body).contains(&format!("\"{head}\""))
        });
        found.ok_or_else(|| "no delivery yet".to_owned())
    })
    .await
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
            url: world.host.base(),
            token: None,
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
        let authorization = self.forge.git_authorization().await.expect("a token");
        git::Remote { url: self.forge.git_url(&RepoName(repo.to_owned())), authorization }
    }

    /// One push, and the requests that it costs at least.
    async fn once(&self, world: &World, round: usize) -> Parts {
        let head = world.push_template(&[("README.md", Some(&format!("Round {round}\n")))]).await;
        push_of(world, &head).await;
        let head = ObjectId::parse(&head).expect("a commit");
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
        let state = if round.is_multiple_of(2) { State::Failure } else { State::Success };
        let status =
            Status::new("floor", state, "config.yaml differs from the template", "http://gate.example.org/r/0");
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

/// A status that the forge has taken, as drift-gate logs it.
struct Stands {
    sha: String,
    at: Instant,
}

/// Hears the log for the one line that says so: nobody has to ask the forge meanwhile.
struct Statuses(mpsc::UnboundedSender<Stands>);

impl<S: tracing::Subscriber> Layer<S> for Statuses {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let at = Instant::now();
        if !event.metadata().target().starts_with("drift_gate::controller") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.0.get("message").is_some_and(|message| message == "status stands") {
            let sha = fields.0.remove("sha").unwrap_or_default();
            // Nobody listens any more once the last round is over.
            let _ = self.0.send(Stands { sha, at });
        }
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

fn report(loops: &[Duration], floors: &[Parts]) {
    let ms = |at: Duration| at.as_secs_f64() * 1000.0;
    let row = |name: &str, times: Vec<Duration>| {
        let sorted = sorted(times);
        println!("{name:<58} {:>8.1} {:>8.1}", ms(quantile(&sorted, 0.5)), ms(quantile(&sorted, 0.95)));
        quantile(&sorted, 0.5)
    };
    println!("{:<58} {:>8} {:>8}", format!("latency of {} pushes, ms", loops.len()), "median", "p95");
    let whole = row("loop: delivery received, both statuses taken", loops.to_vec());
    let floor = row("floor: the requests alone", floors.iter().map(|parts| parts.whole()).collect());
    row("  heads and open pull requests of both, in parallel", floors.iter().map(|parts| parts.look).collect());
    row("  the new commit's directories", floors.iter().map(|parts| parts.fetch).collect());
    row("  both statuses, in parallel", floors.iter().map(|parts| parts.post).collect());
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

//! A fleet: many consumers of one source, with many open pull requests, on the stand-in; the service is the real program.
//!
//! `cargo bench --bench fleet` (1,000 consumers with 10 pull requests each; `DRIFT_GATE_FLEET=100x10` is another). Measured:
//!
//! - *the first look*: from the program's start until every head has its status;
//! - *a round with nothing new*: the timer's, how long and how many requests a repository;
//! - *one push to the shared source*: until every status that must change has changed, and that no other was written;
//! - *a flood*: a push to one consumer whose delivery arrives ten thousand times, 32 at a time: how many are refused, how long
//!   after the last one everything is done, how many verdicts that takes;
//! - *idle*: memory and processor time while nothing happens.
//!
//! Forge and service share the machine's cores. The forge's own share is shown: the same statuses posted by a client that does
//! nothing else.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use drift_gate::demo::StandIn;
use drift_gate::demo::page::Page;
use drift_gate::demo::person::Person;
use futures_util::StreamExt;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tokio::net::TcpListener;

const SOURCE: &str = "molecule/template";
const SECRET: &str = "a-shared-secret-of-32-characters";
/// What every consumer bakes.
const DOCKERFILE: &str = "FROM scratch\nCOPY .deps/template/config.yaml /opt/agent/config.yaml\n";
/// Deliveries of one push in the flood.
const FLOOD: usize = 10_000;
/// Consumers made at a time.
const AT_ONCE: usize = 4;
/// No step takes this long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let size = std::env::var("DRIFT_GATE_FLEET").unwrap_or_else(|_| "1000x10".to_owned());
    let (consumers, pulls) = size.split_once('x').expect("DRIFT_GATE_FLEET=CONSUMERSxPULLS");
    let (consumers, pulls) = (consumers.parse().expect("a number"), pulls.parse().expect("a number"));
    // Beside the build and not in /tmp, which may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(measure(folder.path(), consumers, pulls));
}

async fn measure(folder: &Path, consumers: usize, pulls: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stand_in = StandIn::start(listener, &folder.join("forge"), Page::default(), Router::new()).expect("a forge");
    let token = stand_in.user("admin", true).expect("a user");
    stand_in.organization("molecule", "admin").expect("an organization");
    let person = Person::new(stand_in.base(), &token);
    let service_address = free_port();
    let began = Instant::now();
    prepare(&stand_in, &person, consumers, pulls, service_address).await;
    let heads = consumers * (1 + pulls) + 1;
    println!("{consumers} consumers, {pulls} pull requests each: {heads} heads; made in {:.0} s", secs(began));

    std::fs::write(folder.join("token"), &token).expect("a token");
    std::fs::write(folder.join("secret"), SECRET).expect("a secret");
    let config = folder.join("drift-gate.toml");
    std::fs::write(&config, configuration(folder, stand_in.base(), service_address, consumers)).expect("a file");
    let began = Instant::now();
    let service = Service::start(&config, service_address, &folder.join("log"));
    service.until("every head has its status", |seen| seen.written >= heads && seen.is_quiet()).await;
    service.row("the first look: every head has its status", secs(began));

    let before = service.seen().await;
    let cpu = service.cpu();
    let idle = Instant::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let share = (service.cpu() - cpu) / secs(idle) * 100.0;
    service.row(&format!("idle, {share:.1} % of a core"), secs(idle));

    let began = Instant::now();
    let two = [("config.yaml", Some("name: two\n"))];
    person.commit(SOURCE, "main", None, "two", &two).await.expect("a push");
    let must = consumers + 1;
    service.until("every branch says so", |seen| seen.written >= before.written + must).await;
    service.row("a push to the source: every status that must change is out", secs(began));
    service.until("nothing is left to do", Seen::is_quiet).await;
    let after = service.seen().await;
    service.row("the same, until nothing is left to do", secs(began));
    println!(
        "  statuses written {}, that must be {must}; read back {}",
        after.written - before.written,
        after.stood - before.stood
    );

    flood(&service, &person, pulls).await;

    // A round of the timer begins at every start, and reads what the repositories are as well: one request more.
    drop(service);
    let began = Instant::now();
    let service = Service::start(&config, service_address, &folder.join("log2"));
    service.until("a round is begun", |seen| seen.calls > consumers).await;
    service.until("the round is done", Seen::is_quiet).await;
    let round = service.seen().await;
    service.row("a start and its round, nothing new", secs(began));
    #[allow(clippy::cast_precision_loss, reason = "thousands")]
    let each = round.calls as f64 / (consumers + 1) as f64;
    println!(
        "  REST requests a repository {each:.2}, and one for the heads by git; statuses written {}",
        round.written
    );

    let alone = posts_alone(&person, must).await;
    println!("  the forge alone takes {must} statuses, {AT_ONCE} at a time, in {alone:.2} s");
}

/// One push to a consumer, told ten thousand times.
async fn flood(service: &Service, person: &Person, pulls: usize) {
    let before = service.seen().await;
    let (repo, edit) = ("molecule/c0", [("notes.md", Some("one more\n"))]);
    person.commit(repo, "main", None, "words", &edit).await.expect("a push");
    let head = person.head(repo, "main").await.expect("a head");
    let payload = json!({ "ref": "refs/heads/main", "after": head, "repository": { "id": 2, "full_name": repo } });
    let body = payload.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(body.as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let url = format!("http://127.0.0.1:{}/hooks/main", service.port);
    let began = Instant::now();
    let posting = futures_util::stream::iter(0..FLOOD).map(|number| {
        let request =
            service.http.post(&url).body(body.clone()).header("X-Hub-Signature-256", format!("sha256={signature}"));
        let request = request.header("X-Gitea-Event", "push").header("X-Gitea-Delivery", format!("flood-{number}"));
        async move { request.header("Content-Type", "application/json").send().await.expect("an answer").status() }
    });
    let answers: Vec<_> = posting.buffer_unordered(32).collect().await;
    let refused = answers.iter().filter(|status| status.as_u16() != 202).count();
    let took = secs(began);
    let last = Instant::now();
    service.until("nothing is left to do", Seen::is_quiet).await;
    let after = service.seen().await;
    service.row(&format!("{FLOOD} deliveries of one push, {refused} refused"), took);
    println!(
        "  after the last of them {:.2} s until all is done; verdicts {} for {} heads, statuses written {}",
        secs(last),
        after.verdicts - before.verdicts,
        pulls + 1,
        after.written - before.written
    );
}

fn secs(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The source, and consumers that pin it, each with pull requests that change nothing which counts.
async fn prepare(stand_in: &StandIn, person: &Person, consumers: usize, pulls: usize, hooks: u16) {
    stand_in.repository("molecule", "template", false).expect("a repository");
    let one = [("config.yaml", Some("name: one\n"))];
    let pin = person.commit(SOURCE, "main", None, "one", &one).await.expect("a commit");
    hook(person, SOURCE, hooks).await;
    let manifest = format!("{{\"template\": \"{pin}\"}}\n");
    let making = futures_util::stream::iter(0..consumers).map(|number| {
        let manifest = &manifest;
        async move {
            let (name, repo) = (format!("c{number}"), format!("molecule/c{number}"));
            stand_in.repository("molecule", &name, false).expect("a repository");
            let files = [("Dockerfile", Some(DOCKERFILE)), ("manifest.json", Some(manifest.as_str()))];
            person.commit(&repo, "main", None, "bakes", &files).await.expect("a commit");
            for pull in 0..pulls {
                let (branch, text) = (format!("p{pull}"), format!("{pull}\n"));
                let edit = [("notes.txt", Some(text.as_str()))];
                person.commit(&repo, "main", Some(&branch), "notes", &edit).await.expect("a branch");
                person.open_pull(&repo, &branch, "main", "notes").await.expect("a pull request");
            }
            hook(person, &repo, hooks).await;
        }
    });
    making.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

async fn hook(person: &Person, repo: &str, port: u16) {
    let hook = json!({
        "type": "gitea", "active": true, "events": ["push", "pull_request", "status"],
        "config": { "url": format!("http://127.0.0.1:{port}/hooks/main"), "content_type": "json", "secret": SECRET },
    });
    let made = person.ask(reqwest::Method::POST, &format!("/repos/{repo}/hooks"), Some(hook)).await;
    made.expect("a hook");
}

fn configuration(folder: &Path, forge: &str, port: u16, consumers: usize) -> String {
    let folder = folder.display();
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://gate.example.org\"\n\
         [store]\nurl = \"sqlite://{folder}/drift-gate.db\"\n\
         [forge.main]\nkind = \"gitea\"\nurl = \"{forge}\"\ntoken = {{ file = \"{folder}/token\" }}\n\
         webhook_secrets = [{{ file = \"{folder}/secret\" }}]\n"
    );
    for number in 0..consumers {
        let _ = write!(
            text,
            "[[gate]]\nname = \"g{number}\"\nsource = {{ forge = \"main\", repo = \"{SOURCE}\", branch = \"main\" }}\n\
             consumer = {{ forge = \"main\", repo = \"molecule/c{number}\", branches = [\"main\"] }}\n\
             binding = {{ pin = \"manifest.json\", at = \"template\" }}\nidentity = [\"config.yaml\"]\n\
             ignore = [\"README.md\"]\n[[gate.check]]\nkind = \"bake\"\ndockerfile = \"Dockerfile\"\n\
             source_dir = \".deps/template\"\ndestination = \"/opt/agent\"\n"
        );
    }
    text
}

/// The same statuses by a client that does nothing else.
async fn posts_alone(person: &Person, count: usize) -> f64 {
    let head = person.head(SOURCE, "main").await.expect("a head");
    let began = Instant::now();
    let posting = futures_util::stream::iter(0..count).map(|_| {
        let status = json!({ "state": "success", "context": "alone", "description": "in sync" });
        let path = format!("/repos/{SOURCE}/statuses/{head}");
        async move { person.ask(reqwest::Method::POST, &path, Some(status)).await.expect("a status") }
    });
    posting.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    secs(began)
}

/// What `/metrics` says.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    written: usize,
    stood: usize,
    calls: usize,
    waiting: usize,
    unsent: usize,
    verdicts: usize,
}

impl Seen {
    fn is_quiet(&self) -> bool {
        self.waiting == 0 && self.unsent == 0
    }
}

/// The real program.
struct Service {
    child: Child,
    port: u16,
    http: reqwest::Client,
}

impl Service {
    fn start(config: &Path, port: u16, log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_drift-gate"))
            .args(["serve", "--config"])
            .arg(config)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Self { child, port, http: reqwest::Client::new() }
    }

    async fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        let asked = self.http.get(format!("http://127.0.0.1:{}/metrics", self.port)).send().await;
        let Ok(answer) = asked else { return Seen { waiting: 1, ..seen } };
        for line in answer.text().await.unwrap_or_default().lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
            let value = value.parse::<f64>().unwrap_or(0.0) as usize;
            match name {
                "drift_gate_statuses_total{written=\"yes\"}" => seen.written += value,
                "drift_gate_statuses_total{written=\"no\"}" => seen.stood += value,
                "drift_gate_queue_length" => seen.waiting = value,
                "drift_gate_unsent_statuses" => seen.unsent = value,
                name if name.starts_with("drift_gate_verdicts_total{") => seen.verdicts += value,
                name if name.starts_with("drift_gate_forge_calls_total{") => seen.calls += value,
                _ => {}
            }
        }
        seen
    }

    async fn until(&self, what: &str, done: impl Fn(&Seen) -> bool) {
        let began = Instant::now();
        loop {
            let seen = self.seen().await;
            if done(&seen) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}: {seen:?}");
            // Each question makes the service count what waits.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Resident memory in MiB: now, and at most so far.
    fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        (field("VmRSS:").unwrap_or(0) / 1024, field("VmHWM:").unwrap_or(0) / 1024)
    }

    /// Seconds of processor time so far.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok()).unwrap_or(0);
        f64::from(ticks(11) + ticks(12)) / 100.0
    }

    fn row(&self, what: &str, seconds: f64) {
        let (now, most) = self.memory();
        println!("  {what:<62} {seconds:>7.2} s   memory {now:>4} MiB, at most {most:>4}   CPU {:>7.2} s", self.cpu());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

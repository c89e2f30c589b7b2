//! What it costs to take a delivery: signed push deliveries over real HTTP, on disk before the 202.
//!
//! The service's web and store run here in process on a database on this disk; its loop does not run, so what is measured
//! is taking deliveries and not looking at repositories. Beside it, in the same run:
//!
//! - *store switched off*: the same server, the same deliveries, verified and read, and then forgotten;
//! - *refused*: the same deliveries signed with another secret, which end after the same body was read and hashed;
//! - *append and sync*: what this disk takes for the least that durable can mean, one caller, no database.
//!
//! Client and server share the machine's cores, so each makes the other slower; that holds for all rows alike.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use drift_gate::config::{Config, ForgeKind};
use drift_gate::controller::under_way::UnderWay;
use drift_gate::controller::{Controller, Options};
use drift_gate::forge::webhook::Delivery;
use drift_gate::metrics::{Metrics, Queue};
use drift_gate::store::Store;
use drift_gate::web::dashboard::Overview;
use drift_gate::web::page::PageData;
use drift_gate::web::{self, Accepted, Backend, HookForge, Readiness, Unavailable, api};
use drift_gate::{forge, git};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "a-shared-secret-of-32-characters";
const CONNECTIONS: usize = 32;
/// Deliveries of one row and round, with many connections and with one.
const MANY: usize = 20_000;
const FEW: usize = 2_000;
const LARGE: usize = 800;
/// Each row is measured so often, all rows in turn; the round with the best rate is shown.
const ROUNDS: usize = 3;

fn main() {
    // Beside the build and not in /tmp, which may be memory: syncing memory costs nothing.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(folder.path()));
}

async fn measure(folder: &Path) {
    let (delivery, large) = (Signed::push(0), Signed::push(1_000_000));
    let shutdown = CancellationToken::new();
    let store = Store::open(&format!("sqlite://{}", folder.join("drift-gate.db").display())).await.expect("a store");
    let durable = serve(controller(folder, store.clone()).await, &shutdown).await;
    let forgetful = serve(Arc::new(Forgetful), &shutdown).await;

    let mut rows: BTreeMap<usize, (&str, Times)> = BTreeMap::new();
    let mut best = |place: usize, name: &'static str, times: Times| match rows.get(&place) {
        Some((_, old)) if old.rate() >= times.rate() => {}
        _ => drop(rows.insert(place, (name, times))),
    };
    for _ in 0..ROUNDS {
        best(0, "accepted durably, 32 connections", flood(durable, &delivery.right, 202, CONNECTIONS, MANY).await);
        best(1, "store switched off, 32 connections", flood(forgetful, &delivery.right, 202, CONNECTIONS, MANY).await);
        best(2, "refused, 32 connections", flood(durable, &delivery.wrong, 401, CONNECTIONS, MANY).await);
        best(3, "accepted durably, 1 connection", flood(durable, &delivery.right, 202, 1, FEW).await);
        best(4, "store switched off, 1 connection", flood(forgetful, &delivery.right, 202, 1, FEW).await);
        best(5, "append and sync, 1 caller", append(folder));
        best(6, "accepted durably, 1 MB bodies, 8 connections", flood(durable, &large.right, 202, 8, LARGE).await);
    }
    let waiting = store.waiting().await.expect("the store answers");
    assert_eq!(waiting.repositories, 1, "all of them are one hint");
    shutdown.cancel();
    store.close().await;

    let title = format!("deliveries of {} bytes", delivery.body);
    println!("{title:<40} {:>9} {:>9} {:>9} {:>9}", "p50 ms", "p99 ms", "per s", "CPU µs");
    for (name, times) in rows.values() {
        let ms = |share| times.quantile(share).as_secs_f64() * 1000.0;
        println!("{name:<40} {:>9.2} {:>9.2} {:>9.0} {:>9.0}", ms(0.5), ms(0.99), times.rate(), times.cpu());
    }
    let share = |one: usize, other: usize| rows[&one].1.rate() / rows[&other].1.rate();
    println!("{:<40} {:>29.2}", "durable / store switched off, rates", share(0, 1));
}

/// The controller of one gate; nobody runs its loop.
async fn controller(folder: &Path, store: Store) -> Arc<Controller> {
    let text = r#"
[server]
public_url = "http://gate.example.org"
[store]
url = "sqlite://given-to-the-controller.db"
[forge.main]
kind = "gitea"
url = "http://127.0.0.1:9"
[[gate]]
name = "platform-agent-identity"
source = { forge = "main", repo = "molecule/platform-agent-template", branch = "main" }
consumer = { forge = "main", repo = "molecule/core", branches = ["main"] }
binding = { follow = true }
identity = ["config.yaml"]
[[gate.check]]
kind = "bake"
dockerfile = "Dockerfile"
context = "."
source_dir = ".deps/template"
destination = "/opt/template"
"#;
    let config = Config::parse(text, "drift-gate.toml").expect("a configuration");
    let client = forge::http::client(forge::http::Timeouts::default()).expect("a client");
    let caches = git::Cache::new(&folder.join("repositories"), client, git::Limits::default()).expect("caches");
    let (secret, options) = (b"the secret of links".to_vec(), Options::default());
    Controller::new(&config, BTreeMap::new(), store, caches, Metrics::new(), secret, options)
        .await
        .expect("a controller")
}

async fn serve(backend: Arc<dyn Backend>, shutdown: &CancellationToken) -> SocketAddr {
    let hook = HookForge { kind: ForgeKind::Gitea, secrets: vec![SECRET.to_owned().into()] };
    let settings = web::Settings {
        public_url: "http://gate.example.org".to_owned(),
        forges: [("main".to_owned(), hook)].into(),
        admin_token: None,
        session_secret: "unused".to_owned().into(),
        open: false,
        limits: web::Limits::default(),
        clock: chrono::Utc::now,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = web::router(backend, settings, Metrics::new());
    tokio::spawn(web::serve(listener, router, web::Limits::default(), shutdown.clone()));
    address
}

/// Takes every delivery and keeps none.
struct Forgetful;

#[async_trait::async_trait]
impl Backend for Forgetful {
    async fn accept(&self, _: &str, _: Delivery) -> Result<Accepted, Unavailable> {
        Ok(Accepted::Queued)
    }

    async fn page(&self, _: &str) -> Result<Option<PageData>, Unavailable> {
        Ok(None)
    }

    async fn overview(&self) -> Result<Overview, Unavailable> {
        Ok(Overview::default())
    }

    async fn deliveries(&self, _: Option<i64>, _: usize) -> Result<Vec<api::Delivery>, Unavailable> {
        Ok(Vec::new())
    }

    async fn audit(&self, _: Option<i64>, _: usize) -> Result<Vec<api::Audited>, Unavailable> {
        Ok(Vec::new())
    }

    async fn targets(&self, _: Option<api::TargetCursor>, _: usize) -> Result<Vec<api::Target>, Unavailable> {
        Ok(Vec::new())
    }

    async fn gates(&self, _: Option<String>, _: usize) -> Result<Vec<api::Gate>, Unavailable> {
        Ok(Vec::new())
    }

    async fn report(&self, _: &str) -> Result<Option<api::Reports>, Unavailable> {
        Ok(None)
    }

    async fn under_way(&self) -> Result<UnderWay, Unavailable> {
        Ok(UnderWay::default())
    }

    async fn queue(&self) -> Result<Queue, Unavailable> {
        Ok(Queue::default())
    }

    async fn ready(&self) -> Vec<Readiness> {
        Vec::new()
    }
}

/// A recorded push delivery as bytes on the wire, up to its id; each request gets an id of its own.
struct Signed {
    right: Request,
    wrong: Request,
    /// Bytes of the body.
    body: usize,
}

struct Request {
    head: String,
    body: Vec<u8>,
}

impl Signed {
    /// The recorded push, and so many bytes more in it.
    fn push(more: usize) -> Self {
        let recorded = include_str!(
            "../tests/vectors/gitea-1.26/deliveries/003-push-20-commits-platform-agent-template-push-gitea.json"
        );
        let recorded: serde_json::Value = serde_json::from_str(recorded).expect("JSON");
        let body = recorded["body"].as_str().expect("the recorded body");
        let body = body.replacen('{', &format!("{{\"padding\":\"{}\",", "x".repeat(more)), 1);
        let body = body.as_bytes();
        let request = |secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key");
            mac.update(body);
            let signature = hex::encode(mac.finalize().into_bytes());
            let head = format!(
                "POST /hooks/main HTTP/1.1\r\nHost: gate.example.org\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\nX-Gitea-Event: push\r\nX-Gitea-Signature: {signature}\r\n\
                 X-Hub-Signature-256: sha256={signature}\r\nX-Gitea-Delivery: ",
                body.len()
            );
            Request { head, body: body.to_vec() }
        };
        Self { right: request(SECRET.as_bytes()), wrong: request(b"another secret"), body: body.len() }
    }
}

/// How long each call took, and all of them together.
struct Times {
    sorted: Vec<Duration>,
    whole: Duration,
    /// Of this process, both sides.
    cpu: Duration,
}

/// What is being measured, since when.
struct Clock {
    began: Instant,
    cpu: Duration,
}

impl Clock {
    fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu() }
    }

    fn stop(self, mut each: Vec<Duration>) -> Times {
        let (whole, cpu) = (self.began.elapsed(), cpu().saturating_sub(self.cpu));
        each.sort();
        Times { sorted: each, whole, cpu }
    }
}

/// The time that this process has had on the processors so far; nothing where the system does not say.
fn cpu() -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything; user and system time are the 12th and 13th fields after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).map(|ticks| TICK * ticks).sum()
}

impl Times {
    fn rate(&self) -> f64 {
        self.sorted.len() as f64 / self.whole.as_secs_f64()
    }

    /// Microseconds of processor time for one call.
    fn cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.sorted.len() as f64
    }

    /// The time that this share of the calls does not exceed.
    fn quantile(&self, share: f64) -> Duration {
        let at = (self.sorted.len() as f64 * share).ceil() as usize;
        self.sorted[at.clamp(1, self.sorted.len()) - 1]
    }
}

/// Sends `count` deliveries over `connections` that stay open; every answer must be `status`.
async fn flood(to: SocketAddr, request: &Request, status: u16, connections: usize, count: usize) -> Times {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let left = Arc::new(AtomicUsize::new(count));
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(to).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        streams.push(stream);
    }
    let mut clients = JoinSet::new();
    let clock = Clock::start();
    for mut stream in streams {
        let (head, body, left) = (request.head.clone(), request.body.clone(), left.clone());
        clients.spawn(async move {
            let (mut times, mut bytes, mut answer) = (Vec::new(), Vec::new(), vec![0; 4096]);
            let take = |left: usize| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                bytes.clear();
                bytes.extend_from_slice(head.as_bytes());
                bytes.extend_from_slice(format!("{:032x}\r\n\r\n", NEXT.fetch_add(1, Ordering::Relaxed)).as_bytes());
                bytes.extend_from_slice(&body);
                let sent = Instant::now();
                stream.write_all(&bytes).await.expect("sent");
                let answered = read_answer(&mut stream, &mut answer).await;
                times.push(sent.elapsed());
                assert_eq!(answered, status);
            }
            times
        });
    }
    clock.stop(clients.join_all().await.concat())
}

/// Reads one answer to its end; its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> u16 {
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer[length..]).await.expect("an answer");
        assert!(read > 0, "the connection stays open");
        length += read;
        let text = std::str::from_utf8(&buffer[..length]).expect("text");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let declared = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let declared: usize = declared.and_then(|length| length.parse().ok()).expect("a declared length");
        if body.len() == declared {
            return head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        }
    }
}

/// Appends a page to a file and syncs it, again and again.
fn append(folder: &Path) -> Times {
    let path = folder.join("appended");
    let mut file = File::options().create(true).append(true).open(&path).expect("a file");
    let page = [b'x'; 4096];
    let clock = Clock::start();
    let mut each = Vec::with_capacity(FEW);
    for _ in 0..FEW {
        let one = Instant::now();
        file.write_all(&page).expect("written");
        file.sync_data().expect("synced");
        each.push(one.elapsed());
    }
    let times = clock.stop(each);
    fs::remove_file(path).expect("removed");
    times
}

//! What goes wrong between drift-gate and the forge, and between the forge and drift-gate.
//!
//! [`Proxy`] stands before the forge's API and git. Which fault meets a request follows from the seed, the kind of the request
//! and how many of its kind came before, not from the clock: the same seed meets the same faults as far as drift-gate asks
//! the same. Each seed has faults of its own kinds and of its own frequency: rare ones alone find what many at once hide.
//!
//! [`Post`] carries deliveries: it loses, doubles, delays and so reorders them.
//!
//! When [`Calm`] comes, nothing goes wrong any more, and what was held up goes on at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::record::Record;
use crate::rng::Rng;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is only late.
    Delay,
    /// 500, 502 or 503; the forge is not asked.
    Refuse,
    /// 429 with `Retry-After: 1`; the forge is not asked.
    Limit,
    /// A page of HTML with 200, 502 or 504 in place of the answer; the forge is not asked.
    Page,
    /// The forge is asked; half of its answer comes, then the connection ends.
    Half,
    /// Nothing comes for a while, then the connection ends; the forge is not asked.
    Hang,
    /// The connection ends at once; the forge is not asked.
    Close,
    /// The forge is asked and does it, then the connection ends.
    Lost,
    /// As [`Fault::Lost`], but somebody in between answers 502.
    Gateway,
    /// Somebody in between answers 504, and the forge is asked a moment later all the same.
    Late,
    /// For a while the answers to this question are those of a moment ago.
    Stale,
    /// git says that it does not have the commit.
    NotOurRef,
}

/// How many different answers of a moment ago are kept of each question.
const MEMORY: usize = 4;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Repository,
    Pulls,
    Refs,
    Pack,
    ReadStatus,
    WriteStatus,
    Other,
}

impl Ask {
    fn of(method: &Method, path: &str, body: &Bytes) -> Self {
        let path = path.split('?').next().unwrap_or(path);
        if path.ends_with("/git-upload-pack") {
            let is_refs = body.windows(15).any(|part| part == b"command=ls-refs");
            return if is_refs { Self::Refs } else { Self::Pack };
        }
        match (method, path) {
            (&Method::POST, path) if path.contains("/statuses/") => Self::WriteStatus,
            (&Method::GET, path) if path.contains("/statuses/") => Self::ReadStatus,
            (&Method::GET, path) if path.ends_with("/pulls") => Self::Pulls,
            (&Method::GET, path) if path.starts_with("/api/v1/repos/") && path.split('/').count() == 6 => {
                Self::Repository
            }
            _ => Self::Other,
        }
    }

    /// The faults that can meet it, beside those that meet everything.
    fn may_meet(self, fault: Fault) -> bool {
        match fault {
            Fault::Stale => matches!(self, Self::Pulls | Self::Refs | Self::Repository | Self::ReadStatus),
            Fault::NotOurRef => self == Self::Pack,
            Fault::Late => self == Self::WriteStatus,
            _ => true,
        }
    }
}

/// Whether things still go wrong.
#[derive(Clone)]
pub struct Calm(watch::Sender<bool>);

impl Calm {
    /// Whether it is calm from the beginning.
    pub fn new(calm: bool) -> Self {
        Self(watch::Sender::new(calm))
    }

    pub fn is(&self) -> bool {
        *self.0.borrow()
    }

    /// Nothing goes wrong from now on.
    pub fn comes(&self) {
        self.0.send_replace(true);
    }

    /// Waits so long, or until calm comes.
    async fn or(&self, wait: Duration) {
        let mut calm = self.0.subscribe();
        let coming = calm.wait_for(|calm| *calm);
        drop(tokio::time::timeout(wait, coming).await);
    }
}

/// A status that the forge took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Path and so repository and commit.
    pub path: String,
    /// What was sent.
    pub status: serde_json::Value,
    /// drift-gate heard that the forge took it.
    pub heard: bool,
}

/// What the forge said, whole.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Default)]
struct Memory {
    /// How many of each kind came.
    asked: HashMap<String, u64>,
    /// The last answers to what may be answered as of a moment ago.
    before: HashMap<String, VecDeque<Answer>>,
    /// Those that are given until then.
    frozen: HashMap<String, (Instant, Answer)>,
    injected: BTreeMap<Fault, u64>,
    writes: Vec<Write>,
    /// Addresses of statuses that were told as of a moment ago.
    lied: BTreeSet<String>,
    refs: HashMap<String, u64>,
}

/// The way from drift-gate to the forge.
#[derive(Clone)]
pub struct Proxy {
    seed: u64,
    /// Kinds of faults with their weights.
    kinds: Arc<Vec<(u64, Fault)>>,
    /// Of a hundred requests of each kind.
    percent: [u64; 7],
    forge: String,
    http: reqwest::Client,
    calm: Calm,
    record: Record,
    memory: Arc<Mutex<Memory>>,
    pub url: String,
}

/// Ends the connection that a request came by.
#[derive(Clone)]
struct Cut(CancellationToken);

impl Proxy {
    pub async fn start(seed: u64, forge: &str, calm: Calm, record: Record) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([])
            .no_proxy()
            .build();
        let mut rng = Rng::of(seed, "faults", 0);
        let all = [
            (6, Fault::Delay),
            (6, Fault::Refuse),
            (1, Fault::Limit),
            (4, Fault::Page),
            (4, Fault::Half),
            (2, Fault::Hang),
            (4, Fault::Close),
            (5, Fault::Lost),
            (5, Fault::Gateway),
            (4, Fault::Late),
            (8, Fault::Stale),
            (3, Fault::NotOurRef),
        ];
        let few = rng.percent(50);
        let mut kinds: Vec<_> = all.into_iter().filter(|_| rng.percent(if few { 30 } else { 85 })).collect();
        if kinds.is_empty() {
            kinds = all.to_vec();
        }
        let percent = [0; 7].map(|_| *rng.pick(&[0, 5, 15, 30, 60]));
        let proxy = Self {
            seed,
            kinds: Arc::new(kinds),
            percent,
            forge: forge.to_owned(),
            http: http.expect("a client"),
            calm,
            record,
            memory: Arc::default(),
            url,
        };
        tokio::spawn(accept(listener, proxy.clone()));
        proxy
    }

    /// What went wrong so far, by kind.
    pub fn injected(&self) -> BTreeMap<Fault, u64> {
        self.memory.lock().expect("memory").injected.clone()
    }

    /// The statuses that the forge took, in order.
    pub fn writes(&self) -> Vec<Write> {
        self.memory.lock().expect("memory").writes.clone()
    }

    /// Whether what stands on a commit was ever told as of a moment ago; `path` is that of a write.
    pub fn lied(&self, path: &str) -> bool {
        self.memory.lock().expect("memory").lied.contains(path)
    }

    /// How often the branch heads of the repository that was asked least were asked for.
    pub fn rounds(&self) -> u64 {
        self.memory.lock().expect("memory").refs.values().copied().min().unwrap_or(0)
    }

    fn fault(&self, ask: Ask, key: &str) -> Option<(Fault, Rng)> {
        let mut memory = self.memory.lock().expect("memory");
        let nth = memory.asked.entry(key.to_owned()).or_default();
        *nth += 1;
        let mut rng = Rng::of(self.seed, key, *nth);
        if self.calm.is() || !rng.percent(self.percent[ask as usize]) {
            return None;
        }
        let fitting: Vec<_> = self.kinds.iter().filter(|(_, fault)| ask.may_meet(*fault)).copied().collect();
        if fitting.is_empty() {
            return None;
        }
        let fault = *rng.weighted(&fitting);
        *memory.injected.entry(fault).or_default() += 1;
        drop(memory);
        self.record.add(format!("  {fault:?}: {key}"));
        Some((fault, rng))
    }

    async fn forward(&self, method: &Method, path: &str, headers: &HeaderMap, body: Bytes) -> Option<Answer> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.forge)).body(body);
        for (name, value) in headers {
            if name != "host" && name != "content-length" && name != "accept-encoding" {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.ok()?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        for name in ["transfer-encoding", "content-length", "connection"] {
            headers.remove(name);
        }
        Some(Answer { status, headers, body: answer.bytes().await.ok()? })
    }

    /// The forge's answer, or the one of a moment ago where that is the fault.
    async fn answer(
        &self,
        ask: Ask,
        (method, path): (&Method, &str),
        headers: &HeaderMap,
        body: Bytes,
        stale: Option<Rng>,
    ) -> Option<Answer> {
        if !ask.may_meet(Fault::Stale) {
            return self.forward(method, path, headers, body).await;
        }
        {
            let mut memory = self.memory.lock().expect("memory");
            let old = memory.before.get(path).filter(|old| !old.is_empty());
            if let (Some(mut rng), Some(old)) = (stale, old) {
                let at = usize::try_from(rng.between(0, old.len() as u64)).expect("an index");
                let frozen = (Instant::now() + rng.millis(50, 900), old[at].clone());
                memory.frozen.insert(path.to_owned(), frozen);
            }
            if !self.calm.is()
                && let Some((until, frozen)) = memory.frozen.get(path)
                && Instant::now() < *until
            {
                let frozen = frozen.clone();
                if ask == Ask::ReadStatus {
                    memory.lied.insert(path.split('?').next().unwrap_or(path).to_owned());
                }
                return Some(frozen);
            }
        }
        let answer = self.forward(method, path, headers, body).await?;
        if answer.status == StatusCode::OK {
            let mut memory = self.memory.lock().expect("memory");
            let old = memory.before.entry(path.to_owned()).or_default();
            if old.back().is_none_or(|last| last.body != answer.body) {
                old.push_back(answer.clone());
                if old.len() > MEMORY {
                    old.pop_front();
                }
            }
        }
        Some(answer)
    }

    /// Keeps a status that the forge took, and says where; it is not heard yet.
    fn wrote(&self, path: &str, body: &Bytes) -> usize {
        let status = serde_json::from_slice(body).unwrap_or_default();
        let mut memory = self.memory.lock().expect("memory");
        memory.writes.push(Write { path: path.to_owned(), status, heard: false });
        memory.writes.len() - 1
    }
}

async fn accept(listener: tokio::net::TcpListener, proxy: Proxy) {
    while let Ok((stream, _)) = listener.accept().await {
        let cut = CancellationToken::new();
        let router = Router::new().fallback(pass).with_state(proxy.clone()).layer(Extension(Cut(cut.clone())));
        tokio::spawn(cut.run_until_cancelled_owned(async move {
            let builder = auto::Builder::new(TokioExecutor::new()).http1_only();
            // A client that goes away is no matter.
            drop(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await);
        }));
    }
}

async fn pass(
    State(proxy): State<Proxy>,
    Extension(cut): Extension<Cut>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let ask = Ask::of(&method, &path, &body);
    let key = format!("{method} {ask:?} {path}");
    let fault = proxy.fault(ask, &key);
    let gone = async || -> Response {
        cut.0.cancel();
        std::future::pending().await
    };
    if let Some((fault, mut rng)) = fault.clone() {
        match fault {
            Fault::Delay => proxy.calm.or(rng.millis(5, 400)).await,
            Fault::Refuse => {
                let trouble =
                    [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE];
                return (*rng.pick(&trouble), "not now").into_response();
            }
            Fault::Limit => {
                return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "slow down").into_response();
            }
            Fault::Page => {
                let statuses = [StatusCode::OK, StatusCode::OK, StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT];
                return (*rng.pick(&statuses), [("content-type", "text/html")], "<html>Be right back</html>")
                    .into_response();
            }
            Fault::Hang => {
                proxy.calm.or(rng.millis(100, 1500)).await;
                return gone().await;
            }
            Fault::Close => return gone().await,
            Fault::NotOurRef => return not_our_ref(&body),
            Fault::Late => {
                let (proxy, body) = (proxy.clone(), body.clone());
                tokio::spawn(async move {
                    proxy.calm.or(rng.millis(50, 800)).await;
                    let answer = proxy.forward(&method, &path, &headers, body.clone()).await;
                    if answer.is_some_and(|answer| answer.status.is_success()) {
                        proxy.wrote(&path, &body);
                    }
                });
                return (StatusCode::GATEWAY_TIMEOUT, "still waiting for the forge").into_response();
            }
            Fault::Half | Fault::Lost | Fault::Gateway | Fault::Stale => {}
        }
    }
    let stale = fault.clone().filter(|(fault, _)| *fault == Fault::Stale).map(|(_, rng)| rng);
    // A task of its own: the forge does what it was asked also where the one who asked has gone.
    let answering = {
        let (proxy, method, path) = (proxy.clone(), method.clone(), path.clone());
        tokio::spawn(async move {
            let answer = proxy.answer(ask, (&method, &path), &headers, body.clone(), stale).await?;
            let wrote = ask == Ask::WriteStatus && answer.status.is_success();
            let write = wrote.then(|| proxy.wrote(&path, &body));
            Some((answer, write))
        })
    };
    let Ok(Some((answer, write))) = answering.await else {
        return (StatusCode::BAD_GATEWAY, "the forge is away").into_response();
    };
    let fault = fault.map(|(fault, _)| fault);
    if let Some(write) = write
        && !matches!(fault, Some(Fault::Half | Fault::Lost | Fault::Gateway))
    {
        proxy.memory.lock().expect("memory").writes[write].heard = true;
    }
    if ask == Ask::Refs {
        *proxy.memory.lock().expect("memory").refs.entry(path.clone()).or_default() += 1;
    }
    match fault {
        Some(Fault::Lost) => gone().await,
        Some(Fault::Gateway) => (StatusCode::BAD_GATEWAY, "the connection to the forge broke").into_response(),
        Some(Fault::Half) => half(answer),
        _ => whole(answer.status, &answer.headers, Body::from(answer.body)),
    }
}

fn whole(status: StatusCode, headers: &HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers.clone();
    response
}

/// Half a body under the length of all of it.
fn half(answer: Answer) -> Response {
    let length = answer.body.len();
    let first = answer.body.slice(..length / 2);
    let broken = std::io::Error::other("the connection breaks");
    let parts = futures_util::stream::iter([Ok(first), Err(broken)]);
    let mut response = whole(answer.status, &answer.headers, Body::from_stream(parts));
    response.headers_mut().insert("content-length", length.max(1).into());
    response
}

/// What git's server says to someone who asks for a commit that it does not have.
fn not_our_ref(body: &Bytes) -> Response {
    let text = String::from_utf8_lossy(body);
    let wanted = text.split("want ").nth(1).and_then(|rest| rest.get(..40)).unwrap_or("nothing").to_owned();
    let line = format!("ERR upload-pack: not our ref {wanted}");
    let packet = format!("{:04x}{line}", line.len() + 4);
    ([("content-type", "application/x-git-upload-pack-result")], packet).into_response()
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrives,
    Lost,
    Late,
    Twice,
}

/// The way from the forge to drift-gate. The forge hears at once that a delivery was taken.
#[derive(Clone)]
pub struct Post {
    seed: u64,
    fates: Arc<Vec<(u64, Fate)>>,
    http: reqwest::Client,
    calm: Calm,
    record: Record,
    target: Arc<Mutex<Option<String>>>,
    counts: Arc<Mutex<Counts>>,
    pub url: String,
}

/// Deliveries of a story.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub came: u64,
    pub lost: u64,
    pub late: u64,
    pub twice: u64,
    /// Still on their way.
    pub under_way: u64,
}

impl Post {
    pub async fn start(seed: u64, calm: Calm, record: Record) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut rng = Rng::of(seed, "post", 0);
        let fates = [
            (rng.between(1, 6), Fate::Arrives),
            (*rng.pick(&[0, 0, 1, 3]), Fate::Lost),
            (*rng.pick(&[0, 1, 4]), Fate::Late),
            (*rng.pick(&[0, 1, 3]), Fate::Twice),
        ];
        let post = Self {
            seed,
            fates: Arc::new(fates.to_vec()),
            http: reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("a client"),
            calm,
            record,
            target: Arc::default(),
            counts: Arc::default(),
            url,
        };
        let router = Router::new().fallback(take).with_state(post.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        post
    }

    /// Where deliveries go on to; `None` while nobody is there.
    pub fn to(&self, target: Option<String>) {
        *self.target.lock().expect("target") = target;
    }

    pub fn counts(&self) -> Counts {
        *self.counts.lock().expect("counts")
    }

    async fn deliver(&self, headers: &HeaderMap, body: Bytes) {
        let target = self.target.lock().expect("target").clone();
        let Some(target) = target else { return };
        let mut request = self.http.post(format!("{target}/hooks/main")).body(body);
        for (name, value) in headers {
            if name != "host" && name != "content-length" {
                request = request.header(name, value);
            }
        }
        // One that nobody takes is lost, as on a real forge.
        drop(request.send().await);
    }
}

async fn take(State(post): State<Post>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let nth = {
        let mut counts = post.counts.lock().expect("counts");
        counts.came += 1;
        counts.came
    };
    let mut rng = Rng::of(post.seed, "delivery", nth);
    let fate = if post.calm.is() { Fate::Arrives } else { *rng.weighted(&post.fates) };
    {
        let mut counts = post.counts.lock().expect("counts");
        match fate {
            Fate::Arrives => {}
            Fate::Lost => counts.lost += 1,
            Fate::Late => counts.late += 1,
            Fate::Twice => counts.twice += 1,
        }
        counts.under_way += u64::from(fate != Fate::Lost);
    }
    if fate != Fate::Arrives {
        let event = headers.get("x-gitea-event-type").and_then(|event| event.to_str().ok()).unwrap_or("?");
        post.record.add(format!("  delivery {nth} ({event}): {fate:?}"));
    }
    if fate == Fate::Lost {
        return StatusCode::ACCEPTED;
    }
    // A task of its own: a forge that does not wait any longer does not take it back.
    let carried = tokio::spawn(async move {
        if fate == Fate::Twice {
            post.deliver(&headers, body.clone()).await;
        }
        if fate != Fate::Arrives {
            post.calm.or(rng.millis(20, 1500)).await;
        }
        post.deliver(&headers, body).await;
        post.counts.lock().expect("counts").under_way -= 1;
    });
    if fate == Fate::Arrives {
        // In order, as the forge sends them.
        drop(carried.await);
    }
    StatusCode::ACCEPTED
}

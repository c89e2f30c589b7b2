//! What stands between the forge and drift-gate in a story: a proxy for the API and git, which can refuse, lose answers and
//! hold, and a relay for deliveries, which can drop, hold, double and reverse them. It works alike before the stand-in
//! and before a real forge.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A fault for requests of a method whose path has this text.
#[derive(Clone, Debug)]
struct Fault {
    method: Option<Method>,
    path: String,
    /// What the body must have in it.
    body: &'static str,
    what: What,
    /// `None`: until it is mended.
    times: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The forge is not asked; this is the answer.
    Answer(StatusCode),
    /// The forge is not asked; it is made to say this, of how many seconds to wait if it is about that.
    Say(StatusCode, &'static str, Option<u64>),
    /// The forge is asked once the story lets it pass.
    Hold,
    /// The forge is asked and does it; the answer is lost.
    LoseAnswer,
    /// Nothing is ever answered.
    Hang,
}

/// The way from drift-gate to the forge.
#[derive(Clone)]
pub struct Proxy {
    forge: String,
    http: reqwest::Client,
    faults: Arc<Mutex<Vec<Fault>>>,
    seen: Arc<Mutex<Vec<(Method, String, Instant)>>>,
    /// How many requests were held, and how many of them may pass.
    held: Arc<watch::Sender<usize>>,
    passing: Arc<watch::Sender<usize>>,
    pub url: String,
}

impl Proxy {
    pub async fn start(forge: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let (faults, seen, held, passing) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        let proxy = Self { forge: forge.to_owned(), http, faults, seen, held, passing, url };
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    fn add(&self, method: Option<Method>, path: &str, what: What, times: Option<u32>) {
        self.faults.lock().expect("faults").push(Fault { method, path: path.to_owned(), body: "", what, times });
    }

    /// Every request whose path has this text is answered with `status` until [`Proxy::mend`].
    pub fn refuse(&self, path: &str, status: u16) {
        self.add(None, path, What::Answer(StatusCode::from_u16(status).expect("a status")), None);
    }

    /// The next `times` such requests of this method are answered with `status`.
    pub fn refuse_next(&self, method: Method, path: &str, status: u16, times: u32) {
        self.add(Some(method), path, What::Answer(StatusCode::from_u16(status).expect("a status")), Some(times));
    }

    /// The next `times` such requests of this method are refused in JSON with these words, and with `Retry-After` where it is
    /// about the rate of requests.
    pub fn say_next(
        &self,
        method: Method,
        path: &str,
        (status, words): (u16, &'static str),
        wait: Option<u64>,
        times: u32,
    ) {
        let what = What::Say(StatusCode::from_u16(status).expect("a status"), words, wait);
        self.add(Some(method), path, what, Some(times));
    }

    /// The next such request waits until [`Proxy::let_pass`].
    pub fn hold_next(&self, method: Method, path: &str) {
        self.add(Some(method), path, What::Hold, Some(1));
    }

    /// One more request is held.
    pub async fn holds(&self) {
        let mut held = self.held.subscribe();
        let passing = *self.passing.borrow();
        held.wait_for(|held| *held > passing).await.expect("the proxy runs");
    }

    /// What is held goes on to the forge.
    pub fn let_pass(&self) {
        let held = *self.held.borrow();
        self.passing.send_replace(held);
    }

    /// The forge does what the next such request asks, but nobody hears its answer.
    pub fn lose_next_answer(&self, method: Method, path: &str) {
        self.add(Some(method), path, What::LoseAnswer, Some(1));
    }

    /// The next such request is heard and never answered; the forge does not get it.
    pub fn hang_next(&self, method: Method, path: &str) {
        self.add(Some(method), path, What::Hang, Some(1));
    }

    /// Every request whose path has this text is heard and never answered, until [`Proxy::mend`].
    pub fn silence(&self, path: &str) {
        self.add(None, path, What::Hang, None);
    }

    /// Objects are asked for and never given, until [`Proxy::mend`]; refs are told.
    pub fn silence_fetches(&self) {
        let fault = Fault {
            method: None,
            path: "git-upload-pack".to_owned(),
            body: "command=fetch",
            what: What::Hang,
            times: None,
        };
        self.faults.lock().expect("faults").push(fault);
    }

    /// All is well again.
    pub fn mend(&self) {
        self.faults.lock().expect("faults").clear();
    }

    /// How many requests of this method had this text in their path so far.
    pub fn count(&self, method: &Method, path: &str) -> usize {
        self.moments(method, path).len()
    }

    /// When requests of this method with this text in their path came so far.
    pub fn moments(&self, method: &Method, path: &str) -> Vec<Instant> {
        let seen = self.seen.lock().expect("requests");
        let such = seen.iter().filter(|(seen, at, _)| seen == method && at.contains(path));
        such.map(|(_, _, when)| *when).collect()
    }

    /// How many requests came between two moments.
    pub fn count_between(&self, from: Instant, to: Instant) -> usize {
        let seen = self.seen.lock().expect("requests");
        seen.iter().filter(|(_, _, when)| (from..to).contains(when)).count()
    }

    fn fault(&self, method: &Method, path: &str, body: &[u8]) -> Option<What> {
        let mut faults = self.faults.lock().expect("faults");
        let matches = |fault: &Fault| {
            fault.method.as_ref().is_none_or(|wanted| wanted == method)
                && path.contains(&fault.path)
                && (fault.body.is_empty() || String::from_utf8_lossy(body).contains(fault.body))
                && fault.times != Some(0)
        };
        let fault = faults.iter_mut().find(|fault| matches(fault))?;
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.what)
    }
}

async fn pass(State(proxy): State<Proxy>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    proxy.seen.lock().expect("requests").push((method.clone(), path.clone(), Instant::now()));
    let fault = proxy.fault(&method, &path, &body);
    match fault {
        Some(What::Answer(status)) => return (status, "<html>Bad gateway</html>").into_response(),
        Some(What::Say(status, words, wait)) => {
            let said = (status, serde_json::json!({ "message": words }).to_string());
            let wait = wait.map(|seconds| [("retry-after", seconds.to_string())]);
            return wait.map_or_else(|| said.clone().into_response(), |wait| (wait, said.clone()).into_response());
        }
        Some(What::Hang) => return std::future::pending().await,
        Some(What::Hold) => {
            let turn = {
                let mut turn = 0;
                proxy.held.send_modify(|held| {
                    *held += 1;
                    turn = *held;
                });
                turn
            };
            let mut passing = proxy.passing.subscribe();
            passing.wait_for(|passing| *passing >= turn).await.expect("the story goes on");
        }
        Some(What::LoseAnswer) | None => {}
    }
    let mut request = proxy.http.request(method, format!("{}{path}", proxy.forge)).body(body);
    for (name, value) in &headers {
        if name != "host" && name != "content-length" {
            request = request.header(name, value);
        }
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != "transfer-encoding" && name != "content-length" && name != "connection" {
            response = response.header(name, value);
        }
    }
    let Ok(bytes) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    if fault == Some(What::LoseAnswer) {
        return (StatusCode::BAD_GATEWAY, "the connection broke").into_response();
    }
    response.body(Body::from(bytes)).unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

/// A delivery on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Delivery {
    pub fn event(&self) -> String {
        self.headers.get("x-gitea-event").and_then(|event| event.to_str().ok()).unwrap_or_default().to_owned()
    }
}

/// What happens to deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    Deliver,
    Drop,
    /// Kept until a story delivers them itself.
    Hold,
}

/// The way from the forge to drift-gate.
#[derive(Clone)]
pub struct Relay {
    http: reqwest::Client,
    post: Arc<Mutex<Post>>,
    held: Arc<Mutex<Vec<Delivery>>>,
    targets: Arc<Mutex<Vec<String>>>,
    pub url: String,
}

impl Relay {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let relay = Self {
            http: reqwest::Client::new(),
            post: Arc::new(Mutex::new(Post::Deliver)),
            held: Arc::default(),
            targets: Arc::default(),
            url,
        };
        let router = Router::new().fallback(receive).with_state(relay.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        relay
    }

    /// Where deliveries go on to.
    pub fn to(&self, target: &str) {
        *self.targets.lock().expect("targets") = vec![target.to_owned()];
    }

    /// Each goes on to all of these, at the same moment.
    pub fn to_all(&self, targets: Vec<String>) {
        *self.targets.lock().expect("targets") = targets;
    }

    pub fn set(&self, post: Post) {
        *self.post.lock().expect("post") = post;
    }

    /// What was held so far; the list starts anew.
    pub fn take(&self) -> Vec<Delivery> {
        std::mem::take(&mut *self.held.lock().expect("held"))
    }

    /// How many deliveries of an event are held.
    pub fn held(&self, event: &str) -> usize {
        self.held.lock().expect("held").iter().filter(|delivery| delivery.event() == event).count()
    }

    /// Delivers; the answer's status, 202 where one of several took it.
    pub async fn deliver(&self, delivery: &Delivery) -> u16 {
        let targets = self.targets.lock().expect("targets").clone();
        let answers = targets.iter().map(|target| self.deliver_to(target, delivery));
        let answers = futures_util::future::join_all(answers).await;
        answers.iter().copied().find(|status| *status == 202).or(answers.first().copied()).unwrap_or(0)
    }

    async fn deliver_to(&self, target: &str, delivery: &Delivery) -> u16 {
        let mut request = self.http.post(format!("{target}/hooks/main")).body(delivery.body.clone());
        for (name, value) in &delivery.headers {
            if name != "host" && name != "content-length" {
                request = request.header(name, value);
            }
        }
        request.send().await.map_or(0, |answer| answer.status().as_u16())
    }
}

async fn receive(State(relay): State<Relay>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let delivery = Delivery { headers, body };
    let post = *relay.post.lock().expect("post");
    match post {
        Post::Drop => StatusCode::ACCEPTED,
        Post::Hold => {
            relay.held.lock().expect("held").push(delivery);
            StatusCode::ACCEPTED
        }
        Post::Deliver => StatusCode::from_u16(relay.deliver(&delivery).await).unwrap_or(StatusCode::BAD_GATEWAY),
    }
}

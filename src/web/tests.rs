//! The web over real sockets: what a forge, a browser and an attacker get.

mod api;
mod pages;

use std::sync::Mutex;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode as Code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::dashboard::{Gap, GateRow, HeadRow, Overview, Unsent, WaivedRow};
use super::*;
use crate::forge::webhook::Hint;
use crate::tree::ObjectId;

const SECRET: &str = "the hook's secret";
const TOKEN: &str = "the admin token";

/// Remembers what it was given; breaks when told to.
#[derive(Default)]
struct Desk {
    accepted: Mutex<Vec<Delivery>>,
    broken: bool,
    private: bool,
}

#[async_trait::async_trait]
impl Backend for Desk {
    async fn accept(&self, _: &str, delivery: Delivery) -> Result<Accepted, Unavailable> {
        if self.broken {
            return Err(Unavailable("the disk is full".to_owned()));
        }
        let known = delivery.repository.as_ref().is_none_or(|repo| repo.full_name.0 == "molecule/core");
        let answer = match delivery.hint {
            Hint::Nothing(_) | Hint::Unknown | Hint::Ping => Accepted::Ignored,
            _ if known => Accepted::Queued,
            _ => Accepted::UnknownRepository,
        };
        self.accepted.lock().unwrap().push(delivery);
        Ok(answer)
    }

    async fn page(&self, id: &str) -> Result<Option<page::PageData>, Unavailable> {
        match id {
            "c0de" => Ok(Some(page::tests::page_on_core(self.private))),
            "dead" => panic!("a panic in a handler"),
            "5105" => std::future::pending().await,
            "b0b0" => Err(Unavailable("locked".to_owned())),
            _ => Ok(None),
        }
    }

    async fn overview(&self) -> Result<Overview, Unavailable> {
        let sha = ObjectId::parse(&"a".repeat(40)).unwrap();
        let head = HeadRow {
            repo: "molecule/core".to_owned(),
            branch: "main".to_owned(),
            sha: sha.clone(),
            page: "abc".to_owned(),
            state: crate::forge::State::Failure,
            description: "config.yaml differs".to_owned(),
            decided_at: clock(),
        };
        Ok(Overview {
            gates: vec![GateRow {
                name: "identity".to_owned(),
                context: "drift-gate".to_owned(),
                consumer: "molecule/core".to_owned(),
                source: "molecule/template".to_owned(),
                public: !self.private,
                heads: vec![head],
            }],
            unsent: vec![Unsent {
                repo: "molecule/core".to_owned(),
                sha,
                page: "abc".to_owned(),
                state: crate::forge::State::Failure,
                decided_at: clock(),
                attempts: 2,
                trouble: Some("502 Bad Gateway".to_owned()),
            }],
            last_gap: Some(Gap {
                found_at: clock(),
                missed: 3,
                repaired: 3,
                redelivered: 2,
                oldest: Duration::from_secs(240),
            }),
            parked: serde_json::from_value(serde_json::json!({ "count": 1, "first": [{
                "target": "bad", "forge": "main", "repository": "molecule/core", "sha": "b".repeat(40),
                "context": "drift-gate", "because": "not_judged", "why": "no such <branch>", "until": null
            }] }))
            .unwrap(),
            alarms: Vec::new(),
            waivers: vec![WaivedRow {
                repo: "molecule/core".to_owned(),
                pull: 12,
                address: "https://git.example.org/molecule/core/pulls/12".to_owned(),
                waived: page::Waived {
                    gate: "identity".to_owned(),
                    by: "alice".to_owned(),
                    reason: "hot <fix>".to_owned(),
                    at: clock(),
                    until: None,
                },
            }],
            said: Vec::new(),
            waiting: 1,
        })
    }

    async fn deliveries(&self, before: Option<i64>, most: usize) -> Result<Vec<super::api::Delivery>, Unavailable> {
        self.works()?;
        let delivery = |number| super::api::Delivery {
            number,
            forge: "main".to_owned(),
            delivery: format!("id {number}"),
            event: "push".to_owned(),
            repository: "molecule/core".to_owned(),
            outcome: "look".to_owned(),
            received_at: clock(),
        };
        let all = (1..=ROWS as i64).rev().filter(|number| before.is_none_or(|before| *number < before));
        Ok(all.take(most).map(delivery).collect())
    }

    async fn audit(&self, before: Option<i64>, most: usize) -> Result<Vec<super::api::Audited>, Unavailable> {
        self.works()?;
        let line = |number| super::api::Audited {
            number,
            at: clock(),
            forge: "main".to_owned(),
            repository: "molecule/core".to_owned(),
            pull: 12,
            comment: Some(7),
            by: Some("alice".to_owned()),
            act: "waive".to_owned(),
            gate: None,
            words: "hot fix".to_owned(),
        };
        let all = (1..=ROWS as i64).rev().filter(|number| before.is_none_or(|before| *number < before));
        Ok(all.take(most).map(line).collect())
    }

    async fn targets(
        &self,
        after: Option<super::api::TargetCursor>,
        most: usize,
    ) -> Result<Vec<super::api::Target>, Unavailable> {
        self.works()?;
        let after = after.unwrap_or((i64::MAX, String::new()));
        // Two were decided at one moment each.
        let all = (0..ROWS).map(|row| (clock().timestamp_millis() - row as i64 / 2, format!("{:02x}", 0xff - row)));
        Ok(all.filter(|key| *key < after).take(most).map(|(at, id)| target(at, &id)).collect())
    }

    async fn gates(&self, after: Option<String>, most: usize) -> Result<Vec<super::api::Gate>, Unavailable> {
        self.works()?;
        let all = (0..ROWS).map(|row| format!("main/molecule/core:gate-{row}"));
        Ok(all.filter(|id| after.as_ref().is_none_or(|after| id > after)).take(most).map(gate).collect())
    }

    async fn report(&self, id: &str) -> Result<Option<super::api::Reports>, Unavailable> {
        self.works()?;
        let target = (id == "c0de").then(|| target(0, id));
        Ok(target.map(|target| super::api::Reports { target, reports: Vec::new(), earlier: Vec::new() }))
    }

    async fn under_way(&self) -> Result<UnderWay, Unavailable> {
        self.works()?;
        let none = serde_json::json!({ "count": 0, "first": [] });
        let under_way = serde_json::json!({
            "at": clock(), "dirty": none, "leased": none, "parked": none, "unsent": none, "last_gap": null
        });
        Ok(serde_json::from_value(under_way).unwrap())
    }

    async fn queue(&self) -> Result<Queue, Unavailable> {
        Ok(Queue { repositories: 2, oldest: Duration::from_secs(90), unsent: 1, ..Queue::default() })
    }

    async fn ready(&self) -> Vec<Readiness> {
        let trouble = self.broken.then(|| "403 no write access".to_owned());
        vec![
            Readiness { name: "store".to_owned(), trouble: None },
            Readiness { name: "write molecule/core".to_owned(), trouble },
        ]
    }
}

/// How many of each the API has to tell.
const ROWS: usize = 5;

impl Desk {
    fn works(&self) -> Result<(), Unavailable> {
        if self.broken { Err(Unavailable("the disk is full".to_owned())) } else { Ok(()) }
    }
}

fn target(decided_at: i64, id: &str) -> super::api::Target {
    super::api::Target {
        id: id.to_owned(),
        forge: "main".to_owned(),
        repository: "molecule/core".to_owned(),
        sha: "a".repeat(40),
        context: "drift-gate".to_owned(),
        state: "success".to_owned(),
        description: "in sync".to_owned(),
        decided_at: DateTime::from_timestamp_millis(decided_at).unwrap(),
        head: true,
        roles: Vec::new(),
        sent: true,
        told: None,
        attempts: 0,
        trouble: None,
        parked: None,
        leased: None,
        page: "https://gate.example.org/r/abc".to_owned(),
    }
}

fn gate(id: String) -> super::api::Gate {
    let (forge, repository) = ("main".to_owned(), "molecule/core".to_owned());
    super::api::Gate {
        name: "gate".to_owned(),
        context: "drift-gate".to_owned(),
        source: super::api::SourceSide {
            forge: forge.clone(),
            repository: repository.clone(),
            branch: "main".to_owned(),
        },
        consumer: super::api::ConsumerSide { forge, repository, branches: vec!["main".to_owned()] },
        binding: serde_json::json!({ "follow": true }),
        stands_in: super::api::Place::Service,
        config_digest: "0".repeat(64),
        heads: Vec::new(),
        id,
    }
}

fn clock() -> DateTime<Utc> {
    page::tests::now()
}

struct Web {
    address: std::net::SocketAddr,
    desk: Arc<Desk>,
    http: reqwest::Client,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Web {
    async fn start() -> Self {
        Self::with(Desk::default(), impatient(), false).await
    }

    async fn with(desk: Desk, limits: Limits, open: bool) -> Self {
        let hook = HookForge { kind: ForgeKind::Gitea, secrets: vec![SECRET.to_owned().into()] };
        let settings = Settings {
            public_url: "https://gate.example.org".to_owned(),
            forges: [("main".to_owned(), hook)].into(),
            admin_token: Some(TOKEN.to_owned().into()),
            session_secret: "the link secret".to_owned().into(),
            open,
            limits,
            clock,
        };
        let (desk, shutdown) = (Arc::new(desk), CancellationToken::new());
        let router = router(desk.clone(), settings, Metrics::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { address, desk, http, shutdown, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> (Code, HeaderMap, String) {
        self.send(self.http.get(self.url(path))).await
    }

    async fn as_operator(&self, path: &str) -> (Code, HeaderMap, String) {
        self.send(self.http.get(self.url(path)).bearer_auth(TOKEN)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (Code, HeaderMap, String) {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        (status, headers, response.text().await.unwrap())
    }

    /// A delivery as Gitea sends it.
    fn delivery(&self, event: &str, body: &str) -> reqwest::RequestBuilder {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        self.http
            .post(self.url("/hooks/main"))
            .header("content-type", "application/json")
            .header("x-gitea-event", event)
            .header("x-gitea-delivery", "5f3a")
            .header("x-gitea-signature", hex::encode(mac.finalize().into_bytes()))
            .body(body.to_owned())
    }

    async fn status(&self, request: reqwest::RequestBuilder) -> u16 {
        self.send(request).await.0.as_u16()
    }

    fn accepted(&self) -> Vec<Delivery> {
        self.desk.accepted.lock().unwrap().clone()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Short enough for a test to wait for, long enough for a busy machine.
fn impatient() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_millis(600),
        drain: Duration::from_millis(500),
        ..Limits::default()
    }
}

/// All that the peer sends until it closes; fails if it does not close.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end as well: the peer closes with input unread.
    let read = async {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..length]);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("the connection is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

const PUSH: &str = r#"{"ref": "refs/heads/main", "before": "1111111111111111111111111111111111111111",
    "after": "2222222222222222222222222222222222222222", "repository": {"id": 7, "full_name": "molecule/core"}}"#;

#[tokio::test]
async fn a_signed_push_is_accepted_once_it_is_stored() {
    let web = Web::start().await;
    let (status, _, body) = web.send(web.delivery("push", PUSH)).await;
    assert_eq!((status.as_u16(), body.as_str()), (202, "accepted\n"));
    let accepted = web.accepted();
    assert_eq!(accepted.len(), 1);
    assert!(matches!(&accepted[0].hint, Hint::Push { branch, .. } if branch == "main"), "{accepted:?}");
}

#[tokio::test]
async fn a_delivery_that_nobody_signed_reaches_nobody() {
    let web = Web::start().await;
    let signature = |value: &str| {
        web.http
            .post(web.url("/hooks/main"))
            .header("content-type", "application/json")
            .header("x-gitea-event", "push")
            .header("x-hub-signature-256", value)
            .body(PUSH)
    };
    let unsigned = web.http.post(web.url("/hooks/main")).header("content-type", "application/json").body(PUSH);
    assert_eq!(web.status(unsigned).await, 401, "absent");
    assert_eq!(web.status(web.http.post(web.url("/hooks/main")).body("{}")).await, 401, "nothing at all");
    assert_eq!(web.status(signature("")).await, 401, "empty");
    assert_eq!(web.status(signature("sha256=")).await, 401, "empty, as a hook without a secret sends it");
    assert_eq!(web.status(signature(&format!("sha256={}", "0".repeat(64)))).await, 401, "wrong");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(PUSH.as_bytes());
    let right = hex::encode(mac.finalize().into_bytes());
    assert_eq!(web.status(signature(&format!("sha256={}", &right[..40]))).await, 401, "truncated");
    assert_eq!(web.status(web.delivery("push", PUSH).body("{}")).await, 401, "of another body");
    assert_eq!(web.accepted(), []);
    assert_eq!(web.status(signature(&format!("sha256={right}"))).await, 202, "the right one");
}

#[tokio::test]
async fn what_cannot_be_a_delivery_is_answered_in_kind() {
    let web = Web::start().await;
    let (status, headers, _) = web.get("/hooks/main").await;
    assert_eq!((status.as_u16(), headers["allow"].to_str().unwrap()), (405, "POST"));
    let elsewhere = web.delivery("push", PUSH).build().unwrap();
    let elsewhere = web.http.post(web.url("/hooks/nowhere")).headers(elsewhere.headers().clone()).body(PUSH);
    assert_eq!(web.status(elsewhere).await, 404);
    let form = web.delivery("push", PUSH).build().unwrap();
    let mut headers = form.headers().clone();
    headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    assert_eq!(web.status(web.http.post(web.url("/hooks/main")).headers(headers).body(PUSH)).await, 415);
    assert_eq!(web.status(web.delivery("push", "not json")).await, 400);
    assert_eq!(web.accepted(), []);
}

#[tokio::test]
async fn a_genuine_delivery_is_never_refused_for_what_it_says() {
    let web = Web::start().await;
    let (status, _, body) = web.send(web.delivery("moon_phase", "{}")).await;
    assert_eq!((status.as_u16(), body.as_str()), (202, "nothing to do: unknown event\n"));
    let elsewhere = PUSH.replace("molecule/core", "else/where");
    let (status, _, body) = web.send(web.delivery("push", &elsewhere)).await;
    assert_eq!((status.as_u16(), body.as_str()), (202, "nothing to do: no gate names this repository\n"));
    let other = r#"{"ref": 12, "repository": {"id": 7, "full_name": "molecule/core"}}"#;
    let (status, _, body) = web.send(web.delivery("push", other)).await;
    assert_eq!((status.as_u16(), body.as_str()), (202, "accepted\n"));
    assert_eq!(web.accepted().last().unwrap().hint, Hint::Unparsed, "its repository is looked at");
    let (_, _, metrics) = web.get("/metrics").await;
    for line in [r#"result="unknown_event"} 1"#, r#"result="unknown_repository"} 1"#, r#"result="accepted"} 1"#] {
        assert!(metrics.contains(line), "`{line}` is not counted:\n{metrics}");
    }
}

#[tokio::test]
async fn a_delivery_that_cannot_be_stored_is_to_be_sent_again() {
    let web = Web::with(Desk { broken: true, ..Desk::default() }, impatient(), false).await;
    let (status, headers, body) = web.send(web.delivery("push", PUSH)).await;
    assert_eq!(status.as_u16(), 503);
    assert!(headers.contains_key("retry-after"));
    assert!(!body.contains("disk"), "{body}");
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_while_most_of_it_is_unsent() {
    let web = Web::start().await;
    let mut declared = web.connect().await;
    declared.write_all(b"POST /hooks/main HTTP/1.1\r\nhost: x\r\ncontent-length: 30000000\r\n\r\nfirst").await.unwrap();
    let answer = until_closed(&mut declared).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_read_up_to_the_cap_only() {
    let web = Web::with(Desk::default(), Limits { body_cap: 100_000, ..impatient() }, false).await;
    let mut stream = web.connect().await;
    let head =
        "POST /hooks/main HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n";
    stream.write_all(format!("{head}x-gitea-signature: {}\r\n\r\n", "0".repeat(64)).as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 50_000, "x".repeat(50_000));
    for _ in 0..3 {
        // It may have hung up already.
        let _ = stream.write_all(chunk.as_bytes()).await;
    }
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_delivery_of_some_megabytes_is_taken() {
    let web = Web::with(Desk::default(), Limits { body_timeout: Duration::from_secs(30), ..impatient() }, false).await;
    let body = PUSH.replacen('{', &format!("{{\"filler\": \"{}\", ", "x".repeat(3_000_000)), 1);
    assert_eq!(web.status(web.delivery("push", &body)).await, 202);
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut() {
    let web = Web::start().await;
    let mut stream = web.connect().await;
    stream.write_all(b"POST /hooks/main HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    until_closed(&mut stream).await;
    let mut silent = web.connect().await;
    assert_eq!(until_closed(&mut silent).await, "", "a connection that says nothing is cut as well");
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut() {
    let web = Web::start().await;
    let mut stream = web.connect().await;
    let head = "POST /hooks/main HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n";
    stream.write_all(format!("{head}x-gitea-signature: {}\r\n\r\n{{", "0".repeat(64)).as_bytes()).await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_answer() {
    let web = Web::start().await;
    let mut stream = web.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("alive\n"), "{answer}");
}

#[tokio::test]
async fn connections_over_the_limit_wait_and_are_served_in_turn() {
    let web = Web::with(Desk::default(), Limits { connections: 1, ..impatient() }, false).await;
    let first = web.connect().await;
    let mut second = web.connect().await;
    second.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut second).await.ends_with("alive\n"), "served once the silent one is cut");
    drop(first);
}

#[tokio::test]
async fn a_connection_has_an_age() {
    let limits =
        Limits { connection_age: Duration::from_millis(200), header_timeout: Duration::from_secs(60), ..impatient() };
    let web = Web::with(Desk::default(), limits, false).await;
    let mut stream = web.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut stream).await.ends_with("alive\n"));
}

#[tokio::test]
async fn a_shutdown_ends_idle_connections_and_refuses_new_ones() {
    let web =
        Web::with(Desk::default(), Limits { header_timeout: Duration::from_secs(60), ..impatient() }, false).await;
    let mut idle = web.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    web.shutdown.cancel();
    until_closed(&mut idle).await;
    web.task.await.unwrap();
    assert!(TcpStream::connect(web.address).await.is_err());
}

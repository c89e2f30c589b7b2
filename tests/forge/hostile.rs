//! What a network, a proxy or somebody in between may do, and what must not come of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use drift_gate::config::{self, ForgeKind};
use drift_gate::forge::http::ANSWER_LIMIT;
use drift_gate::forge::{ConnectError, Forge, ForgeError, RepoName, State, Status, connect_with};
use drift_gate::tree::ObjectId;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::io::ReaderStream;
use tower_http::compression::CompressionLayer;

use crate::server::{Reply, Server, TOKEN, listen, patient_client, quick_client};

fn configured(kind: ForgeKind, url: &str) -> config::Forge {
    let (name, url) = ("main".to_owned(), url.to_owned());
    config::Forge { name, kind, url, token: None, app: None, check_runs: false, webhook_secrets: Vec::new() }
}

fn forge(kind: ForgeKind, url: &str, client: reqwest::Client) -> Arc<dyn Forge> {
    connect_with(&configured(kind, url), Some(TOKEN.to_owned().into()), client).unwrap()
}

fn gitea(url: &str) -> Arc<dyn Forge> {
    forge(ForgeKind::Gitea, url, patient_client())
}

fn core() -> RepoName {
    RepoName("molecule/core".to_owned())
}

fn head() -> ObjectId {
    ObjectId::parse(&"a".repeat(40)).unwrap()
}

fn status() -> Status {
    Status::new("drift-gate", State::Success, "in sync", "https://gate.example.org/r/1")
}

/// A server that reads a request's head, does as it is told, and closes.
async fn raw<F>(act: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            tokio::spawn(act(stream));
        }
    });
    url
}

#[tokio::test]
async fn a_redirect_to_another_host_takes_neither_token_nor_status_there() {
    for kind in [ForgeKind::Gitea, ForgeKind::GitHub] {
        for code in [301, 302, 303, 307, 308] {
            let thief = Server::start(|_| Reply::json(200, &json!({"id": 1, "login": "x", "state": "success"}))).await;
            let location = format!("{}/collect", thief.url);
            let honest = Server::start(move |_| Reply::text(code, "").with("location", &location)).await;
            let forge = forge(kind, &honest.url, patient_client());
            assert!(forge.whoami().await.is_err());
            assert!(forge.repository(&core()).await.is_err());
            assert!(forge.open_pulls(&core()).await.is_err());
            assert!(forge.post_status(&core(), &head(), &status()).await.is_err());
            assert!(forge.react(&core(), 1, "eyes").await.is_err());
            // Only what was sent on counts: a client of another test may still be trying a port that it had before.
            let stolen: Vec<_> = thief.seen().into_iter().filter(|asked| asked.path.contains("collect")).collect();
            assert!(stolen.is_empty(), "{kind:?} {code}: {stolen:?}");
            assert_eq!(honest.seen().len(), 5);
        }
    }
}

#[tokio::test]
async fn a_forge_that_answers_from_another_address_tells_the_operator_which() {
    let server =
        Server::start(|asked| Reply::text(301, "").with("location", format!("https://git.example.org{}", asked.path)))
            .await;
    let error = gitea(&server.url).repository(&core()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Refused { status: 301, .. }), "not a renamed repository: {error}");
    assert!(error.to_string().contains("answers from https://git.example.org"), "{error}");
}

#[tokio::test]
async fn a_login_page_before_the_forge_is_never_taken_for_an_answer() {
    let server = Server::start(|_| Reply::text(200, "<html><form>Sign in</form></html>")).await;
    let forge = gitea(&server.url);
    for error in [
        forge.whoami().await.unwrap_err(),
        forge.open_pulls(&core()).await.unwrap_err(),
        forge.post_status(&core(), &head(), &status()).await.unwrap_err(),
        forge.react(&core(), 1, "eyes").await.unwrap_err(),
    ] {
        assert!(matches!(error, ForgeError::Transient { .. }), "{error}");
    }
    let elsewhere = Server::start(|_| Reply::text(302, "").with("location", "/login")).await;
    let error = gitea(&elsewhere.url).repository(&core()).await.unwrap_err();
    assert!(error.to_string().contains("login page"), "{error}");
}

#[tokio::test]
async fn a_refusal_that_is_no_forges_is_told_as_a_proxys() {
    for body in ["error code: 1010", "<html>Access denied</html>"] {
        let server = Server::start(move |_| Reply::text(403, body)).await;
        let error = gitea(&server.url).post_status(&core(), &head(), &status()).await.unwrap_err();
        assert!(matches!(error, ForgeError::Denied { status: 403, .. }), "{error}");
        assert!(error.to_string().contains("does a proxy before the forge refuse us?"), "{error}");
    }
    let server = Server::start(|_| Reply::json(403, &json!({"message": "no"}))).await;
    let error = gitea(&server.url).post_status(&core(), &head(), &status()).await.unwrap_err();
    assert!(error.to_string().ends_with("403 no"), "{error}");
}

#[tokio::test]
async fn a_gateway_error_is_transient_and_the_status_was_sent_once() {
    for code in [500, 502, 503, 504] {
        let server = Server::start(move |_| Reply::text(code, "<html>Bad Gateway</html>")).await;
        let forge = forge(ForgeKind::GitHub, &server.url, patient_client());
        let error = forge.post_status(&core(), &head(), &status()).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(!error.to_string().contains("<html>"), "{error}");
        assert_eq!(server.seen().len(), 1, "repeating is not the adapter's business");
    }
}

#[tokio::test]
async fn half_an_answer_is_transient() {
    let halves = [
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"id\": 1, \"log",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"id\": 1, \"log",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200",
        "",
    ];
    for half in halves {
        let url = raw(move |mut stream| async move { drop(stream.write_all(half.as_bytes()).await) }).await;
        let error = gitea(&url).whoami().await.unwrap_err();
        assert!(matches!(error, ForgeError::Transient { .. }), "{half:?}: {error}");
        assert!(error.to_string().starts_with(&format!("GET {url}/api/v1/user: ")), "{error}");
    }
}

/// The error of a call that would never end by itself.
async fn cut_off(url: &str) -> ForgeError {
    let forge = forge(ForgeKind::Gitea, url, quick_client());
    let answer = tokio::time::timeout(Duration::from_secs(20), forge.whoami()).await;
    let error = answer.expect("the client's own time-out ends the call").unwrap_err();
    assert!(matches!(error, ForgeError::Transient { .. }), "{error}");
    error
}

#[tokio::test]
async fn an_answer_that_drips_for_ever_is_cut() {
    let url = raw(|mut stream| async move {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{";
        let mut going = stream.write_all(head.as_bytes()).await;
        let mut drops = tokio::time::interval(Duration::from_millis(20));
        while going.is_ok() {
            drops.tick().await;
            going = stream.write_all(b" ").await;
        }
    })
    .await;
    let error = cut_off(&url).await;
    assert!(error.to_string().contains("within the time-out"), "each byte came in time, the answer did not: {error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_cut() {
    let url = raw(|mut stream| async move { drop(stream.read(&mut [0]).await) }).await;
    cut_off(&url).await;
}

#[tokio::test]
async fn of_an_answer_of_300_mb_no_more_than_the_limit_is_read() {
    const HUGE: usize = 300 * 1000 * 1000;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let url = raw(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {HUGE}\r\n\r\n");
            let mut going = stream.write_all(head.as_bytes()).await;
            let chunk = vec![b' '; 64 * 1024];
            while going.is_ok() && count.load(Ordering::Relaxed) < HUGE {
                going = stream.write_all(&chunk).await;
                count.fetch_add(chunk.len(), Ordering::Relaxed);
            }
        }
    })
    .await;
    let error = gitea(&url).whoami().await.unwrap_err();
    assert!(matches!(error, ForgeError::Refused { .. }), "asking again would get the same: {error}");
    assert!(error.to_string().contains("larger than 32 MiB"), "{error}");
    // What the sockets' buffers hold comes on top.
    assert!(sent.load(Ordering::Relaxed) < ANSWER_LIMIT + 32 * 1024 * 1024);
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_300_mb_is_bounded_too() {
    let app = axum::Router::new()
        .fallback(async || {
            let blanks = tokio::io::repeat(b' ').take(300 * 1000 * 1000);
            ([("content-type", "application/json")], Body::from_stream(ReaderStream::with_capacity(blanks, 256 * 1024)))
        })
        .layer(CompressionLayer::new());
    let error = gitea(&listen(app).await).whoami().await.unwrap_err();
    assert!(error.to_string().contains("larger than 32 MiB"), "{error}");
}

#[tokio::test]
async fn a_forge_that_is_down_is_transient_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = gitea(&url).repository(&core()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Transient { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("GET {url}/api/v1/repos/molecule/core: no connection")), "{text}");
}

#[tokio::test]
async fn no_error_tells_the_token_not_even_when_the_forge_does() {
    let server = Server::start(|asked| {
        let echoed = format!("bad credentials: {}", asked.headers["authorization"].to_str().unwrap());
        Reply::json(401, &json!({"message": echoed}))
    })
    .await;
    let error = gitea(&server.url).whoami().await.unwrap_err();
    assert!(error.to_string().ends_with("401 bad credentials: token ***"), "{error}");
    assert!(!format!("{error:?}").contains(TOKEN));
}

#[tokio::test]
async fn json_of_another_shape_is_refused_rather_than_asked_for_again() {
    let server = Server::start(|_| Reply::json(200, &json!({"name": "someone"}))).await;
    let error = gitea(&server.url).whoami().await.unwrap_err();
    assert!(matches!(error, ForgeError::Refused { status: 200, .. }), "{error}");
    assert!(error.to_string().contains("unexpected shape: missing field `id`"), "{error}");
}

#[tokio::test]
async fn an_address_or_token_that_cannot_be_one_is_refused_before_anything_is_sent() {
    let connect = |url: &str, token: &str| {
        connect_with(&configured(ForgeKind::Gitea, url), Some(token.to_owned().into()), patient_client()).map(drop)
    };
    for url in ["git.example.org", "ssh://git.example.org", "https://", "", "https://h/?a=b", "https://h/#x"] {
        let error = connect(url, "t").unwrap_err();
        assert!(error.to_string().starts_with("forge.main.url: "), "{error}");
    }
    let error = connect("https://bot:hunter2@git.example.org", "t").unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let error = connect("https://git.example.org", "two\nlines").unwrap_err();
    assert!(matches!(error, ConnectError::Token { .. }));
    assert!(!error.to_string().contains("lines"), "{error}");
}

#[test]
fn outside_a_runtime_connecting_is_an_error_and_no_panic() {
    for kind in [ForgeKind::Gitea, ForgeKind::GitHub] {
        let result = connect_with(&configured(kind, "https://git.example.org"), None, patient_client());
        assert!(matches!(result.map(drop), Err(ConnectError::NoRuntime)));
    }
}

//! Sides at addresses: fetched as far as they are read.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode, header};
use drift_gate::demo::smart_http::{info_refs, upload_pack};
use serde_json::Value;

use crate::world::{ELSEWHERE, World, ends_with, err, out, pinned};

/// Serves both repositories of a world; the threads end with the test.
struct Served {
    address: String,
    /// The `Authorization` of each request.
    tokens: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    fn start(world: &World) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let tokens: Arc<Mutex<Vec<String>>> = Arc::default();
        let folders = [("core", world.core.path()), ("template", world.template.path())];
        let folders = folders.map(|(name, path)| (name, PathBuf::from(path).join(".git")));
        let (folders, kept) = (Arc::new(folders), tokens.clone());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = format!("http://{}/molecule", listener.local_addr().expect("an address"));
        let app = axum::Router::new().fallback(move |request| answer(folders.clone(), kept.clone(), request));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, tokens, _runtime: runtime }
    }

    fn of(&self, name: &str) -> String {
        format!("{}/{name}.git", self.address)
    }
}

async fn answer(
    folders: Arc<[(&'static str, PathBuf); 2]>,
    tokens: Arc<Mutex<Vec<String>>>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    tokens.lock().expect("whole").push(header("authorization").unwrap_or_default());
    let protocol = header("git-protocol");
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let found = folders.iter().find_map(|(name, folder)| {
        let rest = path.strip_prefix(&format!("/molecule/{name}.git/"))?;
        Some((folder.clone(), rest.to_owned()))
    });
    let Some((folder, rest)) = found else {
        return Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty()).expect("an answer");
    };
    let told = tokio::task::spawn_blocking(move || match rest.as_str() {
        "info/refs" => info_refs(&folder, query.strip_prefix("service=").unwrap_or_default(), protocol.as_deref()),
        _ => upload_pack(&folder, protocol.as_deref(), &body),
    });
    let told = told.await.expect("an answer");
    let response = Response::builder().status(told.status).header(header::CONTENT_TYPE, told.content_type);
    response.body(Body::from(told.body)).expect("an answer")
}

fn verdict(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}{}", out(output), err(output)))
}

#[test]
fn two_addresses_are_judged_like_two_folders() {
    let world = World::new();
    world.template.commit(3_000, &[("config.yaml", "name: two\n")]);
    let served = Served::start(&world);
    let sides = ["--consumer", &served.of("core"), "--source", &served.of("template"), "--format", "json"];
    let fetched = world.run("check", &sides);
    ends_with(&fetched, 1);
    let here = world.check(&["--consumer-rev", "HEAD", "--source-rev", "HEAD", "--format", "json"]);
    assert_eq!(verdict(&fetched), verdict(&here));
    assert_eq!(verdict(&fetched)["findings"][0]["kind"], "stale");
    assert!(err(&fetched).is_empty(), "no progress where there is no terminal: {}", err(&fetched));
    let asked = served.tokens.lock().unwrap().len();
    assert!(world.caches().is_dir());
    ends_with(&world.run("check", &sides), 1);
    let again = served.tokens.lock().unwrap().len() - asked;
    assert!(again < asked, "what was fetched is kept: {again} requests after {asked}");
    // `drift-gate:s3cret`
    assert!(served.tokens.lock().unwrap().iter().all(|token| token == "Basic ZHJpZnQtZ2F0ZTpzM2NyZXQ="));
}

#[test]
fn the_text_shows_lines_and_differences_of_what_was_fetched() {
    let world = World::new();
    world.template.commit(3_000, &[("config.yaml", "name: two\n")]);
    let served = Served::start(&world);
    let told = world.run("check", &["--consumer", &served.of("core"), "--source", &served.of("template")]);
    ends_with(&told, 1);
    assert!(out(&told).contains("-name: one") && out(&told).contains("+name: two"), "{}", out(&told));
}

#[test]
fn a_revision_is_a_branch_a_tag_or_a_full_sha() {
    let world = World::new();
    let first = world.core.git().head().unwrap().target().unwrap();
    let git = world.core.git();
    let object = git.find_object(first, None).unwrap();
    git.tag("v1", &object, &git2::Signature::now("Ada", "ada@example.org").unwrap(), "One", false).unwrap();
    git.branch("release/1", &git.find_commit(first).unwrap(), false).unwrap();
    world.core.commit(3_000, &[("Dockerfile", ELSEWHERE)]);
    let served = Served::start(&world);
    let judged = |rev: &[&str]| {
        let sides = ["--consumer", &served.of("core"), "--source", world.template.path(), "--format", "json"];
        world.run("check", &[&sides, rev].concat())
    };
    ends_with(&judged(&[]), 1);
    for rev in ["v1", "release/1", "refs/heads/release/1", &first.to_string()] {
        let output = judged(&["--consumer-rev", rev]);
        ends_with(&output, 0);
        assert_eq!(verdict(&output)["consumer"]["commit"], first.to_string().as_str(), "{rev}");
    }
    let unknown = judged(&["--consumer-rev", "nowhere"]);
    ends_with(&unknown, 2);
    assert!(err(&unknown).contains("has no branch and no tag `nowhere`"), "{}", err(&unknown));
    let pull = judged(&["--consumer-rev", "main", "--onto", "release/1"]);
    ends_with(&pull, 1);
    assert_eq!(verdict(&pull)["consumer"]["base"], first.to_string().as_str());
}

#[test]
fn a_pin_that_the_source_does_not_have_is_unreachable() {
    let world = World::new();
    world.core.commit(3_000, &[("pin.json", &pinned(git2::Oid::from_str(&"1".repeat(40)).unwrap()))]);
    let served = Served::start(&world);
    let told =
        world.run("check", &["--consumer", world.core.path(), "--source", &served.of("template"), "--format", "json"]);
    ends_with(&told, 1);
    assert_eq!(verdict(&told)["findings"][0]["kind"], "pin-unreachable");
}

#[test]
fn what_cannot_be_read_is_said_without_the_password() {
    let world = World::new();
    let served = Served::start(&world);
    let address = served.of("gone").replace("http://", "http://ada:hunter2@");
    let told = world.run("check", &["--consumer", world.core.path(), "--source", &address]);
    ends_with(&told, 3);
    assert!(err(&told).contains("no such repository") && !err(&told).contains("hunter2"), "{}", err(&told));
    let told = world.run("check", &["--consumer", world.core.path(), "--source", "ssh://git@example.org/x"]);
    ends_with(&told, 2);
    assert!(err(&told).contains("only http:// and https://"), "{}", err(&told));
}

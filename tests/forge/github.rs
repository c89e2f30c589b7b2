//! GitHub Enterprise Server's and GitHub's ways, from their documentation.

use std::sync::Arc;
use std::time::Duration;

use drift_gate::forge::github::GitHub;
use drift_gate::forge::{AsApp, CheckRun, Conversation, Forge, ForgeError, RepoName, State, Status};
use drift_gate::tree::ObjectId;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::server::{Reply, Seen, Server, TOKEN, patient_client};

const HEAD: &str = "ac88dbea3816475debc1118a30b3bd327a2c757d";

async fn github(answer: impl Fn(&Seen) -> Reply + Clone + Send + Sync + 'static) -> (Server, Arc<GitHub>) {
    let server = Server::start(answer).await;
    let forge = GitHub::new("hub", &server.url, Some(TOKEN.to_owned().into()), patient_client()).unwrap();
    (server, forge)
}

fn core() -> RepoName {
    RepoName("molecule/core".to_owned())
}

fn head() -> ObjectId {
    ObjectId::parse(HEAD).unwrap()
}

fn failure() -> Status {
    Status::new("drift-gate", State::Failure, "config.yaml differs", "https://gate.example.org/r/1")
}

fn pull(number: u64) -> Value {
    json!({"number": number, "title": "Bump", "state": "open", "draft": true, "merged_at": null,
        "head": {"ref": "topic", "sha": HEAD, "label": "molecule:topic", "repo": {"full_name": "molecule/core"}},
        "base": {"ref": "main", "sha": HEAD}, "user": {"id": 3, "login": "contributor"}})
}

#[tokio::test]
async fn every_request_says_who_asks_for_which_version() {
    let (server, forge) = github(|_| Reply::json(200, &json!({"id": 4, "login": "gate-bot"}))).await;
    assert_eq!(forge.whoami().await.unwrap().login, "gate-bot");
    let asked = &server.seen()[0];
    assert_eq!(asked.path, "/api/v3/user");
    assert_eq!(asked.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(asked.headers["accept"], "application/vnd.github+json");
    assert_eq!(asked.headers["x-github-api-version"], "2022-11-28");
    assert!(asked.headers["user-agent"].to_str().unwrap().starts_with("drift-gate/"));
}

#[tokio::test]
async fn pull_requests_of_two_full_pages_are_all_listed() {
    let (server, forge) = github(|asked| {
        assert!(asked.path.starts_with("/api/v3/repos/molecule/core/pulls?state=open&per_page=100&page="));
        let first = if asked.path.ends_with("page=1") { 1..=100 } else { 101..=130 };
        Reply::json(200, &json!(first.map(pull).collect::<Vec<_>>()))
    })
    .await;
    let pulls = forge.open_pulls(&core()).await.unwrap();
    assert_eq!(pulls.len(), 130);
    assert!(pulls[0].draft && !pulls[0].merged);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_merged_pull_request_whose_fork_is_gone_is_read() {
    let (_server, forge) = github(|_| {
        let mut merged = pull(12);
        merged["state"] = json!("closed");
        merged["merged_at"] = json!("2026-11-22T20:33:47Z");
        merged["head"]["repo"] = Value::Null;
        merged["user"] = Value::Null;
        Reply::json(200, &merged)
    })
    .await;
    let pull = forge.pull(&core(), 12).await.unwrap();
    assert!(pull.merged && !pull.open);
    assert_eq!((pull.head_repo, pull.author.as_str()), (None, ""));
}

#[tokio::test]
async fn the_first_status_of_a_context_is_the_newest_and_case_does_not_count() {
    let (server, forge) = github(|asked| {
        assert!(
            asked.path.starts_with(&format!("/api/v3/repos/molecule/core/commits/{HEAD}/statuses?per_page=100&page="))
        );
        let row = |id: u64, context: &str, state: &str| {
            json!({"id": id, "context": context, "state": state, "description": null, "target_url": null,
                "creator": {"id": 4, "login": "gate-bot"}})
        };
        let rows = match asked.path.ends_with("page=1") {
            true => (0..100).map(|n| row(1000 - n, "ci", "success")).collect(),
            false => vec![row(500, "Drift-Gate", "failure"), row(400, "drift-gate", "success")],
        };
        Reply::json(200, &json!(rows))
    })
    .await;
    let newest = forge.status(&core(), &head(), "drift-gate").await.unwrap().unwrap();
    assert_eq!((newest.state.as_str(), newest.description.as_str()), ("failure", ""));
    assert_eq!(server.seen().len(), 2);
    assert!(forge.status(&core(), &head(), "ci").await.unwrap().is_some());
    assert_eq!(server.seen().len(), 3, "found on the first page: no second is asked for");
    assert_eq!(forge.status(&core(), &head(), "nobody's").await.unwrap(), None);
}

#[tokio::test]
async fn a_status_is_posted() {
    let (server, forge) =
        github(|_| Reply::json(201, &json!({"id": 1, "state": "failure", "context": "drift-gate"}))).await;
    forge.post_status(&core(), &head(), &failure()).await.unwrap();
    let sent = &server.seen()[0];
    assert_eq!(sent.path, format!("/api/v3/repos/molecule/core/statuses/{HEAD}"));
    let expected = json!({"state": "failure", "context": "drift-gate", "description": "config.yaml differs",
        "target_url": "https://gate.example.org/r/1"});
    assert_eq!(sent.body, expected);
}

#[tokio::test]
async fn a_422_is_an_unknown_commit_only_when_it_says_so() {
    let no_commit = format!("No commit found for SHA: {HEAD}");
    let (_server, forge) = github(move |_| Reply::json(422, &json!({"message": no_commit}))).await;
    let post = forge.post_status(&core(), &head(), &failure()).await.unwrap_err();
    assert!(matches!(post, ForgeError::UnknownCommit { .. }), "{post}");
    let read = forge.status(&core(), &head(), "drift-gate").await.unwrap_err();
    assert!(matches!(read, ForgeError::UnknownCommit { .. }), "{read}");

    let full = json!({"message": "Validation Failed", "errors": [{"resource": "Status", "code": "custom",
        "message": "This SHA and context has reached the maximum number of statuses."}]});
    let (_server, forge) = github(move |_| Reply::json(422, &full)).await;
    let error = forge.post_status(&core(), &head(), &failure()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Refused { status: 422, .. }), "{error}");
    assert!(error.to_string().contains("Validation Failed; This SHA and context has reached"), "{error}");
}

#[tokio::test]
async fn a_moved_repository_is_moved_for_reads_and_writes() {
    let (server, forge) = github(|asked| {
        let status = if asked.method == "GET" { 301 } else { 307 };
        let location = format!("http://{}/api/v3/repositories/7", asked.headers["host"].to_str().unwrap());
        Reply::json(status, &json!({"message": "Moved Permanently"})).with("location", location)
    })
    .await;
    let read = forge.repository(&core()).await.unwrap_err();
    let write = forge.post_status(&core(), &head(), &failure()).await.unwrap_err();
    assert!(matches!((&read, &write), (ForgeError::Moved { .. }, ForgeError::Moved { .. })), "{read} {write}");
    assert_eq!(server.seen().len(), 2);
}

/// What `whoami` says of an answer.
async fn asked_too_much(reply: Reply) -> ForgeError {
    let (_server, forge) = github(move |_| reply.clone()).await;
    forge.whoami().await.unwrap_err()
}

#[tokio::test]
async fn a_rate_limit_says_how_long_to_wait() {
    let message = json!({"message": "You have exceeded a secondary rate limit."});
    let wait = |error: ForgeError| match error {
        ForgeError::RateLimited { after, .. } => after,
        other => panic!("{other}"),
    };
    let told = Reply::json(403, &message).with("retry-after", 42);
    assert_eq!(wait(asked_too_much(told).await), Duration::from_secs(42));
    let told = Reply::json(429, &message).with("retry-after", 5);
    assert_eq!(wait(asked_too_much(told).await), Duration::from_secs(5));
    // By the forge's own clock, ours may be off.
    let spent = Reply::json(403, &json!({"message": "API rate limit exceeded"}))
        .with("date", "Sun, 22 Nov 2026 20:00:00 GMT")
        .with("x-ratelimit-remaining", 0)
        .with("x-ratelimit-reset", 1_795_377_600 + 90);
    assert_eq!(wait(asked_too_much(spent).await), Duration::from_secs(90));
    assert_eq!(wait(asked_too_much(Reply::json(403, &message)).await), Duration::from_secs(60));
    assert_eq!(wait(asked_too_much(Reply::text(429, "slow down")).await), Duration::from_secs(60));
    let absurd = Reply::json(429, &message).with("retry-after", u64::MAX);
    assert_eq!(wait(asked_too_much(absurd).await), Duration::from_secs(3600));
}

#[tokio::test]
async fn a_403_about_rights_is_no_rate_limit() {
    let reply = Reply::json(403, &json!({"message": "Resource not accessible by personal access token"}))
        .with("x-ratelimit-remaining", 4999)
        .with("x-ratelimit-reset", 1_795_377_600);
    let error = asked_too_much(reply).await;
    assert!(matches!(error, ForgeError::Denied { status: 403, .. }), "{error}");
}

#[tokio::test]
async fn which_permission_a_write_lacks_is_named_as_github_names_it() {
    let (_server, forge) = github(|asked| {
        let needed = match asked.path.trim_start_matches("/api/v3/repos/molecule/core/").split('/').next() {
            Some("statuses") => "statuses=write",
            Some("issues") => "issues=write",
            _ => "checks=write",
        };
        let reply = Reply::json(403, &json!({"message": "Resource not accessible by integration"}));
        reply.with("x-accepted-github-permissions", needed)
    })
    .await;
    let check = CheckRun {
        name: "drift-gate annotations".into(),
        external_id: "1".into(),
        state: State::Success,
        title: "passes".into(),
        summary: String::new(),
        details_url: String::new(),
        annotations: Vec::new(),
    };
    for (needed, error) in [
        ("statuses=write", forge.post_status(&core(), &head(), &failure()).await.unwrap_err()),
        ("issues=write", forge.post_comment(&core(), 3, "words").await.unwrap_err()),
        ("issues=write", forge.react(&core(), 9, "eyes").await.unwrap_err()),
        ("checks=write", forge.put_check(&core(), &head(), &check).await.unwrap_err()),
    ] {
        assert!(matches!(error, ForgeError::Denied { status: 403, .. }), "{error}");
        assert!(error.to_string().ends_with(&format!("(needed: {needed})")), "{error}");
    }
}

#[tokio::test]
async fn a_comment_names_its_issue_by_address() {
    let (_server, forge) = github(|_| {
        Reply::json(
            200,
            &json!({"id": 9, "body": "/drift-gate check", "user": {"id": 2, "login": "maintainer"},
                "issue_url": "https://api.github.example/repos/molecule/core/issues/12",
                "created_at": "2026-11-22T20:33:47Z", "updated_at": "2026-11-22T20:33:47Z"}),
        )
    })
    .await;
    let comment = forge.comment(&core(), 9).await.unwrap();
    assert_eq!((comment.issue, comment.author.as_str()), (12, "maintainer"));
}

#[tokio::test]
async fn a_reaction_is_posted() {
    for status in [200, 201] {
        let (server, forge) = github(move |_| Reply::json(status, &json!({"id": 1, "content": "eyes"}))).await;
        forge.react(&core(), 9, "eyes").await.unwrap();
        assert_eq!(server.seen()[0].path, "/api/v3/repos/molecule/core/issues/comments/9/reactions");
    }
}

#[tokio::test]
async fn people_and_git_are_sent_to_github_com() {
    let forge = GitHub::new("hub", "https://github.com", Some(TOKEN.to_owned().into()), patient_client()).unwrap();
    let root = "https://github.com/molecule/core";
    assert_eq!(forge.git_url(&core()), format!("{root}.git"));
    assert_eq!(forge.commit_page(&core(), &head()), format!("{root}/commit/{HEAD}"));
    assert_eq!(forge.pull_page(&core(), 12), format!("{root}/pull/12"));
    assert_eq!(forge.file_page(&core(), &head(), "a/b.yaml", Some(3)), format!("{root}/blob/{HEAD}/a/b.yaml#L3"));
    let header = forge.git_authorization(&core()).await.unwrap().unwrap();
    // base64 of x-access-token:s3cret-token-of-the-test
    assert_eq!(header.expose_secret(), "Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0LXRva2VuLW9mLXRoZS10ZXN0");
}

#[tokio::test]
async fn what_did_not_change_is_not_given_twice_and_the_budget_is_known() {
    let (server, forge) = github(|asked| {
        let reply = match asked.headers.get("if-none-match").map(|etag| etag.to_str().unwrap()) {
            Some("\"one\"") => Reply { status: 304, headers: Vec::new(), body: String::new() },
            _ => Reply::json(200, &json!([pull(1)])).with("etag", "\"one\""),
        };
        let reset = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 600;
        reply.with("x-ratelimit-limit", 5_000).with("x-ratelimit-remaining", 4_321).with("x-ratelimit-reset", reset)
    })
    .await;
    assert_eq!(forge.budget(), None, "nothing was asked yet");
    let first = forge.open_pulls(&core()).await.unwrap();
    let second = forge.open_pulls(&core()).await.unwrap();
    assert_eq!((first.len(), first), (1, second));
    assert!(server.seen()[1].headers.contains_key("if-none-match"));
    let budget = forge.budget().expect("a budget");
    assert_eq!((budget.limit, budget.remaining), (5_000, 4_321));
    assert!(budget.left > Duration::from_secs(590) && budget.left <= Duration::from_secs(600));
}

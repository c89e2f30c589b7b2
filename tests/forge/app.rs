//! A GitHub App logs in: whose token it takes, when it makes one, and what it never tells.

use std::io::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat};
use drift_gate::config::{self, ForgeKind, PrivateKey, Secret};
use drift_gate::forge::app_settings::HookChange;
use drift_gate::forge::github::GitHub;
use drift_gate::forge::{
    Annotation, AsApp, CheckRun, Forge, ForgeError, RepoName, Settings, State, Status, connect_with,
};
use drift_gate::tree::ObjectId;
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::server::{Reply, Seen, Server, patient_client};

const HEAD: &str = "ac88dbea3816475debc1118a30b3bd327a2c757d";
/// When every story begins, in Unix seconds.
const START: i64 = 1_795_377_600;
const APP: u64 = 12_345;

/// A test's App: its key, and the time that it is told.
struct Key {
    pem: String,
    public: Vec<u8>,
    now: Arc<AtomicI64>,
}

impl Key {
    fn new() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(pkcs8.as_ref()));
        Self { pem, public: pair.public_key().as_ref().to_vec(), now: Arc::new(AtomicI64::new(START)) }
    }

    fn log_in(&self, server: &Server) -> Arc<GitHub> {
        let (key, now) = (PrivateKey::from_pem(&self.pem).unwrap(), self.now.clone());
        let clock = Arc::new(move || DateTime::from_timestamp(now.load(Ordering::SeqCst), 0).unwrap());
        GitHub::as_app("hub", &server.url, (APP, key), true, patient_client(), clock).unwrap()
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }
}

/// Installation 7 on core, 9 on something else; the tokens that it made are `ghs_<installation>_<count>`, each for an hour from
/// START or from `now`. Everything else is answered by `rest`.
async fn hub(now: Arc<AtomicI64>, rest: impl Fn(&Seen) -> Reply + Clone + Send + Sync + 'static) -> Server {
    let made = Arc::new(AtomicI64::new(0));
    Server::start(move |asked| {
        let path = asked.path.strip_prefix("/api/v3").unwrap_or(&asked.path);
        if let Some(id) = path.strip_prefix("/app/installations/").and_then(|rest| rest.strip_suffix("/access_tokens"))
        {
            let count = made.fetch_add(1, Ordering::SeqCst) + 1;
            let ends = DateTime::from_timestamp(now.load(Ordering::SeqCst) + 3600, 0).unwrap();
            let ends = ends.to_rfc3339_opts(SecondsFormat::Secs, true);
            return Reply::json(201, &json!({ "token": token(id, count), "expires_at": ends }));
        }
        match path {
            "/repos/molecule/core/installation" => Reply::json(200, &json!({ "id": 7 })),
            "/app/installations?per_page=100" => Reply::json(200, &json!([{ "id": 9 }, { "id": 7 }])),
            _ if path.ends_with("/installation") => Reply::json(404, &json!({ "message": "Not Found" })),
            _ => rest(asked),
        }
    })
    .await
}

/// As they are since 2026: of no fixed length.
fn token(installation: impl std::fmt::Display, count: i64) -> String {
    format!("ghs_{installation}_{count}_{}", "x".repeat(200))
}

fn repository(name: &str) -> Reply {
    Reply::json(200, &json!({ "id": 1, "full_name": name, "default_branch": "main", "permissions": { "push": true } }))
}

fn core() -> RepoName {
    RepoName("molecule/core".to_owned())
}

fn head() -> ObjectId {
    ObjectId::parse(HEAD).unwrap()
}

fn bearer(asked: &Seen) -> &str {
    asked.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap()
}

fn mints(server: &Server) -> usize {
    server.seen().iter().filter(|asked| asked.path.ends_with("/access_tokens")).count()
}

/// What a JWT claims, if this key signed it.
fn claims(key: &Key, jwt: &str) -> Value {
    let (signed, signature) = jwt.rsplit_once('.').expect("a JWT");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.public);
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).expect("its signature");
    let (header, claims) = signed.split_once('.').unwrap();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(read(header), json!({ "alg": "RS256", "typ": "JWT" }));
    read(claims)
}

#[tokio::test]
async fn eight_callers_at_once_make_one_token() {
    let key = Key::new();
    let server = hub(key.now.clone(), |_| repository("molecule/core")).await;
    let forge = key.log_in(&server);
    let core = core();
    let all = (0..8).map(|_| forge.repository(&core));
    assert!(join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(mints(&server), 1);
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|asked| asked.path.ends_with("/core/installation")).count(), 1);
    for asked in seen.iter().filter(|asked| asked.path.ends_with("/core")) {
        assert_eq!(bearer(asked), token(7, 1));
    }
    let jwt = claims(&key, bearer(seen.iter().find(|asked| asked.path.ends_with("/access_tokens")).unwrap()));
    assert_eq!(jwt["iss"], APP);
    assert_eq!(jwt["iat"], START - 60);
    let lasts = jwt["exp"].as_i64().unwrap() - START;
    assert!(lasts > 0 && lasts <= 600, "{jwt}");
    // git gets the same.
    let header = forge.git_authorization(&core).await.unwrap().unwrap();
    let pair = STANDARD.decode(header.expose_secret().strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(pair).unwrap(), format!("x-access-token:{}", token(7, 1)));
    assert_eq!(mints(&server), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end() {
    let key = Key::new();
    let server = hub(key.now.clone(), |_| repository("molecule/core")).await;
    let forge = key.log_in(&server);
    for (minutes, expected) in [(0, 1), (50, 1), (6, 2), (50, 2), (6, 3)] {
        key.pass(minutes * 60);
        forge.repository(&core()).await.unwrap();
        assert_eq!(mints(&server), expected, "{minutes} minutes later");
    }
    assert_eq!(bearer(server.seen().last().unwrap()), token(7, 3));
}

#[tokio::test]
async fn a_token_that_was_thought_good_is_made_again_once() {
    let key = Key::new();
    let posted = json!({ "id": 1, "state": "failure", "context": "drift-gate" });
    let server = hub(key.now.clone(), move |asked| match bearer(asked) == token(7, 1) {
        true => Reply::json(401, &json!({ "message": "Bad credentials" })),
        false => Reply::json(201, &posted),
    })
    .await;
    let status = Status::new("drift-gate", State::Failure, "differs", "https://gate.example.org/r/1");
    key.log_in(&server).post_status(&core(), &head(), &status).await.unwrap();
    assert_eq!(mints(&server), 2);

    // What no token opens is said, and not tried for ever.
    let server = hub(key.now.clone(), |_| Reply::json(401, &json!({ "message": "Bad credentials" }))).await;
    let error = key.log_in(&server).post_status(&core(), &head(), &status).await.unwrap_err();
    assert!(matches!(error, ForgeError::Denied { status: 401, .. }), "{error}");
    assert_eq!(mints(&server), 2);
}

#[tokio::test]
async fn what_git_was_refused_is_made_again() {
    let key = Key::new();
    let server = hub(key.now.clone(), |_| repository("molecule/core")).await;
    let forge = key.log_in(&server);
    let first = forge.git_authorization(&core()).await.unwrap().unwrap();
    forge.git_refused(&core(), &first).await;
    let second = forge.git_authorization(&core()).await.unwrap().unwrap();
    assert!(first.expose_secret() != second.expose_secret());
    // Another caller, whose git heard of it later.
    forge.git_refused(&core(), &first).await;
    forge.git_authorization(&core()).await.unwrap();
    assert_eq!(mints(&server), 2);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_set_by_the_forges() {
    let key = Key::new();
    key.pass(3 * 3600);
    let public = key.public.clone();
    let server = Server::start(move |asked| {
        let key = Key { pem: String::new(), public: public.clone(), now: Arc::default() };
        if asked.path.ends_with("/core") {
            return repository("molecule/core");
        }
        if claims(&key, bearer(asked))["iat"].as_i64().unwrap() > START {
            let words =
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
            return Reply::json(401, &json!({ "message": words })).with("date", "Sun, 22 Nov 2026 20:00:00 GMT");
        }
        match asked.path.ends_with("/installation") {
            true => Reply::json(200, &json!({ "id": 7 })),
            false => Reply::json(201, &json!({ "token": token(7, 1), "expires_at": "2026-11-22T21:00:00Z" })),
        }
    })
    .await;
    let forge = key.log_in(&server);
    forge.repository(&core()).await.unwrap();
    forge.repository(&core()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|asked| asked.path.ends_with("/installation")).count(), 2, "once wrong, once right");
    assert_eq!(
        seen.iter().filter(|asked| asked.path.ends_with("/access_tokens")).count(),
        1,
        "it is good by that clock"
    );
}

#[tokio::test]
async fn an_app_is_the_user_called_after_it() {
    let key = Key::new();
    let server = hub(key.now.clone(), |asked| match asked.path.as_str() {
        "/api/v3/app" => Reply::json(200, &json!({ "id": APP, "slug": "drift-gate" })),
        "/api/v3/users/drift-gate[bot]" => Reply::json(200, &json!({ "id": 77, "login": "drift-gate[bot]" })),
        other => Reply::text(418, other),
    })
    .await;
    let us = key.log_in(&server).whoami().await.unwrap();
    assert_eq!((us.id, us.login.as_str()), (77, "drift-gate[bot]"));
}

#[tokio::test]
async fn a_public_repository_without_the_app_is_read_all_the_same() {
    let key = Key::new();
    let server = hub(key.now.clone(), |asked| match asked.method.as_str() {
        "GET" => repository("elsewhere/template"),
        _ => Reply::json(403, &json!({ "message": "Resource not accessible by integration" })),
    })
    .await;
    let (forge, template) = (key.log_in(&server), RepoName("elsewhere/template".to_owned()));
    assert_eq!(forge.repository(&template).await.unwrap().name, template);
    let status = Status::new("drift-gate", State::Failure, "differs", "https://gate.example.org/r/1");
    let error = forge.post_status(&template, &head(), &status).await.unwrap_err();
    let said = "(the App is not installed there): 403 Resource not accessible by integration";
    assert!(error.to_string().ends_with(said), "{error}");
}

#[tokio::test]
async fn a_renamed_repository_is_found_by_its_number_in_whatever_installation() {
    let key = Key::new();
    let server = hub(key.now.clone(), |asked| match bearer(asked).starts_with("ghs_7_") {
        true => repository("molecule/renamed"),
        false => Reply::json(404, &json!({ "message": "Not Found" })),
    })
    .await;
    let found = key.log_in(&server).repository_by_id(1).await.unwrap();
    assert_eq!(found.name.0, "molecule/renamed");
    assert_eq!(server.seen().iter().filter(|asked| asked.path.ends_with("/repositories/1")).count(), 2);
}

#[tokio::test]
async fn deliveries_that_failed_are_found_over_two_pages_and_the_link_is_not_followed() {
    let key = Key::new();
    let row = |id: u64, code: u16, redelivery: bool, guid: &str| {
        json!({ "id": id, "guid": guid, "delivered_at": "2026-11-22T20:00:00Z", "redelivery": redelivery,
            "duration": 0.2, "status": "x", "status_code": code, "event": "push", "action": null })
    };
    let server = hub(key.now.clone(), move |asked| match asked.path.as_str() {
        "/api/v3/app/hook/deliveries?per_page=100" => {
            let page = json!([row(5, 200, true, "b"), row(4, 502, false, "c"), row(3, 0, false, "b")]);
            Reply::json(200, &page).with("link", "<https://evil.example.org/x?per_page=100&cursor=v1_3>; rel=\"next\"")
        }
        "/api/v3/app/hook/deliveries?per_page=100&cursor=v1_3" => {
            Reply::json(200, &json!([row(2, 202, false, "a"), row(1, 500, false, "z")]))
        }
        "/api/v3/app/hook/deliveries/4/attempts" => Reply::json(202, &json!({})),
        other => Reply::text(418, other),
    })
    .await;
    let forge = key.log_in(&server);
    let since = DateTime::from_timestamp(START - 60, 0).unwrap();
    let failed = forge.failed_deliveries(since).await.unwrap();
    assert_eq!(failed.iter().map(|one| one.id).collect::<Vec<_>>(), [1, 4]);
    let later = forge.failed_deliveries(DateTime::from_timestamp(START + 60, 0).unwrap()).await.unwrap();
    assert!(later.is_empty(), "{later:?}");
    forge.redeliver(4).await.unwrap();
    let last = server.seen().pop().unwrap();
    assert_eq!(last.method, "POST");
    assert_eq!(claims(&key, bearer(&last))["iss"], APP, "the App's own call");
}

/// An App of `molecule` with what it asks for, its hook, and its last deliveries.
async fn described(key: &Key, owner: Value, insecure: Value) -> Server {
    hub(key.now.clone(), move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/api/v3/app") => Reply::json(200, &json!({
            "id": APP, "slug": "drift-gate", "owner": owner, "html_url": "https://evil.example.org/apps/drift-gate",
            "permissions": { "metadata": "read", "statuses": "write" }, "events": ["push"],
        })),
        ("GET", "/api/v3/app/hook/config") => Reply::json(200, &json!({
            "content_type": "form", "insecure_ssl": insecure, "secret": "********", "url": "https://gate.example.org/hooks/hub",
        })),
        ("PATCH", "/api/v3/app/hook/config") => Reply::json(200, &json!({})),
        ("GET", "/api/v3/app/hook/deliveries?per_page=30") => Reply::json(200, &json!([
            { "id": 9, "guid": "a", "delivered_at": "2026-11-22T20:00:00Z", "redelivery": false, "duration": 0.2,
              "status": "Invalid HTTP Response: 401", "status_code": 401, "event": "push", "action": null },
        ])),
        (_, other) => Reply::text(418, other),
    })
    .await
}

#[tokio::test]
async fn an_app_tells_what_it_asks_for_and_where_its_deliveries_go() {
    let key = Key::new();
    let organization = json!({ "login": "molecule", "type": "Organization" });
    let server = described(&key, organization, "0".into()).await;
    let forge = key.log_in(&server);
    let app = forge.app().expect("an App");
    let told = app.described().await.unwrap();
    // Made from the configured address: an answer does not say where people are sent.
    assert_eq!(told.page, format!("{}/organizations/molecule/settings/apps/drift-gate", server.url));
    assert!(told.permissions.has("statuses", "write") && !told.permissions.has("issues", "read"));
    assert_eq!((told.events, app.id()), (vec!["push".to_owned()], APP));
    let hook = app.hook_config().await.unwrap();
    assert_eq!(hook.url, "https://gate.example.org/hooks/hub");
    assert!(!hook.json && hook.has_secret && hook.verifies, "{hook:?}");
    let last = app.deliveries().await.unwrap();
    assert_eq!((last[0].id, last[0].code, last[0].arrived()), (9, 401, false));
    assert!(app.events(true).iter().any(|(event, _)| *event == "merge_group"));
    assert!(!app.events(false).iter().any(|(event, _)| *event == "merge_group"));
    for asked in server.seen() {
        assert_eq!(claims(&key, bearer(&asked))["iss"], APP, "the App's own call: {}", asked.path);
    }

    let server = described(&key, json!({ "login": "alice", "type": "User" }), 1.into()).await;
    let forge = key.log_in(&server);
    let app = forge.app().expect("an App");
    assert_eq!(app.described().await.unwrap().page, format!("{}/settings/apps/drift-gate", server.url));
    assert!(!app.hook_config().await.unwrap().verifies);
}

#[tokio::test]
async fn of_an_apps_hook_only_what_is_wrong_is_changed() {
    let key = Key::new();
    let server = described(&key, Value::Null, "0".into()).await;
    let forge = key.log_in(&server);
    let (app, secret) = (forge.app().expect("an App"), "s3cret".to_owned().into());
    app.change_hook(&HookChange { url: Some("https://new.example.org/hooks/hub"), secret: None }).await.unwrap();
    app.change_hook(&HookChange { url: None, secret: Some(&secret) }).await.unwrap();
    let bodies: Vec<Value> = server.seen().into_iter().map(|asked| asked.body).collect();
    assert_eq!(
        bodies,
        [
            json!({ "content_type": "json", "url": "https://new.example.org/hooks/hub" }),
            json!({ "content_type": "json", "secret": "s3cret" }),
        ]
    );
}

fn check(annotations: usize) -> CheckRun {
    let annotation = |line: usize| Annotation {
        path: "Dockerfile".to_owned(),
        line: u32::try_from(line).unwrap() + 1,
        level: "failure",
        title: "content-differs".to_owned(),
        message: "ä".repeat(70_000),
    };
    CheckRun {
        name: "drift-gate annotations".to_owned(),
        external_id: "abc".to_owned(),
        state: State::Error,
        title: "not decided".to_owned(),
        summary: "words".to_owned(),
        details_url: "https://gate.example.org/r/1".to_owned(),
        annotations: (0..annotations).map(annotation).collect(),
    }
}

#[tokio::test]
async fn a_check_brings_its_annotations_fifty_at_a_time_and_goes_on_where_an_answer_was_lost() {
    let key = Key::new();
    let there: Arc<Mutex<Option<usize>>> = Arc::default();
    let kept = there.clone();
    let server = hub(key.now.clone(), move |asked| {
        let mut there = kept.lock().unwrap();
        let count = asked.body["output"]["annotations"].as_array().map_or(0, Vec::len);
        match asked.method.as_str() {
            "GET" => {
                let found = there
                    .map(|count| json!({ "id": 3, "external_id": "abc", "output": { "annotations_count": count } }));
                Reply::json(200, &json!({ "total_count": 1, "check_runs": found.into_iter().collect::<Vec<_>>() }))
            }
            "POST" => {
                *there = Some(count);
                Reply::text(502, "the answer is lost")
            }
            _ => {
                *there = there.map(|before| before + count);
                Reply::json(200, &json!({ "id": 3 }))
            }
        }
    })
    .await;
    let (forge, check) = (key.log_in(&server), check(120));
    let error = forge.put_check(&core(), &head(), &check).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    forge.put_check(&core(), &head(), &check).await.unwrap();
    forge.put_check(&core(), &head(), &check).await.unwrap();
    assert_eq!(*there.lock().unwrap(), Some(120));
    let seen = server.seen();
    let sent: Vec<(&str, usize)> = seen
        .iter()
        .filter(|asked| asked.method != "GET" && asked.path.contains("check-runs"))
        .map(|asked| (asked.method.as_str(), asked.body["output"]["annotations"].as_array().unwrap().len()))
        .collect();
    assert_eq!(sent, [("POST", 50), ("PATCH", 50), ("PATCH", 20)]);
    let post = &seen.iter().find(|asked| asked.method == "POST" && asked.path.ends_with("check-runs")).unwrap().body;
    assert_eq!((&post["head_sha"], &post["status"]), (&json!(HEAD), &json!("completed")));
    assert_eq!(post["conclusion"], "failure", "never neutral, which passes");
    let first = &post["output"]["annotations"][0];
    assert_eq!(
        (&first["path"], &first["start_line"], &first["annotation_level"]),
        (&json!("Dockerfile"), &json!(1), &json!("failure"))
    );
    assert!(first["message"].as_str().unwrap().len() <= 64 * 1024);
}

/// Everything that is logged, of every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_log_and_no_error_tells_a_token_a_jwt_or_the_key() {
    let log = Log::default();
    // Not all of every library: a trace of 300 MB that are unpacked would slow its test past the time-out.
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("info,drift_gate=trace,octocrab=trace,reqwest=trace")
        .with_writer(log.clone())
        .finish();
    // Of the whole program: whether a line is logged at all is remembered for all threads.
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
    let key = Key::new();
    let server = hub(key.now.clone(), |asked| {
        Reply::json(403, &json!({ "message": format!("I do not like {}", bearer(asked)) }))
    })
    .await;
    let forge = key.log_in(&server);
    let mut said = Vec::new();
    said.push(forge.repository(&core()).await.unwrap_err());
    said.push(forge.whoami().await.unwrap_err());
    said.push(forge.redeliver(1).await.unwrap_err());
    let said = format!("{said:?}");
    assert!(said.contains("I do not like ***"), "{said}");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a new token of an installation"), "it is logged that there is one");
    let jwts: Vec<String> = server.seen().iter().map(|asked| bearer(asked).to_owned()).collect();
    for secret in jwts.iter().map(String::as_str).chain(key.pem.lines().filter(|line| !line.starts_with("---"))) {
        assert!(!log.contains(secret) && !said.contains(secret), "{secret} was told");
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.pem");
    std::fs::write(&file, "s3cret").unwrap();
    let forge = config::Forge {
        name: "hub".to_owned(),
        kind: ForgeKind::GitHub,
        url: "https://github.com".to_owned(),
        token: None,
        app: Some(config::App { id: APP, key: Secret::File(file.clone()) }),
        check_runs: false,
        webhook_secrets: Vec::new(),
    };
    let Err(error) = connect_with(&forge, None, patient_client()) else { panic!("taken") };
    let expected = format!("forge.hub.app.key: file {} holds no RSA private key in PEM", file.display());
    assert_eq!(error.to_string(), expected);
}

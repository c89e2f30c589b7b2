//! GitHub's dialect: what an App is answered that is not who it says, comes too late, or asks for too much.

use drift_gate::demo::StandIn;
use drift_gate::demo::page::Page;
use serde_json::{Value, json};

struct Hub {
    forge: StandIn,
    admin: String,
    _folder: tempfile::TempDir,
}

impl Hub {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let forge = StandIn::start(listener, folder.path(), Page::default(), axum::Router::new()).unwrap();
        let admin = forge.user("maintainer", true).unwrap();
        forge.organization("molecule", "maintainer").unwrap();
        forge.repository("molecule", "core", false).unwrap();
        Self { forge, admin, _folder: folder }
    }

    async fn ask(&self, method: &str, path: &str, bearer: &str, body: &Value) -> (u16, Value) {
        let method = method.parse().unwrap();
        let mut request = reqwest::Client::new().request(method, format!("{}/api/v3{path}", self.forge.base()));
        if !bearer.is_empty() {
            request = request.bearer_auth(bearer);
        }
        let answer = request.body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn refused(&self, method: &str, path: &str, bearer: &str, body: &Value) -> (u16, String) {
        let (status, answer) = self.ask(method, path, bearer, body).await;
        (status, answer["message"].as_str().unwrap_or_default().to_owned())
    }
}

/// Signs claims as the App of this key.
fn jwt(pem: &str, claims: &Value) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(claims));
    let key = drift_gate::config::PrivateKey::from_pem(pem).expect("the App's key");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).unwrap()))
}

#[tokio::test]
async fn a_jwt_is_good_for_its_app_and_its_time_alone() {
    let hub = Hub::start().await;
    let app = hub.forge.app("drift-gate", "http://127.0.0.1:9", "secret").unwrap();
    let other = hub.forge.app("other", "http://127.0.0.1:9", "secret").unwrap();
    let now = chrono::Utc::now().timestamp();
    let claims = |iat: i64, exp: i64, iss: u64| json!({ "iat": now + iat, "exp": now + exp, "iss": iss });
    let good = jwt(&app.pem, &claims(-60, 540, app.id));
    assert_eq!(hub.ask("GET", "/app", &good, &Value::Null).await.1["slug"], "drift-gate");
    let unreadable = "A JSON web token could not be decoded";
    for (bearer, status, words) in [
        (String::new(), 401, "Requires authentication"),
        ("ghp_token".to_owned(), 401, unreadable),
        (jwt(&other.pem, &claims(-60, 540, app.id)), 401, unreadable),
        (jwt(&app.pem, &claims(-60, 540, 99)), 404, "Integration not found"),
        (jwt(&app.pem, &claims(-60, 700, app.id)), 401, "'Expiration time' claim ('exp') is too far in the future"),
        (jwt(&app.pem, &claims(-700, -60, app.id)), 401, "'Expiration time' claim ('exp') must be a numeric value"),
        (jwt(&app.pem, &claims(120, 540, app.id)), 401, "'Issued at' claim ('iat') must be an Integer"),
    ] {
        let (got, said) = hub.refused("GET", "/app", &bearer, &Value::Null).await;
        assert!(got == status && said.starts_with(words), "{got} {said}, and not {status} {words}");
    }
    // It opens nothing else.
    assert_eq!(hub.refused("GET", "/repos/molecule/core", &good, &Value::Null).await.0, 401);
}

#[tokio::test]
async fn a_token_is_good_where_the_app_is_installed_and_until_its_end() {
    let hub = Hub::start().await;
    hub.forge.repository("molecule", "hidden", true).unwrap();
    let app = hub.forge.app("drift-gate", "http://127.0.0.1:9", "secret").unwrap();
    let now = chrono::Utc::now().timestamp();
    let own = jwt(&app.pem, &json!({ "iat": now - 60, "exp": now + 540, "iss": app.id }));
    let place = "/repos/molecule/core/installation";
    assert_eq!(hub.refused("GET", place, &own, &Value::Null).await, (404, "Not Found".to_owned()));
    let id = hub.forge.install(app.id, "molecule", "core").unwrap();
    assert_eq!(hub.ask("GET", place, &own, &Value::Null).await.1["id"], id);
    let (status, made) = hub.ask("POST", &format!("/app/installations/{id}/access_tokens"), &own, &json!({})).await;
    let token = made["token"].as_str().unwrap();
    assert_eq!((status, token.starts_with("ghs_"), token.len() == 40), (201, true, false));
    let (_, core) = hub.ask("GET", "/repos/molecule/core", token, &Value::Null).await;
    assert_eq!(core["permissions"]["push"], true);
    assert_eq!(hub.ask("GET", "/repos/molecule/hidden", token, &Value::Null).await.0, 404);
    hub.forge.end_tokens();
    let late = hub.refused("GET", "/repos/molecule/core", token, &Value::Null).await;
    assert_eq!(late, (401, "Bad credentials".to_owned()));
}

#[tokio::test]
async fn an_app_sees_its_hook_without_the_secret_and_changes_a_part_of_it() {
    let hub = Hub::start().await;
    let app = hub.forge.app("drift-gate", "http://127.0.0.1:9/hooks/hub", "").unwrap();
    let now = chrono::Utc::now().timestamp();
    let own = jwt(&app.pem, &json!({ "iat": now - 60, "exp": now + 540, "iss": app.id }));
    let (status, hook) = hub.ask("GET", "/app/hook/config", &own, &Value::Null).await;
    let plain = json!({ "content_type": "json", "insecure_ssl": "0", "url": "http://127.0.0.1:9/hooks/hub" });
    assert_eq!((status, &hook), (200, &plain), "without a secret none is told");
    let (status, hook) = hub.ask("PATCH", "/app/hook/config", &own, &json!({ "secret": "s3cret" })).await;
    let mut signed = plain.clone();
    signed["secret"] = "********".into();
    assert_eq!((status, hook), (200, signed), "what is not named stays");
    let wrong = hub.refused("PATCH", "/app/hook/config", &own, &json!({ "url": "nowhere" })).await;
    assert_eq!(wrong.0, 422);
    assert_eq!(hub.refused("GET", "/app/hook/config", &hub.admin, &Value::Null).await.0, 401);
    let (_, told) = hub.ask("GET", "/app", &own, &Value::Null).await;
    assert_eq!((&told["permissions"]["statuses"], &told["events"][0]), (&json!("write"), &json!("push")));
}

#[tokio::test]
async fn an_installation_may_do_what_was_granted_and_no_more() {
    let hub = Hub::start().await;
    let app = hub.forge.app("drift-gate", "http://127.0.0.1:9", "secret").unwrap();
    let id = hub.forge.install(app.id, "molecule", "core").unwrap();
    let now = chrono::Utc::now().timestamp();
    let own = jwt(&app.pem, &json!({ "iat": now - 60, "exp": now + 540, "iss": app.id }));
    let token = async || {
        let made = hub.ask("POST", &format!("/app/installations/{id}/access_tokens"), &own, &json!({})).await.1;
        made["token"].as_str().unwrap().to_owned()
    };
    let protection = "/repos/molecule/core/branches/main/protection";
    let before = token().await;
    let refused = (403, "Resource not accessible by integration".to_owned());
    assert_eq!(hub.refused("GET", protection, &before, &Value::Null).await, refused);
    hub.forge
        .change_app(app.id, |app| drop(app.permissions.insert("administration".to_owned(), "read".to_owned())))
        .unwrap();
    assert_eq!(hub.refused("GET", protection, &token().await, &Value::Null).await, refused, "nobody agreed yet");
    hub.forge.accept(app.id).unwrap();
    assert_eq!(hub.refused("GET", protection, &before, &Value::Null).await.0, 401, "the older token ended");
    let after = token().await;
    let unprotected = (404, "Branch not protected".to_owned());
    assert_eq!(hub.refused("GET", protection, &after, &Value::Null).await, unprotected);
    assert_eq!(hub.refused("PUT", protection, &after, &json!({})).await, refused, "to read is not to write");
}

#[tokio::test]
async fn a_check_that_is_required_of_one_app_is_not_met_by_anybody_else() {
    let hub = Hub::start().await;
    let app = hub.forge.app("drift-gate", "http://127.0.0.1:9", "secret").unwrap();
    let id = hub.forge.install(app.id, "molecule", "core").unwrap();
    let now = chrono::Utc::now().timestamp();
    let own = jwt(&app.pem, &json!({ "iat": now - 60, "exp": now + 540, "iss": app.id }));
    let made = hub.ask("POST", &format!("/app/installations/{id}/access_tokens"), &own, &json!({})).await.1;
    let token = made["token"].as_str().unwrap();
    let core = "/repos/molecule/core";
    let head = hub.forge_head().await;
    let tree = hub.ask("GET", &format!("{core}/git/commits/{head}"), &hub.admin, &Value::Null).await.1["tree"].clone();
    let blob =
        hub.ask("POST", &format!("{core}/git/blobs"), &hub.admin, &json!({ "content": "x" })).await.1["sha"].clone();
    let file = json!({ "path": "x", "mode": "100644", "type": "blob", "sha": blob });
    let change = json!({ "base_tree": tree["sha"], "tree": [file] });
    let tree = hub.ask("POST", &format!("{core}/git/trees"), &hub.admin, &change).await.1["sha"].clone();
    let commit = json!({ "message": "x", "tree": tree, "parents": [head] });
    let sha = hub.ask("POST", &format!("{core}/git/commits"), &hub.admin, &commit).await.1["sha"].clone();
    let branch = json!({ "ref": "refs/heads/change", "sha": sha });
    assert_eq!(hub.ask("POST", &format!("{core}/git/refs"), &hub.admin, &branch).await.0, 201);
    let pull = json!({ "title": "x", "head": "change", "base": "main" });
    let number = hub.ask("POST", &format!("{core}/pulls"), &hub.admin, &pull).await.1["number"].clone();
    let rule = json!({
        "required_status_checks": { "strict": false, "checks": [{ "context": "drift-gate", "app_id": app.id }] },
        "enforce_admins": true, "required_pull_request_reviews": null, "restrictions": null,
    });
    assert_eq!(hub.ask("PUT", &format!("{core}/branches/main/protection"), &hub.admin, &rule).await.0, 200);
    let status = format!("{core}/statuses/{}", sha.as_str().unwrap());
    let merge = format!("{core}/pulls/{number}/merge");
    let (green, merging) = (json!({ "state": "success", "context": "drift-gate" }), json!({ "merge_method": "merge" }));
    assert_eq!(hub.ask("POST", &status, &hub.admin, &green).await.0, 201);
    assert_eq!(hub.ask("PUT", &merge, &hub.admin, &merging).await.0, 405, "it is green, and not the App's");
    assert_eq!(hub.ask("POST", &status, token, &green).await.0, 201);
    assert_eq!(hub.ask("PUT", &merge, &hub.admin, &merging).await.0, 200);
}

#[tokio::test]
async fn statuses_and_checks_that_github_would_not_take_are_refused() {
    let hub = Hub::start().await;
    let path = format!("/repos/molecule/core/statuses/{}", "1".repeat(40));
    let status = json!({ "state": "success", "context": "drift-gate" });
    let (code, said) = hub.ask("POST", &path, &hub.admin, &status).await;
    assert!(code == 422 && said.to_string().contains("No commit found for SHA: 1111"), "{said}");
    let head = hub.forge_head().await;
    let path = format!("/repos/molecule/core/statuses/{head}");
    let posted = hub.ask("POST", &path, &hub.admin, &status).await;
    assert_eq!((posted.0, &posted.1["state"]), (201, &json!("success")), "under `state`, not under `status`");
    let odd = json!({ "state": "warning", "context": "drift-gate" });
    assert_eq!(hub.refused("POST", &path, &hub.admin, &odd).await.0, 422);
    let long = json!({ "state": "success", "description": "x".repeat(141) });
    assert_eq!(hub.refused("POST", &path, &hub.admin, &long).await.0, 422);

    let check = json!({ "name": "c", "head_sha": head, "status": "completed", "conclusion": "success" });
    let (code, words) = hub.refused("POST", "/repos/molecule/core/check-runs", &hub.admin, &check).await;
    assert_eq!((code, words.as_str()), (403, "You must authenticate via a GitHub App."));
}

#[tokio::test]
async fn comments_of_an_issue_come_in_pages_are_edited_and_rights_end_with_admin() {
    let hub = Hub::start().await;
    let reader = hub.forge.user("reader", false).unwrap();
    let made = reqwest::Client::new()
        .post(format!("{}/api/v1/repos/molecule/core/issues", hub.forge.base()))
        .header("authorization", format!("token {}", hub.admin))
        .body(json!({ "title": "Drift" }).to_string());
    assert_eq!(made.send().await.unwrap().status().as_u16(), 201);
    let of_issue = "/repos/molecule/core/issues/1/comments";
    for text in ["one", "two", "three"] {
        let (status, said) = hub.ask("POST", of_issue, &reader, &json!({ "body": text })).await;
        assert!(status == 201 && said["issue_url"].as_str().unwrap().ends_with("/issues/1"), "{said}");
    }
    let (_, page) = hub.ask("GET", &format!("{of_issue}?per_page=2&page=2"), &reader, &Value::Null).await;
    assert_eq!((page.as_array().unwrap().len(), &page[0]["body"]), (1, &json!("three")));
    let third = format!("/repos/molecule/core/issues/comments/{}", page[0]["id"]);
    let (status, said) = hub.ask("PATCH", &third, &reader, &json!({ "body": "four" })).await;
    assert_eq!((status, &said["body"]), (200, &json!("four")));
    assert_eq!(hub.ask("GET", "/repos/molecule/core/issues/2/comments", &reader, &Value::Null).await.0, 404);

    let right = |user: &str| format!("/repos/molecule/core/collaborators/{user}/permission");
    for (user, word) in [("maintainer", "admin"), ("reader", "read")] {
        assert_eq!(hub.ask("GET", &right(user), &hub.admin, &Value::Null).await.1["permission"], word);
    }
    assert_eq!(hub.refused("GET", &right("nobody"), &hub.admin, &Value::Null).await.0, 404);
    assert_eq!(hub.refused("GET", &right("reader"), &reader, &Value::Null).await.0, 403);
}

impl Hub {
    async fn forge_head(&self) -> String {
        let address = format!("{}/api/v1/repos/molecule/core/branches/main", self.forge.base());
        let branch: Value = reqwest::get(address).await.unwrap().json().await.unwrap();
        branch["commit"]["id"].as_str().unwrap().to_owned()
    }
}

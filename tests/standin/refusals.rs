//! What a Gitea refuses, and in which words: seen on a live one, where no recording was kept.

use serde_json::{Value, json};

use crate::forge::{BOT, CORE, Forge};

async fn refused(forge: &Forge, user: &str, method: &str, path: &str, body: Value, status: u16, words: &str) {
    let answer = forge.call(user, method, path, &body).await;
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    let message = answer.json()["message"].as_str().expect("a message").to_owned();
    assert!(message.contains(words), "{method} {path}: {message}");
}

/// A commit that writes `path` anew.
fn change(branch: &str, more: Value, file: Value) -> Value {
    let mut change = json!({ "branch": branch, "message": "A change", "files": [file] });
    change.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    change
}

#[tokio::test]
async fn a_commit_by_the_api_that_does_not_fit_is_refused_and_moves_nothing() {
    let forge = Forge::start().await;
    let main = forge.head(CORE, "main").await;
    forge.make("POST", &format!("/repos/{CORE}/branches"), json!({ "new_branch_name": "there" })).await;
    let contents = format!("/repos/{CORE}/contents");
    let new = json!({ "operation": "create", "path": "notes.txt", "content": "eA==" });
    let with = |operation: &str, path: &str, sha: &str| json!({ "operation": operation, "path": path, "sha": sha, "content": "eA==" });
    let other = "1".repeat(40);
    for (body, status, words) in [
        (change("gone", json!({}), new.clone()), 404, "branch does not exist"),
        (change("main", json!({ "new_branch": "there" }), new.clone()), 422, "branch already exists"),
        (change("main", json!({ "new_branch": "a..b" }), new.clone()), 422, "invalid"),
        (change("main", json!({}), with("create", "README.md", "")), 422, "repository file already exists"),
        (change("main", json!({}), with("update", "README.md", &other)), 422, "sha does not match"),
        (change("main", json!({}), with("update", "README.md", "")), 422, "SHA"),
        (change("main", json!({}), with("delete", "nothing", &other)), 404, "does not exist"),
        (change("main", json!({}), with("create", "../outside", "")), 422, "path"),
        (change("main", json!({}), with("upload", "x", "")), 422, "upload"),
        (change("main", json!({}), json!({ "operation": "create", "path": "x", "content": "no base64!" })), 422, ""),
    ] {
        refused(&forge, BOT, "POST", &contents, body, status, words).await;
    }
    let reader = change("main", json!({}), new.clone());
    refused(&forge, "reader", "POST", &contents, reader.clone(), 403, "permission to write").await;
    refused(&forge, "", "POST", &contents, reader, 401, "token is required").await;
    let rule = json!({ "rule_name": "rel*", "enable_push": false });
    forge.make("POST", &format!("/repos/{CORE}/branch_protections"), rule).await;
    let release = change("main", json!({ "new_branch": "release" }), new);
    refused(&forge, BOT, "POST", &contents, release, 403, "user cannot commit to repo").await;
    assert_eq!(forge.head(CORE, "main").await, main);
}

#[tokio::test]
async fn a_pull_request_that_is_there_or_leads_nowhere_is_refused() {
    let forge = Forge::start().await;
    for name in ["topic", "release"] {
        forge.make("POST", &format!("/repos/{CORE}/branches"), json!({ "new_branch_name": name })).await;
    }
    let pulls = format!("/repos/{CORE}/pulls");
    let pull = |head: &str, base: &str| json!({ "head": head, "base": base, "title": "A change" });
    forge.make("POST", &pulls, pull("topic", "main")).await;
    let there = "pull request already exists for these targets";
    refused(&forge, BOT, "POST", &pulls, pull("topic", "main"), 409, there).await;
    refused(&forge, BOT, "POST", &pulls, pull("main", "main"), 422, "no changes").await;
    refused(&forge, BOT, "POST", &pulls, pull("gone", "main"), 404, "not found").await;
    refused(&forge, BOT, "POST", &pulls, pull("topic", "gone"), 404, "not found").await;
    refused(&forge, BOT, "POST", &pulls, pull("contributor:main", "main"), 404, "not found").await;
    // Onto another base it is another one, until it is turned to the first one's base.
    let second = forge.make("POST", &pulls, pull("topic", "release")).await;
    let second = format!("{pulls}/{}", second["number"]);
    refused(&forge, BOT, "PATCH", &second, json!({ "base": "main" }), 409, there).await;
    refused(&forge, BOT, "PATCH", &second, json!({ "base": "gone" }), 404, "not exist").await;
    refused(&forge, "reader", "PATCH", &second, json!({ "state": "closed" }), 403, "").await;
}

#[tokio::test]
async fn a_merge_waits_for_the_required_status_and_happens_once() {
    let forge = Forge::start().await;
    let rule = json!({
        "rule_name": "main", "enable_push": true, "enable_status_check": true, "status_check_contexts": ["drift-*"],
    });
    forge.make("POST", &format!("/repos/{CORE}/branch_protections"), rule).await;
    let main = forge.head(CORE, "main").await;
    let topic = forge.commit(&[main], "Bump", &[("manifest.json", "{}\n")]);
    forge.push("maintainer", CORE, "refs/heads/topic", None, Some(topic)).await;
    let pull = json!({ "head": "topic", "base": "main", "title": "WIP: Bump" });
    forge.make("POST", &format!("/repos/{CORE}/pulls"), pull).await;
    let path = format!("/repos/{CORE}/pulls/1");
    let (merge, wish) = (format!("{path}/merge"), json!({ "Do": "merge" }));
    refused(&forge, "maintainer", "POST", &merge, wish.clone(), 405, "Work in progress").await;
    forge.make("PATCH", &path, json!({ "title": "Bump" })).await;
    let waits = "Not all required status checks successful";
    refused(&forge, "maintainer", "POST", &merge, wish.clone(), 405, waits).await;
    for state in ["success", "pending", "failure", "error"] {
        let status = json!({ "state": state, "context": "drift-gate" });
        forge.make_as(BOT, "POST", &format!("/repos/{CORE}/statuses/{topic}"), status).await;
        if state != "success" {
            refused(&forge, "maintainer", "POST", &merge, wish.clone(), 405, waits).await;
        }
    }
    let status = json!({ "state": "success", "context": "drift-gate" });
    forge.make_as(BOT, "POST", &format!("/repos/{CORE}/statuses/{topic}"), status).await;
    refused(&forge, "reader", "POST", &merge, wish.clone(), 405, "not allowed to merge").await;
    let seen = json!({ "Do": "merge", "head_commit_id": main.to_string() });
    refused(&forge, "maintainer", "POST", &merge, seen, 409, "head out of date").await;
    refused(&forge, "maintainer", "POST", &merge, json!({ "Do": "squash" }), 405, "merge style").await;
    forge.make("POST", &merge, wish.clone()).await;
    refused(&forge, "maintainer", "POST", &merge, wish, 405, "already merged").await;
    refused(&forge, "maintainer", "PATCH", &path, json!({ "state": "open" }), 412, "already merged").await;
    let merged = forge.make("GET", &path, Value::Null).await;
    assert_eq!(merged["merge_commit_sha"], forge.head(CORE, "main").await.to_string());
}

#[tokio::test]
async fn permissions_are_told_to_those_who_administer() {
    let forge = Forge::start().await;
    let path = |user: &str| format!("/repos/{CORE}/collaborators/{user}/permission");
    for (user, word) in
        [("root", "owner"), ("maintainer", "owner"), (BOT, "admin"), ("contributor", "write"), ("reader", "read")]
    {
        let told = forge.make_as(BOT, "GET", &path(user), Value::Null).await;
        assert_eq!(told["permission"], word, "{user}");
    }
    refused(&forge, BOT, "GET", &path("nobody"), Value::Null, 404, "").await;
    refused(&forge, "contributor", "GET", &path("reader"), Value::Null, 403, "").await;
    let own = forge.make_as("contributor", "GET", &path("contributor"), Value::Null).await;
    assert_eq!(own["role_name"], "write");
    let member = "/orgs/molecule/members/maintainer";
    assert_eq!(forge.call("maintainer", "GET", member, &Value::Null).await.status, 204);
    assert_eq!(forge.call("contributor", "GET", member, &Value::Null).await.status, 303);
    refused(&forge, BOT, "DELETE", &format!("/repos/{CORE}"), Value::Null, 403, "owner").await;
}

#[tokio::test]
async fn a_page_has_thirty_entries_or_as_many_as_fifty() {
    let forge = Forge::start().await;
    for number in 0..52 {
        let branch = json!({ "new_branch_name": format!("branch-{number}") });
        forge.make("POST", &format!("/repos/{CORE}/branches"), branch).await;
    }
    for (query, length) in [("", 30), ("?limit=100", 50), ("?limit=50&page=2", 3), ("?limit=50&page=3", 0)] {
        let list = forge.call(BOT, "GET", &format!("/repos/{CORE}/branches{query}"), &Value::Null).await;
        assert_eq!(list.json().as_array().map(Vec::len), Some(length), "{query}");
        assert_eq!(list.header("x-total-count"), Some("53"), "{query}");
    }
    let first = forge.call(BOT, "GET", &format!("/repos/{CORE}/branches?limit=50"), &Value::Null).await;
    let link = format!("<{}/api/v1/repos/{CORE}/branches?limit=50&page=2>; rel=\"next\"", forge.base());
    assert!(first.header("link").is_some_and(|links| links.starts_with(&link)));
}

#[tokio::test]
async fn combined_statuses_are_empty_at_first_and_then_the_worst() {
    let forge = Forge::start().await;
    let main = forge.head(CORE, "main").await;
    let combined = format!("/repos/{CORE}/commits/main/status");
    let none = forge.make("GET", &combined, Value::Null).await;
    assert_eq!((&none["state"], &none["statuses"]), (&json!(""), &Value::Null));
    for (context, state, all) in [("a", "success", "success"), ("b", "pending", "pending"), ("c", "error", "failure")] {
        let status = json!({ "state": state, "context": context });
        forge.make_as(BOT, "POST", &format!("/repos/{CORE}/statuses/{main}"), status).await;
        assert_eq!(forge.make("GET", &combined, Value::Null).await["state"], all);
    }
}

#[tokio::test]
async fn what_is_private_is_not_there_for_strangers_in_the_api_and_for_git() {
    let forge = Forge::start().await;
    forge.make("PATCH", &format!("/repos/{CORE}"), json!({ "private": true })).await;
    refused(&forge, "", "GET", &format!("/repos/{CORE}"), Value::Null, 404, "not found").await;
    let refs = "/molecule/core.git/info/refs?service=git-upload-pack";
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let ask = async |path: &str, token: Option<&str>| {
        let request = http.get(format!("{}{path}", forge.base())).header("git-protocol", "version=2");
        let request = match token {
            Some(token) => request.basic_auth("anybody", Some(token)),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let location = answer.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_owned);
        (answer.status().as_u16(), location, answer.text().await.expect("a body"))
    };
    let reader = forge.stand_in.token("reader", &["read:repository"]).expect("a token");
    forge.stand_in.user("stranger", false).expect("a user");
    let stranger = forge.stand_in.token("stranger", &["read:repository"]).expect("a token");
    assert_eq!(ask(refs, None).await.0, 401);
    assert_eq!(ask(refs, Some("wrong")).await.2, "Failed to authenticate user\n");
    assert_eq!(ask(refs, Some(&reader)).await.0, 200);
    let (status, _, words) = ask(refs, Some(&stranger)).await;
    assert_eq!((status, words.as_str()), (404, "Repository not found"));
    let push = refs.replace("upload", "receive");
    assert_eq!(ask(&push, Some(&reader)).await.0, 403);
    forge.make("PATCH", &format!("/repos/{CORE}"), json!({ "name": "kernel" })).await;
    let there = "/molecule/kernel.git/info/refs?service=git-upload-pack".to_owned();
    assert_eq!(ask(refs, Some(&reader)).await.1, Some(there));
}

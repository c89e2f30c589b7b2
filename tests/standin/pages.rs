//! What a person sees of the stand-in in a browser.

use axum::Router;
use axum::response::Redirect;
use axum::routing::post;
use drift_gate::demo::StandIn;
use drift_gate::demo::page::{Action, Page};
use serde_json::json;

use crate::forge::{BOT, CORE, Forge};

/// The text of a page that must be there.
async fn page(forge: &Forge, path: &str) -> String {
    let answer = forge.call_with(None, "GET", path, &serde_json::Value::Null).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    answer.text
}

fn assert_has(page: &str, words: &[&str]) {
    for words in words {
        assert!(page.contains(words), "the page lacks `{words}`:\n{page}");
    }
}

#[tokio::test]
async fn the_overview_shows_branches_their_commits_and_what_was_said_of_them() {
    let forge = Forge::start().await;
    let main = forge.head(CORE, "main").await;
    let status = json!({
        "state": "failure", "context": "drift-gate", "description": "config.yaml <differs>",
        "target_url": "http://gate.example.org/r/1",
    });
    forge.make_as(BOT, "POST", &format!("/repos/{CORE}/statuses/{main}"), status).await;
    let script = json!({ "state": "success", "context": "other", "target_url": "javascript:alert(1)" });
    forge.make_as(BOT, "POST", &format!("/repos/{CORE}/statuses/{main}"), script).await;
    let topic = forge.commit(&[main], "Bump the template", &[("manifest.json", "{}\n")]);
    forge.push("maintainer", CORE, "refs/heads/topic", None, Some(topic)).await;
    let pull = json!({ "head": "topic", "base": "main", "title": "Bump it" });
    forge.make("POST", &format!("/repos/{CORE}/pulls"), pull).await;
    let overview = page(&forge, "/").await;
    assert_has(
        &overview,
        &[
            "molecule/core",
            "molecule/platform-agent-template",
            "Bake the concierge identity",
            "failure",
            "config.yaml &lt;differs&gt;",
            "href=\"http://gate.example.org/r/1\"",
            "Bump the template",
            "#1 Bump it",
        ],
    );
    assert!(!overview.contains("javascript:"), "anyone may post a status: {overview}");
    assert_has(&page(&forge, "/molecule/core").await, &["Bump the template"]);
}

#[tokio::test]
async fn reports_links_to_commits_files_and_pull_requests_open() {
    let forge = Forge::start().await;
    let main = forge.head(CORE, "main").await;
    let topic = forge.commit(&[main], "Bump the template", &[("manifest.json", "{\"ref\": \"2\"}\n")]);
    forge.push("maintainer", CORE, "refs/heads/topic", None, Some(topic)).await;
    let pull = json!({ "head": "topic", "base": "main", "title": "Bump it", "body": "At last." });
    forge.make("POST", &format!("/repos/{CORE}/pulls"), pull).await;
    let comment = json!({ "body": "/drift-gate check" });
    forge.make("POST", &format!("/repos/{CORE}/issues/1/comments"), comment).await;
    let commit = page(&forge, &format!("/{CORE}/commit/{topic}")).await;
    assert_has(
        &commit,
        &["Bump the template", "-{&quot;ref&quot;: &quot;1&quot;}", "+{&quot;ref&quot;: &quot;2&quot;}"],
    );
    let file = format!("/{CORE}/src/commit/{topic}/workspace-server/Dockerfile.platform-agent");
    assert_has(&page(&forge, &file).await, &["id=\"L1\"", "FROM scratch"]);
    let root = page(&forge, &format!("/{CORE}/src/commit/{topic}")).await;
    assert_has(&root, &["workspace-server/", "manifest.json"]);
    let pull = page(&forge, &format!("/{CORE}/pulls/1")).await;
    assert_has(&pull, &["Bump it", "At last.", "topic", "open", "/drift-gate check"]);
}

#[tokio::test]
async fn what_is_private_or_missing_is_not_there() {
    let forge = Forge::start().await;
    let main = forge.head(CORE, "main").await;
    forge.make("PATCH", &format!("/repos/{CORE}"), json!({ "private": true })).await;
    assert!(!page(&forge, "/").await.contains("molecule/core"));
    let gone = "1".repeat(40);
    for path in [
        format!("/{CORE}"),
        format!("/{CORE}/commit/{main}"),
        format!("/{CORE}/src/commit/{main}/README.md"),
        "/molecule/nothing".to_owned(),
        format!("/molecule/platform-agent-template/commit/{gone}"),
    ] {
        let answer = forge.call_with(None, "GET", &path, &serde_json::Value::Null).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_button_posts_to_whoever_started_the_stand_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let action = Action {
        label: "Change the template".to_owned(),
        words: "Pushes a new model to its main branch.".to_owned(),
        address: "/demo/push".to_owned(),
    };
    let overview = Page {
        intro: "Both sides of one gate.".to_owned(),
        links: vec![("The dashboard".to_owned(), "http://127.0.0.1:1/".to_owned())],
        actions: vec![action],
        refresh: Some(2),
    };
    let more = Router::new().route("/demo/push", post(async || Redirect::to("/?said=Pushed.")));
    let stand_in = StandIn::start(listener, folder.path(), overview, more).expect("a stand-in");
    let get = async |path: &str| {
        let answer = reqwest::get(format!("{}{path}", stand_in.base())).await.expect("an answer");
        answer.text().await.expect("a page")
    };
    let words = ["Both sides of one gate.", "The dashboard", "action=\"/demo/push\"", "Change the template", "refresh"];
    assert_has(&get("/").await, &words);
    let http = reqwest::Client::new();
    let after = http.post(format!("{}/demo/push", stand_in.base())).send().await.expect("an answer");
    assert_has(&after.text().await.expect("a page"), &["Pushed."]);
}

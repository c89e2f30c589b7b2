//! The answers of a live Gitea 1.26 hold for the stand-in: the same state, the recorded request, the recorded answer.

use serde_json::{Value, json};

use crate::forge::{Answered, BOT, CORE, Forge, TEMPLATE};
use crate::likeness::{assert_like, recording};

/// The recorded request as `user`, its parts replaced by those of this run, and its answer compared.
async fn holds(forge: &Forge, name: &str, user: &str, replace: &[(&str, &str)]) -> Answered {
    let recording = recording("api", name);
    let (request, response) = (&recording["request"], &recording["response"]);
    let path = request["path"].as_str().expect("a path");
    let path = replace.iter().fold(path.to_owned(), |path, (from, to)| path.replace(from, to));
    let method = request["method"].as_str().expect("a method");
    let path = path.trim_start_matches("/api/v1");
    let answer = forge.call(user, method, path, &request["body"]).await;
    compare(forge, name, response, &answer);
    answer
}

fn compare(forge: &Forge, name: &str, response: &Value, answer: &Answered) {
    assert_eq!(response["status"], answer.status, "{name}: {}", answer.text);
    for (header, recorded) in response["headers"].as_object().expect("headers") {
        // What this run names is compared by the tests themselves.
        if header != "location" && header != "x-total-count" {
            assert_eq!(answer.header(header), recorded.as_str(), "{name}: {header}");
        }
    }
    match response.get("body") {
        Some(body) => assert_like(name, body, &answer.json(), forge.base()),
        None => assert_eq!(response["text"].as_str(), Some(answer.text.as_str()), "{name}"),
    }
}

/// A forge with a branch `topic` that bumps the template; its commit.
async fn with_topic() -> (Forge, String) {
    let forge = Forge::start().await;
    let main = forge.head(CORE, "main").await;
    let topic = forge.commit(&[main], "Bump the template", &[("manifest.json", "{\"ref\": \"2\"}\n")]);
    forge.push("maintainer", CORE, "refs/heads/topic", None, Some(topic)).await;
    (forge, topic.to_string())
}

/// The same with the bot's pull request; its number and the commit.
async fn with_pull() -> (Forge, u64, String) {
    let (forge, topic) = with_topic().await;
    let pull =
        json!({ "head": "topic", "base": "main", "title": "Bump the template", "body": "Brings `config.yaml`." });
    let pull = forge.make_as(BOT, "POST", &format!("/repos/{CORE}/pulls"), pull).await;
    (forge, pull["number"].as_u64().expect("a number"), topic)
}

/// The commit of the recordings.
const TOPIC: &str = "ac88dbea3816475debc1118a30b3bd327a2c757d";

#[tokio::test]
async fn who_asks_is_told_who_they_are() {
    let forge = Forge::start().await;
    holds(&forge, "user", BOT, &[]).await;
}

#[tokio::test]
async fn a_repository_is_told_by_its_name_or_is_not_there() {
    let forge = Forge::start().await;
    holds(&forge, "repo-get", BOT, &[]).await;
    holds(&forge, "repo-404", BOT, &[]).await;
}

#[tokio::test]
async fn a_renamed_repository_is_elsewhere_for_every_method_and_keeps_its_id() {
    let forge = Forge::start().await;
    let template = forge.make("GET", &format!("/repos/{TEMPLATE}"), Value::Null).await;
    let id = format!("/repositories/{}", template["id"]);
    forge.make("PATCH", &format!("/repos/{TEMPLATE}"), json!({ "name": "template-renamed" })).await;
    let moved = holds(&forge, "renamed-get-301", BOT, &[]).await;
    assert_eq!(moved.header("location"), Some("/api/v1/repos/molecule/template-renamed"));
    let moved = holds(&forge, "renamed-status-post", BOT, &[]).await;
    let path = "/api/v1/repos/molecule/template-renamed/statuses/225c3303cae91c0f712b34dbfec2f5ccf4e90529";
    assert_eq!(moved.header("location"), Some(path));
    holds(&forge, "repo-by-id", BOT, &[("/repositories/2", &id)]).await;
}

#[tokio::test]
async fn a_commit_is_told_with_what_it_changes_or_is_not_there() {
    let (forge, topic) = with_topic().await;
    holds(&forge, "commit-get", BOT, &[(TOPIC, &topic)]).await;
    holds(&forge, "commit-get-404", BOT, &[]).await;
}

#[tokio::test]
async fn a_pull_request_is_told_whole_by_itself_and_less_in_a_list() {
    let (forge, number, _) = with_pull().await;
    let here = format!("/pulls/{number}");
    holds(&forge, "pull-get", BOT, &[("/pulls/1", &here)]).await;
    holds(&forge, "pull-404", BOT, &[]).await;
    for name in ["pull-list", "pull-list-page-2"] {
        let list = holds(&forge, name, BOT, &[]).await;
        assert_eq!(list.header("x-total-count"), Some("1"), "{name}");
    }
}

#[tokio::test]
async fn a_pull_request_whose_fork_is_gone_is_closed_and_has_no_head_repository() {
    let forge = Forge::start().await;
    forge.make("POST", &format!("/repos/{CORE}/branches"), json!({ "new_branch_name": "release" })).await;
    let user = "contributor";
    forge.make_as(user, "POST", &format!("/repos/{CORE}/forks"), json!({})).await;
    let main = forge.head(CORE, "main").await;
    let fix = forge.commit(&[main], "From a fork", &[("README.md", "Fixed\n")]);
    forge.push(user, "contributor/core", "refs/heads/fix", None, Some(fix)).await;
    let pull = json!({ "head": "contributor:fix", "base": "release", "title": "From a fork" });
    let pull = forge.make_as(user, "POST", &format!("/repos/{CORE}/pulls"), pull).await;
    // A status is posted on the repository that the pull request is onto, where the fork's commit was copied to.
    let head = fix.to_string();
    holds(&forge, "status-post-fork-head", BOT, &[("0db2435e293db4a56e5b4ff9d05d75f1f8bf3b91", &head)]).await;
    forge.make_as(user, "DELETE", "/repos/contributor/core", Value::Null).await;
    let here = format!("/pulls/{}", pull["number"]);
    holds(&forge, "pull-get-fork-gone", BOT, &[("/pulls/5", &here)]).await;
}

#[tokio::test]
async fn statuses_are_rows_of_any_word_and_listed_in_the_order_of_posting() {
    let (forge, topic) = with_topic().await;
    let here = [(TOPIC, topic.as_str())];
    for name in ["pending", "success", "failure", "error"] {
        holds(&forge, &format!("status-post-{name}"), BOT, &here).await;
    }
    let list = recording("api", "status-list");
    for row in &list["response"]["body"].as_array().expect("rows")[4..] {
        let status = json!({
            "state": row["status"], "context": row["context"], "description": row["description"],
            "target_url": row["target_url"],
        });
        // The last was posted on a short name of the commit.
        let name = if row["context"] == "short" { &topic[..8] } else { &topic };
        forge.make_as(BOT, "POST", &format!("/repos/{CORE}/statuses/{name}"), status).await;
    }
    let rows = holds_in_any_order(&forge, &list, &topic).await;
    assert_eq!(rows, (1..=9).collect::<Vec<u64>>(), "each has a number of its own");
}

/// The recorded list spans one second; where this run's does not, only the order of its seconds differs.
async fn holds_in_any_order(forge: &Forge, recording: &Value, topic: &str) -> Vec<u64> {
    let path = recording["request"]["path"].as_str().expect("a path").replace(TOPIC, topic);
    let answer = forge.call(BOT, "GET", path.trim_start_matches("/api/v1"), &Value::Null).await;
    assert_eq!(answer.header("x-total-count"), Some("9"));
    let mut rows = answer.json().as_array().expect("rows").clone();
    let number = |row: &Value| row["id"].as_u64().expect("a number");
    rows.sort_by_key(number);
    let numbers = rows.iter().map(number).collect();
    compare(forge, "status-list", &recording["response"], &Answered { text: Value::from(rows).to_string(), ..answer });
    numbers
}

#[tokio::test]
async fn a_status_is_refused_for_a_strange_commit_a_bad_token_a_reader_and_a_narrow_token() {
    let (forge, topic) = with_topic().await;
    holds(&forge, "status-post-unknown-sha", BOT, &[]).await;
    holds(&forge, "status-post-403-reader", "reader", &[(TOPIC, &topic)]).await;
    let narrow = forge.stand_in.token(BOT, &["read:repository"]).expect("a token");
    for (name, token) in [("status-post-401", "nobody-has-this"), ("status-post-403-scope", &narrow)] {
        let recording = recording("api", name);
        let path = recording["request"]["path"].as_str().expect("a path").replace(TOPIC, &topic);
        let answer = forge.call_with(Some(token), "POST", &path, &recording["request"]["body"]).await;
        compare(&forge, name, &recording["response"], &answer);
    }
}

#[tokio::test]
async fn a_comment_is_written_and_reacted_to_once() {
    let (forge, number, _) = with_pull().await;
    let here = format!("/issues/{number}/");
    let comment = holds(&forge, "comment-create", "maintainer", &[("/issues/1/", &here)]).await;
    let here = format!("/comments/{}/", comment.json()["id"]);
    for name in ["reaction-create", "reaction-create-again", "reaction-create-403"] {
        holds(&forge, name, BOT, &[("/comments/7/", &here)]).await;
    }
}

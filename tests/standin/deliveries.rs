//! The deliveries of a live Gitea 1.26 hold for the stand-in: the same happens, the same is told, signed the same way.
//!
//! Where a real one delivers two things in an order that depends on its workers (a pull request before its branch), the
//! stand-in's is that of the events.

use drift_gate::config::ForgeKind;
use drift_gate::forge::webhook::verify;
use git2::Oid;
use serde_json::{Value, json};

use crate::forge::{BOT, CORE, Delivery, Forge, Receiver, SECRET, TEMPLATE};
use crate::likeness::{assert_like, recorded_deliveries, recording};

/// One delivery against one recording: names of headers, event, signature, body.
fn holds(forge: &Forge, name: &str, delivery: &Delivery) {
    let recorded = recording("deliveries", name);
    for header in recorded["headers"].as_array().expect("headers") {
        let (key, value) = (header[0].as_str().expect("a name"), header[1].as_str().expect("a value"));
        assert!(delivery.headers.contains_key(key), "{name}: no {key}");
        if ["Event", "Event-Type", "Target-Type"].iter().any(|end| key.ends_with(end)) || key == "Content-Type" {
            assert_eq!(delivery.header(key), value, "{name}: {key}");
        }
    }
    let secrets = [SECRET.into()];
    let verified = verify(ForgeKind::Gitea, &delivery.headers, &delivery.body, &secrets);
    if recorded["secret"] == "" {
        assert_eq!(delivery.header("x-gitea-signature"), "", "{name}");
        assert_eq!(delivery.header("x-hub-signature-256"), "sha256=", "{name}");
        verified.expect_err("nobody's signature");
    } else {
        verified.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert_like(name, &recorded_body(name), &delivery.json(), forge.base());
}

/// The body of a recorded delivery.
fn recorded_body(name: &str) -> Value {
    serde_json::from_str(recording("deliveries", name)["body"].as_str().expect("a body")).expect("JSON")
}

/// The next deliveries against the recordings of these numbers, in this order.
async fn next_hold(forge: &Forge, receiver: &Receiver, numbers: &[&str]) {
    for number in numbers {
        let name = recorded_deliveries(number).into_iter().next().expect("a recording");
        holds(forge, &name, &receiver.next().await);
    }
}

struct World {
    forge: Forge,
    receiver: Receiver,
    main: Oid,
}

impl World {
    async fn start(repo: &str) -> Self {
        let forge = Forge::start().await;
        let receiver = forge.hook(repo, SECRET).await;
        let main = forge.head(repo, "main").await;
        Self { forge, receiver, main }
    }

    async fn holds(&self, numbers: &[&str]) {
        next_hold(&self.forge, &self.receiver, numbers).await;
    }

    /// The maintainer's commit on a branch of core.
    async fn push(&self, branch: &str, before: Option<Oid>, parent: Oid, message: &str, file: (&str, &str)) -> Oid {
        let commit = self.forge.commit(&[parent], message, &[file]);
        self.forge.push("maintainer", CORE, &format!("refs/heads/{branch}"), before, Some(commit)).await;
        commit
    }

    async fn topic(&self) -> Oid {
        self.push("topic", None, self.main, "Bump the template", ("manifest.json", "{\"ref\": \"2\"}\n")).await
    }

    /// The bot's pull request from a branch of core.
    async fn pull(&self, head: &str, title: &str, body: &str) -> String {
        let pull = json!({ "head": head, "base": "main", "title": title, "body": body });
        let pull = self.forge.make_as(BOT, "POST", &format!("/repos/{CORE}/pulls"), pull).await;
        format!("/repos/{CORE}/pulls/{}", pull["number"])
    }

    async fn status(&self, commit: Oid, state: &str, description: &str) {
        let status = json!({ "state": state, "context": "drift-gate", "description": description });
        self.forge.make_as(BOT, "POST", &format!("/repos/{CORE}/statuses/{commit}"), status).await;
    }
}

#[tokio::test]
async fn a_hooks_test_is_a_push_from_a_commit_to_itself() {
    let world = World::start(CORE).await;
    let hooks = world.forge.make("GET", &format!("/repos/{CORE}/hooks"), Value::Null).await;
    let path = format!("/repos/{CORE}/hooks/{}/tests", hooks[0]["id"]);
    world.forge.make_as(BOT, "POST", &path, Value::Null).await;
    world.holds(&["001-"]).await;
}

#[tokio::test]
async fn a_push_tells_at_most_five_commits_and_how_many_there_are() {
    let world = World::start(TEMPLATE).await;
    let mut head = world.forge.commit(&[world.main], "Schedules", &[("config.yaml", "name: y\n")]);
    world.forge.push("maintainer", TEMPLATE, "refs/heads/main", Some(world.main), Some(head)).await;
    world.holds(&["002-"]).await;
    let before = head;
    for number in 0..20 {
        head = world.forge.commit(&[head], &format!("Wording {number}"), &[("README.md", &format!("{number}\n"))]);
    }
    world.forge.push("maintainer", TEMPLATE, "refs/heads/main", Some(before), Some(head)).await;
    world.holds(&["003-"]).await;
}

#[tokio::test]
async fn a_new_branch_is_a_creation_and_a_push_from_nothing() {
    let world = World::start(CORE).await;
    world.topic().await;
    world.holds(&["004-", "005-"]).await;
    world.forge.make("POST", &format!("/repos/{CORE}/branches"), json!({ "new_branch_name": "release" })).await;
    world.holds(&["042-", "043-"]).await;
}

#[tokio::test]
async fn every_status_is_told() {
    let world = World::start(CORE).await;
    let topic = world.topic().await;
    world.receiver.these(&["create", "push"]).await;
    for name in recorded_deliveries("statuses-core-status") {
        let body = recorded_body(&name);
        // A real one tells its own address where there is none.
        let target_url =
            if body["target_url"] == "https://git.example.org/" { "" } else { "https://gate.example.org/r/1" };
        let status = json!({
            "state": body["state"], "context": body["context"], "description": body["description"],
            "target_url": target_url,
        });
        let commit = if body["context"] == "by-branch" { "main".to_owned() } else { topic.to_string() };
        world.forge.make_as(BOT, "POST", &format!("/repos/{CORE}/statuses/{commit}"), status).await;
        holds(&world.forge, &name, &world.receiver.next().await);
    }
}

#[tokio::test]
async fn a_pull_request_is_told_from_opening_to_its_comments() {
    let world = World::start(CORE).await;
    let topic = world.topic().await;
    world.receiver.these(&["create", "push"]).await;
    let pull = world.pull("topic", "Bump the template", "Brings `config.yaml`.").await;
    world.holds(&["016-"]).await;
    let second = world.push("topic", Some(topic), topic, "Wording", ("README.md", "Core, the consumer\n")).await;
    world.holds(&["017-", "018-"]).await;
    world.push("topic", Some(second), topic, "Wording, amended", ("README.md", "The consumer\n")).await;
    world.holds(&["019-", "020-"]).await;
    for (edit, number) in [
        (json!({ "title": "WIP: Bump the template" }), "021-"),
        (json!({ "body": "Another text." }), "022-"),
        (json!({ "title": "Bump the template" }), "023-"),
    ] {
        world.forge.make_as(BOT, "PATCH", &pull, edit).await;
        world.holds(&[number]).await;
    }
    let comments = format!("{}/comments", pull.replace("/pulls/", "/issues/"));
    let comment = world.forge.make("POST", &comments, json!({ "body": "/drift-gate check" })).await;
    world.holds(&["024-"]).await;
    let path = format!("/repos/{CORE}/issues/comments/{}", comment["id"]);
    world.forge.make_as(BOT, "PATCH", &path, json!({ "body": "edited by the bot" })).await;
    world.holds(&["025-"]).await;
    let body = json!({ "body": "/drift-gate rebuild\n\nplease" });
    world.forge.make_as("contributor", "POST", &comments, body).await;
    world.holds(&["026-"]).await;
}

#[tokio::test]
async fn a_comment_on_an_issue_is_told_as_one() {
    let world = World::start(CORE).await;
    let issue = json!({ "title": "An issue", "body": "text" });
    let issue = world.forge.make("POST", &format!("/repos/{CORE}/issues"), issue).await;
    let path = format!("/repos/{CORE}/issues/{}/comments", issue["number"]);
    world.forge.make("POST", &path, json!({ "body": "/drift-gate check" })).await;
    // That the issue was opened is an event of `issues`, which drift-gate does not subscribe to and the stand-in has not.
    world.holds(&["027-"]).await;
}

#[tokio::test]
async fn a_commit_by_the_api_is_told_like_a_push() {
    let world = World::start(CORE).await;
    let amended = world.push("topic", None, world.main, "Wording, amended", ("README.md", "The consumer\n")).await;
    world.receiver.these(&["create", "push"]).await;
    world.status(amended, "failure", "1 of 3 identity files differ").await;
    world.holds(&["028-"]).await;
    let contents = format!("/repos/{CORE}/contents");
    let branch = "drift-gate/2bb9e7ed23b7";
    for (from, new, force, numbers) in [
        ("main", branch, false, &["029-", "030-"][..]),
        (branch, "", false, &["031-"]),
        ("main", branch, true, &["032-"]),
    ] {
        let there = format!("/repos/{CORE}/contents/manifest.json?ref={from}");
        let there = world.forge.make("GET", &there, Value::Null).await;
        let file = json!({
            "operation": "update", "path": "manifest.json", "sha": there["sha"],
            "content": base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{numbers:?}")),
        });
        let change = json!({
            "branch": from, "new_branch": new, "force_push": force, "files": [file],
            "message": "Bump platform-agent template",
        });
        world.forge.make_as(BOT, "POST", &contents, change).await;
        world.holds(numbers).await;
    }
    world.pull(branch, "Bump platform-agent", "").await;
    // Its body was another one; what the bot writes there is the repair's business.
    let opened = world.receiver.next().await;
    let mut recorded = recorded_body("033-bot-pr-opened-core-pull_request-gitea");
    recorded["pull_request"]["body"] = "".into();
    assert_like("033", &recorded, &opened.json(), world.forge.base());
}

#[tokio::test]
async fn a_pull_request_without_commits_is_told_like_any_other() {
    let world = World::start(CORE).await;
    world.forge.make_as(BOT, "POST", &format!("/repos/{CORE}/branches"), json!({ "new_branch_name": "empty" })).await;
    world.holds(&["035-", "036-"]).await;
    world.pull("empty", "no commits", "").await;
    world.holds(&["034-"]).await;
}

#[tokio::test]
async fn a_forks_pull_request_is_told_until_its_fork_is_gone() {
    let world = World::start(CORE).await;
    let forge = &world.forge;
    forge.make("POST", &format!("/repos/{CORE}/branches"), json!({ "new_branch_name": "release" })).await;
    forge.make_as("contributor", "POST", &format!("/repos/{CORE}/forks"), json!({})).await;
    world.receiver.these(&["create", "push", "fork"]).await;
    let fix = forge.commit(&[world.main], "From a fork", &[("README.md", "Fixed\n")]);
    forge.push("contributor", "contributor/core", "refs/heads/fix", None, Some(fix)).await;
    let pull = json!({ "head": "contributor:fix", "base": "main", "title": "From a fork" });
    let pull = forge.make_as("contributor", "POST", &format!("/repos/{CORE}/pulls"), pull).await;
    let pull = format!("/repos/{CORE}/pulls/{}", pull["number"]);
    world.holds(&["037-"]).await;
    world.status(fix, "success", "").await;
    world.holds(&["038-"]).await;
    let more = forge.commit(&[fix], "More of it", &[("README.md", "Fixed again\n")]);
    forge.push("contributor", "contributor/core", "refs/heads/fix", Some(fix), Some(more)).await;
    world.holds(&["039-"]).await;
    for (edit, number) in [
        (json!({ "state": "closed" }), "040-"),
        (json!({ "state": "open" }), "041-"),
        (json!({ "base": "release" }), "044-"),
    ] {
        forge.make_as(BOT, "PATCH", &pull, edit).await;
        world.holds(&[number]).await;
    }
    forge.make_as("contributor", "DELETE", "/repos/contributor/core", Value::Null).await;
    world.holds(&["045-"]).await;
}

#[tokio::test]
async fn a_merge_is_told_as_closed_push_and_delete() {
    let world = World::start(CORE).await;
    let topic = world.topic().await;
    let amended = world.push("topic", Some(topic), topic, "Wording, amended", ("README.md", "The consumer\n")).await;
    let pull = world.pull("topic", "Bump the template", "Another text.").await;
    world.receiver.these(&["create", "push", "push", "pull_request"]).await;
    for body in ["one", "two"] {
        let comments = format!("{}/comments", pull.replace("/pulls/", "/issues/"));
        world.forge.make("POST", &comments, json!({ "body": body })).await;
        world.receiver.these(&["pull_request_comment"]).await;
    }
    world.status(amended, "success", "in sync").await;
    world.holds(&["046-"]).await;
    let wish = json!({ "Do": "merge", "delete_branch_after_merge": true });
    world.forge.make("POST", &format!("{pull}/merge"), wish).await;
    world.holds(&["047-", "048-", "049-"]).await;
}

#[tokio::test]
async fn a_tag_is_told_as_push_and_creation_or_deletion() {
    let world = World::start(CORE).await;
    world.forge.push("maintainer", CORE, "refs/tags/v1", None, Some(world.main)).await;
    world.holds(&["050-", "051-"]).await;
    world.forge.push("maintainer", CORE, "refs/tags/v1", Some(world.main), None).await;
    world.holds(&["052-", "053-"]).await;
}

#[tokio::test]
async fn a_deleted_branch_is_no_push_and_closes_its_pull_request() {
    let world = World::start(CORE).await;
    let branch = "drift-gate/2bb9e7ed23b7";
    // It conflicts with what main has become.
    let bump = ("manifest.json", "{\"ref\": \"3\"}\n");
    world.push(branch, None, world.main, "Bump platform-agent template", bump).await;
    world.pull(branch, "Bump platform-agent", "").await;
    let other = ("manifest.json", "{\"ref\": \"4\"}\n");
    world.push("main", Some(world.main), world.main, "Another bump", other).await;
    world.receiver.these(&["create", "push", "pull_request", "push"]).await;
    world.forge.make("DELETE", &format!("/repos/{CORE}/branches/{branch}"), Value::Null).await;
    world.holds(&["054-"]).await;
    let closed = world.receiver.next().await;
    let mut recorded = recorded_body("055-branch-deleted-core-pull_request-gitea");
    recorded["pull_request"]["body"] = "".into();
    assert_like("055", &recorded, &closed.json(), world.forge.base());
}

#[tokio::test]
async fn a_hook_without_a_secret_is_told_with_empty_signatures_and_a_renamed_repository_by_its_new_name() {
    let world = World::start(TEMPLATE).await;
    let unsigned = world.forge.hook(TEMPLATE, "").await;
    let commit = world.forge.commit(&[world.main], "Unsigned too", &[("README.md", "Unsigned\n")]);
    world.forge.push("maintainer", TEMPLATE, "refs/heads/main", Some(world.main), Some(commit)).await;
    world.holds(&["056-"]).await;
    next_hold(&world.forge, &unsigned, &["057-"]).await;
    world.forge.make("PATCH", &format!("/repos/{TEMPLATE}"), json!({ "name": "template-renamed" })).await;
    let after = world.forge.commit(&[commit], "After the rename", &[("README.md", "Renamed\n")]);
    let now = "molecule/template-renamed";
    world.forge.push("maintainer", now, "refs/heads/main", Some(commit), Some(after)).await;
    // Nothing was told of the rename itself.
    world.holds(&["058-"]).await;
}

#[tokio::test]
async fn only_what_a_hook_asks_for_is_told_and_only_while_it_is_active() {
    let forge = Forge::start().await;
    let receiver = Receiver::start().await;
    for (active, event) in [(true, "delete"), (false, "create")] {
        let hook = json!({
            "type": "gitea", "active": active, "events": [event, "moon_phase"],
            "config": { "url": receiver.url, "content_type": "json" },
        });
        forge.make("POST", &format!("/repos/{CORE}/hooks"), hook).await;
    }
    forge.make("POST", &format!("/repos/{CORE}/branches"), json!({ "new_branch_name": "gone" })).await;
    for _ in 0..2 {
        forge.make("DELETE", &format!("/repos/{CORE}/branches/gone"), Value::Null).await;
        receiver.these(&["delete"]).await;
        forge.make("POST", &format!("/repos/{CORE}/branches"), json!({ "new_branch_name": "gone" })).await;
    }
}

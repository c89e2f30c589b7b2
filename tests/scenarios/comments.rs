//! `/drift-gate check`, said on a pull request.

use serde_json::json;

use crate::host::eventually;
use crate::relay::Post;
use crate::world::{CORE, TEMPLATE, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_runs_the_gate_afresh_and_answers_with_a_reaction_on_both_sides() {
    let world = World::in_sync().await;
    for repo in [CORE, TEMPLATE] {
        let head = world.admin.commit_new(repo, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
        let number = world.admin.open_pull(repo, "docs", "main").await;
        world.expect(repo, &head, "success", "").await;
        // Someone with write access overwrote the status; the gate afresh puts it back.
        let forged = json!({ "state": "failure", "context": "drift-gate", "description": "by hand" });
        world.admin.call("POST", &format!("/repos/{repo}/statuses/{head}"), forged).await;
        let comment = comment(&world, repo, number, "/drift-gate check\n\nplease").await;
        reaction(&world, repo, comment).await;
        world.expect(repo, &head, "success", "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_acts_once_however_often_it_is_delivered() {
    let world = World::in_sync().await;
    let head = world.admin.commit_new(CORE, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
    let number = world.admin.open_pull(CORE, "docs", "main").await;
    world.expect(CORE, &head, "success", "").await;
    world.post(Post::Hold);
    let id = comment(&world, CORE, number, "/drift-gate check").await;
    eventually("the comment's delivery is there", async || {
        if world.relay.held("issue_comment") > 0 { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    let held = world.relay.take();
    let delivery = held.iter().find(|delivery| delivery.event() == "issue_comment").expect("a comment's delivery");
    for _ in 0..3 {
        assert_eq!(world.relay.deliver(delivery).await, 202);
    }
    world.post(Post::Deliver);
    reaction(&world, CORE, id).await;
    world.settled().await;
    let reactions = world.proxy.count(&axum::http::Method::POST, "/reactions");
    assert_eq!(reactions, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_looks_like_a_command_is_let_be() {
    let world = World::in_sync().await;
    let head = world.admin.commit_new(CORE, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
    let number = world.admin.open_pull(CORE, "docs", "main").await;
    world.expect(CORE, &head, "success", "").await;
    for body in ["> /drift-gate check", "I would say\n/drift-gate check", "/drift-gate dance"] {
        comment(&world, CORE, number, body).await;
    }
    world.settled().await;
    assert_eq!(world.proxy.count(&axum::http::Method::POST, "/reactions"), 0);
}

async fn comment(world: &World, repo: &str, number: u64, body: &str) -> u64 {
    let path = format!("/repos/{repo}/issues/{number}/comments");
    world.contributor.call("POST", &path, json!({ "body": body })).await["id"].as_u64().expect("an id")
}

async fn reaction(world: &World, repo: &str, comment: u64) {
    let path = format!("/repos/{repo}/issues/comments/{comment}/reactions");
    eventually("the comment is answered with a reaction", async || {
        let reactions = world.admin.get(&path).await;
        let ours = |reaction: &serde_json::Value| reaction["user"]["login"] == crate::host::BOT;
        match reactions.as_array() {
            Some(all) if all.iter().any(ours) => Ok(()),
            _ => Err(reactions.to_string()),
        }
    })
    .await;
}

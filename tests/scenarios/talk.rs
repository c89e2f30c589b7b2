//! What people say on a forge, and what drift-gate says to it.

use serde_json::{Value, json};

use crate::host::{Api, BOT, eventually};
use crate::relay::Post;
use crate::world::World;

/// What drift-gate's answers begin with.
pub const MARK: &str = "<!-- drift-gate: answer -->";

pub async fn comment(by: &Api, repo: &str, number: u64, body: &str) -> u64 {
    let path = format!("/repos/{repo}/issues/{number}/comments");
    by.call("POST", &path, json!({ "body": body })).await["id"].as_u64().expect("an id")
}

/// Our reactions to a comment.
pub async fn reactions(world: &World, repo: &str, comment: u64) -> Vec<String> {
    let all = world.admin.get(&format!("/repos/{repo}/issues/comments/{comment}/reactions")).await;
    let ours = all.as_array().into_iter().flatten().filter(|reaction| reaction["user"]["login"] == BOT);
    ours.filter_map(|reaction| reaction["content"].as_str().map(str::to_owned)).collect()
}

pub async fn reacted(world: &World, repo: &str, comment: u64, with: &str) {
    eventually(&format!("the comment is answered with {with}"), async || {
        let all = reactions(world, repo, comment).await;
        if all.iter().any(|one| one == with) { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .await;
}

/// Our comments on a pull request: their numbers and texts.
pub async fn answers(world: &World, repo: &str, number: u64) -> Vec<(u64, String)> {
    let all = world.admin.get(&format!("/repos/{repo}/issues/{number}/comments")).await;
    let ours = all.as_array().expect("a list").iter().filter(|comment| comment["user"]["login"] == BOT);
    let read = |comment: &Value| {
        (comment["id"].as_u64().expect("an id"), comment["body"].as_str().expect("a text").to_owned())
    };
    ours.map(read).collect()
}

/// The one answer says this; its number and its text.
pub async fn answered(world: &World, repo: &str, number: u64, words: &str) -> (u64, String) {
    eventually(&format!("the answer says {words:?}"), async || {
        let all = answers(world, repo, number).await;
        assert!(all.len() < 2, "more than one answer: {all:#?}");
        match all.into_iter().next() {
            Some((id, body)) if body.contains(words) => Ok((id, body)),
            other => Err(format!("{other:#?}")),
        }
    })
    .await
}

/// What the log has, newest first: act and words.
pub async fn log(world: &World) -> Vec<(String, String)> {
    let told = world.told("/audit").await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = told["audit"].as_array().expect("the log").iter();
    lines.map(|line| (text(&line["act"]), text(&line["words"]))).collect()
}

/// Somebody writes over a status, and no delivery tells it.
pub async fn write_over(world: &World, repo: &str, sha: &str) {
    world.post(Post::Hold);
    let forged = json!({ "state": "failure", "context": "drift-gate", "description": "by hand" });
    world.admin.call("POST", &format!("/repos/{repo}/statuses/{sha}"), forged).await;
    eventually("the delivery of the status is lost", async || {
        if world.relay.held("status") > 0 { Ok(()) } else { Err("it did not come yet".to_owned()) }
    })
    .await;
    world.relay.take();
    world.post(Post::Deliver);
}

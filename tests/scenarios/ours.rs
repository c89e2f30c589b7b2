//! What stories see of the pull requests that drift-gate opened.

use serde_json::Value;

use crate::host::{BOT, eventually};
use crate::world::World;

/// The bot's pull requests on a repository, open or closed, newest first.
pub async fn of_bot(world: &World, repo: &str, state: &str) -> Vec<Value> {
    let all = world.admin.get(&format!("/repos/{repo}/pulls?state={state}&limit=50")).await;
    let all = all.as_array().expect("a list").iter();
    all.filter(|pull| pull["user"]["login"] == BOT && pull["state"] == state).cloned().collect()
}

/// The only one that is open, once it is such a one.
pub async fn the_open_one(world: &World, repo: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || match of_bot(world, repo, "open").await.as_slice() {
        [one] if is_it(one) => Ok(one.clone()),
        other => {
            let branches: Vec<&Value> = other.iter().map(|one| &one["head"]["ref"]).collect();
            Err(format!("{branches:?} are open on {repo}"))
        }
    })
    .await
}

/// It is closed, and this was said on it.
pub async fn is_closed(world: &World, repo: &str, pull: u64, words: &str) {
    eventually(&format!("{repo}#{pull} is closed, with \"{words}\""), async || {
        let closed = world.admin.get(&format!("/repos/{repo}/pulls/{pull}")).await;
        let said = comments(world, repo, pull).await;
        let is_told = said.iter().any(|one| one.contains(words));
        if closed["state"] == "closed" && is_told { Ok(()) } else { Err(format!("{}: {said:?}", closed["state"])) }
    })
    .await;
}

/// A person closes one.
pub async fn close(world: &World, repo: &str, pull: u64) {
    let close = serde_json::json!({ "state": "closed" });
    world.admin.call("PATCH", &format!("/repos/{repo}/pulls/{pull}"), close).await;
}

pub fn number(pull: &Value) -> u64 {
    pull["number"].as_u64().expect("a number")
}

pub fn branch(pull: &Value) -> String {
    pull["head"]["ref"].as_str().expect("a branch").to_owned()
}

pub fn head(pull: &Value) -> String {
    pull["head"]["sha"].as_str().expect("a commit").to_owned()
}

/// A file of a branch or commit.
pub async fn file(world: &World, repo: &str, path: &str, reference: &str) -> String {
    use base64::Engine;
    let there = world.admin.get(&format!("/repos/{repo}/contents/{path}?ref={reference}")).await;
    let content = there["content"].as_str().expect("content");
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(content).expect("base64")).expect("text")
}

/// The files that a pull request changes.
pub async fn files(world: &World, repo: &str, pull: u64) -> Vec<String> {
    let all = world.admin.get(&format!("/repos/{repo}/pulls/{pull}/files?limit=50")).await;
    let all = all.as_array().expect("a list").iter();
    let mut names: Vec<String> = all.filter_map(|file| file["filename"].as_str().map(str::to_owned)).collect();
    names.sort();
    names
}

pub async fn comments(world: &World, repo: &str, pull: u64) -> Vec<String> {
    let all = world.admin.get(&format!("/repos/{repo}/issues/{pull}/comments")).await;
    let all = all.as_array().expect("a list").iter();
    all.filter_map(|comment| comment["body"].as_str().map(str::to_owned)).collect()
}

/// Our branches on a repository.
pub async fn branches(world: &World, repo: &str) -> Vec<String> {
    let all = world.admin.get(&format!("/repos/{repo}/branches?limit=50")).await;
    let all = all.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str());
    all.filter(|name| name.starts_with("drift-gate/")).map(str::to_owned).collect()
}

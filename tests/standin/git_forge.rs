//! The real git against the whole forge: who may do what, and what a push sets off.

use serde_json::json;

use crate::forge::{CORE, Forge, SECRET};
use crate::git_client::Person;

#[tokio::test]
#[ignore = "needs git"]
async fn a_push_from_a_clone_is_told_and_moves_the_pull_request() {
    let forge = Forge::start().await;
    let receiver = forge.hook(CORE, SECRET).await;
    let person = Person::new();
    person.git("", &["clone", "-q", &forge.git_url("maintainer", CORE), "core"]).await;
    person.git("core", &["switch", "-q", "-c", "topic"]).await;
    person.commit("core", "notes.txt", "one\n").await;
    person.git("core", &["push", "-q", "origin", "topic"]).await;
    receiver.these(&["create", "push"]).await;
    let pull = json!({ "head": "topic", "base": "main", "title": "Notes" });
    forge.make("POST", &format!("/repos/{CORE}/pulls"), pull).await;
    let second = person.commit("core", "notes.txt", "two\n").await;
    person.git("core", &["push", "-q", "origin", "topic"]).await;
    let told = receiver.these(&["pull_request", "push", "pull_request_sync"]).await;
    assert_eq!(told[2].json()["pull_request"]["head"]["sha"], second.to_string());
    assert_eq!(told[1].json()["pusher"]["login"], "maintainer");
    let refs = person.git("core", &["ls-remote", "origin", "refs/pull/*"]).await;
    assert_eq!(refs, format!("{second}\trefs/pull/1/head"));
    person.git("core", &["push", "-q", "origin", ":topic"]).await;
    receiver.these(&["delete", "pull_request"]).await;
}

#[tokio::test]
#[ignore = "needs git"]
async fn git_follows_a_renamed_repository_and_who_may_not_write_is_refused() {
    let forge = Forge::start().await;
    let person = Person::new();
    person.git("", &["clone", "-q", &forge.git_url("maintainer", CORE), "core"]).await;
    forge.make("PATCH", &format!("/repos/{CORE}"), json!({ "name": "kernel" })).await;
    let head = person.commit("core", "notes.txt", "one\n").await;
    person.git("core", &["push", "-q", "origin", "main"]).await;
    assert_eq!(forge.head("molecule/kernel", "main").await, head);
    let reader = forge.git_url("reader", "molecule/kernel");
    person.commit("core", "notes.txt", "two\n").await;
    let said = person.refused("core", &["push", "-q", &reader, "main"]).await;
    assert!(said.contains("403"), "{said}");
    let nobody = format!("{}/molecule/kernel.git", forge.base());
    let said = person.refused("core", &["push", "-q", &nobody, "main"]).await;
    assert!(said.contains("could not read Username") || said.contains("401"), "{said}");
    assert_eq!(forge.head("molecule/kernel", "main").await, head);
}

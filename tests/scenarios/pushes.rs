//! Pushes to branches, on either side.

use axum::http::Method;
use serde_json::json;

use crate::host::eventually;
use crate::world::{BAKES, CORE, Setting, TEMPLATE, World};

const NEW_CONFIG: &str = "name: Org Concierge\nruntime: claude-code\nmodel: opus\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_to_the_template_turns_both_red_and_the_bumped_pin_turns_both_green() {
    let world = World::in_sync().await;

    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let words = world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    assert!(words.contains("core"), "the template is told who lags: {words}");
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;

    let core = world.bump(&template).await;
    world.expect(CORE, &core, "success", "").await;
    world.expect(TEMPLATE, &template, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_costs_one_reading_of_each_repository() {
    let world = World::in_sync().await;
    let lists = || [TEMPLATE, CORE].map(|repo| world.proxy.count(&Method::GET, &format!("{repo}/pulls?")));
    world.idle().await;
    let before = lists();
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    world.idle().await;
    assert_eq!(lists(), before.map(|count| count + 1), "what was seen is judged by the look that saw it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_that_no_copy_takes_is_red_even_when_the_pin_moves_to_it() {
    let world = World::in_sync().await;
    let template =
        world.push_template(&[("prompts/guest.md", Some("# Guest\n")), ("hooks/boot.sh", Some("#!/bin/sh\n"))]).await;
    let core = world.bump(&template).await;
    let words = world.expect(CORE, &core, "failure", "hooks/boot.sh").await;
    assert!(!words.contains("guest.md"), "a directory COPY takes prompts/guest.md: {words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_an_ignored_file_is_no_drift() {
    let world = World::in_sync().await;
    let template = world.push_template(&[("README.md", Some("Read me again\n"))]).await;
    world.expect(TEMPLATE, &template, "success", "").await;
    world.settled().await;
    let (state, ..) = world.admin.status(CORE, &world.core_head, "drift-gate").await.expect("a status");
    assert_eq!(state, "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_to_a_commit_that_never_was_is_red_with_file_and_value() {
    let world = World::in_sync().await;
    let core = world.bump(&"0123456789".repeat(4)).await;
    let words = world.expect(CORE, &core, "failure", "manifest.json").await;
    assert!(words.contains("01234567"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_to_a_branch_that_was_never_merged_is_red() {
    let world = World::in_sync().await;
    let side = world
        .admin
        .commit_new(TEMPLATE, "main", "feature/side", &[("mcp_servers.yaml", Some("mcp_servers: []\n"))])
        .await;
    let core = world.bump(&side).await;
    world.expect(CORE, &core, "failure", "manifest.json").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_to_a_forks_commit_is_never_the_truth() {
    let world = World::in_sync().await;
    let fork = world.contributor.call("POST", &format!("/repos/{TEMPLATE}/forks"), json!({})).await;
    let fork = fork["full_name"].as_str().expect("the fork's name").to_owned();
    let evil = world.contributor.commit(&fork, "main", &[("config.yaml", Some("name: Mallory\n"))]).await;
    // A pull request brings the fork's commit into the template's repository, where it can be fetched by its SHA.
    world.contributor.open_pull(TEMPLATE, "contributor:main", "main").await;
    let core = world.bump(&evil).await;
    world.expect(CORE, &core, "failure", "manifest.json").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_on_a_branch_with_a_slash_in_its_name_is_judged_like_any_other() {
    let world = World::in_sync().await;
    let head = world.admin.commit_new(CORE, "main", "feature/x", &[("notes.txt", Some("x\n"))]).await;
    let number = world.admin.open_pull(CORE, "feature/x", "main").await;
    world.expect(CORE, &head, "success", "").await;
    // Onto a branch that no gate names: an absent required check would block it for ever.
    let second = world.admin.commit_new(CORE, "feature/x", "feature/y", &[("notes.txt", Some("y\n"))]).await;
    world.admin.open_pull(CORE, "feature/y", "feature/x").await;
    world.expect(CORE, &second, "success", "").await;
    world.admin.merge(CORE, number).await;
    let merged = world.admin.head(CORE, "main").await;
    world.expect(CORE, &merged, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_force_push_that_drops_the_fix_is_red_again() {
    let world = World::in_sync().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.admin.commit_new(CORE, "main", "old", &[("notes.txt", Some("before the fix\n"))]).await;
    let fixed = world.bump(&template).await;
    world.expect(CORE, &fixed, "success", "").await;
    let forced = world.admin.force(CORE, "old", "main", &[("notes.txt", Some("forced\n"))]).await;
    world.expect(CORE, &forced, "failure", "config.yaml").await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_commit_that_is_a_branch_head_and_a_pull_request_has_one_status_and_the_worse_one() {
    let world = World::in_sync().await;
    world.admin.commit_new(CORE, "main", "release", &[("notes.txt", Some("r\n"))]).await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    // The stale head of main is offered to another branch: as a pull request it adds nothing, as main it is red.
    world.admin.open_pull(CORE, "main", "release").await;
    world.settled().await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    let core = world.bump(&template).await;
    world.expect(CORE, &core, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_branch_and_its_pull_request_trouble_nobody() {
    let world = World::in_sync().await;
    let head = world.admin.commit_new(CORE, "main", "gone", &[("manifest.json", None)]).await;
    world.admin.open_pull(CORE, "gone", "main").await;
    world.expect(CORE, &head, "failure", "manifest.json").await;
    world.admin.call("DELETE", &format!("/repos/{CORE}/branches/gone"), serde_json::Value::Null).await;
    world.settled().await;
    world.expect(CORE, &world.core_head, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_follows_the_branch_needs_no_pin() {
    let mut world = World::before_the_first_look(Setting::default()).await;
    world.follow();
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "").await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "success", "").await;
    let template = world.push_template(&[("mcp_servers.yaml", None)]).await;
    world.expect(TEMPLATE, &template, "failure", "mcp_servers.yaml").await;
    world.expect(CORE, &world.core_head, "failure", "mcp_servers.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_identity_match_is_never_green() {
    let world = World::in_sync().await;
    let nothing = [("config.yaml", None), ("mcp_servers.yaml", None), ("prompts/concierge.md", None)];
    let template = world.push_template(&nothing).await;
    world.expect(TEMPLATE, &template, "failure", "").await;
    let core = world.bump(&template).await;
    world.expect(CORE, &core, "failure", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_required_check_refuses_the_merge_while_it_is_red_and_allows_it_when_it_is_green() {
    let world = World::in_sync().await;
    let rule = json!({
        "rule_name": "main", "branch_name": "main", "enable_push": true,
        "enable_status_check": true, "status_check_contexts": ["drift-gate"],
    });
    world.admin.call("POST", &format!("/repos/{CORE}/branch_protections"), rule).await;
    let breaks = BAKES.replace("/config.yaml /opt", "/config.yaml /tmp");
    let path = "workspace-server/Dockerfile.platform-agent";
    let head = world.admin.commit_new(CORE, "main", "break", &[(path, Some(&breaks))]).await;
    let number = world.admin.open_pull(CORE, "break", "main").await;
    world.expect(CORE, &head, "failure", "config.yaml").await;
    let merge = format!("/repos/{CORE}/pulls/{number}/merge");
    eventually("the merge is refused for its status", async || {
        let (status, answer) = world.admin.try_call("POST", &merge, json!({ "Do": "merge" })).await;
        let refused = status == 405 && answer["message"].as_str().is_some_and(|words| words.contains("status checks"));
        if refused { Ok(()) } else { Err(format!("{status} {answer}")) }
    })
    .await;
    let mended = world.admin.commit(CORE, "break", &[(path, Some(BAKES))]).await;
    world.expect(CORE, &mended, "success", "").await;
    world.admin.merge(CORE, number).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_where_nothing_changed() {
    let world = World::in_sync().await;
    let before = world.admin.posted(CORE, &world.core_head, "drift-gate").await;
    for text in ["one\n", "two\n", "three\n"] {
        world.admin.commit_new(CORE, "main", &format!("side-{}", text.trim()), &[("notes.txt", Some(text))]).await;
    }
    world.settled().await;
    assert_eq!(world.admin.posted(CORE, &world.core_head, "drift-gate").await, before);
}

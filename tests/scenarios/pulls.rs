//! Pull requests: would merging this break it?

use serde_json::json;

use crate::world::{BAKES, CORE, Setting, TEMPLATE, World, manifest};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";
const NEW_CONFIG: &str = "name: Org Concierge\nruntime: claude-code\nmodel: opus\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_that_would_break_the_bake_is_red_before_it_is_merged() {
    let world = World::in_sync().await;
    let breaks = BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers.yaml", "#");
    let head = world.admin.commit_new(CORE, "main", "break", &[(DOCKERFILE, Some(&breaks))]).await;
    world.admin.open_pull(CORE, "break", "main").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    world.expect(CORE, &world.core_head, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_that_touches_nothing_relevant_gets_its_status_too_on_both_sides() {
    let world = World::in_sync().await;
    for repo in [CORE, TEMPLATE] {
        let head = world.admin.commit_new(repo, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
        world.admin.open_pull(repo, "docs", "main").await;
        world.expect(repo, &head, "success", "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_pull_request_whose_new_file_core_cannot_bake_is_red() {
    let world = World::in_sync().await;
    let red = world.admin.commit_new(TEMPLATE, "main", "hooks", &[("hooks/boot.sh", Some("#!/bin/sh\n"))]).await;
    world.admin.open_pull(TEMPLATE, "hooks", "main").await;
    let green = world.admin.commit_new(TEMPLATE, "main", "guest", &[("prompts/guest.md", Some("# Guest\n"))]).await;
    world.admin.open_pull(TEMPLATE, "guest", "main").await;
    world.expect(TEMPLATE, &red, "failure", "hooks/boot.sh").await;
    world.expect(TEMPLATE, &green, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_from_a_fork_is_judged_and_told_on_the_base_repository() {
    let world = World::in_sync().await;
    let fork = world.contributor.call("POST", &format!("/repos/{CORE}/forks"), json!({})).await;
    let fork = fork["full_name"].as_str().expect("the fork's name").to_owned();
    let breaks = BAKES.replace("/prompts/ /opt", "/prompts/ /tmp");
    let head = world.contributor.commit_new(&fork, "main", "fix", &[(DOCKERFILE, Some(&breaks))]).await;
    world.contributor.open_pull(CORE, "contributor:fix", "main").await;
    world.expect(CORE, &head, "failure", "prompts/concierge.md").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_does_not_answer_for_the_drift_that_main_has_already() {
    let world = World::in_sync().await;
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    let bad = BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers.yaml", "#");
    let core = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&bad))]).await;
    world.expect(CORE, &core, "failure", "mcp_servers.yaml").await;
    let head = world.admin.commit_new(CORE, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
    world.admin.open_pull(CORE, "docs", "main").await;
    world.expect(CORE, &head, "success", "already").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_may_let_pull_requests_answer_for_inherited_drift() {
    let world = World::with(Setting { gate: "inherited = \"fail\"", ..Setting::default() }).await;
    let bad = BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers.yaml", "#");
    let core = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&bad))]).await;
    world.expect(CORE, &core, "failure", "mcp_servers.yaml").await;
    let head = world.admin.commit_new(CORE, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
    world.admin.open_pull(CORE, "docs", "main").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_that_moves_turns_an_open_pull_request_red() {
    let world = World::in_sync().await;
    let all = BAKES
        .replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/prompts/", "COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/prompts/*.md");
    let head = world.admin.commit_new(CORE, "main", "flat", &[(DOCKERFILE, Some(&all))]).await;
    world.admin.open_pull(CORE, "flat", "main").await;
    world.expect(CORE, &head, "success", "").await;
    // The template grows a folder, which main bakes, and which the pull request's pattern would flatten.
    let template = world.push_template(&[("prompts/team/lead.md", Some("# Lead\n"))]).await;
    let core = world.bump(&template).await;
    world.expect(CORE, &core, "success", "").await;
    world.expect(CORE, &head, "failure", "prompts/team/lead.md").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_is_judged_with_what_its_base_changed_elsewhere_in_the_same_file() {
    let world = World::in_sync().await;
    let words = format!("# The image of the agent.\n{BAKES}");
    let fine = world.admin.commit_new(CORE, "main", "words", &[(DOCKERFILE, Some(&words))]).await;
    world.admin.open_pull(CORE, "words", "main").await;
    let other = format!("# Another image.\n{BAKES}");
    let torn = world.admin.commit_new(CORE, "main", "torn", &[(DOCKERFILE, Some(&other))]).await;
    world.admin.open_pull(CORE, "torn", "main").await;
    world.expect(CORE, &fine, "success", "").await;
    world.expect(CORE, &torn, "success", "").await;
    // Main loses a file at the end of the Dockerfile: neither pull request brings that, and both still merge.
    let lost = BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/prompts/", "#");
    let core = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&lost))]).await;
    world.expect(CORE, &core, "failure", "prompts/concierge.md").await;
    world.expect(CORE, &fine, "success", "already").await;
    // Main says something else where one of them speaks.
    let core = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&words))]).await;
    world.expect(CORE, &core, "success", "").await;
    world.expect(CORE, &fine, "success", "").await;
    world.expect(CORE, &torn, "error", "a merge would conflict").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pull_requests_each_green_are_red_together_once_the_first_is_merged() {
    let world = World::in_sync().await;
    let template = world.push_template(&[("prompts/team/lead.md", Some("# Lead\n"))]).await;
    world.expect(TEMPLATE, &template, "failure", "").await;
    let bump = world.admin.commit_new(CORE, "main", "bump", &[("manifest.json", Some(&manifest(&template)))]).await;
    let first = world.admin.open_pull(CORE, "bump", "main").await;
    let flat = BAKES
        .replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/prompts/", "COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/prompts/*.md");
    let second = world.admin.commit_new(CORE, "main", "flat", &[(DOCKERFILE, Some(&flat))]).await;
    world.admin.open_pull(CORE, "flat", "main").await;
    world.expect(CORE, &bump, "success", "").await;
    world.expect(CORE, &second, "success", "").await;
    world.admin.merge(CORE, first).await;
    world.expect(CORE, &second, "failure", "prompts/team/lead.md").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_that_moves_the_pin_back_is_red() {
    let world = World::in_sync().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let core = world.bump(&template).await;
    world.expect(CORE, &core, "success", "").await;
    let back = manifest(&world.template_head);
    let head = world.admin.commit_new(CORE, "main", "back", &[("manifest.json", Some(&back))]).await;
    world.admin.open_pull(CORE, "back", "main").await;
    world.expect(CORE, &head, "failure", "manifest.json").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pull_request_that_bumps_the_pin_is_green_while_main_is_red() {
    let world = World::in_sync().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    let head = world.admin.commit_new(CORE, "main", "bump", &[("manifest.json", Some(&manifest(&template)))]).await;
    let number = world.admin.open_pull(CORE, "bump", "main").await;
    world.expect(CORE, &head, "success", "").await;
    world.admin.merge(CORE, number).await;
    let core = world.admin.head(CORE, "main").await;
    world.expect(CORE, &core, "success", "").await;
    world.expect(TEMPLATE, &template, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_push_to_a_pull_request_is_judged_anew() {
    let world = World::in_sync().await;
    let bad = manifest("not-a-sha");
    let head = world.admin.commit_new(CORE, "main", "pin", &[("manifest.json", Some(&bad))]).await;
    world.admin.open_pull(CORE, "pin", "main").await;
    world.expect(CORE, &head, "failure", "not-a-sha").await;
    let good = world.admin.commit(CORE, "pin", &[("manifest.json", Some(&manifest(&world.template_head)))]).await;
    world.expect(CORE, &good, "success", "").await;
}

//! Gates that core brings along, in its own `.drift-gate.toml`.

use crate::world::{BAKES, CORE, FILE, Setting, TEMPLATE, World};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";

async fn world() -> World {
    World::with(Setting { brings: true, ..Setting::default() }).await
}

fn without_servers() -> String {
    BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers.yaml", "#")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_brings_its_gate_and_both_sides_are_judged_by_it() {
    let world = world().await;
    let core = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&without_servers()))]).await;
    world.expect(CORE, &core, "failure", "mcp_servers.yaml is not baked").await;
    world.expect(TEMPLATE, &world.template_head, "failure", "mcp_servers.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_cannot_switch_off_the_gate_that_stands_in_its_way() {
    let world = world().await;
    let file = world.file("advisory = true");
    let changes = [(DOCKERFILE, Some(without_servers())), (FILE, Some(file))];
    let changes: Vec<(&str, Option<&str>)> = changes.iter().map(|(path, text)| (*path, text.as_deref())).collect();
    let head = world.admin.commit_new(CORE, "main", "soften", &changes).await;
    world.admin.open_pull(CORE, "soften", "main").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml is not baked").await;
    world.expect(CORE, &world.core_head, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pull_request_loosens_is_a_finding_of_its_own() {
    let world = world().await;
    let softer = world.admin.commit_new(CORE, "main", "soften", &[(FILE, Some(&world.file("advisory = true")))]).await;
    world.admin.open_pull(CORE, "soften", "main").await;
    world.expect(CORE, &softer, "failure", "gate platform-agent-identity: ").await;
    let gone = world.admin.commit_new(CORE, "main", "drop", &[(FILE, None)]).await;
    world.admin.open_pull(CORE, "drop", "main").await;
    world.expect(CORE, &gone, "failure", "gate platform-agent-identity: it is gone").await;
    let stricter = world.file("unlisted = \"drift\"\nstrict_assumptions = false");
    let same = world.admin.commit_new(CORE, "main", "spell", &[(FILE, Some(&stricter))]).await;
    world.admin.open_pull(CORE, "spell", "main").await;
    world.expect(CORE, &same, "success", "in sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_gate_judges_the_pull_request_that_brings_it_and_main_once_it_is_merged() {
    let world = world().await;
    let stricter = world.file("").replace("\"prompts/**\"]", "\"prompts/**\", \"hooks/boot.sh\"]");
    let head = world.admin.commit_new(CORE, "main", "hooks", &[(FILE, Some(&stricter))]).await;
    let number = world.admin.open_pull(CORE, "hooks", "main").await;
    world.expect(CORE, &head, "failure", "hooks/boot.sh").await;
    world.expect(CORE, &world.core_head, "success", "").await;
    world.expect(TEMPLATE, &world.template_head, "success", "").await;
    world.admin.merge(CORE, number).await;
    let merged = world.admin.head(CORE, "main").await;
    world.expect(CORE, &merged, "failure", "hooks/boot.sh").await;
    world.expect(TEMPLATE, &world.template_head, "failure", "hooks/boot.sh").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_an_error_and_the_last_valid_one_judges_on() {
    let mut world = world().await;
    let broken = world.admin.commit(CORE, "main", &[(FILE, Some("[[gate]]\nnmae = \"x\"\n"))]).await;
    world.expect(CORE, &broken, "error", ".drift-gate.toml line 1: ").await;
    let (status, ready) = world.ready().await;
    assert!(status == 503 && ready.contains(".drift-gate.toml line 1"), "{status} {ready}");
    // Also after a restart, and the old gate still sees drift.
    world.stop().await;
    world.start().await;
    let drifts = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&without_servers()))]).await;
    world.expect(CORE, &drifts, "failure", "mcp_servers.yaml is not baked").await;
    let mended = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(BAKES)), (FILE, Some(&world.file("")))]).await;
    world.expect(CORE, &mended, "success", "in sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_that_breaks_the_file_fails() {
    let world = world().await;
    let head = world.admin.commit_new(CORE, "main", "broken", &[(FILE, Some("gate = 3\n"))]).await;
    world.admin.open_pull(CORE, "broken", "main").await;
    world.expect(CORE, &head, "failure", ".drift-gate.toml line 1").await;
    world.expect(CORE, &world.core_head, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_cannot_name_a_source_that_the_service_does_not_list() {
    let world = world().await;
    let elsewhere = world.file("").replace(&format!("/{TEMPLATE}\""), "/molecule/payroll\"");
    let head = world.admin.commit_new(CORE, "main", "payroll", &[(FILE, Some(&elsewhere))]).await;
    world.admin.open_pull(CORE, "payroll", "main").await;
    world.expect(CORE, &head, "failure", "does not list").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_file_is_judged_by_itself() {
    let mut world = World::before_the_first_look(Setting { brings: true, ..Setting::default() }).await;
    world.admin.commit(CORE, "main", &[(FILE, None)]).await;
    world.start().await;
    let red = [(DOCKERFILE, Some(without_servers())), (FILE, Some(world.file("")))];
    let red: Vec<(&str, Option<&str>)> = red.iter().map(|(path, text)| (*path, text.as_deref())).collect();
    let red = world.admin.commit_new(CORE, "main", "red", &red).await;
    world.admin.open_pull(CORE, "red", "main").await;
    let green = world.admin.commit_new(CORE, "main", "green", &[(FILE, Some(&world.file("")))]).await;
    world.admin.open_pull(CORE, "green", "main").await;
    world.expect(CORE, &red, "failure", "mcp_servers.yaml").await;
    world.expect(CORE, &green, "success", "in sync").await;
}

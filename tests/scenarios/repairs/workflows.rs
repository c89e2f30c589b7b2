//! Repairs that start a workflow of the forge.

use axum::http::Method;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_follows_starts_its_workflow_once_for_each_commit_that_matters() {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        // Its actions are switched off: nothing would run.
        return;
    }
    let gate =
        "[[gate.repair]]\nkind = \"dispatch\"\nworkflow = \"build.yml\"\ninputs = { source = \"{source_sha}\" }\n";
    let mut world = World::before_the_first_look(Setting { gate, ..Setting::default() }).await;
    world.follow();
    let core =
        world.admin.commit(CORE, "main", &[(".gitea/workflows/build.yml", Some("on: workflow_dispatch\n"))]).await;
    world.start().await;
    world.expect_repair(&core, "started", "build.yml").await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect_repair(&core, "started", &template[..8]).await;
    world.push_template(&[("README.md", Some("Nothing that ships\n"))]).await;
    world.settled().await;
    assert_eq!(world.proxy.count(&Method::POST, "/dispatches"), 2);
}

/// The gate follows the template's branch, and starts a workflow of core.
async fn starts(gate: &'static str) -> Option<(World, String)> {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        return None;
    }
    let mut world = World::before_the_first_look(Setting { gate, ..Setting::default() }).await;
    world.follow();
    let core =
        world.admin.commit(CORE, "main", &[(".gitea/workflows/build.yml", Some("on: workflow_dispatch\n"))]).await;
    Some((world, core))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_whose_start_nobody_heard_of_is_not_started_again() {
    let Some((mut world, core)) = starts("[[gate.repair]]\nkind = \"dispatch\"\nworkflow = \"build.yml\"\n").await
    else {
        return;
    };
    world.proxy.lose_next_answer(Method::POST, "/dispatches");
    world.start().await;
    world.expect_repair(&core, "started", "build.yml may have been started").await;
    world.settled().await;
    assert_eq!(world.proxy.count(&Method::POST, "/dispatches"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_that_is_not_there_is_named() {
    let Some((mut world, core)) = starts("[[gate.repair]]\nkind = \"dispatch\"\nworkflow = \"gone.yml\"\n").await
    else {
        return;
    };
    world.start().await;
    world.expect_repair(&core, "blocked", "has no workflow gone.yml on main").await;
}

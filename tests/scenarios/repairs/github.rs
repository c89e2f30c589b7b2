//! Repairs in GitHub's dialect: commits by git data, and people's hands on what was opened.

use axum::http::Method;
use serde_json::json;

use super::*;

/// drift-gate speaks GitHub's dialect. A real Gitea does not understand it.
async fn on_github() -> Option<World> {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        return None;
    }
    Some(World::with(Setting { gate: REPAIR, github: true, ..Setting::default() }).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_github_a_repair_is_opened_replaced_and_merged() {
    let Some(world) = on_github().await else { return };
    let first = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let older = repair_for(&world, &first).await;
    assert_eq!(file(&world, "manifest.json", &branch(&older)).await, manifest(&first), "only the pin has moved");
    let second = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    let newer = repair_for(&world, &second).await;
    let link = format!("Replaced by #{}", number(&newer));
    eventually("the older says what replaced it", async || {
        let said = comments(&world, number(&older)).await;
        if said.iter().any(|one| one.contains(&link)) { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await;
    world.admin.merge(CORE, number(&newer)).await;
    let merged = world.admin.head(CORE, "main").await;
    world.expect(CORE, &merged, "success", "").await;
    world.expect(TEMPLATE, &second, "success", "").await;
    assert!(of_bot(&world, "open").await.is_empty());
    assert!(world.proxy.count(&Method::POST, "/git/trees") >= 2 && world.proxy.count(&Method::POST, "/contents") == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_github_a_lost_answer_never_makes_a_second_repair() {
    for lost in ["/git/refs", "/pulls"] {
        let Some(world) = on_github().await else { return };
        world.proxy.lose_next_answer(Method::POST, &format!("/repos/{CORE}{lost}"));
        let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
        let repair = repair_for(&world, &template).await;
        world.admin.merge(CORE, number(&repair)).await;
        world.expect(TEMPLATE, &template, "success", "").await;
        assert_eq!(of_bot(&world, "closed").await.len(), 1, "{lost}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_github_people_keep_what_they_did() {
    let Some(world) = on_github().await else { return };
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    let theirs = world.admin.commit(CORE, &branch(&repair), &[("notes.txt", Some("and this\n"))]).await;
    let newer = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    world.expect_repair(&world.core_head, "theirs", "").await;
    assert_eq!(world.admin.head(CORE, &branch(&repair)).await, theirs);
    let close = json!({ "state": "closed" });
    world.admin.call("PATCH", &format!("/repos/{CORE}/pulls/{}", number(&repair)), close).await;
    let second = repair_for(&world, &newer).await;
    let close = json!({ "state": "closed" });
    world.admin.call("PATCH", &format!("/repos/{CORE}/pulls/{}", number(&second)), close).await;
    let told = world.expect_repair(&world.core_head, "refused", "closed by maintainer").await;
    assert_eq!(told["closed_by"], "maintainer");
    assert!(of_bot(&world, "open").await.is_empty());
}

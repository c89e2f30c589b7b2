//! How a repair ends otherwise than merged: a person closes it, or drift-gate does, and what stays of it.

use axum::http::Method;
use serde_json::{Value, json};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_a_person_closed_is_not_opened_again_until_the_source_moves() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    let close = json!({ "state": "closed" });
    world.admin.call("PATCH", &format!("/repos/{CORE}/pulls/{}", number(&repair)), close).await;
    is_quiet(&world).await;
    // Another look, with the branch gone as well.
    world.admin.call("DELETE", &format!("/repos/{CORE}/branches/{}", branch(&repair)), Value::Null).await;
    world.admin.commit(CORE, "main", &[("notes.txt", Some("n\n"))]).await;
    is_quiet(&world).await;
    assert!(of_bot(&world, "open").await.is_empty());
    assert_eq!(of_bot(&world, "closed").await.len(), 1);

    let newer = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    repair_for(&world, &newer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_that_ends_otherwise_closes_the_repair_with_a_word() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    let core = world.bump(&template).await;
    world.expect(CORE, &core, "success", "").await;
    eventually("it is closed", async || {
        let pull = world.admin.get(&format!("/repos/{CORE}/pulls/{}", number(&repair))).await;
        let said = comments(&world, number(&repair)).await;
        let told = said.iter().any(|one| one.contains("The drift has ended otherwise"));
        if pull["state"] == "closed" && told { Ok(()) } else { Err(format!("{} {said:?}", pull["state"])) }
    })
    .await;
    // That was us: the same commit may be proposed again when the pin is taken back.
    let back = world.bump(&world.template_head).await;
    world.expect(CORE, &back, "failure", "").await;
    repair_for(&world, &template).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closing_whose_answer_was_lost_is_ended_and_the_newer_one_has_its_labels() {
    let gate = "[[gate.repair]]\nkind = \"pin\"\nlabels = [\"drift\"]\n";
    let world = World::with(Setting { gate, ..Setting::default() }).await;
    world.admin.call("POST", &format!("/repos/{CORE}/labels"), json!({ "name": "drift", "color": "#ee0701" })).await;
    let first = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let older = repair_for(&world, &first).await;
    world.proxy.lose_next_answer(Method::PATCH, &format!("/repos/{CORE}/pulls/{}", number(&older)));
    let second = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    let newer = repair_for(&world, &second).await;
    let link = format!("Replaced by #{}", number(&newer));
    ours::is_closed(&world, CORE, number(&older), &link).await;
    eventually("its branch is gone", async || {
        let left = ours::branches(&world, CORE).await;
        if left == [branch(&newer)] { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    eventually("the newer one has its label", async || {
        let pull = world.admin.get(&format!("/repos/{CORE}/pulls/{}", number(&newer))).await;
        if pull["labels"][0]["name"] == "drift" { Ok(()) } else { Err(pull["labels"].to_string()) }
    })
    .await;
    is_quiet(&world).await;
    assert_eq!(comments(&world, number(&older)).await.len(), 1, "said once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merged_repair_that_is_taken_back_is_proposed_again() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    world.admin.merge(CORE, number(&repair)).await;
    world.expect(TEMPLATE, &template, "success", "").await;
    // Its branch is still there, all of it in main.
    world.bump(&world.template_head).await;
    world.expect(TEMPLATE, &template, "failure", "").await;
    let again = repair_for(&world, &template).await;
    assert!(number(&again) > number(&repair));
    assert_eq!(file(&world, "manifest.json", &branch(&again)).await, manifest(&template));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_asks_for_a_repair_that_a_person_closed() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    let close = json!({ "state": "closed" });
    world.admin.call("PATCH", &format!("/repos/{CORE}/pulls/{}", number(&repair)), close).await;
    let told = world.expect_repair(&world.core_head, "refused", "closed by maintainer").await;
    assert_eq!(told["closed_by"], "maintainer");
    let path = format!("/repos/{CORE}/issues/{}/comments", number(&repair));
    world.admin.call("POST", &path, json!({ "body": "/drift-gate rebuild" })).await;
    let again = repair_for(&world, &template).await;
    assert!(number(&again) > number(&repair));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_commits_while_it_is_closed_stays_on_its_branch() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    world.proxy.hold_next(Method::PATCH, &format!("/repos/{CORE}/pulls/{}", number(&repair)));
    world.bump(&template).await;
    world.proxy.holds().await;
    let theirs = world.admin.commit(CORE, &branch(&repair), &[("notes.txt", Some("and this\n"))]).await;
    world.proxy.let_pass();
    ours::is_closed(&world, CORE, number(&repair), "The drift has ended otherwise").await;
    is_quiet(&world).await;
    assert_eq!(world.admin.head(CORE, &branch(&repair)).await, theirs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_commits_before_a_closing_that_was_broken_off_is_ended_stays_on_its_branch() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    let pull = format!("/repos/{CORE}/pulls/{}", number(&repair));
    // It is closed, and nobody hears of it; before anybody looks again, a person commits.
    world.proxy.lose_next_answer(Method::PATCH, &pull);
    world.proxy.hold_next(Method::GET, "state=closed&poster=");
    world.bump(&template).await;
    world.proxy.holds().await;
    assert_eq!(world.admin.get(&pull).await["state"], "closed");
    let theirs = world.admin.commit(CORE, &branch(&repair), &[("notes.txt", Some("and this\n"))]).await;
    world.proxy.let_pass();
    ours::is_closed(&world, CORE, number(&repair), "The drift has ended otherwise").await;
    is_quiet(&world).await;
    assert_eq!(world.admin.head(CORE, &branch(&repair)).await, theirs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_says_what_ours_say_when_closed_does_not_bring_one_back_that_a_person_closed() {
    let world = with_repair().await;
    let quotes = format!("{CONFIG}<!-- drift-gate closed -->\n");
    let template = world.push_template(&[("config.yaml", Some(&quotes))]).await;
    let core = world.bump(&template).await;
    world.expect(CORE, &core, "success", "").await;
    let template = world.push_template(&[("config.yaml", Some(&format!("{quotes}model: opus\n")))]).await;
    let repair = repair_for(&world, &template).await;
    assert!(repair["body"].to_string().contains("   <!-- drift-gate closed -->"), "{}", repair["body"]);
    ours::close(&world, CORE, number(&repair)).await;
    world.expect_repair(&core, "refused", "closed by maintainer").await;
    is_quiet(&world).await;
    assert!(of_bot(&world, "open").await.is_empty());
}

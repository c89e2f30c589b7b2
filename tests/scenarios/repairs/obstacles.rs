//! Repairs where the forge refuses, loses answers or changes meanwhile, and where others are in the way.

use axum::http::Method;
use serde_json::{Value, json};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_never_makes_a_second_repair() {
    for lost in ["/contents", "/pulls"] {
        let world = with_repair().await;
        world.proxy.lose_next_answer(Method::POST, &format!("/repos/{CORE}{lost}"));
        let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
        let repair = repair_for(&world, &template).await;
        is_quiet(&world).await;
        assert_eq!(of_bot(&world, "open").await.len(), 1, "{lost}");
        assert!(of_bot(&world, "closed").await.is_empty(), "{lost}");
        world.admin.merge(CORE, number(&repair)).await;
        let merged = world.admin.head(CORE, "main").await;
        world.expect(CORE, &merged, "success", "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_know_nothing_of_each_other_open_one_repair() {
    let mut world = with_repair().await;
    world.start_second().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    // Both go on looking: the second one's timer rounds are short.
    let newer = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    let second = repair_for(&world, &newer).await;
    is_quiet(&world).await;
    // A real Gitea lets two be opened for one branch at the same moment: then one of them is closed again.
    let closed: Vec<u64> = of_bot(&world, "closed").await.iter().map(number).collect();
    assert!(closed.contains(&number(&repair)) && closed.len() <= 3, "{closed:?}");
    assert_eq!(of_bot(&world, "open").await.iter().map(number).collect::<Vec<_>>(), [number(&second)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_branch_opens_nothing_until_it_is_free() {
    let world = with_repair().await;
    let rule = json!({ "rule_name": "drift-gate/**", "enable_push": false });
    let rules = format!("/repos/{CORE}/branch_protections");
    world.admin.call("POST", &rules, rule).await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect_repair(&world.core_head, "blocked", "branch protection").await;
    assert!(of_bot(&world, "open").await.is_empty());
    world.admin.call("DELETE", &format!("{rules}/drift-gate%2F%2A%2A"), Value::Null).await;
    let core = world.admin.commit(CORE, "main", &[("notes.txt", Some("another look\n"))]).await;
    world.expect(CORE, &core, "failure", "").await;
    repair_for(&world, &template).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_repository_is_left_alone() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    world.admin.call("PATCH", &format!("/repos/{CORE}"), json!({ "archived": true })).await;
    let newer = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    world.expect(TEMPLATE, &newer, "failure", "").await;
    world.expect_repair(&world.core_head, "blocked", "archived").await;
    assert_eq!(of_bot(&world, "open").await.iter().map(number).collect::<Vec<_>>(), [number(&repair)]);
    // Once that it is archived was read, it is not tried again and again.
    eventually("the repository is known to be archived", async || {
        let ready = world.ready().await.1;
        if ready.contains("archived") { Ok(()) } else { Err(ready) }
    })
    .await;
    let newest = world.push_template(&[("config.yaml", Some(CONFIG))]).await;
    world.expect(TEMPLATE, &newest, "success", "").await;
    eventually("what was under way when that was read has ended", async || {
        let repair = world.repair_of(CORE, &world.core_head).await;
        if repair.is_null() { Ok(()) } else { Err(repair.to_string()) }
    })
    .await;
    let writes = world.proxy.count(&Method::POST, "/contents");
    let last = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    world.expect(TEMPLATE, &last, "failure", "").await;
    world.expect_repair(&world.core_head, "blocked", "archived").await;
    assert_eq!(world.proxy.count(&Method::POST, "/contents"), writes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_the_scope_is_told_which_one_it_lacks() {
    let mut world = World::before_the_first_look(Setting { gate: REPAIR, ..Setting::default() }).await;
    world.narrow_token(&["read:repository", "write:issue", "read:user"]);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.start().await;
    world.expect_repair(&world.core_head, "blocked", "write:repository").await;
    assert!(of_bot(&world, "open").await.is_empty(), "{template}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_of_that_name_by_somebody_else_is_not_touched() {
    let world = with_repair().await;
    world.post(crate::relay::Post::Hold);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let branch = format!("drift-gate/platform-agent-identity/{}", &template[..8]);
    let theirs = world.admin.commit_new(CORE, "main", &branch, &[("notes.txt", Some("mine\n"))]).await;
    world.post(crate::relay::Post::Deliver);
    for delivery in world.relay.take() {
        world.relay.deliver(&delivery).await;
    }
    world.expect_repair(&world.core_head, "blocked", "is there already").await;
    assert_eq!(world.admin.head(CORE, &branch).await, theirs);
    assert!(of_bot(&world, "open").await.is_empty());
    world.admin.call("DELETE", &format!("/repos/{CORE}/branches/{branch}"), Value::Null).await;
    repair_for(&world, &template).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_forge_refuses_for_now_is_tried_again_and_what_it_forbids_is_told() {
    // What was read was not there any more when it was to be replaced, and a branch came between.
    for (status, message) in [
        (422, "sha does not match [given: 1, expected: 2]"),
        (409, "sha does not match [given: 1, expected: 2]"),
        (404, "branch does not exist [name: main]"),
        (422, "branch already exists [name: drift-gate/x]"),
    ] {
        let world = with_repair().await;
        world.proxy.say_next(Method::POST, &format!("/repos/{CORE}/contents"), (status, message), None, 1);
        let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
        let repair = repair_for(&world, &template).await;
        assert_eq!(of_bot(&world, "open").await.len(), 1, "{status} {message}");
        assert_eq!(file(&world, "manifest.json", &branch(&repair)).await, manifest(&template), "{status} {message}");
    }
    // Without a commit of its own nothing can be merged: that is said, and the next look tries again.
    let world = with_repair().await;
    let pulls = format!("/repos/{CORE}/pulls");
    let words = "Invalid PullRequest: There are no changes between the head and the base";
    world.proxy.say_next(Method::POST, &pulls, (422, words), None, 1_000);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect_repair(&world.core_head, "blocked", "nothing to merge").await;
    assert!(of_bot(&world, "open").await.is_empty());
    world.proxy.mend();
    let core = world.admin.commit(CORE, "main", &[("notes.txt", Some("another look\n"))]).await;
    world.expect(CORE, &core, "failure", "").await;
    repair_for(&world, &template).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_pull_request_of_our_branch_is_left_to_them() {
    let world = with_repair().await;
    world.proxy.refuse_next(Method::POST, &format!("/repos/{CORE}/pulls"), 502, 1_000);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let branch = format!("drift-gate/platform-agent-identity/{}", &template[..8]);
    eventually("our branch is there", async || {
        let there = world.admin.try_call("GET", &format!("/repos/{CORE}/branches/{branch}"), Value::Null).await;
        if there.0 == 200 { Ok(()) } else { Err(there.1.to_string()) }
    })
    .await;
    let theirs = world.admin.open_pull(CORE, &branch, "main").await;
    let before = world.admin.get(&format!("/repos/{CORE}/pulls/{theirs}")).await;
    world.proxy.mend();
    world.expect_repair(&world.core_head, "blocked", "somebody else's pull request").await;
    let after = world.admin.get(&format!("/repos/{CORE}/pulls/{theirs}")).await;
    for key in ["state", "title", "body"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert!(of_bot(&world, "open").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_is_gone_when_its_pull_request_is_to_be_opened_is_made_again() {
    let world = with_repair().await;
    world.proxy.refuse_next(Method::POST, &format!("/repos/{CORE}/pulls"), 404, 1);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    repair_for(&world, &template).await;
    let branches = world.admin.get(&format!("/repos/{CORE}/branches?limit=50")).await;
    let ours = branches.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str());
    assert_eq!(ours.filter(|name| name.starts_with("drift-gate/")).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_worked_out_for_an_older_commit_is_not_written_once_there_is_a_newer_one() {
    let world = with_repair().await;
    // Its own pull requests are what it asks for last before it writes.
    world.proxy.hold_next(Method::GET, "state=open&poster=");
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.proxy.holds().await;
    let newer = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    world.expect(TEMPLATE, &newer, "failure", "").await;
    world.proxy.let_pass();
    repair_for(&world, &newer).await;
    is_quiet(&world).await;
    assert!(of_bot(&world, "closed").await.is_empty(), "none was opened for the older commit");
    assert_eq!(world.proxy.count(&Method::POST, &format!("/repos/{CORE}/contents")), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_is_renamed_while_its_repair_is_made_gets_it_under_its_new_name() {
    let world = with_repair().await;
    world.proxy.hold_next(Method::GET, "state=open&poster=");
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.proxy.holds().await;
    world.expect(CORE, &world.core_head, "failure", "").await;
    world.post(crate::relay::Post::Drop);
    eventually("nobody looks at it any more", async || {
        let told = world.told("/status").await;
        let looks =
            told["leased"]["first"].as_array().into_iter().flatten().filter(|one| one["work"] == "look").count();
        if told["dirty"]["count"] == 0 && looks == 0 { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
    world.admin.call("PATCH", &format!("/repos/{CORE}"), json!({ "name": "core-renamed" })).await;
    world.proxy.let_pass();
    eventually("the repair is open", async || {
        let open = world.admin.get("/repos/molecule/core-renamed/pulls?state=open").await;
        let ours = open.as_array().expect("a list").iter().filter(|pull| pull["user"]["login"] == BOT).count();
        if ours == 1 { Ok(()) } else { Err(open.to_string()) }
    })
    .await;
}

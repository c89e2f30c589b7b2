//! The same in the other dialect, as the stand-in speaks it.

use drift_gate::demo::scene::{CORE, TEMPLATE};
use serde_json::{Value, json};

use crate::host::eventually;
use crate::world::{World, of};

/// A real Gitea does not.
fn speaks_github() -> bool {
    std::env::var_os("DRIFT_GATE_FORGE_BIN").is_none()
}

/// Everything that a protection may say but its required checks, so that losing any of it shows.
fn strict() -> Value {
    json!({
        "required_status_checks": null,
        "enforce_admins": true,
        "required_pull_request_reviews": {
            "dismiss_stale_reviews": true, "require_code_owner_reviews": true, "required_approving_review_count": 2,
            "require_last_push_approval": true,
            "dismissal_restrictions": { "users": ["maintainer"], "teams": ["leads"], "apps": ["merge-bot"] },
            "bypass_pull_request_allowances": { "users": ["contributor"], "teams": [], "apps": [] },
        },
        "restrictions": { "users": ["maintainer"], "teams": ["core"], "apps": [] },
        "required_linear_history": true,
        "allow_force_pushes": true,
        "allow_deletions": true,
        "block_creations": true,
        "required_conversation_resolution": true,
        "lock_branch": true,
        "allow_fork_syncing": true,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protection_that_is_written_as_a_whole_keeps_everything_else() {
    if !speaks_github() {
        return;
    }
    let world = World::configured().await;
    world.change("kind = \"gitea\"", "kind = \"github\"");
    let path = format!("/repos/{CORE}/branches/main/protection");
    assert_eq!(world.v3("PUT", &path, strict()).await.0, 200);
    let before = world.v3("GET", &path, Value::Null).await.1;
    assert_eq!(before["restrictions"]["teams"], json!([{ "slug": "core" }]), "it is read as GitHub tells it: {before}");
    assert_eq!(before["required_status_checks"], Value::Null);

    let told = world.doctor(&["--fix", "--protect"]).is(0);
    assert!(told.contains("main requires `drift-gate` now, and that pull requests are up to date"), "{told}");
    let mut after = world.v3("GET", &path, Value::Null).await.1;
    let checks = after["required_status_checks"].take();
    assert_eq!(checks["checks"], json!([{ "context": "drift-gate", "app_id": null }]));
    assert_eq!(checks["strict"], true);
    after.as_object_mut().expect("an object").remove("required_status_checks");
    assert_eq!(after, before, "all else is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_and_checks_are_set_up_on_github_too() {
    if !speaks_github() {
        return;
    }
    let mut world = World::configured().await;
    world.change("kind = \"gitea\"", "kind = \"github\"");
    let config = world.config() + "\n[[gate.repair]]\nkind = \"pin\"\n";
    std::fs::write(world.path("drift-gate.toml"), config).expect("written");
    let findings = world.findings(&[], 1);
    let core = format!("main/{CORE}");
    assert_eq!(of(&findings, "forge main", "reachable")[0].0, "ok", "{findings:?}");
    assert_eq!(of(&findings, &core, "hook")[0].0, "problem");
    let may =
        ["it may post statuses", "it may answer commands in comments", "it may open pull requests that end drift"];
    assert_eq!(of(&findings, &core, "scope"), may.map(|words| ("ok", words)), "{findings:?}");
    assert_eq!(world.admin.get(&format!("/repos/{CORE}/pulls?state=all")).await, json!([]), "nothing is left behind");
    assert_eq!(
        of(&findings, &core, "required"),
        [("problem", "main is not protected: what drifts can be merged")],
        "{findings:?}"
    );
    world.doctor(&["--fix", "--protect"]).is(0);
    let hooks = world.admin.get(&format!("/repos/{CORE}/hooks")).await;
    assert_eq!(hooks.as_array().map(Vec::len), Some(1), "{hooks}");
    assert_eq!(
        hooks[0]["events"],
        json!(["create", "delete", "issue_comment", "pull_request", "push", "repository", "status"])
    );
    let rules = world.admin.get(&format!("/repos/{TEMPLATE}/branch_protections")).await;
    assert_eq!((&rules[0]["rule_name"], &rules[0]["status_check_contexts"]), (&json!("main"), &json!(["drift-gate"])));
    assert_eq!(rules[0]["block_on_outdated_branch"], true);

    world.serve().await;
    let findings = world.findings(&[], 0);
    assert_eq!(of(&findings, &core, "required"), [("ok", "`drift-gate` is required on main")]);
    assert_eq!(of(&findings, &core, "reach"), [("ok", "a test delivery has come")], "{findings:?}");
    let others = of(&findings, &core, "others");
    assert_eq!(others, [("note", "any App, and whoever may write, can give `drift-gate` on main")]);

    // What was required besides stays.
    let protection = format!("/repos/{CORE}/branch_protections/main");
    world.admin.call("PATCH", &protection, json!({ "status_check_contexts": ["ci/build"] })).await;
    world.doctor(&["--fix", "--protect"]).is(0);
    let rule = world.admin.get(&protection).await;
    assert_eq!(rule["status_check_contexts"], json!(["ci/build", "drift-gate"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_queue_whose_branches_no_gate_names_waits_for_ever() {
    if !speaks_github() {
        return;
    }
    let world = World::configured().await;
    world.change("kind = \"gitea\"", "kind = \"github\"");
    world.doctor(&["--fix", "--protect"]).is(0);
    let rule = json!({ "type": "merge_queue", "ruleset_id": 7, "parameters": { "merge_method": "MERGE" } });
    for repo in [CORE, TEMPLATE] {
        let (owner, name) = repo.split_once('/').expect("owner/name");
        world.host.stand_in().expect("a stand-in").rule(owner, name, rule.clone()).expect("a repository");
    }
    let findings = world.findings(&[], 1);
    let words = "merges onto main go through a queue, whose candidates get no `drift-gate`: it waits for ever";
    for repo in [CORE, TEMPLATE] {
        assert_eq!(of(&findings, &format!("main/{repo}"), "queue"), [("problem", words)], "{findings:?}");
    }
    world.change("branches = [\"main\"]", "branches = [\"main\"], queue_branches = [\"gh-readonly-queue/**\"]");
    let findings = world.findings(&[], 1);
    assert_eq!(of(&findings, &format!("main/{CORE}"), "queue"), []);
    assert_eq!(of(&findings, &format!("main/{TEMPLATE}"), "queue").len(), 1, "only a consumer's queue is judged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_whose_deliveries_are_refused_for_their_secret_is_made_anew() {
    if !speaks_github() {
        return;
    }
    let mut world = World::configured().await;
    world.change("kind = \"gitea\"", "kind = \"github\"");
    world.doctor(&["--fix", "--protect"]).is(0);
    let hooks = format!("/repos/{CORE}/hooks");
    let made = world.v3("GET", &hooks, Value::Null).await.1[0].clone();
    world.v3("DELETE", &format!("{hooks}/{}", made["id"]), Value::Null).await;
    let config = json!({ "url": made["config"]["url"], "content_type": "json", "secret": "not the one" });
    let again = json!({ "name": "web", "active": true, "events": made["events"], "config": config });
    let (_, other) = world.v3("POST", &hooks, again).await;
    world.serve().await;
    world.admin.commit(CORE, "main", &[("notes.md", Some("x\n"))]).await;
    eventually("the delivery is refused", async || {
        let hook = world.v3("GET", &hooks, Value::Null).await.1[0].clone();
        if hook["last_response"]["code"] == 401 { Ok(()) } else { Err(hook.to_string()) }
    })
    .await;
    let core = format!("main/{CORE}");
    let words = format!(
        "hook {} signs with another secret than those in webhook_secrets (its last delivery was answered with 401)",
        other["id"]
    );
    assert_eq!(of(&world.findings(&[], 1), &core, "hook"), [("problem", words.as_str())]);
    let findings = world.findings(&["--fix"], 0);
    assert_eq!(of(&findings, &core, "reach"), [("ok", "a test delivery has come")], "{findings:?}");
    let findings = world.findings(&[], 0);
    let told = of(&findings, &core, "delivery");
    assert_eq!(told[0], ("note", "the forge says that its last delivery was answered with 202 (OK)"));
}

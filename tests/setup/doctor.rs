//! What doctor finds, and what it leaves alone when it mends.

use drift_gate::demo::scene::{CORE, TEMPLATE};
use serde_json::{Value, json};

use crate::host::{BOT, CONTRIBUTOR};
use crate::world::{SECRET, World, of};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_scopes_is_told_what_it_lacks_and_what_for() {
    let world = World::configured().await;
    let token = world.host.token(BOT, &["read:repository", "read:user"]);
    std::fs::write(world.path("token"), &token).expect("written");
    let told = world.doctor(&[]).is(1);
    for words in [
        "problem it may not post statuses: token does not have at least one of required scope(s)",
        "the token needs `write:repository` to post statuses",
        "problem it may not answer commands in comments: token does not have at least one of required scope(s)",
        "the token needs `write:issue` to answer commands in comments",
    ] {
        assert!(told.contains(words), "no `{words}` in\n{told}");
    }
    assert!(!told.contains(&token), "{told}");

    let token = world.host.token(BOT, &["write:repository", "write:issue"]);
    std::fs::write(world.path("token"), token).expect("written");
    let findings = world.findings(&[], 1);
    let about_token = of(&findings, "forge main", "token");
    assert_eq!(about_token.first().map(|(level, _)| *level), Some("problem"), "{findings:?}");
    assert!(about_token[0].1.contains("read:user"), "the forge names the scope: {about_token:?}");
    let scopes = of(&findings, &format!("main/{CORE}"), "scope");
    assert_eq!(scopes, [("ok", "it may post statuses"), ("ok", "it may answer commands in comments")]);
    // Nothing was left behind by trying.
    let head = world.admin.head(CORE, "main").await;
    assert_eq!(world.admin.posted(CORE, &head, "drift-gate/doctor").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_too_little_is_told_so_and_what_could_not_be_asked_is_not_called_well() {
    let world = World::configured().await;
    std::fs::write(world.path("token"), &world.host.api(CONTRIBUTOR).token).expect("written");
    let findings = world.findings(&[], 1);
    let core = format!("main/{CORE}");
    assert_eq!(
        of(&findings, &core, "right"),
        [("problem", "the token's user may not write there: no status can be posted")],
        "{findings:?}"
    );
    assert_eq!(of(&findings, &core, "admin").len(), 1, "{findings:?}");

    // A writer can post: only hooks and protections are not told.
    let may = json!({ "permission": "write" });
    for repo in [CORE, TEMPLATE] {
        world.admin.call("PUT", &format!("/repos/{repo}/collaborators/{CONTRIBUTOR}"), may.clone()).await;
    }
    let told = world.doctor(&[]).is(3);
    assert!(told.contains("ok      it may post statuses"), "{told}");
    assert!(told.contains("unknown hooks and protections are told to administrators only"), "{told}");
    assert!(told.contains("2 not told"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_is_wrong_is_made_anew_and_what_was_right_about_it_is_kept() {
    let world = World::configured().await;
    world.doctor(&["--fix", "--protect"]).is(0);
    let hooks = format!("/repos/{CORE}/hooks");
    for hook in world.admin.get(&hooks).await.as_array().expect("hooks") {
        world.admin.call("DELETE", &format!("{hooks}/{}", hook["id"]), Value::Null).await;
    }
    let url = format!("{}/hooks/main", world.url);
    let wrong = json!({
        "type": "gitea", "active": false, "events": ["push", "fork"], "branch_filter": "main",
        "authorization_header": "Bearer of-the-proxy", "config": { "url": url, "content_type": "json", "secret": "another" },
    });
    let other = json!({
        "type": "gitea", "active": true, "events": ["push"],
        "config": { "url": "http://127.0.0.1:1/ci", "content_type": "json", "secret": "x" },
    });
    let wrong = world.admin.call("POST", &hooks, wrong).await["id"].clone();
    let other = world.admin.call("POST", &hooks, other).await["id"].clone();

    let told = world.doctor(&[]).is(1);
    assert!(told.contains("is not active, and does not bring create, delete, pull_request"), "{told}");
    assert!(told.contains("leaves out branches (its filter is `main`)"), "{told}");
    assert!(!told.contains("of-the-proxy"), "the header is a secret: {told}");
    let told = world.doctor(&["--fix"]).is(0);
    assert!(told.contains(&format!("removed hook {wrong}")), "{told}");

    let left = world.admin.get(&hooks).await;
    let left = left.as_array().expect("hooks");
    assert!(left.iter().any(|hook| hook["id"] == other), "somebody else's hook stays: {left:?}");
    let ours: Vec<&Value> = left.iter().filter(|hook| hook["config"]["url"] == url).collect();
    assert_eq!(ours.len(), 1, "{left:?}");
    assert_eq!(ours[0]["active"], true);
    assert_eq!(ours[0]["branch_filter"], "");
    assert_eq!(ours[0]["authorization_header"], "Bearer of-the-proxy");
    let events: Vec<&str> = ours[0]["events"].as_array().expect("events").iter().filter_map(Value::as_str).collect();
    for event in ["push", "fork", "create", "delete", "pull_request", "pull_request_comment", "issue_comment", "status"]
    {
        assert!(events.contains(&event), "{event}: {events:?}");
    }
    // A second time there is nothing to mend.
    let ids = async || -> Vec<Value> {
        let hooks = world.admin.get(&hooks).await;
        hooks.as_array().expect("hooks").iter().map(|hook| hook["id"].clone()).collect()
    };
    let before = ids().await;
    world.doctor(&["--fix"]).is(0);
    assert_eq!(ids().await, before);

    // A hook that leads to another drift-gate is told, and stays.
    world.change(&format!("public_url = \"{}\"", world.url), "public_url = \"https://gate.example.org\"");
    let told = world.doctor(&[]).is(1);
    assert!(
        told.contains(&format!("leads to {url}, and server.public_url to https://gate.example.org/hooks/main")),
        "{told}"
    );
    world.doctor(&["--fix"]).is(0);
    assert_eq!(ids().await.len(), before.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_signed_with_another_secret_does_not_count_as_come() {
    let mut world = World::configured().await;
    world.doctor(&["--fix", "--protect"]).is(0);
    let hooks = format!("/repos/{CORE}/hooks");
    let made = world.admin.get(&hooks).await[0].clone();
    let mut again = json!({
        "type": "gitea", "active": true, "events": made["events"],
        "config": { "url": made["config"]["url"], "content_type": "json", "secret": "not the one" },
    });
    world.admin.call("DELETE", &format!("{hooks}/{}", made["id"]), Value::Null).await;
    world.admin.call("POST", &hooks, again.take()).await;
    world.serve().await;
    let findings = world.findings(&[], 1);
    let reach = of(&findings, &format!("main/{CORE}"), "reach");
    assert_eq!(reach, [("problem", "a test delivery was sent and has not come within 10 s")], "{findings:?}");
    assert_eq!(of(&findings, &format!("main/{TEMPLATE}"), "reach"), [("ok", "a test delivery has come")]);
    assert!(!findings.iter().any(|finding| finding.to_string().contains(SECRET)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protection_gets_the_check_and_keeps_everything_else() {
    let world = World::configured().await;
    let rules = format!("/repos/{CORE}/branch_protections");
    let rule = json!({
        "rule_name": "main", "enable_push": false, "required_approvals": 2, "dismiss_stale_approvals": true,
        "enable_status_check": true, "status_check_contexts": ["ci/build"], "protected_file_patterns": "*.lock",
        "enable_merge_whitelist": true, "merge_whitelist_usernames": [BOT], "block_on_rejected_reviews": true,
    });
    world.admin.call("POST", &rules, rule).await;
    let before = world.admin.get(&format!("{rules}/main")).await;
    let findings = world.findings(&["--fix"], 1);
    let message = "`drift-gate` is not required on main (main): what drifts can be merged";
    assert_eq!(
        of(&findings, &format!("main/{CORE}"), "required"),
        [("problem", message)],
        "without --protect nothing is"
    );
    assert_eq!(world.admin.get(&format!("{rules}/main")).await["status_check_contexts"], json!(["ci/build"]));

    world.doctor(&["--fix", "--protect"]).is(0);
    let mut after = world.admin.get(&format!("{rules}/main")).await;
    assert_eq!(after["status_check_contexts"], json!(["ci/build", "drift-gate"]));
    assert_eq!(after["block_on_outdated_branch"], true);
    for key in ["status_check_contexts", "block_on_outdated_branch", "updated_at"] {
        after[key] = before[key].clone();
    }
    assert_eq!(after, before, "all else is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_name_that_is_almost_ours_and_a_rule_for_more_branches_are_told() {
    let world = World::configured().await;
    let rule = |name: &str, contexts: Value| json!({ "rule_name": name, "enable_push": true, "enable_status_check": true, "status_check_contexts": contexts });
    let core = format!("/repos/{CORE}/branch_protections");
    world.admin.call("POST", &core, rule("main", json!(["Drift Gate"]))).await;
    world.admin.call("POST", &format!("/repos/{TEMPLATE}/branch_protections"), rule("m*", json!(["ci"]))).await;
    let findings = world.findings(&[], 1);
    let message = "main requires `Drift Gate`, which is another name than `drift-gate`: it waits for ever";
    assert_eq!(of(&findings, &format!("main/{CORE}"), "required"), [("problem", message)]);

    // A rule that is about other branches as well is left to a person.
    let told = world.doctor(&["--fix", "--protect"]).is(1);
    assert!(told.contains("the rule `m*` protects main and other branches as well"), "{told}");
    let kept = world.admin.get(&format!("/repos/{TEMPLATE}/branch_protections")).await;
    assert_eq!(kept[0]["status_check_contexts"], json!(["ci"]));

    // A pattern that fits counts as well: globs of this forge cross slashes.
    world.admin.call("DELETE", &format!("{core}/main"), Value::Null).await;
    world.admin.call("POST", &core, rule("main", json!(["drift*"]))).await;
    let findings = world.findings(&[], 1);
    let required = of(&findings, &format!("main/{CORE}"), "required");
    assert_eq!(required[0].0, "ok", "{required:?}");
    assert!(required[0].1.contains("by the pattern `drift*`"), "{required:?}");
    let outdated = of(&findings, &format!("main/{CORE}"), "up_to_date");
    assert!(outdated[0].1.contains("an old green can be merged"), "{outdated:?}");
    assert_eq!(outdated[0].0, "note");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_a_branch_and_a_forge_that_are_not_there_are_told_each_for_itself() {
    let world = World::configured().await;
    world.doctor(&["--fix", "--protect"]).is(0);
    world.change(
        "repo = \"molecule/platform-agent-template\", branch = \"main\"",
        "repo = \"molecule/gone\", branch = \"main\"",
    );
    let findings = world.findings(&[], 1);
    let gone = of(&findings, "main/molecule/gone", "repository");
    assert_eq!(gone, [("problem", "molecule/gone is not there, or the token's user may not see it")]);
    assert_eq!(of(&findings, &format!("main/{CORE}"), "hook").len(), 1, "the other is asked all the same");

    world.change("branches = [\"main\"]", "branches = [\"trunk\", \"release/*\"]");
    let findings = world.findings(&[], 1);
    let branches = of(&findings, &format!("main/{CORE}"), "branch");
    assert_eq!(
        branches,
        [("problem", "it has no branch trunk: nothing is judged there"), ("note", "no branch fits `release/*` yet")]
    );

    // An address where something else answers, and one where nobody does.
    let base = world.host.base();
    world.change(&format!("url = \"{base}\""), &format!("url = \"{base}/nowhere\""));
    let told = world.doctor(&[]).is(1);
    assert!(told.contains("it does not answer as a forge"), "{told}");
    assert!(!told.contains("molecule/core"), "its repositories would only repeat it: {told}");
    world.change(&format!("url = \"{base}/nowhere\""), "url = \"http://127.0.0.1:1\"");
    let told = world.doctor(&[]).is(3);
    assert!(
        told.contains("unknown it does not answer as a forge: GET http://127.0.0.1:1/api/v1/version: no connection"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_that_a_repository_brings_are_looked_at_too() {
    let world = World::configured().await;
    let own = world.brought();
    let about = format!("main/{CORE}");
    let findings = world.findings(&[], 1);
    let gates = of(&findings, &about, "gates");
    assert_eq!(gates, [("note", "it has no .drift-gate.toml on main: no gate of its own judges it")], "{findings:?}");

    world.admin.commit(CORE, "main", &[(".drift-gate.toml", Some(&own))]).await;
    let findings = world.findings(&[], 1);
    assert_eq!(of(&findings, &about, "gates"), [("ok", "it brings platform-agent-template")], "{own}");
    assert_eq!(of(&findings, &about, "required").len(), 1, "{findings:?}");
    assert_eq!(of(&findings, &about, "scope").len(), 2, "{findings:?}");

    // What they need besides is asked for, too.
    let repairs = format!("{own}\n[[gate.repair]]\nkind = \"pin\"\n");
    world.admin.commit(CORE, "main", &[(".drift-gate.toml", Some(&repairs))]).await;
    let findings = world.findings(&[], 1);
    let last = of(&findings, &about, "scope").pop();
    assert_eq!(last, Some(("ok", "it may open pull requests that end drift")), "{findings:?}");

    world.admin.commit(CORE, "main", &[(".drift-gate.toml", Some("[[gate]]\nname = 1\n"))]).await;
    let told = world.doctor(&[]).is(1);
    assert!(told.contains("its .drift-gate.toml cannot be used"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_forge_does_not_take_is_one_problem_and_not_ten() {
    let world = World::configured().await;
    std::fs::write(world.path("token"), "1111111111111111111111111111111111111111").expect("written");
    let findings = world.findings(&[], 1);
    let problems: Vec<&Value> = findings.iter().filter(|finding| finding["level"] == "problem").collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let message = problems[0]["message"].as_str().expect("text");
    assert!(message.ends_with("does not take the token: it is wrong, was deleted, or has ended"), "{message}");
}

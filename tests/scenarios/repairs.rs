//! The pull request that ends drift: opened, replaced, left to people, and closed again.

use axum::http::Method;
use serde_json::{Value, json};

use crate::host::{BOT, eventually};
use crate::ours::{self, branch, number};
use crate::world::{CONFIG, CORE, Setting, TEMPLATE, World, manifest};

const REPAIR: &str = "[[gate.repair]]\nkind = \"pin\"\n";
const NEW_CONFIG: &str = "name: Org Concierge\nruntime: claude-code\nmodel: opus\n";
const NEWER_CONFIG: &str = "name: Org Concierge\nruntime: claude-code\nmodel: sonnet\n";

async fn with_repair() -> World {
    World::with(Setting { gate: REPAIR, ..Setting::default() }).await
}

/// The bot's pull requests on core, open or closed, newest first.
async fn of_bot(world: &World, state: &str) -> Vec<Value> {
    ours::of_bot(world, CORE, state).await
}

/// The one that is open, once its branch begins with these words of the source commit.
async fn repair_for(world: &World, source: &str) -> Value {
    let short = &source[..8];
    eventually("one repair is open", async || {
        let open = of_bot(world, "open").await;
        match open.as_slice() {
            [one] if one["head"]["ref"].as_str().is_some_and(|branch| branch.contains(short)) => Ok(one.clone()),
            other => {
                let branches: Vec<&Value> = other.iter().map(|one| &one["head"]["ref"]).collect();
                let core = world.admin.head(CORE, "main").await;
                Err(format!("{branches:?} are open; {}", world.repair_of(CORE, &core).await))
            }
        }
    })
    .await
}

async fn file(world: &World, path: &str, reference: &str) -> String {
    ours::file(world, CORE, path, reference).await
}

async fn comments(world: &World, pull: u64) -> Vec<String> {
    ours::comments(world, CORE, pull).await
}

/// Everything that was hinted before is done: a status and a repair of a later push are there.
async fn is_quiet(world: &World) {
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_opens_a_repair_that_a_person_merges_and_both_are_green() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;

    let repair = repair_for(&world, &template).await;
    assert_eq!(file(&world, "manifest.json", &branch(&repair)).await, manifest(&template), "only the pin has moved");
    let head = repair["head"]["sha"].as_str().expect("a commit");
    world.expect(CORE, head, "success", "").await;

    world.admin.merge(CORE, number(&repair)).await;
    let merged = world.admin.head(CORE, "main").await;
    world.expect(CORE, &merged, "success", "").await;
    world.expect(TEMPLATE, &template, "success", "").await;
    is_quiet(&world).await;
    assert!(of_bot(&world, "open").await.is_empty(), "nothing is left to repair");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_moves_twice_and_one_repair_is_open_the_older_ones_closed_with_a_link() {
    let world = with_repair().await;
    let first = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let older = repair_for(&world, &first).await;
    let second = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    let newer = repair_for(&world, &second).await;
    assert!(number(&newer) > number(&older));
    let third = world.push_template(&[("prompts/concierge.md", Some("# You are newer\n"))]).await;
    let newest = repair_for(&world, &third).await;
    for (old, new) in [(&older, &newer), (&newer, &newest)] {
        let link = format!("Replaced by #{}", number(new));
        let old = number(old);
        eventually("it says what replaced it", async || {
            let closed = world.admin.get(&format!("/repos/{CORE}/pulls/{old}")).await;
            let said = comments(&world, old).await;
            let is_told = closed["body"].as_str().is_some_and(|body| body.contains(&link));
            if closed["state"] == "closed" && is_told && said.iter().any(|one| one.contains(&link)) {
                Ok(())
            } else {
                Err(format!("{}: {said:?}", closed["state"]))
            }
        })
        .await;
    }
    eventually("their branches are gone", async || {
        let branches = world.admin.get(&format!("/repos/{CORE}/branches?limit=50")).await;
        let ours = branches.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str());
        let ours: Vec<&str> = ours.filter(|name| name.starts_with("drift-gate/")).collect();
        if ours == [branch(&newest)] { Ok(()) } else { Err(format!("{ours:?}")) }
    })
    .await;
}

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
async fn nothing_is_written_over_what_a_person_committed_to_the_repair() {
    let mut world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    let theirs = world.admin.commit(CORE, &branch(&repair), &[("notes.txt", Some("and this\n"))]).await;
    world.expect(CORE, &theirs, "success", "").await;

    let newer = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    world.expect(TEMPLATE, &newer, "failure", "").await;
    eventually("it says that it leaves it alone", async || {
        let said = comments(&world, number(&repair)).await;
        let told = said.iter().any(|one| one.contains("Somebody else has committed here"));
        if told { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await;
    is_quiet(&world).await;
    let open = of_bot(&world, "open").await;
    assert_eq!(open.iter().map(number).collect::<Vec<_>>(), [number(&repair)], "none is opened beside it");
    assert_eq!(world.admin.head(CORE, &branch(&repair)).await, theirs);
    // Neither the next commit of the source nor a lost database says it again.
    let newer = world.push_template(&[("prompts/guest.md", Some("# Guest\n"))]).await;
    world.expect(TEMPLATE, &newer, "failure", "").await;
    world.stop().await;
    world.forget();
    world.start().await;
    world.expect_repair(&world.core_head, "theirs", "").await;
    is_quiet(&world).await;
    assert_eq!(comments(&world, number(&repair)).await.len(), 1, "said once");

    world.admin.merge(CORE, number(&repair)).await;
    repair_for(&world, &newer).await;
}

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
async fn the_text_says_what_differs_and_the_page_leads_to_it() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    let body = repair["body"].as_str().expect("a body");
    let link = format!("/{TEMPLATE}/commit/{template}");
    for words in
        ["config.yaml", "+model: opus", "❌ drift", "✅ in sync", &template[..8], &link, "A change — maintainer"]
    {
        assert!(body.contains(words), "`{words}` is missing:\n{body}");
    }
    assert!(body.contains("To refuse this, close it"), "{body}");
    let told = world.expect_repair(&world.core_head, "open", "").await;
    assert_eq!((&told["number"], &told["repository"]), (&repair["number"], &json!(CORE)));
    let (.., url) = world.admin.status(CORE, &world.core_head, "drift-gate").await.expect("a status");
    let path = url.trim_start_matches("http://gate.example.org");
    let page = reqwest::get(format!("{}{path}", world.gate_url())).await.expect("a page").text().await.expect("text");
    assert!(page.contains(&format!("/{CORE}/pulls/{}", number(&repair))), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_has_its_labels_people_and_is_a_draft() {
    let gate = "[[gate.repair]]\nkind = \"pin\"\nlabels = [\"Drift\", \"drift\", \"unknown\"]\nreviewers = [\"maintainer\"]\n\
                assignees = [\"maintainer\"]\ndraft = true\ntitle = \"Adopt {source_short}\"\n\
                branch = \"bump/{gate}/{source_sha}\"\n";
    let world = World::with(Setting { gate, ..Setting::default() }).await;
    world.admin.call("POST", &format!("/repos/{CORE}/labels"), json!({ "name": "drift", "color": "#ee0701" })).await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    let told = world.expect_repair(&world.core_head, "open", "has no label `unknown`").await;
    assert!(!told["words"].to_string().contains("Drift`"), "a label has no case: {told}");
    let pull = world.admin.get(&format!("/repos/{CORE}/pulls/{}", number(&repair))).await;
    assert_eq!(pull["draft"], true);
    assert_eq!(branch(&pull), format!("bump/platform-agent-identity/{template}"));
    assert!(pull["title"].as_str().is_some_and(|title| title.ends_with(&format!("Adopt {}", &template[..8]))));
    assert_eq!(pull["labels"][0]["name"], "drift");
    assert_eq!(pull["requested_reviewers"][0]["login"], "maintainer");
    assert_eq!(pull["assignees"][0]["login"], "maintainer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_stays_where_somebody_cannot_be_asked_for_it() {
    let gate = "[[gate.repair]]\nkind = \"pin\"\nreviewers = [\"nobody-here\"]\n";
    let world = World::with(Setting { gate, ..Setting::default() }).await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    world.expect_repair(&world.core_head, "open", "reviewers: ").await;
    is_quiet(&world).await;
    assert_eq!(of_bot(&world, "open").await.iter().map(number).collect::<Vec<_>>(), [number(&repair)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_may_merges_itself_when_the_required_check_is_green() {
    let gate = "[[gate.repair]]\nkind = \"pin\"\nauto_merge = true\n";
    let world = World::with(Setting { gate, ..Setting::default() }).await;
    let rule = json!({ "rule_name": "main", "enable_push": true, "enable_status_check": true,
        "status_check_contexts": ["drift-gate"] });
    world.admin.call("POST", &format!("/repos/{CORE}/branch_protections"), rule).await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "success", "").await;
    let core = world.admin.head(CORE, "main").await;
    assert_eq!(file(&world, "manifest.json", &core).await, manifest(&template));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn young_drift_is_not_repaired_before_its_time() {
    let gate = "[[gate.repair]]\nkind = \"pin\"\nafter = \"4s\"\n";
    let world = World::with(Setting { gate, ..Setting::default() }).await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect_repair(&world.core_head, "waiting", "").await;
    assert!(of_bot(&world, "open").await.is_empty());
    repair_for(&world, &template).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_must_write_opens_nothing_and_says_so() {
    let world = with_repair().await;
    // No COPY beside which one for this would stand: it is another folder.
    let template = world.push_template(&[("hooks/boot.sh", Some("#!/bin/sh\n"))]).await;
    world.expect(TEMPLATE, &template, "failure", "hooks/boot.sh").await;
    world.expect_repair(&world.core_head, "person", "hooks/boot.sh").await;
    is_quiet(&world).await;
    assert!(of_bot(&world, "open").await.is_empty());
    let (.., url) = world.admin.status(CORE, &world.core_head, "drift-gate").await.expect("a status");
    let path = url.trim_start_matches("http://gate.example.org");
    let page = reqwest::get(format!("{}{path}", world.gate_url())).await.expect("a page").text().await.expect("text");
    assert!(page.contains("a person must write this"), "{page}");
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
    // Without a commit of its own nothing can be merged: that is said, and no other is tried at once.
    let world = with_repair().await;
    let pulls = format!("/repos/{CORE}/pulls");
    let words = "Invalid PullRequest: There are no changes between the head and the base";
    world.proxy.say_next(Method::POST, &pulls, (422, words), None, 1);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect_repair(&world.core_head, "blocked", "nothing to merge").await;
    assert!(of_bot(&world, "open").await.is_empty());
    let core = world.admin.commit(CORE, "main", &[("notes.txt", Some("another look\n"))]).await;
    world.expect(CORE, &core, "failure", "").await;
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
async fn each_branch_of_the_consumer_has_a_repair_of_its_own() {
    let mut world = World::before_the_first_look(Setting { gate: REPAIR, ..Setting::default() }).await;
    world.gate_branches("\"main\", \"release/*\"");
    let release = world.admin.commit_new(CORE, "main", "release/1", &[("notes.txt", Some("1\n"))]).await;
    world.start().await;
    world.expect(CORE, &release, "success", "").await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let open = eventually("one for each is open", async || {
        let open = of_bot(&world, "open").await;
        let mut bases: Vec<&str> = open.iter().filter_map(|one| one["base"]["ref"].as_str()).collect();
        bases.sort_unstable();
        if bases == ["main", "release/1"] { Ok(open) } else { Err(format!("{bases:?}")) }
    })
    .await;
    assert_ne!(branch(&open[0]), branch(&open[1]));
    for one in &open {
        world.admin.merge(CORE, number(one)).await;
    }
    for base in ["main", "release/1"] {
        let merged = world.admin.head(CORE, base).await;
        world.expect(CORE, &merged, "success", "").await;
    }
    world.expect(TEMPLATE, &template, "success", "").await;
    is_quiet(&world).await;
    assert!(of_bot(&world, "open").await.is_empty());
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_base_changes_the_same_file_and_the_repair_follows_it() {
    let world = with_repair().await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    let other = |text: &str| text.replace("\"version\": 1", "\"version\": 2");
    world.admin.commit(CORE, "main", &[("manifest.json", Some(&other(&manifest(&world.template_head))))]).await;
    eventually("the branch has both changes", async || {
        let there = file(&world, "manifest.json", &branch(&repair)).await;
        if there == other(&manifest(&template)) { Ok(()) } else { Err(there) }
    })
    .await;
    world.admin.merge(CORE, number(&repair)).await;
    world.expect(TEMPLATE, &template, "success", "").await;
    assert_eq!(of_bot(&world, "closed").await.len(), 1, "it was the same pull request all the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_opens_nothing_and_says_what_it_would() {
    let mut world = World::before_the_first_look(Setting { gate: REPAIR, ..Setting::default() }).await;
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.start_dry().await;
    let told = world.expect_repair(&world.core_head, "dry", "would open").await;
    let words = told["words"].as_str().expect("words").to_owned();
    assert!(words.contains("manifest.json") && words.contains("drift-gate/platform-agent-identity/"), "{words}");
    let branches = world.admin.get(&format!("/repos/{CORE}/branches")).await;
    assert_eq!(branches.as_array().map(Vec::len), Some(1), "{branches}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_source_is_not_quoted_in_a_public_repair() {
    let world = World::with(Setting { gate: REPAIR, private_template: true, ..Setting::default() }).await;
    let template = world
        .push_template(&[("prompts/acquisition.md", Some("# Buy them\n")), ("config.yaml", Some(NEW_CONFIG))])
        .await;
    let repair = repair_for(&world, &template).await;
    let body = repair["body"].as_str().expect("a body");
    for secret in ["acquisition", "Buy them", "model: opus"] {
        assert!(!body.contains(secret), "{body}");
    }
}

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

/// A second gate on the same manifest, in one group with the first.
const HERMES: &str = r#"
[[gate]]
name = "hermes"
context = "drift-gate/hermes"
source = { forge = "main", repo = "molecule/hermes", branch = "main" }
consumer = { forge = "main", repo = "molecule/core", branches = ["main"] }
binding = { pin = "manifest.json", at = "workspace_templates[name=hermes].ref" }
[[gate.repair]]
kind = "pin"
group = "templates"
[[gate.check]]
kind = "pin"
requires = ["config.yaml"]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_of_a_group_are_repaired_by_one_pull_request() {
    let gate = "[[gate.repair]]\nkind = \"pin\"\ngroup = \"templates\"\n";
    let mut world = World::before_the_first_look(Setting { gate, behind: HERMES, ..Setting::default() }).await;
    world.make_repository("hermes").await;
    let hermes = world.admin.commit("molecule/hermes", "main", &[("config.yaml", Some("name: hermes\n"))]).await;
    let pins = |hermes: &str, template: &str| manifest(template).replace(&"1".repeat(40), hermes);
    let core = world.admin.commit(CORE, "main", &[("manifest.json", Some(&pins(&hermes, &world.template_head)))]).await;
    let hermes = world.admin.commit("molecule/hermes", "main", &[("config.yaml", Some("name: newer\n"))]).await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.start().await;
    world.expect(CORE, &core, "failure", "").await;
    let repair = eventually("one repair of both is open", async || {
        let open = of_bot(&world, "open").await;
        match open.as_slice() {
            [one] if [&hermes, &template].iter().all(|source| one["body"].to_string().contains(*source)) => {
                Ok(one.clone())
            }
            other => {
                let bodies: Vec<&Value> = other.iter().map(|one| &one["body"]).collect();
                Err(format!("{bodies:?} {}", world.repair_of(CORE, &core).await))
            }
        }
    })
    .await;
    assert!(branch(&repair).starts_with("drift-gate/templates/"), "{}", branch(&repair));
    assert_eq!(
        file(&world, "manifest.json", &branch(&repair)).await,
        pins(&hermes, &template),
        "both pins, one commit"
    );
    world.admin.merge(CORE, number(&repair)).await;
    let merged = world.admin.head(CORE, "main").await;
    world.expect(CORE, &merged, "success", "").await;
    world.expect(TEMPLATE, &template, "success", "").await;
    assert!(of_bot(&world, "open").await.is_empty());
}

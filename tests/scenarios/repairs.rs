//! The pull request that ends drift: opened, replaced, left to people, and closed again.

use serde_json::{Value, json};

use crate::host::{BOT, eventually};
use crate::ours::{self, branch, number};
use crate::world::{CONFIG, CORE, Setting, TEMPLATE, World, manifest};

mod closings;
mod github;
mod obstacles;
mod workflows;

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

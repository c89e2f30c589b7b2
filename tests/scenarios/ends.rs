//! How a gate begins and ends, what a merge queue is told, and files that somebody must look at.

use crate::host::eventually;
use crate::ours;
use crate::world::{BAKES, CORE, EDGE, FILE, HERMES, Setting, TEMPLATE, World};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";

fn breaks() -> String {
    BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers.yaml", "#")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_queue_is_told_what_its_merge_would_ship() {
    let mut world = World::before_the_first_look(Setting::default()).await;
    world.queue("\"gh-readonly-queue/**\"");
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "").await;
    let queue = |name: &str| format!("gh-readonly-queue/main/{name}");
    let bad = world.admin.commit_new(CORE, "main", &queue("pr-1"), &[(DOCKERFILE, Some(&breaks()))]).await;
    world.expect(CORE, &bad, "failure", "mcp_servers.yaml").await;
    let good = world.admin.commit_new(CORE, "main", &queue("pr-2"), &[("README.md", Some("Hello\n"))]).await;
    world.expect(CORE, &good, "success", "in sync").await;
    // A waiver comes along with its pull request.
    // Not the same commit as the queue's, in whichever second it is made.
    let change = [(DOCKERFILE, Some(breaks())), ("docs.md", Some("Ours\n".to_owned()))];
    let change = change.each_ref().map(|(path, text)| (*path, text.as_deref()));
    let red = world.admin.commit_new(CORE, "main", "break", &change).await;
    let number = world.admin.open_pull(CORE, "break", "main").await;
    world.expect(CORE, &red, "failure", "mcp_servers.yaml").await;
    let waive = serde_json::json!({ "body": "/drift-gate waive hot fix" });
    world.admin.call("POST", &format!("/repos/{CORE}/issues/{number}/comments"), waive).await;
    world.expect(CORE, &red, "success", "waived by").await;
    let change = [(DOCKERFILE, Some(breaks())), ("README.md", Some("Others\n".to_owned()))];
    let change = change.each_ref().map(|(path, text)| (*path, text.as_deref()));
    let merging = world.admin.commit_new(CORE, "main", &queue(&format!("pr-{number}-0123abc")), &change).await;
    world.expect(CORE, &merging, "success", "waived by").await;
    // What the base has already is no fault of the queue's.
    world.push_template(&[("config.yaml", Some("name: Other\n"))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    world.expect(CORE, &good, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_not_enforced_yet_tells_drift_in_words() {
    let world = World::with(Setting { gate: "enforce_after = \"2999-01-01\"", ..Setting::default() }).await;
    let head = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&breaks()))]).await;
    world.expect(CORE, &head, "success", "not enforced before 2999-01-01 00:00 UTC: mcp_servers.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_that_changes_a_watched_file_is_somebody_s_to_look_at() {
    let world = World::with(Setting { gate: "watch = [\"scripts/**\"]", ..Setting::default() }).await;
    let script = [("scripts/clone.sh", Some("git clone elsewhere\n"))];
    let head = world.admin.commit_new(CORE, "main", "script", &script).await;
    let number = world.admin.open_pull(CORE, "script", "main").await;
    world.expect(CORE, &head, "failure", "scripts/clone.sh is changed").await;
    // Whoever merges it has looked: the branch is judged by what it ships.
    world.admin.merge(CORE, number).await;
    let merged = world.admin.head(CORE, "main").await;
    world.expect(CORE, &merged, "success", "in sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_gate_leaves_no_check_hanging() {
    let mut world = World::in_sync().await;
    let red = world.admin.commit_new(CORE, "main", "break", &[(DOCKERFILE, Some(&breaks()))]).await;
    world.admin.open_pull(CORE, "break", "main").await;
    world.expect(CORE, &red, "failure", "mcp_servers.yaml").await;
    world.stop().await;
    world.change_gate("retired = \"the image moved\"");
    world.start().await;
    for (repo, sha) in [(CORE, &red), (CORE, &world.core_head), (TEMPLATE, &world.template_head)] {
        world.expect(repo, sha, "success", "retired: the image moved").await;
    }
    // So does what comes later, while the check is still required.
    let head = world.admin.commit_new(CORE, "main", "later", &[(DOCKERFILE, Some(&breaks()))]).await;
    world.admin.open_pull(CORE, "later", "main").await;
    world.expect(CORE, &head, "success", "retired: the image moved").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reason_why_a_gate_ends_is_told_on_its_repair_and_calls_nobody() {
    const REPAIR: &str = "[[gate.repair]]\nkind = \"pin\"\n";
    let mut world = World::with(Setting { gate: REPAIR, ..Setting::default() }).await;
    world.push_template(&[("config.yaml", Some("name: Newer\n"))]).await;
    let repair = world.expect_repair(&world.core_head, "open", "").await["number"].as_u64().expect("a number");
    world.stop().await;
    world.change_gate(&format!("retired = \"@everyone: see [here](https://evil.example)\"\n{REPAIR}"));
    world.start().await;
    let said = eventually("the repair is closed with a word", async || {
        let pull = world.admin.get(&format!("/repos/{CORE}/pulls/{repair}")).await;
        let body = pull["body"].as_str().unwrap_or_default().to_owned();
        let all = crate::talk::answers(&world, CORE, repair).await;
        match all.first() {
            Some((_, said)) if pull["state"] == "closed" => Ok(format!("{body}\n{said}")),
            _ => Err(pull["state"].to_string()),
        }
    })
    .await;
    assert_eq!(said.matches("The drift has ended otherwise: the gate has ended: @").count(), 2, "{said}");
    assert!(!said.contains("@everyone") && !said.contains("](https"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_taken_out_of_the_file_leaves_no_check_hanging_either() {
    let world = World::with(Setting { brings: true, ..Setting::default() }).await;
    let red = world.admin.commit_new(CORE, "main", "break", &[(DOCKERFILE, Some(&breaks()))]).await;
    world.admin.open_pull(CORE, "break", "main").await;
    world.expect(CORE, &red, "failure", "mcp_servers.yaml").await;
    world.admin.commit(CORE, "main", &[(FILE, None)]).await;
    world.expect(CORE, &red, "success", "no longer gated").await;
    world.expect(TEMPLATE, &world.template_head, "success", "no longer gated").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_no_gate_has_to_do_with_any_more_is_told_so_at_the_next_start() {
    let mut world = World::before_the_first_look(Setting { behind: HERMES, ..Setting::default() }).await;
    world.make_repository("hermes").await;
    let hermes = world.admin.commit("molecule/hermes", "main", &[("hermes.yaml", Some("name: hermes\n"))]).await;
    world.start().await;
    let says = async |world: &World, repo: &str, sha: &str, state: &str, words: &str| {
        eventually(&format!("{repo} {sha} is {state} ({words})"), async || {
            match world.admin.status(repo, sha, "drift-gate/hermes").await {
                Some((is, description, _)) if is == state && description.contains(words) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    };
    says(&world, "molecule/hermes", &hermes, "failure", "hermes.yaml").await;
    says(&world, CORE, &world.core_head, "failure", "hermes.yaml").await;
    world.stop().await;
    world.behind("");
    world.start().await;
    says(&world, "molecule/hermes", &hermes, "success", "no longer gated").await;
    says(&world, CORE, &world.core_head, "success", "no longer gated").await;
    world.expect(CORE, &world.core_head, "success", "in sync").await;
}

const REPAIR: &str = "[[gate.repair]]\nkind = \"pin\"\n";
const NEWER: &str = "name: Newer\n";
const TAKEN_OUT: &str = "it was taken out of the configuration";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_is_taken_out_of_the_file_leaves_no_pull_request_open() {
    let mut world = World::with(Setting { gate: REPAIR, ..Setting::default() }).await;
    world.push_template(&[("config.yaml", Some(NEWER))]).await;
    let repair = ours::the_open_one(&world, CORE, "a repair", |_| true).await;
    world.expect_repair(&world.core_head, "open", "").await;
    world.stop().await;
    world.change_gate("");
    world.start().await;
    ours::is_closed(&world, CORE, ours::number(&repair), TAKEN_OUT).await;
    eventually("its branch is gone", async || {
        let branches = world.admin.get(&format!("/repos/{CORE}/branches?limit=50")).await.to_string();
        if branches.contains("drift-gate/") { Err(branches) } else { Ok(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_is_not_gated_any_more_keeps_no_repair_but_what_people_committed_to() {
    let edge = "molecule/edge";
    let branches = EDGE
        .replace("\"molecule/edge\", branches = [\"main\"]", "\"molecule/edge\", branches = [\"main\", \"release\"]");
    let behind: &'static str = format!("{branches}[[gate.repair]]\nkind = \"mirror\"\n").leak();
    let mut world = World::before_the_first_look(Setting { behind, ..Setting::default() }).await;
    world.make_repository("edge").await;
    world.admin.commit(edge, "main", &[("prompts/concierge.md", Some("# Old\n"))]).await;
    world.admin.commit_new(edge, "main", "release", &[("README.md", Some("Released\n"))]).await;
    world.start().await;
    let open = eventually("a repair for each branch", async || {
        let open = ours::of_bot(&world, edge, "open").await;
        if open.len() == 2 { Ok(open) } else { Err(format!("{} are open", open.len())) }
    })
    .await;
    let of = |base: &str| open.iter().find(|pull| pull["base"]["ref"] == base).expect("one for each branch");
    let (main, release) = (of("main"), of("release"));
    world.admin.commit(edge, &ours::branch(release), &[("prompts/more.md", Some("# Mine\n"))]).await;
    world.stop().await;
    world.behind("");
    world.start().await;
    ours::is_closed(&world, edge, ours::number(main), TAKEN_OUT).await;
    let words = "Somebody else has committed here, so drift-gate does not close it.";
    eventually("people are told", async || {
        let said = ours::comments(&world, edge, ours::number(release)).await;
        if said.iter().any(|one| one.contains(words)) { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await;
    assert_eq!(ours::of_bot(&world, edge, "open").await.len(), 1, "what a person committed to stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_core_takes_out_of_its_own_file_takes_its_repair_with_it() {
    let world = World::with(Setting { brings: true, ..Setting::default() }).await;
    world.admin.commit(CORE, "main", &[(FILE, Some(&world.file(REPAIR)))]).await;
    world.push_template(&[("config.yaml", Some(NEWER))]).await;
    let repair = ours::the_open_one(&world, CORE, "a repair", |_| true).await;
    world.admin.commit(CORE, "main", &[(FILE, None)]).await;
    ours::is_closed(&world, CORE, ours::number(&repair), TAKEN_OUT).await;
}

//! A change that needs both sides: which of two pull requests is merged first, and what each says meanwhile.

use axum::http::Method;
use serde_json::json;

use crate::host::eventually;
use crate::world::{BAKES, CORE, EDGE, PROMPT, Setting, TEMPLATE, World, manifest};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";
const GUEST: &str =
    "COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/prompts/guest.md /opt/molecule-platform-agent-template/prompts/guest.md\n";

/// Core bakes one prompt by its name, so that another needs a line of its own.
fn narrow() -> String {
    BAKES.replace(
        "prompts/ /opt/molecule-platform-agent-template/prompts/",
        "prompts/concierge.md /opt/molecule-platform-agent-template/prompts/concierge.md",
    )
}

fn with_guest() -> String {
    narrow().replace("COPY --chmod", &format!("{GUEST}COPY --chmod"))
}

/// Both pull requests, with their heads: core's bakes the prompt that the template's brings.
struct Pair {
    core: (u64, String),
    template: (u64, String),
}

async fn open_pair(world: &World, words: &str) -> Pair {
    let base = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&narrow()))]).await;
    world.expect(CORE, &base, "success", "").await;
    let core_head = world.admin.commit_new(CORE, "main", "guest", &[(DOCKERFILE, Some(&with_guest()))]).await;
    let core = world.admin.open_pull(CORE, "guest", "main").await;
    let head = world.admin.commit_new(TEMPLATE, "main", "guest", &[("prompts/guest.md", Some("# Guest\n"))]).await;
    let body = words.replace("{core}", &format!("{CORE}#{core}"));
    let pull = json!({ "head": "guest", "base": "main", "title": "A guest", "body": body });
    let opened = world.admin.call("POST", &format!("/repos/{TEMPLATE}/pulls"), pull).await;
    Pair { core: (core, core_head), template: (opened["number"].as_u64().expect("a number"), head) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_goes_first_then_the_pin_and_then_both_are_true() {
    let world = World::in_sync().await;
    let pair = open_pair(&world, "Depends-On: {core}").await;
    let with = format!("bakes with core#{}, which is merged after it", pair.core.0);
    world.expect(TEMPLATE, &pair.template.1, "success", &with).await;
    let waits = format!("waits for platform-agent-template#{}: merge that, then bump", pair.template.0);
    world.expect(CORE, &pair.core.1, "failure", &waits).await;
    // The source first.
    world.admin.merge(TEMPLATE, pair.template.0).await;
    let template = world.admin.head(TEMPLATE, "main").await;
    world.expect(TEMPLATE, &template, "failure", "prompts/guest.md").await;
    // Then the pin, in the same pull request as the line.
    let core = world.admin.commit(CORE, "guest", &[("manifest.json", Some(&manifest(&template)))]).await;
    world.expect(CORE, &core, "success", "in sync").await;
    world.admin.merge(CORE, pair.core.0).await;
    // Then both are true.
    let core = world.admin.head(CORE, "main").await;
    world.expect(CORE, &core, "success", "in sync").await;
    world.expect(TEMPLATE, &template, "success", "in sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_branch_is_followed_core_is_red_between_the_two_merges_and_no_longer() {
    let mut world = World::before_the_first_look(Setting::default()).await;
    world.follow();
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "").await;
    let pair = open_pair(&world, "Words.\n\ndepends-on: {core}\n").await;
    world.expect(TEMPLATE, &pair.template.1, "success", "bakes with core#").await;
    world.expect(CORE, &pair.core.1, "failure", "waits for platform-agent-template#").await;
    world.admin.merge(TEMPLATE, pair.template.0).await;
    let between = world.admin.head(CORE, "main").await;
    world.expect(CORE, &between, "failure", "prompts/guest.md").await;
    world.expect(CORE, &pair.core.1, "success", "").await;
    world.admin.merge(CORE, pair.core.0).await;
    let core = world.admin.head(CORE, "main").await;
    world.expect(CORE, &core, "success", "in sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_in_the_other_order_both_sides_are_true_in_the_end_as_well() {
    let mut world = World::before_the_first_look(Setting::default()).await;
    world.follow();
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "").await;
    let pair = open_pair(&world, "Depends-On: {core}").await;
    world.expect(TEMPLATE, &pair.template.1, "success", "bakes with core#").await;
    // Somebody merges core's first, although it is red: its build fails until the prompt is there.
    world.admin.merge(CORE, pair.core.0).await;
    let core = world.admin.head(CORE, "main").await;
    world.expect(CORE, &core, "failure", "prompts/guest.md").await;
    // The template's needs no partner any more: the branch bakes the prompt by itself.
    world.expect(TEMPLATE, &pair.template.1, "success", "in sync").await;
    world.admin.merge(TEMPLATE, pair.template.0).await;
    let template = world.admin.head(TEMPLATE, "main").await;
    world.expect(TEMPLATE, &template, "success", "in sync").await;
    world.expect(CORE, &core, "success", "in sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_in_another_gates_consumer_is_that_gates_alone() {
    let mut world = World::before_the_first_look(Setting { behind: EDGE, ..Setting::default() }).await;
    world.make_repository("edge").await;
    let edge = "molecule/edge";
    world.admin.commit(edge, "main", &[("prompts/concierge.md", Some(PROMPT))]).await;
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "").await;
    // The template's new prompt is baked by no line of core, and mirrored by a pull request of edge.
    let base = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&narrow()))]).await;
    world.expect(CORE, &base, "success", "").await;
    world.admin.commit_new(edge, "main", "guest", &[("prompts/guest.md", Some("# Guest\n"))]).await;
    let partner = world.admin.open_pull(edge, "guest", "main").await;
    let head = world.admin.commit_new(TEMPLATE, "main", "guest", &[("prompts/guest.md", Some("# Guest\n"))]).await;
    let body = format!("Depends-On: {edge}#{partner}");
    let pull = json!({ "head": "guest", "base": "main", "title": "A guest", "body": body });
    world.admin.call("POST", &format!("/repos/{TEMPLATE}/pulls"), pull).await;
    // Core's gate says what core lacks, and nothing of a partner that is none of its own.
    let words = world.expect(TEMPLATE, &head, "failure", "prompts/guest.md").await;
    assert!(!words.contains("edge#"), "{words}");
    let with = format!("bakes with edge#{partner}, which is merged after it");
    eventually("edge's gate is told of its partner", async || {
        match world.admin.status(TEMPLATE, &head, "drift-gate/edge").await {
            Some((state, words, _)) if state == "success" && words == with => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_is_closed_or_does_not_bake_it_any_more_counts_no_longer() {
    let world = World::in_sync().await;
    let pair = open_pair(&world, "Depends-On: {core}").await;
    world.expect(TEMPLATE, &pair.template.1, "success", "bakes with core#").await;
    let set = |state: &'static str| {
        let (world, number) = (&world, pair.core.0);
        async move {
            world.admin.call("PATCH", &format!("/repos/{CORE}/pulls/{number}"), json!({ "state": state })).await;
        }
    };
    set("closed").await;
    world.expect(TEMPLATE, &pair.template.1, "failure", "is not open").await;
    set("open").await;
    world.expect(TEMPLATE, &pair.template.1, "success", "bakes with core#").await;
    // It is pushed to, and bakes the prompt at the wrong place.
    let wrong = with_guest().replace("/prompts/guest.md\n", "/guest.md\n");
    world.admin.commit(CORE, "guest", &[(DOCKERFILE, Some(&wrong))]).await;
    world.expect(TEMPLATE, &pair.template.1, "failure", "also with core#").await;
    world.admin.commit(CORE, "guest", &[(DOCKERFILE, Some(&with_guest()))]).await;
    world.expect(TEMPLATE, &pair.template.1, "success", "bakes with core#").await;
    // It is for another branch than the gated one.
    world.admin.commit_new(CORE, "main", "next", &[("README.md", Some("Next\n"))]).await;
    let other = json!({ "base": "next" });
    world.admin.call("PATCH", &format!("/repos/{CORE}/pulls/{}", pair.core.0), other).await;
    world.expect(TEMPLATE, &pair.template.1, "failure", "is not onto a gated branch").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_edited_later_counts_and_nothing_else_that_it_names_is_fetched() {
    let world = World::in_sync().await;
    let pair = open_pair(&world, "> Depends-On: {core}").await;
    world.expect(TEMPLATE, &pair.template.1, "failure", "prompts/guest.md").await;
    let path = format!("/repos/{TEMPLATE}/pulls/{}", pair.template.0);
    let edit = |body: String| {
        let (world, path) = (&world, &path);
        async move {
            world.admin.call("PATCH", path, json!({ "body": body })).await;
        }
    };
    edit("Depends-On: somebody/else#1".to_owned()).await;
    let words = "somebody/else#1 is of no repository that a gate compares with this one";
    world.expect(TEMPLATE, &pair.template.1, "failure", words).await;
    edit(format!("Depends-On: {}/somebody/else/pulls/1", world.proxy.url)).await;
    world.expect(TEMPLATE, &pair.template.1, "failure", "/somebody/else/pulls/1 is of no repository").await;
    let asked = [Method::GET, Method::POST].map(|method| world.proxy.count(&method, "somebody/else"));
    assert_eq!(asked, [0, 0], "what no gate compares is not fetched");
    edit(format!("Depends-On: {CORE}#{}\nDepends-On: {CORE}#4711", pair.core.0)).await;
    world.expect(TEMPLATE, &pair.template.1, "failure", "is not the only one of that repository").await;
    edit(format!("Depends-On: {}/{CORE}/pulls/{}", world.proxy.url, pair.core.0)).await;
    world.expect(TEMPLATE, &pair.template.1, "success", "bakes with core#").await;
    // Core's names it as well: no circle, the source still goes first.
    let core = format!("/repos/{CORE}/pulls/{}", pair.core.0);
    let back = json!({ "body": format!("Depends-On: {TEMPLATE}#{}", pair.template.0) });
    world.admin.call("PATCH", &core, back).await;
    world.settled().await;
    world.expect(TEMPLATE, &pair.template.1, "success", "bakes with core#").await;
    world.expect(CORE, &pair.core.1, "failure", "waits for platform-agent-template#").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_from_a_fork_is_nobody_s_partner() {
    let world = World::in_sync().await;
    let base = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&narrow()))]).await;
    world.expect(CORE, &base, "success", "").await;
    let fork = world.contributor.call("POST", &format!("/repos/{CORE}/forks"), json!({})).await;
    let fork = fork["full_name"].as_str().expect("the fork's name").to_owned();
    world.contributor.commit_new(&fork, "main", "guest", &[(DOCKERFILE, Some(&with_guest()))]).await;
    let number = world.contributor.open_pull(CORE, "contributor:guest", "main").await;
    let head = world.admin.commit_new(TEMPLATE, "main", "guest", &[("prompts/guest.md", Some("# Guest\n"))]).await;
    let body = format!("Depends-On: {CORE}#{number}");
    let pull = json!({ "head": "guest", "base": "main", "title": "A guest", "body": body });
    world.admin.call("POST", &format!("/repos/{TEMPLATE}/pulls"), pull).await;
    world.expect(TEMPLATE, &head, "failure", "comes from a fork").await;
}

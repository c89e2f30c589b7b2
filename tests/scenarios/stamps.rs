//! A file of the consumer that names the source commit: its change makes a build run.

use crate::ours::{self, branch, head, number, of_bot, the_open_one};
use crate::world::{BAKES, CORE, Setting, TEMPLATE, World, manifest};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";
const STAMP: &str = "workspace-server/template.stamp";
const STAMPS: &str = "[[gate.repair]]\nkind = \"stamp\"\npath = \"workspace-server/template.stamp\"\n";
const NEW_CONFIG: &str = "name: Org Concierge\nruntime: claude-code\nmodel: opus\n";

/// The repair that adopts this commit of the template.
async fn repair_for(world: &World, template: &str) -> serde_json::Value {
    the_open_one(world, CORE, "the stamp is to change", |one| branch(one).contains(&template[..8])).await
}

/// Core follows the template, and its stamp names the template's head.
async fn stamped(gate: &'static str, stamp: impl Fn(&str) -> String) -> World {
    let mut world = World::before_the_first_look(Setting { gate, ..Setting::default() }).await;
    world.follow();
    let text = stamp(&world.template_head);
    world.core_head = world.admin.commit(CORE, "main", &[(STAMP, Some(&text))]).await;
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "").await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_the_source_changes_the_stamp_and_only_that() {
    let world = stamped(STAMPS, |sha| format!("{sha}\n")).await;
    // What does not ship is worth no build.
    let ignored = world.push_template(&[("README.md", Some("Nothing that ships\n"))]).await;
    world.expect(TEMPLATE, &ignored, "success", "").await;
    world.settled().await;
    assert!(of_bot(&world, CORE, "open").await.is_empty());

    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    assert_eq!(ours::files(&world, CORE, number(&repair)).await, [STAMP]);
    assert_eq!(ours::file(&world, CORE, STAMP, &branch(&repair)).await, format!("{template}\n"));
    world.expect(CORE, &head(&repair), "success", "").await;
    world.admin.merge(CORE, number(&repair)).await;
    let core = world.admin.head(CORE, "main").await;
    world.expect(CORE, &core, "success", "").await;
    world.expect(TEMPLATE, &template, "success", "").await;
    world.settled().await;
    assert!(of_bot(&world, CORE, "open").await.is_empty(), "nothing is left to stamp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_that_a_copy_line_ends_is_stamped_in_the_same_pull_request() {
    let world = stamped(STAMPS, |sha| format!("{sha}\n")).await;
    let one_by_one = BAKES.replace("/prompts/ /opt", "/prompts/concierge.md /opt");
    let core = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&one_by_one))]).await;
    world.expect(CORE, &core, "success", "").await;
    let template = world.push_template(&[("prompts/guest.md", Some("# Guest\n"))]).await;
    world.expect(TEMPLATE, &template, "failure", "prompts/guest.md").await;
    let repair = repair_for(&world, &template).await;
    assert_eq!(ours::files(&world, CORE, number(&repair)).await, [DOCKERFILE, STAMP]);
    let line =
        "COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/prompts/concierge.md /opt/molecule-platform-agent-template/prompts/\n";
    let more = line.replace("concierge", "guest");
    let baked = ours::file(&world, CORE, DOCKERFILE, &branch(&repair)).await;
    assert_eq!(baked, one_by_one.replace(line, &format!("{line}{more}")), "beside its sibling, in its manner");
    world.admin.merge(CORE, number(&repair)).await;
    let core = world.admin.head(CORE, "main").await;
    world.expect(CORE, &core, "success", "").await;
    world.expect(TEMPLATE, &template, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_that_is_not_there_yet_moves_with_the_pin() {
    let gate: &'static str = format!("[[gate.repair]]\nkind = \"pin\"\n{STAMPS}").leak();
    let world = World::with(Setting { gate, ..Setting::default() }).await;
    // What is pinned is stamped, also where there is no drift.
    let first = repair_for(&world, &world.template_head).await;
    assert_eq!(ours::file(&world, CORE, STAMP, &branch(&first)).await, format!("{}\n", world.template_head));
    assert_eq!(ours::files(&world, CORE, number(&first)).await, [STAMP]);

    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    let repair = repair_for(&world, &template).await;
    ours::is_closed(&world, CORE, number(&first), &format!("Replaced by #{}", number(&repair))).await;
    assert_eq!(ours::files(&world, CORE, number(&repair)).await, ["manifest.json", STAMP]);
    assert_eq!(ours::file(&world, CORE, "manifest.json", &branch(&repair)).await, manifest(&template));
    assert_eq!(ours::file(&world, CORE, STAMP, &branch(&repair)).await, format!("{template}\n"));
    world.expect(CORE, &head(&repair), "success", "").await;
    world.admin.merge(CORE, number(&repair)).await;
    let core = world.admin.head(CORE, "main").await;
    world.expect(CORE, &core, "success", "").await;
    world.expect(TEMPLATE, &template, "success", "").await;
    world.settled().await;
    assert!(of_bot(&world, CORE, "open").await.is_empty(), "pin and stamp name the same commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_may_be_a_file_of_data() {
    let gate = "[[gate.repair]]\nkind = \"stamp\"\npath = \"workspace-server/template.stamp\"\n\
                template = '{\"gate\": \"{gate}\", \"source\": \"{source_sha}\"}'\n";
    let text = |sha: &str| format!("{{\"gate\": \"platform-agent-identity\", \"source\": \"{sha}\"}}");
    let world = stamped(gate, text).await;
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let repair = repair_for(&world, &template).await;
    assert_eq!(ours::file(&world, CORE, STAMP, &branch(&repair)).await, text(&template));
    world.admin.merge(CORE, number(&repair)).await;
    world.settled().await;
    assert!(of_bot(&world, CORE, "open").await.is_empty());
}

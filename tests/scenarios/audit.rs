//! What others write in our name, what no delivery tells, and what must not stay as it is.

use std::time::Duration;

use axum::http::Method;
use drift_gate::controller::Options;
use serde_json::json;

use crate::host::{ADMIN, BOT, eventually};
use crate::relay::Post;
use crate::world::{BAKES, CORE, Setting, TEMPLATE, World};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";

fn often() -> Setting {
    let usual = Setting::default();
    Setting { options: Options { reconcile: Duration::from_millis(400), ..usual.options }, ..usual }
}

async fn forge_status(world: &World, sha: &str, state: &str) {
    let forged = json!({ "state": state, "context": "drift-gate", "description": "by hand" });
    world.admin.call("POST", &format!("/repos/{CORE}/statuses/{sha}"), forged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_somebody_writes_over_is_put_back_at_once() {
    let world = World::in_sync().await;
    forge_status(&world, &world.core_head, "failure").await;
    world.expect(CORE, &world.core_head, "success", "in sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_put_back_by_the_timer_where_no_delivery_tells_it() {
    let world = World::with(often()).await;
    world.post(Post::Drop);
    forge_status(&world, &world.core_head, "failure").await;
    world.expect(CORE, &world.core_head, "success", "in sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_over_it_again_and_again_is_named_and_left_alone_for_a_while() {
    let world = World::in_sync().await;
    for _ in 0..3 {
        forge_status(&world, &world.core_head, "failure").await;
        world.expect(CORE, &world.core_head, "success", "in sync").await;
    }
    forge_status(&world, &world.core_head, "failure").await;
    let alarm = eventually("the operator hears of it", async || {
        let page = world.dashboard().await;
        if page.contains("again and again") { Ok(page) } else { Err(page) }
    })
    .await;
    assert!(alarm.contains(ADMIN) && alarm.contains("left as it is for an hour"), "{alarm}");
    assert_eq!(world.admin.status(CORE, &world.core_head, "drift-gate").await.expect("a status").0, "failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_with_one_user_do_not_write_over_each_other_for_ever() {
    let world = World::with(often()).await;
    let other = json!({ "state": "failure", "context": "drift-gate", "description": "drift",
        "target_url": "https://staging.example.org/r/1" });
    let path = format!("/repos/{CORE}/statuses/{}", world.core_head);
    for at in 0..3 {
        world.bot.call("POST", &path, other.clone()).await;
        world.expect(CORE, &world.core_head, "success", "in sync").await;
        assert!(!world.dashboard().await.contains("again and again"), "put right without a word: {at}");
    }
    world.bot.call("POST", &path, other).await;
    let told = eventually("the operator hears of it", async || {
        let page = world.dashboard().await;
        if page.contains("again and again") { Ok(page) } else { Err(page) }
    })
    .await;
    assert!(told.contains(&format!("another service, as our own user {BOT}")), "{told}");
    assert_eq!(world.admin.posted(CORE, &world.core_head, "drift-gate").await, 8, "not a row more");
    assert_eq!(world.metric("drift_gate_overwritten_total").await, 0.0, "it was nobody else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_github_our_name_in_other_letters_is_our_name() {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        return;
    }
    let world = World::with(Setting { github: true, ..Setting::default() }).await;
    let forged = json!({ "state": "failure", "context": "Drift-Gate", "description": "by hand" });
    world.admin.call("POST", &format!("/repos/{CORE}/statuses/{}", world.core_head), forged).await;
    eventually("ours is written again", async || {
        match world.admin.posted(CORE, &world.core_head, "drift-gate").await {
            2 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    world.expect(CORE, &world.core_head, "success", "in sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_under_another_name_is_nobodys_business() {
    let world = World::in_sync().await;
    let other = json!({ "state": "failure", "context": "ci/build", "description": "red" });
    world.admin.call("POST", &format!("/repos/{CORE}/statuses/{}", world.core_head), other).await;
    world.settled().await;
    let (state, description, _) = world.admin.status(CORE, &world.core_head, "ci/build").await.expect("a status");
    assert_eq!((state.as_str(), description.as_str()), ("failure", "red"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_delivery_was_lost_is_found_by_the_timer_and_acts_once() {
    let world = World::with(often()).await;
    let head = world.admin.commit_new(CORE, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
    let number = world.admin.open_pull(CORE, "docs", "main").await;
    world.expect(CORE, &head, "success", "").await;
    world.post(Post::Drop);
    let written = json!({ "body": "/drift-gate check" });
    let comment = world.admin.call("POST", &format!("/repos/{CORE}/issues/{number}/comments"), written).await;
    let id = comment["id"].as_u64().expect("an id");
    eventually("the comment has its reaction", async || {
        let reactions = world.admin.get(&format!("/repos/{CORE}/issues/comments/{id}/reactions")).await;
        // Eyes at once, then whether it was done; each once.
        if reactions.as_array().is_some_and(|all| all.len() == 2) { Ok(()) } else { Err(reactions.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_red_pull_request_that_is_merged_all_the_same_is_said_loudly_and_main_is_red() {
    let world = World::in_sync().await;
    let bad = BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers.yaml", "#");
    let head = world.admin.commit_new(CORE, "main", "break", &[(DOCKERFILE, Some(&bad))]).await;
    let number = world.admin.open_pull(CORE, "break", "main").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    world.admin.merge(CORE, number).await;
    let merged = world.admin.head(CORE, "main").await;
    world.expect(CORE, &merged, "failure", "mcp_servers.yaml").await;
    world.expect(TEMPLATE, &world.template_head, "failure", "mcp_servers.yaml").await;
    eventually("the operator hears of it", async || {
        let page = world.dashboard().await;
        let words = format!("#{number} was merged into main although drift-gate was red");
        if page.contains(&words) { Ok(()) } else { Err(page) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_that_does_not_end_is_an_error_at_its_deadline_and_a_verdict_once_it_can_be() {
    let usual = Setting::default();
    let options = Options {
        moment: Duration::from_millis(100),
        deadline: Duration::from_millis(600),
        first_verdict: Duration::from_secs(60),
        ..usual.options
    };
    let world = World::with(Setting { options, ..usual }).await;
    world.proxy.silence_fetches();
    let head = world.admin.commit_new(CORE, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
    world.admin.open_pull(CORE, "docs", "main").await;
    world.expect(CORE, &head, "pending", "comparing").await;
    world.expect(CORE, &head, "error", "not compared within 0 s; comment `/drift-gate check` to try again").await;
    world.proxy.mend();
    world.expect(CORE, &head, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_decides_and_writes_nothing() {
    let mut world = World::before_the_first_look(Setting::default()).await;
    world.start_dry().await;
    eventually("both heads are decided", async || {
        let page = world.dashboard().await;
        if page.matches("in sync</td>").count() == 2 { Ok(()) } else { Err(page) }
    })
    .await;
    eventually("nothing is left to be sent", async || {
        let page = world.dashboard().await;
        if page.contains("To be sent") { Err(page) } else { Ok(()) }
    })
    .await;
    assert_eq!(world.proxy.count(&Method::POST, "/statuses/"), 0);
    assert!(world.admin.status(CORE, &world.core_head, "drift-gate").await.is_none());
    assert!(!world.has_database(), "what a dry run decides is not for the next real run");
}

//! What goes wrong: deliveries that are lost, doubled, reversed or forged, a forge that fails, a service that stops.

use std::time::Duration;

use axum::http::Method;
use futures_util::StreamExt;

use crate::host::eventually;
use crate::relay::Post;
use crate::world::{CONFIG, CORE, Setting, TEMPLATE, World};

const NEW_CONFIG: &str = "name: Org Concierge\nruntime: claude-code\nmodel: opus\n";
const NEWER_CONFIG: &str = "name: Org Concierge\nruntime: codex\n";

fn often() -> Setting {
    let mut setting = Setting::default();
    setting.options.reconcile = Duration::from_millis(300);
    setting
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_that_are_lost_altogether_are_made_up_for_by_the_timer() {
    let world = World::with(often()).await;
    world.post(Post::Drop);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    let core = world.bump(&template).await;
    world.expect(CORE, &core, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_comes_three_times_writes_one_status() {
    let world = World::in_sync().await;
    world.post(Post::Hold);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let held = wait_for(&world, 1).await;
    for _ in 0..3 {
        assert_eq!(world.relay.deliver(&held[0]).await, 202);
    }
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    world.post(Post::Deliver);
    world.settled().await;
    assert_eq!(world.admin.posted(TEMPLATE, &template, "drift-gate").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_deliveries_is_taken_whole_and_costs_a_few_looks() {
    let world = World::in_sync().await;
    world.post(Post::Hold);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let held = wait_for(&world, 1).await;
    let reads = world.proxy.count(&Method::GET, "/pulls");
    let flood = futures_util::stream::iter(0..2_000).map(|_| world.relay.deliver(&held[0]));
    let answers: Vec<u16> = flood.buffer_unordered(32).collect().await;
    assert!(answers.iter().all(|answer| *answer == 202), "none is refused");
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    world.idle().await;
    // One pair of commits, and so one evaluation, whoever asks for it.
    assert_eq!(world.metric("drift_gate_verdicts_total{verdict=\"drift\"}").await, 1.0);
    let looks = world.proxy.count(&Method::GET, "/pulls") - reads;
    assert!(looks < 200, "2,000 deliveries cost {looks} lists of pull requests");
    world.post(Post::Deliver);
    world.settled().await;
    assert_eq!(world.admin.posted(TEMPLATE, &template, "drift-gate").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_in_the_wrong_order_end_in_the_same_statuses() {
    let world = World::in_sync().await;
    world.post(Post::Hold);
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let template = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    let core = world.bump(&template).await;
    let held = wait_for(&world, 3).await;
    for delivery in held.iter().rev() {
        assert_eq!(world.relay.deliver(delivery).await, 202);
    }
    world.expect(TEMPLATE, &template, "success", "").await;
    world.expect(CORE, &core, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_delivery_is_refused_and_changes_nothing() {
    let world = World::in_sync().await;
    world.post(Post::Hold);
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    let held = wait_for(&world, 1).await.remove(0);
    let mut forged = held.clone();
    let mut body = forged.body.to_vec();
    let last = body.len() - 1;
    body[last] = b' ';
    forged.body = body.into();
    assert_eq!(world.relay.deliver(&forged).await, 401);
    let mut unsigned = held.clone();
    for header in
        ["x-gitea-signature", "x-hub-signature-256", "x-hub-signature", "x-gogs-signature", "x-forgejo-signature"]
    {
        unsigned.headers.remove(header);
    }
    assert_eq!(world.relay.deliver(&unsigned).await, 401);
    world.expect(CORE, &world.core_head, "success", "").await;
    assert_eq!(world.relay.deliver(&held).await, 202);
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forge_that_answers_502_for_a_while_is_told_when_it_is_back() {
    let world = World::in_sync().await;
    world.proxy.refuse("/statuses/", 502);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    eventually("drift-gate tried", async || {
        if world.proxy.count(&Method::POST, "/statuses/") >= 3 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    world.proxy.mend();
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_whose_answer_was_lost_is_found_and_not_posted_twice() {
    let world = World::in_sync().await;
    world.proxy.lose_next_answer(Method::POST, &format!("/repos/{TEMPLATE}/statuses/"));
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    world.settled().await;
    assert_eq!(world.admin.posted(TEMPLATE, &template, "drift-gate").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_whose_answer_was_lost_is_taken_back_when_the_template_is() {
    let world = World::in_sync().await;
    let statuses = format!("/repos/{CORE}/statuses/");
    world.proxy.lose_next_answer(Method::POST, &statuses);
    world.proxy.refuse(&statuses, 502);
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    // Before drift-gate could read what became of it, the template is again what core bakes.
    let template = world.push_template(&[("config.yaml", Some(CONFIG))]).await;
    world.expect(TEMPLATE, &template, "success", "").await;
    world.proxy.mend();
    world.expect(CORE, &world.core_head, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_accepting_and_publishing_loses_nothing() {
    let mut world = World::in_sync().await;
    world.proxy.refuse("/statuses/", 502);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    eventually("drift-gate tried to publish", async || {
        if world.proxy.count(&Method::POST, "/statuses/") > 2 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    world.stop().await;
    world.proxy.mend();
    world.post(Post::Drop);
    world.start().await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_comes_before_the_forge_serves_its_commit_is_judged_when_it_does() {
    let world = World::in_sync().await;
    world.proxy.refuse_next(Method::POST, "platform-agent-template.git/git-upload-pack", 404, 3);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_template_is_an_error_on_a_new_head_and_rewrites_no_old_one() {
    let world = World::in_sync().await;
    world.proxy.refuse("platform-agent-template", 502);
    let before = world.admin.posted(CORE, &world.core_head, "drift-gate").await;
    let head = world.admin.commit_new(CORE, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
    world.admin.open_pull(CORE, "docs", "main").await;
    world.expect(CORE, &head, "error", "cannot be read").await;
    assert_eq!(world.admin.posted(CORE, &world.core_head, "drift-gate").await, before, "the old verdict stands");
    world.expect(CORE, &world.core_head, "success", "").await;
    world.proxy.mend();
    world.expect(CORE, &head, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_head_whose_template_stays_unreadable_is_an_error_after_the_set_time() {
    let mut setting = often();
    setting.gate = "unreadable_after = \"1s\"";
    let world = World::with(setting).await;
    world.proxy.refuse("platform-agent-template", 502);
    world.expect(CORE, &world.core_head, "error", "cannot be read").await;
    world.proxy.mend();
    world.expect(CORE, &world.core_head, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forge_that_says_nothing_does_not_keep_it_from_stopping() {
    let mut world = World::in_sync().await;
    world.proxy.silence(TEMPLATE);
    let asked = world.proxy.count(&Method::GET, TEMPLATE);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    eventually("drift-gate asks", async || {
        if world.proxy.count(&Method::GET, TEMPLATE) > asked { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), world.stop()).await;
    assert!(stopped.is_ok(), "it waits for the forge");
    world.proxy.mend();
    world.post(Post::Drop);
    world.start().await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_may_not_write_is_named_to_the_operator_and_the_other_side_has_its_verdict() {
    let world = World::in_sync().await;
    world.proxy.refuse(&format!("/repos/{TEMPLATE}/statuses/"), 403);
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    let named = format!("write main/{TEMPLATE}: ");
    ready_when(&world, |status, text| status == 503 && text.contains(&named) && text.contains("403")).await;
    world.proxy.mend();
    let template = world.push_template(&[("config.yaml", Some(NEWER_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    ready_when(&world, |status, _| status == 200).await;
}

async fn ready_when(world: &World, wanted: impl Fn(u16, &str) -> bool) -> String {
    eventually("/readyz says it", async || match world.ready().await {
        (status, text) if wanted(status, &text) => Ok(text),
        other => Err(format!("{other:?}")),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_renamed_under_us_is_found_again_by_its_id() {
    let world = World::with(often()).await;
    let body = serde_json::json!({ "name": "template-renamed" });
    world.admin.call("PATCH", &format!("/repos/{TEMPLATE}"), body).await;
    let now = "molecule/template-renamed";
    let template = world.admin.commit(now, "main", &[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(now, &template, "failure", "config.yaml").await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_says_what_the_status_links_to() {
    let world = World::in_sync().await;
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    let (_, _, url) = world.admin.status(CORE, &world.core_head, "drift-gate").await.expect("a status");
    let path = url.strip_prefix("http://gate.example.org").expect("the public address");
    let page = reqwest::get(format!("{}{path}", world.gate_url())).await.expect("a page").text().await.expect("text");
    for words in ["config.yaml", "stale", &world.core_head[..8], "model: opus", "/drift-gate check"] {
        assert!(page.contains(words), "the page lacks `{words}`:\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_templates_contents_are_not_shown_on_the_page() {
    let world = World::with(Setting { private_template: true, ..Setting::default() }).await;
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "").await;
    let (_, _, url) = world.admin.status(CORE, &world.core_head, "drift-gate").await.expect("a status");
    let path = url.strip_prefix("http://gate.example.org").expect("the public address");
    let page = reqwest::get(format!("{}{path}", world.gate_url())).await.expect("a page").text().await.expect("text");
    assert!(!page.contains("model: opus"), "contents of a private repository:\n{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_turned_private_is_hidden_from_its_next_push_on() {
    let world = World::in_sync().await;
    world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    let (_, _, url) = world.admin.status(CORE, &world.core_head, "drift-gate").await.expect("a status");
    let path = url.strip_prefix("http://gate.example.org").expect("the public address");
    // A look under way would judge by what it read before.
    world.idle().await;
    world.admin.call("PATCH", &format!("/repos/{TEMPLATE}"), serde_json::json!({ "private": true })).await;
    let template = world.push_template(&[("prompts/concierge.md", Some("# You keep secrets\n"))]).await;
    world.expect(TEMPLATE, &template, "failure", "").await;
    let page = reqwest::get(format!("{}{path}", world.gate_url())).await.expect("a page").text().await.expect("text");
    for secret in ["model: opus", "keep secrets"] {
        assert!(!page.contains(secret), "contents of a private repository:\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_templates_file_names_are_not_told_on_a_public_repository() {
    let world = World::with(Setting { private_template: true, ..Setting::default() }).await;
    let template = world.push_template(&[("acquisition-of-acme.md", Some("soon\n"))]).await;
    world.expect(TEMPLATE, &template, "failure", "acquisition-of-acme.md").await;
    let words = world.expect(CORE, &world.core_head, "failure", "The source has changed").await;
    assert!(!words.contains("acme"), "{words}");
}

async fn wait_for(world: &World, pushes: usize) -> Vec<crate::relay::Delivery> {
    eventually("the pushes' deliveries are there", async || {
        let held = world.relay.held("push");
        if held >= pushes { Ok(()) } else { Err(format!("{held}")) }
    })
    .await;
    world.relay.take().into_iter().filter(|delivery| delivery.event() == "push").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forge_that_does_not_answer_is_left_alone_and_the_operator_told() {
    let world = World::in_sync().await;
    world.proxy.refuse("/", 502);
    let head = world.push_template(&[("config.yaml", Some("name: another\n"))]).await;
    let words = ready_when(&world, |status, text| status == 503 && text.contains("failures in a row")).await;
    assert!(words.contains("forge main: asked rarely"), "{words}");
    world.proxy.mend();
    world.expect(TEMPLATE, &head, "failure", "config.yaml").await;
    ready_when(&world, |status, _| status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_for_a_commit_that_the_forge_does_not_know_yet_is_posted_when_it_does() {
    let world = World::in_sync().await;
    world.post(Post::Hold);
    let head = world.admin.commit_new(CORE, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
    world.admin.open_pull(CORE, "docs", "main").await;
    let status = format!("/repos/{CORE}/statuses/{head}");
    world.proxy.refuse_next(Method::POST, &status, 500, 2);
    world.proxy.refuse_next(Method::GET, &format!("/git/commits/{head}"), 404, 2);
    world.post(Post::Deliver);
    for delivery in world.relay.take() {
        assert_eq!(world.relay.deliver(&delivery).await, 202);
    }
    world.expect(CORE, &head, "success", "").await;
    assert_eq!(world.proxy.count(&Method::POST, &status), 3);
    assert_eq!(world.admin.posted(CORE, &head, "drift-gate").await, 1);
}

/// drift-gate speaks GitHub's dialect. A real Gitea does not understand it.
async fn on_github() -> Option<World> {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        return None;
    }
    Some(World::with(Setting { github: true, ..Setting::default() }).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forge_that_asks_to_wait_is_left_alone_so_long_and_gets_each_status_once_afterwards() {
    let Some(world) = on_github().await else { return };
    let statuses = "/statuses/";
    let before = world.proxy.count(&Method::POST, statuses);
    let words = "You have exceeded a secondary rate limit";
    world.proxy.say_next(Method::POST, statuses, (403, words), Some(2), 1);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    world.settled().await;
    assert_eq!(world.admin.posted(TEMPLATE, &template, "drift-gate").await, 1);
    assert_eq!(world.admin.posted(CORE, &world.core_head, "drift-gate").await, 2);
    let posts = world.proxy.moments(&Method::POST, statuses)[before..].to_vec();
    let at = |seconds: f64| posts[0] + Duration::from_secs_f64(seconds);
    // What was on its way when it was said may still have come.
    assert_eq!(world.proxy.count_between(at(0.7), at(1.9)), 0, "it asked for two seconds");
    assert!(posts[1] >= at(1.9), "nothing was written meanwhile");
    assert!(posts[2] - posts[1] >= Duration::from_millis(900), "slowly for a while: {posts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_holds_as_many_statuses_as_github_takes_is_told_and_holds_up_nobody() {
    let Some(world) = on_github().await else { return };
    let status = format!("/repos/{CORE}/statuses/{}", world.core_head);
    let words = "This SHA and context has reached the maximum number of statuses.";
    world.proxy.say_next(Method::POST, &status, (422, words), None, 1_000);
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    eventually("the operator is told", async || {
        let unsent = world.told("/status").await["unsent"].clone();
        let told = unsent["first"][0]["trouble"].as_str().unwrap_or_default().to_owned();
        if told.contains(words) { Ok(()) } else { Err(unsent.to_string()) }
    })
    .await;
    world.settled().await;
    assert_eq!(world.proxy.count(&Method::POST, &status), 2, "once in sync, and one that was refused");
    world.expect(CORE, &world.core_head, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_archived_template_core_is_judged_on_and_the_operator_is_told() {
    let Some(world) = on_github().await else { return };
    let template = world.push_template(&[("config.yaml", Some(NEW_CONFIG))]).await;
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    world.admin.call("PATCH", &format!("/repos/{TEMPLATE}"), serde_json::json!({ "archived": true })).await;
    let core = world.bump(&template).await;
    world.expect(CORE, &core, "success", "").await;
    let told = format!("main/{TEMPLATE}: ");
    ready_when(&world, |_, text| text.contains(&told) && text.contains("archived")).await;
}

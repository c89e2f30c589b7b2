//! drift-gate as a GitHub App: tokens that end, deliveries that got lost, checks with annotations. Told on the stand-in, which
//! speaks GitHub's dialect; a real Gitea does not.

use axum::http::{HeaderMap, Method};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

use crate::host::eventually;
use crate::relay::{Delivery, Post};
use crate::world::{BAKES, CORE, SECRET, SERVERS, Setting, TEMPLATE, World};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";
/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9";

/// `None` where the stories are told on a real Gitea.
async fn world(private_template: bool) -> Option<World> {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        return None;
    }
    Some(World::with(Setting { app: true, private_template, ..Setting::default() }).await)
}

/// The newest check on a commit of core, with its annotations.
async fn check(world: &World, sha: &str, conclusion: &str) -> (Value, Vec<Value>) {
    let get = async |path: String| {
        let asked = reqwest::Client::new().get(format!("{}/api/v3/repos/{CORE}{path}", world.admin.base));
        let text = asked.bearer_auth(&world.admin.token).send().await.expect("an answer").text().await.expect("text");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    eventually(&format!("the newest check on {sha} is a {conclusion}"), async || {
        let all = get(format!("/commits/{sha}/check-runs")).await;
        let newest = all["check_runs"][0].clone();
        if newest["conclusion"] != conclusion {
            return Err(all.to_string());
        }
        let annotations = get(format!("/check-runs/{}/annotations", newest["id"])).await;
        Ok((newest, annotations.as_array().expect("a list").clone()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_tells_drift_by_a_status_and_marks_the_line_of_the_dockerfile() {
    let Some(world) = world(false).await else { return };
    let (green, none) = check(&world, &world.core_head, "success").await;
    assert_eq!((green["name"].as_str(), none.len()), (Some("drift-gate annotations"), 0));

    let line = "RUN echo changed > /opt/molecule-platform-agent-template/config.yaml";
    let broken = BAKES.replace("ENTRYPOINT", &format!("{line}\nENTRYPOINT"));
    let sha = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&broken))]).await;
    let said = world.expect(CORE, &sha, "failure", "config.yaml").await;
    let (red, annotations) = check(&world, &sha, "failure").await;
    assert!(red["output"]["summary"].as_str().expect("a summary").contains("config"), "{said}: {red}");
    let number = broken.lines().position(|one| one == line).expect("the line") + 1;
    let marked =
        annotations.iter().find(|one| one["start_line"] == number).unwrap_or_else(|| panic!("{annotations:?}"));
    assert_eq!((&marked["path"], &marked["annotation_level"]), (&DOCKERFILE.into(), &"failure".into()));
    // The template's head has its status, and no check: there is no line of it to look at.
    world.expect(TEMPLATE, &world.template_head, "failure", "").await;
    assert_eq!(world.proxy.count(&Method::POST, &format!("{TEMPLATE}/check-runs")), 0);

    let mended = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(BAKES))]).await;
    check(&world, &mended, "success").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_core_are_not_told_by_a_check_what_only_a_private_template_has() {
    let Some(world) = world(true).await else { return };
    let secret = "# payroll of everybody\n";
    let head = world.push_template(&[("prompts/payroll.md", Some(secret))]).await;
    let line = "RUN rm /opt/molecule-platform-agent-template/prompts/payroll.md";
    let broken = BAKES.replace("ENTRYPOINT", &format!("{line}\nENTRYPOINT"));
    world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&broken))]).await;
    let sha = world.bump(&head).await;
    world.expect(CORE, &sha, "failure", "").await;
    let (check, annotations) = check(&world, &sha, "failure").await;
    let said = format!("{check} {annotations:?}");
    assert!(!annotations.is_empty() && !said.contains("payroll"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_ended_are_made_again_and_nothing_is_missed() {
    let Some(world) = world(false).await else { return };
    let minted = || world.proxy.count(&Method::POST, "/access_tokens");
    assert_eq!(minted(), 1, "both repositories are of one installation");
    world.stand_in().end_tokens();
    let head = world.push_template(&[("mcp_servers.yaml", Some(&format!("{SERVERS}  - name: second\n")))]).await;
    world.expect(TEMPLATE, &head, "failure", "").await;
    let bumped = world.bump(&head).await;
    world.expect(CORE, &bumped, "success", "").await;
    assert_eq!(minted(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_got_lost_is_sent_again_once_and_acted_on() {
    let Some(mut world) = world(false).await else { return };
    let app = world.app_id();
    world.stop().await;
    world.relay.to(NOWHERE);
    let head = world.push_template(&[("mcp_servers.yaml", Some(&format!("{SERVERS}  - name: second\n")))]).await;
    let pushes = |world: &World, again: bool| -> Vec<u16> {
        let all = world.stand_in().deliveries(app);
        all.iter().filter(|one| one.event == "push" && one.redelivery == again).map(|one| one.status).collect()
    };
    eventually("the push got lost", async || match pushes(&world, false).last() {
        Some(502) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;

    world.start().await;
    eventually("the push is sent again and taken", async || match pushes(&world, true).as_slice() {
        [200..300] => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    world.expect(TEMPLATE, &head, "failure", "").await;
    eventually("it is counted", async || {
        let (sent, taken) =
            (world.metric("drift_gate_redelivered_total").await, world.metric("drift_gate_deliveries_total").await);
        if sent >= 1.0 && taken >= 1.0 { Ok(()) } else { Err(format!("{sent} {taken}")) }
    })
    .await;
    assert!(world.dashboard().await.contains("redelivered"));

    // At the next start it stands in the list as sent again, and is left alone.
    world.stop().await;
    world.start().await;
    world.expect(CORE, &world.core_head, "failure", "").await;
    let asked = world.proxy.count(&Method::GET, "/app/hook/deliveries");
    eventually("the list is read again", async || {
        let now = world.proxy.count(&Method::GET, "/app/hook/deliveries");
        if now > asked || asked >= 2 { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    assert_eq!(pushes(&world, true).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_of_the_merge_queue_gets_its_status_from_its_event_alone() {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        return;
    }
    let mut world = World::before_the_first_look(Setting { app: true, ..Setting::default() }).await;
    world.queue("\"gh-readonly-queue/**\"");
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "").await;
    // Its push is told to nobody.
    world.post(Post::Drop);
    let branch = "gh-readonly-queue/main/pr-7-0123abc";
    let broken = BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers.yaml", "#");
    let sha = world.admin.commit_new(CORE, "main", branch, &[(DOCKERFILE, Some(&broken))]).await;
    let repository = world.admin.get(&format!("/repos/{CORE}")).await;
    let payload = json!({
        "action": "checks_requested",
        "merge_group": {
            "head_sha": sha, "head_ref": format!("refs/heads/{branch}"),
            "base_sha": world.core_head, "base_ref": "refs/heads/main",
        },
        "repository": { "id": repository["id"], "full_name": CORE, "private": false },
        "installation": { "id": 1 },
    });
    assert_eq!(world.admin.status(CORE, &sha, "drift-gate").await, None);
    let body = payload.to_string();
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).expect("a key");
    Mac::update(&mut mac, body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-github-event", "merge_group"),
        ("x-github-delivery", "0b989ba4-242f-11e5-81e1-c7b6966d2516"),
        ("x-hub-signature-256", &signature),
    ] {
        headers.insert(name, value.parse().expect("a value"));
    }
    assert_eq!(world.relay.deliver(&Delivery { headers, body: body.into() }).await, 202);
    world.expect(CORE, &sha, "failure", "mcp_servers.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_whose_answer_got_lost_is_found_again_and_the_status_is_not_posted_twice() {
    let Some(world) = world(false).await else { return };
    check(&world, &world.core_head, "success").await;
    world.proxy.lose_next_answer(Method::POST, "/check-runs");
    let sha = world.admin.commit(CORE, "main", &[("README", Some("more\n"))]).await;
    world.expect(CORE, &sha, "success", "").await;
    eventually("all is told", async || {
        let unsent = world.metric("drift_gate_unsent_statuses").await;
        let looked = world.proxy.count(&Method::GET, &format!("{sha}/check-runs"));
        if unsent == 0.0 && looked >= 2 { Ok(()) } else { Err(format!("{unsent} {looked}")) }
    })
    .await;
    check(&world, &sha, "success").await;
    assert_eq!(world.admin.posted(CORE, &sha, "drift-gate").await, 1);
    let asked =
        reqwest::Client::new().get(format!("{}/api/v3/repos/{CORE}/commits/{sha}/check-runs", world.admin.base));
    let all = asked.send().await.expect("an answer").text().await.expect("text");
    assert_eq!(serde_json::from_str::<Value>(&all).expect("JSON")["total_count"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_is_refused_for_good_leaves_the_status_as_it_stands() {
    let Some(world) = world(false).await else { return };
    world.proxy.refuse("/check-runs", 403);
    let broken = BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers.yaml", "#");
    let sha = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&broken))]).await;
    world.expect(CORE, &sha, "failure", "mcp_servers.yaml").await;
    eventually("nothing is left to be sent", async || match world.metric("drift_gate_unsent_statuses").await {
        0.0 => Ok(()),
        unsent => Err(unsent.to_string()),
    })
    .await;
    assert_eq!(world.admin.posted(CORE, &sha, "drift-gate").await, 1);
}

//! Bad input: what a person may write into the repositories or send to the service.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;

use crate::relay::Post;
use crate::world::{CORE, SECRET, TEMPLATE, World, manifest};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";

async fn after(world: &World, path: &str, content: Option<&str>) -> String {
    world.admin.commit(CORE, "main", &[(path, content)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_pin_is_red_with_words_that_name_the_file_and_the_value() {
    let world = World::in_sync().await;
    let doubled = manifest(&world.template_head).replace("\"hermes\"", "\"platform-agent\"");
    let trailing = format!("{}// Triggered by a bot\n", manifest(&world.template_head));
    for (text, words) in [
        ("{\"workspace_templates\": []}".to_owned(), "platform-agent"),
        (doubled, "manifest.json"),
        (manifest("main"), "main"),
        (manifest(&"ab".repeat(20)), "abababab"),
        (trailing, "manifest.json"),
        ("not json".to_owned(), "manifest.json"),
    ] {
        let head = after(&world, "manifest.json", Some(&text)).await;
        world.expect(CORE, &head, "failure", words).await;
    }
    let head = after(&world, "manifest.json", None).await;
    world.expect(CORE, &head, "failure", "manifest.json").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dockerfile_that_is_gone_is_red_and_one_that_cannot_be_read_is_an_error() {
    let world = World::in_sync().await;
    let head = after(&world, DOCKERFILE, Some("FROM scratch\nCONJURE config.yaml /opt/\n")).await;
    world.expect(CORE, &head, "error", "line 2").await;
    let edited =
        format!("{}RUN sed -i s/a/b/ /opt/molecule-platform-agent-template/config.yaml\n", crate::world::BAKES);
    let head = after(&world, DOCKERFILE, Some(&edited)).await;
    world.expect(CORE, &head, "error", "config.yaml").await;
    let huge = "# a line\n".repeat(300_000);
    let head = after(&world, DOCKERFILE, Some(&huge)).await;
    world.expect(CORE, &head, "error", "Dockerfile.platform-agent").await;
    let head = after(&world, DOCKERFILE, None).await;
    world.expect(CORE, &head, "failure", "Dockerfile.platform-agent").await;
}

/// A delivery signed as the forge would.
pub fn signed(world: &World, event: &str, body: &str) -> reqwest::RequestBuilder {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(body.as_bytes());
    reqwest::Client::new()
        .post(format!("{}/hooks/main", world.gate_url()))
        .header("content-type", "application/json")
        .header("x-gitea-event", event)
        .header("x-gitea-delivery", "1")
        .header("x-gitea-signature", hex::encode(mac.finalize().into_bytes()))
        .body(body.to_owned())
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_delivery_is_answered_in_kind_and_counted() {
    let world = World::in_sync().await;
    let http = reqwest::Client::new();
    let hooks = format!("{}/hooks/main", world.gate_url());
    assert_eq!(status(http.get(&hooks)).await, 405);
    assert_eq!(status(http.post(&hooks).body("{}")).await, 401);
    assert_eq!(status(signed(&world, "push", "{}").header("x-gitea-signature", "")).await, 401);
    assert_eq!(status(signed(&world, "push", "not json")).await, 400);
    assert_eq!(status(signed(&world, "moon_phase", "{}")).await, 202);
    let unknown = r#"{"ref": "refs/heads/main", "before": "BEFORE", "after": "AFTER",
        "repository": {"id": 99999, "full_name": "else/where"}}"#;
    let unknown = unknown.replace("BEFORE", &"a".repeat(40)).replace("AFTER", &"b".repeat(40));
    assert_eq!(status(signed(&world, "push", &unknown)).await, 202);
    assert_eq!(status(http.post(format!("{}/hooks/nowhere", world.gate_url())).body("{}")).await, 404);
    let metrics = http.get(format!("{}/metrics", world.gate_url())).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    for (result, count) in [("unsigned", 2), ("not_json", 1), ("unknown_event", 1), ("unknown_repository", 1)] {
        let line = format!("drift_gate_deliveries_total{{forge=\"main\",result=\"{result}\"}} {count}");
        assert!(metrics.lines().any(|told| told == line), "no line `{line}`:\n{metrics}");
    }
    assert_eq!(status(http.get(format!("{}/healthz", world.gate_url()))).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_delivery_of_another_shape_makes_its_repository_be_looked_at() {
    let world = World::in_sync().await;
    world.post(Post::Drop);
    let template = world.push_template(&[("config.yaml", Some("name: Newer\n"))]).await;
    let id = world.admin.get(&format!("/repos/{TEMPLATE}")).await["id"].clone();
    let odd = json!({ "ref": 12, "repository": { "id": id, "full_name": TEMPLATE } }).to_string();
    assert_eq!(status(signed(&world, "push", &odd)).await, 202);
    world.expect(TEMPLATE, &template, "failure", "config.yaml").await;
}

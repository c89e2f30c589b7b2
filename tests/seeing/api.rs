//! The API of a service at work.

use drift_gate::demo::scene::{CORE, TEMPLATE};
use serde_json::{Value, json};

use crate::world::World;

const GATE: &str = "demo/molecule/core:platform-agent-identity";

fn rows<'a>(page: &'a Value, list: &str) -> &'a Vec<Value> {
    page[list].as_array().expect("rows")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_broke_what_is_read_from_delivery_to_report() {
    let world = World::served().await;
    let broken = world.break_core().await;
    let path = "/api/v1/targets";
    world
        .until("the drift is told", async || {
            let page = world.get(path).await;
            rows(&page, "targets").iter().any(|row| row["sha"] == broken && row["sent"] == true)
        })
        .await;

    let deliveries = world.get("/api/v1/deliveries?limit=1").await;
    let push = &rows(&deliveries, "deliveries")[0];
    assert_eq!((&push["event"], &push["repository"], &push["outcome"]), (&json!("push"), &json!(CORE), &json!("look")));

    let targets = world.get(path).await;
    let target = rows(&targets, "targets").iter().find(|row| row["sha"] == broken).expect("its target");
    assert_eq!((&target["state"], &target["context"]), (&json!("failure"), &json!("drift-gate")));
    assert_eq!((&target["told"]["state"], &target["parked"]), (&json!("failure"), &Value::Null));
    let role = &target["roles"][0];
    assert_eq!(
        (&role["gate"], &role["role"], &role["branch"]),
        (&json!(GATE), &json!("consumer_branch"), &json!("main"))
    );
    let id = target["id"].as_str().expect("an id");
    assert_eq!(target["page"], format!("{}/r/{id}", world.url));

    let gates = world.get("/api/v1/gates").await;
    let gate = &rows(&gates, "gates")[0];
    assert_eq!((&gate["id"], &gate["stands_in"]), (&json!(GATE), &json!({ "kind": "service" })));
    assert_eq!(gate["binding"]["pin"], "manifest.json");
    assert_eq!(gate["binding"]["at"], "workspace_templates[name=platform-agent].ref");
    assert_eq!(gate["source"]["repository"], TEMPLATE);
    let heads = rows(gate, "heads");
    assert!(heads.iter().any(|head| head["sha"] == broken && head["target"] == id && head["state"] == "failure"));
    assert_eq!(heads.len(), 2, "of both sides: {gate}");

    let reports = world.get(&format!("/api/v1/reports/{id}")).await;
    assert_eq!(reports["target"]["id"], id);
    let report = &reports["reports"][0]["report"];
    assert_eq!((&report["schema"], &report["verdict"]), (&json!(1), &json!("drift")));
    assert_eq!(report["consumer"]["commit"], broken);
    assert!(report["findings"].to_string().contains("prompts/concierge.md"), "{report}");
    assert_eq!(reports["reports"][0]["digest"], role["report"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_the_api_is_closed_and_says_what_would_open_it() {
    let mut world = World::new("").await;
    world.serve(&[]).await;
    let answer = world.http.get(format!("{}/api/v1/gates", world.url)).send().await.expect("an answer");
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.expect("a body").contains("set `[server] admin_token`"));
}

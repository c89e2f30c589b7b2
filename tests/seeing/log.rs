//! The log for programs: one JSON object a line, and on each line of a decision what it is about.

use drift_gate::demo::scene::{CORE, TEMPLATE};
use serde_json::{Value, json};

use crate::world::World;

fn lines(world: &World, message: &str) -> Vec<Value> {
    let all = world.log();
    let all = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("no JSON: {line}")));
    all.filter(|line| line["fields"]["message"] == message).map(|line| line["fields"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_names_its_delivery_target_gate_and_both_commits_on_both_sides() {
    let mut world = World::new("admin_token = { env = \"SEEN_ADMIN_TOKEN\" }").await;
    world.serve(&["--log", "json"]).await;
    world.judged().await;
    let template = world.person.head(TEMPLATE, "main").await.expect("a head");
    let broken = world.break_core().await;
    let decided = |repo: &str| {
        let mine = |line: &Value| line["repo"] == format!("demo/{repo}") && line["consumer"] == broken;
        lines(&world, "decided").into_iter().find(mine)
    };
    world.until("both sides are decided", async || decided(CORE).is_some() && decided(TEMPLATE).is_some()).await;
    world.judged().await;

    // Others came since: the repair's branch, and its pull request.
    let deliveries = world.get("/api/v1/deliveries?limit=50").await;
    let pushes = deliveries["deliveries"].as_array().expect("deliveries").iter();
    let pushes: Vec<&Value> = pushes.filter(|one| one["event"] == "push" && one["repository"] == CORE).collect();
    for (repo, sha) in [(CORE, &broken), (TEMPLATE, &template)] {
        let line = decided(repo).expect("a line");
        assert_eq!(line["sha"], *sha);
        let led_to_it = |push: &&Value| push["delivery"] == line["delivery"];
        assert!(pushes.iter().any(led_to_it), "the push of core led to it: {line}");
        assert_eq!(line["gate"], "demo/molecule/core:platform-agent-identity");
        assert_eq!((&line["source"], &line["verdict"]), (&json!(template), &json!("drift")));
        assert_eq!(line["state"], "failure");
        let target = line["target"].as_str().expect("an id");
        assert_eq!(world.get(&format!("/api/v1/reports/{target}")).await["target"]["sha"], *sha);
    }
    world
        .until("it stands", async || {
            lines(&world, "status stands")
                .iter()
                .any(|line| line["sha"] == broken && line["target"] == decided(CORE).expect("a line")["target"])
        })
        .await;
}

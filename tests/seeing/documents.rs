//! The documents name every metric and every field that there is, and none that there is not.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::world::World;

const OPERATIONS: &str = include_str!("../../docs/operations.md");
const API: &str = include_str!("../../docs/api.md");
const RULES: &str = include_str!("../../deploy/prometheus-rules.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana-dashboard.json");

/// Every metric that a text speaks of.
fn metrics(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    text.match_indices("drift_gate_")
        .map(|(at, _)| text[at..].split(|c| !is_name(c)).next().unwrap_or_default())
        .collect()
}

/// Every metric that is exposed, by the names that queries use.
fn exposed(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| match line.split_once(' ').expect("a type") {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_exposed_and_documented() {
    let world = World::served().await;
    world.break_core().await;
    let mut here = BTreeSet::new();
    let documented: BTreeSet<String> = metrics(OPERATIONS).into_iter().map(str::to_owned).collect();
    world
        .until("every metric of the documents is exposed", async || {
            let answer = world.http.get(format!("{}/metrics", world.url)).send().await.expect("an answer");
            let text = answer.text().await.expect("a body");
            assert!(text.ends_with("# EOF\n"), "{text}");
            here = exposed(&text);
            documented.is_subset(&here)
        })
        .await;
    assert_eq!(here, documented, "exposed and documented");
    for (name, text) in [("the rules", RULES), ("the dashboard", DASHBOARD)] {
        for metric in metrics(text) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| metric.strip_suffix(part));
            assert!(here.contains(base.unwrap_or(metric)), "{name} ask for {metric}");
        }
    }
    serde_json::from_str::<Value>(DASHBOARD).expect("the dashboard is JSON");
}

/// All keys of an answer, apart from those of reports, which are documented elsewhere.
fn keys(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| keys(one, into)),
        Value::Object(all) => {
            for (key, one) in all {
                into.insert(key.clone());
                let elsewhere = (key == "report" && one.is_object()) || key == "require";
                if !elsewhere {
                    keys(one, into);
                }
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_of_the_api_is_documented() {
    let world = World::served().await;
    let target = world.get("/api/v1/targets?limit=1").await["targets"][0]["id"].as_str().expect("an id").to_owned();
    world.break_core().await;
    world.until("a delivery came", async || world.get("/api/v1/deliveries").await["deliveries"][0].is_object()).await;
    let mut found = BTreeSet::new();
    for path in ["status", "deliveries", "targets", "gates", &format!("reports/{target}")] {
        keys(&world.get(&format!("/api/v1/{path}")).await, &mut found);
    }
    let said = world.type_in(&["status", "--format", "json"]);
    keys(&serde_json::from_str(&said.out).expect("JSON"), &mut found);
    let undocumented: Vec<&String> = found.iter().filter(|key| !API.contains(&format!("`{key}`"))).collect();
    assert!(found.len() > 40, "{found:?}");
    assert!(undocumented.is_empty(), "docs/api.md lacks {undocumented:?}");
}

//! One document over all gates, whatever the format.

use serde_json::Value;

use crate::world::{ELSEWHERE, World, ends_with, out};

fn drifting() -> World {
    let world = World::new();
    world.core.commit(3_000, &[("Dockerfile", ELSEWHERE)]);
    world.gates(&["one", "two"], "");
    world
}

#[test]
fn each_format_that_wants_one_document_gets_one() {
    let world = drifting();
    let sarif = world.check(&["--format", "sarif"]);
    ends_with(&sarif, 1);
    let log: Value = serde_json::from_slice(&sarif.stdout).expect("one JSON document");
    assert_eq!(log["runs"].as_array().map(Vec::len), Some(2));
    assert_eq!(log["runs"][1]["results"][0]["ruleId"], "wrong-destination");
    let place = &log["runs"][1]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "Dockerfile");

    let junit = world.check(&["--format", "junit"]);
    ends_with(&junit, 1);
    assert_eq!(out(&junit).matches("<testsuites ").count(), 1);
    assert_eq!(out(&junit).matches("<testsuite ").count(), 2);

    let markdown = world.check(&["--format", "markdown"]);
    ends_with(&markdown, 1);
    assert_eq!(out(&markdown).matches("### ❌").count(), 2);

    let annotations = world.check(&["--format", "annotations"]);
    ends_with(&annotations, 1);
    assert_eq!(out(&annotations).matches("::error file=Dockerfile,").count(), 2, "{}", out(&annotations));
}

#[test]
fn a_softened_gate_is_red_in_no_format() {
    let world = drifting();
    world.gates(&["one"], "advisory = true");
    for (format, red) in
        [("sarif", "\"level\": \"error\"\n"), ("junit", "<failure"), ("annotations", "::error"), ("markdown", "❌")]
    {
        let told = world.check(&["--format", format]);
        ends_with(&told, 0);
        let text = out(&told);
        let results = text.split("\"results\"").last().expect("something");
        assert!(!results.contains(red) && text.contains("advisory: config.yaml"), "{format}: {text}");
    }
}

#[test]
fn in_sync_is_a_document_too() {
    let world = World::new();
    let sarif = world.check(&["--format", "sarif"]);
    ends_with(&sarif, 0);
    let log: Value = serde_json::from_slice(&sarif.stdout).expect("JSON");
    assert_eq!(log["runs"][0]["results"], Value::Array(Vec::new()));
    let junit = world.check(&["--format", "junit"]);
    assert!(out(&junit).contains(r#"tests="1" skipped="0" failures="0" errors="0""#), "{}", out(&junit));
}

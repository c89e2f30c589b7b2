//! When drift began, and which commit began it.

use serde_json::Value;

use crate::world::{BAKES, ELSEWHERE, World, ends_with, err, out, pinned};

const CHMOD: &str = "FROM scratch\nCOPY --chmod=0644 .deps/template/config.yaml /opt/t/config.yaml\n";

/// The Dockerfile is wrong from 4,000 to 7,000; the pin lags from 8,000 to 9,000.
fn past() -> World {
    let world = World::new();
    world.core.commit(3_000, &[("src/main.rs", "1")]);
    world.core.commit(4_000, &[("Dockerfile", ELSEWHERE)]);
    world.core.commit(5_000, &[("src/main.rs", "2")]);
    world.core.commit(7_000, &[("Dockerfile", CHMOD)]);
    let next = world.template.commit(8_000, &[("config.yaml", "name: two\n")]);
    world.core.commit(9_000, &[("pin.json", &pinned(next))]);
    world.template.commit(9_500, &[("README.md", "Read it again\n")]);
    world
}

fn told(world: &World, more: &[&str]) -> Value {
    let sides = ["--consumer", world.core.path(), "--source", world.template.path(), "--format", "json"];
    let output = world.run("backtest", &[&sides, more].concat());
    ends_with(&output, 0);
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

#[test]
fn the_intervals_of_drift_have_their_commits() {
    let world = past();
    let told = told(&world, &[]);
    let intervals = told["intervals"].as_array().expect("intervals");
    let shape: Vec<_> =
        intervals.iter().map(|one| (one["kind"].as_str(), one["from"].as_i64(), one["to"].as_i64())).collect();
    let expected = [(Some("wrong-destination"), Some(4_000), Some(7_000)), (Some("stale"), Some(8_000), Some(9_000))];
    assert_eq!(shape, expected, "{told}");
    assert_eq!(
        (&intervals[1]["began"]["side"], &intervals[1]["ended"]["side"]),
        (&"source".into(), &"consumer".into())
    );
    let head = world.core.git().head().unwrap().target().unwrap().to_string();
    assert_eq!(intervals[1]["ended"]["commit"], head.as_str());
    assert_eq!(told["moments"], 8);
    assert_eq!(told["seconds"]["drift"], 4_000);
    assert!(told["evaluated"].as_i64() < Some(8), "what changed nothing that is read is not judged: {told}");
}

#[test]
fn it_can_begin_later() {
    let world = past();
    let since = world.core.git().revparse_single("HEAD~1").unwrap().id().to_string();
    let told = told(&world, &["--since", &since]);
    assert_eq!(told["from"], 7_000);
    assert_eq!(told["intervals"].as_array().map(Vec::len), Some(1), "{told}");
}

#[test]
fn people_read_it_as_text_and_as_a_page() {
    let world = past();
    let sides = ["--consumer", world.core.path(), "--source", world.template.path()];
    let text = out(&world.run("backtest", &sides));
    assert!(
        text.contains("wrong-destination config.yaml: 1970-01-01 01:06:40Z – 1970-01-01 01:56:40Z, 50m 00s"),
        "{text}"
    );
    assert!(text.contains("began with consumer") && text.contains("At 4000"), "{text}");
    let page = out(&world.run("backtest", &[&sides[..], &["--format", "html"]].concat()));
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("wrong-destination"), "{page}");
    assert!(!page.contains("<script") && !page.contains("http"), "nothing is loaded: {page}");
}

#[test]
fn a_shallow_history_is_an_error_that_says_what_to_do() {
    let world = past();
    let head = world.core.git().head().unwrap().target().unwrap();
    std::fs::write(world.core.git().path().join("shallow"), format!("{head}\n")).unwrap();
    let sides = ["--consumer", world.core.path(), "--source", world.template.path()];
    let output = world.run("backtest", &sides);
    ends_with(&output, 3);
    assert!(err(&output).contains("git fetch --unshallow"), "{}", err(&output));
}

#[test]
fn what_is_said_of_the_last_moment_is_what_check_says() {
    let world = past();
    world.core.commit(9_900, &[("Dockerfile", BAKES), ("pin.json", "{}")]);
    let told = told(&world, &[]);
    let last = told["changes"].as_array().and_then(|all| all.last()).expect("a change").clone();
    let revs = ["--consumer-rev", "HEAD", "--source-rev", "HEAD", "--format", "json"];
    let checked: Value = serde_json::from_slice(&world.check(&revs).stdout).expect("JSON");
    assert_eq!((&last["verdict"], &last["findings"]), (&checked["verdict"], &checked["findings"]));
}

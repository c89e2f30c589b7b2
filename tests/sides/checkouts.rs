//! A folder that a script cloned for the build: what the image would really get.

use serde_json::Value;

use crate::world::{SOURCE_DIR, World, ends_with, out, pinned};

fn kinds(report: &[u8]) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(report).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().map(|one| (text(&one["kind"]), text(&one["path"]))).collect()
}

/// `check` with the template where the build takes it from.
fn built(world: &World) -> std::process::Output {
    let place = format!("{}/{SOURCE_DIR}", world.core.path());
    world.run("check", &["--consumer", world.core.path(), "--source", &place, "--format", "json"])
}

fn place(world: &World) -> std::path::PathBuf {
    std::path::Path::new(world.core.path()).join(SOURCE_DIR)
}

#[test]
fn the_clone_that_the_build_takes_is_no_tracked_folder() {
    let world = World::new();
    world.template.clone_to(&place(&world));
    let output = built(&world);
    ends_with(&output, 0);
    assert!(kinds(&output.stdout).is_empty(), "{}", out(&output));
}

#[test]
fn an_edited_clone_is_drift_with_the_file() {
    let world = World::new();
    let clone = world.template.clone_to(&place(&world));
    clone.write(&[("config.yaml", "name: edited\n"), ("README.md", "ignored\n")]);
    let output = built(&world);
    ends_with(&output, 1);
    assert_eq!(kinds(&output.stdout), [("checkout-differs".to_owned(), "config.yaml".to_owned())]);
}

#[test]
fn a_stale_clone_is_drift_and_not_an_unmerged_pin() {
    let world = World::new();
    let clone = world.template.clone_to(&place(&world));
    let next = world.template.commit(3_000, &[("config.yaml", "name: two\n")]);
    world.core.commit(4_000, &[("pin.json", &pinned(next))]);
    // The pinned commit was fetched and never checked out.
    clone.git().find_remote("origin").unwrap().fetch(&["main"], None, None).unwrap();
    let output = built(&world);
    ends_with(&output, 1);
    assert_eq!(kinds(&output.stdout), [("checkout-differs".to_owned(), "config.yaml".to_owned())]);
}

#[test]
fn an_edited_folder_elsewhere_is_what_the_branch_may_become() {
    let world = World::new();
    world.template.write(&[("config.yaml", "name: edited\n")]);
    let output = world.check(&["--format", "json"]);
    ends_with(&output, 1);
    assert_eq!(kinds(&output.stdout), [("stale".to_owned(), "config.yaml".to_owned())]);
}

#[test]
fn a_folder_elsewhere_that_went_on_is_the_branch() {
    let world = World::new();
    world.template.commit(3_000, &[("config.yaml", "name: two\n")]);
    let output = world.check(&["--format", "json"]);
    assert_eq!(kinds(&output.stdout), [("stale".to_owned(), "config.yaml".to_owned())]);
}

#[test]
fn files_that_core_tracks_there_are_still_drift() {
    let world = World::new();
    world.core.write(&[(".gitignore", "\n"), (&format!("{SOURCE_DIR}/old.md"), "old\n")]);
    world.core.commit(3_000, &[]);
    let output = world.check(&["--format", "json"]);
    ends_with(&output, 1);
    assert!(kinds(&output.stdout).iter().any(|(kind, _)| kind == "source-dir-tracked"), "{}", out(&output));
}

#[test]
fn a_shallow_clone_without_the_pinned_commit_does_not_say_that_there_is_none() {
    let world = World::new();
    let pin = world.template.commit(3_000, &[("config.yaml", "name: two\n")]);
    let clone = world.template.clone_to(&place(&world));
    world.core.commit(4_000, &[("pin.json", &pinned(pin).replace(&pin.to_string(), &"1".repeat(40)))]);
    std::fs::write(clone.git().path().join("shallow"), format!("{pin}\n")).unwrap();
    let output = built(&world);
    ends_with(&output, 3);
    assert!(out(&output).contains("git fetch --unshallow"), "{}", out(&output));
}

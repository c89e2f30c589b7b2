//! What a real BuildKit made of recorded builds, held against what the command prints for the same files on disk.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::world::{Ended, World};

/// One in so many cases is tried: each is a program that starts.
const ONE_IN: usize = 5;

fn bytes(file: &Value) -> Vec<u8> {
    if let Some(text) = file["c"].as_str() {
        return text.as_bytes().to_vec();
    }
    let text = file["b64"].as_str().unwrap_or_default().replace('\n', "");
    BASE64_STANDARD.decode(text).expect("base64")
}

fn mode(file: &Value, default: u32) -> u32 {
    let Some(text) = file["mode"].as_str() else { return default };
    u32::from_str_radix(text.trim_start_matches("0o"), 8).expect("an octal mode")
}

/// The case's files, with the Dockerfile where it was when it was built.
fn on_disk(case: &Value, dockerfile: &str) -> World {
    let mut world = World::new().dir("ctx", 0o755);
    let mut dirs = Vec::new();
    for (path, file) in case["files"].as_object().expect("files") {
        let path = format!("ctx/{path}");
        if file.get("dir").is_some() {
            world = world.dir(&path, 0o755);
            dirs.push((path, mode(file, 0o755)));
        } else if let Some(target) = file["link"].as_str() {
            world = world.link(&path, target);
        } else {
            world = world.file_with_mode(&path, mode(file, 0o644), bytes(file));
        }
    }
    for (path, mode) in dirs {
        world = world.dir(&path, mode);
    }
    if !world.path(dockerfile).exists() {
        world = world.file(dockerfile, case["dockerfile"].as_str().expect("text"));
    }
    world
}

fn run(case: &Value) -> Ended {
    let dockerfile = Path::new("ctx").join(case["dockerfile_name"].as_str().expect("a name"));
    let dockerfile = dockerfile.to_str().expect("UTF-8");
    let world = on_disk(case, dockerfile);
    let mut words = vec!["tree", "--context", "ctx", "--file", dockerfile, "--format", "json"];
    for value in case["build_args"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        words.extend(["--build-arg", value]);
    }
    words.extend(case["target"].as_str().into_iter().flat_map(|target| ["--target", target]));
    world.run(&words)
}

/// The recorded tree as the command would print it.
fn recorded(case: &Value) -> Map<String, Value> {
    let entry = |file: &Value| {
        if let Some(target) = file.get("link") {
            return json!({ "type": "link", "target": target });
        }
        let mode = format!("{:04o}", mode(file, 0));
        if file.get("dir").is_some() {
            return json!({ "type": "dir", "mode": mode });
        }
        let bytes = bytes(file);
        json!({ "type": "file", "mode": mode, "size": bytes.len(), "sha256": hex::encode(Sha256::digest(&bytes)) })
    };
    case["tree"].as_object().expect("a tree").iter().map(|(path, file)| (path.clone(), entry(file))).collect()
}

/// Whether nothing in a case hinges on the machine that it runs on.
fn is_for_disk(case: &Value) -> bool {
    let dockerfile = case["dockerfile"].as_str().expect("text");
    // What a RUN does is known in part; those cases are held in full elsewhere.
    !dockerfile.to_ascii_uppercase().contains("RUN ") && case.get("under").is_none()
}

fn hold(recording: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(recording);
    let text = std::fs::read_to_string(path).expect("the recording is there");
    let cases = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a case is JSON"));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = String::new();
    for case in cases.filter(is_for_disk).step_by(ONE_IN) {
        let ended = run(&case);
        let (outcome, as_recorded) = match ended.code {
            0 => ("built", case.get("error").is_none() && ended.json()["tree"] == Value::Object(recorded(&case))),
            1 => ("failed", case.get("error").is_some() && ended.json()["line"].is_u64()),
            _ => ("unknown", false),
        };
        *counts.entry(outcome).or_default() += 1;
        if !as_recorded {
            wrong += &format!("== {}\n{}\n{}{}\n", case["id"], case["dockerfile"], ended.out, ended.err);
        }
    }
    assert!(wrong.is_empty(), "these came out wrong:\n{wrong}");
    assert!(counts["built"] > 60 && counts["failed"] > 10, "too few cases were tried: {counts:?}");
}

#[test]
fn recorded_copies_are_printed_as_buildkit_made_them() {
    hold("buildkit-copy.jsonl");
}

#[test]
fn other_recorded_builds_are_printed_as_buildkit_made_them() {
    hold("buildkit-more.jsonl");
}

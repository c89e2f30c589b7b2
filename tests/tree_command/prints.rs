//! What the three formats print.

use std::process::Command;

use serde_json::json;

use crate::world::World;

const SHA256_OF_A: &str = "06f961b802bc46ee168555f066d28f4f0e9afdf3f88174c1ee6f9de004fc30a0";

#[test]
fn json_has_the_tree_what_is_unknown_and_what_was_assumed() {
    let world = World::with("FROM alpine\nCOPY a.txt link /d/\nRUN sed -i s/a/b/ /d/link\n").link("ctx/link", "a.txt");
    let ended = world.tree(&["--format", "json"]);
    assert_eq!(ended.code, 3, "a part of it cannot be known: {}", ended.err);
    let json = ended.json();
    let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["assumptions", "tree", "unknown"]);
    let unknown = json["unknown"].as_array().expect("a list");
    let link = unknown.iter().find(|part| part["path"] == "d/link").expect("the edited file is unknown");
    assert_eq!(link["line"], 3);
    assert!(link["reason"].as_str().expect("text").contains("sed -i"), "{link}");
    let assumptions = json["assumptions"].as_array().expect("a list");
    let alpine = assumptions.iter().find(|one| one["line"] == 1).expect("an assumption about the base");
    assert!(alpine["text"].as_str().expect("text").contains("alpine"), "{alpine}");
    assert_eq!(json["tree"].get("d/link"), None, "{json}");
}

#[test]
fn json_tells_files_directories_and_links_apart() {
    let world = World::with("FROM scratch\nCOPY --chmod=640 a.txt /opt/a\nCOPY sub /opt/sub\n")
        .link("ctx/sub/x", "../nowhere")
        .dir("ctx/sub/empty", 0o700);
    assert_eq!(
        world.json(&[]),
        json!({
            "tree": {
                "opt": { "type": "dir", "mode": "0640" },
                "opt/a": { "type": "file", "mode": "0640", "size": 2, "sha256": SHA256_OF_A },
                "opt/sub": { "type": "dir", "mode": "0755" },
                "opt/sub/empty": { "type": "dir", "mode": "0700" },
                "opt/sub/x": { "type": "link", "target": "../nowhere" },
            },
            "unknown": [],
            "assumptions": [],
        })
    );
}

#[test]
fn a_build_that_would_fail_is_told_with_its_line() {
    let world = World::with("FROM scratch\n\nCOPY missing.txt /d/\n");
    let ended = world.tree(&["--format", "json"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.json(), json!({ "error": "\"/missing.txt\": not found in the build context", "line": 3 }));
    for format in ["text", "sha256sum"] {
        let ended = world.tree(&["--format", format]);
        ended.says(1, &["the build would fail", "missing.txt", "Dockerfile:3", "3 | COPY missing.txt /d/", "^^^^"]);
        assert_eq!(ended.out, "");
    }
}

#[test]
fn what_nobody_can_say_is_no_failure_of_the_build() {
    let world = World::with("# syntax=example.org/own/frontend:1\nFROM scratch\n");
    let ended = world.tree(&["--format", "json"]);
    assert_eq!(ended.code, 3);
    assert_eq!(ended.json()["line"], 1);
    world.tree(&[]).says(3, &["undecided", "example.org/own/frontend"]);
}

#[test]
fn text_reads_like_a_listing_with_the_line_that_put_each_path_there() {
    let world = World::with("FROM alpine\nCOPY a.txt /opt/\nCOPY link /\nRUN touch /opt/b && sed -i s/a/b/ /opt/b\n")
        .link("ctx/link", "a.txt");
    let ended = world.tree(&[]);
    assert_eq!((ended.code, ended.err.as_str()), (3, ""));
    let rows: Vec<Vec<&str>> = ended.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["0644", "2", "2", "/opt/a.txt"]), "{}", ended.out);
    assert!(ended.out.contains("unknown: /opt/b: "), "{}", ended.out);
    assert!(ended.out.contains("4 | RUN touch /opt/b && sed -i s/a/b/ /opt/b"), "{}", ended.out);
    assert!(ended.out.contains("assumed: the image alpine"), "{}", ended.out);
    assert!(!ended.out.contains('\u{1b}'), "colours are for terminals: {:?}", ended.out);
}

#[test]
fn a_directory_that_a_command_only_names_is_not_in_the_image() {
    let world = World::with("FROM alpine\nCOPY a.txt /opt/\nRUN adduser agent && tool /etc/agent.conf\n");
    let ended = world.tree(&[]);
    assert!(!ended.out.contains("  /etc/\n"), "{}", ended.out);
    assert!(ended.out.contains("unknown: /etc, /etc/agent.conf: `tool"), "{}", ended.out);
    assert!(ended.out.contains("  /opt/a.txt\n"), "{}", ended.out);
}

#[test]
fn text_warns_of_what_the_build_loses_silently() {
    let world = World::with("FROM scratch\nCOPY a.* nothing* /d/\n");
    let ended = world.tree(&[]);
    assert_eq!(ended.code, 0);
    assert!(ended.out.contains("warning: nothing* matches nothing"), "{}", ended.out);
    let ended = world.tree(&["--format", "sha256sum"]);
    ended.says(0, &["warning: nothing* matches nothing"]);
}

#[test]
fn names_cannot_write_to_the_terminal() {
    let world = World::with("FROM scratch\nCOPY . /d/\n").file("ctx/\u{1b}[31mred\nline", "x");
    let ended = world.tree(&[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("/d/<U+001B>[31mred<U+000A>line\n"), "{:?}", ended.out);
}

#[test]
fn sha256sum_accepts_the_list_where_the_image_is() {
    let names =
        ["plain", "with space", "back\\slash", "new\nline", "carriage\rreturn", "näme", "*star", "-dash", "\\n"];
    let mut world =
        World::with("FROM scratch\nCOPY . /opt/dir/\nCOPY <<E /opt/made\nhi\nE\n").file("ctx/deep/er/f", "deep");
    for name in names {
        world = world.file(&format!("ctx/{name}"), name);
    }
    let ended = world.tree(&["--format", "sha256sum"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_eq!(ended.out.lines().count(), names.len() + 3, "{}", ended.out);
    // What the build would make, made by hand.
    for name in names.into_iter().chain(["a.txt", "deep/er/f"]) {
        let bytes = std::fs::read(world.path("ctx").join(name)).expect("a file");
        world = world.file(&format!("image/opt/dir/{name}"), bytes);
    }
    world = world.file("image/opt/made", "hi\n").file("sums", &ended.out);
    let checked = check(&world);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let verdicts = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(verdicts.lines().filter(|line| line.ends_with(": OK")).count(), names.len() + 3, "{verdicts}");
    world = world.file("image/opt/made", "changed\n");
    assert!(!check(&world).status.success(), "a changed file is found");
}

fn check(world: &World) -> std::process::Output {
    let mut sha256sum = Command::new("sha256sum");
    sha256sum.args(["--strict", "-c", "../sums"]).current_dir(world.path("image")).env("LC_ALL", "C");
    sha256sum.output().expect("sha256sum of coreutils")
}

#[test]
fn a_list_for_sha256sum_says_beside_it_what_is_missing() {
    let world = World::with("FROM scratch\nCOPY a.txt /d/\nCOPY a.txt /d/b\nRUN sed -i s/a/b/ /d/b\n");
    let ended = world.tree(&["--format", "sha256sum"]);
    ended.says(3, &["unknown: what else is in /d, /d/b: `sed", "Dockerfile:4"]);
    assert_eq!(ended.out, format!("{SHA256_OF_A}  d/a.txt\n"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let many: String =
        (0..5000).fold("FROM scratch\nCOPY a.txt /a\n".to_owned(), |text, at| text + &format!("WORKDIR /{at}\n"));
    let world = World::with(many);
    let mut child = Command::new(env!("CARGO_BIN_EXE_drift-gate"))
        .args(["tree", "--context", "ctx", "--file", "Dockerfile"])
        .current_dir(world.path(""))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

//! What lies on real disks: links, files that may not be read, Dockerfiles from other systems or from nobody's.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::world::{World, set_mode};

#[test]
fn links_in_the_context_stay_inside_of_it() {
    let world = World::with("FROM scratch\nCOPY to-dir/f /f\nCOPY dir /copied\nCOPY up /up\n")
        .file("ctx/dir/f", "F")
        .link("ctx/to-dir", "dir")
        .link("ctx/dir/inner", "f")
        .link("ctx/dir/round", "round")
        .link("ctx/dir/out", "../../outside")
        .link("ctx/up", "../../a.txt")
        .file("outside", "secret");
    let json = world.json(&[]);
    assert_eq!(json["tree"]["copied/inner"]["target"], "f");
    assert_eq!(json["tree"]["copied/round"]["target"], "round");
    assert_eq!(json["tree"]["copied/out"]["target"], "../../outside", "inside a folder links stay links");
    assert_eq!(json["tree"]["f"]["size"], 1, "a link on the way is followed");
    assert_eq!(json["tree"]["up"]["size"], 2, "a link that is named is followed, and cannot climb out");
    let world = World::with("FROM scratch\nCOPY out /out\n").link("ctx/out", "../outside").file("outside", "secret");
    world.tree(&[]).says(1, &["Dockerfile:2", "out", "not found"]);
    let world = World::with("FROM scratch\nCOPY round/x /out\n").link("ctx/round", "round");
    world.tree(&[]).says(1, &["Dockerfile:2", "round"]);
}

#[test]
fn the_context_and_the_dockerfile_may_be_links() {
    let world = World::with("FROM scratch\nCOPY . /\n").link("linked", "ctx").link("Linkedfile", "Dockerfile");
    let ended = world.run(&["tree", "--context", "linked", "--file", "Linkedfile", "--format", "json"]);
    assert!(ended.json()["tree"].get("a.txt").is_some(), "{}{}", ended.out, ended.err);
}

#[test]
fn a_file_that_may_not_be_read_is_named_and_not_known() {
    let world = World::with("FROM scratch\nCOPY . /d/\n").file_with_mode("ctx/secret", 0o000, "S");
    let ended = as_nobody(&world, &["--format", "json"]);
    assert_eq!(ended.0, 3, "{}{}", ended.1, ended.2);
    let json: serde_json::Value = serde_json::from_str(&ended.1).expect("JSON");
    assert_eq!(json["unknown"][0]["path"], "d/secret");
    assert_eq!(json["unknown"][0]["line"], 2);
    assert!(json["unknown"][0]["reason"].as_str().expect("text").contains("Permission denied"), "{json}");
    assert_eq!(json["tree"]["d/a.txt"]["size"], 2, "the others are known");
    let world = World::with("FROM scratch\nCOPY . /d/\n").dir("ctx/closed", 0o000);
    let (code, _, err) = as_nobody(&world, &[]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("ctx/closed") && err.contains("Permission denied"), "{err}");
    set_mode(&world.path("ctx/closed"), 0o755);
    let world = World::with("FROM scratch\n");
    set_mode(&world.path("Dockerfile"), 0o000);
    let (code, _, err) = as_nobody(&world, &[]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("--file Dockerfile: it cannot be read: Permission denied"), "{err}");
}

/// Runs the program as a user who is not root: root may read everything.
fn as_nobody(world: &World, words: &[&str]) -> (i32, String, String) {
    let program = world.path("drift-gate");
    std::fs::copy(env!("CARGO_BIN_EXE_drift-gate"), &program).expect("a copy of the program");
    set_mode(&program, 0o755);
    set_mode(&world.path(""), 0o755);
    let mut command = Command::new(&program);
    command.args(["tree", "--context", "ctx", "--file", "Dockerfile"]).args(words).current_dir(world.path(""));
    if is_root() {
        command.uid(65534).gid(65534);
    }
    let output = command.output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it ends by itself"), text(&output.stdout), text(&output.stderr))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

#[test]
fn what_is_not_there_is_named_with_the_option_that_named_it() {
    let world = World::with("FROM scratch\n");
    let run = |context: &str, file: &str| world.run(&["tree", "--context", context, "--file", file]);
    run("ctx", "Dockerfile.agent").says(2, &["--file Dockerfile.agent: there is no such file"]);
    run("ctx", "Dockerfile/x").says(2, &["--file Dockerfile/x: there is no such file"]);
    run("ctx", "ctx").says(2, &["--file ctx: it is a directory"]);
    run("nowhere", "Dockerfile").says(2, &["--context nowhere: no such folder"]);
    run("Dockerfile", "Dockerfile").says(2, &["--context Dockerfile: not a folder"]);
}

#[test]
fn a_dockerfile_that_is_no_text_or_too_large_is_undecided() {
    let world = World::with(b"FROM scratch\nCOPY a.txt /\xff\n");
    world.tree(&[]).says(3, &["not UTF-8", "Dockerfile:2"]);
    let world = World::with("#x\n".repeat((10 << 20) / 3));
    world.tree(&[]).says(3, &["larger than 1048576 bytes"]);
    let world = World::with("");
    world.tree(&[]).says(1, &["cannot be empty"]);
    let world = World::with("\0\0\0\0");
    assert_eq!(world.tree(&[]).code, 1);
}

#[test]
fn a_dockerfile_from_another_system_means_the_same() {
    let plain = "FROM scratch\nCOPY a.txt \\\n  /d/\nCOPY <<E /h\nx\nE\n";
    let expected = World::with(plain).json(&[]);
    assert_eq!(World::with(format!("\u{feff}{plain}")).json(&[]), expected, "with a byte order mark");
    let windows = World::with(plain.replace('\n', "\r\n")).json(&[]);
    assert_eq!(windows["tree"]["d/a.txt"], expected["tree"]["d/a.txt"]);
    assert_eq!(windows["tree"]["h"]["size"], 3, "the body of a heredoc keeps its line ends");
}

#[test]
fn names_may_have_spaces_and_letters_of_any_language() {
    let world =
        World::new().file("my build/Dockerfile für α", "FROM scratch\nCOPY . /\n").file("my build/c o n/ünï cödé", "x");
    let ended =
        world.run(&["tree", "--context", "my build/c o n", "--file", "my build/Dockerfile für α", "--format", "json"]);
    assert!(ended.json()["tree"].get("ünï cödé").is_some(), "{}{}", ended.out, ended.err);
}

#[test]
fn an_ignore_file_that_is_no_text_is_named() {
    let world = World::with("FROM scratch\nCOPY . /\n").file("ctx/.dockerignore", b"\xff\xfe*\0");
    world.tree(&[]).says(3, &["ctx/.dockerignore is not UTF-8"]);
    let world = World::with("FROM scratch\nCOPY . /\n").file("ctx/.dockerignore", "*.md\n".repeat(300_000));
    world.tree(&[]).says(3, &["ctx/.dockerignore is larger than 1048576 bytes"]);
}

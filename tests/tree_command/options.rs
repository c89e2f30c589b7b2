//! What the options do.

use crate::world::World;

#[test]
fn build_arguments_and_the_target_are_those_of_docker_build() {
    let world =
        World::with("ARG BASE=scratch\nFROM $BASE AS one\nARG NAME=x\nCOPY a.txt /$NAME\nFROM one\nWORKDIR /late\n");
    assert_eq!(world.paths(&[]), ["late", "x"]);
    assert_eq!(world.paths(&["--target", "one"]), ["x"]);
    assert_eq!(world.paths(&["--target", "ONE", "--build-arg", "NAME=a=b"]), ["a=b"]);
    assert_eq!(world.paths(&["--target", "one", "--build-arg", "NAME=1", "--build-arg", "NAME=2"]), ["2"]);
    world.tree(&["--target", "two"]).says(1, &["target stage \"two\" could not be found"]);
    world.tree(&["--build-arg", "NAME"]).says(2, &["NAME=VALUE"]);
    world.tree(&["--build-arg", "=x"]).says(2, &["NAME=VALUE"]);
}

#[test]
fn under_shows_a_part_and_judges_only_that_part() {
    let world = World::with(
        "FROM scratch\nCOPY a.txt /opt/in/\nCOPY a.txt /opt/inside/\nCOPY a.txt /var/x\nRUN sed -i s/a/b/ /var/x\n",
    );
    for under in ["/opt/in", "opt/in/", "//opt/./in"] {
        assert_eq!(world.paths(&["--under", under]), ["opt/in", "opt/in/a.txt"], "{under}");
    }
    assert_eq!(world.paths(&["--under", "/opt/in/a.txt"]), ["opt/in/a.txt"]);
    assert_eq!(world.paths(&["--under", "/nothing"]), [""; 0], "that nothing is there is known");
    for under in ["/", "/var", "/var/x", "/var/x/below"] {
        assert_eq!(world.tree(&["--under", under, "--format", "json"]).code, 3, "{under}");
    }
    world.tree(&["--under", "/opt/../etc"]).says(2, &["`..`"]);
}

#[test]
fn an_ignore_file_of_the_dockerfile_replaces_that_of_the_context() {
    let world = World::with("FROM scratch\nCOPY . /\n")
        .file("ctx/b.md", "B")
        .file("ctx/.dockerignore", "*.md\n.dockerignore\n");
    assert_eq!(world.paths(&[]), ["a.txt"]);
    let world = world.file("Dockerfile.dockerignore", "a.txt\n");
    assert_eq!(world.paths(&[]), [".dockerignore", "b.md"]);
    let world = world.file("Dockerfile.dockerignore", "");
    assert_eq!(world.paths(&[]), [".dockerignore", "a.txt", "b.md"], "an empty one replaces too");
    world.file("Dockerfile.dockerignore", "[\n").tree(&[]).says(1, &["Dockerfile.dockerignore"]);
}

#[test]
fn the_dockerfile_may_lie_anywhere() {
    let world =
        World::with("FROM scratch\nCOPY . /\n").file("ctx/build/My.Dockerfile", "FROM scratch\nCOPY a.txt /inside\n");
    let inside = world.run(&["tree", "--context", "ctx", "--file", "ctx/build/My.Dockerfile", "--format", "json"]);
    assert!(inside.json()["tree"].get("inside").is_some(), "{}", inside.out);
    let absolute = world.path("Dockerfile");
    let absolute = absolute.to_str().expect("UTF-8");
    let ended = world.run(&["tree", "--context", "./ctx/build/", "--file", absolute, "--format", "json"]);
    assert!(ended.json()["tree"].get("My.Dockerfile").is_some(), "{}", ended.out);
}

#[test]
fn a_git_context_has_no_ignore_file_no_git_folder_and_the_modes_of_git() {
    let world = World::with("FROM scratch\nCOPY . /\n")
        .file("ctx/.dockerignore", "*.txt\n.git/hooks\n.dockerignore\n")
        .file("ctx/.git/HEAD", "ref: refs/heads/main\n")
        .file("ctx/.git/hooks/x", "x")
        .file_with_mode("ctx/secret", 0o600, "x")
        .file_with_mode("ctx/run", 0o700, "x")
        .dir("ctx/sub", 0o700)
        .file("ctx/sub/f", "x");
    let modes = |words: &[&str]| {
        let json = world.json(words);
        let tree = json["tree"].as_object().expect("a tree").clone();
        tree.into_iter()
            .map(|(path, entry)| format!("{path} {}", entry["mode"].as_str().expect("a mode")))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        modes(&["--git-context"]),
        [".dockerignore 0644", "a.txt 0644", "run 0755", "secret 0644", "sub 0755", "sub/f 0644"]
    );
    assert_eq!(modes(&[]), [".git 0755", ".git/HEAD 0644", "run 0700", "secret 0600", "sub 0700", "sub/f 0644"]);
}

#[test]
fn both_folders_must_be_named() {
    let world = World::with("FROM scratch\n");
    world.run(&["tree", "--file", "Dockerfile"]).says(2, &["--context <DIR>"]);
    world.run(&["tree", "--context", "ctx"]).says(2, &["--file <DOCKERFILE>"]);
    world.tree(&["--format", "yaml"]).says(2, &["text, json, sha256sum"]);
}

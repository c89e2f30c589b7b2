//! Where the Dockerfile, its context and its ignore file are, and what may stand there instead.

use super::*;

#[test]
fn a_dockerfile_that_is_absent_fails_and_one_that_cannot_be_read_is_undecided() {
    is_red(&branch(core('a').without(DOCKERFILE), template()), &["build-fails Dockerfile"]);
    for (unreadable, words) in [
        (b"FROM scratch\nCOPY \xff /\n".to_vec(), "UTF-8"),
        (b"FROM scratch\nCONJURE x /opt\n".to_vec(), "line 2"),
        (vec![b'#'; 10 << 20], "larger than 1 MiB"),
    ] {
        let report = branch(core('a').file(DOCKERFILE, unreadable), template());
        is_undecided(&report, &[(DOCKERFILE, words)]);
    }
}

#[test]
fn a_dockerfile_may_be_a_link_within_its_folder() {
    let linked = core('a').file("Dockerfile.agent", BAKES).link(DOCKERFILE, "Dockerfile.agent");
    is_green(&branch(linked.clone(), template()));
    let report = branch(linked.file("Dockerfile.agent", BAKES.replace("/opt/t/prompts/", "/opt/p/")), template());
    is_red(&report, &["wrong-destination prompts/concierge.md"]);
    is_red(&branch(core('a').link(DOCKERFILE, "nothing"), template()), &["build-fails Dockerfile"]);
}

#[test]
fn a_dockerfile_behind_a_link_that_leaves_its_folder_is_not_guessed() {
    let gate = gate_with(Bake { dockerfile: "docker/Dockerfile".into(), ..bake() });
    let linked = core('a').link("docker/Dockerfile", "../Dockerfile");
    is_undecided(&branch_of(&gate, linked, template()), &[("docker/Dockerfile", "leaves its folder")]);
    // A link to the folder is none that leaves it.
    let linked = core('a').file("build/docker/Dockerfile", BAKES).link("docker", "build/docker");
    is_green(&branch_of(&gate, linked, template()));
}

#[test]
fn a_dockerfile_in_a_submodule_is_neither_absent_nor_there() {
    let gate = gate_with(Bake { dockerfile: "docker/Dockerfile".into(), ..bake() });
    let report = branch_of(&gate, core('a').submodule("docker", id('e')), template());
    is_undecided(&report, &[("docker/Dockerfile", "submodule")]);
}

#[test]
fn an_ignore_file_that_hides_the_source_fails_the_build_or_leaves_nothing_to_copy() {
    let hidden = core('a').file(".dockerignore", "# all of it\n.deps\n");
    is_red(&branch(hidden, template()), &["build-fails Dockerfile"]);
    let quiet = bakes("FROM scratch\nCOPY .deps/template/* /opt/t/\nCOPY .deps/template/prompts* /opt/t/prompts/\n");
    is_green(&branch(quiet.clone(), template()));
    let report = branch(quiet.file(".dockerignore", "**/*.yaml\n"), template());
    is_red(&report, &["not-baked config.yaml", "not-baked mcp_servers.yaml"]);
}

#[test]
fn an_ignore_file_may_be_a_link() {
    let linked = |target: &str| core('a').file("ignored", ".deps\n").link(".dockerignore", target);
    is_red(&branch(linked("ignored"), template()), &["build-fails Dockerfile"]);
    is_green(&branch(linked("nothing"), template()));
    let gate = gate_with(Bake { context: "image".into(), source_dir: "image/.deps/template".into(), ..bake() });
    let report =
        branch_of(&gate, core('a').file("ignored", ".deps\n").link("image/.dockerignore", "../ignored"), template());
    is_undecided(&report, &[("image/.dockerignore", "leaves its folder")]);
}

#[test]
fn an_ignore_file_of_any_size_is_not_read() {
    let report = branch(core('a').file(".dockerignore", vec![b'#'; 2 << 20]), template());
    is_undecided(&report, &[(".dockerignore", "larger than 1 MiB")]);
}

#[test]
fn the_context_may_be_a_folder_and_is_not_mistaken_for_one_of_a_like_name() {
    let inside = |context: &str, dir: &str| {
        gate_with(Bake { context: context.into(), source_dir: format!("{dir}/.deps/template"), ..bake() })
    };
    is_green(&branch_of(&inside("image", "image"), core('a'), template()));
    is_green(&branch_of(&inside("picture", "image"), core('a').link("picture", "image"), template()));
    // The context `image` has no files of `image-two`; what it tracks at that place is a copy.
    let copies = template();
    let core = copies.paths().fold(core('a'), |core, path| {
        core.file(&format!("image/.deps/template/{path}"), copies.read(path).expect("a file"))
    });
    let report = branch_of(&inside("image", "image-two"), core, template());
    assert_eq!(said(&report)[0], "vendored-copy config.yaml");
}

#[test]
fn a_context_that_is_no_folder_of_the_consumer_is_told() {
    let of = |context: &str| gate_with(Bake { context: context.into(), ..bake() });
    is_red(&branch_of(&of("image"), core('a'), template()), &["build-fails Dockerfile"]);
    is_undecided(
        &branch_of(&of("image"), core('a').submodule("image", id('e')), template()),
        &[("image", "submodule")],
    );
    is_undecided(
        &branch_of(&of("image"), core('a').link("image", "/srv"), template()),
        &[("image", "leaves the tree")],
    );
    // A link that stays is followed: here to the root, where the source is.
    is_green(&branch_of(&of("image"), core('a').link("image", "."), template()));
}

#[test]
fn tracked_files_where_the_build_puts_the_source_are_drift() {
    let tracked = format!("source-dir-tracked {SOURCE_DIR}");
    is_red(&branch(core('a').file(".deps/template/config.yaml", "old\n"), template()), &[&tracked]);
    is_red(&branch(core('a').submodule(SOURCE_DIR, id('e')), template()), &[&tracked]);
    is_red(&branch(core('a').link(SOURCE_DIR, "../elsewhere"), template()), &[&tracked]);
    is_red(&branch(core('a').link(".deps", "elsewhere"), template()), &["source-dir-tracked .deps"]);
    is_green(&branch(core('a').file(".deps/other", "beside it\n"), template()));
}

//! Builds that are more than `docker build .`: another stage, a context that is cloned, files that are made before; and
//! copies of which the template's history knows the version.

use crate::world::{DOCKERFILE, GATE, World, short};

fn with_check(lines: &str) -> World {
    let world = World::in_sync();
    world.configure(&format!("{GATE}{lines}\n"));
    world
}

#[test]
fn the_stage_that_ships_is_judged_and_not_the_one_that_tests() {
    let staged = DOCKERFILE.replace("latest", "latest AS runtime") + "FROM runtime AS tests\nRUN rm -rf /opt/t\n";
    let world = World::in_sync();
    world.core.write("Dockerfile", &staged);
    assert!(world.check(&[]).is(1).contains("drift[not-baked]"));
    world.configure(&format!("{GATE}target = \"runtime\"\n"));
    assert!(world.check(&[]).is(0).contains("identity: in sync"));
    world.configure(&format!("{GATE}target = \"release\"\n"));
    let said = world.check(&[]).is(1);
    assert!(said.starts_with("drift[build-fails]: target stage \"release\" could not be found"), "{said}");
}

#[test]
fn a_builder_that_clones_sees_what_the_ignore_file_hides() {
    let world = World::in_sync();
    world.core.write(".dockerignore", "**/prompts\n");
    assert!(world.check(&[]).is(1).contains("drift[build-fails]"));
    world.configure(&format!("{GATE}git_context = true\n"));
    let said = world.check(&[]).is(0);
    assert!(
        said.contains("assumed: what the builder clones has the source's files at .deps/template (Dockerfile)\n"),
        "{said}"
    );
}

#[test]
fn what_the_build_makes_first_is_not_missing_and_not_believed() {
    let world = with_check("generated = [\"canvas/out/**\"]");
    let line = |line: &str| world.core.write("Dockerfile", format!("{DOCKERFILE}{line}\n"));
    line("COPY canvas/out /srv/canvas");
    let said = world.check(&[]).is(0);
    assert!(
        said.contains("assumed: canvas/out is there when docker build runs (`generated`) (Dockerfile:5)\n"),
        "{said}"
    );
    line("COPY canvas/out/ /opt/t/prompts/");
    let said = world.check(&[]).is(3);
    let expected = "\
undecided: prompts/concierge.md: canvas/out gets files before docker build runs (`generated`)
 --> Dockerfile:5
  |
5 | COPY canvas/out/ /opt/t/prompts/
";
    assert!(said.contains(expected), "{said}");
    line("COPY canvas/other /srv/canvas");
    assert!(world.check(&[]).is(1).starts_with("drift[build-fails]"));
}

#[test]
fn a_copy_of_an_old_version_is_named_with_its_commit() {
    let world = World::in_sync();
    let old = world.template.head();
    world.template.write("config.yaml", "name: Caretaker\n");
    let new = world.template.commit();
    world.core.write("manifest.json", crate::world::manifest(&new));
    world.core.write("Dockerfile", DOCKERFILE.replace("${DIR}/config.yaml", "kept.yaml"));
    world.core.write("kept.yaml", "name: Concierge\n");
    let said = world.check(&[]).is(1);
    let expected = format!(
        "\
drift[vendored-copy]: config.yaml is baked from kept.yaml of the consumer, a copy of config.yaml of the source at commit {}
 --> Dockerfile:3
  |
3 | COPY kept.yaml /opt/t/config.yaml
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  | --- baked
  | +++ in the source
  | @@ -1 +1 @@
  | -name: Concierge
  | +name: Caretaker
",
        short(&old)
    );
    assert!(said.starts_with(&expected), "{said}");
    // Where the history is not at hand, nobody looked, and that is said.
    let plain = world.plain_template();
    let said = crate::world::type_in(&world.core.dir, &["check", "--source", plain.to_str().expect("UTF-8")]).is(1);
    assert!(
        said.contains("differs from the source; whether it is a copy of an older version was not looked up"),
        "{said}"
    );
}

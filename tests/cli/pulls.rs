//! Would merging this break it? `--onto` for the consumer's side, `--source-onto` for the source's.

use crate::world::{DOCKERFILE, GATE, World, short};

#[test]
fn a_pull_request_that_drops_a_copy_is_drift() {
    let world = World::in_sync();
    let base = world.core.head();
    world.core.branch("feature");
    world.core.write("Dockerfile", "FROM scratch\nCOPY .deps/template/config.yaml /opt/t/config.yaml\n");
    let head = world.core.commit();
    world.core.switch("main");
    let said = world.check(&["--consumer-rev", "feature", "--onto", "main"]).is(1);
    assert!(said.starts_with("drift[not-baked]: no instruction bakes prompts/concierge.md"), "{said}");
    let what = format!("with this repository at {} merged into {}", short(&head), short(&base));
    assert!(said.contains(&what), "{said}");
}

#[test]
fn without_a_revision_the_head_is_the_pull_request() {
    let world = World::in_sync();
    world.core.branch("feature");
    world.core.write("Dockerfile", "FROM scratch\n");
    world.core.commit();
    assert!(world.check(&["--onto", "main"]).is(1).contains("drift[not-baked]"));
    // Files on disk are no pull request.
    world.core.write("Dockerfile", DOCKERFILE);
    assert!(world.check(&["--onto", "main"]).is(1).contains("drift[not-baked]"));
}

#[test]
fn what_the_base_has_already_is_named_and_does_not_fail_it() {
    let world = World::in_sync();
    world.core.write("Dockerfile", DOCKERFILE.replace("${DIR}/config.yaml", "old.yaml"));
    world.core.write("old.yaml", "name: Janitor\n");
    world.core.commit();
    world.core.branch("feature");
    world.core.write("docs.md", "Words\n");
    world.core.commit();
    let said = world.check(&["--onto", "main"]).is(0);
    assert!(said.starts_with("inherited[content-differs]: config.yaml is baked from old.yaml"), "{said}");
    assert!(said.contains("identity: in sync, passes: no new drift; main already drifts\n"), "{said}");
    // Unless the gate wants it otherwise.
    world.configure(&GATE.replace("ignore = ", "inherited = \"fail\"\nignore = "));
    let said = world.check(&["--onto", "main"]).is(1);
    assert!(said.contains("identity: in sync, fails: config.yaml differs\n"), "{said}");
}

#[test]
fn two_changes_that_are_fine_alone_are_drift_together_and_the_merged_line_is_shown() {
    let world = World::in_sync();
    world.core.branch("feature");
    world.core.write("extra/config.yaml", "name: Janitor\n");
    world.core.commit();
    assert!(world.check(&["--onto", "main"]).is(0).contains("in sync"));
    // The base begins to copy a folder; the branch has never seen that line.
    world.core.switch("main");
    world.core.write("extra/notes.txt", "Words\n");
    world.core.write("Dockerfile", format!("# A comment\n{DOCKERFILE}COPY extra/ /opt/t/\n"));
    world.core.commit();
    assert!(world.check(&[]).is(0).contains("in sync"));
    let said = world.check(&["--consumer-rev", "feature", "--onto", "main"]).is(1);
    let expected = "\
drift[content-differs]: config.yaml is baked from extra/config.yaml of the consumer, which differs from the source
 --> Dockerfile:6
  |
6 | COPY extra/ /opt/t/
  | ^^^^^^^^^^^^^^^^^^^
  | --- baked
  | +++ in the source
  | @@ -1 +1 @@
  | -name: Janitor
  | +name: Concierge
";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn a_template_change_that_core_cannot_bake_is_drift_before_it_is_merged() {
    let world = World::in_sync();
    world.template.branch("hooks");
    world.template.write("hooks/start.sh", "#!/bin/sh\n");
    let head = world.template.commit();
    let base = manifest_pin(&world);
    let said = world.check(&["--source-onto", "main"]).is(1);
    assert!(
        said.starts_with("drift[unlisted]: hooks/start.sh of the source matches neither `identity` nor `ignore`\n"),
        "{said}"
    );
    let what = format!(
        "of molecule/template at {} merged into {} with this repository at its work tree\n",
        short(&head),
        short(&base)
    );
    assert!(said.contains(&what), "{said}");
    world.template.switch("main");
    assert!(world.check(&["--source-rev", "hooks", "--source-onto", "main"]).is(1).contains("drift[unlisted]"));
    assert!(world.check(&["--source-rev", "main", "--source-onto", "main"]).is(0).contains("in sync"));
}

fn manifest_pin(world: &World) -> String {
    let text = std::fs::read_to_string(world.core.dir.join("manifest.json")).expect("a manifest");
    text.split('"').find(|word| word.len() == 40).expect("a pin").to_owned()
}

#[test]
fn a_template_change_that_core_s_globs_take_along_is_fine() {
    let world = World::in_sync();
    world.template.branch("prompts");
    world.template.write("prompts/second.md", "# You are two\n");
    world.template.commit();
    assert!(world.check(&["--source-onto", "main"]).is(0).contains("3 files"));
}

#[test]
fn both_sides_at_once_are_two_questions() {
    let world = World::in_sync();
    let said = world.check(&["--onto", "main", "--source-onto", "main"]).is(2);
    assert!(said.starts_with("error: the argument '--onto <REV>' cannot be used with '--source-onto <REV>'"), "{said}");
}

#[test]
fn histories_without_a_common_commit_are_undecided() {
    let world = World::in_sync();
    let orphan = crate::world::Repo::new(&world.path("orphan"));
    orphan.write("Dockerfile", DOCKERFILE);
    orphan.commit();
    let mut remote = git2::Repository::open(&world.core.dir).expect("core");
    let from = orphan.dir.to_str().expect("a path").to_owned();
    let fetched = &mut remote;
    fetched
        .remote_anonymous(&from)
        .and_then(|mut remote| remote.fetch(&["main:refs/heads/orphan"], None, None))
        .expect("fetched");
    let said = world.check(&["--consumer-rev", "orphan", "--onto", "main"]).is(3);
    assert!(said.contains("no common history with the base"), "{said}");
}

/// The gate without its prompts.
fn weaker() -> String {
    GATE.replace(r#", "prompts/**""#, "").replace("ignore = [", r#"ignore = ["prompts/**", "#)
}

#[test]
fn a_pull_request_cannot_take_the_gate_away_that_it_would_fail() {
    let world = World::in_sync();
    world.core.branch("feature");
    world.core.write("Dockerfile", DOCKERFILE.replace("COPY ${DIR}/prompts/ /opt/t/prompts/\n", ""));
    world.configure(&weaker());
    // As the files are on disk, they are in sync; as a pull request, the old gate judges too.
    assert!(world.check(&[]).is(0).contains("in sync"));
    let said = world.check(&["--onto", "main"]).is(1);
    assert!(said.starts_with("drift[not-baked]: no instruction bakes prompts/concierge.md"), "{said}");
    let loosened = "drift[gate-weakened]: gate identity: `identity` does not name prompts/** any more";
    assert!(said.contains(loosened), "{said}");
    assert!(said.contains("\nnote: gate identity as this change would make it:\n"), "{said}");
    assert!(said.contains("\nconfiguration: drift, 2 findings\n  the file of gates in this repository at "), "{said}");
}

#[test]
fn a_pull_request_that_loosens_its_gate_says_so_even_where_nothing_drifts() {
    let world = World::in_sync();
    world.core.branch("feature");
    world.configure(&weaker());
    let reports = world.check(&["--onto", "main", "--format", "json"]).reports(1);
    let verdicts: Vec<_> = reports.iter().map(|report| (&report["gate"], &report["verdict"])).collect();
    // By the old gate, by the new one, and of the file itself.
    let expected = [("identity", "in_sync"), ("identity", "in_sync"), ("configuration", "drift")];
    assert_eq!(verdicts.len(), expected.len());
    for (actual, expected) in verdicts.into_iter().zip(expected) {
        assert_eq!((actual.0.as_str(), actual.1.as_str()), (Some(expected.0), Some(expected.1)));
    }
    let kinds: Vec<_> = reports[2]["findings"].as_array().expect("findings").iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["gate-weakened", "gate-weakened"]);
}

#[test]
fn a_pull_request_that_removes_the_file_of_gates_is_judged_by_what_it_removes() {
    let world = World::in_sync();
    world.core.branch("feature");
    world.core.remove(".drift-gate.toml");
    world.core.commit();
    let said = world.check(&["--onto", "main"]).is(1);
    assert!(said.starts_with("assumed: "), "the gate itself is in sync: {said}");
    assert!(
        said.contains("drift[gate-weakened]: gate identity: it is gone: nothing of it is compared any more"),
        "{said}"
    );
}

#[test]
fn a_pull_request_that_breaks_the_file_of_gates_fails_with_the_line() {
    let world = World::in_sync();
    world.core.branch("feature");
    world.configure(&GATE.replace("identity = [", "identiy = ["));
    let said = world.check(&["--onto", "main"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains(".drift-gate.toml:5:"), "{}", said.err);
    assert!(said.out.contains("drift[config-invalid]: .drift-gate.toml line 5: "), "{}", said.out);
    assert!(said.out.contains("identity: in sync"), "the old gate judges on: {}", said.out);
    // The one that mends it is judged by what it makes of it.
    world.core.branch("mended");
    world.configure(GATE);
    let said = world.check(&["--onto", "feature"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("feature:.drift-gate.toml:5:"), "{}", said.err);
}

#[test]
fn a_gate_that_a_pull_request_brings_must_hold_at_once() {
    let world = World::in_sync();
    world.core.remove(".drift-gate.toml");
    world.core.write("Dockerfile", "FROM scratch\n");
    world.core.commit();
    world.core.branch("feature");
    world.configure(GATE);
    // Nothing of it is inherited: no gate found anything on the base.
    let said = world.check(&["--onto", "main"]).is(1);
    let new = "note: gate identity is new with this change:\ndrift[not-baked]: no instruction bakes config.yaml";
    assert!(said.starts_with(new), "{said}");
    world.core.write("Dockerfile", DOCKERFILE);
    world.core.commit();
    assert!(world.check(&["--onto", "main"]).is(0).contains("in sync"));
}

#[test]
fn a_configuration_of_the_operator_s_is_no_part_of_the_pull_request() {
    let world = World::in_sync();
    std::fs::write(world.path("gates.toml"), GATE).expect("written");
    world.core.branch("feature");
    world.configure(&weaker());
    assert!(world.check(&["--config", "../gates.toml", "--onto", "main"]).is(0).contains("in sync"));
}

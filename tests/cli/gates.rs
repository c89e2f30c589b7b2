//! Several gates, several sources, and which configuration judges.

use crate::world::{DOCKERFILE, GATE, Repo, World, type_in};

/// A second gate of the same consumer: another template, followed, baked by another Dockerfile.
const SECOND: &str = r#"
[[gate]]
name = "tokens"
source = { url = "https://git.example.org/molecule/tokens", branch = "main" }
binding = { follow = true }
identity = ["tokens.json"]

[[gate.check]]
kind = "bake"
dockerfile = "Dockerfile.tokens"
source_dir = "tokens"
destination = "/tokens"
"#;

fn two_gates() -> World {
    let world = World::in_sync();
    let tokens = Repo::new(&world.path("tokens"));
    tokens.write("tokens.json", "{}\n");
    tokens.commit();
    world.core.write("Dockerfile.tokens", "FROM scratch\nCOPY tokens/ /tokens/\n");
    world.configure(&format!("{GATE}{SECOND}"));
    world
}

const BOTH: [&str; 5] = [
    "check",
    "--source",
    "molecule/template=../template",
    "--source",
    "https://git.example.org/molecule/tokens=../tokens",
];

#[test]
fn every_gate_says_its_part_with_its_own_source() {
    let world = two_gates();
    let said = type_in(&world.core.dir, &BOTH).is(0);
    let summaries: Vec<&str> = said.lines().filter(|line| line.ends_with(": in sync")).collect();
    assert_eq!(summaries.len(), 2, "{said}");
    assert!(summaries[0].starts_with("identity: ") && summaries[1].starts_with("tokens: "), "{said}");
    assert!(said.contains("\n\n"), "an empty line between the gates: {said}");
    let reports = type_in(&world.core.dir, &[&BOTH[..], &["--format", "json"]].concat()).reports(0);
    assert_eq!(
        reports.iter().map(|report| report["gate"].as_str().expect("a name")).collect::<Vec<_>>(),
        ["identity", "tokens"]
    );
    assert_eq!(reports[1]["binding"]["state"], "follow");
}

#[test]
fn drift_of_one_gate_outweighs_that_another_is_undecided() {
    let world = two_gates();
    world.core.write("Dockerfile", "FROM scratch\nFROBNICATE\n");
    world.core.write("Dockerfile.tokens", "FROM scratch\n");
    let said = type_in(&world.core.dir, &BOTH).is(1);
    assert!(said.contains("identity: undecided, 1 part\n") && said.contains("tokens: drift, 1 finding\n"), "{said}");
    let only = [&BOTH[..], &["--gate", "identity"]].concat();
    assert!(type_in(&world.core.dir, &only).is(3).contains("identity: undecided"));
    world.core.write("Dockerfile.tokens", "FROM scratch\nCOPY tokens/ /tokens/\n");
    assert!(type_in(&world.core.dir, &BOTH).is(3).contains("tokens: in sync"));
}

#[test]
fn a_gate_that_cannot_run_does_not_hide_the_drift_of_another() {
    let world = two_gates();
    world.core.write("Dockerfile.tokens", "FROM scratch\n");
    // The template's clone is cut off before the pin.
    world.core.write("manifest.json", crate::world::manifest(&"1".repeat(40)));
    std::fs::write(world.template.dir.join(".git/shallow"), format!("{}\n", world.template.head())).expect("written");
    let said = type_in(&world.core.dir, &BOTH);
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("error: gate `identity`: not fetched yet: commit 1111"), "{}", said.err);
    assert!(said.out.contains("tokens: drift, 1 finding\n"), "{}", said.out);
}

#[test]
fn one_gate_can_be_asked_alone() {
    let world = two_gates();
    let said = world.check(&["--gate", "identity"]).is(0);
    assert!(said.contains("identity: in sync") && !said.contains("tokens"), "{said}");
    assert_eq!(
        world.check(&["--gate", "idenity"]).is(2),
        "error: no gate is called `idenity`; there are: identity, tokens\n"
    );
}

#[test]
fn a_source_that_is_not_named_clearly_is_asked_for() {
    let world = two_gates();
    let check = |words: &[&str]| type_in(&world.core.dir, &[&["check"], words].concat()).is(2);
    assert_eq!(
        check(&[]),
        "error: where is the source molecule/template of gate `identity`? name its folder: --source DIR\n"
    );
    assert_eq!(
        check(&["--source", "../template", "--source", "../tokens"]),
        "error: several sources: say which is molecule/template: --source molecule/template=DIR\n"
    );
    assert_eq!(
        check(&["--source", "molecule/core=../template"]),
        "error: --source molecule/core=../template: no gate has a source called molecule/core; there is molecule/template, molecule/tokens\n"
    );
    // One name and one for the rest is clear.
    let clear = ["check", "--source", "molecule/tokens=../tokens", "--source", "../template"];
    assert!(type_in(&world.core.dir, &clear).is(0).contains("tokens: in sync"));
}

#[test]
fn the_file_of_the_repository_is_found_first_then_the_service_s() {
    let world = World::in_sync();
    world.core.write("drift-gate.toml", GATE.replace("\"identity\"", "\"of-the-service\""));
    assert!(world.check(&[]).is(0).contains("identity: in sync"));
    world.core.remove(".drift-gate.toml");
    assert!(world.check(&[]).is(0).contains("of-the-service: in sync"));
    std::fs::rename(world.core.dir.join("drift-gate.toml"), world.path("elsewhere.toml")).expect("moved");
    assert_eq!(
        world.check(&[]).is(2),
        "error: there is neither ./.drift-gate.toml nor ./drift-gate.toml: name a configuration, or begin with `drift-gate config example > drift-gate.toml`\n"
    );
    assert!(world.check(&["--config", "../elsewhere.toml"]).is(0).contains("of-the-service: in sync"));
}

#[test]
fn the_service_s_own_file_judges_on_a_laptop_one_consumer_at_a_time() {
    let world = World::in_sync();
    let gate = |consumer: &str| {
        GATE.replace(
            "source = { url = \"https://git.example.org/molecule/template\", branch = \"main\" }",
            &format!(
                "source = {{ forge = \"main\", repo = \"molecule/template\", branch = \"main\" }}\n\
                 consumer = {{ forge = \"main\", repo = \"molecule/{consumer}\", branches = [\"main\"] }}"
            ),
        )
    };
    let forge =
        "[forge.main]\nkind = \"gitea\"\nurl = \"https://git.example.org\"\ntoken = { env = \"NOT_ON_A_LAPTOP\" }\n";
    world.configure(&format!("{forge}{}", gate("core")));
    assert!(world.check(&[]).is(0).contains("with molecule/core at its work tree"));
    world.configure(&format!("{forge}{}{}", gate("core"), gate("edge")));
    assert_eq!(
        world.check(&[]).is(2),
        "error: these gates have different consumers, and `check` judges one: say which with --gate: molecule/core:identity, molecule/edge:identity\n"
    );
    assert!(world.check(&["--gate", "molecule/core:identity"]).is(0).contains("identity: in sync"));
}

#[test]
fn the_consumer_may_be_elsewhere() {
    let world = World::in_sync();
    let config = world.core.dir.join(".drift-gate.toml");
    let config = config.to_str().expect("a path");
    let words = ["check", "--config", config, "--consumer", "core", "--source", "template"];
    assert!(type_in(world.folder.path(), &words).is(0).contains("in sync"));
    world.core.write("Dockerfile", format!("{DOCKERFILE}COPY nowhere /x\n"));
    assert!(type_in(world.folder.path(), &words).is(1).contains(" --> Dockerfile:5\n"));
}

//! The pin lags behind: it moves, and nothing else does.

use crate::world::{DOCKERFILE, GATE, World, manifest, short};
use crate::{Files, repair, repair_in};

#[test]
fn what_is_in_sync_needs_nothing() {
    let world = World::in_sync();
    assert_eq!(repair(&world, &[]).is(0), "identity: in sync, nothing to repair\n");
    assert_eq!(repair(&world, &["--write"]).is(0), "identity: in sync, nothing to repair\n");
}

#[test]
fn a_stale_pin_is_shown_as_a_patch_that_git_takes() {
    let world = World::in_sync();
    let before = world.template.head();
    world.template.write("config.yaml", "name: Caretaker\n");
    let now = world.template.commit();
    let said = repair(&world, &[]).is(1);
    let line = |pin: &str| format!("  {{\"name\": \"agent\", \"repo\": \"molecule/template\", \"ref\": \"{pin}\"}}");
    let expected = format!(
        "identity: in sync with molecule/template at {} after this\n\
         diff --git a/manifest.json b/manifest.json\n--- a/manifest.json\n+++ b/manifest.json\n@@ -1,3 +1,3 @@\n \
         {{\"templates\": [\n-{}\n+{}\n ]}}\n",
        short(&now),
        line(&before),
        line(&now),
    );
    assert_eq!(said, expected);
    assert_eq!(world.core.read("manifest.json"), manifest(&before), "it was only shown");
    std::fs::write(world.path("patch"), &said).expect("written");
    let applied = std::process::Command::new("git").current_dir(&world.core.dir).args(["apply", "../patch"]).status();
    if applied.is_ok_and(|status| status.success()) {
        assert_eq!(world.core.read("manifest.json"), manifest(&now));
    }
}

#[test]
fn written_it_is_in_sync() {
    let world = World::in_sync();
    world.template.write("config.yaml", "name: Caretaker\n");
    let now = world.template.commit();
    // CRLF, white space and what somebody is about to commit stay.
    let odd = |pin: &str| manifest(pin).replace('\n', "\r\n").replace("]}", "],  \"mine\": 1 }");
    let before = odd(world.core.read("manifest.json").split('"').find(|word| word.len() == 40).expect("a pin"));
    world.core.write("manifest.json", &before);
    let said = repair(&world, &["--write"]).is(0);
    let expected =
        format!("identity: in sync with molecule/template at {} after this\nwrote manifest.json\n", short(&now));
    assert_eq!(said, expected);
    assert_eq!(world.core.read("manifest.json"), odd(&now));
    assert!(world.check(&[]).is(0).contains("in sync"));
}

#[test]
fn the_source_s_branch_is_adopted_and_not_what_is_checked_out() {
    let world = World::in_sync();
    world.template.write("config.yaml", "name: Caretaker\n");
    let now = world.template.commit();
    world.template.branch("idea");
    world.template.write("config.yaml", "name: Nobody\n");
    world.template.commit();
    world.template.write("config.yaml", "name: Not committed\n");
    assert!(repair(&world, &[]).is(1).contains(&format!("\"{now}\"")));
    let commit = world.template.head();
    let said = repair(&world, &["--source-rev", "idea"]).is(1);
    assert!(said.contains(&format!("\"{commit}\"")), "{said}");
}

#[test]
fn a_new_file_gets_its_copy_line_and_an_executable_stays_one() {
    let world = World::in_sync();
    world.configure(&GATE.replace("[\"config.yaml\", ", "[\"*.yaml\", "));
    world.template.write("skills.yaml", "skills: []\n");
    world.template.commit();
    world.core.executable("Dockerfile");
    let said = repair(&world, &["--write"]).is(0);
    assert!(said.ends_with("wrote Dockerfile\nwrote manifest.json\n"), "{said}");
    let line = "COPY ${DIR}/config.yaml /opt/t/config.yaml\n";
    let more = "COPY ${DIR}/skills.yaml /opt/t/skills.yaml\n";
    assert_eq!(world.core.read("Dockerfile"), DOCKERFILE.replace(line, &format!("{line}{more}")));
    assert!(world.core.is_executable("Dockerfile"), "the mode is the file's own");
    assert!(world.check(&[]).is(0).contains("in sync"));
}

#[test]
fn what_no_rule_can_write_is_said_with_what_to_write() {
    let world = World::in_sync();
    world.template.write("notes.txt", "x\n");
    world.template.commit();
    for words in [&[][..], &["--write"]] {
        let said = repair(&world, words).is(3);
        let expected = "identity: a person must repair this: a repair would leave: notes.txt of the source matches neither \
                        `identity` nor `ignore`; add \"notes.txt\" to the gate's `identity` (and bake it), or to its `ignore`\n";
        assert_eq!(said, expected);
    }
}

#[test]
fn a_gate_that_says_how_it_is_repaired_is_repaired_like_that() {
    let world = World::in_sync();
    let rule = "[[gate.repair]]\nkind = \"pin\"\ncopy_lines = false\n[[gate.check]]";
    world.configure(&GATE.replace("[\"config.yaml\", ", "[\"*.yaml\", ").replace("[[gate.check]]", rule));
    world.template.write("skills.yaml", "skills: []\n");
    world.template.commit();
    let said = repair(&world, &[]).is(3);
    assert!(said.contains("no instruction bakes skills.yaml to /opt/t/skills.yaml"), "{said}");
}

#[test]
fn a_follower_is_stamped_and_its_workflow_is_the_service_s_to_start() {
    let world = World::in_sync();
    let follows =
        GATE.lines().map(|line| if line.starts_with("binding") { "binding = { follow = true }" } else { line });
    let follows = format!("{}\n", follows.collect::<Vec<_>>().join("\n"));
    world.configure(&format!("{follows}[gate.repair]\nkind = \"stamp\"\npath = \".template\"\n"));
    let head = world.template.head();
    assert!(repair(&world, &[]).is(1).contains(&format!("+++ b/.template\n@@ -0,0 +1 @@\n+{head}\n")));
    repair(&world, &["--write"]).is(0);
    assert_eq!(world.core.read(".template"), format!("{head}\n"));
    assert_eq!(repair(&world, &[]).is(0), "identity: in sync, nothing to repair\n");
    world.configure(&format!("{follows}[gate.repair]\nkind = \"dispatch\"\nworkflow = \"build.yml\"\n"));
    let said = repair(&world, &[]).is(0);
    assert_eq!(said, "identity: in sync; whether build.yml ran for this source commit is not known here\n");
}

#[test]
fn a_commit_of_the_consumer_is_only_shown() {
    let world = World::in_sync();
    world.template.write("config.yaml", "name: Caretaker\n");
    world.template.commit();
    world.core.write("manifest.json", "{}");
    assert!(repair(&world, &["--consumer-rev", "main"]).is(1).contains("+++ b/manifest.json"));
    let bare = world.path("bare.git");
    world.core.clone_bare(&bare);
    let words = ["--config", "../core/.drift-gate.toml", "--consumer", "../bare.git", "--source", "../template"];
    assert!(repair_in(&world.template.dir, &words).is(1).contains("+++ b/manifest.json"));
    let said = repair_in(&world.template.dir, &[&words[..], &["--write"]].concat()).is(2);
    assert_eq!(said, "error: --write needs a folder with files, and --consumer ../bare.git has none\n");
}

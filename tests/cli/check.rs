//! One gate, one verdict: in sync is 0, drift is 1, what cannot be decided is 3.

use serde_json::json;

use crate::world::{ASSUMED, DOCKERFILE, GATE, World, manifest, short};

#[test]
fn what_is_in_sync_says_so_and_ends_with_0() {
    let world = World::in_sync();
    let pin = world.template.head();
    let expected = format!(
        "{ASSUMED}identity: in sync\n  compared 2 files (26 bytes) of molecule/template at {} with this repository at its work tree; \
         the pin is current\n",
        short(&pin)
    );
    assert_eq!(world.check(&[]).is(0), expected);
}

#[test]
fn a_pin_that_lags_behind_is_drift_with_the_line_of_the_pin_and_the_change() {
    let world = World::in_sync();
    let pin = world.template.head();
    world.template.write("config.yaml", "name: Caretaker\n");
    world.template.commit();
    let expected = format!(
        "\
drift[stale]: config.yaml at the pinned commit {short} is not the one on main of molecule/template
 --> manifest.json:2
  |
2 |   {{\"name\": \"agent\", \"repo\": \"molecule/template\", \"ref\": \"{pin}\"}}
  |                                                          {carets}
  | --- at the pin
  | +++ on the branch
  | @@ -1 +1 @@
  | -name: Concierge
  | +name: Caretaker
  = fix: move the pin in manifest.json to the head of main

{ASSUMED}identity: drift, 1 finding
  compared 2 files (26 bytes) of molecule/template at {short} with this repository at its work tree; the pin is stale, 1 \
         commit behind
",
        short = short(&pin),
        carets = "^".repeat(40),
    );
    assert_eq!(world.check(&[]).is(1), expected);
}

#[test]
fn a_pin_that_lags_behind_in_ignored_files_is_in_sync() {
    let world = World::in_sync();
    world.template.write("README.md", "Read me again\n");
    world.template.commit();
    let said = world.check(&[]).is(0);
    assert!(said.contains("in sync") && said.contains("the pin is 1 commit behind, in ignored files only"), "{said}");
}

#[test]
fn a_copy_in_the_consumer_is_drift_with_the_line_that_takes_it() {
    let world = World::in_sync();
    world.core.write("Dockerfile", DOCKERFILE.replace("${DIR}/config.yaml", "old.yaml"));
    world.core.write("old.yaml", "name: Janitor\n");
    let said = world.check(&[]).is(1);
    let expected = "\
drift[content-differs]: config.yaml is baked from old.yaml of the consumer, which differs from the source
 --> Dockerfile:3
  |
3 | COPY old.yaml /opt/t/config.yaml
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  | --- baked
  | +++ in the source
  | @@ -1 +1 @@
  | -name: Janitor
  | +name: Concierge
  = fix: let line 3 of Dockerfile copy .deps/template/config.yaml
";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn a_new_file_that_no_copy_takes_is_drift_where_the_branch_is_followed() {
    let world = World::in_sync();
    let binding = GATE.lines().find(|line| line.starts_with("binding")).expect("a binding");
    world.configure(
        &GATE.replace(binding, "binding = { follow = true }").replace("prompts/**\"]", "prompts/**\", \"guides/**\"]"),
    );
    assert!(world.check(&[]).is(0).contains("identity: in sync"));
    world.template.write("guides/new.md", "Be kind\n");
    world.template.commit();
    let said = world.check(&[]).is(1);
    assert!(said.contains("drift[not-baked]: no instruction bakes guides/new.md to /opt/t/guides/new.md\n --> Dockerfile\n  = fix: add to Dockerfile: COPY .deps/template/guides/new.md /opt/t/guides/new.md\n"), "{said}");
}

#[test]
fn what_cannot_be_told_from_the_dockerfile_ends_with_3_and_names_the_line() {
    let world = World::in_sync();
    world.core.write("Dockerfile", format!("{DOCKERFILE}\n\n\n\n\nRUN sh /setup.sh /opt/t\n"));
    let said = world.check(&[]).is(3);
    let expected = "\
undecided: config.yaml: `sh /setup.sh /opt/t` names it, or runs in it, and is not followed
  --> Dockerfile:10
   |
10 | RUN sh /setup.sh /opt/t
   | ^^^^^^^^^^^^^^^^^^^^^^^
";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("identity: undecided, 2 parts\n"), "{said}");
}

#[test]
fn a_build_that_would_fail_is_drift() {
    let world = World::in_sync();
    world.core.write("Dockerfile", format!("{DOCKERFILE}COPY missing /x\n"));
    let said = world.check(&[]).is(1);
    assert!(
        said.starts_with("drift[build-fails]: \"/missing\": not found in the build context\n --> Dockerfile:5\n"),
        "{said}"
    );
    world.core.remove("Dockerfile");
    let said = world.check(&[]).is(1);
    assert!(said.starts_with("drift[build-fails]: Dockerfile does not exist\n --> Dockerfile\n"), "{said}");
}

#[test]
fn a_pin_that_is_not_on_the_branch_is_drift() {
    let world = World::in_sync();
    world.template.branch("side");
    world.template.write("config.yaml", "name: Unreviewed\n");
    let unreviewed = world.template.commit();
    world.template.switch("main");
    world.template.write("README.md", "Go on\n");
    world.template.commit();
    world.core.write("manifest.json", manifest(&unreviewed));
    let said = world.check(&[]).is(1);
    let words = format!(
        "drift[pin-unmerged]: manifest.json: the pinned commit {} is not on the branch main of",
        short(&unreviewed)
    );
    assert!(said.contains(&words), "{said}");
}

#[test]
fn a_pin_that_the_clone_does_not_have_may_only_need_a_fetch() {
    let world = World::in_sync();
    let nowhere = "1".repeat(40);
    world.core.write("manifest.json", manifest(&nowhere));
    let said = world.check(&[]).is(1);
    let words =
        format!("drift[pin-unreachable]: manifest.json: the pinned commit {nowhere} is not in molecule/template\n");
    assert!(said.contains(&words), "{said}");
    assert!(
        said.contains("  = fix: run `git fetch` in ../template, which may be out of date; else pin a commit"),
        "{said}"
    );
}

#[test]
fn a_shallow_clone_is_told_to_fetch_the_rest_and_never_taken_for_the_whole() {
    let world = World::in_sync();
    world.template.write("README.md", "Go on\n");
    let head = world.template.commit();
    // What `git clone --depth 1` leaves: the head, and a note that its parent is cut off.
    let pin = manifest_pin(&world);
    std::fs::write(world.template.dir.join(".git/shallow"), format!("{head}\n")).expect("written");
    let object = world.template.dir.join(".git/objects").join(&pin[..2]).join(&pin[2..]);
    std::fs::remove_file(object).expect("a loose object");
    let said = world.check(&[]);
    assert_eq!((said.code, said.out.as_str()), (3, ""));
    assert_eq!(
        said.err,
        format!(
            "error: gate `identity`: not fetched yet: commit {pin} in ../template; fetch the rest of that repository first: `git fetch --unshallow`, or `git fetch --refetch`\n"
        )
    );
}

fn manifest_pin(world: &World) -> String {
    let text = std::fs::read_to_string(world.core.dir.join("manifest.json")).expect("a manifest");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["templates"][0]["ref"].as_str().expect("a pin").to_owned()
}

#[test]
fn an_advisory_gate_tells_its_drift_and_ends_with_0() {
    let world = World::with("advisory = true");
    world.template.write("config.yaml", "name: Caretaker\n");
    world.template.commit();
    let said = world.check(&[]).is(0);
    assert!(said.contains("drift[stale]: config.yaml"), "{said}");
    assert!(
        said.contains(
            "identity: drift, 1 finding, passes: advisory: config.yaml is stale: the pin lags behind the source\n"
        ),
        "{said}"
    );
}

#[test]
fn a_revision_is_judged_instead_of_the_files_on_disk() {
    let world = World::in_sync();
    let good = world.core.head();
    world.core.write("Dockerfile", "FROM scratch\n");
    // Not committed, and seen.
    assert!(world.check(&[]).is(1).contains("with this repository at its work tree"));
    let said = world.check(&["--consumer-rev", "HEAD"]).is(0);
    assert!(said.contains(&format!("with this repository at {};", short(&good))), "{said}");
    world.core.commit();
    assert!(world.check(&["--consumer-rev", "HEAD"]).is(1).contains("drift[not-baked]"));
    assert!(world.check(&["--consumer-rev", "HEAD~1"]).is(0).contains("in sync"));
    assert!(world.check(&["--consumer-rev", &good[..12]]).is(0).contains("in sync"));

    world.template.write("config.yaml", "name: Caretaker\n");
    // The same on the other side.
    assert!(world.check(&["--consumer-rev", &good]).is(1).contains("the pin is stale\n"));
    assert!(world.check(&["--consumer-rev", &good, "--source-rev", "main"]).is(0).contains("the pin is current"));
}

#[test]
fn one_report_a_line_for_machines() {
    let world = World::in_sync();
    let (pin, core) = (world.template.head(), world.core.head());
    world.template.write("config.yaml", "name: Caretaker\n");
    let head = world.template.commit();
    let reports = world.check(&["--format", "json", "--consumer-rev", "main", "--source-rev", "main"]).reports(1);
    let digest = reports[0]["config_digest"].as_str().expect("a digest").to_owned();
    assert!(digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()), "{digest}");
    let expected = json!({
        "schema": 1,
        "gate": "identity",
        "context": "drift-gate",
        "verdict": "drift",
        "findings": [{
            "kind": "stale",
            "severity": "error",
            "path": "config.yaml",
            "cause": { "file": "manifest.json", "line": 2 },
            "message": format!("config.yaml at the pinned commit {} is not the one on main of molecule/template", short(&pin)),
            "fix": "move the pin in manifest.json to the head of main",
            "inherited": false,
        }],
        "undecided": [],
        "assumptions": [{
            "file": "Dockerfile",
            "line": 1,
            "text": "the image local/platform:latest has nothing at the paths that are copied to, no ONBUILD triggers, the working directory / and a shell at /bin/sh",
        }],
        "consumer": { "repo": "this repository", "commit": core, "base": null },
        "source": { "repo": "molecule/template", "bound": pin, "head": head, "base": null },
        "binding": { "kind": "pin", "state": "stale", "behind": 1 },
        "files_compared": 2,
        "bytes_compared": 26,
        "engine": env!("CARGO_PKG_VERSION"),
        "config_digest": digest,
    });
    assert_eq!(reports, [expected]);
}

#[test]
fn a_finding_has_these_fields_and_no_others() {
    let world = World::in_sync();
    world.core.write("Dockerfile", DOCKERFILE.replace("${DIR}/config.yaml", "old.yaml"));
    world.core.write("old.yaml", "name: Janitor\n");
    let reports = world.check(&["--format", "json"]).reports(1);
    let finding = reports[0]["findings"][0].as_object().expect("a finding");
    assert_eq!(finding["kind"], "content-differs");
    let keys: Vec<&String> = finding.keys().collect();
    assert_eq!(keys, ["cause", "fix", "inherited", "kind", "message", "path", "severity"]);
}

#[test]
fn undecided_parts_have_their_fields_too() {
    let world = World::in_sync();
    world.core.write("Dockerfile", "FROM scratch\nFROBNICATE\n");
    let reports = world.check(&["--format", "json"]).reports(3);
    assert_eq!(reports[0]["verdict"], "undecided");
    assert_eq!(
        reports[0]["undecided"],
        json!([{
            "path": "Dockerfile",
            "cause": { "file": "Dockerfile", "line": 2 },
            "reason": "line 2: unknown instruction: FROBNICATE",
            "inherited": false,
        }])
    );
    assert_eq!((&reports[0]["consumer"]["commit"], &reports[0]["source"]["head"]), (&json!(null), &json!(null)));
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let world = World::in_sync();
    let once = world.check(&["--format", "json", "--consumer-rev", "main"]).is(0);
    assert_eq!(world.check(&["--format", "json", "--consumer-rev", "main"]).is(0), once);
}

//! Several gates of one consumer are repaired as one.

use crate::world::{GATE, World, manifest, short};
use crate::{Files, repair};

#[test]
fn gates_that_edit_one_file_are_one_patch_and_a_person_s_gate_does_not_hold_up_the_others() {
    let world = World::in_sync();
    let pin = world.template.head();
    let second = GATE
        .replace("\"identity\"", "\"other\"")
        .replace("name=agent", "name=other")
        .replace("[[gate.check]]\nkind = \"bake\"\ndockerfile = \"Dockerfile\"\nsource_dir = \".deps/template\"\ndestination = \"/opt/t\"\n", "[[gate.check]]\nkind = \"pin\"\n");
    let second = second.lines().filter(|line| !line.starts_with("identity")).collect::<Vec<_>>().join("\n");
    let third = second.replace("\"other\"", "\"third\"").replace("name=other", "name=third");
    let entry = |name: &str, pin: &str| {
        format!("{{\"name\": \"{name}\", \"repo\": \"molecule/template\", \"ref\": \"{pin}\"}}")
    };
    let pins = |pin: &str| manifest(pin).replace("\n]", &format!(",\n  {}\n]", entry("other", pin)));
    world.core.write("manifest.json", pins(&pin));
    world.configure(&format!("{GATE}\n{second}\n{third}\n"));
    world.template.write("config.yaml", "name: Caretaker\n");
    let now = world.template.commit();
    let said = repair(&world, &[]).is(1);
    assert_eq!(said.matches("diff --git").count(), 1, "{said}");
    assert_eq!(said.matches(&format!("+  {}", entry("agent", &now))).count(), 1, "{said}");
    assert!(said.contains("third: a person must repair this: "), "{said}");
    let said = repair(&world, &["--write"]).is(3);
    assert_eq!(
        said.matches(&format!("in sync with molecule/template at {} after this", short(&now))).count(),
        2,
        "{said}"
    );
    assert_eq!(world.core.read("manifest.json"), pins(&now));
    assert_eq!(repair(&world, &["--gate", "other"]).is(0), "other: in sync, nothing to repair\n");
}

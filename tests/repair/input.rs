//! Nonsense, and files that are not what they should be: one message, and nothing is written.

use crate::world::{World, type_in};
use crate::{Files, repair, repair_in};

#[test]
fn nonsense_on_the_command_line_is_a_sentence() {
    let world = World::in_sync();
    let said = |words: &[&str]| repair_in(&world.core.dir, words).is(2);
    assert!(said(&[]).contains("where is the source molecule/template of gate `identity`?"));
    assert!(said(&["--source", "../nowhere"]).contains("no such folder"));
    assert!(said(&["--source", "../template", "--gate", "x"]).contains("no gate is called `x`"));
    assert!(said(&["--source", "../template", "--source-rev", "v9"]).contains("no commit `v9`"));
    assert!(said(&["--source", "../template", "--write", "--consumer-rev", "main"]).contains("cannot be used with"));
    assert!(said(&["--source", "../template", "--write", "--consumer", "https://127.0.0.1:1/x"]).contains("error"));
    assert!(type_in(&world.core.dir, &["repair", "--help"]).is(0).contains("--write"));
}

#[test]
fn a_pin_that_cannot_be_read_is_not_guessed_at() {
    let world = World::in_sync();
    world.template.write("config.yaml", "name: Caretaker\n");
    world.template.commit();
    for text in [
        "",
        "{",
        "{\"templates\": []}",
        "\u{0}",
        "{\"templates\": [{\"name\": \"agent\", \"repo\": \"x\", \"ref\": 1}]}",
    ] {
        world.core.write("manifest.json", text);
        let said = repair(&world, &["--write"]).is(3);
        assert!(said.contains("manifest.json"), "{said}");
        assert_eq!(world.core.read("manifest.json"), text);
    }
    // A file name and a line that would act on a terminal are written out.
    world.core.remove("manifest.json");
    assert!(repair(&world, &[]).is(3).contains("manifest.json does not exist"));
}

//! Copies that are not their originals, and what stands in the way of writing them.

use crate::world::World;
use crate::{Files, repair};

const MIRROR: &str = r#"[[gate]]
name = "fixtures"
source = { url = "https://git.example.org/molecule/template", branch = "main" }
binding = { follow = true }

[[gate.check]]
kind = "mirror"
folder = "prompts"
copies = ["tests/prompts"]
"#;

/// Core keeps copies of the template's prompts, all the same.
fn mirrored() -> World {
    let world = World::in_sync();
    world.template.write("prompts/deep/more.md", "more\n");
    world.template.commit();
    world.core.write("tests/prompts/concierge.md", "# You are\n");
    world.core.write("tests/prompts/deep/more.md", "more\n");
    world.configure(MIRROR);
    world
}

#[test]
fn copies_are_made_their_originals_and_what_has_no_original_goes() {
    let world = mirrored();
    world.core.write("tests/prompts/gone/old.md", "old\n");
    world.core.commit();
    world.template.write("prompts/concierge.md", "# You were\n");
    world.template.write("prompts/new.md", "new\n");
    world.template.executable("prompts/new.md");
    world.template.commit();
    let said = repair(&world, &[]).is(1);
    assert!(said.contains("deleted file mode 100644\n--- a/tests/prompts/gone/old.md\n+++ /dev/null\n"), "{said}");
    assert!(said.contains("new file mode 100755\n--- /dev/null\n+++ b/tests/prompts/new.md\n"), "{said}");
    let said = repair(&world, &["--write"]).is(0);
    let expected = "wrote tests/prompts/concierge.md\nremoved tests/prompts/gone/old.md\nwrote tests/prompts/new.md\n";
    assert!(said.ends_with(expected), "{said}");
    assert_eq!(world.core.read("tests/prompts/concierge.md"), "# You were\n");
    assert!(world.core.is_executable("tests/prompts/new.md"));
    assert!(!world.core.dir.join("tests/prompts/gone").exists(), "git has no empty folders");
    assert!(world.check(&[]).is(0).contains("in sync"));
}

#[test]
fn a_copy_with_changes_that_nobody_committed_is_not_overwritten() {
    let world = mirrored();
    world.template.write("prompts/concierge.md", "# You were\n");
    world.template.commit();
    world.core.write("tests/prompts/concierge.md", "# I am\n");
    world.core.write("tests/prompts/untracked.md", "mine\n");
    let said = repair(&world, &["--write"]);
    assert_eq!(said.code, 3);
    assert!(
        said.err.contains("nothing was written: tests/prompts/concierge.md has changes that nobody committed"),
        "{}",
        said.err
    );
    assert!(said.err.contains("tests/prompts/untracked.md has changes that nobody committed"), "{}", said.err);
    assert_eq!(world.core.read("tests/prompts/concierge.md"), "# I am\n");
    assert_eq!(world.core.read("tests/prompts/untracked.md"), "mine\n");
    world.core.commit();
    repair(&world, &["--write"]).is(0);
    assert_eq!(world.core.read("tests/prompts/concierge.md"), "# You were\n");
}

#[test]
#[cfg(unix)]
fn nothing_is_written_through_a_link() {
    let world = mirrored();
    world.template.write("prompts/deep/more.md", "even more\n");
    world.template.commit();
    // Not what is in git: somebody keeps the folder elsewhere.
    let outside = world.path("outside");
    std::fs::create_dir(&outside).expect("made");
    std::fs::remove_dir_all(world.core.dir.join("tests/prompts/deep")).expect("gone");
    std::os::unix::fs::symlink(&outside, world.core.dir.join("tests/prompts/deep")).expect("a link");
    for words in [&[][..], &["--write"]] {
        let said = repair(&world, words).is(3);
        assert!(said.contains("tests/prompts/deep is a link"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&outside).expect("a folder").count(), 0);
}

#[test]
fn a_file_that_git_ignores_is_not_overwritten() {
    let world = mirrored();
    world.core.write(".gitignore", "*.tmp\n");
    world.core.commit();
    world.core.write("tests/prompts/x.tmp", "mine\n");
    world.template.write("prompts/x.tmp", "theirs\n");
    world.template.commit();
    let said = repair(&world, &["--write"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("tests/prompts/x.tmp is there already, and git ignores it"), "{}", said.err);
    assert_eq!(world.core.read("tests/prompts/x.tmp"), "mine\n");
}

#[test]
fn a_copy_that_was_edited_is_offered_to_the_source_and_one_that_is_behind_is_not() {
    let world = mirrored();
    world.configure(&format!("{MIRROR}[gate.repair]\nkind = \"mirror\"\nto = \"source\"\n"));
    world.core.write("tests/prompts/concierge.md", "# You are, edited here\n");
    let said = repair(&world, &[]).is(1);
    let expected = "fixtures: copies were edited here; in sync after this in molecule/template\n\
                    diff --git a/prompts/concierge.md b/prompts/concierge.md\n";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("-# You are\n+# You are, edited here\n"), "{said}");
    // Only the consumer is written.
    let said = repair(&world, &["--write"]).is(3);
    let expected = "fixtures: copies were edited here; in sync after this in molecule/template, which is not written from here: \
                    apply it in a clone of that\n";
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(world.template.read("prompts/concierge.md"), "# You are\n");
    let before = world.template.head();
    world.template.write("prompts/concierge.md", "# You were\n");
    world.template.commit();
    world.core.write("tests/prompts/concierge.md", "# You are\n");
    let said = repair(&world, &[]).is(3);
    let expected =
        format!("tests/prompts/concierge.md is prompts/concierge.md as it was at {}: the copy is behind", &before[..8]);
    assert!(said.contains(&expected), "{said}");
    // Made from the older version and then edited: an offer would take the source's change back.
    world.core.commit();
    world.core.write("tests/prompts/concierge.md", "# You are, edited here\n");
    let said = repair(&world, &[]).is(3);
    assert!(said.contains("prompts/concierge.md of the source changed too: merge the two by hand"), "{said}");
}

#[test]
fn a_source_without_commits_will_do_for_copies() {
    let world = mirrored();
    let plain = world.plain_template();
    std::fs::create_dir_all(plain.join("prompts/deep")).expect("made");
    std::fs::write(plain.join("prompts/deep/more.md"), "changed\n").expect("written");
    let said = crate::repair_in(&world.core.dir, &["--source", "../plain"]).is(1);
    assert!(said.starts_with("fixtures: in sync with molecule/template after this\n"), "{said}");
}

#[test]
fn a_stamp_does_not_take_the_place_of_what_nobody_committed() {
    let world = mirrored();
    world.configure(&format!("{MIRROR}[[gate.repair]]\nkind = \"stamp\"\npath = \"notes.txt\"\n"));
    world.core.write("notes.txt", "committed\n");
    world.core.commit();
    world.core.write("notes.txt", "what took me all day\n");
    let said = repair(&world, &["--write"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("notes.txt has changes that nobody committed"), "{}", said.err);
    assert_eq!(world.core.read("notes.txt"), "what took me all day\n");
}

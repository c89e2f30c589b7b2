//! Copies of the source's files, made their originals or offered to the source.

use super::*;

const MIRRORS: &str = "\
[[gate.check]]
kind = \"mirror\"
folder = \"fixtures\"
copies = [\"one\", \"two/deep\"]
[[gate.check]]
kind = \"mirror\"
file = \"a.json\"
copies = [\"a.json\"]
compare = \"json\"
";

fn contracts() -> Memory {
    Memory::new().file("fixtures/x.txt", "x\n").executable("fixtures/bin/y", "y\n").file("a.json", "{\"a\": 1}\n")
}

#[test]
fn copies_are_made_their_originals_and_what_the_source_does_not_have_goes() {
    let consumer = Memory::new()
        .executable("one/x.txt", "old\n")
        .file("one/extra.txt", "extra\n")
        .file("one/bin/y", "y\n")
        .file("two/deep/x.txt", "x\n")
        .file("a.json", "{ \"a\" : 1 }");
    let story = Story::new(consumer.clone(), Memory::new(), contracts());
    let repair = story.repair(&repaired(written(MIRRORS)));
    let edits = [("one/extra.txt", "gone"), ("one/x.txt", "x\n"), ("two/deep/bin/y", "y\n")];
    assert_eq!(texts(&repair.edits), edits, "what is the same as data is left alone");
    let modes: Vec<bool> = repair.edits.iter().map(|edit| edit.executable).collect();
    assert_eq!(modes, [false, true, true], "a copy keeps its mode, a new one has the original's");
    assert_eq!(repair.edits[1].was, consumer.blob_id("one/x.txt").ok());
    assert_eq!((&repair.edits[2].was, repair.quotes, repair.source), (&None, true, Some(id('b'))));
}

#[test]
fn a_copy_that_cannot_be_written_is_a_person_s() {
    let consumer = contracts().file("one", "a file").file("two/deep/x.txt", "x\n");
    let said = Story::new(consumer, Memory::new(), contracts()).person(&repaired(written(MIRRORS)));
    assert!(said.contains("one is a file"), "{said}");
}

fn one_mirror(lines: &str) -> Gate {
    written(&format!("{lines}[[gate.check]]\nkind = \"mirror\"\nfile = \"a.txt\"\ncopies = [\"copy.txt\"]\n"))
}

fn to_source(gate: Gate) -> Gate {
    with_rules(gate, vec![Rule::Mirror { to: To::Source, pull: PullRequest::default() }])
}

fn copy(text: &str) -> Memory {
    Memory::new().file("copy.txt", text)
}

fn original(text: &str) -> Memory {
    Memory::new().file("a.txt", text)
}

#[test]
fn a_copy_that_was_edited_in_the_consumer_is_offered_to_the_source() {
    let story = Story::new(copy("edited\n"), original("zero\n"), original("one\n"));
    let story = story.after([copy("half\n"), copy("one\n"), copy("zero\n")]);
    let repair = story.repair(&to_source(one_mirror("")));
    assert_eq!((repair.side, texts(&repair.edits)), (Side::Source, vec![("a.txt", "edited\n")]));
    assert_eq!((repair.source, repair.quotes), (Some(id('b')), true));
}

#[test]
fn a_copy_that_is_older_than_its_original_is_not_offered() {
    // The consumer had the file first; the source took it over, changed it, and is the truth since.
    let story = Story::new(copy("ours\n"), original("ours, mended\n"), original("ours, mended\n").file("other", "x"));
    let said = story.after([copy("ours, once\n")]).person(&to_source(one_mirror("")));
    assert!(said.contains("nothing tells which of the two was changed"), "{said}");
}

#[test]
fn a_copy_that_is_behind_is_never_offered_to_the_source() {
    let story = Story::new(copy("zero\n"), original("zero\n"), original("one\n")).after([]);
    let said = story.person(&to_source(one_mirror("")));
    assert!(said.contains("the copy is behind") && said.contains("aaaaaaaa"), "{said}");
    // It is also behind where it once was up to date, and was taken back.
    let story = Story::new(copy("zero\n"), original("zero\n"), original("one\n")).after([copy("one\n")]);
    let said = story.person(&to_source(one_mirror("")));
    assert!(said.contains("the copy is behind"), "{said}");
}

#[test]
fn what_the_source_changed_since_the_copy_was_made_is_never_taken_back() {
    let story = Story::new(copy("edited\n"), original("zero\n"), original("one\n")).after([copy("zero\n")]);
    let said = story.person(&to_source(one_mirror("")));
    assert!(said.contains("a.txt of the source changed too: merge the two by hand"), "{said}");
    // The source went back to what it was: the copy was made from what came between.
    let mut story = Story::new(copy("edited\n"), original("zero\n"), original("one\n"));
    let Case::Branch { source, .. } = &mut story.case else { unreachable!() };
    *source = story.world.add(Side::Source, 'd', &[&source.clone()], original("zero\n"));
    let said = story.after([copy("one\n"), copy("zero\n")]).person(&to_source(one_mirror("")));
    assert!(said.contains("merge the two by hand"), "{said}");
}

#[test]
fn where_nothing_tells_which_of_the_two_was_changed_a_person_does() {
    let gate = to_source(one_mirror(""));
    let unlike = || Story::new(copy("edited\n"), original("zero\n"), original("one\n"));
    for story in [
        // The copy was never what the source had.
        unlike().after([copy("half\n")]),
        // Nobody can look.
        unlike(),
    ] {
        let said = story.person(&gate);
        assert!(said.contains("nothing tells which of the two was changed"), "{said}");
    }
}

#[test]
fn a_new_file_among_the_copies_is_offered_and_one_that_the_source_took_out_is_not() {
    let gate = to_source(written("[[gate.check]]\nkind = \"mirror\"\nfolder = \"f\"\ncopies = [\"g\"]\n"));
    let copies = Memory::new().file("g/a.txt", "a\n").executable("g/new.sh", "#!/bin/sh\n");
    let now = Memory::new().file("f/a.txt", "a\n");
    let story = Story::new(copies.clone(), now.clone(), now.clone());
    let said = story.person(&gate);
    assert!(said.contains("whether it ever had one was not found out"), "{said}");
    let repair = story.after([]).repair(&gate);
    assert_eq!(texts(&repair.edits), [("f/new.sh", "#!/bin/sh\n")]);
    assert_eq!((&repair.edits[0].was, repair.edits[0].executable), (&None, true));
    let said = Story::new(copies, now.clone().file("f/new.sh", "#!/bin/sh\n"), now).after([]).person(&gate);
    assert!(said.contains("the source took f/new.sh out after aaaaaaaa"), "{said}");
}

#[test]
fn an_offer_is_the_same_one_as_long_as_it_offers_the_same() {
    let gate = to_source(one_mirror(""));
    let offer = |text: &str, now: Memory| {
        Story::new(copy(text), original("one\n"), now).after([copy("one\n")]).repair(&gate).key()
    };
    let first = offer("edited\n", original("one\n"));
    assert_eq!(offer("edited\n", original("one\n").file("README.md", "The source goes on\n")), first);
    assert_ne!(offer("edited more\n", original("one\n")), first);
    // What is adopted from the source is told by its commit.
    assert_eq!(Story::new(core('a'), template(), newer()).repair(&repaired(self::gate())).key(), id('b').as_str());
}

#[test]
fn with_a_pin_the_pinned_commit_tells_who_edited() {
    let gate = to_source(one_mirror("binding = { pin = \"pin\", whole = true }\n"));
    let core = |copy: &str| Memory::new().file("copy.txt", copy).file("pin", id('a').as_str());
    let source = |text: &str| Memory::new().file("a.txt", text);
    let story = Story::new(core("edited\n"), source("zero\n"), source("zero\n").file("other", "x"));
    let repair = story.repair(&gate);
    assert_eq!((repair.side, texts(&repair.edits)), (Side::Source, vec![("a.txt", "edited\n")]));
    let said = Story::new(core("edited\n"), source("zero\n"), source("one\n")).person(&gate);
    assert!(said.contains("merge the two by hand"), "{said}");
    let said = Story::new(core("zero\n"), source("zero\n"), source("one\n")).person(&gate);
    assert!(said.contains("move the pin"), "{said}");
    // A copy that is older than the pin is behind it, not edited.
    let mut story = Story::new(core("zero\n").file("pin", id('b').as_str()), source("zero\n"), source("one\n"));
    let Case::Branch { source: head, .. } = &mut story.case else { unreachable!() };
    *head = story.world.add(Side::Source, 'd', &[&head.clone()], source("one\n").file("other", "x"));
    let said = story.after([]).person(&gate);
    assert!(said.contains("the copy is behind"), "{said}");
}

#[test]
fn two_copies_that_disagree_are_a_person_s() {
    let gate = written("[[gate.check]]\nkind = \"mirror\"\nfile = \"a.txt\"\ncopies = [\"one.txt\", \"two.txt\"]\n");
    let copies = |one: &str, two: &str| Memory::new().file("one.txt", one).file("two.txt", two);
    let story = Story::new(copies("1\n", "2\n"), Memory::new(), Memory::new().file("a.txt", "one\n"));
    let said = story.after([copies("one\n", "one\n")]).person(&to_source(gate));
    assert!(said.contains("say different things"), "{said}");
}

#[test]
fn a_pin_and_a_stale_copy_are_one_repair() {
    let gate = one_mirror("binding = { pin = \"pin\", whole = true }\n");
    let core = Memory::new().file("copy.txt", "zero\n").file("pin", format!("{}\r\n", id('a')));
    let story = Story::new(core, Memory::new().file("a.txt", "zero\n"), Memory::new().file("a.txt", "one\n"));
    let repair = story.repair(&repaired(gate.clone()));
    let pin = format!("{}\r\n", id('b'));
    assert_eq!(texts(&repair.edits), [("copy.txt", "one\n"), ("pin", pin.as_str())]);
    // The pin alone would leave the copy behind.
    let said = story.person(&with_rules(gate, vec![Rule::Pin { copy_lines: true, pull: PullRequest::default() }]));
    assert!(said.contains("a repair would leave: copy.txt is not a.txt"), "{said}");
}

#[test]
fn a_copy_behind_a_link_is_written_where_the_link_leads() {
    let consumer = Memory::new().link("copy.txt", "real/copy.txt").file("real/copy.txt", "old\n");
    let story = Story::new(consumer, Memory::new(), Memory::new().file("a.txt", "one\n"));
    let repair = story.repair(&repaired(one_mirror("")));
    assert_eq!(texts(&repair.edits), [("real/copy.txt", "one\n")]);
    assert!(
        matches!(story.world.tree(Side::Consumer, &Revision::Commit(id('c'))), Ok(Some(tree)) if matches!(tree.node("copy.txt"), Ok(Some(Node::Link { .. }))))
    );
}

#[test]
fn a_name_that_git_shows_in_escapes_is_written_by_hand() {
    let consumer = contracts().file("one/\\303.txt", "x").file("one/x.txt", "x\n");
    let said = Story::new(consumer, Memory::new(), contracts()).person(&repaired(written(MIRRORS)));
    assert!(said.contains("one/\\303.txt has a name that is not UTF-8"), "{said}");
}

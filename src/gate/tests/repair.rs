//! What would end drift: the pin moves, copies are copied, a COPY line stands beside its siblings, and nothing is proposed that
//! does not end in sync.

use std::cell::Cell;

use proptest::prelude::*;

use super::kinds::written;
use super::*;
use crate::config::{PullRequest, Repair as Rule, Template, To};
use crate::gate::repair::{After, Edit, Proposed, Repair, joined, propose, usual};
use crate::tree::{Node, Tree};

/// The gate with the repairs that fit it.
fn repaired(gate: Gate) -> Gate {
    Gate { repairs: usual(&gate), ..gate }
}

fn with_rules(gate: Gate, repairs: Vec<Rule>) -> Gate {
    Gate { repairs, ..gate }
}

/// Core at `c` pins the template's `a`; the template is at `b` now.
struct Story {
    world: Repositories,
    case: Case,
}

impl Story {
    fn new(core: Memory, before: Memory, now: Memory) -> Self {
        let mut world = Repositories::default();
        let first = world.add(Side::Source, 'a', &[], before);
        let source = world.add(Side::Source, 'b', &[&first], now);
        let consumer = world.add(Side::Consumer, 'c', &[], core);
        Self { world, case: Case::Branch { consumer, source } }
    }

    /// What core was before, one commit after the other, the newest first; both histories are at hand.
    fn after<const N: usize>(mut self, earlier: [Memory; N]) -> Self {
        self.world.looks_back = true;
        let Case::Branch { consumer, .. } = self.case.clone() else { unreachable!() };
        let mut last = consumer;
        for (name, core) in ['1', '2', '3'].into_iter().zip(earlier) {
            let one = self.world.add(Side::Consumer, name, &[], core);
            self.world.commits.get_mut(&(Side::Consumer, last)).expect("a commit").1.push(one.clone());
            last = one;
        }
        self
    }

    fn propose(&self, gate: &Gate) -> Proposed {
        propose(gate, &self.case, &self.world).expect("everything is here")
    }

    #[track_caller]
    fn repair(&self, gate: &Gate) -> Repair {
        match self.propose(gate) {
            Proposed::Repair(repair) => {
                assert_eq!(repair.after.verdict, Verdict::InSync, "a repair is proven");
                *repair
            }
            other => panic!("no repair: {other:?}"),
        }
    }

    /// What a person must write.
    #[track_caller]
    fn person(&self, gate: &Gate) -> String {
        match self.propose(gate) {
            Proposed::Person(words) => words,
            other => panic!("not a person's: {other:?}"),
        }
    }
}

/// The files that are written, with their new texts; `gone` for those that are deleted.
fn texts(edits: &[Edit]) -> Vec<(&str, &str)> {
    let text = |edit: &Edit| match &edit.content {
        Some(bytes) => std::str::from_utf8(bytes).expect("text").to_owned().leak() as &str,
        None => "gone",
    };
    edits.iter().map(|edit| (edit.path.as_str(), text(edit))).collect()
}

fn newer() -> Memory {
    template().file("config.yaml", "name: Newer\n")
}

#[test]
fn what_is_in_sync_needs_nothing() {
    let story = Story::new(core('b'), template(), newer());
    assert_eq!(story.propose(&repaired(gate())), Proposed::Nothing);
    assert_eq!(story.propose(&gate()), Proposed::Nothing);
}

#[test]
fn a_stale_pin_moves_to_the_source_s_head_and_the_rest_of_the_file_stays() {
    let story = Story::new(core('a'), template(), newer());
    let repair = story.repair(&repaired(gate()));
    assert_eq!(texts(&repair.edits), [("manifest.json", manifest(id('b').as_str()).as_str())]);
    let old = core('a').blob_id("manifest.json").unwrap();
    assert_eq!((&repair.edits[0].was, repair.edits[0].in_place, repair.side), (&Some(old), true, Side::Consumer));
    assert_eq!((repair.source, repair.quotes), (Some(id('b')), false));
    assert_eq!((repair.before.verdict, repair.after.binding.state.as_str()), (Verdict::Drift, "current"));
}

#[test]
fn a_pin_behind_several_commits_moves_to_the_head() {
    let mut story = Story::new(core('a'), template(), newer());
    let Case::Branch { source, .. } = &mut story.case else { unreachable!() };
    let next = story.world.add(Side::Source, 'd', &[&source.clone()], newer().file("config.yaml", "name: Newest\n"));
    *source = next;
    assert_eq!(story.repair(&repaired(gate())).source, Some(id('d')));
}

#[test]
fn a_pin_that_is_no_commit_of_the_branch_moves_there() {
    for pin in [manifest("main"), manifest(id('9').as_str()), manifest(&id('a').as_str()[..12])] {
        let story = Story::new(core('a').file("manifest.json", pin), template(), newer());
        let repair = story.repair(&repaired(gate()));
        assert_eq!(texts(&repair.edits), [("manifest.json", manifest(id('b').as_str()).as_str())]);
    }
}

#[test]
fn a_pin_that_is_not_there_or_pins_something_else_is_a_person_s() {
    for (text, words) in [
        ("{}".to_owned(), "templates"),
        (manifest(id('a').as_str()).replace("molecule/template", "mallory/template"), "mallory/template"),
        (format!("{}// a bot", manifest(id('a').as_str())), "manifest.json"),
    ] {
        let story = Story::new(core('a').file("manifest.json", text), template(), newer());
        let said = story.person(&repaired(gate()));
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_gate_without_repairs_proposes_none_and_says_so() {
    let said = Story::new(core('a'), template(), newer()).person(&gate());
    assert!(said.contains("[[gate.repair]]"), "{said}");
}

#[test]
fn a_new_source_file_gets_its_copy_line_beside_its_siblings() {
    let gate = Gate { identity: vec!["*.yaml".into(), "prompts/**".into()], ..gate() };
    let story = Story::new(core('a'), template(), template().file("skills.yaml", "skills: []\n"));
    let repair = story.repair(&repaired(gate.clone()));
    let dockerfile = BAKES.replace(
        "COPY ${DIR}/mcp_servers.yaml /opt/t/\n",
        "COPY ${DIR}/mcp_servers.yaml /opt/t/\nCOPY ${DIR}/skills.yaml /opt/t/\n",
    );
    let pin = manifest(id('b').as_str());
    assert_eq!(texts(&repair.edits), [(DOCKERFILE, dockerfile.as_str()), ("manifest.json", pin.as_str())]);
    assert!(repair.quotes, "the Dockerfile names a file of the source");
    // Whoever does not want that says so, and is told what to write.
    let pull = PullRequest::default();
    let said = story.person(&with_rules(gate, vec![Rule::Pin { copy_lines: false, pull }]));
    assert!(said.contains("no instruction bakes skills.yaml") && said.contains("add to Dockerfile: COPY"), "{said}");
}

#[test]
fn a_copy_line_has_the_flags_and_line_ends_of_its_sibling_and_several_files_get_one_each() {
    let bakes = "\
FROM scratch\r
COPY --chmod=0644 .deps/template/config.yaml \\\r
     /opt/t/config.yaml\r
COPY .deps/template/mcp_servers.yaml /opt/t/mcp_servers.yaml\r
COPY .deps/template/prompts /opt/t/prompts\r
USER 1000\r
";
    let gate = Gate { identity: vec!["*.yaml".into(), "prompts/**".into(), "hooks/**".into()], ..gate() };
    let now = template().file("hooks/boot.sh", "#!/bin/sh\n").file("b.yaml", "b\n");
    let story = Story::new(core('a').file(DOCKERFILE, bakes), template(), now);
    let repair = story.repair(&repaired(gate));
    let after = bakes.replace(
        "COPY .deps/template/prompts /",
        "COPY .deps/template/hooks/boot.sh /opt/t/hooks/boot.sh\r\nCOPY .deps/template/b.yaml /opt/t/b.yaml\r\nCOPY .deps/template/prompts /",
    );
    let (_, written) = texts(&repair.edits)[0];
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(lines(written), lines(&after));
    assert_eq!(written.matches("\r\n").count(), written.matches('\n').count());
}

#[test]
fn new_files_that_say_the_same_get_a_line_each() {
    let gate = Gate { identity: vec!["*.yaml".into(), "prompts/**".into()], ..gate() };
    let same = "mcp_servers: []\n";
    let story = Story::new(core('a'), template(), template().file("n1.yaml", same).file("n2.yaml", same));
    let repair = story.repair(&repaired(gate));
    let (_, dockerfile) = texts(&repair.edits)[0];
    for file in ["n1.yaml", "n2.yaml"] {
        assert!(dockerfile.contains(&format!("COPY ${{DIR}}/{file} /opt/t/\n")), "{dockerfile}");
    }
}

#[test]
fn a_copy_line_that_would_not_bake_the_file_is_not_proposed() {
    let gate = repaired(Gate { identity: vec!["*.yaml".into(), "prompts/**".into()], ..gate() });
    let now = || template().file("skills.yaml", "skills: []\n");
    for (core, words) in [
        // The ignore file hides it.
        (core('a').file(".dockerignore", ".deps/template/skills.yaml\n"), "skills.yaml"),
        // What a later command does to it nobody knows.
        (bakes(&format!("{BAKES}RUN /opt/base/tool /opt/t\n")), "undecided"),
        // Its siblings come from another stage, which does not have it.
        (
            bakes(
                "FROM scratch AS files\nCOPY .deps/template/config.yaml .deps/template/mcp_servers.yaml /f/\nCOPY \
                 .deps/template/prompts /f/prompts\nFROM scratch\nCOPY --from=files /f/config.yaml /opt/t/config.yaml\nCOPY \
                 --from=files /f/mcp_servers.yaml /opt/t/\nCOPY --from=files /f/prompts /opt/t/prompts\n",
            ),
            "no instruction bakes skills.yaml",
        ),
    ] {
        let said = match Story::new(core, template(), now()).propose(&gate) {
            Proposed::Person(said) => said,
            other => panic!("{words}: {other:?}"),
        };
        assert!(said.contains(words) || words == "undecided", "{said}");
    }
}

#[test]
fn what_the_gate_itself_must_say_is_a_person_s() {
    let story = Story::new(core('a'), template(), newer().file("new.txt", "x\n"));
    let said = story.person(&repaired(gate()));
    assert!(said.contains("new.txt of the source matches neither"), "{said}");
    let story = Story::new(core('a'), template(), template().without("prompts/concierge.md"));
    let said = story.person(&repaired(gate()));
    assert!(said.contains("Dockerfile"), "a COPY of what is gone is not taken out by rule: {said}");
}

#[test]
fn a_notice_does_not_hold_a_repair_up() {
    let gate = Gate { unlisted: Level::Notice, ..gate() };
    let repair = Story::new(core('a'), template(), newer().file("new.txt", "x\n")).repair(&repaired(gate));
    assert_eq!(noted(&repair.after), ["unlisted new.txt"]);
}

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
fn an_original_that_never_said_anything_else_is_what_every_copy_was_made_from() {
    // The copy came into the consumer as it is.
    let story = Story::new(copy("edited\n"), original("one\n"), original("one\n").file("other", "x")).after([]);
    assert_eq!(texts(&story.repair(&to_source(one_mirror(""))).edits), [("a.txt", "edited\n")]);
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
    let offer = |text: &str, now: Memory| Story::new(copy(text), original("one\n"), now).after([]).repair(&gate).key();
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
    let consumer = Memory::new().file("one.txt", "1\n").file("two.txt", "2\n");
    let mut story = Story::new(consumer, Memory::new(), Memory::new().file("a.txt", "one\n"));
    story.world.looks_back = true;
    let said = story.person(&to_source(gate));
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

fn stamp(template: &str) -> Rule {
    let pull = PullRequest::default();
    Rule::Stamp { path: "STAMP".into(), template: Template::new(template), copy_lines: true, pull }
}

#[test]
fn a_stamp_names_the_source_commit_whose_files_ship() {
    let gate = Gate { binding: Binding::Follow, ..gate() };
    let gate = with_rules(gate, vec![stamp("{gate} {source_sha}\n")]);
    let stamped = |core: Memory| Story::new(core, template(), newer()).propose(&gate);
    let Proposed::Repair(repair) = stamped(core('a')) else { panic!("a stamp that is not there is written") };
    let text = format!("identity {}\n", id('b'));
    assert_eq!(texts(&repair.edits), [("STAMP", text.as_str())]);
    assert_eq!(repair.before.verdict, Verdict::InSync, "nothing else tells that the image is old");
    assert_eq!(stamped(core('a').file("STAMP", text)), Proposed::Nothing);
    let Proposed::Repair(_) = stamped(core('a').file("STAMP", format!("identity {}\n", id('a')))) else {
        panic!("files changed since that commit")
    };
    // Only ignored files changed since: no build is worth it.
    let story = Story::new(
        core('a').file("STAMP", format!("identity {}\n", id('a'))),
        template(),
        template().file("README.md", "Read me again\n"),
    );
    assert_eq!(story.propose(&gate), Proposed::Nothing);
}

#[test]
fn a_gate_that_follows_gets_copy_lines_too() {
    let gate = Gate { binding: Binding::Follow, identity: vec!["*.yaml".into(), "prompts/**".into()], ..gate() };
    let story = Story::new(core('a'), template(), template().file("skills.yaml", "skills: []\n"));
    let written = |repair: Repair| repair.edits.into_iter().map(|edit| edit.path).collect::<Vec<_>>();
    let repair = story.repair(&with_rules(gate.clone(), vec![stamp("{source_sha}\n")]));
    assert_eq!(written(repair), [DOCKERFILE, "STAMP"]);
    assert_eq!(written(story.repair(&repaired(gate))), [DOCKERFILE]);
}

fn dispatch() -> Rule {
    Rule::Dispatch { workflow: "build.yml".into(), on: None, inputs: BTreeMap::new(), after: std::time::Duration::ZERO }
}

#[test]
fn a_workflow_is_started_where_what_it_brings_about_ends_the_drift() {
    let pinned = Binding::Pin { file: "vendor/t".into(), at: PinAt::Submodule, require: BTreeMap::new() };
    let gate = Gate {
        binding: pinned,
        checks: vec![Check::Pin(crate::config::Pin { requires: vec![] })],
        identity: vec![],
        ..gate()
    };
    let core = Memory::new().submodule("vendor/t", id('a')).file("x", "x");
    let story = Story::new(core.clone(), template(), newer());
    let repair = story.repair(&with_rules(gate.clone(), vec![dispatch()]));
    assert_eq!((repair.dispatch.map(|one| one.workflow), repair.edits.len()), (Some("build.yml".into()), 0));
    // Without a workflow a person moves it.
    let said = story.person(&repaired(gate.clone()));
    assert!(said.contains(&format!("git -C vendor/t checkout {}", id('b'))), "{said}");
    let current = Story::new(core.submodule("vendor/t", id('b')), template(), newer());
    assert_eq!(current.propose(&with_rules(gate, vec![dispatch()])), Proposed::Nothing);
}

#[test]
fn a_folder_without_commits_has_none_to_pin() {
    let mut story = Story::new(core('a'), template(), newer());
    let Case::Branch { source, .. } = &mut story.case else { unreachable!() };
    *source = Revision::WorkTree;
    story.world.commits.insert((Side::Source, Revision::WorkTree), (newer(), vec![Revision::Commit(id('b'))]));
    let said = story.person(&repaired(gate()));
    assert!(said.contains("folder without commits"), "{said}");
}

#[test]
fn a_pull_request_is_not_repaired() {
    let mut story = Story::new(core('a'), template(), newer());
    let Case::Branch { consumer, source } = story.case.clone() else { unreachable!() };
    story.case = Case::ConsumerPull { head: consumer.clone(), base: consumer, source };
    assert!(story.person(&repaired(gate())).contains("pull request"));
}

#[test]
fn two_gates_of_one_consumer_are_repaired_in_one_commit() {
    let two = |first: char, second: char| format!("{{\"one\": \"{}\",\n \"two\": \"{}\"}}\n", id(first), id(second));
    let of = |key: &str| {
        let gate = written(&format!(
            "binding = {{ pin = \"pins.json\", at = \"{key}\" }}\n[[gate.check]]\nkind = \"pin\"\nrequires = [\"config.yaml\"]\n"
        ));
        repaired(gate)
    };
    let story = Story::new(Memory::new().file("pins.json", two('a', 'a')), template(), newer());
    let Case::Branch { consumer, .. } = &story.case else { unreachable!() };
    let first = story.repair(&of("one")).edits;
    let world = After::new(&story.world, Side::Consumer, consumer, &first).expect("everything is here");
    let Ok(Proposed::Repair(then)) = propose(&of("two"), &story.case, &world) else { panic!("a repair") };
    let edits = joined(first, then.edits);
    assert_eq!(texts(&edits), [("pins.json", two('b', 'b').as_str())]);
    let was = Memory::new().file("pins.json", two('a', 'a')).blob_id("pins.json").ok();
    assert_eq!(edits[0].was, was, "of the file that is there");
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

/// Core with edits in it.
fn edited(core: &Memory, edits: &[Edit]) -> Memory {
    edits.iter().fold(core.clone(), |core, edit| {
        assert_eq!(core.blob_id(&edit.path).ok(), edit.was, "{}: of the file that is there", edit.path);
        match &edit.content {
            Some(content) => core.file_with_mode(&edit.path, if edit.executable { 0o755 } else { 0o644 }, content),
            None => core.without(&edit.path),
        }
    })
}

/// Instructions of a Dockerfile, of which some do not build.
fn instructions() -> impl Strategy<Value = Vec<&'static str>> {
    let one = prop::sample::select(vec![
        "COPY .deps/template/config.yaml /opt/t/config.yaml",
        "COPY --chmod=0644 ${DIR}/mcp_servers.yaml \\\n     /opt/t/",
        "copy [\"${DIR}/prompts\", \"/opt/t/prompts\"]",
        "COPY ${DIR}/*.yaml /opt/t/",
        "COPY .deps/template/prompts/concierge.md /opt/t/prompts/",
        "COPY own.yaml /opt/t/config.yaml",
        "WORKDIR /opt/t",
        "COPY .deps/template/config.yaml .",
        "RUN rm /opt/t/config.yaml",
        "RUN /usr/bin/tool",
        "COPY .deps/template/gone.yaml /opt/t/",
        "# COPY .deps/template/config.yaml /opt/t/",
        "FROM scratch AS last",
        "COPY <<EOF /opt/t/made.txt\nCOPY a b\nEOF",
    ]);
    prop::collection::vec(one, 0..6)
}

/// Files of the template, each there or not, in one of a few versions.
fn templates() -> impl Strategy<Value = Memory> {
    let names =
        ["config.yaml", "mcp_servers.yaml", "skills.yaml", "prompts/concierge.md", "prompts/new.md", "hooks/boot.sh"];
    prop::collection::vec(0..5_u8, names.len()).prop_map(move |versions| {
        let files = names.iter().zip(versions).filter(|(_, version)| *version > 0);
        files.fold(Memory::new().file("README.md", "x"), |tree, (name, version)| {
            // Some files say the same.
            let text = if version > 3 { "same\n".to_owned() } else { format!("{name} {}\n", version.min(2)) };
            tree.file(name, text)
        })
    })
}

/// A consumer that pins and mirrors, right or wrong, and two states of its template.
fn stories() -> impl Strategy<Value = (Memory, Memory, Memory)> {
    let pin = prop::sample::select(vec!['a', 'a', 'b', '9']);
    let copies = prop::collection::vec(any::<Option<bool>>(), 2);
    let of_template = (templates(), templates());
    (instructions(), any::<bool>(), pin, copies, of_template).prop_map(
        |(instructions, windows, pin, copies, (before, now))| {
            let end = if windows { "\r\n" } else { "\n" };
            let head = ["FROM scratch", "ARG DIR=.deps/template"];
            let dockerfile = head.into_iter().chain(instructions).collect::<Vec<_>>();
            let dockerfile = dockerfile.join("\n").replace('\n', end) + end;
            let mut core = core(pin).file(DOCKERFILE, dockerfile).file("own.yaml", "mine\n");
            for (place, copy) in ["copies/config.yaml", "copies/extra.yaml"].into_iter().zip(copies) {
                if let Some(right) = copy {
                    core = core.file(place, if right { "config.yaml 1\n" } else { "another\n" });
                }
            }
            (core, before, now)
        },
    )
}

#[test]
fn whatever_is_proposed_ends_the_drift_and_then_there_is_nothing_to_propose() {
    let mirror = "[[gate.check]]\nkind = \"mirror\"\nfolder = \".\"\ninclude = [\"*.yaml\"]\ncopies = [\"copies\"]\n";
    let checks = [gate().checks, written(mirror).checks].concat();
    let identity = vec!["*.yaml".into(), "prompts/**".into(), "hooks/**".into()];
    let gate = repaired(Gate { checks, identity, ..gate() });
    let (repairs, with_lines) = (Cell::new(0), Cell::new(0));
    let cases = ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() };
    let told = proptest::test_runner::TestRunner::new(cases).run(&stories(), |(core, before, now)| {
        let story = Story::new(core.clone(), before.clone(), now.clone());
        let Proposed::Repair(repair) = story.propose(&gate) else { return Ok(()) };
        prop_assert_eq!(repair.after.verdict, Verdict::InSync);
        prop_assert!(!repair.edits.is_empty() && repair.edits.is_sorted_by_key(|edit| &edit.path));
        let merged = Story::new(edited(&core, &repair.edits), before, now);
        let report = judge(&gate, &merged.case, &merged.world).expect("everything is here");
        prop_assert_eq!(report, repair.after);
        prop_assert_eq!(merged.propose(&gate), Proposed::Nothing);
        repairs.set(repairs.get() + 1);
        with_lines.set(with_lines.get() + u32::from(repair.edits.iter().any(|edit| edit.path == DOCKERFILE)));
        Ok(())
    });
    told.unwrap_or_else(|error| panic!("{error}"));
    let (repairs, with_lines) = (repairs.get(), with_lines.get());
    assert!(repairs > 80 && with_lines > 30, "{repairs} repairs, {with_lines} with COPY lines");
}

#[test]
fn a_pattern_shows_the_manner_for_a_file_of_another_folder() {
    let story = Story::new(bakes("FROM scratch\nCOPY .deps/template/*.yaml /opt/t/\n"), template(), template());
    let gate = Gate { ignore: vec!["README.md".into()], ..gate() };
    let repair = story.repair(&repaired(gate));
    let (_, dockerfile) = texts(&repair.edits)[0];
    assert_eq!(
        dockerfile,
        "FROM scratch\nCOPY .deps/template/*.yaml /opt/t/\nCOPY .deps/template/prompts/concierge.md /opt/t/prompts/\n"
    );
}

//! What would end drift: the pin moves, copies are copied, a COPY line stands beside its siblings, and nothing is proposed that
//! does not end in sync.

use std::cell::Cell;

use proptest::prelude::*;

use super::kinds::written;
use super::*;
use crate::config::{PullRequest, Repair as Rule, Template, To};
use crate::gate::repair::{After, Edit, Proposed, Repair, joined, propose, usual};
use crate::tree::{Node, Tree};

mod any;
mod copies;
mod lines;

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
    let Proposed::Repair(repair) = stamped(core('a').file("STAMP", format!("identity {}\n", id('a')))) else {
        panic!("files changed since that commit")
    };
    assert!(!repair.edits[0].in_place, "the rest of the file does not stay");
    // Only ignored files changed since: no build is worth it.
    let story = Story::new(
        core('a').file("STAMP", format!("identity {}\n", id('a'))),
        template(),
        template().file("README.md", "Read me again\n"),
    );
    assert_eq!(story.propose(&gate), Proposed::Nothing);
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

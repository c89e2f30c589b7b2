//! What was retired stays retired, and a check that has nowhere to look says so.

use super::kinds::{consumer_pull, told, written};
use super::*;

fn looked_for(check: &str, core: Memory) -> Report {
    branch_of(&written(&format!("[[gate.check]]\nkind = \"absent\"\n{check}\n")), core, template())
}

#[test]
fn a_path_that_was_retired_may_not_come_back() {
    let check = "paths = [\"Dockerfile.platform-agent\", \"legacy/**\", \"old\"]";
    let report = looked_for(check, Memory::new().file("README.md", "x"));
    assert_eq!((report.verdict, report.files_compared), (Verdict::InSync, 3));
    let core = Memory::new().file("Dockerfile.platform-agent", "x").file("legacy/a/b", "x").file("old/c", "x");
    assert_eq!(
        said(&looked_for(check, core)),
        ["not-absent Dockerfile.platform-agent", "not-absent legacy/a/b", "not-absent old"]
    );
    assert_eq!(looked_for(check, Memory::new()).verdict, Verdict::Undecided);
}

#[test]
fn an_entry_that_was_retired_may_not_come_back_and_the_list_must_be_there() {
    let check = "file = \"manifest.json\"\nat = \"templates[name=old-agent]\"";
    let with = |text: &str| looked_for(check, Memory::new().file("manifest.json", text));
    assert_eq!(with("{\"templates\": [{\"name\": \"agent\"}]}").verdict, Verdict::InSync);
    assert_eq!(
        told(&with("{\"templates\": [\n{\"name\": \"old-agent\"}]}")),
        ["manifest.json has `templates[name=old-agent]` again: the gate says that it stays retired: line 2"]
    );
    let twice = "{\"templates\": [{\"name\": \"old-agent\"},\n{\"name\": \"old-agent\"}]}";
    assert_eq!(said(&with(twice)), ["not-absent manifest.json"]);
    for (text, expected) in [
        (
            "{\"workspace_templates\": []}",
            "undecided: manifest.json: it has no key `templates`: there is nowhere to look for `templates[name=old-agent]`",
        ),
        (
            "{\"templates\": {}}",
            "undecided: manifest.json: it has no list where one is expected: there is nowhere to look for `templates[name=old-agent]`",
        ),
        ("{\"templates\": [],}", "undecided: manifest.json: it is not JSON: line 1: a key in double quotes is missing"),
    ] {
        assert_eq!(told(&with(text)), [expected]);
    }
    let gone = looked_for(check, Memory::new().file("x", "x"));
    assert_eq!(
        told(&gone),
        ["undecided: manifest.json: it does not exist: whether something is absent from it cannot be told"]
    );
}

#[test]
fn a_key_is_absent_with_all_that_was_around_it() {
    let check = "file = \"app.yaml\"\nat = \"features.legacy.mode\"";
    for (text, there) in [("a: 1\n", false), ("features: {}\n", false), ("features: {legacy: {mode: null}}\n", true)] {
        let report = looked_for(check, Memory::new().file("app.yaml", text));
        assert_eq!(report.verdict == Verdict::Drift, there, "{text}");
        assert_eq!(report.files_compared, 1);
    }
}

#[test]
fn a_text_that_was_retired_is_named_with_its_line() {
    let check = "file = \"Dockerfile\"\nregex = '^FROM .*:latest$'";
    let core = |text: &str| Memory::new().file("Dockerfile", text);
    assert_eq!(looked_for(check, core("FROM scratch\n")).verdict, Verdict::InSync);
    assert_eq!(
        told(&looked_for(check, core("# x\r\nFROM alpine:latest\r\n"))),
        ["Dockerfile has `FROM alpine:latest` again: the gate says that it stays retired: line 2"]
    );
}

#[test]
fn a_pull_request_answers_for_what_it_brings_back() {
    let gate = written("[[gate.check]]\nkind = \"absent\"\npaths = [\"legacy/**\"]\n");
    let base = Memory::new().file("legacy/a", "x");
    let docs = consumer_pull(&gate, template(), base.clone(), base.clone().file("docs.md", "x"));
    assert_eq!(docs.verdict, Verdict::InSync);
    let more = consumer_pull(&gate, template(), base.clone(), base.file("legacy/b", "x"));
    assert_eq!(said(&more), ["not-absent legacy/b"]);
}

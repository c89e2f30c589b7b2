//! Pins, wherever they stand, and what the pinned commit must have.

use super::kinds::{source_pull, told, written};
use super::*;
use crate::gate::binding::{Bound, read};
use crate::gate::finding::Cause;

const CHECK: &str = "[[gate.check]]\nkind = \"pin\"\nrequires = [\"config.yaml\"]\n";

fn pinned_by(binding: &str) -> Gate {
    written(&format!("binding = {binding}\n{CHECK}"))
}

fn judged(binding: &str, core: Memory) -> Report {
    branch_of(&pinned_by(binding), core, template())
}

fn sha() -> String {
    "a".repeat(40)
}

#[test]
fn a_pin_is_found_wherever_a_consumer_writes_it() {
    let sha = sha();
    for (binding, file, text, line) in [
        (
            "{ pin = \"chart/values.yaml\", at = \"image.ref\" }",
            "chart/values.yaml",
            format!("image:\n  # the template\n  ref: {sha}\n"),
            3,
        ),
        (
            "{ pin = \"deps.toml\", at = \"template[0].rev\" }",
            "deps.toml",
            format!("[[template]]\nrev = \"{sha}\"\n"),
            2,
        ),
        ("{ pin = \"uv.lock\", format = \"toml\", at = \"rev\" }", "uv.lock", format!("rev = '{sha}'\n"), 1),
        ("{ pin = \"versions\", at = \"ref\" }", "versions", format!("{{\"ref\": \"{sha}\"}}"), 1),
        ("{ pin = \".template-sha\", whole = true }", ".template-sha", format!("{sha}\r\n"), 1),
        (
            "{ pin = \"Dockerfile\", argument = \"TEMPLATE_SHA\" }",
            "Dockerfile",
            format!("FROM scratch\nARG X=1 TEMPLATE_SHA=\"{sha}\"\nARG TEMPLATE_SHA\n"),
            2,
        ),
        (
            "{ pin = \"build.sh\", regex = '^SHA=([0-9a-f]+)$' }",
            "build.sh",
            format!("#!/bin/sh\r\nSHA={sha}\r\nOLD_SHA=1\r\n"),
            2,
        ),
    ] {
        let core = Memory::new().file(file, text);
        let report = judged(binding, core.clone());
        assert_eq!((told(&report), report.binding.state.as_str()), (vec![], "current"), "{binding}");
        let cause = Cause { file: file.to_owned(), line: Some(line) };
        assert_eq!(read(&pinned_by(binding).binding, &core), Ok(Bound::Pin { commit: id('a'), cause }));
        let broken = judged(binding, Memory::new().file(file, "FROM scratch\n"));
        assert_ne!(broken.verdict, Verdict::InSync, "{binding}");
        assert_eq!(broken.files_compared, 0);
    }
}

#[test]
fn a_submodule_is_a_pin() {
    let binding = "{ submodule = \"vendor/template\" }";
    let report = judged(binding, Memory::new().submodule("vendor/template", id('a')));
    assert_eq!((told(&report), report.verdict), (vec![], Verdict::InSync));
    for (core, expected) in [
        (Memory::new().file("x", "x"), "vendor/template does not exist: nothing is pinned"),
        (Memory::new().file("vendor/template/config.yaml", "x"), "vendor/template is not a submodule"),
    ] {
        assert_eq!(told(&judged(binding, core)), [expected]);
    }
    let report = judged(binding, Memory::new().submodule("vendor/template", id('9')));
    assert_eq!(said(&report), ["pin-unreachable vendor/template"]);
}

#[test]
fn a_pin_that_two_readers_could_take_differently_is_none() {
    let (sha, other) = (sha(), "b".repeat(40));
    for (binding, text, expected) in [
        (
            "{ pin = \"f\", argument = \"SHA\" }",
            format!("ARG SHA={sha}\nFROM scratch\nENV SHA={other}\n"),
            "f gives SHA more than one default: line 3",
        ),
        ("{ pin = \"f\", argument = \"SHA\" }", "FROM scratch\nARG SHA\n".to_owned(), "f gives SHA no default"),
        (
            "{ pin = \"f\", argument = \"SHA\" }",
            "SHA\n".to_owned(),
            "f cannot be read as a Dockerfile: line 1: unknown instruction: SHA",
        ),
        (
            "{ pin = \"f\", argument = \"SHA\" }",
            "FROM scratch\nARG SHA=${OTHER}\n".to_owned(),
            "f: the pin `${OTHER}` is not a full commit SHA (40 lower-case hexadecimal digits): line 2",
        ),
        (
            "{ pin = \"f\", regex = 'SHA=(.*)' }",
            format!("SHA={sha}\nSHA={sha}\n"),
            "`SHA=(.*)` matches more than once in f: line 2",
        ),
        ("{ pin = \"f\", regex = 'SHA=(.*)' }", "nothing".to_owned(), "`SHA=(.*)` matches nothing in f"),
        (
            "{ pin = \"f\", whole = true }",
            format!("{sha}\n{other}\n"),
            "f: the pin `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbbbbbb` is not a full commit SHA (40 lower-case hexadecimal digits): line 1",
        ),
        (
            "{ pin = \"f.yaml\", at = \"a.ref\" }",
            format!("a: {{ref: {sha}, ref: {other}}}\n"),
            "f.yaml has key `ref` more than once: line 1",
        ),
        ("{ pin = \"f.yaml\", at = \"a\" }", format!("a: {}\n", "1".repeat(40)), "f.yaml: `a` is not a text: line 1"),
        (
            "{ pin = \"f.yaml\", at = \"a\" }",
            format!("a: {sha}\n---\na: {other}\n"),
            "f.yaml is not YAML: line 3: a second document begins; keep one in the file: line 3",
        ),
        (
            "{ pin = \"f.toml\", at = \"a\" }",
            "a = \n".to_owned(),
            "f.toml is not TOML: line 1: string values must be quoted, expected literal string: line 1",
        ),
    ] {
        let file = if binding.contains("f.yaml") {
            "f.yaml"
        } else if binding.contains("f.toml") {
            "f.toml"
        } else {
            "f"
        };
        assert_eq!(told(&judged(binding, Memory::new().file(file, &text))), [expected], "{binding} {text}");
    }
}

#[test]
fn the_pinned_commit_must_have_what_the_gate_requires() {
    let gate = pinned_by("{ pin = \"sha\", whole = true }");
    let core = Memory::new().file("sha", sha());
    let report = branch_of(&gate, core.clone(), template());
    assert_eq!((report.verdict, report.files_compared), (Verdict::InSync, 4));
    let without = branch_of(&gate, core.clone(), template().without("config.yaml"));
    assert_eq!(told(&without), ["the pinned commit has no file config.yaml"]);
    let empty = branch_of(&gate, core.clone(), template().file("config.yaml", ""));
    assert_eq!(said(&empty), ["empty config.yaml"]);
    let nothing = branch_of(&gate, core.clone(), Memory::new());
    assert_eq!((nothing.verdict, nothing.files_compared), (Verdict::Drift, 0));
    let pull = source_pull(&gate, core, template(), template().without("config.yaml"));
    assert_eq!(said(&pull), ["missing-in-source config.yaml"], "the source may not lose it either");
}

#[test]
fn a_pinned_consumer_is_stale_in_every_file_that_the_gate_does_not_ignore() {
    let gate = written(&format!("binding = {{ pin = \"sha\", whole = true }}\nignore = [\"README.md\"]\n{CHECK}"));
    let mut world = Repositories::default();
    let first = world.add(Side::Source, 'a', &[], template());
    let source = world.add(Side::Source, 'b', &[&first], template().file("README.md", "x\n").file("new.go", "x\n"));
    let consumer = world.add(Side::Consumer, 'c', &[], Memory::new().file("sha", sha()));
    let report = judge(&gate, &Case::Branch { consumer, source }, &world).expect("everything is here");
    assert_eq!(said(&report), ["stale new.go"]);
}

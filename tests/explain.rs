//! `drift-gate explain`, and the page that it prints: each kind of finding has its entry there, and nothing else has.

use std::collections::BTreeSet;

use assert_cmd::Command;
use drift_gate::gate::finding::Kind;

fn explain(words: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_drift-gate")).arg("explain").args(words).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

/// The names of all kinds, from the type itself: it lists them when it is given one that it does not know.
fn kinds() -> BTreeSet<String> {
    let error = serde_json::from_str::<Kind>("\"no such kind\"").expect_err("not a kind").to_string();
    let names: BTreeSet<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(names.contains("build-fails") && names.len() > 15, "{error}");
    names
}

#[test]
fn every_kind_of_finding_has_an_entry_and_nothing_else_has() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/findings.md")).expect("the page");
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let named: BTreeSet<String> = headings.iter().map(|heading| heading.trim_matches('`').to_owned()).collect();
    assert_eq!(named, kinds());
    assert_eq!(named.len(), headings.len(), "a kind has one entry");
    for entry in page.split("\n## ").skip(1) {
        let (name, text) = entry.split_once('\n').expect("a heading and its text");
        assert!(text.contains("\n    "), "{name} has no example");
        assert!(text.contains("\n**What to do.** "), "{name} does not say what to do");
    }
}

#[test]
fn a_kind_is_explained_in_the_words_of_the_page() {
    for kind in kinds() {
        let (code, out, err) = explain(&[&kind]);
        assert_eq!((code, err.as_str()), (0, ""), "{kind}");
        assert!(out.starts_with(&format!("{kind}\n\n")), "{out}");
        assert!(out.contains("\n    ") && out.contains("\nWhat to do. "), "{out}");
        assert!(!out.contains("## "), "{kind} ends where the next begins: {out}");
    }
    let (_, out, _) = explain(&["stale"]);
    assert!(out.contains("the source has moved on"), "{out}");
    assert_eq!(explain(&["PIN_INVALID"]).1, explain(&["pin-invalid"]).1);
}

#[test]
fn without_a_kind_all_of_them_are_listed_with_a_sentence() {
    let (code, out, _) = explain(&[]);
    assert_eq!(code, 0);
    let listed: BTreeSet<String> = out.lines().filter_map(|line| line.split("  ").next()).map(str::to_owned).collect();
    let listed: BTreeSet<String> = listed.into_iter().map(|name| name.trim().to_owned()).collect();
    assert_eq!(listed, kinds());
    assert!(out.lines().all(|line| line.ends_with('.')), "{out}");
}

#[test]
fn a_kind_that_is_not_known_is_answered_with_the_nearest() {
    for (typed, nearest) in [("not-bakd", "not-baked"), ("stael", "stale"), ("pin-unreachble", "pin-unreachable")] {
        let (code, out, err) = explain(&[typed]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains(&format!("`{typed}`; the nearest is `{nearest}`")), "{err}");
    }
}

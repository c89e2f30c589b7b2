//! `[[gate.repair]]`: what ends drift, as an operator writes it, and what of it cannot be.

use std::time::Duration;

use super::super::model::{PullRequest, Repair, Template, To, Words};
use super::*;

/// What a good file has in front of its first check.
const CHECK: &str = "[[gate.check]]";

fn repairs(lines: &str) -> Vec<Repair> {
    good(&with(CHECK, &format!("{lines}\n{CHECK}"))).gates.remove(0).repairs
}

/// The same in a gate that mirrors a file.
fn mirrors(lines: &str) -> String {
    let check = "[[gate.check]]\nkind = \"mirror\"\nfile = \"config.yaml\"\ncopies = [\"config.yaml\"]\n";
    with(CHECK, &format!("{lines}\n{check}{CHECK}"))
}

#[test]
fn a_repair_that_says_nothing_but_its_kind_has_the_defaults() {
    let expected = vec![Repair::Pin { copy_lines: true, pull: PullRequest::default() }];
    assert_eq!(repairs("[[gate.repair]]\nkind = \"pin\""), expected);
    assert_eq!(repairs("[gate.repair]\nkind = \"pin\""), expected, "one may stand alone");
    assert!(repairs("").is_empty());
}

#[test]
fn every_key_says_what_it_is_set_to() {
    let pull = "title = \"pin {gate}\"\nbranch = \"bump/{source_sha}\"\nlabels = [\"a b\"]\nreviewers = [\"x\", \"team:y\"]\n\
                assignees = [\"z\"]\ndraft = true\nauto_merge = true\nafter = \"1h\"\ngroup = \"pins\"";
    let found = repairs(&format!("[[gate.repair]]\nkind = \"pin\"\ncopy_lines = false\n{pull}"));
    let expected = PullRequest {
        title: Template::new("pin {gate}"),
        branch: Template::new("bump/{source_sha}"),
        labels: vec!["a b".into()],
        reviewers: vec!["x".into(), "team:y".into()],
        assignees: vec!["z".into()],
        draft: true,
        auto_merge: true,
        after: Duration::from_secs(3600),
        group: Some("pins".into()),
    };
    assert_eq!(found, [Repair::Pin { copy_lines: false, pull: expected }]);
    let lines = "[[gate.repair]]\nkind = \"dispatch\"\nworkflow = \"build.yml\"\nref = \"trunk\"\n\
                 inputs = { sha = \"{source_sha}\" }\nafter = \"5m\"\n\
                 [[gate.repair]]\nkind = \"stamp\"\npath = \"a/STAMP\"\ntemplate = \"v {source_sha}\"";
    let [Repair::Dispatch { workflow, on, inputs, after }, Repair::Stamp { path, template, .. }] = &repairs(lines)[..]
    else {
        panic!("both, in their order")
    };
    assert_eq!((workflow.as_str(), on.as_deref(), *after), ("build.yml", Some("trunk"), Duration::from_secs(300)));
    assert_eq!(
        (inputs["sha"].as_str(), path.as_str(), template.as_str()),
        ("{source_sha}", "a/STAMP", "v {source_sha}")
    );
    let gate = good(&mirrors("[[gate.repair]]\nkind = \"mirror\"\nto = \"source\"")).gates.remove(0);
    let Repair::Mirror { to: To::Source, pull } = &gate.repairs[0] else { panic!("{:?}", gate.repairs) };
    assert_eq!(pull.title.as_str(), PullRequest::OFFER, "it adopts no commit of the source");
    let gate = good(&mirrors("[[gate.repair]]\nkind = \"mirror\"\nto = \"source\"\ntitle = \"x\"")).gates.remove(0);
    assert_eq!(gate.repairs[0].pull().map(|pull| pull.title.as_str()), Some("x"));
}

#[test]
fn a_repair_has_no_say_in_what_judges() {
    let with_one = good(&with(CHECK, &format!("[gate.repair]\nkind = \"pin\"\n{CHECK}")));
    assert_eq!(with_one.gates[0].digest, good(GOOD).gates[0].digest);
}

#[test]
fn what_cannot_be_is_told_with_its_place() {
    let fault = |lines: &str| said(&with(CHECK, &format!("{lines}\n{CHECK}"))).join("; ");
    let pin = |key: &str| fault(&format!("[[gate.repair]]\nkind = \"pin\"\n{key}"));
    for (key, expected) in [
        ("title = \"\"", "20:9: `title` is empty"),
        ("title = \"{gates}\"", "20:9: `title` has `{gates}` in it, which stands for nothing => use `{gate}`, "),
        ("branch = \"repair/{gate}\"", "20:10: `branch` does not say which source commit it is for"),
        ("branch = \"a b/{source_sha}\"", "20:10: `branch` is not the name of one branch"),
        ("labels = [\"a\", \"\"]", "20:16: `labels` has a name in it that no label has"),
        ("reviewers = [\"@alice\"]", "20:14: `reviewers` begins with `@`"),
        ("assignees = [\"team:x\"]", "20:14: `assignees` is no login"),
        ("after = \"soon\"", "20:9: `after` is `soon`, which is no duration"),
        ("group = \"a b\"", "20:9: `group` cannot stand in an address"),
        ("draft = \"yes\"", "20:9: `draft` must be a boolean, found a string"),
        ("path = \"x\"", "20:1: unknown key `path` in [[gate.repair]]"),
        ("copy_line = true", "20:1: unknown key `copy_line` in [[gate.repair]] => did you mean `copy_lines`?"),
    ] {
        assert!(pin(key).starts_with(expected), "{key}: {}", pin(key));
    }
    let stamp = |keys: &str| fault(&format!("[[gate.repair]]\nkind = \"stamp\"\n{keys}"));
    assert!(stamp("").starts_with("18:1: [[gate.repair]] has no `path`"), "{}", stamp(""));
    let said = stamp("path = \"manifest.json\"");
    assert!(said.starts_with("18:1: the stamp is the file with the pin"), "{said}");
    let said = stamp("path = \"x\"\ntemplate = \"{source_short}\"");
    assert!(said.starts_with("21:12: `template` does not have `{source_sha}` in it once"), "{said}");
    let said = stamp("path = \"x\"\ntemplate = \"{source_sha} {consumer_branch}\"");
    assert!(said.starts_with("21:12: `template` has `{consumer_branch}` in it"), "{said}");
    let said = fault("[[gate.repair]]\nkind = \"dispatch\"\nworkflow = \".gitea/workflows/build.yml\"");
    assert!(said.starts_with("20:12: `workflow` is a path => write the file's name alone: `build.yml`"), "{said}");
    let said = fault("[[gate.repair]]\nkind = \"rebuild\"");
    assert!(said.starts_with("19:8: `kind` cannot be `rebuild`"), "{said}");
    let said = fault("[[gate.repair]]\nkind = \"image\"");
    assert!(said.starts_with("19:8: `kind` cannot be `image`"), "{said}");
}

#[test]
fn a_repair_must_fit_its_gate() {
    let follows = GOOD.replace("{ pin = \"manifest.json\", at = \"templates[name=agent].ref\" }", "{ follow = true }");
    let said_of = |text: &str| said(text).join("; ");
    let text = follows.replace(CHECK, &format!("[[gate.repair]]\nkind = \"pin\"\n{CHECK}"));
    assert!(
        said_of(&text).starts_with("18:1: a repair of kind `pin` in a gate that pins nothing"),
        "{}",
        said_of(&text)
    );
    let text = with(CHECK, &format!("[[gate.repair]]\nkind = \"mirror\"\n{CHECK}"));
    assert!(said_of(&text).starts_with("18:1: a repair of kind `mirror` in a gate that mirrors nothing"));
    let pin = "[[gate.repair]]\nkind = \"pin\"\n";
    let text = with(CHECK, &format!("{pin}{pin}{CHECK}"));
    assert!(
        said_of(&text).starts_with("20:1: a second repair of kind `pin` => keep one of them; the first is in line 18")
    );
}

#[test]
fn repairs_of_one_side_are_one_pull_request_and_its_keys_stand_once() {
    let text =
        |keys: &str| mirrors(&format!("[[gate.repair]]\nkind = \"pin\"\n[[gate.repair]]\nkind = \"mirror\"\n{keys}"));
    assert_eq!(good(&text("")).gates[0].repairs.len(), 2);
    let told = said(&text("title = \"x\"\ndraft = false")).join("; ");
    assert!(told.contains("22:9: `title` in a second repair of the same side: both are one pull request"), "{told}");
    assert!(told.contains("23:9: `draft` in a second repair"), "{told}");
    // What is offered to the source is another one.
    assert_eq!(good(&text("to = \"source\"\ntitle = \"x\"")).gates[0].repairs.len(), 2);
}

#[test]
fn a_template_is_filled_once() {
    let sha = "0123456789abcdef".repeat(3);
    let words = Words { gate: "{source_sha}", source: &sha[..40], consumer_branch: "release/1" };
    let filled = |text: &str| Template::new(text).fill(&words);
    assert_eq!(filled("{gate} {source_short} {"), "{source_sha} 01234567 {");
    assert_eq!(filled("{\"sha\": \"{source_sha}\"}"), format!("{{\"sha\": \"{}\"}}", &sha[..40]));
    assert_eq!(filled("{x}{consumer_branch}}"), "{x}release/1}");
}

#[test]
fn a_branch_is_one_that_git_takes_whatever_the_gate_is_called() {
    let pull = PullRequest::default();
    for (gate, expected) in [
        ("agent", "drift-gate/agent/01234567"),
        ("a..b", "drift-gate/a--b/01234567"),
        ("a.lock", "drift-gate/a-lock/01234567"),
        ("a.", "drift-gate/a-/01234567"),
    ] {
        let words = Words { gate, source: "0123456789", consumer_branch: "main" };
        assert_eq!(pull.branch_name(&words), expected);
    }
}

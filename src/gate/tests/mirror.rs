//! Copies: one to one, one to many, whole folders; as bytes, as text, as data.

use super::kinds::{told, written};
use super::*;

fn mirrored(compare: &str, source: &str, copy: &str) -> Vec<String> {
    let gate = written(&format!(
        "[[gate.check]]\nkind = \"mirror\"\nfile = \"contract\"\ncopies = [\"copy\"]\ncompare = \"{compare}\"\n"
    ));
    told(&branch_of(&gate, Memory::new().file("copy", copy), Memory::new().file("contract", source)))
}

#[test]
fn a_file_that_is_kept_in_step_byte_for_byte() {
    assert_eq!(mirrored("bytes", "a\nb\n", "a\nb\n"), [""; 0]);
    assert_eq!(mirrored("bytes", "a\nb\n", "a\nc\n"), ["copy is not contract of the source: line 2 differs: line 2"]);
    assert_eq!(
        mirrored("bytes", "a\nb\n", "a\r\nb\r\n"),
        ["copy is not contract of the source: line 1 differs: line 1"]
    );
    assert_eq!(mirrored("bytes", "a\nb\n", "a\nb"), ["copy is not contract of the source: line 2 differs: line 2"]);
}

#[test]
fn text_is_the_same_whatever_ends_its_lines() {
    for copy in ["a\nb\n", "a\r\nb\r\n", "a\rb", "a\nb"] {
        assert_eq!(mirrored("text", "a\nb\n", copy), [""; 0], "{copy:?}");
    }
    assert_eq!(
        mirrored("text", "a\nb\n", "a\r\n\r\nb"),
        ["copy is not contract of the source: line 2 differs: line 2"]
    );
    assert_eq!(mirrored("text", "a\nb\n", "a\nb\n\n").len(), 1, "only one line end is ignored");
}

#[test]
fn data_is_compared_by_what_it_says_and_the_first_difference_is_named() {
    assert_eq!(mirrored("json", "{\"b\": 1, \"a\": [1.0]}", "{\n  \"a\": [1],\n  \"b\": 1\n}\n"), [""; 0]);
    assert_eq!(
        mirrored(
            "json",
            "{\"version\": 2, \"tools\": [{\"name\": \"send\"}]}",
            "{\"version\": 2,\n\"tools\": [\n{\"name\": \"ask\"}]}"
        ),
        ["copy is not contract of the source: tools[0].name is \"ask\", the source says \"send\": line 3"]
    );
    assert_eq!(mirrored("yaml", "a: 1 # one\n", "{a: 1}\n"), [""; 0]);
    assert_eq!(mirrored("toml", "[a]\nb = 1\n", "a.b = 1\n"), [""; 0]);
}

#[test]
fn a_file_that_is_no_data_is_drift_of_its_side_and_never_green() {
    let broken = "{\"a\": 1,}\n";
    assert_eq!(
        mirrored("json", broken, broken),
        ["contract of the source is not JSON: line 1: a key in double quotes is missing"],
        "equal bytes prove nothing when nobody can read them"
    );
    assert_eq!(
        mirrored("json", "{\"a\": 1}", "{\"a\": 1}\n// Triggered by a bot\n"),
        ["copy is not JSON: line 2: text after the end of the JSON value; remove it: line 2"]
    );
    assert_eq!(
        mirrored("yaml", "a: 1\n", "a: 1\na: 1\n"),
        ["copy is not YAML: line 2: the key `a` stands there twice; keep one: line 2"]
    );
}

#[test]
fn a_source_that_says_nothing_proves_nothing() {
    for (compare, nothing) in
        [("bytes", ""), ("json", "{}"), ("json", "null"), ("yaml", "# only words\n"), ("toml", "\n")]
    {
        let said = mirrored(compare, nothing, nothing);
        assert_eq!(
            said,
            ["contract of the source is empty: a copy of nothing proves nothing"],
            "{compare} {nothing:?}"
        );
    }
}

#[test]
fn every_copy_is_compared_and_a_missing_one_is_named() {
    let gate = written(
        "[[gate.check]]\nkind = \"mirror\"\nfile = \"schema.json\"\ncopies = [\"go/schema.json\", \"ts/schema.json\", \"py/schema.json\"]\n",
    );
    let source = Memory::new().file("schema.json", "{}\n");
    let core = Memory::new().file("go/schema.json", "{}\n").file("ts/schema.json", "{ }\n");
    let report = branch_of(&gate, core, source);
    assert_eq!(said(&report), ["copy-differs schema.json", "copy-missing schema.json"]);
    assert_eq!(report.findings[0].baked.as_deref(), Some("ts/schema.json"));
    assert_eq!(report.findings[1].fix, "copy schema.json of the source to py/schema.json");
    assert_eq!(report.files_compared, 2);
}

#[test]
fn a_source_that_lacks_the_file_is_drift_unless_it_is_optional() {
    let check = "[[gate.check]]\nkind = \"mirror\"\nfile = \"schema.json\"\ncopies = [\"schema.json\"]\n";
    let source = Memory::new().file("README.md", "archived\n");
    let core = Memory::new().file("schema.json", "{}\n");
    assert_eq!(said(&branch_of(&written(check), core.clone(), source.clone())), ["missing-in-source schema.json"]);
    let optional = written(&format!("optional = [\"schema.json\"]\n{check}"));
    assert_eq!(said(&branch_of(&optional, core, source.clone())), ["copy-extra schema.json"]);
    assert_eq!(branch_of(&optional, Memory::new().file("x", "x"), source).verdict, Verdict::InSync);
}

const TREE: &str = "[[gate.check]]\nkind = \"mirror\"\nfolder = \"fixtures\"\ninclude = [\"**/*.json\"]\nexclude = [\"drafts/**\"]\ncopies = [\"tests/fixtures\"]\n";

#[test]
fn a_folder_is_mirrored_with_what_is_included_and_nothing_more() {
    let source = Memory::new()
        .file("fixtures/a.json", "1\n")
        .file("fixtures/deep/b.json", "2\n")
        .file("fixtures/drafts/c.json", "3\n")
        .file("fixtures/README.md", "words\n")
        .file("other.json", "4\n");
    let core = Memory::new()
        .file("tests/fixtures/a.json", "1\n")
        .file("tests/fixtures/deep/b.json", "2\n")
        .file("tests/fixtures/drafts/own.json", "5\n")
        .file("tests/fixtures/notes.md", "own words\n");
    let report = branch_of(&written(TREE), core.clone(), source.clone());
    assert_eq!((told(&report), report.verdict, report.files_compared), (vec![], Verdict::InSync, 2));
    let core = core.without("tests/fixtures/a.json").file("tests/fixtures/old.json", "6\n");
    let report = branch_of(&written(TREE), core, source);
    assert_eq!(said(&report), ["copy-missing fixtures/a.json", "copy-extra tests/fixtures/old.json"]);
    assert_eq!(report.findings[1].fix, "remove tests/fixtures/old.json, or add fixtures/old.json to the source");
}

#[test]
fn a_folder_without_files_is_never_equal_to_another_one() {
    let report = branch_of(&written(TREE), Memory::new().file("x", "x"), Memory::new().file("fixtures/README.md", "x"));
    assert_eq!((said(&report), report.files_compared), (vec!["missing-in-source fixtures".to_owned()], 0));
    let whole = written("[[gate.check]]\nkind = \"mirror\"\nfolder = \".\"\ncopies = [\"vendor/contracts\"]\n");
    let source = Memory::new().file("a", "1").file("b/c", "2");
    let core = Memory::new().file("vendor/contracts/a", "1").file("vendor/contracts/b/c", "2");
    assert_eq!(branch_of(&whole, core, source).verdict, Verdict::InSync);
}

#[test]
fn a_link_is_copied_as_a_link_and_a_submodule_as_a_submodule() {
    let gate = written("[[gate.check]]\nkind = \"mirror\"\nfolder = \"f\"\ncopies = [\"f\"]\n");
    let source = Memory::new().link("f/current", "v2").submodule("f/sub", id('e')).file("f/plain", "x");
    assert_eq!(branch_of(&gate, source.clone(), source.clone()).verdict, Verdict::InSync);
    let core = source.clone().link("f/current", "v1").submodule("f/sub", id('d')).link("f/plain", "x");
    assert_eq!(
        said(&branch_of(&gate, core, source)),
        ["copy-differs f/current", "copy-differs f/plain", "copy-differs f/sub"]
    );
}

#[test]
fn a_file_that_is_too_large_for_data_is_undecided() {
    let large = format!("\"{}\"", "x".repeat(9 << 20));
    let said = mirrored("json", &large, &large);
    assert_eq!(said, ["undecided: contract: it is larger than 8 MiB: it is not compared as data"]);
    assert_eq!(mirrored("bytes", &large, "x"), ["copy is not contract of the source"]);
}

#[test]
fn a_link_that_was_copied_as_a_file_is_what_it_leads_to() {
    let gate = written("[[gate.check]]\nkind = \"mirror\"\nfile = \"latest.json\"\ncopies = [\"copy.json\"]\n");
    let source = Memory::new().link("latest.json", "v2.json").file("v2.json", "2\n");
    assert_eq!(branch_of(&gate, Memory::new().file("copy.json", "2\n"), source.clone()).verdict, Verdict::InSync);
    let linked = Memory::new().link("copy.json", "kept/v2.json").file("kept/v2.json", "2\n");
    assert_eq!(branch_of(&gate, linked, source.clone()).verdict, Verdict::InSync);
    let old = branch_of(&gate, Memory::new().file("copy.json", "1\n"), source);
    assert_eq!(told(&old), ["copy.json is not latest.json of the source: line 1 differs: line 1"]);
}

#[test]
fn a_copy_that_both_sides_of_a_merge_changed_is_undecided_and_hides_nothing() {
    let gate = written("[[gate.check]]\nkind = \"mirror\"\nfolder = \".\"\ncopies = [\"f\"]\n");
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', &[], Memory::new().file("one", "1").file("two", "2"));
    let core = |one: &str, two: &str| Memory::new().file("f/one", one).file("f/two", two);
    let root = world.add(Side::Consumer, '0', &[], core("1", "2"));
    let base = world.add(Side::Consumer, 'c', &[&root], core("ours", "2"));
    let head = world.add(Side::Consumer, 'f', &[&root], core("theirs", "other"));
    let report = judge(&gate, &Case::ConsumerPull { head, base, source }, &world).expect("everything is here");
    assert_eq!(
        told(&report),
        [
            "f/two is not two of the source: line 1 differs: line 1",
            "undecided: f/one: both sides changed it and a merge would conflict; merge the base into the branch",
        ]
    );
}

//! A pull request that changes `.drift-gate.toml`: what it asks less for is said, what it asks more for is not.

use crate::config::{Config, Gate};
use crate::gate::finding::Kind;
use crate::gate::weakened;

const FILE: &str = ".drift-gate.toml";

/// Two gates: an image and what was copied out of the source.
const OLD: &str = r#"
[[gate]]
name = "agent"
source = { url = "https://git.example.org/molecule/template", branch = "main" }
consumer = { branches = ["main", "release/*"] }
binding = { pin = "manifest.json", at = "agent.ref", require = { repo = "molecule/template", kind = "agent" } }
identity = ["config.yaml", "prompts/*.md"]
ignore = ["README.md", "docs/**"]
optional = ["hooks/**"]
inherited = "fail"
grace = "1h"
strict_assumptions = true

[[gate.check]]
kind = "bake"
dockerfile = "Dockerfile"
source_dir = ".deps/agent"
destination = "/opt/agent"
build_args = { LEVEL = "3" }

[[gate]]
name = "contracts"
source = { url = "https://git.example.org/molecule/contracts", branch = "main" }
binding = { pin = ".contracts-sha", whole = true }

[[gate.check]]
kind = "mirror"
folder = "schemas"
include = ["*.json"]
exclude = ["draft.json"]
copies = ["api", "canvas"]

[[gate.check]]
kind = "mirror"
file = "LICENSE"
copies = ["LICENSE"]
compare = "text"

[[gate.check]]
kind = "values"
source = { file = "tokens.json", at = "names[*]" }
consumer = { file = "app.css", css = [":root"] }
only = ["--color-*"]
least = 5

[[gate.check]]
kind = "pin"
requires = ["config.yaml"]

[[gate.check]]
kind = "absent"
paths = ["legacy/**"]

[[gate.check]]
kind = "absent"
file = "Dockerfile"
regex = ':latest'
"#;

fn gates(text: &str) -> Vec<Gate> {
    Config::parse_laptop(text, FILE).unwrap_or_else(|error| panic!("{error}")).gates
}

/// What is said of the change of these lines.
#[track_caller]
fn said(changes: &[(&str, &str)]) -> Vec<String> {
    let new = changes.iter().fold(OLD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in the file");
        text.replacen(from, to, 1)
    });
    let found = weakened(&gates(OLD), &gates(&new), FILE);
    for finding in &found {
        assert_eq!((finding.kind, finding.path.as_str()), (Kind::GateWeakened, FILE));
        assert_eq!(finding.cause.as_ref().map(|cause| cause.file.as_str()), Some(FILE));
        assert!(finding.fix.starts_with("restore it in .drift-gate.toml"), "{}", finding.fix);
    }
    found.into_iter().map(|finding| finding.message).collect()
}

#[track_caller]
fn each_says(rows: &[(&str, &str, &str)]) {
    for (from, to, expected) in rows {
        let expected: Vec<String> =
            Some(*expected).filter(|text| !text.is_empty()).map(str::to_owned).into_iter().collect();
        assert_eq!(said(&[(from, to)]), expected, "{from} => {to}");
    }
}

#[test]
fn the_same_gates_in_another_order_with_other_comments_are_as_strong() {
    let (first, second) = OLD[1..].split_once("\n[[gate]]\n").expect("two gates");
    let turned = format!("# new\n[[gate]]\n{second}\n{first}\n");
    assert_eq!(weakened(&gates(OLD), &gates(&turned), FILE), []);
}

#[test]
fn what_is_gone_is_named() {
    each_says(&[
        ("name = \"agent\"", "name = \"agent-2\"", "gate agent: it is gone: nothing of it is compared any more"),
        (", \"release/*\"", "", "gate agent: `branches` does not name release/* any more"),
        (
            "consumer = { branches = [\"main\", \"release/*\"] }\n",
            "",
            "gate agent: `branches` named main, release/* and names none now",
        ),
        (
            "\"config.yaml\", \"prompts/*.md\"",
            "\"prompts/*.md\"",
            "gate agent: `identity` does not name config.yaml any more",
        ),
        ("\"prompts/*.md\"", "\"prompts/system.md\"", "gate agent: `identity` does not name prompts/*.md any more"),
        (", kind = \"agent\"", "", "gate agent: `require` does not ask for kind = \"agent\" any more"),
        ("kind = \"agent\"", "kind = \"any\"", "gate agent: `require` does not ask for kind = \"agent\" any more"),
        (", \"canvas\"", "", "gate contracts: `copies` does not name canvas any more"),
        ("[\"*.json\"]", "[\"tool.json\"]", "gate contracts: `include` does not name *.json any more"),
        ("file = \"LICENSE\"", "file = \"NOTICE\"", "gate contracts: the check `mirror of LICENSE` is gone"),
        ("app.css", "b.css", "gate contracts: the check `values of tokens.json and app.css` is gone"),
        ("requires = [\"config.yaml\"]", "", "gate contracts: `requires` does not name config.yaml any more"),
        (
            "kind = \"pin\"\nrequires = [\"config.yaml\"]",
            "kind = \"absent\"\npaths = [\"x\"]",
            "gate contracts: the check `pin` is gone",
        ),
        ("legacy/**", "legacy/a", "gate contracts: `paths` does not name legacy/** any more"),
        (":latest", ":edge", "gate contracts: the check `absent from Dockerfile` is gone"),
        ("/opt/agent", "/srv/agent", "gate agent: the check `bake of Dockerfile to /opt/agent` is gone"),
    ]);
}

#[test]
fn what_softens_is_named_when_it_is_added() {
    each_says(&[
        ("\"docs/**\"", "\"docs/**\", \"tools/*\"", "gate agent: `ignore` names tools/* as well"),
        (
            "\"hooks/**\"",
            "\"hooks/**\", \"new.yaml\"",
            "gate agent: `optional` names new.yaml as well: it need not be there any more",
        ),
        (
            "grace = \"1h\"",
            "grace = \"1h\"\nunlisted = \"notice\"",
            "gate agent: `unlisted = \"notice\"`: a file of the source that no list names is only told",
        ),
        (
            "inherited = \"fail\"",
            "",
            "gate agent: `inherited = \"pass\"`: what the base has already does not fail a pull request",
        ),
        (
            "grace = \"1h\"",
            "grace = \"1h\"\nstale = \"notice\"",
            "gate agent: `stale = \"notice\"`: a pin that is behind is only told",
        ),
        ("grace = \"1h\"", "grace = \"2h\"", "gate agent: `grace` is longer: 7200 s instead of 3600 s"),
        (
            "grace = \"1h\"",
            "grace = \"1h\"\nunreadable_after = \"1d\"",
            "gate agent: `unreadable_after` is longer: 86400 s instead of 3600 s",
        ),
        (
            "grace = \"1h\"",
            "grace = \"1h\"\nadvisory = true",
            "gate agent: `advisory = true`: drift does not fail anything",
        ),
        ("strict_assumptions = true", "", "gate agent: `strict_assumptions` is off: what is assumed counts as known"),
        (
            "grace = \"1h\"",
            "grace = \"1h\"\nquote = \"always\"",
            "gate agent: `quote = \"always\"`: file contents are shown to everyone who has the address",
        ),
        ("[\"draft.json\"]", "[\"draft.json\", \"tool.json\"]", "gate contracts: `exclude` names tool.json as well"),
        ("compare = \"text\"", "compare = \"json\"", "gate contracts: `compare` is json instead of text"),
        (
            "copies = [\"api\", \"canvas\"]",
            "copies = [\"api\", \"canvas\"]\ncompare = \"text\"",
            "gate contracts: `compare` is text instead of bytes",
        ),
        (
            "least = 5",
            "least = 5\ncompare = \"subset\"",
            "gate contracts: the values of app.css need only be a subset of the source's",
        ),
        ("least = 5", "least = 4", "gate contracts: the values of app.css: `least` is 4 instead of 5"),
        ("\"--color-*\"", "\"--color-a\"", "gate contracts: `only` does not name --color-* any more"),
    ]);
}

#[test]
fn what_nobody_can_weigh_counts_as_weaker() {
    each_says(&[
        (
            "name = \"agent\"",
            "name = \"agent\"\ncontext = \"drift-gate/agent\"",
            "gate agent: its status is called `drift-gate/agent` instead of `drift-gate`",
        ),
        (
            "molecule/template\", branch",
            "somebody/fork\", branch",
            "gate agent: it has another source, or another branch of it",
        ),
        (
            "branch = \"main\" }\nconsumer",
            "branch = \"next\" }\nconsumer",
            "gate agent: it has another source, or another branch of it",
        ),
        ("agent.ref", "agent.sha", "gate agent: its `binding` is another: the source's commit is looked for elsewhere"),
        (
            "{ pin = \".contracts-sha\", whole = true }\n\n[[gate.check]]\nkind = \"mirror\"",
            "{ pin = \".sha\", whole = true }\n\n[[gate.check]]\nkind = \"mirror\"",
            "gate contracts: its `binding` is another: the source's commit is looked for elsewhere",
        ),
        (
            ".deps/agent",
            "vendor/agent",
            "gate agent: the bake of Dockerfile has another `source_dir`: vendor/agent instead of .deps/agent",
        ),
        (
            "dockerfile = \"Dockerfile\"",
            "dockerfile = \"Dockerfile\"\ncontext = \"web\"",
            "gate agent: the bake of Dockerfile has another `context`: web instead of .",
        ),
        (
            "LEVEL = \"3\" }",
            "LEVEL = \"3\" }\ntarget = \"runtime\"",
            "gate agent: the bake of Dockerfile builds another stage: runtime instead of the last one",
        ),
        (
            "LEVEL = \"3\" }",
            "LEVEL = \"3\" }\ngit_context = true",
            "gate agent: the bake of Dockerfile has `git_context = true` now",
        ),
        (
            "LEVEL = \"3\" }",
            "LEVEL = \"3\" }\ngenerated = [\"out/**\"]",
            "gate agent: `generated` names out/** as well",
        ),
        ("LEVEL = \"3\"", "LEVEL = \"4\"", "gate agent: the bake of Dockerfile has another build argument LEVEL"),
        (
            "names[*]",
            "others[*]",
            "gate contracts: the values of app.css are taken out of the source's file in another way",
        ),
    ]);
}

#[test]
fn what_asks_for_more_is_nobodys_concern() {
    let tighter = [
        (", \"release/*\"", ", \"release/*\", \"next\""),
        ("\"release/*\"", "\"release/**\""),
        ("\"prompts/*.md\"", "\"prompts/*.md\", \"tools.yaml\""),
        ("\"prompts/*.md\"", "\"prompts/**\""),
        ("\"README.md\", \"docs/**\"", "\"docs/**\""),
        ("\"docs/**\"", "\"docs/api/**\""),
        ("\"README.md\", \"docs/**\"]\noptional = [\"hooks/**\"]", "\"docs/**\"]\noptional = [\"README.md\"]"),
        ("optional = [\"hooks/**\"]", ""),
        ("grace = \"1h\"", ""),
        ("grace = \"1h\"", "grace = \"1h\"\nunreadable_after = \"5m\""),
        ("kind = \"agent\" }", "kind = \"agent\", more = \"x\" }"),
        ("compare = \"text\"", "compare = \"bytes\""),
        ("exclude = [\"draft.json\"]", ""),
        ("[\"*.json\"]", "[\"**\"]"),
        (", \"canvas\"]", ", \"canvas\", \"docs\"]"),
        ("least = 5", "least = 6"),
        ("only = [\"--color-*\"]", ""),
        ("paths = [\"legacy/**\"]", "paths = [\"legacy/**\", \"old\"]"),
        ("[[gate]]\nname = \"contracts\"", "[[gate.check]]\nkind = \"pin\"\n[[gate]]\nname = \"contracts\""),
    ];
    for change in tighter {
        assert_eq!(said(&[change]), Vec::<String>::new(), "{change:?}");
    }
    assert_eq!(weakened(&[], &gates(OLD), FILE), []);
}

#[test]
fn a_name_that_had_to_exist_is_gone_also_where_a_glob_takes_its_place() {
    assert_eq!(
        said(&[("\"config.yaml\", \"prompts/*.md\"", "\"**\"")]),
        ["gate agent: `identity` does not name config.yaml any more"]
    );
    assert_eq!(
        said(&[
            ("\"config.yaml\", \"prompts/*.md\"", "\"prompts/*.md\""),
            ("\"hooks/**\"", "\"hooks/**\", \"config.yaml\"")
        ]),
        ["gate agent: `identity` does not name config.yaml any more"],
        "that it may be absent now is told once"
    );
}

#[test]
fn a_check_is_kept_when_one_new_check_asks_for_all_of_it() {
    let split = "kind = \"mirror\"\nfile = \"a.json\"\ncopies = [\"x.json\"]\n[[gate.check]]\nkind = \"mirror\"\nfile = \"a.json\"\ncopies = [\"y.json\"]";
    let one = "kind = \"mirror\"\nfile = \"a.json\"\ncopies = [\"x.json\", \"y.json\"]";
    let with = |checks: &str| {
        let (head, _) = OLD.split_once("[[gate.check]]\nkind = \"mirror\"").expect("a mirror");
        gates(&format!("{head}[[gate.check]]\n{checks}\n"))
    };
    assert_eq!(weakened(&with(split), &with(one), FILE), []);
    let found = weakened(&with(one), &with(split), FILE);
    assert_eq!(found.len(), 1, "each of the two asks for less than the one did: {found:?}");
}

#[test]
fn all_that_a_change_loosens_is_said_in_the_order_of_the_old_file() {
    assert_eq!(
        said(&[("least = 5", "least = 1"), ("grace = \"1h\"", "advisory = true"), ("\"README.md\"", "\"*\""),]),
        [
            "gate agent: `ignore` names * as well",
            "gate agent: `advisory = true`: drift does not fail anything",
            "gate contracts: the values of app.css: `least` is 1 instead of 5",
        ]
    );
}

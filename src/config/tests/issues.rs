//! `issues`: where comments are commands about a gate, and whose issues a file may name.

use super::super::model::{Bringer, Commands, Issue, Repository};
use super::*;

fn naming(issues: &str) -> String {
    with("ignore = [", &format!("issues = [{issues}]\nignore = ["))
}

fn place(forge: &str, repo: &str) -> Place {
    Place::Forge { forge: forge.to_owned(), repo: repo.to_owned() }
}

/// The first fault of the service's file, with what to do.
#[track_caller]
fn fault(text: &str) -> String {
    let error = Config::parse(text, "drift-gate.toml").expect_err("a fault");
    let first = &error.diagnostics()[0];
    format!("{} => {}", first.message, first.help)
}

#[test]
fn a_gate_names_issues_of_either_side_as_people_write_them() {
    let found =
        good(&naming("\"molecule/core#12\", \"Molecule/Template#3\", \"main/molecule/core#7\"")).gates.remove(0);
    let expected = [("molecule/core", 12), ("molecule/template", 3), ("molecule/core", 7)];
    assert_eq!(found.issues, expected.map(|(repo, number)| Issue { place: place("main", repo), number }));
    assert!(good(GOOD).gates[0].issues.is_empty(), "none where the file names none");
    assert_eq!(found.digest, good(GOOD).gates[0].digest, "no verdict depends on it");
}

#[test]
fn two_gates_may_name_the_same_issue() {
    let one = naming("\"molecule/core#12\"");
    let gate = one[one.find("[[gate]]").expect("a gate")..].replace("name = \"agent\"", "name = \"other\"");
    let gates = good(&format!("{one}\n{gate}")).gates;
    assert_eq!((gates.len(), &gates[0].issues), (2, &gates[1].issues));
}

#[test]
fn what_is_no_issue_of_the_gate_is_refused_with_what_to_write() {
    for (issue, words) in [
        (
            "molecule/payroll#12",
            "names molecule/payroll, which is no side of this gate => name an issue of its own: `molecule/core#12` or `molecule/template#12`",
        ),
        ("other/molecule/core#12", "names other/molecule/core, which is no side of this gate"),
        (
            "molecule/core#0",
            "`issues` has `0` for a number => write repository and number, for example `molecule/core#12`",
        ),
        ("molecule/core#", "has `` for a number"),
        ("molecule/core#-1", "has `-1` for a number"),
        ("molecule/core#+1", "has `+1` for a number"),
        ("molecule/core#99999999999999999999", "for a number"),
        ("molecule/core", "`issues` is no issue"),
        ("#12", "names a repository that is not `owner/name`"),
        ("https://git.example.org/molecule/core/issues/12", "is no issue"),
        ("core#12", "names a repository that is not `owner/name`"),
        ("", "is no issue"),
    ] {
        let said = fault(&naming(&format!("\"{issue}\"")));
        assert!(said.contains(words), "{issue}: {said}");
    }
}

#[test]
fn where_both_sides_have_one_name_the_forge_stands_in_front() {
    let forge = "[forge.hub]\nkind = \"github\"\nurl = \"https://github.com\"\n[forge.main]";
    let two = |issue: &str| {
        let text = naming(&format!("\"{issue}\"")).replace("[forge.main]", forge);
        text.replace("forge = \"main\", repo = \"molecule/template\"", "forge = \"hub\", repo = \"molecule/core\"")
    };
    let said = fault(&two("molecule/core#12"));
    assert!(
        said.contains(
            "both sides of the gate are called so => write `main/molecule/core#12` or `hub/molecule/core#12`"
        ),
        "{said}"
    );
    assert_eq!(good(&two("hub/molecule/core#12")).gates[0].issues[0].place, place("hub", "molecule/core"));
}

#[test]
fn a_gate_that_judges_no_head_of_the_source_names_no_issue_there() {
    let release = |issue: &str| naming(&format!("\"{issue}\"")).replace("ignore = [", "stale = \"notice\"\nignore = [");
    assert!(fault(&release("molecule/template#3")).contains("of which this gate judges nothing"));
    assert_eq!(good(&release("molecule/core#3")).gates[0].issues.len(), 1);
}

#[test]
fn a_repository_s_own_file_names_its_own_issues_and_nobody_else_s() {
    let file = |issue: &str| {
        format!(
            "[[gate]]\nname = \"tokens\"\nsource = {{ url = \"https://git.example.org/molecule/design-tokens\", branch = \"main\" }}\n\
             binding = {{ follow = true }}\nissues = [\"{issue}\"]\n[[gate.check]]\nkind = \"mirror\"\nfile = \"tokens.css\"\n\
             copies = [\"canvas/tokens.css\"]\n"
        )
    };
    let repository = Repository {
        forge: "main".into(),
        repo: "molecule/canvas".into(),
        sources: vec!["molecule/design-tokens".into()],
        commands: Commands::default(),
        is_github: false,
    };
    let bringer =
        Bringer { repository: &repository, forge_url: "https://git.example.org", default_branch: "main", taken: &[] };
    let brought = |issue: &str| Config::parse_brought(&file(issue), ".drift-gate.toml", &bringer);
    let found = brought("molecule/canvas#4").expect("gates").remove(0);
    assert_eq!(found.issues, [Issue { place: place("main", "molecule/canvas"), number: 4 }]);
    for (issue, words) in [
        ("molecule/design-tokens#4", "an issue of the source is not for a repository to name"),
        ("molecule/payroll#4", "names molecule/payroll, which is no side of this gate"),
    ] {
        let said = brought(issue).expect_err("a fault").to_string();
        assert!(said.contains(words), "{said}");
    }
    // On a laptop nobody knows what the repository is called.
    let laptop = |issue: &str| Config::parse_laptop(&file(issue), ".drift-gate.toml").expect("gates").gates.remove(0);
    assert_eq!(laptop("molecule/canvas#4").issues[0].place, Place::Here);
}

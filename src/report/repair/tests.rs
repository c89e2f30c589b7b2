//! What a reader of the pull request sees, whatever the files and people of the source are called.

use std::collections::BTreeMap;

use super::*;
use crate::config::{Config, Template};
use crate::gate::finding::{Assumption, Cause};
use crate::gate::verdict::{BindingState, ConsumerSide, SourceSide};

const GATE: &str = r#"
[server]
public_url = "https://drift-gate.example.org"
[forge.main]
kind = "gitea"
url = "https://git.example.org"
[[gate]]
name = "identity"
source = { forge = "main", repo = "molecule/template", branch = "main" }
consumer = { forge = "main", repo = "molecule/core", branches = ["main"] }
binding = { pin = "manifest.json", at = "ref" }
[[gate.check]]
kind = "pin"
"#;

const HOSTILE: &str = "prompts/`@everyone` ![x](https://x.example/a.png)\n## <b>|\u{202e}.md";

fn gate() -> Gate {
    Config::parse(GATE, "drift-gate.toml").expect("a configuration").gates.remove(0)
}

fn id(digit: char) -> ObjectId {
    ObjectId::parse(&digit.to_string().repeat(40)).expect("an id")
}

fn report(verdict: Verdict, bound: char, findings: Vec<Finding>) -> Report {
    let commit = |digit| Some(Revision::Commit(id(digit)));
    Report {
        schema: 1,
        gate: "identity".into(),
        context: "drift-gate".into(),
        verdict,
        findings,
        undecided: Vec::new(),
        assumptions: vec![Assumption {
            file: "Dockerfile".into(),
            line: Some(1),
            text: "the image base is empty".into(),
        }],
        consumer: ConsumerSide { repo: "molecule/core".into(), commit: commit('c'), base: None },
        source: SourceSide { repo: "molecule/template".into(), bound: commit(bound), head: commit('b'), base: None },
        binding: BindingState { kind: "pin".into(), state: "stale".into(), behind: Some(1) },
        files_compared: 2,
        bytes_compared: 26,
        engine: "0".into(),
        config_digest: "d".into(),
    }
}

fn stale(path: &str) -> Finding {
    let cause = Cause { file: "manifest.json".into(), line: Some(1) };
    let message = format!("{path} at the pinned commit is not the one on main");
    Finding::new(Kind::Stale, path, message, "move the pin").at(Some(cause))
}

fn edit(path: &str, was: Option<char>) -> Edit {
    let content = Some(b"x".to_vec());
    Edit { path: path.into(), content, executable: false, was: was.map(id), in_place: true }
}

fn repair(side: Side, findings: Vec<Finding>) -> Repair {
    Repair {
        side,
        edits: vec![edit("manifest.json", Some('1'))],
        dispatch: None,
        source: Some(id('b')),
        quotes: false,
        pull: PullRequest::default(),
        before: report(Verdict::Drift, 'a', findings),
        after: report(Verdict::InSync, 'b', vec![stale("notes.txt").notice()]),
    }
}

/// Two texts for each path.
struct Pairs(BTreeMap<String, (String, String)>);

impl Texts for Pairs {
    fn consumer(&self, _: &str) -> Option<String> {
        None
    }

    fn pair(&self, finding: &Finding) -> Option<(String, String)> {
        self.0.get(&finding.path).cloned()
    }
}

fn pairs(all: &[(&str, &str, &str)]) -> Pairs {
    let all = all.iter().map(|(path, old, new)| ((*path).to_owned(), ((*old).to_owned(), (*new).to_owned())));
    Pairs(all.collect())
}

fn commit(subject: &str, author: &str) -> Commit {
    let link = Some(format!("https://git.example.org/molecule/template/commit/{}", id('b')));
    Commit { id: id('b'), subject: subject.into(), author: author.into(), link }
}

fn told(repair: &Repair, commits: &[Commit], discreet: bool, texts: &Pairs) -> String {
    let gate = gate();
    let gate_id = "main/molecule/core:identity";
    body(&[Proposal { gate: &gate, gate_id, repair, commits, more_commits: 0, discreet, texts }])
}

#[test]
fn a_reader_sees_what_differs_what_is_written_both_verdicts_and_how_to_say_no() {
    let texts = pairs(&[("config.yaml", "name: Concierge\n", "name: Caretaker\n")]);
    let commits = [commit("Rename the concierge", "Alice")];
    let expected = format!(
        "\
<!-- drift-gate repair: main/molecule/core:identity {source} -->

identity: adopts `bbbbbbbb` of `molecule/template`. Files that are written:

- `manifest.json`: edited, the rest of the file stays

### What differs

- **stale** `config.yaml`: config.yaml at the pinned commit is not the one on main

  <details><summary>the difference</summary>

  ```diff
  --- at the pin
  +++ on the branch
  @@ -1 +1 @@
  -name: Concierge
  +name: Caretaker
  ```

  </details>


### Commits of `molecule/template` since

- [`bbbbbbbb`](<https://git.example.org/molecule/template/commit/{source}>) Rename the concierge — Alice

### The verdict

| | verdict | compared | `molecule/template` at |
|---|---|---|---|
| now | ❌ drift | 2 files, 26 bytes | `aaaaaaaa` |
| merged | ✅ in sync | 2 files, 26 bytes | `bbbbbbbb` |

Softened or assumed in this: 1 notice, 1 assumption.
- notes.txt at the pinned commit is not the one on main
- assumed: the image base is empty

---

To refuse this, close it: it is not opened again for `bbbbbbbb`. Commits that you push to its branch stay; drift-gate then \
writes to it no more. It closes by itself when the drift ends otherwise.
",
        source = id('b'),
    );
    assert_eq!(told(&repair(Side::Consumer, vec![stale("config.yaml")]), &commits, false, &texts), expected);
}

#[test]
fn nothing_in_a_name_a_subject_or_a_content_acts() {
    let texts = pairs(&[(HOSTILE, "````\n@everyone\n", "`````\n\u{1b}[2J <!-- \u{202e}\n")]);
    let commits = [commit("fixes #1 @everyone [a](https://x.example) <img src=x>\n# two", "@bob |")];
    let said = told(&repair(Side::Consumer, vec![stale(HOSTILE)]), &commits, false, &texts);
    for (number, line) in said.lines().enumerate() {
        let is_ours = number == 0 || line.contains("details>") || line.contains("https://git.example.org");
        let in_code = line.starts_with("  -") || line.starts_with("  +") || line.contains("``");
        assert!(is_ours || in_code || !line.contains("@everyone"), "mentions somebody: {line}");
        assert!(is_ours || in_code || !line.contains("](http") && !line.contains('<'), "is active: {line}");
        assert!(!line.starts_with("# ") && !line.starts_with("## "), "a heading of somebody else's: {line}");
        assert!(!line.contains(['\u{202e}', '\u{1b}']), "is not seen: {line:?}");
    }
    assert!(said.contains("``````diff\n"), "no line of the content ends the block: {said}");
}

#[test]
fn where_the_source_is_private_nothing_of_it_is_named() {
    let texts = pairs(&[("config.yaml", "secret one\n", "secret two\n")]);
    let commits = [commit("Secret subject", "Secret Author")];
    let mut repair = repair(Side::Consumer, vec![stale("config.yaml"), stale("mcp.yaml")]);
    repair.edits.push(edit("secret-name.yaml", None));
    let said = told(&repair, &commits, true, &texts);
    for word in ["config.yaml", "mcp.yaml", "ecret", "Author", "molecule/template", "notes.txt"] {
        assert!(!said.contains(word), "`{word}` is told:\n{said}");
    }
    for word in ["`manifest.json`", "**stale** (2 times)", "❌ drift", "`bbbbbbbb`", "… and 1 more"] {
        assert!(said.contains(word), "`{word}` is not told:\n{said}");
    }
}

#[test]
fn where_the_consumer_is_private_an_offer_to_the_source_does_not_name_it() {
    let differs = Finding::new(Kind::CopyDiffers, "a.json", "internal/a.json is not a.json", "copy it");
    let said = told(&repair(Side::Source, vec![differs]), &[], true, &pairs(&[]));
    assert!(!said.contains("molecule/core") && !said.contains("internal"), "{said}");
    assert!(said.starts_with("<!-- drift-gate repair: ") && said.contains("`molecule/template`"), "{said}");
}

#[test]
fn an_offer_shows_what_becomes_of_the_source_and_what_is_refused_with_it() {
    let differs = Finding::new(Kind::CopyDiffers, "a.json", "copies/a.json is not a.json", "copy it");
    let offer = repair(Side::Source, vec![differs]);
    let said = told(&offer, &[], false, &pairs(&[("a.json", "edited\n", "original\n")]));
    for words in
        ["--- in the source\n  +++ in the consumer\n", "-original\n  +edited\n", "not opened again for what it offers"]
    {
        assert!(said.contains(words), "`{words}` is not told:\n{said}");
    }
    assert!(said.starts_with(&format!("<!-- drift-gate repair: main/molecule/core:identity {} -->", offer.key())));
}

#[test]
fn a_long_repair_is_cut_where_a_forge_would_cut_it() {
    let paths: Vec<String> = (0..500).map(|number| format!("{}{number}.md", "deep/".repeat(200))).collect();
    let text = |end: &str| (0..2_000).map(|line| format!("{line} {}{end}\n", "x".repeat(300))).collect::<String>();
    let texts: Vec<(&str, String, String)> =
        paths.iter().map(|path| (path.as_str(), text("a"), text("b"))).take(30).collect();
    let texts: Vec<(&str, &str, &str)> =
        texts.iter().map(|(path, old, new)| (*path, old.as_str(), new.as_str())).collect();
    let commits: Vec<Commit> = (0..500).map(|_| commit(&"long ".repeat(1_000), "Alice")).collect();
    let repair = repair(Side::Consumer, paths.iter().map(|path| stale(path)).collect());
    let said = told(&repair, &commits, false, &pairs(&texts));
    assert!(said.len() < 65_000, "{}", said.len());
    assert_eq!(said.matches("```").count() % 2, 0, "no block is left open");
    let short = self::repair(Side::Consumer, (0..500).map(|number| stale(&format!("{number}.md"))).collect());
    assert!(told(&short, &[], false, &pairs(&[])).contains("- … and 450 more"));
}

#[test]
fn a_title_is_one_line_of_bearable_length() {
    let pull = PullRequest { title: Template::new("{gate}: {source_short}"), ..PullRequest::default() };
    let words = Words { gate: "identity", source: "0123456789", consumer_branch: "main" };
    assert_eq!(title(&pull, &words), "identity: 01234567");
    let long = "x\u{202e}\n".repeat(300);
    let words = Words { gate: &long, ..words };
    let said = title(&pull, &words);
    assert!(said.chars().count() <= 250 && !said.contains(['\n', '\u{202e}']), "{said}");
}

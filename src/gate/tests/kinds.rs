//! What holds for every kind of check alike: the four rows, identity, staleness, and that nothing compared is never green.

use super::*;
use crate::config::Config;
use crate::tree::{Need, Node, Objects};

/// A gate as an operator writes it: the lines of the gate and its checks.
pub(super) fn written(lines: &str) -> Gate {
    let binding = if lines.contains("binding =") { "" } else { "binding = { follow = true }\n" };
    let source = "source = { url = \"https://git.example.org/molecule/contracts\", branch = \"main\" }\n";
    let text = format!("[[gate]]\nname = \"contracts\"\n{source}{binding}{lines}");
    let config = Config::parse_laptop(&text, ".drift-gate.toml").unwrap_or_else(|error| panic!("{error}"));
    config.gates.into_iter().next().expect("one gate")
}

/// The kinds, paths and lines of what fails, and the reasons of what is undecided.
pub(super) fn told(report: &Report) -> Vec<String> {
    let counted = report.findings.iter().filter(|finding| finding.severity == Severity::Error && !finding.inherited);
    let findings = counted.map(|finding| match finding.cause.as_ref().and_then(|cause| cause.line) {
        Some(line) => format!("{}: line {line}", finding.message),
        None => finding.message.clone(),
    });
    let undecided = report.undecided.iter().filter(|part| !part.inherited);
    findings.chain(undecided.map(|part| format!("undecided: {}: {}", part.path, part.reason))).collect()
}

/// A pull request of the consumer onto its base, both from the base's tree.
pub(super) fn consumer_pull(gate: &Gate, source: Memory, base: Memory, head: Memory) -> Report {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', &[], source);
    let root = world.add(Side::Consumer, '0', &[], base.clone());
    let base = world.add(Side::Consumer, 'c', &[&root], base);
    let head = world.add(Side::Consumer, 'f', &[&root], head);
    judge(gate, &Case::ConsumerPull { head, base, source }, &world).expect("everything is here")
}

/// A pull request of the source onto its base, both from the base's tree.
pub(super) fn source_pull(gate: &Gate, consumer: Memory, base: Memory, head: Memory) -> Report {
    let mut world = Repositories::default();
    let root = world.add(Side::Source, '0', &[], base.clone());
    let base = world.add(Side::Source, 'a', &[&root], base);
    let head = world.add(Side::Source, 'f', &[&root], head);
    let consumer = world.add(Side::Consumer, 'c', &[], consumer);
    judge(gate, &Case::SourcePull { head, base, consumer }, &world).expect("everything is here")
}

const MIRRORED: &str = "[[gate.check]]\nkind = \"mirror\"\nfile = \"a.json\"\ncopies = [\"copy.json\"]\n";

#[test]
fn a_gate_without_identity_is_about_the_files_that_its_checks_name() {
    let source = Memory::new().file("a.json", "{\"a\": 1}\n").file("main.go", "package main\n");
    let report = branch_of(&written(MIRRORED), Memory::new().file("copy.json", "{\"a\": 1}\n"), source);
    assert_eq!((report.verdict, told(&report)), (Verdict::InSync, vec![]));
    assert_eq!((report.files_compared, report.bytes_compared), (1, 9));
}

#[test]
fn a_gate_with_identity_classifies_every_file_and_compares_all_of_its_identity() {
    let gate = written(&format!("identity = [\"*.json\"]\nignore = [\"README.md\"]\n{MIRRORED}"));
    let source = Memory::new().file("a.json", "{}").file("b.json", "{}").file("README.md", "x").file("c.txt", "x");
    let report = branch_of(&gate, Memory::new().file("copy.json", "{}"), source);
    assert_eq!(
        told(&report),
        [
            "b.json of the source is identity, and no check of the gate compares it",
            "c.txt of the source matches neither `identity` nor `ignore`",
        ]
    );
}

#[test]
fn two_bakes_of_one_gate_tell_an_unlisted_file_once() {
    let mut twice = gate();
    twice.checks.push(twice.checks[0].clone());
    let report = branch_of(&twice, core('a'), template().file("new.md", "x\n"));
    assert_eq!(said(&report), ["unlisted new.md"]);
}

#[test]
fn a_pinned_mirror_is_compared_with_the_pinned_commit_and_is_stale_in_what_it_copies() {
    let gate = written(&format!("binding = {{ pin = \"contracts.sha\", whole = true }}\n{MIRRORED}"));
    let judged = |newer: Memory| {
        let mut world = Repositories::default();
        let old = Memory::new().file("a.json", "{}\n").file("main.go", "old\n");
        let first = world.add(Side::Source, 'a', &[], old);
        let source = world.add(Side::Source, 'b', &[&first], newer);
        let pinning = Memory::new().file("contracts.sha", format!("{}\n", id('a'))).file("copy.json", "{}\n");
        let consumer = world.add(Side::Consumer, 'c', &[], pinning);
        judge(&gate, &Case::Branch { consumer, source }, &world).expect("everything is here")
    };
    let report = judged(Memory::new().file("a.json", "{}\n").file("main.go", "new\n"));
    assert_eq!((report.verdict, report.binding.state.as_str()), (Verdict::InSync, "behind"));
    let report = judged(Memory::new().file("a.json", "{\"new\": 1}\n").file("main.go", "old\n"));
    assert_eq!((said(&report), report.binding.state.as_str()), (vec!["stale a.json".to_owned()], "stale"));
}

#[test]
fn a_pull_request_answers_for_the_copy_that_it_breaks_and_not_for_the_one_that_was_broken() {
    let gate = written("[[gate.check]]\nkind = \"mirror\"\nfile = \"a.json\"\ncopies = [\"one.json\", \"two.json\"]\n");
    let source = Memory::new().file("a.json", "{\"a\": 1}\n");
    let broken = Memory::new().file("one.json", "{\"old\": 1}\n").file("two.json", "{\"a\": 1}\n");
    let docs = consumer_pull(&gate, source.clone(), broken.clone(), broken.clone().file("docs.md", "words\n"));
    assert_eq!(docs.verdict, Verdict::InSync, "{:?}", told(&docs));
    assert!(docs.findings[0].inherited);
    let worse = consumer_pull(&gate, source.clone(), broken.clone(), broken.clone().file("two.json", "{}\n"));
    assert_eq!(worse.findings.len(), 2);
    assert_eq!(told(&worse), ["two.json is not a.json of the source: line 1 differs: line 1"]);
    let edited = broken.clone().file("one.json", "{\"otherwise\": 1}\n");
    assert_eq!(consumer_pull(&gate, source, broken, edited).verdict, Verdict::Drift, "it is not the base's any more");
}

#[test]
fn a_pull_request_of_the_source_that_changes_a_copied_file_would_break_the_copy() {
    let gate = written(MIRRORED);
    let core = Memory::new().file("copy.json", "{}\n");
    let base = Memory::new().file("a.json", "{}\n").file("main.go", "x\n");
    assert_eq!(
        source_pull(&gate, core.clone(), base.clone(), base.clone().file("main.go", "y\n")).verdict,
        Verdict::InSync
    );
    let report = source_pull(&gate, core, base.clone(), base.file("a.json", "{\"b\": 1}\n"));
    assert_eq!(said(&report), ["copy-differs a.json"]);
}

#[test]
fn what_was_never_compared_is_never_inherited() {
    for lines in [
        "[[gate.check]]\nkind = \"mirror\"\nfile = \"gone.json\"\ncopies = [\"copy.json\"]\n",
        "[[gate.check]]\nkind = \"values\"\nsource = { file = \"a.json\", at = \"a[*]\" }\nconsumer = { file = \"gone.json\", at = \"a[*]\" }\n",
    ] {
        let (gate, source) = (written(lines), Memory::new().file("a.json", "{\"a\": [1]}\n"));
        let core = Memory::new().file("copy.json", "{}\n");
        let report = consumer_pull(&gate, source, core.clone(), core.file("docs.md", "words\n"));
        assert_eq!((report.verdict, report.files_compared), (Verdict::Drift, 0), "{lines}");
    }
}

/// A tree whose contents must be fetched first.
struct Remote {
    tree: Memory,
    repository: &'static str,
    fetched: Vec<ObjectId>,
}

impl Tree for Remote {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        self.tree.node(path)
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        self.tree.list(path)
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        self.tree.blob_id(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.expect(&[path])?;
        self.tree.read(path)
    }

    fn expect(&self, paths: &[&str]) -> Result<(), TreeError> {
        let ids = paths.iter().filter_map(|path| self.tree.blob_id(path).ok());
        let missing: Vec<ObjectId> = ids.filter(|id| !self.fetched.contains(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(TreeError::NotHere(Need { repository: self.repository.into(), objects: Objects::Blobs(missing) }))
    }
}

/// Both sides of a branch, fetched as they are asked for.
struct Fetching {
    sides: [(Side, Memory); 2],
    fetched: Vec<ObjectId>,
}

impl World for Fetching {
    fn tree(&self, side: Side, _: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        let repository = if side == Side::Source { "source" } else { "consumer" };
        let tree = self.sides.iter().find(|(one, _)| *one == side).expect("two sides").1.clone();
        Ok(Some(Arc::new(Remote { tree, repository, fetched: self.fetched.clone() })))
    }

    fn relation(&self, _: Side, _: &Revision, _: &Revision) -> Result<Relation, TreeError> {
        Ok(Relation::Same)
    }

    fn merge_bases(&self, _: Side, one: &Revision, _: &Revision) -> Result<Vec<Revision>, TreeError> {
        Ok(vec![one.clone()])
    }
}

#[test]
fn all_checks_together_ask_once_for_each_repository() {
    let gate = written(
        "[[gate.check]]\nkind = \"mirror\"\nfile = \"a.json\"\ncopies = [\"a.json\", \"b.json\"]\ncompare = \"json\"\n\
         [[gate.check]]\nkind = \"mirror\"\nfolder = \"fixtures\"\ncopies = [\"fixtures\"]\n\
         [[gate.check]]\nkind = \"values\"\nsource = { file = \"v.json\", at = \"v\" }\nconsumer = { file = \"v.sh\", regex = '\"(\\w+)\"' }\n\
         [[gate.check]]\nkind = \"absent\"\nfile = \"v.sh\"\nregex = \"retired\"\n",
    );
    let source = Memory::new()
        .file("a.json", "[1]")
        .file("fixtures/1.txt", "1")
        .file("fixtures/2.txt", "2")
        .file("v.json", "{\"v\": [\"x\"]}");
    let core = Memory::new()
        .file("a.json", "[ 1 ]")
        .file("b.json", "[1]\n")
        .file("fixtures/1.txt", "1")
        .file("fixtures/2.txt", "other")
        .file("v.sh", "\"x\"");
    let mut world = Fetching { sides: [(Side::Source, source), (Side::Consumer, core)], fetched: Vec::new() };
    let revision = Revision::Commit(id('a'));
    let case = Case::Branch { consumer: revision.clone(), source: revision };
    let mut asked = Vec::new();
    let report = loop {
        match judge(&gate, &case, &world) {
            Ok(report) => break report,
            Err(TreeError::NotHere(Need { repository, objects: Objects::Blobs(ids) })) => {
                asked.push(format!("{repository} {}", ids.len()));
                world.fetched.extend(ids);
            }
            Err(error) => panic!("{error}"),
        }
        assert!(asked.len() < 10, "{asked:?}");
    };
    assert_eq!(said(&report), ["copy-differs fixtures/2.txt"]);
    // The file that is the same on both sides is read for its size alone, on the source's side.
    assert_eq!(asked, ["source 4", "consumer 4"]);
}

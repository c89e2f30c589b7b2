//! What the engine says of merges and of checkouts, held against what git does.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use drift_gate::config::{Config, Gate};
use drift_gate::gate::finding::{Kind, Severity};
use drift_gate::gate::verdict::Verdict;
use drift_gate::gate::{Case, Relation, Report, Revision, Side, World, judge};
use drift_gate::snapshot::Local;
use drift_gate::tree::{Memory, ObjectId, Tree, TreeError};
use git2::{Oid, Repository, Signature};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use tempfile::TempDir;

/// A gate that follows the source: everything that a tree says is about the image.
fn gate() -> Gate {
    let text = r#"
        [[gate]]
        name = "identity"
        source = { url = "https://git.example.org/molecule/template", branch = "main" }
        binding = { follow = true }
        identity = ["**"]
        [[gate.check]]
        kind = "bake"
        dockerfile = "Dockerfile"
        source_dir = ".deps/template"
        destination = "/opt/t"
    "#;
    let config = Config::parse_laptop(text, "drift-gate.toml").expect("a configuration");
    config.gates.into_iter().next().expect("a gate")
}

/// A repository that is written as git's objects, and read by the engine.
struct Repo {
    dir: TempDir,
    repository: Repository,
}

impl Repo {
    fn new() -> Self {
        let dir = TempDir::new().expect("a folder");
        let mut plain = git2::RepositoryInitOptions::new();
        let repository = Repository::init_opts(dir.path(), plain.external_template(false)).expect("a repository");
        Self { dir, repository }
    }

    fn commit(&self, files: &BTreeMap<String, String>, parents: &[Oid]) -> Oid {
        let mut index = git2::Index::new().expect("an index");
        for (path, content) in files {
            let id = self.repository.blob(content.as_bytes()).expect("a blob");
            let time = git2::IndexTime::new(0, 0);
            let entry = git2::IndexEntry {
                ctime: time,
                mtime: time,
                dev: 0,
                ino: 0,
                mode: 0o100_644,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path: path.as_bytes().to_vec(),
            };
            index.add(&entry).expect("an entry");
        }
        let tree = index.write_tree_to(&self.repository).expect("a tree");
        self.commit_tree(tree, parents)
    }

    fn commit_tree(&self, tree: Oid, parents: &[Oid]) -> Oid {
        let who = Signature::new("a", "a@example.org", &git2::Time::new(1_700_000_000, 0)).expect("a signature");
        let tree = self.repository.find_tree(tree).expect("a tree");
        let parents: Vec<_> = parents.iter().map(|id| self.repository.find_commit(*id).expect("a commit")).collect();
        let parents: Vec<_> = parents.iter().collect();
        self.repository.commit(None, &who, &who, "m", &tree, &parents).expect("a commit")
    }

    /// Runs git in the repository; what it printed, and whether it succeeded.
    fn git(&self, arguments: &[&str]) -> (String, bool) {
        git(self.dir.path(), arguments)
    }
}

fn git(folder: &Path, arguments: &[&str]) -> (String, bool) {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .expect("git must be installed for this test");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

fn revision(id: Oid) -> Revision {
    Revision::Commit(ObjectId::parse(&id.to_string()).expect("an object name"))
}

/// A consumer in git, a source in memory.
struct Pair<'a> {
    consumer: &'a Local,
    source: &'a Memory,
}

fn id(revision: &Revision) -> &ObjectId {
    match revision {
        Revision::Commit(id) => id,
        Revision::WorkTree => panic!("only commits here"),
    }
}

impl World for Pair<'_> {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        Ok(Some(match side {
            Side::Consumer => Arc::new(self.consumer.tree(id(revision))?),
            Side::Source => Arc::new(self.source.clone()),
        }))
    }

    fn relation(&self, _: Side, _: &Revision, _: &Revision) -> Result<Relation, TreeError> {
        Ok(Relation::Same)
    }

    fn merge_bases(&self, _: Side, one: &Revision, other: &Revision) -> Result<Vec<Revision>, TreeError> {
        let bases = self.consumer.objects().merge_bases(id(one), id(other))?;
        Ok(bases.into_iter().map(Revision::Commit).collect())
    }
}

fn errors(report: &Report) -> BTreeSet<(Kind, String)> {
    let counts = report.findings.iter().filter(|one| one.severity == Severity::Error && !one.inherited);
    counts.map(|one| (one.kind, one.path.clone())).collect()
}

/// One line decides what is baked, so that git has nothing to merge within the file.
const COPIES: [&str; 4] = [
    ".deps/template /opt/t",
    ".deps/template/config.yaml /opt/t/",
    ".deps/template/prompts /opt/t/prompts",
    ".deps/template /opt/elsewhere",
];

/// What a commit has: which Dockerfile, whether it hides the source from the build, a file that nobody reads.
type State = (usize, usize, u8);

fn files((copies, ignores, note): &State) -> BTreeMap<String, String> {
    let ignores = ["", "docs\n", ".deps\n", "**/prompts\n"][*ignores];
    let mut files = BTreeMap::from([
        ("Dockerfile".to_owned(), format!("FROM scratch\nCOPY {}\n", COPIES[*copies])),
        ("docs/note".to_owned(), format!("{note}\n")),
    ]);
    if !ignores.is_empty() {
        files.insert(".dockerignore".to_owned(), ignores.to_owned());
    }
    files
}

/// A history: each commit's state, and its parents as numbers of earlier commits (modulo how many there are).
fn history() -> impl Strategy<Value = Vec<(State, usize, Option<usize>)>> {
    let state = (0..COPIES.len(), 0..4usize, 0..3u8);
    prop::collection::vec((state, any::<usize>(), prop::option::of(any::<usize>())), 3..10)
}

#[test]
#[ignore = "needs git"]
fn a_merge_in_memory_is_the_merge_that_git_makes() {
    let cases = Cases { cases: 60, failure_persistence: None, ..Cases::default() };
    let (gate, seen) = (gate(), Cell::new([0; 4]));
    let source = Memory::new().file("config.yaml", "name: x\n").file("prompts/a.md", "# A\n");
    let repo = Repo::new();
    let told = TestRunner::new(cases).run(&history(), |history| {
        let mut commits: Vec<Oid> = Vec::new();
        for (state, first, second) in &history {
            let mut parents: Vec<Oid> = Vec::new();
            for wanted in [Some(first), second.as_ref()].into_iter().flatten().filter(|_| !commits.is_empty()) {
                let parent = commits[wanted % commits.len()];
                if !parents.contains(&parent) {
                    parents.push(parent);
                }
            }
            commits.push(repo.commit(&files(state), &parents));
        }
        let (base, head) = (commits[commits.len() - 1], commits[commits.len() - 2]);
        let merge = ["-c", "merge.renames=false", "merge-tree", "--write-tree", &base.to_string(), &head.to_string()];
        let (printed, clean) = repo.git(&merge);
        let tree = printed.lines().next().and_then(|line| Oid::from_str(line).ok()).expect("a tree");
        let torn = |path: &str| !clean && printed.lines().any(|line| line.ends_with(&format!("\t{path}")));
        let merged = repo.commit_tree(tree, &[]);

        let local = Local::open(repo.dir.path()).expect("a repository");
        let world = Pair { consumer: &local, source: &source };
        let source = revision(base);
        let pull = Case::ConsumerPull { head: revision(head), base: revision(base), source: source.clone() };
        let said = judge(&gate, &pull, &world).expect("everything is here");
        if said.undecided.iter().any(|part| part.reason.contains("crossed too often")) {
            count(&seen, 3);
            return Ok(());
        }
        if torn("Dockerfile") || torn(".dockerignore") {
            count(&seen, 2);
            prop_assert_eq!(said.verdict, Verdict::Undecided, "{:?} {}", said, printed);
            return Ok(());
        }
        let whole = |one: Oid| {
            let case = Case::Branch { consumer: revision(one), source: source.clone() };
            judge(&gate, &case, &world).expect("everything is here")
        };
        let (after, before) = (whole(merged), whole(base));
        // A base that does not build leaves nothing to compare with.
        let fails = |report: &Report| report.findings.iter().any(|one| one.kind == Kind::BuildFails);
        let nothing = fails(&after) || fails(&before);
        let inherited = if nothing { BTreeSet::new() } else { errors(&before) };
        let new: BTreeSet<_> = errors(&after).difference(&inherited).cloned().collect();
        count(&seen, usize::from(new.is_empty()));
        prop_assert_eq!(errors(&said), new, "{} {:?}", printed, said);
        Ok(())
    });
    told.unwrap_or_else(|error| panic!("{error}"));
    let [red, green, torn, _] = seen.get();
    assert!(red > 5 && green > 5 && torn > 0, "{red} red, {green} green, {torn} torn are too few");
}

fn count(seen: &Cell<[u32; 4]>, what: usize) {
    let mut now = seen.get();
    now[what] += 1;
    seen.set(now);
}

/// Lines of a `.gitattributes` file.
fn attributes() -> impl Strategy<Value = String> {
    let pattern = prop::sample::select(vec![
        "*",
        "*.md",
        "a.md",
        "/a.md",
        "dir/*",
        "dir/**",
        "**/b.md",
        "dir/",
        "\"a.md\"",
        "\"dir/b\\056md\"",
        "!a.md",
        "[attr]m",
        "[a-c].md",
        "dir/[[:alpha:]].md",
        "# a.md",
        "*.MD",
    ]);
    let word = prop::sample::select(vec![
        "text",
        "-text",
        "!text",
        "text=auto",
        "eol=crlf",
        "eol=lf",
        "-eol",
        "!eol",
        "binary",
        "-binary",
        "ident",
        "-ident",
        "!ident",
        "filter=up",
        "filter=none",
        "-filter",
        "!filter",
        "m",
        "-m",
        "!m",
        "crlf",
        "-crlf",
        "crlf=input",
        "diff=x",
        "working-tree-encoding=UTF-16LE",
        "working-tree-encoding=utf-8",
        "!working-tree-encoding",
    ]);
    let line = (pattern, prop::collection::vec(word, 0..4))
        .prop_map(|(pattern, words)| format!("{pattern} {}", words.join(" ")));
    prop::collection::vec(line, 0..5).prop_map(|lines| lines.join("\n") + "\n")
}

#[test]
#[ignore = "needs git"]
fn what_git_writes_in_other_bytes_is_never_taken_for_what_is_stored() {
    let cases = Cases { cases: 60, failure_persistence: None, ..Cases::default() };
    let (gate, changed, guessed) = (gate(), Cell::new(0u32), Cell::new(0u32));
    let repo = Repo::new();
    repo.git(&["config", "filter.up.smudge", "tr a-z A-Z"]);
    repo.git(&["config", "filter.up.required", "true"]);
    let told = TestRunner::new(cases).run(&(attributes(), attributes()), |(root, dir)| {
        let plain = "one\ntwo $Id$ three\n".to_owned();
        let names = ["a.md", "dir/b.md", "dir/deep/b.md", "c.yaml"];
        let mut files: BTreeMap<String, String> =
            names.iter().map(|name| ((*name).to_owned(), plain.clone())).collect();
        files.insert(".gitattributes".to_owned(), root.clone());
        files.insert("dir/.gitattributes".to_owned(), dir.clone());
        let commit = repo.commit(&files, &[]).to_string();
        // What lies there is what the last case wrote, and git would not write a file of the same blob again.
        let _ = std::fs::remove_file(repo.dir.path().join(".git/index"));
        for name in names {
            let _ = std::fs::remove_file(repo.dir.path().join(name));
        }
        repo.git(&["checkout", "-q", "-f", "--detach", &commit]);

        let source: Memory = files.iter().collect();
        let consumer = Memory::new().file("Dockerfile", "FROM scratch\nCOPY .deps/template /opt/t\n");
        let report = judged(&gate, consumer, source);
        let is_guessed = |name: &str| report.undecided.iter().any(|part| part.path == name);
        for name in names {
            let on_disk = std::fs::read(repo.dir.path().join(name)).unwrap_or_default();
            let differs = on_disk != plain.as_bytes();
            changed.set(changed.get() + u32::from(differs));
            guessed.set(guessed.get() + u32::from(is_guessed(name)));
            prop_assert!(!differs || is_guessed(name), "{name} with\n{root}\nand\n{dir}\n{:?}", report.undecided);
        }
        Ok(())
    });
    told.unwrap_or_else(|error| panic!("{error}"));
    let (changed, guessed) = (changed.get(), guessed.get());
    // What is guessed without need: a filter that no machine here knows, and little else.
    assert!(changed > 10 && guessed < changed * 4, "{changed} files changed, {guessed} were guessed");
}

fn judged(gate: &Gate, consumer: Memory, source: Memory) -> Report {
    struct Trees(Memory, Memory);
    impl World for Trees {
        fn tree(&self, side: Side, _: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
            Ok(Some(Arc::new(if side == Side::Consumer { self.0.clone() } else { self.1.clone() })))
        }

        fn relation(&self, _: Side, _: &Revision, _: &Revision) -> Result<Relation, TreeError> {
            Ok(Relation::Same)
        }

        fn merge_bases(&self, _: Side, _: &Revision, _: &Revision) -> Result<Vec<Revision>, TreeError> {
            Ok(Vec::new())
        }
    }
    let head = Revision::Commit(ObjectId::parse(&"a".repeat(40)).expect("an object name"));
    let case = Case::Branch { consumer: head.clone(), source: head };
    judge(gate, &case, &Trees(consumer, source)).expect("everything is in memory")
}

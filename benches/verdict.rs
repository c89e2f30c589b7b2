//! One verdict of a gate like the one that this program was made for, in process and warm: a Dockerfile of 160 lines and a
//! template of nine files, six of which it bakes. Beside it what a verdict is at least: reading nine files twice and
//! comparing them.
//!
//! The consumer has as many files as such a repository has, because a tree is walked through its directories. A service
//! judges the objects of two packs, `drift-gate check` the files of two folders: both are measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use drift_gate::config::{Config, Gate};
use drift_gate::gate::verdict::Verdict;
use drift_gate::gate::{self, Case, Relation, Report, Revision, Side, World};
use drift_gate::snapshot::{Folder, Local, Standing};
use drift_gate::tree::{ObjectId, Tree, TreeError};
use git2::{Oid, Repository, RepositoryInitOptions, Signature};
use tempfile::TempDir;

fn main() {
    divan::main();
}

/// What a service does: the trees of two commits, the ancestry of the pin, contents from packs.
#[divan::bench(name = "verdict_of_two_commits")]
fn commits(bencher: divan::Bencher) {
    let world = Commits::open(&SIDES);
    let case = Case::Branch { consumer: world.consumer.1.clone(), source: world.source.1.clone() };
    bencher.bench(|| in_sync(gate::judge(&GATE, &case, &world)));
}

/// What `check` does on two work trees: every file that counts is read and hashed.
#[divan::bench(name = "verdict_of_two_folders")]
fn folders(bencher: divan::Bencher) {
    let case = Case::Branch { consumer: Revision::WorkTree, source: Revision::WorkTree };
    bencher.bench(|| in_sync(gate::judge(&GATE, &case, &Folders::open(&SIDES))));
}

/// The baseline.
#[divan::bench(name = "baseline_read_and_compare_9_files")]
fn files(bencher: divan::Bencher) {
    let (template_folder, copy) = (SIDES.place("template"), SIDES.place("copy"));
    let pairs: Vec<(PathBuf, PathBuf)> =
        template().iter().map(|(path, _)| (template_folder.join(path), copy.join(path))).collect();
    bencher.bench(|| {
        let same = |(one, other): &(PathBuf, PathBuf)| {
            fs::read(one).expect("a file of the template") == fs::read(other).expect("its copy")
        };
        assert!(divan::black_box(&pairs).iter().all(same), "equal files");
    });
}

fn in_sync(report: Result<Report, TreeError>) -> Report {
    let report = report.expect("everything is here");
    assert_eq!(report.verdict, Verdict::InSync, "{:?} {:?}", report.findings, report.undecided);
    assert_eq!(report.files_compared, 6);
    report
}

const DOCKERFILE: &str = include_str!("platform-agent/Dockerfile");

static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let text = r#"
[forge.main]
kind = "gitea"
url = "https://git.example.org"
[[gate]]
name = "platform-agent-identity"
source = { forge = "main", repo = "molecule/platform-agent-template", branch = "main" }
consumer = { forge = "main", repo = "molecule/core", branches = ["main"] }
binding = { pin = "manifest.json", at = "workspace_templates[name=platform-agent].ref", require = { repo = "molecule/platform-agent-template" } }
identity = ["config.yaml", "mcp_servers.yaml", "prompts/**", "identity-fallback.sh"]
ignore = ["README.md", "LICENSE", ".gitea/**"]
[[gate.check]]
kind = "bake"
dockerfile = "workspace-server/Dockerfile.platform-agent"
context = "."
source_dir = ".tenant-bundle-deps/workspace-configs-templates/platform-agent"
destination = "/opt/molecule-platform-agent-template"
"#;
    let config = Config::parse_laptop(text, "drift-gate.toml").expect("a configuration");
    config.gates.into_iter().next().expect("one gate")
});

static SIDES: LazyLock<Sides> = LazyLock::new(Sides::write);

/// Nine files of the size that such a template has.
fn template() -> Vec<(&'static str, String)> {
    let text = |lines: usize, line: &str| -> String { (1..=lines).map(|n| format!("{n:03} {line}\n")).collect() };
    let prompt = "You speak for {{CONCIERGE_NAME}}, and where you do not know you say so.";
    vec![
        (".gitea/workflows/ci.yml", text(120, "run: the tests of the template, once for every push")),
        ("LICENSE", text(20, "Permission is granted to whoever keeps this line.")),
        ("README.md", text(60, "What the files of this repository are for, one after the other.")),
        ("config.yaml", text(240, "key: a value of the length that values have")),
        ("identity-fallback.sh", text(80, "# Fill what is absent, leave what is there.")),
        ("mcp_servers.yaml", text(4, "- name: molecule-platform")),
        ("prompts/concierge.md", text(66, prompt)),
        ("prompts/greeting.md", text(20, prompt)),
        ("prompts/handover.md", text(30, prompt)),
    ]
}

/// A repository of some 1,700 files around those that the gate reads.
fn consumer(pin: Oid) -> Vec<(String, String)> {
    let entry = |name: &str, pin: &str| {
        format!("    {{\"name\": \"{name}\", \"repo\": \"molecule/{name}-template\", \"ref\": \"{pin}\"}}")
    };
    let mut entries: Vec<String> = (0..30).map(|n| entry(&format!("agent-{n}"), &format!("{n:040x}"))).collect();
    entries.push(entry("platform-agent", &pin.to_string()));
    let manifest = format!("{{\n  \"version\": 1,\n  \"workspace_templates\": [\n{}\n  ]\n}}\n", entries.join(",\n"));
    let mut files = vec![
        ("manifest.json".to_owned(), manifest),
        ("workspace-server/Dockerfile.platform-agent".to_owned(), DOCKERFILE.to_owned()),
    ];
    for dir in 0..170 {
        for file in 0..10 {
            let path = format!("workspace-server/internal/part{}/room{dir}/file{file}.go", dir % 17);
            files.push((path, format!("package room{dir} // {file}\n")));
        }
    }
    files
}

/// Both sides, as repositories and as folders.
struct Sides {
    folder: TempDir,
    consumer: Oid,
    source: Oid,
}

impl Sides {
    fn write() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name);
        let files: Vec<(String, String)> = template().into_iter().map(|(path, text)| (path.to_owned(), text)).collect();
        let source = commit(&place("template.git"), &files);
        write(&place("template"), &files);
        write(&place("copy"), &files);
        let files = consumer(source);
        let consumer = commit(&place("core.git"), &files);
        write(&place("core"), &files);
        Self { folder, consumer, source }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn write(folder: &Path, files: &[(String, String)]) {
    for (path, text) in files {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
        fs::write(file, text).expect("a file");
    }
}

/// A bare repository with one commit, its objects in one pack as they are after a fetch.
fn commit(folder: &Path, files: &[(String, String)]) -> Oid {
    let loose = tempfile::tempdir().expect("a folder");
    let repository = Repository::init_bare(loose.path()).expect("a repository");
    let mut index = git2::Index::new().expect("an index");
    for (path, text) in files {
        let id = repository.blob(text.as_bytes()).expect("a blob");
        let time = git2::IndexTime::new(0, 0);
        index
            .add(&git2::IndexEntry {
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
                path: path.clone().into_bytes(),
            })
            .expect("an entry");
    }
    let tree = index.write_tree_to(&repository).expect("a tree");
    let tree = repository.find_tree(tree).expect("the tree");
    let author = Signature::new("A", "a@example.org", &git2::Time::new(0, 0)).expect("a name");
    let id = repository.commit(None, &author, &author, "All of it", &tree, &[]).expect("a commit");

    let mut options = RepositoryInitOptions::new();
    Repository::init_opts(folder, options.bare(true).external_template(false)).expect("a repository");
    let mut pack = repository.packbuilder().expect("a pack");
    pack.insert_commit(id).expect("the commit's objects");
    pack.write(&folder.join("objects/pack"), 0).expect("the pack on disk");
    id
}

/// Two commits of two repositories.
struct Commits {
    consumer: (Local, Revision),
    source: (Local, Revision),
}

impl Commits {
    fn open(sides: &Sides) -> Self {
        let open = |name: &str, commit: Oid| {
            let repository = Local::open(&sides.place(name)).expect("a repository");
            let commit = repository.resolve(&commit.to_string()).expect("a commit");
            (repository, Revision::Commit(commit))
        };
        Self { consumer: open("core.git", sides.consumer), source: open("template.git", sides.source) }
    }

    fn side(&self, side: Side) -> &Local {
        match side {
            Side::Consumer => &self.consumer.0,
            Side::Source => &self.source.0,
        }
    }
}

fn id(revision: &Revision) -> &ObjectId {
    match revision {
        Revision::Commit(id) => id,
        Revision::WorkTree => unreachable!("only commits are judged here"),
    }
}

impl World for Commits {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        Ok(Some(Arc::new(self.side(side).tree(id(revision))?)))
    }

    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        Ok(match self.side(side).objects().standing(id(commit), id(head))? {
            Standing::Same => Relation::Same,
            Standing::Behind(steps) => Relation::Behind(steps),
            Standing::Ahead => Relation::Ahead,
            Standing::Diverged => Relation::Diverged,
        })
    }

    fn merge_base(&self, side: Side, one: &Revision, other: &Revision) -> Result<Option<Revision>, TreeError> {
        Ok(self.side(side).objects().merge_base(id(one), id(other))?.map(Revision::Commit))
    }
}

/// Two folders that no commit names.
struct Folders {
    consumer: Arc<dyn Tree>,
    source: Arc<dyn Tree>,
}

impl Folders {
    fn open(sides: &Sides) -> Self {
        let open = |name: &str| Arc::new(Folder::new(&sides.place(name)).expect("a folder"));
        Self { consumer: open("core"), source: open("template") }
    }
}

impl World for Folders {
    fn tree(&self, side: Side, _: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        let tree = match side {
            Side::Consumer => &self.consumer,
            Side::Source => &self.source,
        };
        Ok(Some(tree.clone()))
    }

    fn relation(&self, _: Side, _: &Revision, _: &Revision) -> Result<Relation, TreeError> {
        Ok(Relation::Unknown)
    }

    fn merge_base(&self, _: Side, _: &Revision, _: &Revision) -> Result<Option<Revision>, TreeError> {
        Ok(None)
    }
}

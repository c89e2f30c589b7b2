//! A template, the core that bakes it, and the program between them.

use std::path::{Path, PathBuf};
use std::process::Output;

use git2::{ErrorCode, IndexAddOption, Oid, Repository, RepositoryInitOptions, Signature, Time};
use tempfile::TempDir;

pub const SOURCE_DIR: &str = ".deps/template";
pub const BAKES: &str = "FROM scratch\nCOPY .deps/template/config.yaml /opt/t/config.yaml\n";
pub const ELSEWHERE: &str = "FROM scratch\nCOPY .deps/template/config.yaml /opt/other/config.yaml\n";

/// Both repositories on disk, and a configuration beside them.
pub struct World {
    pub core: Repo,
    pub template: Repo,
    folder: TempDir,
}

pub struct Repo(PathBuf);

impl World {
    /// The template has one commit, and core pins and bakes it.
    pub fn new() -> Self {
        drift_gate::snapshot::prepare();
        let folder = TempDir::new().expect("a folder");
        let repo = |name: &str| {
            let path = folder.path().join(name);
            Repository::init_opts(&path, RepositoryInitOptions::new().initial_head("main")).expect("a repository");
            Repo(path)
        };
        let (core, template) = (repo("core"), repo("template"));
        let pin = template.commit(1_000, &[("config.yaml", "name: one\n"), ("README.md", "Read me\n")]);
        core.commit(2_000, &[("Dockerfile", BAKES), ("pin.json", &pinned(pin)), (".gitignore", ".deps\n")]);
        let world = Self { core, template, folder };
        world.gates(&["identity"], "");
        world
    }

    /// Writes the configuration: equal gates of these names, with further keys.
    pub fn gates(&self, names: &[&str], more: &str) {
        let gate = |name: &&str| {
            format!(
                "[[gate]]\nname = \"{name}\"\nsource = {{ url = \"https://git.example.org/molecule/template\", branch = \"main\" }}\n\
                 consumer = {{ branches = [\"main\"] }}\nbinding = {{ pin = \"pin.json\", at = \"ref\" }}\n\
                 identity = [\"config.yaml\"]\nignore = [\"README.md\"]\n{more}\n[[gate.check]]\nkind = \"bake\"\n\
                 dockerfile = \"Dockerfile\"\nsource_dir = \"{SOURCE_DIR}\"\ndestination = \"/opt/t\"\n\n"
            )
        };
        let text: String = names.iter().map(gate).collect();
        std::fs::write(self.config(), text).expect("written");
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join(".drift-gate.toml")
    }

    /// What the program says to these arguments; it sees no configuration and no cache but this world's.
    pub fn run(&self, command: &str, arguments: &[&str]) -> Output {
        assert_cmd::Command::cargo_bin("drift-gate")
            .expect("the program")
            .env_clear()
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("DRIFT_GATE_TOKEN", "s3cret")
            .current_dir(self.folder.path())
            .arg(command)
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .output()
            .expect("it ran")
    }

    /// `check` of core with the template, as they are on disk, and more.
    pub fn check(&self, more: &[&str]) -> Output {
        let sides = ["--consumer", self.core.path(), "--source", self.template.path()];
        self.run("check", &[&sides, more].concat())
    }

    pub fn caches(&self) -> PathBuf {
        self.folder.path().join("cache/drift-gate")
    }
}

impl Repo {
    pub fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    pub fn git(&self) -> Repository {
        Repository::open(&self.0).expect("a repository")
    }

    /// Writes files without committing them.
    pub fn write(&self, files: &[(&str, &str)]) {
        for (name, content) in files {
            write(&self.0.join(name), content);
        }
    }

    /// Commits these files on top of what is there, at this second.
    pub fn commit(&self, time: i64, files: &[(&str, &str)]) -> Oid {
        self.write(files);
        let repository = self.git();
        let mut index = repository.index().expect("an index");
        index.add_all(["*"], IndexAddOption::DEFAULT, None).expect("added");
        index.write().expect("written");
        let tree = repository.find_tree(index.write_tree().expect("a tree")).expect("a tree");
        let who = Signature::new("Ada", "ada@example.org", &Time::new(time, 0)).expect("a name");
        let parent = match repository.head() {
            Ok(head) => Some(head.peel_to_commit().expect("a commit")),
            Err(error) if error.code() == ErrorCode::UnbornBranch => None,
            Err(error) => panic!("{error}"),
        };
        let subject = format!("At {time}");
        repository
            .commit(Some("HEAD"), &who, &who, &subject, &tree, &parent.iter().collect::<Vec<_>>())
            .expect("committed")
    }

    /// A copy of it in another folder, with its history.
    pub fn clone_to(&self, folder: &Path) -> Repo {
        Repository::clone(self.path(), folder).expect("cloned");
        Repo(folder.to_owned())
    }
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, content).expect("written");
}

pub fn pinned(commit: Oid) -> String {
    format!("{{\"ref\": \"{commit}\"}}\n")
}

pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[track_caller]
pub fn ends_with(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", out(output), err(output));
}

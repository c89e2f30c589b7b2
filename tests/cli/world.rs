//! A template, the core that bakes it, and a person who types commands in core's folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature, Time};
use tempfile::TempDir;

pub const DOCKERFILE: &str = "\
FROM local/platform:latest
ARG DIR=.deps/template
COPY ${DIR}/config.yaml /opt/t/config.yaml
COPY ${DIR}/prompts/ /opt/t/prompts/
";

pub const GATE: &str = r#"[[gate]]
name = "identity"
source = { url = "https://git.example.org/molecule/template", branch = "main" }
binding = { pin = "manifest.json", at = "templates[name=agent].ref", require = { repo = "molecule/template" } }
identity = ["config.yaml", "prompts/**"]
ignore = ["README.md"]

[[gate.check]]
kind = "bake"
dockerfile = "Dockerfile"
source_dir = ".deps/template"
destination = "/opt/t"
"#;

/// What the report of the stories' Dockerfile always assumes.
pub const ASSUMED: &str = "assumed: the image local/platform:latest has nothing at the paths that are copied to, no ONBUILD \
                           triggers, the working directory / and a shell at /bin/sh (Dockerfile:1)\n";

pub fn manifest(pin: &str) -> String {
    format!("{{\"templates\": [\n  {{\"name\": \"agent\", \"repo\": \"molecule/template\", \"ref\": \"{pin}\"}}\n]}}\n")
}

/// A repository with a work tree, on its branch `main`.
pub struct Repo {
    pub dir: PathBuf,
    git: Repository,
}

impl Repo {
    pub fn new(dir: &Path) -> Self {
        let options = &mut RepositoryInitOptions::new();
        options.initial_head("main").external_template(false);
        let git = Repository::init_opts(dir, options).expect("a repository");
        Self { dir: dir.to_owned(), git }
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(path, text).expect("the file");
    }

    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.dir.join(path)).expect("the file");
    }

    /// Commits everything that is not ignored; the new head.
    pub fn commit(&self) -> String {
        let mut index = self.git.index().expect("an index");
        index.add_all(["*"], IndexAddOption::DEFAULT, None).expect("added");
        index.update_all(["*"], None).expect("updated");
        index.write().expect("written");
        let tree = self.git.find_tree(index.write_tree().expect("a tree")).expect("the tree");
        let parent = self.git.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let who = Signature::new("a", "a@example.org", &Time::new(1_700_000_000, 0)).expect("a person");
        self.git.commit(Some("HEAD"), &who, &who, "a change", &tree, &parents).expect("a commit").to_string()
    }

    /// Goes on, on a new branch.
    pub fn branch(&self, name: &str) {
        let head = self.git.head().and_then(|head| head.peel_to_commit()).expect("a head");
        self.git.branch(name, &head, false).expect("a branch");
        self.switch(name);
    }

    pub fn switch(&self, name: &str) {
        self.git.set_head(&format!("refs/heads/{name}")).expect("the branch");
        let mut force = git2::build::CheckoutBuilder::new();
        self.git.checkout_head(Some(force.force().remove_untracked(true))).expect("checked out");
    }

    pub fn head(&self) -> String {
        self.git.head().and_then(|head| head.peel_to_commit()).expect("a head").id().to_string()
    }

    pub fn clone_bare(&self, to: &Path) {
        let from = self.dir.to_str().expect("a path");
        git2::build::RepoBuilder::new().bare(true).clone(from, to).expect("a clone");
    }
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Ends as it should, says nothing on the other channel.
    #[track_caller]
    pub fn is(self, code: i32) -> String {
        let Self { code: actual, out, err } = self;
        assert_eq!(actual, code, "stdout:\n{out}\nstderr:\n{err}");
        let (said, other) = if code == 2 { (err, out) } else { (out, err) };
        assert_eq!(other, "", "and said:\n{said}");
        said
    }

    /// Reports, one JSON object a line.
    #[track_caller]
    pub fn reports(self, code: i32) -> Vec<serde_json::Value> {
        self.is(code).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// Types `drift-gate` and these words in a folder. `RUST_BACKTRACE` is set, so that a panic would be seen.
pub fn type_in(dir: &Path, words: &[&str]) -> Said {
    said(command(dir).args(words))
}

pub fn command(dir: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("drift-gate"));
    command.current_dir(dir).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env("RUST_BACKTRACE", "1");
    command
}

pub fn said(command: &mut Command) -> Said {
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let said =
        Said { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) };
    assert!(!said.err.contains("panicked") && !said.err.contains("backtrace"), "{}", said.err);
    said
}

pub struct World {
    pub folder: TempDir,
    pub core: Repo,
    pub template: Repo,
}

impl World {
    /// Core pins the template's head and bakes all of it.
    pub fn in_sync() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let template = Repo::new(&folder.path().join("template"));
        template.write("config.yaml", "name: Concierge\n");
        template.write("prompts/concierge.md", "# You are\n");
        template.write("README.md", "Read me\n");
        let pin = template.commit();
        let core = Repo::new(&folder.path().join("core"));
        core.write("manifest.json", manifest(&pin));
        core.write("Dockerfile", DOCKERFILE);
        core.write(".drift-gate.toml", GATE);
        core.commit();
        Self { folder, core, template }
    }

    /// The same with more lines in the gate.
    pub fn with(lines: &str) -> Self {
        let world = Self::in_sync();
        world.configure(&GATE.replace("ignore = ", &format!("{lines}\nignore = ")));
        world
    }

    pub fn configure(&self, text: &str) {
        self.core.write(".drift-gate.toml", text);
        self.core.commit();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `drift-gate check --source ../template` and these words, in core's folder.
    pub fn check(&self, words: &[&str]) -> Said {
        type_in(&self.core.dir, &[&["check", "--source", "../template"], words].concat())
    }

    /// A folder beside the others with the template's files and no repository.
    pub fn plain_template(&self) -> PathBuf {
        let folder = self.path("plain");
        for file in ["config.yaml", "prompts/concierge.md", "README.md"] {
            let to = folder.join(file);
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("made");
            std::fs::copy(self.template.dir.join(file), to).expect("copied");
        }
        folder
    }
}

/// The first digits of a commit, as people see them.
pub fn short(commit: &str) -> &str {
    &commit[..8]
}

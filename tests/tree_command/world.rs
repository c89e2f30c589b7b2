//! A folder on disk, and the program run in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

/// A folder that goes when the test ends; the program runs in it.
pub struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// With this Dockerfile beside the context `ctx`, which has `a.txt`.
    pub fn with(dockerfile: impl AsRef<[u8]>) -> Self {
        Self::new().file("Dockerfile", dockerfile).file("ctx/a.txt", "A\n")
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_with_mode(path, 0o644, content)
    }

    pub fn file_with_mode(self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        let place = self.path(path);
        fs::create_dir_all(place.parent().expect("inside the folder")).expect("a folder");
        fs::write(&place, content).expect("a file");
        set_mode(&place, mode);
        self
    }

    pub fn dir(self, path: &str, mode: u32) -> Self {
        let place = self.path(path);
        fs::create_dir_all(&place).expect("a folder");
        set_mode(&place, mode);
        self
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        let place = self.path(path);
        fs::create_dir_all(place.parent().expect("inside the folder")).expect("a folder");
        symlink(target, place).expect("a link");
        self
    }

    /// The program, to be given more.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drift-gate"));
        command.current_dir(self.folder.path()).args(words);
        command
    }

    /// `drift-gate tree` of `Dockerfile` and `ctx`.
    pub fn tree(&self, words: &[&str]) -> Ended {
        let usual = ["tree", "--context", "ctx", "--file", "Dockerfile"];
        self.run(&[&usual, words].concat())
    }

    pub fn run(&self, words: &[&str]) -> Ended {
        let output = self.command(words).output().expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let ended = Ended {
            code: output.status.code().expect("it ends by itself"),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        ended
    }

    /// The parsed JSON of a build that is known in full.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        let ended = self.tree(&[&["--format", "json"], words].concat());
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
        ended.json()
    }

    /// The paths of the image.
    #[track_caller]
    pub fn paths(&self, words: &[&str]) -> Vec<String> {
        self.json(words)["tree"].as_object().expect("a tree").keys().cloned().collect()
    }
}

pub fn set_mode(place: &Path, mode: u32) {
    fs::set_permissions(place, Permissions::from_mode(mode)).expect("a mode");
}

/// How the program ended, and what it printed.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Ended with this code, and standard error says all of this.
    #[track_caller]
    pub fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for words in words {
            assert!(self.err.contains(words), "`{words}` is not in:\n{}", self.err);
        }
    }
}

//! `drift-gate repair`, as a person meets it: in core's folder, with the template beside it.

mod copies;
mod input;
mod pin;
mod several;
#[path = "../cli/world.rs"]
#[allow(dead_code, reason = "the world of `check`, of which this needs a part")]
mod world;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use world::{Said, World, type_in};

/// `drift-gate repair --source ../template` and these words, in core's folder.
fn repair(world: &World, words: &[&str]) -> Said {
    repair_in(&world.core.dir, &[&["--source", "../template"], words].concat())
}

fn repair_in(dir: &std::path::Path, words: &[&str]) -> Said {
    type_in(dir, &[&["repair"], words].concat())
}

/// What a person sees of a file.
trait Files {
    fn read(&self, path: &str) -> String;
    fn executable(&self, path: &str);
    fn is_executable(&self, path: &str) -> bool;
}

impl Files for world::Repo {
    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.join(path)).expect("the file")
    }

    fn executable(&self, path: &str) {
        std::fs::set_permissions(self.dir.join(path), Permissions::from_mode(0o755)).expect("the file");
    }

    fn is_executable(&self, path: &str) -> bool {
        std::fs::metadata(self.dir.join(path)).expect("the file").permissions().mode() & 0o100 != 0
    }
}

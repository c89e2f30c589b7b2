//! Where trees come from: commits in a git object database ([`GitTree`]), folders on disk ([`Folder`]) and work trees
//! ([`WorkTree`]).
//!
//! Both implement [`crate::tree::Tree`]; this room knows nothing else of the house. Everything here only reads.
//!
//! Traps handled here:
//! - **Partial and shallow clones.** An object that is not here is [`crate::tree::TreeError::NotHere`], never absent; a
//!   commit whose parents are not here is never taken for a root.
//! - **libgit2 looks again.** A miss makes it scan the pack folder; lookups here do not, and whoever adds packs says so once
//!   with [`ObjectDb::refresh`].
//! - **libgit2's globals.** The machine's git configuration does not change what is read, and a repository that belongs to
//!   another user can be opened: nothing of it is ever run.
//! - **Names that are not UTF-8** are shown as git prints them, see [`escaped`].
//! - **Links that leave a folder**: no link is ever followed.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Once;

mod folder;
mod git_tree;
mod graph;
mod line;
mod local;
mod objects;
#[cfg(test)]
mod tests;
mod work_tree;

pub use folder::Folder;
pub use git_tree::GitTree;
pub use graph::{Listed, Standing};
pub use line::Line;
pub use local::{Local, OpenError};
pub use objects::ObjectDb;
pub use work_tree::WorkTree;

/// A file larger than this (256 MiB) is refused by [`Folder`] and [`GitTree`] instead of being held in memory.
pub const MAX_FILE: u64 = 256 << 20;

/// How many commits of a branch are looked through for what a file was, where they are fetched for that
/// ([`crate::tree::Objects::Line`]): as many generations are asked for.
pub const LATELY: usize = 1_000;

/// How many packs libgit2 holds open at a time, over all repositories.
const OPEN_PACKS: usize = 256;

/// Sets libgit2 up for this process; every opening here does it first, and it happens once.
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        use git2::ConfigLevel::{Global, ProgramData, System, XDG};
        // SAFETY: libgit2 wants these globals to be set while nobody else uses it. All of this crate's uses of it come
        // after this call, and `Once` holds back other threads until it is done.
        #[allow(unsafe_code)]
        unsafe {
            // A failure leaves libgit2's default; what then goes wrong is said where a repository is opened.
            let _ = git2::opts::set_verify_owner_validation(false);
            // Extensions that change nothing for a reader of objects and refs.
            let _ = git2::opts::set_extensions(&["partialclone", "worktreeconfig", "relativeworktrees", "noop"]);
            // Packs are mapped as they are read; a process may have few files open, and there are many small packs.
            let _ = git2::opts::set_mwindow_file_limit(OPEN_PACKS);
            for level in [System, Global, XDG, ProgramData] {
                let _ = git2::opts::set_search_path(level, "");
            }
        }
    });
}

/// A name as text: bytes that are not UTF-8 appear as `\ooo`, as git prints them; everything else stays as it is.
pub fn escaped(name: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(name) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(name.len() + 8);
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\{byte:03o}");
        }
    }
    Cow::Owned(text)
}

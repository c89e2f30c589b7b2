//! What caches take on disk, and taking them away.
//!
//! The trap: a folder that is half removed when the process dies would be opened as a cache that lacks objects which it says
//! to have. So a folder gets another name first, in one step, and what has such a name goes at the next start or eviction.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use super::size::below;

/// What a folder is called that is on its way out.
const GONE: &str = "gone";

/// The folder of one repository's cache.
pub(super) struct Folder {
    pub path: PathBuf,
    pub bytes: u64,
    /// When it last changed; who knows better overwrites it.
    pub used: SystemTime,
}

/// The caches below `root`; what was on its way out is removed.
pub(super) fn folders(root: &Path) -> io::Result<Vec<Folder>> {
    let mut found = Vec::new();
    for forge in fs::read_dir(root)? {
        let forge = forge?;
        if !forge.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(forge.path())? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("git") => {
                    let used = fs::metadata(&path)?.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    found.push(Folder { bytes: below(&path), used, path });
                }
                Some(GONE) => fs::remove_dir_all(&path)?,
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Removes a cache.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let gone = folder.with_extension(GONE);
    fs::rename(folder, &gone)?;
    fs::remove_dir_all(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_its_way_out_when_the_process_died_goes_at_the_next_look() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["main/1.git", "main/2.gone"] {
            fs::create_dir_all(root.path().join(name)).expect("made");
            fs::write(root.path().join(name).join("pack"), [0; 100]).expect("written");
        }
        fs::write(root.path().join("other"), b"no cache").expect("written");
        let found = folders(root.path()).expect("readable");
        assert_eq!(found.iter().map(|folder| folder.bytes).collect::<Vec<_>>(), [100]);
        assert!(!root.path().join("main/2.gone").exists());
        remove(&found[0].path).expect("removed");
        assert!(folders(root.path()).expect("readable").is_empty());
    }
}

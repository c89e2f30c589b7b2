//! Keeping a cache's folder small.
//!
//! Each fetch adds a pack, and a lookup tries one pack after the other. When many small ones have piled up, their objects
//! are written into one pack and the small ones are removed; large packs stay. Whoever writes holds the file lock shared,
//! folding holds it alone; readers need none, since a pack that they have open stays readable after its removal.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use git2::{Oid, Repository};

/// A pack up to this size is small: 4 MiB.
const SMALL: u64 = 4 << 20;

/// What libgit2 calls a pack that it has begun.
const UNFINISHED: &str = "pack_git2_";

/// How long a pack may be unfinished before it counts as left behind by a process that is gone.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder's lock, held until it is dropped. The system lets go of it when the process ends, however it ends.
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// For those who add packs; `None` while somebody folds.
    pub fn shared(folder: &Path) -> io::Result<Option<Self>> {
        Self::take(folder, File::try_lock_shared)
    }

    /// For folding; `None` while anybody else has it.
    pub fn alone(folder: &Path) -> io::Result<Option<Self>> {
        Self::take(folder, File::try_lock)
    }

    fn take(folder: &Path, lock: fn(&File) -> Result<(), TryLockError>) -> io::Result<Option<Self>> {
        let file = File::options().create(true).append(true).open(folder.join("drift-gate.lock"))?;
        match lock(&file) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn packs(folder: &Path) -> PathBuf {
    folder.join("objects/pack")
}

/// The small packs in a repository's folder: their index files.
pub fn small_packs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(packs(folder))? {
        let index = entry?.path();
        if index.extension().is_some_and(|extension| extension == "idx")
            && fs::metadata(index.with_extension("pack")).is_ok_and(|pack| pack.len() <= SMALL)
        {
            found.push(index);
        }
    }
    Ok(found)
}

/// Writes the objects of all small packs into one and removes the small ones. The caller has the lock alone.
pub fn fold(folder: &Path) -> Result<(), String> {
    let small = small_packs(folder).map_err(|error| error.to_string())?;
    let mut objects = Vec::new();
    for index in &small {
        objects.extend(names_in(&fs::read(index).map_err(|error| error.to_string())?)?);
    }
    objects.sort();
    objects.dedup();
    let new = write(folder, &objects).map_err(|error| error.message().to_owned())?;
    for index in small.iter().filter(|index| index.file_stem() != Some(new.as_ref())) {
        // The index first: a pack without one is not looked at.
        for file in [index.clone(), index.with_extension("pack")] {
            fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
    }
    Ok(())
}

/// Writes a pack of these objects; returns its name, without extension.
fn write(folder: &Path, objects: &[Oid]) -> Result<std::ffi::OsString, git2::Error> {
    let repository = Repository::open_bare(folder)?;
    let mut pack = repository.packbuilder()?;
    for id in objects {
        pack.insert_object(*id, None)?;
    }
    pack.write(&packs(folder), 0)?;
    let name = pack.name()?.unwrap_or_default();
    Ok(format!("pack-{name}").into())
}

/// The object names in a pack's index of version 2: eight bytes of head, 256 counts, the names.
fn names_in(index: &[u8]) -> Result<Vec<Oid>, String> {
    const NAMES: usize = 8 + 256 * 4;
    let broken = || "a pack's index is broken".to_owned();
    if !index.starts_with(b"\xfftOc\0\0\0\x02") {
        return Err(broken());
    }
    let count = index.get(NAMES - 4..NAMES).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let count = count.ok_or_else(broken)? as usize;
    let names = count.checked_mul(20).and_then(|size| index.get(NAMES..NAMES.checked_add(size)?)).ok_or_else(broken)?;
    names.chunks_exact(20).map(|name| Oid::from_bytes(name).map_err(|error| error.message().to_owned())).collect()
}

/// Removes packs that a killed process left unfinished.
pub fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(packs(folder))? {
        let entry = entry?;
        let age = SystemTime::now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) && age > LEFT_BEHIND {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

//! A folder on disk.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{MAX_FILE, escaped};
use crate::tree::{BlobHasher, Node, ObjectId, Tree, TreeError, blob_id};

/// A folder as it is on disk: a work tree with what is not committed, with the permission bits that the files really have.
///
/// `.git` is left out wherever it stands ([`Folder::whole`] has it), and so is what is neither file, directory nor link.
/// Links are not followed, also not on the way to a file, so nothing outside the folder is ever read. Files are hashed when
/// asked for, once: make a new `Folder` to see later changes.
pub struct Folder {
    root: PathBuf,
    git: bool,
    ids: Mutex<HashMap<String, ObjectId>>,
}

impl Folder {
    /// The folder at `root`, which itself may be a link.
    ///
    /// # Errors
    /// [`TreeError::Unfit`] when there is none, [`TreeError::Io`] when it cannot be read.
    pub fn new(root: &Path) -> Result<Self, TreeError> {
        let path = root.display().to_string();
        let real = match fs::canonicalize(root) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(TreeError::Unfit { path, what: "no such folder".to_owned() });
            }
            Err(error) => return Err(TreeError::Io { path, why: error.to_string() }),
        };
        if !real.is_dir() {
            return Err(TreeError::Unfit { path, what: "not a folder".to_owned() });
        }
        Ok(Self { root: real, git: false, ids: Mutex::default() })
    }

    /// The folder with everything in it, `.git` too: what `docker build` takes from a local context.
    ///
    /// # Errors
    /// As [`Folder::new`].
    pub fn whole(root: &Path) -> Result<Self, TreeError> {
        Ok(Self { git: true, ..Self::new(root)? })
    }

    /// Its place on disk, without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `path` is on disk and what it is; `None` when nothing is there, or when a parent is a link or a file.
    fn find(&self, path: &str) -> Result<Option<(PathBuf, Metadata)>, TreeError> {
        let mut place = self.root.clone();
        let mut found = there(fs::symlink_metadata(&place), "")?;
        for name in path.split('/').filter(|_| !path.is_empty()) {
            let hidden = matches!(name, "" | "." | "..") || self.hides(name);
            if hidden || !found.as_ref().is_some_and(Metadata::is_dir) {
                return Ok(None);
            }
            place.push(name);
            found = there(fs::symlink_metadata(&place), path)?;
            if found.is_none() && name.contains('\\') {
                place.pop();
                let Some(real) = self.unescaped(&place, name)? else { return Ok(None) };
                place.push(real);
                found = there(fs::symlink_metadata(&place), path)?;
            }
        }
        Ok(found.map(|metadata| (place, metadata)))
    }

    fn hides(&self, name: &str) -> bool {
        name == ".git" && !self.git
    }

    /// The name on disk that is shown as `name`, because it is not UTF-8.
    fn unescaped(&self, dir: &Path, name: &str) -> Result<Option<std::ffi::OsString>, TreeError> {
        for entry in fs::read_dir(dir).map_err(|error| io_error(dir, &error))? {
            let real = entry.map_err(|error| io_error(dir, &error))?.file_name();
            if real.to_str().is_none() && escaped(real.as_encoded_bytes()) == name {
                return Ok(Some(real));
            }
        }
        Ok(None)
    }

    /// The file or link at `path`.
    fn content(&self, path: &str) -> Result<(PathBuf, Metadata), TreeError> {
        let what = match self.find(path)? {
            Some((place, metadata)) if metadata.is_file() || metadata.is_symlink() => return Ok((place, metadata)),
            Some((_, metadata)) if metadata.is_dir() => "a directory, not a file",
            _ => "no such file",
        };
        Err(TreeError::Unfit { path: path.to_owned(), what: what.to_owned() })
    }
}

impl Tree for Folder {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        match self.find(path)? {
            Some((place, metadata)) => node(&metadata, || place),
            None => Ok(None),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        let Some((dir, metadata)) = self.find(path)? else { return Ok(Vec::new()) };
        if !metadata.is_dir() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&dir).map_err(|error| io_error(&dir, &error))? {
            let entry = entry.map_err(|error| io_error(&dir, &error))?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| self.hides(name)) {
                continue;
            }
            // Looked up in the directory that is open. Gone since it was read: as if it had not been there.
            let Some(metadata) = there(entry.metadata(), path)? else { continue };
            if let Some(node) = node(&metadata, || entry.path())? {
                found.push((escaped(name.as_encoded_bytes()).into_owned(), node));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        if let Some(id) = self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(id.clone());
        }
        let (place, metadata) = self.content(path)?;
        let id = if metadata.is_symlink() { blob_id(&target(&place)?) } else { hash(&place)? };
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), id.clone());
        Ok(id)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        let (place, metadata) = self.content(path)?;
        if metadata.is_symlink() {
            return Ok(target(&place)?.into());
        }
        if metadata.len() > MAX_FILE {
            let what = format!("{} bytes are more than the {MAX_FILE} that are read", metadata.len());
            return Err(TreeError::Unfit { path: path.to_owned(), what });
        }
        Ok(fs::read(&place).map_err(|error| io_error(&place, &error))?.into())
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        Ok(self.content(path)?.1.len())
    }
}

/// What is found; `None` where nothing is, or where the file system cannot have such a name.
fn there(found: io::Result<Metadata>, path: &str) -> Result<Option<Metadata>, TreeError> {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    match found {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | InvalidInput | InvalidFilename) => Ok(None),
        Err(error) => Err(TreeError::Io { path: path.to_owned(), why: error.to_string() }),
    }
}

/// What it is as a part of a tree; `place` is asked for a link only.
fn node(metadata: &Metadata, place: impl FnOnce() -> PathBuf) -> Result<Option<Node>, TreeError> {
    Ok(Some(if metadata.is_dir() {
        Node::Dir { mode: mode(metadata) }
    } else if metadata.is_file() {
        Node::File { mode: mode(metadata) }
    } else if metadata.is_symlink() {
        Node::Link { target: escaped(&target(&place())?).into_owned() }
    } else {
        return Ok(None);
    }))
}

/// Hashes without holding the file in memory.
fn hash(place: &Path) -> Result<ObjectId, TreeError> {
    let fail = |error: io::Error| io_error(place, &error);
    let file = File::open(place).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let mut hasher = BlobHasher::new(size);
    let (mut buffer, mut seen) = (vec![0; 64 << 10], 0u64);
    let mut file = file.take(size.saturating_add(1));
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                seen += n as u64;
                hasher.update(&buffer[..n]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fail(error)),
        }
    }
    if seen != size {
        let why = "it changed while it was read; try again".to_owned();
        return Err(TreeError::Io { path: place.display().to_string(), why });
    }
    Ok(hasher.finish())
}

fn target(place: &Path) -> Result<Vec<u8>, TreeError> {
    let target = fs::read_link(place).map_err(|error| io_error(place, &error))?;
    Ok(target.into_os_string().into_encoded_bytes())
}

fn io_error(place: &Path, error: &io::Error) -> TreeError {
    TreeError::Io { path: place.display().to_string(), why: error.to_string() }
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

/// Where the file system has no permission bits, they are what git would check out without them.
#[cfg(not(unix))]
fn mode(metadata: &Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}

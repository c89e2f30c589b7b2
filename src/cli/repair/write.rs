//! Edits, written into a folder.
//!
//! All of them are looked at before the first is written, and each file is replaced in one step, by a rename: whoever reads it
//! meanwhile sees the old or the new one. Traps handled here: a link on the way would carry a write out of the folder; a file that
//! changed since it was judged is not what the repair was proven on; and what nobody committed would be lost. An edit in a file (the
//! pin, a COPY line) is made on the file as it is on disk, and keeps what else changed there. One that replaces or removes a file as
//! a whole is refused where the file on disk is not the one in `HEAD`; a folder without a repository has nothing to ask.

use std::fs::{self, Metadata};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::Failure;
use super::super::local::Local;
use crate::gate::repair::Edit;
use crate::tree::blob_id;

/// Writes all edits into the folder of a consumer, or none of them.
///
/// # Errors
/// What stands in the way, each with its file; or what could not be written, and what was before it.
pub(super) fn all(root: &Path, edits: &[Edit], consumer: &Local) -> Result<(), Failure> {
    let refused: Vec<String> = edits.iter().filter_map(|edit| looked_at(root, edit, consumer).err()).collect();
    if !refused.is_empty() {
        return Err(Failure::failed(format_args!("nothing was written: {}", refused.join("; "))));
    }
    for (done, edit) in edits.iter().enumerate() {
        written(root, edit).map_err(|why| {
            let before: Vec<&str> = edits[..done].iter().map(|edit| edit.path.as_str()).collect();
            let before = if before.is_empty() { "nothing".to_owned() } else { before.join(", ") };
            Failure::failed(format_args!("{}: {why}; written before it: {before}", edit.path))
        })?;
    }
    Ok(())
}

/// Whether an edit can be made, else why not.
fn looked_at(root: &Path, edit: &Edit, consumer: &Local) -> Result<(), String> {
    let path = edit.path.as_str();
    let mut place = root.to_owned();
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        if matches!(name, "" | "." | "..") || name.eq_ignore_ascii_case(".git") {
            return Err(format!("{path} is no path of a work tree"));
        }
        place.push(name);
        let found = there(&place).map_err(|error| format!("{path}: {error}"))?;
        match found {
            None => break,
            Some(found) if found.is_symlink() => {
                return Err(format!("{} is a link, and nothing is written through links", shown(root, &place)));
            }
            Some(found) if names.peek().is_some() && !found.is_dir() => {
                return Err(format!("{} is no folder", shown(root, &place)));
            }
            Some(_) => {}
        }
    }
    let place = root.join(path);
    let found = there(&place).map_err(|error| format!("{path}: {error}"))?;
    let (Some(was), Some(found)) = (&edit.was, &found) else {
        return match (&edit.was, found) {
            (None, Some(_)) => Err(format!("{path} is there already, and git ignores it: move it out of the way")),
            (Some(_), None) => Err(format!("{path} is gone since it was judged: run this again")),
            _ => Ok(()),
        };
    };
    if !found.is_file() {
        return Err(format!("{path} is no file"));
    }
    let bytes = fs::read(&place).map_err(|error| format!("{path} cannot be read: {error}"))?;
    if blob_id(&bytes) != *was {
        return Err(format!("{path} changed since it was judged: run this again"));
    }
    if !edit.in_place && consumer.has_commits() && consumer.committed(path)?.as_ref() != Some(was) {
        return Err(format!(
            "{path} has changes that nobody committed, and they would be lost: commit or stash them first"
        ));
    }
    Ok(())
}

fn shown(root: &Path, place: &Path) -> String {
    place.strip_prefix(root).unwrap_or(place).display().to_string()
}

fn there(place: &Path) -> std::io::Result<Option<Metadata>> {
    match fs::symlink_metadata(place) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn written(root: &Path, edit: &Edit) -> std::io::Result<()> {
    let place = root.join(&edit.path);
    let Some(content) = &edit.content else {
        fs::remove_file(&place)?;
        remove_empty_parents(root, &place);
        return Ok(());
    };
    let folder = place.parent().map_or_else(|| root.to_owned(), Path::to_owned);
    fs::create_dir_all(&folder)?;
    let mut file = tempfile::Builder::new().prefix(".drift-gate-").tempfile_in(&folder)?;
    file.write_all(content)?;
    match there(&place)? {
        Some(old) => file.as_file().set_permissions(old.permissions())?,
        None => file.as_file().set_permissions(of_new(edit.executable, &folder)?)?,
    }
    file.as_file().sync_all()?;
    file.persist(&place).map_err(|error| error.error)?;
    Ok(())
}

/// As git writes a file that is new: group and others get what they have of the folder.
#[cfg(unix)]
fn of_new(executable: bool, folder: &Path) -> std::io::Result<fs::Permissions> {
    use std::os::unix::fs::PermissionsExt;
    let of_folder = fs::metadata(folder)?.permissions().mode() & 0o777;
    let wanted = if executable { 0o755 } else { 0o644 };
    Ok(fs::Permissions::from_mode((of_folder & wanted) | 0o600))
}

#[cfg(not(unix))]
fn of_new(_: bool, folder: &Path) -> std::io::Result<fs::Permissions> {
    Ok(fs::metadata(folder)?.permissions())
}

/// Git has no empty folders.
fn remove_empty_parents(root: &Path, place: &Path) {
    let mut folder: Option<PathBuf> = place.parent().map(Path::to_owned);
    while let Some(one) = folder.filter(|one| one != root) {
        if fs::remove_dir(&one).is_err() {
            return;
        }
        folder = one.parent().map(Path::to_owned);
    }
}

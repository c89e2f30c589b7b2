//! `.dockerignore`: which file applies, and what it says.
//!
//! Traps handled here: `<Dockerfile>.dockerignore` beside the Dockerfile replaces the context's file entirely, even when
//! it is empty; `#` is a comment only in the first column; a leading slash is dropped, so `/a` and `a` are one pattern; the
//! file may be a link, which is followed as long as it stays in its folder.

use std::sync::Arc;

use super::pattern::{Patterns, clean};
use super::{BuildError, MAX_IGNORE_FILE};
use crate::tree::{Led, Tree, TreeError, follow, join, split};

/// The ignore file of a build, its bytes and its path in `consumer`: `<Dockerfile>.dockerignore` beside the Dockerfile,
/// else `.dockerignore` at the root of the context. `None` when neither is there.
///
/// # Errors
///
/// When the tree cannot be read.
pub fn ignore_file(
    consumer: &dyn Tree,
    dockerfile_path: &str,
    context_dir: &str,
) -> Result<Option<(Arc<[u8]>, String)>, TreeError> {
    let context_dir = context_dir.trim_start_matches("./").trim_matches('/');
    let context_dir = if context_dir == "." { "" } else { context_dir };
    for path in [format!("{dockerfile_path}.dockerignore"), join(context_dir, ".dockerignore")] {
        if let Led::File(at) = follow(consumer, &path)? {
            let folder = split(&path).0;
            if at.strip_prefix(folder).is_some_and(|rest| folder.is_empty() || rest.starts_with('/')) {
                return Ok(Some((consumer.read(&at)?, path)));
            }
            let what = format!("a link that leaves its folder, to {at}: builders do not agree on it");
            return Err(TreeError::Unfit { path, what });
        }
    }
    Ok(None)
}

/// Reads the patterns of an ignore file. An error names the file, not a line of the Dockerfile.
pub(super) fn read(bytes: &[u8], name: &str) -> Result<Patterns, BuildError> {
    if bytes.len() > MAX_IGNORE_FILE {
        let message = format!("{name} is larger than {MAX_IGNORE_FILE} bytes, which is all that is read");
        return Err(BuildError::Undecided { line: 1, message });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| BuildError::Undecided { line: 1, message: format!("{name} is not UTF-8") })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut patterns = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (bang, pattern) = match line.strip_prefix('!') {
            Some(pattern) => ("!", pattern.trim()),
            None => ("", line),
        };
        let pattern = if pattern.is_empty() { String::new() } else { clean(pattern) };
        let pattern = match pattern.strip_prefix('/') {
            Some(rest) if !rest.is_empty() => rest,
            _ => pattern.as_str(),
        };
        patterns.push(format!("{bang}{pattern}"));
    }
    Patterns::new(patterns.iter().map(String::as_str))
        .map_err(|why| BuildError::Fails { line: 1, message: format!("{name}: {why}") })
}

//! The file tree of an image: for people, as JSON, and as a list for `sha256sum -c`. It may use `dockerfile` and `tree`.
//!
//! Traps handled here: a file of the context that cannot be read is a part that is not known, not a file without content;
//! names come from repositories, so what would act in a terminal is written out, and what `sha256sum` reads
//! differently is escaped.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::safe::one_line;
use super::text::{BLUE, BOLD, DIM, RED, YELLOW, quote};
use crate::dockerfile::{Assumption, BakedKind, BuildError, Content, Image, Trap, Unknown};
use crate::tree::Tree;

/// What an image holds at and below a path.
#[derive(Serialize)]
pub struct Listing {
    tree: BTreeMap<String, Entry>,
    unknown: Vec<Unknown>,
    assumptions: Vec<Assumption>,
    #[serde(skip)]
    traps: Vec<Trap>,
}

#[derive(Serialize)]
struct Entry {
    #[serde(skip)]
    line: u32,
    #[serde(flatten)]
    what: What,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum What {
    File { mode: String, size: usize, sha256: String },
    Dir { mode: String },
    Link { target: String },
}

impl Listing {
    /// The part of `image` at and below `under` (without leading slash; empty for all of it). Files of the build context
    /// are read from `context`.
    pub fn new(image: Image, context: &dyn Tree, under: &str) -> Self {
        let Image { entries, unknown, assumptions, traps, taken: _ } = image;
        let touches = |part: &Unknown| covers(under, &part.path) || covers(&part.path, under);
        let unknown = unknown.into_iter().filter(touches).collect();
        let mut listing = Self { tree: BTreeMap::new(), unknown, assumptions, traps };
        for (path, baked) in entries.into_iter().filter(|(path, _)| covers(under, path)) {
            let line = baked.line;
            match what(baked.kind, context) {
                Ok(what) => drop(listing.tree.insert(path, Entry { line, what })),
                Err(reason) => listing.unknown.push(Unknown { path, line, reason }),
            }
        }
        listing
    }

    /// Whether nothing of it is unknown.
    pub fn is_known(&self) -> bool {
        self.unknown.is_empty()
    }

    /// The contract of `tree --format json` in `docs/design.md`, on one line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// What `sha256sum -c` takes at the root of the image: every file that is known. Links are followed there, so they
    /// are not in the list.
    pub fn sha256sum(&self) -> String {
        let mut out = String::new();
        for (path, entry) in &self.tree {
            if let What::File { sha256, .. } = &entry.what {
                let (mark, name) = sum_name(path);
                let _ = writeln!(out, "{mark}{sha256}  {name}");
            }
        }
        out
    }

    /// For a terminal: everything, and what is not known or was taken for granted. `dockerfile` is the Dockerfile's name
    /// and `text` what it says.
    pub fn text(&self, dockerfile: &str, text: &str) -> String {
        let mut out = String::new();
        if !self.tree.is_empty() {
            let _ = writeln!(out, "{DIM}{:4}  {:>10}  {:>5}  path{DIM:#}", "mode", "size", "line");
        }
        for (path, entry) in &self.tree {
            row(&mut out, path, entry);
        }
        let notes = self.notes(dockerfile, text);
        if !notes.is_empty() {
            out.push('\n');
            out.push_str(&notes);
        }
        for one in &self.assumptions {
            let _ = writeln!(out, "{DIM}assumed: {} ({dockerfile}:{}){DIM:#}", one_line(&one.text), one.line);
        }
        self.summary(&mut out, dockerfile);
        out
    }

    /// What a reader of the bare list must be told beside it: the unknown parts, and what the build loses silently.
    pub fn notes(&self, dockerfile: &str, text: &str) -> String {
        let mut out = String::new();
        let mut causes: BTreeMap<(u32, &str), Vec<String>> = BTreeMap::new();
        for part in &self.unknown {
            causes.entry((part.line, &part.reason)).or_default().push(self.unknown_path(&part.path));
        }
        for ((line, reason), paths) in causes {
            let (paths, reason) = (paths.join(", "), one_line(reason));
            let _ = writeln!(out, "{YELLOW}unknown{YELLOW:#}{BOLD}: {paths}: {reason}{BOLD:#}");
            place(&mut out, dockerfile, text, line);
        }
        for trap in &self.traps {
            let _ = writeln!(out, "{YELLOW}warning{YELLOW:#}{BOLD}: {}{BOLD:#}", one_line(&trap.message));
            place(&mut out, dockerfile, text, trap.line);
        }
        out
    }

    /// A directory may be known and hold more than is listed.
    fn unknown_path(&self, path: &str) -> String {
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        let listed = self.tree.contains_key(path)
            || self.tree.range(below.clone()..).next().is_some_and(|(first, _)| first.starts_with(&below));
        format!("{}/{}", if listed { "what else is in " } else { "" }, one_line(path))
    }

    fn summary(&self, out: &mut String, dockerfile: &str) {
        let (mut files, mut bytes, mut dirs, mut links) = (0, 0, 0, 0);
        for entry in self.tree.values() {
            match &entry.what {
                What::File { size, .. } => (files, bytes) = (files + 1, bytes + size),
                What::Dir { .. } => dirs += 1,
                What::Link { .. } => links += 1,
            }
        }
        let unknown = match self.unknown.len() {
            0 => "nothing unknown".to_owned(),
            1 => "1 part unknown".to_owned(),
            parts => format!("{parts} parts unknown"),
        };
        let (files, dirs, links) = (
            counted(files, "file", "files"),
            counted(dirs, "directory", "directories"),
            counted(links, "link", "links"),
        );
        let _ = writeln!(out, "{BOLD}{dockerfile}{BOLD:#}: {files}, {bytes} bytes, {dirs}, {links}; {unknown}");
    }
}

/// A build without an image, for a terminal.
pub fn error(error: &BuildError, dockerfile: &str, text: &str) -> String {
    let mut out = String::new();
    let word = match error {
        BuildError::Fails { .. } => "error: the build would fail",
        BuildError::Undecided { .. } => "error: undecided",
        BuildError::Tree(_) => "error",
    };
    let (message, line) = parts(error);
    let _ = writeln!(out, "{RED}{word}{RED:#}{BOLD}: {}{BOLD:#}", one_line(&message));
    if let Some(line) = line {
        place(&mut out, dockerfile, text, line);
    }
    out
}

/// A build without an image, as JSON on one line.
pub fn error_json(error: &BuildError) -> String {
    let (message, line) = parts(error);
    let value = match line {
        Some(line) => serde_json::json!({ "error": message, "line": line }),
        None => serde_json::json!({ "error": message }),
    };
    value.to_string() + "\n"
}

fn parts(error: &BuildError) -> (String, Option<u32>) {
    match error {
        BuildError::Fails { line, message } | BuildError::Undecided { line, message } => (message.clone(), Some(*line)),
        BuildError::Tree(error) => (error.to_string(), None),
    }
}

fn what(kind: BakedKind, context: &dyn Tree) -> Result<What, String> {
    let mode = |mode: u32| format!("{mode:04o}");
    Ok(match kind {
        BakedKind::File { content, mode: bits } => {
            let bytes = match content {
                Content::Bytes(bytes) => bytes,
                Content::Context(path) => context.read(&path).map_err(|error| error.to_string())?,
            };
            What::File { mode: mode(bits), size: bytes.len(), sha256: hex::encode(Sha256::digest(&bytes)) }
        }
        BakedKind::Dir { mode: bits } => What::Dir { mode: mode(bits) },
        BakedKind::Link { target } => What::Link { target },
    })
}

/// Whether `path` is `dir` or lies below it.
fn covers(dir: &str, path: &str) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn row(out: &mut String, path: &str, entry: &Entry) {
    let path = one_line(path);
    let (mode, size, shown) = match &entry.what {
        What::File { mode, size, .. } => (mode.as_str(), size.to_string(), format!("/{path}")),
        What::Dir { mode } => (mode.as_str(), "-".to_owned(), format!("{BLUE}/{path}/{BLUE:#}")),
        What::Link { target } => ("link", "-".to_owned(), format!("/{path} -> {}", one_line(target))),
    };
    let _ = writeln!(out, "{mode:4}  {size:>10}  {:>5}  {shown}", entry.line);
}

fn place(out: &mut String, dockerfile: &str, text: &str, line: u32) {
    let _ = writeln!(out, "{}{BLUE}-->{BLUE:#} {dockerfile}:{line}", " ".repeat(line.to_string().len()));
    quote(out, Some(text), line, YELLOW, None);
    out.push('\n');
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A name as `sha256sum` writes it, and the mark of a line whose name is escaped.
fn sum_name(path: &str) -> (&'static str, String) {
    if !path.contains(['\\', '\n', '\r']) {
        return ("", path.to_owned());
    }
    ("\\", path.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r"))
}

//! Dockerfiles that take files of the source.

use std::collections::BTreeMap;

use crate::dockerfile::{self, Takes};
use crate::gate::glob;
use crate::tree::{Node, Tree, TreeError, join, split};

/// The largest Dockerfile that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Files of the source that are seldom part of what it is for.
const ASIDE: [&str; 12] = [
    "readme",
    "license",
    "licence",
    "copying",
    "notice",
    "changelog",
    "contributing",
    "codeowners",
    "security",
    "authors",
    "makefile",
    "code_of_conduct",
];
/// Directories likewise.
const ASIDE_DIRS: [&str; 5] = ["docs", "doc", "test", "tests", "examples"];

/// A Dockerfile that takes files of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBake {
    /// From the consumer's root.
    pub dockerfile: String,
    /// The line (1-based) of the first instruction that does.
    pub line: u32,
    /// The build context that would fit.
    pub context: String,
    /// The stage, where it is not the last.
    pub target: Option<String>,
    /// Where the build would have the source's files, from the consumer's root.
    pub source_dir: String,
    /// Where they go.
    pub destination: String,
    /// Globs of the files that are taken.
    pub identity: Vec<String>,
    /// Globs of files that are seldom meant: read-me files, licences, what forges keep.
    pub ignore: Vec<String>,
}

/// What one place of the source's files is used for.
#[derive(Default)]
struct Group {
    line: u32,
    identity: Vec<String>,
    /// Where the source's root would be in the image, by how many instructions say so.
    roots: BTreeMap<String, usize>,
}

/// All that the Dockerfiles take of a source called `name`, the likeliest of each first.
///
/// # Errors
/// [`TreeError::NotHere`] names what to fetch before asking again; anything else is a tree that cannot be read.
pub fn bakes(
    consumer: &dyn Tree,
    source: &dyn Tree,
    dockerfiles: &[String],
    name: &str,
) -> Result<Vec<FoundBake>, TreeError> {
    let mut found = Vec::new();
    consumer.expect(&dockerfiles.iter().map(String::as_str).collect::<Vec<_>>())?;
    for file in dockerfiles {
        if consumer.size(file)? > LARGEST {
            continue;
        }
        let Ok(takes) = dockerfile::takes(&consumer.read(file)?) else { continue };
        let beside = split(file).0;
        let contexts = if beside.is_empty() { vec![""] } else { vec!["", beside] };
        for context in contexts {
            let groups = groups(consumer, source, (context, name), &takes)?;
            for ((source_dir, target), group) in groups {
                let best = group.roots.iter().max_by_key(|(_, many)| **many).map(|(root, _)| root.clone());
                let Some(destination) = best.filter(|_| !group.identity.is_empty()) else { continue };
                let ignore = aside(source, &group.identity)?;
                found.push(FoundBake {
                    dockerfile: file.clone(),
                    line: group.line,
                    context: if context.is_empty() { ".".to_owned() } else { context.to_owned() },
                    target,
                    source_dir,
                    destination,
                    identity: group.identity,
                    ignore,
                });
            }
        }
    }
    Ok(found)
}

type Groups = BTreeMap<(String, Option<String>), Group>;

fn groups(
    consumer: &dyn Tree,
    source: &dyn Tree,
    (context, name): (&str, &str),
    takes: &[Takes],
) -> Result<Groups, TreeError> {
    let mut groups = Groups::new();
    for take in takes {
        for path in take.sources.iter().filter(|path| glob::is_literal(path)) {
            let at = join(context, path);
            if path.is_empty() || consumer.node(&at)?.is_some() {
                continue;
            }
            if let Some((dir, inner)) = placed(source, &at, name)?
                && !matches!(consumer.node(&dir)?, Some(Node::Dir { .. } | Node::File { .. } | Node::Link { .. }))
            {
                let group = groups.entry((dir, take.stage.clone())).or_default();
                group.take(source, take, &inner)?;
            }
        }
    }
    // A pattern says nothing about where the source is, and something about what is taken of it.
    for ((dir, stage), group) in &mut groups {
        for take in takes.iter().filter(|take| take.stage == *stage) {
            for path in take.sources.iter().filter(|path| !glob::is_literal(path)) {
                let at = join(context, path);
                let Some(pattern) = at.strip_prefix(&format!("{dir}/")) else { continue };
                for fitting in fitting(source, pattern)? {
                    group.take(source, take, &fitting)?;
                }
            }
        }
    }
    Ok(groups)
}

/// The directory that would be the source's root, and what of the source is meant: the longest path that it has. A path of
/// which it has nothing may be the whole of it, if it is called so.
fn placed(source: &dyn Tree, at: &str, name: &str) -> Result<Option<(String, String)>, TreeError> {
    for (slash, _) in at.match_indices('/') {
        let (dir, inner) = (&at[..slash], &at[slash + 1..]);
        if source.node(inner)?.is_some() {
            return Ok(Some((dir.to_owned(), inner.to_owned())));
        }
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', '.'], "");
    let (last, name) = (plain(split(at).1), plain(name));
    let alike = last.len() > 2 && (name.contains(&last) || last.contains(&name));
    Ok(alike.then(|| (at.to_owned(), String::new())))
}

/// Entries of the source that a pattern fits, of the depth that it has.
fn fitting(source: &dyn Tree, pattern: &str) -> Result<Vec<String>, TreeError> {
    let mut level = vec![String::new()];
    for depth in 1..=pattern.split('/').count() {
        let part: Vec<&str> = pattern.split('/').take(depth).collect();
        let mut next = Vec::new();
        for dir in level {
            let names = source.list(&dir)?.into_iter().map(|(name, _)| join(&dir, &name));
            next.extend(names.filter(|path| glob::matches(&part.join("/"), path)));
        }
        level = next;
    }
    Ok(level)
}

impl Group {
    /// An instruction takes this path of the source; "" is all of it.
    fn take(&mut self, source: &dyn Tree, take: &Takes, inner: &str) -> Result<(), TreeError> {
        if self.identity.is_empty() {
            self.line = take.line;
        }
        let to = take.destination.trim_end_matches('/');
        let is_file = matches!(source.node(inner)?, Some(Node::File { .. } | Node::Link { .. }));
        let into = take.destination.ends_with('/') || take.sources.len() > 1;
        let full = if is_file && into { format!("{to}/{}", split(inner).1) } else { to.to_owned() };
        let root = if inner.is_empty() { Some(full.as_str()) } else { full.strip_suffix(&format!("/{inner}")) };
        if let Some(root) = root {
            *self.roots.entry(if root.is_empty() { "/".to_owned() } else { root.to_owned() }).or_default() += 1;
        }
        if inner.is_empty() {
            for (name, node) in source.list("")? {
                let is_dir = matches!(node, Node::Dir { .. });
                if !is_aside(&name, is_dir) {
                    self.identify(&name, is_dir);
                }
            }
        } else {
            self.identify(inner, !is_file);
        }
        Ok(())
    }

    fn identify(&mut self, path: &str, is_dir: bool) {
        let glob = glob_of(path, is_dir);
        if !self.identity.contains(&glob) {
            self.identity.push(glob);
            self.identity.sort();
        }
    }
}

/// A glob that means this path, or all that is in it.
pub(super) fn glob_of(path: &str, is_dir: bool) -> String {
    let mut glob = String::new();
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            glob.push('\\');
        }
        glob.push(c);
    }
    if is_dir { format!("{glob}/**") } else { glob }
}

/// What the source has at its root that is seldom meant, and is not taken.
fn aside(source: &dyn Tree, identity: &[String]) -> Result<Vec<String>, TreeError> {
    let mut globs = Vec::new();
    for (name, node) in source.list("")? {
        let is_dir = matches!(node, Node::Dir { .. });
        let glob = glob_of(&name, is_dir);
        let taken = identity.iter().any(|one| *one == glob || (is_dir && one.starts_with(&format!("{name}/"))));
        if is_aside(&name, is_dir) && !taken {
            globs.push(glob);
        }
    }
    Ok(globs)
}

pub(super) fn is_aside(name: &str, is_dir: bool) -> bool {
    let lower = name.to_lowercase();
    let stem = lower.split('.').next().unwrap_or_default();
    // What begins with a dot is for forges, editors and linters.
    lower.starts_with('.') || if is_dir { ASIDE_DIRS.contains(&stem) } else { ASIDE.contains(&stem) }
}

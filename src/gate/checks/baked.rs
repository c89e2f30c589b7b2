//! The comparison itself: each identity path of the source with what the image has at its destination.
//!
//! Traps handled here: a file is what a process that opens it reads, so links are followed on both sides; equal bytes that do
//! not come from the source are a copy that will differ one day; what is not known is undecided with everything that could
//! have a say in it, so that a pull request that changes a script which writes there is not excused by its base.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::bake::{digest, source_dir_in};
use super::image::{self, Lookup};
use super::source::{Source, Truth, is_identity};
use super::{Outcome, Versions};
use crate::config::{Bake, Gate};
use crate::dockerfile::{Baked, BakedKind, Content, Image, Taken, Unknown};
use crate::gate::Version;
use crate::gate::finding::{Assumption, Cause, Finding, Kind, Undecided};
use crate::gate::glob;
use crate::tree::{Node, ObjectId, Subtree, Tree, TreeError, blob_id, join};

/// A path of the image, and the line that bakes it.
type Place = (String, u32);

/// How often links may lead from one directory to another.
const LINKED_DIRS: u32 = 4;

/// Compares one image with the source.
pub(super) struct Comparison<'a> {
    gate: &'a Gate,
    bake: &'a Bake,
    source: &'a Source<'a>,
    image: &'a Image,
    context: &'a Subtree,
    /// The Dockerfile's object name.
    dockerfile: &'a str,
    /// Where the context has the source's files, with a trailing slash; `None` when it lies outside.
    source_dir: Option<String>,
    versions: Versions<'a>,
    inputs: OnceCell<String>,
    originals: OnceCell<BTreeMap<ObjectId, String>>,
    places: OnceCell<BTreeMap<ObjectId, Place>>,
}

impl<'a> Comparison<'a> {
    pub fn new(
        (gate, bake): (&'a Gate, &'a Bake),
        source: &'a Source<'a>,
        image: &'a Image,
        context: &'a Subtree,
        dockerfile: &'a str,
        versions: Versions<'a>,
    ) -> Self {
        let source_dir = source_dir_in(context, bake);
        let (inputs, originals, places) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { gate, bake, source, image, context, dockerfile, source_dir, versions, inputs, originals, places }
    }

    pub fn run(&self, out: &mut Outcome) -> Result<(), TreeError> {
        for (path, node) in self.source.identity() {
            match self.source.truth(path, node)? {
                // Undecided already.
                Truth::Nothing { .. } => {}
                Truth::File { at, id } => self.file(out, path, &at, &id)?,
                Truth::Dir { at } => self.dir(out, path, &at, 0)?,
            }
        }
        self.extras(out)?;
        out.compared = true;
        Ok(())
    }

    fn cause(&self, line: Option<u32>) -> Option<Cause> {
        Some(Cause { file: self.bake.dockerfile.clone(), line })
    }

    /// Where the image should have a file of the source, without the leading slash.
    fn destination(&self, path: &str) -> String {
        join(self.bake.destination.trim_matches('/'), path)
    }

    /// A file, or a link that leads to one.
    fn file(&self, out: &mut Outcome, path: &str, at: &str, wanted: &ObjectId) -> Result<(), TreeError> {
        let destination = self.destination(path);
        let baked = match image::follow(self.image, &destination) {
            Lookup::Found(baked) => baked,
            Lookup::Unknown(part) => {
                out.undecided.push(self.unknown(path, wanted.as_str(), part)?);
                return Ok(());
            }
            Lookup::Missing => {
                out.findings.push(match image::entry(self.image, &destination) {
                    Lookup::Found(link) => {
                        let what = format!("the link that is baked in place of {path} leads nowhere");
                        self.finding(Kind::ContentDiffers, path, link, what).of(format!("{wanted} nothing"))
                    }
                    _ => self.not_there(path, &destination, wanted)?,
                });
                return Ok(());
            }
        };
        self.source.tree.expect(&[at])?;
        out.files_compared += 1;
        out.bytes_compared += self.source.tree.size(at)?;
        out.findings.extend(self.same(path, wanted, baked)?);
        Ok(())
    }

    /// A link to a directory: what is in it must be found behind the link.
    fn dir(&self, out: &mut Outcome, path: &str, at: &str, depth: u32) -> Result<(), TreeError> {
        for (below, node) in self.source.below(at) {
            let shown = join(path, &below[at.len() + 1..]);
            let why = match self.source.truth(below, node)? {
                Truth::File { at, id } => {
                    self.file(out, &shown, &at, &id)?;
                    continue;
                }
                Truth::Dir { at } if depth < LINKED_DIRS => {
                    self.dir(out, &shown, &at, depth + 1)?;
                    continue;
                }
                Truth::Dir { .. } => "links lead from directory to directory too often".to_owned(),
                Truth::Nothing { why } => why,
            };
            let content = format!("{path} {at} {why}");
            out.undecided.push(Undecided { path: shown, cause: None, reason: why, inherited: false, content });
        }
        Ok(())
    }

    fn finding(&self, kind: Kind, path: &str, baked: &Baked, message: String) -> Finding {
        let from = format!("{}/{path}", self.bake.source_dir);
        let fix = format!("let line {} of {} copy {from}", baked.line, self.bake.dockerfile);
        Finding::new(kind, path, message, fix).at(self.cause(Some(baked.line)))
    }

    /// What is wrong with the bytes that are baked; `None` when they are the source's.
    fn same(&self, path: &str, wanted: &ObjectId, baked: &Baked) -> Result<Option<Finding>, TreeError> {
        let content = match &baked.kind {
            BakedKind::File { content, .. } => content,
            BakedKind::Dir { .. } | BakedKind::Link { .. } => {
                let what = format!("a directory is baked in place of {path}");
                let finding = self.finding(Kind::ContentDiffers, path, baked, what);
                return Ok(Some(finding.of(format!("{wanted} {}", self.content(&baked.kind)?))));
            }
        };
        let (id, from) = match content {
            Content::Context(from) => (self.context.blob_id(from)?, Some(from.as_str())),
            Content::Bytes(bytes) => (blob_id(bytes), None),
        };
        let is_sources = from.is_some_and(|from| self.is_sources(from));
        let of_consumer = from.filter(|_| !is_sources).map(|from| join(&self.context.at, from));
        let line = baked.line;
        let copied = if id == *wanted || is_sources { None } else { self.copied(path, &id)? };
        let (kind, message) = match (id == *wanted, &of_consumer) {
            (true, None) if is_sources => return Ok(None),
            (false, from) if copied.as_ref().is_some_and(|(is_copy, _)| *is_copy) => {
                let of = copied.map(|(_, of)| of).unwrap_or_default();
                let place = from.as_ref().map_or_else(
                    || format!("written by line {line} itself, "),
                    |from| format!("baked from {from} of the consumer, "),
                );
                (Kind::VendoredCopy, format!("{path} is {place}a copy of {of}"))
            }
            (true, Some(from)) => (
                Kind::VendoredCopy,
                format!("{path} is baked from {from}, a copy in the consumer that only happens to be equal"),
            ),
            (true, None) => (
                Kind::VendoredCopy,
                format!("{path} is written by line {line} itself, a copy that only happens to be equal"),
            ),
            (false, Some(from)) => (
                Kind::ContentDiffers,
                format!(
                    "{path} is baked from {from} of the consumer, which differs from the source{}",
                    copied.map(|(_, words)| words).unwrap_or_default()
                ),
            ),
            (false, None) => {
                let destination = self.destination(path);
                (Kind::ContentDiffers, format!("what is baked at /{destination} is not {path} of the source"))
            }
        };
        let mut finding = self.finding(kind, path, baked, message).of(format!("{wanted} {id}"));
        finding.baked = of_consumer;
        Ok(Some(finding))
    }

    /// What bytes are a copy of that the consumer keeps itself, or what is not known about that.
    fn copied(&self, path: &str, id: &ObjectId) -> Result<Option<(bool, String)>, TreeError> {
        if *id == blob_id(b"") {
            return Ok(None);
        }
        let version = (self.versions)(path, id);
        if let Version::Of { commit, path: of } = &version {
            return Ok(Some((true, format!("{of} of the source at commit {}", commit.short()))));
        }
        if let Some(of) = self.originals()?.get(id) {
            return Ok(Some((true, format!("{of} of the source, which is another file"))));
        }
        let words = "; whether it is a copy of an older version was not looked up";
        Ok((version == Version::NotLookedUp).then(|| (false, words.to_owned())))
    }

    /// The files of the source by their content; of several with one content the first.
    fn originals(&self) -> Result<&BTreeMap<ObjectId, String>, TreeError> {
        if let Some(originals) = self.originals.get() {
            return Ok(originals);
        }
        let mut originals = BTreeMap::new();
        for (path, node) in self.source.all() {
            if matches!(node, Node::File { .. }) {
                match self.source.tree.blob_id(path) {
                    Ok(id) => drop(originals.entry(id).or_insert_with(|| path.clone())),
                    Err(error @ TreeError::NotHere(_)) => return Err(error),
                    // What both sides of a merge changed is no original.
                    Err(_) => {}
                }
            }
        }
        Ok(self.originals.get_or_init(|| originals))
    }

    fn is_sources(&self, path: &str) -> bool {
        self.source_dir.as_deref().is_some_and(|dir| path.starts_with(dir))
    }

    /// What tells two bakes of one path apart.
    fn content(&self, kind: &BakedKind) -> Result<String, TreeError> {
        Ok(match kind {
            BakedKind::File { content: Content::Context(from), .. } => self.context.blob_id(from)?.to_string(),
            BakedKind::File { content: Content::Bytes(bytes), .. } => blob_id(bytes).to_string(),
            BakedKind::Dir { .. } => "directory".to_owned(),
            BakedKind::Link { target } => format!("link {target}"),
        })
    }

    fn not_there(&self, path: &str, destination: &str, wanted: &ObjectId) -> Result<Finding, TreeError> {
        Ok(match self.places()?.get(wanted) {
            Some((place, line)) => {
                let message = format!("{path} is baked at /{place}, not at /{destination}");
                let fix = format!("let its COPY write to /{destination}");
                let finding = Finding::new(Kind::WrongDestination, path, message, fix);
                finding.at(self.cause(Some(*line))).of(format!("{wanted} {place}"))
            }
            None => {
                let message = format!("no instruction bakes {path} to /{destination}");
                let fix =
                    format!("add to {}: COPY {}/{path} /{destination}", self.bake.dockerfile, self.bake.source_dir);
                Finding::new(Kind::NotBaked, path, message, fix).at(self.cause(None)).of(wanted.as_str())
            }
        })
    }

    /// Where the source's contents are baked, by content. A file at its own place is nobody else's, whatever it says.
    fn places(&self) -> Result<&BTreeMap<ObjectId, Place>, TreeError> {
        if let Some(places) = self.places.get() {
            return Ok(places);
        }
        let mut places = BTreeMap::new();
        for (path, baked) in &self.image.entries {
            if let BakedKind::File { content: Content::Context(from), .. } = &baked.kind
                && let Some(own) = self.source_dir.as_deref().and_then(|dir| from.strip_prefix(dir))
                && *path != self.destination(own)
            {
                places.entry(self.context.blob_id(from)?).or_insert_with(|| (path.clone(), baked.line));
            }
        }
        Ok(self.places.get_or_init(|| places))
    }

    /// A path that nobody can tell, and all that has a say in it.
    fn unknown(&self, path: &str, wanted: &str, part: &Unknown) -> Result<Undecided, TreeError> {
        let reason = part.reason.clone();
        let content = format!("{} {wanted} {} {reason}", self.dockerfile, self.inputs()?);
        let cause = self.cause(Some(part.line));
        Ok(Undecided { path: path.to_owned(), cause, reason, inherited: false, content })
    }

    /// A digest of what commands of the build could read. The source's identity files are not in it: a command that names
    /// one makes it unknown, and then it stands for itself.
    fn inputs(&self) -> Result<&str, TreeError> {
        if let Some(inputs) = self.inputs.get() {
            return Ok(inputs);
        }
        let mut hash = Sha256::new();
        for taken in &self.image.taken {
            let text = match taken {
                Taken::File(path) if self.is_identity_file(path) => continue,
                Taken::File(path) => format!("{path} {}", digest(self.context, path)?),
                Taken::Tree(path) => format!("{path} {}", digest(self.context, path.trim_matches('/'))?),
                Taken::Link { at, target } => format!("{at} -> {target}"),
                // Anything of the consumer may have a say in what is made.
                Taken::Generated => format!("everything {}", digest(self.context.of.as_ref(), "")?),
            };
            hash.update(format!("{} {text}\n", text.len()));
        }
        Ok(self.inputs.get_or_init(|| hex::encode(hash.finalize())))
    }

    fn is_identity_file(&self, path: &str) -> bool {
        let inside = self.source_dir.as_deref().and_then(|dir| path.strip_prefix(dir));
        inside.is_some_and(|path| is_identity(self.gate, path))
    }

    /// Files at the destination that the source does not have.
    fn extras(&self, out: &mut Outcome) -> Result<(), TreeError> {
        let destination = self.bake.destination.trim_matches('/');
        for (name, baked) in image::below(self.image, destination) {
            if matches!(baked.kind, BakedKind::Dir { .. }) || self.source.shows(&name)? {
                continue;
            }
            let message = format!("/{} is baked, the source has no {name}", self.destination(&name));
            let fix = format!("remove what line {} of {} bakes there", baked.line, self.bake.dockerfile);
            let finding = Finding::new(Kind::ExtraAtDestination, &name, message, fix);
            let finding = finding.at(self.cause(Some(baked.line))).of(self.content(&baked.kind)?);
            out.findings.push(if is_identity(self.gate, &name) { finding } else { finding.notice() });
        }
        self.unknown_extras(out, destination)
    }

    /// What nobody knows at the destination may be files that the source does not have.
    fn unknown_extras(&self, out: &mut Outcome, destination: &str) -> Result<(), TreeError> {
        for (name, part) in image::unknown_below(self.image, destination) {
            if image::has_below(self.image, &part.path) {
                if self.gate.identity.iter().chain(&self.gate.optional).any(|pattern| self.may_add(pattern, &name)) {
                    let place = self.destination(&name);
                    let place = place.trim_end_matches('/');
                    let text = format!("/{place} has no other file that looks like the identity");
                    let file = self.bake.dockerfile.clone();
                    let assumption = Assumption { file, line: Some(part.line), text };
                    out.assume(self.gate.strict_assumptions, assumption, self.dockerfile);
                }
            } else if is_identity(self.gate, &name) && !self.source.shows(&name)? {
                out.undecided.push(self.unknown(&name, "nothing", part)?);
            }
        }
        Ok(())
    }

    /// Whether a pattern could match something that is not listed in a directory at the destination.
    fn may_add(&self, pattern: &str, dir: &str) -> bool {
        let listed = |name: &str| {
            let path = self.destination(&join(dir, name));
            self.image.entries.contains_key(&path) || image::has_below(self.image, &path)
        };
        glob::next_names(pattern, dir).into_iter().any(|next| next.is_none_or(|name| !listed(name)))
            && !glob::is_literal(pattern)
    }
}

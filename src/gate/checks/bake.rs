//! The `bake` check: the tree that the Dockerfile would produce with the source's files, compared with the source.
//!
//! Traps handled here: the Dockerfile, or the build context, may be a link or lie in a submodule, and then it is neither
//! absent nor there; files that the consumer tracks where the build puts the source are what the build may see instead; what
//! cannot be read stops this check, and what it found until then stands.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::baked::Comparison;
use super::generated::Globs;
use super::source::Source;
use super::{Outcome, Versions};
use crate::config::{Bake, Binding, Gate, PinAt};
use crate::dockerfile::{self, Build, BuildError, Generated, Image};
use crate::gate::Version;
use crate::gate::finding::{Assumption, Cause, Finding, Kind, Undecided};
use crate::tree::{Led, Mounted, Node, Subtree, Tree, TreeError, follow, join, split};

/// The largest Dockerfile, and the largest ignore file, that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// How the evaluator says that it does not know an instruction.
const UNKNOWN_INSTRUCTION: &str = "unknown instruction";

/// Judges one `bake` check of a consumer tree with a source tree.
///
/// # Errors
/// Only [`TreeError::NotHere`]; anything else that cannot be read is an undecided part.
pub fn check(
    gate: &Gate,
    bake: &Bake,
    consumer: &Arc<dyn Tree>,
    source: &Arc<dyn Tree>,
    versions: Versions<'_>,
) -> Result<Outcome, TreeError> {
    let mut check = Check { gate, bake, versions, out: Outcome::default() };
    match check.run(consumer, source) {
        Err(error @ TreeError::NotHere(_)) => return Err(error),
        Err(error) => {
            check.out.compared = false;
            let part = Undecided::unreadable(&error);
            if !check.out.undecided.contains(&part) {
                check.out.undecided.push(part);
            }
        }
        Ok(()) => {}
    }
    Ok(check.out)
}

/// What a build of the consumer would produce.
pub(in crate::gate) struct Built {
    pub image: Image,
    /// Where the Dockerfile lies in the tree that is built, through links, and what it says.
    pub dockerfile: (String, Arc<[u8]>),
    /// Where the context has the source's files: empty or with a trailing slash; `None` when it lies outside.
    pub source_dir: Option<String>,
}

/// Builds a check's image; `None` where there is none, whatever the reason.
///
/// # Errors
/// Only [`TreeError::NotHere`].
pub(in crate::gate) fn built(
    gate: &Gate,
    bake: &Bake,
    consumer: &Arc<dyn Tree>,
    source: &Arc<dyn Tree>,
) -> Result<Option<Built>, TreeError> {
    let mut check = Check { gate, bake, versions: &|_, _| Version::NotLookedUp, out: Outcome::default() };
    let mut build = || -> Result<Option<Built>, TreeError> {
        let whole = brought(bake, consumer, source);
        let Some(context) = check.context(&whole)? else { return Ok(None) };
        let Some(dockerfile) = check.dockerfile(&whole)? else { return Ok(None) };
        let Some((image, _)) = check.build(whole.as_ref(), &context, &dockerfile)? else { return Ok(None) };
        let text = whole.read(&dockerfile.path)?;
        let source_dir = source_dir_in(&context, bake);
        Ok(Some(Built { image, dockerfile: (dockerfile.path, text), source_dir }))
    };
    match build() {
        Err(error @ TreeError::NotHere(_)) => Err(error),
        built => Ok(built.unwrap_or_default()),
    }
}

/// The consumer with the source's files where the build puts them.
fn brought(bake: &Bake, consumer: &Arc<dyn Tree>, source: &Arc<dyn Tree>) -> Arc<dyn Tree> {
    Arc::new(Mounted { base: Arc::clone(consumer), at: bake.source_dir.clone(), mounted: Arc::clone(source) })
}

/// Where a context has the source's files: empty or with a trailing slash; `None` when they lie outside.
pub(super) fn source_dir_in(context: &Subtree, bake: &Bake) -> Option<String> {
    match context.at.as_str() {
        "" => Some(format!("{}/", bake.source_dir)),
        at if at == bake.source_dir => Some(String::new()),
        at => bake.source_dir.strip_prefix(at).and_then(|rest| rest.strip_prefix('/')).map(|dir| format!("{dir}/")),
    }
}

struct Check<'a> {
    gate: &'a Gate,
    bake: &'a Bake,
    versions: Versions<'a>,
    out: Outcome,
}

/// A Dockerfile that was found.
struct Found {
    /// From the consumer's root; where its link leads, if it is one.
    path: String,
    /// The path without its last name's link: what the ignore file is named after.
    named: String,
}

impl Check<'_> {
    fn run(&mut self, consumer: &Arc<dyn Tree>, source: &Arc<dyn Tree>) -> Result<(), TreeError> {
        let (gate, bake) = (self.gate, self.bake);
        let truth = Source::of(gate, source.as_ref())?;
        self.tracked_source_dir(consumer.as_ref())?;
        if truth.identity().next().is_none() {
            return Ok(());
        }
        let whole = brought(bake, consumer, source);
        let Some(context) = self.context(&whole)? else { return Ok(()) };
        let Some(dockerfile) = self.dockerfile(&whole)? else { return Ok(()) };
        let Some((image, id)) = self.build(whole.as_ref(), &context, &dockerfile)? else { return Ok(()) };
        Comparison::new((gate, bake), &truth, &image, &context, &id, self.versions).run(&mut self.out)?;
        self.traps_and_assumptions(image, &id);
        Ok(())
    }

    fn cause(&self, line: Option<u32>) -> Option<Cause> {
        Some(Cause { file: self.bake.dockerfile.clone(), line })
    }

    /// A build that fails.
    fn fails(&mut self, line: Option<u32>, content: String, message: String, fix: String) {
        let finding = Finding::new(Kind::BuildFails, &self.bake.dockerfile, message, fix);
        self.out.findings.push(finding.at(self.cause(line)).of(content));
    }

    fn undecided(&mut self, path: &str, line: Option<u32>, reason: String, inputs: &str) {
        let cause = self.cause(line);
        let content = format!("{inputs} {reason}");
        self.out.undecided.push(Undecided { path: path.to_owned(), cause, reason, inherited: false, content });
    }

    /// Tracked files where the build puts the source, or in the place of a directory above: it may see them instead.
    fn tracked_source_dir(&mut self, consumer: &dyn Tree) -> Result<(), TreeError> {
        let dir = self.bake.source_dir.as_str();
        for (end, _) in dir.match_indices('/') {
            let parent = &dir[..end];
            if !matches!(consumer.node(parent)?, Some(Node::Dir { .. }) | None) {
                let message = format!("the consumer has {parent}, which is no directory, where the build makes {dir}");
                let fix = format!("remove {parent} from the consumer");
                let finding = Finding::new(Kind::SourceDirTracked, parent, message, fix);
                self.out.findings.push(finding.of(digest(consumer, parent)?));
                return Ok(());
            }
        }
        let tracked = consumer.node(dir)?;
        if matches!(tracked, Some(Node::Submodule { .. })) && self.is_bound_submodule() {
            return Ok(());
        }
        if tracked.is_some() {
            let message =
                format!("the consumer has files of its own at {dir}, where the build puts the source's files");
            let fix = format!("remove {dir} from the consumer and ignore it in .gitignore");
            let finding = Finding::new(Kind::SourceDirTracked, dir, message, fix);
            self.out.findings.push(finding.of(digest(consumer, dir)?));
        }
        Ok(())
    }

    /// Whether the source's files are where a submodule puts them that is the pin itself.
    fn is_bound_submodule(&self) -> bool {
        let dir = &self.bake.source_dir;
        matches!(&self.gate.binding, Binding::Pin { file, at: PinAt::Submodule, .. } if file == dir)
    }

    /// The build context; `None` when there is none, which is then told.
    fn context(&mut self, whole: &Arc<dyn Tree>) -> Result<Option<Subtree>, TreeError> {
        let name = self.bake.context.clone();
        match follow(whole.as_ref(), &name)? {
            Led::Dir(at) => return Ok(Some(Subtree { of: Arc::clone(whole), at })),
            Led::Submodule(_) => self.undecided(&name, None, "the build context is in a submodule".into(), ""),
            Led::Outside => self.undecided(&name, None, "the build context is a link that leaves the tree".into(), ""),
            Led::File(_) | Led::Missing => {
                let message = format!("the build context {name} is no directory of the consumer");
                let fix = "restore it, or change the check's `context`".to_owned();
                self.fails(None, String::new(), message, fix);
            }
        }
        Ok(None)
    }

    /// The Dockerfile, through links; `None` when it cannot be read, which is then told. Builders are given its folder, so a
    /// link that leaves the folder is followed by some and not by others.
    fn dockerfile(&mut self, whole: &Arc<dyn Tree>) -> Result<Option<Found>, TreeError> {
        let name = self.bake.dockerfile.clone();
        let (dir, file) = split(&name);
        let led = match follow(whole.as_ref(), dir)? {
            Led::Dir(at) => {
                let folder = Subtree { of: Arc::clone(whole), at: at.clone() };
                match follow(&folder, file)? {
                    Led::File(inside) => {
                        return Ok(Some(Found { path: join(&at, &inside), named: join(&at, file) }));
                    }
                    led => led,
                }
            }
            led => led,
        };
        match led {
            Led::Submodule(_) => {
                let reason = "it is in a submodule: it is not in the consumer's tree".to_owned();
                self.undecided(&name, None, reason, "");
            }
            Led::Outside => {
                let reason = "it is a link that leaves its folder: builders do not agree on it".to_owned();
                self.undecided(&name, None, reason, "");
            }
            Led::Missing | Led::Dir(_) | Led::File(_) => {
                let message = format!("{name} does not exist");
                let fix = "restore it, or change the check's `dockerfile`".to_owned();
                self.fails(None, String::new(), message, fix);
            }
        }
        Ok(None)
    }

    /// Evaluates the Dockerfile: the image and the Dockerfile's object name; `None` when there is no image, which is then a
    /// finding or undecided.
    fn build(
        &mut self,
        whole: &dyn Tree,
        context: &Subtree,
        dockerfile: &Found,
    ) -> Result<Option<(Image, String)>, TreeError> {
        let (name, path) = (self.bake.dockerfile.clone(), dockerfile.path.as_str());
        let id = whole.blob_id(path)?.to_string();
        whole.expect(&[path])?;
        if whole.size(path)? > LARGEST {
            self.undecided(&name, None, format!("it is larger than {} MiB", LARGEST >> 20), &id);
            return Ok(None);
        }
        let text = whole.read(path)?;
        // A builder that clones its context applies none.
        let ignore = match self.bake.git_context {
            true => None,
            false => dockerfile::ignore_file(whole, &dockerfile.named, &context.at)?,
        };
        if let Some((bytes, ignore)) = &ignore
            && bytes.len() as u64 > LARGEST
        {
            self.undecided(ignore, None, format!("it is larger than {} MiB", LARGEST >> 20), &id);
            return Ok(None);
        }
        let generated = Globs { globs: &self.bake.generated, context: &context.at };
        let build = Build {
            context,
            dockerfile: &text,
            dockerfile_name: &name,
            ignore: ignore.as_ref().map(|(bytes, name)| (bytes.as_ref(), name.as_str())),
            build_args: &self.bake.build_args,
            target: self.bake.target.as_deref(),
            generated: (!self.bake.generated.is_empty()).then_some(&generated as &dyn Generated),
        };
        match dockerfile::evaluate(&build) {
            Ok(image) => Ok(Some((image, id))),
            // A newer frontend may know it: that the build would fail is not proven.
            Err(BuildError::Fails { line, message }) if message.starts_with(UNKNOWN_INSTRUCTION) => {
                self.undecided(&name, Some(line), format!("line {line}: {message}"), &id);
                Ok(None)
            }
            Err(BuildError::Fails { line, message }) => {
                // What fails as a whole has no line.
                let line = Some(line).filter(|line| *line > 0);
                let place = line.map_or_else(|| name.clone(), |line| format!("line {line} of {name}"));
                let fix = format!("mend {place}; `docker build` would fail there");
                self.fails(line, format!("{id} {message}"), message, fix);
                Ok(None)
            }
            Err(BuildError::Undecided { line, message }) => {
                self.undecided(&name, Some(line), format!("line {line}: {message}"), &id);
                Ok(None)
            }
            Err(BuildError::Tree(error)) => Err(error),
        }
    }

    fn traps_and_assumptions(&mut self, image: Image, id: &str) {
        for trap in image.traps {
            let fix = format!("look at line {} of {}", trap.line, self.bake.dockerfile);
            let path = format!("{}:{}", self.bake.dockerfile, trap.line);
            let finding = Finding::new(Kind::CopiesNothing, path, &trap.message, fix).of(&trap.message);
            // What is lost by it is a finding of its own where it is identity.
            self.out.findings.push(finding.at(self.cause(Some(trap.line))).notice());
        }
        if self.bake.git_context && !self.is_bound_submodule() {
            let text = format!("what the builder clones has the source's files at {}", self.bake.source_dir);
            self.assume(None, text, id);
        }
        for assumption in image.assumptions {
            self.assume(Some(assumption.line), assumption.text, id);
        }
    }

    /// Takes something for granted, unless the gate allows no assumption.
    fn assume(&mut self, line: Option<u32>, text: String, id: &str) {
        let file = self.bake.dockerfile.clone();
        self.out.assume(self.gate.strict_assumptions, Assumption { file, line, text }, id);
    }
}

/// Equal for equal content: of a file, a link, a submodule, or a directory with all that is in it.
pub(super) fn digest(tree: &dyn Tree, path: &str) -> Result<String, TreeError> {
    if let Some(id) = tree.dir_id(path)? {
        return Ok(id.to_string());
    }
    let mut hash = Sha256::new();
    let mut todo = vec![path.to_owned()];
    while let Some(path) = todo.pop() {
        let text = match tree.node(&path)? {
            None => "nothing".to_owned(),
            Some(Node::Submodule { commit }) => commit.to_string(),
            Some(Node::Dir { .. }) => {
                todo.extend(tree.list(&path)?.into_iter().map(|(name, _)| join(&path, &name)));
                "directory".to_owned()
            }
            Some(Node::File { mode }) => format!("{mode:o} {}", tree.blob_id(&path)?),
            Some(Node::Link { target }) => format!("link {target}"),
        };
        hash.update(format!("{} {path} {text}\n", path.len()));
    }
    Ok(hex::encode(hash.finalize()))
}

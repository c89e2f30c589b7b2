//! The `bake` check: the tree that the Dockerfile would produce with the source's files, compared with the source.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Outcome, files_below, identity};
use crate::config::{Bake, Gate};
use crate::dockerfile::{self, Baked, BakedKind, Build, BuildError, Content, Image};
use crate::gate::attributes;
use crate::gate::finding::{Assumption, Cause, Finding, Kind, Undecided};
use crate::tree::{Mounted, Node, ObjectId, Subtree, Tree, TreeError, blob_id, join};

/// The largest Dockerfile that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// How the evaluator says that it does not know an instruction.
const UNKNOWN_INSTRUCTION: &str = "unknown instruction";

/// Judges one `bake` check of a consumer tree with a source tree.
pub fn check(gate: &Gate, bake: &Bake, consumer: &Arc<dyn Tree>, source: &Arc<dyn Tree>) -> Result<Outcome, TreeError> {
    let mut check =
        Check { gate, bake, source: source.as_ref(), out: Outcome::default(), dockerfile_id: String::new() };
    let files = files_below(source.as_ref(), "")?;
    check.checked_out(&files)?;
    check.tracked_source_dir(consumer.as_ref())?;
    let identity: Vec<&(String, Node)> = files.iter().filter(|(path, _)| check.is_identity(path)).collect();
    let paths: Vec<&str> = identity.iter().map(|(path, _)| path.as_str()).collect();
    source.expect(&paths)?;
    if identity.is_empty() {
        let message = "no file of the source matches `identity`: there is nothing to compare";
        let fix = "list the source's identity files in the gate's `identity`, or restore them in the source";
        check.out.findings.push(Finding::new(Kind::MissingInSource, "identity", message, fix));
        return Ok(check.out);
    }
    let whole: Arc<dyn Tree> =
        Arc::new(Mounted { base: Arc::clone(consumer), at: bake.source_dir.clone(), mounted: Arc::clone(source) });
    let context = Subtree { of: Arc::clone(&whole), at: bake.context.clone() };
    let Some(image) = check.build(whole.as_ref(), &context)? else { return Ok(check.out) };
    check.compare(&image, &context, &identity)?;
    check.extras(&image, &files);
    check.traps_and_assumptions(image);
    Ok(check.out)
}

struct Check<'a> {
    gate: &'a Gate,
    bake: &'a Bake,
    source: &'a dyn Tree,
    out: Outcome,
    dockerfile_id: String,
}

impl Check<'_> {
    fn is_identity(&self, path: &str) -> bool {
        identity::is_identity(self.gate, path)
    }

    fn cause(&self, line: Option<u32>) -> Option<Cause> {
        Some(Cause { file: self.bake.dockerfile.clone(), line })
    }

    fn find(&mut self, kind: Kind, path: &str, cause: Option<Cause>, content: String, message: String, fix: String) {
        self.out.findings.push(Finding::new(kind, path, message, fix).at(cause).of(content));
    }

    fn undecided(&mut self, path: &str, line: Option<u32>, reason: String, inputs: &str) {
        let cause = self.cause(line);
        let content = format!("{} {inputs} {reason}", self.dockerfile_id);
        self.out.undecided.push(Undecided { path: path.to_owned(), cause, reason, inherited: false, content });
    }

    /// Where the image should have a file of the source, without the leading slash.
    fn destination(&self, path: &str) -> String {
        join(self.bake.destination.trim_matches('/'), path)
    }

    /// What a checkout would change, or leave out, is not in the source's tree.
    fn checked_out(&mut self, files: &[(String, Node)]) -> Result<(), TreeError> {
        for (path, node) in files.iter().filter(|(path, _)| identity::is_identity(self.gate, path)) {
            if matches!(node, Node::Submodule { .. }) {
                let reason = "it is a submodule: its files are not in the source's tree".to_owned();
                self.undecided(path, None, reason, "submodule");
            } else if let Some(reason) = attributes::changed_by_checkout(self.source, path)? {
                let id = self.source.blob_id(path)?;
                self.undecided(path, None, reason, id.as_str());
            }
        }
        Ok(())
    }

    /// Tracked files where the build puts the source: it may see them instead.
    fn tracked_source_dir(&mut self, consumer: &dyn Tree) -> Result<(), TreeError> {
        let dir = self.bake.source_dir.clone();
        if consumer.node(&dir)?.is_none() {
            return Ok(());
        }
        let message = format!("the consumer tracks files at {dir}, where the build puts the source's files");
        let fix = format!("remove {dir} from the consumer and ignore it in .gitignore");
        self.find(Kind::SourceDirTracked, &dir, None, String::new(), message, fix);
        Ok(())
    }

    /// Evaluates the Dockerfile; `None` when there is no image, which is then a finding or undecided.
    fn build(&mut self, whole: &dyn Tree, context: &Subtree) -> Result<Option<Image>, TreeError> {
        let name = self.bake.dockerfile.clone();
        if !matches!(whole.node(&name)?, Some(Node::File { .. })) {
            let message = format!("{name} does not exist");
            let fix = "restore it, or change the check's `dockerfile`".to_owned();
            self.find(Kind::BuildFails, &name, self.cause(None), String::new(), message, fix);
            return Ok(None);
        }
        self.dockerfile_id = whole.blob_id(&name)?.to_string();
        whole.expect(&[name.as_str()])?;
        if whole.size(&name)? > LARGEST {
            self.undecided(&name, None, format!("it is larger than {} MiB", LARGEST >> 20), "");
            return Ok(None);
        }
        let text = whole.read(&name)?;
        let ignore = dockerfile::ignore_file(whole, &name, &self.bake.context)?;
        let build = Build {
            context,
            dockerfile: &text,
            dockerfile_name: &name,
            ignore: ignore.as_ref().map(|(bytes, name)| (bytes.as_ref(), name.as_str())),
            build_args: &self.bake.build_args,
            target: None,
        };
        match dockerfile::evaluate(&build) {
            Ok(image) => Ok(Some(image)),
            // A newer frontend may know it: that the build would fail is not proven.
            Err(BuildError::Fails { line, message }) if message.starts_with(UNKNOWN_INSTRUCTION) => {
                self.undecided(&name, Some(line), format!("line {line}: {message}"), "");
                Ok(None)
            }
            Err(BuildError::Fails { line, message }) => {
                // What fails as a whole has no line.
                let line = Some(line).filter(|line| *line > 0);
                let place = line.map_or_else(|| name.clone(), |line| format!("line {line} of {name}"));
                let fix = format!("mend {place}; `docker build` would fail there");
                let content = format!("{} {message}", self.dockerfile_id);
                self.find(Kind::BuildFails, &name, self.cause(line), content, message, fix);
                Ok(None)
            }
            Err(BuildError::Undecided { line, message }) => {
                self.undecided(&name, Some(line), format!("line {line}: {message}"), "");
                Ok(None)
            }
            Err(BuildError::Tree(error)) => Err(error),
        }
    }

    fn compare(&mut self, image: &Image, context: &Subtree, identity: &[&(String, Node)]) -> Result<(), TreeError> {
        self.out.compared = true;
        let source_dir = format!("{}/", self.in_context(&self.bake.source_dir));
        let mut elsewhere: Option<BTreeMap<ObjectId, String>> = None;
        for (path, node) in identity.iter().copied() {
            if matches!(node, Node::Submodule { .. }) {
                continue;
            }
            let destination = self.destination(path);
            let Some(baked) = image.entries.get(&destination) else {
                if let Some(part) = image.unknown.iter().find(|part| covers(&part.path, &destination)) {
                    let inputs = self.source.blob_id(path)?;
                    self.undecided(path, Some(part.line), part.reason.clone(), inputs.as_str());
                    continue;
                }
                let places = match &mut elsewhere {
                    Some(places) => places,
                    none => none.insert(places(image, context, &source_dir)?),
                };
                let at = places.get(&self.source.blob_id(path)?).cloned();
                self.not_there(path, &destination, at);
                continue;
            };
            self.out.files_compared += 1;
            self.out.bytes_compared += self.source.size(path)?;
            self.same(path, node, baked, context, &source_dir)?;
        }
        Ok(())
    }

    /// A path of the consumer as the context knows it.
    fn in_context(&self, path: &str) -> String {
        let context = &self.bake.context;
        if context.is_empty() {
            return path.to_owned();
        }
        path.strip_prefix(context.as_str())
            .map_or_else(|| path.to_owned(), |rest| rest.trim_start_matches('/').to_owned())
    }

    fn not_there(&mut self, path: &str, destination: &str, elsewhere: Option<String>) {
        let id = self.source.blob_id(path).map(|id| id.to_string()).unwrap_or_default();
        let cause = self.cause(None);
        match elsewhere {
            Some(place) => {
                let message = format!("{path} is baked at /{place}, not at /{destination}");
                let fix = format!("let its COPY write to /{destination}");
                self.find(Kind::WrongDestination, path, cause, id, message, fix);
            }
            None => {
                let message = format!("no instruction bakes {path} to /{destination}");
                let fix =
                    format!("add to {}: COPY {}/{path} /{destination}", self.bake.dockerfile, self.bake.source_dir);
                self.find(Kind::NotBaked, path, cause, id, message, fix);
            }
        }
    }

    fn same(
        &mut self,
        path: &str,
        node: &Node,
        baked: &Baked,
        context: &Subtree,
        source_dir: &str,
    ) -> Result<(), TreeError> {
        let wanted = self.source.blob_id(path)?;
        let cause = self.cause(Some(baked.line));
        let mut copied_from = None;
        let differs = |what: String| (Kind::ContentDiffers, what);
        let (kind, message) = match (&baked.kind, node) {
            (BakedKind::Link { target }, Node::Link { target: wanted }) if target == wanted => return Ok(()),
            (BakedKind::Link { target }, _) => differs(format!("a link to {target} is baked in place of {path}")),
            (BakedKind::Dir { .. }, _) => differs(format!("a directory is baked in place of {path}")),
            (BakedKind::File { content, .. }, _) => {
                let (id, from) = match content {
                    Content::Context(from) => (context.blob_id(from)?, Some(from)),
                    Content::Bytes(bytes) => (blob_id(bytes), None),
                };
                let from = from.filter(|from| !from.starts_with(source_dir));
                copied_from = from.map(|from| join(&self.bake.context, from));
                match (id == wanted, from) {
                    (true, None) => return Ok(()),
                    (true, Some(from)) => (
                        Kind::VendoredCopy,
                        format!("{path} is baked from {from}, a copy in the consumer that only happens to be equal"),
                    ),
                    (false, Some(from)) => {
                        differs(format!("{path} is baked from {from} of the consumer, which differs from the source"))
                    }
                    (false, None) => {
                        differs(format!("what is baked at /{} is not {path} of the source", self.destination(path)))
                    }
                }
            }
        };
        let fix = format!("let line {} of {} copy {}/{path}", baked.line, self.bake.dockerfile, self.bake.source_dir);
        let mut finding = Finding::new(kind, path, message, fix).at(cause).of(format!("{wanted} {:?}", baked.kind));
        finding.baked = copied_from;
        self.out.findings.push(finding);
        Ok(())
    }

    /// Files at the destination that the source does not have.
    fn extras(&mut self, image: &Image, files: &[(String, Node)]) {
        let below = format!("{}/", self.bake.destination.trim_matches('/'));
        let extra: Vec<(&String, &Baked)> = image
            .entries
            .range(below.clone()..)
            .take_while(|(path, _)| path.starts_with(&below))
            .filter(|(path, baked)| {
                let name = &path[below.len()..];
                let in_source = files.binary_search_by(|(path, _)| path.as_str().cmp(name)).is_ok();
                !in_source && !matches!(baked.kind, BakedKind::Dir { .. })
            })
            .collect();
        for (path, baked) in extra {
            let name = &path[below.len()..];
            let counts = self.is_identity(name);
            let message = format!("/{path} is baked, the source has no {name}");
            let fix = format!("remove what line {} of {} bakes there", baked.line, self.bake.dockerfile);
            let finding = Finding::new(Kind::ExtraAtDestination, name, message, fix).at(self.cause(Some(baked.line)));
            self.out.findings.push(if counts { finding } else { finding.notice() });
        }
    }

    fn traps_and_assumptions(&mut self, image: Image) {
        for trap in image.traps {
            let fix = format!("look at line {} of {}", trap.line, self.bake.dockerfile);
            let path = format!("{}:{}", self.bake.dockerfile, trap.line);
            let finding = Finding::new(Kind::CopiesNothing, path, &trap.message, fix).of(&trap.message);
            // What is lost by it is a finding of its own where it is identity.
            self.out.findings.push(finding.at(self.cause(Some(trap.line))).notice());
        }
        for assumption in image.assumptions {
            if self.gate.strict_assumptions {
                let path = self.bake.dockerfile.clone();
                self.undecided(&path, Some(assumption.line), format!("only assumed: {}", assumption.text), "");
            }
            self.out.assumptions.push(Assumption {
                file: self.bake.dockerfile.clone(),
                line: Some(assumption.line),
                text: assumption.text,
            });
        }
    }
}

fn covers(unknown: &str, path: &str) -> bool {
    let unknown = unknown.trim_matches('/');
    unknown.is_empty() || path == unknown || path.strip_prefix(unknown).is_some_and(|rest| rest.starts_with('/'))
}

/// Where the source's contents are baked, by content.
fn places(image: &Image, context: &Subtree, source_dir: &str) -> Result<BTreeMap<ObjectId, String>, TreeError> {
    let mut places = BTreeMap::new();
    for (path, baked) in &image.entries {
        if let BakedKind::File { content: Content::Context(from), .. } = &baked.kind
            && from.starts_with(source_dir)
        {
            places.entry(context.blob_id(from)?).or_insert_with(|| path.clone());
        }
    }
    Ok(places)
}

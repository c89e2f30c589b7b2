//! The `mirror` check: files of the source and their copies in the consumer.
//!
//! Objects are compared by name first, and read only where names differ or where the files must be data. Comparison is of
//! what the repositories hold: a filter or `eol` changes both sides' checkouts, not the copy. Permission bits do not count. A
//! link that was copied as a link is the same; else it is what it leads to, as long as that is in its tree. A file that cannot
//! be read is undecided and hides nothing of the others.

use super::{Outcome, below, files_below};
use crate::config::{Compare, Format, Gate, Mirror, Mirrored};
use crate::gate::data::{self, Value};
use crate::gate::finding::{Cause, Finding, Kind, Undecided};
use crate::gate::glob;
use crate::tree::{Led, Node, ObjectId, Tree, TreeError, follow, join, split};

/// The most files that a mirror may copy.
const MOST_FILES: usize = 20_000;

/// Judges one `mirror` check.
pub fn check(gate: &Gate, mirror: &Mirror, consumer: &dyn Tree, source: &dyn Tree) -> Result<Outcome, TreeError> {
    let mut check = Check { gate, mirror, consumer, source, out: Outcome::default() };
    let files = match &mirror.what {
        Mirrored::File(file) => check.one_file(file)?,
        Mirrored::Folder { path, include, exclude } => check.folder(path, include, exclude)?,
    };
    check.expect(&files)?;
    for file in &files {
        let judged = check.file(file);
        check.unless_torn(judged)?;
    }
    if let Mirrored::Folder { path, include, exclude } = &mirror.what {
        check.extras(path, &files, include, exclude)?;
    }
    Ok(check.out)
}

/// A file of the source that is copied.
struct Original {
    path: String,
    node: Node,
    /// Below each folder of copies; empty where the copy is a file of its own.
    inside: String,
}

impl Original {
    /// Where one of its copies should be.
    fn copy(&self, place: &str) -> String {
        if self.inside.is_empty() { place.to_owned() } else { join(place, &self.inside) }
    }
}

struct Check<'a> {
    gate: &'a Gate,
    mirror: &'a Mirror,
    consumer: &'a dyn Tree,
    source: &'a dyn Tree,
    out: Outcome,
}

impl Check<'_> {
    fn one_file(&mut self, file: &str) -> Result<Vec<Original>, TreeError> {
        let (what, fix) = match self.source.node(file)? {
            Some(Node::Dir { .. }) => ("is a folder", "write `folder` instead of `file` in the check".to_owned()),
            Some(node) => return Ok(vec![Original { path: file.to_owned(), node, inside: String::new() }]),
            None if glob::any(&self.gate.optional, file) => {
                self.out.compared = true;
                return self.without_original(file).map(|()| Vec::new());
            }
            None => ("does not exist", format!("restore {file} in the source, or change the check's `file`")),
        };
        let message = format!("{file} of the source {what}: there is nothing to compare its copies with");
        self.out.findings.push(Finding::new(Kind::MissingInSource, file, message, fix));
        Ok(Vec::new())
    }

    /// Copies of an optional file that is gone.
    fn without_original(&mut self, file: &str) -> Result<(), TreeError> {
        for copy in &self.mirror.copies {
            if self.consumer.node(copy)?.is_some() {
                self.extra(copy, file);
            }
            self.out.files_compared += 1;
        }
        Ok(())
    }

    fn folder(&mut self, folder: &str, include: &[String], exclude: &[String]) -> Result<Vec<Original>, TreeError> {
        let files: Vec<Original> = files_below(self.source, folder)?
            .into_iter()
            .filter_map(|(path, node)| {
                let inside = below(folder, &path)?.to_owned();
                mirrored(&inside, include, exclude).then_some(Original { path, node, inside })
            })
            .collect();
        if files.len() > MOST_FILES {
            let what = format!("it has {} files to mirror, at most {MOST_FILES} are compared", files.len());
            return Err(TreeError::Unfit { path: folder.to_owned(), what });
        }
        if files.is_empty() {
            let shown = if folder.is_empty() { "the source" } else { folder };
            let message = format!("no file in {shown} is mirrored: there is nothing to compare");
            let fix = "restore the folder in the source, or change the check's `folder`, `include` and `exclude`";
            self.out.findings.push(Finding::new(Kind::MissingInSource, shown, message, fix));
        }
        Ok(files)
    }

    /// Names all that will be read, in one request for each side.
    fn expect(&self, files: &[Original]) -> Result<(), TreeError> {
        let originals = files.iter().map(|file| bytes_at(self.source, &file.path, &file.node));
        let originals = originals.collect::<Result<Vec<_>, _>>()?;
        self.source.expect(&originals.iter().flatten().map(String::as_str).collect::<Vec<_>>())?;
        let mut copies = Vec::new();
        for file in files {
            for place in &self.mirror.copies {
                match self.differing(file, &file.copy(place)) {
                    Err(error @ TreeError::NotHere(_)) => return Err(error),
                    // Told when the file is judged.
                    Err(_) => {}
                    Ok(at) => copies.extend(at),
                }
            }
        }
        self.consumer.expect(&copies.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Where the bytes of a copy lie, when they are not the original's.
    fn differing(&self, file: &Original, copy: &str) -> Result<Option<String>, TreeError> {
        let Some(node) = self.consumer.node(copy)? else { return Ok(None) };
        let original = bytes_at(self.source, &file.path, &file.node)?;
        let (Some(original), Some(at)) = (original, bytes_at(self.consumer, copy, &node)?) else { return Ok(None) };
        let same = same_node(&file.node, &node) || self.consumer.blob_id(&at)? == self.source.blob_id(&original)?;
        Ok(Some(at).filter(|_| !same))
    }

    /// What cannot be read of one file is undecided.
    fn unless_torn(&mut self, judged: Result<(), TreeError>) -> Result<(), TreeError> {
        match judged {
            Err(error) if !matches!(error, TreeError::NotHere(_)) => {
                self.out.undecided.push(Undecided::unreadable(&error));
                Ok(())
            }
            judged => judged,
        }
    }

    fn file(&mut self, file: &Original) -> Result<(), TreeError> {
        self.out.compared = true;
        let path = &file.path;
        let at = bytes_at(self.source, path, &file.node)?;
        let original = match (self.mirror.compare, &at) {
            (Compare::Data(format), Some(at)) => match self.data(format, self.source, at)? {
                Data::Values(values) => Some(values),
                Data::Invalid { why, .. } => {
                    let id = self.source.blob_id(at)?;
                    let message = format!("{path} of the source is not {}: {why}", data::name(format));
                    let finding = Finding::new(Kind::CopyDiffers, path, message, format!("mend {path} in the source"));
                    self.out.findings.push(finding.of(format!("source {id}")));
                    return Ok(());
                }
                Data::TooLarge => return self.too_large(path, self.source.blob_id(at)?),
            },
            _ => None,
        };
        if file.inside.is_empty()
            && let Some(at) = &at
        {
            let says_nothing = original.as_ref().is_some_and(|values| values.iter().all(Value::is_nothing));
            if says_nothing || self.source.size(at)? == 0 {
                let message = format!("{path} of the source is empty: a copy of nothing proves nothing");
                let fix = format!("restore the content of {path}");
                self.out.findings.push(Finding::new(Kind::Empty, path, message, fix));
            }
        }
        for place in &self.mirror.copies {
            let judged = self.copy(file, at.as_deref(), &file.copy(place), original.as_deref());
            self.unless_torn(judged)?;
        }
        Ok(())
    }

    /// Compares one copy; `at` is where the original's bytes lie.
    fn copy(
        &mut self,
        file: &Original,
        at: Option<&str>,
        copy: &str,
        original: Option<&[Value]>,
    ) -> Result<(), TreeError> {
        let path = &file.path;
        let Some(node) = self.consumer.node(copy)? else {
            let message = format!("{copy}, the copy of {path}, does not exist");
            let fix = format!("copy {path} of the source to {copy}");
            self.out.findings.push(Finding::new(Kind::CopyMissing, path, message, fix).of(copy));
            return Ok(());
        };
        self.out.files_compared += 1;
        if same_node(&file.node, &node) {
            return Ok(());
        }
        let (Some(at), Some(copy_at)) = (at, bytes_at(self.consumer, copy, &node)?) else {
            let message = format!("{copy} is {}, {path} of the source is {}", words(&node), words(&file.node));
            self.differs(path, copy, None, format!("{copy} {node:?} {:?}", file.node), message);
            return Ok(());
        };
        self.out.bytes_compared += self.source.size(at)?;
        let (wanted, is) = (self.source.blob_id(at)?, self.consumer.blob_id(&copy_at)?);
        if wanted == is {
            return Ok(());
        }
        let found = match (self.mirror.compare, original) {
            (Compare::Data(format), Some(original)) => match self.data(format, self.consumer, &copy_at)? {
                Data::TooLarge => return self.too_large(copy, is),
                Data::Invalid { line, why } => Some((Some(line), format!("is not {}: {why}", data::name(format)))),
                Data::Values(values) => data::difference(original, &values).map(|found| {
                    let place = if found.path.is_empty() { "it" } else { &found.path };
                    (Some(found.line), format!("is not {path} of the source: {place} {}", found.words))
                }),
            },
            (compare, _) => self.first_line(compare, at, &copy_at)?.map(|line| match line {
                Some(line) => (Some(line), format!("is not {path} of the source: line {line} differs")),
                None => (None, format!("is not {path} of the source")),
            }),
        };
        if let Some((line, what)) = found {
            self.differs(path, copy, line, format!("{copy} {wanted} {is}"), format!("{copy} {what}"));
        }
        Ok(())
    }

    /// Where two files begin to differ, which is not looked for in large ones; `None` when they are the same.
    fn first_line(&self, compare: Compare, original: &str, copy: &str) -> Result<Option<Option<u32>>, TreeError> {
        if self.source.size(original)?.max(self.consumer.size(copy)?) > data::LARGEST {
            return Ok(Some(None));
        }
        let (one, other) = (self.source.read(original)?, self.consumer.read(copy)?);
        let (one, other) = match compare {
            Compare::Text => (with_line_feeds(&one), with_line_feeds(&other)),
            _ => (one.to_vec(), other.to_vec()),
        };
        Ok((one != other).then(|| Some(first_difference(&one, &other))))
    }

    fn differs(&mut self, path: &str, copy: &str, line: Option<u32>, content: String, message: String) {
        let fix = format!("copy {path} of the source over {copy}");
        let cause = Some(Cause { file: copy.to_owned(), line });
        let mut finding = Finding::new(Kind::CopyDiffers, path, message, fix).at(cause).of(content);
        finding.baked = Some(copy.to_owned());
        self.out.findings.push(finding);
    }

    /// Files among the copies that the source does not have.
    fn extras(
        &mut self,
        folder: &str,
        files: &[Original],
        include: &[String],
        exclude: &[String],
    ) -> Result<(), TreeError> {
        for place in &self.mirror.copies {
            for (path, _) in files_below(self.consumer, place)? {
                let Some(inside) = below(place, &path) else { continue };
                let known = files.binary_search_by(|file| file.inside.as_str().cmp(inside)).is_ok();
                if !known && mirrored(inside, include, exclude) {
                    self.extra(&path, &join(folder, inside));
                }
            }
        }
        Ok(())
    }

    fn extra(&mut self, copy: &str, original: &str) {
        let message = format!("{copy} is among the copies, the source has no {original}");
        let fix = format!("remove {copy}, or add {original} to the source");
        let cause = Some(Cause { file: copy.to_owned(), line: None });
        self.out.findings.push(Finding::new(Kind::CopyExtra, copy, message, fix).at(cause));
    }

    fn data(&self, format: Format, tree: &dyn Tree, path: &str) -> Result<Data, TreeError> {
        if tree.size(path)? > data::LARGEST {
            return Ok(Data::TooLarge);
        }
        let bytes = tree.read(path)?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Ok(Data::Invalid { line: 1, why: "it is not UTF-8".into() });
        };
        Ok(match data::parse_all(format, text) {
            Ok(values) => Data::Values(values),
            Err(error) => Data::Invalid { line: error.line, why: error.to_string() },
        })
    }

    fn too_large(&mut self, path: &str, id: ObjectId) -> Result<(), TreeError> {
        let reason = format!("it is larger than {} MiB: it is not compared as data", data::LARGEST >> 20);
        let content = id.to_string();
        let part = Undecided { path: path.to_owned(), cause: None, reason, inherited: false, content };
        self.out.undecided.push(part);
        Ok(())
    }
}

/// A file read as data.
enum Data {
    Values(Vec<Value>),
    Invalid { line: u32, why: String },
    TooLarge,
}

/// Where the bytes lie that a path stands for; `None` for what has none in its tree.
fn bytes_at(tree: &dyn Tree, path: &str, node: &Node) -> Result<Option<String>, TreeError> {
    Ok(match node {
        Node::File { .. } => Some(path.to_owned()),
        Node::Link { .. } => match follow(tree, path)? {
            Led::File(at) => Some(at),
            _ => None,
        },
        Node::Dir { .. } | Node::Submodule { .. } => None,
    })
}

/// Whether two nodes are the same without a look at bytes.
fn same_node(one: &Node, other: &Node) -> bool {
    match (one, other) {
        (Node::Link { target: one }, Node::Link { target: other }) => one == other,
        (Node::Submodule { commit: one }, Node::Submodule { commit: other }) => one == other,
        _ => false,
    }
}

fn mirrored(inside: &str, include: &[String], exclude: &[String]) -> bool {
    glob::any(include, inside) && !glob::any(exclude, inside)
}

fn words(node: &Node) -> String {
    match node {
        Node::File { .. } => "a file".into(),
        Node::Dir { .. } => "a folder".into(),
        Node::Link { target } => format!("a link to {}", split(target).1),
        Node::Submodule { commit } => format!("a submodule at {}", commit.short()),
    }
}

/// Every line end as one line feed, without one at the end.
fn with_line_feeds(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().peekable();
    while let Some(byte) = rest.next() {
        if *byte == b'\r' {
            rest.next_if(|next| **next == b'\n');
            text.push(b'\n');
        } else {
            text.push(*byte);
        }
    }
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    text
}

/// The first line (1-based) in which two files are not the same.
fn first_difference(one: &[u8], other: &[u8]) -> u32 {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    1 + u32::try_from(one[..same].iter().filter(|byte| **byte == b'\n').count()).unwrap_or(u32::MAX)
}

//! ADD of an archive: a local file that is a tar, whatever its name, is unpacked.
//!
//! Compression is told by content (gzip, bzip2, xz, zstd). What is no tar inside is copied as the file that it is.
//!
//! Traps handled here: the destination is a directory, slash or not; links in the archive are followed as if the
//! destination were the root; a file or link in the archive replaces a directory that is there, a directory re-modes it,
//! and `./` leaves the destination's mode alone; `.wh.` names mean nothing; a small archive may unpack to a huge one, so
//! what is unpacked is bounded.

use std::io::{Cursor, Read};
use std::sync::Arc;

use super::budget::BYTES_PER_STEP;
use super::context::{Followed, Item, follow};
use super::copy::{Copier, Job};
use super::files::{Dir, Entry, File, Found, Mystery, Node, Owner, names_of};
use super::pattern::clean;
use super::{BuildError, Content, Taken};

/// The most bytes that an archive may hold when it is unpacked.
const MAX_UNPACKED: u64 = 256 << 20;
/// What an entry of an archive takes while it is read, in bytes.
const ENTRY: usize = 128;
/// The most links that a path inside an archive may go through.
const MAX_LINKS: u32 = 255;

/// Unpacks the file at `path` when it is an archive; `false` when it is none.
pub(super) fn unpack(copier: &mut Copier<'_>, job: &Job<'_>, path: &str) -> Result<bool, BuildError> {
    let Followed::There(_, Item::File(file)) = follow(job.source, path, true)? else { return Ok(false) };
    let bytes = match &file.content {
        Content::Bytes(bytes) => bytes.clone(),
        Content::Context(path) => {
            copier.notes.taken.push(Taken::File(path.clone()));
            job.source.read(path)?
        }
    };
    let Some(archive) = decompress(&bytes).map_err(|message| undecided(job, format!("{path}: {message}")))? else {
        return Ok(false);
    };
    copier.budget.take_steps(archive.bytes.len() / BYTES_PER_STEP);
    copier.budget.check(job.line)?;
    if !is_tar(&archive.bytes) {
        return Ok(false);
    }
    // An archive goes into a directory, so its destination is one.
    let into = format!("{}/", job.destination.trim_end_matches(['/', '.']));
    let job = Job {
        line: job.line,
        source: job.source,
        from: job.from,
        chmod: None,
        chown: job.chown,
        exclude: job.exclude,
        include: None,
        destination: if job.destination.ends_with('/') { job.destination } else { &into },
    };
    let Some(root) = copier.destination(&job)? else { return Ok(true) };
    let mut unpacker = Unpacker { copier, job: &job, root: root.names };
    unpacker.entries(&archive)?;
    Ok(true)
}

struct Plain {
    bytes: Vec<u8>,
    /// Why the bytes end early.
    broken: Option<String>,
}

/// The bytes without their compression; `None` when they are not what their first bytes say.
fn decompress(bytes: &[u8]) -> Result<Option<Plain>, String> {
    let limited = |reader: &mut dyn Read| {
        let mut plain = Plain { bytes: Vec::new(), broken: None };
        let mut reader = reader.take(MAX_UNPACKED + 1);
        if let Err(error) = reader.read_to_end(&mut plain.bytes) {
            plain.broken = Some(error.to_string());
        }
        if plain.bytes.len() as u64 > MAX_UNPACKED {
            return Err(format!("it unpacks to more than {MAX_UNPACKED} bytes"));
        }
        Ok(plain)
    };
    let whole = |plain: Plain, name: &str| match plain.broken {
        None => Ok(Some(plain)),
        Some(why) => Err(format!("its {name} compression cannot be read here: {why}")),
    };
    match bytes {
        [0x1f, 0x8b, 0x08, ..] => limited(&mut flate2::read::MultiGzDecoder::new(bytes)).map(Some),
        [b'B', b'Z', b'h', ..] => limited(&mut bzip2::read::MultiBzDecoder::new(bytes)).map(Some),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let mut sink = Bounded { bytes: Vec::new() };
            lzma_rs::xz_decompress(&mut Cursor::new(bytes), &mut sink)
                .map_err(|error| format!("its xz compression cannot be read here: {error:?}"))?;
            Ok(Some(Plain { bytes: sink.bytes, broken: None }))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut rest = bytes;
            let mut all = Vec::new();
            while !rest.is_empty() {
                if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, after @ ..] = rest {
                    let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                    rest = after.get(length..).ok_or("a skippable zstd frame is cut off")?;
                    continue;
                }
                let frame = ruzstd::decoding::StreamingDecoder::new(&mut rest);
                let mut frame = frame.map_err(|error| format!("its zstd compression cannot be read here: {error}"))?;
                let plain = limited(&mut frame)?;
                all.extend(whole(plain, "zstd")?.map(|plain| plain.bytes).unwrap_or_default());
                if all.len() as u64 > MAX_UNPACKED {
                    return Err(format!("it unpacks to more than {MAX_UNPACKED} bytes"));
                }
            }
            Ok(Some(Plain { bytes: all, broken: None }))
        }
        _ if bytes.len() as u64 > MAX_UNPACKED => Err(format!("it has more than {MAX_UNPACKED} bytes")),
        _ => Ok(Some(Plain { bytes: bytes.to_vec(), broken: None })),
    }
}

/// A sink that refuses to grow without end.
struct Bounded {
    bytes: Vec<u8>,
}

impl std::io::Write for Bounded {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        if (self.bytes.len() + more.len()) as u64 > MAX_UNPACKED {
            return Err(std::io::Error::other(format!("it unpacks to more than {MAX_UNPACKED} bytes")));
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether a first entry can be read.
fn is_tar(bytes: &[u8]) -> bool {
    let mut archive = tar::Archive::new(bytes);
    let first = archive.entries().ok().and_then(|mut entries| entries.next());
    matches!(first, Some(Ok(_)))
}

struct Unpacker<'u, 'c> {
    copier: &'u mut Copier<'c>,
    job: &'u Job<'u>,
    /// The destination, which is the root for everything in the archive.
    root: Vec<String>,
}

impl Unpacker<'_, '_> {
    fn entries(&mut self, archive: &Plain) -> Result<(), BuildError> {
        let mut tar = tar::Archive::new(archive.bytes.as_slice());
        let broken = |why: &dyn std::fmt::Display| self.fails(format!("the archive is broken: {why}"));
        let entries = tar.entries().map_err(|error| broken(&error))?;
        let mut list = Vec::new();
        for entry in entries {
            let mut entry = entry.map_err(|error| broken(&error))?;
            if entry.header().entry_type() == tar::EntryType::XGlobalHeader {
                continue;
            }
            list.push(self.read(&mut entry)?);
            self.copier.budget.take_bytes(ENTRY);
            self.copier.budget.check(self.job.line)?;
        }
        for entry in list {
            self.put(entry)?;
        }
        match &archive.broken {
            Some(why) => Err(self.fails(format!("the archive is broken: {why}"))),
            None => Ok(()),
        }
    }

    fn read(&self, entry: &mut tar::Entry<'_, &[u8]>) -> Result<Packed, BuildError> {
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec())
                .map_err(|_| undecided(self.job, "the archive has a name that is not UTF-8".to_owned()))
        };
        let name = text(&entry.path_bytes())?;
        let link = entry.link_name_bytes().map(|link| text(&link)).transpose()?.unwrap_or_default();
        let header = entry.header();
        let mode = header.mode().map_err(|error| self.fails(error.to_string()))? & 0o7777;
        let owner = header.uid().ok().and_then(|uid| u32::try_from(uid).ok());
        let kind = match header.entry_type() {
            // The old format has no type for a directory, only the slash.
            tar::EntryType::Regular if name.ends_with('/') && header.as_bytes()[156] == 0 => Kind::Dir,
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                // A plain archive that is cut off gives what there is.
                entry.read_to_end(&mut bytes).map_err(|error| self.fails(format!("the archive is broken: {error}")))?;
                self.copier.budget.take_bytes(bytes.len());
                self.copier.budget.check(self.job.line)?;
                Kind::File(bytes.into())
            }
            tar::EntryType::Directory => Kind::Dir,
            tar::EntryType::Symlink => Kind::Symlink(link),
            tar::EntryType::Link => Kind::Link(link),
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => Kind::Special,
            other => return Err(self.fails(format!("unhandled tar header type {}", other.as_byte()))),
        };
        Ok(Packed { name: clean(&name), mode, owner, kind })
    }

    fn put(&mut self, packed: Packed) -> Result<(), BuildError> {
        let line = self.job.line;
        let owner = self.job.chown.unwrap_or(packed.owner);
        let cleaned = clean(&format!("/{}", packed.name));
        let Some((parent, name)) = cleaned.rsplit_once('/').filter(|(_, name)| !name.is_empty()) else {
            return match packed.kind {
                // `./` leaves the destination as it is, `/` does not.
                _ if packed.name == "." => Ok(()),
                Kind::Dir => {
                    if let Some(dir) = self.copier.files.dir_mut(&self.root) {
                        dir.mode = packed.mode;
                    }
                    Ok(())
                }
                _ => Err(self.fails("the archive replaces its own destination".to_owned())),
            };
        };
        let mut names = self.parent(parent, owner)?;
        names.push(name.to_owned());
        self.copier.budget.check(line)?;
        let is_dir = matches!(packed.kind, Kind::Dir);
        if let Found::Entry(entry) = self.copier.files.find(&names)
            && !(is_dir && matches!(entry.node, Node::Dir(_)))
        {
            self.copier.files.remove(&names);
        }
        let node = match packed.kind {
            Kind::Dir => {
                if let Some(dir) = self.copier.files.dir_mut(&names) {
                    dir.mode = packed.mode;
                    dir.vague = false;
                    dir.owner = owner;
                    return Ok(());
                }
                Node::Dir(Arc::new(Dir::new(packed.mode, owner)))
            }
            Kind::File(bytes) => {
                Node::File(File { content: Content::Bytes(bytes), mode: packed.mode, owner, inode: None })
            }
            Kind::Symlink(target) => Node::Link(target.into()),
            Kind::Link(target) => return self.hard_link(&target, &names, packed.mode),
            Kind::Special => Node::Unknown(Mystery { line, reason: "the archive has a device or pipe there".into() }),
        };
        self.copier.files.put(&names, Entry { node, line });
        Ok(())
    }

    fn hard_link(&mut self, target: &str, names: &[String], mode: u32) -> Result<(), BuildError> {
        let cleaned = clean(&format!("/{target}"));
        let missing = |this: &Self| this.fails(format!("linkat {target}: no such file or directory"));
        let (parent, name) = cleaned.rsplit_once('/').unwrap_or(("", ""));
        let mut from = self.follow(parent)?.ok_or_else(|| missing(self))?;
        from.push(name.to_owned());
        let node = match self.copier.files.find(&from) {
            Found::Entry(entry) => entry.node.clone(),
            Found::Unknown(mystery) | Found::Unlisted(mystery) => Node::Unknown(mystery.clone()),
            _ => return Err(missing(self)),
        };
        let line = self.job.line;
        let node = match node {
            Node::File(mut file) => {
                let inode = *file.inode.get_or_insert_with(|| {
                    *self.copier.next_inode += 1;
                    *self.copier.next_inode
                });
                if let Some(Entry { node: Node::File(old), .. }) = self.copier.files.entry_mut(&from) {
                    old.inode = Some(inode);
                }
                // All names get the mode that the link's entry has.
                self.copier.files.each_name(&[inode].into(), &mut |node| {
                    if let Node::File(file) = node {
                        file.mode = mode;
                    }
                });
                file.mode = mode;
                Node::File(file)
            }
            Node::Dir(_) => return Err(self.fails(format!("linkat {target}: operation not permitted"))),
            other => other,
        };
        self.copier.files.put(names, Entry { node, line });
        Ok(())
    }

    /// The directory that an entry goes into, made where it is missing.
    fn parent(&mut self, path: &str, owner: Owner) -> Result<Vec<String>, BuildError> {
        if let Some(names) = self.follow(path)?
            && self.copier.files.dir(&names).is_some()
        {
            return Ok(names);
        }
        let mut made = self.root.clone();
        let mut below = String::new();
        for name in names_of(path) {
            below = format!("{below}/{name}");
            match self.follow(&below)? {
                Some(names) if self.copier.files.dir(&names).is_some() => made = names,
                Some(names) if matches!(self.copier.files.find(&names), Found::Missing | Found::Unlisted(_)) => {
                    let line = self.job.line;
                    let stuck = self.copier.files.make_dirs(&names, 0o755, owner, line);
                    stuck.map_err(|stuck| self.fails(stuck.message()))?;
                    made = names;
                }
                _ => return Err(self.fails(format!("openat {path}: not a directory"))),
            }
        }
        Ok(made)
    }

    /// Follows links as if the destination were the root. `None` when something in between is missing or no directory.
    fn follow(&self, path: &str) -> Result<Option<Vec<String>>, BuildError> {
        let mut todo: Vec<String> = names_of(path).rev().map(str::to_owned).collect();
        let mut below: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                below.pop();
                continue;
            }
            below.push(name);
            let names: Vec<String> = self.root.iter().chain(&below).cloned().collect();
            match self.copier.files.find(&names) {
                Found::Entry(Entry { node: Node::Link(target), .. }) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(self.fails("too many levels of symbolic links".to_owned()));
                    }
                    if target.starts_with('/') {
                        below.clear();
                    } else {
                        below.pop();
                    }
                    todo.extend(names_of(target).rev().map(str::to_owned));
                }
                Found::NotDir => return Ok(None),
                Found::Unknown(_) => {
                    return Err(undecided(
                        self.job,
                        format!("the archive goes through /{}, which is not known", names.join("/")),
                    ));
                }
                _ => {}
            }
        }
        Ok(Some(self.root.iter().cloned().chain(below).collect()))
    }

    fn fails(&self, message: String) -> BuildError {
        BuildError::Fails { line: self.job.line, message }
    }
}

/// An entry of an archive.
struct Packed {
    name: String,
    mode: u32,
    owner: Owner,
    kind: Kind,
}

enum Kind {
    File(Arc<[u8]>),
    Dir,
    Symlink(String),
    Link(String),
    Special,
}

fn undecided(job: &Job<'_>, message: String) -> BuildError {
    BuildError::Undecided { line: job.line, message }
}

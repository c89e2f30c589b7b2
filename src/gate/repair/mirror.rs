//! Makes copies what their originals are, or offers a copy that was edited to the source.
//!
//! What has to be written is what the check found: so nothing is copied that it takes for the same, and nothing is deleted that
//! it does not call an error. The trap handled here: a copy that differs says nothing about who moved. One that is an older
//! version of the source's file is behind, and one that was made from an older version and then edited lacks what the source
//! changed since: to offer either would take the source's change back. So a copy is offered only where its base is known, the
//! version of the source's file that it was made from, and the source still has that one.

use std::sync::Arc;

use super::{Edit, Edits, Work, counts, with_edits};
use crate::config::{Binding, Check, Mirrored};
use crate::gate::checks::below;
use crate::gate::finding::{Finding, Kind};
use crate::gate::{Report, Revision, Side, Version};
use crate::tree::{Led, Node, ObjectId, Tree, TreeError, follow, join};

/// One file of the source and one copy of it that is not the same.
struct Pair<'a> {
    original: &'a str,
    copy: &'a str,
}

/// The originals with the copies that differ from them or are missing.
fn pairs(report: &Report, kind: Kind) -> impl Iterator<Item = Pair<'_>> {
    let found = report.findings.iter().filter(move |one| one.kind == kind && counts(one));
    found.filter_map(|one| {
        // A missing copy is told apart from others by its path; a file of the identity that no check compares has none.
        let copy = one.baked.as_deref().or(Some(one.content.as_str()).filter(|_| one.kind == Kind::CopyMissing))?;
        (!copy.is_empty()).then_some(Pair { original: &one.path, copy })
    })
}

/// Copies that nobody has an original of.
fn extras(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|one| one.kind == Kind::CopyExtra && counts(one))
}

/// Adds the edits that make each copy its original; `Some` says what a person must do instead.
pub(super) fn to_consumer(
    work: &Work<'_>,
    tree: &Arc<dyn Tree>,
    report: &Report,
    edits: &mut Edits,
) -> Result<Option<String>, TreeError> {
    let Some(source) = work.bound(report)? else { return Ok(None) };
    let consumer = with_edits(tree, edits.all.values());
    let pairs: Vec<Pair<'_>> = pairs(report, Kind::CopyDiffers).chain(pairs(report, Kind::CopyMissing)).collect();
    source.expect(&pairs.iter().map(|pair| pair.original).collect::<Vec<_>>())?;
    for Pair { original, copy } in pairs {
        let Some((bytes, executable)) = content(source.as_ref(), original)? else {
            return Ok(Some(format!(
                "{original} of the source is no file: what {copy} should be is a person's to say"
            )));
        };
        let (path, was, mode) = match place(consumer.as_ref(), copy)? {
            Place::File { path, mode } => (path.clone(), Some(consumer.blob_id(&path)?), mode & 0o111 != 0),
            Place::Free => (copy.to_owned(), None, executable),
            Place::Taken(what) => {
                return Ok(Some(format!("{copy} cannot become a copy of {original}: {what}; make room for it")));
            }
        };
        edits.quotes = true;
        edits.add(Edit { path, content: Some(bytes.to_vec()), executable: mode, was, in_place: false });
    }
    for extra in extras(report) {
        let path = extra.path.clone();
        if matches!(consumer.node(&path)?, Some(Node::File { .. } | Node::Link { .. })) {
            let was = Some(consumer.blob_id(&path)?);
            edits.add(Edit { path, content: None, executable: false, was, in_place: false });
        }
    }
    Ok(None)
}

/// Adds the edits of the source that make each original its copy; `Some` says why a person must decide.
pub(super) fn to_source(
    work: &Work<'_>,
    (consumer, source): (&Arc<dyn Tree>, &Arc<dyn Tree>),
    report: &Report,
    edits: &mut Edits,
) -> Result<Option<String>, TreeError> {
    if let Some(Pair { original, copy }) = pairs(report, Kind::CopyMissing).next() {
        return Ok(Some(format!(
            "{copy} does not exist: whether {original} should leave the source is a person's to say"
        )));
    }
    let mut offered: Vec<(String, &str)> =
        pairs(report, Kind::CopyDiffers).map(|pair| (pair.original.to_owned(), pair.copy)).collect();
    for extra in extras(report) {
        let Some(original) = original_of(work, &extra.path) else {
            let words = format!("{} has no place in the source: {}", extra.path, extra.fix);
            return Ok(Some(words));
        };
        offered.push((original, extra.path.as_str()));
    }
    consumer.expect(&offered.iter().map(|(_, copy)| *copy).collect::<Vec<_>>())?;
    for (original, copy) in offered {
        let Some((bytes, executable)) = content(consumer.as_ref(), copy)? else {
            return Ok(Some(format!(
                "{copy} is no file: what {original} of the source should be is a person's to say"
            )));
        };
        let (path, was, mode) = match place(source.as_ref(), &original)? {
            Place::File { path, mode } => (path.clone(), Some(source.blob_id(&path)?), mode & 0o111 != 0),
            Place::Free => (original.clone(), None, executable),
            Place::Taken(what) => return Ok(Some(format!("{original} of the source cannot become {copy}: {what}"))),
        };
        if let Some(earlier) = edits.all.get(&path).filter(|one| one.content.as_deref() != Some(&*bytes)) {
            return Ok(Some(format!("two copies of {} say different things: make them the same first", earlier.path)));
        }
        let why = match &was {
            Some(now) => not_edited(work, consumer, (&original, &path, now), copy)?,
            None => not_new(work, (&original, &path), copy)?,
        };
        if why.is_some() {
            return Ok(why);
        }
        edits.add(Edit { path, content: Some(bytes.to_vec()), executable: mode, was, in_place: false });
    }
    Ok(None)
}

/// Why a copy cannot be said to have been edited in the consumer, and in the consumer alone; `None` where it was. `now` is
/// what the source has.
fn not_edited(
    work: &Work<'_>,
    consumer: &Arc<dyn Tree>,
    (original, path, now): (&str, &str, &ObjectId),
    copy: &str,
) -> Result<Option<String>, TreeError> {
    let Led::File(at) = follow(consumer.as_ref(), copy)? else { return Ok(None) };
    let is = consumer.blob_id(&at)?;
    let source = work.world.past(Side::Source, work.source, path)?;
    let of_source =
        |blob: &ObjectId| source.versions.iter().find(|(_, version)| version == blob).map(|(at, _)| at.clone());
    let elsewhere = || match work.world.version(work.source, path, &is) {
        Version::Of { commit, .. } => Some(commit),
        Version::Never | Version::NotLookedUp => None,
    };
    if let Some(commit) = of_source(&is).or_else(elsewhere) {
        let commit = commit.short();
        return Ok(Some(format!(
            "{copy} is {original} as it was at {commit}: the copy is behind, it was not edited; copy {original} of the source \
             over it"
        )));
    }
    if source.whole && source.versions.iter().all(|(_, version)| version == now) {
        // It never said anything else, so that is what every copy of it was made from.
        return Ok(None);
    }
    let copies = work.world.past(Side::Consumer, work.consumer, &at)?;
    let made_from =
        copies.versions.into_iter().map(|(_, version)| version).find(|version| of_source(version).is_some());
    let base = match made_from {
        Some(base) => Some(base),
        None => pinned(work, path)?,
    };
    Ok(match base {
        Some(base) if base == *now => None,
        Some(base) if base == is => Some(format!(
            "{copy} is {original} of the pinned commit: the copy is behind, it was not edited; move the pin"
        )),
        Some(_) => Some(format!("{copy} was edited, and {original} of the source changed too: merge the two by hand")),
        None => Some(format!(
            "{copy} differs from {original} of the source, and nothing tells which of the two was changed: no version of \
             {original} that the source had is among what {copy} was; copy the one that is right over the other"
        )),
    })
}

/// The blob that the pinned commit has at `path`: what a copy is meant to be made from, where its own past tells nothing.
fn pinned(work: &Work<'_>, path: &str) -> Result<Option<ObjectId>, TreeError> {
    let (Binding::Pin { .. }, Some(bound @ Revision::Commit(_))) = (&work.gate.binding, &work.before.source.bound)
    else {
        return Ok(None);
    };
    let Some(tree) = work.world.tree(Side::Source, bound)? else { return Ok(None) };
    match tree.node(path)? {
        Some(Node::File { .. }) => tree.blob_id(path).map(Some),
        _ => Ok(None),
    }
}

/// Why a file among the copies, of which the source has no original, cannot be said to be new; `None` where it is.
fn not_new(work: &Work<'_>, (original, path): (&str, &str), copy: &str) -> Result<Option<String>, TreeError> {
    let past = work.world.past(Side::Source, work.source, path)?;
    Ok(match past.versions.first() {
        Some((commit, _)) => {
            let commit = commit.short();
            Some(format!(
                "the source took {original} out after {commit}: remove {copy}, or put {original} back by hand"
            ))
        }
        None if past.whole => None,
        None => Some(format!(
            "the source has no {original}, and whether it ever had one was not found out: remove {copy}, or add {original} \
             to the source by hand"
        )),
    })
}

/// Where the source would have the original of a file among the copies of a folder.
fn original_of(work: &Work<'_>, copy: &str) -> Option<String> {
    work.gate.checks.iter().find_map(|check| {
        let Check::Mirror(mirror) = check else { return None };
        let Mirrored::Folder { path, .. } = &mirror.what else { return None };
        let inside = mirror.copies.iter().find_map(|place| below(place, copy))?;
        Some(join(path, inside))
    })
}

/// The bytes of a file, and whether it is executable.
type Content = (Arc<[u8]>, bool);

/// The content of a file, through links; `None` where there is no file.
fn content(tree: &dyn Tree, path: &str) -> Result<Option<Content>, TreeError> {
    let Led::File(at) = follow(tree, path)? else { return Ok(None) };
    tree.expect(&[at.as_str()])?;
    let executable = matches!(tree.node(&at)?, Some(Node::File { mode }) if mode & 0o111 != 0);
    Ok(Some((tree.read(&at)?, executable)))
}

/// Where a file can be written.
enum Place {
    /// Over this file, to which a link may have led.
    File { path: String, mode: u32 },
    /// At the path itself.
    Free,
    /// Nowhere: what is there, in words.
    Taken(String),
}

fn place(tree: &dyn Tree, path: &str) -> Result<Place, TreeError> {
    for (end, _) in path.match_indices('/') {
        let parent = &path[..end];
        match tree.node(parent)? {
            Some(Node::File { .. }) => return Ok(Place::Taken(format!("{parent} is a file"))),
            Some(Node::Submodule { .. }) => return Ok(Place::Taken(format!("{parent} is a submodule"))),
            Some(Node::Link { .. }) => return Ok(Place::Taken(format!("{parent} is a link"))),
            Some(Node::Dir { .. }) | None => {}
        }
    }
    Ok(match tree.node(path)? {
        None => Place::Free,
        Some(Node::File { mode }) => Place::File { path: path.to_owned(), mode },
        Some(Node::Dir { .. }) => Place::Taken("a folder stands there".to_owned()),
        Some(Node::Submodule { .. }) => Place::Taken("a submodule stands there".to_owned()),
        Some(Node::Link { .. }) => match follow(tree, path)? {
            Led::File(at) => match tree.node(&at)? {
                Some(Node::File { mode }) => Place::File { path: at, mode },
                _ => Place::Taken("its link leads to no file".to_owned()),
            },
            _ => Place::Taken("it is a link that leads to no file of the repository".to_owned()),
        },
    })
}

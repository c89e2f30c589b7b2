//! The refs of a repository, and the answer to `ls-refs`.

use git2::{ObjectType, Oid, Reference, Repository};

use super::Refusal;
use crate::git::pkt;

/// A ref, as it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Ref {
    pub name: String,
    /// What it points to in the end; `None` where nothing is there yet (`HEAD` of an empty repository).
    pub id: Option<Oid>,
    /// The ref that it stands for.
    pub symref: Option<String>,
}

impl Ref {
    /// Names that are not UTF-8 are passed over: no push brings them here.
    fn read(reference: &Reference<'_>) -> Option<Self> {
        let name = reference.name().ok()?.to_owned();
        let symref = reference.symbolic_target().ok()?.map(str::to_owned);
        let id = reference.resolve().ok().and_then(|reference| reference.target());
        Some(Self { name, id, symref })
    }
}

/// All refs below `refs/`, in the order of their names.
pub fn all(repository: &Repository) -> Result<Vec<Ref>, git2::Error> {
    let mut found = Vec::new();
    for reference in repository.references()? {
        found.extend(Ref::read(&reference?));
    }
    found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// What `HEAD` says.
pub fn head(repository: &Repository) -> Option<Ref> {
    Ref::read(&repository.find_reference("HEAD").ok()?)
}

/// What the tag object `id` names in the end; `None` where `id` is no tag object.
pub fn peeled(repository: &Repository, id: Oid) -> Option<Oid> {
    let tag = repository.find_tag(id).ok()?;
    tag.into_object().peel(ObjectType::Any).ok().map(|object| object.id())
}

/// Answers `ls-refs`.
pub fn ls_refs(repository: &Repository, arguments: &[String]) -> Result<Vec<u8>, Refusal> {
    let (mut peel, mut symrefs, mut unborn, mut prefixes) = (false, false, false, Vec::new());
    for argument in arguments {
        match argument.split_once(' ') {
            None if argument == "peel" => peel = true,
            None if argument == "symrefs" => symrefs = true,
            None if argument == "unborn" => unborn = true,
            Some(("ref-prefix", prefix)) => prefixes.push(prefix),
            _ => return Err(Refusal::no(format!("unexpected line: '{argument}'"))),
        }
    }
    let wanted = |name: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut out = Vec::new();
    for found in head(repository).into_iter().chain(all(repository)?).filter(|found| wanted(&found.name)) {
        let mut line = match found.id {
            Some(id) => format!("{id} {}", found.name),
            None if unborn && symrefs && found.name == "HEAD" => format!("unborn {}", found.name),
            None => continue,
        };
        if let Some(target) = found.symref.filter(|_| symrefs) {
            line.push_str(&format!(" symref-target:{target}"));
        }
        if let Some(target) = found.id.filter(|_| peel).and_then(|id| peeled(repository, id)) {
            line.push_str(&format!(" peeled:{target}"));
        }
        pkt::line(&line, &mut out);
    }
    pkt::flush(&mut out);
    Ok(out)
}

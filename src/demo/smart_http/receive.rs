//! Pushes: the offer, the pack, the refs.

use std::collections::BTreeSet;
use std::io::Write as _;

use git2::{Oid, Reference, Repository};

use super::select::{Wish, objects};
use super::{AGENT, RefUpdate, Refusal, fetch, refs, request};
use crate::git::pkt::{self, Packet};

/// Refs that the forge alone writes.
const FORGES_OWN: &str = "refs/pull/";

/// The size of what stands before and behind the objects of a pack, and of the smallest object in between.
const PACK_HEAD: usize = 12;
const PACK_END: usize = 20;
const LEAST_OBJECT: usize = 8;

/// The longest name of a ref, in bytes.
const LONGEST_NAME: usize = 1024;

/// What is offered to whoever pushes.
pub fn offer(repository: &Repository) -> Result<Vec<u8>, Refusal> {
    let can = format!("report-status delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1 {AGENT}");
    let refs = refs::all(repository)?.into_iter().filter(|found| !found.name.starts_with(FORGES_OWN));
    let mut lines: Vec<String> = refs.filter_map(|found| found.id.map(|id| format!("{id} {}", found.name))).collect();
    if lines.is_empty() {
        lines.push(format!("{} capabilities^{{}}", Oid::ZERO_SHA1));
    }
    lines[0].push_str(&format!("\0{can}"));
    let mut out = Vec::new();
    for line in lines {
        pkt::line(&line, &mut out);
    }
    pkt::flush(&mut out);
    Ok(out)
}

/// What a client pushes.
#[derive(Debug, Default)]
struct Push {
    updates: Vec<RefUpdate>,
    /// Whether it wants to hear what became of it.
    report: bool,
    side_band: bool,
    /// All or nothing.
    atomic: bool,
}

impl Push {
    /// Reads the commands; what follows them stays in `packets`.
    fn parse(packets: &mut request::Packets<'_>) -> Result<Self, Refusal> {
        let mut push = Self::default();
        loop {
            let line = match packets.next()? {
                Packet::Data(line) => request::line_of(line)?,
                Packet::Flush => return Ok(push),
                other => return Err(Refusal::Malformed(format!("{other:?} among the commands of a push"))),
            };
            let command = match line.split_once('\0') {
                Some((command, words)) if push.updates.is_empty() => {
                    push.capabilities(words)?;
                    command
                }
                _ => line.as_str(),
            };
            // Where the pusher's history ends: what that leaves missing is noticed when it is looked for.
            if !command.starts_with("shallow ") {
                push.updates.push(update(command)?);
            }
        }
    }

    fn capabilities(&mut self, words: &str) -> Result<(), Refusal> {
        for word in words.split_ascii_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("report-status", _) => self.report = true,
                ("side-band-64k", _) => self.side_band = true,
                ("atomic", _) => self.atomic = true,
                ("object-format", format) => request::object_format(format)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads `before after name`.
fn update(command: &str) -> Result<RefUpdate, Refusal> {
    let mut words = command.splitn(3, ' ');
    let mut id = || words.next().and_then(request::oid).map(|id| Some(id).filter(|id| !id.is_zero()));
    match (id(), id(), words.next()) {
        (Some(before), Some(after), Some(name)) if fits_a_line(name) => {
            Ok(RefUpdate { name: name.to_owned(), before, after })
        }
        _ => Err(Refusal::no(format!("protocol error: expected old/new/ref, got '{command}'"))),
    }
}

/// Whether a name can be repeated in a report.
fn fits_a_line(name: &str) -> bool {
    name.len() <= LONGEST_NAME && !name.contains(char::is_control)
}

/// What became of an update; otherwise why it did not happen.
type Outcome = Result<(), String>;

/// Answers a push: the report, and the refs that changed.
pub fn receive(repository: &Repository, body: &[u8]) -> Result<(Vec<u8>, Vec<RefUpdate>), Refusal> {
    let mut packets = request::Packets::new(body);
    let push = Push::parse(&mut packets)?;
    if push.updates.is_empty() {
        // git asks so whether it may push at all, before it sends much.
        return Ok((Vec::new(), Vec::new()));
    }
    let unpacked = match push.updates.iter().any(|update| update.after.is_some()) {
        true => unpack(repository, packets.rest()),
        false => Ok(()),
    };
    let outcomes = match &unpacked {
        Ok(()) => apply_all(repository, &push)?,
        Err(_) => push.updates.iter().map(|_| Err("unpacker error".to_owned())).collect(),
    };
    let report = if push.report { report(&push, &unpacked, &outcomes) } else { Vec::new() };
    let changed = push
        .updates
        .into_iter()
        .zip(outcomes)
        .filter(|(update, outcome)| outcome.is_ok() && update.before != update.after);
    Ok((report, changed.map(|(update, _)| update).collect()))
}

/// Stores a pack, the objects of which may be deltas of what is here.
fn unpack(repository: &Repository, pack: &[u8]) -> Outcome {
    let head = pack.first_chunk::<PACK_HEAD>().filter(|head| head.starts_with(b"PACK")).ok_or("no pack came")?;
    let count = u32::from_be_bytes([head[8], head[9], head[10], head[11]]) as usize;
    let room = pack.len().saturating_sub(PACK_HEAD + PACK_END);
    if count > room / LEAST_OBJECT {
        return Err("the pack claims more objects than it has room for".to_owned());
    }
    if count == 0 && room == 0 {
        // Everything was here. libgit2 makes no pack of that.
        return Ok(());
    }
    let odb = repository.odb().map_err(said)?;
    let mut writer = odb.packwriter().map_err(said)?;
    writer.write_all(pack).map_err(|error| error.to_string())?;
    writer.commit().map_err(said)?;
    odb.refresh().map_err(said)
}

fn said(error: git2::Error) -> String {
    error.message().to_owned()
}

/// Changes the refs, or says of each why not.
fn apply_all(repository: &Repository, push: &Push) -> Result<Vec<Outcome>, git2::Error> {
    let checked = check_all(repository, &push.updates)?;
    if !push.atomic {
        let one = |(update, checked): (&RefUpdate, Outcome)| {
            checked.and_then(|()| apply(repository, std::slice::from_ref(update)).map_err(|(_, why)| why))
        };
        return Ok(push.updates.iter().zip(checked).map(one).collect());
    }
    let bad = checked.into_iter().enumerate().find_map(|(at, outcome)| outcome.err().map(|why| (at, why)));
    Ok(match bad.map_or_else(|| apply(repository, &push.updates), Err) {
        Ok(()) => vec![Ok(()); push.updates.len()],
        Err((at, why)) => {
            let mut outcomes = vec![Err("atomic push failure".to_owned()); push.updates.len()];
            outcomes[at] = Err(why);
            outcomes
        }
    })
}

/// Whether each update is allowed and has what it needs.
fn check_all(repository: &Repository, updates: &[RefUpdate]) -> Result<Vec<Outcome>, git2::Error> {
    let refs: Vec<Oid> = refs::all(repository)?.into_iter().filter_map(|found| found.id).collect();
    let after: Vec<Oid> = updates.iter().filter_map(|update| update.after).collect();
    // Asked for all at once, which is quick, and for each only to find whom to blame.
    let complete = is_complete(repository, &after, &refs);
    let check = |update: &RefUpdate| {
        if !complete && update.after.is_some_and(|after| !is_complete(repository, &[after], &refs)) {
            return Err("missing necessary objects".to_owned());
        }
        may(repository, update)
    };
    Ok(updates.iter().map(check).collect())
}

/// Whether an update is allowed, wherever the ref stands.
fn may(repository: &Repository, update: &RefUpdate) -> Outcome {
    let name = update.name.as_str();
    let is_head = || refs::head(repository).and_then(|head| head.symref).as_deref() == Some(name);
    let is_commit = |id| repository.find_commit(id).is_ok();
    let why = match update.after {
        _ if !name.starts_with("refs/") || !Reference::is_valid_name(name) => "funny refname",
        _ if name.starts_with(FORGES_OWN) => "deny updating a hidden ref",
        None if is_head() => "deletion of the current branch prohibited",
        Some(after) if name.starts_with("refs/heads/") && !is_commit(after) => "a branch can only point to a commit",
        _ => return Ok(()),
    };
    Err(why.to_owned())
}

/// Whether everything is here that these objects lead to and that no ref leads to.
fn is_complete(repository: &Repository, ids: &[Oid], refs: &[Oid]) -> bool {
    let wish = Wish { wants: ids.to_vec(), haves: refs.to_vec(), ..Wish::default() };
    let Ok(odb) = repository.odb() else { return false };
    let is_here = |id: &Oid| odb.exists_ext(*id, git2::OdbLookupFlags::NO_REFRESH);
    objects(repository, &wish).is_ok_and(|objects| objects.iter().all(is_here))
}

/// Changes refs under their locks, all or none of them; otherwise tells which one stood in the way, and why. (A disk that
/// fails halfway leaves them halfway: files know no more.)
fn apply(repository: &Repository, updates: &[RefUpdate]) -> Result<(), (usize, String)> {
    let mut transaction = repository.transaction().map_err(|error| (0, said(error)))?;
    for (at, update) in updates.iter().enumerate() {
        let blame = |error: git2::Error| (at, said(error));
        transaction.lock_ref(&update.name).map_err(blame)?;
        let now = repository.find_reference(&update.name).ok();
        // A ref that stands for another one is never where a push expects it.
        if now.as_ref().map(Reference::target) != update.before.map(Some) {
            return Err((at, "the ref is not where the push expected it".to_owned()));
        }
        match update.after {
            Some(after) => {
                stands_alone(repository, updates, &update.name).map_err(|why| (at, why))?;
                transaction.set_target(&update.name, after, None, "push").map_err(blame)?;
            }
            None if now.is_some() => transaction.remove(&update.name).map_err(blame)?,
            None => {}
        }
    }
    transaction.commit().map_err(|error| (0, said(error)))
}

/// Refs are files on disk: no ref can be a folder of another one.
fn stands_alone(repository: &Repository, updates: &[RefUpdate], name: &str) -> Outcome {
    let below = |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    let mut names: BTreeSet<String> =
        refs::all(repository).map_err(said)?.into_iter().map(|found| found.name).collect();
    names.extend(updates.iter().filter(|update| update.after.is_some()).map(|update| update.name.clone()));
    match names.iter().find(|other| below(other, name) || below(name, other)) {
        Some(other) => Err(format!("'{other}' stands in the way")),
        None => Ok(()),
    }
}

/// What became of a push, for the one who pushed.
fn report(push: &Push, unpacked: &Outcome, outcomes: &[Outcome]) -> Vec<u8> {
    let mut lines = Vec::new();
    match unpacked {
        Ok(()) => pkt::line("unpack ok", &mut lines),
        Err(why) => pkt::line(&format!("unpack {}", pkt::text(why.as_bytes())), &mut lines),
    }
    for (update, outcome) in push.updates.iter().zip(outcomes) {
        match outcome {
            Ok(()) => pkt::line(&format!("ok {}", update.name), &mut lines),
            Err(why) => pkt::line(&format!("ng {} {}", update.name, pkt::text(why.as_bytes())), &mut lines),
        }
    }
    pkt::flush(&mut lines);
    if !push.side_band {
        return lines;
    }
    let mut out = Vec::new();
    fetch::band(&lines, &mut out);
    pkt::flush(&mut out);
    out
}

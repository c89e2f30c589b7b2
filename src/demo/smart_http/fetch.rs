//! The answer to `fetch`: negotiation, where history ends, the pack.

use std::collections::HashSet;

use git2::{Oid, Repository};

use super::history::{Depth, all_reach, reachable};
use super::select::{Filter, Wish, commits, objects};
use super::{AGENT, Refusal, request};
use crate::git::pkt;

/// What is offered to whoever fetches.
pub fn offer() -> Vec<u8> {
    let mut out = Vec::new();
    for line in [
        "version 2",
        AGENT,
        "ls-refs=unborn",
        "fetch=shallow wait-for-done filter",
        "server-option",
        "object-format=sha1",
    ] {
        pkt::line(line, &mut out);
    }
    pkt::flush(&mut out);
    out
}

/// What a client asks for.
#[derive(Debug, Default)]
struct Fetch {
    wants: Vec<Oid>,
    haves: Vec<Oid>,
    /// Where the client's history ends.
    shallow: Vec<Oid>,
    depth: Option<u32>,
    /// Whether `depth` counts from where the client's history ends.
    relative: bool,
    filter: Filter,
    tags: bool,
    done: bool,
    wait_for_done: bool,
}

impl Fetch {
    fn parse(arguments: &[String]) -> Result<Self, Refusal> {
        let mut fetch = Self::default();
        for argument in arguments {
            let (word, value) = argument.split_once(' ').unwrap_or((argument, ""));
            let id = || {
                request::oid(value).ok_or_else(|| {
                    Refusal::no(format!("upload-pack: protocol error, expected to get oid, not '{argument}'"))
                })
            };
            match word {
                "want" => fetch.wants.push(id()?),
                "have" => fetch.haves.push(id()?),
                "shallow" => fetch.shallow.push(id()?),
                "deepen" => {
                    let depth = value.parse().ok().filter(|depth| *depth > 0);
                    fetch.depth = Some(depth.ok_or_else(|| Refusal::no(format!("invalid deepen: '{value}'")))?);
                }
                "deepen-relative" => fetch.relative = true,
                "filter" => fetch.filter = Filter::parse(value)?,
                "include-tag" => fetch.tags = true,
                "done" => fetch.done = true,
                "wait-for-done" => fetch.wait_for_done = true,
                // Permissions that need not be used: no base of a delta is left out, and nothing is said of progress.
                "thin-pack" | "ofs-delta" | "no-progress" => {}
                "deepen-since" | "deepen-not" => {
                    return Err(Refusal::no(format!("{word} is not supported here; deepen is")));
                }
                _ => return Err(Refusal::no(format!("unexpected line: '{argument}'"))),
            }
        }
        Ok(fetch)
    }
}

/// Answers `fetch`.
pub fn fetch(repository: &Repository, arguments: &[String]) -> Result<Vec<u8>, Refusal> {
    let fetch = Fetch::parse(arguments)?;
    let odb = repository.odb()?;
    if let Some(unknown) = fetch.wants.iter().find(|want| !odb.exists(**want)) {
        return Err(Refusal::no(format!("upload-pack: not our ref {unknown}")));
    }
    if fetch.wants.is_empty() && !fetch.wait_for_done {
        return Err(Refusal::no("upload-pack: nothing is wanted"));
    }
    let common: Vec<Oid> = fetch.haves.iter().copied().filter(|have| odb.exists(*have)).collect();
    let mut out = Vec::new();
    if !fetch.done && !fetch.haves.is_empty() && !acknowledge(repository, &fetch, &common, &mut out)? {
        return Ok(out);
    }
    let tips = commits(repository, &fetch.wants);
    let ends = ends(repository, &fetch, &tips, &mut out)?;
    let mut wants = fetch.wants;
    wants.extend(ends.behind);
    let wish = Wish {
        wants,
        haves: common,
        client_ends: fetch.shallow.into_iter().collect(),
        ends: ends.at,
        filter: fetch.filter,
        tags: fetch.tags,
    };
    pack(repository, &objects(repository, &wish)?, &mut out)?;
    Ok(out)
}

/// Says what is here of what the client has; returns whether that is enough for a pack to follow.
fn acknowledge(repository: &Repository, fetch: &Fetch, common: &[Oid], out: &mut Vec<u8>) -> Result<bool, Refusal> {
    pkt::line("acknowledgments", out);
    if common.is_empty() {
        pkt::line("NAK", out);
    }
    for id in common {
        pkt::line(&format!("ACK {id}"), out);
    }
    let known = commits(repository, common).into_iter().collect::<HashSet<_>>();
    let ready = !fetch.wait_for_done
        && !common.is_empty()
        && all_reach(repository, &commits(repository, &fetch.wants), &known)?;
    if ready {
        pkt::line("ready", out);
        pkt::delim(out);
    } else {
        pkt::flush(out);
    }
    Ok(ready)
}

/// Where the client's history will end.
struct Ends {
    at: HashSet<Oid>,
    /// What lies behind ends that are no longer ones.
    behind: Vec<Oid>,
}

/// Finds where the client's history will end, and tells it what changes: in packets that, as git's, end without a newline.
fn ends(repository: &Repository, fetch: &Fetch, tips: &[Oid], out: &mut Vec<u8>) -> Result<Ends, Refusal> {
    let mut at: HashSet<Oid> = fetch.shallow.iter().copied().collect();
    let mut behind = Vec::new();
    if fetch.depth.is_none() && at.is_empty() {
        return Ok(Ends { at, behind });
    }
    pkt::line("shallow-info", out);
    if let Some(depth) = fetch.depth {
        let depth = if fetch.relative {
            let seen = reachable(repository, tips, &at, &HashSet::new())?;
            let from: Vec<Oid> = seen.into_iter().filter(|id| at.contains(id)).collect();
            Depth::of(repository, &from, depth.saturating_add(1))?
        } else {
            Depth::of(repository, tips, depth)?
        };
        for id in fetch.shallow.iter().filter(|id| depth.whole.contains(id)) {
            pkt::data(format!("unshallow {id}").as_bytes(), out);
            at.remove(id);
            behind.extend(repository.find_commit(*id)?.parent_ids());
        }
        let mut new: Vec<Oid> = depth.last.into_iter().filter(|id| at.insert(*id)).collect();
        new.sort_unstable();
        for id in new {
            pkt::data(format!("shallow {id}").as_bytes(), out);
        }
    }
    pkt::delim(out);
    Ok(Ends { at, behind })
}

/// A pack of these objects, in side-band 1.
fn pack(repository: &Repository, objects: &[Oid], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut builder = repository.packbuilder()?;
    for id in objects {
        builder.insert_object(*id, None)?;
    }
    let mut pack = git2::Buf::new();
    builder.write_buf(&mut pack)?;
    pkt::line("packfile", out);
    band(&pack, out);
    pkt::flush(out);
    Ok(())
}

/// Bytes in side-band 1.
pub fn band(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(pkt::MOST - 1) {
        pkt::data(&[&[1], chunk].concat(), out);
    }
}

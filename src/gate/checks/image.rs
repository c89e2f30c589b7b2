//! Looks paths up in an image as a process in the container would: links followed, the last name's too.
//!
//! Traps handled here: a destination that is a link, so that its files lie elsewhere; a link that the image has and that
//! leads nowhere; a part that is not known is told apart from one that is not there.

use crate::dockerfile::{Baked, BakedKind, Image, Unknown};
use crate::tree::{join, split};

/// How many links a path may go through, as in Linux.
const MAX_LINKS: u32 = 40;
/// How many directories deep links may make a listing.
const MAX_DEPTH: usize = 64;
/// Links are followed until so many names were seen: links that show each other double with each step.
const MOST_NAMES: usize = 100_000;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Lookup<'a> {
    Found(&'a Baked),
    Unknown(&'a Unknown),
    /// Nothing, as far as instructions say.
    Missing,
}

/// What `path` (without leading slash) leads to.
pub(super) fn follow<'a>(image: &'a Image, path: &str) -> Lookup<'a> {
    match resolve(image, path) {
        Some(at) => stands(image, &at),
        None => Lookup::Missing,
    }
}

/// What stands at `path` itself: only links in front of its last name are followed.
pub(super) fn entry<'a>(image: &'a Image, path: &str) -> Lookup<'a> {
    let (dir, name) = split(path);
    match resolve(image, dir) {
        Some(dir) => stands(image, &join(&dir, name)),
        None => Lookup::Missing,
    }
}

fn stands<'a>(image: &'a Image, at: &str) -> Lookup<'a> {
    match image.entries.get(at) {
        Some(baked) => Lookup::Found(baked),
        None => image.unknown.iter().find(|part| covers(&part.path, at)).map_or(Lookup::Missing, Lookup::Unknown),
    }
}

/// The path without links. Names that are not there are kept: what stands there may be unknown. `None` in a circle, or
/// below something that is no directory.
fn resolve(image: &Image, path: &str) -> Option<String> {
    let mut at = String::new();
    let mut todo: Vec<&str> = path.rsplit('/').collect();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        match name {
            "" | "." => continue,
            ".." => {
                at = split(&at).0.to_owned();
                continue;
            }
            _ => {}
        }
        let next = join(&at, name);
        match image.entries.get(&next).map(|baked| &baked.kind) {
            Some(BakedKind::Link { target }) => {
                links += 1;
                if links > MAX_LINKS {
                    return None;
                }
                if target.starts_with('/') {
                    at.clear();
                }
                todo.extend(target.rsplit('/'));
            }
            Some(BakedKind::File { .. }) if todo.iter().any(|name| !name.is_empty()) => return None,
            _ => at = next,
        }
    }
    Some(at)
}

/// What is seen below the directory at `path`, by name from there; what links show is seen too, unless they show what they
/// lie in.
pub(super) fn below<'a>(image: &'a Image, path: &str) -> Vec<(String, &'a Baked)> {
    let mut found = Vec::new();
    if let Some(dir) = resolve(image, path) {
        list(image, &dir, "", &mut vec![dir.clone()], &mut found);
    }
    found
}

/// What is not known at `path` or below it, by name from there; a directory of which some is known has the name of that.
pub(super) fn unknown_below<'a>(image: &'a Image, path: &str) -> Vec<(String, &'a Unknown)> {
    let Some(dir) = resolve(image, path) else { return Vec::new() };
    let inside = |part: &'a Unknown| match part.path.strip_prefix(&dir)? {
        "" => Some((String::new(), part)),
        rest if dir.is_empty() => Some((rest.to_owned(), part)),
        rest => Some((rest.strip_prefix('/')?.to_owned(), part)),
    };
    image.unknown.iter().filter_map(inside).collect()
}

/// Whether anything is known below a path.
pub(super) fn has_below(image: &Image, path: &str) -> bool {
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    image.entries.range(prefix.clone()..).next().is_some_and(|(path, _)| path.starts_with(&prefix))
}

fn list<'a>(image: &'a Image, dir: &str, shown: &str, within: &mut Vec<String>, found: &mut Vec<(String, &'a Baked)>) {
    let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
    for (path, baked) in image.entries.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix)) {
        let name = join(shown, &path[prefix.len()..]);
        if matches!(baked.kind, BakedKind::Link { .. })
            && let Some(target) = resolve(image, path)
            && leads_to_dir(image, &target)
            && within.len() < MAX_DEPTH
            && found.len() < MOST_NAMES
            && !within.iter().any(|outer| covers(&target, outer))
        {
            within.push(target.clone());
            list(image, &target, &name, within, found);
            within.pop();
        }
        found.push((name, baked));
    }
}

fn leads_to_dir(image: &Image, path: &str) -> bool {
    match image.entries.get(path) {
        Some(baked) => matches!(baked.kind, BakedKind::Dir { .. }),
        // A directory whose mode is not known is not listed; what is in it is.
        None => has_below(image, path),
    }
}

/// Whether `path` is `dir` or below it.
fn covers(dir: &str, path: &str) -> bool {
    dir.is_empty() || path == dir || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::Content;

    fn image(entries: &[(&str, &str)]) -> Image {
        let kind = |text: &str| match text.split_once(' ') {
            Some(("->", target)) => BakedKind::Link { target: target.to_owned() },
            _ if text == "dir" => BakedKind::Dir { mode: 0o755 },
            _ => BakedKind::File { content: Content::Bytes(text.as_bytes().into()), mode: 0o644 },
        };
        let entries = entries.iter().map(|(path, text)| ((*path).to_owned(), Baked { kind: kind(text), line: 1 }));
        let unknown = vec![Unknown { path: "var".into(), line: 2, reason: "a command writes there".into() }];
        Image { entries: entries.collect(), unknown, ..Image::default() }
    }

    fn text(lookup: Lookup<'_>) -> String {
        match lookup {
            Lookup::Found(Baked { kind: BakedKind::File { content: Content::Bytes(bytes), .. }, .. }) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn a_path_is_followed_as_a_process_would() {
        let image = image(&[
            ("opt/t", "-> ../srv/agent"),
            ("srv/agent/config.yaml", "name"),
            ("srv/agent/other.yaml", "-> /srv/agent/config.yaml"),
            ("srv/agent/lost.yaml", "-> nowhere"),
            ("srv/agent/kept.yaml", "-> /var/lib/kept.yaml"),
            ("round", "-> round"),
        ]);
        for (path, expected) in [
            ("opt/t/config.yaml", "name"),
            ("opt/t/other.yaml", "name"),
            ("opt/t/lost.yaml", "Missing"),
            ("opt/t/kept.yaml", "Unknown"),
            ("opt/t/config.yaml/more", "Missing"),
            ("round/x", "Missing"),
        ] {
            assert_eq!(text(follow(&image, path)), expected, "{path}");
        }
        assert!(matches!(entry(&image, "opt/t/other.yaml"), Lookup::Found(Baked { kind: BakedKind::Link { .. }, .. })));
    }

    #[test]
    fn what_is_below_a_directory_is_listed_through_links_once() {
        let image = image(&[
            ("opt/t", "dir"),
            ("opt/t/again", "-> .."),
            ("opt/t/prompts", "-> /srv/p"),
            ("opt/t/top.md", "x"),
            ("srv/p/a.md", "x"),
        ]);
        let names: Vec<String> = below(&image, "opt/t").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["again", "prompts/a.md", "prompts", "top.md"]);
    }
}

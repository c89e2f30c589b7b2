//! The COPY line of a source file that no instruction takes, beside its siblings and in their manner.
//!
//! A sibling is an instruction that already bakes files of the source at the check's destination. Its words are taken over:
//! the keyword, the flags, the variable in front of the source's path, the form of the destination. That is text, and text
//! proves nothing: each line is tried on the engine, and one counts only where it bakes the file at its place and fails nothing
//! that held before.

use std::sync::Arc;

use super::{Edit, Edits, Work, counts, failing, with_edits};
use crate::config::{Bake, Check};
use crate::dockerfile::{self, BakedKind, Content, Copying};
use crate::gate::Report;
use crate::gate::checks::{below, built};
use crate::gate::finding::Kind;
use crate::gate::verdict::Verdict;
use crate::tree::{Node, Tree, TreeError, join, split};

/// The most lines that are added: beyond, whoever reads the Dockerfile would rather copy a folder.
const MOST_LINES: usize = 20;
/// How many lines are tried for one file in the manner of its siblings, and with the destination spelled out.
const MOST_TRIES: [usize; 2] = [4, 2];

/// Adds lines for the files that are not baked, as far as they are proven; the verdict with them.
pub(super) fn add(
    work: &Work<'_>,
    tree: &Arc<dyn Tree>,
    mut report: Report,
    edits: &mut Edits,
) -> Result<Report, TreeError> {
    for _ in 0..MOST_LINES {
        if report.verdict == Verdict::InSync {
            break;
        }
        let Some((with_line, better)) = one_more(work, tree, &report, edits)? else { break };
        (*edits, report) = (with_line, better);
    }
    Ok(report)
}

/// Another line for the first file that is not baked; `None` where none is proven. What does not end in sync is not proposed, so
/// the others need not be tried then.
fn one_more(
    work: &Work<'_>,
    tree: &Arc<dyn Tree>,
    report: &Report,
    edits: &Edits,
) -> Result<Option<(Edits, Report)>, TreeError> {
    let missing = report.findings.iter().find(|one| one.kind == Kind::NotBaked && counts(one));
    let (Some(missing), Some(source)) = (missing, work.bound(report)?) else { return Ok(None) };
    let file = missing.cause.as_ref().map(|cause| cause.file.as_str());
    let consumer = with_edits(tree, edits.all.values());
    for check in &work.gate.checks {
        let Check::Bake(bake) = check else { continue };
        if Some(bake.dockerfile.as_str()) != file {
            continue;
        }
        let Some(built) = built(work.gate, bake, &consumer, &source)? else { continue };
        let (path, text) = built.dockerfile;
        let Some(Node::File { mode }) = consumer.node(&path)? else { continue };
        let siblings = siblings(bake, &built.image, built.source_dir.as_deref(), &text);
        for content in lines(bake, &siblings, &text, &missing.path) {
            let was = Some(consumer.blob_id(&path)?);
            let executable = mode & 0o111 != 0;
            let edit = Edit { path: path.clone(), content: Some(content), executable, was, in_place: true };
            let mut tried = edits.clone();
            tried.add(edit);
            let after = work.judge_consumer(tree, &tried)?;
            if is_better(report, &after, &missing.path) {
                tried.quotes = true;
                return Ok(Some((tried, after)));
            }
        }
    }
    Ok(None)
}

/// Whether the file is baked now, and nothing fails that did not fail before.
fn is_better(before: &Report, after: &Report, path: &str) -> bool {
    let not_baked = |report: &Report| {
        report.findings.iter().filter(|one| one.kind == Kind::NotBaked && one.path == path && counts(one)).count()
    };
    not_baked(after) < not_baked(before) && failing(after).is_subset(&failing(before))
}

/// An instruction that bakes a file of the source where it belongs.
struct Sibling {
    /// A file that it bakes, from the source's root.
    path: String,
    copying: Copying,
}

fn siblings(bake: &Bake, image: &dockerfile::Image, source_dir: Option<&str>, text: &[u8]) -> Vec<Sibling> {
    let (Some(dir), Ok(copies)) = (source_dir, dockerfile::copies(text)) else { return Vec::new() };
    let destination = bake.destination.trim_matches('/');
    let baked = image.entries.iter().filter_map(|(at, baked)| {
        let BakedKind::File { content: Content::Context(from), .. } = &baked.kind else { return None };
        let path = from.strip_prefix(dir)?;
        (below(destination, at) == Some(path)).then_some((path, baked.line))
    });
    let siblings = baked.filter_map(|(path, line)| {
        let copying = copies.iter().find(|one| one.line == line)?.clone();
        Some(Sibling { path: path.to_owned(), copying })
    });
    siblings.collect()
}

/// The Dockerfile with a line for `new`, in each manner that its siblings suggest, the nearest first.
fn lines(bake: &Bake, siblings: &[Sibling], text: &[u8], new: &str) -> Vec<Vec<u8>> {
    let mut nearest: Vec<&Sibling> = siblings.iter().collect();
    nearest.sort_by_key(|one| {
        let same_dir = split(&one.path).0 == split(new).0;
        let common = one.path.split('/').zip(new.split('/')).take_while(|(one, other)| one == other).count();
        (std::cmp::Reverse((same_dir, common)), std::cmp::Reverse(one.copying.line))
    });
    let absolute = join(&bake.destination, new);
    let mut found: Vec<Vec<u8>> = Vec::new();
    for (most, destination) in MOST_TRIES.into_iter().zip([None, Some(absolute.as_str())]) {
        let end = found.len() + most;
        for sibling in &nearest {
            let line = line(sibling, new, destination);
            let tried = line.and_then(|line| insert(text, &sibling.copying, &line));
            found.extend(tried.filter(|tried| found.len() < end && !found.contains(tried)));
        }
    }
    found
}

/// A sibling's instruction with another file in its place.
fn line(sibling: &Sibling, new: &str, destination: Option<&str>) -> Option<String> {
    let Sibling { path, copying } = sibling;
    let Copying { keyword, flags, words, json, .. } = copying;
    // What had to be quoted there would have to be quoted here.
    if flags.iter().any(|flag| flag.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\'))) {
        return None;
    }
    let (to, sources) = words.split_last()?;
    let (before, what) = sources.iter().find_map(|word| in_front(word, path))?;
    let from = format!("{before}{new}");
    let to = destination.map(str::to_owned).or_else(|| moved(to, path, what, new))?;
    let spaced = [&from, &to].iter().any(|word| word.contains(char::is_whitespace));
    let words = if *json || spaced {
        let strings = [from, to].map(|word| serde_json::Value::from(word).to_string());
        format!("[{}]", strings.join(", "))
    } else {
        format!("{from} {to}")
    };
    let flags: String = flags.iter().map(|flag| format!("{flag} ")).collect();
    Some(format!("{keyword} {flags}{words}"))
}

/// What of a source's path an instruction spells out.
#[derive(Clone, Copy)]
enum Named<'a> {
    /// The file, or a pattern in its directory.
    File,
    /// A directory above it.
    Dir(&'a str),
}

/// What stands in a source word in front of the path of a file that it copies: `${DIR}/`.
fn in_front<'a>(word: &'a str, path: &'a str) -> Option<(&'a str, Named<'a>)> {
    let bare = word.trim_end_matches('/');
    if let Some(before) = strip_path(bare, path) {
        return Some((before, Named::File));
    }
    let (dir, last) = bare.rsplit_once('/').map_or(("", bare), |(dir, last)| (dir, last));
    if last.contains(['*', '?', '[']) {
        let of_path = split(path).0;
        let before = if of_path.is_empty() { dir } else { strip_path(dir, of_path)?.trim_end_matches('/') };
        let end = if before.is_empty() { 0 } else { before.len() + 1 };
        return Some((&word[..end], Named::File));
    }
    let parents = path.rmatch_indices('/').map(|(end, _)| &path[..end]);
    parents.into_iter().find_map(|parent| Some((strip_path(bare, parent)?, Named::Dir(parent))))
}

/// A word without the path that it ends with; what is left ends at a border between names.
fn strip_path<'a>(word: &'a str, path: &str) -> Option<&'a str> {
    word.strip_suffix(path).filter(|rest| rest.is_empty() || rest.ends_with(['/', '}']))
}

/// The destination for another file, in the form that one has.
fn moved(to: &str, path: &str, named: Named<'_>, new: &str) -> Option<String> {
    let bare = to.trim_end_matches('/');
    let is_folder = to.ends_with('/') || matches!(to, "." | "..");
    let (of_path, of_new) = (split(path).0, split(new).0);
    match named {
        Named::File if !is_folder => Some(format!("{}{new}", strip_path(bare, path)?)),
        Named::File if of_path == of_new => Some(to.to_owned()),
        Named::File => {
            let root = if of_path.is_empty() { bare } else { strip_path(bare, of_path)?.trim_end_matches('/') };
            Some(if of_new.is_empty() { format!("{root}/") } else { format!("{root}/{of_new}/") })
        }
        Named::Dir(dir) => Some(format!("{}{new}", strip_path(bare, dir)?)),
    }
}

/// The text with a line behind an instruction, with its indentation and line end.
fn insert(text: &[u8], behind: &Copying, line: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (first, last) = (usize::try_from(behind.line).ok()?.checked_sub(1)?, usize::try_from(behind.end).ok()?);
    let head = lines.get(first)?.trim_start_matches('\u{feff}');
    let indent = &head[..head.len() - head.trim_start_matches([' ', '\t']).len()];
    let before: String = lines.get(..last)?.concat();
    let rest: String = lines.get(last..)?.concat();
    let end = if before.ends_with("\r\n") || (rest.is_empty() && text.contains("\r\n")) { "\r\n" } else { "\n" };
    Some(
        if before.ends_with('\n') {
            format!("{before}{indent}{line}{end}{rest}")
        } else {
            // The last line has no end, and the new one has none either.
            format!("{before}{end}{indent}{line}")
        }
        .into_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sibling(path: &str, instruction: &str) -> Sibling {
        let dockerfile = format!("FROM scratch\n{instruction}\n");
        let copying = dockerfile::copies(dockerfile.as_bytes()).unwrap().remove(0);
        Sibling { path: path.to_owned(), copying }
    }

    #[test]
    fn a_line_is_written_in_the_manner_of_its_sibling() {
        for (path, instruction, new, expected) in [
            ("a.yaml", "COPY ${DIR}/a.yaml /opt/t/a.yaml", "b.yaml", "COPY ${DIR}/b.yaml /opt/t/b.yaml"),
            ("a.yaml", "copy --chmod=0644 $D/a.yaml /opt/t/", "b.yaml", "copy --chmod=0644 $D/b.yaml /opt/t/"),
            ("a.yaml", "COPY deps/a.yaml deps/c.yaml /opt/t/", "b.yaml", "COPY deps/b.yaml /opt/t/"),
            ("a.yaml", "COPY [\"deps/a.yaml\", \"/opt/t/\"]", "b.yaml", "COPY [\"deps/b.yaml\", \"/opt/t/\"]"),
            ("a.yaml", "COPY deps/*.yaml ./", "b.json", "COPY deps/b.json ./"),
            ("a.yaml", "COPY deps/a.yaml /opt/t/", "hooks/run.sh", "COPY deps/hooks/run.sh /opt/t/hooks/"),
            ("x/a.md", "COPY deps/x/*.md /opt/t/x/", "x/b.txt", "COPY deps/x/b.txt /opt/t/x/"),
            ("x/a.md", "COPY deps/x/a.md /opt/t/x/", "y/b.md", "COPY deps/y/b.md /opt/t/y/"),
            ("x/a.md", "COPY deps/x/ /opt/t/x/", "b.yaml", "COPY deps/b.yaml /opt/t/b.yaml"),
            (
                "a.yaml",
                "COPY deps/a.yaml /opt/t/a.yaml",
                "two words",
                "COPY [\"deps/two words\", \"/opt/t/two words\"]",
            ),
        ] {
            assert_eq!(line(&sibling(path, instruction), new, None).as_deref(), Some(expected), "{instruction}");
        }
    }

    #[test]
    fn an_instruction_that_renames_shows_no_manner() {
        assert_eq!(line(&sibling("a.yaml", "COPY deps/a.yaml /opt/t/other"), "b.yaml", None), None);
        assert_eq!(line(&sibling("a.yaml", "COPY deps/xa.yaml /opt/t/"), "b.yaml", None), None);
        assert_eq!(line(&sibling("a.yaml", "COPY --exclude=\"a b\" deps/a.yaml /opt/"), "b.yaml", None), None);
    }

    #[test]
    fn a_line_stands_behind_the_whole_instruction_with_its_indentation_and_line_end() {
        for (text, expected) in [
            ("FROM x\n  COPY a \\\n  b \\\n  /c/\n# d\n", "FROM x\n  COPY a \\\n  b \\\n  /c/\n  NEW\n# d\n"),
            ("FROM x\r\nCOPY a /c/\r\nUSER d\r\n", "FROM x\r\nCOPY a /c/\r\nNEW\r\nUSER d\r\n"),
            ("FROM x\nCOPY a /c/", "FROM x\nCOPY a /c/\nNEW"),
            ("FROM x\r\nCOPY a /c/", "FROM x\r\nCOPY a /c/\r\nNEW"),
        ] {
            let behind = dockerfile::copies(text.as_bytes()).unwrap().remove(0);
            assert_eq!(insert(text.as_bytes(), &behind, "NEW").unwrap(), expected.as_bytes());
        }
    }
}

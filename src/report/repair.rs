//! The text of the pull request that ends drift: title and body, in Markdown.
//!
//! Whoever reads it decides whether to merge: so it says what differs, what the source's people did since, what is written, the
//! verdict before and after, and how to say no. It may use `gate` and what the other formats use.
//!
//! Traps handled here: file names, subjects and contents are other people's, and nothing in them mentions somebody, links
//! somewhere or ends a code block; forges cut what is longer than some 65,000 characters; and a pull request is read by
//! everyone who can read its repository, so a discreet one names nothing of the other. The first line is hidden and says which
//! gate and source commit it is for: what its keeper finds it by when everything else was edited.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use similar::TextDiff;

use super::markdown::{code, prose};
use super::text::Texts;
use super::{safe, words};
use crate::config::{Gate, PullRequest, Words};
use crate::gate::finding::{Finding, Kind, Severity};
use crate::gate::repair::{Edit, Repair};
use crate::gate::verdict::Verdict;
use crate::gate::{Report, Revision, Side, repo_name};
use crate::tree::ObjectId;

/// The longest title, in characters: what the shortest of the forges keeps.
const LONGEST_TITLE: usize = 250;
/// The longest body, in bytes.
const LONGEST_BODY: usize = 60_000;
/// Findings, files and commits that are listed, of each.
const MOST: usize = 50;
/// Diffs that are shown, the lines of each, and the characters of a line.
const DIFFS: usize = 20;
const DIFF_LINES: usize = 80;
const DIFF_COLUMNS: usize = 200;
/// All diffs together, in bytes.
const ALL_DIFFS: usize = 30_000;
/// A larger file is not compared line by line, in bytes.
const LARGEST: usize = 512 << 10;

const MARKER: &str = "<!-- drift-gate repair:";

/// One gate's repair, as it is proposed.
pub struct Proposal<'a> {
    /// Whose drift it ends.
    pub gate: &'a Gate,
    /// The gate's full name, as the service knows it.
    pub gate_id: &'a str,
    /// What is proposed.
    pub repair: &'a Repair,
    /// The source's commits that it adopts, newest first.
    pub commits: &'a [Commit],
    /// Further ones that are not in the list.
    pub more_commits: u64,
    /// The readers of the repository that is written cannot read the other one.
    pub discreet: bool,
    /// Contents of the files that differ.
    pub texts: &'a dyn Texts,
}

/// A commit of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: ObjectId,
    /// The first line of its message.
    pub subject: String,
    /// Its author's name.
    pub author: String,
    /// Its page on the forge, where it has one.
    pub link: Option<String>,
}

/// The title: one line, as configured.
pub fn title(pull: &PullRequest, words: &Words<'_>) -> String {
    let title = safe::one_line(&pull.title.fill(words)).into_owned();
    title.chars().take(LONGEST_TITLE).collect()
}

/// The hidden line that says what a pull request is for. Where the gate's name would name a repository that readers cannot read,
/// a digest stands for it.
pub fn marker(proposal: &Proposal<'_>) -> String {
    let source = proposal.repair.key();
    let id = match proposal.discreet && proposal.repair.side == Side::Source {
        true => hex::encode(&Sha256::digest(proposal.gate_id)[..8]),
        false => proposal.gate_id.to_owned(),
    };
    format!("{MARKER} {id} {source} -->")
}

/// The body over all gates of one pull request; ends with a line break.
pub fn body(proposals: &[Proposal<'_>]) -> String {
    let whole = written(proposals, ALL_DIFFS);
    let mut body = if whole.len() <= LONGEST_BODY { whole } else { written(proposals, 0) };
    if body.len() > LONGEST_BODY {
        let end = (0..=LONGEST_BODY).rev().find(|at| body.is_char_boundary(*at)).unwrap_or(0);
        body.truncate(body[..end].rfind('\n').map_or(end, |line| line + 1));
        body.push_str("\n… and more, which is cut here.\n");
    }
    body
}

fn written(proposals: &[Proposal<'_>], mut diffs: usize) -> String {
    let mut out = String::new();
    for proposal in proposals {
        let _ = writeln!(out, "{}", marker(proposal));
    }
    for proposal in proposals {
        out.push('\n');
        if proposals.len() > 1 {
            let _ = writeln!(out, "## {}\n", prose(&proposal.gate.name));
        }
        let names = Names::of(proposal);
        what(&mut out, proposal, &names);
        differences(&mut out, proposal, &mut diffs);
        commits(&mut out, proposal, &names);
        verdicts(&mut out, proposal, &names);
    }
    refusal(&mut out, proposals);
    out
}

/// How the two repositories are called.
struct Names {
    consumer: String,
    source: String,
}

impl Names {
    fn of(proposal: &Proposal<'_>) -> Self {
        let Proposal { gate, repair, discreet, .. } = proposal;
        let name = |side: Side, place, plain: &str| {
            if *discreet && repair.side != side { plain.to_owned() } else { code(&repo_name(place)) }
        };
        Self {
            consumer: name(Side::Consumer, &gate.consumer.place, "the consumer"),
            source: name(Side::Source, &gate.source.place, "the source"),
        }
    }
}

fn what(out: &mut String, proposal: &Proposal<'_>, names: &Names) {
    let repair = proposal.repair;
    let gate = prose(&proposal.gate.name);
    let to = repair.source.as_ref().map_or_else(|| "its files".to_owned(), |commit| code(commit.short()));
    let _ = match repair.side {
        Side::Consumer => writeln!(out, "{gate}: adopts {to} of {}. Files that are written:\n", names.source),
        Side::Source => writeln!(
            out,
            "{gate}: {} has copies that were edited there; this offers them to {}. Files that are written:\n",
            names.consumer, names.source
        ),
    };
    // A new file may be called as one of the other repository.
    let shown: Vec<&Edit> = repair.edits.iter().filter(|edit| !proposal.discreet || edit.was.is_some()).collect();
    for edit in shown.iter().take(MOST) {
        let what = match (&edit.content, &edit.was, edit.in_place) {
            (None, ..) => "deleted",
            (_, None, _) => "new",
            (_, _, true) => "edited, the rest of the file stays",
            (_, _, false) => "replaced",
        };
        let _ = writeln!(out, "- {}: {what}", code(&edit.path));
    }
    more(out, repair.edits.len() - shown.len().min(MOST));
    out.push('\n');
}

fn more(out: &mut String, count: usize) {
    if count > 0 {
        let _ = writeln!(out, "- … and {count} more");
    }
}

/// Findings that fail the verdict now, each with its diff as long as there is room.
fn differences(out: &mut String, proposal: &Proposal<'_>, room: &mut usize) {
    let before = &proposal.repair.before;
    let found: Vec<&Finding> = before.findings.iter().filter(|one| one.severity == Severity::Error).collect();
    if found.is_empty() && before.undecided.is_empty() {
        return;
    }
    let _ = writeln!(out, "### What differs\n");
    if proposal.discreet {
        in_general(out, &found, before);
        return;
    }
    for (index, finding) in found.iter().take(MOST).enumerate() {
        let (name, path) = (words::name(finding.kind), code(&finding.path));
        let _ = writeln!(out, "- **{name}** {path}: {}", prose(&finding.message));
        let pair = proposal.texts.pair(finding).filter(|_| index < DIFFS);
        let diff = pair.and_then(|(old, new)| diff_of(finding, proposal.repair.side, &old, &new));
        if let Some(diff) = diff.filter(|diff| diff.len() <= *room) {
            *room -= diff.len();
            out.push_str(&diff);
        }
    }
    more(out, found.len().saturating_sub(MOST));
    for part in before.undecided.iter().take(MOST) {
        let _ = writeln!(out, "- **undecided** {}: {}", code(&part.path), prose(&part.reason));
    }
    out.push('\n');
}

/// Kinds and how many there are of each.
fn in_general(out: &mut String, found: &[&Finding], before: &Report) {
    let mut kinds: Vec<(Kind, usize)> = Vec::new();
    for finding in found {
        match kinds.iter_mut().find(|(kind, _)| *kind == finding.kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((finding.kind, 1)),
        }
    }
    for (kind, count) in kinds {
        let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
        let _ = writeln!(out, "- **{}**{times}: {}", words::name(kind), prose(words::in_general(kind)));
    }
    if !before.undecided.is_empty() {
        let _ = writeln!(out, "- **undecided**: {} parts could not be decided", before.undecided.len());
    }
    let _ = writeln!(
        out,
        "\nNames and contents are not shown: not everyone who reads this can read the other repository.\n"
    );
}

/// A foldable diff below its finding; `None` where lines would say nothing.
fn diff_of(finding: &Finding, written: Side, old: &str, new: &str) -> Option<String> {
    if old == new || old.len().max(new.len()) > LARGEST || old.contains('\0') || new.contains('\0') {
        return None;
    }
    let (before, after, old, new) = match (finding.kind, written) {
        (Kind::Stale, _) => ("at the pin", "on the branch", old, new),
        (_, Side::Consumer) => ("in the consumer", "in the source", old, new),
        // What is written becomes what the consumer has.
        (_, Side::Source) => ("in the source", "in the consumer", new, old),
    };
    let diff = TextDiff::from_lines(old, new);
    let unified = diff.unified_diff().context_radius(3).header(before, after).to_string();
    let mut lines: Vec<String> = unified.lines().take(DIFF_LINES).map(cut).collect();
    let left = unified.lines().count().saturating_sub(DIFF_LINES);
    if left > 0 {
        lines.push(format!("… and {left} more lines"));
    }
    let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    Some(format!(
        "\n  <details><summary>the difference</summary>\n\n  {fence}diff\n{lines}  {fence}\n\n  </details>\n\n"
    ))
}

fn cut(line: &str) -> String {
    let shown: String = line.split('\t').map(|part| safe::one_line(part).into_owned()).collect::<Vec<_>>().join("\t");
    match shown.char_indices().nth(DIFF_COLUMNS) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

fn commits(out: &mut String, proposal: &Proposal<'_>, names: &Names) {
    let hidden = proposal.discreet && proposal.repair.side == Side::Consumer;
    let count = proposal.more_commits + proposal.commits.len() as u64;
    if count == 0 || proposal.repair.side == Side::Source {
        return;
    }
    let _ = writeln!(out, "### Commits of {} since\n", names.source);
    if hidden {
        let _ = writeln!(out, "{count}\n");
        return;
    }
    for commit in proposal.commits.iter().take(MOST) {
        let id = code(commit.id.short());
        let id = match commit.link.as_deref().filter(|link| is_address(link)) {
            Some(link) => format!("[{id}](<{link}>)"),
            None => id,
        };
        let (subject, author) = (prose(&shortened(&commit.subject)), prose(&shortened(&commit.author)));
        let _ = writeln!(out, "- {id} {subject} — {author}");
    }
    let unlisted = proposal.commits.len().saturating_sub(MOST) as u64 + proposal.more_commits;
    more(out, usize::try_from(unlisted).unwrap_or(usize::MAX));
    out.push('\n');
}

/// An address that can stand between `<` and `>`.
fn is_address(link: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !safe::hidden(c) && !matches!(c, '<' | '>' | '\\');
    (link.starts_with("https://") || link.starts_with("http://")) && link.chars().all(plain)
}

fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(DIFF_COLUMNS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn verdicts(out: &mut String, proposal: &Proposal<'_>, names: &Names) {
    let (before, after) = (&proposal.repair.before, &proposal.repair.after);
    let _ = writeln!(out, "### The verdict\n");
    let _ = writeln!(out, "| | verdict | compared | {} at |", names.source);
    let _ = writeln!(out, "|---|---|---|---|");
    for (when, report) in [("now", before), ("merged", after)] {
        let word = match report.verdict {
            Verdict::InSync => "✅ in sync",
            Verdict::Drift => "❌ drift",
            Verdict::Undecided => "❔ undecided",
        };
        let at = match report.source.bound.as_ref().or(report.source.head.as_ref()) {
            Some(Revision::Commit(commit)) => code(commit.short()),
            Some(Revision::WorkTree) | None => "—".to_owned(),
        };
        let _ = writeln!(
            out,
            "| {when} | {word} | {} files, {} bytes | {at} |",
            report.files_compared, report.bytes_compared
        );
    }
    let notices = after.findings.iter().filter(|one| one.severity == Severity::Notice).count();
    if notices + after.assumptions.len() > 0 {
        let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let (notices, assumptions) = (count(notices, "notice"), count(after.assumptions.len(), "assumption"));
        let _ = writeln!(out, "\nSoftened or assumed in this: {notices}, {assumptions}.");
        if !proposal.discreet {
            for finding in after.findings.iter().filter(|one| one.severity == Severity::Notice).take(MOST) {
                let _ = writeln!(out, "- {}", prose(&finding.message));
            }
            for one in after.assumptions.iter().take(MOST) {
                let _ = writeln!(out, "- assumed: {}", prose(&one.text));
            }
        }
    }
    if proposal.repair.side == Side::Source && after.binding.kind == "follow" && before.binding.kind == "pin" {
        let _ = writeln!(out, "\nThe consumer pins the source: its pin must move to the merged commit afterwards.");
    }
    out.push('\n');
}

fn refusal(out: &mut String, proposals: &[Proposal<'_>]) {
    let adopting = proposals.iter().filter(|one| one.repair.side == Side::Consumer);
    let commits: Vec<String> =
        adopting.filter_map(|one| one.repair.source.as_ref()).map(|commit| code(commit.short())).collect();
    let of = match proposals.iter().any(|one| one.repair.side == Side::Source) {
        true => " for what it offers".to_owned(),
        false if commits.is_empty() => String::new(),
        false => format!(" for {}", commits.join(", ")),
    };
    let _ = writeln!(
        out,
        "---\n\nTo refuse this, close it: it is not opened again{of}. Commits that you push to its branch stay; drift-gate then \
         writes to it no more. It closes by itself when the drift ends otherwise."
    );
}

#[cfg(test)]
mod tests;

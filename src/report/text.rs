//! A report in a terminal, in the manner of rustc: what, where with the line itself, and what to do. Colours are escape
//! sequences that the writer drops where there is no terminal.
//!
//! The trap handled here: names and lines come from repositories, and a terminal obeys control characters ([`super::safe`]).

use std::borrow::Cow;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use similar::TextDiff;

use super::safe::one_line as shown;
use crate::gate::finding::{Cause, Finding, Kind, Severity};
use crate::gate::verdict::{Report, Verdict};
use crate::gate::{Revision, policy};

pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const BLUE: Style = AnsiColor::Blue.on_default().bold();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();

/// Lines of a diff that are shown.
const DIFF_LINES: usize = 40;
/// Characters of a line that are shown.
const LINE: usize = 160;

/// Where the text of files comes from: a report names lines, it does not hold them.
pub trait Texts {
    /// The text of a file of the consumer at the state that was judged.
    fn consumer(&self, path: &str) -> Option<String>;

    /// The two texts of a finding about differing bytes: what is, and what should be.
    fn pair(&self, finding: &Finding) -> Option<(String, String)>;
}

/// The whole report; ends with a line break.
pub fn report(report: &Report, decision: &policy::Decision, texts: &dyn Texts) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        one_finding(&mut out, report, finding, texts);
    }
    for part in &report.undecided {
        let note = if part.inherited { " (the base has it already)" } else { "" };
        let (path, reason) = (shown(&part.path), shown(&part.reason));
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let _ = writeln!(out, "{YELLOW}undecided{YELLOW:#}{BOLD}: {place}{reason}{note}{BOLD:#}");
        cause(&mut out, part.cause.as_ref(), texts, YELLOW, None);
        out.push('\n');
    }
    for assumption in &report.assumptions {
        let line = assumption.line.map_or_else(String::new, |line| format!(":{line}"));
        let (text, file) = (shown(&assumption.text), shown(&assumption.file));
        let _ = writeln!(out, "{DIM}assumed: {text} ({file}{line}){DIM:#}");
    }
    summary(&mut out, report, decision);
    out
}

fn one_finding(out: &mut String, report: &Report, finding: &Finding, texts: &dyn Texts) {
    let kind = serde_json::to_value(finding.kind).ok();
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default();
    let (word, style) = match (finding.severity, finding.inherited) {
        (Severity::Notice, _) => ("notice", BLUE),
        (Severity::Error, true) => ("inherited", BLUE),
        (Severity::Error, false) => ("drift", RED),
    };
    let _ = writeln!(out, "{style}{word}[{kind}]{style:#}{BOLD}: {}{BOLD:#}", shown(&finding.message));
    let pin = match &report.source.bound {
        Some(Revision::Commit(commit)) => Some(commit.as_str()),
        _ => None,
    };
    let gutter = cause(out, finding.cause.as_ref(), texts, style, pin);
    if let Some((is, should_be)) = texts.pair(finding) {
        let names = match finding.kind {
            Kind::Stale => ("at the pin", "on the branch"),
            _ => ("baked", "in the source"),
        };
        diff(out, &gutter, names, &is, &should_be);
    }
    let _ = writeln!(out, "{gutter} {BLUE}={BLUE:#} {BOLD}fix{BOLD:#}: {}\n", shown(&finding.fix));
}

/// The place of a finding, with its line where there is one, underlined as a whole or where it says `mark`. Gives back the
/// white space before the bar, for what follows.
fn cause(out: &mut String, cause: Option<&Cause>, texts: &dyn Texts, style: Style, mark: Option<&str>) -> String {
    let Some(Cause { file, line }) = cause else { return " ".to_owned() };
    let Some(line) = line else {
        let _ = writeln!(out, " {BLUE}-->{BLUE:#} {}", shown(file));
        return " ".to_owned();
    };
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let _ = writeln!(out, "{gutter}{BLUE}-->{BLUE:#} {}:{line}", shown(file));
    quote(out, texts.consumer(file).as_deref(), *line, style, mark);
    gutter
}

/// A line of a text, underlined as a whole or where it says `mark`; nothing when the text has no such line.
pub(super) fn quote(out: &mut String, text: Option<&str>, line: u32, style: Style, mark: Option<&str>) {
    let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    let Some(text) = text.and_then(|text| text.lines().nth(index)) else { return };
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let code = cut(text.trim_end());
    let marked = mark.and_then(|mark| Some(code.find(mark)?..code.find(mark)? + mark.len()));
    let marked = marked.unwrap_or(code.len() - code.trim_start().len()..code.len());
    // Tabs stay tabs, so that the carets stand under their characters whatever the width of a tab.
    let indent: String = code[..marked.start].chars().map(|c| if c == '\t' { c } else { ' ' }).collect();
    let carets = "^".repeat(code[marked].chars().count().max(1));
    let _ = writeln!(out, "{gutter} {BLUE}|{BLUE:#}");
    let _ = writeln!(out, "{BLUE}{number} |{BLUE:#} {code}");
    let _ = writeln!(out, "{gutter} {BLUE}|{BLUE:#} {indent}{style}{carets}{style:#}");
}

fn diff(out: &mut String, gutter: &str, names: (&str, &str), is: &str, should_be: &str) {
    let diff = TextDiff::from_lines(is, should_be);
    let unified = diff.unified_diff().context_radius(2).header(names.0, names.1).to_string();
    let lines: Vec<&str> = unified.lines().collect();
    for line in lines.iter().take(DIFF_LINES) {
        let style = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            _ => DIM,
        };
        let _ = writeln!(out, "{gutter} {BLUE}|{BLUE:#} {style}{}{style:#}", cut(line));
    }
    if lines.len() > DIFF_LINES {
        let more = lines.len() - DIFF_LINES;
        let _ = writeln!(out, "{gutter} {BLUE}|{BLUE:#} {DIM}… and {more} more lines{DIM:#}");
    }
}

/// The verdict, and what the status would say where it differs from that; then what was compared.
fn summary(out: &mut String, report: &Report, decision: &policy::Decision) {
    let found = report.findings.iter().filter(|one| one.severity == Severity::Error && !one.inherited).count();
    let undecided = report.undecided.iter().filter(|part| !part.inherited).count();
    let (word, style) = match report.verdict {
        Verdict::InSync => ("in sync".to_owned(), GREEN),
        Verdict::Drift => (format!("drift, {}", count(found as u64, "finding")), RED),
        Verdict::Undecided => (format!("undecided, {}", count(undecided as u64, "part")), YELLOW),
    };
    let _ = write!(out, "{BOLD}{}{BOLD:#}: {style}{word}{style:#}", shown(&report.gate));
    let (passes, in_sync) = (decision.state == policy::State::Success, report.verdict == Verdict::InSync);
    if passes != in_sync || (passes && decision.description != "in sync") {
        let word = if passes { "passes" } else { "fails" };
        let _ = write!(out, ", {word}: {}", shown(&decision.description));
    }
    if report.binding.kind == "none" {
        let _ = writeln!(out, "\n  {DIM}the file of gates in {}{DIM:#}", consumer(report));
        return;
    }
    let (files, bytes) = (count(report.files_compared, "file"), count(report.bytes_compared, "byte"));
    let (source, consumer, binding) = (source(report), consumer(report), binding(report));
    let _ = writeln!(out, "\n  {DIM}compared {files} ({bytes}) of {source} with {consumer}{binding}{DIM:#}");
}

fn source(report: &Report) -> String {
    let side = &report.source;
    let at = match (&side.bound, &side.base, &side.head) {
        (_, Some(base), Some(head)) => format!("{} merged into {}", revision(head), revision(base)),
        (Some(bound), ..) => revision(bound),
        _ => return shown(&side.repo).into_owned(),
    };
    format!("{} at {at}", shown(&side.repo))
}

fn consumer(report: &Report) -> String {
    let (side, work_tree) = (&report.consumer, Revision::WorkTree);
    let at = revision(side.commit.as_ref().unwrap_or(&work_tree));
    let onto = side.base.as_ref().map_or_else(String::new, |base| format!(" merged into {}", revision(base)));
    format!("{} at {at}{onto}", shown(&side.repo))
}

/// How the pin stands; a pull request of the source is not judged by the pin.
fn binding(report: &Report) -> String {
    let state = &report.binding;
    if state.kind != "pin" || report.source.base.is_some() {
        return String::new();
    }
    let behind = count(state.behind.unwrap_or_default().into(), "commit");
    match state.state.as_str() {
        "behind" => format!("; the pin is {behind} behind, in ignored files only"),
        "stale" if state.behind > Some(0) => format!("; the pin is stale, {behind} behind"),
        "unknown" => "; how the pin stands is not known".to_owned(),
        state => format!("; the pin is {state}"),
    }
}

fn revision(revision: &Revision) -> String {
    match revision {
        Revision::Commit(id) => id.short().to_owned(),
        Revision::WorkTree => "its work tree".to_owned(),
    }
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A line that does not fill the screen; tabs stay.
fn cut(line: &str) -> String {
    let parts: Vec<Cow<'_, str>> = line.split('\t').map(shown).collect();
    let whole = parts.join("\t");
    match whole.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

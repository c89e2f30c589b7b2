//! A report in a terminal, in the manner of rustc: what, where with the line itself, and what to do. Colours are escape
//! sequences that the writer drops where there is no terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use similar::TextDiff;

use crate::gate::finding::{Cause, Finding, Severity};
use crate::gate::verdict::{Report, Verdict};
use crate::gate::{Revision, policy};

pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const BLUE: Style = AnsiColor::Blue.on_default().bold();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();

/// Where the text of files comes from: a report names lines, it does not hold them.
pub trait Texts {
    /// The text of a file of the consumer at the state that was judged.
    fn consumer(&self, path: &str) -> Option<String>;

    /// The two texts of a finding about differing bytes: what is, and what should be.
    fn pair(&self, report: &Report, finding: &Finding) -> Option<(String, String)>;
}

/// Lines of a diff that are shown.
const DIFF_LINES: usize = 40;

/// The whole report; ends with a line break.
pub fn report(report: &Report, decision: &policy::Decision, texts: &dyn Texts) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        one_finding(&mut out, report, finding, texts);
    }
    for part in &report.undecided {
        let note = if part.inherited { " (the base has it already)" } else { "" };
        let _ = writeln!(out, "{YELLOW}undecided{YELLOW:#}{BOLD}: {}: {}{note}{BOLD:#}", part.path, part.reason);
        place(&mut out, part.cause.as_ref(), texts, YELLOW);
        out.push('\n');
    }
    for assumption in &report.assumptions {
        let line = assumption.line.map_or_else(String::new, |line| format!(":{line}"));
        let _ = writeln!(out, "{DIM}assumed: {} ({}{line}){DIM:#}", assumption.text, assumption.file);
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
    let _ = writeln!(out, "{style}{word}[{kind}]{style:#}{BOLD}: {}{BOLD:#}", finding.message);
    place(out, finding.cause.as_ref(), texts, style);
    if let Some((is, should_be)) = texts.pair(report, finding) {
        diff(out, &is, &should_be);
    }
    let _ = writeln!(out, "   {BLUE}={BLUE:#} {BOLD}fix{BOLD:#}: {}\n", finding.fix);
}

fn place(out: &mut String, cause: Option<&Cause>, texts: &dyn Texts, style: Style) {
    let Some(cause) = cause else { return };
    let Some(line) = cause.line else {
        let _ = writeln!(out, "  {BLUE}-->{BLUE:#} {}", cause.file);
        return;
    };
    let _ = writeln!(out, "  {BLUE}-->{BLUE:#} {}:{line}", cause.file);
    let text = texts.consumer(&cause.file);
    quote(out, text.as_deref(), line, style);
}

/// A line of a text with carets under it; nothing when the text has no such line.
pub(super) fn quote(out: &mut String, text: Option<&str>, line: u32, style: Style) {
    let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    let Some(text) = text.and_then(|text| text.lines().nth(index)) else { return };
    // What a terminal would obey is not for it.
    let shown: String = text.trim_end().chars().filter(|c| !c.is_control() || *c == '\t').take(160).collect();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let start = shown.len() - shown.trim_start().len();
    let carets = "^".repeat(shown.trim_start().chars().count().max(1));
    let _ = writeln!(out, " {margin} {BLUE}|{BLUE:#}");
    let _ = writeln!(out, " {BLUE}{number} |{BLUE:#} {shown}");
    let _ = writeln!(out, " {margin} {BLUE}|{BLUE:#} {}{style}{carets}{style:#}", &shown[..start]);
}

fn diff(out: &mut String, is: &str, should_be: &str) {
    let diff = TextDiff::from_lines(is, should_be);
    let unified = diff.unified_diff().context_radius(2).to_string();
    let lines: Vec<&str> = unified.lines().collect();
    for line in lines.iter().take(DIFF_LINES) {
        let style = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            _ => DIM,
        };
        let _ = writeln!(out, "   {BLUE}|{BLUE:#} {style}{line}{style:#}");
    }
    if lines.len() > DIFF_LINES {
        let _ = writeln!(out, "   {BLUE}|{BLUE:#} {DIM}… and {} more lines{DIM:#}", lines.len() - DIFF_LINES);
    }
}

fn summary(out: &mut String, report: &Report, decision: &policy::Decision) {
    let (word, style) = match report.verdict {
        Verdict::InSync => ("in sync", GREEN),
        Verdict::Drift => ("drift", RED),
        Verdict::Undecided => ("undecided", YELLOW),
    };
    let _ = write!(out, "{BOLD}{}{BOLD:#}: {style}{word}{style:#}", report.gate);
    let softened = decision.state == policy::State::Success && report.verdict != Verdict::InSync;
    if softened {
        let _ = write!(out, ", passes: {}", decision.description);
    }
    let bound = report.source.bound.as_ref().map_or_else(String::new, |bound| format!(" bound at {}", shown(bound)));
    let _ = writeln!(
        out,
        " ({} files, {} bytes compared; {} at {}, {}{bound}, binding {})",
        report.files_compared,
        report.bytes_compared,
        report.consumer.repo,
        report.consumer.commit.as_ref().map_or("?".into(), shown),
        report.source.repo,
        report.binding.state,
    );
}

fn shown(revision: &Revision) -> String {
    match revision {
        Revision::Commit(id) => id.short().to_owned(),
        Revision::WorkTree => "its work tree".to_owned(),
    }
}

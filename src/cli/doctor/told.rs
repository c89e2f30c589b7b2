//! What was found, for people and for programs.
//!
//! Names and messages come from forges: what a terminal would obey is written out.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{FIX, Finding, Findings, Level, PROTECT};
use crate::report::safe::{one_line, visible};

const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const BLUE: Style = AnsiColor::Blue.on_default().bold();
const BOLD: Style = Style::new().bold();

fn word(level: Level) -> (&'static str, Style) {
    match level {
        Level::Ok => ("ok", GREEN),
        Level::Note => ("note", BLUE),
        Level::Problem => ("problem", RED),
        Level::Unknown => ("unknown", YELLOW),
    }
}

/// One block for each thing that was asked about, and a line that sums up. `command` is what was typed, without what mends.
pub(super) fn text(findings: &Findings, command: &str) -> String {
    let mut out = String::new();
    let mut about = "";
    for finding in &findings.all {
        if finding.about != about {
            let parted = if about.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{parted}{BOLD}{}{BOLD:#}", one_line(&finding.about));
            about = &finding.about;
        }
        one(&mut out, finding);
    }
    let _ = writeln!(out, "\n{}", sum(findings, command));
    out
}

fn one(out: &mut String, finding: &Finding) {
    let (word, style) = word(finding.level);
    let padding = " ".repeat(8 - word.len());
    let message = visible(&finding.message).replace('\n', "\n            ");
    let _ = writeln!(out, "  {style}{word}{style:#}{padding}{message}");
    if let Some(fix) = &finding.fix {
        let _ = writeln!(out, "          {BLUE}={BLUE:#} {BOLD}fix{BOLD:#}: {}", one_line(fix));
    }
}

fn sum(findings: &Findings, command: &str) -> String {
    let several = |many: usize, word: &str| format!("{many} {word}{}", if many == 1 { "" } else { "s" });
    let (problems, unknown, notes) =
        (findings.count(Level::Problem), findings.count(Level::Unknown), findings.count(Level::Note));
    let mut text = match (problems, unknown) {
        (0, 0) => format!("{GREEN}all well{GREEN:#}"),
        (0, unknown) => format!("{YELLOW}{unknown} not told{YELLOW:#}"),
        (problems, 0) => format!("{RED}{}{RED:#}", several(problems, "problem")),
        (problems, unknown) => format!("{RED}{}{RED:#}, {unknown} not told", several(problems, "problem")),
    };
    if notes > 0 {
        let _ = write!(text, ", {}", several(notes, "note"));
    }
    let mended = |flags: &str| findings.all.iter().filter(|finding| finding.mends == Some(flags)).count();
    for (flags, many) in [(FIX, mended(FIX)), (PROTECT, mended(PROTECT))] {
        if many > 0 {
            let _ = write!(text, "; `{command} {flags}` mends {many}");
        }
    }
    text
}

/// One object.
pub(super) fn json(findings: &Findings) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: u32,
        problems: usize,
        unknown: usize,
        notes: usize,
        findings: &'a [Finding],
    }
    let document = Document {
        schema: 1,
        problems: findings.count(Level::Problem),
        unknown: findings.count(Level::Unknown),
        notes: findings.count(Level::Note),
        findings: &findings.all,
    };
    serde_json::to_string(&document).unwrap_or_default()
}

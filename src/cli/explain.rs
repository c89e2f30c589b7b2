//! `drift-gate explain`: what a kind of finding means, and what to do about it, in the words of [`crate::report::findings`].

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::{DONE, Failure, print};
use crate::report::findings;

/// What `explain` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// A kind of finding, as reports name it; without one, the kinds are listed
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

const BOLD: Style = Style::new().bold();
const CODE: Style = AnsiColor::Cyan.on_default();

/// Prints the text of a kind, or the list of kinds; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let text = match &arguments.kind {
        None => list(),
        Some(kind) => {
            let kind = kind.trim().to_lowercase().replace('_', "-");
            let text = findings::of(&kind).ok_or_else(|| Failure::usage(unknown(&kind)))?;
            explained(&kind, text)
        }
    };
    print(&text)?;
    Ok(DONE)
}

/// Each kind with the first sentence of its text.
fn list() -> String {
    let width = findings::all().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut out = String::new();
    for (name, text) in findings::all() {
        let text = text.replace('\n', " ");
        let sentence = text.split_once(". ").map_or(text.as_str(), |(first, _)| first);
        let _ = writeln!(out, "{BOLD}{name:width$}{BOLD:#}  {}.", sentence.trim_end_matches('.'));
    }
    out
}

fn explained(name: &str, text: &str) -> String {
    let mut out = format!("{BOLD}{name}{BOLD:#}\n\n");
    for line in text.lines() {
        let _ = match (line.starts_with("    "), line.strip_prefix("**What to do.**")) {
            (true, _) => writeln!(out, "{CODE}{line}{CODE:#}"),
            (_, Some(rest)) => writeln!(out, "{BOLD}What to do.{BOLD:#}{rest}"),
            _ => writeln!(out, "{line}"),
        };
    }
    out
}

fn unknown(kind: &str) -> String {
    let nearest = findings::all()
        .map(|(name, _)| name)
        .max_by(|one, other| strsim::jaro_winkler(kind, one).total_cmp(&strsim::jaro_winkler(kind, other)));
    let nearest = nearest.map_or_else(String::new, |name| format!("; the nearest is `{name}`"));
    format!("no finding is of the kind `{kind}`{nearest}. `drift-gate explain` lists them all")
}

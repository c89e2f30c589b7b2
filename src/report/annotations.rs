//! Workflow commands, as the runners of GitHub, Gitea and Forgejo read them from a step's output: `::error
//! file=…,line=…,title=…::message`.
//!
//! The trap: the runner takes *any* line that begins with `::` for a command, and one that has `##[` in it too. So every
//! text that is not ours is escaped, and the lines that are no commands quote nobody.

use std::fmt::Write;

use super::{Item, Judged, Weight, safe};
use crate::gate::Side;
use crate::gate::policy::State;

/// A remark on a line, for forges that take them with a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// A file of the consumer, from its root.
    pub path: String,
    /// The line that a person should look at; the first where none is known.
    pub line: u32,
    /// `failure`, `warning` or `notice`.
    pub level: &'static str,
    /// A line for people.
    pub title: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// One remark for each finding and undecided part that has a place in the consumer.
pub fn remarks(judged: &Judged<'_>) -> Vec<Remark> {
    let of_consumer = |item: &Item<'_>| {
        let cause = item.cause?;
        // The cause of a finding may be its own file of the source.
        let of_source = cause.file == item.path && item.side == Some(Side::Source);
        (!of_source).then(|| {
            let (_, note) = loudness(item.weight, &judged.decision.description);
            let fix = item.fix.map_or_else(String::new, |fix| format!("\nfix: {fix}"));
            Remark {
                path: cause.file.clone(),
                line: cause.line.unwrap_or(1),
                level: match item.weight {
                    Weight::Fails => "failure",
                    Weight::Softened => "warning",
                    Weight::Inherited | Weight::Notice => "notice",
                },
                title: safe::one_line(&format!("{}: {} {}", judged.gate.name, item.name, item.path)).into_owned(),
                message: safe::visible(&format!("{}{note}{fix}", item.message)).into_owned(),
            }
        })
    };
    judged.items().iter().filter_map(of_consumer).collect()
}

/// One command for each finding and undecided part, and a plain line for each gate.
pub fn document(all: &[Judged<'_>]) -> String {
    let mut out = String::new();
    for judged in all {
        let items = judged.items();
        for item in &items {
            command(&mut out, item, &judged.decision.description);
        }
        let word = match judged.decision.state {
            State::Success => "passes",
            State::Failure => "drifts",
            State::Error => "is undecided",
        };
        let count = match items.len() {
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        };
        let _ = writeln!(
            out,
            "drift-gate: gate {} {word} ({count}, {} files compared)",
            plain(&judged.gate.name),
            judged.report.files_compared
        );
    }
    out
}

fn command(out: &mut String, item: &Item<'_>, status: &str) {
    let (level, note) = loudness(item.weight, status);
    let _ = write!(out, "::{level} ");
    if let Some(cause) = item.cause {
        let _ = write!(out, "file={},", property(&cause.file));
        if let Some(line) = cause.line {
            let _ = write!(out, "line={line},");
        }
    }
    let title = format!("drift-gate: {} {}", item.name, item.path);
    let fix = item.fix.map_or_else(String::new, |fix| format!("\nfix: {fix}"));
    let _ = writeln!(out, "title={}::{}", property(&title), data(&format!("{}{note}{fix}", item.message)));
}

/// The runners' word for what a finding does, and what is said behind it.
fn loudness(weight: Weight, status: &str) -> (&'static str, String) {
    match weight {
        Weight::Fails => ("error", String::new()),
        Weight::Softened => ("warning", format!(" (passes: {status})")),
        Weight::Inherited => ("notice", " (the base has it already)".to_owned()),
        Weight::Notice => ("notice", String::new()),
    }
}

/// The value of a property: ends at `,` or `::`, so these are escaped too.
fn property(text: &str) -> String {
    data(&safe::one_line(text)).replace(':', "%3A").replace(',', "%2C")
}

/// What stands behind `::`.
fn data(text: &str) -> String {
    safe::visible(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// In a line that is no command.
fn plain(text: &str) -> String {
    safe::one_line(text).replace("##[", "##<[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_property_or_begin_a_command() {
        assert_eq!(property("a,b::c%\n::set-env"), "a%2Cb%3A%3Ac%25<U+000A>%3A%3Aset-env");
        assert_eq!(data("100%\nfix: x"), "100%25%0Afix: x");
        assert_eq!(plain("x ##[add-mask]y"), "x ##<[add-mask]y");
    }
}

//! A backtest in a terminal and as JSON.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{safe, words};
use crate::backtest::{Backtest, Change, Interval, Mover, Spent, What};
use crate::gate::Side;
use crate::tree::ObjectId;

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// One side's history, in words.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// The repository.
    pub repo: String,
    /// The branch whose first-parent line it is.
    pub branch: String,
    /// Its head.
    pub head: ObjectId,
    /// Commits of that line.
    pub commits: usize,
}

/// A backtest with what its readers want to know beside it.
pub struct Told<'a> {
    /// What was found.
    pub backtest: &'a Backtest,
    /// The gated branch of the consumer.
    pub consumer: History,
    /// The source's branch.
    pub source: History,
    /// The first line of a commit's message.
    pub subject: &'a dyn Fn(&Mover) -> String,
}

/// As one line of JSON: the contract of `backtest --format json` in `docs/design.md`.
pub fn json(told: &Told<'_>) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: u32,
        gate: &'a str,
        consumer: &'a History,
        source: &'a History,
        from: Option<i64>,
        to: Option<i64>,
        moments: usize,
        evaluated: usize,
        seconds: Spent,
        intervals: &'a [Interval],
        changes: Vec<Change>,
        engine: &'static str,
    }
    let backtest = told.backtest;
    let mut changes = backtest.changes.clone();
    changes.iter_mut().for_each(|change| super::in_public(&mut change.findings, &mut change.undecided));
    let document = Document {
        schema: 1,
        gate: &backtest.gate,
        consumer: &told.consumer,
        source: &told.source,
        from: backtest.span.map(|(from, _)| from),
        to: backtest.span.map(|(_, to)| to),
        moments: backtest.moments,
        evaluated: backtest.evaluated,
        seconds: backtest.spent,
        intervals: &backtest.intervals,
        changes,
        engine: env!("CARGO_PKG_VERSION"),
    };
    serde_json::to_string(&document).unwrap_or_default()
}

/// For people; ends with a line break.
pub fn text(told: &Told<'_>) -> String {
    let mut out = String::new();
    for interval in &told.backtest.intervals {
        one(&mut out, interval, told.subject);
    }
    summary(&mut out, told);
    out
}

fn one(out: &mut String, interval: &Interval, subject: &dyn Fn(&Mover) -> String) {
    let style = if matches!(interval.kind, What::Undecided(_)) { YELLOW } else { RED };
    let until = interval.to.map_or_else(|| "now".to_owned(), moment);
    let _ = writeln!(
        out,
        "{style}{}{style:#} {BOLD}{}{BOLD:#}: {} – {until}, {}",
        name(interval.kind),
        safe::one_line(&interval.path),
        moment(interval.from),
        duration(interval.seconds)
    );
    let _ = writeln!(out, "    {}", safe::one_line(&interval.message));
    let _ = writeln!(out, "    {DIM}began with{DIM:#} {}", mover(&interval.began, subject));
    if let Some(ended) = &interval.ended {
        let _ = writeln!(out, "    {DIM}ended with{DIM:#} {}", mover(ended, subject));
    }
    out.push('\n');
}

fn summary(out: &mut String, told: &Told<'_>) {
    let backtest = told.backtest;
    let side = |history: &History| {
        format!("{} {} ({} commits)", history.repo, safe::one_line(&history.branch), history.commits)
    };
    let _ = writeln!(out, "{BOLD}{}{BOLD:#}: {} with {}", backtest.gate, side(&told.consumer), side(&told.source));
    let Some((from, to)) = backtest.span else {
        let _ = writeln!(out, "  no moment at which both repositories had a commit");
        return;
    };
    let _ = writeln!(
        out,
        "  {} – {}: {} moments, {} evaluated, {} changes of the verdict",
        moment(from),
        moment(to),
        backtest.moments,
        backtest.evaluated,
        backtest.changes.len()
    );
    let spent = backtest.spent;
    let _ = writeln!(
        out,
        "  {GREEN}in sync{GREEN:#} {}, {RED}drift{RED:#} {}, {YELLOW}undecided{YELLOW:#} {}",
        duration(spent.in_sync),
        duration(spent.drift),
        duration(spent.undecided)
    );
}

/// The kind of an interval, by its stable name.
pub(super) fn name(what: What) -> String {
    match what {
        What::Finding(kind) => words::name(kind),
        What::Undecided(_) => "undecided".to_owned(),
    }
}

/// A head that moved, for people.
pub(super) fn mover(mover: &Mover, subject: &dyn Fn(&Mover) -> String) -> String {
    let side = match mover.side {
        Side::Consumer => "consumer",
        Side::Source => "source",
    };
    let subject: String = subject(mover).chars().take(100).collect();
    format!("{side} {} {}", mover.commit.short(), safe::one_line(&subject))
}

/// Unix seconds as people read them.
pub(super) fn moment(seconds: i64) -> String {
    let at = chrono::DateTime::from_timestamp(seconds, 0);
    at.map_or_else(|| seconds.to_string(), |at| at.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// A length of time in its two largest units.
pub(super) fn duration(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {:02}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes:02}m"),
        (days, hours, _) => format!("{days}d {hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units() {
        assert_eq!(duration(17 * 3600 + 6 * 60 + 9), "17h 06m");
        assert_eq!([duration(59), duration(61), duration(90_000)], ["59s", "1m 01s", "1d 01h"]);
        assert_eq!(moment(1_750_000_000), "2025-06-15 15:06:40Z");
    }
}

//! From a verdict at each moment to what people ask: when, how long, because of which commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::moments::Moment;
use super::{Backtest, Mover};
use crate::config::Gate;
use crate::gate::Report;
use crate::gate::finding::{Finding, Kind, Severity, Undecided};
use crate::gate::verdict::Verdict;
use crate::tree::ObjectId;

/// What an interval is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum What {
    /// A finding of this kind.
    Finding(Kind),
    /// A part that could not be decided.
    Undecided(UndecidedWord),
}

/// Serializes to `undecided`, beside the names of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UndecidedWord {
    /// Its only word.
    Undecided,
}

/// A finding or undecided part, from the moment it came to the moment it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// The kind of finding, or `undecided`.
    pub kind: What,
    /// What it is about.
    pub path: String,
    /// In the words of its first moment.
    pub message: String,
    /// Unix seconds.
    pub from: i64,
    /// Unix seconds; `None` while it lasts.
    pub to: Option<i64>,
    /// How long: up to the last moment of both histories while it lasts.
    pub seconds: i64,
    /// The head whose move began it.
    pub began: Mover,
    /// The head whose move ended it.
    pub ended: Option<Mover>,
}

/// A moment at which the verdict or a finding changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Unix seconds.
    pub at: i64,
    /// The head that moved.
    pub moved: Mover,
    /// Both heads from then on.
    pub consumer: ObjectId,
    /// The source's head from then on.
    pub source: ObjectId,
    /// What the gate says of both heads.
    pub verdict: Verdict,
    /// All that stand from then on, not only the new ones.
    pub findings: Vec<Finding>,
    /// All parts that cannot be decided from then on.
    pub undecided: Vec<Undecided>,
}

/// Seconds under each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Seconds without a difference that counts.
    pub in_sync: i64,
    /// Seconds with a difference that counts.
    pub drift: i64,
    /// Seconds in which neither could be proven.
    pub undecided: i64,
}

/// Sums up: `verdicts` are those of `moments`, in the same order.
pub(super) fn sum_up(gate: &Gate, moments: &[Moment], verdicts: &[Arc<Report>], evaluated: usize) -> Backtest {
    let span = moments.first().zip(moments.last()).map(|(first, last)| (first.at, last.at));
    let end = span.map_or(0, |(_, end)| end);
    let (mut changes, mut intervals, mut spent) = (Vec::new(), Vec::new(), Spent::default());
    let mut open: BTreeMap<(What, String), Interval> = BTreeMap::new();
    let mut before: Option<&Arc<Report>> = None;
    for (index, (moment, report)) in moments.iter().zip(verdicts).enumerate() {
        let until = moments.get(index + 1).map_or(end, |next| next.at);
        match report.verdict {
            Verdict::InSync => spent.in_sync += until - moment.at,
            Verdict::Drift => spent.drift += until - moment.at,
            Verdict::Undecided => spent.undecided += until - moment.at,
        }
        // The same allocation is the same verdict: most moments are.
        if before.is_some_and(|before| Arc::ptr_eq(before, report) || says_the_same(before, report)) {
            before = Some(report);
            continue;
        }
        before = Some(report);
        changes.push(change(moment, report));
        let holds = subjects(report);
        let gone: Vec<_> = open.keys().filter(|subject| !holds.contains_key(*subject)).cloned().collect();
        for subject in gone {
            if let Some(mut interval) = open.remove(&subject) {
                interval.to = Some(moment.at);
                interval.seconds = moment.at - interval.from;
                interval.ended = Some(moment.moved.clone());
                intervals.push(interval);
            }
        }
        for (subject, message) in holds {
            open.entry(subject.clone()).or_insert_with(|| begin(subject, message, moment));
        }
    }
    for mut interval in open.into_values() {
        interval.seconds = end - interval.from;
        intervals.push(interval);
    }
    intervals.sort_by(|one, other| (one.from, one.kind, &one.path).cmp(&(other.from, other.kind, &other.path)));
    Backtest { gate: gate.name.clone(), span, moments: moments.len(), evaluated, changes, intervals, spent }
}

fn says_the_same(one: &Report, other: &Report) -> bool {
    one.verdict == other.verdict && one.findings == other.findings && one.undecided == other.undecided
}

fn change(moment: &Moment, report: &Report) -> Change {
    Change {
        at: moment.at,
        moved: moment.moved.clone(),
        consumer: moment.consumer.clone(),
        source: moment.source.clone(),
        verdict: report.verdict,
        findings: report.findings.clone(),
        undecided: report.undecided.clone(),
    }
}

/// What keeps a report from being in sync, with its words.
fn subjects(report: &Report) -> BTreeMap<(What, String), String> {
    let findings = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let findings = findings.map(|one| ((What::Finding(one.kind), one.path.clone()), one.message.clone()));
    let undecided = report.undecided.iter();
    let undecided =
        undecided.map(|one| ((What::Undecided(UndecidedWord::Undecided), one.path.clone()), one.reason.clone()));
    findings.chain(undecided).collect()
}

fn begin((kind, path): (What, String), message: String, moment: &Moment) -> Interval {
    let began = moment.moved.clone();
    Interval { kind, path, message, from: moment.at, to: None, seconds: 0, began, ended: None }
}

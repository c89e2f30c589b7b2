//! What all formats say: findings and undecided parts as one list, each with what the status makes of it.

use super::words;
use crate::config::{Gate, Inherited, Stale};
use crate::gate::finding::{Cause, Finding, Kind, Severity, Undecided};
use crate::gate::policy::{Decision, State};
use crate::gate::{Report, Side};

/// One gate's verdict with the status that the policy makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// Whose options soften what.
    pub gate: &'a Gate,
    /// What was found.
    pub report: &'a Report,
    /// What the status says.
    pub decision: &'a Decision,
}

/// What the status makes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It fails the status.
    Fails,
    /// It would, and an option of the gate lets it pass.
    Softened,
    /// The base of the pull request has it already.
    Inherited,
    /// Words only.
    Notice,
}

/// One finding or undecided part.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// `None`: undecided.
    pub kind: Option<Kind>,
    /// The stable name of its kind, or `undecided`.
    pub name: String,
    /// What it does to the status.
    pub weight: Weight,
    /// What it is about.
    pub path: &'a str,
    /// The repository that [`Item::path`] is of, where that is known.
    pub side: Option<Side>,
    /// The line to look at.
    pub cause: Option<&'a Cause>,
    /// What is wrong.
    pub message: &'a str,
    /// What to do; nothing is known to do about what is undecided.
    pub fix: Option<&'a str>,
}

impl<'a> Judged<'a> {
    /// Findings, then what is undecided, in the order of the report.
    pub fn items(&self) -> Vec<Item<'a>> {
        let findings = self.report.findings.iter().map(|finding| self.finding(finding));
        findings.chain(self.report.undecided.iter().map(|part| self.undecided(part))).collect()
    }

    fn finding(&self, finding: &'a Finding) -> Item<'a> {
        let allowed = finding.kind == Kind::Stale && self.gate.stale == Stale::Notice;
        let weight = match finding.severity {
            Severity::Notice => Weight::Notice,
            Severity::Error => self.weight(finding.inherited, allowed),
        };
        Item {
            kind: Some(finding.kind),
            name: words::name(finding.kind),
            weight,
            path: &finding.path,
            side: words::path_side(finding.kind),
            cause: finding.cause.as_ref(),
            message: &finding.message,
            fix: Some(&finding.fix),
        }
    }

    fn undecided(&self, part: &'a Undecided) -> Item<'a> {
        Item {
            kind: None,
            name: "undecided".to_owned(),
            weight: self.weight(part.inherited, false),
            path: &part.path,
            side: None,
            cause: part.cause.as_ref(),
            message: &part.reason,
            fix: None,
        }
    }

    fn weight(&self, inherited: bool, allowed: bool) -> Weight {
        if inherited && self.gate.inherited == Inherited::Pass {
            Weight::Inherited
        } else if allowed || self.decision.state == State::Success {
            Weight::Softened
        } else {
            Weight::Fails
        }
    }
}

impl Item<'_> {
    /// `file:line`, or the file alone.
    pub fn place(&self) -> Option<String> {
        let cause = self.cause?;
        Some(cause.line.map_or_else(|| cause.file.clone(), |line| format!("{}:{line}", cause.file)))
    }
}

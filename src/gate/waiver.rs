//! What a waiver covers (pure): the findings of one moment, by kind, path and content.
//!
//! A waiver changes no verdict: it is to [`policy`](super::policy) what an option of a gate is, words on a green status. The
//! traps handled here: a finding of the same kind at the same path with other content is another finding; what could not be
//! *read* is nobody's to accept, because nobody knows what it would cover; an outage has no report and so no items at all.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::finding::{Finding, Severity, Undecided};
use super::verdict::{Report, Verdict};
use super::words;
use crate::config::{Gate, Inherited, Place};

/// Something that stands against a status and that a waiver may cover.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// The kind of a finding, by its name in reports, or `undecided`.
    pub kind: String,
    /// What it is about.
    pub path: String,
    /// SHA-256 of what tells it from others of its kind and path: for an undecided part, of the inputs that make it so.
    pub content: String,
}

/// A waiver in force or not: whoever decides compares it with the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The consumer of the gate that it is about.
    pub consumer: Place,
    /// The name of the gate.
    pub gate: String,
    /// Login of who waived.
    pub by: String,
    /// In their words: one line.
    pub reason: String,
    /// Unix milliseconds at which it ends; `None`: at no time of its own.
    pub until: Option<i64>,
    /// What it covers.
    pub items: BTreeSet<Item>,
}

impl Item {
    fn of_finding(finding: &Finding) -> Self {
        Self { kind: words::name(finding.kind), path: finding.path.clone(), content: digest(&finding.content) }
    }

    fn of_undecided(part: &Undecided) -> Self {
        Self { kind: "undecided".to_owned(), path: part.path.clone(), content: digest(&part.content) }
    }
}

fn digest(content: &str) -> String {
    hex::encode(Sha256::digest(content))
}

/// Whether an inherited finding counts against a pull request of this gate.
pub(super) fn counts(gate: &Gate, inherited: bool) -> bool {
    !inherited || gate.inherited == Inherited::Fail
}

/// What of a report counts against its status and a waiver could cover.
///
/// # Errors
/// What no waiver can cover, in words for people: a part that could not be read.
pub fn items(gate: &Gate, report: &Report) -> Result<BTreeSet<Item>, String> {
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let mut items: BTreeSet<Item> =
        errors.filter(|finding| counts(gate, finding.inherited)).map(Item::of_finding).collect();
    for part in report.undecided.iter().filter(|part| counts(gate, part.inherited)) {
        if part.is_unreadable() {
            let place = if part.path.is_empty() { String::new() } else { format!("{}: ", part.path) };
            return Err(format!("{place}{}", part.reason));
        }
        items.insert(Item::of_undecided(part));
    }
    if items.is_empty() && report.verdict == Verdict::Undecided {
        return Err("nobody can say what is undecided".to_owned());
    }
    Ok(items)
}

impl Waiver {
    /// Whether it is about this gate.
    pub fn is_of(&self, gate: &Gate) -> bool {
        self.gate == gate.name && self.consumer == gate.consumer.place
    }

    /// Whether its time is over at `now` (Unix milliseconds).
    pub fn is_over(&self, now: i64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// The words of a status that it turns green.
    pub fn words(&self) -> String {
        format!("waived by {}{}: {}", self.by, until(self.until), self.reason)
    }
}

/// ` until 2026-12-24 23:59 UTC`, or nothing.
pub fn until(end: Option<i64>) -> String {
    let end = end.and_then(chrono::DateTime::from_timestamp_millis);
    end.map_or_else(String::new, |end| end.format(" until %Y-%m-%d %H:%M UTC").to_string())
}

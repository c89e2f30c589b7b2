//! A verdict for people and machines. It may use `gate` and what that may use; it decides nothing.
//!
//! [`text`] and [`json`] print one report at a time; SARIF, JUnit, Markdown and annotations are one document over all gates
//! that were judged. What those say about a finding is what the *status* makes of it ([`Weight`]), so that a document is as
//! green or red as the exit code beside it.
//!
//! The trap handled here: every path and every sentence may quote a stranger. Each format escapes what would act in it,
//! and all of them show what would be invisible ([`safe`]).

pub mod annotations;
pub mod backtest;
pub mod discreet;
pub mod findings;
mod judged;
pub mod junit;
pub mod markdown;
pub mod patch;
pub mod repair;
pub mod safe;
pub mod sarif;
#[cfg(test)]
mod tests;
pub mod text;
pub mod timeline;
pub mod tree;

pub use judged::{Item, Judged, Weight};

pub use crate::gate::words;

use crate::gate::Report;
use crate::gate::finding::{Finding, Undecided};

/// One report as one line of JSON, without a line break: the contract of `check --format json` in `docs/design.md`, and no
/// field more.
pub fn json(report: &Report) -> String {
    let mut public = report.clone();
    in_public(&mut public.findings, &mut public.undecided);
    serde_json::to_string(&public).unwrap_or_default()
}

/// Takes out of a report's parts what is kept beside the contract.
fn in_public(findings: &mut [Finding], undecided: &mut [Undecided]) {
    for finding in findings {
        // Only a report page needs it, to make a diff; the other only whoever compares findings.
        finding.baked = None;
        finding.content.clear();
    }
    undecided.iter_mut().for_each(|part| part.content.clear());
}

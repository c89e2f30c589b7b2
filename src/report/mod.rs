//! A report for people and machines. It may use `gate` and what that may use; it decides nothing.

pub mod text;

use crate::gate::Report;

/// One report as one line of JSON, without a line break: the contract of `check --format json` in `docs/design.md`, and no
/// field more.
pub fn json(report: &Report) -> String {
    let mut public = report.clone();
    // Only a report page needs it, to make a diff.
    public.findings.iter_mut().for_each(|finding| finding.baked = None);
    serde_json::to_string(&public).unwrap_or_default()
}

//! A report for people and machines. It may use `gate` and what that may use; it decides nothing.

pub mod text;
pub mod tree;

use crate::gate::Report;

/// One report as one line of JSON: the contract of `check --format json` in `docs/design.md`.
pub fn json(report: &Report) -> String {
    serde_json::to_string(report).unwrap_or_default()
}

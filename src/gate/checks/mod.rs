//! The checks of a gate, one file each; all give the same kind of outcome.

use super::finding::{Assumption, Finding, Undecided};

pub mod bake;
mod baked;
mod image;
mod source;

pub(in crate::gate) use source::is_identity;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub findings: Vec<Finding>,
    pub undecided: Vec<Undecided>,
    pub assumptions: Vec<Assumption>,
    pub files_compared: u64,
    pub bytes_compared: u64,
    /// A comparison took place: without one nothing is ever inherited, and nothing is in sync.
    pub compared: bool,
}

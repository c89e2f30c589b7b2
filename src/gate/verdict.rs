//! The outcome of judging one case of one gate: a report that equals for equal inputs, byte for byte.

use serde::{Deserialize, Serialize};

use super::Revision;
use super::finding::{Assumption, Finding, Undecided};

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Compared, and no difference that counts.
    InSync,
    /// A difference is shown.
    Drift,
    /// Neither could be proven.
    Undecided,
}

/// Everything that is known about one case; serializes to the `check --format json` contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// 1.
    pub schema: u32,
    pub gate: String,
    pub context: String,
    pub verdict: Verdict,
    pub findings: Vec<Finding>,
    pub undecided: Vec<Undecided>,
    pub assumptions: Vec<Assumption>,
    pub consumer: ConsumerSide,
    pub source: SourceSide,
    pub binding: BindingState,
    pub files_compared: u64,
    pub bytes_compared: u64,
    /// The version of drift-gate that judged.
    pub engine: String,
    /// SHA-256 of the gate's configuration, hexadecimal.
    pub config_digest: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerSide {
    pub repo: String,
    /// The commit judged (a pull request's head); absent for a work tree.
    pub commit: Option<Revision>,
    /// What it would be merged into.
    pub base: Option<Revision>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSide {
    pub repo: String,
    /// The commit that the consumer binds; absent where it binds none.
    pub bound: Option<Revision>,
    /// The head judged against (a pull request's head on the source).
    pub head: Option<Revision>,
    pub base: Option<Revision>,
}

/// How the consumer binds the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingState {
    /// `pin` or `follow`.
    pub kind: String,
    /// `current`, `behind`, `stale`, `ahead`, `diverged`, `unreachable`, `invalid`, `follow`, or `unknown`.
    pub state: String,
    /// First-parent steps behind the source's head, where known.
    pub behind: Option<u32>,
}

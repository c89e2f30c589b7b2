//! The outcome of judging one case of one gate: a report that equals for equal inputs, byte for byte.

use serde::{Deserialize, Serialize};

use super::Revision;
use super::finding::{Assumption, Finding, Undecided};
use crate::config::Gate;

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
    /// The gate's name in the configuration.
    pub gate: String,
    /// The context of the status that the gate has a say in.
    pub context: String,
    /// What findings and undecided parts come to, before any option softens the status.
    pub verdict: Verdict,
    /// Differences, notices and what is inherited too.
    pub findings: Vec<Finding>,
    /// Parts that nobody can decide.
    pub undecided: Vec<Undecided>,
    /// What is taken for granted.
    pub assumptions: Vec<Assumption>,
    /// What was judged of the consumer.
    pub consumer: ConsumerSide,
    /// What it was judged against.
    pub source: SourceSide,
    /// How the pin stands, or that there is none.
    pub binding: BindingState,
    /// Files whose bytes were compared, over all checks.
    pub files_compared: u64,
    /// The sizes of those files, in bytes.
    pub bytes_compared: u64,
    /// The version of drift-gate that judged.
    pub engine: String,
    /// SHA-256 of the gate's configuration, hexadecimal.
    pub config_digest: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
/// The consumer's part of a case.
pub struct ConsumerSide {
    /// For people: `owner/name`, the path of a URL, or `this repository`.
    pub repo: String,
    /// The commit judged (a pull request's head); absent for a work tree.
    pub commit: Option<Revision>,
    /// What it would be merged into.
    pub base: Option<Revision>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
/// The source's part of a case.
pub struct SourceSide {
    /// For people: `owner/name`, the path of a URL, or `this repository`.
    pub repo: String,
    /// The commit that the consumer binds; absent where it binds none.
    pub bound: Option<Revision>,
    /// The head judged against (a pull request's head on the source).
    pub head: Option<Revision>,
    /// What a pull request of the source would be merged into; absent for any other case.
    pub base: Option<Revision>,
}

/// How the consumer binds the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingState {
    /// `pin` or `follow`; `none` in a report on the file that names the gates.
    pub kind: String,
    /// `current`, `behind`, `stale`, `ahead`, `diverged`, `unreachable`, `invalid`, `follow`, or `unknown`.
    pub state: String,
    /// First-parent steps behind the source's head, where known.
    pub behind: Option<u32>,
}

impl Report {
    /// Of the file that names a consumer's gates, when that file itself is at fault: nothing was compared. `binding` says
    /// `none`.
    pub fn of_configuration(gate: &Gate, commit: Revision, base: Option<Revision>, findings: Vec<Finding>) -> Self {
        let repo = super::repo_name(&gate.consumer.place);
        Self {
            schema: 1,
            gate: gate.name.clone(),
            context: gate.context.clone(),
            verdict: Verdict::Drift,
            findings,
            undecided: Vec::new(),
            assumptions: Vec::new(),
            consumer: ConsumerSide { repo: repo.clone(), commit: Some(commit), base },
            source: SourceSide { repo, bound: None, head: None, base: None },
            binding: BindingState { kind: "none".into(), state: "none".into(), behind: None },
            files_compared: 0,
            bytes_compared: 0,
            engine: env!("CARGO_PKG_VERSION").into(),
            config_digest: gate.digest.clone(),
        }
    }
}

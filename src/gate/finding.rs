//! The words of a verdict: findings, their kinds, causes; see `docs/design.md`, "Contracts".

use serde::{Deserialize, Serialize};

use crate::tree::TreeError;

/// What kind of difference; the names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    BuildFails,
    NotBaked,
    ContentDiffers,
    WrongDestination,
    MissingInSource,
    Empty,
    Unlisted,
    ExtraAtDestination,
    VendoredCopy,
    SourceDirTracked,
    CopiesNothing,
    PinMissing,
    PinAmbiguous,
    PinInvalid,
    PinRequirement,
    PinUnreachable,
    PinUnmerged,
    PinBackwards,
    Stale,
    CheckoutDiffers,
    CopyDiffers,
    CopyMissing,
    CopyExtra,
    ValuesDiffer,
    ValuesTooFew,
    NotAbsent,
    ConfigInvalid,
}

/// Whether a finding fails its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Notice,
}

/// The place to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    /// From the root of the consumer (or of the source, for a finding about a source file).
    pub file: String,
    /// 1-based; `None` when the file as a whole is meant.
    pub line: Option<u32>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: Kind,
    pub severity: Severity,
    /// What differs: a path of the source, of the image (leading slash) or of the consumer.
    pub path: String,
    pub cause: Option<Cause>,
    /// One sentence for people: what is wrong.
    pub message: String,
    /// One sentence for people: what to do.
    pub fix: String,
    /// The base of a pull request has it already.
    pub inherited: bool,
    /// Where different bytes come from instead: a path of the consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baked: Option<String>,
    /// What tells two findings of one kind and path apart (object names): not for people, part of a finding's identity.
    #[serde(default, skip_serializing)]
    pub content: String,
}

/// A part that cannot be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    pub path: String,
    pub cause: Option<Cause>,
    pub reason: String,
    pub inherited: bool,
    /// The inputs that make it undecided, as object names: a pull request inherits only what did not change.
    #[serde(default, skip_serializing)]
    pub content: String,
}

/// Something taken for granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumption {
    pub file: String,
    pub line: Option<u32>,
    pub text: String,
}

impl Finding {
    /// An error that no base has yet.
    pub fn new(kind: Kind, path: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            kind,
            severity: Severity::Error,
            path: path.into(),
            cause: None,
            message: message.into(),
            fix: fix.into(),
            inherited: false,
            baked: None,
            content: String::new(),
        }
    }

    /// With the place to look at.
    pub fn at(mut self, cause: Option<Cause>) -> Self {
        self.cause = cause;
        self
    }

    /// With what tells it apart from others of its kind and path.
    pub fn of(mut self, content: impl Into<String>) -> Self {
        self.content = content.into();
        self
    }

    /// Words only.
    pub fn notice(mut self) -> Self {
        self.severity = Severity::Notice;
        self
    }
}

impl Undecided {
    /// A part that could not be read. Nothing of it is ever inherited: the words are all there is to compare.
    pub fn unreadable(error: &TreeError) -> Self {
        let path = match error {
            TreeError::Conflict { path } | TreeError::Unfit { path, .. } | TreeError::Io { path, .. } => path.clone(),
            TreeError::NotHere(need) => need.repository.to_string(),
        };
        let reason = match error {
            TreeError::Conflict { .. } => {
                "both sides of the merge changed it; merge the base into the branch".to_owned()
            }
            // The path stands in front already.
            TreeError::Unfit { what, .. } => what.clone(),
            error => error.to_string(),
        };
        Self { path, cause: None, content: reason.clone(), reason, inherited: false }
    }
}

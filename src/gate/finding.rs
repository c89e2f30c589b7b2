//! The words of a verdict: findings, their kinds, causes; see `docs/design.md`, "Contracts".

use serde::{Deserialize, Serialize};

use crate::tree::TreeError;

/// What kind of difference; the names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The Dockerfile would not build, or it or its context does not exist.
    BuildFails,
    /// An identity file is nowhere in the image.
    NotBaked,
    /// Something else is baked where an identity file should be.
    ContentDiffers,
    /// The source's bytes are in the image, at another path than the destination says.
    WrongDestination,
    /// The source lacks a name that `identity` spells out, or nothing in it matches.
    MissingInSource,
    /// An identity file without content.
    Empty,
    /// A file of the source that is in no list of the gate.
    Unlisted,
    /// The image has a file below the destination that the source does not have.
    ExtraAtDestination,
    /// The right bytes, but from the consumer's own copy or from the Dockerfile.
    VendoredCopy,
    /// The consumer tracks files where the build puts the source's tree.
    SourceDirTracked,
    /// An instruction that builds and does not do what its words say; a notice.
    CopiesNothing,
    /// The consumer names no commit of the source.
    PinMissing,
    /// The path of the pin leads to more than one value.
    PinAmbiguous,
    /// What stands at the pin's place is no full commit SHA, or its file cannot be parsed.
    PinInvalid,
    /// The entry with the pin does not say what `require` asks for.
    PinRequirement,
    /// The source does not have the pinned commit; it was asked twice.
    PinUnreachable,
    /// The pinned commit is neither the head of the source's branch nor an ancestor of it.
    PinUnmerged,
    /// A pull request moves the pin to an older commit, and files of the gate differ.
    PinBackwards,
    /// A file that is not ignored differs between the pin and the source's head.
    Stale,
    /// A file in the folder given as `--source` is not the one at the pinned commit.
    CheckoutDiffers,
    /// A mirrored file does not say what the source's file says.
    CopyDiffers,
    /// The consumer has no copy of a mirrored file.
    CopyMissing,
    /// Among the copies is a file that the source does not have.
    CopyExtra,
    /// A name whose value is not the same on both sides.
    ValuesDiffer,
    /// A side gave fewer values than `least` asks for.
    ValuesTooFew,
    /// Something that an `absent` check calls retired is there.
    NotAbsent,
    /// A pull request changes a file that decides what is built and is not evaluated.
    WatchedFileChanged,
    /// The configuration that should judge cannot be used.
    ConfigInvalid,
    /// A changed configuration asks for less than the one that judged until now.
    GateWeakened,
}

/// Whether a finding fails its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does, unless an option of the gate softens it or the base has it already.
    Error,
    /// It does not: it is only told.
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
    /// Which difference; `docs/findings.md` explains each.
    pub kind: Kind,
    /// Whether it can fail the head.
    pub severity: Severity,
    /// What differs: a path of the source, of the image (leading slash) or of the consumer.
    pub path: String,
    /// Where it comes from; `None` where no one place can be named.
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
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
}

/// Begins the content of a part that could not be read.
const UNREADABLE: &str = "unreadable: ";

/// A part that cannot be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// What it is about: a path of the source, of the image (leading slash) or of the consumer.
    pub path: String,
    /// Where it comes from; `None` where no one place can be named.
    pub cause: Option<Cause>,
    /// One sentence for people: why nobody can tell.
    pub reason: String,
    /// The base of a pull request has it already.
    pub inherited: bool,
    /// The inputs that make it undecided, as object names: a pull request inherits only what did not change.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
}

/// Something taken for granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumption {
    /// The file that it is about, mostly the Dockerfile; from the consumer's root.
    pub file: String,
    /// 1-based; `None` when the file as a whole is meant.
    pub line: Option<u32>,
    /// One sentence for people: what is believed without proof.
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
                "both sides changed it and a merge would conflict; merge the base into the branch".to_owned()
            }
            // The path stands in front already.
            TreeError::Unfit { what, .. } => what.clone(),
            error => error.to_string(),
        };
        Self { path, cause: None, content: format!("{UNREADABLE}{reason}"), reason, inherited: false }
    }

    /// Whether it could not be read: the inputs that make it undecided are not known.
    pub fn is_unreadable(&self) -> bool {
        self.content.starts_with(UNREADABLE)
    }
}

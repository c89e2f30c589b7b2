//! The file in which a consumer keeps its own gates, as something to be judged itself (pure).
//!
//! Its pull requests are judged by the old gates and by the new ones. What the file itself does wrong has no gate that could
//! say it, so it is said in the name of one that softens nothing and compares nothing. The service and `drift-gate check
//! --onto` say it in the same words.

use std::time::Duration;

use super::finding::{Cause, Finding, Kind};
use crate::config::{Binding, ConfigError, Consumer, Diagnostic, Gate, Inherited, Level, Place, Quote, Source, Stale};

/// Where the file is, from the consumer's root.
pub const FILE: &str = ".drift-gate.toml";

/// Why a file of gates cannot be used: the first fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// A sentence without the file's name.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// 1-based.
    pub line: Option<u32>,
}

impl Invalid {
    /// Of bytes that are no text.
    pub fn not_text() -> Self {
        Self { message: "not UTF-8".into(), fix: "save the file as UTF-8".into(), line: None }
    }

    /// As the finding that fails a pull request.
    pub fn finding(&self) -> Finding {
        let cause = Cause { file: FILE.to_owned(), line: self.line };
        Finding::new(Kind::ConfigInvalid, FILE, self.to_string(), self.fix.clone()).at(Some(cause))
    }
}

impl From<&ConfigError> for Invalid {
    fn from(error: &ConfigError) -> Self {
        let first = match error {
            ConfigError::Invalid(faults) => faults.first(),
            ConfigError::Unreadable { .. } => None,
        };
        match first {
            Some(Diagnostic { message, help, line, .. }) => {
                Self { message: message.clone(), fix: help.clone(), line: u32::try_from(*line).ok() }
            }
            None => Self { message: error.to_string(), fix: "mend the file".into(), line: None },
        }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{FILE} line {line}: {}", self.message),
            None => write!(f, "{FILE}: {}", self.message),
        }
    }
}

/// The gate in whose name the file itself is spoken of. It softens nothing and compares nothing. `place` is the consumer,
/// `branch` the branch of it whose file counts.
pub fn file_gate(place: Place, context: &str, branch: &str) -> Gate {
    Gate {
        name: "configuration".to_owned(),
        context: context.to_owned(),
        source: Source { place: place.clone(), branch: branch.to_owned() },
        consumer: Consumer { place, branches: Vec::new(), queue_branches: Vec::new() },
        binding: Binding::Follow,
        identity: Vec::new(),
        ignore: Vec::new(),
        optional: Vec::new(),
        unlisted: Level::Drift,
        inherited: Inherited::Fail,
        stale: Stale::Fail,
        grace: Duration::ZERO,
        unreadable_after: Duration::from_secs(60 * 60),
        advisory: false,
        strict_assumptions: false,
        enforce_after: None,
        watch: Vec::new(),
        retired: None,
        quote: Quote::Readers,
        commands: crate::config::Commands::default(),
        issues: Vec::new(),
        checks: Vec::new(),
        repairs: Vec::new(),
        digest: String::new(),
    }
}

//! The linter, as far as it decides a build: `# check=error=true` turns its warnings into a failed build.
//!
//! Without that directive nothing here matters. A rule that is not known here is not guessed: it is left out, and
//! `check=error=true` with a warning of such a rule is a build that this evaluator takes to succeed.

use std::collections::BTreeSet;

use super::BuildError;
use super::instructions::Program;
use super::lexer::Script;
use super::stage::Globals;

/// What the linter found.
#[derive(Debug, Default)]
pub(super) struct Lint {
    error: bool,
    skip_all: bool,
    skip: BTreeSet<String>,
    first: Option<(u32, String)>,
    declared: BTreeSet<String>,
    workdir_set: bool,
}

impl Lint {
    /// Reads `# check=`.
    pub fn new(check: Option<&str>) -> Self {
        let mut lint = Self::default();
        for part in check.unwrap_or_default().split(';') {
            match part.trim().split_once('=') {
                Some(("error", value)) => lint.error = value.trim() == "true",
                Some(("skip", "all")) => lint.skip_all = true,
                Some(("skip", rules)) => lint.skip.extend(rules.split(',').map(|rule| rule.trim().to_owned())),
                _ => {}
            }
        }
        lint
    }

    fn warn(&mut self, line: u32, rule: &str, what: String) {
        if self.error && !self.skip_all && !self.skip.contains(rule) && self.first.is_none() {
            self.first = Some((line, format!("lint violation found for {rule}: {what}")));
        }
    }

    /// Judges what can be seen without running anything.
    pub fn script(&mut self, script: &Script, program: &Program, globals: &Globals) {
        let _ = (script, program, globals);
    }

    pub fn begin_stage(&mut self) {
        self.workdir_set = false;
    }

    /// An argument is declared, so that not setting it is no mistake.
    pub fn declared(&mut self, name: &str) {
        self.declared.insert(name.to_owned());
    }

    /// A variable is used that is not set.
    pub fn unset(&mut self, line: u32, name: &str) {
        if !self.declared.contains(name) {
            self.warn(line, "UndefinedVar", format!("usage of undefined variable '${name}'"));
        }
    }

    pub fn workdir(&mut self, line: u32, path: &str) {
        if !self.workdir_set && !path.starts_with('/') {
            self.warn(line, "WorkdirRelativePath", format!("relative workdir {path:?}"));
        }
        self.workdir_set = true;
    }

    /// Fails the build when it must.
    pub fn verdict(&self) -> Result<(), BuildError> {
        match &self.first {
            Some((line, message)) => Err(BuildError::Fails { line: *line, message: message.clone() }),
            None => Ok(()),
        }
    }
}

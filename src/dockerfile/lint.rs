//! BuildKit's linter, as far as it decides a build: `# check=error=true` turns a warning into a failed build.
//!
//! Without that directive nothing here matters, and nothing is looked at.
//!
//! Trap handled here: some rules judge what is written, in every stage; others judge what runs, so only in the stages
//! that the target needs.

use std::collections::{BTreeMap, BTreeSet};

use super::BuildError;
use super::expansion::Environment;
use super::expansion::Lexer;
use super::instructions::Program;
use super::lexer::{Script, Statement, is_separator, json_strings};
use super::stages::is_image_name;

/// What the linter found.
#[derive(Debug, Default)]
pub(super) struct Lint {
    error: bool,
    skip_all: bool,
    skip: BTreeSet<String>,
    first: Option<(u32, String)>,
    /// The statements by line, where the linter is on.
    statements: BTreeMap<u32, Statement>,
    /// Of the stage that runs: the instructions of which there should be one.
    once: BTreeSet<String>,
    workdir_set: bool,
}

impl Lint {
    /// Reads `# check=`, which the build argument `BUILDKIT_DOCKERFILE_CHECK` replaces.
    pub fn new(directive: Option<&str>, argument: Option<&str>) -> Result<Self, BuildError> {
        let mut lint = Self::default();
        let text = argument.or(directive).unwrap_or_default().trim();
        let wrong = |what: &str| BuildError::Fails { line: 1, message: format!("invalid check option {what:?}") };
        for part in text.splitn(3, ';').filter(|_| !text.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| wrong(part))?;
            match (key.trim(), value.trim()) {
                ("skip", "all") => lint.skip_all = true,
                ("skip", rules) => lint.skip.extend(rules.split(',').map(|rule| rule.trim().to_owned())),
                ("experimental", _) => {}
                ("error", "1" | "t" | "T" | "true" | "TRUE" | "True") => lint.error = true,
                ("error", "0" | "f" | "F" | "false" | "FALSE" | "False") => lint.error = false,
                _ => return Err(wrong(part)),
            }
        }
        Ok(lint)
    }

    /// Whether warnings decide anything.
    pub fn is_on(&self) -> bool {
        self.error && !self.skip_all
    }

    fn warn(&mut self, line: u32, rule: &str, what: &str) {
        if self.is_on() && !self.skip.contains(rule) && self.first.is_none() {
            self.first = Some((line, format!("lint violation found for rules: {rule}: {what}")));
        }
    }

    /// Judges what is written.
    pub fn script(
        &mut self,
        script: &Script,
        program: &Program,
        lexer: &Lexer<'_>,
        arguments: &Environment,
        defaults: &Environment,
    ) {
        if !self.is_on() {
            return;
        }
        for line in &script.blank_continuations {
            self.warn(*line, "NoEmptyContinuation", "a continued instruction has an empty line");
        }
        self.casing(script);
        let mut names = BTreeSet::new();
        let declared: BTreeSet<&str> =
            program.global.iter().flat_map(|(_, pairs)| pairs.iter().map(|(name, _)| name.as_str())).collect();
        for stage in &program.stages {
            if let Some(name) = &stage.name {
                if matches!(name.as_str(), "scratch" | "context") {
                    self.warn(stage.line, "ReservedStageName", name);
                }
                if !names.insert(name.clone()) {
                    self.warn(stage.line, "DuplicateStageName", name);
                }
            }
            let unset = lexer.word(&stage.base, arguments).map(|word| word.unset).unwrap_or_default();
            if let Some(name) = unset.iter().find(|name| !declared.contains(name.as_str())) {
                self.warn(stage.line, "UndefinedArgInFrom", name);
            }
            let base = lexer.word(&stage.base, defaults).map(|word| word.text).unwrap_or_default();
            if !is_image_name(&base) {
                self.warn(stage.line, "InvalidDefaultArgInFrom", &stage.base);
            }
            match stage.platform.as_deref() {
                Some("$TARGETPLATFORM" | "${TARGETPLATFORM}") => {
                    self.warn(stage.line, "RedundantTargetPlatform", "--platform=$TARGETPLATFORM is the default");
                }
                Some(platform) if !platform.contains('$') => {
                    let name = stage.name.as_deref().unwrap_or_default();
                    if !platform.split('/').any(|part| name.contains(part)) {
                        self.warn(stage.line, "FromPlatformFlagConstDisallowed", platform);
                    }
                }
                _ => {}
            }
        }
        self.statements = script.statements.iter().map(|statement| (statement.line, statement.clone())).collect();
    }

    fn casing(&mut self, script: &Script) {
        let is_lower = |word: &str| word == word.to_lowercase();
        let is_upper = |word: &str| word == word.to_uppercase();
        let first = script.statements.iter().position(|statement| statement.name() == "FROM").unwrap_or(0);
        let (mut lower, mut upper) = (0, 0);
        for statement in &script.statements[first..] {
            lower += u32::from(is_lower(&statement.keyword));
            upper += u32::from(is_upper(&statement.keyword));
        }
        for statement in &script.statements[first..] {
            let keyword = &statement.keyword;
            if !if lower > upper { is_lower(keyword) } else { is_upper(keyword) } {
                self.warn(statement.line, "ConsistentInstructionCasing", keyword);
            }
            match statement.name().as_str() {
                "MAINTAINER" => self.warn(statement.line, "MaintainerDeprecated", keyword),
                "FROM" => {
                    let words: Vec<&str> = statement.rest.split(is_separator).filter(|word| !word.is_empty()).collect();
                    let [_, as_, name] = words.as_slice() else { continue };
                    if !is_lower(name) {
                        self.warn(statement.line, "StageNameCasing", name);
                    }
                    if is_lower(keyword) && !is_lower(as_) || is_upper(keyword) && !is_upper(as_) {
                        self.warn(statement.line, "FromAsCasing", as_);
                    }
                }
                _ => {}
            }
        }
    }

    pub fn begin_stage(&mut self) {
        self.workdir_set = false;
        self.once.clear();
    }

    /// Judges an instruction that runs.
    pub fn instruction(&mut self, line: u32, has_shell: bool) {
        let Some(statement) = self.statements.get(&line).cloned() else { return };
        let name = statement.name();
        let rest = statement.rest.as_str();
        match name.as_str() {
            "CMD" | "ENTRYPOINT" | "HEALTHCHECK" => {
                if name != "HEALTHCHECK" && json_strings(rest).is_none() && !has_shell {
                    self.warn(line, "JSONArgsRecommended", &name);
                }
                if !self.once.insert(name.clone()) {
                    self.warn(line, "MultipleInstructionsDisallowed", &name);
                }
            }
            "ENV" | "LABEL" | "ARG" => {
                let first = rest.split(is_separator).next().unwrap_or_default();
                if name != "ARG" && !first.contains('=') {
                    self.warn(line, "LegacyKeyValueFormat", &name);
                }
                if name != "LABEL" {
                    let keys = rest.split(is_separator).map(|word| word.split('=').next().unwrap_or_default());
                    if let Some(key) = keys.into_iter().find(|key| is_secret(key)) {
                        self.warn(line, "SecretsUsedInArgOrEnv", key);
                    }
                }
            }
            "EXPOSE" => {
                for port in rest.split(is_separator).filter(|port| !port.is_empty()) {
                    if port.contains(':') && !port.contains('$') {
                        self.warn(line, "ExposeInvalidFormat", port);
                    }
                    if let Some((_, protocol)) = port.split_once('/')
                        && protocol != protocol.to_lowercase()
                    {
                        self.warn(line, "ExposeProtoCasing", port);
                    }
                }
            }
            _ => {}
        }
    }

    /// A variable is used that is neither set nor declared.
    pub fn unset(&mut self, line: u32, name: &str) {
        self.warn(line, "UndefinedVar", &format!("usage of undefined variable '${name}'"));
    }

    /// A working directory is set.
    pub fn workdir(&mut self, line: u32, path: &str) {
        if !self.workdir_set && !path.starts_with('/') {
            self.warn(line, "WorkdirRelativePath", path);
        }
        self.workdir_set = true;
    }

    /// A source is hidden by the ignore file.
    pub fn ignored_source(&mut self, line: u32, path: &str) {
        self.warn(line, "CopyIgnoredFile", path);
    }

    /// Fails the build when it must.
    pub fn verdict(&self) -> Result<(), BuildError> {
        match &self.first {
            Some((line, message)) => Err(BuildError::Fails { line: *line, message: message.clone() }),
            None => Ok(()),
        }
    }
}

/// Whether a name sounds like a secret: one of its words, at an underscore or an end.
fn is_secret(name: &str) -> bool {
    let name = format!("_{}_", name.to_lowercase());
    let has = |words: &[&str]| words.iter().any(|word| name.contains(&format!("_{word}_")));
    let secret =
        ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
    has(&secret) && !has(&["public", "file", "version"])
}

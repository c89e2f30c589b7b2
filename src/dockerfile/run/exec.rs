//! Follows a script command by command.
//!
//! The question behind every step is what happens when it fails. In a list that ends the script and has only `&&`, a
//! failure fails the build, and a build that fails ships nothing: there, a command may be taken to succeed. Anywhere
//! else a command whose outcome is not known makes what depends on it unknown.

use std::collections::BTreeSet;

use super::Program;
use super::shell::{self, Chain, Command, Join, RedirectKind, Script, Simple, Step};
use crate::dockerfile::BuildError;
use crate::dockerfile::budget::BYTES_PER_STEP;
use crate::dockerfile::expansion::Environment;
use crate::dockerfile::stage::Running;

/// How many commands one RUN may execute, loops included.
const MAX_COMMANDS: u32 = 10_000;
/// What a command costs, at the least.
const COMMAND_STEPS: usize = 1_000;
/// What one command may be given or may print, in bytes; a system allows less.
pub(super) const MAX_TEXT: usize = 4 << 20;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    Failure,
    Unknown,
}

impl From<bool> for Status {
    fn from(success: bool) -> Self {
        if success { Self::Success } else { Self::Failure }
    }
}

/// Where a command's output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Terminal,
    File { path: String, append: bool },
}

pub(super) struct Machine<'m, 's, 'a> {
    pub stage: &'m mut Running<'s, 'a>,
    pub line: u32,
    /// The working directory, links followed.
    pub cwd: Vec<String>,
    pub(super) mounts: &'m [Vec<String>],
    variables: Environment,
    /// Variables that have a value which is not known.
    pub(super) dynamic: BTreeSet<String>,
    /// The working directories that the script was in before; `cd -` goes to the last one.
    pub(super) been: Vec<Vec<String>>,
    /// A `cd` was not followed, or may have failed: the working directory is `cwd`, one of `been`, or another.
    pub(super) lost: bool,
    errexit: bool,
    /// Conditions are being tested, where `set -e` does not count.
    testing: u32,
    exited: Option<Status>,
    commands: u32,
}

/// Whether words call a POSIX shell, and then whether they turn `set -e` on.
pub(super) fn shell_options(words: &[String]) -> Option<bool> {
    let mut words = words.iter().map(String::as_str);
    let mut program = words.next()?;
    if program.ends_with("busybox") {
        program = words.next()?;
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    if name == "env" {
        let rest: Vec<String> = words.map(str::to_owned).collect();
        return shell_options(&rest);
    }
    if !matches!(name, "sh" | "bash" | "ash" | "dash") {
        return None;
    }
    let mut errexit = false;
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            Some("o") => match words.next()? {
                "pipefail" => {}
                "errexit" => errexit = true,
                _ => return None,
            },
            Some(letters) if letters.chars().all(|c| "ceuxlo".contains(c)) => {
                errexit |= letters.contains('e');
                if letters.contains('o') && words.next()? != "pipefail" {
                    return None;
                }
            }
            _ => return None,
        }
    }
    Some(errexit)
}

/// Whether the shell's words end in the option that takes a script.
pub(super) fn takes_script(shell: &[String]) -> bool {
    shell.iter().any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('c'))
}

impl<'m, 's, 'a> Machine<'m, 's, 'a> {
    pub fn new(stage: &'m mut Running<'s, 'a>, line: u32, mounts: &'m [Vec<String>]) -> Self {
        let cwd = stage.state.files.resolve(&stage.state.workdir, true).map(|at| at.names).unwrap_or_default();
        let variables = stage.state.variables.clone();
        stage.shared.budget.take_steps(variables.weight().1 / BYTES_PER_STEP);
        Self {
            stage,
            line,
            cwd,
            mounts,
            variables,
            dynamic: BTreeSet::new(),
            been: Vec::new(),
            lost: false,
            errexit: false,
            testing: 0,
            exited: None,
            commands: 0,
        }
    }

    /// Runs a program; a failure that is certain fails the build.
    pub fn run(&mut self, program: Program) -> Result<(), BuildError> {
        let status = match program {
            Program::Exec(words) => self.exec(words)?,
            Program::Script { text, errexit } => {
                self.errexit = errexit;
                self.text(&text)?
            }
        };
        if self.exited.unwrap_or(status) == Status::Failure {
            return Err(BuildError::Fails { line: self.line, message: "the command of this RUN fails".to_owned() });
        }
        Ok(())
    }

    fn exec(&mut self, words: Vec<String>) -> Result<Status, BuildError> {
        if let [shell @ .., script] = words.as_slice()
            && let Some(errexit) = shell_options(shell)
            && takes_script(shell)
        {
            self.errexit = errexit;
            return self.text(&script.clone());
        }
        let text = words.join(" ");
        self.argv(&words, &Output::Terminal, &text, true)
    }

    /// Follows a script, or looks through it.
    fn text(&mut self, text: &str) -> Result<Status, BuildError> {
        match shell::parse(text) {
            Some(script) if !script.changes_the_shell() => self.script(&script, true),
            _ => {
                self.scan(text)?;
                Ok(Status::Unknown)
            }
        }
    }

    /// `fatal`: when the script fails, so does the build.
    fn script(&mut self, script: &Script, fatal: bool) -> Result<Status, BuildError> {
        let mut status = Status::Success;
        for (index, chain) in script.0.iter().enumerate() {
            let last = index + 1 == script.0.len();
            let (ended, at_end) = self.chain(chain, fatal && last)?;
            status = ended;
            if self.exited.is_some() {
                break;
            }
            if self.errexit && self.testing == 0 && at_end && status == Status::Failure {
                self.exited = Some(Status::Failure);
                break;
            }
        }
        Ok(status)
    }

    /// How the chain ended, and whether its last command ran.
    fn chain(&mut self, chain: &Chain, fatal: bool) -> Result<(Status, bool), BuildError> {
        let only_and = chain.rest.iter().all(|(join, _)| *join == Join::And);
        let strict = self.errexit && self.testing == 0 && only_and;
        let count = chain.rest.len();
        let fatal_at = |index: usize| (fatal && only_and) || (strict && index == count);
        let mut status = self.step(&chain.first, fatal_at(0))?;
        let mut ran_last = count == 0;
        for (index, (join, step)) in chain.rest.iter().enumerate() {
            if self.exited.is_some() {
                break;
            }
            ran_last = index + 1 == count;
            status = match (join, status) {
                (Join::And, Status::Success) | (Join::Or, Status::Failure) => self.step(step, fatal_at(index + 1))?,
                (_, Status::Unknown) => {
                    self.scan(&step.text)?;
                    Status::Unknown
                }
                _ => {
                    ran_last = false;
                    status
                }
            };
        }
        Ok((status, ran_last))
    }

    fn step(&mut self, step: &Step, fatal: bool) -> Result<Status, BuildError> {
        self.commands += 1;
        if self.commands > MAX_COMMANDS {
            let message = format!("this RUN runs more than {MAX_COMMANDS} commands");
            return Err(BuildError::Undecided { line: self.line, message });
        }
        self.stage.shared.budget.take_steps(COMMAND_STEPS);
        self.stage.shared.budget.check(self.line)?;
        let fatal = fatal && !step.negated;
        self.testing += u32::from(step.negated);
        let status = self.command(step, fatal);
        self.testing -= u32::from(step.negated);
        Ok(match status? {
            // Where a failure would fail the build, what goes on has succeeded.
            Status::Unknown if fatal => Status::Success,
            Status::Success if step.negated => Status::Failure,
            Status::Failure if step.negated => Status::Success,
            status => status,
        })
    }

    fn command(&mut self, step: &Step, fatal: bool) -> Result<Status, BuildError> {
        match &step.what {
            Command::Simple(simple) => self.simple(simple, &step.text, fatal),
            Command::Group { script, subshell } => {
                let before = subshell.then(|| (self.cwd.clone(), self.lost, self.variables.clone(), self.errexit));
                let status = self.script(script, fatal)?;
                if let Some((cwd, lost, variables, errexit)) = before {
                    (self.cwd, self.lost, self.variables, self.errexit) = (cwd, lost, variables, errexit);
                    return Ok(self.exited.take().unwrap_or(status));
                }
                Ok(status)
            }
            Command::If { arms, otherwise } => {
                for (condition, body) in arms {
                    self.testing += 1;
                    let status = self.script(condition, false);
                    self.testing -= 1;
                    match status? {
                        Status::Success => return self.script(body, fatal),
                        Status::Failure => {}
                        Status::Unknown => {
                            self.scan(&step.text)?;
                            return Ok(Status::Unknown);
                        }
                    }
                }
                otherwise.as_ref().map_or(Ok(Status::Success), |body| self.script(body, fatal))
            }
            Command::For { name, words, body } => {
                let Some(values) = self.expand_all(words)? else {
                    self.scan(&step.text)?;
                    return Ok(Status::Unknown);
                };
                let mut status = Status::Success;
                for (index, value) in values.iter().enumerate() {
                    self.set(name, value);
                    status = self.script(body, fatal && index + 1 == values.len())?;
                    if self.exited.is_some() {
                        break;
                    }
                }
                Ok(status)
            }
            Command::Opaque => {
                self.scan(&step.text)?;
                Ok(Status::Unknown)
            }
        }
    }

    fn simple(&mut self, simple: &Simple, text: &str, fatal: bool) -> Result<Status, BuildError> {
        let mut values = Vec::new();
        for (name, word) in &simple.assignments {
            values.push((name, self.expand(word)?.map(|words| words.join(" "))));
        }
        if simple.words.is_empty() {
            for (name, value) in values {
                match value {
                    Some(value) => self.set(name, &value),
                    None => {
                        self.dynamic.insert(name.clone());
                    }
                }
            }
        }
        let (words, output) = (self.expand_all(&simple.words)?, self.output(simple)?);
        match (words, output) {
            (Some(words), Some(output)) => self.argv(&words, &output, text, fatal),
            _ => {
                self.scan(text)?;
                Ok(Status::Unknown)
            }
        }
    }

    /// Where standard output goes; `None` when that or another redirection is not followed.
    fn output(&mut self, simple: &Simple) -> Result<Option<Output>, BuildError> {
        let mut output = Output::Terminal;
        for redirect in &simple.redirects {
            let Some(target) = self.expand(&redirect.target)?.and_then(|mut words| words.pop()) else {
                return Ok(None);
            };
            let nowhere = matches!(target.as_str(), "/dev/null" | "/dev/stdout" | "/dev/stderr");
            match (redirect.descriptor, redirect.kind) {
                (1 | 2, RedirectKind::Duplicate) if matches!(target.as_str(), "1" | "2") => {}
                (0, RedirectKind::Read) if target == "/dev/null" => {}
                (2, RedirectKind::Write | RedirectKind::Append) if nowhere => {}
                (1, RedirectKind::Write | RedirectKind::Append) if nowhere => output = Output::Terminal,
                (1, kind @ (RedirectKind::Write | RedirectKind::Append)) if output == Output::Terminal => {
                    output = Output::File { path: target, append: kind == RedirectKind::Append };
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(output))
    }

    fn argv(&mut self, words: &[String], output: &Output, text: &str, fatal: bool) -> Result<Status, BuildError> {
        let Some(program) = words.first() else { return self.write(output, Some(Vec::new())) };
        let program = program_name(program);
        let mut rest = &words[1..];
        let mut program = program;
        if program == "busybox" && !rest.is_empty() {
            program = rest[0].clone();
            rest = &rest[1..];
        }
        let followed = match program.as_str() {
            "cd" => self.change_dir(rest, fatal),
            "set" => self.set_options(rest),
            "exit" if rest.len() <= 1 => self.exit(rest),
            "export" => self.export(rest),
            _ if !fatal && !self.is_root() => None,
            // Where they would be is not known.
            _ if self.lost && !is_absolute(&program, rest, output) => None,
            _ => self.builtin(&program, rest, output)?,
        };
        if let Some(status) = followed {
            return Ok(status);
        }
        self.scan(text)?;
        Ok(Status::Unknown)
    }

    /// `cd`. Where it would fail the build by failing it has not failed; anywhere else the script may still be where it was.
    fn change_dir(&mut self, words: &[String], fatal: bool) -> Option<Status> {
        let path = match words {
            [path] if path == "-" && !self.lost => format!("/{}", self.been.last()?.join("/")),
            [path] if path.starts_with('/') => path.clone(),
            [path] if !self.lost && self.searches_here(path) => format!("{}/{path}", self.cwd.join("/")),
            // Looking through it sees that.
            _ => return None,
        };
        let Ok(resolved) = self.stage.state.files.resolve(&path, true) else { return Some(self.failure()) };
        let known = self.stage.state.files.dir(&resolved.names).is_some();
        if !known && !self.is_foreign() && resolved.mystery.is_none() && resolved.unlisted.is_none() {
            return Some(Status::Failure);
        }
        self.been.push(std::mem::replace(&mut self.cwd, resolved.names));
        self.lost = !known && !fatal;
        Some(if known { Status::Success } else { Status::Unknown })
    }

    /// Whether `cd` looks for a relative path in the working directory and nowhere else.
    fn searches_here(&self, path: &str) -> bool {
        !path.is_empty() && path != "-" && (path.starts_with('.') || self.variable("CDPATH").is_none_or(str::is_empty))
    }

    fn set_options(&mut self, words: &[String]) -> Option<Status> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let on = match word.as_bytes().first()? {
                b'-' => true,
                b'+' => false,
                _ => return None,
            };
            for letter in word[1..].chars() {
                match letter {
                    'e' => self.errexit = on,
                    // With -u, an unset variable ends the script; without, it is empty. Unset ones are not followed.
                    'x' | 'v' | 'u' => {}
                    'o' => match words.next()?.as_str() {
                        "errexit" => self.errexit = on,
                        "pipefail" | "nounset" | "xtrace" => {}
                        _ => return None,
                    },
                    _ => return None,
                }
            }
        }
        Some(Status::Success)
    }

    fn exit(&mut self, words: &[String]) -> Option<Status> {
        let status = match words.first() {
            None => Status::Unknown,
            Some(code) => Status::from(code.parse::<u8>().ok()? == 0),
        };
        self.exited = Some(status);
        Some(status)
    }

    fn export(&mut self, words: &[String]) -> Option<Status> {
        for word in words {
            if word.starts_with('-') {
                return None;
            }
            if let Some((name, value)) = word.split_once('=') {
                self.set(name, value);
            }
        }
        Some(Status::Success)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.dynamic.remove(name);
        self.variables.set(name, value);
    }

    /// The value of a variable, where it is known.
    pub fn variable(&self, name: &str) -> Option<&str> {
        if self.dynamic.contains(name) { None } else { self.variables.get(name) }
    }

    /// Whether nothing is refused for want of rights.
    pub fn is_root(&self) -> bool {
        matches!(self.stage.state.user.as_str(), "" | "0" | "root" | "0:0" | "root:root")
    }

    pub fn is_foreign(&self) -> bool {
        self.stage.state.foreign.is_some()
    }

    /// A failure, unless an image that nobody has looked into may know better.
    pub fn failure(&self) -> Status {
        if self.is_foreign() { Status::Unknown } else { Status::Failure }
    }

    /// Whether a path is inside a mount.
    pub fn in_mount(&self, names: &[String]) -> bool {
        self.mounts.iter().any(|mount| names.starts_with(mount))
    }

    /// Whether a path is inside a mount or has one inside.
    pub fn touches_mount(&self, names: &[String]) -> bool {
        self.mounts.iter().any(|mount| names.starts_with(mount) || mount.starts_with(names))
    }
}

/// Whether a command does the same in every working directory.
fn is_absolute(program: &str, words: &[String], output: &Output) -> bool {
    let writes_here = matches!(output, Output::File { path, .. } if !path.starts_with('/'));
    match program {
        "echo" | "printf" | "true" | ":" => !writes_here,
        "rm" | "cp" | "mv" | "mkdir" | "touch" => words.iter().all(|word| word.starts_with(['/', '-'])) && !writes_here,
        _ => false,
    }
}

/// The name of a program that is called by its usual path.
fn program_name(word: &str) -> String {
    let usual = ["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", "/usr/local/bin/"];
    let name = usual.iter().find_map(|dir| word.strip_prefix(dir)).filter(|name| !name.contains('/'));
    name.unwrap_or(word).to_owned()
}

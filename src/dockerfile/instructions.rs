//! What a statement means: typed instructions and stages, as BuildKit's `instructions` package reads them.
//!
//! Everything that BuildKit refuses while reading is refused here, in every stage, used or not: an unknown instruction,
//! an unknown or doubled flag, a missing argument. Nothing is substituted yet.

use super::BuildError;
use super::lexer::{Heredoc, Script, Statement, heredoc_word, is_separator, json_strings};

/// What an `ARG` declares: a name, and its default where it has one.
pub(super) type Argument = (String, Option<String>);

/// A Dockerfile as typed instructions.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// The `ARG`s before the first `FROM`.
    pub global: Vec<(u32, Vec<Argument>)>,
    pub stages: Vec<Stage>,
}

#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub line: u32,
    /// What follows `FROM`, not yet substituted.
    pub base: String,
    /// In lower case.
    pub name: Option<String>,
    pub platform: Option<String>,
    pub instructions: Vec<Instruction>,
}

#[derive(Clone, Debug)]
pub(super) struct Instruction {
    pub line: u32,
    pub what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Arg(Vec<Argument>),
    Env(Vec<(String, String)>),
    Copy(Box<Copy>),
    Run(Box<Run>),
    Workdir(String),
    User(String),
    Shell(Vec<String>),
    Onbuild(String),
    /// Changes no file; its words are still substituted, which may fail.
    Metadata(Vec<String>),
}

/// `COPY` and `ADD`.
#[derive(Clone, Debug, Default)]
pub(super) struct Copy {
    pub add: bool,
    pub from: Option<String>,
    pub chown: String,
    pub chmod: String,
    pub link: bool,
    pub parents: bool,
    pub exclude: Vec<String>,
    pub checksum: String,
    /// `--unpack`, where it is written.
    pub unpack: Option<bool>,
    pub sources: Vec<String>,
    pub heredocs: Vec<Heredoc>,
    pub destination: String,
    /// The arguments begin like a JSON array but are none.
    pub broken_json: bool,
}

/// `RUN`.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub mounts: Vec<String>,
    pub network: Option<String>,
    pub security: Option<String>,
    pub command: Command,
    pub heredocs: Vec<Heredoc>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Given to the stage's shell.
    Shell(String),
    /// Run as it is.
    Exec(Vec<String>),
}

impl Default for Command {
    fn default() -> Self {
        Self::Exec(Vec::new())
    }
}

impl Program {
    /// Types every statement of a script.
    pub fn read(script: &Script) -> Result<Self, BuildError> {
        let mut program = Self::default();
        for statement in &script.statements {
            let at = |message: String| BuildError::Fails { line: statement.line, message };
            if statement.name() == "FROM" {
                program.stages.push(from(statement).map_err(at)?);
                continue;
            }
            let what = instruction(statement, script.escape).map_err(at)?;
            match (program.stages.last_mut(), what) {
                (Some(stage), what) => stage.instructions.push(Instruction { line: statement.line, what }),
                (None, What::Arg(pairs)) => program.global.push((statement.line, pairs)),
                (None, _) => {
                    return Err(at("no build stage in current context: this stands before the first FROM".into()));
                }
            }
        }
        if program.stages.is_empty() {
            return Err(BuildError::Fails { line: 1, message: "dockerfile contains no stages to build".into() });
        }
        Ok(program)
    }
}

/// Types one statement other than `FROM`.
pub(super) fn instruction(statement: &Statement, escape: char) -> Result<What, String> {
    let name = statement.name();
    let flags = Flags(&statement.flags);
    let rest = statement.rest.as_str();
    match name.as_str() {
        "ARG" => arg(rest, escape),
        "ENV" => flags.none().and_then(|()| Ok(What::Env(pairs(rest, "ENV", escape)?))),
        "LABEL" => {
            flags.none()?;
            Ok(What::Metadata(pairs(rest, "LABEL", escape)?.into_iter().flat_map(|(k, v)| [k, v]).collect()))
        }
        "COPY" | "ADD" => copy(statement, name == "ADD").map(|copy| What::Copy(Box::new(copy))),
        "RUN" => run(statement).map(|run| What::Run(Box::new(run))),
        "WORKDIR" => one(&name, rest, &flags).map(What::Workdir),
        "USER" => one(&name, rest, &flags).map(What::User),
        "STOPSIGNAL" => one(&name, rest, &Flags(&[])).map(|word| What::Metadata(vec![word])),
        "MAINTAINER" => one(&name, rest, &flags).map(|_| What::Metadata(Vec::new())),
        "EXPOSE" => {
            if rest.is_empty() {
                return Err("EXPOSE requires at least one argument".to_owned());
            }
            flags.none()?;
            Ok(What::Metadata(rest.split(is_separator).filter(|word| !word.is_empty()).map(str::to_owned).collect()))
        }
        "VOLUME" => volume(rest, &flags),
        "CMD" | "ENTRYPOINT" => {
            flags.none()?;
            json_strings(rest).transpose()?;
            Ok(What::Metadata(Vec::new()))
        }
        "HEALTHCHECK" => healthcheck(rest, &flags),
        "SHELL" => shell(rest, &flags),
        "ONBUILD" => onbuild(statement, escape),
        _ => Err(format!("unknown instruction: {}", statement.keyword)),
    }
}

fn from(statement: &Statement) -> Result<Stage, String> {
    let words: Vec<&str> = statement.rest.split(is_separator).filter(|word| !word.is_empty()).collect();
    let (base, name) = match words.as_slice() {
        [base] => (*base, None),
        [base, as_, name] if as_.eq_ignore_ascii_case("as") => (*base, Some(stage_name(name)?)),
        _ => return Err("FROM requires either one or three arguments".to_owned()),
    };
    let mut platform = None;
    Flags(&statement.flags).read(&[], &["platform"], |_, value| platform = Some(value.to_owned()))?;
    Ok(Stage { line: statement.line, base: base.to_owned(), name, platform, instructions: Vec::new() })
}

fn stage_name(name: &str) -> Result<String, String> {
    let lower = name.to_lowercase();
    let rest_fits =
        lower.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
    if lower.starts_with(|c: char| c.is_ascii_lowercase()) && rest_fits {
        return Ok(lower);
    }
    Err(format!("invalid name for build stage: {name:?}, name can't start with a number or contain symbols"))
}

fn arg(rest: &str, escape: char) -> Result<What, String> {
    let words = quoted_words(rest, escape);
    if words.is_empty() {
        return Err("ARG requires at least one argument".to_owned());
    }
    let mut pairs = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some(("", _)) => return Err("ARG names can not be blank".to_owned()),
            Some((name, value)) => pairs.push((name.to_owned(), Some(value.to_owned()))),
            None => pairs.push((word, None)),
        }
    }
    Ok(What::Arg(pairs))
}

/// `name=value ...`, or the old form `name value with spaces`.
fn pairs(rest: &str, instruction: &str, escape: char) -> Result<Vec<(String, String)>, String> {
    let words = quoted_words(rest, escape);
    let Some(first) = words.first() else { return Err(format!("{instruction} requires at least one argument")) };
    let mut pairs = Vec::new();
    if first.contains('=') {
        for word in &words {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value"))?;
            pairs.push((name.to_owned(), value.to_owned()));
        }
    } else {
        let (name, value) =
            rest.split_once(is_separator).ok_or_else(|| format!("{instruction} must have two arguments"))?;
        pairs.push((name.to_owned(), value.trim_start_matches(is_separator).to_owned()));
    }
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return Err(format!("{instruction} names can not be blank"));
    }
    Ok(pairs)
}

/// Splits at spaces outside of quotes; quotes and escapes stay.
fn quoted_words(rest: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut blank = false;
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if blank || !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            blank = false;
            continue;
        }
        if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '\'' | '"') {
            quote = Some(c);
            blank = true;
        } else if c == escape && quote != Some('\'') {
            // An escape at the very end is dropped.
            if let Some(next) = chars.next() {
                word.extend([c, next]);
            }
            continue;
        }
        word.push(c);
    }
    if blank || !word.is_empty() {
        words.push(word);
    }
    words
}

fn copy(statement: &Statement, add: bool) -> Result<Copy, String> {
    let name = if add { "ADD" } else { "COPY" };
    let json = json_strings(&statement.rest).transpose()?;
    let mut copy = Copy { add, broken_json: json.is_none() && statement.rest.starts_with('['), ..Copy::default() };
    let mut words = json.unwrap_or_else(|| whitespace_words(&statement.rest));
    if words.len() < 2 {
        return Err(format!(
            "{name} requires at least two arguments, but only one was provided. Destination could not be determined"
        ));
    }
    let (switches, values): (&[&str], &[&str]) = if add {
        (&["link", "keep-git-dir", "unpack"], &["chown", "chmod", "checksum", "exclude"])
    } else {
        (&["link", "parents"], &["chown", "from", "chmod", "exclude"])
    };
    Flags(&statement.flags).read(switches, values, |flag, value| match flag {
        "link" => copy.link = value == "true",
        "parents" => copy.parents = value == "true",
        "unpack" => copy.unpack = Some(value == "true"),
        "chown" => copy.chown = value.to_owned(),
        "chmod" => copy.chmod = value.to_owned(),
        "checksum" => copy.checksum = value.to_owned(),
        "exclude" => copy.exclude.push(value.to_owned()),
        "from" => copy.from = Some(value.to_owned()).filter(|from| !from.is_empty()),
        _ => {}
    })?;
    copy.destination = words.pop().unwrap_or_default();
    if heredoc_word(&copy.destination).ok().flatten().is_some() {
        return Err(format!("{name} cannot accept a heredoc as a destination"));
    }
    for word in words {
        match heredoc_word(&word).ok().flatten() {
            None => copy.sources.push(word),
            Some(mut heredoc) => {
                // Two heredocs of one name: the last body stands for both. In JSON form there is no body at all.
                if let Some(body) = statement.heredocs.iter().rfind(|body| body.name == heredoc.name) {
                    heredoc.body.clone_from(&body.body);
                }
                copy.heredocs.push(heredoc);
            }
        }
    }
    Ok(copy)
}

pub(super) fn whitespace_words(rest: &str) -> Vec<String> {
    if rest.is_empty() {
        return Vec::new();
    }
    rest.split(is_separator).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn run(statement: &Statement) -> Result<Run, String> {
    let mut run = Run { heredocs: statement.heredocs.clone(), ..Run::default() };
    Flags(&statement.flags).read(&[], &["mount", "network", "security", "device"], |flag, value| match flag {
        "mount" => run.mounts.push(value.to_owned()),
        "network" => run.network = Some(value.to_owned()),
        "security" => run.security = Some(value.to_owned()),
        _ => {}
    })?;
    if let Some(network) = &run.network
        && !matches!(network.as_str(), "default" | "none" | "host")
        && !network.contains('$')
    {
        return Err(format!("network {network:?} is not valid"));
    }
    run.command = match json_strings(&statement.rest).transpose()? {
        Some(words) => Command::Exec(words),
        None if statement.rest.is_empty() => Command::Exec(Vec::new()),
        None => Command::Shell(statement.rest.clone()),
    };
    Ok(run)
}

fn one(name: &str, rest: &str, flags: &Flags<'_>) -> Result<String, String> {
    if rest.is_empty() {
        return Err(format!("{name} requires exactly one argument"));
    }
    flags.none()?;
    Ok(rest.to_owned())
}

fn volume(rest: &str, flags: &Flags<'_>) -> Result<What, String> {
    let words = json_strings(rest).transpose()?.unwrap_or_else(|| whitespace_words(rest));
    if words.is_empty() {
        return Err("VOLUME requires at least one argument".to_owned());
    }
    flags.none()?;
    if words.iter().any(|word| word.trim().is_empty()) {
        return Err("VOLUME specified can not be an empty string".to_owned());
    }
    Ok(What::Metadata(words))
}

fn healthcheck(rest: &str, flags: &Flags<'_>) -> Result<What, String> {
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match kind.to_ascii_uppercase().as_str() {
        "" => Err("HEALTHCHECK requires at least one argument".to_owned()),
        "NONE" if command.trim().is_empty() => Ok(What::Metadata(Vec::new())),
        "NONE" => Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        "CMD" => {
            let known = ["interval", "timeout", "start-period", "start-interval", "retries"];
            let mut wrong = None;
            flags.read(&[], &known, |flag, value| {
                if let Some(why) = bad_health_flag(flag, value) {
                    wrong.get_or_insert(why);
                }
            })?;
            let command = command.trim();
            let empty = json_strings(command).transpose()?.map_or(command.is_empty(), |words| words.is_empty());
            if empty {
                return Err("Missing command after HEALTHCHECK CMD".to_owned());
            }
            wrong.map_or(Ok(What::Metadata(Vec::new())), Err)
        }
        other => {
            flags.read(&[], &["interval", "timeout", "start-period", "start-interval", "retries"], |_, _| {})?;
            Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)"))
        }
    }
}

fn bad_health_flag(flag: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    if flag == "retries" {
        let fits = value.parse::<i32>().is_ok_and(|retries| retries >= 0);
        return (!fits).then(|| format!("--retries must be a number from 0: {value}"));
    }
    match go_duration(value) {
        None => Some(format!("time: invalid duration {value:?}")),
        Some(seconds) if seconds != 0.0 && seconds < 0.001 => {
            Some(format!("Interval {flag:?} cannot be less than 1ms"))
        }
        Some(_) => None,
    }
}

/// A duration as Go writes it (`1m30s`, `1.5h`), in seconds.
fn go_duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = next;
    }
    (!text.is_empty()).then_some(sign * total)
}

fn shell(rest: &str, flags: &Flags<'_>) -> Result<What, String> {
    flags.none()?;
    match json_strings(rest).transpose()? {
        Some(words) if !words.is_empty() => Ok(What::Shell(words)),
        None if !rest.is_empty() => Err(format!("SHELL requires the arguments to be in JSON form: {rest}")),
        _ => Err("SHELL requires at least one argument".to_owned()),
    }
}

/// Keeps the trigger as text: it is read again, with `\` as escape, in the stage that it runs in.
fn onbuild(statement: &Statement, escape: char) -> Result<What, String> {
    if statement.rest.is_empty() {
        return Err("ONBUILD requires at least one argument".to_owned());
    }
    let inner = super::lexer::split(&statement.rest, statement.line, escape);
    if !statement.flags.is_empty() {
        Flags(&statement.flags).none()?;
    }
    match inner.name().as_str() {
        "ONBUILD" => return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        name @ ("MAINTAINER" | "FROM") => return Err(format!("{name} isn't allowed as an ONBUILD trigger")),
        _ => {}
    }
    parses(&inner, escape)?;
    let mut text = statement.rest.clone();
    for heredoc in &statement.heredocs {
        text.push('\n');
        text.push_str(&heredoc.body);
        text.push_str(&heredoc.name);
    }
    Ok(What::Onbuild(text))
}

/// What BuildKit's parser refuses in a trigger that never runs; flags are only looked at when it runs.
fn parses(inner: &Statement, escape: char) -> Result<(), String> {
    match inner.name().as_str() {
        "ENV" | "LABEL" if !inner.rest.is_empty() => pairs(&inner.rest, &inner.name(), escape).map(|_| ()),
        "COPY" | "ADD" | "RUN" | "CMD" | "ENTRYPOINT" | "SHELL" | "VOLUME" => {
            json_strings(&inner.rest).transpose().map(|_| ()).map_err(str::to_owned)
        }
        _ => Ok(()),
    }
}

struct Flags<'a>(&'a [String]);

impl Flags<'_> {
    fn none(&self) -> Result<(), String> {
        self.read(&[], &[], |_, _| {})
    }

    /// Calls `take` with each flag. `exclude`, `mount` and `device` may be given more than once.
    fn read(&self, switches: &[&str], values: &[&str], mut take: impl FnMut(&str, &str)) -> Result<(), String> {
        let mut used: Vec<&str> = Vec::new();
        for flag in self.0 {
            if flag == "--" {
                return Ok(());
            }
            let (name, value) = flag.split_once('=').map_or((flag.as_str(), None), |(n, v)| (n, Some(v)));
            let bare = name.strip_prefix("--").ok_or_else(|| format!("arg should start with -- : {flag}"))?;
            let switch = switches.contains(&bare);
            if !switch && !values.contains(&bare) {
                return Err(format!("unknown flag: {name}"));
            }
            if used.contains(&bare) && !matches!(bare, "exclude" | "mount" | "device") {
                return Err(format!("duplicate flag specified: {name}"));
            }
            used.push(bare);
            match (switch, value) {
                (false, None) | (true, Some("")) => return Err(format!("missing a value on flag: {name}")),
                (false, Some(value)) => take(bare, value),
                (true, None) => take(bare, "true"),
                (true, Some(value)) => match value.to_ascii_lowercase().as_str() {
                    state @ ("true" | "false") => take(bare, state),
                    _ => return Err(format!("expecting boolean value for flag {name}, not: {value}")),
                },
            }
        }
        Ok(())
    }
}

//! What `init` must know: from its flags, or asked on a terminal.
//!
//! The trap: a token is never typed and never printed. What is asked for is where it is: a variable of the environment, or a
//! file.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::path::PathBuf;

use super::Arguments;
use crate::cli::Failure;
use crate::config::{ForgeKind, Secret, SecretValue};
use crate::forge::RepoName;

/// The variable that holds the token where nobody says another.
const USUAL_TOKEN: &str = "DRIFT_GATE_TOKEN";

/// What is known before anything is read.
pub(super) struct Answers {
    pub kind: ForgeKind,
    /// Without a slash at its end.
    pub url: String,
    pub consumer: RepoName,
    pub sources: Vec<RepoName>,
    /// Where the token is, and the token; `None` where nothing is asked of a forge.
    pub token: Option<(Secret, SecretValue)>,
    /// Where the service will be; empty where no service is configured.
    pub public_url: String,
}

/// What is missing, with its question.
struct Question {
    flag: &'static str,
    words: &'static str,
}

const KIND: Question = Question { flag: "--forge-kind", words: "The forge is gitea (Forgejo too) or github" };
const URL: Question = Question { flag: "--forge-url", words: "Its address, as https://git.example.org" };
const CONSUMER: Question = Question { flag: "--consumer", words: "The repository that bakes the other one, as owner/name" };
const SOURCE: Question = Question { flag: "--source", words: "The repository that is the truth, as owner/name" };
const PUBLIC: Question =
    Question { flag: "--public-url", words: "Where people will reach drift-gate, as https://drift-gate.example.org" };

/// Collects them; each that is missing is asked for on a terminal, or else named.
pub(super) fn gather(arguments: &Arguments) -> Result<Answers, Failure> {
    let mut asker = Asker { may_ask: stdin().is_terminal() && stderr().is_terminal(), missing: Vec::new() };
    let kind = asker.text(&KIND, arguments.forge_kind.map(|kind| kind.word().to_owned()))?;
    let url = asker.text(&URL, arguments.forge_url.clone())?;
    let consumer = asker.text(&CONSUMER, arguments.consumer.clone())?;
    let sources = match arguments.source.as_slice() {
        [] => vec![asker.text(&SOURCE, None)?],
        all => all.to_vec(),
    };
    let public_url = match arguments.pull_request {
        true => String::new(),
        false => asker.text(&PUBLIC, arguments.public_url.clone())?,
    };
    if !asker.missing.is_empty() {
        return Err(Failure::usage(format_args!(
            "there is nobody to ask: say {} as well; `drift-gate init --help` tells what they are",
            asker.missing.join(", ")
        )));
    }
    Ok(Answers {
        kind: kind_of(&kind)?,
        url: address("--forge-url", &url)?,
        consumer: repository("--consumer", &consumer)?,
        sources: sources.iter().map(|source| repository("--source", source)).collect::<Result<_, _>>()?,
        token: token(arguments, asker.may_ask)?,
        public_url: if public_url.is_empty() { public_url } else { address("--public-url", &public_url)? },
    })
}

struct Asker {
    may_ask: bool,
    missing: Vec<&'static str>,
}

impl Asker {
    fn text(&mut self, question: &Question, given: Option<String>) -> Result<String, Failure> {
        if let Some(given) = given {
            return Ok(given);
        }
        if self.may_ask {
            return ask(question.words);
        }
        self.missing.push(question.flag);
        Ok(String::new())
    }
}

/// Asks until something is answered.
fn ask(words: &str) -> Result<String, Failure> {
    let mut lines = stdin().lock().lines();
    loop {
        // What cannot be shown cannot be answered either; the end of the input ends it.
        let _ = write!(stderr(), "{words}: ").and_then(|()| stderr().flush());
        match lines.next() {
            Some(Ok(line)) if !line.trim().is_empty() => return Ok(line.trim().to_owned()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(Failure::usage("nothing was answered: say it with flags")),
        }
    }
}

fn kind_of(word: &str) -> Result<ForgeKind, Failure> {
    match word.to_lowercase().as_str() {
        "gitea" | "forgejo" => Ok(ForgeKind::Gitea),
        "github" => Ok(ForgeKind::GitHub),
        _ => Err(Failure::usage("--forge-kind is gitea (Forgejo too) or github")),
    }
}

fn address(flag: &str, text: &str) -> Result<String, Failure> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        return Err(Failure::usage(format_args!("{flag} is an address, as https://git.example.org")));
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        // It is not repeated: it may hold a secret.
        return Err(Failure::usage(format_args!("{flag} is the address alone: no login in it, and nothing behind `?` or `#`")));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn repository(flag: &str, text: &str) -> Result<RepoName, Failure> {
    RepoName::parse(text).ok_or_else(|| {
        Failure::usage(format_args!("{flag} is a repository as owner/name, and not `{}`", text.escape_debug()))
    })
}

/// Where the token is, by a flag, or the usual variable where it is set.
fn token(arguments: &Arguments, may_ask: bool) -> Result<Option<(Secret, SecretValue)>, Failure> {
    let usual = || std::env::var_os(USUAL_TOKEN).is_some_and(|token| !token.is_empty());
    let secret = match (&arguments.token_env, &arguments.token_file) {
        (Some(variable), _) => Secret::Env(variable.clone()),
        (None, Some(file)) => Secret::File(file.clone()),
        (None, None) if usual() => Secret::Env(USUAL_TOKEN.to_owned()),
        // Both sides are folders: no forge is asked.
        (None, None) if !arguments.asks_forge() => return Ok(None),
        (None, None) if may_ask => place(&ask("Where the forge's token is: the name of an environment variable, or a file's path")?),
        (None, None) => {
            return Err(Failure::usage(format_args!(
                "where is the forge's token? set {USUAL_TOKEN}, or say --token-env VARIABLE or --token-file FILE; it is never \
                 given on the command line"
            )));
        }
    };
    let value = secret.read().map_err(|error| Failure::usage(format_args!("the token: {error}")))?;
    Ok(Some((secret, value)))
}

/// A name in capitals is a variable, anything else a file.
fn place(text: &str) -> Secret {
    let is_variable = text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if is_variable { Secret::Env(text.to_owned()) } else { Secret::File(PathBuf::from(text)) }
}

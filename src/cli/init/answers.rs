//! What `init` must know: from its flags, or asked on a terminal.
//!
//! The trap: a token and a key are never typed and never printed. What is asked for is where they are: a variable of the
//! environment, or a file.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::path::PathBuf;

use super::Arguments;
use crate::cli::Failure;
use crate::config::{App, ForgeKind, Secret, SecretValue};
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
    /// As whom the forge is asked.
    pub login: Login,
    /// Where the service will be; empty where no service is configured.
    pub public_url: String,
}

/// As whom a forge is asked.
pub(super) enum Login {
    /// Nothing is asked of it.
    Nobody,
    /// Where the token is, and the token.
    Token(Secret, SecretValue),
    /// A GitHub App, whose key can be read.
    App(App),
}

/// What is missing, with its question.
struct Question {
    flag: &'static str,
    words: &'static str,
}

const KIND: Question = Question { flag: "--forge-kind", words: "The forge is gitea (Forgejo too) or github" };
const URL: Question = Question { flag: "--forge-url", words: "Its address, as https://git.example.org" };
const CONSUMER: Question =
    Question { flag: "--consumer", words: "The repository that bakes the other one, as owner/name" };
const SOURCE: Question = Question { flag: "--source", words: "The repository that is the truth, as owner/name" };
const PUBLIC: Question =
    Question { flag: "--public-url", words: "Where people will reach drift-gate, as https://drift-gate.example.org" };

/// Collects them; each that is missing is asked for on a terminal, or else named.
pub(super) fn gather(arguments: &Arguments) -> Result<Answers, Failure> {
    let screen: Option<Screen<'_>> = (stdin().is_terminal() && stderr().is_terminal())
        .then(|| Screen { input: Box::new(stdin().lock()), output: Box::new(stderr()) });
    gather_with(arguments, screen)
}

fn gather_with(arguments: &Arguments, screen: Option<Screen<'_>>) -> Result<Answers, Failure> {
    let mut asker = Asker { screen, missing: Vec::new() };
    let kind = asker.text(&KIND, arguments.forge_kind.map(|kind| kind.word().to_owned()), kind_of)?;
    let url = asker.text(&URL, arguments.forge_url.clone(), |text| address("--forge-url", text))?;
    let consumer = asker.text(&CONSUMER, arguments.consumer.clone(), |text| repository("--consumer", text))?;
    let source = |text: &str| repository("--source", text);
    let sources = match arguments.source.as_slice() {
        [] => asker.text(&SOURCE, None, source)?.map(|source| vec![source]),
        all => Some(all.iter().map(|text| source(text)).collect::<Result<_, _>>()?),
    };
    let public_url = match arguments.pull_request {
        true => Some(String::new()),
        false => asker.text(&PUBLIC, arguments.public_url.clone(), |text| address("--public-url", text))?,
    };
    let (Some(kind), Some(url), Some(consumer), Some(sources), Some(public_url)) =
        (kind, url, consumer, sources, public_url)
    else {
        return Err(Failure::usage(format_args!(
            "there is nobody to ask: say {} as well; `drift-gate init --help` tells what they are",
            asker.missing.join(", ")
        )));
    };
    if sources.iter().any(|source| source.0.eq_ignore_ascii_case(&consumer.0)) {
        return Err(Failure::usage(format_args!("{consumer} is named as consumer and as source: name the other one")));
    }
    let login = login(arguments, kind, &mut asker)?;
    Ok(Answers { kind, url, consumer, sources, login, public_url })
}

/// Where questions are put, and where answers come from.
struct Screen<'a> {
    input: Box<dyn BufRead + 'a>,
    output: Box<dyn Write + 'a>,
}

struct Asker<'a> {
    /// `None` where nobody sits there.
    screen: Option<Screen<'a>>,
    missing: Vec<&'static str>,
}

impl Asker<'_> {
    /// What was given, or what is answered; an answer that is none is told, and asked for again.
    fn text<T>(
        &mut self,
        question: &Question,
        given: Option<String>,
        read: impl Fn(&str) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        if let Some(given) = given {
            return read(&given).map(Some);
        }
        if self.screen.is_none() {
            self.missing.push(question.flag);
            return Ok(None);
        }
        self.ask(question.words, read).map(Some)
    }

    fn ask<T>(&mut self, words: &str, read: impl Fn(&str) -> Result<T, Failure>) -> Result<T, Failure> {
        let nothing = || Failure::usage("nothing was answered: say it with flags");
        let Some(Screen { input, output }) = &mut self.screen else { return Err(nothing()) };
        loop {
            let mut line = String::new();
            // What cannot be shown cannot be answered either; the end of the input ends it.
            let _ = write!(output, "{words}: ").and_then(|()| output.flush());
            if !matches!(input.read_line(&mut line), Ok(1..)) {
                return Err(nothing());
            }
            match line.trim() {
                "" => {}
                answer => match read(answer) {
                    Ok(answer) => return Ok(answer),
                    Err(wrong) => drop(writeln!(output, "{}", anstream::adapter::strip_str(&wrong.message))),
                },
            }
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
        return Err(Failure::usage(format_args!(
            "{flag} is the address alone: no login in it, and nothing behind `?` or `#`"
        )));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn repository(flag: &str, text: &str) -> Result<RepoName, Failure> {
    RepoName::parse(text).ok_or_else(|| {
        Failure::usage(format_args!("{flag} is a repository as owner/name, and not `{}`", text.escape_debug()))
    })
}

/// The App, where a flag names it or somebody answers so; else the token.
fn login(arguments: &Arguments, kind: ForgeKind, asker: &mut Asker<'_>) -> Result<Login, Failure> {
    let id = match arguments.app_id {
        Some(_) if kind != ForgeKind::GitHub => {
            return Err(Failure::usage(
                "--app-id is a GitHub App's: a Gitea or Forgejo has none, say where the token is",
            ));
        }
        Some(id) => Some(id),
        None if kind == ForgeKind::GitHub
            && asker.screen.is_some()
            && !says_token(arguments)
            && arguments.asks_forge() =>
        {
            asker.ask("The number of the GitHub App (its App ID), or `token` for a plain token", app_id)?
        }
        None => None,
    };
    let Some(id) = id else { return token(arguments, asker) };
    let read = |key: Secret| match key.read_key() {
        Ok(_) => Ok(Login::App(App { id, key })),
        Err(error) => Err(Failure::usage(format_args!("the App's private key: {error}"))),
    };
    match (&arguments.app_key_env, &arguments.app_key_file) {
        (Some(variable), _) => read(Secret::Env(variable.clone())),
        (None, Some(file)) => read(Secret::File(file.clone())),
        (None, None) if asker.screen.is_some() => asker
            .ask("Where the App's private key is: an environment variable's name, or a file's path", |text| {
                read(place(text))
            }),
        (None, None) => Err(Failure::usage(
            "where is the App's private key? say --app-key-file FILE or --app-key-env VARIABLE; it is never given on the command line",
        )),
    }
}

/// A number, or `None` for the word `token`.
fn app_id(text: &str) -> Result<Option<u64>, Failure> {
    match text.to_lowercase().as_str() {
        "token" => Ok(None),
        number => number.parse().map(Some).map_err(|_| {
            Failure::usage("it is a number, the \"App ID\" on the App's page of settings, or the word `token`")
        }),
    }
}

/// Whether it is said where a token is, by a flag or the usual variable.
fn says_token(arguments: &Arguments) -> bool {
    let usual = || std::env::var_os(USUAL_TOKEN).is_some_and(|token| !token.is_empty());
    arguments.token_env.is_some() || arguments.token_file.is_some() || usual()
}

/// Where the token is, by a flag, or the usual variable where it is set.
fn token(arguments: &Arguments, asker: &mut Asker<'_>) -> Result<Login, Failure> {
    let read = |secret: Secret| {
        let value = secret.read().map_err(|error| Failure::usage(format_args!("the token: {error}")))?;
        Ok(Login::Token(secret, value))
    };
    match (&arguments.token_env, &arguments.token_file) {
        (Some(variable), _) => read(Secret::Env(variable.clone())),
        (None, Some(file)) => read(Secret::File(file.clone())),
        (None, None) if says_token(arguments) => read(Secret::Env(USUAL_TOKEN.to_owned())),
        // Both sides are folders: no forge is asked.
        (None, None) if !arguments.asks_forge() => Ok(Login::Nobody),
        (None, None) if asker.screen.is_some() => asker
            .ask("Where the forge's token is: an environment variable's name, or a file's path", |text| {
                read(place(text))
            }),
        (None, None) => Err(Failure::usage(format_args!(
            "where is the forge's token? set {USUAL_TOKEN}, or say --token-env VARIABLE or --token-file FILE; it is never given on \
             the command line"
        ))),
    }
}

/// A name in capitals is a variable, anything else a file.
fn place(text: &str) -> Secret {
    let is_variable = text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if is_variable { Secret::Env(text.to_owned()) } else { Secret::File(PathBuf::from(text)) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use secrecy::ExposeSecret;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    /// What is gathered where these lines are typed, and what stands on the screen then.
    fn typed(flags: &[&str], lines: &str) -> (Result<Answers, Failure>, String) {
        let line = Line::parse_from([&["init"], flags].concat());
        let mut output = Vec::new();
        let screen = Screen { input: Box::new(lines.as_bytes()), output: Box::new(&mut output) };
        let answers = gather_with(&line.arguments, Some(screen));
        (answers, String::from_utf8(output).expect("text"))
    }

    #[test]
    fn what_no_flag_says_is_asked_for_until_it_can_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "s3cret\n").expect("written");
        let lines = format!(
            "bitbucket\nforgejo\n\nhttps://me:hunter2@git.example.org\nhttps://git.example.org/\nmolecule/core\ntemplate\n\
             molecule/template\n{}\n",
            file.display()
        );
        let (answers, screen) = typed(&["--public-url", "https://gate.example.org"], &lines);
        let answers = answers.map_err(|failure| failure.message).expect("answers");
        assert_eq!((answers.kind, answers.url.as_str()), (ForgeKind::Gitea, "https://git.example.org"));
        assert_eq!(
            (answers.consumer.0.as_str(), answers.sources[0].0.as_str()),
            ("molecule/core", "molecule/template")
        );
        assert_eq!(answers.public_url, "https://gate.example.org");
        let Login::Token(secret, value) = answers.login else { panic!("no token") };
        assert_eq!((secret, value.expose_secret()), (Secret::File(file), "s3cret"));
        assert_eq!(screen.matches("The forge is gitea").count(), 2, "{screen}");
        assert!(screen.contains("error: --source is a repository as owner/name, and not `template`"), "{screen}");
        assert!(!screen.contains("s3cret") && !screen.contains("hunter2") && !screen.contains('\u{1b}'), "{screen}");
        assert!(!screen.contains("Where people"), "what a flag says is not asked: {screen}");
    }

    #[test]
    fn of_a_github_it_is_asked_whether_an_app_logs_in_and_where_its_key_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("app.pem");
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n").expect("written");
        let flags = ["--forge-kind", "github", "--forge-url", "https://github.com", "--consumer", "m/core"];
        let flags = [&flags[..], &["--source", "m/template", "--public-url", "https://gate.example.org"]].concat();
        let lines = format!("the one\n77\nNOT_SET_ANYWHERE\n{}\n", file.display());
        let (answers, screen) = typed(&flags, &lines);
        assert!(answers.is_err(), "a certificate is no key");
        assert_eq!(screen.matches("The number of the GitHub App").count(), 2, "{screen}");
        assert!(screen.contains("environment variable NOT_SET_ANYWHERE is not set"), "{screen}");
        assert!(screen.contains("app.pem holds no RSA private key in PEM"), "{screen}");
        std::fs::write(folder.path().join("token"), "s3cret\n").expect("written");
        let lines = format!("token\n{}\n", folder.path().join("token").display());
        let (answers, _) = typed(&flags, &lines);
        assert!(matches!(answers.map(|answers| answers.login), Ok(Login::Token(..))));
    }

    #[test]
    fn an_end_of_the_answers_ends_the_questions() {
        let (answers, _) = typed(&[], "gitea\n");
        let failure = answers.map(drop).map_err(|failure| (failure.code, failure.message)).expect_err("no answers");
        assert_eq!(failure.0, crate::cli::USAGE);
        assert!(failure.1.contains("nothing was answered"), "{}", failure.1);
    }
}

//! `drift-gate init`: from two repositories to a configuration.
//!
//! What the consumer's files suggest is proposed, what is proposed is judged by the engine, and the file says what was found and
//! what was not. Nothing is written on a forge but the pull request that `--pull-request` asks for.
//!
//! Traps handled here: a file that is there is not overwritten; the file that is written is one that the parser takes, because it
//! is parsed before; names out of repositories stand in comments only after what a reader would not see is written out.

mod answers;
mod propose;
mod pull;
mod written;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use answers::{Answers, Login, gather};
use propose::Proposal;

use super::check::Places;
use super::local::Local;
use super::remote::Fetcher;
use super::{DONE, Failure, print};
use crate::config::{self, ForgeKind};
use crate::forge::http::{Timeouts, client};
use crate::forge::{ForgeError, RepoName, Settings, connect_settings};
use crate::gate::own_file::FILE;

/// What `init` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// gitea (Forgejo too) or github
    #[arg(long, value_enum, value_name = "KIND")]
    forge_kind: Option<Kind>,
    /// The forge's address
    #[arg(long, value_name = "URL")]
    forge_url: Option<String>,
    /// The repository that bakes the other one
    #[arg(long, value_name = "OWNER/NAME")]
    consumer: Option<String>,
    /// The repository that is the truth; may be given several times
    #[arg(long, value_name = "OWNER/NAME")]
    source: Vec<String>,
    /// The environment variable with the forge's token [default: DRIFT_GATE_TOKEN]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "token_file")]
    token_env: Option<String>,
    /// The file with the forge's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The number of the GitHub App that is asked as, instead of a token (its "App ID")
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["token_env", "token_file"])]
    app_id: Option<u64>,
    /// The environment variable with the App's private key
    #[arg(long, value_name = "VARIABLE", requires = "app_id", conflicts_with = "app_key_file")]
    app_key_env: Option<String>,
    /// The file with the App's private key, in PEM
    #[arg(long, value_name = "FILE", requires = "app_id")]
    app_key_file: Option<PathBuf>,
    /// Where people will reach the service
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The consumer's branch [default: the forge's default branch of it, or main]
    #[arg(long, value_name = "BRANCH")]
    consumer_branch: Option<String>,
    /// The sources' branch [default: the forge's default branch of each, or main]
    #[arg(long, value_name = "BRANCH")]
    source_branch: Option<String>,
    /// Read the consumer from this folder, and not from the forge
    #[arg(long, value_name = "DIR")]
    consumer_dir: Option<PathBuf>,
    /// Read the source from this folder, and not from the forge; in the order of --source
    #[arg(long, value_name = "DIR")]
    source_dir: Vec<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "drift-gate.toml")]
    output: PathBuf,
    /// Overwrite it; of a pull request: replace the file that is there, and name files of a private source
    #[arg(long)]
    force: bool,
    /// Propose a .drift-gate.toml to the consumer by a pull request, and write no file
    #[arg(long, conflicts_with_all = ["output", "consumer_dir"])]
    pull_request: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    #[value(alias = "forgejo")]
    Gitea,
    Github,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Gitea => "gitea",
            Self::Github => "github",
        }
    }
}

impl Arguments {
    /// Whether anything is read from a forge, or written to it.
    fn asks_forge(&self) -> bool {
        self.pull_request || self.consumer_dir.is_none() || self.source_dir.len() < self.source.len().max(1)
    }
}

/// A repository that is read.
struct Side {
    repo: RepoName,
    branch: String,
    opened: Local,
}

/// The forge, where it is asked.
struct Asked {
    runtime: tokio::runtime::Runtime,
    settings: Arc<dyn Settings>,
}

/// Finds, proposes, judges, writes; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let answers = gather(arguments)?;
    if !arguments.pull_request && !arguments.force && arguments.output.exists() {
        return Err(Failure::usage(format_args!(
            "{} is there already: name another file with --output, or overwrite it with --force",
            arguments.output.display()
        )));
    }
    if arguments.source_dir.len() > answers.sources.len() {
        return Err(Failure::usage(
            "there are more --source-dir than --source: say of which repository each folder is",
        ));
    }
    let forge = forge(&answers);
    let asked = if arguments.asks_forge() { Some(ask(&answers, &forge)?) } else { None };
    let mut logins = HashMap::new();
    if let Some(asked) = &asked {
        let consumer = arguments.consumer_dir.is_none().then_some(&answers.consumer);
        // Those without a folder.
        let sources = answers.sources.iter().skip(arguments.source_dir.len());
        for repo in consumer.into_iter().chain(sources) {
            let authorization = asked.wait(asked.settings.git_authorization(repo));
            let authorization = authorization.map_err(|error| refused(&repo.0, error))?;
            logins.extend(authorization.map(|value| (asked.settings.git_url(repo), value)));
        }
    }
    let fetcher = Fetcher::authorized(logins).map_err(Failure::failed)?;
    let places = Places::with(Arc::new(fetcher));
    let open = |option: &str, repo: &RepoName, branch: Option<&String>, folder: Option<&Path>| {
        let branch = match (branch, &asked) {
            (Some(branch), _) => branch.clone(),
            (None, Some(asked)) => asked.default_branch(option, repo)?,
            (None, None) => "main".to_owned(),
        };
        let opened = match (folder, &asked) {
            (Some(folder), _) => places.open(&format!("{option}-dir"), folder, None, "HEAD")?,
            (None, Some(asked)) => {
                places.open(option, Path::new(&asked.settings.git_url(repo)), Some(&branch), "HEAD")?
            }
            (None, None) => return Err(Failure::usage(format_args!("{option}: name its folder"))),
        };
        Ok(Side { repo: repo.clone(), branch, opened })
    };
    let consumer_dir = arguments.consumer_dir.as_deref();
    let consumer = open("--consumer", &answers.consumer, arguments.consumer_branch.as_ref(), consumer_dir)?;
    let mut found: Vec<(Side, Vec<Proposal>)> = Vec::new();
    for (index, repo) in answers.sources.iter().enumerate() {
        let folder = arguments.source_dir.get(index).map(PathBuf::as_path);
        let source = open("--source", repo, arguments.source_branch.as_ref(), folder)?;
        let proposals = propose::proposals(&forge, &consumer, &source)?;
        found.push((source, proposals));
    }
    told(&consumer, &found)?;
    if arguments.pull_request {
        if let (Some(asked), false) = (&asked, arguments.force) {
            asked.tells_nothing_private(&consumer, &found)?;
        }
        let text = written::of_repository(&forge, &found);
        config::Config::parse_laptop(&text, FILE)?;
        // It was asked for above.
        let Some(asked) = asked else { return Err(Failure::usage("--pull-request needs a forge")) };
        pull::propose(&asked, &consumer, &text, arguments.force)?;
        print(&written::listed(&forge, &consumer, &answers.sources))?;
        return Ok(DONE);
    }
    let text = written::of_service(&answers, &forge, &consumer, &found);
    let name = arguments.output.display().to_string();
    config::Config::parse(&text, &name)?;
    write(&arguments.output, &text, arguments.force)?;
    print(&written::next(&name))?;
    Ok(DONE)
}

/// The forge as the configuration will describe it.
fn forge(answers: &Answers) -> config::Forge {
    config::Forge {
        name: "main".to_owned(),
        kind: answers.kind,
        url: answers.url.clone(),
        token: match &answers.login {
            Login::Token(secret, _) => Some(secret.clone()),
            Login::App(_) | Login::Nobody => None,
        },
        app: match &answers.login {
            Login::App(app) => Some(app.clone()),
            Login::Token(..) | Login::Nobody => None,
        },
        check_runs: false,
        webhook_secrets: Vec::new(),
    }
}

/// Connects, and makes sure that it is a forge and takes the token.
fn ask(answers: &Answers, forge: &config::Forge) -> Result<Asked, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    let token = match &answers.login {
        Login::Token(_, value) => Some(value.clone()),
        Login::App(_) | Login::Nobody => None,
    };
    let client = client(Timeouts::default()).map_err(Failure::failed)?;
    let settings = runtime.block_on(async { connect_settings(forge, token, client) }).map_err(Failure::usage)?;
    let asked = Asked { runtime, settings };
    let kind = match answers.kind {
        ForgeKind::Gitea => "gitea",
        ForgeKind::GitHub => "github",
    };
    asked
        .wait(asked.settings.server())
        .map_err(|error| refused(&format!("--forge-url {} ({kind})", answers.url), error))?;
    let what = if forge.app.is_some() { "the App" } else { "the token" };
    asked.wait(asked.settings.whoami()).map_err(|error| refused(what, error))?;
    Ok(asked)
}

/// What a forge said, as a fault of the command line where asking again would get the same.
fn refused(what: &str, error: ForgeError) -> Failure {
    match error {
        ForgeError::Transient { .. } | ForgeError::RateLimited { .. } => {
            Failure::failed(format_args!("{what}: {error}"))
        }
        error => Failure::usage(format_args!("{what}: {error}")),
    }
}

impl Asked {
    fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// The file would name files of its sources to whoever reads the consumer.
    fn tells_nothing_private(&self, consumer: &Side, found: &[(Side, Vec<Proposal>)]) -> Result<(), Failure> {
        let is_private = |repo: &RepoName| {
            let repository = self.wait(self.settings.repository(repo));
            repository.map(|repository| repository.private).map_err(|error| refused(&repo.0, error))
        };
        if is_private(&consumer.repo)? {
            return Ok(());
        }
        for (source, _) in found {
            if is_private(&source.repo)? {
                return Err(Failure::usage(format_args!(
                    "{} is private and {} is not: the file would name files of it to everyone. Keep the gate in the service's own \
                     file, or say --force",
                    source.repo, consumer.repo
                )));
            }
        }
        Ok(())
    }

    fn default_branch(&self, option: &str, repo: &RepoName) -> Result<String, Failure> {
        let repository = self.wait(self.settings.repository(repo));
        let repository = repository.map_err(|error| refused(&format!("{option} {repo}"), error))?;
        Ok(repository.default_branch)
    }
}

/// Prints what was found, and the verdict that it would give now.
fn told(consumer: &Side, found: &[(Side, Vec<Proposal>)]) -> Result<(), Failure> {
    for (source, proposals) in found {
        if proposals.is_empty() {
            return Err(Failure::failed(format_args!(
                "nothing in {} takes files of {}: no Dockerfile has a COPY of a folder with its files that {} does not have \
                 itself, no file is a copy of one of its, and none names a commit of it. Begin with `drift-gate config example > drift-gate.toml`, and see docs/configuration.md for copies and \
                 values",
                consumer.repo, source.repo, consumer.repo
            )));
        }
        for proposal in proposals {
            print(&format!("{}\n{}\n", proposal.words, proposal.verdict))?;
        }
    }
    Ok(())
}

/// Writes the file: a new one, unless it may be overwritten.
fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let done = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    done.map_err(|error| Failure::failed(format_args!("{} cannot be written: {error}", path.display())))
}

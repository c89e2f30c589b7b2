//! `drift-gate check`: the same verdict as the service's, on local repositories and folders and on repositories at addresses.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::local::{Local, Pair};
use super::remote::{self, Fetcher, RemoteError};
use super::{DONE, DRIFT, FAILED, USAGE};
use crate::config::{Config, Gate, Place};
use crate::gate::policy::{self, Decision, Outcome, Role, Say};
use crate::gate::{Case, Report, repo_name};
use crate::report::{self, Judged};

/// What `check` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration; by default ./.drift-gate.toml, then ./drift-gate.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The consumer: a folder as it is on disk, or with --consumer-rev a repository; or an address, which is fetched
    #[arg(long, value_name = "DIR|URL", default_value = ".")]
    consumer: String,
    /// Judge this revision of the consumer instead of its files on disk
    #[arg(long, value_name = "REV")]
    consumer_rev: Option<String>,
    /// Judge the consumer's revision (HEAD unless given) as a pull request onto this one
    #[arg(long, value_name = "REV")]
    onto: Option<String>,
    /// The source: a repository, a folder or an address; with several sources REPO=DIR for each. DRIFT_GATE_TOKEN is sent to
    /// the addresses named here
    #[arg(long, value_name = "[REPO=]DIR|URL")]
    source: Vec<String>,
    /// The head of the source's branch; the pin is looked up in the same repository
    #[arg(long, value_name = "REV")]
    source_rev: Option<String>,
    /// Judge the source's revision (HEAD unless given) as a pull request onto this one
    #[arg(long, value_name = "REV", conflicts_with = "onto")]
    source_onto: Option<String>,
    /// Only this gate
    #[arg(long, value_name = "NAME")]
    gate: Option<String>,
    /// How to print the reports
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    /// One report a line
    Json,
    /// SARIF 2.1.0, a run for each gate
    Sarif,
    /// JUnit's XML, a suite for each gate
    Junit,
    /// For a comment or a job's summary
    Markdown,
    /// Workflow commands of GitHub, Gitea and Forgejo
    Annotations,
}

/// A failure with its exit code.
struct Failure {
    code: u8,
    message: String,
}

fn usage(message: impl Into<String>) -> Failure {
    Failure { code: USAGE, message: message.into() }
}

fn failed(message: impl ToString) -> Failure {
    Failure { code: FAILED, message: message.to_string() }
}

/// Judges the gates and prints their reports.
pub fn run(arguments: &Arguments) -> u8 {
    match check(arguments) {
        Ok(code) => code,
        Err(failure) => {
            anstream::eprintln!("error: {}", failure.message);
            failure.code
        }
    }
}

fn check(arguments: &Arguments) -> Result<u8, Failure> {
    let config = load(arguments.config.as_deref())?;
    let gates: Vec<&Gate> = match &arguments.gate {
        Some(name) => config.gates.iter().filter(|gate| gate.name == *name).collect(),
        None => config.gates.iter().collect(),
    };
    if gates.is_empty() {
        let known: Vec<&str> = config.gates.iter().map(|gate| gate.name.as_str()).collect();
        let name = arguments.gate.as_deref().unwrap_or_default();
        return Err(usage(format!("no gate is called `{name}`; there are: {}", known.join(", "))));
    }
    let consumer_rev = arguments.consumer_rev.as_deref().or(arguments.onto.as_ref().map(|_| "HEAD"));
    let sides = Sides::default();
    let consumer = sides.open("--consumer", &arguments.consumer, consumer_rev, "HEAD")?;
    let mut all = Vec::new();
    for gate in gates {
        let (report, decision) = one(arguments, gate, &consumer, &sides)?;
        all.push((gate, report, decision));
    }
    let all: Vec<Judged<'_>> = all.iter().map(|(gate, report, decision)| Judged { gate, report, decision }).collect();
    match arguments.format {
        // Printed as they came.
        Format::Text | Format::Json => {}
        Format::Sarif => anstream::print!("{}", report::sarif::document(&all)),
        Format::Junit => anstream::print!("{}", report::junit::document(&all)),
        Format::Markdown => anstream::print!("{}", report::markdown::document(&all)),
        Format::Annotations => anstream::print!("{}", report::annotations::document(&all)),
    }
    let codes: Vec<u8> = all.iter().map(|judged| code(judged.decision)).collect();
    // Drift that is shown outweighs what could not be decided.
    let worst = if codes.contains(&DRIFT) { DRIFT } else { codes.into_iter().max().unwrap_or(FAILED) };
    Ok(worst)
}

fn load(path: Option<&Path>) -> Result<Config, Failure> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => {
            let places = [Path::new(".drift-gate.toml"), Path::new("drift-gate.toml")];
            let found = places.iter().find(|path| path.exists());
            found
                .ok_or_else(|| {
                    usage("there is no ./.drift-gate.toml and no ./drift-gate.toml; name one with --config")
                })?
                .to_path_buf()
        }
    };
    Config::load_laptop(&path).map_err(|error| usage(error.to_string()))
}

fn code(decision: &Decision) -> u8 {
    match decision.state {
        policy::State::Success => DONE,
        policy::State::Failure => DRIFT,
        policy::State::Error => FAILED,
    }
}

/// Judges one gate, and prints it where reports stand for themselves.
fn one(arguments: &Arguments, gate: &Gate, consumer: &Local, sides: &Sides) -> Result<(Report, Decision), Failure> {
    let place = source_of(arguments, gate)?;
    let source_rev = arguments.source_rev.as_deref().or(arguments.source_onto.as_ref().map(|_| "HEAD"));
    let source = sides.open("--source", place, source_rev, &gate.source.branch)?;
    let onto = |local: &Local, option: &str, rev: &str| {
        local.resolve(rev).map_err(|error| usage(format!("{option} {rev}: {error}")))
    };
    let branch = || gate.consumer.branches.first().cloned().unwrap_or_default();
    let (case, role) = if let Some(rev) = &arguments.onto {
        let base = onto(consumer, "--onto", rev)?;
        let case = Case::ConsumerPull { head: consumer.revision.clone(), base, source: source.revision.clone() };
        (case, Role::ConsumerPull { number: 0, base: rev.clone() })
    } else if let Some(rev) = &arguments.source_onto {
        let base = onto(&source, "--source-onto", rev)?;
        let case = Case::SourcePull { head: source.revision.clone(), base, consumer: consumer.revision.clone() };
        (case, Role::SourcePull { number: 0, base: rev.clone(), consumer_branch: branch() })
    } else {
        let case = Case::Branch { consumer: consumer.revision.clone(), source: source.revision.clone() };
        (case, Role::ConsumerBranch { branch: branch() })
    };
    let world = Pair::new(gate, consumer, &source);
    let report = world.judge(gate, &case).map_err(failed)?;
    let say = Say { gate, role: &role, outcome: Outcome::Judged(&report), stale_since: None };
    let decision = policy::decide(&[say], 0);
    match arguments.format {
        Format::Text => anstream::print!("{}", report::text::report(&report, &decision, &world)),
        Format::Json => anstream::println!("{}", report::json(&report)),
        Format::Sarif | Format::Junit | Format::Markdown | Format::Annotations => {}
    }
    Ok((report, decision))
}

/// The folder of a gate's source: the one named for its repository, else the only one without a name.
fn source_of<'a>(arguments: &'a Arguments, gate: &Gate) -> Result<&'a str, Failure> {
    let repo = repo_name(&gate.source.place);
    let is_named = |name: &str| name == repo || matches!(&gate.source.place, Place::Url(url) if url == name);
    let named = arguments.source.iter().filter_map(|one| one.split_once('='));
    if let Some((_, dir)) = named.into_iter().find(|(name, _)| is_named(name)) {
        return Ok(dir);
    }
    let mut plain = arguments.source.iter().filter(|one| !one.contains('='));
    match (plain.next(), plain.next()) {
        (Some(dir), None) => Ok(dir),
        (None, _) => {
            Err(usage(format!("where is the source {repo} of gate `{}`? name its folder: --source DIR", gate.name)))
        }
        (Some(_), Some(_)) => Err(usage(format!("several sources: say which is {repo}: --source {repo}=DIR"))),
    }
}

/// Opens sides; what fetches is made when the first address is named.
#[derive(Default)]
struct Sides {
    fetcher: OnceCell<Arc<Fetcher>>,
}

impl Sides {
    /// A folder as it is, or its repository at `rev`; of an address the repository at `rev`, or else at `usual`.
    fn open(&self, option: &str, place: &str, rev: Option<&str>, usual: &str) -> Result<Local, Failure> {
        if !remote::is_address(place) {
            return Local::open(Path::new(place), rev).map_err(|error| usage(format!("{option} {place}: {error}")));
        }
        // The address is not repeated: it may hold a password.
        let told = |error| match error {
            RemoteError::Usage(why) => usage(format!("{option}: {why}")),
            RemoteError::Failed(why) => failed(format!("{option}: {why}")),
        };
        let (remote, commit) = self.fetcher().and_then(|one| one.open(place, rev.unwrap_or(usual))).map_err(told)?;
        Ok(Local::at_address(remote, commit))
    }

    fn fetcher(&self) -> Result<&Arc<Fetcher>, RemoteError> {
        if let Some(fetcher) = self.fetcher.get() {
            return Ok(fetcher);
        }
        let fetcher = Arc::new(Fetcher::new()?);
        Ok(self.fetcher.get_or_init(|| fetcher))
    }
}

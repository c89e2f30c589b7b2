//! `drift-gate check`: the same verdict as the service's, on local repositories and folders and on repositories at addresses.
//!
//! Everything that the command line names is opened before anything is judged, so that a wrong name is told alone and a
//! gate that cannot be judged does not hide the drift of another.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::local::{self, Local, Pair};
use super::own_file::{self, Base, Judges};
use super::remote::{self, Fetcher, RemoteError};
use super::{DONE, DRIFT, FAILED, Failure, configuration, print};
use crate::config::{Config, Gate, Place};
use crate::gate::finding::Kind;
use crate::gate::policy::{self, Decision, Outcome, Paired, Role, Say};
use crate::gate::{Case, Report, Revision, repo_name};
use crate::report::{self, Judged};

/// What `check` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration; by default ./.drift-gate.toml, then ./drift-gate.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The consumer: a folder as it is on disk, or with --consumer-rev a repository; or an address, which is fetched
    #[arg(long, value_name = "DIR|URL", default_value = ".")]
    consumer: PathBuf,
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
    /// Only this gate: NAME, or REPO:NAME where the file has gates of several consumers
    #[arg(long, value_name = "NAME")]
    gate: Option<String>,
    /// How to print the reports: for people, or one JSON object a line
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
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

/// What is asked of one gate.
struct Question<'a> {
    gate: &'a Gate,
    /// What judged the base.
    base: &'a Base,
    /// Where the source was named.
    place: &'a Path,
    source: Local,
    case: Case,
    role: Role,
}

/// Judges the gates and prints their reports; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let places = Places::default();
    let (judges, consumer) = judges(arguments, &places)?;
    let gates = chosen(&judges.gates, |(gate, _)| gate, arguments.gate.as_deref())?;
    let sources = Sources::new(&arguments.source, &gates.iter().map(|(gate, _)| gate).collect::<Vec<_>>())?;
    let questions: Result<Vec<Question<'_>>, Failure> =
        gates.iter().map(|(gate, base)| question(arguments, (gate, base), &consumer, &sources, &places)).collect();
    let mut answers = Vec::new();
    let between = |answers: &[_]| match arguments.format {
        Format::Text if !answers.is_empty() => print("\n"),
        _ => Ok(()),
    };
    for question in &questions? {
        between(&answers)?;
        if let (Format::Text, Some(which)) = (arguments.format, question.base.which()) {
            print(&format!("note: gate {} {which}\n", question.gate.name))?;
        }
        let (report, decision) = answer(question, &consumer, arguments.format)?;
        answers.push((question.gate, report, decision));
    }
    for (gate, report) in &judges.told {
        between(&answers)?;
        let decision = told(arguments, gate, report, &consumer)?;
        answers.push((gate, report.clone(), decision));
    }
    let all: Vec<Judged<'_>> =
        answers.iter().map(|(gate, report, decision)| Judged { gate, report, decision }).collect();
    match arguments.format {
        // Printed as they came.
        Format::Text | Format::Json => {}
        Format::Sarif => print(&report::sarif::document(&all))?,
        Format::Junit => print(&report::junit::document(&all))?,
        Format::Markdown => print(&report::markdown::document(&all))?,
        Format::Annotations => print(&report::annotations::document(&all))?,
    }
    let codes: Vec<u8> = all.iter().map(|judged| code(judged.decision)).collect();
    // Drift that is shown outweighs what could not be decided.
    Ok(if codes.contains(&DRIFT) { DRIFT } else { codes.into_iter().max().unwrap_or(FAILED) })
}

/// What judges, and the consumer that is judged.
fn judges(arguments: &Arguments, places: &Places) -> Result<(Judges, Local), Failure> {
    let config = arguments.config.as_deref();
    let open = |rev: Option<&str>| places.open("--consumer", &arguments.consumer, rev, "HEAD");
    let Some(onto) = &arguments.onto else {
        let judges = Judges::plain(Config::load_laptop(&configuration(config)?)?);
        return Ok((judges, open(arguments.consumer_rev.as_deref())?));
    };
    let consumer = open(Some(arguments.consumer_rev.as_deref().unwrap_or("HEAD")))?;
    let of_pull = if own_file::is_own(config, &arguments.consumer) {
        Judges::of_pull(&consumer, onto, &resolve(&consumer, "--onto", onto)?)?
    } else {
        None
    };
    let judges = match of_pull {
        Some(judges) => judges,
        None => Judges::plain(Config::load_laptop(&configuration(config)?)?),
    };
    Ok((judges, consumer))
}

fn resolve(local: &Local, option: &str, rev: &str) -> Result<Revision, Failure> {
    local.resolve(rev).map_err(|error| Failure::usage(format_args!("{option} {rev}: {error}")))
}

/// The gates to judge: all of one consumer's. None at all where a pull request leaves none.
pub(super) fn chosen<'a, T>(
    all: &'a [T],
    gate_of: impl Fn(&'a T) -> &'a Gate,
    name: Option<&str>,
) -> Result<Vec<&'a T>, Failure> {
    let full_name = |gate: &Gate| format!("{}:{}", repo_name(&gate.consumer.place), gate.name);
    let known: Vec<&str> = all.iter().map(|one| gate_of(one).name.as_str()).collect();
    let is_meant = |gate: &Gate| name.is_none_or(|name| gate.name == name || full_name(gate) == name);
    let gates: Vec<&'a T> = all.iter().filter(|one| is_meant(gate_of(one))).collect();
    let Some(first) = gates.first().map(|one| gate_of(one)) else {
        let Some(name) = name else { return Ok(gates) };
        return Err(Failure::usage(format_args!("no gate is called `{name}`; there are: {}", known.join(", "))));
    };
    if gates.iter().any(|one| gate_of(one).consumer.place != first.consumer.place) {
        let known: Vec<String> = gates.iter().map(|one| full_name(gate_of(one))).collect();
        return Err(Failure::usage(format_args!(
            "these gates have different consumers, and `check` judges one: say which with --gate: {}",
            known.join(", ")
        )));
    }
    Ok(gates)
}

/// Where the sources are: by the name of their repository, or the one place for all.
pub(super) struct Sources<'a> {
    named: Vec<(&'a str, &'a Path)>,
    plain: Vec<&'a Path>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(options: &'a [String], gates: &[&Gate]) -> Result<Self, Failure> {
        let (mut named, mut plain) = (Vec::new(), Vec::new());
        for option in options {
            match option.split_once('=') {
                Some((name, dir)) if gates.iter().any(|gate| is_source(gate, name)) => {
                    named.push((name, Path::new(dir)));
                }
                // A folder may have `=` in its name.
                Some((name, _)) if !Path::new(option).exists() && !remote::is_address(option) => {
                    let known: Vec<String> = gates.iter().map(|gate| repo_name(&gate.source.place)).collect();
                    return Err(Failure::usage(format_args!(
                        "--source {option}: no gate has a source called {name}; there is {}",
                        known.join(", ")
                    )));
                }
                _ => plain.push(Path::new(option)),
            }
        }
        Ok(Self { named, plain })
    }

    pub(super) fn of(&self, gate: &Gate) -> Result<&'a Path, Failure> {
        if let Some((_, dir)) = self.named.iter().find(|(name, _)| is_source(gate, name)) {
            return Ok(dir);
        }
        let repo = repo_name(&gate.source.place);
        match self.plain.as_slice() {
            [dir] => Ok(dir),
            [] => Err(Failure::usage(format_args!(
                "where is the source {repo} of gate `{}`? name its folder: --source DIR",
                gate.name
            ))),
            [_, _, ..] => {
                Err(Failure::usage(format_args!("several sources: say which is {repo}: --source {repo}=DIR")))
            }
        }
    }
}

fn is_source(gate: &Gate, name: &str) -> bool {
    name == repo_name(&gate.source.place) || matches!(&gate.source.place, Place::Url(url) if url == name)
}

/// Opens sides; what fetches is made when the first address is named.
#[derive(Default)]
pub(super) struct Places {
    fetcher: OnceCell<Arc<Fetcher>>,
}

impl Places {
    /// Addresses are opened by this one.
    pub(super) fn with(fetcher: Arc<Fetcher>) -> Self {
        Self { fetcher: OnceCell::from(fetcher) }
    }

    /// A folder as it is, or its repository at `rev`; of an address the repository at `rev`, or else at `usual`.
    pub(super) fn open(&self, option: &str, place: &Path, rev: Option<&str>, usual: &str) -> Result<Local, Failure> {
        let Some(address) = place.to_str().filter(|place| remote::is_address(place)) else {
            return Local::open(place, rev).map_err(|error| Failure::usage(format_args!("{option} {error}")));
        };
        let opened = self.fetcher().and_then(|fetcher| fetcher.open(address, rev.unwrap_or(usual)));
        let (remote, commit) = opened.map_err(|error| match error {
            RemoteError::Usage(why) => Failure::usage(format_args!("{option} {why}")),
            RemoteError::Failed(why) => Failure::failed(format_args!("{option} {why}")),
        })?;
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

fn question<'a>(
    arguments: &Arguments,
    (gate, base): (&'a Gate, &'a Base),
    consumer: &Local,
    sources: &Sources<'a>,
    places: &Places,
) -> Result<Question<'a>, Failure> {
    let place = sources.of(gate)?;
    let source_rev = arguments.source_rev.as_deref().or(arguments.source_onto.as_ref().map(|_| "HEAD"));
    let source = places.open("--source", place, source_rev, &gate.source.branch)?;
    let branch = || gate.consumer.branches.first().cloned().unwrap_or_default();
    let (case, role) = if let Some(rev) = &arguments.onto {
        let onto = resolve(consumer, "--onto", rev)?;
        let case = Case::ConsumerPull { head: consumer.revision.clone(), base: onto, source: source.revision.clone() };
        (case, Role::ConsumerPull { number: 0, base: rev.clone() })
    } else if let Some(rev) = &arguments.source_onto {
        let onto = resolve(&source, "--source-onto", rev)?;
        let case = Case::SourcePull { head: source.revision.clone(), base: onto, consumer: consumer.revision.clone() };
        (case, Role::SourcePull { number: 0, base: rev.clone(), consumer_branch: branch() })
    } else {
        let case = Case::Branch { consumer: consumer.revision.clone(), source: source.revision.clone() };
        (case, Role::ConsumerBranch { branch: branch() })
    };
    Ok(Question { gate, base, place, source, case, role })
}

/// Judges, and prints where a report stands for itself.
fn answer(question: &Question<'_>, consumer: &Local, format: Format) -> Result<(Report, Decision), Failure> {
    let Question { gate, base, place, source, case, role } = question;
    let decide = |report: &Report| decide(gate, role, report);
    let judged =
        Pair::new(gate, consumer, source).and_then(|world| Ok((world.judge(gate, base.before(), case)?, world)));
    let (mut report, world) = match judged {
        Ok(judged) => judged,
        Err(why) => {
            Failure::failed(format_args!("gate `{}`: {why}", gate.name)).tell();
            // What a machine reads is not green without it.
            let report = local::unreadable(gate, case, &why).map_err(Failure::failed)?;
            let decision = decide(&report);
            if format == Format::Json {
                print(&format!("{}\n", report::json(&report)))?;
            }
            return Ok((report, decision));
        }
    };
    advise(&mut report, place);
    let decision = decide(&report);
    match format {
        Format::Text => print(&report::text::report(&report, &decision, &world.seen(case, &report)))?,
        Format::Json => print(&format!("{}\n", report::json(&report)))?,
        Format::Sarif | Format::Junit | Format::Markdown | Format::Annotations => {}
    }
    Ok((report, decision))
}

fn decide(gate: &Gate, role: &Role, report: &Report) -> Decision {
    // Who runs it reads both sides.
    let say =
        Say { gate, role, outcome: Outcome::Judged(report), stale_since: None, paired: Paired::No, discreet: false };
    policy::decide(&[say], &[], 0)
}

/// Prints what is said of the file of gates itself, where a report stands for itself.
fn told(arguments: &Arguments, gate: &Gate, report: &Report, consumer: &Local) -> Result<Decision, Failure> {
    let base = arguments.onto.clone().unwrap_or_default();
    let decision = decide(gate, &Role::ConsumerPull { number: 0, base }, report);
    let (Some(head), Some(base)) = (report.consumer.commit.clone(), report.consumer.base.clone()) else {
        return Ok(decision);
    };
    let case = Case::ConsumerPull { source: head.clone(), head, base };
    match arguments.format {
        Format::Text => print(&report::text::report(report, &decision, &Pair::alone(consumer).seen(&case, report)))?,
        Format::Json => print(&format!("{}\n", report::json(report)))?,
        Format::Sarif | Format::Junit | Format::Markdown | Format::Annotations => {}
    }
    Ok(decision)
}

fn code(decision: &Decision) -> u8 {
    match decision.state {
        policy::State::Success => DONE,
        policy::State::Failure => DRIFT,
        policy::State::Error => FAILED,
    }
}

/// What the engine cannot know: a clone may lag behind its forge.
fn advise(report: &mut Report, source: &Path) {
    if source.to_str().is_some_and(remote::is_address) {
        return;
    }
    for finding in &mut report.findings {
        if finding.kind == Kind::PinUnreachable {
            finding.fix =
                format!("run `git fetch` in {}, which may be out of date; else {}", source.display(), finding.fix);
        }
    }
}

//! `drift-gate backtest`: the verdict at every moment of two local histories.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::waiting::Waiting;
use super::{DONE, Failure, print};
use crate::backtest::{self, Backtest, Lines, Mover, Step};
use crate::config::{Config, Gate};
use crate::gate::{Relation, Revision, Side, World, repo_name};
use crate::report;
use crate::report::backtest::{History, Told};
use crate::snapshot::{Line, Local as Repository, Standing};
use crate::tree::{ObjectId, Tree, TreeError};

/// What `backtest` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration; its gates are judged as they are now
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The consumer's repository, with all its history
    #[arg(long, value_name = "REPO")]
    consumer: PathBuf,
    /// The source's repository, with all its history
    #[arg(long, value_name = "REPO")]
    source: PathBuf,
    /// The head of the consumer's history; by default the gate's branch, where the repository has it, else HEAD
    #[arg(long, value_name = "REV")]
    consumer_rev: Option<String>,
    /// The head of the source's history; by default as for the consumer
    #[arg(long, value_name = "REV")]
    source_rev: Option<String>,
    /// Begin at the time of this commit of the consumer, or else of the source
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// Only this gate
    #[arg(long, value_name = "NAME")]
    gate: Option<String>,
    /// How to print what was found
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    /// One gate a line
    Json,
    /// A page with a timeline, all in one file
    Html,
}

/// Judges the gates over both histories and prints what was found; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let config = Config::load_laptop(&arguments.config)?;
    let wanted = |gate: &&Gate| arguments.gate.as_ref().is_none_or(|name| gate.name == *name);
    let gates: Vec<&Gate> = config.gates.iter().filter(wanted).collect();
    if gates.is_empty() {
        let known: Vec<&str> = config.gates.iter().map(|gate| gate.name.as_str()).collect();
        let name = arguments.gate.as_deref().unwrap_or_default();
        return Err(Failure::usage(format_args!("no gate is called `{name}`; there are: {}", known.join(", "))));
    }
    let pair =
        Pair { consumer: open("--consumer", &arguments.consumer)?, source: open("--source", &arguments.source)? };
    let since = arguments.since.as_deref().map(|rev| pair.time_of(rev)).transpose()?;
    let mut done: Vec<(Backtest, History, History)> = Vec::new();
    for gate in gates {
        done.push(pair.judge(gate, arguments, since)?);
    }
    print(&told(arguments.format, &pair, &done))?;
    Ok(DONE)
}

fn open(option: &str, folder: &Path) -> Result<Repository, Failure> {
    Repository::open(folder).map_err(|error| Failure::usage(format_args!("{option} {error}")))
}

fn told(format: Format, pair: &Pair, done: &[(Backtest, History, History)]) -> String {
    let subject = |mover: &Mover| pair.subject(mover);
    let told = done.iter().map(|(backtest, consumer, source)| Told {
        backtest,
        consumer: consumer.clone(),
        source: source.clone(),
        subject: &subject,
    });
    match format {
        Format::Text => told.map(|told| report::backtest::text(&told)).collect(),
        Format::Json => told.map(|told| report::backtest::json(&told) + "\n").collect(),
        Format::Html => report::timeline::document(&told.collect::<Vec<_>>()),
    }
}

/// Both repositories, with all their history.
struct Pair {
    consumer: Repository,
    source: Repository,
}

impl Pair {
    fn side(&self, side: Side) -> &Repository {
        match side {
            Side::Consumer => &self.consumer,
            Side::Source => &self.source,
        }
    }

    fn judge(
        &self,
        gate: &Gate,
        arguments: &Arguments,
        since: Option<i64>,
    ) -> Result<(Backtest, History, History), Failure> {
        let branch = gate.consumer.branches.first();
        let consumer = Branch::find(&self.consumer, arguments.consumer_rev.as_deref(), branch)?;
        let source = Branch::find(&self.source, arguments.source_rev.as_deref(), Some(&gate.source.branch))?;
        let lines = Lines { consumer: line(&self.consumer, &consumer)?, source: line(&self.source, &source)? };
        let walk = Walk { pair: self, source: &source.head, line: OnceCell::new() };
        let mut waiting = Waiting::new();
        let mut told = |done, all| waiting.tell(|| format!("{}: {done} of {all} moments", gate.name));
        let backtest = backtest::run(gate, &walk, &lines, since, &mut told).map_err(incomplete)?;
        let history = |place, branch: Branch, line: &[Step]| History {
            repo: repo_name(place),
            branch: branch.name,
            head: branch.head,
            commits: line.len(),
        };
        let consumer = history(&gate.consumer.place, consumer, &lines.consumer);
        let source = history(&gate.source.place, source, &lines.source);
        Ok((backtest, consumer, source))
    }

    /// When a revision of either repository was committed.
    fn time_of(&self, rev: &str) -> Result<i64, Failure> {
        let in_consumer = self.consumer.resolve(rev);
        let (repository, commit) = match in_consumer {
            Ok(commit) => (&self.consumer, commit),
            Err(error) => {
                let both = |other| Failure::usage(format_args!("--since {rev}: {error}; {other}"));
                (&self.source, self.source.resolve(rev).map_err(both)?)
            }
        };
        repository.objects().subject(&commit).map(|(_, time)| time).map_err(incomplete)
    }

    fn subject(&self, mover: &Mover) -> String {
        self.side(mover.side).objects().subject(&mover.commit).map(|(subject, _)| subject).unwrap_or_default()
    }
}

/// The branch whose history is walked.
struct Branch {
    name: String,
    head: ObjectId,
}

impl Branch {
    fn find(repository: &Repository, rev: Option<&str>, branch: Option<&String>) -> Result<Self, Failure> {
        if let Some(rev) = rev {
            return Ok(Self { name: rev.to_owned(), head: repository.resolve(rev).map_err(Failure::usage)? });
        }
        for name in branch
            .into_iter()
            .flat_map(|branch| [format!("refs/heads/{branch}"), format!("refs/remotes/origin/{branch}")])
        {
            if let Ok(head) = repository.resolve(&name) {
                let short = name.trim_start_matches("refs/heads/").trim_start_matches("refs/remotes/");
                return Ok(Self { name: short.to_owned(), head });
            }
        }
        Ok(Self { name: "HEAD".to_owned(), head: repository.resolve("HEAD").map_err(Failure::usage)? })
    }
}

fn line(repository: &Repository, branch: &Branch) -> Result<Vec<Step>, Failure> {
    let line = repository.objects().first_parents(&branch.head).map_err(incomplete)?;
    Ok(line.into_iter().map(|(commit, time)| Step { commit, time }).collect())
}

/// A history of which a part is missing, with how to get the rest.
fn incomplete(error: TreeError) -> Failure {
    let message = match &error {
        TreeError::NotHere(need) => format!(
            "{error}; the clone is partial: get the rest with `git -C {0} fetch --unshallow` (a shallow clone) or \
             `git -C {0} fetch --refetch --no-filter` (one with a filter)",
            need.repository
        ),
        error => error.to_string(),
    };
    Failure::failed(message)
}

/// Both repositories while one gate is judged over the source's line.
struct Walk<'a> {
    pair: &'a Pair,
    /// The end of that line.
    source: &'a ObjectId,
    /// How commits stand to its heads: read once somebody asks, and then for all of them.
    line: OnceCell<Line>,
}

impl Walk<'_> {
    fn line(&self) -> Result<&Line, TreeError> {
        if let Some(line) = self.line.get() {
            return Ok(line);
        }
        let line = Line::new(self.pair.source.objects(), self.source)?;
        Ok(self.line.get_or_init(|| line))
    }
}

impl World for Walk<'_> {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        let Revision::Commit(commit) = revision else { return Ok(None) };
        let repository = self.pair.side(side);
        if !repository.objects().has(commit) {
            return Ok(None);
        }
        Ok(Some(Arc::new(repository.tree(commit)?)))
    }

    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        let (Revision::Commit(commit), Revision::Commit(head)) = (commit, head) else { return Ok(Relation::Unknown) };
        let objects = self.pair.side(side).objects();
        let at_once = if side == Side::Source { self.line()?.standing(commit, head) } else { None };
        Ok(match at_once.map_or_else(|| objects.standing(commit, head), Ok)? {
            Standing::Same => Relation::Same,
            Standing::Behind(steps) => Relation::Behind(steps),
            Standing::Ahead => Relation::Ahead,
            Standing::Diverged => Relation::Diverged,
        })
    }

    fn merge_bases(&self, side: Side, one: &Revision, other: &Revision) -> Result<Vec<Revision>, TreeError> {
        let (Revision::Commit(one), Revision::Commit(other)) = (one, other) else { return Ok(Vec::new()) };
        Ok(self.pair.side(side).objects().merge_bases(one, other)?.into_iter().map(Revision::Commit).collect())
    }
}

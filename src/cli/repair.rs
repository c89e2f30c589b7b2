//! `drift-gate repair`: what would end the drift, as a patch, or written into the work tree.
//!
//! The same engine as the service's pull requests, and the same proof: nothing is shown that does not end in sync. The gates of a
//! consumer are repaired one on top of the other, as one commit would be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anstyle::Style;

use super::check::{Places, Sources, chosen};
use super::local::{Local, Pair};
use super::remote;
use super::{DONE, DRIFT, FAILED, Failure, configuration, print};
use crate::config::{Binding, Config, Gate};
use crate::gate::repair::{Edit, Proposed, Repair, joined, usual};
use crate::gate::verdict::Verdict;
use crate::gate::{Case, Revision, Side, repo_name};
use crate::report::{patch, safe};

mod write;

const BOLD: Style = Style::new().bold();

/// What `repair` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration; by default ./.drift-gate.toml, then ./drift-gate.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The consumer: a folder as it is on disk, or with --consumer-rev a repository; or an address, which is fetched
    #[arg(long, value_name = "DIR|URL", default_value = ".")]
    consumer: PathBuf,
    /// Repair this revision of the consumer instead of its files on disk, which only shows the patch
    #[arg(long, value_name = "REV", conflicts_with = "write")]
    consumer_rev: Option<String>,
    /// The source: a repository or an address; with several sources REPO=DIR for each. A folder without commits will do for
    /// copies. DRIFT_GATE_TOKEN is sent to the addresses named here
    #[arg(long, value_name = "[REPO=]DIR|URL")]
    source: Vec<String>,
    /// The source commit to adopt; by default the head of the gate's branch (also as origin's), or HEAD where the repository
    /// does not have it
    #[arg(long, value_name = "REV")]
    source_rev: Option<String>,
    /// Only this gate: NAME, or REPO:NAME where the file has gates of several consumers
    #[arg(long, value_name = "NAME")]
    gate: Option<String>,
    /// Write it into the consumer's folder
    #[arg(long)]
    write: bool,
}

/// One gate with its source.
struct Question {
    gate: Gate,
    source: Local,
}

/// Prints what would be changed, or changes it; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let config = Config::load_laptop(&configuration(arguments.config.as_deref())?)?;
    let gates = chosen(&config.gates, |gate| gate, arguments.gate.as_deref())?;
    let sources = Sources::new(&arguments.source, &gates)?;
    let places = Places::default();
    let is_address = arguments.consumer.to_str().is_some_and(remote::is_address);
    if arguments.write && is_address {
        return Err(Failure::usage("--write needs a folder with files, and --consumer names an address"));
    }
    let consumer = places.open("--consumer", &arguments.consumer, arguments.consumer_rev.as_deref(), "HEAD")?;
    if arguments.write && consumer.root().is_none() {
        let place = arguments.consumer.display();
        return Err(Failure::usage(format_args!("--write needs a folder with files, and --consumer {place} has none")));
    }
    let questions: Result<Vec<Question>, Failure> = gates
        .into_iter()
        .map(|gate| {
            let source = source(&places, sources.of(gate)?, arguments.source_rev.as_deref(), &gate.source.branch)?;
            let repairs = if gate.repairs.is_empty() { usual(gate) } else { gate.repairs.clone() };
            Ok(Question { gate: Gate { repairs, ..gate.clone() }, source })
        })
        .collect();
    let mut all =
        All { consumer: &consumer, write: arguments.write, edits: Vec::new(), now: BTreeMap::new(), codes: Vec::new() };
    for question in &questions? {
        all.answer(question)?;
    }
    all.end()
}

/// The source at a commit, where it has any.
fn source(places: &Places, place: &Path, rev: Option<&str>, branch: &str) -> Result<Local, Failure> {
    let is_address = place.to_str().is_some_and(remote::is_address);
    if rev.is_some() || is_address {
        return places.open("--source", place, rev, branch);
    }
    let folder = places.open("--source", place, None, branch)?;
    // A clone that was checked out at a commit has the branch as its origin's only.
    let revs = [branch.to_owned(), format!("origin/{branch}"), "HEAD".to_owned()];
    match revs.iter().find(|rev| folder.resolve(rev).is_ok()) {
        Some(rev) => places.open("--source", place, Some(rev), branch),
        None => Ok(folder),
    }
}

/// The repairs of one consumer.
struct All<'a> {
    consumer: &'a Local,
    write: bool,
    /// Of the consumer, each made on top of those before it.
    edits: Vec<Edit>,
    /// The files that they replace.
    now: BTreeMap<String, Vec<u8>>,
    codes: Vec<u8>,
}

impl All<'_> {
    fn answer(&mut self, question: &Question) -> Result<(), Failure> {
        let Question { gate, source } = question;
        let case = Case::Branch { consumer: self.consumer.revision.clone(), source: source.revision.clone() };
        let world = Pair::new(gate, self.consumer, source);
        let proposed = world.and_then(|world| Ok((world.propose(gate, &case, &self.edits)?, world)));
        let (proposed, world) = match proposed {
            Ok(proposed) => proposed,
            Err(why) => {
                Failure::failed(format_args!("gate `{}`: {why}", gate.name)).tell();
                self.codes.push(FAILED);
                return Ok(());
            }
        };
        match proposed {
            Proposed::Nothing => self.say(gate, DONE, "in sync, nothing to repair"),
            Proposed::Person(words) => self.say(gate, FAILED, &format!("a person must repair this: {words}")),
            Proposed::Repair(repair) if repair.dispatch.is_some() => self.workflow(gate, &repair),
            Proposed::Repair(repair) => {
                let at = repair.source.as_ref().map_or_else(String::new, |commit| format!(" at {}", commit.short()));
                let source_repo = repo_name(&gate.source.place);
                match repair.side {
                    Side::Consumer => {
                        self.say(gate, DRIFT, &format!("in sync with {source_repo}{at} after this"))?;
                        let more = bytes(&world, Side::Consumer, &self.consumer.revision, &repair.edits)?;
                        // The first to edit a file names the one that is there.
                        for (path, bytes) in more {
                            self.now.entry(path).or_insert(bytes);
                        }
                        self.edits = joined(std::mem::take(&mut self.edits), repair.edits);
                        Ok(())
                    }
                    Side::Source => {
                        let besides = if self.write {
                            ", which is not written from here: apply it in a clone of that"
                        } else {
                            ""
                        };
                        let words = format!("copies were edited here; in sync after this in {source_repo}{besides}");
                        self.say(gate, if self.write { FAILED } else { DRIFT }, &words)?;
                        let now = bytes(&world, Side::Source, &source.revision, &repair.edits)?;
                        print(&shown(&repair.edits, &now))
                    }
                }
            }
        }
    }

    fn workflow(&mut self, gate: &Gate, repair: &Repair) -> Result<(), Failure> {
        let workflow = repair.dispatch.as_ref().map_or("", |one| one.workflow.as_str());
        // A gate that follows is in sync, whether its workflow ran or not.
        let follows = gate.binding == Binding::Follow && repair.before.verdict == Verdict::InSync;
        let words = match follows {
            true => format!("in sync; whether {workflow} ran for this source commit is not known here"),
            false => format!("{workflow} ends this, which the service starts and the command line does not"),
        };
        self.say(gate, if follows { DONE } else { FAILED }, &words)
    }

    fn say(&mut self, gate: &Gate, code: u8, words: &str) -> Result<(), Failure> {
        self.codes.push(code);
        print(&format!("{BOLD}{}{BOLD:#}: {}\n", safe::one_line(&gate.name), safe::one_line(words)))
    }

    /// Shows or writes the edits of the consumer.
    fn end(self) -> Result<u8, Failure> {
        let all = &self.edits;
        if let Some(root) = self.consumer.root().filter(|_| self.write) {
            write::all(root, all, self.consumer)?;
            for edit in all {
                let done = if edit.content.is_some() { "wrote" } else { "removed" };
                print(&format!("{done} {}\n", safe::one_line(&edit.path)))?;
            }
        } else {
            print(&shown(all, &self.now))?;
        }
        let repaired = |code: &u8| if self.write && *code == DRIFT { DONE } else { *code };
        let codes: Vec<u8> = self.codes.iter().map(repaired).collect();
        Ok(if codes.contains(&DRIFT) { DRIFT } else { codes.into_iter().max().unwrap_or(FAILED) })
    }
}

/// The files that edits replace, as a side has them.
fn bytes(
    world: &Pair<'_>,
    side: Side,
    revision: &Revision,
    edits: &[Edit],
) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let there = edits.iter().filter(|edit| edit.was.is_some());
    // What another gate's repair makes new is not there.
    let read = there.filter_map(|edit| match world.bytes(side, revision, &edit.path) {
        Ok(Some(bytes)) => Some(Ok((edit.path.clone(), bytes))),
        Ok(None) => None,
        Err(why) => Some(Err(Failure::failed(why))),
    });
    read.collect()
}

/// The edits as one patch.
fn shown(edits: &[Edit], now: &BTreeMap<String, Vec<u8>>) -> String {
    edits.iter().map(|edit| patch::patch(edit, now.get(&edit.path).map(Vec::as_slice))).collect()
}

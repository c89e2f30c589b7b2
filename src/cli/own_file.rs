//! The gates of `check --onto` where the configuration is the consumer's own `.drift-gate.toml`: as in the service, a pull
//! request that changes that file is judged by the old file and the new one, and what it loosens is told.
//!
//! Both files are read from the commits, not from disk: the branch's head merged into the revision that it is for. The trap
//! handled here: the file may be gone from disk, or broken, because that is what the pull request does to it.

use std::path::Path;

use super::Failure;
use super::local::{Local, Pair};
use crate::config::{Config, ConfigError, Gate, Place};
use crate::gate::finding::{Finding, Undecided};
use crate::gate::own_file::{FILE, Invalid, file_gate};
use crate::gate::verdict::Verdict;
use crate::gate::{Before, Proposed, Report, Revision, weakened};

/// The context of what is said where no gate has one.
const CONTEXT: &str = "drift-gate";

/// What judged a pull request's base.
pub enum Base {
    /// The same gate.
    This,
    /// Another gate of that name.
    Other(Box<Gate>),
    /// No gate of that name.
    Nothing,
}

impl Base {
    /// Tells people of which configuration a gate is, where a pull request changes it.
    pub fn which(&self) -> Option<&'static str> {
        match self {
            Self::This => None,
            Self::Other(_) => Some("as this change would make it:"),
            Self::Nothing => Some("is new with this change:"),
        }
    }

    /// As the engine takes it.
    pub fn before(&self) -> Before<'_> {
        match self {
            Self::This => Before::This,
            Self::Other(gate) => Before::Other(gate),
            Self::Nothing => Before::Nothing,
        }
    }
}

/// What judges.
pub struct Judges {
    /// Each gate, with what judged the base.
    pub gates: Vec<(Gate, Base)>,
    /// What is to be said of the file itself, in the name of a gate for each context.
    pub told: Vec<(Gate, Report)>,
}

impl Judges {
    /// The gates of a configuration that no pull request changes.
    pub fn plain(config: Config) -> Self {
        Self { gates: config.gates.into_iter().map(|gate| (gate, Base::This)).collect(), told: Vec::new() }
    }

    /// The gates of the consumer's own file, where merging its revision into `base` is judged; `None` where neither has
    /// such a file, so that one that lies there is only the operator's.
    ///
    /// # Errors
    /// The repository cannot be read, or the file that counts cannot be used.
    pub fn of_pull(consumer: &Local, onto: &str, base: &Revision) -> Result<Option<Self>, Failure> {
        let head = &consumer.revision;
        let world = Pair::alone(consumer);
        let old = world.file(base, FILE).map_err(Failure::failed)?;
        let proposed = world.proposed(head, base, FILE).map_err(Failure::failed)?;
        let at_base = format!("{onto}:{FILE}");
        let old = match (old, &proposed) {
            (None, Proposed::AsBefore | Proposed::Gone) => return Ok(None),
            (None, _) => Vec::new(),
            (Some(bytes), Proposed::AsBefore) => return Ok(Some(Self::plain(parse(&bytes, &at_base)?))),
            // A pull request that mends the file is judged by what it makes of it.
            (Some(bytes), _) => parse(&bytes, &at_base).map_or_else(
                |error| {
                    Failure::from(error).tell();
                    Vec::new()
                },
                |config| config.gates,
            ),
        };
        let (new, findings, unknown) = match proposed {
            Proposed::AsBefore | Proposed::Gone => (Vec::new(), Vec::new(), None),
            Proposed::Unknown(why) => (old.clone(), Vec::new(), Some(why)),
            Proposed::Bytes(bytes) => match parse(&bytes, FILE) {
                Ok(config) => (config.gates, Vec::new(), None),
                Err(error) => {
                    let finding = Invalid::from(&error).finding();
                    Failure::from(error).tell();
                    (old.clone(), vec![finding], None)
                }
            },
        };
        let told = tell(&old, &new, &findings, unknown.as_deref(), (head, base));
        let added = new.into_iter().filter(|new| !old.iter().any(|old| old.digest == new.digest));
        let added: Vec<(Gate, Base)> = added
            .map(|new| {
                let replaced = old.iter().find(|old| is_same(old, &new));
                let before = replaced.map_or(Base::Nothing, |old| Base::Other(Box::new(old.clone())));
                (new, before)
            })
            .collect();
        let gates: Vec<(Gate, Base)> = old.into_iter().map(|gate| (gate, Base::This)).chain(added).collect();
        if gates.is_empty() && told.is_empty() {
            return Err(Failure::failed(format_args!(
                "{at_base} cannot be used, and the change leaves no gate in its place"
            )));
        }
        Ok(Some(Self { gates, told }))
    }
}

/// Whether the configuration that was named, or would be found, is the consumer's own.
pub fn is_own(config: Option<&Path>, consumer: &Path) -> bool {
    let file = config.unwrap_or(Path::new(FILE));
    let folder = match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return false,
    };
    let both = folder.canonicalize().ok().zip(consumer.canonicalize().ok());
    file.file_name().is_some_and(|name| name == FILE) && both.is_some_and(|(folder, consumer)| folder == consumer)
}

fn is_same(one: &Gate, other: &Gate) -> bool {
    one.name == other.name && one.consumer.place == other.consumer.place
}

fn parse(bytes: &[u8], name: &str) -> Result<Config, ConfigError> {
    // What is no UTF-8 becomes a character that no TOML has outside of texts, and a message names the line.
    Config::parse_laptop(&String::from_utf8_lossy(bytes), name)
}

/// What the file itself does wrong: what it loosens, or that it cannot be used.
fn tell(
    old: &[Gate],
    new: &[Gate],
    findings: &[Finding],
    unknown: Option<&str>,
    (head, base): (&Revision, &Revision),
) -> Vec<(Gate, Report)> {
    let mut contexts: Vec<&str> = old.iter().map(|gate| gate.context.as_str()).collect();
    contexts.sort_unstable();
    contexts.dedup();
    if contexts.is_empty() {
        contexts.push(CONTEXT);
    }
    let about = |context: &str| {
        let place = old.first().or(new.first()).map_or(Place::Here, |gate| gate.consumer.place.clone());
        let gate = file_gate(place, context, "");
        let under: Vec<Gate> = old.iter().filter(|gate| gate.context == context).cloned().collect();
        let loosened = weakened(&under, new, FILE);
        let findings: Vec<Finding> = findings.iter().cloned().chain(loosened).collect();
        if findings.is_empty() && unknown.is_none() {
            return None;
        }
        let mut report = Report::of_configuration(&gate, head.clone(), Some(base.clone()), findings);
        if let Some(why) = unknown {
            report.verdict = Verdict::Undecided;
            report.undecided.push(Undecided {
                path: FILE.to_owned(),
                cause: None,
                reason: why.to_owned(),
                inherited: false,
                content: why.to_owned(),
            });
        }
        Some((gate, report))
    };
    contexts.into_iter().filter_map(about).collect()
}

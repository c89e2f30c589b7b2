//! `drift-gate doctor`: whether what the configuration asks for can work, asked of the forges, the repositories and the
//! database, each fault with what it is needed for and how to mend it.
//!
//! It leaves nothing behind: rights are tried with calls that cannot do anything, and a test delivery says nothing new. With
//! `--fix` it makes webhooks and mends that of a GitHub App, and with `--protect` it requires the check; all else is for people.
//!
//! Traps handled here: what could not be asked is neither well nor ill, and has an exit code of its own; nothing that is told
//! holds a secret; one repository that cannot be read hides no fault of another.

mod app;
mod branches;
mod forge;
mod hooks;
mod repository;
mod service;
mod told;
mod wanted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DONE, DRIFT, FAILED, Failure, print};
use crate::config::{Config, Secret};
use crate::forge::http::{Timeouts, client};
use crate::forge::{ForgeError, Settings, connect_settings};
use crate::report::safe::one_line;

/// The configuration where none is named.
const CONFIG: &str = "drift-gate.toml";

/// What `doctor` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// The service's configuration
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Make the webhooks that are missing or wrong; of a GitHub App: mend its own
    #[arg(long)]
    fix: bool,
    /// With --fix: require the check on the gated branches too, and that pull requests are up to date
    #[arg(long, requires = "fix")]
    protect: bool,
    /// For people, or one JSON object
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// As it should be, or mended just now.
    Ok,
    /// Good to know; nothing that stops a gate from working.
    Note,
    /// Wrong.
    Problem,
    /// It could not be asked.
    Unknown,
}

/// What was found about one thing.
#[derive(Debug, serde::Serialize)]
struct Finding {
    /// What it is about: `forge main`, `main/molecule/core`, `service`.
    about: String,
    /// What was asked, stable for programs: `hook`, `required`.
    check: &'static str,
    level: Level,
    message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    /// What would mend it without a person: `--fix`, or `--fix --protect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mends: Option<&'static str>,
}

/// What mends webhooks.
const FIX: &str = "--fix";
/// What mends protections.
const PROTECT: &str = "--fix --protect";

/// All that was found, in the order in which it was asked.
#[derive(Debug, Default)]
struct Findings {
    all: Vec<Finding>,
    /// What the next ones are about.
    about: String,
}

impl Findings {
    /// The next findings are about this.
    fn begin(&mut self, about: impl Into<String>) {
        self.about = about.into();
    }

    fn add(&mut self, check: &'static str, level: Level, message: impl Into<String>) -> &mut Finding {
        let (about, message) = (self.about.clone(), message.into());
        self.all.push(Finding { about, check, level, message, fix: None, mends: None });
        let last = self.all.len() - 1;
        &mut self.all[last]
    }

    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Level::Ok, message);
    }

    fn note(&mut self, check: &'static str, message: impl Into<String>) -> &mut Finding {
        self.add(check, Level::Note, message)
    }

    fn problem(&mut self, check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> &mut Finding {
        let finding = self.add(check, Level::Problem, message);
        finding.fix = Some(fix.into());
        finding
    }

    /// Something that could not be asked.
    fn unknown(&mut self, check: &'static str, message: impl Into<String>) -> &mut Finding {
        self.add(check, Level::Unknown, message)
    }

    /// What a call said that should have gone through: a fault where asking again says the same, else nothing is known.
    fn failed(&mut self, check: &'static str, what: &str, error: &ForgeError, fix: &str) {
        match error {
            ForgeError::Transient { .. } | ForgeError::RateLimited { .. } => {
                self.unknown(check, format!("{what}: {error}")).fix = Some("run doctor again".to_owned());
            }
            error => drop(self.problem(check, format!("{what}: {error}"), fix)),
        }
    }

    /// A repository that answers under another name.
    fn renamed(&mut self, repo: &crate::forge::RepoName) {
        let message = format!("{repo} has another name now");
        self.problem("repository", message, "write its new name into the configuration");
    }

    fn count(&self, level: Level) -> usize {
        self.all.iter().filter(|finding| finding.level == level).count()
    }
}

impl Finding {
    fn mended_by(&mut self, flags: &'static str) {
        self.mends = Some(flags);
    }

    fn with_fix(&mut self, fix: impl Into<String>) -> &mut Self {
        self.fix = Some(fix.into());
        self
    }
}

/// What the checks share.
struct Doctor<'a> {
    config: &'a Config,
    forges: BTreeMap<String, Arc<dyn Settings>>,
    service: service::Service,
    /// May webhooks be written, and protections?
    fix: bool,
    protect: bool,
}

/// Asks everything, mends what it may, prints; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let config = Config::load(&arguments.config)?;
    config.check_secrets()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    let mut findings = Findings::default();
    runtime.block_on(ask(arguments, &config, &mut findings))?;
    match arguments.format {
        Format::Text => print(&told::text(&findings, &command(&arguments.config)))?,
        Format::Json => print(&format!("{}\n", told::json(&findings)))?,
    }
    Ok(if findings.count(Level::Problem) > 0 {
        DRIFT
    } else if findings.count(Level::Unknown) > 0 {
        FAILED
    } else {
        DONE
    })
}

/// The command line for this configuration.
fn command(config: &Path) -> String {
    if config == Path::new(CONFIG) {
        return "drift-gate doctor".to_owned();
    }
    format!("drift-gate doctor --config {}", one_line(&config.display().to_string()))
}

async fn ask(arguments: &Arguments, config: &Config, findings: &mut Findings) -> Result<(), Failure> {
    let client = client(Timeouts::default()).map_err(Failure::failed)?;
    let mut forges = BTreeMap::new();
    for (name, forge) in &config.forges {
        let token = forge.token.as_ref().map(Secret::read).transpose().map_err(Failure::usage)?;
        let settings = connect_settings(forge, token, client.clone()).map_err(Failure::usage)?;
        forges.insert(name.clone(), settings);
    }
    findings.begin("service");
    let service = service::look(config, &client, findings).await;
    let doctor = Doctor { config, forges, service, fix: arguments.fix, protect: arguments.protect };
    let mut subjects = wanted::subjects(config);
    for (name, forge) in &config.forges {
        let Some(settings) = doctor.forges.get(name) else { continue };
        findings.begin(format!("forge {name}"));
        if !forge::look(forge, settings.as_ref(), findings).await {
            // One fault is enough; its repositories would only repeat it.
            subjects.retain(|subject| subject.forge != *name);
            continue;
        }
        app::look(&doctor, (forge, settings.as_ref()), &subjects, findings).await;
    }
    for subject in &mut subjects {
        let Some(settings) = doctor.forges.get(&subject.forge) else { continue };
        findings.begin(format!("{}/{}", subject.forge, subject.repo));
        repository::look(&doctor, settings.as_ref(), subject, findings).await;
    }
    Ok(())
}

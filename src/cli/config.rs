//! `drift-gate config check | schema | example`.

use std::path::{Path, PathBuf};

use super::{DONE, Failure, configuration, print};
use crate::config::{self, Bringer, Commands, Config, ConfigError, Place, Repository};
use crate::gate::own_file::FILE;

/// What `config` does.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Says what is wrong with a configuration, or what it watches
    Check {
        /// The file, by default ./.drift-gate.toml, then ./drift-gate.toml; one called `.drift-gate.toml` is read as one of
        /// a repository
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Prints the JSON schema of drift-gate.toml
    Schema,
    /// Prints a complete, commented configuration
    Example,
}

/// Runs one of them; the exit code.
pub(super) fn run(command: &Command) -> Result<u8, Failure> {
    match command {
        Command::Check { file } => check(&configuration(file.as_deref())?)?,
        Command::Schema => print(&format!("{}\n", config::schema()))?,
        Command::Example => print(config::EXAMPLE)?,
    }
    Ok(DONE)
}

/// Secrets are not read: a laptop that checks the file does not have them.
fn check(file: &Path) -> Result<(), Failure> {
    let of_repository = file.file_name().is_some_and(|name| name == FILE);
    let config = if of_repository { Config::load_laptop(file)? } else { Config::load(file)? };
    let gates: Vec<&str> = config.gates.iter().map(|gate| gate.name.as_str()).collect();
    let word = if gates.len() == 1 { "gate" } else { "gates" };
    print(&format!("{}: ok, {} {word}: {}\n", file.display(), gates.len(), gates.join(", ")))?;
    match refused(&config, file).filter(|_| of_repository) {
        Some(why) => {
            print(&format!("\nnote: a laptop takes it, the service does not take it from a repository:\n{why}\n"))
        }
        None => Ok(()),
    }
}

/// Why the service would not take a repository's own file, whatever it lists for that repository; `None` where it would, or where
/// that is not known: for gates of several forges, and issues, which are told by the repository's name.
fn refused(config: &Config, file: &Path) -> Option<ConfigError> {
    let mut sources = Vec::new();
    for gate in &config.gates {
        let (Place::Here, Place::Url(source)) = (&gate.consumer.place, &gate.source.place) else { return None };
        let (rest, name) = source.rsplit_once('/')?;
        let (forge, owner) = rest.rsplit_once('/')?;
        sources.push((forge, format!("{owner}/{name}")));
    }
    let (forge_url, _) = *sources.first()?;
    if sources.iter().any(|(forge, _)| *forge != forge_url) || config.gates.iter().any(|gate| !gate.issues.is_empty()) {
        return None;
    }
    let repository = Repository {
        forge: "main".to_owned(),
        repo: "this repository".to_owned(),
        sources: sources.iter().map(|(_, repo)| repo.clone()).collect(),
        commands: Commands::default(),
        is_github: forge_url.ends_with("://github.com"),
    };
    let bringer = Bringer { repository: &repository, forge_url, default_branch: "main", taken: &[] };
    Config::parse_brought(&std::fs::read_to_string(file).ok()?, &file.display().to_string(), &bringer).err()
}

//! `drift-gate config check | schema | example`.

use std::path::{Path, PathBuf};

use super::{DONE, Failure, configuration, print};
use crate::config::{self, Config};
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
    print(&format!("{}: ok, {} {word}: {}\n", file.display(), gates.len(), gates.join(", ")))
}

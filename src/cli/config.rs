//! `drift-gate config check | schema | example`.

use std::path::{Path, PathBuf};

use super::{DONE, USAGE};
use crate::config::{self, Config};

/// What `config` does.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Says what is wrong with a configuration, or what it watches
    Check {
        /// The file; one called `.drift-gate.toml` is read as one of a repository
        #[arg(value_name = "FILE", default_value = "drift-gate.toml")]
        file: PathBuf,
    },
    /// Prints the JSON schema of drift-gate.toml
    Schema,
    /// Prints a complete, commented configuration
    Example,
}

/// Runs one of them; the exit code.
pub fn run(command: &Command) -> u8 {
    match command {
        Command::Check { file } => check(file),
        Command::Schema => {
            anstream::println!("{}", config::schema());
            DONE
        }
        Command::Example => {
            anstream::print!("{}", config::EXAMPLE);
            DONE
        }
    }
}

/// Secrets are not read: a laptop that checks the file does not have them.
fn check(file: &Path) -> u8 {
    let of_repository = file.file_name().is_some_and(|name| name == ".drift-gate.toml");
    let read = if of_repository { Config::load_laptop(file) } else { Config::load(file) };
    match read {
        Ok(config) => {
            let gates: Vec<&str> = config.gates.iter().map(|gate| gate.name.as_str()).collect();
            let word = if gates.len() == 1 { "gate" } else { "gates" };
            anstream::println!("{}: ok, {} {word}: {}", file.display(), gates.len(), gates.join(", "));
            DONE
        }
        Err(error) => {
            anstream::eprintln!("{error}");
            USAGE
        }
    }
}

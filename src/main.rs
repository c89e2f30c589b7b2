//! The command line: each command is a few lines, the work is in the library.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use drift_gate::cli;

/// Proves that what a repository bakes from another is what that other says, and tells both with a commit status.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service: receive webhooks, judge, post statuses.
    Serve(cli::serve::Arguments),
    /// Run the whole story on this machine, with a forge, two repositories and the service in one process.
    Demo(cli::demo::Arguments),
    /// Judge local repositories or folders, here and now.
    Check(cli::check::Arguments),
    /// Check, describe or show a configuration.
    #[command(subcommand)]
    Config(Config),
}

#[derive(Subcommand)]
enum Config {
    /// Read a configuration and say everything that is wrong with it.
    Check {
        /// The file; by default ./drift-gate.toml
        #[arg(default_value = "drift-gate.toml")]
        file: PathBuf,
    },
    /// Print the JSON schema of the configuration.
    Schema,
    /// Print a complete, commented configuration.
    Example,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let code = match arguments.command {
        Command::Serve(arguments) => cli::serve::run(arguments),
        Command::Demo(arguments) => cli::demo::run(arguments),
        Command::Check(arguments) => cli::check::run(arguments),
        Command::Config(Config::Check { file }) => cli::config::check(&file),
        Command::Config(Config::Schema) => cli::config::schema(),
        Command::Config(Config::Example) => cli::config::example(),
    };
    ExitCode::from(code)
}

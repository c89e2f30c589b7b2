//! The commands: each reads its arguments, calls the rooms, prints, and answers with an exit code. It may use every room;
//! nothing but `main` uses it.
//!
//! Exit codes are a contract: [`DONE`], [`DRIFT`], [`USAGE`], [`FAILED`]. Trap handled here: a reader that goes away
//! (`drift-gate config example | head`) ends the output, not the program.

pub mod backtest;
pub mod check;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod init;
mod local;
mod own_file;
mod remote;
pub mod repair;
pub mod serve;
pub mod status;
pub mod store;
pub mod tree;
mod waiting;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use clap::{Parser, Subcommand};

use crate::config::ConfigError;
use crate::gate::own_file::FILE;

/// In sync, or done.
pub const DONE: u8 = 0;
/// Drift.
pub const DRIFT: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// Undecided, or could not run.
pub const FAILED: u8 = 3;

/// Proves that what a repository bakes, copies or pins is what its source of truth says.
#[derive(Parser)]
#[command(name = "drift-gate", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 in sync or done, 1 drift, 2 usage or configuration, 3 undecided or could not run.";

#[derive(Subcommand)]
enum Command {
    /// The verdict on local repositories and folders, here and now
    Check(check::Arguments),
    /// What would end the drift, as a patch or written into the work tree
    Repair(repair::Arguments),
    /// The file tree that a docker build would produce, without building
    Tree(tree::Arguments),
    /// The verdict at every moment of two histories: when drift began, and when it ended
    Backtest(backtest::Arguments),
    /// The whole loop on embedded parts: a forge, two repositories, drift-gate between them
    Demo(demo::Arguments),
    /// What a kind of finding means, and what to do about it
    Explain(explain::Arguments),
    /// The service: webhooks in, a commit status on both repositories out
    Serve(serve::Arguments),
    /// The service's database: backup, check, prune
    #[command(subcommand)]
    Store(store::Command),
    /// What a service is doing: what is dirty, leased, parked and unsent, and the last gap
    Status(status::Arguments),
    /// From two repositories to a configuration: finds what is baked and pinned, proposes gates, shows their verdict
    Init(init::Arguments),
    /// Whether all that the configuration asks for can work; --fix makes webhooks
    Doctor(doctor::Arguments),
    /// Checks, explains or prints configurations
    #[command(subcommand)]
    Config(config::Command),
}

/// Runs a parsed command line; the exit code.
pub fn run(cli: Cli) -> u8 {
    let done = match cli.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Repair(arguments) => repair::run(&arguments),
        Command::Tree(arguments) => tree::run(&arguments),
        Command::Backtest(arguments) => backtest::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Store(command) => store::run(&command),
        Command::Status(arguments) => status::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Config(command) => config::run(&command),
    };
    done.unwrap_or_else(|failure| {
        failure.tell();
        failure.code
    })
}

/// Why a command ends early, and its exit code.
struct Failure {
    code: u8,
    /// As it is printed.
    message: String,
}

impl Failure {
    fn usage(message: impl std::fmt::Display) -> Self {
        Self { code: USAGE, message: error(message) }
    }

    fn failed(message: impl std::fmt::Display) -> Self {
        Self { code: FAILED, message: error(message) }
    }

    /// Says it on standard error; if nobody listens there, the exit code must do.
    fn tell(&self) {
        let _ = writeln!(anstream::stderr(), "{}", self.message);
    }
}

impl From<ConfigError> for Failure {
    /// Such an error names its place by itself.
    fn from(error: ConfigError) -> Self {
        Self { code: USAGE, message: error.to_string() }
    }
}

fn error(message: impl std::fmt::Display) -> String {
    const RED: Style = AnsiColor::Red.on_default().bold();
    format!("{RED}error{RED:#}: {message}")
}

/// Prints a command's result. A reader that has seen enough is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format_args!("the result cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// The configuration that was named, or the one that is found here.
fn configuration(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let places = [Path::new(FILE), Path::new("drift-gate.toml")];
    let found = places.into_iter().find(|path| path.exists()).map(Path::to_owned);
    found.ok_or_else(|| {
        Failure::usage(
            "there is neither ./.drift-gate.toml nor ./drift-gate.toml: name a configuration, or begin with \
             `drift-gate config example > drift-gate.toml`",
        )
    })
}

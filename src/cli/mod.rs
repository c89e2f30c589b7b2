//! The commands: each reads its arguments, calls the rooms, prints, and answers with an exit code. It may use every room;
//! nothing but `main` uses it.
//!
//! Exit codes are a contract: [`DONE`], [`DRIFT`], [`USAGE`], [`FAILED`].

pub mod check;
pub mod config;
mod local;
pub mod serve;
pub mod tree;

use clap::{Parser, Subcommand};

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
    /// The file tree that a docker build would produce, without building
    Tree(tree::Arguments),
    /// The service: webhooks in, a commit status on both repositories out
    Serve(serve::Arguments),
    /// Checks, explains or prints configurations
    #[command(subcommand)]
    Config(config::Command),
}

/// Runs a parsed command line; the exit code.
pub fn run(cli: Cli) -> u8 {
    match cli.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Tree(arguments) => tree::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Config(command) => config::run(&command),
    }
}

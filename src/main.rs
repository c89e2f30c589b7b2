//! The command line of drift-gate; everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use drift_gate::cli::{Cli, run};

fn main() -> ExitCode {
    ExitCode::from(run(Cli::parse()))
}

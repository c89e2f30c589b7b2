//! The commands of `drift-gate`, one file each. Every command returns its exit code: 0 in sync or done, 1 drift, 2 usage
//! or configuration, 3 undecided or could not run.

pub mod check;
pub mod config;
pub mod demo;
pub mod serve;

/// In sync, or done.
pub const DONE: u8 = 0;
/// Drift is shown.
pub const DRIFT: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// Undecided, or the command could not do its work.
pub const FAILED: u8 = 3;

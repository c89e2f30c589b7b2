//! drift-gate: proves that what a repository bakes, copies or pins is what its source of truth says.
//!
//! The house has rooms; each says in its own first lines why it exists and what it may use.
//!
//! | room | what it is | may use |
//! |---|---|---|
//! | [`config`] | what an operator writes | nobody |
//! | [`tree`] | how everything reads a tree of files (pure) | nobody |
//! | [`dockerfile`] | what a Dockerfile would bake (pure) | `tree` |
//! | [`gate`] | what drift is (pure) | `config`, `dockerfile`, `tree` |
//! | [`backtest`] | what the verdict was at every moment of two histories (pure) | `gate`, `config`, `tree` |
//! | [`report`] | a verdict for people and machines | `backtest`, `gate` and what it may use |
//! | [`snapshot`] | where trees come from: git objects, directories | `tree` |
//! | [`git`] | repository caches and the wire | `snapshot`, `tree` |
//! | [`forge`] | who hosts the repositories | `config` |
//! | [`store`] | what survives a restart | nobody |
//! | [`controller`] | what happens when | all above |
//! | [`web`] | what people and webhooks see | `controller` and all above |
//! | [`demo`] | a stand-in forge in one process | `git`, `snapshot`; only the command line knows it |
//!
//! A test (`tests/architecture.rs`) reads the `use` paths and holds this table.

// Nothing that arrives may end the process; a test that cannot go on may say so.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
// Results are written by the commands, which know what to do when nobody reads them.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod backtest;
pub mod cli;
pub mod config;
pub mod controller;
pub mod demo;
pub mod dockerfile;
pub mod forge;
pub mod gate;
pub mod git;
pub mod metrics;
pub mod report;
pub mod snapshot;
pub mod store;
pub mod tree;
pub mod web;

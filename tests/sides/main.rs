//! The command line on whole repositories: what it prints for machines, sides at addresses, folders that a build was given,
//! and the past.

mod addresses;
mod backtests;
mod checkouts;
mod formats;
mod world;

//! What a person at a terminal sees: `drift-gate` as a program, on repositories made here. No git program is needed.

mod builds;
mod check;
mod config;
mod folders;
mod gates;
mod input;
mod nonsense;
mod pulls;
mod terminal;
mod world;

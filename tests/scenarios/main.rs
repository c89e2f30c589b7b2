//! Stories: what a person would see on the forge, told against the built-in stand-in, or against a real Gitea or Forgejo
//! when `DRIFT_GATE_FORGE_BIN` names its executable.

mod app;
mod audit;
mod brought;
mod comments;
mod ends;
mod faults;
#[allow(dead_code, reason = "the kills use all of it")]
mod host;
mod inputs;
mod issues;
mod paired;
mod pulls;
mod pushes;
mod relay;
mod repairs;
mod talk;
mod world;

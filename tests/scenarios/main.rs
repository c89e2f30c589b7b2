//! Stories: what a person would see on the forge, told against the built-in stand-in, or against a real Gitea or Forgejo
//! when `DRIFT_GATE_FORGE_BIN` names its executable.

mod app;
mod audit;
mod brought;
mod comments;
mod copies;
mod ends;
mod faults;
#[allow(dead_code, reason = "the kills use all of it")]
mod host;
mod inputs;
mod issues;
mod ours;
mod paired;
#[allow(dead_code, reason = "the store's tests use all of it")]
#[path = "../postgres/mod.rs"]
mod postgres;
mod pulls;
mod pushes;
mod relay;
mod repairs;
mod replicas;
mod stamps;
mod talk;
mod world;

//! From nothing to a required check: what `init` and `doctor` say and do, on the built-in stand-in, or on a real Gitea or Forgejo
//! when `DRIFT_GATE_FORGE_BIN` names its executable.

mod app;
mod ci;
mod doctor;
#[allow(dead_code, reason = "the command line's tests use all of it")]
#[path = "../cli/world.rs"]
mod folders;
mod github;
#[allow(dead_code, reason = "the scenarios use all of it")]
#[path = "../scenarios/host.rs"]
mod host;
mod init;
mod input;
#[allow(dead_code, reason = "the scenarios use all of it")]
#[path = "../scenarios/relay.rs"]
mod relay;
mod service;
mod story;
mod world;

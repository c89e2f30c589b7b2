//! A stand-in forge in one process: for `drift-gate demo`, and for the scenario tests where no real forge is at hand.
//!
//! It speaks as a Gitea 1.26 does, as far as drift-gate and a story need it, and everything in it is real: repositories are
//! bare git repositories on disk, the API and git's smart HTTP are served on a socket, deliveries are signed and come over
//! HTTP. `tests/standin/` holds recordings of a real one against it. Not here: teams, sessions and passwords, reviews,
//! labels, SSH, and whatever else nobody asks.
//!
//! It may use `snapshot` (for how libgit2 is set up), `git` and `tree`; only the command line knows it.
//!
//! - [`forge`] remembers and decides; [`wire`] is its JSON; [`rest`] the API; [`git_http`] and [`smart_http`] are git's
//!   side; [`hooks`] delivers; [`page`] is what people see.
//! - [`scene`] is the two repositories of the demo, [`person`] someone who works on them, over the API as on any forge.
//! - One lock holds the whole: answers and deliveries tell one moment, and what follows from a change (a closed pull request,
//!   a copied head) is there when its answer is.

pub mod auth;
pub mod forge;
pub mod git_http;
pub mod hooks;
pub mod page;
pub mod person;
pub mod rest;
pub mod scene;
pub mod smart_http;
mod stand_in;
pub mod wire;

pub use stand_in::StandIn;

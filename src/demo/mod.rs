//! A stand-in forge in one process: what the stories need of a Gitea, without a Gitea.
//!
//! It may use `git`, `snapshot` and `tree`, and only the command line knows it.

pub mod smart_http;

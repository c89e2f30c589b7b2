//! The forges' adapters against servers that answer as real ones were recorded to, and against servers that no one would
//! wish for; webhooks as a real Gitea sent them.

mod app;
mod conversation;
mod gitea;
mod github;
mod hostile;
mod server;
mod settings;
mod webhook;
mod writing;

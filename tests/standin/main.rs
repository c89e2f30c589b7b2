//! The stand-in forge, asked by real clients.

mod git_client;
mod hostile;
mod own_client;
mod recorded;
mod smart;

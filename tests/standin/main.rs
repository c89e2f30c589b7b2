//! The stand-in forge, asked by real clients.

mod answers;
mod forge;
mod git_client;
mod hostile;
mod likeness;
mod own_client;
mod recorded;
mod smart;

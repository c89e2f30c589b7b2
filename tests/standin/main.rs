//! The stand-in forge, asked by real clients.

mod answers;
mod deliveries;
mod forge;
mod git_client;
mod git_forge;
mod github;
mod hostile;
mod likeness;
mod own_client;
mod pages;
mod recorded;
mod refusals;
mod smart;
mod teams;
mod writing;

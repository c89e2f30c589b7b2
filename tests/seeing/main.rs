//! What an operator sees of the real program: its API, `drift-gate status`, its log, and that the documents name what is there.

mod api;
mod documents;
mod log;
mod status;
mod world;

//! Requests that no git sends.

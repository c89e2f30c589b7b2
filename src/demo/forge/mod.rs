//! The forge itself: what it remembers ([`State`]), what it keeps on disk ([`bare::Bare`]), and what follows from what.
//!
//! Nothing here knows HTTP but the names of its refusals. Everything that changes something takes the account that does it:
//! hooks tell who it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub mod apps;
pub mod bare;
pub mod contents;
mod glob;
pub mod marks;
pub mod model;
pub mod pulls;
pub mod refs;
pub mod refusal;
pub mod repos;
pub mod state;
pub mod statuses;
pub mod subscriptions;
mod talk;
pub mod teams;

pub use refusal::Refusal;
pub use state::{State, Viewer};

/// The forge, shared by all that serve it.
#[derive(Clone)]
pub struct Forge(Arc<Mutex<State>>);

impl Forge {
    /// Shares what a forge remembers.
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// Holds the forge still. One who panicked meanwhile left nothing half done that a stand-in would mind.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

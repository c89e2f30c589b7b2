//! Request bodies under a budget: how much of them is held in memory at one time, and for how long.
//!
//! Bodies are read before anybody knows who sent them, so what they may cost is bounded for all of them together: small
//! ones (nearly every delivery) by the number of connections, larger ones by one shared budget that they wait for. A
//! declared length over the cap is refused unread; a body without a declared length stops at the cap.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::Limits;

/// The budget is counted in these.
const UNIT: usize = 1 << 10;

/// The budget that all request bodies share.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    large: Arc<Semaphore>,
    limits: Limits,
}

/// A body's bytes; they count against the budget until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub bytes: Vec<u8>,
    _share: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Over the cap.
    TooLarge,
    /// Did not arrive in time.
    Slow,
    /// The budget stayed taken by others.
    Busy,
    /// Ended before its end.
    Broken,
}

impl Refusal {
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

impl Bodies {
    pub fn new(limits: Limits) -> Self {
        // The largest body that is allowed must fit, else it would wait for ever.
        let budget = limits.large_bodies.max(limits.body_cap);
        Self { large: Arc::new(Semaphore::new(units(budget) as usize)), limits }
    }

    /// Whether a body says of itself that it is over the cap.
    pub fn is_too_large(&self, body: &Body) -> bool {
        body.size_hint().lower() > self.limits.body_cap as u64
    }

    /// Reads `body` up to `cap` bytes (and never beyond the general cap).
    pub async fn read(&self, mut body: Body, cap: usize) -> Result<Held, Refusal> {
        let cap = cap.min(self.limits.body_cap);
        let declared = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if declared.is_some_and(|length| length > cap) {
            return Err(Refusal::TooLarge);
        }
        let deadline = Instant::now() + self.limits.body_timeout;
        let mut bytes = Vec::with_capacity(declared.unwrap_or(0).min(self.limits.small_body));
        let mut share = None;
        while let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(|_| Refusal::Slow)? {
            let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > cap {
                return Err(Refusal::TooLarge);
            }
            if share.is_none() && length > self.limits.small_body {
                // Whole, not bit by bit: two bodies that each hold half of what they need would wait for each other.
                // And only now, so that nobody can take the budget with a head alone.
                let whole = declared.unwrap_or(cap);
                let wait = Arc::clone(&self.large).acquire_many_owned(units(whole));
                let permit = timeout_at(deadline, wait).await.map_err(|_| Refusal::Busy)?;
                share = Some(permit.map_err(|_| Refusal::Busy)?);
                bytes = roomy(&bytes, whole);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Held { bytes, _share: share })
    }
}

/// A copy of `begun` with room for `whole` bytes, so that it never grows: growing would hold the old and the new copy.
///
/// Large ones get more room than an allocator keeps when it is given back (32 MiB is the most that glibc's sliding
/// threshold reaches): they are mapped and unmapped one by one. Else each thread's arena would keep the largest body that
/// it ever held. Pages that are never written cost no memory.
fn roomy(begun: &[u8], whole: usize) -> Vec<u8> {
    const LARGE: usize = 1 << 20;
    const ALWAYS_MAPPED: usize = 33 << 20;
    let mut bytes = Vec::with_capacity(if whole > LARGE { whole.max(ALWAYS_MAPPED) } else { whole });
    bytes.extend_from_slice(begun);
    bytes
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bodies() -> Bodies {
        Bodies::new(Limits {
            body_cap: 4096,
            small_body: 1024,
            large_bodies: 4096,
            body_timeout: Duration::from_millis(50),
            ..Limits::default()
        })
    }

    #[tokio::test]
    async fn a_body_comes_back_as_it_was_sent() {
        let held = bodies().read(Body::from("hello"), 4096).await.unwrap();
        assert_eq!(held.bytes, b"hello");
    }

    #[tokio::test]
    async fn a_body_over_the_cap_is_too_large() {
        assert_eq!(bodies().read(Body::from(vec![0; 5000]), 4096).await.unwrap_err(), Refusal::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_each_other_and_small_ones_do_not() {
        let bodies = bodies();
        let first = bodies.read(Body::from(vec![1; 4000]), 4096).await.unwrap();
        assert_eq!(bodies.read(Body::from(vec![2; 2000]), 4096).await.unwrap_err(), Refusal::Busy);
        assert!(bodies.read(Body::from(vec![3; 1000]), 4096).await.is_ok());
        drop(first);
        assert_eq!(bodies.read(Body::from(vec![2; 2000]), 4096).await.unwrap().bytes.len(), 2000);
    }
}

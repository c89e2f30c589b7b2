//! Something that is made by a call, kept while it is good, and made by one caller at a time.
//!
//! The races: many callers find it missing at once (one makes it, the others wait and get the same); what one of them made
//! fails (those who waited for it get its error instead of asking again one after the other); the one who makes it is
//! given up half-way (the next one makes it).

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::ForgeError;

pub(super) struct Flight<T> {
    made: Mutex<Made<T>>,
    /// How often it was tried to make it.
    tries: AtomicU64,
}

struct Made<T> {
    value: Option<T>,
    failure: Option<ForgeError>,
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self { made: Mutex::new(Made { value: None, failure: None }), tries: AtomicU64::new(0) }
    }
}

impl<T: Clone> Flight<T> {
    /// What there is, if it is `good`, else what `make` makes.
    pub async fn get(
        &self,
        good: impl Fn(&T) -> bool,
        make: impl Future<Output = Result<T, ForgeError>>,
    ) -> Result<T, ForgeError> {
        let before = self.tries.load(Ordering::Acquire);
        let mut made = self.made.lock().await;
        if let Some(value) = made.value.as_ref().filter(|value| good(value)) {
            return Ok(value.clone());
        }
        if let Some(failure) = made.failure.as_ref().filter(|_| self.tries.load(Ordering::Acquire) != before) {
            return Err(failure.clone());
        }
        let answer = make.await;
        self.tries.fetch_add(1, Ordering::Release);
        match &answer {
            Ok(value) => *made = Made { value: Some(value.clone()), failure: None },
            Err(error) => *made = Made { value: None, failure: Some(error.clone()) },
        }
        answer
    }

    /// What there is, good or not.
    pub async fn peek(&self) -> Option<T> {
        self.made.lock().await.value.clone()
    }

    /// Lets go of what there is, if it is still `that`: somebody else may have made it anew meanwhile.
    pub async fn forget(&self, that: impl Fn(&T) -> bool) {
        let mut made = self.made.lock().await;
        if made.value.as_ref().is_some_and(that) {
            made.value = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn what_many_want_at_once_is_made_once_and_so_is_its_failure() {
        for fails in [false, true] {
            let (flight, calls) = (Arc::new(Flight::<u64>::default()), Arc::new(AtomicU64::new(0)));
            let want = async || {
                let make = async {
                    tokio::task::yield_now().await;
                    let call = calls.fetch_add(1, Ordering::SeqCst);
                    let what = "POST".to_owned();
                    if fails { Err(ForgeError::NotFound { what }) } else { Ok(call) }
                };
                flight.get(|_| true, make).await.is_err()
            };
            let all = futures_util::future::join_all((0..8).map(|_| want())).await;
            assert_eq!(all, [fails; 8]);
            assert_eq!(calls.load(Ordering::SeqCst), 1);
            want().await;
            assert_eq!(calls.load(Ordering::SeqCst), if fails { 2 } else { 1 }, "a failure is not kept");
        }
    }

    #[tokio::test]
    async fn only_what_is_still_there_is_forgotten() {
        let flight = Flight::default();
        assert_eq!(flight.get(|_| true, async { Ok(1) }).await.ok(), Some(1));
        flight.forget(|value| *value == 7).await;
        assert_eq!(flight.get(|_| true, async { Ok(2) }).await.ok(), Some(1));
        flight.forget(|value| *value == 1).await;
        assert_eq!(flight.get(|_| true, async { Ok(2) }).await.ok(), Some(2));
        assert_eq!(flight.get(|value| *value > 2, async { Ok(3) }).await.ok(), Some(3), "it was not good any more");
    }
}

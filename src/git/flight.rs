//! Equal requests at the same time are one request.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

type Flying<K, T> = Mutex<HashMap<K, Arc<OnceCell<T>>>>;

/// Shares the outcome of work among those who ask for it while it runs. Whoever asks afterwards starts it anew.
///
/// When the one who runs the work goes away (a request that was cancelled), one of those who wait runs it in their place.
pub struct Flights<K, T>(Flying<K, T>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Takes the entry out when the asking ends, in whichever way.
struct Landing<'a, K: Eq + Hash, T> {
    flights: &'a Flying<K, T>,
    key: K,
    cell: Arc<OnceCell<T>>,
}

impl<K: Eq + Hash, T> Drop for Landing<'_, K, T> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // Two of the cell: the map's and ours. Others who wait keep the entry for those who come.
        let last = Arc::strong_count(&self.cell) <= 2;
        if (last || self.cell.initialized()) && flights.get(&self.key).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell))
        {
            flights.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash + Clone, T: Clone> Flights<K, T> {
    /// The outcome of `work`, run by us or by whoever asked before us.
    pub async fn share<F: Future<Output = T>>(&self, key: K, work: impl FnOnce() -> F) -> T {
        let cell = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            flights.entry(key.clone()).or_default().clone()
        };
        let landing = Landing { flights: &self.0, key, cell };
        landing.cell.get_or_init(work).await.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn those_who_ask_at_the_same_time_share_one_answer_and_later_ones_do_not() {
        let flights = Flights::<&str, u32>::default();
        let runs = AtomicU32::new(0);
        let gate = tokio::sync::Notify::new();
        let work = || async {
            gate.notified().await;
            runs.fetch_add(1, Ordering::SeqCst) + 1
        };
        let both = async { tokio::join!(flights.share("a", work), flights.share("a", work)) };
        let (answers, ()) = tokio::join!(both, async { gate.notify_one() });
        assert_eq!(answers, (1, 1));
        gate.notify_one();
        assert_eq!(flights.share("a", work).await, 2);
        assert!(flights.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn when_the_first_goes_away_another_does_the_work() {
        let flights = Flights::<&str, u32>::default();
        let mut first = Box::pin(flights.share("a", std::future::pending));
        assert!(futures_poll(first.as_mut()).await.is_none());
        let mut second = Box::pin(flights.share("a", || async { 2 }));
        assert!(futures_poll(second.as_mut()).await.is_none());
        drop(first);
        assert_eq!(second.await, 2);
        assert!(flights.0.lock().unwrap().is_empty());
    }

    /// Polls once.
    async fn futures_poll<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}

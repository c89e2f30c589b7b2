//! The server under the router: what a connection may cost, and how it ends.
//!
//! `axum::serve` keeps a connection whose head or body never ends for as long as the peer likes; here every phase of a
//! connection has an end: the head ([`Limits::header_timeout`], which also bounds idle keep-alive, because the clock
//! starts when the next head is awaited), the body (see [`super::bodies`]), and the connection as a whole
//! ([`Limits::connection_age`], which also ends a peer that never reads its answer).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a peer may take: sizes in bytes, times from the first moment they apply to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a request's head to arrive; a kept-alive connection is closed after being idle this long.
    pub header_timeout: Duration,
    /// For a request's body to arrive, the wait for memory included.
    pub body_timeout: Duration,
    /// Connections at one time; more wait in the listener's backlog.
    pub connections: usize,
    /// After this a connection ends with the answer that is under way.
    pub connection_age: Duration,
    /// What an answer that is under way may still take after that, and at shutdown.
    pub drain: Duration,
    /// The largest body that is read: GitHub sends no delivery larger than 25 MB.
    pub body_cap: usize,
    /// Bodies up to this size are bounded by `connections` alone; larger ones share `large_bodies`.
    pub small_body: usize,
    /// Bytes that all larger bodies together may hold; never less than `body_cap` in effect.
    pub large_bodies: usize,
    /// Pages made at one time; anybody may ask for one, and making it may ask the forge for contents.
    pub pages: usize,
    /// For a page to be made, the wait for its turn included.
    pub page_timeout: Duration,
    /// An answer to `/readyz` stands for this long: everybody may ask, and finding it writes to the store.
    pub readiness_kept: Duration,
    /// What a connection buffers of its input.
    pub read_buffer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            connections: 256,
            connection_age: Duration::from_secs(600),
            drain: Duration::from_secs(10),
            body_cap: 25 << 20,
            small_body: 32 << 10,
            large_bodies: 25 << 20,
            pages: 8,
            page_timeout: Duration::from_secs(10),
            readiness_kept: Duration::from_secs(1),
            read_buffer: 32 << 10,
        }
    }
}

/// Serves `router` on `listener` until `shutdown` is cancelled, then answers what is under way (at most
/// [`Limits::drain`]) and returns.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let slot = tokio::select! {
            () = shutdown.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot,
        };
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, or the peer gave up already. Asking again at once would spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let conversation = converse(stream, router.clone(), limits, shutdown.clone());
        connections.spawn(async move {
            conversation.await;
            drop(slot);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, from its first head to its end.
async fn converse(stream: TcpStream, router: Router, limits: Limits, shutdown: CancellationToken) {
    // Answers are small and written whole: waiting for more to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    // HTTP/1 only: telling the versions apart would read the first bytes without any time-out.
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.read_buffer.max(8 << 10));
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return tell(ended),
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(limits.connection_age) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = tokio::time::timeout(limits.drain, connection).await {
        tell(ended);
    }
}

/// A connection's end is the peer's business: broken off, timed out, not HTTP.
fn tell(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

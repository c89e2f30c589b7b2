//! What people and webhooks see: deliveries in; report pages, dashboard, badges, health and metrics out.
//!
//! Knows HTTP and HTML, and asks everything else of a [`Backend`]: it keeps no state but its budgets. Everything that
//! arrives is hostile until a signature or a token says otherwise; everything that is shown was decided by
//! [`page::visible`], the one place that knows who may see what ("Nothing private is told in a wider place",
//! `docs/design.md`).
//!
//! | part | what it is |
//! |---|---|
//! | [`serve`] | the server: every phase of a connection has an end |
//! | `bodies` | request bodies under one memory budget |
//! | `hooks` | `POST /hooks/{forge}` |
//! | `auth` | the operator's token, the login form and its cookie |
//! | [`page`] | `GET /r/{id}`: data, who may see what of it, HTML |
//! | [`dashboard`] | `GET /`, `GET /badge/{gate}.svg` |
//! | [`api`] | `GET /api/v1/...`: the same as JSON, for the operator |
//! | `health` | `GET /healthz`, `/readyz`, `/metrics` |
//!
//! Traps handled here: `axum::serve` waits for ever for heads and bodies; a form body has no signature that covers it;
//! file names, commit titles and descriptions are other people's text and may turn the direction of a line; a page
//! that is cached by its address must not be shown to the next reader with what only the last one may see.

pub mod api;
mod auth;
mod backend;
mod bodies;
pub mod dashboard;
mod health;
mod hooks;
mod html;
pub mod page;
mod serve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::sync::{Mutex, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::sensitive_headers::{SetSensitiveRequestHeadersLayer, SetSensitiveResponseHeadersLayer};
use tracing::Instrument;

use crate::config::ForgeKind;
use crate::controller::under_way::UnderWay;
use crate::forge::webhook::Delivery;
use crate::metrics::{Metrics, Queue};

pub use serve::{Limits, serve};

/// What stands behind the pages. Every method may be called at any time and by many at once.
#[async_trait::async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Takes a delivery that was verified and read. Durable before it returns `Ok`.
    async fn accept(&self, forge: &str, delivery: Delivery) -> Result<Accepted, Unavailable>;

    /// What holds for the wanted key with this id; `None` where there is no such key.
    async fn page(&self, id: &str) -> Result<Option<page::PageData>, Unavailable>;

    /// All gates and their branch heads.
    async fn overview(&self) -> Result<dashboard::Overview, Unavailable>;

    /// Deliveries, newest first: those before a number, or the newest.
    async fn deliveries(&self, before: Option<i64>, most: usize) -> Result<Vec<api::Delivery>, Unavailable>;

    /// Statuses of heads, last decided first: those behind a cursor, or the first.
    async fn targets(&self, after: Option<api::TargetCursor>, most: usize) -> Result<Vec<api::Target>, Unavailable>;

    /// Gates by their ids: those behind one, or the first.
    async fn gates(&self, after: Option<String>, most: usize) -> Result<Vec<api::Gate>, Unavailable>;

    /// Everything behind the status with this id; `None` where there is none.
    async fn report(&self, id: &str) -> Result<Option<api::Reports>, Unavailable>;

    /// Who did what by a comment, newest first: the lines before a number, or the newest.
    async fn audit(&self, before: Option<i64>, most: usize) -> Result<Vec<api::Audited>, Unavailable>;

    /// What is under way.
    async fn under_way(&self) -> Result<UnderWay, Unavailable>;

    /// What waits, for the metrics.
    async fn queue(&self) -> Result<Queue, Unavailable>;

    /// Everything that must work for the service to do its work: the store, the queue, each forge, each token.
    async fn ready(&self) -> Vec<Readiness>;
}

/// What a delivery was taken for; the forge's log shows the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Something will be looked at.
    Queued,
    /// No verdict can depend on it.
    Ignored,
    /// No gate names the repository.
    UnknownRepository,
}

/// The backend cannot do it now; whoever asks should ask again later. The text is for the log, not for the peer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// One thing that must work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Such as `store`, or `write molecule/core`: may hold a private repository's name.
    pub name: String,
    /// Why it does not work, in words; `None` when it does.
    pub trouble: Option<String>,
}

/// What the web needs to know of the configuration.
pub struct Settings {
    /// The address that people use, without trailing slash. A path in it (behind a proxy that strips it) is put before
    /// every link.
    pub public_url: String,
    /// The forges that may deliver, by name.
    pub forges: BTreeMap<String, HookForge>,
    /// Opens the dashboard, the names in `/readyz` and everything on report pages; without one nobody can.
    pub admin_token: Option<SecretString>,
    /// Signs the session cookie, together with the token: changing either ends all sessions.
    pub session_secret: SecretString,
    /// Everything is open to everyone: for a demonstration on a loopback address.
    pub open: bool,
    /// What a request may cost.
    pub limits: Limits,
    /// What time it is; tests have their own.
    pub clock: fn() -> DateTime<Utc>,
}

/// How a forge signs its deliveries.
#[derive(Clone, Debug)]
pub struct HookForge {
    /// Whose headers and payloads to expect.
    pub kind: ForgeKind,
    /// One or more; a delivery must be signed with one of them.
    pub secrets: Vec<SecretString>,
}

/// What every handler has.
pub(crate) struct App {
    backend: Arc<dyn Backend>,
    metrics: Metrics,
    settings: Settings,
    bodies: bodies::Bodies,
    /// Pages being made: a diff may have to be fetched, and anybody may ask.
    pages: Semaphore,
    /// The last answer to `/readyz` and when it was found: each one writes to the store.
    readiness: Mutex<Option<(Instant, Vec<Readiness>)>>,
    keys: Option<auth::Keys>,
    /// The path of `public_url`, without trailing slash; mostly "".
    base: String,
}

type Shared = State<Arc<App>>;

impl App {
    /// Asks the backend for what a page is made of, when it is this page's turn and while the reader waits.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        let answer = async {
            let _turn = self.pages.acquire().await.map_err(|error| Unavailable(error.to_string()))?;
            question.await
        };
        let late = |_| Err(Unavailable("it took too long".to_owned()));
        tokio::time::timeout(self.settings.limits.page_timeout, answer).await.unwrap_or_else(late)
    }
}

/// All routes, ready to be [served](serve).
pub fn router(backend: Arc<dyn Backend>, settings: Settings, metrics: Metrics) -> Router {
    let app = Arc::new(App {
        bodies: bodies::Bodies::new(settings.limits),
        pages: Semaphore::new(settings.limits.pages),
        readiness: Mutex::default(),
        keys: settings.admin_token.as_ref().and_then(|token| auth::Keys::new(token, &settings.session_secret)),
        base: base_path(&settings.public_url),
        backend,
        metrics,
        settings,
    });
    let secret = [header::AUTHORIZATION, header::COOKIE].into_iter().chain(SIGNATURES.map(HeaderName::from_static));
    Router::new()
        .route("/", get(dashboard::show))
        .route("/login", post(auth::log_in))
        .route("/logout", post(auth::log_out))
        .route("/r/{id}", get(page::show))
        .route("/badge/{file}", get(dashboard::badge))
        .route("/hooks/{forge}", post(hooks::receive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/deliveries", get(api::list_deliveries))
        .route("/api/v1/targets", get(api::list_targets))
        .route("/api/v1/gates", get(api::list_gates))
        .route("/api/v1/audit", get(api::list_audit))
        .route("/api/v1/reports/{id}", get(api::show_reports))
        .route("/api/{*rest}", get(api::missing))
        .route(html::STYLE_ROUTE, get(html::style))
        .route("/favicon.svg", get(html::icon))
        .fallback(missing)
        .method_not_allowed_fallback(not_allowed)
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            tracing::error!("a request ended in a panic; the lines above say where");
            line(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here; the log knows more")
        }))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(app.clone(), around))
        .layer(SetSensitiveResponseHeadersLayer::new([header::SET_COOKIE]))
        .layer(SetSensitiveRequestHeadersLayer::new(secret))
        .with_state(app)
}

/// Headers that hold a signature: not for logs.
const SIGNATURES: [&str; 5] =
    ["x-hub-signature", "x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature", "x-gogs-signature"];

/// Around every request: an id, a span, the counters, and the headers that every answer has.
async fn around(State(app): Shared, request: Request, next: Next) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // The peer's own id is not taken over: it is hostile text, and two could be equal.
    let id = format!("{:x}", NEXT.fetch_add(1, Ordering::Relaxed));
    let route = route_name(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    // The path, not the query: people put tokens there.
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.uri().path());
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let (took, status) = (began.elapsed(), response.status());
    app.metrics.request(route, status.as_u16(), took);
    span.in_scope(|| tracing::debug!(status = status.as_u16(), ?took, "answered"));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, html::POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    response
}

/// The label of a route: what is asked for and not there is all one.
fn route_name(matched: Option<&str>) -> &'static str {
    const ROUTES: [&str; 16] = [
        "/",
        "/login",
        "/logout",
        "/r/{id}",
        "/badge/{file}",
        "/hooks/{forge}",
        "/healthz",
        "/readyz",
        "/metrics",
        "/favicon.svg",
        "/api/v1/status",
        "/api/v1/deliveries",
        "/api/v1/targets",
        "/api/v1/gates",
        "/api/v1/audit",
        "/api/v1/reports/{id}",
    ];
    ROUTES.into_iter().find(|route| matched == Some(route)).unwrap_or("other")
}

async fn missing(State(app): Shared, request: Request) -> Response {
    if request.method() != Method::GET {
        return line(StatusCode::NOT_FOUND, "there is nothing here");
    }
    html::message(&app, StatusCode::NOT_FOUND, "Not found", "There is nothing at this address.")
}

async fn not_allowed(uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        return api::not_allowed();
    }
    line(StatusCode::METHOD_NOT_ALLOWED, "this address does not take that method")
}

/// An answer of one line of text.
fn line(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response()
}

/// 503, with the moment to come back.
fn unavailable(text: &str) -> Response {
    let mut response = line(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    response
}

/// The path of an address, without trailing slash.
fn base_path(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.find('/').map_or("", |slash| &after_scheme[slash..]).trim_end_matches('/').to_owned()
}

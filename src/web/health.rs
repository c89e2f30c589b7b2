//! Is it alive, can it work, what did it do.

use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{App, Readiness, Shared, line};

/// The process answers. Says nothing of its store or its forges: a restart would not mend those.
pub(super) async fn alive() -> Response {
    line(StatusCode::OK, "alive")
}

/// 200 when everything works that the service needs, else 503. Names may be those of private repositories: only the
/// operator reads them, others read how many.
pub(super) async fn ready(State(app): Shared, headers: HeaderMap) -> Response {
    let checks = checks(&app).await;
    let failing: Vec<_> = checks.iter().filter_map(|check| Some((check, check.trouble.as_deref()?))).collect();
    let status = if failing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut text = match failing.len() {
        0 => format!("ready: {} checks pass", checks.len()),
        failing => format!("not ready: {failing} of {} checks fail", checks.len()),
    };
    if app.is_operator(&headers) {
        for (check, trouble) in failing {
            text.push_str(&format!("\n{}: {}", one_line(&check.name), one_line(trouble)));
        }
    }
    line(status, &text)
}

/// The checks as they are now or were a moment ago; many who ask at once wait for one answer.
async fn checks(app: &App) -> Vec<Readiness> {
    let mut kept = app.readiness.lock().await;
    if let Some((found, checks)) = kept.as_ref()
        && found.elapsed() < app.settings.limits.readiness_kept
    {
        return checks.clone();
    }
    let checks = app.backend.ready().await;
    *kept = Some((Instant::now(), checks.clone()));
    checks
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted, for Prometheus. Its labels hold no name but those of configured forges.
pub(super) async fn metrics(State(app): Shared) -> Response {
    match app.ask(app.backend.queue()).await {
        Ok(queue) => app.metrics.queue(&queue),
        // The rest is still worth reading; the gauges keep what they said last.
        Err(error) => tracing::warn!(%error, "the metrics cannot tell what waits"),
    }
    ([(header::CONTENT_TYPE, OPEN_METRICS)], app.metrics.text()).into_response()
}

fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).collect::<Vec<_>>().join(" ")
}

//! `POST /hooks/{forge}`: deliveries of webhooks.
//!
//! The order is the point: what costs nothing comes first (is there such a forge, is there a signature at all, is the
//! declared length allowed), then the body under its budget, then its signature over the raw bytes, and only then is
//! anything parsed. The forge shows our one line of text to whoever set the hook up, so it says what to change.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::bodies::Refusal;
use super::{Accepted, App, HookForge, Shared, line, unavailable};
use crate::forge::webhook::{self, Delivery, Hint, ParseError, Rejected};
use crate::metrics::DeliveryResult;

/// Bodies beyond this are verified and parsed on a thread of their own, so that nobody else waits for them.
const LARGE: usize = 256 << 10;

pub(super) async fn receive(State(app): Shared, Path(name): Path<String>, request: Request) -> Response {
    // Only a configured name becomes a label or a log field.
    let Some((name, forge)) = app.settings.forges.get_key_value(&name) else {
        return line(StatusCode::NOT_FOUND, "no forge of that name is configured");
    };
    let (result, response) = take(&app, name, forge, request).await;
    app.metrics.delivery(name, result);
    response
}

async fn take(app: &Arc<App>, name: &str, forge: &HookForge, request: Request) -> (DeliveryResult, Response) {
    let (parts, body) = request.into_parts();
    if app.bodies.is_too_large(&body) {
        return refused(name, Refusal::TooLarge);
    }
    if !is_signed(&parts.headers) {
        return rejected(name, Rejected::Unsigned);
    }
    let held = match app.bodies.read(body, app.settings.limits.body_cap).await {
        Ok(held) => held,
        Err(refusal) => return refused(name, refusal),
    };
    let headers = parts.headers;
    let outcome = if held.bytes.len() <= LARGE {
        read(forge, &headers, &held.bytes)
    } else {
        let forge = forge.clone();
        let reading = tokio::task::spawn_blocking(move || read(&forge, &headers, &held.bytes));
        match reading.await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, forge = name, "a delivery could not be read");
                return (DeliveryResult::Unavailable, unavailable("the delivery could not be read; send it again"));
            }
        }
    };
    let delivery = match outcome {
        Ok(delivery) => delivery,
        Err(Unreadable::Rejected(reason)) => return rejected(name, reason),
        Err(Unreadable::Body(error)) => {
            tracing::warn!(forge = name, %error, "a signed delivery is not JSON");
            return (DeliveryResult::NotJson, line(StatusCode::BAD_REQUEST, &error.to_string()));
        }
    };
    let unknown = matches!(delivery.hint, Hint::Unknown);
    match app.backend.accept(name, delivery).await {
        Ok(Accepted::Queued) => (DeliveryResult::Accepted, line(StatusCode::ACCEPTED, "accepted")),
        Ok(Accepted::Ignored) if unknown => {
            (DeliveryResult::UnknownEvent, line(StatusCode::ACCEPTED, "nothing to do: unknown event"))
        }
        Ok(Accepted::Ignored) => {
            (DeliveryResult::Ignored, line(StatusCode::ACCEPTED, "nothing to do: no verdict depends on it"))
        }
        Ok(Accepted::UnknownRepository) => (
            DeliveryResult::UnknownRepository,
            line(StatusCode::ACCEPTED, "nothing to do: no gate names this repository"),
        ),
        Err(error) => {
            tracing::error!(forge = name, %error, "a delivery could not be stored");
            (DeliveryResult::Unavailable, unavailable("the delivery could not be stored; send it again"))
        }
    }
}

enum Unreadable {
    Rejected(Rejected),
    Body(ParseError),
}

fn read(forge: &HookForge, headers: &HeaderMap, body: &[u8]) -> Result<Delivery, Unreadable> {
    webhook::verify(forge.kind, headers, body, &forge.secrets).map_err(Unreadable::Rejected)?;
    webhook::parse(forge.kind, headers, body).map_err(Unreadable::Body)
}

/// Whether there is a signature worth reading a body for. Decides nothing but a refusal.
fn is_signed(headers: &HeaderMap) -> bool {
    ["x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature"]
        .iter()
        .any(|name| headers.get(*name).is_some_and(|value| !value.is_empty() && value != "sha256="))
}

/// 401; a body that is not JSON is 415, because a form has no signature that would cover it.
fn rejected(forge: &str, reason: Rejected) -> (DeliveryResult, Response) {
    tracing::warn!(forge, %reason, "a delivery was refused");
    let (result, status) = match reason {
        Rejected::ContentType => (DeliveryResult::NotJsonType, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        Rejected::Unsigned | Rejected::Malformed | Rejected::WrongSignature | Rejected::NoSecret => {
            (DeliveryResult::Unsigned, StatusCode::UNAUTHORIZED)
        }
    };
    (result, line(status, &reason.to_string()))
}

fn refused(forge: &str, refusal: Refusal) -> (DeliveryResult, Response) {
    tracing::warn!(forge, ?refusal, "a delivery's body was not read");
    match refusal {
        Refusal::TooLarge => (DeliveryResult::TooLarge, line(refusal.status(), "the body is larger than 25 MB")),
        Refusal::Busy => (DeliveryResult::Unavailable, unavailable("too many large deliveries at once; send it again")),
        Refusal::Slow => (DeliveryResult::Incomplete, line(refusal.status(), "the body did not arrive in time")),
        Refusal::Broken => (DeliveryResult::Incomplete, line(refusal.status(), "the body ended too early")),
    }
}

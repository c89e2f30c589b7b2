//! `GET /r/{id}`: what holds for one wanted key, for people.
//!
//! Three steps, each a type of its own: [`PageData`] is everything that is known; [`visible`] keeps what this reader may
//! see and turns it into [`Shown`]; only that can be rendered. So a page cannot show by mistake what the step before
//! withheld.

mod data;
mod diff;
mod render;
mod repair;
#[cfg(test)]
pub(super) mod tests;
mod visible;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::{Shared, html, unavailable};

pub use data::{
    Addresses, Diff, DiffLine, Earlier, Judged, Judgement, OnForge, Outcome, PageData, Repo, Role, Side, Told, Waived,
};
pub use diff::unified;
pub use render::render;
pub(super) use render::state_pill as render_state;
pub use repair::Repair;
pub use visible::{Reader, Shown, visible};

/// Ids are this many hexadecimal digits at most; anything else is not looked up.
const ID_LENGTH: usize = 64;

pub(super) async fn show(State(app): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let is_id = (1..=ID_LENGTH).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
    let found = if is_id { app.ask(app.backend.page(&id)).await } else { Ok(None) };
    let data = match found {
        Ok(Some(data)) => data,
        Ok(None) => {
            let text = "There is no report at this address. It may belong to a service with another link secret.";
            return html::message(&app, StatusCode::NOT_FOUND, "Not found", text);
        }
        Err(error) => {
            tracing::error!(%error, "a report page could not be read");
            return unavailable("the report cannot be read right now");
        }
    };
    let reader = if app.is_operator(&headers) { Reader::Operator } else { Reader::Anyone };
    let page = render(&visible(data, reader), &app.base, (app.settings.clock)()).into_string();
    // Weak: the answer may be compressed. The page as a whole, because its words ("3 minutes ago") are part of it.
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&page)[..16]));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let known = known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
    };
    let headers = response.headers_mut();
    // The operator sees more: no cache may hand one reader's page to the next.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("cookie, authorization"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

//! Answers as Gitea's API gives them.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::demo::forge::Refusal;

const JSON: &str = "application/json;charset=utf-8";

/// What a request is answered with when it is done as asked.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Option<Value>,
}

impl Answer {
    /// 200 with a value.
    pub fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: Some(body) }
    }

    /// 201 with what was made.
    pub fn created(body: Value) -> Self {
        Self { status: StatusCode::CREATED, ..Self::ok(body) }
    }

    /// 202 with what is on its way.
    pub fn accepted(body: Value) -> Self {
        Self { status: StatusCode::ACCEPTED, ..Self::ok(body) }
    }

    /// 201 without a word.
    pub fn made() -> Self {
        Self { status: StatusCode::CREATED, ..Self::empty() }
    }

    /// 200 without a word.
    pub fn empty() -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: None }
    }

    /// 204.
    pub fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: None }
    }

    /// 303: another place has the answer.
    pub fn see_other(location: String) -> Self {
        Self { status: StatusCode::SEE_OTHER, headers: vec![(header::LOCATION, location)], body: None }
    }

    /// The same with one more header.
    pub fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => ([(header::CONTENT_TYPE, JSON)], body.to_string()).into_response(),
            None => StatusCode::OK.into_response(),
        };
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// A refusal as the API says it, some without a word; `base` is the forge's address. A move is said by [`moved`].
pub fn refused(base: &str, refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = match refusal {
        // Only the log is told.
        Refusal::Broken(why) => {
            tracing::debug!(why, "the stand-in answers 500");
            String::new()
        }
        other => other.to_string(),
    };
    if matches!(refusal, Refusal::Forbidden(why) if why.is_empty()) {
        return status.into_response();
    }
    let mut body = json!({ "message": message, "url": format!("{base}/api/swagger") });
    if let Refusal::NotFound { detail, .. } = refusal {
        body["errors"] = json!(detail.as_ref().map(|detail| [detail]));
    }
    (status, [(header::CONTENT_TYPE, JSON)], body.to_string()).into_response()
}

/// The 301 of a renamed repository: for every method, with a relative address, and with a page for those who read.
pub fn moved(is_get: bool, location: &str) -> Response {
    let headers = [(header::LOCATION, location)];
    if is_get {
        let page = format!("<a href=\"{location}\">Moved Permanently</a>.\n\n");
        (StatusCode::MOVED_PERMANENTLY, headers, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page)
            .into_response()
    } else {
        (StatusCode::MOVED_PERMANENTLY, headers).into_response()
    }
}

//! Who asks: the operator, by token or by the session that the token opened, or anyone.
//!
//! The token is taken from an `Authorization: Bearer` header or from the login form, never from an address (addresses
//! end up in logs and histories). The form gives a cookie that holds its own end and an HMAC over it, not the token;
//! its key comes from the token and the service's secret, so a new token ends all sessions, nothing is stored, and every
//! replica knows the cookie. Comparisons take the same time whatever they compare.

use axum::extract::{Form, FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::{App, Shared, html, line, unavailable};

const COOKIE: &str = "drift_gate_session";
/// Seconds.
const SESSION: i64 = 12 * 3600;
/// A login form is a token and its name.
const FORM_CAP: usize = 4 << 10;

/// What tokens and cookies are checked with.
pub(crate) struct Keys {
    session: Hmac<Sha256>,
    /// Keys of HMACs, so that texts of any length are compared in constant time.
    compare: Hmac<Sha256>,
    token: [u8; 32],
}

impl Keys {
    /// `None` for an empty token: that would let everyone in.
    pub fn new(token: &SecretString, session_secret: &SecretString) -> Option<Self> {
        if token.expose_secret().is_empty() {
            return None;
        }
        let secret = |purpose: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(session_secret.expose_secret().as_bytes()).ok()?;
            mac.update(purpose.as_bytes());
            mac.update(token.expose_secret().as_bytes());
            Hmac::<Sha256>::new_from_slice(&mac.finalize().into_bytes()).ok()
        };
        let compare = secret("drift-gate token\0")?;
        let digest = compare.clone().chain_update(token.expose_secret()).finalize().into_bytes().into();
        Some(Self { session: secret("drift-gate session\0")?, compare, token: digest })
    }

    /// Whether `text` is the token.
    pub fn is_token(&self, text: &str) -> bool {
        self.compare.clone().chain_update(text).verify_slice(&self.token).is_ok()
    }

    /// A cookie's value that holds until `end` (Unix seconds).
    pub fn session(&self, end: i64) -> String {
        let mac = self.session.clone().chain_update(end.to_string());
        format!("{end}.{}", hex::encode(mac.finalize().into_bytes()))
    }

    /// Whether a cookie's value was made here and holds at `now` (Unix seconds).
    pub fn is_session(&self, value: &str, now: i64) -> bool {
        let Some((end, digits)) = value.split_once('.') else { return false };
        let mut bytes = [0; 32];
        let ours = hex::decode_to_slice(digits, &mut bytes).is_ok()
            && self.session.clone().chain_update(end).verify_slice(&bytes).is_ok();
        ours && end.parse::<i64>().is_ok_and(|end| now < end)
    }
}

impl App {
    /// Whether the operator asks (in the open, everybody is).
    pub(super) fn is_operator(&self, headers: &HeaderMap) -> bool {
        if self.settings.open {
            return true;
        }
        let Some(keys) = &self.keys else { return false };
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        bearer.is_some_and(|token| keys.is_token(token))
            || cookies(headers).any(|value| keys.is_session(value, (self.settings.clock)().timestamp()))
    }

    /// A `Set-Cookie` for this service alone. `Secure` where people come by https.
    fn cookie(&self, value: &str, age: i64) -> String {
        let secure = if self.settings.public_url.starts_with("https:") { "; Secure" } else { "" };
        format!("{COOKIE}={value}; Path={}/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}", self.base)
    }

    /// Back to the dashboard, with a cookie.
    fn home(&self, cookie: String) -> Response {
        let mut response = StatusCode::SEE_OTHER.into_response();
        let values = [(header::LOCATION, format!("{}/", self.base)), (header::SET_COOKIE, cookie)];
        for (name, value) in values {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[derive(serde::Deserialize)]
struct Login {
    token: String,
}

/// `POST /login`.
pub(super) async fn log_in(State(app): Shared, request: Request) -> Response {
    if from_elsewhere(request.headers()) {
        return line(StatusCode::FORBIDDEN, "log in on the dashboard itself");
    }
    let (parts, body) = request.into_parts();
    let held = match app.bodies.read(body, FORM_CAP).await {
        Ok(held) => held,
        Err(refusal) if refusal.status() == StatusCode::SERVICE_UNAVAILABLE => return unavailable("busy; try again"),
        Err(refusal) => return line(refusal.status(), "the login form could not be read"),
    };
    let request = Request::from_parts(parts, axum::body::Body::from(held.bytes));
    let Ok(Form(login)) = Form::<Login>::from_request(request, &()).await else {
        return line(StatusCode::BAD_REQUEST, "a login is a form with the field token");
    };
    match &app.keys {
        Some(keys) if keys.is_token(login.token.trim()) => {
            let end = (app.settings.clock)().timestamp() + SESSION;
            app.home(app.cookie(&keys.session(end), SESSION))
        }
        _ => {
            tracing::warn!("a login with a wrong token");
            html::login(&app, StatusCode::UNAUTHORIZED, Some("That is not the token."))
        }
    }
}

/// `POST /logout`.
pub(super) async fn log_out(State(app): Shared, headers: HeaderMap) -> Response {
    if from_elsewhere(&headers) {
        return line(StatusCode::FORBIDDEN, "log out on the dashboard itself");
    }
    app.home(app.cookie("", 0))
}

/// Whether a browser says that another site's page sent this form.
fn from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get(HeaderName::from_static("sec-fetch-site"));
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(token: &str, secret: &str) -> Keys {
        Keys::new(&token.to_owned().into(), &secret.to_owned().into()).unwrap()
    }

    #[test]
    fn only_the_token_is_the_token() {
        let keys = keys("correct horse", "secret");
        assert!(keys.is_token("correct horse"));
        for other in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!keys.is_token(other), "{other:?}");
        }
    }

    #[test]
    fn a_session_ends_by_itself_by_a_new_token_and_by_a_new_secret() {
        let session = keys("token", "secret").session(1000);
        assert!(!session.contains("token"));
        assert!(keys("token", "secret").is_session(&session, 999));
        assert!(!keys("token", "secret").is_session(&session, 1000));
        assert!(!keys("token2", "secret").is_session(&session, 999));
        assert!(!keys("token", "secret2").is_session(&session, 999));
    }

    #[test]
    fn a_session_with_another_end_is_forged() {
        let keys = keys("token", "secret");
        let session = keys.session(1000);
        let later = session.replacen("1000", "9999", 1);
        assert!(!keys.is_session(&later, 1500));
        assert!(!keys.is_session(&session[..session.len() - 2], 500));
        assert!(!keys.is_session("", 0));
    }

    #[test]
    fn an_empty_token_opens_nothing() {
        assert!(Keys::new(&String::new().into(), &"secret".to_owned().into()).is_none());
    }
}

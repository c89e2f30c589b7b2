//! What a forge answered, and what it means: one place decides what is worth asking again.

use std::time::Duration;

use ::http::{HeaderMap, StatusCode, Uri};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::ForgeError;

/// What a forge answered.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub what: String,
    /// What was asked.
    pub uri: Uri,
    /// The token, to keep it out of texts.
    pub secret: Option<SecretString>,
}

impl Answer {
    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The answer if it is a 2xx, else the error that it means.
    pub fn success(self) -> Result<Self, ForgeError> {
        if self.status.is_success() { Ok(self) } else { Err(self.failure()) }
    }

    /// Reads the body. Half a JSON document, or a proxy's page of HTML, may be whole the next time; JSON of another
    /// shape will not.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ForgeError> {
        serde_json::from_slice(&self.body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => ForgeError::Refused {
                what: self.what.clone(),
                status: self.status.as_u16(),
                message: self.clean(&format!("the answer has an unexpected shape: {error}")),
            },
            _ => ForgeError::Transient {
                what: self.what.clone(),
                message: format!("{}, but the answer is not whole JSON", self.status),
            },
        })
    }

    /// What the forge says for people: `message` and the `errors` beside it; the status's own name where it says
    /// nothing (Gitea's message of a 500 is empty for everyone but administrators, a proxy's body is HTML).
    pub fn message(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Body {
            #[serde(default)]
            message: Option<String>,
            #[serde(default)]
            errors: serde_json::Value,
        }
        let mut text = String::new();
        if let Ok(body) = serde_json::from_slice::<Body>(&self.body) {
            text = body.message.unwrap_or_default();
            for error in body.errors.as_array().into_iter().flatten() {
                // GitHub's bare code is about a field.
                let code = error["code"].as_str().map(|code| match error["field"].as_str() {
                    Some(field) => format!("{field} {code}"),
                    None => code.to_owned(),
                });
                if let Some(more) = error.as_str().or(error["message"].as_str()).or(code.as_deref()) {
                    text.push_str(if text.is_empty() { "" } else { "; " });
                    text.push_str(more);
                }
            }
        }
        if text.trim().is_empty() {
            return self.status.canonical_reason().unwrap_or("unknown status").to_owned();
        }
        self.clean(&text)
    }

    /// One line of moderate length, without the token should the forge have echoed it.
    fn clean(&self, text: &str) -> String {
        let secret = self.secret.as_ref().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
        let text = secret.map_or_else(|| text.to_owned(), |secret| text.replace(secret, "***"));
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
    }

    /// What an answer that is no success means.
    pub fn failure(&self) -> ForgeError {
        let (what, status, message) = (self.what.clone(), self.status.as_u16(), self.message());
        match status {
            301 | 302 | 303 | 307 | 308 => self.redirect(),
            401 | 403 | 429 => match self.rate_limit() {
                Some(after) => ForgeError::RateLimited { what, after },
                None => ForgeError::Denied { what, status, message: format!("{message}{}", self.why_denied()) },
            },
            404 => ForgeError::NotFound { what },
            408 | 500..=599 => ForgeError::Transient { what, message: format!("{status} {message}") },
            _ => ForgeError::Refused { what, status, message },
        }
    }

    /// What is worth knowing of a refusal besides its words: which permission the call needs, which GitHub says in a header;
    /// and that it is none of a forge's, which explain themselves in JSON.
    fn why_denied(&self) -> String {
        if !self.body.trim_ascii().is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(&self.body).is_err() {
            return " (not in the forge's JSON: does a proxy before the forge refuse us?)".to_owned();
        }
        self.needed()
    }

    /// GitHub says beside a refusal which permission the call needs.
    pub fn needed(&self) -> String {
        let headers = ["x-accepted-github-permissions", "x-accepted-oauth-scopes"];
        let said = headers.iter().find_map(|name| self.header(name).filter(|value| !value.trim().is_empty()));
        said.map(|said| format!(" (needed: {})", self.clean(said))).unwrap_or_default()
    }

    /// A repository under another name, or an address that the operator must correct (`http` for `https`, another host).
    /// No redirect is followed: the first would turn a POST into a GET, the second would carry the token elsewhere.
    fn redirect(&self) -> ForgeError {
        let what = self.what.clone();
        let here = Url::parse(&self.uri.to_string()).ok();
        let there = here.as_ref().zip(self.header("location")).and_then(|(here, to)| here.join(to).ok());
        if let (Some(here), Some(there)) = (here, there)
            && here.origin() != there.origin()
            && here.path() == there.path()
        {
            return ForgeError::Refused {
                what,
                status: self.status.as_u16(),
                message: format!(
                    "the forge answers from {}, which gets no token; set the forge's url to that address if it is right",
                    there.origin().ascii_serialization()
                ),
            };
        }
        if matches!(self.status.as_u16(), 301 | 307 | 308) && self.uri.path().contains("/repos/") {
            return ForgeError::Moved { what };
        }
        let message = "a redirect, which is not followed: is there a login page before the forge?".to_owned();
        ForgeError::Refused { what, status: self.status.as_u16(), message }
    }

    /// How long to wait, where the answer is about the rate of requests: any 429, and GitHub's 403 with `retry-after`,
    /// with nothing remaining, or about its secondary limit (which may name no time: a minute, as its documentation says).
    fn rate_limit(&self) -> Option<Duration> {
        const LONGEST: u64 = 3600;
        let number = |name: &str| self.header(name).and_then(|value| value.trim().parse::<u64>().ok());
        let now = || {
            let date = self.header("date").and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
            date.map_or_else(|| chrono::Utc::now().timestamp(), |date| date.timestamp()).unsigned_abs()
        };
        let retry_after = number("retry-after").or_else(|| {
            let date = chrono::DateTime::parse_from_rfc2822(self.header("retry-after")?).ok()?;
            Some(date.timestamp().unsigned_abs().saturating_sub(now()))
        });
        let reset = || number("x-ratelimit-reset").map(|reset| reset.saturating_sub(now()));
        let exhausted = number("x-ratelimit-remaining") == Some(0);
        let limited = match self.status.as_u16() {
            429 => true,
            403 => retry_after.is_some() || exhausted || self.message().to_lowercase().contains("rate limit"),
            _ => false,
        };
        let seconds = retry_after.or_else(|| exhausted.then(reset).flatten()).unwrap_or(60);
        limited.then(|| Duration::from_secs(seconds.clamp(1, LONGEST)))
    }
}

//! The one HTTP client of the program, and a forge's REST API on top of it.
//!
//! [`client`] makes the `reqwest` client that everything shares, git's smart HTTP included: one TLS stack, one set of
//! time-outs, one redirect policy (none). [`Api`] drives it through octocrab, which is transport and authorization here
//! and nothing else. The traps this part handles:
//!
//! - octocrab's typed models refuse Gitea's answers *after* the write has happened: every answer is read as bytes into
//!   types of our own (`wire`).
//! - octocrab's default stack repeats a failed POST at once and follows a 301 as a GET. Neither feature is compiled in,
//!   and the stack is put together here from the connector up; repeating is the controller's business.
//! - Its time-outs are for single reads, so a server that drips a byte a second holds a call for ever: the client's
//!   total time-out ends it. Its bodies have no limit: [`ANSWER_LIMIT`] holds after decompression.
//! - It takes a URL whose path begins like the base's path for already complete: every request carries its full address.
//! - It must be built inside a Tokio runtime, and says so by a panic: [`Api::new`] answers an error instead.
//! - A token goes to the configured host only: addresses are made from the configured base, never from an answer.

use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use octocrab::service::middleware::{
    auth_header::AuthHeaderLayer, extra_headers::ExtraHeadersLayer, reqwest_connector::ReqwestConnector,
};
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ForgeError, RepoName};

/// The most bytes of one answer that are read, after decompression. A page of a hundred pull requests whose
/// descriptions are all as long as GitHub lets them be (64 Ki characters) stays below.
pub const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

/// How many pages of one list are read before it is called endless.
const PAGE_LIMIT: u32 = 200;

/// What `User-Agent` says.
pub const USER_AGENT: &str = concat!("drift-gate/", env!("CARGO_PKG_VERSION"));

/// How long the shared client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection (with TLS) stands.
    pub connect: Duration,
    /// From the start of a request to the last byte of its answer, however steadily it drips. A caller whose answers
    /// are larger by nature (git packs) sets its own for a request with `reqwest::RequestBuilder::timeout`.
    pub total: Duration,
}

impl Default for Timeouts {
    /// 5 s to connect, 30 s in all: GitHub itself gives up a request after 10 s.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(30) }
    }
}

/// Why no client for a forge could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configured address is none that an API can stand under.
    #[error("forge.{forge}.url: `{url}` {why}; write the forge's address like `https://git.example.org`")]
    Url { forge: String, url: String, why: &'static str },
    /// The token cannot be a header's value.
    #[error("forge.{forge}.token: the token holds a line break or another character that no token has")]
    Token { forge: String },
    /// The token's environment variable or file gives nothing.
    #[error("forge.{forge}.token: {why}")]
    Secret { forge: String, why: String },
    /// TLS could not be set up: no certificate store, for example.
    #[error("the HTTP client cannot be made: {0}; is the ca-certificates package installed?")]
    Client(String),
    /// A programming error, told rather than panicked about.
    #[error("a forge can only be connected to inside a Tokio runtime")]
    NoRuntime,
}

/// The client that the whole program shares: TLS by rustls, gzip, no redirects, and the given time-outs. Proxies are
/// taken from the environment (`HTTPS_PROXY`, `NO_PROXY`).
///
/// # Errors
/// [`ConnectError::Client`] where TLS cannot be set up.
pub fn client(timeouts: Timeouts) -> Result<reqwest::Client, ConnectError> {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .build()
        .map_err(|error| ConnectError::Client(root_cause(&error)))
}

/// What differs between the forges' APIs below the level of single calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Before the token in `Authorization`.
    pub scheme: &'static str,
    /// What `Accept` says.
    pub accept: &'static str,
    /// A header that every request carries.
    pub extra: Option<(&'static str, &'static str)>,
    /// The query key for the size of a page.
    pub page_key: &'static str,
    /// The largest page that the forge gives.
    pub page_size: usize,
}

/// One forge's REST API: addresses below one base, one token.
pub(super) struct Api {
    octocrab: Octocrab,
    base: Url,
    token: Option<SecretString>,
    dialect: Dialect,
}

/// Where an API call goes, and how errors name it.
pub(super) struct Call {
    uri: Uri,
    /// Method and URL without its query.
    pub what: String,
}

impl Api {
    /// `base` is the API's root. Must be called inside a Tokio runtime.
    pub fn new(
        forge: &str,
        base: Url,
        token: Option<SecretString>,
        dialect: Dialect,
        client: reqwest::Client,
    ) -> Result<Self, ConnectError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ConnectError::NoRuntime);
        }
        let authorization = match &token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::try_from(format!("{} {}", dialect.scheme, token.expose_secret()))
                    .map_err(|_| ConnectError::Token { forge: forge.to_owned() })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let mut headers = vec![(header::ACCEPT, HeaderValue::from_static(dialect.accept))];
        if let Some((name, value)) = dialect.extra {
            headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        }
        let address: Uri = base.as_str().parse().map_err(|_| ConnectError::Url {
            forge: forge.to_owned(),
            url: base.to_string(),
            why: "is no address for HTTP",
        })?;
        // Not `build_with_reqwest`: its stack always says `User-Agent: octocrab` and logs every 5xx as an error of the
        // program. The auth layer adds the token to requests for the base's host only.
        let Ok(octocrab) = OctocrabBuilder::new_empty()
            .with_service(ReqwestConnector::new(client))
            .with_layer(&ExtraHeadersLayer::new(headers.into()))
            .with_layer(&AuthHeaderLayer::new(authorization, address.clone(), address))
            .with_auth(AuthState::None)
            .build();
        Ok(Self { octocrab, base, token, dialect })
    }

    /// The token, for git.
    pub fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    /// An address below the base. Segments are percent-encoded; none may come from an outsider unless it is known not
    /// to be `.` or `..`.
    pub fn call(&self, method: &Method, segments: &[&str], query: &[(&str, &str)]) -> Result<Call, ForgeError> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        let what = format!("{method} {url}");
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        match url.as_str().parse() {
            Ok(uri) => Ok(Call { uri, what }),
            Err(_) => Err(ForgeError::Refused { what, status: 0, message: "is no valid address".to_owned() }),
        }
    }

    /// The segments of a repository's address.
    pub fn repo<'a>(&self, repo: &'a RepoName, rest: &[&'a str]) -> Result<Vec<&'a str>, ForgeError> {
        let (owner, name) = repo
            .parts()
            .ok_or_else(|| ForgeError::NotFound { what: format!("`{}` is not `owner/name`", repo.0.escape_debug()) })?;
        Ok(["repos", owner, name].into_iter().chain(rest.iter().copied()).collect())
    }

    /// One GET. Every answer comes back, whatever its status.
    pub async fn get(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Answer, ForgeError> {
        let call = self.call(&Method::GET, segments, query)?;
        self.send(Method::GET, call, None).await
    }

    /// One POST, sent once. Every answer comes back, whatever its status.
    pub async fn post(&self, segments: &[&str], body: &impl Serialize) -> Result<Answer, ForgeError> {
        let call = self.call(&Method::POST, segments, &[])?;
        let body = serde_json::to_vec(body).map_err(|error| ForgeError::Refused {
            what: call.what.clone(),
            status: 0,
            message: error.to_string(),
        })?;
        self.send(Method::POST, call, Some(body)).await
    }

    /// One GET that must succeed, read as `T`.
    pub async fn read<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, ForgeError> {
        self.get(segments, &[]).await?.success()?.json()
    }

    /// The pages of a list, one after the other.
    pub fn pages<'a>(&'a self, segments: &'a [&'a str], query: &'a [(&'a str, &'a str)]) -> Pages<'a> {
        Pages { api: self, segments, query, page: 1, seen: 0, done: false }
    }

    async fn send(&self, method: Method, call: Call, body: Option<Vec<u8>>) -> Result<Answer, ForgeError> {
        let Call { uri, what } = call;
        let transient = |message| ForgeError::Transient { what: what.clone(), message };
        let mut request = Request::builder().method(method).uri(uri.clone());
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.unwrap_or_default()).map_err(|error| ForgeError::Refused {
            what: what.clone(),
            status: 0,
            message: error.to_string(),
        })?;
        let response = self.octocrab.execute(request).await.map_err(|error| transient(root_cause(&error)))?;
        let (parts, body) = response.into_parts();
        let body = match Limited::new(body, ANSWER_LIMIT).collect().await {
            Ok(whole) => whole.to_bytes().to_vec(),
            Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
                return Err(ForgeError::Refused {
                    what,
                    status: parts.status.as_u16(),
                    message: format!("the answer is larger than {} MiB", ANSWER_LIMIT / (1024 * 1024)),
                });
            }
            Err(error) => return Err(transient(format!("the answer broke off: {}", root_cause(error.as_ref())))),
        };
        let secret = self.token.clone();
        Ok(Answer { status: parts.status, headers: parts.headers, body, what, uri, secret })
    }
}

/// One list, page by page; see [`Pages::next`].
pub(super) struct Pages<'a> {
    api: &'a Api,
    segments: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    page: u32,
    seen: usize,
    done: bool,
}

impl Pages<'_> {
    /// The items of the next page without the null ones; `None` after the last.
    ///
    /// Pages are counted, never followed by their `Link` header: Gitea makes that from its configured root, which may
    /// be another host than the one that may have the token. The last page is an empty one, or the one that reaches
    /// `X-Total-Count`, or, without that header, the first that is not full. "Not full" alone would lose items on a
    /// Gitea whose `MAX_RESPONSE_ITEMS` is smaller than the page that was asked for.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<Vec<T>>, ForgeError> {
        if self.done {
            return Ok(None);
        }
        let (size, page) = (self.api.dialect.page_size.to_string(), self.page.to_string());
        let mut query = self.query.to_vec();
        query.extend([(self.api.dialect.page_key, size.as_str()), ("page", page.as_str())]);
        if self.page > PAGE_LIMIT {
            let Call { what, .. } = self.api.call(&Method::GET, self.segments, &[])?;
            let message = format!("the list does not end after {PAGE_LIMIT} pages");
            return Err(ForgeError::Refused { what, status: 200, message });
        }
        let answer = self.api.get(self.segments, &query).await?.success()?;
        let items: Vec<Option<T>> = answer.json::<Option<_>>()?.unwrap_or_default();
        self.seen += items.len();
        self.page += 1;
        self.done = items.is_empty()
            || match answer.header("x-total-count").and_then(|total| total.parse::<usize>().ok()) {
                Some(total) => self.seen >= total,
                None => items.len() < self.api.dialect.page_size,
            };
        Ok(Some(items.into_iter().flatten().collect()))
    }

    /// The items of all pages.
    pub async fn all<T: DeserializeOwned>(mut self) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        while let Some(items) = self.next().await? {
            all.extend(items);
        }
        Ok(all)
    }
}

/// What a forge answered.
pub(super) struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    pub what: String,
    uri: Uri,
    secret: Option<SecretString>,
}

impl Answer {
    /// A header's value as text.
    fn header(&self, name: &str) -> Option<&str> {
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
                let more = [error.as_str(), error["message"].as_str(), error["code"].as_str()];
                if let Some(more) = more.into_iter().flatten().next() {
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
                None => ForgeError::Denied { what, status, message },
            },
            404 => ForgeError::NotFound { what },
            408 | 500..=599 => ForgeError::Transient { what, message: format!("{status} {message}") },
            _ => ForgeError::Refused { what, status, message },
        }
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

/// The innermost reason of an error, in words that name no URL (reqwest's own text repeats it, query and all).
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    let mut kind = None;
    loop {
        if let Some(error) = innermost.downcast_ref::<reqwest::Error>() {
            kind = kind.or(match error {
                error if error.is_timeout() => Some("no whole answer within the time-out"),
                error if error.is_connect() => Some("no connection"),
                _ => None,
            });
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => break,
        }
    }
    let reason = if innermost.is::<reqwest::Error>() { "the request failed".to_owned() } else { innermost.to_string() };
    match kind {
        Some(kind) => format!("{kind} ({reason})"),
        None => reason,
    }
}

/// Reads a configured base address: an absolute `http` or `https` URL without credentials, query and fragment.
pub(super) fn base_url(forge: &str, text: &str) -> Result<Url, ConnectError> {
    let refuse = |why| ConnectError::Url { forge: forge.to_owned(), url: text.to_owned(), why };
    let mut url = Url::parse(text).map_err(|_| refuse("is no absolute address"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse("is no address for HTTP"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // The address is not repeated: it holds a secret.
        let why = "has a user name or password in it: give the token by `token`";
        return Err(ConnectError::Url { forge: forge.to_owned(), url: "…".to_owned(), why });
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("has a query or a fragment"));
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
    }
    Ok(url)
}

/// The URL of a page or repository below `base`, its segments percent-encoded.
pub(super) fn below<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

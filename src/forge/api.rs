//! A forge's REST API: addresses, pages, one request at a time.
//!
//! [`Api`] drives the program's client through octocrab, which is transport and authorization here and nothing else. The
//! traps this part handles:
//!
//! - octocrab's typed models refuse Gitea's answers *after* the write has happened: every answer is read as bytes into
//!   types of our own (`wire`).
//! - octocrab's default stack repeats a failed POST at once and follows a 301 as a GET. Neither feature is compiled in,
//!   and the stack is put together here from the connector up; repeating is the controller's business.
//! - Its time-outs are for single reads, so a server that drips a byte a second holds a call for ever: the client's
//!   total time-out ends it. Its bodies have no limit: [`ANSWER_LIMIT`] holds after decompression.
//! - It takes a URL whose path begins like the base's path for already complete: every request carries its full address.
//! - It must be built inside a Tokio runtime, and says so by a panic: [`Api::new`] answers an error instead.
//! - A token goes to the configured host only: addresses are made from the configured base, never from an answer. Each
//!   request gets its own here: an App has one for each installation, and they end (`app`).

use ::http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use octocrab::service::middleware::{extra_headers::ExtraHeadersLayer, reqwest_connector::ReqwestConnector};
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::app::{About, App, Pass, Way};
use super::http::{ANSWER_LIMIT, ConnectError, root_cause};
use super::remembered::{Budget, Remembered};
use super::{ForgeError, RepoName};

/// How many pages of one list are read before it is called endless.
const PAGE_LIMIT: u32 = 200;

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
    /// Whether answers have an `ETag` that spares the next one.
    pub marks_answers: bool,
}

/// Who asks.
pub(super) enum Login {
    /// Nobody in particular.
    Nobody,
    /// Whoever a token belongs to.
    Token(SecretString),
    /// A GitHub App.
    App(Box<App>),
}

impl From<Option<SecretString>> for Login {
    fn from(token: Option<SecretString>) -> Self {
        token.map_or(Self::Nobody, Self::Token)
    }
}

/// One forge's REST API: addresses below one base, one login.
pub(super) struct Api {
    octocrab: Octocrab,
    base: Url,
    login: Login,
    dialect: Dialect,
    remembered: Remembered,
}

/// Where an API call goes, and how errors name it.
pub(super) struct Call {
    uri: Uri,
    about: About,
    /// Method and URL without its query.
    pub what: String,
}

impl Api {
    /// `base` is the API's root. Must be called inside a Tokio runtime.
    pub fn new(
        forge: &str,
        base: Url,
        login: Login,
        dialect: Dialect,
        client: reqwest::Client,
    ) -> Result<Self, ConnectError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ConnectError::NoRuntime);
        }
        if let Login::Token(token) = &login
            && authorization(dialect.scheme, token).is_none()
        {
            return Err(ConnectError::Token { forge: forge.to_owned() });
        }
        let mut headers = vec![(header::ACCEPT, HeaderValue::from_static(dialect.accept))];
        if let Some((name, value)) = dialect.extra {
            headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        }
        if base.as_str().parse::<Uri>().is_err() {
            let (forge, url, why) = (forge.to_owned(), base.to_string(), "is no address for HTTP");
            return Err(ConnectError::Url { forge, url, why });
        }
        // Not `build_with_reqwest`: its stack always says `User-Agent: octocrab` and logs every 5xx as an error of the
        // program.
        let Ok(octocrab) = OctocrabBuilder::new_empty()
            .with_service(ReqwestConnector::new(client))
            .with_layer(&ExtraHeadersLayer::new(headers.into()))
            .with_auth(AuthState::None)
            .build();
        Ok(Self { octocrab, base, login, dialect, remembered: Remembered::default() })
    }

    /// The token for what a repository holds, for git.
    pub async fn token(&self, repo: &RepoName) -> Result<Option<SecretString>, ForgeError> {
        match &self.login {
            Login::Nobody => Ok(None),
            Login::Token(token) => Ok(Some(token.clone())),
            Login::App(app) => {
                let about = About::of(&self.repo(repo, &[])?);
                match app.ways(self, &about).await?.first() {
                    Some(way) => Ok(Some(app.pass(self, *way).await?.secret)),
                    None => Ok(None),
                }
            }
        }
    }

    /// Git refused that token: it is let go of, if it is the one that would be given now.
    pub async fn token_refused(&self, repo: &RepoName, is_it: impl Fn(&SecretString) -> bool) {
        if let (Login::App(app), Ok(segments)) = (&self.login, self.repo(repo, &[])) {
            app.forget_token_of(&About::of(&segments), is_it).await;
        }
    }

    /// Whether it is an App that asks.
    pub fn is_app(&self) -> bool {
        matches!(self.login, Login::App(_))
    }

    /// The number of the App that asks; `None` where it is none.
    pub fn app_id(&self) -> Option<u64> {
        match &self.login {
            Login::App(app) => Some(app.id()),
            Login::Nobody | Login::Token(_) => None,
        }
    }

    /// How much the forge lets us ask, where it says so.
    pub fn budget(&self) -> Option<Budget> {
        self.remembered.budget()
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
            Ok(uri) => Ok(Call { uri, about: About::of(segments), what }),
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
        self.write(Method::POST, segments, body).await
    }

    /// One request with a body, sent once. Every answer comes back, whatever its status.
    pub async fn write(&self, method: Method, segments: &[&str], body: &impl Serialize) -> Result<Answer, ForgeError> {
        let call = self.call(&method, segments, &[])?;
        let body = encoded(&call.what, body)?;
        self.send(method, call, Some(body)).await
    }

    /// One DELETE, sent once. Every answer comes back, whatever its status.
    pub async fn remove(&self, segments: &[&str]) -> Result<Answer, ForgeError> {
        let call = self.call(&Method::DELETE, segments, &[])?;
        self.send(Method::DELETE, call, None).await
    }

    /// One POST to an address beside the base, made from the configuration, about a repository.
    pub async fn post_to(&self, url: &Url, repo: &RepoName, body: &impl Serialize) -> Result<Answer, ForgeError> {
        let what = format!("{} {url}", Method::POST);
        let about = About::of(&self.repo(repo, &[])?);
        let body = encoded(&what, body)?;
        match url.as_str().parse() {
            Ok(uri) => self.send(Method::POST, Call { uri, about, what }, Some(body)).await,
            Err(_) => Err(ForgeError::Refused { what, status: 0, message: "is no valid address".to_owned() }),
        }
    }

    /// One PATCH, sent once. Every answer comes back, whatever its status.
    pub async fn patch(&self, segments: &[&str], body: &impl Serialize) -> Result<Answer, ForgeError> {
        self.write(Method::PATCH, segments, body).await
    }

    /// One GET that must succeed, read as `T`.
    pub async fn read<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, ForgeError> {
        self.get(segments, &[]).await?.success()?.json()
    }

    /// The pages of a list, one after the other.
    pub fn pages<'a>(&'a self, segments: &'a [&'a str], query: &'a [(&'a str, &'a str)]) -> Pages<'a> {
        Pages { api: self, segments, query, page: 1, seen: 0, done: false }
    }

    async fn send(&self, method: Method, mut call: Call, body: Option<Vec<u8>>) -> Result<Answer, ForgeError> {
        let app = match &self.login {
            Login::Nobody => return self.exchange(&method, &call, body, None).await,
            Login::Token(token) => {
                let pass = Pass { secret: token.clone(), installation: None };
                return self.exchange(&method, &call, body, Some(&pass)).await;
            }
            Login::App(app) => app,
        };
        let mut ways = app.ways(self, &call.about).await?.into_iter().peekable();
        while let Some(way) = ways.next() {
            if matches!(way, Way::Installation { elsewhere: true, .. }) {
                call.what.push_str(" (the App is not installed there)");
            }
            let pass = app.pass(self, way).await?;
            let mut answer = self.exchange(&method, &call, body.clone(), Some(&pass)).await?;
            // A 401 has done nothing: the same call with another token is no second one.
            if answer.status.as_u16() == 401 && app.was_refused(&pass, &answer).await {
                answer = self.exchange(&method, &call, body.clone(), Some(&app.pass(self, way).await?)).await?;
            }
            if answer.status.as_u16() != 404 || ways.peek().is_none() {
                return Ok(answer);
            }
        }
        Err(ForgeError::NotFound { what: call.what })
    }

    /// One request with one pass.
    pub(super) async fn exchange(
        &self,
        method: &Method,
        call: &Call,
        body: Option<Vec<u8>>,
        pass: Option<&Pass>,
    ) -> Result<Answer, ForgeError> {
        let (uri, what) = (call.uri.clone(), call.what.clone());
        let transient = |message| ForgeError::Transient { what: what.clone(), message };
        let conditional = self.dialect.marks_answers && *method == Method::GET;
        let mut request = Request::builder().method(method.clone()).uri(uri.clone());
        if let Some(value) = pass.and_then(|pass| authorization(self.dialect.scheme, &pass.secret)) {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(etag) = conditional.then(|| self.remembered.etag(&uri)).flatten() {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
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
        // The App's own calls have a budget of their own, which they never use up.
        if !(self.is_app() && pass.is_none_or(|pass| pass.installation.is_none())) {
            self.remembered.note(pass.and_then(|pass| pass.installation), &parts.headers);
        }
        let (status, headers, body) = if conditional {
            self.remembered.answer(&uri, parts.status, parts.headers, body)
        } else {
            (parts.status, parts.headers, body)
        };
        let secret = pass.map(|pass| pass.secret.clone());
        Ok(Answer { status, headers, body, what, uri, secret })
    }
}

/// What `Authorization` says; `None` for what no header can carry.
fn authorization(scheme: &str, secret: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("{scheme} {}", secret.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn encoded(what: &str, body: &impl Serialize) -> Result<Vec<u8>, ForgeError> {
    serde_json::to_vec(body).map_err(|error| ForgeError::Refused {
        what: what.to_owned(),
        status: 0,
        message: error.to_string(),
    })
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

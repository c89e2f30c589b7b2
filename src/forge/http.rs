//! The one HTTP client of the program.
//!
//! [`client`] makes the `reqwest` client that everything shares, git's smart HTTP included: one TLS stack, one set of
//! time-outs, one redirect policy (none). A forge's REST API stands on top of it in `api`.

use std::time::Duration;

use reqwest::Url;

use crate::config::SecretError;

/// The most bytes of one answer that are read, after decompression. A page of a hundred pull requests whose
/// descriptions are all as long as GitHub lets them be (64 Ki characters) stays below.
pub const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

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
    Url {
        /// Its name in the configuration.
        forge: String,
        /// As configured.
        url: String,
        /// What is wrong with it, in words.
        why: &'static str,
    },
    /// The token cannot be a header's value.
    #[error("forge.{forge}.token: the token holds a line break or another character that no token has")]
    Token {
        /// Its name in the configuration.
        forge: String,
    },
    /// The key of a GitHub App cannot be used.
    #[error("forge.{forge}.app.key: {why}")]
    Key {
        /// The forge's name in the configuration.
        forge: String,
        /// Names the variable or file, never what is in it.
        why: SecretError,
    },
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

/// The innermost reason of an error, in words that name no URL (reqwest's own text repeats it, query and all).
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
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

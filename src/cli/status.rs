//! `drift-gate status`: what is dirty, leased, parked and unsent, and the last gap, of a running service or of its database.
//!
//! The service is asked first, by its API. Where none answers, or it does not let us in, its database is read: that changes
//! nothing in it, also beside a running service. The trap: the address in the configuration may by now be another
//! program's, so the token is sent only to what asks for it as drift-gate does.

mod text;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{DONE, Failure, print};
use crate::config::{Config, Secret, SecretValue};
use crate::controller::under_way::{self, UnderWay};
use crate::forge::http::{Timeouts, client};
use crate::store::Reader;

/// What `status` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// The service's configuration [default: drift-gate.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask the service at this address and nobody else; without it the one at server.listen, or else its database
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The environment variable with the admin token; without it what server.admin_token names
    #[arg(long, value_name = "VARIABLE")]
    token_env: Option<String>,
    /// For people, or one JSON object
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What is under way, and who says so.
#[derive(serde::Serialize)]
struct Told {
    from: From,
    #[serde(flatten)]
    under_way: UnderWay,
}

/// Who says so.
#[derive(serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum From {
    /// The service at this address.
    Service { url: String },
    /// The database at this address, because the service does not say it.
    Database { url: String, because: String },
}

/// Why a service does not tell.
enum Silence {
    /// Nobody answers, or not as drift-gate does.
    Absent(String),
    /// It wants another token, or has none.
    Closed(String),
}

impl Silence {
    fn words(&self) -> &str {
        match self {
            Self::Absent(why) | Self::Closed(why) => why,
        }
    }
}

/// Where a configuration is that nobody named.
const USUAL: &str = "drift-gate.toml";
/// The largest answer that is read, in bytes.
const LARGEST: usize = 8 << 20;
/// A service on this machine answers at once; one that is stuck is not waited for.
const PATIENCE: Timeouts = Timeouts { connect: Duration::from_secs(3), total: Duration::from_secs(15) };

/// Prints what is under way; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let config = configuration(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    let told = runtime.block_on(told(arguments, config.as_ref()))?;
    match arguments.format {
        Format::Text => print(&text::told(&told))?,
        Format::Json => print(&format!("{}\n", serde_json::to_string(&told).map_err(Failure::failed)?))?,
    }
    Ok(DONE)
}

/// The configuration; who names an address may do without.
fn configuration(arguments: &Arguments) -> Result<Option<Config>, Failure> {
    match &arguments.config {
        Some(file) => Ok(Some(Config::load(file)?)),
        None if arguments.url.is_some() && (arguments.token_env.is_some() || !Path::new(USUAL).exists()) => Ok(None),
        None => Ok(Some(Config::load(Path::new(USUAL))?)),
    }
}

async fn told(arguments: &Arguments, config: Option<&Config>) -> Result<Told, Failure> {
    let configured = config.and_then(|config| config.server.admin_token.as_ref());
    let token = match (&arguments.token_env, configured) {
        (Some(variable), _) => {
            let token = Secret::Env(variable.clone()).read();
            Ok(Some(token.map_err(|error| Failure::usage(format_args!("--token-env: {error}")))?))
        }
        (None, Some(secret)) => secret.read().map(Some).map_err(|error| format!("server.admin_token: {error}")),
        (None, None) => Ok(None),
    };
    if let Some(url) = &arguments.url {
        let url = address(url)?;
        let token = token.map_err(Failure::usage)?;
        return match ask(&url, Ok(token)).await {
            Ok(under_way) => Ok(Told { from: From::Service { url }, under_way }),
            Err(Silence::Closed(why)) => Err(Failure::usage(why)),
            Err(Silence::Absent(why)) => Err(Failure::failed(why)),
        };
    }
    // Without an address there is a configuration: see above.
    let Some(config) = config else { return Err(Failure::usage("name a configuration: --config FILE")) };
    let url = format!("http://{}", reachable(config.server.listen));
    match ask(&url, token).await {
        Ok(under_way) => Ok(Told { from: From::Service { url }, under_way }),
        Err(silence) => read(config, silence.words()).await,
    }
}

/// Reads the database, because the service does not tell.
async fn read(config: &Config, because: &str) -> Result<Told, Failure> {
    let url = &config.store.url;
    let failed = |error| Failure::failed(format_args!("{because}, and store.url {url}: {error}"));
    let reader = Reader::open(url, &under_way::repositories(config)).await.map_err(failed)?;
    let under_way = under_way::read(&reader, chrono::Utc::now().timestamp_millis()).await.map_err(failed)?;
    Ok(Told { from: From::Database { url: url.clone(), because: because.to_owned() }, under_way })
}

/// Asks a service; `token` may be why there is none.
async fn ask(url: &str, token: Result<Option<SecretValue>, String>) -> Result<UnderWay, Silence> {
    let client = client(PATIENCE).map_err(|error| Silence::Absent(error.to_string()))?;
    let address = format!("{url}/api/v1/status");
    let nobody = |_: reqwest::Error| Silence::Absent(format!("no service answers at {url}"));
    let first = client.get(&address).send().await.map_err(nobody)?;
    let asks = first.headers().get("www-authenticate").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let answer = match first.status().as_u16() {
        401 if asks.contains("realm=\"drift-gate\"") => {
            let closed =
                || Silence::Closed(format!("the service at {url} asks for its admin token: --token-env VARIABLE"));
            let token = token.map_err(Silence::Closed)?.ok_or_else(closed)?;
            client.get(&address).bearer_auth(token.expose_secret()).send().await.map_err(nobody)?
        }
        _ => first,
    };
    match answer.status().as_u16() {
        200 => serde_json::from_slice(&body(answer, url).await?)
            .map_err(|_| Silence::Absent(format!("what answers at {url} is no drift-gate of this version"))),
        401 => Err(Silence::Closed(format!("the service at {url} does not take this admin token"))),
        403 => Err(Silence::Closed(format!("the API of the service at {url} is closed: it has no server.admin_token"))),
        503 => Err(Silence::Absent(format!("the service at {url} cannot read its store right now"))),
        status => Err(Silence::Absent(format!("what answers at {url} is no drift-gate of this version ({status})"))),
    }
}

async fn body(mut answer: reqwest::Response, url: &str) -> Result<Vec<u8>, Silence> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= LARGEST => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Ok(Some(_)) => return Err(Silence::Absent(format!("what answers at {url} does not end"))),
            Err(_) => return Err(Silence::Absent(format!("the answer of {url} broke off"))),
        }
    }
}

/// An address as people give it, without trailing slash.
fn address(text: &str) -> Result<String, Failure> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        return Err(Failure::usage("--url is the address of a service, such as https://drift-gate.example.org"));
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(Failure::usage("--url is the address alone: no login in it, and nothing behind `?` or `#`"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Where a service that listens there is reached from its own machine.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

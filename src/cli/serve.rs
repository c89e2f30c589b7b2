//! `drift-gate serve`, and the service as a whole: store, forges, controller and web, put together and taken apart.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{DONE, Failure};
use crate::config::{Config, Secret};
use crate::controller::{Controller, Options, dry};
use crate::metrics::Metrics;
use crate::store::Store;
use crate::{forge, git, web};

/// What `serve` takes.
#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration; `drift-gate config example` prints one.
    #[arg(long, value_name = "FILE", default_value = "drift-gate.toml")]
    config: PathBuf,
    /// Write nothing to a forge and nothing to the configured store: read, decide, and log what would be written.
    #[arg(long)]
    dry_run: bool,
    /// How the log is written: lines for people, or one JSON object a line
    #[arg(long, value_enum, value_name = "FORMAT", env = "DRIFT_GATE_LOG", default_value = "text")]
    log: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// Logs to standard error; `RUST_LOG` filters, `default` where it is not set.
pub fn start_log(default: &str, format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    // Colours only where a person sees them: a log file is read by programs.
    let colours = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    // A log that cannot be written (a full disk) is no reason to panic, which telling so on standard error would be.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // A second call (the demo's tests) keeps the first subscriber.
    let _ = match format {
        LogFormat::Text => tracing::subscriber::set_global_default(log.with_ansi(colours).finish()),
        // Of the spans the innermost is enough: it names the request.
        LogFormat::Json => tracing::subscriber::set_global_default(log.json().with_span_list(false).finish()),
    };
}

/// Runs the service until SIGTERM or SIGINT; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let config = Config::load(&arguments.config)?;
    config.check_secrets()?;
    start_log("info,sqlx=warn", arguments.log);
    to_its_end(serve(&config, arguments.dry_run))
}

/// How long tasks may take to end once they are told to, then the store, then threads that cannot be told: together less
/// than the ten seconds after which supervisors kill.
const TASKS_END: Duration = Duration::from_secs(7);
const STORE_CLOSES: Duration = Duration::from_secs(1);
const THREADS_END: Duration = Duration::from_secs(1);

/// Runs on a runtime of its own; the exit code. An evaluation that is still on its thread then is not waited for: what it
/// was for is on disk, and done at the next start.
pub(super) fn to_its_end(work: impl Future<Output = anyhow::Result<()>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(THREADS_END);
    done.map(|()| DONE).map_err(|error| Failure::failed(told_once(&error)))
}

/// An error with its causes; what one of them only repeats is left out.
fn told_once(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !told.contains(&cause) {
            let parted = if told.is_empty() { "" } else { ": " };
            told.push_str(parted);
            told.push_str(&cause);
        }
    }
    told
}

async fn serve(config: &Config, dry_run: bool) -> anyhow::Result<()> {
    let listen = config.server.listen;
    let options =
        Options { reconcile: config.server.reconcile, cache_limit: config.store.cache_limit, ..Options::default() };
    let listener = TcpListener::bind(listen).await;
    let service = if dry_run {
        let listener = match listener {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(%listen, %error, "no delivery comes here while another listens there; the timer looks");
                TcpListener::bind("127.0.0.1:0").await.context("cannot listen on a port of 127.0.0.1")?
            }
        };
        Service::start_dry(config, listener, options).await?
    } else {
        let listener = listener.with_context(|| format!("cannot listen on {listen} (server.listen)"))?;
        Service::start(config, listener, options, false).await?
    };
    tracing::info!("listening on http://{}", service.address());
    stop_signal().await?;
    tracing::info!("stopping");
    service.stop().await;
    Ok(())
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// A running service.
pub struct Service {
    address: SocketAddr,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    store: Store,
    /// Of a dry run: its store and caches, gone with it.
    _folder: Option<tempfile::TempDir>,
}

impl Service {
    /// Opens the store, connects to the forges and starts to listen and to look.
    ///
    /// `open` shows everything to everyone: for the demo, on a loopback address.
    ///
    /// # Errors
    /// The store cannot be opened or written, a secret is missing, a forge's address is none.
    pub async fn start(config: &Config, listener: TcpListener, options: Options, open: bool) -> anyhow::Result<Self> {
        Self::start_with(config, listener, options, open, None).await
    }

    /// As [`Service::start`], for a dry run: reads and decides as ever, keeps what it decides in a database of its own that is
    /// gone at the end, writes nothing to a forge and logs what it would write.
    ///
    /// # Errors
    /// As [`Service::start`]; and where no temporary folder can be made.
    pub async fn start_dry(config: &Config, listener: TcpListener, options: Options) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder for the dry run")?;
        let mut config = config.clone();
        config.store.url = format!("sqlite://{}", folder.path().join("dry-run.db").display());
        Self::start_with(&config, listener, options, false, Some(folder)).await
    }

    async fn start_with(
        config: &Config,
        listener: TcpListener,
        options: Options,
        open: bool,
        dry: Option<tempfile::TempDir>,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("the listener has no address")?;
        let store = Store::open(&config.store.url).await.with_context(|| format!("store.url {}", config.store.url))?;
        store.check().await.context("the store cannot be written")?;
        let link_secret = link_secret(config, &store).await?;
        let client = forge::http::client(forge::http::Timeouts::default())?;
        let (mut forges, mut hooks) = (BTreeMap::new(), BTreeMap::new());
        for (name, forge) in &config.forges {
            let token = forge.token.as_ref().map(Secret::read).transpose()?;
            let api = forge::connect_with(forge, token, client.clone()).with_context(|| format!("forge.{name}"))?;
            let secrets = forge.webhook_secrets.iter().map(Secret::read).collect::<Result<Vec<_>, _>>()?;
            hooks.insert(name.clone(), web::HookForge { kind: forge.kind, secrets });
            forges.insert(name.clone(), api);
        }
        if dry.is_some() {
            forges = dry::all(forges);
        }
        let caches = git::Cache::new(&caches_beside(&config.store.url), client, git::Limits::default())
            .context("the folder for repository caches")?;
        let metrics = Metrics::new();
        let controller =
            Controller::new(config, forges, store.clone(), caches, metrics.clone(), link_secret.clone(), options)
                .await?;
        let settings = web::Settings {
            public_url: config.server.public_url.clone(),
            forges: hooks,
            admin_token: config.server.admin_token.as_ref().map(Secret::read).transpose()?,
            session_secret: hex::encode(&link_secret).into(),
            open,
            limits: web::Limits::default(),
            clock: chrono::Utc::now,
        };
        let router = web::router(controller.clone(), settings, metrics);
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(web::serve(listener, router, web::Limits::default(), shutdown.clone()));
        tasks.spawn(controller.run(shutdown.clone()));
        tasks.close();
        Ok(Self { address, shutdown, tasks, store, _folder: dry })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, finishes what runs, flushes. What is not done then is done at the next start; a forge that keeps us
    /// waiting is not waited for.
    pub async fn stop(self) {
        self.shutdown.cancel();
        if tokio::time::timeout(TASKS_END, self.tasks.wait()).await.is_err() {
            tracing::warn!("what still runs is cut off, and done at the next start");
        }
        if tokio::time::timeout(STORE_CLOSES, self.store.close()).await.is_err() {
            tracing::warn!("the store is still in use, and is left as it is");
        }
    }
}

/// The secret of the addresses of reports: the configured one, or one made once and kept in the store.
async fn link_secret(config: &Config, store: &Store) -> anyhow::Result<Vec<u8>> {
    if let Some(secret) = &config.server.link_secret {
        return Ok(secret.read()?.expose_secret().as_bytes().to_vec());
    }
    if let Some(kept) = store.meta("link_secret").await? {
        return hex::decode(kept).context("the link secret in the store is damaged");
    }
    let mut made = [0_u8; 32];
    getrandom::fill(&mut made).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    store.set_meta("link_secret", &hex::encode(made)).await?;
    Ok(made.to_vec())
}

/// Repository caches lie beside the database's file, or in the working directory where it has none: they can be lost at any
/// time, and come back from the forge.
fn caches_beside(url: &str) -> PathBuf {
    let Some(file) = url.strip_prefix("sqlite:") else { return PathBuf::from("drift-gate-repositories") };
    let file = file.trim_start_matches("//");
    let file = file.split_once('?').map_or(file, |(file, _)| file);
    let stem = Path::new(file).with_extension("");
    PathBuf::from(format!("{}-repositories", stem.display()))
}

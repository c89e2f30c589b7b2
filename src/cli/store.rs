//! `drift-gate store backup | check | prune`: the service's database, beside a running service or without one.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{DONE, FAILED, Failure, print};
use crate::config::Config;
use crate::store::{Checked, Keep, Pruned, Upkeep};

/// What `store` does.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Writes a copy of the SQLite database, while the service runs
    Backup {
        /// The file to write; it must not be there yet
        #[arg(value_name = "FILE")]
        to: PathBuf,
        /// Whose.
        #[command(flatten)]
        of: Of,
    },
    /// Proves that the database is whole and can be written, and says what is in it
    Check {
        /// Whose.
        #[command(flatten)]
        of: Of,
    },
    /// Removes what need not be kept any more, as the service does from time to time
    Prune {
        /// Whose.
        #[command(flatten)]
        of: Of,
    },
}

/// Whose database.
#[derive(clap::Args)]
pub struct Of {
    /// The service's configuration
    #[arg(long, value_name = "FILE", default_value = "drift-gate.toml")]
    config: PathBuf,
}

/// Runs one of them; the exit code.
pub(super) fn run(command: &Command) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        match command {
            Command::Backup { to, of } => backup(&open(of).await?, to).await,
            Command::Check { of } => check(&open(of).await?).await,
            Command::Prune { of } => prune(&open(of).await?).await,
        }
    })
}

struct Opened {
    url: String,
    upkeep: Upkeep,
}

impl Opened {
    fn failed(&self, error: impl std::fmt::Display) -> Failure {
        Failure::failed(format_args!("store.url {}: {error}", self.url))
    }
}

async fn open(of: &Of) -> Result<Opened, Failure> {
    let url = Config::load(&of.config)?.store.url;
    match Upkeep::open(&url).await {
        Ok(upkeep) => Ok(Opened { url, upkeep }),
        Err(error) => Err(Failure::failed(format_args!("store.url {url}: {error}"))),
    }
}

async fn backup(store: &Opened, to: &Path) -> Result<u8, Failure> {
    store.upkeep.backup(to).await.map_err(|error| store.failed(error))?;
    print(&format!("{}: written\n", to.display()))?;
    Ok(DONE)
}

async fn check(store: &Opened) -> Result<u8, Failure> {
    let checked = store.upkeep.check().await.map_err(|error| store.failed(error))?;
    print(&told(&store.url, &checked))?;
    Ok(if checked.damage.is_empty() && checked.schema <= checked.current { DONE } else { FAILED })
}

fn told(url: &str, checked: &Checked) -> String {
    let Checked { schema, current, rows, damage } = checked;
    let mut text = match damage.len() {
        0 => format!("{url}: whole, can be written\n"),
        many => format!("{url}: damaged in {many} places; stop the service and put back a backup\n"),
    };
    for place in damage {
        text.push_str(&format!("  {place}\n"));
    }
    text.push_str(&match schema.cmp(current) {
        std::cmp::Ordering::Equal => format!("schema {schema}\n"),
        std::cmp::Ordering::Less => format!("schema {schema}: the next start of the service makes it {current}\n"),
        std::cmp::Ordering::Greater => {
            format!("schema {schema}: of a newer version of drift-gate; this one knows {current}\n")
        }
    });
    for (table, count) in rows {
        text.push_str(&format!("{count:>9} {table}\n"));
    }
    text
}

async fn prune(store: &Opened) -> Result<u8, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let pruned = store.upkeep.prune(now, Keep::default()).await.map_err(|error| store.failed(error))?;
    let Pruned { deliveries, comments, statuses, reports, history, audit } = pruned;
    print(&format!(
        "removed {deliveries} deliveries, {comments} comments, {statuses} statuses, {reports} reports, {history} \
         earlier statuses, {audit} waivers and lines of the log\n"
    ))?;
    Ok(DONE)
}

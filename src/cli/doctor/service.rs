//! The service on this machine and its database: what is there of them, and what deliveries they saw.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Findings, Level};
use crate::cli::status::reachable;
use crate::config::Config;
use crate::controller::under_way;
use crate::forge::RepoName;
use crate::store::{DeliveryRow, Reader, StoreError};

/// How long a test delivery may take: forges send them from a queue, and give up after five seconds.
const DELIVERED: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(200);
/// So many deliveries are looked through for the last one of a repository.
const LOOKED_THROUGH: i64 = 1_000;

/// What is known of the service.
pub(super) struct Service {
    /// Its database, where it is here and of this version.
    reader: Option<Reader>,
    /// It answers on this machine.
    pub running: bool,
}

/// Looks for the service and its database.
pub(super) async fn look(config: &Config, client: &reqwest::Client, findings: &mut Findings) -> Service {
    let reader = database(config, findings).await;
    let here = format!("http://{}", reachable(config.server.listen));
    let running = is_alive(client, &here).await;
    if running {
        findings.ok("running", format!("it runs, at {here}"));
        let public = &config.server.public_url;
        if is_alive(client, public).await {
            findings.ok("public", format!("{public} leads to it"));
        } else {
            let message =
                format!("{public} does not lead to it from here: statuses link there, and deliveries come there");
            findings.note("public", message).with_fix("see the proxy in front of it, or mend server.public_url");
        }
    } else {
        let message = format!("no service answers at {here}: no test delivery can be waited for");
        findings.note("running", message).with_fix("start `drift-gate serve`, then run doctor again");
    }
    Service { reader, running }
}

async fn is_alive(client: &reqwest::Client, base: &str) -> bool {
    let asked = client.get(format!("{base}/healthz")).timeout(Duration::from_secs(5)).send().await;
    match asked {
        Ok(answer) if answer.status() == 200 => answer.text().await.is_ok_and(|text| text.trim() == "alive"),
        _ => false,
    }
}

async fn database(config: &Config, findings: &mut Findings) -> Option<Reader> {
    let url = &config.store.url;
    if is_missing_file(url) {
        findings.note("database", format!("{url} is not there yet: the service makes it at its first start"));
        return None;
    }
    match Reader::open(url, &under_way::repositories(config)).await {
        Ok(reader) => {
            findings.ok("database", format!("{url} can be read, its schema is this version's"));
            Some(reader)
        }
        Err(StoreError::Behind { schema, current }) if schema < current => {
            let message = format!("the schema of {url} is {schema}: the next start of the service makes it {current}");
            findings.note("database", message);
            None
        }
        Err(error @ (StoreError::Behind { .. } | StoreError::Empty | StoreError::Url(_))) => {
            findings.problem("database", format!("{url}: {error}"), "name the service's own database in store.url");
            None
        }
        Err(error) => {
            findings.add("database", Level::Unknown, format!("{url}: {error}"));
            None
        }
    }
}

/// Whether the address is that of a SQLite file that is not there.
fn is_missing_file(url: &str) -> bool {
    let Some(file) = url.strip_prefix("sqlite:") else { return false };
    let file = file.trim_start_matches("//");
    let file = file.split_once('?').map_or(file, |(file, _)| file);
    !file.is_empty() && !Path::new(file).exists()
}

impl Service {
    /// The newest delivery of a repository that was accepted; `None` where there is none, or no database to ask.
    pub async fn last(&self, forge: &str, repo: &RepoName) -> Option<DeliveryRow> {
        let rows = self.reader.as_ref()?.deliveries(None, LOOKED_THROUGH).await.ok()?;
        rows.into_iter().find(|row| row.forge == forge && row.repository.eq_ignore_ascii_case(&repo.0))
    }

    /// Whether deliveries can be looked up.
    pub fn sees_deliveries(&self) -> bool {
        self.reader.is_some()
    }

    /// Waits for a delivery of a repository after this one.
    pub async fn delivered_after(&self, before: Option<i64>, forge: &str, repo: &RepoName) -> bool {
        let began = Instant::now();
        while began.elapsed() < DELIVERED {
            if self.last(forge, repo).await.is_some_and(|row| before.is_none_or(|before| row.number > before)) {
                return true;
            }
            tokio::time::sleep(GLANCE).await;
        }
        false
    }
}

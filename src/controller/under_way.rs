//! What is under way: which repositories wait for a look, what is somebody's, which statuses are parked or not sent, and
//! what the timer last found. Of a running service or of its database alone: nothing here writes.
//!
//! The types are the contract of `GET /api/v1/status` and of `drift-gate status --format json` (`docs/operations.md`).

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::decide::Judgement;
use super::plan::{Gated, RepoKey};
use super::{Controller, Gap, gates, pairs, rounds};
use crate::config::Config;
use crate::store::{DirtyRow, First, LeaseRow, Reader, StoreError, TargetRow, Work};

/// Rows that are told of each kind; how many there are is told besides.
pub const MOST: i64 = 100;

/// What is under way at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// The moment.
    pub at: DateTime<Utc>,
    /// Repositories that wait for a look, the longest waiting first.
    pub dirty: Several<Dirty>,
    /// What somebody works on, the first lease to end first.
    pub leased: Several<Leased>,
    /// Statuses that are left as they are for now, the last decided first.
    pub parked: Several<Parked>,
    /// Statuses that the forge does not say yet, the longest waiting first.
    pub unsent: Several<Unsent>,
    /// What the timer last found that no delivery had told.
    pub last_gap: Option<LastGap>,
}

/// The first of several, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Several<T> {
    /// Of all of them.
    pub count: u64,
    /// At most [`MOST`].
    pub first: Vec<T>,
}

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

/// A repository that waits for a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dirty {
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// When the oldest hint came.
    pub since: Option<DateTime<Utc>>,
    /// Looks that failed in a row.
    pub attempts: i64,
    /// Where a look failed: when the next one begins.
    pub again_at: Option<DateTime<Utc>>,
}

/// A piece of work that is somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leased {
    /// `look`, `status` or `comment`.
    pub work: String,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The commit of a status, the number of a comment; "" of a look.
    pub of: String,
    /// The process that works on it.
    pub by: String,
    /// When others may take it over.
    pub until: DateTime<Utc>,
}

/// A status that is left as it is for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The id of the target.
    pub target: String,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The commit that it stands on.
    pub sha: String,
    /// The name of the status.
    pub context: String,
    /// Why, and until when.
    #[serde(flatten)]
    pub parked: Parking,
}

/// Why a status is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parking {
    /// `overwritten`: somebody else writes over it again and again. `not_judged`: it says `error`, because its commit could
    /// not be judged.
    pub because: String,
    /// The reason in words.
    pub why: String,
    /// When it is tried again; `None` where the next look does.
    pub until: Option<DateTime<Utc>>,
}

/// A status that the forge does not say yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsent {
    /// The id of the target.
    pub target: String,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The commit that it stands on.
    pub sha: String,
    /// The name of the status.
    pub context: String,
    /// What it should say.
    pub state: String,
    /// Since when it should.
    pub since: DateTime<Utc>,
    /// How often the forge was asked in vain.
    pub attempts: i64,
    /// The forge's last answer, in words.
    pub trouble: Option<String>,
}

/// What the timer last found that no delivery had told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGap {
    /// When it was found.
    pub at: DateTime<Utc>,
    /// Heads that had moved or were new.
    pub missed: u64,
    /// How many of them were judged at once.
    pub repaired: u64,
    /// Deliveries that had not reached us and were sent again.
    #[serde(default)]
    pub redelivered: u64,
    /// How long at most the oldest of them had been unknown, in seconds.
    pub oldest_seconds: i64,
}

/// One gate's say in a status, as it is kept with the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The gate's id.
    pub gate: String,
    /// What the commit was to the gate.
    pub role: crate::gate::policy::Role,
    /// The key of the report; `None` where there is none.
    pub report: Option<String>,
    /// Why there is none.
    pub why: Option<String>,
}

/// The repositories that a configuration's gates have to do with: what [`Reader::open`] asks for.
pub fn repositories(config: &Config) -> Vec<(String, String)> {
    let own: Vec<Arc<Gated>> = config.gates.iter().filter_map(Gated::new).map(Arc::new).collect();
    let all: BTreeSet<RepoKey> = gates::repositories(&own, &gates::listed(config, &own));
    pairs(&all)
}

/// What is under way at `now` (Unix milliseconds).
///
/// # Errors
/// When the database cannot be read.
pub async fn read(reader: &Reader, now: i64) -> Result<UnderWay, StoreError> {
    let gap = reader.meta(rounds::GAP).await?.and_then(|json| serde_json::from_str::<Gap>(&json).ok());
    Ok(UnderWay {
        at: time(now),
        dirty: several(reader.dirty(MOST).await?, |row| dirty(row, now)),
        leased: several(reader.leases(now, MOST).await?, leased),
        parked: parked_now(reader, now).await?,
        unsent: several(reader.unsent(MOST).await?, |row| Some(unsent(row))),
        last_gap: gap.map(|gap| LastGap {
            at: time(gap.at),
            missed: gap.missed,
            repaired: gap.repaired,
            redelivered: gap.redelivered,
            oldest_seconds: gap.oldest / 1000,
        }),
    })
}

/// Statuses that are left as they are at `now` (Unix milliseconds), the last decided first.
///
/// # Errors
/// When the database cannot be read.
pub async fn parked_now(reader: &Reader, now: i64) -> Result<Several<Parked>, StoreError> {
    Ok(several(reader.parked(now, MOST).await?, |row| parked(row, now)))
}

/// Every gate's say in a status.
pub fn said(row: &TargetRow) -> Vec<Said> {
    let judgements: Vec<Judgement> = serde_json::from_str(&row.wanted.judgements).unwrap_or_default();
    let said = |one: Judgement| Said { gate: one.gate, role: one.role, report: one.report, why: one.why };
    judgements.into_iter().map(said).collect()
}

/// Why a status is left as it is at `now` (Unix milliseconds); `None` where it is not.
pub fn parking(row: &TargetRow, now: i64) -> Option<Parking> {
    if let Some(until) = row.parked_until.filter(|until| *until > now) {
        let why = row.wanted.trouble.clone().unwrap_or_else(|| "somebody else writes over it".to_owned());
        return Some(Parking { because: "overwritten".to_owned(), why, until: Some(time(until)) });
    }
    if row.wanted.state != "error" || !row.wanted.head {
        return None;
    }
    let why = said(row).into_iter().find(|said| said.report.is_none())?.why.unwrap_or_default();
    Some(Parking { because: "not_judged".to_owned(), why, until: None })
}

impl Controller {
    /// The store, to be read.
    pub fn reader(&self) -> Reader {
        self.store.reader(&pairs(&self.repositories))
    }
}

/// A moment of the store: Unix milliseconds.
pub fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

fn several<R, T>(first: First<R>, make: impl Fn(R) -> Option<T>) -> Several<T> {
    Several { count: first.count, first: first.rows.into_iter().filter_map(make).collect() }
}

fn dirty(row: DirtyRow, now: i64) -> Option<Dirty> {
    Some(Dirty {
        forge: row.forge,
        repository: row.name,
        since: row.hinted_at.map(time),
        attempts: row.attempts,
        again_at: (row.not_before > now).then(|| time(row.not_before)),
    })
}

fn leased(row: LeaseRow) -> Option<Leased> {
    let work = match row.work {
        Work::Look => "look",
        Work::Status => "status",
        Work::Comment => "comment",
        Work::Pull => "pull",
    };
    Some(Leased {
        work: work.to_owned(),
        forge: row.forge,
        repository: row.repository,
        of: row.of,
        by: row.holder,
        until: time(row.until),
    })
}

fn parked(row: TargetRow, now: i64) -> Option<Parked> {
    let parked = parking(&row, now)?;
    let row = row.wanted;
    Some(Parked {
        target: row.id,
        forge: row.forge,
        repository: row.repository,
        sha: row.sha,
        context: row.context,
        parked,
    })
}

fn unsent(row: TargetRow) -> Unsent {
    let row = row.wanted;
    Unsent {
        target: row.id,
        forge: row.forge,
        repository: row.repository,
        sha: row.sha,
        context: row.context,
        state: row.state,
        since: time(row.decided_at),
        attempts: row.attempts,
        trouble: row.trouble,
    }
}

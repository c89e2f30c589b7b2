//! What the API's answers are made of: the contract of `docs/api.md`. Times are RFC 3339, in UTC.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::controller::under_way::Parking;
use crate::gate::policy::Role;

/// A delivery that was accepted.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// Counts up as they arrive.
    pub number: i64,
    /// The forge's name in the configuration.
    pub forge: String,
    /// The forge's id of it.
    pub delivery: String,
    /// The forge's name for what happened.
    pub event: String,
    /// The repository as the payload names it.
    pub repository: String,
    /// In words: what it was taken for.
    pub outcome: String,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
}

/// Something that somebody did by a comment, or that ended by itself.
#[derive(Clone, Debug, Serialize)]
pub struct Audited {
    /// Counts up.
    pub number: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The number of the pull request, or of the issue.
    pub pull: i64,
    /// The forge's number for the comment; `None` where it ended by itself.
    pub comment: Option<i64>,
    /// Login of who did it; `None` where it ended by itself.
    pub by: Option<String>,
    /// `waive`, `unwaive`, `rebuild`, `refused` or `ended`.
    pub act: String,
    /// The gate's id; `None` where it is about all of them.
    pub gate: Option<String>,
    /// The reason of a waiver, what was refused, why it ended.
    pub words: String,
}

/// A commit under one context: what a forge can hold one status for.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// Its id, which its addresses end with.
    pub id: String,
    /// The forge's name in the configuration.
    pub forge: String,
    /// As configured, `owner/name`.
    pub repository: String,
    /// The commit.
    pub sha: String,
    /// The name of the status.
    pub context: String,
    /// What the status should say: `pending`, `success`, `error` or `failure`.
    pub state: String,
    /// The words of the status.
    pub description: String,
    /// When that was decided.
    pub decided_at: DateTime<Utc>,
    /// Still the head of a branch or of an open pull request.
    pub head: bool,
    /// Every gate that has a say, and what the commit is to it.
    pub roles: Vec<Said>,
    /// The forge says what it should.
    pub sent: bool,
    /// What the forge was last told; `None` before the first time, and while that is in doubt.
    pub told: Option<Told>,
    /// Failed tries to tell it.
    pub attempts: i64,
    /// Why the last one failed.
    pub trouble: Option<String>,
    /// It is left as it is for now.
    pub parked: Option<Parking>,
    /// Somebody sends it.
    pub leased: Option<Lease>,
    /// The address of its page, for people.
    pub page: String,
}

/// One gate's say.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// The gate's id.
    pub gate: String,
    /// What the commit is to it.
    #[serde(flatten)]
    pub role: Role,
    /// The digest of the report; `None` where there is none.
    pub report: Option<String>,
    /// Why there is none.
    pub why: Option<String>,
    /// Of a branch head: the pull request that ends the drift, or why there is none; `None` where there is nothing to tell.
    pub repair: Option<Repair>,
}

/// The pull request that ends the drift of a gate at a branch, or why there is none.
#[derive(Clone, Debug, Serialize)]
pub struct Repair {
    /// How it stands, in one word.
    pub state: String,
    /// More about it, in words.
    pub words: String,
    /// The repository that it is in, `owner/name` as configured.
    pub repository: Option<String>,
    /// Its number.
    pub number: Option<u64>,
    /// The source commit that it adopts.
    pub source: Option<String>,
    /// Since when the drift is known.
    pub since: Option<DateTime<Utc>>,
    /// Who closed it, where that was a person.
    pub closed_by: Option<String>,
    /// Failed tries in a row.
    pub attempts: i64,
    /// Why the last one failed.
    pub trouble: Option<String>,
}

/// What the forge was told.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// `pending`, `success`, `error` or `failure`.
    pub state: String,
    /// The words of the status.
    pub description: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Whose work it is.
#[derive(Clone, Debug, Serialize)]
pub struct Lease {
    /// The process.
    pub by: String,
    /// When others may take it over.
    pub until: DateTime<Utc>,
}

/// A gate that judges.
#[derive(Clone, Debug, Serialize)]
pub struct Gate {
    /// `forge/owner/name:gate`, of the consumer.
    pub id: String,
    /// Its name in its file.
    pub name: String,
    /// The name of its status.
    pub context: String,
    /// The repository that is the truth.
    pub source: SourceSide,
    /// The repository that bakes it.
    pub consumer: ConsumerSide,
    /// How the consumer names the source commit that it uses, by the keys of the configuration.
    pub binding: serde_json::Value,
    /// Where it stands.
    pub stands_in: Place,
    /// SHA-256 of what it says.
    pub config_digest: String,
    /// The branch heads that it judges, of both sides.
    pub heads: Vec<Head>,
}

/// The source of a gate.
#[derive(Clone, Debug, Serialize)]
pub struct SourceSide {
    /// The forge's name in the configuration.
    pub forge: String,
    /// `owner/name`.
    pub repository: String,
    /// The branch that counts.
    pub branch: String,
}

/// The consumer of a gate.
#[derive(Clone, Debug, Serialize)]
pub struct ConsumerSide {
    /// The forge's name in the configuration.
    pub forge: String,
    /// `owner/name`.
    pub repository: String,
    /// Names or globs.
    pub branches: Vec<String>,
}

/// The file that a gate stands in.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Place {
    /// The service's own configuration.
    Service,
    /// The consumer's own file.
    Consumer {
        /// From the consumer's root.
        file: String,
        /// Why the file on the default branch cannot be used; the last valid one judges on.
        trouble: Option<String>,
    },
}

/// A branch head that a gate judges.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// `owner/name`, as it is called now.
    pub repository: String,
    /// Without `refs/heads/`.
    pub branch: String,
    /// The commit.
    pub sha: String,
    /// The id of its target.
    pub target: String,
    /// What its status says.
    pub state: String,
    /// The words of the status.
    pub description: String,
    /// Since when it says so.
    pub decided_at: DateTime<Utc>,
}

/// Everything behind one status.
#[derive(Clone, Debug, Serialize)]
pub struct Reports {
    /// The status.
    pub target: Target,
    /// Every gate's say, with its report.
    pub reports: Vec<Reported>,
    /// What the status said before, newest first.
    pub earlier: Vec<Earlier>,
}

/// One gate's say, with its report.
#[derive(Clone, Debug, Serialize)]
pub struct Reported {
    /// The gate's id.
    pub gate: String,
    /// What the commit was to it.
    #[serde(flatten)]
    pub role: Role,
    /// The digest under which the report is kept.
    pub digest: Option<String>,
    /// When it was last decided by.
    pub kept_at: Option<DateTime<Utc>>,
    /// As `check --format json` prints it; `None` where there is none, or it is not kept any more.
    pub report: Option<serde_json::Value>,
    /// Why there is none.
    pub why: Option<String>,
}

/// What a status said before.
#[derive(Clone, Debug, Serialize)]
pub struct Earlier {
    /// `pending`, `success`, `error` or `failure`.
    pub state: String,
    /// The words of the status.
    pub description: String,
    /// From when on.
    pub decided_at: DateTime<Utc>,
}

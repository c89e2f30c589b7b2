//! The JSON of Gitea's API and deliveries, made from what the stand-in knows.
//!
//! Keys and odd values are those of a Gitea 1.26: an address of a pull request without `/api/v1`, a date of year 1 where
//! something is not told, `null` here and an empty list there. Whoever reads it must bear them, so they are here.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::forge::model::{AccountId, Repo};
use super::forge::{Refusal, State, Viewer};

mod account;
mod commit;
pub mod event;
mod issue;
mod pull;
mod repository;
mod status;

pub use account::user;
pub use commit::{branch, brief, contents, files, full};
pub use issue::{comment, issue, reaction};
pub use pull::{Detail, pull};
pub use repository::{PROTECTION, hook, label, protection, repository};
pub use status::{combined, status};

/// What Gitea's zero time looks like.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// The same from its database.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// A moment in the forge's spelling.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A moment of git's.
fn git_time(at: git2::Time) -> String {
    time(DateTime::from_timestamp(at.seconds(), 0).unwrap_or_default())
}

/// Labels as issues and pull requests tell them.
fn labels(state: &State, repo: &Repo, number: u64) -> Result<Vec<Value>, Refusal> {
    state.labels_of(repo.id, number)?.iter().map(|one| label(state, repo, one)).collect()
}

/// People as issues and pull requests tell them.
fn users(state: &State, who: &[AccountId], viewer: Viewer) -> Result<Vec<Value>, Refusal> {
    who.iter().map(|one| user(state, *one, viewer)).collect()
}

/// What the forge says of the signature of commits that have none.
fn unsigned() -> Value {
    json!({
        "verified": false,
        "reason": "gpg.error.not_signed_commit",
        "signature": "",
        "signer": null,
        "payload": "",
    })
}

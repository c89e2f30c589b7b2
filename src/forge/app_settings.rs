//! How a GitHub App is set up: what it asks for and hears of, where its deliveries go, what became of them, what was granted to it.
//!
//! The rules are GitHub's REST API ("Apps", "GitHub App webhooks"). The traps: an App asks for permissions, and each
//! installation grants them: one that is added later counts there only after its owner accepted it. Of a hook's secret
//! only that there is one is told. A change of the hook leaves what it does not name, unlike that of a repository's hook. A
//! permission or an event cannot be added by any call: a person does that on the App's page.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Deserialize;

use super::{ForgeError, RepoName};

/// What may be done with what: `statuses` with `write` and the like, in GitHub's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Permissions(pub BTreeMap<String, String>);

impl Permissions {
    /// Whether `level` (`read` or `write`) of this permission is among them. More is enough.
    pub fn has(&self, name: &str, level: &str) -> bool {
        let rank = |level: &str| ["read", "write", "admin"].iter().position(|one| *one == level);
        self.0.get(name).is_some_and(|granted| rank(granted) >= rank(level))
    }
}

/// An App as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The page where its owner changes permissions and events.
    pub page: String,
    /// What it asks for.
    pub permissions: Permissions,
    /// What it hears of.
    pub events: Vec<String>,
}

/// Where an App's deliveries go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// The address.
    pub url: String,
    /// Whether deliveries are JSON, and no form.
    pub json: bool,
    /// Whether they are signed.
    pub has_secret: bool,
    /// Whether the receiver's certificate is checked.
    pub verifies: bool,
}

/// What to change of it; what is `None` stays. Deliveries are JSON afterwards.
#[derive(Clone, Copy, Debug, Default)]
pub struct HookChange<'a> {
    /// The address.
    pub url: Option<&'a str>,
    /// What signs deliveries.
    pub secret: Option<&'a SecretString>,
}

/// A delivery as it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The number to send it again by.
    pub id: u64,
    /// The same for a delivery that was sent again.
    pub guid: String,
    /// `push` and the like.
    pub event: String,
    /// When it was tried.
    pub at: DateTime<Utc>,
    /// What was answered; 0 for nothing.
    pub code: u16,
    /// What became of it, in GitHub's words: `OK`, `failed to connect to host`.
    pub status: String,
}

impl Delivered {
    /// Whether it was taken.
    pub fn arrived(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

/// An App on the repositories of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The page where its owner accepts and changes it; empty where it is not told.
    pub page: String,
    /// What was granted.
    pub permissions: Permissions,
    /// Nothing can be done with it until its owner lets it again.
    pub suspended: bool,
}

/// What a GitHub App is asked about its own setting up.
#[async_trait]
pub trait AppSettings: Send + Sync {
    /// Its number, which a required check may be pinned to.
    fn id(&self) -> u64;
    /// What it hears of for us, and for what; `queue`: merges go through a queue.
    fn events(&self, queue: bool) -> Vec<(&'static str, &'static str)>;
    /// What it says of itself.
    async fn described(&self) -> Result<Described, ForgeError>;
    /// Its hook; [`ForgeError::NotFound`] where it has none.
    async fn hook_config(&self) -> Result<HookConfig, ForgeError>;
    /// Changes the hook. Sent once.
    async fn change_hook(&self, change: &HookChange<'_>) -> Result<(), ForgeError>;
    /// Its last deliveries, the newest first.
    async fn deliveries(&self) -> Result<Vec<Delivered>, ForgeError>;
    /// Where it is installed for a repository; [`ForgeError::NotFound`] where it is not.
    async fn installation(&self, repo: &RepoName) -> Result<Installation, ForgeError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_what_is_needed_is_enough_and_a_word_that_nobody_knows_is_not() {
        let of = |level: &str| Permissions(BTreeMap::from([("contents".to_owned(), level.to_owned())]));
        assert!(of("write").has("contents", "read") && of("admin").has("contents", "write"));
        assert!(!of("read").has("contents", "write") && !of("read").has("statuses", "read"));
        assert!(!of("some").has("contents", "read"));
    }
}

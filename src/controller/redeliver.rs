//! Deliveries that did not reach us are sent again, where the forge keeps a list of them for us (a GitHub App).
//!
//! A round finds what moved without them; a comment that asked for something, or a head that came and went, comes back by
//! its delivery. The forge's list is all that is remembered: what was sent again stands in it, so nothing is sent again twice,
//! whatever process dies or replica comes. Only the time is kept up to which the list was read.
//!
//! The races: a delivery that is still under way when the list is read, and one that was just sent again and is not listed yet
//! (each list begins some minutes before the last one's end, and rounds are as far apart); a call that fails (the list is read
//! from the same time again).

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::rounds::Gap;
use super::{Controller, look};
use crate::forge::{Forge, ForgeError};
use crate::store::StoreError;

/// Each list begins so long before the last one ended.
const OVERLAP: Duration = Duration::from_secs(5 * 60);
/// The forge forgets its list after so long.
const KEPT: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// As many are sent again in a round; the others in the next.
const MOST: usize = 100;

/// Events that say where to look.
const TELLING: [&str; 8] =
    ["push", "create", "delete", "pull_request", "issue_comment", "status", "merge_group", "repository"];

impl Controller {
    /// Has what did not reach us sent again, on every forge where we are an App.
    pub(super) async fn redeliver(&self, at_start: bool) {
        for (forge, api) in self.forges.iter().filter(|(_, api)| api.is_app()) {
            if let Err(error) = self.redeliver_from(forge, api.as_ref(), at_start).await {
                self.store_failed("redeliver", &error);
            }
        }
    }

    async fn redeliver_from(&self, forge: &str, api: &dyn Forge, at_start: bool) -> Result<(), StoreError> {
        let (key, now) = (format!("deliveries_of {forge}"), self.now());
        let before = self.store.meta(&key).await?.and_then(|at| at.parse::<i64>().ok());
        let turn = if at_start { now } else { now - look::millis(self.options.reconcile) / 2 };
        if !self.store.take_turn(&key, now, turn).await? {
            return Ok(());
        }
        // The first start looks at every head there is.
        let Some(before) = before else { return Ok(()) };
        let since = (before - look::millis(OVERLAP)).max(now - look::millis(KEPT));
        let done = self.redeliver_since(forge, api, DateTime::from_timestamp_millis(since).unwrap_or_default()).await;
        let (sent, all) = match done {
            Ok((sent, oldest, all)) => {
                if sent > 0 {
                    self.metrics.redelivered(sent);
                    let oldest = oldest.map_or(0, |oldest| now.saturating_sub(oldest.timestamp_millis()));
                    self.note_gap(Gap { at: now, redelivered: sent, oldest, ..Gap::default() }).await?;
                }
                (sent, all)
            }
            Err(error) => {
                tracing::warn!(forge, %error, "the forge's list of deliveries cannot be read; again at the next round");
                (0, false)
            }
        };
        if sent > 0 {
            tracing::warn!(forge, "{sent} deliveries had not reached us and are sent again");
        }
        if !all {
            self.store.set_meta(&key, &before.to_string()).await?;
        }
        Ok(())
    }

    /// How many were sent again, the oldest of them, and whether that was all.
    async fn redeliver_since(
        &self,
        forge: &str,
        api: &dyn Forge,
        since: DateTime<Utc>,
    ) -> Result<(u64, Option<DateTime<Utc>>, bool), ForgeError> {
        let mut failed = api.failed_deliveries(since).await?;
        failed.retain(|one| TELLING.contains(&one.event.as_str()));
        let (mut sent, mut all) = (0, failed.len() <= MOST);
        for one in failed.iter().take(MOST) {
            match api.redeliver(one.id).await {
                Ok(()) => sent += 1,
                // Forgotten meanwhile, or refused for good: asking again would get the same.
                Err(error @ (ForgeError::NotFound { .. } | ForgeError::Refused { .. })) => {
                    tracing::warn!(forge, delivery = one.id, %error, "a delivery is not sent again");
                }
                Err(error) => {
                    tracing::warn!(forge, delivery = one.id, %error, "deliveries are sent again at the next round");
                    all = false;
                    break;
                }
            }
        }
        Ok((sent, failed.first().map(|one| one.at), all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_asks_for_every_event_that_tells_something() {
        let page = include_str!("../../docs/github-app.md");
        let json = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a manifest");
        let manifest: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let mut events: Vec<&str> =
            manifest["default_events"].as_array().into_iter().flatten().filter_map(|one| one.as_str()).collect();
        let mut telling = TELLING;
        events.sort_unstable();
        telling.sort_unstable();
        assert_eq!(events, telling);
        assert_eq!(manifest["default_permissions"]["statuses"], "write");
    }
}

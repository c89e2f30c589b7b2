//! Whether the forge still says what it was told: everyone who may write to a repository can post a status under any name.
//!
//! Heads of branches are read back each round, heads of pull requests in turn; a delivery about our own context that is not
//! by us is read back at once. What is not as wanted is put back, three times an hour for one commit, then it is parked,
//! alarmed and named: two programs that write over each other would go on for ever, also where both do it as our own user.
//! A write of our own that lands late (a replica that stalled) looks the same, but comes once. A pull request that was merged although
//! its status was red is alarmed as well.

use std::collections::BTreeMap;

use super::decide::Judgement;
use super::plan::{RepoKey, View};
use super::{Controller, lock};
use crate::forge::{ForgeError, PostedStatus};
use crate::store::{Alarm, Lease, StoreError, WaiverRow, WantedRow};

/// Heads of pull requests that are read back in one round of a repository.
const IN_TURN: usize = 2;
/// How often a status is put back within an hour.
const PUT_BACK: i64 = 3;
/// How long it is then left alone, in milliseconds.
pub(super) const PARKED: i64 = 60 * 60 * 1000;

/// What is to be done about a status that somebody wrote over.
pub(super) enum Overwritten {
    /// Write ours again.
    PutBack,
    /// Leave it, for a while; why, in words.
    Park(String),
}

impl Controller {
    /// Reads back, after a round's look, what was told: all branch heads, and some pull requests in turn.
    pub(super) async fn audit(&self, view: &View, rows: &[&WantedRow]) -> Result<(), StoreError> {
        let is_branch = |row: &&WantedRow| view.heads.values().any(|head| head.as_str() == row.sha);
        let (branches, mut others): (Vec<&WantedRow>, Vec<&WantedRow>) =
            rows.iter().copied().filter(|row| row.is_told()).partition(is_branch);
        others.sort_by_key(|row| row.told.as_ref().map(|told| told.at));
        let ids: Vec<String> = branches.iter().chain(others.iter().take(IN_TURN)).map(|row| row.id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.store.recheck(&ids, self.now()).await?;
        self.publish_wake.notify_one();
        Ok(())
    }

    /// What stands on a commit is not what was told.
    pub(super) async fn overwritten(
        &self,
        repo: &RepoKey,
        row: &WantedRow,
        stands: Option<&PostedStatus>,
    ) -> Result<Overwritten, StoreError> {
        let login = stands.map_or("somebody", |stands| stands.creator.as_str());
        let as_us = self.is_ours(&repo.forge, login);
        let state = stands.map_or("nothing", |stands| stands.state.as_str());
        let count = self.store.overwritten(&row.id, login, self.now()).await?;
        let (sha, context) = (row.sha.get(..8).unwrap_or(&row.sha), &row.context);
        if as_us {
            tracing::info!(%repo, sha = row.sha, context, login, state, count, "our status is not as it was told");
        } else {
            tracing::warn!(%repo, sha = row.sha, context, login, state, count, "somebody else wrote our status");
            self.metrics.overwritten();
        }
        if count <= PUT_BACK {
            return Ok(Overwritten::PutBack);
        }
        let until = self.now() + PARKED;
        self.store.park(&row.id, until).await?;
        let who = if as_us { "another service, as our own user " } else { "" };
        let help = if as_us { "; give each service a user or a context of its own" } else { "" };
        let words = format!(
            "{who}{login} writes over the status {context} of {sha} again and again: left as it is for an hour{help}"
        );
        self.alarm(repo, words.clone()).await?;
        Ok(Overwritten::Park(words))
    }

    /// A delivery says that somebody posted a status under one of our contexts.
    pub(super) fn is_ours(&self, forge: &str, login: &str) -> bool {
        lock(&self.us).get(forge).is_some_and(|us| us.login == login)
    }

    /// Pull requests that are gone from the list of open ones although their status was red: merged? Known by what was wanted
    /// for them: the other side's look may have seen the list before this one.
    pub(super) async fn merged_although_red(
        &self,
        repo: &RepoKey,
        view: &View,
        rows: &[&WantedRow],
    ) -> Result<(), StoreError> {
        let mut gone: BTreeMap<u64, &WantedRow> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.state == "failure") {
            let judgements: Vec<Judgement> = serde_json::from_str(&row.judgements).unwrap_or_default();
            let pulls = judgements.iter().filter_map(|judgement| judgement.role.pull());
            let gone_now = pulls.filter(|number| !view.pulls.iter().any(|open| open.number == *number));
            gone.extend(gone_now.map(|number| (number, *row)));
        }
        for (number, row) in gone {
            let Ok(api) = self.api(&repo.forge) else { continue };
            match api.pull(&view.repository.name, number).await {
                Ok(now) if now.merged => {
                    let words = format!(
                        "#{number} was merged into {} although {} was red: {}",
                        now.base_ref, row.context, row.description
                    );
                    self.metrics.merged_red();
                    self.alarm(repo, words).await?;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%repo, pull = number, %error, "whether it was merged cannot be told"),
            }
        }
        Ok(())
    }

    /// Waivers of pull requests that are closed end; the list of open ones is not believed alone.
    pub(super) async fn end_of_closed(
        &self,
        repo: &RepoKey,
        view: &View,
        waivers: &[WaiverRow],
        lease: &Lease,
    ) -> Result<(), StoreError> {
        let is_open = |row: &&WaiverRow| view.pulls.iter().any(|pull| number(pull.number) == row.pull);
        let mut ended = Vec::new();
        for row in waivers.iter().filter(|row| !is_open(row)) {
            let Ok(api) = self.api(&repo.forge) else { continue };
            match api.pull(&view.repository.name, u64::try_from(row.pull).unwrap_or_default()).await {
                Ok(pull) if !pull.open => ended.push((row.number, "the pull request is closed".to_owned())),
                Err(ForgeError::NotFound { .. }) => ended.push((row.number, "the pull request is gone".to_owned())),
                Ok(_) => {}
                Err(error) => tracing::warn!(%repo, pull = row.pull, %error, "whether it is closed cannot be told"),
            }
        }
        // Where it is lost, whoever looks now finds them as well.
        let _ = self.store.end_waivers_held(lease, &ended, self.now()).await?;
        Ok(())
    }

    async fn alarm(&self, repo: &RepoKey, words: String) -> Result<(), StoreError> {
        tracing::error!(%repo, "{words}");
        let (forge, repository) = (repo.forge.clone(), repo.name.clone());
        self.store.alarm(&Alarm { at: self.now(), forge, repository, words }).await
    }

    /// Commands in comments that no delivery brought, since the last round, on open pull requests and on issues that gates name. At
    /// the first there is no last one, and nothing is listed: what was written before drift-gate came was not for it.
    pub(super) async fn find_comments(&self, repo: &RepoKey, view: &View) -> Result<(), StoreError> {
        let key = format!("comments {repo}");
        let began = self.now();
        let since = self.store.meta(&key).await?.and_then(|at| at.parse::<i64>().ok());
        let mut is_old = true;
        if let Some(since) = since {
            let Ok(api) = self.api(&repo.forge) else { return Ok(()) };
            let from = chrono::DateTime::from_timestamp_millis(since - OVERLAP).unwrap_or_default();
            let comments = match api.comments_since(&view.repository.name, from).await {
                Ok(comments) => comments,
                Err(error) => {
                    tracing::warn!(%repo, %error, "comments cannot be listed; again at the next round");
                    return Ok(());
                }
            };
            is_old = !comments.is_empty() || began - since >= REMARKED;
            let is_ours = |number: u64| {
                view.pulls.iter().any(|pull| pull.number == number) || !self.naming(repo, number).is_empty()
            };
            let commands: Vec<(i64, i64)> = comments
                .iter()
                .filter(|comment| crate::forge::webhook::is_command(&comment.body) && is_ours(comment.issue))
                // One that was edited into a command later is none.
                .filter(|comment| created(comment).is_none_or(|at| at >= since - OVERLAP))
                .map(|comment| (number(comment.id), number(comment.issue)))
                .collect();
            let found = self.store.comments_found(&repo.forge, &repo.name, &commands, began).await?;
            if found > 0 {
                tracing::warn!(%repo, found, "comments found by the timer: no delivery had told them");
                self.metrics.missed(found);
                self.command_wake.notify_one();
            }
        }
        if is_old { self.store.set_meta(&key, &began.to_string()).await } else { Ok(()) }
    }
}

/// How old (ms) the moment may be from which comments are listed, while there are none: noting it anew costs a write for each
/// repository and round, and an older one costs nothing.
const REMARKED: i64 = 30 * 60_000;
/// The forge's clock may be behind ours by so much (ms); what is listed twice acts once.
const OVERLAP: i64 = 2 * 60_000;

fn created(comment: &crate::forge::Comment) -> Option<i64> {
    Some(chrono::DateTime::parse_from_rfc3339(&comment.created_at).ok()?.timestamp_millis())
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

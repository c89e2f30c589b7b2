//! Commit statuses, and what a protected branch makes of them.

use std::collections::BTreeMap;

use git2::Oid;

use super::glob::matches;
use super::model::{AccountId, RepoId, Status, now};
use super::refusal::Refusal;
use super::state::{Numbered, State};
use crate::demo::hooks::Event;
use crate::demo::wire;

/// What somebody says of a commit.
#[derive(Clone, Debug)]
pub struct NewStatus {
    /// `success`, `failure` and the like, but any word is taken; empty becomes `pending`, as on Gitea.
    pub state: String,
    /// The name that protections require; empty becomes `default`, as on Gitea.
    pub context: String,
    /// A line for people; space around it is dropped.
    pub description: String,
    /// Where a click on it leads; space around it is dropped, and empty is fine.
    pub target_url: String,
}

impl State {
    /// Posts a status on the commit that `name` means: a full SHA, but Gitea takes a short one and a branch as well.
    /// What it does not know is a 500 there.
    pub fn post_status(
        &mut self,
        repo: RepoId,
        name: &str,
        new: NewStatus,
        doer: AccountId,
    ) -> Result<(Oid, Status), Refusal> {
        let unknown = || Refusal::Broken(format!("no commit {name}"));
        let commit = self.bare(repo)?.resolve(name).ok_or_else(unknown)?;
        let id = self.number(Numbered::Status);
        let rows = self.repo_mut(repo)?.statuses.entry(commit).or_default();
        let status = Status {
            id,
            index: rows.len() as u64 + 1,
            state: if new.state.is_empty() { "pending".to_owned() } else { new.state },
            context: if new.context.is_empty() { "default".to_owned() } else { new.context },
            description: new.description.trim().to_owned(),
            target_url: new.target_url.trim().to_owned(),
            creator: doer,
            created: now(),
        };
        rows.push(status.clone());
        let payload = wire::event::status(self, repo, commit, &status)?;
        self.tell(repo, Event::STATUS, None, &payload)?;
        self.merge_what_is_green(repo)?;
        Ok((commit, status))
    }

    /// The statuses of a commit in the order of Gitea's lists: newest second first, within it in the order of posting.
    pub fn statuses(&self, repo: RepoId, commit: Oid) -> Result<Vec<Status>, Refusal> {
        let mut rows = self.repo(repo)?.statuses.get(&commit).cloned().unwrap_or_default();
        rows.sort_by_key(|status| std::cmp::Reverse(status.created));
        Ok(rows)
    }

    /// The newest status of each context, by context.
    pub fn newest_statuses(&self, repo: RepoId, commit: Oid) -> Result<Vec<&Status>, Refusal> {
        let rows = self.repo(repo)?.statuses.get(&commit);
        let newest: BTreeMap<&str, &Status> =
            rows.into_iter().flatten().map(|status| (status.context.as_str(), status)).collect();
        Ok(newest.into_values().collect())
    }

    /// Whether a commit has what the protection of `branch` demands: each context, which may be a glob, was posted, and
    /// none that it fits is red.
    pub fn has_required_statuses(&self, repo: RepoId, branch: &str, commit: Oid) -> Result<bool, Refusal> {
        let Some(protection) = self.protection(repo, branch)?.filter(|protection| protection.status_check) else {
            return Ok(true);
        };
        let newest = self.newest_statuses(repo, commit)?;
        let passes = |status: &&Status| matches!(status.state.as_str(), "success" | "warning" | "skipped");
        let met = |context: &String| {
            let bot =
                protection.pinned.get(context).map(|id| self.apps.iter().find(|app| app.id == *id).map(|app| app.bot));
            let gives = |status: &&Status| bot.is_none_or(|bot| bot == Some(status.creator));
            let fits = |status: &&Status| matches(context, &status.context) && gives(status);
            let mut fitting = newest.iter().copied().filter(fits).peekable();
            fitting.peek().is_some() && fitting.all(|status| passes(&status))
        };
        Ok(protection.contexts.iter().all(met))
    }
}

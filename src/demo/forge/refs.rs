//! A reference moves, and everything that follows from it: deliveries, pull requests that get a new head or are closed.
//!
//! All ways of moving one end here: a push over HTTP, the contents API, a merge. So each of them looks the same to a hook.

use git2::Oid;

use super::model::{AccountId, Issue, Pull, RepoId, now};
use super::refusal::Refusal;
use super::state::State;
use crate::demo::hooks::Event;
use crate::demo::wire;

/// A reference and what it points to; `None` where there is none.
#[derive(Clone, Debug)]
pub struct Moved {
    /// In full, such as `refs/heads/main`.
    pub name: String,
    /// The object that it pointed to; `None` where the reference is new.
    pub before: Option<Oid>,
    /// The object that it points to now; `None` where the reference is gone.
    pub after: Option<Oid>,
}

impl State {
    /// Moves or makes a branch.
    pub fn set_branch(&mut self, repo: RepoId, branch: &str, to: Oid, doer: AccountId) -> Result<(), Refusal> {
        let bare = self.bare(repo)?;
        let moved = Moved { name: format!("refs/heads/{branch}"), before: bare.branch(branch), after: Some(to) };
        bare.set(&moved.name, to)?;
        self.reference_moved(repo, &moved, doer)
    }

    /// Deletes a branch; its open pull requests are closed.
    pub fn delete_branch(&mut self, repo: RepoId, branch: &str, doer: AccountId) -> Result<(), Refusal> {
        if self.repo(repo)?.default_branch == branch {
            return Err(Refusal::Forbidden("can not delete default or pull request target branch".to_owned()));
        }
        if self.protection(repo, branch)?.is_some() {
            return Err(Refusal::Forbidden("branch protected".to_owned()));
        }
        let bare = self.bare(repo)?;
        let before = bare.branch(branch).ok_or_else(Refusal::not_found)?;
        let moved = Moved { name: format!("refs/heads/{branch}"), before: Some(before), after: None };
        bare.remove(&moved.name)?;
        self.reference_moved(repo, &moved, doer)
    }

    /// Tells what follows from a reference that has moved.
    pub fn reference_moved(&mut self, repo: RepoId, moved: &Moved, doer: AccountId) -> Result<(), Refusal> {
        if moved.before == moved.after {
            return Ok(());
        }
        self.repo_mut(repo)?.updated = now();
        if let Some(branch) = moved.name.strip_prefix("refs/heads/") {
            self.branch_moved(repo, branch, moved, doer)
        } else if let Some(tag) = moved.name.strip_prefix("refs/tags/") {
            self.tag_moved(repo, tag, moved, doer)
        } else {
            Ok(())
        }
    }

    fn branch_moved(&mut self, repo: RepoId, branch: &str, moved: &Moved, doer: AccountId) -> Result<(), Refusal> {
        let Some(after) = moved.after else {
            let payload = wire::event::deleted(self, repo, branch, "branch", doer)?;
            self.tell(repo, Event::DELETE, Some(branch), &payload)?;
            let touched = |at: RepoId, pull: &Pull| {
                (pull.head_repo == Some(repo) && pull.head == branch) || (at == repo && pull.base == branch)
            };
            for (at, number) in self.open_pulls(touched) {
                self.close(at, number, doer)?;
            }
            return Ok(());
        };
        if moved.before.is_none() {
            let payload = wire::event::created(self, repo, branch, "branch", after, doer)?;
            self.tell(repo, Event::CREATE, Some(branch), &payload)?;
        }
        let payload = wire::event::push(self, repo, moved, doer)?;
        self.tell(repo, Event::PUSH, Some(branch), &payload)?;
        for (at, number) in self.open_pulls(|_, pull| pull.head_repo == Some(repo) && pull.head == branch) {
            self.copy_head(at, number)?;
            self.issue_mut(at, number)?.updated = now();
            let payload = wire::event::pull_synchronized(self, at, number, doer)?;
            self.tell(at, Event::PULL_REQUEST_SYNC, None, &payload)?;
        }
        Ok(())
    }

    fn tag_moved(&mut self, repo: RepoId, tag: &str, moved: &Moved, doer: AccountId) -> Result<(), Refusal> {
        let push = wire::event::push(self, repo, moved, doer)?;
        self.tell(repo, Event::PUSH, Some(tag), &push)?;
        let (event, payload) = match moved.after {
            Some(after) => (Event::CREATE, wire::event::created(self, repo, tag, "tag", after, doer)?),
            None => (Event::DELETE, wire::event::deleted(self, repo, tag, "tag", doer)?),
        };
        self.tell(repo, event, Some(tag), &payload)
    }

    /// The open pull requests of the whole forge that a question picks: by their base repository and themselves.
    pub(super) fn open_pulls(&self, wanted: impl Fn(RepoId, &Pull) -> bool) -> Vec<(RepoId, u64)> {
        let of_repo = |issue: &Issue, repo: RepoId| {
            let pull = issue.pull.as_ref().filter(|_| issue.is_open())?;
            wanted(repo, pull).then_some((repo, issue.number))
        };
        self.repos().flat_map(|repo| repo.issues.values().filter_map(move |issue| of_repo(issue, repo.id))).collect()
    }

    /// Brings a pull request's head to `refs/pull/N/head` of its base repository, as it is now.
    pub(super) fn copy_head(&mut self, repo: RepoId, number: u64) -> Result<(), Refusal> {
        let (_, pull) = self.pull(repo, number)?;
        let Some(from) = pull.head_repo else { return Ok(()) };
        let to = format!("refs/pull/{number}/head");
        if from == repo {
            let bare = self.bare(repo)?;
            let head = bare.branch(&pull.head).ok_or_else(Refusal::not_found)?;
            bare.set(&to, head)
        } else {
            self.bare(repo)?.fetch(&self.path(from), &format!("refs/heads/{}", pull.head), &to)
        }
    }
}

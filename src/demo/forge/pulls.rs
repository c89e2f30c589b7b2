//! Pull requests: opened, edited, retargeted, closed, merged.

use git2::Oid;

use super::model::{Access, AccountId, Issue, Merge, Pull, RepoId, now};
use super::refs::Moved;
use super::refusal::Refusal;
use super::state::{Numbered, State};
use crate::demo::hooks::Event;
use crate::demo::wire;

/// A pull request to open.
#[derive(Clone, Debug)]
pub struct NewPull {
    /// A branch, or `owner:branch` of a fork.
    pub head: String,
    /// A branch of the repository that it is opened in, without `refs/heads/`.
    pub base: String,
    /// A blank one is refused; `WIP:` at its start makes a draft.
    pub title: String,
    /// Markdown; may be empty.
    pub body: String,
    /// Marked as not ready for review: GitHub's way; Gitea's is the title.
    pub draft: bool,
}

/// What changes about a pull request; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// The title as it shall be. `WIP:` at its start makes a draft.
    pub title: Option<String>,
    /// The text as it shall be, all of it.
    pub body: Option<String>,
    /// The branch that it shall be merged into instead, without `refs/heads/`; it must be there.
    pub base: Option<String>,
    /// Whether it shall be open. A merged one refuses either answer, as on Gitea.
    pub open: Option<bool>,
}

/// How a pull request is merged.
#[derive(Clone, Debug, Default)]
pub struct MergeWish {
    /// The merge commit's message; without one, Gitea's words with the title, the number and both branches.
    pub title: Option<String>,
    /// The head that the caller saw.
    pub head: Option<String>,
    /// Delete the head branch after the merge, in the fork if it is there.
    pub delete_branch: bool,
}

impl State {
    /// Opens a pull request onto `repo`; one without commits is accepted, as on Gitea.
    pub fn open_pull(&mut self, repo: RepoId, new: NewPull, doer: AccountId) -> Result<u64, Refusal> {
        let (head_repo, head) = self.head_of(repo, &new.head)?;
        let found = self.bare(head_repo)?.branch(head).is_some() && self.bare(repo)?.branch(&new.base).is_some();
        if !found {
            return Err(Refusal::not_found());
        }
        if head_repo == repo && head == new.base {
            return Err(Refusal::Invalid(
                "Invalid PullRequest: There are no changes between the head and the base".to_owned(),
            ));
        }
        self.only_one(repo, head_repo, head, &new.base)?;
        let pull_id = self.number(Numbered::Pull);
        let pull = Pull {
            id: pull_id,
            base: new.base.clone(),
            head: head.to_owned(),
            head_repo: Some(head_repo),
            merged: None,
            draft: new.draft,
            reviewers: Vec::new(),
            when_green: None,
        };
        let number = self.add_issue(repo, new.title, new.body, Some(pull), doer)?;
        self.copy_head(repo, number)?;
        self.tell_pull(repo, number, "opened", None, doer)?;
        Ok(number)
    }

    /// The repository and branch that `head` names: `branch` here, `owner:branch` in that owner's copy.
    fn head_of<'a>(&self, repo: RepoId, head: &'a str) -> Result<(RepoId, &'a str), Refusal> {
        let Some((owner, branch)) = head.split_once(':') else { return Ok((repo, head)) };
        let account = self.account_named(owner).ok_or_else(Refusal::not_found)?.id;
        let base = self.repo(repo)?;
        let related = |other: &&super::model::Repo| {
            other.owner == account
                && (other.id == repo || other.fork_of == Some(repo) || base.fork_of == Some(other.id))
        };
        let missing = || Refusal::Bad(format!("the user {owner} does not have a fork of the base repository"));
        self.repos().find(related).map(|other| (other.id, branch)).ok_or_else(missing)
    }

    fn only_one(&self, repo: RepoId, head_repo: RepoId, head: &str, base: &str) -> Result<(), Refusal> {
        let same = |at: RepoId, pull: &Pull| {
            at == repo && pull.head_repo == Some(head_repo) && pull.head == head && pull.base == base
        };
        let Some((_, number)) = self.open_pulls(same).into_iter().next() else { return Ok(()) };
        let (issue, pull) = self.pull(repo, number)?;
        Err(Refusal::Conflict(format!(
            "pull request already exists for these targets [id: {}, issue_id: {}, head_repo_id: {head_repo}, \
             base_repo_id: {repo}, head_branch: {head}, base_branch: {base}]",
            pull.id, issue.id
        )))
    }

    pub(super) fn add_issue(
        &mut self,
        repo: RepoId,
        title: String,
        body: String,
        pull: Option<Pull>,
        doer: AccountId,
    ) -> Result<u64, Refusal> {
        if title.trim().is_empty() {
            return Err(Refusal::Invalid("[Title]: Required".to_owned()));
        }
        let id = self.number(Numbered::Issue);
        let issues = &mut self.repo_mut(repo)?.issues;
        let number = issues.len() as u64 + 1;
        let issue = Issue {
            id,
            number,
            author: doer,
            title,
            body,
            created: now(),
            updated: now(),
            closed: None,
            closed_by: None,
            comments: Vec::new(),
            labels: Vec::new(),
            assignees: Vec::new(),
            pull,
        };
        issues.insert(number, issue);
        Ok(number)
    }

    /// Changes a pull request; each change is told by itself.
    pub fn edit_pull(&mut self, repo: RepoId, number: u64, edit: Edit, doer: AccountId) -> Result<(), Refusal> {
        let (issue, pull) = self.pull(repo, number)?;
        if self.access(self.repo(repo)?, Some(doer)) < Access::Write && issue.author != doer {
            return Err(Refusal::Forbidden(String::new()));
        }
        if edit.open.is_some() && pull.merged.is_some() {
            return Err(Refusal::Precondition("cannot change state of this pull request, it was already merged"));
        }
        let (old_title, old_body, old_base) = (issue.title.clone(), issue.body.clone(), pull.base.clone());
        let (head_repo, head, open) = (pull.head_repo, pull.head.clone(), issue.is_open());
        if let Some(title) = edit.title.filter(|title| *title != old_title) {
            self.issue_mut(repo, number)?.title = title;
            self.tell_pull(repo, number, "edited", Some(("title", &old_title)), doer)?;
        }
        if let Some(body) = edit.body.filter(|body| *body != old_body) {
            self.issue_mut(repo, number)?.body = body;
            self.tell_pull(repo, number, "edited", Some(("body", &old_body)), doer)?;
        }
        match edit.open {
            Some(false) if open => self.close(repo, number, doer)?,
            Some(true) if !open => self.reopen(repo, number, doer)?,
            _ => {}
        }
        let Some(base) = edit.base.filter(|base| *base != old_base) else { return Ok(()) };
        if self.bare(repo)?.branch(&base).is_none() {
            return Err(Refusal::Missing(format!("new base '{base}' not exist")));
        }
        if let Some(head_repo) = head_repo {
            self.only_one(repo, head_repo, &head, &base)?;
        }
        if let Some(pull) = self.issue_mut(repo, number)?.pull.as_mut() {
            pull.base.clone_from(&base);
        }
        // Gitea's `from` is the new base.
        self.tell_pull(repo, number, "edited", Some(("ref", &base)), doer)
    }

    /// Closes an issue or pull request.
    pub(super) fn close(&mut self, repo: RepoId, number: u64, doer: AccountId) -> Result<(), Refusal> {
        let issue = self.issue_mut(repo, number)?;
        (issue.closed, issue.closed_by) = (Some(now()), Some(doer));
        self.tell_pull(repo, number, "closed", None, doer)
    }

    fn reopen(&mut self, repo: RepoId, number: u64, doer: AccountId) -> Result<(), Refusal> {
        self.copy_head(repo, number)?;
        let issue = self.issue_mut(repo, number)?;
        (issue.closed, issue.closed_by) = (None, None);
        self.tell_pull(repo, number, "reopened", None, doer)
    }

    /// Merges a pull request with a merge commit; refuses with Gitea's words where it may not be.
    pub fn merge_pull(&mut self, repo: RepoId, number: u64, wish: &MergeWish, doer: AccountId) -> Result<(), Refusal> {
        let (issue, pull) = self.pull(repo, number)?;
        if pull.merged.is_some() {
            return Err(Refusal::NotAllowed("The PR is already merged".to_owned()));
        }
        if !issue.is_open() {
            return Err(Refusal::not_found());
        }
        if self.access(self.repo(repo)?, Some(doer)) < Access::Write {
            return Err(Refusal::NotAllowed("User not allowed to merge PR".to_owned()));
        }
        if issue.is_draft() {
            return Err(Refusal::NotAllowed("Work in progress PRs cannot be merged".to_owned()));
        }
        let bare = self.bare(repo)?;
        let head = bare.tip(&format!("refs/pull/{number}/head")).ok_or_else(Refusal::not_found)?;
        let base = bare.branch(&pull.base).ok_or_else(Refusal::not_found)?;
        if wish.head.as_ref().is_some_and(|seen| *seen != head.to_string()) {
            return Err(Refusal::Conflict("head out of date".to_owned()));
        }
        if !self.has_required_statuses(repo, &pull.base, head)? {
            return Err(Refusal::NotAllowed("Not all required status checks successful".to_owned()));
        }
        let outdated = self.protection(repo, &pull.base)?.is_some_and(|rule| rule.up_to_date)
            && bare.merge_base(base, head) != Some(base);
        if outdated {
            return Err(Refusal::NotAllowed("The head branch is behind the base branch".to_owned()));
        }
        let default = format!("Merge pull request '{}' (#{number}) from {} into {}", issue.title, pull.head, pull.base);
        let message = format!("{}\n", wish.title.as_ref().unwrap_or(&default).trim_end());
        let Some(commit) = bare.merge(base, head, &message, &self.signature(doer)?)? else {
            // While a real one has not yet found out, and ever after.
            return Err(Refusal::NotAllowed("Please try again later".to_owned()));
        };
        let merge = Merge { commit, merge_base: bare.merge_base(base, head), by: doer, at: now() };
        let (branch, head_repo, head_branch) = (pull.base.clone(), pull.head_repo, pull.head.clone());
        self.finish_merge(repo, number, merge, &branch, doer)?;
        if wish.delete_branch
            && let Some(head_repo) = head_repo
        {
            self.delete_branch(head_repo, &head_branch, doer)?;
        }
        Ok(())
    }

    /// Hooks hear of the merge first and of the push after it.
    fn finish_merge(
        &mut self,
        repo: RepoId,
        number: u64,
        merge: Merge,
        branch: &str,
        doer: AccountId,
    ) -> Result<(), Refusal> {
        let bare = self.bare(repo)?;
        let moved =
            Moved { name: format!("refs/heads/{branch}"), before: bare.branch(branch), after: Some(merge.commit) };
        bare.set(&moved.name, merge.commit)?;
        let issue = self.issue_mut(repo, number)?;
        issue.closed = Some(merge.at);
        issue.updated = merge.at;
        if let Some(pull) = issue.pull.as_mut() {
            pull.merged = Some(merge);
        }
        self.tell_pull(repo, number, "closed", None, doer)?;
        self.reference_moved(repo, &moved, doer)
    }

    /// The commits that a pull request brings, newest first.
    pub fn brought(&self, repo: RepoId, number: u64) -> Result<Vec<Oid>, Refusal> {
        let (head, base) = self.ends(repo, number)?;
        self.bare(repo)?.since(base, head)
    }

    /// The files that a pull request changes, with Gitea's word for how.
    pub fn changed_by(&self, repo: RepoId, number: u64) -> Result<Vec<(String, &'static str)>, Refusal> {
        let (head, base) = self.ends(repo, number)?;
        let bare = self.bare(repo)?;
        let changes = bare.changes(base.and_then(|base| bare.merge_base(base, head)), head)?;
        let all = |paths: Vec<String>, word: &'static str| paths.into_iter().map(move |path| (path, word));
        let mut files: Vec<(String, &'static str)> = all(changes.added, "added")
            .chain(all(changes.removed, "deleted"))
            .chain(all(changes.modified, "changed"))
            .collect();
        files.sort();
        Ok(files)
    }

    /// The head of a pull request, and what it is compared with.
    fn ends(&self, repo: RepoId, number: u64) -> Result<(Oid, Option<Oid>), Refusal> {
        let (_, pull) = self.pull(repo, number)?;
        let bare = self.bare(repo)?;
        let head = bare.tip(&format!("refs/pull/{number}/head")).ok_or_else(Refusal::not_found)?;
        let base = match &pull.merged {
            Some(merge) => merge.merge_base,
            None => bare.branch(&pull.base),
        };
        Ok((head, base))
    }

    fn tell_pull(
        &mut self,
        repo: RepoId,
        number: u64,
        action: &str,
        from: Option<(&str, &str)>,
        doer: AccountId,
    ) -> Result<(), Refusal> {
        self.issue_mut(repo, number)?.updated = now();
        if self.issue(repo, number)?.pull.is_none() {
            return Ok(());
        }
        let payload = wire::event::pull(self, repo, number, action, from, doer)?;
        self.tell(repo, Event::PULL_REQUEST, None, &payload)
    }
}

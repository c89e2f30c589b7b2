//! What is put on pull requests: labels, assignees, reviewers, the wish to be merged when the checks are green. And workflows
//! that somebody starts.

use std::collections::BTreeMap;

use git2::Oid;

use super::model::{Access, AccountId, Dispatched, Label, RepoId, now};
use super::pulls::MergeWish;
use super::refusal::Refusal;
use super::state::{Numbered, State};

/// Where workflows are kept.
const WORKFLOWS: [&str; 2] = [".gitea/workflows", ".github/workflows"];

impl State {
    /// Makes a label.
    pub fn add_label(&mut self, repo: RepoId, name: String, color: String) -> Result<Label, Refusal> {
        if name.trim().is_empty() {
            return Err(Refusal::Invalid("[Name]: Required".to_owned()));
        }
        let label = Label { id: self.number(Numbered::Label), name, color };
        self.repo_mut(repo)?.labels.push(label.clone());
        Ok(label)
    }

    /// Puts labels on an issue or pull request by their names; names that are none are passed over, as on Gitea, or made where
    /// `make`, as on GitHub. All that stand there now.
    pub fn put_labels(
        &mut self,
        repo: RepoId,
        number: u64,
        names: &[String],
        make: bool,
        doer: AccountId,
    ) -> Result<Vec<Label>, Refusal> {
        self.issue(repo, number)?;
        if self.access(self.repo(repo)?, Some(doer)) < Access::Write {
            return Err(Refusal::Forbidden("write permission is required".to_owned()));
        }
        for name in names {
            let known = self.repo(repo)?.labels.iter().find(|label| label.name == *name).map(|label| label.id);
            let id = match known {
                Some(id) => id,
                None if make => self.add_label(repo, name.clone(), "ededed".to_owned())?.id,
                None => continue,
            };
            let labels = &mut self.issue_mut(repo, number)?.labels;
            if !labels.contains(&id) {
                labels.push(id);
            }
        }
        self.labels_of(repo, number)
    }

    /// The labels of an issue or pull request.
    pub fn labels_of(&self, repo: RepoId, number: u64) -> Result<Vec<Label>, Refusal> {
        let (ids, all) = (&self.issue(repo, number)?.labels, &self.repo(repo)?.labels);
        Ok(all.iter().filter(|label| ids.contains(&label.id)).cloned().collect())
    }

    fn people(&self, logins: &[String], unknown: impl Fn(&str) -> Refusal) -> Result<Vec<AccountId>, Refusal> {
        let id = |login: &String| self.account_named(login).map(|account| account.id).ok_or_else(|| unknown(login));
        logins.iter().map(id).collect()
    }

    /// Assigns these people, and nobody else.
    pub fn assign(&mut self, repo: RepoId, number: u64, logins: &[String], doer: AccountId) -> Result<(), Refusal> {
        if self.access(self.repo(repo)?, Some(doer)) < Access::Write {
            return Err(Refusal::Forbidden(String::new()));
        }
        let who = self.people(logins, |login| {
            Refusal::Invalid(format!("Assignee does not exist: [name: user does not exist [uid: 0, name: {login}]]"))
        })?;
        self.issue_mut(repo, number)?.assignees = who;
        Ok(())
    }

    /// Asks people for a review; who wrote it is not asked, as on a real forge.
    pub fn ask_reviewers(&mut self, repo: RepoId, number: u64, logins: &[String]) -> Result<(), Refusal> {
        let author = self.pull(repo, number)?.0.author;
        let who = self.people(logins, |login| Refusal::Missing(format!("User '{login}' not exist")))?;
        if who.contains(&author) {
            return Err(Refusal::Invalid("poster of pr can't be reviewer".to_owned()));
        }
        if let Some(pull) = self.issue_mut(repo, number)?.pull.as_mut() {
            let new: Vec<AccountId> = who.into_iter().filter(|one| !pull.reviewers.contains(one)).collect();
            pull.reviewers.extend(new);
        }
        Ok(())
    }

    /// Merges a pull request when its required checks are green: at once where they are.
    pub fn merge_when_green(
        &mut self,
        repo: RepoId,
        number: u64,
        wish: MergeWish,
        doer: AccountId,
    ) -> Result<(), Refusal> {
        let (issue, pull) = self.pull(repo, number)?;
        if pull.merged.is_some() {
            return Err(Refusal::NotAllowed("The PR is already merged".to_owned()));
        }
        if !issue.is_open() {
            return Err(Refusal::not_found());
        }
        if issue.is_draft() {
            return Err(Refusal::NotAllowed("Work in progress PRs cannot be merged".to_owned()));
        }
        if pull.when_green.is_some() {
            let id = pull.id;
            return Err(Refusal::Conflict(format!(
                "pull request is already scheduled to auto merge when checks succeed [pull_id: {id}]"
            )));
        }
        if let Some(pull) = self.issue_mut(repo, number)?.pull.as_mut() {
            pull.when_green = Some((doer, wish));
        }
        self.merge_what_is_green(repo)
    }

    /// Merges what waits for its checks, as far as they are green.
    pub(super) fn merge_what_is_green(&mut self, repo: RepoId) -> Result<(), Refusal> {
        let waiting: Vec<(u64, String, AccountId, MergeWish)> = self
            .repo(repo)?
            .issues
            .values()
            .filter(|issue| issue.is_open())
            .filter_map(|issue| {
                let pull = issue.pull.as_ref()?;
                let (doer, wish) = pull.when_green.clone()?;
                Some((issue.number, pull.base.clone(), doer, wish))
            })
            .collect();
        for (number, base, doer, wish) in waiting {
            let head: Option<Oid> = self.bare(repo)?.tip(&format!("refs/pull/{number}/head"));
            let Some(head) = head else { continue };
            if self.has_required_statuses(repo, &base, head)? {
                self.merge_pull(repo, number, &wish, doer)?;
            }
        }
        Ok(())
    }

    /// Starts a workflow: here it is only written down.
    pub fn dispatch(
        &mut self,
        repo: RepoId,
        workflow: &str,
        reference: &str,
        inputs: BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        if reference.is_empty() {
            return Err(Refusal::Invalid("ref is required parameter".to_owned()));
        }
        let bare = self.bare(repo)?;
        let name = reference.trim_start_matches("refs/heads/");
        let head = bare.resolve(name).ok_or_else(|| Refusal::Missing(format!("ref {reference} doesn't exist")))?;
        let mut found = false;
        for folder in WORKFLOWS {
            found |= bare.file(head, &format!("{folder}/{workflow}"))?.is_some();
        }
        if !found {
            return Err(Refusal::Missing(format!("workflow \"{workflow}\" not found")));
        }
        let dispatched =
            Dispatched { workflow: workflow.to_owned(), reference: reference.to_owned(), inputs, at: now() };
        self.repo_mut(repo)?.dispatched.push(dispatched);
        Ok(())
    }
}

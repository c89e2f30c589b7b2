//! Repositories come, are copied, change their names and go.

use std::collections::BTreeMap;

use super::bare::Bare;
use super::model::{Access, AccountId, Protection, Repo, RepoId, now};
use super::refusal::Refusal;
use super::state::{Numbered, State, is_name};
use crate::demo::hooks::Event;
use crate::demo::wire;

/// A repository that is to be.
#[derive(Clone, Debug)]
pub struct NewRepo<'a> {
    /// A user or an organization; the caller has asked whether the maker may.
    pub owner: AccountId,
    /// Letters, digits, `-`, `_` and `.`; one that the owner has already is refused.
    pub name: &'a str,
    /// Hide it from everyone who is not let in.
    pub private: bool,
    /// Where `HEAD` points, without `refs/heads/`; the branch comes with the first commit.
    pub default_branch: &'a str,
    /// Begin with a commit of a `README.md`.
    pub readme: bool,
}

impl State {
    /// Makes a repository; `doer` writes its first commit.
    pub fn add_repo(&mut self, new: &NewRepo<'_>, doer: AccountId) -> Result<RepoId, Refusal> {
        let id = self.register(new, None)?;
        let bare = Bare::create(&self.path(id), new.default_branch)?;
        if new.readme {
            let readme = ("README.md".to_owned(), Some(format!("# {}\n\n", new.name).into_bytes()));
            let first = bare.write(None, &[readme], "Initial commit\n", &self.signature(doer)?)?;
            bare.set(&format!("refs/heads/{}", new.default_branch), first)?;
        }
        Ok(id)
    }

    fn register(&mut self, new: &NewRepo<'_>, fork_of: Option<RepoId>) -> Result<RepoId, Refusal> {
        if !is_name(new.name) {
            return Err(Refusal::Invalid(format!("name is invalid [{}]", new.name)));
        }
        if self.name_is_taken(new.owner, new.name) {
            return Err(Refusal::Conflict("The repository with the same name already exists.".to_owned()));
        }
        let id = self.number(Numbered::Repo);
        // Whoever asks for the former name now means this one.
        self.former.remove(&(new.owner, new.name.to_lowercase()));
        let repo = Repo {
            id,
            owner: new.owner,
            name: new.name.to_owned(),
            private: new.private,
            default_branch: new.default_branch.to_owned(),
            fork_of,
            created: now(),
            updated: now(),
            collaborators: BTreeMap::new(),
            hooks: Vec::new(),
            protections: Vec::new(),
            rules: Vec::new(),
            issues: BTreeMap::new(),
            statuses: BTreeMap::new(),
            archived: false,
            labels: Vec::new(),
            dispatched: Vec::new(),
        };
        self.repos.insert(id, repo);
        Ok(id)
    }

    fn name_is_taken(&self, owner: AccountId, name: &str) -> bool {
        self.repos().any(|repo| repo.owner == owner && repo.name.eq_ignore_ascii_case(name))
    }

    /// Copies a repository with all its branches to `owner`.
    pub fn fork(&mut self, id: RepoId, owner: AccountId, doer: AccountId) -> Result<RepoId, Refusal> {
        let original = self.repo(id)?.clone();
        let there = self.repos().find(|repo| repo.fork_of == Some(id) && repo.owner == owner);
        if let Some(there) = there.or_else(|| Some(&original).filter(|original| original.owner == owner)) {
            return Err(Refusal::Conflict(format!(
                "repository is already forked by user [uname: {}, repo path: {}, fork path: {}]",
                self.account(owner)?.login,
                self.full_name(&original)?,
                self.full_name(there)?
            )));
        }
        let new = NewRepo {
            owner,
            name: &original.name,
            private: original.private,
            default_branch: &original.default_branch,
            readme: false,
        };
        let fork = self.register(&new, Some(id))?;
        Bare::create(&self.path(fork), new.default_branch)?.fetch(&self.path(id), "refs/heads/*", "refs/heads/*")?;
        let payload = wire::event::fork(self, id, fork, doer)?;
        self.tell(id, Event::FORK, None, &payload)?;
        Ok(fork)
    }

    /// Another name for a repository; the old one leads to it. No hook hears of it.
    pub fn rename(&mut self, id: RepoId, name: &str) -> Result<(), Refusal> {
        let (owner, former) = (self.repo(id)?.owner, self.repo(id)?.name.to_lowercase());
        if !is_name(name) {
            return Err(Refusal::Invalid(format!("name is invalid [{name}]")));
        }
        let only_case = former == name.to_lowercase();
        if !only_case && self.name_is_taken(owner, name) {
            return Err(Refusal::Invalid(format!("repo name is already taken [name: {name}]")));
        }
        self.former.remove(&(owner, name.to_lowercase()));
        self.repo_mut(id)?.name = name.to_owned();
        if !only_case {
            self.former.insert((owner, former), id);
        }
        Ok(())
    }

    /// Shows a repository to everyone, or hides it.
    pub fn set_private(&mut self, id: RepoId, private: bool) -> Result<(), Refusal> {
        self.repo_mut(id)?.private = private;
        Ok(())
    }

    /// Makes a repository read-only, or lets it be written again.
    pub fn set_archived(&mut self, id: RepoId, archived: bool) -> Result<(), Refusal> {
        self.repo_mut(id)?.archived = archived;
        Ok(())
    }

    /// Another default branch, which must be there.
    pub fn set_default_branch(&mut self, id: RepoId, branch: &str) -> Result<(), Refusal> {
        if self.bare(id)?.branch(branch).is_none() {
            return Err(Refusal::Missing(format!("branch does not exist [name: {branch}]")));
        }
        self.repo_mut(id)?.default_branch = branch.to_owned();
        Ok(())
    }

    /// Deletes a repository; pull requests from it are closed first.
    pub fn delete_repo(&mut self, id: RepoId, doer: AccountId) -> Result<(), Refusal> {
        let from_here = self.open_pulls(|_, pull| pull.head_repo == Some(id));
        for (repo, number) in from_here.into_iter().filter(|(repo, _)| *repo != id) {
            self.close(repo, number, doer)?;
        }
        let payload = wire::event::repository(self, id, "deleted", doer)?;
        self.tell(id, Event::REPOSITORY, None, &payload)?;
        self.repos.remove(&id);
        self.former.retain(|_, leads_to| *leads_to != id);
        for issue in self.repos.values_mut().flat_map(|repo| repo.issues.values_mut()) {
            if let Some(pull) = issue.pull.as_mut().filter(|pull| pull.head_repo == Some(id)) {
                pull.head_repo = None;
            }
        }
        Ok(std::fs::remove_dir_all(self.path(id))?)
    }

    /// Lets somebody into a repository.
    pub fn add_collaborator(&mut self, id: RepoId, account: AccountId, access: Access) -> Result<(), Refusal> {
        self.repo_mut(id)?.collaborators.insert(account, access);
        Ok(())
    }

    /// A rule, to be changed.
    pub fn rule_mut(&mut self, id: RepoId, rule: &str) -> Result<&mut Protection, Refusal> {
        let protections = &mut self.repo_mut(id)?.protections;
        protections.iter_mut().find(|one| one.rule == rule).ok_or_else(Refusal::not_found)
    }

    /// Demands it no more.
    pub fn unprotect(&mut self, id: RepoId, rule: &str) -> Result<(), Refusal> {
        let protections = &mut self.repo_mut(id)?.protections;
        let index = protections.iter().position(|one| one.rule == rule).ok_or_else(Refusal::not_found)?;
        protections.remove(index);
        Ok(())
    }

    /// Demands something of all branches by a ruleset.
    pub fn add_rule(&mut self, id: RepoId, rule: serde_json::Value) -> Result<(), Refusal> {
        self.repo_mut(id)?.rules.push(rule);
        Ok(())
    }

    /// Demands something of branches.
    pub fn protect(&mut self, id: RepoId, protection: Protection) -> Result<(), Refusal> {
        let protections = &mut self.repo_mut(id)?.protections;
        if protections.iter().any(|other| other.rule == protection.rule) {
            return Err(Refusal::Forbidden("Branch protection already exist".to_owned()));
        }
        protections.push(protection);
        Ok(())
    }
}

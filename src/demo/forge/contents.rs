//! Commits made through the API: files are created, updated and deleted without a clone.

use git2::Oid;

use super::bare::{Bare, Edit};
use super::glob::matches;
use super::model::{AccountId, Protection, RepoId};
use super::refusal::Refusal;
use super::state::State;

/// What happens to one file.
#[derive(Clone, Debug)]
pub enum Operation {
    Create {
        content: Vec<u8>,
    },
    /// `sha`: the blob that the caller saw there.
    Update {
        sha: String,
        content: Vec<u8>,
    },
    Delete {
        sha: String,
    },
}

/// One file of a [`Change`].
#[derive(Clone, Debug)]
pub struct FileChange {
    pub path: String,
    pub operation: Operation,
}

/// A commit to make.
#[derive(Clone, Debug)]
pub struct Change {
    /// It is built on this branch's head.
    pub branch: String,
    /// The branch that gets it, where it is another one.
    pub new_branch: Option<String>,
    /// Let `new_branch` be overwritten.
    pub force: bool,
    pub message: String,
    pub files: Vec<FileChange>,
}

impl State {
    /// Makes a commit of changed files on a branch; returns it.
    pub fn change_files(&mut self, repo: RepoId, change: &Change, doer: AccountId) -> Result<Oid, Refusal> {
        let bare = self.bare(repo)?;
        let parent = bare.branch(&change.branch);
        if parent.is_none() && !bare.is_empty()? {
            return Err(Refusal::NotFound(format!("branch does not exist [name: {}]", change.branch)));
        }
        let target = change.new_branch.as_ref().unwrap_or(&change.branch);
        if !git2::Reference::is_valid_name(&format!("refs/heads/{target}")) {
            return Err(Refusal::Invalid(format!("[NewBranchName]: Git reference name `{target}` is invalid")));
        }
        if *target != change.branch && !change.force && bare.branch(target).is_some() {
            return Err(Refusal::Invalid(format!("branch already exists [name: {target}]")));
        }
        if self.protection(repo, target)?.is_some_and(|protection| !protection.push) {
            let login = &self.account(doer)?.login;
            return Err(Refusal::Forbidden(format!("user cannot commit to repo [user: {login}]")));
        }
        let edits = change.files.iter().map(|file| edit(&bare, parent, file)).collect::<Result<Vec<_>, _>>()?;
        let message = format!("{}\n", change.message.trim_end());
        let commit = bare.write(parent, &edits, &message, &self.signature(doer)?)?;
        self.set_branch(repo, target, commit, doer)?;
        Ok(commit)
    }

    /// The rule that protects a branch: one of its very name before a glob.
    pub fn protection(&self, repo: RepoId, branch: &str) -> Result<Option<&Protection>, Refusal> {
        let rules = &self.repo(repo)?.protections;
        let exact = rules.iter().find(|protection| protection.rule == branch);
        Ok(exact.or_else(|| rules.iter().find(|protection| matches(&protection.rule, branch))))
    }
}

/// The edit that a change means, if it fits what is there.
fn edit(bare: &Bare, parent: Option<Oid>, file: &FileChange) -> Result<Edit, Refusal> {
    let path = file.path.trim_matches('/');
    if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | ".." | ".git")) {
        return Err(Refusal::Invalid(format!("path contains a malformed path component [path: {}]", file.path)));
    }
    let there = parent.map(|parent| bare.file(parent, path)).transpose()?.flatten();
    let expect = |sha: &str| match &there {
        None => Err(Refusal::NotFound(format!("repository file does not exist [path: {path}]"))),
        Some(_) if sha.is_empty() => {
            Err(Refusal::Invalid("a SHA or commit ID must be provided when updating a file".to_owned()))
        }
        Some(there) if there.blob.to_string() != sha => {
            Err(Refusal::Invalid(format!("sha does not match [given: {sha}, expected: {}]", there.blob)))
        }
        Some(_) => Ok(()),
    };
    let content = match &file.operation {
        Operation::Create { .. } if there.is_some() => {
            return Err(Refusal::Invalid(format!("repository file already exists [path: {path}]")));
        }
        Operation::Create { content } => Some(content.clone()),
        Operation::Update { sha, content } => expect(sha).map(|()| Some(content.clone()))?,
        Operation::Delete { sha } => expect(sha).map(|()| None)?,
    };
    Ok((path.to_owned(), content))
}

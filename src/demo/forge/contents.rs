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
    /// A new file; refused where the path has one already.
    Create {
        /// All of the file, no longer in the base64 of the request.
        content: Vec<u8>,
    },
    /// `sha`: the blob that the caller saw there, if it says so.
    Update {
        /// In hex. One that is not the file's present blob refuses the change; empty is believed.
        sha: String,
        /// All of the file as it will be; nothing of the old content stays.
        content: Vec<u8>,
    },
    /// The file goes; refused where there is none.
    Delete {
        /// The blob that the caller saw there, in hex; empty is believed, as in an update.
        sha: String,
    },
}

/// One file of a [`Change`].
#[derive(Clone, Debug)]
pub struct FileChange {
    /// From the repository's root; slashes around it do not matter. `.`, `..` and `.git` are no parts of one.
    pub path: String,
    /// A renamed file takes two of them: one to delete and one to create.
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
    /// Of the commit. It gets one line break at its end, whatever it had.
    pub message: String,
    /// All of them go into one commit, or none does where one does not fit.
    pub files: Vec<FileChange>,
}

impl State {
    /// Makes a commit of changed files on a branch; returns it.
    pub fn change_files(&mut self, repo: RepoId, change: &Change, doer: AccountId) -> Result<Oid, Refusal> {
        let bare = self.bare(repo)?;
        let parent = bare.branch(&change.branch);
        if parent.is_none() && !bare.is_empty()? {
            return Err(Refusal::Missing(format!("branch does not exist [repo_id: {repo} name: {}]", change.branch)));
        }
        let target = change.new_branch.as_ref().unwrap_or(&change.branch);
        let there = bare.branch(target).is_some();
        if !git2::Reference::is_valid_name(&format!("refs/heads/{target}")) {
            return Err(Refusal::Invalid("[NewBranchName]: GitRefName".to_owned()));
        }
        if *target != change.branch && !change.force && there {
            return Err(Refusal::Invalid(format!("branch already exists [name: {target}]")));
        }
        if self.protection(repo, target)?.is_some_and(|protection| !protection.push) {
            let login = &self.account(doer)?.login;
            return Err(Refusal::Forbidden(match there {
                true => format!("user cannot commit to repo [user: {login}]"),
                false => format!("Not allowed to push to protected branch {target}"),
            }));
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
        // Gitea leaves this to git.
        return Err(Refusal::Broken(format!("no path for a file: {}", file.path)));
    }
    let there = parent.map(|parent| bare.file(parent, path)).transpose()?.flatten();
    // A caller who saw nothing gives no SHA, and is believed.
    let expect = |sha: &str| match &there {
        None => Err(Refusal::Missing(format!("object does not exist [id: , rel_path: {path}]"))),
        Some(there) if !sha.is_empty() && there.blob.to_string() != sha => {
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

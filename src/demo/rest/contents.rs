//! Branches, commits and files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use git2::Oid;
use serde::Deserialize;

use super::answer::Answer;
use super::visit::Visit;
use crate::demo::forge::Refusal;
use crate::demo::forge::contents::{Change, FileChange, Operation};
use crate::demo::forge::model::Access;
use crate::demo::wire;

pub fn branches(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let branches = visit.state.bare(repo.id)?.branches()?;
    visit.page(branches, |(name, head)| wire::branch(visit.state, repo, &name, head, visit.viewer))
}

pub fn branch(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    told(visit, repo.id, visit.param("branch")).map(Answer::ok)
}

fn told(visit: &Visit<'_>, repo: u64, name: &str) -> Result<serde_json::Value, Refusal> {
    let head = visit.state.bare(repo)?.branch(name).ok_or_else(Refusal::not_found)?;
    wire::branch(visit.state, visit.state.repo(repo)?, name, head, visit.viewer)
}

#[derive(Deserialize)]
struct NewBranch {
    new_branch_name: String,
    #[serde(default)]
    old_ref_name: String,
    #[serde(default)]
    old_branch_name: String,
}

pub fn add_branch(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    visit.living(Access::Write)?;
    let (repo, doer, form) = (visit.repo(Access::Write)?, visit.doer()?, visit.form::<NewBranch>()?);
    let bare = visit.state.bare(repo.id)?;
    let from = [&form.old_ref_name, &form.old_branch_name].into_iter().find(|name| !name.is_empty());
    let missing = || Refusal::Missing("The old branch does not exist".to_owned());
    let head = bare.resolve(from.unwrap_or(&repo.default_branch)).ok_or_else(missing)?;
    if bare.branch(&form.new_branch_name).is_some() {
        return Err(Refusal::Conflict("The branch already exists.".to_owned()));
    }
    if visit.state.protection(repo.id, &form.new_branch_name)?.is_some_and(|protection| !protection.push) {
        // Gitea leaves this to git.
        return Err(Refusal::Broken("the new branch is protected".to_owned()));
    }
    let id = repo.id;
    visit.state.set_branch(id, &form.new_branch_name, head, doer)?;
    told(visit, id, &form.new_branch_name).map(Answer::created)
}

pub fn delete_branch(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, name) = (visit.living(Access::Write)?, visit.doer()?, visit.param("branch").to_owned());
    visit.state.delete_branch(repo, &name, doer)?;
    Ok(Answer::nothing())
}

/// A file; folders are not told.
pub fn file(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let bare = visit.state.bare(repo.id)?;
    let (path, reference) = (visit.param("path"), visit.query("ref").unwrap_or(&repo.default_branch));
    let no_ref = || Refusal::no_such(format!("object does not exist [id: {reference}, rel_path: ]"));
    let commit = bare.resolve(reference).ok_or_else(no_ref)?;
    let missing = || Refusal::NotFound {
        message: "GetContentsOrList".to_owned(),
        detail: Some(format!("object does not exist [id: , rel_path: {path}]")),
    };
    let file = bare.file(commit, path)?.ok_or_else(missing)?;
    Ok(Answer::ok(wire::contents(visit.state, repo, &bare, commit, path, &file, reference)?))
}

pub fn commit(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let sha = visit.param("sha");
    let missing = || Refusal::NotFound { message: format!("commit doesn't exist: {sha}"), detail: None };
    let id = visit.state.bare(repo.id)?.resolve(sha).ok_or_else(missing)?;
    Ok(Answer::ok(wire::full(visit.state, repo, id)?))
}

#[derive(Deserialize)]
struct Commit {
    #[serde(default)]
    branch: String,
    #[serde(default)]
    new_branch: String,
    #[serde(default)]
    force_push: bool,
    #[serde(default)]
    message: String,
    files: Vec<CommitFile>,
}

#[derive(Deserialize)]
struct CommitFile {
    operation: String,
    path: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    sha: String,
}

impl CommitFile {
    fn change(self) -> Result<FileChange, Refusal> {
        let content = STANDARD.decode(&self.content);
        let content = content.map_err(|error| Refusal::Invalid(format!("illegal base64 data: {error}")));
        let operation = match self.operation.as_str() {
            "create" => Operation::Create { content: content? },
            "update" => Operation::Update { sha: self.sha, content: content? },
            "delete" => Operation::Delete { sha: self.sha },
            other => return Err(Refusal::Invalid(format!("[Operation]: `{other}` is not one of the stand-in's"))),
        };
        Ok(FileChange { path: self.path, operation })
    }
}

/// One commit of many files.
pub fn change(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.repo(Access::Read)?, visit.doer()?, visit.form::<Commit>()?);
    if visit.state.access(repo, visit.viewer) < Access::Write {
        return Err(Refusal::Forbidden("user should have a permission to write to the target branch".to_owned()));
    }
    if repo.archived {
        return Err(Refusal::Locked(format!("{} is not allowed to edit", visit.state.full_name(repo)?)));
    }
    let branch = if form.branch.is_empty() { repo.default_branch.clone() } else { form.branch };
    let paths: Vec<String> = form.files.iter().map(|file| file.path.clone()).collect();
    let change = Change {
        new_branch: Some(form.new_branch).filter(|new| !new.is_empty() && *new != branch),
        branch,
        force: form.force_push,
        message: if form.message.is_empty() { format!("Change {}", paths.join(", ")) } else { form.message },
        files: form.files.into_iter().map(CommitFile::change).collect::<Result<_, _>>()?,
    };
    let id = repo.id;
    let commit: Oid = visit.state.change_files(id, &change, doer)?;
    let branch = change.new_branch.as_ref().unwrap_or(&change.branch);
    Ok(Answer::created(wire::files(visit.state, visit.state.repo(id)?, commit, branch, &paths)?))
}

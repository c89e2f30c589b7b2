//! Git's objects, one by one, and the branches that lead to them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use git2::Oid;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::demo::forge::Refusal;
use crate::demo::forge::bare::Entry;
use crate::demo::forge::model::Access;
use crate::demo::rest::answer::Answer;
use crate::demo::rest::visit::Visit;

fn id(text: &str) -> Result<Oid, Refusal> {
    Oid::from_str(text).map_err(|_| Refusal::Invalid(format!("{text} is no SHA")))
}

fn made(id: Oid) -> Answer {
    Answer::created(json!({ "sha": id.to_string() }))
}

/// A file as it is on a branch, in lines of sixty characters; folders are not told.
pub fn file(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let bare = visit.state.bare(repo.id)?;
    let (path, reference) = (visit.param("path"), visit.query("ref").unwrap_or(&repo.default_branch));
    let commit = bare.resolve(reference).ok_or_else(Refusal::not_found)?;
    let file = bare.file(commit, path)?.ok_or_else(Refusal::not_found)?;
    let mut content = String::new();
    for (at, c) in STANDARD.encode(&file.content).chars().enumerate() {
        content.extend((at > 0 && at % 60 == 0).then_some('\n'));
        content.push(c);
    }
    Ok(Answer::ok(json!({
        "type": "file",
        "encoding": "base64",
        "size": file.content.len(),
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": file.blob.to_string(),
        "content": content + "\n",
    })))
}

#[derive(Deserialize)]
struct Blob {
    #[serde(default)]
    content: String,
    #[serde(default)]
    encoding: String,
}

pub fn blob(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, form) = (visit.living(Access::Write)?, visit.form::<Blob>()?);
    let content = match form.encoding.as_str() {
        "base64" => STANDARD.decode(&form.content).map_err(|error| Refusal::Invalid(error.to_string()))?,
        _ => form.content.into_bytes(),
    };
    Ok(made(visit.state.bare(repo)?.blob(&content)?))
}

#[derive(Deserialize)]
struct Tree {
    base_tree: Option<String>,
    tree: Vec<TreeEntry>,
}

#[derive(Deserialize)]
struct TreeEntry {
    path: String,
    #[serde(default)]
    mode: String,
    content: Option<String>,
    /// Null removes the path, absent leaves `content` to say what is there.
    #[serde(default)]
    sha: Option<Value>,
}

pub fn tree(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, form) = (visit.living(Access::Write)?, visit.form::<Tree>()?);
    let bare = visit.state.bare(repo)?;
    let base = form.base_tree.as_deref().map(id).transpose()?;
    let mut entries = Vec::new();
    for entry in form.tree {
        let runs = entry.mode == "100755";
        let what = match (entry.content, entry.sha) {
            (Some(content), _) => Entry::File { blob: bare.blob(content.as_bytes())?, runs },
            (None, Some(Value::String(sha))) => Entry::File { blob: id(&sha)?, runs },
            (None, _) => Entry::Gone,
        };
        entries.push((entry.path, what));
    }
    Ok(made(bare.tree_of(base, &entries)?))
}

#[derive(Deserialize)]
struct Commit {
    message: String,
    tree: String,
    #[serde(default)]
    parents: Vec<String>,
}

pub fn make_commit(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Write)?, visit.doer()?, visit.form::<Commit>()?);
    let parents = form.parents.iter().map(|parent| id(parent)).collect::<Result<Vec<_>, _>>()?;
    let by = visit.state.signature(doer)?;
    Ok(made(visit.state.bare(repo)?.commit_of(id(&form.tree)?, &parents, &form.message, &by)?))
}

pub fn commit(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let bare = visit.state.bare(repo.id)?;
    let commit = id(visit.param("sha")).and_then(|id| bare.commit(id)).map_err(|_| Refusal::not_found())?;
    let parents: Vec<Value> = commit.parent_ids().map(|id| json!({ "sha": id.to_string() })).collect();
    Ok(Answer::ok(json!({
        "sha": commit.id().to_string(),
        "tree": { "sha": commit.tree_id().to_string() },
        "message": String::from_utf8_lossy(commit.message_bytes()),
        "parents": parents,
    })))
}

#[derive(Deserialize)]
struct NewRef {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
}

pub fn add_branch(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Write)?, visit.doer()?, visit.form::<NewRef>()?);
    let branch = form.name.strip_prefix("refs/heads/").filter(|_| git2::Reference::is_valid_name(&form.name));
    let branch = branch.ok_or_else(|| Refusal::Invalid(format!("{} is not a valid ref name.", form.name)))?;
    let bare = visit.state.bare(repo)?;
    if bare.branch(branch).is_some() {
        return Err(Refusal::Invalid("Reference already exists".to_owned()));
    }
    is_free(visit, repo, branch)?;
    let head = id(&form.sha)?;
    bare.commit(head).map_err(|_| Refusal::Invalid("Object does not exist".to_owned()))?;
    visit.state.set_branch(repo, branch, head, doer)?;
    Ok(Answer::created(json!({ "ref": form.name, "object": { "sha": form.sha, "type": "commit" } })))
}

fn is_free(visit: &Visit<'_>, repo: u64, branch: &str) -> Result<(), Refusal> {
    match visit.state.protection(repo, branch)?.is_some_and(|protection| !protection.push) {
        true => Err(Refusal::Invalid("Repository rule violations found".to_owned())),
        false => Ok(()),
    }
}

#[derive(Deserialize)]
struct MoveRef {
    sha: String,
    #[serde(default)]
    force: bool,
}

pub fn move_branch(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Write)?, visit.doer()?, visit.form::<MoveRef>()?);
    let branch = visit.param("branch").to_owned();
    let bare = visit.state.bare(repo)?;
    let before = bare.branch(&branch).ok_or_else(|| Refusal::Invalid("Reference does not exist".to_owned()))?;
    is_free(visit, repo, &branch)?;
    let head = id(&form.sha)?;
    if !form.force && bare.merge_base(before, head) != Some(before) {
        return Err(Refusal::Invalid("Update is not a fast forward".to_owned()));
    }
    visit.state.set_branch(repo, &branch, head, doer)?;
    Ok(Answer::ok(json!({ "ref": format!("refs/heads/{branch}"), "object": { "sha": form.sha, "type": "commit" } })))
}

pub fn delete_branch(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, branch) = (visit.living(Access::Write)?, visit.doer()?, visit.param("branch").to_owned());
    if visit.state.bare(repo)?.branch(&branch).is_none() {
        return Err(Refusal::Invalid("Reference does not exist".to_owned()));
    }
    visit.state.delete_branch(repo, &branch, doer)?;
    Ok(Answer::nothing())
}

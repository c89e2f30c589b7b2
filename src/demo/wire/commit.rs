//! Commits, branches and files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use git2::{Commit, Oid};
use serde_json::{Value, json};

use super::{NEVER, git_time, unsigned, user};
use crate::demo::forge::bare::{Bare, File};
use crate::demo::forge::model::{Access, Repo};
use crate::demo::forge::{Refusal, State, Viewer};

/// A commit as deliveries tell it, with the paths that it changes.
pub fn brief(state: &State, repo: &Repo, bare: &Bare, id: Oid) -> Result<Value, Refusal> {
    let changes = bare.changes_of(id)?;
    let mut value = without_files(state, repo, bare, id)?;
    value["verification"] = Value::Null;
    value["added"] = json!(changes.added);
    value["removed"] = json!(changes.removed);
    value["modified"] = json!(changes.modified);
    Ok(value)
}

/// A commit as branches and hook tests tell it.
pub fn without_files(state: &State, repo: &Repo, bare: &Bare, id: Oid) -> Result<Value, Refusal> {
    let commit = bare.commit(id)?;
    Ok(json!({
        "id": id.to_string(),
        "message": message(&commit),
        "url": page(state, repo, id)?,
        "author": person(state, &commit.author()),
        "committer": person(state, &commit.committer()),
        "verification": unsigned(),
        "timestamp": git_time(commit.committer().when()),
        "added": null,
        "removed": null,
        "modified": null,
    }))
}

fn person(state: &State, signature: &git2::Signature<'_>) -> Value {
    let email = String::from_utf8_lossy(signature.email_bytes());
    json!({
        "name": String::from_utf8_lossy(signature.name_bytes()),
        "email": email,
        "username": state.account_of_email(&email).map_or("", |account| &account.login),
    })
}

fn dated(signature: &git2::Signature<'_>) -> Value {
    json!({
        "name": String::from_utf8_lossy(signature.name_bytes()),
        "email": String::from_utf8_lossy(signature.email_bytes()),
        "date": git_time(signature.when()),
    })
}

fn message(commit: &Commit<'_>) -> String {
    String::from_utf8_lossy(commit.message_bytes()).into_owned()
}

fn page(state: &State, repo: &Repo, id: Oid) -> Result<String, Refusal> {
    Ok(format!("{}/{}/commit/{id}", state.base, state.full_name(repo)?))
}

fn meta(state: &State, repo: &Repo, kind: &str, id: Oid, created: &str) -> Result<Value, Refusal> {
    let url = format!("{}/api/v1/repos/{}/git/{kind}/{id}", state.base, state.full_name(repo)?);
    Ok(json!({ "url": url, "sha": id.to_string(), "created": created }))
}

/// A commit as `git/commits/{sha}` tells it.
pub fn full(state: &State, repo: &Repo, id: Oid) -> Result<Value, Refusal> {
    let bare = state.bare(repo.id)?;
    let (commit, changes) = (bare.commit(id)?, bare.changes_of(id)?);
    let created = git_time(commit.committer().when());
    let account = |signature: &git2::Signature<'_>| {
        let account = state.account_of_email(&String::from_utf8_lossy(signature.email_bytes()));
        account.map(|account| user(state, account.id, None)).transpose()
    };
    let mut value = meta(state, repo, "commits", id, &created)?;
    let mut inner = json!({
        "url": value["url"],
        "author": dated(&commit.author()),
        "committer": dated(&commit.committer()),
        "message": message(&commit),
        "verification": unsigned(),
    });
    // Gitea's tree is named by its commit.
    inner["tree"] = meta(state, repo, "trees", id, &created)?;
    value["html_url"] = page(state, repo, id)?.into();
    value["commit"] = inner;
    value["author"] = account(&commit.author())?.into();
    value["committer"] = account(&commit.committer())?.into();
    value["parents"] =
        commit.parent_ids().map(|id| meta(state, repo, "commits", id, NEVER)).collect::<Result<Vec<_>, _>>()?.into();
    let file = |paths: &[String], status: &'static str| -> Vec<Value> {
        paths.iter().map(|path| json!({ "filename": path, "status": status })).collect()
    };
    value["files"] =
        [file(&changes.added, "added"), file(&changes.removed, "removed"), file(&changes.modified, "modified")]
            .concat()
            .into();
    value["stats"] = json!({
        "total": changes.additions + changes.deletions,
        "additions": changes.additions,
        "deletions": changes.deletions,
    });
    Ok(value)
}

/// A branch, and what its protection means for `viewer`.
pub fn branch(state: &State, repo: &Repo, name: &str, head: Oid, viewer: Viewer) -> Result<Value, Refusal> {
    let bare = state.bare(repo.id)?;
    let protection = state.protection(repo.id, name)?;
    let writes = state.access(repo, viewer) >= Access::Write;
    Ok(json!({
        "name": name,
        "commit": without_files(state, repo, &bare, head)?,
        "protected": protection.is_some(),
        "required_approvals": 0,
        "enable_status_check": protection.is_some_and(|protection| protection.status_check),
        "status_check_contexts": protection.map_or(&[][..], |protection| &protection.contexts),
        "user_can_push": writes && protection.is_none_or(|protection| protection.push),
        "user_can_merge": writes,
        "effective_branch_protection_name": protection.map_or("", |protection| &protection.rule),
    }))
}

/// A file of a commit, with its content; `reference` is what the caller asked for.
pub fn contents(
    state: &State,
    repo: &Repo,
    bare: &Bare,
    commit: Oid,
    path: &str,
    file: &File,
    reference: &str,
) -> Result<Value, Refusal> {
    let full_name = state.full_name(repo)?;
    let base = &state.base;
    let api = format!("{base}/api/v1/repos/{full_name}");
    let own = format!("{api}/contents/{path}?ref={reference}");
    let git = format!("{api}/git/blobs/{}", file.blob);
    let html = format!("{base}/{full_name}/src/{reference}/{path}");
    Ok(json!({
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": file.blob.to_string(),
        "last_commit_sha": bare.last_change(commit, path)?.to_string(),
        "type": "file",
        "size": file.content.len(),
        "encoding": "base64",
        "content": STANDARD.encode(&file.content),
        "target": null,
        "url": own,
        "html_url": html,
        "git_url": git,
        "download_url": format!("{base}/{full_name}/raw/{reference}/{path}"),
        "submodule_git_url": null,
        "_links": { "self": own, "git": git, "html": html },
    }))
}

/// What a commit of files is answered with: `paths` as they are now, null where they are gone.
pub fn files(state: &State, repo: &Repo, id: Oid, branch: &str, paths: &[String]) -> Result<Value, Refusal> {
    let bare = state.bare(repo.id)?;
    let file = |path: &String| match bare.file(id, path)? {
        Some(file) => contents(state, repo, &bare, id, path, &file, &format!("branch/{branch}")),
        None => Ok(Value::Null),
    };
    let whole = full(state, repo, id)?;
    let inner = &whole["commit"];
    Ok(json!({
        "files": paths.iter().map(file).collect::<Result<Vec<_>, _>>()?,
        "commit": {
            "url": whole["url"],
            "sha": whole["sha"],
            "created": whole["created"],
            "html_url": whole["html_url"],
            "author": inner["author"],
            "committer": inner["committer"],
            "parents": whole["parents"],
            "message": inner["message"],
            "tree": inner["tree"],
        },
        "verification": unsigned(),
    }))
}

//! GitHub's JSON, made from what the stand-in knows; only what is read.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use git2::Oid;
use serde_json::{Value, json};

use crate::demo::forge::model::{Access, AccountId, Comment, Issue, Repo, Status};
use crate::demo::forge::{Refusal, State, Viewer};

/// What a 404 says to those who may know that a branch has no protection.
pub(super) const UNPROTECTED: &str = "Branch not protected";

/// A refusal as this dialect says it: Gitea's words become GitHub's where drift-gate reads them.
pub(in crate::demo::rest) fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(status_of(refusal)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = match refusal {
        Refusal::Unauthorized(_) => "Bad credentials".to_owned(),
        Refusal::Missing(words) if words == UNPROTECTED => words.clone(),
        Refusal::NotFound { .. } | Refusal::Missing(_) => "Not Found".to_owned(),
        Refusal::Locked(_) => "Repository was archived so is read-only.".to_owned(),
        Refusal::Forbidden(words) if words.contains("required scope") => {
            "Resource not accessible by personal access token".to_owned()
        }
        Refusal::Broken(_) => "Server Error".to_owned(),
        Refusal::Conflict(_) | Refusal::Invalid(_) => "Validation Failed".to_owned(),
        other => other.to_string(),
    };
    let mut body =
        json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.as_str() });
    if let Refusal::Conflict(words) | Refusal::Invalid(words) = refusal {
        body["errors"] = json!([{ "resource": "PullRequest", "code": "custom", "message": words }]);
    }
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}

fn status_of(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::Locked(_) => 403,
        Refusal::Conflict(_) | Refusal::Bad(_) => 422,
        other => other.status(),
    }
}

pub(super) fn user(state: &State, id: AccountId) -> Result<Value, Refusal> {
    let account = state.account(id)?;
    Ok(json!({ "id": account.id, "login": account.login, "type": "User" }))
}

pub(super) fn repository(state: &State, repo: &Repo, viewer: Viewer) -> Result<Value, Refusal> {
    let access = state.access(repo, viewer);
    Ok(json!({
        "id": repo.id,
        "name": repo.name,
        "full_name": state.full_name(repo)?,
        "owner": user(state, repo.owner)?,
        "private": repo.private,
        "visibility": if repo.private { "private" } else { "public" },
        "archived": repo.archived,
        "default_branch": repo.default_branch,
        "permissions": { "admin": access >= Access::Admin, "push": access >= Access::Write, "pull": true },
    }))
}

/// Lists leave out whether it was merged; `merged_at` tells.
pub(super) fn pull(state: &State, repo: &Repo, number: u64, whole: bool) -> Result<Value, Refusal> {
    let (issue, pull) = state.pull(repo.id, number)?;
    let bare = state.bare(repo.id)?;
    let head = bare.tip(&format!("refs/pull/{number}/head")).ok_or_else(Refusal::not_found)?;
    let head_repo = pull.head_repo.and_then(|id| state.repo(id).ok());
    let owner = |repo: &Repo| state.account(repo.owner).map(|owner| owner.login.clone());
    let mut value = json!({
        "id": pull.id,
        "node_id": format!("PR_{}_{number}", repo.id),
        "number": number,
        "state": if issue.is_open() { "open" } else { "closed" },
        "title": issue.title,
        "body": issue.body,
        "draft": issue.is_draft(),
        "user": user(state, issue.author)?,
        "labels": state.labels_of(repo.id, number)?.iter().map(|label| json!({ "name": label.name })).collect::<Vec<_>>(),
        "assignees": issue.assignees.iter().map(|one| user(state, *one)).collect::<Result<Vec<_>, _>>()?,
        "requested_reviewers": pull.reviewers.iter().map(|one| user(state, *one)).collect::<Result<Vec<_>, _>>()?,
        "merged_at": pull.merged.as_ref().map(|merge| merge.at.to_rfc3339()),
        "closed_at": issue.closed.map(|at| at.to_rfc3339()),
        "head": {
            "label": format!("{}:{}", head_repo.map(owner).transpose()?.unwrap_or_else(|| "unknown".to_owned()), pull.head),
            "ref": pull.head,
            "sha": head.to_string(),
            "repo": head_repo.map(|repo| repository(state, repo, None)).transpose()?,
        },
        "base": {
            "label": format!("{}:{}", owner(repo)?, pull.base),
            "ref": pull.base,
            "sha": bare.branch(&pull.base).map(|sha| sha.to_string()).unwrap_or_default(),
            "repo": repository(state, repo, None)?,
        },
    });
    if whole {
        value["auto_merge"] = pull.when_green.as_ref().map_or(Value::Null, |_| json!({ "merge_method": "merge" }));
        value["merged"] = pull.merged.is_some().into();
    }
    Ok(value)
}

/// A commit of a list.
pub(super) fn commit(state: &State, repo: &Repo, id: Oid) -> Result<Value, Refusal> {
    let bare = state.bare(repo.id)?;
    let commit = bare.commit(id)?;
    let author = commit.author();
    let (name, email) = (
        String::from_utf8_lossy(author.name_bytes()).into_owned(),
        String::from_utf8_lossy(author.email_bytes()).into_owned(),
    );
    let account = state.account_of_email(&email).map(|account| user(state, account.id)).transpose()?;
    Ok(json!({
        "sha": id.to_string(),
        "author": account,
        "commit": {
            "author": { "name": name, "email": email },
            "message": String::from_utf8_lossy(commit.message_bytes()),
            "tree": { "sha": commit.tree_id().to_string() },
        },
    }))
}

/// The word is under `state` here, and ids are unique.
pub(super) fn status(state: &State, status: &Status) -> Result<Value, Refusal> {
    Ok(json!({
        "id": status.id,
        "state": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
        "creator": user(state, status.creator)?,
        "created_at": status.created.to_rfc3339(),
    }))
}

pub(super) fn comment(state: &State, repo: &Repo, issue: &Issue, comment: &Comment) -> Result<Value, Refusal> {
    let full_name = state.full_name(repo)?;
    Ok(json!({
        "id": comment.id,
        "body": comment.body,
        "user": user(state, comment.author)?,
        "issue_url": format!("{}/api/v3/repos/{full_name}/issues/{}", state.base, issue.number),
        "created_at": comment.created.to_rfc3339(),
        "updated_at": comment.updated.to_rfc3339(),
    }))
}
